// @ts-check
// What runs once the gate is open: a node that has the site as a share, and answers for the service worker.

import { join } from '../swarmlet.js';
import { Cache } from './cache.js';
import { Governor } from './governor.js';
import { Films, isPlaying } from './films.js';
import { PageBytes, overNetwork } from './page.js';

/** @typedef {{ version: number, content: string, topic: string, made: number, base: string | null, torrent: string,
 *   files: [string, number, string, string][] }} Manifest */
/** @typedef {{
 *   site: { content: string, topic: string, files: [string, number, string, string][] }, classes: string[], signaller: URL,
 *   upload: number | undefined, token: string | undefined, base: string, torrent: string, worker: string,
 *   exclude: string[], wholeMax: number, store: number | undefined, phone: boolean,
 *   give: { ratio: number, dayBytes: number }, live: { url: string, key: CryptoKey } | undefined,
 * }} Options */
/** @typedef {{ stop: () => void, stats: () => object }} Running */

// A file that nobody reads any more is not fetched on, but for a reader that is about to come back.
const KEEP_MS = 5000;
// While a page may ask, its service worker is kept awake: what sleeps forgets, and then answers nothing at first.
const AWAKE_MS = 20_000;

// What is stored is counted so often.
const COUNT_MS = 2000;
// Tabs of a site have one node, and it has this folder: what was kept at an earlier visit is there.
const SLOT = 0;

/** Takes part: as the tab that has the node of all tabs of this site, or behind it until it goes away.
 * @param {Options} options @returns {Promise<Running>} */
export async function run(options) {
  const member = new Member(options);
  try {
    await member.begun;
  } catch (error) {
    member.stop();
    throw error;
  }
  return member;
}

/** A tab among those of a site. One of them leads: it has the lock, and the node. The service worker asks it for what the others
 * need; when it goes away the lock falls to the next. */
class Member {
  #options;
  /** @type {Site | undefined} */
  #site;
  #ending = new AbortController();
  #page;
  #films;
  /** Settles when it is known what this tab is. @type {Promise<void>} */
  begun;

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.#page = new PageBytes(options);
    this.#films = options.classes.includes('media') ? new Films((url) => !url.includes('?') && this.#page.isOurs(url)) : undefined;
    const name = `swarmlet-site ${options.site.topic} ${options.live?.url ?? ''}`;
    const { signal } = this.#ending;
    this.begun = new Promise((resolve, reject) => {
      navigator.locks.request(name, { ifAvailable: true }, (lock) => lock && this.#lead(resolve)).then((ended) => {
        if (ended !== null) return;
        navigator.locks.request(name, { signal }, () => this.#lead(() => {})).catch(() => {});
        this.#follow().then(resolve, reject);
      }).catch(reject);
    });
  }

  stop() {
    this.#ending.abort();
    this.#films?.stop();
    this.#page.stop();
  }

  stats() {
    const page = this.#page.stats();
    return this.#site?.stats(page.bytes) ?? { role: 'follower', peers: 0, fromPeers: 0, fromHttp: 0, fromOrigin: page.bytes, sent: 0, stalls: page.stalls };
  }

  /** Leads until it is over. @param {() => void} begun */
  async #lead(begun) {
    const { signal } = this.#ending;
    const options = this.#options;
    const { signaller, upload, token } = options;
    const node = await join({ signaller: signalUrl(signaller), upload, token, slot: SLOT, overlay: false });
    try {
      const share = options.site.content ? await add(node, options) : undefined;
      const show = options.live && (await import('./show.js')).Show;
      signal.throwIfAborted();
      const site = new Site(node, options, share, this.#page, show && ((told) => new show(node, options, this.#page.paths, told)));
      this.#site = site;
      signal.addEventListener('abort', () => site.stop());
      await site.open();
      begun();
    } catch (error) {
      node.close();
      throw error;
    }
    if (!signal.aborted) await new Promise((over) => signal.addEventListener('abort', over));
  }

  /** Lets the service worker ask the tab that leads. */
  async #follow() {
    const { worker, base } = this.#options;
    const { signal } = this.#ending;
    const container = navigator.serviceWorker;
    const tell = () => {
      if (!this.#site) container.controller?.postMessage({ t: 'swarmlet', follow: signal.aborted ? null : base });
    };
    container.addEventListener('message', ({ data }) => {
      if (data?.t === 'swarmlet' && data.ask === 'table') tell();
    }, { signal });
    container.addEventListener('controllerchange', tell, { signal });
    container.startMessages();
    await container.register(worker, { updateViaCache: 'none' });
    await controlled(container);
    tell();
    signal.addEventListener('abort', tell);
  }
}

/** Has the service worker see what this page asks for, also where the page is older, or was loaded past it.
 * @param {ServiceWorkerContainer} container */
async function controlled(container) {
  const { active } = await container.ready;
  if (!container.controller) active?.postMessage({ t: 'swarmlet', claim: true });
}

/** @param {URL} signaller */
function signalUrl(signaller) {
  const url = new URL('/signal', signaller);
  url.protocol = url.protocol.replace('http', 'ws');
  return url;
}

/** The site as a share of which nothing is wanted yet. @param {import('../swarmlet.js').Node} node @param {Options} options */
async function add(node, { torrent, site, base }) {
  const bytes = await (await fetch(torrent, { cache: 'no-cache' })).arrayBuffer();
  const share = await node.add(bytes, { select: [], topic: site.topic });
  if (share.id !== site.content) throw new Error('The torrent is not the one of the manifest.');
  await share.ready;
  await node.add(`magnet:?xt=urn:btmh:1220${share.id}&ws=${encodeURIComponent(`${base}#`)}`, { select: [] });
  return share;
}

class Site {
  #node;
  #options;
  #share;
  /** By index in the manifest: the share's file. @type {(import('../swarmlet.js').ShareFile | undefined)[]} */
  #files;
  /** Readers of each file now. @type {Map<number, number>} */
  #readers = new Map();
  /** @type {Set<number>} */
  #selected = new Set();
  #listening = new AbortController();
  #served = { requests: 0, bytes: 0 };
  /** Bytes that the site's server sent to the node, and around a node that was stuck. */
  #origin = { node: 0, detour: 0 };
  #page;
  #cache;
  #governor;
  #giving = true;
  #counted = 0;
  #links = { up: 0, failed: 0 };
  /** Files of the manifest that the site's server does not give to everybody. */
  #private = 0;
  /** Files of which something was kept at an earlier visit. @type {Set<import('../swarmlet.js').ShareFile | undefined>} */
  #kept = new Set();
  /** As the service worker was told. */
  #wasAlone = true;

  /** @type {import('./show.js').Show | undefined} */
  #show;

  /** @param {any} node @param {Options} options @param {import('../swarmlet.js').Share | undefined} share
   * @param {PageBytes} page @param {((told: () => void) => import('./show.js').Show) | undefined} show */
  constructor(node, options, share, page, show) {
    this.#node = node;
    this.#options = options;
    this.#share = share;
    this.#page = page;
    this.#cache = new Cache(options.store, options.phone, (root) => this.#giveUp(root));
    this.#governor = new Governor(options.give);
    const byPath = new Map(share?.files.map((file) => [file.path, file]));
    this.#files = options.site.files.map(([path, size, root]) => {
      const file = byPath.get(path);
      return file?.size === size && file.root === root ? file : undefined;
    });
    this.#show = show?.(() => this.#post({ live: this.#show?.table() }));
  }

  /** Begins to answer. */
  async open() {
    const { worker } = this.#options;
    const { signal } = this.#listening;
    const page = this.#page;
    this.#node.events.addEventListener('link', (/** @type {CustomEvent} */ { detail }) => {
      if (detail.state !== 'down') this.#links[/** @type {'up' | 'failed'} */ (detail.state)] += 1;
    }, { signal });
    this.#node.events.addEventListener('progress', () => {
      if (this.#alone() !== this.#wasAlone) this.#tell(true);
      this.#count();
    }, { signal });
    this.#node.events.addEventListener('loaded', (/** @type {CustomEvent} */ { detail }) => {
      if (detail.closed) this.#close(this.#options.site.files.findIndex(([path]) => page.pathOf(detail.url) === path));
      else if (page.isOurs(detail.url)) this.#origin.node += overNetwork(detail.bytes);
    }, { signal });
    const container = navigator.serviceWorker;
    this.#node.watch();
    const done = this.#share?.stats().files ?? [];
    this.#kept = new Set(this.#files.filter((file) => file && (done[file.index] ?? 0) > 0));
    await this.#show?.start();
    container.addEventListener('message', (event) => this.#hear(event), { signal });
    container.addEventListener('controllerchange', () => this.#tell(true), { signal });
    container.startMessages();
    await container.register(worker, { updateViaCache: 'none' });
    await controlled(container);
    this.#tell(true);
    const awake = setInterval(() => this.#tell(document.visibilityState === 'visible' || isPlaying() ? true : undefined), AWAKE_MS);
    signal.addEventListener('abort', () => clearInterval(awake));
  }

  stop() {
    this.#tell(false);
    this.#show?.stop();
    this.#listening.abort();
    this.#node.close();
  }

  /** @param {number} page Bytes that the page loaded by itself. */
  stats(page) {
    const { totals, links, timings } = this.#node.stats();
    const { fromPeers, fromHttp, fromStore, sent, wasted, banned } = totals;
    const { node, detour } = this.#origin;
    return {
      role: 'leader', fromPeers, fromHttp, fromStore, fromOrigin: page + node + detour, sent, wasted, banned,
      peers: links.length, links: this.#links, giving: this.#giving,
      stalls: this.#page.stats().stalls, served: this.#served, private: this.#private, stored: this.#cache.stats(), timings, live: this.#show?.stats(),
    };
  }

  /** Counts what was given and what is stored; stops giving, and makes room. */
  #count() {
    const now = performance.now();
    if (now - this.#counted < COUNT_MS) return;
    this.#counted = now;
    const { sent, fromPeers, fromHttp, fromStore } = this.#node.stats().totals;
    const giving = this.#governor.judge(sent, fromPeers + fromHttp + fromStore);
    if (giving !== this.#giving) this.#node.limit(giving ? this.#options.upload : 0);
    this.#giving = giving;
    if (!this.#share) return;
    const done = this.#share.stats().files;
    /** @type {[string, number][]} */
    const held = [];
    const busy = new Set();
    for (const file of this.#files) {
      if (!file?.root) continue;
      held.push([file.root, done[file.index] ?? 0]);
      if (this.#readers.get(file.index) || (this.#selected.has(file.index) && !file.complete)) busy.add(file.root);
    }
    this.#cache.count(held, (root) => busy.has(root));
  }

  /** @param {string} root @param {number} [index] */
  #giveUp(root, index) {
    for (const file of this.#files) if (file?.root === root) this.#select(file.index, false);
    if (index !== undefined) this.#select(index, false);
    this.#node.drop(root);
  }

  /** Tells the service worker what it may answer for this page. @param {boolean | undefined} open */
  #tell(open) {
    if (open === undefined) return;
    const { base, classes, wholeMax, site, exclude } = this.#options;
    const left = (/** @type {string} */ path) => exclude.some((start) => start !== '' && path.startsWith(start));
    const files = site.files.map(([path, size, , type], at) => {
      const file = this.#files[at];
      return file && !left(path) ? [path, size, type, file.complete || this.#kept.has(file)] : ['', 0, ''];
    });
    this.#wasAlone = this.#alone();
    this.#post({ open: open ? { base, files, live: this.#show?.table(), classes, wholeMax, alone: this.#wasAlone } : null });
  }

  /** Nobody is linked with us, and the signaller knows of nobody who could be. */
  #alone() {
    const { swarmSeeds = 0, swarmLeeches = 0 } = this.#share?.stats() ?? {};
    return this.#node.stats().links.length === 0 && swarmSeeds + swarmLeeches <= 1;
  }

  /** The site's server says that a file is not for everybody, whatever the manifest says. @param {number} index */
  #close(index) {
    const file = this.#files[index];
    if (!file?.root) return;
    this.#files[index] = undefined;
    this.#private += 1;
    this.#tell(true);
    this.#giveUp(file.root, file.index);
  }

  /** @param {object} message */
  #post(message) {
    navigator.serviceWorker.controller?.postMessage({ t: 'swarmlet', ...message });
  }

  /** @param {MessageEvent} event */
  #hear({ data, ports }) {
    if (data?.t !== 'swarmlet') return;
    if (data.ask === 'table') this.#tell(true);
    else if (data.ask === 'count') this.#origin.detour += data.bytes;
    else if (data.ask === 'read') this.#read(data, ports[0]);
  }

  /** @param {any} asked @param {MessagePort} port */
  #read({ index, start, end, media, copy, rules }, port) {
    // The service worker took it from the network, and gives it to the node.
    if (copy) this.#origin.detour += end - start;
    if (typeof index === 'string' && this.#show) return void this.#show.read(index, start, end, port, this.#answered);
    const [file, share] = [this.#files[index], this.#share];
    if (!file || !share || this.#node.closed) return port.postMessage('no');
    this.#readers.set(file.index, (this.#readers.get(file.index) ?? 0) + 1);
    this.#select(file.index, true);
    if (file.root) this.#cache.use(file.root);
    this.#node.serve(port, { root: file.root, share: share.id, start, end, media, copy, rules }, (/** @type {number} */ bytes) => {
      this.#answered(bytes);
      const left = (this.#readers.get(file.index) ?? 1) - 1;
      this.#readers.set(file.index, left);
      // Without peers everything else would be fetched from the owner's server, needed or not.
      const alone = share.stats().peers === 0;
      if (left === 0) setTimeout(() => this.#leave(file), alone && media ? 0 : KEEP_MS);
    });
  }

  /** One request was answered. @param {number} bytes */
  #answered = (bytes) => {
    this.#served.requests += 1;
    this.#served.bytes += bytes;
  };

  /** @param {import('../swarmlet.js').ShareFile} file */
  #leave(file) {
    if (!this.#readers.get(file.index) && !file.complete) this.#select(file.index, false);
  }

  /** @param {number} index @param {boolean} wanted */
  #select(index, wanted) {
    if (this.#selected.has(index) === wanted || this.#node.closed) return;
    if (wanted) this.#selected.add(index);
    else this.#selected.delete(index);
    this.#share?.select([...this.#selected]).catch(() => {});
  }
}
