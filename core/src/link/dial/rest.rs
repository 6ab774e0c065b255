//! A network that seems to let nothing through, and how seldom it is tried then.

use super::known::BACKOFF;
use crate::time::Instant;

/// So many connections in a row that never opened, while there is no link at all, and the network is taken for one that
/// lets nothing through: then one at a time is tried, after a pause that doubles as that of a single peer does. A tab's
/// 400 connections would be gone in a quarter of an hour; so they last for most of a day, and whoever moves to another
/// network links within three minutes. More than a newcomer meets by chance: of ten pairs behind NATs eight connect.
const MISSES_MAX: u32 = 24;

/// Connections that never opened since one did, and how long nothing is tried therefore.
pub(super) struct Rest {
    misses: u32,
    until: Instant,
}

impl Rest {
    pub(super) const fn new() -> Self {
        Self { misses: 0, until: Instant::ZERO }
    }

    /// A connection opened.
    pub(super) const fn opened(&mut self) {
        self.misses = 0;
    }

    /// One never did.
    pub(super) fn missed(&mut self, now: Instant) {
        self.misses += 1;
        if self.misses >= MISSES_MAX {
            self.until = now.after(BACKOFF << (self.misses - MISSES_MAX).min(6));
        }
    }

    /// Whether it is not the time to try, where there is no link: it rests, or one attempt is under way.
    pub(super) fn holds(&self, trying: bool, now: Instant) -> bool {
        self.misses >= MISSES_MAX && (self.until > now || trying)
    }

    /// Until when.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        (self.until > now).then_some(self.until)
    }
}
