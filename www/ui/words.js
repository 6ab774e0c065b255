// @ts-check
/** What the page says: states and errors in words that a visitor understands. */

/** @typedef {import('../swarmlet.js').Progress} Progress */

/** Seconds without any source before the page says that nobody has it. */
const NOBODY_AFTER_S = 6;

/** @type {Record<string, string>} */
const ERRORS = {
  'empty': 'Paste a link, a magnet link or a 64-character id first.',
  'bad-link': 'That is not a share link. A Swarmlet link has “#magnet:?xt=urn:btmh:…” in it; check that all of it was copied.',
  'bad-code': 'That code does not fit: it is not complete, was used before, is older than a quarter of an hour, or is of another share. Make a new link and try again.',
  'version-one': 'This is a BitTorrent version 1 link. Swarmlet needs a version 2 link (it has “urn:btmh:” in it), because only that lets every piece be checked.',
  'bad-info': 'The description of this share is damaged or breaks the rules, so it was refused. Ask for a new link or .torrent file.',
  'bad-torrent': 'This is not a .torrent file that Swarmlet can read (version 2 or hybrid is needed).',
  'storage-full': 'This browser has no room left for the download. Free some space or remove a share, then press Resume.',
  'no-webrtc': 'This browser cannot connect to other browsers (no WebRTC). Shares with a web server behind them still work.',
  'source-gone': 'The files of this share cannot be read any more: they were moved, changed or deleted. Drop them again to go on sharing.',
  'too-many': 'That is too much at once: there are too many shares, or too many files in this one.',
  'too-deep': 'The folders are nested too deeply to share (32 levels at most).',
  'unsupported': 'This browser is too old for it, or set too strictly: WebAssembly and module workers are needed.',
  'network': 'The network did not answer. Check the connection and try again.',
  'bad-name': 'A file or folder has a name that cannot be shared. Rename it and try again.',
  'too-large': 'That is larger than a share can be.',
  'storage': 'This browser could not write to its storage. Reload the page and try again.',
  'read-failed': 'This file could not be read back. It is fetched again where others have it.',
  'closed': 'Swarmlet was stopped in this tab. Reload the page to start it again.',
  'archive-size': 'This is too much for one archive. Save the files one by one.',
  'no-files': 'There are no files in what was dropped.',
};

/**
 * The code of an error, stable across versions.
 * @param {unknown} error
 */
export function codeOf(error) {
  if (error instanceof RangeError && Object.hasOwn(ERRORS, error.message)) return error.message;
  if (error instanceof DOMException && error.name === 'NotReadableError') return 'source-gone';
  if (error instanceof DOMException && error.name === 'QuotaExceededError') return 'storage-full';
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error && error.name === 'AbortError' ? 'aborted' : 'unknown';
}

/**
 * An error as a sentence that says what to do.
 * @param {unknown} error
 */
export function failure(error) {
  const code = codeOf(error);
  if (Object.hasOwn(ERRORS, code)) return sentence(code);
  const detail = error instanceof Error ? error.message : String(error);
  return `Something went wrong: ${detail || code}.`;
}

/**
 * @param {string} code
 * @returns {string}
 */
export function sentence(code) {
  return (Object.hasOwn(ERRORS, code) && ERRORS[code]) || `It stopped (${code || 'no reason given'}). Remove it and try again.`;
}

/**
 * @param {Progress} view
 * @param {boolean} mine
 * @returns {string} the state in one or two words
 */
export function state(view, mine) {
  switch (view.state) {
    case 'finding':
      return view.peers > 0 ? 'Reading the list of files' : 'Looking for peers';
    case 'checking':
      return 'Checking';
    case 'fetching':
      return view.downRate === 0 && view.peers + view.sources === 0 ? 'Waiting for peers' : 'Downloading';
    case 'seeding':
      return mine ? 'Sharing' : 'Complete';
    case 'paused':
      return 'Paused';
    default:
      return 'Stopped';
  }
}

/**
 * A sentence under the progress bar where the visitor may wonder; empty where all is plain.
 * @param {Progress} view
 * @param {{ mine: boolean, idle: number, webrtc: boolean, problem: string }} about `idle`: seconds since bytes last
 *   came; `problem`: code of what stopped it
 */
export function hint(view, { mine, idle, webrtc, problem }) {
  if (view.state === 'seeding') {
    if (mine) return 'Keep this page open: others fetch it from here.';
    return 'You have all of it. While this page is open, you pass it on to others.';
  }
  if (view.state === 'failed') return sentence(problem);
  if (view.state === 'checking') return 'Looking through what this browser already has.';
  if (view.state !== 'finding' && view.state !== 'fetching') return '';
  if (idle < NOBODY_AFTER_S) return '';
  if (view.peers + view.sources === 0) {
    if (!webrtc) return 'This browser cannot connect to others, and no web server has this content.';
    return 'No one with this content is online. Keep the page open: it starts by itself.';
  }
  if (view.unavailable > 0) return 'The people online do not have the rest. Keep the page open: it goes on by itself.';
  return 'Connected, but nothing arrives at the moment. It goes on by itself.';
}
