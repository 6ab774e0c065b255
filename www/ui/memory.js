// @ts-check
/** What this browser remembers of its shares between visits: names and links, never content. */

const KEY = 'swarmlet.shares.1';
/** More than a node takes at once; the oldest go first. */
const ENTRIES_MAX = 100;

/**
 * @typedef {object} Entry
 * @property {string} id content id, 64 hex digits
 * @property {string} magnet
 * @property {string} name
 * @property {boolean} paused
 * @property {boolean} mine whether the bytes came from files of this device, which a page cannot read again
 * @property {number} files
 * @property {number} size bytes
 */

/** @returns {Entry[]} */
export function entries() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(found) ? found.filter(sound).slice(-ENTRIES_MAX) : [];
  } catch {
    return [];
  }
}

/**
 * Storage is shared by every page of this origin: what is read back is checked like anything from outside.
 * @param {any} entry
 * @returns {entry is Entry}
 */
function sound(entry) {
  return (
    typeof entry === 'object' && entry !== null && /^[0-9a-f]{64}$/.test(entry.id) &&
    typeof entry.magnet === 'string' && entry.magnet.startsWith('magnet:?') && typeof entry.name === 'string' &&
    typeof entry.paused === 'boolean' && typeof entry.mine === 'boolean' &&
    Number.isSafeInteger(entry.files) && Number.isSafeInteger(entry.size)
  );
}

/**
 * Remembers a share, or what changed about it.
 * @param {Entry} entry
 */
export function remember(entry) {
  const list = entries();
  const at = list.findIndex((other) => other.id === entry.id);
  if (at < 0) list.push(entry);
  else list[at] = entry;
  write(list.slice(-ENTRIES_MAX));
}

/**
 * @param {string} id
 * @param {Partial<Entry>} change
 */
export function amend(id, change) {
  const entry = entries().find((other) => other.id === id);
  if (entry !== undefined) remember({ ...entry, ...change });
}

/** @param {string} id */
export function forget(id) {
  write(entries().filter((entry) => entry.id !== id));
}

/** @param {Entry[]} list */
function write(list) {
  try {
    localStorage.setItem(KEY, JSON.stringify(list));
  } catch {
    // Private windows may refuse: the list then lasts as long as the page.
  }
}

/**
 * Claims a share for this tab until the page goes away, so that two tabs do not both restore it. A page that is
 * just being reloaded lets go a moment late, hence the wait.
 * @param {string} id
 * @param {number} waitMs
 * @returns {Promise<boolean>} false: another tab has it
 */
export function claim(id, waitMs) {
  if (navigator.locks === undefined || held.has(id)) return Promise.resolve(true);
  return new Promise((resolve) => {
    const options = { signal: AbortSignal.timeout(waitMs) };
    navigator.locks
      .request(`swarmlet-share-${id}`, options, () => {
        resolve(true);
        return new Promise((release) => held.set(id, release));
      })
      .catch(() => resolve(false));
  });
}

/** @type {Map<string, (value: unknown) => void>} */
const held = new Map();

/**
 * Lets other tabs have it.
 * @param {string} id
 */
export function release(id) {
  held.get(id)?.(undefined);
  held.delete(id);
}
