//! Ed25519 for hosts that have no smaller or faster one: what answers `Work::Sign` and `Work::Verify`. A leaf.
//!
//! The node itself holds no secret: browsers sign with a key that their scripts cannot read.

use crate::id::PeerId;
use crate::wire::Signature;
use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::{Signer, SigningKey, Verifier, VerifyingKey};

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

/// Whether `peer` signed `message`. Strict: no malleable forms, no weak keys. It is what `verify_strict` of ed25519-dalek
/// says, without the square root that finds the point R: bytes of R that are those of a computed point are its only form,
/// so that points of small order can be told by them.
#[must_use]
pub fn verify(peer: &PeerId, message: &[u8], signature: &Signature) -> bool {
    let mut height = signature.0;
    height[31] &= 0x7f;
    let Ok(key) = VerifyingKey::from_bytes(peer.bytes()) else { return false };
    let signed = ed25519_dalek::Signature::from_components(signature.0, signature.1);
    !SMALL_ORDER.contains(&height) && !key.is_weak() && key.verify(message, &signed).is_ok()
}

/// The y of the eight points of small order of edwards25519: 1, -1, 0, and two of order eight.
const SMALL_ORDER: [[u8; 32]; 5] = [
    height(1, 0, 0),
    height(0xec, 0xff, 0x7f),
    height(0, 0, 0),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn height(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    (bytes[0], bytes[31]) = (first, last);
    bytes
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
    fn points_of_small_order_are_known_by_their_bytes() {
        for point in curve25519_dalek::constants::EIGHT_TORSION {
            let mut bytes = point.compress().0;
            bytes[31] &= 0x7f;
            assert!(SMALL_ORDER.contains(&bytes));
        }
    }

    /// Small orders, forms that are not canonical, and random damage, as keys and as R.
    #[test]
    fn it_says_what_the_strict_check_says() {
        let key = Key::from_seed(&[3; 32]);
        let (good, mut rng) = (key.sign(b"text"), crate::rng::Rng::new([6; 32]));
        let torsion = curve25519_dalek::constants::EIGHT_TORSION.map(|point| point.compress().0);
        let mut points = torsion.to_vec();
        points.extend(torsion.map(|mut bytes| {
            bytes[31] ^= 0x80;
            bytes
        }));
        points.extend([[0xff; 32], height(0xee, 0xff, 0x7f), height(0xed, 0xff, 0xff)]);
        points.extend([key.peer_id().0, rng.bytes32(), good[..32].try_into().unwrap()]);
        let scalars = [[0; 32], height(1, 0, 0), good[32..].try_into().unwrap(), rng.bytes32()];
        let (mut yes, mut no) = (0, 0);
        for (peer, r) in points.iter().flat_map(|peer| points.iter().map(move |r| (peer, r))) {
            for s in scalars {
                let strict = VerifyingKey::from_bytes(peer).is_ok_and(|key| {
                    key.verify_strict(b"text", &ed25519_dalek::Signature::from_components(*r, s)).is_ok()
                });
                assert_eq!(verify(&PeerId(*peer), b"text", &Signature(*r, s)), strict);
                *(if strict { &mut yes } else { &mut no }) += 1;
            }
        }
        assert!(yes == 1 && no > 1000, "{yes} {no}");
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
