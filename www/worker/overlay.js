// @ts-check
// The overlay beside the node: a module of its own, loaded when there is need. It is the node's neighbour over a link that is
// none, and finds peers and listings where no server helps (docs/OVERLAY.md).
//
// What calls for it: the signaller is gone and there is somebody to ask; a neighbour's overlay speaks; the page lists or searches.
// Where it comes from may be gone with the signaller, so it is fetched once somebody is linked.

const WASM = new URL('../pkg/swarmlet_overlay_bg.wasm', import.meta.url);
/** How long the signaller may be gone before anything is loaded for it. */
const GONE_MS = 2000;
/** How long somebody is linked before it is fetched: a visit that is over by then never needs it. */
const LINKED_MS = 3000;
/** Between two tries to fetch it. */
const RETRY_MS = 30_000;
/** The price of a place is paid in slices, between which the node works. */
const TRIES = 8000;
const PAUSE_MS = 4;
/** What neighbours say while this is loading. */
const EARLY_MAX = 64;
const ROLES = ['leaf', 'router', 'anchor'];
const KINDS = ['other', 'audio', 'video', 'image', 'text'];
const [FRAME, UP, DOWN, FAILED, SHARE, UNSHARE, UNLIST, SIGNED, VERIFIED, TIME] = Array.from({ length: 10 }, (_, kind) => kind);
/** Shares that others could be told of; the rest is at rest. */
const ACTIVE = new Set(['finding', 'checking', 'fetching', 'seeding']);

/**
 * @typedef {object} Around
 * @property {import('../keys.js').Keys} keys
 * @property {(message: object) => void} hear tells the node
 * @property {(message: object) => void} post tells the page
 */

export class Beside {
  #around;
  /** @type {import('../pkg/swarmlet_overlay.js').Overlay | null} */
  #overlay = null;
  /** @type {Promise<void> | null} */
  #starting = null;
  /** @type {Uint8Array[]} */
  #early = [];
  /** Linked peers and active shares, in hexadecimal. @type {Set<string>} */
  #links = new Set();
  /** @type {Set<string>} */
  #shares = new Set();
  #goneSince = 0;
  #linkedSince = 0;
  /** @type {Promise<{ Overlay: typeof import('../pkg/swarmlet_overlay.js').Overlay, init: () => Promise<unknown> }> | null} */
  #fetching = null;
  #fetched = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Around} around */
  constructor(around) {
    this.#around = around;
  }

  /** The node's own news, as the page gets them. @param {any} message */
  note(message) {
    if (message.t === 'snapshot') this.#look(message);
    if (message.t !== 'event' || message.name !== 'link') return;
    if (message.state === 'up') this.#links.add(message.peer);
    if (message.state === 'down') this.#links.delete(message.peer);
    this.#tell({ up: UP, down: DOWN, failed: FAILED }[/** @type {'up'} */ (message.state)], bytesOf(message.peer));
  }

  /** The node sends a frame to its neighbour, the overlay. @param {Uint8Array} bytes */
  frame(bytes) {
    if (this.#overlay) return this.#tell(FRAME, bytes);
    if (this.#early.length < EARLY_MAX) this.#early.push(bytes);
    void this.#start().catch(() => undefined);
  }

  /** Whether a call of the page's is for the overlay. @param {string} method */
  static takes(method) {
    return method === 'search' || method === 'publish' || method === 'unpublish' || method === 'overlay';
  }

  /** @param {number} id @param {string} method @param {any[]} args @returns {Promise<any>} `undefined`: answered later. */
  async call(id, method, args) {
    if (method === 'overlay') return this.#view();
    await this.#start();
    const overlay = /** @type {import('../pkg/swarmlet_overlay.js').Overlay} */ (this.#overlay);
    if (method === 'search') overlay.search(performance.now(), id, String(args[0]));
    else if (method === 'unpublish') this.#tell(UNLIST, bytesOf(args[0]));
    else overlay.list(performance.now(), bytesOf(args[0]), args[1], Math.max(0, KINDS.indexOf(args[2])), String(args[3]));
    this.#drain();
    return method === 'search' ? undefined : null;
  }

  #view() {
    const [role, links, routers, records, listings] = this.#overlay?.view() ?? [];
    return { fetched: this.#fetched, role: ROLES[role ?? -1] ?? null, links: links ?? 0, routers: routers ?? 0, records: records ?? 0, listings: listings ?? 0 };
  }

  /** @param {any} snapshot */
  #look({ signaller, links, shares }) {
    const now = performance.now();
    this.#linkedSince = links.length === 0 ? 0 : this.#linkedSince || now;
    if (this.#linkedSince && now - this.#linkedSince > LINKED_MS) void this.#fetch().catch(() => undefined);
    if (signaller || links.length === 0) this.#goneSince = 0;
    else this.#goneSince ||= now;
    if (this.#goneSince && now - this.#goneSince > GONE_MS) void this.#start().catch(() => undefined);
    const active = new Set(shares.filter((/** @type {any} */ share) => ACTIVE.has(share.state)).map((/** @type {any} */ share) => share.id));
    for (const id of active) if (!this.#shares.has(id)) this.#tell(SHARE, bytesOf(id));
    for (const id of this.#shares) if (!active.has(id)) this.#tell(UNSHARE, bytesOf(id));
    this.#shares = active;
  }

  #start() {
    this.#starting ??= this.#load().catch((error) => {
      this.#starting = null;
      throw error;
    });
    return this.#starting;
  }

  #fetch() {
    const fetching = async () => {
      const [{ default: init, Overlay }, module] = await Promise.all([import('../pkg/swarmlet_overlay.js'), WebAssembly.compileStreaming(fetch(WASM))]);
      this.#fetched = true;
      return { Overlay, init: () => init({ module_or_path: module }) };
    };
    this.#fetching ??= fetching().catch((error) => {
      // Not at every look: where it comes from may be gone.
      setTimeout(() => { this.#fetching = null; }, RETRY_MS);
      throw error;
    });
    return this.#fetching;
  }

  async #load() {
    const { init, Overlay } = await this.#fetch();
    await init();
    const { keys, hear } = this.#around;
    const overlay = new Overlay(keys.id, crypto.getRandomValues(new Uint8Array(32)), isMobile());
    while (!overlay.work(TRIES, performance.now(), Date.now() / 1000)) await new Promise((next) => setTimeout(next, PAUSE_MS));
    this.#overlay = overlay;
    // Its own card comes at once, so that nobody is hailed without one.
    hear({ t: 'overlay' });
    for (const peer of this.#links) this.#tell(UP, bytesOf(peer));
    for (const id of this.#shares) this.#tell(SHARE, bytesOf(id));
    for (const bytes of this.#early.splice(0)) this.#tell(FRAME, bytes);
  }

  /** @param {number} kind @param {Uint8Array} bytes */
  #tell(kind, bytes) {
    if (!this.#overlay) return;
    this.#overlay.hear(performance.now(), kind, bytes);
    this.#drain();
  }

  #drain() {
    const overlay = this.#overlay;
    if (!overlay) return;
    for (let order = overlay.poll(); order; order = overlay.poll()) this.#obey(order[0], order.subarray(1));
    clearTimeout(this.#timer);
    const due = overlay.due();
    if (due !== undefined) this.#timer = setTimeout(() => this.#tell(TIME, new Uint8Array()), Math.max(1, due - performance.now()));
  }

  /** @param {number | undefined} kind @param {Uint8Array} rest */
  #obey(kind, rest) {
    const { keys, hear, post } = this.#around;
    // The node answers in the same breath, which would enter the overlay twice.
    if (kind === 0) queueMicrotask(() => hear({ t: 'overlay', bytes: rest }));
    else if (kind === 1) this.#vouch(SIGNED, rest, keys.sign(copy(rest, 4)));
    else if (kind === 2) this.#vouch(VERIFIED, rest, keys.verify(copy(rest, 4, 36), copy(rest, 100), copy(rest, 36, 100)).then((good) => Uint8Array.of(Number(good))));
    else if (kind === 3) post(found(rest));
    else if (kind === 4) post({ t: 'reply', id: number(rest), value: null });
  }

  /** @param {number} kind @param {Uint8Array} order @param {Promise<Uint8Array>} work */
  #vouch(kind, order, work) {
    const job = order.slice(0, 4);
    // What could not be looked at is not good; what could not be signed is not said.
    const failed = () => (kind === VERIFIED ? Uint8Array.of(0) : null);
    void work.catch(failed).then((answer) => answer && this.#tell(kind, Uint8Array.from([...job, ...answer])));
  }
}

/** @param {Uint8Array} bytes */
function found(bytes) {
  const size = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(68, true);
  const title = new TextDecoder().decode(bytes.subarray(77));
  return { t: 'found', id: number(bytes), listing: { id: hex(bytes.subarray(4, 36)), publisher: hex(bytes.subarray(36, 68)), size: Number(size), type: KINDS[bytes[76] ?? 0] ?? 'other', title } };
}

/** @param {Uint8Array} bytes */
const number = (bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

/** @param {Uint8Array} bytes @param {number} from @param {number} [to] */
const copy = (bytes, from, to) => Uint8Array.from(bytes.subarray(from, to));

/** @param {string} text */
const bytesOf = (text) => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Phones come and go, and pay for what they send: they pass nothing on. */
function isMobile() {
  const { userAgentData, userAgent } = /** @type {any} */ (navigator);
  return userAgentData?.mobile ?? /Mobi/.test(userAgent);
}
