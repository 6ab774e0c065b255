//! A token bucket: how often something may happen.

use crate::time::Instant;
use core::time::Duration;

/// One token, in the units that accrue `per_minute` at each microsecond: no division, no rounding.
const TOKEN: u64 = 60_000_000;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_minute: u32,
    /// At once.
    pub burst: u32,
}

/// What is left of a [`Rate`].
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    level: u64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub const fn new(rate: Rate, now: Instant) -> Self {
        Self { level: rate.burst as u64 * TOKEN, at: now }
    }

    /// Whether there is as much as there can be: a bucket that need not be remembered.
    #[must_use]
    pub fn is_full(mut self, rate: Rate, now: Instant) -> bool {
        self.fill(rate, now);
        self.level >= u64::from(rate.burst) * TOKEN
    }

    fn fill(&mut self, rate: Rate, now: Instant) {
        let elapsed_us = now.micros().saturating_sub(self.at.micros());
        let gained = elapsed_us.saturating_mul(u64::from(rate.per_minute));
        self.level = self.level.saturating_add(gained).min(u64::from(rate.burst) * TOKEN);
        self.at = self.at.max(now);
    }

    /// Gives one token, where there is room for it.
    pub fn give(&mut self, rate: Rate) {
        self.level = self.level.saturating_add(TOKEN).min(u64::from(rate.burst) * TOKEN);
    }

    /// Takes one token.
    ///
    /// # Errors
    /// When there is none: how long to wait for it.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.fill(rate, now);
        match self.level.checked_sub(TOKEN) {
            Some(rest) => {
                self.level = rest;
                Ok(())
            }
            None => {
                Err(Duration::from_micros((TOKEN - self.level).div_ceil(u64::from(rate.per_minute).max(1))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate { per_minute: 60, burst: 3 };
        let start = Instant::from_micros(5);
        let mut bucket = Bucket::new(rate, start);
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, start), Ok(()));
        }
        assert_eq!(bucket.take(rate, start), Err(Duration::from_secs(1)));
        assert_eq!(bucket.take(rate, start + Duration::from_millis(400)), Err(Duration::from_millis(600)));
        assert_eq!(bucket.take(rate, start + Duration::from_secs(1)), Ok(()));
        // A century brings no more than the burst.
        let late = start + Duration::from_secs(3_000_000_000);
        assert_eq!((0..9).filter(|_| bucket.take(rate, late).is_ok()).count(), 3);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let rate = Rate { per_minute: 60, burst: 1 };
        let mut bucket = Bucket::new(rate, Instant::from_micros(10_000_000));
        assert!(bucket.take(rate, Instant::from_micros(10_000_000)).is_ok());
        assert!(bucket.take(rate, Instant::ZERO).is_err());
        assert!(bucket.take(rate, Instant::from_micros(10_000_001)).is_err());
    }
}
