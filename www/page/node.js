// @ts-check
// The public node: starts the worker, keeps the shares, turns the worker's messages into promises and events.

import { anchors, remember } from './anchors.js';
import { codeBytes, codeText } from './code.js';
import { SwarmletError, aborted, deferred } from './error.js';
import { linkText, seedFiles } from './input.js';
import { fetchFrom } from './fetch.js';
import { IceServers } from './ice.js';
import { Connections } from './rtc.js';
import { Share } from './share.js';
import { Tabs } from './tabs.js';
import { keepToken } from './token.js';

/** @typedef {import('../swarmlet.js').JoinOptions} Options */
/** @typedef {import('../swarmlet.js').SeedOptions} SeedOptions */
/** @typedef {import('../swarmlet.js').AddOptions} AddOptions */

export const VERSION = '0.1.0';
// Where a tab remembers its storage over a reload.
const SLOT_KEY = 'swarmlet-store';
/** The first node of a page takes the storage that the tab had; others take what is free. */
let slotTaken = false;

export function hasWebRtc() {
  return typeof globalThis.RTCPeerConnection === 'function';
}

/** @param {Options} [options] */
export async function join(options = {}) {
  if (options.signal?.aborted) throw aborted(options.signal);
  if (typeof Worker !== 'function' || typeof WebAssembly !== 'object') throw new SwarmletError('unsupported');
  const node = new Node(await startWorker(), options);
  await node.started;
  options.signal?.addEventListener('abort', () => node.close(), { once: true });
  return node;
}

class Node {
  events = new EventTarget();
  peerId = '';
  closed = false;
  #worker;
  #connections;
  /** @type {Map<string, Share>} */
  #shares = new Map();
  /** Calls that wait for an answer. @type {Map<number, { resolve: (value: any) => void, reject: (error: unknown) => void }>} */
  #calls = new Map();
  /** @type {Map<number, (message: any) => void>} */
  #hashing = new Map();
  /** Searches under way. @type {Map<number, (listing: any) => void>} */
  #searching = new Map();
  /** Ports that are served; told once with the bytes that went through. @type {Map<number, (bytes: number) => void>} */
  #serving = new Map();
  #nextCall = 1;
  #start = performance.now();
  #storage = 'memory';
  #first;
  /** @type {any} */
  #view = { signaller: false, dialling: 0, connectionsMade: 0, totals: {}, links: [], shares: [] };
  /** @type {{ worker?: number, signaller?: number, link?: number }} */
  #timings = {};
  #started = /** @type {ReturnType<typeof deferred<void>>} */ (deferred());
  #listening = new AbortController();
  /** @type {Tabs | undefined} */
  #tabs;

  /**
   * @param {Worker} worker
   * @param {Options} options
   */
  constructor(worker, options) {
    this.#worker = worker;
    const send = (/** @type {object} */ message, /** @type {Transferable[]} */ given = []) => worker.postMessage(message, given);
    const signaller = signallerUrl(options.signaller);
    const ice = new IceServers(options.iceServers, signaller);
    this.#connections = new Connections(send, { ice, transfer: options.transfer !== false });
    worker.onmessage = ({ data }) => this.#hear(data);
    worker.onerror = (event) => this.#die(new SwarmletError('internal', event.message));
    this.#first = !slotTaken;
    slotTaken = true;
    const slot = options.slot ?? (this.#first ? Number.parseInt(sessionStorageItem() ?? '', 10) : NaN);
    const { signal } = this.#listening;
    let begun = false;
    keepToken(options.token, signal, (token) => {
      ice.bear(token);
      if (begun && token !== undefined) this.#tell('token', [token]);
      if (begun) return;
      begun = true;
      worker.postMessage({
        t: 'start',
        options: { signaller, token, upload: uploadLimit(options.upload) },
        storage: options.storage ?? 'auto',
        overlay: options.overlay !== false && hasWebRtc(),
        anchors: anchors(),
        slot: Number.isNaN(slot) ? undefined : slot,
      });
    });
    globalThis.addEventListener('online', () => this.#tell('online', [true]), { signal });
    globalThis.addEventListener('offline', () => this.#tell('online', [false]), { signal });
  }

  get started() {
    return this.#started.promise;
  }

  get shares() {
    return [...this.#shares.values()];
  }

  /**
   * @param {any} input
   * @param {SeedOptions} [options]
   */
  async seed(input, options = {}) {
    const { signal, onProgress } = options;
    const { name, files } = seedFiles(input, options.name);
    const total = files.reduce((sum, file) => sum + file.blob.size, 0);
    const webSeeds = (options.webSeeds ?? []).map((url) => new URL(url, globalThis.location?.href).href);
    const call = this.#nextCall;
    if (onProgress) this.#hashing.set(call, ({ hashed }) => onProgress({ hashed, total }));
    try {
      const told = await this.#call('seed', [files, name, webSeeds], { signal, cancel: 'cancelSeed' });
      onProgress?.({ hashed: total, total });
      const share = this.#share(told, { own: files.map((file) => file.blob), signal });
      // Its files are known already: nobody should have to wait for `ready` to read their names.
      await share.ready;
      return share;
    } finally {
      this.#hashing.delete(call);
    }
  }

  /**
   * @param {import('../swarmlet.js').AddInput} what
   * @param {AddOptions} [options]
   */
  async add(what, options = {}) {
    const { signal, select, topic } = options;
    const chosen = typeof select === 'function' ? [] : select;
    const told = await this.#addTold(what, [chosen, topic], signal);
    const share = this.#share(told, { signal });
    if (typeof select === 'function') {
      share.ready.then(() => share.select(share.files.filter(select).map((file) => file.index))).catch(() => {});
    }
    if (options.paused) await share.pause();
    this.#tabs?.added();
    return share;
  }

  /** @param {string} code */
  async meet(code) {
    const answer = await this.#call('meet', [codeBytes(String(code))]);
    return answer.length > 0 ? codeText(answer) : null;
  }

  /**
   * @param {string} text
   * @param {{ signal?: AbortSignal }} [options]
   */
  async *search(text, { signal } = {}) {
    const call = this.#nextCall;
    /** @type {import('../swarmlet.js').Listing[]} */
    const found = [];
    /** Shares that were told of: several may list the same. @type {Set<string>} */
    const seen = new Set();
    let [over, wake] = [false, () => {}];
    this.#searching.set(call, ({ id, title, size, type, publisher }) => {
      const magnet = `magnet:?xt=urn:btmh:1220${id}&dn=${encodeURIComponent(title)}`;
      if (!seen.has(id)) found.push({ id, title, size, type, publisher, magnet });
      seen.add(id);
      wake();
    });
    const ended = this.#call('search', [String(text)], { signal }).finally(() => {
      over = true;
      wake();
    });
    ended.catch(() => {});
    try {
      for (;;) {
        yield* found.splice(0);
        if (over && found.length === 0) return void await ended;
        if (found.length === 0) await new Promise((resolve) => { wake = () => resolve(undefined); });
      }
    } finally {
      this.#searching.delete(call);
    }
  }

  /**
   * @param {RequestInfo | URL} url
   * @param {RequestInit} [init]
   */
  fetch(url, init) {
    return fetchFrom(this, url, init);
  }

  /** @returns {import('../swarmlet.js').Stats} */
  stats() {
    const view = this.#view;
    const shares = this.shares.map((share) => share.stats());
    const fromStore = shares.reduce((sum, share) => sum + share.fromStore, 0);
    return {
      peerId: this.peerId,
      webrtc: hasWebRtc(),
      signaller: view.signaller && !this.closed,
      storage: /** @type {'opfs' | 'memory'} */ (this.#storage),
      transfer: this.#connections.transfer,
      dialling: view.dialling,
      connectionsMade: view.connectionsMade,
      totals: { ...NO_TOTALS, ...view.totals, fromStore },
      links: view.links,
      shares,
      timings: { ...this.#timings },
    };
  }

  /**
   * Gives a port to the worker, which answers each `more` that comes through it with bytes of a file, until `stop`.
   * @param {MessagePort} port
   * @param {import('../worker/serve.js').What} what
   * @param {(bytes: number) => void} over
   */
  serve(port, what, over) {
    if (this.closed) return port.postMessage('no');
    const id = this.#nextCall++;
    this.#serving.set(id, over);
    this.#worker.postMessage({ t: 'serve', id, what, port }, [port]);
  }

  /**
   * Passes news on to a few neighbours in a swarm, who hear it as a `news` event.
   * @param {string} topic
   * @param {Uint8Array} news
   */
  tell(topic, news) {
    this.#tell('tell', [topic, news]);
  }

  /** @returns {Promise<import('../swarmlet.js').OverlayView>} */
  overlay() {
    return this.#call('overlay', []);
  }

  /** Gives at most so many bytes per second from now on. @param {number | undefined} rate */
  limit(rate) {
    this.#tell('upload', [rate]);
  }

  /** Removes what is stored of a file that is not wanted now. @param {string} root */
  drop(root) {
    this.#tell('drop', [root]);
  }

  /** Has the worker tell by `loaded` events what it loads over the network. */
  watch() {
    this.#worker.postMessage({ t: 'watch' });
  }

  async close() {
    if (this.closed) return;
    await this.#call('close', []).catch(() => {});
    this.#die(new SwarmletError('closed'));
  }

  /**
   * @param {import('../swarmlet.js').AddInput} what
   * @param {[select: number[] | undefined, topic: string | undefined]} options
   * @param {AbortSignal | undefined} signal
   */
  async #addTold(what, options, signal) {
    if (typeof what === 'string' || what instanceof URL) return this.#call('addLink', [linkText(what), options[0]], { signal });
    const bytes = what instanceof Blob ? await what.arrayBuffer() : what;
    if (!(bytes instanceof ArrayBuffer) && !ArrayBuffer.isView(bytes)) throw new SwarmletError('bad-argument');
    const view = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return this.#call('addTorrent', [view, ...options], { signal });
  }

  /**
   * The share that the worker was just told of; the same object when it is here already.
   * @param {any} told
   * @param {{ own?: Blob[], signal?: AbortSignal }} options
   */
  #share(told, { own, signal }) {
    let share = this.#shares.get(told.id);
    if (!share) {
      const removed = (/** @type {Share} */ gone) => {
        if (this.#shares.get(gone.id) === gone) this.#shares.delete(gone.id);
        this.#dispatch('share', { state: 'removed', id: gone.id, share: gone });
      };
      share = new Share((method, args, options) => this.#call(method, args, options), told, { own, removed });
      this.#shares.set(told.id, share);
    }
    share.follow(signal);
    return share;
  }

  /**
   * Asks the worker for something.
   * @param {string} method
   * @param {unknown[]} args
   * @param {{ signal?: AbortSignal, cancel?: string }} [options] `cancel`: the call that ends this one.
   * @returns {Promise<any>}
   */
  #call(method, args, { signal, cancel } = {}) {
    if (this.closed) return Promise.reject(new SwarmletError('closed'));
    if (signal?.aborted) return Promise.reject(aborted(signal));
    const id = this.#nextCall++;
    return new Promise((resolve, reject) => {
      const abort = () => {
        if (!this.#calls.delete(id)) return;
        if (cancel) this.#tell(cancel, [id]);
        reject(aborted(/** @type {AbortSignal} */ (signal)));
      };
      const settled = (/** @type {(value: any) => void} */ settle) => (/** @type {any} */ value) => {
        signal?.removeEventListener('abort', abort);
        settle(value);
      };
      this.#calls.set(id, { resolve: settled(resolve), reject: settled(reject) });
      if (cancel) signal?.addEventListener('abort', abort, { once: true });
      this.#worker.postMessage({ t: 'call', id, method, args });
    });
  }

  /**
   * Asks for something that needs no answer.
   * @param {string} method
   * @param {unknown[]} args
   */
  #tell(method, args) {
    this.#call(method, args).catch(() => {});
  }

  /** @param {any} message One message of the worker's. */
  #hear(message) {
    switch (message.t) {
      case 'rtc': return this.#connections.order(message);
      case 'snapshot': return this.#update(message);
      case 'reply': return this.#reply(message);
      case 'event': return this.#news(message);
      case 'served': return this.#served(message);
      case 'loaded': return this.#dispatch('loaded', message);
      case 'found': return this.#searching.get(message.id)?.(message.listing);
      case 'hashed': return this.#hashing.get(message.id)?.(message);
      case 'started': return this.#began(message);
      case 'failed': return this.#die(new SwarmletError(message.error.code, message.error.message));
    }
  }

  /** @param {any} message */
  #began({ peerId, storage, slot }) {
    this.peerId = peerId;
    this.#storage = storage;
    if (slot !== undefined && this.#first) sessionStorageItem(String(slot));
    this.#timings.worker = performance.now() - this.#start;
    if (typeof BroadcastChannel === 'function' && hasWebRtc()) this.#tabs = new Tabs(this);
    this.#started.resolve(undefined);
  }

  /** @param {any} message */
  #served({ id, bytes }) {
    this.#serving.get(id)?.(bytes);
    this.#serving.delete(id);
  }

  /** @param {any} message */
  #reply({ id, value, error }) {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (error) call?.reject(new SwarmletError(error.code, error.message));
    else call?.resolve(value);
  }

  /** @param {any} view */
  #update(view) {
    this.#view = view;
    for (const share of view.shares) this.#shares.get(share.id)?.update(share);
    this.#dispatch('progress', null);
  }

  /** @param {any} message */
  #news({ t: _, name, list, ...detail }) {
    if (name === 'share') {
      const share = this.#shares.get(detail.id);
      if (share && list) share.setFiles(list);
      share?.hear(detail);
      detail.share = share;
    }
    if (name === 'anchor') return remember(detail.address, detail.gone);
    if (name === 'signaller' && detail.state === 'up') this.#timings.signaller ??= performance.now() - this.#start;
    if (name === 'link') {
      if (detail.state === 'up') this.#timings.link ??= performance.now() - this.#start;
      if (detail.state !== 'failed') this.#dispatch('peer', { peer: detail.peer, connected: detail.state === 'up' });
    }
    this.#dispatch(name, detail);
  }

  /**
   * @param {string} name
   * @param {unknown} detail
   */
  #dispatch(name, detail) {
    this.events.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /** @param {SwarmletError} error */
  #die(error) {
    if (this.closed) return;
    this.closed = true;
    this.#listening.abort();
    this.#tabs?.close();
    this.#connections.close();
    this.#worker.terminate();
    this.#started.reject(error);
    for (const call of this.#calls.values()) call.reject(error);
    this.#calls.clear();
    for (const share of this.shares) share.end(error);
  }
}

const NO_TOTALS = { fromPeers: 0, fromHttp: 0, sent: 0, wireIn: 0, wireOut: 0, wasted: 0, banned: 0 };

/** Starts the worker script; where it comes from another origin, through a script of our own that imports it. */
async function startWorker() {
  const url = new URL('../worker.js', import.meta.url);
  if (url.origin === globalThis.location?.origin) return new Worker(url, { type: 'module', name: 'swarmlet' });
  const script = new Blob([`import ${JSON.stringify(url.href)};`], { type: 'text/javascript' });
  const local = URL.createObjectURL(script);
  const worker = new Worker(local, { type: 'module', name: 'swarmlet' });
  // The worker has its own copy of the script once it speaks; until then the address must live.
  const over = () => URL.revokeObjectURL(local);
  worker.addEventListener('message', over, { once: true });
  worker.addEventListener('error', over, { once: true });
  return worker;
}

/**
 * Without WebRTC there is nothing to signal.
 * @param {string | URL | false | undefined} given
 */
function signallerUrl(given) {
  if (given === false || !hasWebRtc()) return undefined;
  const url = new URL(given ?? '/signal', given ? globalThis.location?.href : import.meta.url);
  url.protocol = url.protocol.replace('http', 'ws');
  return url.href;
}

/** @param {number | boolean | undefined} given */
function uploadLimit(given) {
  if (given === undefined || given === true || given === Infinity) return undefined;
  return Math.max(0, Number(given) || 0);
}

/**
 * Reads or writes what this tab remembers. Pages may be denied that.
 * @param {string} [value]
 */
function sessionStorageItem(value) {
  try {
    if (value !== undefined) sessionStorage.setItem(SLOT_KEY, value);
    return sessionStorage.getItem(SLOT_KEY);
  } catch {
    return null;
  }
}
