//! The event queue: earliest first, and first in first out among equals, so that a run has one order only.
//!
//! A heap with four children a node (half the levels of two, and all four on one or two cache lines) over keys of
//! sixteen bytes; what happens waits in a slab and never moves (theory §6).

use swarmlet_core::{Instant, rng::Rng};

/// Children of a node of the heap.
const WIDTH: usize = 4;
/// Low bits of a key's rank that name the slot: 16 million things to come.
const SLOT_BITS: u32 = 24;

/// When, and in which order and slot.
type Key = (u64, u64);

/// What is going to happen, by time.
pub struct Queue<T> {
    heap: Vec<Key>,
    slab: Vec<Option<T>>,
    free: Vec<u32>,
    pushed: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: Vec::new(), slab: Vec::new(), free: Vec::new(), pushed: 0 }
    }
}

impl<T> Queue<T> {
    /// Lets `item` happen at `at`, after everything that was pushed for that time before.
    ///
    /// # Panics
    /// With 16 million things to come: a story of the largest size has a hundredth of that.
    pub fn push(&mut self, at: Instant, item: T) {
        let slot = self.free.pop().unwrap_or(self.slab.len() as u32);
        assert!(slot < 1 << SLOT_BITS, "too much is to come");
        match self.slab.get_mut(slot as usize) {
            Some(place) => *place = Some(item),
            None => self.slab.push(Some(item)),
        }
        let key = (at.micros(), self.pushed << SLOT_BITS | u64::from(slot));
        self.pushed += 1;
        let mut hole = self.heap.len();
        self.heap.push(key);
        while hole > 0 {
            let parent = (hole - 1) / WIDTH;
            if self.heap[parent] < key {
                break;
            }
            self.heap[hole] = self.heap[parent];
            hole = parent;
        }
        self.heap[hole] = key;
    }

    /// The next thing to happen.
    pub fn pop(&mut self) -> Option<(Instant, T)> {
        let (at, rank) = *self.heap.first()?;
        let last = self.heap.pop()?;
        if !self.heap.is_empty() {
            self.sink(last);
        }
        let slot = rank as u32 & ((1 << SLOT_BITS) - 1);
        self.free.push(slot);
        Some((Instant::from_micros(at), self.slab.get_mut(slot as usize)?.take()?))
    }

    /// When the next thing happens.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.heap.first().map(|(at, _)| Instant::from_micros(*at))
    }

    /// How many things are to come.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is to come.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Puts `key` where it belongs, from the top down.
    fn sink(&mut self, key: Key) {
        let (mut hole, count) = (0, self.heap.len());
        loop {
            let first = hole * WIDTH + 1;
            if first >= count {
                break;
            }
            let mut least = first;
            for child in first + 1..(first + WIDTH).min(count) {
                if self.heap[child] < self.heap[least] {
                    least = child;
                }
            }
            if key < self.heap[least] {
                break;
            }
            self.heap[hole] = self.heap[least];
            hole = least;
        }
        self.heap[hole] = key;
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
    fn a_long_history_comes_out_sorted_and_reuses_its_slots() {
        let mut queue = Queue::default();
        let mut rng = fork(1, 0, 0);
        let (mut now, mut order) = (0, Vec::new());
        for round in 0..20_000u64 {
            queue.push(Instant::from_micros(now + rng.below(500)), round);
            if round % 3 != 0 {
                let (at, item) = queue.pop().unwrap();
                now = at.micros();
                order.push((at, item));
            }
        }
        while let Some((at, item)) = queue.pop() {
            order.push((at, item));
        }
        assert_eq!(order.len(), 20_000);
        assert!(order.windows(2).all(|pair| pair[0].0 <= pair[1].0), "by time");
        assert!(queue.slab.len() < 7_000 && queue.is_empty());
    }

    #[test]
    fn forks_are_repeatable_and_different() {
        assert_eq!(fork(1, 2, 3).bytes32(), fork(1, 2, 3).bytes32());
        assert_ne!(fork(1, 2, 3).bytes32(), fork(1, 2, 4).bytes32());
        assert_ne!(fork(1, 2, 3).bytes32(), fork(1, 3, 3).bytes32());
    }
}
