// @ts-check
// One share as the page sees it: the latest numbers, promises for its milestones, orders to the worker.

import { codeText } from './code.js';
import { SwarmletError, aborted, deferred } from './error.js';
import { ShareFile } from './file.js';

/** @typedef {import('../swarmlet.js').Progress} Progress */
/** @typedef {(method: string, args: unknown[], options?: { signal?: AbortSignal, cancel?: string }) => Promise<any>} Call */

export class Share {
  /** @type {Call} */
  call;
  #ready = /** @type {ReturnType<typeof deferred<Share>>} */ (deferred());
  #done = /** @type {ReturnType<typeof deferred<Share>>} */ (deferred());
  /** Who waits for the next numbers. @type {Set<() => void>} */
  #waiting = new Set();
  /** @type {any} */
  #view;
  /** @type {ShareFile[]} */
  #files = [];
  /** @type {Blob[] | null} */
  #own;
  #name;
  #start = performance.now();
  #over = false;
  #complete = false;
  #listed = false;
  /** @type {{ ready?: number, linked?: number, firstLeaf?: number, done?: number }} */
  timings = {};

  /**
   * @param {Call} call
   * @param {{ id: string, name: string, magnet: string, order: number[] }} told
   * @param {{ own?: Blob[], removed: (share: Share) => void }} options `own`: the files that this node seeds.
   */
  constructor(call, told, { own, removed }) {
    this.call = call;
    this.id = told.id;
    this.magnet = told.magnet;
    this.#name = told.name;
    this.#own = own ? told.order.map((given) => own[given]) : null;
    this.#view = { id: told.id, state: own ? 'seeding' : 'finding', ...NOTHING };
    this.removed = removed;
  }

  get name() {
    return this.#name;
  }

  get state() {
    return this.#view.state;
  }

  get seeded() {
    return this.#own !== null;
  }

  get files() {
    return this.#files;
  }

  get size() {
    return this.#files.reduce((sum, file) => sum + file.size, 0);
  }

  get link() {
    const page = globalThis.location?.href.split('#')[0] ?? '';
    return `${page}#${this.magnet}`;
  }

  get ready() {
    return this.#ready.promise;
  }

  get done() {
    return this.#done.promise;
  }

  /** @returns {AsyncIterable<Progress>} */
  get progress() {
    return { [Symbol.asyncIterator]: () => this.#follow() };
  }

  /** @returns {Progress} */
  stats() {
    const { wantedFiles: _, ...view } = this.#view;
    const missing = view.wanted - view.done;
    return {
      ...view,
      name: this.name,
      fraction: view.wanted > 0 ? view.done / view.wanted : this.#complete ? 1 : 0,
      secondsLeft: missing === 0 ? 0 : view.downRate > 0 ? missing / view.downRate : Infinity,
    };
  }

  /** @param {number} index */
  wants(index) {
    return (this.#view.wantedFiles?.[index] ?? 1) !== 0;
  }

  /** @param {number} index */
  doneOf(index) {
    return this.#view.files[index] ?? 0;
  }

  async torrent() {
    const known = await this.call('torrent', [this.id]);
    if (known) return known;
    await this.ready;
    const bytes = await this.call('torrent', [this.id]);
    if (!bytes) throw new SwarmletError('unknown');
    return bytes;
  }

  async offer() {
    const code = codeText(await this.call('invite', [this.id]));
    return { code, link: `${this.link}&x.offer=${code}` };
  }

  get listed() {
    return this.#listed;
  }

  /** @param {{ title?: string }} [options] */
  async publish({ title } = {}) {
    await this.ready;
    await this.call('publish', [this.id, this.size, kindOf(this.#files), title ?? this.name]);
    this.#listed = true;
  }

  async unpublish() {
    if (this.#listed) await this.call('unpublish', [this.id]);
    this.#listed = false;
  }

  /** @param {number[]} [files] */
  async select(files) {
    if (this.#complete) this.#again();
    await this.call('select', [this.id, files]);
  }

  async pause() {
    await this.call('pause', [this.id]);
  }

  async resume() {
    if (this.#view.state === 'failed') this.#again();
    await this.call('resume', [this.id]);
  }

  /** @param {{ keep?: boolean }} [options] */
  async remove({ keep = false } = {}) {
    if (this.#over) return;
    if (this.#listed) this.unpublish().catch(() => {});
    this.end(new SwarmletError('aborted', 'The share was removed.'));
    await this.call('remove', [this.id, keep]);
  }

  /**
   * Ties the share to a signal: aborting removes it and keeps what is stored.
   * @param {AbortSignal | undefined} signal
   */
  follow(signal) {
    signal?.addEventListener('abort', () => {
      if (this.#over) return;
      this.end(aborted(signal));
      this.call('remove', [this.id, true]).catch(() => {});
    }, { once: true });
  }

  /**
   * New numbers from the worker.
   * @param {any} view
   */
  update(view) {
    this.#view = view;
    if (view.name) this.#name = view.name;
    if (this.timings.linked === undefined && view.peers > 0) this.timings.linked = this.#sinceStart();
    this.#wake();
  }

  /**
   * The list of files came.
   * @param {{ name: string, files: { path: string[], size: number, root: string | null }[] }} list
   */
  setFiles(list) {
    if (list.name) this.#name = list.name;
    this.#files = list.files.map((entry, index) => new ShareFile(this, index, entry, this.#own?.[index]));
    this.timings.ready ??= this.#sinceStart();
    this.#ready.resolve(this);
    if (this.#own) this.finish();
  }

  /**
   * News of the share.
   * @param {{ state: string, file?: number, code?: string }} news
   */
  hear({ state, file, code }) {
    if (state === 'first-leaf') this.timings.firstLeaf ??= this.#sinceStart();
    else if (state === 'file' && file !== undefined && this.#files[file]) this.#setDone(file);
    else if (state === 'done') this.finish();
    else if (state === 'failed') this.#fail(new SwarmletError(code ?? 'internal'));
  }

  finish() {
    this.#complete = true;
    this.timings.done ??= this.#sinceStart();
    this.#done.resolve(this);
    this.#wake();
  }

  /**
   * Nothing more will come.
   * @param {SwarmletError} error
   */
  end(error) {
    if (this.#over) return;
    this.#over = true;
    this.#view = { ...this.#view, state: 'removed', downRate: 0, upRate: 0, peers: 0 };
    this.#fail(error);
    this.removed(this);
  }

  /** @param {SwarmletError} error */
  #fail(error) {
    if (!this.#over) this.#view = { ...this.#view, state: 'failed' };
    this.#ready.reject(error);
    this.#done.reject(error);
    this.#wake();
  }

  /** After a failure or for other files: `done` is to come once more. */
  #again() {
    this.#complete = false;
    this.#done = deferred();
    if (this.#files.length === 0) this.#ready = deferred();
  }

  /** @param {number} file */
  #setDone(file) {
    const files = Float64Array.from(this.#view.files);
    files[file] = this.#files[file].size;
    this.#view = { ...this.#view, files };
  }

  async *#follow() {
    for (;;) {
      yield this.stats();
      if (this.#over || this.#complete || this.#view.state === 'failed') return;
      await new Promise((resolve) => this.#waiting.add(() => resolve(undefined)));
    }
  }

  #wake() {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  #sinceStart() {
    return performance.now() - this.#start;
  }
}

/**
 * What most of the bytes are.
 * @param {readonly ShareFile[]} files
 */
function kindOf(files) {
  /** @type {Record<string, number>} */
  const bytes = { other: 0 };
  for (const { type, size } of files) {
    const kind = type.split('/')[0] ?? '';
    const known = ['audio', 'video', 'image', 'text'].includes(kind) ? kind : type === 'application/pdf' ? 'text' : 'other';
    bytes[known] = (bytes[known] ?? 0) + size;
  }
  return Object.entries(bytes).reduce((most, one) => (one[1] > most[1] ? one : most))[0];
}

const NOTHING = {
  wanted: 0, done: 0, fromPeers: 0, fromHttp: 0, fromStore: 0, sent: 0, wasted: 0, downRate: 0, upRate: 0,
  peers: 0, swarmSeeds: 0, swarmLeeches: 0, sources: 0, unavailable: 0, files: new Float64Array(0),
};
