//! Bytes per second over the last two seconds, in eight slots. A leaf.

use crate::time::Instant;

const SLOTS: usize = 8;
const SLOT_MICROS: u64 = 250_000;

/// A sliding count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    slots: [u64; SLOTS],
    /// Number of the newest slot, counted from the origin of time.
    newest: u64,
    /// Number of the first slot ever filled, so that a young rate is not divided by time before its birth.
    first: Option<u64>,
}

impl Rate {
    /// Counts `bytes` at `now`.
    pub(crate) fn add(&mut self, now: Instant, bytes: u64) {
        let slot = now.micros() / SLOT_MICROS;
        self.first.get_or_insert(slot);
        if slot > self.newest {
            let stale = (slot - self.newest).min(SLOTS as u64);
            for back in 0..stale {
                self.slots[index(slot - back)] = 0;
            }
            self.newest = slot;
        }
        self.slots[index(slot)] += bytes;
    }

    /// The mean over the window that ends `now`.
    pub(crate) fn per_second(&self, now: Instant) -> u64 {
        let Some(first) = self.first else { return 0 };
        let slot = now.micros() / SLOT_MICROS;
        let oldest = slot.saturating_sub(SLOTS as u64 - 1).max(first);
        let mut bytes = 0;
        for slot in oldest..=self.newest.min(slot) {
            bytes += self.slots[index(slot)];
        }
        let span = now.micros().saturating_sub(oldest * SLOT_MICROS).max(SLOT_MICROS);
        bytes.min(1 << 43) * 1_000_000 / span
    }
}

const fn index(slot: u64) -> usize {
    (slot % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn a_steady_stream_shows_its_rate_and_silence_shows_zero() {
        let mut rate = Rate::default();
        let mut now = Instant::from_micros(7_000_000);
        for _ in 0..400 {
            rate.add(now, 1000);
            now = now + Duration::from_millis(10);
        }
        let shown = rate.per_second(now);
        assert!((90_000..=110_000).contains(&shown), "{shown}");
        assert_eq!(rate.per_second(now + Duration::from_secs(5)), 0);
    }

    #[test]
    fn a_jump_in_time_leaves_no_ghosts() {
        let mut rate = Rate::default();
        rate.add(Instant::from_micros(0), 1_000_000);
        rate.add(Instant::from_micros(3_600_000_000), 10);
        assert!(rate.per_second(Instant::from_micros(3_600_000_000)) <= 40);
    }
}
