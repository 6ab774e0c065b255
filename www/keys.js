// @ts-check
// This peer's key: the browser's own Ed25519, whose private half no script can read. Browsers without it (and all
// browsers on pages that came without TLS) load a module of ours instead.

const ED25519 = 'Ed25519';
const WASM = new URL('./pkg/swarmlet_keys_bg.wasm', import.meta.url);

/**
 * @typedef {object} Keys
 * @property {Uint8Array} id the public half
 * @property {(message: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>} sign
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
  return {
    id: new Uint8Array(await subtle.exportKey('raw', publicKey)),
    sign: async (message) => new Uint8Array(await subtle.sign(ED25519, privateKey, message)),
    verify: async (peer, message, signature) => {
      // Bytes that are no point of the curve are refused here by some browsers, by others when they verify.
      const key = await subtle.importKey('raw', peer, ED25519, false, ['verify']).catch(() => null);
      return key !== null && subtle.verify(ED25519, key, signature, message);
    },
  };
}

/** @returns {Promise<Keys>} */
async function ownKeys() {
  const { default: init, publicKey, sign, verify } = await import('./pkg/swarmlet_keys.js');
  await init({ module_or_path: WASM });
  const seed = crypto.getRandomValues(new Uint8Array(32));
  return {
    id: publicKey(seed),
    sign: async (message) => sign(seed, message),
    verify: async (peer, message, signature) => verify(peer, message, signature),
  };
}
