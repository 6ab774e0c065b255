// @ts-check
/**
 * Makes a ZIP archive of files, in a worker of its own: the checksums it needs are too much work for the page. Nothing
 * is compressed, and the archive refers to the files' bytes instead of holding them (PKWARE APPNOTE 6.3, §4.3).
 */

/** Without the 64-bit extension an archive ends here. */
const BYTES_MAX = 0xffff_ffff;
const FILES_MAX = 0xffff;
/** Names are UTF-8 (general purpose bit 11). */
const FLAGS = 0x0800;
/** Version 2.0: folders in names. */
const VERSION = 20;
/** 1 January 1980: a share knows no times. */
const DATE = 0x0021;

const TABLE = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb8_8320 : value >>> 1;
  return value;
});

/** @param {Blob} blob */
async function crc32(blob) {
  let crc = 0xffff_ffff;
  const reader = blob.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return (crc ^ 0xffff_ffff) >>> 0;
    for (const byte of value) crc = /** @type {number} */ (TABLE[(crc ^ byte) & 0xff]) ^ (crc >>> 8);
  }
}

/**
 * Little-endian numbers, given as pairs of width in bytes and value.
 * @param {[2 | 4, number][]} fields
 */
function record(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [width]) => sum + width, 0)));
  let at = 0;
  for (const [width, value] of fields) {
    if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += width;
  }
  return view.buffer;
}

/**
 * @param {{ path: string, blob: Blob }[]} files
 * @returns {Promise<Blob | null>} `null`: too large for the format
 */
export async function zip(files) {
  /** @type {BlobPart[]} */
  const parts = [];
  /** @type {BlobPart[]} */
  const directory = [];
  let at = 0;
  let listed = 0;
  for (const { path, blob } of files) {
    const name = new TextEncoder().encode(path);
    const crc = await crc32(blob);
    /** @type {[2 | 4, number][]} */
    const common = [[2, VERSION], [2, FLAGS], [2, 0], [2, 0], [2, DATE], [4, crc], [4, blob.size], [4, blob.size], [2, name.length], [2, 0]];
    parts.push(record([[4, 0x0403_4b50], ...common]), name, blob);
    directory.push(record([[4, 0x0201_4b50], [2, VERSION], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]]), name);
    at += 30 + name.length + blob.size;
    listed += 46 + name.length;
    if (at + listed > BYTES_MAX) return null;
  }
  if (files.length > FILES_MAX) return null;
  const end = record([[4, 0x0605_4b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, listed], [4, at], [2, 0]]);
  return new Blob([...parts, ...directory, end], { type: 'application/zip' });
}

self.addEventListener('message', async ({ data }) => {
  try {
    self.postMessage({ archive: await zip(data) });
  } catch {
    self.postMessage({ archive: undefined });
  }
});
