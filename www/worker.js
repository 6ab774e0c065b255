// @ts-check
// The dedicated worker: loads the node, opens its storage, passes the page's calls on.

import init, { Engine } from './pkg/swarmlet_wasm.js';
import { makeKeys } from './keys.js';

const WASM = new URL('./pkg/swarmlet_wasm_bg.wasm', import.meta.url);
// A reloaded tab may find the lock of its former life still held.
const SLOT_WAIT_MS = 2000;
// Tabs of one origin at the same time that have storage of their own.
const SLOTS_MAX = 64;
const TICK_MS = 200;
// After the last change, so that rates are seen to fall to zero.
const QUIET_TICKS = 20;

/** @type {Engine | null} */
let engine = null;
/** @type {import('./keys.js').Keys} */
let keys;
/** Messages that came before the node was there. @type {any[]} */
const early = [];
let quiet = 0;

/** @param {any} message @param {Transferable[]} given */
function post(message, given) {
  if (message.t === 'key') vouch(message);
  else self.postMessage(message, { transfer: given });
}

/** Signs, or verifies what a peer signed. @param {any} order */
async function vouch({ job, message, peer, signature }) {
  const answer = peer ? keys.verify(peer, message, signature) : keys.sign(message);
  engine?.vouched(job, await answer.catch(() => undefined));
}

self.onmessage = ({ data }) => {
  if (data.t === 'start') start(data);
  else if (engine) take(engine, data);
  else early.push(data);
};

/** @param {any} message */
async function start({ options, storage, slot }) {
  try {
    const [store, made] = await Promise.all([openStore(storage, slot), makeKeys(), init({ module_or_path: WASM })]);
    keys = made;
    if (storage === 'opfs' && !store) throw { code: 'storage', message: 'This browser has no private files for pages.' };
    engine = new Engine(keys.id, options, store?.directory, post);
    const started = { t: 'started', peerId: engine.peerId(), storage: store ? 'opfs' : 'memory', slot: store?.slot };
    self.postMessage(started);
    engine.run();
    for (const message of early.splice(0)) take(engine, message);
    setInterval(tick, TICK_MS);
  } catch (error) {
    const { code, message } = /** @type {any} */ (error ?? {});
    self.postMessage({ t: 'failed', error: { code: typeof code === 'string' ? code : 'unsupported', message: `${message ?? error}` } });
  }
}

function tick() {
  if (engine?.tellChanges()) quiet = 0;
  else if (quiet++ < QUIET_TICKS) engine?.tellSnapshot();
}

/**
 * @param {Engine} engine
 * @param {any} message
 */
function take(engine, message) {
  const { t, link, channel, job } = message;
  switch (t) {
    case 'call': return answer(engine, message);
    case 'described': return engine.described(job, message.sdp);
    case 'finished': return engine.finished(job, message.ok);
    case 'found': return engine.found(link, message.line);
    case 'adopt': return engine.adopt(link, message.control, message.bulk);
    case 'lost': return engine.lost(link);
    case 'pump': return engine.pump(link);
    case 'pumpedOpen': return engine.pumpedOpen(link, channel);
    case 'pumpedMessage': return engine.pumpedMessage(link, channel, message.data);
    case 'pumpedDrained': return engine.pumpedDrained(link, channel, message.taken, message.buffered);
  }
}

/**
 * Answers one call of the page's.
 * @param {Engine} engine
 * @param {any} message
 */
async function answer(engine, { id, method, args }) {
  try {
    const result = CALLS[method](engine, id, ...args);
    const value = result instanceof Promise ? await result : result;
    if (value === LATER) return engine.run();
    if (CHANGES.has(method)) {
      engine.run();
      engine.tellSnapshot();
    }
    // News of a share that is new to the page must not come before the answer that tells of it.
    self.postMessage({ t: 'reply', id, value });
    if (method !== 'close') engine.run();
  } catch (error) {
    const { code, message } = /** @type {any} */ (error ?? {});
    self.postMessage({ t: 'reply', id, error: { code: typeof code === 'string' ? code : 'internal', message: `${message ?? error}` } });
  }
}

// Who waits for these finds their effect in the numbers.
const CHANGES = new Set(['select', 'pause', 'resume', 'remove']);
// The node itself answers, by the number of the call.
const LATER = Symbol('later');

/** @type {Record<string, (engine: Engine, id: number, ...args: any[]) => any>} */
const CALLS = {
  addLink: (e, _, text, select) => e.addLink(text, select),
  addTorrent: (e, _, bytes, select) => e.addTorrent(bytes, select),
  seed: (e, id, files, name, webSeeds) => e.seed(id, files, name, webSeeds),
  cancelSeed: (e, _, call) => e.cancelSeed(call),
  torrent: (e, _, id) => e.torrent(id),
  select: (e, _, id, files) => e.select(id, files),
  pause: (e, _, id) => e.pause(id),
  resume: (e, _, id) => e.resume(id),
  remove: (e, _, id, keep) => e.remove(id, keep),
  read: (e, id, root, start, length) => {
    e.read(id, root, start, length);
    return LATER;
  },
  cancelRead: (e, _, read) => e.cancelRead(read),
  online: (e, _, online) => e.online(online),
  close: (e) => e.close(),
};

/**
 * A folder of our own in the browser's private files: each tab takes a free one and holds it by a lock, and a
 * tab that is reloaded asks for the one it had. `null`: keep content in memory.
 * @param {string} storage
 * @param {number | undefined} mine
 */
async function openStore(storage, mine) {
  if (storage === 'memory' || !('FileSystemSyncAccessHandle' in self)) return null;
  try {
    const root = await navigator.storage.getDirectory();
    const slot = await takeSlot(mine);
    if (slot === null) return null;
    const all = await root.getDirectoryHandle('swarmlet', { create: true });
    return { slot, directory: await all.getDirectoryHandle(`store-${slot}`, { create: true }) };
  } catch {
    return null;
  }
}

/** @param {number | undefined} mine */
async function takeSlot(mine) {
  if (mine !== undefined && await hold(mine, { signal: AbortSignal.timeout(SLOT_WAIT_MS) })) return mine;
  for (let slot = 0; slot < SLOTS_MAX; slot++) {
    if (await hold(slot, { ifAvailable: true })) return slot;
  }
  return null;
}

/**
 * Takes the lock of a slot for the life of this worker.
 * @param {number} slot
 * @param {LockOptions} options
 * @returns {Promise<boolean>}
 */
function hold(slot, options) {
  return new Promise((resolve) => {
    navigator.locks.request(`swarmlet-store-${slot}`, options, (lock) => {
      resolve(lock !== null);
      return lock === null ? undefined : new Promise(() => {});
    }).catch(() => resolve(false));
  });
}
