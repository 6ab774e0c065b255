//! Whom to serve next. Pure: FairTorrent's rule (theory §1.3): the greatest deficit, what a peer gave us less
//! what we gave it, is served first; nobody is refused while nobody better waits.

use crate::time::{Instant, SECOND};
use core::cmp::Reverse;

/// What may be under way to all peers together: what they take in this time, so that whom we serve is decided
/// late, when it is known who deserves it.
const AHEAD_DIVISOR: u64 = 4;
/// But at least this much, or a fast link runs dry.
const AHEAD_MIN: u64 = 256 * 1024;

/// How good a claim to be served next is, from the verified bytes that a peer gave us (`received`), the bytes we gave
/// it (`sent`), and how many copies of what it wants are known to be out already: the greatest deficit, then the
/// freshest piece (theory §0.3: the origin's policy matters more than the picker), then who got least.
pub(crate) fn rank(received: u64, sent: u64, copies: u32) -> (i64, Reverse<u32>, Reverse<u64>) {
    // Who never gave anything has no deficit to be ranked by, however much it got: seeds serve such peers only.
    let deficit = if received == 0 { 0 } else { received.cast_signed() - sent.cast_signed() };
    (deficit, Reverse(copies), Reverse(sent))
}

/// Bytes that may be under way to all peers together.
pub(crate) fn ahead(rate: u64) -> u64 {
    (rate / AHEAD_DIVISOR).max(AHEAD_MIN)
}

/// A token bucket for the upload limit that the user set.
#[derive(Debug)]
pub(crate) struct Throttle {
    rate: Option<u64>,
    tokens: u64,
    filled: Instant,
}

impl Throttle {
    pub(crate) const fn new(rate: Option<u64>, now: Instant) -> Self {
        Self { rate, tokens: 0, filled: now }
    }

    /// Takes `bytes` now, or says when to come back.
    pub(crate) fn take(&mut self, now: Instant, bytes: u64) -> Result<(), Instant> {
        let Some(rate) = self.rate else { return Ok(()) };
        if rate == 0 {
            return Err(now.after(3600 * SECOND));
        }
        let passed = now.passed(self.filled);
        let fresh = rate.saturating_mul(passed) / 1_000_000;
        if fresh > 0 {
            self.filled = now;
            // A bucket of one second, but always room for one block message.
            self.tokens = self.tokens.saturating_add(fresh).min(rate.max(bytes));
        }
        if self.tokens >= bytes {
            self.tokens -= bytes;
            return Ok(());
        }
        let wait = (bytes - self.tokens).saturating_mul(1_000_000) / rate + 1;
        Err(now.after(wait.max(10_000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_deficit_is_served_first_and_ties_go_to_who_got_least() {
        assert!(rank(50, 10, 0) > rank(10, 0, 0));
        assert!(rank(10, 0, 0) > rank(0, 0, 0));
        assert!(rank(20, 20, 0) > rank(90, 90, 0));
        // A fresh piece for who got much, rather than a stale one for who got little.
        assert!(rank(0, 70, 0) > rank(0, 10, 1));
    }

    #[test]
    fn a_throttle_lets_through_what_it_is_told() {
        let mut throttle = Throttle::new(Some(100_000), Instant::ZERO);
        let (mut now, mut passed) = (Instant::ZERO, 0u64);
        while now < Instant::from_micros(10_000_000) {
            match throttle.take(now, 16_384) {
                Ok(()) => passed += 16_384,
                Err(later) => {
                    assert!(later > now);
                    now = later;
                }
            }
        }
        assert!((900_000..=1_120_000).contains(&passed), "{passed}");
    }
}
