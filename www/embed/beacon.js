// @ts-check
// Tells the site's signaller how it went, in sums and without a name: bytes by source, stalls, links. Only where the owner asks for it.

import { PageBytes } from './page.js';

const EVERY_MS = 60_000;

/** @typedef {{ fromPeers?: number, fromOrigin?: number, fromStore?: number, sent?: number, stalls?: { count: number, ms: number },
 *   links?: { up: number, failed: number } }} Stats */
/** @typedef {Record<'from_peers' | 'from_origin' | 'from_store' | 'sent' | 'stalls' | 'stall_ms' | 'links' | 'links_failed', number>} Sums */

/** The numbers of a report. @param {Stats} stats @returns {Sums} */
export function sums({ fromPeers = 0, fromOrigin = 0, fromStore = 0, sent = 0, stalls, links }) {
  return {
    from_peers: fromPeers, from_origin: fromOrigin, from_store: fromStore, sent,
    stalls: stalls?.count ?? 0, stall_ms: stalls?.ms ?? 0, links: links?.up ?? 0, links_failed: links?.failed ?? 0,
  };
}

/** What was added; a node that began anew counts from zero. @param {Sums} now @param {Sums} before @returns {Sums} */
export function since(now, before) {
  const keys = /** @type {(keyof Sums)[]} */ (Object.keys(now));
  return /** @type {Sums} */ (Object.fromEntries(keys.map((key) => [key, now[key] >= before[key] ? now[key] - before[key] : now[key]])));
}

export class Beacon {
  #url;
  #group;
  #stats;
  #page;
  #told = sums({});
  #first = true;

  /**
   * @param {{ signaller: URL, base: string, site: { files: [string, number, string, string][] }, group: () => string,
   *   stats: () => Stats | undefined }} options `stats`: of the node, where there is one.
   */
  constructor({ signaller, base, site, group, stats }) {
    this.#url = new URL('/swarmlet/beacon', signaller);
    this.#group = group;
    this.#stats = stats;
    this.#page = new PageBytes({ base, site });
    setInterval(() => this.tell(), EVERY_MS);
    this.tell();
  }

  /** Sends what was added since the last time. */
  tell() {
    const page = this.#page.stats();
    const now = sums(this.#stats() ?? { fromOrigin: page.bytes, stalls: page.stalls });
    const added = since(now, this.#told);
    if (!this.#first && Object.values(added).every((value) => value === 0)) return;
    const { loadEventEnd = 0 } = /** @type {PerformanceNavigationTiming} */ (performance.getEntriesByType('navigation')[0] ?? {});
    const visit = this.#first ? { visits: 1, load_ms: Math.round(loadEventEnd) } : {};
    if (!navigator.sendBeacon(this.#url, JSON.stringify({ group: this.#group(), ...visit, ...added }))) return;
    this.#told = now;
    this.#first = false;
  }
}
