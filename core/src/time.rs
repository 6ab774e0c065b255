//! Time as the protocol sees it: microseconds since an origin that the host chose.

use core::ops::{Add, Sub};
use core::time::Duration;

/// A second, in microseconds.
pub const SECOND: u64 = 1_000_000;

/// A point in time. Addition saturates: a duration from outside can never overflow it (see the two
/// libp2p crashes of 2026, CVE-2026-33040 and CVE-2026-34219).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The host's origin.
    pub const ZERO: Self = Self(0);

    /// The point `micros` microseconds after the origin.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the origin, cut to 32 bits.
    #[must_use]
    pub const fn millis(self) -> u32 {
        (self.0 / 1000) as u32
    }

    /// The point so many microseconds later, or the last there is.
    #[must_use]
    pub const fn after(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds passed since `earlier`; zero if it lies in the future.
    #[must_use]
    pub const fn passed(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Time passed since `earlier`; zero if it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }
}

/// Whole microseconds of a span, at most half a million years: no overflow, and no numbers of 128 bits.
#[must_use]
pub fn micros(span: Duration) -> u64 {
    span.as_secs().min(u64::MAX / 1_000_001) * 1_000_000 + u64::from(span.subsec_micros())
}

/// The earlier of two deadlines, where `None` means never.
#[must_use]
pub fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
