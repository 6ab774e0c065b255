// @ts-check
// Addresses of anchors that pages of this site were linked with, newest first: where to go when the signaller is gone.

const KEY = 'swarmlet-anchors';
const ANCHORS_MAX = 20;

/** @returns {string[]} */
export function anchors() {
  try {
    const list = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(list) ? list.map(String) : [];
  } catch {
    return [];
  }
}

/** @param {string} address @param {boolean} gone It is to be forgotten. */
export function remember(address, gone) {
  const others = anchors().filter((other) => other !== address);
  try {
    localStorage.setItem(KEY, JSON.stringify((gone ? others : [address, ...others]).slice(0, ANCHORS_MAX)));
  } catch {
    // Nothing may be kept here.
  }
}
