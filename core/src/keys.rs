//! Ed25519 for hosts that have no smaller or faster one: what answers `Work::Sign` and `Work::Verify`. A leaf.
//!
//! The node itself holds no secret: browsers sign with a key that their scripts cannot read.

use crate::id::PeerId;
use crate::wire::Signature;
use curve25519_dalek::MontgomeryPoint;
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

/// A key to agree on secrets with, for one node: what answers `Work::Exchange` and `Work::Agree`.
pub struct Exchange([u8; 32]);

impl Exchange {
    /// The key that belongs to `seed`, which must come from a cryptographic source and be used for nothing else.
    #[must_use]
    pub const fn from_seed(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        MontgomeryPoint::mul_base_clamped(self.0).to_bytes()
    }

    /// What this key and the owner of `theirs` have in common, and nobody else knows. All zero where `theirs` is of
    /// small order.
    #[must_use]
    pub fn agree(&self, theirs: &[u8; 32]) -> [u8; 32] {
        MontgomeryPoint(*theirs).mul_clamped(self.0).to_bytes()
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
    use crate::id::Root;

    #[test]
    fn two_agree_as_rfc_7748_says() {
        let bytes = |text| Root::from_hex(text).unwrap().0;
        let alice = bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        let bob =
            Exchange::from_seed(bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
        assert_eq!(bob.public(), bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
        let shared = bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        assert_eq!(bob.agree(&alice), shared);
        assert_eq!(bob.agree(&[0; 32]), [0; 32], "a point of small order");
    }

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
