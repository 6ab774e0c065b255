// @ts-check
/** Writes whole shares to the visitor's disk. */

/** @typedef {import('../swarmlet.js').Share} Share */
/** @typedef {import('../swarmlet.js').ShareFile} ShareFile */

/** Long enough for a download to have read its object URL. */
const URL_LIFE_MS = 60_000;

/**
 * Saves every complete file: into a folder that the visitor picks where the browser has a picker, else as one ZIP
 * archive. Returns how many were saved; 0 when the visitor changed their mind.
 * @param {Share} share
 * @returns {Promise<number>}
 */
export async function saveAll(share) {
  const files = share.files.filter((file) => file.complete);
  const pick = /** @type {any} */ (window).showDirectoryPicker;
  if (typeof pick !== 'function') return archive(share.name, files);
  let root;
  try {
    root = await pick.call(window, { id: 'swarmlet', mode: 'readwrite' });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return 0;
    if (error instanceof DOMException && error.name === 'SecurityError') return archive(share.name, files);
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

/**
 * One archive: browsers stop pages that start many downloads.
 * @param {string} name
 * @param {ShareFile[]} files
 */
async function archive(name, files) {
  /** @type {{ path: string, blob: Blob }[]} */
  const entries = [];
  for (const file of files) entries.push({ path: `${name}/${file.path}`, blob: await file.blob() });
  const worker = new Worker(new URL('./zip.js', import.meta.url), { type: 'module' });
  /** @type {Blob | null | undefined} */
  const blob = await new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data.archive);
    worker.onerror = () => resolve(undefined);
    worker.postMessage(entries);
  });
  worker.terminate();
  if (!blob) throw new RangeError(blob === null ? 'archive-size' : 'read-failed');
  const url = URL.createObjectURL(blob);
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = `${name}.zip`;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), URL_LIFE_MS);
  return files.length;
}
