// @ts-check
// The page's share of the links: browsers give RTCPeerConnection to windows only. Everything is ordered by the
// worker; the channels are given to it, or pumped where the browser cannot give them away.

const CHANNELS = [
  { label: 'swarmlet-control', init: { negotiated: true, id: 0, ordered: true } },
  { label: 'swarmlet-bulk', init: { negotiated: true, id: 1, ordered: true } },
];
// The worker's CHANNEL_LOW_BYTES (a test compares them): it takes no more than that for room. Used only where messages are pumped.
const LOW_BYTES = 16 * 1024;

export class Connections {
  /** @type {Map<number, Connection>} */
  #connections = new Map();
  #send;
  #ice;
  /** Whether channels can be given to the worker. Found out with the first link. */
  transfer;

  /**
   * @param {(message: object, given?: Transferable[]) => void} send To the worker.
   * @param {{ ice: import('./ice.js').IceServers, transfer: boolean }} options
   */
  constructor(send, options) {
    this.#send = send;
    this.#ice = options.ice;
    this.transfer = options.transfer;
  }

  /** @param {any} message One order of the worker's. */
  order(message) {
    const { order, link, job } = message;
    const connection = this.#connections.get(link);
    if (order === 'dial' || order === 'accept') {
      this.#open(link, job, message.sdp);
    } else if (order === 'complete') {
      this.#finish(job, connection?.pc.setRemoteDescription({ type: 'answer', sdp: message.sdp }));
    } else if (order === 'candidate') {
      const candidate = { candidate: message.line, sdpMid: '0', sdpMLineIndex: 0 };
      this.#finish(job, connection?.pc.addIceCandidate(candidate));
    } else if (order === 'send') {
      connection?.pump(message.channel, message.data);
    } else if (order === 'close') {
      this.#connections.delete(link);
      connection?.close();
    }
  }

  close() {
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  /**
   * @param {number} link
   * @param {number} job
   * @param {string | undefined} offer
   */
  async #open(link, job, offer) {
    const send = this.#send;
    try {
      const connection = new Connection(link, { iceServers: this.#ice.now() }, send);
      this.#connections.set(link, connection);
      this.transfer = connection.giveChannels(this.transfer);
      const { pc } = connection;
      if (offer !== undefined) await pc.setRemoteDescription({ type: 'offer', sdp: offer });
      await pc.setLocalDescription();
      send({ t: 'described', job, sdp: pc.localDescription?.sdp ?? '' });
      connection.tellCandidates();
    } catch {
      // Closed meanwhile, refused by the browser, or too many connections: the node decides what follows.
      send({ t: 'finished', job, ok: false });
    }
  }

  /**
   * @param {number} job
   * @param {Promise<void> | undefined} step
   */
  #finish(job, step) {
    const ended = (/** @type {boolean} */ ok) => this.#send({ t: 'finished', job, ok });
    if (step) step.then(() => ended(true), () => ended(false));
    else ended(false);
  }
}

class Connection {
  #link;
  #send;
  /** @type {RTCDataChannel[]} */
  #pumped = [];
  #taken = [0, 0];
  /** Candidates wait until the worker has the description that they belong to. @type {(string | null)[] | null} */
  #candidates = [];
  #lastCandidate = false;

  /**
   * @param {number} link
   * @param {RTCConfiguration} config
   * @param {(message: object, given?: Transferable[]) => void} send
   */
  constructor(link, config, send) {
    this.#link = link;
    this.#send = send;
    const pc = new RTCPeerConnection(config);
    pc.onicecandidate = (event) => this.#found(event.candidate?.candidate || null);
    let connected = false;
    pc.onconnectionstatechange = () => {
      connected ||= pc.connectionState === 'connected';
      // `disconnected` may heal, and the node has its own watchdog. What was never connected may still be: people who
      // carry a code take longer than browsers wait, and the other's first checks revive it.
      if ((connected && pc.connectionState === 'failed') || pc.connectionState === 'closed') send({ t: 'lost', link });
    };
    this.pc = pc;
  }

  /**
   * Makes the two channels and gives them to the worker: in the same task, as browsers demand.
   * @param {boolean} transfer
   */
  giveChannels(transfer) {
    const channels = CHANNELS.map(({ label, init }) => this.pc.createDataChannel(label, init));
    const link = this.#link;
    if (transfer) {
      try {
        const [control, bulk] = channels;
        this.#send({ t: 'adopt', link, control, bulk }, /** @type {any} */ (channels));
        return true;
      } catch {
        // This browser cannot give channels away.
      }
    }
    this.#pumped = channels;
    this.#send({ t: 'pump', link });
    channels.forEach((channel, index) => this.#keep(channel, index));
    return false;
  }

  tellCandidates() {
    const waiting = this.#candidates ?? [];
    this.#candidates = null;
    for (const line of waiting) this.#tell(line);
  }

  /**
   * Sends a message of the worker's on a channel that stayed here.
   * @param {number} index
   * @param {ArrayBuffer} data
   */
  pump(index, data) {
    const channel = this.#pumped[index];
    try {
      channel.send(data);
    } catch {
      this.#send({ t: 'lost', link: this.#link });
      return;
    }
    this.#taken[index] += data.byteLength;
    if (channel.bufferedAmount <= LOW_BYTES) this.#drained(index);
  }

  close() {
    this.pc.onicecandidate = null;
    this.pc.onconnectionstatechange = null;
    for (const channel of this.#pumped) {
      channel.onopen = channel.onmessage = channel.onclose = channel.onbufferedamountlow = null;
    }
    this.pc.close();
  }

  /**
   * @param {RTCDataChannel} channel
   * @param {number} index
   */
  #keep(channel, index) {
    const link = this.#link;
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = LOW_BYTES;
    channel.onopen = () => this.#send({ t: 'pumpedOpen', link, channel: index });
    channel.onclose = () => this.#send({ t: 'lost', link });
    channel.onbufferedamountlow = () => this.#drained(index);
    channel.onmessage = ({ data }) => {
      const given = data instanceof ArrayBuffer ? [data] : [];
      this.#send({ t: 'pumpedMessage', link, channel: index, data }, given);
    };
  }

  /** @param {number} index */
  #drained(index) {
    const [taken, buffered] = [this.#taken[index], this.#pumped[index].bufferedAmount];
    this.#send({ t: 'pumpedDrained', link: this.#link, channel: index, taken, buffered });
  }

  /** @param {string | null} line */
  #found(line) {
    if (this.#candidates) this.#candidates.push(line);
    else this.#tell(line);
  }

  /** @param {string | null} line `null`: the last one. Some browsers say so twice. */
  #tell(line) {
    if (this.#lastCandidate) return;
    this.#lastCandidate = line === null;
    this.#send({ t: 'found', link: this.#link, line: line ?? undefined });
  }
}
