//! A limit in bytes per second that many tasks share.

use core::time::Duration;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// What limits save up in quiet times, in time.
const BURST: Duration = Duration::from_millis(200);

/// Bytes per second, in the order in which they are asked for.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: u64,
    /// What may pass at once after a quiet time, in time.
    burst: Duration,
    /// When all that was granted so far is paid for.
    paid: Mutex<Option<Instant>>,
}

impl Bucket {
    pub(super) fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1), burst: BURST, paid: Mutex::new(None) }
    }

    /// One that saves nothing up, as a wire does.
    pub(super) fn steady(per_second: u64) -> Self {
        Self { burst: Duration::ZERO, ..Self::new(per_second) }
    }

    /// When `bytes` more have passed.
    pub(super) fn take(&self, bytes: usize) -> Instant {
        let now = Instant::now();
        let micros = (bytes as u128 * 1_000_000).div_ceil(u128::from(self.per_second));
        let cost = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let from = paid.map_or(now, |paid| paid.max(now.checked_sub(self.burst).unwrap_or(now)));
        let until = from + cost;
        *paid = Some(until);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time;

    #[tokio::test(start_paused = true)]
    async fn what_passes_in_a_while_is_the_limit() {
        let (bucket, began) = (Bucket::new(1_000_000), Instant::now());
        for _ in 0..100 {
            time::sleep_until(bucket.take(50_000)).await;
        }
        let took = began.elapsed();
        assert!((Duration::from_millis(4_990)..Duration::from_millis(5_010)).contains(&took), "{took:?}");
        time::sleep(Duration::from_secs(60)).await;
        let later = Instant::now();
        time::sleep_until(bucket.take(200_000)).await;
        assert!(later.elapsed() < Duration::from_millis(5), "a burst after a quiet time");
        time::sleep_until(bucket.take(100_000)).await;
        assert!(later.elapsed() >= Duration::from_millis(95), "and no more than that");
        let (wire, began) = (Bucket::steady(1_000_000), Instant::now());
        wire.take(1);
        time::sleep(Duration::from_secs(60)).await;
        assert!(wire.take(50_000) - began >= Duration::from_millis(60_050));
    }
}
