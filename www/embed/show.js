// @ts-check
// Segments of a live stream as shares: each is one file that meets its viewers in the swarm of the site.

import { Live, rank, torrentOf } from './live.js';

/** @typedef {{ root: string, size: number, type: string, fresh: boolean,
 *   share: Promise<import('../swarmlet.js').Share>, added?: import('../swarmlet.js').Share }} Segment */

// Who is first for a segment fetches it from the site's server at once. Who is second gets the chance to have it from there for so
// long, everybody else for twice as long; then they help themselves. A part of a segment's time, since players are three behind.
const WAIT_PART = 0.5;
const WAIT_MAX_MS = 2000;
// A bulletin is good for so many segments, as its publisher says.
const HOLD_SEGMENTS = 3;

export class Show {
  #node;
  #told;
  #live;
  #base;
  #upload;
  /** By path from the site's base. @type {Map<string, Segment>} */
  #segments = new Map();
  /** @type {[string, string, string][]} */
  #texts = [];
  #until = 0;
  #hold = 0;
  #topic;
  /** Segments that are gone, by where most of each came from. */
  #gone = { peers: 0, site: 0, none: 0 };
  #begun = false;
  #listening = new AbortController();
  /** Paths whose bytes are counted. */
  #paths;

  /** @param {any} node @param {import('./run.js').Options} options @param {Set<string>} paths whose bytes are counted
   * @param {() => void} told The table has changed. */
  constructor(node, options, paths, told) {
    const { live, base, site, signaller, upload } = options;
    if (!live) throw new Error('There is no live stream.');
    this.#node = node;
    this.#told = told;
    this.#paths = paths;
    this.#base = base;
    this.#topic = site.topic;
    this.#upload = upload;
    this.#live = new Live({
      url: live.url, key: live.key, signaller,
      tell: (topic, bytes) => node.tell(topic, bytes),
      listed: (list) => this.#take(list, live.url),
    });
    node.events.addEventListener('news', (/** @type {CustomEvent} */ { detail }) => {
      if (detail.topic === this.#topic) this.#live.take(new TextDecoder().decode(detail.news), 'peer');
    }, { signal: this.#listening.signal });
  }

  start() {
    return this.#live.start();
  }

  stop() {
    this.#listening.abort();
    this.#live.stop();
  }

  /** What a service worker may answer. */
  table() {
    const files = Array.from(this.#segments, ([path, { size, type }]) => [path, size, type]);
    return { files, texts: this.#texts, until: this.#until };
  }

  stats() {
    const segments = { ...this.#gone };
    for (const { added } of this.#segments.values()) segments[source(added)] += 1;
    return { ...this.#live.stats(), segments };
  }

  /** Answers a service worker. @param {string} path @param {number} start @param {number} end @param {MessagePort} port
   * @param {(bytes: number) => void} over */
  async read(path, start, end, port, over) {
    const segment = this.#segments.get(path);
    const share = await segment?.share.catch(() => undefined);
    if (!segment || !share || this.#node.closed) return port.postMessage('no');
    share.select([0]).catch(() => {});
    const wait = this.#wait(segment);
    this.#node.serve(port, { root: segment.root, share: share.id, start, end, media: true, wait }, over);
  }

  /** A new bulletin. @param {import('./live.js').List} list @param {string} from where it is from */
  #take(list, from) {
    const folder = list.base ?? new URL('.', from).href;
    if (!folder.startsWith(this.#base)) return;
    const inside = decodeURIComponent(folder.slice(this.#base.length));
    const now = new Map(list.files.map((file) => [inside + file[0], file]));
    for (const [path, segment] of this.#segments) {
      if (now.get(path)?.[2] !== segment.root) this.#drop(path, segment);
    }
    for (const [path, file] of now) {
      if (!this.#segments.has(path)) this.#add(path, file, new URL(file[0].split('/').map(encodeURIComponent).join('/'), folder).href);
    }
    this.#texts = list.texts.map(([path, text, type]) => [inside + path, text, type]);
    this.#hold = list.hold;
    this.#until = Date.now() + list.hold;
    this.#begun = true;
    this.#told();
  }

  /** @param {string} path @param {import('./live.js').File} file @param {string} url */
  #add(path, file, url) {
    const [, size, root, type] = file;
    this.#paths.add(path);
    const add = async () => {
      const share = await this.#node.add(await torrentOf(file, url), { select: [], topic: this.#topic });
      return share.ready;
    };
    /** @type {Segment} */
    const segment = { root, size, type, fresh: this.#begun, share: add() };
    this.#segments.set(path, segment);
    segment.share.then((share) => {
      segment.added = share;
      if (this.#wait(segment) === 0 && this.#node.stats().links.length > 0) this.#fetch(segment, share);
    }).catch(() => {});
  }

  /** @param {string} path @param {Segment} segment */
  #drop(path, segment) {
    this.#segments.delete(path);
    segment.share.then((share) => {
      this.#gone[source(share)] += 1;
      return share.remove();
    }).catch(() => {});
  }

  /** Fetches a segment for everybody. @param {Segment} segment @param {import('../swarmlet.js').Share} share */
  #fetch({ root, size }, share) {
    share.select([0]).catch(() => {});
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => {
      if (data === 'yes' || data.bytes) port1.postMessage('more');
    };
    this.#node.serve(port2, { root, share: share.id, start: 0, end: size, media: true, wait: 0 }, () => port1.close());
  }

  /** For how long others get to have a segment first, in milliseconds. What was there before us they have: that is read like any
   * other file. @param {Segment} segment */
  #wait({ root, fresh }) {
    if (!fresh) return undefined;
    const { links } = this.#node.stats();
    const peers = links.map((/** @type {{ peer: string }} */ { peer }) => peer);
    // Who gives nothing is never first; the others do not know, so the second may have to be.
    const before = this.#upload === 0 && peers.length > 0 ? 2 : Math.min(2, rank(root, this.#node.peerId, peers));
    return Math.min(WAIT_MAX_MS, this.#hold / HOLD_SEGMENTS * WAIT_PART) * before;
  }
}

/** Where most of a segment came from. @param {import('../swarmlet.js').Share | undefined} share @returns {'peers' | 'site' | 'none'} */
function source(share) {
  const { fromPeers = 0, fromHttp = 0 } = share?.stats() ?? {};
  if (fromPeers + fromHttp === 0) return 'none';
  return fromPeers > fromHttp ? 'peers' : 'site';
}
