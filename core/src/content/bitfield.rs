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

    /// The set as words, number `i` in bit `i % 64` of word `i / 64`.
    #[must_use]
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// The numbers in the set, ascending.
    #[must_use]
    pub fn iter(&self) -> Ones<'_> {
        Ones::of(self.len, Some(&self.words), None)
    }

    /// The numbers not in the set, ascending.
    #[must_use]
    pub fn iter_missing(&self) -> Ones<'_> {
        Ones::of(self.len, None, Some(&self.words))
    }

    /// The numbers of `other` that are not in this set, ascending: what a peer has and we miss.
    #[must_use]
    pub fn missing_from<'a>(&'a self, other: &'a Self) -> Ones<'a> {
        Ones::of(self.len.min(other.len), Some(&other.words), Some(&self.words))
    }

    /// Whether `other` has a number that is not in this set.
    #[must_use]
    pub fn wants_from(&self, other: &Self) -> bool {
        self.missing_from(other).next().is_some()
    }

    /// One bit for each number, most significant first; surplus bits are zero.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.words.len() * 8);
        for word in &self.words {
            bytes.extend_from_slice(&word.reverse_bits().to_be_bytes());
        }
        bytes.truncate(self.len.div_ceil(8) as usize);
        bytes
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
        let mut set = Self::new(len);
        for (at, byte) in bytes.iter().enumerate() {
            set.words[at / 8] |= u64::from(byte.reverse_bits()) << (at % 8 * 8);
            set.count += byte.count_ones();
        }
        Some(set)
    }
}

/// Numbers of one set that are not in another, ascending.
#[derive(Clone, Debug)]
pub struct Ones<'a> {
    /// `None`: all numbers.
    of: Option<&'a [u64]>,
    but: Option<&'a [u64]>,
    len: u32,
    next: u32,
}

impl<'a> Ones<'a> {
    const fn of(len: u32, of: Option<&'a [u64]>, but: Option<&'a [u64]>) -> Self {
        Self { of, but, len, next: 0 }
    }
}

impl Iterator for Ones<'_> {
    type Item = u32;

    // Once for all loops over sets.
    #[inline(never)]
    fn next(&mut self) -> Option<u32> {
        while self.next < self.len {
            let at = self.next as usize / 64;
            let word = self.of.map_or(u64::MAX, |words| words[at]) & !self.but.map_or(0, |words| words[at]);
            let rest = word >> (self.next % 64);
            if rest != 0 {
                let found = self.next + rest.trailing_zeros();
                self.next = found + 1;
                return (found < self.len).then_some(found);
            }
            self.next = (at as u32 + 1) * 64;
        }
        None
    }
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
