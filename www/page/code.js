// @ts-check
// Codes that people carry, as text for links and chats: base64url without padding (RFC 4648 §5).

import { SwarmletError } from './error.js';

/** The parameter of a share link that holds an offer. */
const IN_LINK = /[?&#]x\.offer=([\w-]+)/;

/** @param {Uint8Array} bytes */
export function codeText(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/**
 * The bytes of a code, or of the offer in a link.
 * @param {string} text
 */
export function codeBytes(text) {
  const plain = IN_LINK.exec(text)?.[1] ?? text.replaceAll(/\s/g, '');
  try {
    return Uint8Array.from(atob(plain.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
  } catch {
    throw new SwarmletError('bad-code');
  }
}

/** @param {string} link */
export function hasOffer(link) {
  return IN_LINK.test(link);
}
