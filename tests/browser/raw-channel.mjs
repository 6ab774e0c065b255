// @ts-check
// What the browser itself can do: one reliable ordered data channel between two pages, nothing on top.

/** Runs in a page. @param {'offer' | 'answer'} role */
export function setUp(role) {
  const t = /** @type {any} */ (globalThis).t;
  const pc = new RTCPeerConnection();
  const channel = pc.createDataChannel('raw', { negotiated: true, id: 0, ordered: true });
  channel.binaryType = 'arraybuffer';
  t.raw = { pc, channel, role, open: new Promise((done) => { channel.onopen = () => done(true); }) };
  t.raw.gathered = () => new Promise((done) => {
    const check = () => { if (pc.iceGatheringState === 'complete') done(pc.localDescription?.sdp); };
    pc.onicegatheringstatechange = check;
    check();
  });
  t.receiveRaw = (/** @type {number} */ bytes) => new Promise((done) => {
    let got = 0;
    let first = 0;
    channel.onmessage = (event) => {
      if (got === 0) first = performance.now();
      got += event.data.byteLength;
      if (got >= bytes) done({ bytes: got, seconds: (performance.now() - first) / 1000 });
    };
  });
  t.sendRaw = async (/** @type {number} */ bytes, high = 256 * 1024) => {
    const message = t.bytes(9, 64 * 1024);
    channel.bufferedAmountLowThreshold = high / 4;
    for (let sent = 0; sent < bytes; sent += message.length) {
      if (channel.bufferedAmount + message.length > high) {
        await new Promise((low) => { channel.onbufferedamountlow = low; });
      }
      channel.send(message);
    }
  };
}

/** Opens a channel between two pages; how many milliseconds that took. @param {import('./harness.mjs').Peer} from
 * @param {import('./harness.mjs').Peer} to */
export async function connectRaw(from, to) {
  await from.page.evaluate(setUp, 'offer');
  await to.page.evaluate(setUp, 'answer');
  const began = performance.now();
  const offer = await from.ask('offer', async (t) => {
    await t.raw.pc.setLocalDescription(await t.raw.pc.createOffer());
    return t.raw.gathered();
  });
  const answer = await to.ask('answer', async (t, sdp) => {
    await t.raw.pc.setRemoteDescription({ type: 'offer', sdp });
    await t.raw.pc.setLocalDescription(await t.raw.pc.createAnswer());
    return t.raw.gathered();
  }, offer);
  await from.ask('complete', async (t, sdp) => t.raw.pc.setRemoteDescription({ type: 'answer', sdp }), answer);
  await Promise.all([from, to].map((peer) => peer.ask('open', (t) => t.raw.open)));
  return performance.now() - began;
}

/** Sends so many bytes; how long the first message took from the order to send, in ms, and the others after it, in s.
 * @param {import('./harness.mjs').Peer} from @param {import('./harness.mjs').Peer} to @param {number} total */
export async function receiveRaw(from, to, total) {
  const began = performance.now();
  const received = to.ask('receive', (t, bytes) => t.receiveRaw(bytes), total, 300_000);
  await from.ask('send', (t, bytes) => t.sendRaw(bytes), total, 300_000);
  const { bytes, seconds } = /** @type {{ bytes: number, seconds: number }} */ (await received);
  return { bytes, seconds, first: performance.now() - began - seconds * 1000 };
}

/** Sends `mib` and resolves with seconds and bytes as the receiver saw them.
 * @param {import('./harness.mjs').Peer} from @param {import('./harness.mjs').Peer} to @param {number} mib */
export async function rawGoodput(from, to, mib) {
  await connectRaw(from, to);
  const result = await receiveRaw(from, to, mib * 1024 * 1024);
  await Promise.all([from, to].map((peer) => peer.ask('close', (t) => t.raw.pc.close())));
  return result;
}
