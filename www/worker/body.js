// @ts-check
// The body of an HTTP answer, read no further than it should be long.

/**
 * The `length` bytes after the first `skip`; after them `rest` more must come, and then the end. `undefined` when that is not
 * so. With nothing to read the body is given up at once. Rejects when the network fails.
 * @param {Response} response
 * @param {number} skip
 * @param {number} length
 * @param {number} rest
 * @returns {Promise<Uint8Array | undefined>}
 */
export async function readBody({ body }, skip, length, rest) {
  const whole = skip + length + rest;
  if (whole === 0) body?.cancel().catch(() => {});
  if (whole === 0 || !body) return undefined;
  const reader = body.getReader();
  const bytes = new Uint8Array(length);
  let seen = 0;
  for (;;) {
    const { value } = await reader.read();
    if (!value) return seen === whole ? bytes : undefined;
    if (seen + value.length > whole) {
      reader.cancel().catch(() => {});
      return undefined;
    }
    // The part of the range that lies in this chunk.
    const from = Math.max(skip - seen, 0);
    const to = Math.min(skip + length - seen, value.length);
    if (from < to) bytes.set(value.subarray(from, to), seen + from - skip);
    seen += value.length;
  }
}
