//! Ed25519 and X25519 where `crypto.subtle` has none, or is hidden from pages without TLS. `www/keys.js` loads it then.

use swarmlet_core::PeerId;
use swarmlet_core::keys::{self, Exchange, Key};
use swarmlet_core::wire::Signature;
use wasm_bindgen::prelude::wasm_bindgen;

/// One thread, so no lock.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// The public key that belongs to a seed of 32 bytes.
#[wasm_bindgen(js_name = publicKey)]
#[must_use]
pub fn public_key(seed: &[u8]) -> Vec<u8> {
    key(seed).peer_id().0.to_vec()
}

/// What the key of `seed` says to `message`.
#[wasm_bindgen]
#[must_use]
pub fn sign(seed: &[u8], message: &[u8]) -> Vec<u8> {
    key(seed).sign(message).to_vec()
}

/// Whether the owner of the key `peer` signed `message`.
#[wasm_bindgen]
#[must_use]
pub fn verify(peer: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(peer) = peer.try_into() else { return false };
    Signature::from_bytes(signature).is_some_and(|signature| keys::verify(&PeerId(peer), message, &signature))
}

/// The public half of the X25519 key that belongs to a seed of 32 bytes.
#[wasm_bindgen(js_name = exchangeKey)]
#[must_use]
pub fn exchange_key(seed: &[u8]) -> Vec<u8> {
    exchange(seed).public().to_vec()
}

/// What the X25519 key of `seed` and the owner of `theirs` have in common; nothing where `theirs` is no key.
#[wasm_bindgen]
#[must_use]
pub fn agree(seed: &[u8], theirs: &[u8]) -> Vec<u8> {
    theirs.try_into().map_or_else(|_| Vec::new(), |theirs| exchange(seed).agree(theirs).to_vec())
}

fn exchange(seed: &[u8]) -> Exchange {
    let Ok(seed) = seed.try_into() else { unreachable!("keys.js makes seeds of 32 bytes") };
    Exchange::from_seed(seed)
}

fn key(seed: &[u8]) -> Key {
    let Ok(seed) = seed.try_into() else { unreachable!("keys.js makes seeds of 32 bytes") };
    Key::from_seed(seed)
}
