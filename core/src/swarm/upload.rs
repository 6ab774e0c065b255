//! Whom to serve next. Pure: FairTorrent's rule (theory §1.3): the greatest deficit, what a peer gave us less
//! what we gave it, is served first; nobody is refused while nobody better waits.

use crate::config::Incentive;
use crate::time::{Instant, SECOND};
use core::cmp::Reverse;

/// Milliseconds that blocks may wait in our own line and beyond. Whom we serve is decided late, when it is known who
/// deserves it, and what is sent to two at once reaches both later than what is sent to one after the other (theory
/// §1.1); but the line must not stand still while an answer is on its way.
pub(crate) const AHEAD: u64 = 100;
/// Bytes that may be under way to all peers together: two blocks at least.
pub(crate) const AHEAD_MIN: u64 = 128 * 1024;
/// And at the most.
pub(crate) const AHEAD_MAX: u64 = 16 * 1024 * 1024;
/// A gift to who gave nothing: one block (theory §1.3 allows two).
const GIFT: u64 = 64 * 1024;

/// How good a claim to be served next is.
pub(crate) type Rank = (bool, i64, Reverse<u32>, Reverse<u32>, Reverse<u64>);

/// What a peer's claim rests on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Claim {
    /// Verified bytes that it gave us.
    pub(crate) received: u64,
    /// Bytes that we gave it.
    pub(crate) sent: u64,
    /// What anybody gets of a seed before it is seen to pass anything on.
    pub(crate) gift: u64,
    /// It passed on what it got from us first.
    pub(crate) spread: bool,
    /// Pieces that it got from us first and nobody else has yet.
    pub(crate) unspread: u32,
    /// How many copies of what it wants are known to be out already.
    pub(crate) copies: u32,
}

/// Ranks a claim for a node that `owes`, having taken something from peers itself: those who gave come first, the
/// greatest deficit first of all; who took a gift and gave nothing waits until nobody else wants anything.
///
/// A seed owes nobody: it serves those who pass on what they get (theory §0.4), then what is fresh (§0.3), then who
/// got least.
pub(crate) fn rank(incentive: Incentive, owes: bool, claim: Claim) -> Rank {
    let (welcome, deficit) = match incentive {
        Incentive::Deficit if owes => {
            let welcome = claim.received > 0 || claim.sent < GIFT;
            (welcome, claim.received.cast_signed() - claim.sent.cast_signed())
        }
        Incentive::Deficit => (claim.spread || claim.sent < claim.gift, 0),
        #[cfg(feature = "lab")]
        Incentive::None | Incentive::Classic { .. } => (true, 0),
    };
    (welcome, deficit, Reverse(claim.unspread), Reverse(claim.copies), Reverse(claim.sent))
}

/// Bytes that may be under way to all peers together, of bytes acknowledged per second and the milliseconds that takes
/// when nothing waits, or what prompt answers have earned. A line that is always busy shows no moment in which nothing
/// waits: so never more than it carries in a second.
pub(crate) fn ahead(rate: u64, way: u64, earned: u64) -> u64 {
    let rate = rate.min(1 << 36);
    let by_rate = rate * (way + AHEAD) / 1000 + AHEAD_MIN / 2;
    by_rate.max(earned).min(rate.max(AHEAD_MIN * 2))
}

/// Bytes that may wait in our own line, of bytes acknowledged per second. What is given to two channels at once reaches
/// both peers later than what is given to one after the other (theory §1.1: serial is best), and their answers come
/// together and leave the line idle until then.
pub(crate) fn line(rate: u64) -> u64 {
    (rate.min(1 << 36) * AHEAD / 2000).max(AHEAD_MIN)
}

/// Microseconds after which an unacknowledged block no longer holds up others.
pub(crate) fn patience(rate: u64) -> u64 {
    SECOND + 4 * AHEAD_MIN * SECOND / rate.max(AHEAD_MIN / 2)
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

    /// Whether nothing passes, ever.
    pub(crate) const fn is_shut(&self) -> bool {
        matches!(self.rate, Some(0))
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
            // A bucket of 50 ms, so that a limit is one at every moment, but always room for one block message.
            self.tokens = self.tokens.saturating_add(fresh).min((rate / 20).max(bytes));
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
    fn the_greatest_deficit_is_served_first_and_who_gives_nothing_gets_a_gift_only() {
        let rank =
            |received, sent| rank(Incentive::Deficit, true, Claim { received, sent, ..Claim::default() });
        assert!(rank(50, 10) > rank(10, 0));
        assert!(rank(10, 0) > rank(0, 0));
        assert!(rank(0, 0) > rank(20, 90));
        assert!(rank(1, GIFT * 9) > rank(0, GIFT));
    }

    #[test]
    fn a_seed_prefers_who_passes_on_then_what_is_fresh_then_who_got_least() {
        let rank = |sent, unspread, copies| {
            rank(Incentive::Deficit, false, Claim { sent, gift: 1000, unspread, copies, ..Claim::default() })
        };
        assert!(rank(0, 1, 9) > rank(0, 2, 0));
        assert!(rank(70, 1, 0) > rank(0, 1, 1));
        assert!(rank(0, 1, 1) > rank(7, 1, 1));
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
