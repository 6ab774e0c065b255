// @ts-check
/** Writes whole shares to the visitor's disk. */

/** @typedef {import('../swarmlet.js').Share} Share */
/** @typedef {import('../swarmlet.js').ShareFile} ShareFile */

/** Long enough for a download to have read its object URL. */
const URL_LIFE_MS = 60_000;

/**
 * Saves every complete file: into a folder that the visitor picks where the browser has a picker, else as downloads
 * one after the other. Returns how many were saved; 0 when the visitor changed their mind.
 * @param {Share} share
 * @returns {Promise<number>}
 */
export async function saveAll(share) {
  const files = share.files.filter((file) => file.complete);
  const pick = /** @type {any} */ (window).showDirectoryPicker;
  if (typeof pick !== 'function') return downloads(files);
  let root;
  try {
    root = await pick.call(window, { id: 'swarmlet', mode: 'readwrite' });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return 0;
    if (error instanceof DOMException && error.name === 'SecurityError') return downloads(files);
    throw error;
  }
  const top = await root.getDirectoryHandle(share.name, { create: true });
  for (const file of files) await intoFolder(top, file);
  return files.length;
}

/**
 * Paths are those that the share's description names: the node has refused `..`, separators and control characters.
 * @param {any} top a directory handle
 * @param {ShareFile} file
 */
async function intoFolder(top, file) {
  let folder = top;
  const parts = file.path.split('/');
  for (const part of parts.slice(0, -1)) folder = await folder.getDirectoryHandle(part, { create: true });
  const handle = await folder.getFileHandle(parts.at(-1), { create: true });
  await file.stream().pipeTo(await handle.createWritable());
}

/** @param {ShareFile[]} files */
async function downloads(files) {
  for (const file of files) {
    const url = await file.url();
    const anchor = document.createElement('a');
    anchor.href = url;
    anchor.download = file.name;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), URL_LIFE_MS);
  }
  return files.length;
}
