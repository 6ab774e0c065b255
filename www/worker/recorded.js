// @ts-check
// Which small records there may be in our private files. The browser process knows too, but takes milliseconds to say that there is
// none, and longer behind what is being written: the first block of a share waited for three such answers.

/** How a record's file is named (`wasm/src/store.rs`): this and its key. */
const PREFIX = 'r-';
/** @type {Set<string>} */
const keys = new Set();

/**
 * Whether there may be a record with this key; from now on, if it is being written.
 * @param {string} key
 * @param {boolean} written
 */
export function recorded(key, written) {
  if (written) keys.add(key);
  return keys.has(key);
}

/** Takes in what an earlier visit wrote: nobody else writes there now. @param {FileSystemDirectoryHandle} directory */
export async function recall(directory) {
  for await (const name of directory.keys()) {
    if (name.startsWith(PREFIX)) keys.add(name.slice(PREFIX.length));
  }
}
