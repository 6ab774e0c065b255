// @ts-check
// This peer's keys: the browser's own Ed25519 and X25519, whose private halves no script can read. Browsers without it (and all
// browsers on pages that came without TLS) load a module of ours instead.

const ED25519 = 'Ed25519';
const X25519 = 'X25519';
const WASM = new URL('./pkg/swarmlet_keys_bg.wasm', import.meta.url);

/**
 * @typedef {object} Keys
 * @property {Uint8Array} id the public half
 * @property {(message: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>} sign
 * @property {() => Promise<Uint8Array>} exchange the public half of the key to agree with
 * @property {(theirs: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>} agree
 * @property {(peer: Uint8Array<ArrayBuffer>, message: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>) => Promise<boolean>} verify
 */

/** @returns {Promise<Keys>} */
export async function makeKeys() {
  try {
    return await browserKeys(crypto.subtle);
  } catch {
    return ownKeys();
  }
}

/** @param {SubtleCrypto} subtle @returns {Promise<Keys>} */
async function browserKeys(subtle) {
  const { privateKey, publicKey } = /** @type {CryptoKeyPair} */ (await subtle.generateKey(ED25519, false, ['sign', 'verify']));
  const exchange = /** @type {CryptoKeyPair} */ (await subtle.generateKey(X25519, false, ['deriveBits']));
  return {
    id: new Uint8Array(await subtle.exportKey('raw', publicKey)),
    sign: async (message) => new Uint8Array(await subtle.sign(ED25519, privateKey, message)),
    exchange: async () => new Uint8Array(await subtle.exportKey('raw', exchange.publicKey)),
    agree: async (theirs) => {
      const key = await subtle.importKey('raw', theirs, X25519, false, []);
      return new Uint8Array(await subtle.deriveBits({ name: X25519, public: key }, exchange.privateKey, 256));
    },
    verify: async (peer, message, signature) => {
      // Bytes that are no point of the curve are refused here by some browsers, by others when they verify.
      const key = await subtle.importKey('raw', peer, ED25519, false, ['verify']).catch(() => null);
      return key !== null && subtle.verify(ED25519, key, signature, message);
    },
  };
}

/** @returns {Promise<Keys>} */
async function ownKeys() {
  const { default: init, publicKey, sign, verify, exchangeKey, agree } = await import('./pkg/swarmlet_keys.js');
  await init({ module_or_path: WASM });
  const [seed, second] = [0, 1].map(() => crypto.getRandomValues(new Uint8Array(32)));
  return {
    id: publicKey(seed),
    sign: async (message) => sign(seed, message),
    exchange: async () => exchangeKey(second),
    agree: async (theirs) => agree(second, theirs),
    verify: async (peer, message, signature) => verify(peer, message, signature),
  };
}
