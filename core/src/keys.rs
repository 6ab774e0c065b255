//! Ed25519 for hosts that have no smaller or faster one: what answers `Work::Sign` and `Work::Verify`. A leaf.
//!
//! The node itself holds no secret: browsers sign with a key that their scripts cannot read.

use crate::id::PeerId;
use crate::wire::Signature;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

/// A peer's key.
pub struct Key(SigningKey);

impl Key {
    /// The key that belongs to `seed`, which must come from a cryptographic source.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Who signs with it.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        PeerId(self.0.verifying_key().to_bytes())
    }

    /// Its signature of `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Whether `peer` signed `message`. Strict: no malleable forms, no weak keys.
#[must_use]
pub fn verify(peer: &PeerId, message: &[u8], signature: &Signature) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(peer.bytes()) else { return false };
    key.verify_strict(message, &ed25519_dalek::Signature::from_components(signature.0, signature.1)).is_ok()
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.peer_id().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_key_one_text_and_one_form() {
        let (ours, other) = (Key::from_seed(&[1; 32]), Key::from_seed(&[2; 32]));
        let good = Signature::from_bytes(&ours.sign(b"text")).unwrap();
        assert!(verify(&ours.peer_id(), b"text", &good));
        assert!(!verify(&ours.peer_id(), b"Text", &good));
        assert!(!verify(&other.peer_id(), b"text", &good));
        let mut bent = good;
        bent.1[31] ^= 0x20;
        assert!(!verify(&ours.peer_id(), b"text", &bent));
        // The neutral point as a key: all zero signs everything, if one lets it.
        let mut nobody = [0; 32];
        nobody[0] = 1;
        assert!(!verify(&PeerId(nobody), b"text", &Signature(nobody, [0; 32])));
    }
}
