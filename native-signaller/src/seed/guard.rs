//! Watches what the WebRTC stack takes, and has it thrown away before it takes the process down. Everything else goes
//! on: the node, the store, the signaller; peers come back by themselves.

use super::host::News;
use super::metrics::Counters;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::fs;
use std::sync::Arc;
use swarmlet_core::Snapshot;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{self, Instant};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A new stack gets this long before it is judged, so that a wrong judgement is no storm.
const PAUSE: Duration = Duration::from_secs(600);
/// Of the descriptors that the process may have, those that may be in use.
const DESCRIPTORS_PERCENT: u64 = 80;
/// Connections that hold sockets beside those that the node knows: some are always about to close.
const STRAY_MAX: u64 = 50;
/// Links in a row of looks whose window stayed shut.
const STUCK_MAX: u64 = 5;

/// What there is at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct View {
    descriptors: u64,
    descriptors_max: u64,
    resident: u64,
    /// Connections that hold sockets.
    connections: u64,
    /// Links and attempts that the node knows.
    known: u64,
    /// Links whose window stayed shut, since the last look.
    stuck: u64,
}

/// Why the stack is to be made anew, if it is.
const fn verdict(view: &View, memory_max: u64) -> Option<&'static str> {
    if view.descriptors_max > 0 && view.descriptors * 100 > view.descriptors_max * DESCRIPTORS_PERCENT {
        return Some("descriptors");
    }
    if view.resident > memory_max {
        return Some("memory");
    }
    if view.connections > view.known + STRAY_MAX {
        return Some("stray connections");
    }
    if view.stuck >= STUCK_MAX {
        return Some("windows that stay shut");
    }
    None
}

/// Watches until the host is gone.
pub(super) async fn run(news: mpsc::WeakSender<News>, counters: Arc<Counters>, memory_max: u64) {
    let mut judged = Instant::now();
    let mut stuck_before = 0;
    loop {
        time::sleep(LOOK_EVERY).await;
        let Some(host) = news.upgrade() else { return };
        let (answer, snapshot) = oneshot::channel();
        if host.send(News::Ask(answer)).await.is_err() {
            return;
        }
        let Ok(snapshot) = snapshot.await else { return };
        let stuck = counters.stuck.load(Ordering::Relaxed);
        let view = look(&snapshot, &counters, stuck - stuck_before);
        stuck_before = stuck;
        if let Some(why) = verdict(&view, memory_max)
            && judged.elapsed() > PAUSE
        {
            judged = Instant::now();
            tracing::warn!(event = "guard", why, ?view);
            let _ = host.send(News::Recycle(why)).await;
        }
    }
}

fn look(snapshot: &Snapshot, counters: &Counters, stuck: u64) -> View {
    View {
        descriptors: descriptors().unwrap_or(0),
        descriptors_max: descriptors_max().unwrap_or(0),
        resident: resident().unwrap_or(0),
        connections: counters.connections.load(Ordering::Relaxed),
        known: snapshot.links.len() as u64 + u64::from(snapshot.dialling),
        stuck,
    }
}

/// Descriptors in use, where the system tells.
fn descriptors() -> Option<u64> {
    fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64)
}

fn descriptors_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Bytes of memory in use, where the system tells.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_excess_is_named() {
        let fine = View {
            descriptors: 79,
            descriptors_max: 100,
            resident: 10,
            connections: 60,
            known: 10,
            stuck: 4,
        };
        assert_eq!(verdict(&fine, 10), None);
        assert_eq!(verdict(&View { descriptors: 81, ..fine }, 10), Some("descriptors"));
        assert_eq!(verdict(&View { descriptors_max: 0, ..fine }, 10), None, "where the system does not tell");
        assert_eq!(verdict(&fine, 9), Some("memory"));
        assert_eq!(verdict(&View { connections: 61, ..fine }, 10), Some("stray connections"));
        assert_eq!(verdict(&View { stuck: 5, ..fine }, 10), Some("windows that stay shut"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_tells() {
        assert!(descriptors().is_some_and(|count| count > 3));
        assert!(descriptors_max().is_some_and(|count| count > 3));
        assert!(resident().is_some_and(|bytes| bytes > 100_000));
    }
}
