// @ts-check
/** Files and folders out of drops, pastes and pickers. */

/** More than the format allows in one share: a dropped disk is refused before it fills the memory. */
const FILES_MAX = 100_000;
const DEPTH_MAX = 32;

/** @typedef {{ path: string, blob: File }} Item */

/**
 * Everything in a drop. Must be called in the drop event itself: its items are gone afterwards.
 * @param {DataTransfer} transfer
 * @returns {Promise<Item[]>}
 */
export async function dropped(transfer) {
  /** @type {FileSystemEntry[]} */
  const roots = [];
  /** @type {Item[]} */
  const plain = [];
  for (const item of transfer.items) {
    if (item.kind !== 'file') continue;
    const entry = item.webkitGetAsEntry?.() ?? null;
    const file = entry === null ? item.getAsFile() : null;
    if (entry !== null) roots.push(entry);
    else if (file !== null) plain.push({ path: file.name, blob: file });
  }
  for (const root of roots) await walk(root, plain, 1);
  return sorted(plain);
}

/**
 * @param {FileSystemEntry} entry
 * @param {Item[]} found
 * @param {number} depth
 */
async function walk(entry, found, depth) {
  if (depth > DEPTH_MAX) throw new RangeError('too-deep');
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    if (found.length >= FILES_MAX) throw new RangeError('too-many');
    found.push({ path: entry.fullPath.replace(/^\//, ''), blob: file });
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return;
    for (const child of batch) await walk(child, found, depth + 1);
  }
}

/**
 * The files of an input element, with their folder where one was chosen.
 * @param {FileList | null} list
 * @returns {Item[]}
 */
export function chosen(list) {
  return sorted([...(list ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, blob: file })));
}

/**
 * One order for each way of choosing.
 * @param {Item[]} items
 */
function sorted(items) {
  return items.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/**
 * The name that a share of these files gets: the file's, the folder's, or "n files".
 * @param {Item[]} items at least one
 */
export function nameOf(items) {
  const first = /** @type {Item} */ (items[0]).path.split('/');
  const folder = first.length > 1 && items.every(({ path }) => path.startsWith(`${first[0]}/`));
  if (items.length === 1 || folder) return /** @type {string} */ (first[0]);
  return `${items.length.toLocaleString('en')} files`;
}

/**
 * Whether these are one `.torrent` file, which is opened instead of shared.
 * @param {Item[]} items
 */
export function isTorrent(items) {
  return items.length === 1 && /\.torrent$/i.test(/** @type {Item} */ (items[0]).path);
}
