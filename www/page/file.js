// @ts-check
// One file of a share: reading it, verified, from the worker.

import { SwarmletError, aborted } from './error.js';
import { typeOf } from './input.js';

// Bytes of one read: the node's READ_BYTES_MAX.
const READ_BYTES = 1024 * 1024;
// Parts of a blob: after each the browser may move it from memory to disk.
const PART_BYTES = 16 * 1024 * 1024;
// Object URLs of downloads: the browser reads them after the click.
const REVOKE_AFTER_MS = 60_000;

export class ShareFile {
  #share;
  /** The visitor's own file, where this node seeds it. @type {Blob | undefined} */
  #own;

  /**
   * @param {import('./share.js').Share} share
   * @param {number} index
   * @param {{ path: string[], size: number, root: string | null }} entry
   * @param {Blob | undefined} own
   */
  constructor(share, index, entry, own) {
    this.#share = share;
    this.#own = own;
    this.index = index;
    this.name = entry.path[entry.path.length - 1] ?? share.name;
    this.path = entry.path.join('/');
    this.size = entry.size;
    this.root = entry.root;
    this.type = typeOf(this.name);
  }

  get done() {
    return this.#own ? this.size : this.#share.doneOf(this.index);
  }

  get progress() {
    return this.size === 0 ? 1 : this.done / this.size;
  }

  get complete() {
    return this.done >= this.size;
  }

  get wanted() {
    return this.#share.wants(this.index);
  }

  /**
   * @param {{ start?: number, end?: number, signal?: AbortSignal }} [range]
   * @returns {ReadableStream<Uint8Array>}
   */
  stream({ start = 0, end = this.size, signal } = {}) {
    let at = Math.max(0, Math.floor(start));
    const stop = Math.min(this.size, Math.floor(end));
    if (!(at <= stop)) throw new SwarmletError('bad-argument', 'This range lies outside of the file.');
    const reads = new AbortController();
    /** The next read is under way while the last one is consumed. @type {Promise<Uint8Array> | null} */
    let next = null;
    const ahead = () => {
      if (at >= stop) return null;
      const length = Math.min(READ_BYTES - (at % READ_BYTES), stop - at);
      const read = this.#read(at, length, reads.signal);
      at += length;
      read.catch(() => {});
      return read;
    };
    return new ReadableStream({
      start: (controller) => {
        if (signal?.aborted) throw aborted(signal);
        signal?.addEventListener('abort', () => {
          reads.abort(signal.reason);
          controller.error(aborted(signal));
        }, { once: true, signal: reads.signal });
      },
      pull: async (controller) => {
        const read = next ?? ahead();
        next = ahead();
        if (read) controller.enqueue(await read);
        if (next === null) {
          controller.close();
          reads.abort();
        }
      },
      cancel: (reason) => reads.abort(reason),
    }, { highWaterMark: 0 });
  }

  /** @param {{ signal?: AbortSignal }} [options] */
  async blob({ signal } = {}) {
    if (this.#own) return this.#own.slice(0, this.size, this.type);
    const type = this.type;
    /** @type {Blob[]} */
    const parts = [];
    for (let start = 0; start < this.size; start += PART_BYTES) {
      const end = Math.min(this.size, start + PART_BYTES);
      parts.push(await new Response(this.stream({ start, end, signal })).blob());
    }
    return new Blob(parts, { type });
  }

  /** @param {{ signal?: AbortSignal }} [options] */
  async url(options) {
    return URL.createObjectURL(await this.blob(options));
  }

  /** @param {{ signal?: AbortSignal }} [options] */
  async save(options = {}) {
    const picker = /** @type {any} */ (globalThis).showSaveFilePicker;
    if (picker && navigator.userActivation?.isActive) {
      const handle = await pick(picker, this.name);
      if (handle) {
        const writable = await handle.createWritable();
        await this.stream(options).pipeTo(writable, { signal: options.signal });
        return;
      }
    }
    const url = await this.url(options);
    const anchor = document.createElement('a');
    anchor.href = url;
    anchor.download = this.name;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), REVOKE_AFTER_MS);
  }

  /**
   * @param {number} start
   * @param {number} length
   * @param {AbortSignal} signal
   */
  async #read(start, length, signal) {
    if (this.#own) return new Uint8Array(await this.#own.slice(start, start + length).arrayBuffer());
    const buffer = await this.#share.call('read', [this.root, start, length], { signal, cancel: 'cancelRead' });
    return new Uint8Array(buffer);
  }
}

/**
 * Asks the visitor where to save. `null`: the browser does not let us ask.
 * @param {any} picker
 * @param {string} suggestedName
 */
async function pick(picker, suggestedName) {
  try {
    return await picker.call(globalThis, { suggestedName });
  } catch (error) {
    if (/** @type {any} */ (error)?.name === 'AbortError') throw new SwarmletError('aborted');
    return null;
  }
}
