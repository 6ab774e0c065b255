// @ts-check
// What runs once the gate is open: a node that has the site as a share, and answers for the service worker.

import { join } from '../swarmlet.js';
import { Stalls } from './stalls.js';

/** @typedef {{
 *   site: { content: string, topic: string, files: [string, number, string, string][] }, classes: string[], signaller: URL,
 *   upload: number | undefined, token: string | undefined, base: string, torrent: string, worker: string,
 *   exclude: string[], wholeMax: number, live: { url: string, key: CryptoKey } | undefined,
 * }} Options */
/** @typedef {{ stop: () => void, stats: () => object }} Running */

// A file that nobody reads any more is not fetched on, but for a reader that is about to come back.
const KEEP_MS = 5000;
// While a page may ask, its service worker is kept awake: what sleeps forgets, and then answers nothing at first.
const AWAKE_MS = 20_000;

/** @param {Options} options @returns {Promise<Running>} */
export async function run(options) {
  const node = await join({ signaller: signalUrl(options.signaller), upload: options.upload, token: options.token, overlay: false });
  try {
    const share = options.site.content ? await add(node, options) : undefined;
    const show = options.live && (await import('./show.js')).Show;
    const site = new Site(node, options, share, show && ((told) => new show(node, options, told)));
    await site.open();
    return site;
  } catch (error) {
    node.close();
    throw error;
  }
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
  #stalls = new Stalls(this.#listening.signal);
  #served = { requests: 0, bytes: 0 };
  /** Bytes that the site's server sent: to the page, to the node, and around a node that was stuck. */
  #origin = { page: 0, node: 0, detour: 0 };
  #observer;
  #paths;

  /** @type {import('./show.js').Show | undefined} */
  #show;

  /** @param {any} node @param {Options} options @param {import('../swarmlet.js').Share | undefined} share
   * @param {((told: () => void) => import('./show.js').Show) | undefined} show */
  constructor(node, options, share, show) {
    this.#node = node;
    this.#options = options;
    this.#share = share;
    this.#paths = new Set(options.site.files.map(([path]) => path));
    const byPath = new Map(share?.files.map((file) => [file.path, file]));
    this.#files = options.site.files.map(([path, size, root]) => {
      const file = byPath.get(path);
      return file?.size === size && file.root === root ? file : undefined;
    });
    this.#observer = new PerformanceObserver((list) => this.#see(list.getEntries()));
    this.#show = show?.(() => this.#post({ live: this.#show?.table() }));
  }

  /** Begins to answer. */
  async open() {
    const { worker } = this.#options;
    const { signal } = this.#listening;
    this.#node.events.addEventListener('loaded', (/** @type {CustomEvent} */ { detail }) => {
      if (this.#isOurs(detail.url)) this.#origin.node += overNetwork(detail.bytes);
    }, { signal });
    const container = navigator.serviceWorker;
    this.#node.watch();
    await this.#show?.start();
    this.#observer.observe({ type: 'resource', buffered: true });
    container.addEventListener('message', (event) => this.#hear(event), { signal });
    container.addEventListener('controllerchange', () => this.#tell(true), { signal });
    container.startMessages();
    await container.register(worker, { updateViaCache: 'none' });
    await container.ready;
    this.#tell(true);
    const awake = setInterval(() => this.#tell(document.visibilityState === 'visible' ? true : undefined), AWAKE_MS);
    signal.addEventListener('abort', () => clearInterval(awake));
  }

  stop() {
    this.#tell(false);
    this.#show?.stop();
    this.#observer.disconnect();
    this.#listening.abort();
    this.#node.close();
  }

  stats() {
    const { totals, links, timings } = this.#node.stats();
    const { fromPeers, fromHttp, sent, wasted } = totals;
    const { page, node, detour } = this.#origin;
    return { fromPeers, fromHttp, fromOrigin: page + node + detour, sent, wasted, peers: links.length, stalls: this.#stalls.stats(), served: this.#served, timings, live: this.#show?.stats() };
  }

  /** Tells the service worker what it may answer for this page. @param {boolean | undefined} open */
  #tell(open) {
    if (open === undefined) return;
    const { base, classes, wholeMax, site, exclude } = this.#options;
    const left = (/** @type {string} */ path) => exclude.some((start) => start !== '' && path.startsWith(start));
    const files = site.files.map(([path, size, , type], index) => (this.#files[index] && !left(path) ? [path, size, type] : ['', 0, '']));
    this.#post({ open: open ? { base, files, live: this.#show?.table(), classes, wholeMax } : null });
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
  #read({ index, start, end, media }, port) {
    if (typeof index === 'string' && this.#show) return void this.#show.read(index, start, end, port, this.#count);
    const [file, share] = [this.#files[index], this.#share];
    if (!file || !share || this.#node.closed) return port.postMessage('no');
    this.#readers.set(file.index, (this.#readers.get(file.index) ?? 0) + 1);
    this.#select(file.index, true);
    this.#node.serve(port, { root: file.root, share: share.id, start, end, media }, (/** @type {number} */ bytes) => {
      this.#count(bytes);
      const left = (this.#readers.get(file.index) ?? 1) - 1;
      this.#readers.set(file.index, left);
      // Without peers everything else would be fetched from the owner's server, needed or not.
      const alone = share.stats().peers === 0;
      if (left === 0) setTimeout(() => this.#leave(file), alone && media ? 0 : KEEP_MS);
    });
  }

  /** One request was answered. @param {number} bytes */
  #count = (bytes) => {
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

  /** What the browser loaded of the site without us; what a service worker answered has no size on the wire.
   * @param {PerformanceEntryList} entries */
  #see(entries) {
    for (const entry of /** @type {PerformanceResourceTiming[]} */ (entries)) {
      if (this.#isOurs(entry.name)) this.#origin.page += overNetwork(entry.transferSize);
    }
  }

  /** Whether visitors may share what is there. @param {string} url */
  #isOurs(url) {
    const { base } = this.#options;
    if (!url.startsWith(base)) return false;
    const path = decodeURIComponent(url.slice(base.length).split(/[?#]/)[0]);
    return this.#paths.has(path) || Boolean(this.#show?.has(path));
  }
}

/** Bytes of a body: browsers add a fixed amount for the header (Resource Timing §4.3). @param {number} transferred */
function overNetwork(transferred) {
  return Math.max(0, transferred - 300);
}
