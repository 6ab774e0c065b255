//! Which pieces to begin, and how much to ask of a source. Pure functions: values in, values out.

use crate::config::LEAF_BYTES;
use crate::rng::Rng;
use crate::time::SECOND;
use alloc::vec::Vec;

/// Smallest request window, in leaves: one full block message.
const WINDOW_MIN: u64 = 4;
/// Requests reach at least this far ahead (theory §1.3: BDP + 250 ms).
const AHEAD_MIN: u64 = SECOND / 4;

/// The best pieces of those that could be begun: urgent before rare before common, ties by chance. Urgent ones
/// keep their order, since a reader wants them in order.
pub(crate) struct Choice<K> {
    most: usize,
    /// At most `most`, the best first; `most` is small, so insertion is cheaper than a heap.
    pub(crate) best: Vec<((bool, u64), K)>,
    order: u64,
}

impl<K> Choice<K> {
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, best: Vec::new(), order: 0 }
    }

    /// A piece that could be begun. `urgent`: somebody waits for its bytes; `holders`: links that have it.
    pub(crate) fn offer(&mut self, key: K, urgent: bool, holders: u16, rng: &mut Rng) {
        let rank = if urgent {
            self.order += 1;
            (false, self.order)
        } else {
            (true, u64::from(holders) << 32 | rng.below(1 << 32))
        };
        let mut at = self.best.len();
        while at > 0 && self.best[at - 1].0 > rank {
            at -= 1;
        }
        if at < self.most {
            self.best.insert(at, (rank, key));
            self.best.truncate(self.most);
        }
    }
}

/// How many leaves may be outstanding at one source, of bytes per second and a round trip in microseconds.
///
/// The bandwidth-delay product and a quarter of a second on top, so that a faster answer makes the window
/// grow; never more than a quarter of what the source has proven (a liar wastes little); `most` at most.
pub(crate) fn window(rate: u64, rtt: u64, proven_leaves: u64, most: u32) -> u32 {
    // No link is faster than 2^36 bytes in a second or slower than 2^26 microseconds; their product fits.
    let ahead = (rtt.min(1 << 26) * 2).max(AHEAD_MIN);
    let by_rate = rate.min(1 << 36) * ahead / (SECOND * u64::from(LEAF_BYTES)) + WINDOW_MIN * 2;
    let by_trust = WINDOW_MIN + proven_leaves / 4;
    by_rate.min(by_trust).clamp(WINDOW_MIN, u64::from(most)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(list: &[(u32, bool, u16)], most: usize, rng: &mut Rng) -> Vec<u32> {
        let mut choice = Choice::new(most);
        for (key, urgent, holders) in list {
            choice.offer(*key, *urgent, *holders, rng);
        }
        choice.best.iter().map(|(_, key)| *key).collect()
    }

    #[test]
    fn urgent_pieces_come_first_and_in_order() {
        let mut rng = Rng::new([1; 32]);
        let list = [(7, false, 1), (3, true, 9), (4, true, 9), (8, false, 5)];
        assert_eq!(choose(&list, 3, &mut rng), [3, 4, 7]);
    }

    #[test]
    fn rare_pieces_come_before_common_ones_and_ties_are_broken_by_chance() {
        let mut rng = Rng::new([2; 32]);
        let mut firsts = std::collections::BTreeSet::new();
        let list: Vec<_> = (0..10).map(|key| (key, false, if key < 5 { 1 } else { 2 })).collect();
        for _ in 0..50 {
            let chosen = choose(&list, 5, &mut rng);
            assert!(chosen.iter().all(|key| *key < 5));
            firsts.insert(chosen[0]);
        }
        assert!(firsts.len() > 3);
    }

    #[test]
    fn an_unproven_source_gets_one_block_and_a_proven_one_fills_its_pipe() {
        assert_eq!(window(0, 0, 0, 256), 4);
        assert_eq!(window(u64::MAX, u64::MAX, 1 << 40, 256), 256);
        // 5 MB/s at 40 ms: 250 ms ahead are 76 leaves and 8 to grow by.
        assert_eq!(window(5_000_000, 40_000, 10_000, 256), 84);
        assert_eq!(window(5_000_000, 40_000, 40, 256), 14);
    }
}
