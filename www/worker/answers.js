// @ts-check
// What web servers answer the node, looked at on its way: headers that say that it is not for everybody; and what the service
// worker has fetched already, which is not asked for again.

// Of the service worker's copies, each of at most its MEDIA_BYTES, so many wait to be read.
const GIVEN_MAX = 4;

/** @type {{ path: string, start: number, bytes: Uint8Array<ArrayBuffer> }[]} */
const given = [];

/** An address as two writers would write it alike. @param {string} url */
const plain = (url) => decodeURI(new URL(url).href.split('#')[0]);

/** Takes bytes that were fetched. @param {string} url @param {number} start @param {ArrayBuffer} bytes */
export function give(url, start, bytes) {
  given.push({ path: plain(url), start, bytes: new Uint8Array(bytes) });
  if (given.length > GIVEN_MAX) given.shift();
}

/** An answer out of what was given. @param {string} url @param {string | undefined} range */
function known(url, range) {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  if (last === undefined) return undefined;
  const [start, end] = [Number(first), Number(last) + 1];
  const copy = given.find((one) => one.path === plain(url) && one.start <= start && end <= one.start + one.bytes.length);
  if (!copy) return undefined;
  const headers = { 'content-range': `bytes ${start}-${end - 1}/*` };
  return new Response(copy.bytes.subarray(start - copy.start, end - copy.start), { status: 206, headers });
}

/** Looks at what the node asks for from now on. @param {(rules: (string | null)[]) => boolean} isPrivate is the node's judgement of
 * `Cache-Control` and `Vary` (browsers hide `Set-Cookie`). @param {(url: string) => void} closed is told of what is not for everybody. */
export function watchAnswers(isPrivate, closed) {
  const ask = self.fetch.bind(self);
  self.fetch = async (input, init) => {
    const url = String(input);
    const copy = known(url, /** @type {any} */ (init)?.headers?.range);
    if (copy) return copy;
    const answer = await ask(input, init);
    if (!isPrivate(['cache-control', 'vary'].map((name) => answer.headers.get(name)))) return answer;
    answer.body?.cancel().catch(() => {});
    closed(url);
    throw new TypeError('The site gives this to some only.');
  };
}
