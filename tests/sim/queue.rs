//! The event queue: earliest first, and first in first out among equals, so that a run has one order only.

use core::cmp::Reverse;
use std::collections::BinaryHeap;
use swarmlet_core::{Instant, rng::Rng};

struct Entry<T> {
    at: Instant,
    sequence: u64,
    item: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}
impl<T> Eq for Entry<T> {}
impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// What is going to happen, by time.
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    sequence: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0 }
    }
}

impl<T> Queue<T> {
    /// Lets `item` happen at `at`, after everything that was pushed for that time before.
    pub fn push(&mut self, at: Instant, item: T) {
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, item }));
        self.sequence += 1;
    }

    /// The next thing to happen.
    pub fn pop(&mut self) -> Option<(Instant, T)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.item))
    }

    /// When the next thing happens.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }
}

/// A random stream of its own for each use, so that a draw more in one place shifts no other.
#[must_use]
pub fn fork(seed: u64, purpose: u64, index: u64) -> Rng {
    Rng::new(fork_seed(seed, purpose, index))
}

/// The 32 bytes that such a stream begins from.
#[must_use]
pub fn fork_seed(seed: u64, purpose: u64, index: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&purpose.to_le_bytes());
    bytes[16..24].copy_from_slice(&index.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_comes_first_and_equals_keep_their_order() {
        let mut queue = Queue::default();
        for (at, item) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b')] {
            queue.push(Instant::from_micros(at), item);
        }
        assert_eq!(queue.next_at(), Some(Instant::from_micros(1)));
        let order: String = core::iter::from_fn(|| queue.pop()).map(|(_, item)| item).collect();
        assert_eq!(order, "abcd");
    }

    #[test]
    fn forks_are_repeatable_and_different() {
        assert_eq!(fork(1, 2, 3).bytes32(), fork(1, 2, 3).bytes32());
        assert_ne!(fork(1, 2, 3).bytes32(), fork(1, 2, 4).bytes32());
        assert_ne!(fork(1, 2, 3).bytes32(), fork(1, 3, 3).bytes32());
    }
}
