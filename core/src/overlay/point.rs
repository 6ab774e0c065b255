//! Places: where a peer stands, how far that is from another place, and what a place costs. A leaf.

use crate::id::{PeerId, Topic};
use crate::wire::overlay::{Contact, Point};
use sha2::{Digest, Sha256};

/// An hour: a key stands elsewhere in the next one, so a place next to it that was paid for is worth one hour.
pub const EPOCH_S: u64 = 3600;

impl Point {
    /// Where a peer stands; `None`: its puzzle is not solved. Two hashes: what is near to a key cannot be chosen
    /// without solving the puzzle for each try (S/Kademlia, static puzzle).
    #[must_use]
    pub fn of(contact: &Contact, puzzle_bits: u8) -> Option<Self> {
        let mut hash = Sha256::new();
        hash.update(b"swarmlet overlay place");
        hash.update(contact.peer.bytes());
        hash.update(contact.nonce.to_le_bytes());
        let place: [u8; 32] = hash.finalize().into();
        let price: [u8; 32] = Sha256::digest(place).into();
        let zeros = u64::from_be_bytes(*price.first_chunk()?).leading_zeros();
        (zeros >= u32::from(puzzle_bits)).then_some(Self(u128::from_be_bytes(*place.first_chunk()?)))
    }

    /// Where a topic's providers are listed in an hour since 1970.
    #[must_use]
    pub fn of_topic(topic: &Topic, hour: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"swarmlet overlay key");
        hash.update(topic.bytes());
        hash.update(hour.to_le_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        Self(hash.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes)))
    }

    /// How far it is from another place.
    #[must_use]
    pub const fn to(self, other: Self) -> u128 {
        self.0 ^ other.0
    }

    /// The upper half of the distance: enough to estimate by, and no arithmetic of 128 bits.
    #[must_use]
    pub const fn far(self, other: Self) -> u64 {
        (self.to(other) >> 64) as u64
    }

    /// In which bucket of ours another place lies: the length of what both have in common.
    #[must_use]
    pub const fn bucket(self, other: Self) -> u32 {
        self.to(other).leading_zeros()
    }

    /// A place in that bucket: what is common, the other bit, and `noise`.
    #[must_use]
    pub const fn in_bucket(self, bucket: u32, noise: u128) -> Self {
        let bucket = if bucket > 126 { 126 } else { bucket };
        let flip = 1u128 << (127 - bucket);
        Self((self.0 ^ flip) & !(flip - 1) | noise & (flip - 1))
    }
}

/// Looks for the answer to a peer's puzzle, some tries at a time: the host calls it while it has nothing to do.
#[derive(Clone, Copy, Debug)]
pub struct Puzzle {
    peer: PeerId,
    bits: u8,
    next: u32,
}

impl Puzzle {
    /// Nothing tried yet.
    #[must_use]
    pub const fn new(peer: PeerId, bits: u8) -> Self {
        Self { peer, bits, next: 0 }
    }

    /// Tries so many answers, two hashes each.
    pub fn work(&mut self, tries: u32) -> Option<Contact> {
        for _ in 0..tries {
            let contact = Contact { peer: self.peer, nonce: self.next };
            self.next = self.next.wrapping_add(1);
            if Point::of(&contact, self.bits).is_some() {
                return Some(contact);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_place_made_for_a_bucket_lies_in_it(me: u128, bucket in 0u32..127, noise: u128) {
            let place = Point(me).in_bucket(bucket, noise);
            prop_assert_eq!(Point(me).bucket(place), bucket);
        }

        #[test]
        fn an_answer_is_found_and_holds_for_one_peer(peer: [u8; 32]) {
            let contact = Puzzle::new(PeerId(peer), 6).work(10_000).unwrap();
            prop_assert!(Point::of(&contact, 6).is_some());
            let mut found = 0;
            for other in 0u8..64 {
                let contact = Contact { peer: PeerId([other; 32]), ..contact };
                found += u32::from(Point::of(&contact, 6).is_some());
            }
            prop_assert!(found < 16, "an answer fits one in 64 peers, not {found} of 64");
        }
    }
}
