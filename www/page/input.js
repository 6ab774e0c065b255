// @ts-check
// Pure: what callers hand in, put into one form.

import { SwarmletError } from './error.js';

/** @typedef {{ path: string[], blob: Blob }} Entry */

/**
 * The files of a `seed` call, and the name of the share.
 * @param {any} input
 * @param {string | undefined} name
 * @returns {{ name: string, files: Entry[] }}
 */
export function seedFiles(input, name) {
  const given = input instanceof Blob || input?.blob || input?.file ? [input] : [...(input ?? [])];
  const files = given.map(entry);
  if (files.length === 0) throw new SwarmletError('no-files');
  if (files.length === 1 && files[0].path.length === 1) {
    const [file] = files;
    const own = file.path[0];
    if (own === '') file.path = [name ?? 'file'];
    // A named share of one file with a name of its own is a folder, so that the file keeps its name.
    return { name: name ?? file.path[0], files };
  }
  const folder = files[0].path[0];
  const together = files.every(({ path }) => path.length > 1 && path[0] === folder);
  if (together) for (const file of files) file.path = file.path.slice(1);
  files.forEach((file, index) => {
    if (file.path[0] === '') file.path = [`file-${index + 1}`];
  });
  return { name: name ?? (together ? folder : `${files.length} files`), files };
}

/**
 * @param {any} item
 * @returns {Entry}
 */
function entry(item) {
  const blob = item instanceof Blob ? item : item?.blob ?? item?.file;
  if (!(blob instanceof Blob)) throw new SwarmletError('bad-argument', 'A file to share is no File or Blob.');
  const inner = /** @type {any} */ (blob);
  const path = item.path || item.webkitRelativePath || item.name || inner.webkitRelativePath || inner.name || '';
  const parts = String(path).split('/');
  if (parts.length > 1 && parts[0] === '') parts.shift();
  return { path: parts, blob };
}

/**
 * The text of an `add` call: what the fragment of a share link holds, or the text itself.
 * @param {string | URL} input
 */
export function linkText(input) {
  const text = String(input).trim();
  const hash = /^https?:/i.test(text) ? text.indexOf('#') : text.startsWith('#') ? 0 : -1;
  if (hash < 0) return text;
  const fragment = text.slice(hash + 1);
  if (!/^magnet%3a/i.test(fragment)) return fragment;
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

/** Harmless types, by extension: nothing that runs as a document. @type {Record<string, string>} */
const TYPES = {
  png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', gif: 'image/gif', webp: 'image/webp', avif: 'image/avif',
  mp3: 'audio/mpeg', ogg: 'audio/ogg', oga: 'audio/ogg', opus: 'audio/ogg', wav: 'audio/wav', m4a: 'audio/mp4',
  flac: 'audio/flac', mp4: 'video/mp4', m4v: 'video/mp4', webm: 'video/webm', ogv: 'video/ogg',
  txt: 'text/plain', md: 'text/plain', csv: 'text/csv', json: 'application/json', pdf: 'application/pdf',
  zip: 'application/zip', gz: 'application/gzip', wasm: 'application/wasm',
};

/** @param {string} name */
export function typeOf(name) {
  const dot = name.lastIndexOf('.');
  const extension = dot < 0 ? '' : name.slice(dot + 1).toLowerCase();
  return Object.hasOwn(TYPES, extension) ? TYPES[extension] : 'application/octet-stream';
}

/**
 * One `Range: bytes=…` header for a file of `size` bytes. `null`: none, or several, which may be ignored
 * (RFC 9110 §14.2); `undefined`: outside of the file.
 * @param {string | null} header
 * @param {number} size
 * @returns {{ start: number, end: number } | null | undefined}
 */
export function parseRange(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return null;
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size : Math.min(size, Number(match[2]) + 1);
  return start < end ? { start, end } : undefined;
}
