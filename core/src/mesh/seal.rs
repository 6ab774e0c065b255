//! How a parcel is sealed: HMAC-SHA-256 as key derivation, as key stream and as proof (docs/PROTOCOL.md, "Parcels").
//! A leaf.

use crate::id::{Hash, PeerId};
use alloc::vec::Vec;

/// What is marked for the proof; a stream has fewer blocks.
const PROOF: u8 = u8::MAX;
/// How far behind the newest parcel an older one may come.
const WINDOW: u64 = 64;

/// Who holds a key for parcels.
#[derive(Clone, Copy)]
pub(super) struct Holder<'a> {
    pub(super) peer: &'a PeerId,
    pub(super) key: &'a [u8; 32],
}

/// What one peer seals for another with, one way.
pub(super) struct Way([u8; 32]);

impl Way {
    /// From what both have agreed on.
    pub(super) fn new(secret: &[u8], from: Holder<'_>, to: Holder<'_>) -> Self {
        let parts =
            [b"swarmlet parcel 1".as_slice(), from.peer.bytes(), to.peer.bytes(), from.key, to.key].concat();
        Self(mac(secret, &parts))
    }

    /// Writes number, proof and what is encrypted. No number twice.
    pub(super) fn seal(&self, number: u64, plain: &[u8], to: &mut Vec<u8>) {
        let number = number.to_le_bytes();
        let mut sealed = plain.to_vec();
        self.stream(&number, &mut sealed);
        to.extend_from_slice(&number);
        to.extend_from_slice(&self.mark(PROOF, &number, &sealed)[..16]);
        to.extend_from_slice(&sealed);
    }

    /// Decrypts what is proven. Answers its number and what it says.
    pub(super) fn open<'a>(&self, parcel: &'a mut [u8]) -> Option<(u64, &'a [u8])> {
        let (number, rest) = parcel.split_first_chunk_mut()?;
        let (proof, sealed) = rest.split_at_mut_checked(16)?;
        // Every byte is looked at, wherever the first difference is: how long this takes tells nothing.
        let mut differ = 0;
        for (ours, theirs) in self.mark(PROOF, number, sealed).iter().zip(&*proof) {
            differ |= ours ^ theirs;
        }
        if differ != 0 {
            return None;
        }
        self.stream(number, sealed);
        Some((u64::from_le_bytes(*number), sealed))
    }

    fn stream(&self, number: &[u8; 8], bytes: &mut [u8]) {
        for (block, bytes) in bytes.chunks_mut(32).enumerate() {
            for (byte, with) in bytes.iter_mut().zip(self.mark(block as u8, number, &[])) {
                *byte ^= with;
            }
        }
    }

    /// `what` keeps the blocks of the stream and the proof apart.
    fn mark(&self, what: u8, number: &[u8; 8], bytes: &[u8]) -> [u8; 32] {
        mac(&self.0, &[&[what], number.as_slice(), bytes].concat())
    }
}

/// HMAC-SHA-256 (RFC 2104) with a key of at most 64 bytes, written out: the crate that the tests hold it against takes
/// two kilobytes to say the same.
fn mac(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let around = |pad: u8, bytes: &[u8]| {
        let mut block = [pad; 64].to_vec();
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block.extend_from_slice(bytes);
        Hash::of(&block).0
    };
    around(0x5c, &around(0x36, bytes))
}

/// Which numbers have come: none counts twice.
#[derive(Default)]
pub(super) struct Seen {
    newest: u64,
    /// Bit n: the newest but n. Number 0 is never used.
    before: u64,
}

impl Seen {
    /// Notes a number. `false`: it came before, or is so old that nobody knows.
    pub(super) fn is_new(&mut self, number: u64) -> bool {
        if number > self.newest {
            let by = number - self.newest;
            self.before = if by < WINDOW { self.before << by | 1 } else { 1 };
            self.newest = number;
            return true;
        }
        let age = self.newest - number;
        let bit = if age < WINDOW && number > 0 { 1 << age } else { return false };
        let is_new = self.before & bit == 0;
        self.before |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use std::vec;

    fn ways() -> [Way; 3] {
        let (a, b) = (PeerId([1; 32]), PeerId([2; 32]));
        let (a, b) = (Holder { peer: &a, key: &[3; 32] }, Holder { peer: &b, key: &[4; 32] });
        [Way::new(&[5; 32], a, b), Way::new(&[5; 32], b, a), Way::new(&[6; 32], a, b)]
    }

    proptest! {
        #[test]
        fn the_mac_is_hmac(key in prop::collection::vec(any::<u8>(), 0..65), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut other = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
            other.update(&bytes);
            prop_assert!(mac(&key, &bytes)[..] == other.finalize().into_bytes()[..]);
        }

        #[test]
        fn what_is_sealed_is_read_by_its_receiver_as_it_was_and_by_nobody_else(
            plain in prop::collection::vec(any::<u8>(), 0..256), number: u64, at: prop::sample::Index, bit in 0u8..8,
        ) {
            let [way, back, other] = ways();
            let mut parcel = vec![];
            way.seal(number, &plain, &mut parcel);
            prop_assert!(plain.len() < 8 || !parcel.windows(plain.len()).any(|part| part == plain));
            for wrong in [&back, &other] {
                prop_assert!(wrong.open(&mut parcel.clone()).is_none());
            }
            for end in 0..parcel.len() {
                prop_assert!(way.open(&mut parcel[..end].to_vec()).is_none());
            }
            let mut bent = parcel.clone();
            bent[at.index(parcel.len())] ^= 1 << bit;
            prop_assert_eq!(way.open(&mut bent), None);
            prop_assert_eq!(way.open(&mut parcel), Some((number, plain.as_slice())));
        }

        #[test]
        fn no_number_counts_twice(numbers in prop::collection::vec(0u64..200, 0..400)) {
            let (mut seen, mut taken) = (Seen::default(), std::collections::BTreeSet::new());
            for number in numbers {
                let newest = taken.last().copied().unwrap_or(0);
                let should = number > 0 && newest < number.saturating_add(WINDOW) && taken.insert(number);
                prop_assert_eq!(seen.is_new(number), should);
            }
        }
    }
}
