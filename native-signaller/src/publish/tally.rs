//! What visitors' pages say of how it went, added up: no address, no peer, no visit is kept. Anybody can say anything, so
//! what is said is bounded, and the sums are for comparing groups, not for invoices.

use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Bytes of one report.
pub(crate) const REPORT_BYTES_MAX: usize = 1024;
/// What one report may claim: bytes in a minute, about 1 Gbit/s; other counts.
const BYTES_MAX: u64 = 8 << 30;
const COUNT_MAX: u64 = 1000;
const MILLIS_MAX: u64 = 120_000;
/// Reports that are counted, in one second, of all visitors.
const PER_SECOND: u32 = 2000;
/// A point of the plot, and how many there are: a day.
const POINT_SECONDS: u64 = 300;
const POINTS_MAX: usize = 288;

/// Who a visitor is among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Group {
    /// Shares.
    On,
    /// Would share, and does not, to compare with.
    Holdout,
    /// The site has not begun.
    Shadow,
}

impl Group {
    pub(crate) const ALL: [(Self, &'static str); 3] =
        [(Self::On, "on"), (Self::Holdout, "holdout"), (Self::Shadow, "shadow")];
}

/// What a page says of the time since it said something last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    group: Group,
    /// 1: the first of this visit.
    #[serde(default)]
    visits: u64,
    /// Milliseconds until the page was loaded, in the first one.
    #[serde(default)]
    load_ms: u64,
    #[serde(default)]
    from_peers: u64,
    #[serde(default)]
    from_origin: u64,
    #[serde(default)]
    from_store: u64,
    #[serde(default)]
    sent: u64,
    #[serde(default)]
    stalls: u64,
    #[serde(default)]
    stall_ms: u64,
    /// Links that came up, and that did not.
    #[serde(default)]
    links: u64,
    #[serde(default)]
    links_failed: u64,
}

/// Sums of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) reports: u64,
    pub(crate) visits: u64,
    pub(crate) load_ms: u64,
    /// From peers, origin and store.
    pub(crate) bytes: [u64; 3],
    pub(crate) sent: u64,
    pub(crate) stalls: u64,
    pub(crate) stall_ms: u64,
    pub(crate) links: [u64; 2],
}

impl Sums {
    /// The part of what was needed that did not come from the site's server, in per cent.
    pub(crate) fn offload(&self) -> Option<f64> {
        let [peers, origin, _] = self.bytes;
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let (part, whole) = (peers as f64, (peers + origin) as f64);
        (whole > 0.0).then(|| 100.0 * part / whole)
    }
}

/// All reports.
#[derive(Debug)]
pub(crate) struct Tally(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    groups: [Sums; 3],
    /// Bytes from peers and from the server by time, the newest last.
    points: VecDeque<(u64, [u64; 2])>,
    start: Instant,
    second: (u64, u32),
    dropped: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let (groups, points, start) = (Default::default(), VecDeque::new(), Instant::now());
        Self(Mutex::new(Inner { groups, points, start, second: (0, 0), dropped: 0 }))
    }
}

impl Tally {
    /// Adds a report. `false`: it is none, or there are too many.
    pub(crate) fn add(&self, text: &str, now: Instant) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = now.duration_since(inner.start).as_secs();
        if inner.second.0 != seconds {
            inner.second = (seconds, 0);
        }
        inner.second.1 += 1;
        let report = serde_json::from_str::<Report>(text).ok();
        let Some(said) = report.filter(|_| text.len() <= REPORT_BYTES_MAX && inner.second.1 <= PER_SECOND)
        else {
            inner.dropped += 1;
            return false;
        };
        let bytes = [said.from_peers, said.from_origin, said.from_store].map(|bytes| bytes.min(BYTES_MAX));
        let sums = &mut inner.groups[said.group as usize];
        sums.reports += 1;
        sums.visits += said.visits.min(1);
        sums.load_ms += said.load_ms.min(MILLIS_MAX);
        sums.bytes.iter_mut().zip(bytes).for_each(|(sum, bytes)| *sum += bytes);
        sums.sent += said.sent.min(BYTES_MAX);
        sums.stalls += said.stalls.min(COUNT_MAX);
        sums.stall_ms += said.stall_ms.min(MILLIS_MAX);
        sums.links[0] += said.links.min(COUNT_MAX);
        sums.links[1] += said.links_failed.min(COUNT_MAX);
        let point = seconds / POINT_SECONDS;
        if inner.points.back().is_none_or(|(at, _)| *at != point) {
            inner.points.push_back((point, [0; 2]));
            if inner.points.len() > POINTS_MAX {
                inner.points.pop_front();
            }
        }
        if let Some((_, sum)) = inner.points.back_mut() {
            sum[0] += bytes[0];
            sum[1] += bytes[1];
        }
        true
    }

    /// The sums of all groups, in the order of [`Group::ALL`], and how many reports were not counted.
    pub(crate) fn sums(&self) -> ([Sums; 3], u64) {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.groups, inner.dropped)
    }

    /// Bytes from peers and from the server of each five minutes of the last day, empty ones too, the newest last.
    pub(crate) fn day(&self, now: Instant) -> Vec<[u64; 2]> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = now.duration_since(inner.start).as_secs() / POINT_SECONDS;
        let first = last.saturating_sub(POINTS_MAX as u64 - 1);
        let at = |point| inner.points.iter().find(|(at, _)| *at == point).map_or([0; 2], |(_, sum)| *sum);
        (first..=last).map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn reports_are_added_up_by_group_and_bounded() {
        let (tally, now) = (Tally::default(), Instant::now());
        assert!(tally.add(
            r#"{"group":"on","visits":1,"load_ms":900,"from_peers":300,"from_origin":100,"stalls":2}"#,
            now
        ));
        assert!(tally.add(
            r#"{"group":"on","from_peers":99999999999999,"visits":50,"stall_ms":18446744073709551615}"#,
            now
        ));
        assert!(tally.add(r#"{"group":"holdout","from_origin":5}"#, now));
        for bad in [
            "",
            "{}",
            r#"{"group":"all"}"#,
            r#"{"group":"on","address":"192.0.2.1"}"#,
            r#"{"group":"on","sent":-1}"#,
        ] {
            assert!(!tally.add(bad, now), "{bad}");
        }
        assert!(!tally.add(&format!("{{\"group\":\"on\"}}{}", " ".repeat(REPORT_BYTES_MAX)), now));
        let ([on, holdout, shadow], dropped) = tally.sums();
        assert_eq!((on.reports, on.visits, on.load_ms, on.stalls), (2, 2, 900, 2));
        assert_eq!((on.bytes, on.stall_ms), ([300 + BYTES_MAX, 100, 0], MILLIS_MAX));
        assert_eq!((holdout.bytes, shadow), ([0, 5, 0], Sums::default()));
        assert_eq!((holdout.offload(), shadow.offload(), dropped), (Some(0.0), None, 6));
    }

    #[test]
    fn a_flood_is_not_counted_and_a_day_is_plotted() {
        let (tally, now) = (Tally::default(), Instant::now());
        let told =
            (0..PER_SECOND + 50).filter(|_| tally.add(r#"{"group":"on","from_peers":1}"#, now)).count();
        assert_eq!(told, PER_SECOND as usize);
        let later = now + Duration::from_secs(POINT_SECONDS * 3);
        assert!(tally.add(r#"{"group":"shadow","from_origin":7}"#, later));
        assert_eq!(tally.day(later), [[PER_SECOND.into(), 0], [0, 0], [0, 0], [0, 7]]);
        let much_later = now + Duration::from_secs(POINT_SECONDS * 1000);
        assert_eq!(tally.day(much_later).len(), POINTS_MAX);
    }
}
