// @ts-check
// What is kept of a site over visits, within a budget: what was used longest ago goes first, and what is read now stays.

const KEY = 'swarmlet kept';
const DESKTOP_BYTES = 256 * 1024 * 1024;
const PHONE_BYTES = 64 * 1024 * 1024;
// Room is made for more than what is missing, so that it is not made all the time.
const LEAVE_PART = 0.9;
// Of what the browser grants a site, the rest is the site's own.
const QUOTA_PART = 0.5;
// Files that are remembered, also of earlier deploys.
const FILES_MAX = 2000;

/** A file by its root. @typedef {{ bytes: number, used: number }} Kept */

/** Which files to give up so that the rest fits. Pure. @param {Map<string, Kept>} kept @param {number} budget
 * @param {(root: string) => boolean} busy @returns {string[]} */
export function surplus(kept, budget, busy) {
  let sum = 0;
  for (const { bytes } of kept.values()) sum += bytes;
  if (sum <= budget && kept.size <= FILES_MAX) return [];
  const order = [...kept].filter(([root]) => !busy(root)).sort(([, a], [, b]) => a.used - b.used);
  const gone = [];
  let count = kept.size;
  for (const [root, { bytes }] of order) {
    if (sum <= budget * LEAVE_PART && count <= FILES_MAX) break;
    gone.push(root);
    sum -= bytes;
    count -= 1;
  }
  return gone;
}

export class Cache {
  /** @type {Map<string, Kept>} */
  #kept = new Map();
  #budget;
  #drop;
  /** It is not what is written down. */
  #changed = false;

  /** @param {number | undefined} budget @param {boolean} phone @param {(root: string) => void} drop */
  constructor(budget, phone, drop) {
    this.#budget = budget ?? (phone ? PHONE_BYTES : DESKTOP_BYTES);
    this.#drop = drop;
    try {
      this.#kept = new Map(JSON.parse(localStorage.getItem(KEY) ?? '[]'));
    } catch {
      // Then what is kept is only known once it is used.
    }
    navigator.storage?.estimate?.().then(({ quota }) => {
      this.#budget = Math.min(this.#budget, (quota ?? Infinity) * QUOTA_PART);
    }).catch(() => {});
  }

  /** A file is read now. @param {string} root */
  use(root) {
    const kept = this.#kept.get(root);
    this.#kept.set(root, { bytes: kept?.bytes ?? 0, used: Date.now() });
    this.#changed = true;
  }

  /** How much there is of files now; makes room if that is too much.
   * @param {Iterable<[root: string, bytes: number]>} held @param {(root: string) => boolean} busy */
  count(held, busy) {
    for (const [root, bytes] of held) {
      const kept = this.#kept.get(root);
      if ((kept?.bytes ?? 0) === bytes) continue;
      this.#kept.set(root, { bytes, used: kept?.used ?? Date.now() });
      this.#changed = true;
    }
    for (const root of surplus(this.#kept, this.#budget, busy)) {
      this.#kept.delete(root);
      this.#drop(root);
      this.#changed = true;
    }
    if (!this.#changed) return;
    this.#changed = false;
    try {
      localStorage.setItem(KEY, JSON.stringify([...this.#kept]));
    } catch {
      // No room even for that.
    }
  }

  /** Bytes that are kept, and that may be. */
  stats() {
    let bytes = 0;
    for (const kept of this.#kept.values()) bytes += kept.bytes;
    return { bytes, budget: this.#budget };
  }
}
