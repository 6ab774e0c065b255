// @ts-check
// Bytes of files for a service worker, through a port of its own: the page's thread never touches them.

import { give, watchAnswers } from './answers.js';

// The node's READ_BYTES_MAX, and a first read that is small, so that something comes soon.
const READ_BYTES = 1024 * 1024;
const FIRST_BYTES = 64 * 1024;
// Reads under way for one reader. Alone with an HTTP server: as much as one connection carries.
const AHEAD = 4;
const AHEAD_ALONE = 2;
// Up to 2 s ahead the node asks an HTTP server for what no peer was asked for; later needs leave peers the time to send,
// and visitors who are at the same place of a large file the time to share what each of them fetches.
const SOON_MS = 1900;
const LARGE_MS = 4000;
const NEXT_MS = 1500;
const LARGE_BYTES = 8 * 1024 * 1024;
// The numbers of our reads: the page's begin with 1.
const FIRST_READ = 0x8000_0000;

/** @typedef {{ call: (id: number, method: string, args: unknown[]) => any, run: () => void }} Engine */
// Up to so far ahead of its need the node asks an HTTP server for what no peer was asked for (the core's HEDGE).
const HEDGE_MS = 2000;

/** `wait`: how long somebody else may take to get it first, in milliseconds, where that was agreed on. `copy`: bytes of this
 * address come through the port, to be kept if the headers in `rules` allow it.
 * @typedef {{ root: string, share: string, start: number, end: number, media: boolean, wait?: number,
 *   copy?: string, rules?: (string | null)[] }} What */

/**
 * How soon a read is needed, in milliseconds: the one after `ahead` others.
 * @param {{ start: number, end: number, media: boolean, wait?: number }} what @param {number} ahead @param {number} peers
 */
export function needed({ start, end, media, wait }, ahead, peers) {
  if (peers === 0) return 0;
  if (wait !== undefined) return wait === 0 ? 0 : HEDGE_MS + wait;
  return (media || end - start < LARGE_BYTES ? SOON_MS : LARGE_MS) + ahead * NEXT_MS;
}

export class Servings {
  #engine;
  #tell;
  /** By the number of a read: who waits for it. @type {Map<number, Serving>} */
  #reads = new Map();
  /** Who is served now. @type {Set<Serving>} */
  #all = new Set();
  /** Links of each share. @type {Map<string, number>} */
  #peers = new Map();
  #next = FIRST_READ;

  /** @param {() => Engine | null} engine @param {(message: object) => void} tell To the page. */
  constructor(engine, tell) {
    this.#engine = engine;
    this.#tell = tell;
  }

  /** Tells the page what came over the network, as the browser counts it: a range may come from its cache. */
  watch() {
    new PerformanceObserver((list) => {
      for (const entry of /** @type {PerformanceResourceTiming[]} */ (list.getEntries())) {
        this.#tell({ t: 'loaded', url: entry.name, bytes: entry.transferSize });
      }
    }).observe({ type: 'resource' });
    watchAnswers((rules) => this.#isPrivate(rules), (url) => this.#tell({ t: 'loaded', url, closed: true }));
  }

  /** @param {(string | null)[]} rules */
  #isPrivate(rules) {
    return this.#engine()?.call(0, 'private', rules) ?? true;
  }

  /** Notes how many peers there are. @param {any} snapshot */
  note({ shares }) {
    for (const { id, peers } of shares) this.#peers.set(id, peers);
  }

  /** Whether an answer of the node's was for one of ours. @param {any} reply */
  take({ id, value }) {
    const serving = this.#reads.get(id);
    if (serving) {
      this.#reads.delete(id);
      serving.came(id, value);
    }
    return serving !== undefined;
  }

  /** @param {{ port: MessagePort, what: What, id: number }} message */
  begin({ port, what, id }) {
    const { copy, rules = [], ...rest } = what;
    if (copy) {
      const closed = this.#isPrivate(rules);
      if (closed) this.#tell({ t: 'loaded', url: copy, closed });
      port.onmessage = ({ data }) => {
        port.close();
        if (!closed) give(copy, what.start, data);
        if (!closed) this.begin({ port: drain(what.end - what.start), what: rest, id });
        else this.#tell({ t: 'served', id, bytes: 0 });
      };
      return;
    }
    const over = (/** @type {Serving} */ serving, /** @type {number} */ bytes) => {
      this.#all.delete(serving);
      this.#tell({ t: 'served', id, bytes });
    };
    const peers = () => this.#peers.get(what.share) ?? 0;
    const read = (/** @type {Serving} */ serving, /** @type {[number, number, number]} */ [start, length, within]) => {
      const number = this.#next;
      this.#next = this.#next === 0xffff_ffff ? FIRST_READ : this.#next + 1;
      this.#reads.set(number, serving);
      this.#engine()?.call(number, 'read', [what.root, start, length, within]);
      return number;
    };
    const cancel = (/** @type {number[]} */ numbers) => {
      for (const number of numbers) {
        this.#reads.delete(number);
        this.#engine()?.call(0, 'cancelRead', [number]);
      }
    };
    this.#all.add(new Serving(port, what, { read, cancel, peers, run: () => this.#engine()?.run(), over }));
  }

  /** A file is given up: who waits for it asks elsewhere. @param {string} root */
  drop(root) {
    for (const serving of this.#all) if (serving.root === root) serving.fail();
  }
}

/** A reader of so many bytes who does nothing with them: the node reads what it was given, proves it and keeps it.
 * @param {number} length */
function drain(length) {
  const { port1, port2 } = new MessageChannel();
  let left = length;
  port1.onmessage = ({ data }) => {
    left -= data.bytes?.byteLength ?? 0;
    port1.postMessage(left > 0 ? 'more' : 'stop');
  };
  return port2;
}

class Serving {
  #port;
  #what;
  #node;
  /** Asked for, in order; bytes once they came. @type {{ number: number, bytes?: ArrayBuffer }[]} */
  #reads = [];
  #at;
  #wanted = 0;
  #given = 0;
  #over = false;

  /**
   * @param {MessagePort} port @param {What} what
   * @param {{ read: (serving: Serving, read: [number, number, number]) => number, cancel: (numbers: number[]) => void,
   *   peers: () => number, run: () => void, over: (serving: Serving, bytes: number) => void }} node
   */
  constructor(port, what, node) {
    this.#port = port;
    this.#what = what;
    this.#node = node;
    this.#at = what.start;
    port.onmessage = ({ data }) => {
      if (data === 'stop') return this.#end();
      this.#wanted += 1;
      this.#give();
    };
    port.postMessage('yes');
    this.#ask();
  }

  /** @param {number} number @param {ArrayBuffer | undefined} bytes */
  came(number, bytes) {
    if (this.#over) return;
    if (!bytes) return this.fail();
    const read = this.#reads.find((one) => one.number === number);
    if (read) read.bytes = bytes;
    this.#give();
  }

  get root() {
    return this.#what.root;
  }

  fail() {
    this.#port.postMessage({ failed: true });
    this.#end();
  }

  #give() {
    while (this.#wanted > 0 && this.#reads[0]?.bytes) {
      const bytes = /** @type {ArrayBuffer} */ (this.#reads.shift()?.bytes);
      this.#wanted -= 1;
      this.#given += bytes.byteLength;
      this.#port.postMessage({ bytes }, [bytes]);
    }
    this.#ask();
  }

  #ask() {
    const { end } = this.#what;
    const peers = this.#node.peers();
    let asked = false;
    while (!this.#over && this.#at < end && this.#reads.length < (peers > 0 ? AHEAD : AHEAD_ALONE)) {
      const first = this.#given === 0 && this.#reads.length === 0;
      const most = first ? FIRST_BYTES : READ_BYTES;
      const length = Math.min(most - (this.#at % most), end - this.#at);
      const within = first && !this.#what.wait ? 0 : needed(this.#what, this.#reads.length, peers);
      this.#reads.push({ number: this.#node.read(this, [this.#at, length, within]) });
      this.#at += length;
      asked = true;
    }
    if (asked) this.#node.run();
  }

  #end() {
    if (this.#over) return;
    this.#over = true;
    this.#node.cancel(this.#reads.filter(({ bytes }) => !bytes).map(({ number }) => number));
    this.#node.run();
    this.#port.close();
    this.#node.over(this, this.#given);
  }
}
