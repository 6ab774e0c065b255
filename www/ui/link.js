// @ts-check
/** Reads what somebody typed or pasted, before it goes to the node: for early, clear words about what is wrong. */

/**
 * @typedef {{ kind: 'content', text: string, id: string | null }
 *   | { kind: 'torrent', url: string }
 *   | { kind: 'wrong', code: 'bad-link' | 'version-one' | 'empty' }} Reading
 */

/**
 * What a text names: a share (link, magnet or id), the address of a `.torrent` file, or nothing.
 * @param {string} typed
 * @returns {Reading}
 */
export function read(typed) {
  const text = typed.trim();
  if (text === '') return { kind: 'wrong', code: 'empty' };
  if (/^[0-9a-f]{64}$/i.test(text)) return { kind: 'content', text: text.toLowerCase(), id: text.toLowerCase() };
  if (/^[0-9a-f]{40}$/i.test(text)) return { kind: 'wrong', code: 'version-one' };
  if (/^magnet:\?/i.test(text)) return magnet(text);
  return URL.canParse(text) ? address(new URL(text)) : { kind: 'wrong', code: 'bad-link' };
}

/**
 * @param {URL} url
 * @returns {Reading}
 */
function address(url) {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return { kind: 'wrong', code: 'bad-link' };
  if (url.hash.length > 1) return fragment(url.hash);
  return url.pathname.endsWith('.torrent') ? { kind: 'torrent', url: url.href } : { kind: 'wrong', code: 'bad-link' };
}

/**
 * What the part after `#` of a page's address names. Some programs that pass links on escape it.
 * @param {string} hash with its `#`
 * @returns {Reading}
 */
export function fragment(hash) {
  const plain = hash.slice(1);
  if (/^magnet:\?/i.test(plain)) return magnet(plain);
  if (/^[0-9a-f]{40,64}$/i.test(plain)) return read(plain);
  if (/^magnet(:|%3a)(\?|%3f)/i.test(plain)) {
    try {
      return magnet(decodeURIComponent(plain));
    } catch {
      return { kind: 'wrong', code: 'bad-link' };
    }
  }
  return { kind: 'wrong', code: plain === '' ? 'empty' : 'bad-link' };
}

/**
 * @param {string} text
 * @returns {Reading}
 */
function magnet(text) {
  const topics = new URLSearchParams(text.slice(text.indexOf('?') + 1)).getAll('xt');
  for (const topic of topics) {
    const found = /^urn:btmh:1220([0-9a-f]{64})$/i.exec(topic);
    if (found !== null) return { kind: 'content', text, id: /** @type {string} */ (found[1]).toLowerCase() };
  }
  const old = topics.some((topic) => /^urn:btih:/i.test(topic));
  return { kind: 'wrong', code: old ? 'version-one' : 'bad-link' };
}
