//! Which pieces to begin, and how much to ask of a source. Pure: values in, values out.

use crate::config::LEAF_BYTES;
use crate::content::Bitfield;
use crate::rng::Rng;
use crate::time::SECOND;
use alloc::vec::Vec;

/// Smallest request window, in leaves: one full block message.
const WINDOW_MIN: u64 = 4;
/// Requests reach at least this far ahead (theory §1.3: BDP + 250 ms).
const AHEAD_MIN: u64 = SECOND / 4;
/// The longest extent of most sources.
const EXTENT_BYTES_MAX: u64 = 1024 * 1024;
/// What sends so many bytes per second is asked for longer ones: a browser that reads on reads for a fifth of what reading a
/// mebibyte here and there costs.
const FAST: u64 = 16 * 1024 * 1024;
/// Pieces with this many holders or more count as equally common.
const COMMON: usize = 63;

/// The free pieces of a file by how many links have them: a bitmap for each number of holders, so that the rarest
/// piece that a source has is found by comparing words and not pieces.
pub(crate) struct Ranks {
    holders: Vec<u16>,
    free: Bitfield,
    planes: Vec<Vec<u64>>,
}

impl Ranks {
    pub(crate) fn new(pieces: u32) -> Self {
        Self { holders: alloc::vec![0; pieces as usize], free: Bitfield::full(pieces), planes: Vec::new() }
    }

    /// Links that have a piece.
    pub(crate) fn holders(&self, piece: u32) -> u16 {
        match self.holders.get(piece as usize) {
            Some(count) => *count,
            None => 0,
        }
    }

    /// Pieces that nobody is at work on.
    pub(crate) const fn free(&self) -> &Bitfield {
        &self.free
    }

    /// One more link has a piece.
    pub(crate) fn gain(&mut self, piece: u32) {
        self.count(piece, u16::saturating_add(self.holders(piece), 1));
    }

    /// One link less has it.
    pub(crate) fn lose(&mut self, piece: u32) {
        self.count(piece, u16::saturating_sub(self.holders(piece), 1));
    }

    fn count(&mut self, piece: u32, count: u16) {
        if self.holders.get(piece as usize).is_none() {
            return;
        }
        self.mark(piece, false);
        self.holders[piece as usize] = count;
        self.mark(piece, self.free.get(piece));
    }

    /// A piece may be begun, or may not.
    pub(crate) fn set_free(&mut self, piece: u32, free: bool) {
        if free {
            self.free.set(piece);
        } else {
            self.free.clear(piece);
        }
        self.mark(piece, free);
    }

    /// Writes the bit of a piece in the plane of its number of holders. What nobody has is in none.
    fn mark(&mut self, piece: u32, on: bool) {
        let plane = usize::from(self.holders(piece)).min(COMMON);
        if plane == 0 {
            return;
        }
        while self.planes.len() < plane && on {
            self.planes.push(alloc::vec![0; self.holders.len().div_ceil(64)]);
        }
        let Some(words) = self.planes.get_mut(plane - 1) else { return };
        let (word, bit) = (piece as usize / 64, 1 << (piece % 64));
        if on {
            words[word] |= bit;
        } else {
            words[word] &= !bit;
        }
    }

    /// The rarest free piece of those that a source `has` and that `fits`, with its number of holders; ties by
    /// chance, but an extent that was begun is gone on with.
    pub(crate) fn rarest(
        &self,
        has: &Bitfield,
        fits: &dyn Fn(u32) -> bool,
        extent: Extent,
        rng: &mut Rng,
    ) -> Option<(usize, u32)> {
        for (plane, words) in self.planes.iter().enumerate() {
            let able = |piece: u32| {
                let word = words.get(piece as usize / 64);
                word.is_some_and(|word| word >> (piece % 64) & 1 > 0) && has.get(piece) && fits(piece)
            };
            if extent.holds(extent.next) && able(extent.next) {
                return Some((plane + 1, extent.next));
            }
            let mut count = 0;
            for (word, theirs) in words.iter().zip(has.words()) {
                count += u64::from((word & theirs).count_ones());
            }
            if count == 0 {
                continue;
            }
            // The one that chance names, or the next one that fits, round the end.
            let mut skip = rng.below(count);
            for lap in 0..2 {
                for (at, (word, theirs)) in words.iter().zip(has.words()).enumerate() {
                    let mut both = word & theirs;
                    let ones = u64::from(both.count_ones());
                    if lap == 0 && ones <= skip {
                        skip -= ones;
                        continue;
                    }
                    while both != 0 {
                        let mut piece = at as u32 * 64 + both.trailing_zeros();
                        both &= both - 1;
                        if skip > 0 {
                            skip -= 1;
                        } else if fits(piece) {
                            while extent.holds(piece) && able(piece - 1) {
                                piece -= 1;
                            }
                            return Some((plane + 1, piece));
                        }
                    }
                }
            }
        }
        None
    }
}

/// Which piece follows the one that a source was asked for last, and how many pieces are better taken from it in a row
/// (libtorrent: `piece_extent_affinity`): one read of a disk and one write, where chance would make many.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    next: u32,
    pieces: u32,
}

impl Extent {
    /// Extents are what a source sends in an eighth of a second, so that slow sources still choose by chance alone; and of fast ones
    /// what these send in a second at most.
    pub(crate) fn new(next: u32, rate: u64, piece_length: u32) -> Self {
        let bytes = if rate < FAST { (rate / 8).min(EXTENT_BYTES_MAX) } else { FAST };
        let pieces = bytes as u32 / piece_length;
        Self { next, pieces: 1 << (pieces | 1).ilog2() }
    }

    /// Whether a piece belongs to the same extent as the one before it.
    const fn holds(self, piece: u32) -> bool {
        !piece.is_multiple_of(self.pieces)
    }
}

/// How far ahead requests reach, and until when an answer is prompt, of a round trip in microseconds.
pub(crate) fn ahead(rtt: u64) -> u64 {
    (rtt.min(1 << 26) * 2).max(AHEAD_MIN)
}

/// How many leaves may be outstanding at one source, of bytes per second and a round trip in microseconds.
///
/// The bandwidth-delay product and a quarter of a second on top, or what prompt answers have earned it;
/// never more than two blocks and half of what the source has proven (a liar keeps us waiting for little); `most` at most.
pub(crate) fn window(rate: u64, rtt: u64, earned: u64, proven_leaves: u64, most: u32) -> u32 {
    // No link is faster than 2^36 bytes in a second or slower than 2^26 microseconds; their product fits.
    let by_rate = rate.min(1 << 36) * ahead(rtt) / (SECOND * u64::from(LEAF_BYTES)) + WINDOW_MIN * 2;
    let by_trust = 2 * WINDOW_MIN + proven_leaves / 2;
    by_rate.max(earned).min(by_trust).clamp(WINDOW_MIN, u64::from(most)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;

    const ALONE: Extent = Extent { next: 0, pieces: 1 };

    fn all(_: u32) -> bool {
        true
    }

    #[test]
    fn a_fast_source_is_asked_for_neighbours_and_a_slow_one_by_chance() {
        assert_eq!(Extent::new(7, 1_000_000, 65_536).pieces, 1);
        assert_eq!(Extent::new(7, 2_000_000, 65_536).pieces, 2);
        assert_eq!(Extent::new(7, 16_000_000, 65_536).pieces, 16);
        assert_eq!(Extent::new(7, 17_000_000, 65_536).pieces, 256);
        assert_eq!(Extent::new(7, 40_000_000, 8 << 20).pieces, 2);
        assert_eq!(Extent::new(7, 16_000_000, 8 << 20).pieces, 1);

        let mut rng = Rng::new([3; 32]);
        let mut ranks = Ranks::new(70);
        let has = Bitfield::full(70);
        for piece in 0..70 {
            ranks.gain(piece);
        }
        let mut next = 0;
        let mut jumps = 0;
        for _ in 0..70 {
            let (_, piece) =
                ranks.rarest(&has, &all, Extent { next, pieces: 8 }, &mut rng).expect("some are free");
            jumps += u32::from(piece != next);
            ranks.set_free(piece, false);
            next = piece + 1;
        }
        // Nine extents, and two may follow each other by chance.
        assert!((1..=9).contains(&jumps), "{jumps}");
        // What is rarer comes first all the same.
        for piece in 0..70 {
            ranks.set_free(piece, true);
        }
        (0..70).filter(|piece| *piece != 50).for_each(|piece| ranks.gain(piece));
        assert_eq!(ranks.rarest(&has, &all, Extent { next: 3, pieces: 8 }, &mut rng), Some((1, 50)));
    }

    #[test]
    fn rare_pieces_come_before_common_ones_and_ties_are_broken_by_chance() {
        let mut rng = Rng::new([2; 32]);
        let mut ranks = Ranks::new(130);
        let has = Bitfield::full(130);
        assert_eq!(ranks.rarest(&has, &all, ALONE, &mut rng), None);
        for piece in 0..130 {
            ranks.gain(piece);
            if piece % 13 != 0 {
                ranks.gain(piece);
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let (holders, piece) = ranks.rarest(&has, &all, ALONE, &mut rng).expect("there are free pieces");
            assert_eq!((holders, piece % 13), (1, 0));
            seen.insert(piece);
        }
        assert_eq!(seen.len(), 10);
        for piece in seen {
            ranks.set_free(piece, false);
        }
        assert_eq!(ranks.rarest(&has, &all, ALONE, &mut rng).map(|(holders, _)| holders), Some(2));
        assert_eq!(ranks.rarest(&has, &|piece| piece == 129, ALONE, &mut rng), Some((2, 129)));
    }

    proptest! {
        #[test]
        fn what_is_chosen_is_free_fits_and_is_the_rarest(
            steps in prop::collection::vec((0u32..200, 0u8..4), 0..400), seed: u8,
        ) {
            let mut ranks = Ranks::new(200);
            let (mut holders, mut free) = ([0u16; 200], [true; 200]);
            let mut has = Bitfield::new(200);
            for (piece, step) in steps {
                let at = piece as usize;
                match step {
                    0 => { ranks.gain(piece); holders[at] += 1; }
                    1 => { ranks.lose(piece); holders[at] = holders[at].saturating_sub(1); }
                    2 => { free[at] = !free[at]; ranks.set_free(piece, free[at]); }
                    _ => { has.set(piece); }
                }
            }
            let able = |piece: u32| {
                let at = piece as usize;
                has.get(piece) && free[at] && holders[at] > 0 && piece.is_multiple_of(3)
            };
            let least = (0..200).filter(|piece| able(*piece)).map(|piece| holders[piece as usize]).min();
            let fits = |piece: u32| piece.is_multiple_of(3);
            let found = ranks.rarest(&has, &fits, ALONE, &mut Rng::new([seed; 32]));
            prop_assert_eq!(found.map(|(count, _)| count), least.map(usize::from));
            if let Some((_, piece)) = found {
                prop_assert!(able(piece) && Some(holders[piece as usize]) == least);
            }
        }
    }

    #[test]
    fn an_unproven_source_gets_two_blocks_and_a_proven_one_fills_its_pipe() {
        assert_eq!(window(0, 0, 0, 0, 256), 8);
        assert_eq!(window(u64::MAX, u64::MAX, 0, 1 << 40, 256), 256);
        // 5 MB/s at 40 ms: 250 ms ahead are 76 leaves and 8 to grow by.
        assert_eq!(window(5_000_000, 40_000, 0, 10_000, 256), 84);
        assert_eq!(window(5_000_000, 40_000, 0, 40, 256), 28);
        assert_eq!(window(100_000, 40_000, 60, 500, 256), 60);
    }
}
