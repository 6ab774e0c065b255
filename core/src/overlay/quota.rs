//! What one neighbour may have passed on, and what it may say: bytes that refill with time. A leaf.

use crate::time::Instant;

/// Bytes passed on at once: a search for somebody under attack is 45 questions of some hundred bytes.
const BURST_BYTES: u64 = 64 * 1024;
/// Bytes for each second after that; theory §3.3 says 32 KiB for each minute of envelopes, and questions come on top.
const REFILL_BYTES_PER_S: u64 = 4 * 1024;
/// How many times that a neighbour may say: answers to 135 questions of a publication, two kilobytes each, may all come
/// by one link.
const SAID_TIMES: u64 = 8;

/// A bucket of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    left: u64,
    at: Instant,
    times: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Quota {
    const fn new(times: u64) -> Self {
        Self { left: BURST_BYTES * times, at: Instant::ZERO, times }
    }

    /// For all that a neighbour says.
    #[must_use]
    pub const fn said() -> Self {
        Self::new(SAID_TIMES)
    }

    /// Takes `bytes` out. `false`: there are not so many.
    pub fn take(&mut self, now: Instant, bytes: usize) -> bool {
        let passed = now.passed(self.at).min(60_000_000);
        let refill = passed * REFILL_BYTES_PER_S * self.times / 1_000_000;
        if refill > 0 {
            self.left = (BURST_BYTES * self.times).min(self.left + refill);
            self.at = now;
        }
        let fits = self.left >= bytes as u64;
        if fits {
            self.left -= bytes as u64;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_the_rate_and_rest_fills_up_again() {
        let mut quota = Quota::default();
        let passed = |quota: &mut Quota, from_s: u64| {
            (0..10_000)
                .filter(|step| quota.take(Instant::from_micros(from_s * 1_000_000 + step * 1000), 100))
                .count()
        };
        let first = passed(&mut quota, 0) as u64 * 100;
        assert!((BURST_BYTES..BURST_BYTES + 11 * REFILL_BYTES_PER_S).contains(&first), "{first}");
        let second = passed(&mut quota, 1000) as u64 * 100;
        assert!(second + 100 > BURST_BYTES, "{second}");
    }
}
