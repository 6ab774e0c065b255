// @ts-check
// Reads of the visitor's own files. Each goes through the browser process, which costs as much processor time for 64 KiB as
// for half a mebibyte, and more than sending them: so a read that follows another one reads on.

// What follows is read up to the next multiple of this.
const AHEAD_BYTES = 1024 * 1024;
// Reads of one file that are kept: as many readers are served at once.
const KEPT_MAX = 8;

/** @typedef {{ start: number, end: number, bytes: Promise<ArrayBuffer> }} Slab */
/** @type {WeakMap<Blob, Slab[]>} */
const kept = new WeakMap();

/**
 * Bytes of a file; fewer where it ends. Rejects as `Blob.arrayBuffer` does when the file was changed, moved or deleted.
 * @param {Blob} blob
 * @param {number} start
 * @param {number} length
 * @returns {Promise<Uint8Array>}
 */
export async function readAhead(blob, start, length) {
  const slabs = kept.get(blob) ?? [];
  kept.set(blob, slabs);
  const end = start + length;
  let slab = slabs.find((slab) => slab.start <= start && end <= slab.end);
  if (!slab) {
    const follows = slabs.some((slab) => slab.end === start);
    const until = follows ? Math.max(end, (Math.floor(start / AHEAD_BYTES) + 1) * AHEAD_BYTES) : end;
    slab = { start, end: until, bytes: blob.slice(start, until).arrayBuffer() };
    slabs.push(slab);
    if (slabs.length > KEPT_MAX) slabs.shift();
  }
  try {
    return new Uint8Array(await slab.bytes).subarray(start - slab.start, end - slab.start);
  } catch (error) {
    // It may be back the next time.
    kept.delete(blob);
    throw error;
  }
}
