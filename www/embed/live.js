// @ts-check
// A live stream: bulletins come from the signaller, from neighbours, and from the site's own server; whoever brings them, they
// must be signed by the pinned key and continue the list of segments that was seen before.

/** @typedef {[path: string, size: number, root: string, type: string]} File */
/** @typedef {{ version: number, topic: string, channel: string, stream: number, seq: number, base: string | null, hold: number, first: number,
 *   before: string, files: File[], texts: [path: string, text: string, type: string][] }} List */
/** How far a list was seen. @typedef {{ stream: number, seq: number, count: number, head: string }} Seen */

// What a publisher may say at once (the node's NEWS_BYTES_MAX).
const BULLETIN_MAX = 16 * 1024;
const PURPOSE = 'swarmlet site live';
// Without news for so many times `hold`, the site's own server is asked.
const SILENT_HOLDS = 0.5;

/** @param {ArrayBuffer} bytes */
const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');

/** @param {string} text */
const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** The hash of a list that has these segments more. @param {string} before @param {File[]} files */
async function chain(before, files) {
  let head = unhex(before);
  for (const file of files) {
    const line = new TextEncoder().encode(file.join('\n'));
    const whole = new Uint8Array(head.length + line.length);
    whole.set(head);
    whole.set(line, head.length);
    head = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
  }
  return hex(head.buffer);
}

/**
 * Whether a list goes on where another was seen last; how far it is seen then. Throws what is wrong. Nothing else decides that:
 * a stream that began later, or the same with more to say, and nothing of what was there changed. `again`: what was seen last
 * may come once more.
 * @param {Seen | null} seen @param {List} list @param {boolean} [again] @returns {Promise<Seen>}
 */
export async function follow(seen, list, again = false) {
  const { stream, seq, first, files, before } = list;
  const count = first + files.length;
  if (list.version !== 1 || ![stream, seq, first].every(Number.isSafeInteger) || files.length > 256) throw new Error('odd');
  const head = await chain(before, files);
  if (seen && stream < seen.stream) throw new Error('of an older stream');
  if (seen && stream === seen.stream) {
    if (again ? seq < seen.seq : seq <= seen.seq) throw new Error('older');
    if (count < seen.count) throw new Error('shorter');
    const known = seen.count - first;
    if (known >= 0 && (await chain(before, files.slice(0, known))) !== seen.head) throw new Error('changed');
  }
  return { stream, seq, count, head };
}

/** A bulletin that the key signed. Throws what is wrong. @param {string} text @param {CryptoKey} key @returns {Promise<List>} */
export async function read(text, key) {
  const [seal, body, ...more] = text.split('\n');
  if (text.length > BULLETIN_MAX || !body || more.length > 0) throw new Error('odd');
  const bytes = new TextEncoder().encode(`${PURPOSE}\n${body}`);
  if (!await crypto.subtle.verify('Ed25519', key, unhex(seal), bytes)) throw new Error('not signed');
  return JSON.parse(body);
}

/** A `.torrent` of one segment (BEP 52): a piece as large as the file needs no list of pieces.
 * @param {File} file @param {string} url */
export function torrentOf([path, size, root], url) {
  const text = new TextEncoder();
  /** @type {Uint8Array[]} */
  const parts = [];
  const put = (/** @type {(string | Uint8Array)[]} */ ...given) => parts.push(...given.map((part) => (typeof part === 'string' ? text.encode(part) : part)));
  const name = path.split('/').pop() ?? '';
  const named = `${text.encode(name).length}:${name}`;
  const piece = Math.max(16384, 2 ** Math.ceil(Math.log2(size)));
  put(`d4:infod9:file treed${named}d0:d6:lengthi${size}e11:pieces root32:`, unhex(root));
  put(`eee12:meta versioni2e4:name${named}12:piece lengthi${piece}ee12:piece layersde8:url-list${text.encode(url).length}:${url}e`);
  return new Blob(/** @type {BlobPart[]} */ (parts)).arrayBuffer();
}

/** Which of these peers is to fetch a segment from the server first, for all others: by lots that all draw alike.
 * @param {string} root @param {string} me @param {string[]} others @returns {number} how many come before me */
export function rank(root, me, others) {
  const lot = (/** @type {string} */ peer) => {
    let mixed = 0x811c9dc5;
    for (const byte of unhex(root.slice(0, 16) + peer.slice(0, 16))) mixed = Math.imul(mixed ^ byte, 0x01000193);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  };
  const mine = lot(me);
  return others.filter((peer) => lot(peer) < mine).length;
}

export class Live {
  #url;
  #key;
  #signaller;
  #tell;
  #listed;
  /** @type {Seen | null} */
  #seen = null;
  /** What was looked at last: the same comes from several sides. */
  #last = '';
  /** One after the other: what is looked at now decides about the next. */
  #turn = Promise.resolve();
  /** @type {EventSource | undefined} */
  #events;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #stopped = false;
  #counts = { accepted: { signaller: 0, peer: 0, site: 0 }, refused: 0, reason: '', seq: 0, count: 0 };

  /**
   * @param {{ url: string, key: CryptoKey, signaller: URL, tell: (topic: string, bytes: Uint8Array) => void,
   *   listed: (list: List) => void }} options `tell`: pass a bulletin on. `listed`: there is a new one.
   */
  constructor({ url, key, signaller, tell, listed }) {
    this.#url = url;
    this.#key = key;
    this.#signaller = signaller;
    this.#tell = tell;
    this.#listed = listed;
    try {
      this.#seen = JSON.parse(localStorage.getItem(this.#name()) ?? 'null');
    } catch {
      // Nothing is kept: what comes first is believed.
    }
  }

  /** Begins with what the site's server has. */
  async start() {
    await this.#ask();
  }

  stop() {
    this.#stopped = true;
    this.#events?.close();
    clearTimeout(this.#timer);
  }

  /** Judges what somebody says. @param {string} text @param {'signaller' | 'peer' | 'site'} from */
  take(text, from) {
    this.#turn = this.#turn.then(() => this.#judge(text, from));
    return this.#turn;
  }

  stats() {
    return structuredClone(this.#counts);
  }

  /** @param {string} text @param {'signaller' | 'peer' | 'site'} from */
  async #judge(text, from) {
    if (text === this.#last || this.#stopped) return;
    try {
      const list = await read(text, this.#key);
      // After an earlier visit the list may be where it was: that is no news, but it is what there is.
      this.#seen = await follow(this.#seen, list, this.#last === '');
      this.#last = text;
      if (!this.#events) this.#listen(list.channel);
      this.#counts.accepted[from] += 1;
      Object.assign(this.#counts, { seq: this.#seen.seq, count: this.#seen.count });
      try {
        localStorage.setItem(this.#name(), JSON.stringify(this.#seen));
      } catch {
        // Then a later visit begins anew.
      }
      this.#listed(list);
      this.#tell(list.topic, new TextEncoder().encode(text));
      this.#wait(list.hold * SILENT_HOLDS);
    } catch (error) {
      this.#counts.refused += 1;
      this.#counts.reason = String(/** @type {Error} */ (error).message ?? error);
    }
  }

  /** @param {string} channel */
  #listen(channel) {
    this.#events = new EventSource(new URL(`/swarmlet/live/${channel}`, this.#signaller));
    this.#events.onmessage = ({ data }) => void this.take(data, 'signaller');
  }

  /** @param {number} ms */
  #wait(ms) {
    clearTimeout(this.#timer);
    if (!this.#stopped) this.#timer = setTimeout(() => this.#ask(), Math.max(1000, ms));
  }

  async #ask() {
    this.#wait(5000);
    const answer = await fetch(this.#url, { cache: 'no-store' }).catch(() => undefined);
    if (answer?.ok) await this.take(await answer.text(), 'site');
  }

  #name() {
    return `swarmlet live ${new URL(this.#url).pathname}`;
  }
}
