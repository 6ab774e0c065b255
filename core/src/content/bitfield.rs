//! A set of piece or leaf numbers below a fixed limit, with its size kept.

use alloc::vec;
use alloc::vec::Vec;

/// A set of `u32` below a length that never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitfield {
    /// Bit `i % 64` of word `i / 64`; bits beyond the length are always zero.
    words: Vec<u64>,
    len: u32,
    count: u32,
}

impl Bitfield {
    /// An empty set of numbers below `len`.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Self { words: vec![0; len.div_ceil(64) as usize], len, count: 0 }
    }

    /// All numbers below `len`.
    #[must_use]
    pub fn full(len: u32) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(64) as usize];
        if let (Some(last), surplus @ 1..) = (words.last_mut(), len % 64) {
            *last = (1 << surplus) - 1;
        }
        Self { words, len, count: len }
    }

    /// The limit: one more than the largest number that fits.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// How many numbers are in the set.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Whether all numbers are in the set.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// Whether no number is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether a number is in the set.
    #[must_use]
    pub fn get(&self, index: u32) -> bool {
        self.words.get(index as usize / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Adds a number. `false` when it was there, or does not fit.
    pub fn set(&mut self, index: u32) -> bool {
        if index >= self.len || self.get(index) {
            return false;
        }
        self.words[index as usize / 64] |= 1 << (index % 64);
        self.count += 1;
        true
    }

    /// Takes a number out. `false` when it was not there.
    pub fn clear(&mut self, index: u32) -> bool {
        if !self.get(index) {
            return false;
        }
        self.words[index as usize / 64] &= !(1 << (index % 64));
        self.count -= 1;
        true
    }

    /// The numbers in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        ones(self.words.iter().copied())
    }

    /// The numbers not in the set, ascending.
    pub fn iter_missing(&self) -> impl Iterator<Item = u32> + '_ {
        ones(self.words.iter().map(|word| !word)).take_while(|index| *index < self.len)
    }

    /// The numbers of `other` that are not in this set, ascending: what a peer has and we miss.
    pub fn missing_from<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        ones(self.words.iter().zip(&other.words).map(|(ours, theirs)| theirs & !ours))
    }

    /// Whether `other` has a number that is not in this set.
    #[must_use]
    pub fn wants_from(&self, other: &Self) -> bool {
        self.missing_from(other).next().is_some()
    }

    /// One bit for each number, most significant first; surplus bits are zero.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = self.words.iter().flat_map(|word| word.reverse_bits().to_be_bytes());
        bytes.take(self.len.div_ceil(8) as usize).collect()
    }

    /// Reads what [`Self::to_bytes`] wrote. `None` for any other number of bytes, and for surplus bits.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], len: u32) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) as usize {
            return None;
        }
        let surplus = bytes.len() as u32 * 8 - len;
        if bytes.last().is_some_and(|last| last.trailing_zeros() < surplus) {
            return None;
        }
        let words: Vec<u64> = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_be_bytes(word).reverse_bits()
            })
            .collect();
        let count = words.iter().map(|word| word.count_ones()).sum();
        Some(Self { words, len, count })
    }
}

/// The numbers of the set bits in a row of words.
fn ones(words: impl Iterator<Item = u64>) -> impl Iterator<Item = u32> {
    words.zip(0u32..).flat_map(|(mut word, at)| {
        core::iter::from_fn(move || {
            let bit = (word != 0).then(|| word.trailing_zeros())?;
            word &= word - 1;
            Some(at * 64 + bit)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    #[test]
    fn most_significant_bit_first() {
        let mut bits = Bitfield::new(10);
        assert!(bits.set(0) && bits.set(9) && !bits.set(9) && !bits.set(10));
        assert_eq!(bits.to_bytes(), [0b1000_0000, 0b0100_0000]);
        assert_eq!(Bitfield::from_bytes(&[0b1000_0000, 0b0110_0000], 10), None);
        assert_eq!(Bitfield::from_bytes(&[0; 3], 10), None);
        assert_eq!(Bitfield::from_bytes(&[0], 10), None);
        assert_eq!(Bitfield::from_bytes(&[], 0), Some(Bitfield::full(0)));
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(
            len in 0..300u32,
            steps in proptest::collection::vec((any::<bool>(), 0..320u32), 0..200),
            other in proptest::collection::btree_set(0..300u32, 0..100),
        ) {
            let (mut bits, mut model) = (Bitfield::new(len), BTreeSet::new());
            for (add, index) in steps {
                if add {
                    prop_assert_eq!(bits.set(index), index < len && model.insert(index));
                } else {
                    prop_assert_eq!(bits.clear(index), model.remove(&index));
                }
            }
            prop_assert_eq!(bits.count() as usize, model.len());
            prop_assert!(bits.iter().eq(model.iter().copied()));
            prop_assert!(bits.iter_missing().eq((0..len).filter(|index| !model.contains(index))));
            let mut theirs = Bitfield::new(len);
            other.iter().for_each(|index| { theirs.set(*index); });
            prop_assert!(bits.missing_from(&theirs).eq(theirs.iter().filter(|index| !model.contains(index))));
            prop_assert_eq!(Bitfield::from_bytes(&bits.to_bytes(), len), Some(bits));
        }

        #[test]
        fn full_is_every_bit_set(len in 0..300u32) {
            let mut bits = Bitfield::new(len);
            (0..len).for_each(|index| assert!(bits.set(index)));
            prop_assert!(bits.is_full());
            prop_assert_eq!(bits, Bitfield::full(len));
        }
    }
}
