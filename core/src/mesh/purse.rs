//! What a neighbour may cost us.

use crate::time::{Instant, SECOND};

/// What passing on and answering may cost a neighbour: bytes in a minute, and at once. A connection takes
/// 1 KiB of signals, failed attempts among them (story `newcomers`).
const PURSE: u64 = 32 * 1024;
const PURSE_TIME: u64 = 60 * SECOND;
/// What a message costs besides its bytes.
const MESSAGE: u64 = 64;

pub(super) struct Purse {
    bytes: u64,
    paid_at: Instant,
}

impl Purse {
    /// A full one.
    pub(super) const fn new(now: Instant) -> Self {
        Self { bytes: PURSE, paid_at: now }
    }

    /// Whether there is enough in it for so many bytes, which are taken out.
    pub(super) fn pays(&mut self, bytes: usize, now: Instant) -> bool {
        let earned = now.passed(self.paid_at).min(PURSE_TIME) * PURSE / PURSE_TIME;
        if earned > 0 {
            self.bytes = (self.bytes + earned).min(PURSE);
            self.paid_at = now;
        }
        let rest = self.bytes.checked_sub(bytes as u64 + MESSAGE);
        self.bytes = rest.unwrap_or(self.bytes);
        rest.is_some()
    }
}
