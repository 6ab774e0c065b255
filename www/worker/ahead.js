// @ts-check
// Reads of the visitor's own files. Each goes through the browser process, which costs as much processor time for 64 KiB as
// for half a mebibyte, and more than sending them: so a read that follows another one reads on, and where that goes on for
// more than a mebibyte a stream stays open, whose pipe and buffers are used again (a fifth of the time for each byte).

// What follows is read up to the next multiple of this.
const AHEAD_BYTES = 1024 * 1024;
// And a stream goes to the next multiple of this. Whether the file was changed is looked at when one is opened.
const STREAM_BYTES = 16 * AHEAD_BYTES;
// Reads of one file that are kept: as many readers are served at once.
const KEPT_MAX = 8;

/** @typedef {{ start: number, end: number, bytes: Promise<Uint8Array>, stream?: Stream }} Slab */
/** Where a stream stands is where its slab ends. @typedef {{ reader: ReadableStreamBYOBReader, until: number }} Stream */
/** @type {WeakMap<Blob, Slab[]>} */
const kept = new WeakMap();
/** Buffers to be used again: fresh memory costs more than what is written to it. @type {ArrayBuffer[]} */
const spare = [];

/**
 * Bytes of a file; fewer where it ends. Rejects as `Blob.arrayBuffer` does when the file was changed, moved or deleted.
 * They are to be copied before the task ends.
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
    slab = read(blob, start, end, slabs.find((slab) => slab.end === start));
    slabs.push(slab);
    if (slabs.length > KEPT_MAX) drop(slabs.shift());
  }
  try {
    return (await slab.bytes).subarray(start - slab.start, end - slab.start);
  } catch (error) {
    // It may be back the next time.
    kept.delete(blob);
    slabs.forEach(drop);
    throw error;
  }
}

/**
 * @param {Blob} blob
 * @param {number} start
 * @param {number} end
 * @param {Slab | undefined} before the one that this one follows
 * @returns {Slab}
 */
function read(blob, start, end, before) {
  if (before) end = Math.max(end, next(start, AHEAD_BYTES));
  const whole = async () => new Uint8Array(await blob.slice(start, end).arrayBuffer());
  const goesOn = before && start % AHEAD_BYTES === 0 && end - start === AHEAD_BYTES;
  const stream = goesOn ? goOn(blob, start, before) : undefined;
  if (!before || !stream) return { start, end, bytes: whole() };
  // One after the other; and what a stream cannot read is tried once more without, which says best what is wrong.
  const bytes = before.bytes.then(() => fill(stream.reader, end - start)).catch(whole);
  return { start, end, bytes, stream: end < stream.until ? stream : undefined };
}

/**
 * The stream of the slab before, or a new one.
 * @param {Blob} blob
 * @param {number} start
 * @param {Slab} before
 * @returns {Stream | undefined} `undefined`: this browser has none that fill our buffers
 */
function goOn(blob, start, before) {
  const { stream } = before;
  before.stream = undefined;
  if (stream) return stream;
  const until = next(start, STREAM_BYTES);
  try {
    return { reader: blob.slice(start, until).stream().getReader({ mode: 'byob' }), until };
  } catch {
    return undefined;
  }
}

/**
 * @param {ReadableStreamBYOBReader} reader
 * @param {number} length
 */
async function fill(reader, length) {
  let buffer = spare.pop() ?? new ArrayBuffer(AHEAD_BYTES);
  let got = 0;
  while (got < length) {
    const { done, value } = await reader.read(new Uint8Array(buffer, got, length - got));
    // It was cancelled, or the file ends.
    if (!value) throw new DOMException('The stream was cancelled.', 'AbortError');
    buffer = /** @type {ArrayBuffer} */ (value.buffer);
    got += value.byteLength;
    if (done) break;
  }
  return new Uint8Array(buffer, 0, got);
}

/** @param {Slab | undefined} slab */
function drop(slab) {
  slab?.stream?.reader.cancel().catch(() => {});
  slab?.bytes.then(({ buffer }) => {
    // Whoever waits for it copies it before the next task.
    if (buffer.byteLength === AHEAD_BYTES) setTimeout(() => spare.length < KEPT_MAX && spare.push(/** @type {ArrayBuffer} */ (buffer)));
  }, () => {});
}

/** The next multiple of `step`. @param {number} at @param {number} step */
const next = (at, step) => (Math.floor(at / step) + 1) * step;
