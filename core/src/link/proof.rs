//! Who a peer is: Ed25519 keys, and proofs that bind a key to the two DTLS sessions of a link. A leaf.

use crate::id::{Fingerprint, PeerId};
use crate::wire::Signature;
use alloc::vec::Vec;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

/// This node's key.
pub(crate) struct Identity {
    key: SigningKey,
    peer: PeerId,
}

/// One side of a link, as its proof names it.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) peer: &'a PeerId,
    pub(crate) fingerprint: &'a Fingerprint,
    pub(crate) nonce: &'a [u8; 32],
}

impl Identity {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let peer = PeerId(key.verifying_key().to_bytes());
        Self { key, peer }
    }

    pub(crate) const fn peer(&self) -> PeerId {
        self.peer
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let bytes = self.key.sign(message).to_bytes();
        let mut halves = Signature([0; 32], [0; 32]);
        halves.0.copy_from_slice(&bytes[..32]);
        halves.1.copy_from_slice(&bytes[32..]);
        halves
    }
}

/// Whether `peer` signed `message`. Strict: no malleable forms, no weak keys.
pub(crate) fn verify(peer: &PeerId, message: &[u8], signature: &Signature) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(peer.bytes()) else { return false };
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&signature.0);
    bytes[32..].copy_from_slice(&signature.1);
    key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&bytes)).is_ok()
}

/// What `signer` signs to prove itself to `other` (docs/PROTOCOL.md, "Proof").
pub(crate) fn transcript(signer: Side<'_>, other: Side<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(15 + 6 * 32);
    out.extend_from_slice(b"swarmlet link 1");
    for side in [signer, other] {
        out.extend_from_slice(side.peer.bytes());
        out.extend_from_slice(side.fingerprint.bytes());
        out.extend_from_slice(side.nonce);
    }
    out
}
