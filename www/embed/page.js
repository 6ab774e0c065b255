// @ts-check
// What this tab's browser loaded of the site without us, and how its films went.

import { Stalls } from './stalls.js';

export class PageBytes {
  #bytes = 0;
  #base;
  /** Paths that visitors may share. @type {Set<string>} */
  paths;
  #observer;
  #ending = new AbortController();
  #stalls = new Stalls(this.#ending.signal);

  /** @param {{ base: string, site: { files: [string, number, string, string][] } }} options */
  constructor({ base, site }) {
    this.#base = base;
    this.paths = new Set(site.files.map(([path]) => path));
    this.#observer = new PerformanceObserver((list) => {
      // What a service worker answered has no size on the wire.
      for (const entry of /** @type {PerformanceResourceTiming[]} */ (list.getEntries())) {
        if (this.isOurs(entry.name)) this.#bytes += overNetwork(entry.transferSize);
      }
    });
    this.#observer.observe({ type: 'resource', buffered: true });
  }

  stop() {
    this.#observer.disconnect();
    this.#ending.abort();
  }

  stats() {
    return { bytes: this.#bytes, stalls: this.#stalls.stats() };
  }

  /** Whether visitors may share what is there. @param {string} url */
  isOurs(url) {
    return this.paths.has(this.pathOf(url) ?? '');
  }

  /** The path in the site, where it is one of it. @param {string} url */
  pathOf(url) {
    return url.startsWith(this.#base) ? decodeURIComponent(url.slice(this.#base.length).split(/[?#]/)[0]) : undefined;
  }
}

/** Bytes of a body: browsers add a fixed amount for the header (Resource Timing §4.3). @param {number} transferred */
export function overNetwork(transferred) {
  return Math.max(0, transferred - 300);
}
