// @ts-check
// The one kind of error that this API throws.

/** @type {Record<string, string>} */
const MESSAGES = {
  'no-webrtc': 'This browser cannot connect to other browsers.',
  unsupported: 'This browser lacks something that Swarmlet needs.',
  internal: 'Swarmlet stopped because of an error of its own.',
  closed: 'This node was closed.',
  aborted: 'This was cancelled.',
  'bad-link': 'This is not a share link, a magnet link or a content id.',
  'bad-code': 'This code is not complete, was used before, is too old, or is of another share.',
  'bad-torrent': 'This is not a torrent file, or it is damaged.',
  'bad-info': 'The list of files that came does not belong to this link.',
  'bad-argument': 'This cannot be used here.',
  'no-files': 'There are no files to share.',
  'too-many': 'There are too many shares at the same time.',
  unknown: 'There is no such share or file.',
  storage: 'The browser refused to store the data.',
  'storage-full': 'There is no storage left for this content.',
  'source-gone': 'A shared file cannot be read any more. It may have been changed, moved or deleted.',
  'read-failed': 'These bytes cannot be read.',
};

export class SwarmletError extends Error {
  /**
   * @param {string} code
   * @param {string} [message]
   * @param {{ cause?: unknown }} [options]
   */
  constructor(code, message, options) {
    super(message ?? MESSAGES[code] ?? code, options);
    this.name = 'SwarmletError';
    this.code = code;
  }
}

/**
 * What an `AbortSignal` ended with, as an error of ours.
 * @param {AbortSignal} signal
 */
export function aborted(signal) {
  return new SwarmletError('aborted', undefined, { cause: signal.reason });
}

/**
 * A promise and the two functions that settle it. A rejection that nobody waits for is no error of the page's.
 * @template T
 */
export function deferred() {
  /** @type {(value: T) => void} */
  let resolve = () => {};
  /** @type {(error: unknown) => void} */
  let reject = () => {};
  /** @type {Promise<T>} */
  const promise = new Promise((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}
