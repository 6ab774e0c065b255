//! Chance: one seeded `ChaCha` stream for each node. Nobody else draws.

use core::time::Duration;

/// Rounds of `ChaCha12`.
const ROUNDS: usize = 12;

/// A seeded random stream: the same seed gives the same run. It is `ChaCha` (RFC 8439) with 12 rounds and a counter of
/// 64 bits, written out here because crates bring kilobytes for vector registers; the test holds it against one.
pub struct Rng {
    input: [u32; 16],
    block: [u32; 16],
    /// Words of the block that are used up.
    used: usize,
}

impl Rng {
    /// Starts the stream of `seed`.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        let mut input = [0; 16];
        input[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
        for (word, bytes) in input[4..12].iter_mut().zip(seed.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self { input, block: [0; 16], used: 16 }
    }

    fn next_u32(&mut self) -> u32 {
        if self.used == self.block.len() {
            self.refill();
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    fn refill(&mut self) {
        let mut x = self.input;
        for round in 0..ROUNDS {
            for column in 0..4 {
                // Odd rounds go down the diagonals.
                let row = |row: usize| row * 4 + (column + row * (round % 2)) % 4;
                quarter(&mut x, [column, row(1), row(2), row(3)]);
            }
        }
        for (word, input) in x.iter_mut().zip(self.input) {
            *word = word.wrapping_add(input);
        }
        self.block = x;
        self.used = 0;
        let (low, carry) = self.input[12].overflowing_add(1);
        self.input[12] = low;
        self.input[13] = self.input[13].wrapping_add(u32::from(carry));
    }

    /// 32 fresh bytes: a key seed or a nonce.
    pub fn bytes32(&mut self) -> [u8; 32] {
        let mut out = [0; 32];
        for bytes in out.as_chunks_mut().0 {
            *bytes = self.next_u32().to_le_bytes();
        }
        out
    }

    fn next_u64(&mut self) -> u64 {
        let low = self.next_u32();
        u64::from(self.next_u32()) << 32 | u64::from(low)
    }

    /// A number below `bound`; 0 when `bound` is 0. The bias is below 2^-32 for any bound a peer can reach.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(usize::try_from(self.below(items.len() as u64)).unwrap_or(0))
    }

    /// Puts `items` in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            items.swap(last, other);
        }
    }

    /// A random share of `span`: full jitter, so that many peers never act at the same time.
    pub fn jitter(&mut self, span: Duration) -> Duration {
        let micros = crate::time::micros(span);
        Duration::from_micros(self.below(micros))
    }
}

fn quarter(x: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (to, from, mixed, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        x[to] = x[to].wrapping_add(x[from]);
        x[mixed] = (x[mixed] ^ x[to]).rotate_left(by);
    }
}

impl core::fmt::Debug for Rng {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Rng")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::{RngCore, SeedableRng};

    #[test]
    fn the_stream_is_chacha12() {
        let seed = core::array::from_fn(|at| at as u8 * 7);
        let (mut ours, mut theirs) = (Rng::new(seed), ChaCha12Rng::from_seed(seed));
        for step in 0..1000 {
            if step % 3 == 0 {
                let mut bytes = [0; 32];
                theirs.fill_bytes(&mut bytes);
                assert_eq!(ours.bytes32(), bytes);
            } else {
                assert_eq!(ours.next_u64(), theirs.next_u64());
            }
        }
    }
}
