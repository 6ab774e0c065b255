// @ts-check
// The dedicated worker: loads the node, opens its storage, passes the page's calls on.

import init, { Engine } from './pkg/swarmlet_wasm.js';
import { makeKeys } from './keys.js';
import { Anchors } from './worker/anchors.js';
import { readAhead } from './worker/ahead.js';
import { readBody } from './worker/body.js';
import { Beside } from './worker/overlay.js';
import { recall, recorded } from './worker/recorded.js';
import { release } from './worker/release.js';
import { Servings } from './worker/serve.js';

const WASM = new URL('./pkg/swarmlet_wasm_bg.wasm', import.meta.url);
// A reloaded tab may find the lock of its former life still held.
const SLOT_WAIT_MS = 2000;
// Tabs of one origin at the same time that have storage of their own.
const SLOTS_MAX = 64;
const TICK_MS = 200;
// After the last change, so that rates are seen to fall to zero.
const QUIET_TICKS = 20;

// The module calls them by these names.
Object.assign(self, { readAhead, readBody, recorded, release });

/** @type {Engine | null} */
let engine = null;
/** @type {import('./keys.js').Keys} */
let keys;
/** Messages that came before the node was there. @type {any[]} */
const early = [];
let quiet = 0;
/** @type {Beside | null} */
let beside = null;
/** @type {Anchors | null} */
let anchors = null;
/** The token for the signaller, which no anchor gets. */
let token = '';
let away = false;
const servings = new Servings(() => engine, (message) => self.postMessage(message));

/** @param {any} message @param {Transferable[]} given */
function post(message, given) {
  if (message.t === 'key') return vouch(message);
  if (message.t === 'overlay') return beside?.frame(message.bytes);
  beside?.note(message);
  anchors?.note(message);
  if (message.name === 'anchor') message.address = new TextDecoder().decode(message.address);
  if (message.t === 'snapshot') servings.note(message);
  if (message.t === 'reply' && servings.take(message)) return;
  if (message.error) refuse(message);
  else self.postMessage(message, { transfer: given });
}

/** Signs, verifies what a peer signed, agrees on a secret with it, or shows our key for that. @param {any} order */
async function vouch({ job, message, peer, signature }) {
  const work = () => {
    if (message) return peer ? keys.verify(peer, message, signature) : keys.sign(message);
    return peer ? keys.agree(peer) : keys.exchange();
  };
  const answer = await work().catch(() => undefined);
  engine?.hear({ t: 'vouched', job, answer });
}

self.onmessage = ({ data }) => {
  if (data.t === 'start') start(data);
  else if (engine) take(engine, data);
  else early.push(data);
};

/** @param {any} message */
async function start({ options, storage, slot, overlay, anchors: list }) {
  try {
    const [store, made] = await Promise.all([openStore(storage, slot), makeKeys(), init({ module_or_path: WASM })]);
    keys = made;
    if (storage === 'opfs' && !store) throw { code: 'storage', message: 'This browser has no private files for pages.' };
    engine = new Engine(keys.id, options, store?.directory, post);
    if (overlay) beside = new Beside({ keys, hear: (message) => engine?.hear(message), post: (message) => self.postMessage(message) });
    token = options.token ?? '';
    if (overlay && options.signaller && list.length > 0) {
      const forget = (/** @type {string} */ address) => self.postMessage({ t: 'event', name: 'anchor', address, gone: true });
      anchors = new Anchors({ list, home: options.signaller, forget, use: (address) => turn(address, options.signaller) });
    }
    const peerId = Array.from(keys.id, (byte) => byte.toString(16).padStart(2, '0')).join('');
    const started = { t: 'started', peerId, storage: store ? 'opfs' : 'memory', slot: store?.slot };
    self.postMessage(started);
    engine.run();
    for (const message of early.splice(0)) take(engine, message);
    setInterval(tick, TICK_MS);
  } catch (error) {
    self.postMessage({ t: 'failed', error: await told(error, 'unsupported') });
  }
}

/**
 * Opens this address from now on, at once.
 * @param {string} address empty: the signaller's own
 * @param {string} home
 */
function turn(address, home) {
  away = address !== '';
  engine?.hear({ t: 'signaller', url: address || home });
  engine?.call(0, 'token', [away ? '' : token]);
  for (const online of [false, true]) engine?.call(0, 'online', [online]);
  engine?.run();
}

function tick() {
  const changed = engine?.tell(quiet < QUIET_TICKS);
  quiet = changed ? 0 : quiet + 1;
}

/**
 * @param {Engine} engine
 * @param {any} message
 */
function take(engine, message) {
  if (message.t === 'call') answer(engine, message);
  else if (message.t === 'serve') servings.begin(message);
  else if (message.t === 'watch') servings.watch();
  else engine.hear(message);
}

/**
 * Answers one call of the page's.
 * @param {Engine} engine
 * @param {any} message
 */
async function answer(engine, { id, method, args }) {
  try {
    if (Beside.takes(method)) {
      if (!beside) throw { code: 'unsupported' };
      const value = await beside.call(id, method, args);
      if (value !== undefined) self.postMessage({ t: 'reply', id, value });
      return;
    }
    if (method === 'token') token = args[0];
    if (method === 'token' && away) return self.postMessage({ t: 'reply', id, value: undefined });
    if (method === 'drop') servings.drop(String(args[0]));
    const value = engine.call(id, method, args);
    if (LATER.has(method)) return engine.run();
    if (CHANGES.has(method)) {
      engine.run();
      engine.tell(true);
    }
    // News of a share that is new to the page must not come before the answer that tells of it.
    self.postMessage({ t: 'reply', id, value });
    if (method !== 'close') engine.run();
  } catch (error) {
    await refuse({ t: 'reply', id, error });
  }
}

/** @param {any} reply */
async function refuse(reply) {
  self.postMessage({ ...reply, error: await told(reply.error, 'internal') });
}

/**
 * What the page is told of an error: a code of ours, and the sentence that goes with its reason, if it has one.
 * @param {any} error
 * @param {string} otherwise the code of what is none of ours
 */
async function told(error, otherwise) {
  if (typeof error?.code !== 'string') return { code: otherwise, message: `${error?.message ?? error}` };
  const { code, message, reason } = error;
  return { code, message: reason ? (await import('./reasons.js')).REASONS[reason] : message };
}

// Who waits for these finds their effect in the numbers.
const CHANGES = new Set(['select', 'pause', 'resume', 'remove']);
// The node itself answers these, by the number of the call.
const LATER = new Set(['read', 'seed', 'invite', 'meet']);

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
    const directory = await all.getDirectoryHandle(`store-${slot}`, { create: true });
    await recall(directory);
    return { slot, directory };
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
