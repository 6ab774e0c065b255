//! What the system says about the server's process. Linux only; elsewhere nothing is known.

use core::time::Duration;
use std::time::Instant;
use std::{fs, thread};

/// Memory and processor time of a process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Bytes in memory.
    pub(super) rss: u64,
    /// Seconds of processor time.
    pub(super) cpu: f64,
}

/// Clock ticks in a second, as Linux shows them to programs everywhere.
const TICKS: f64 = 100.0;
/// A process that does this little in [`QUIET`] has nothing to do.
const QUIET_SHARE: f64 = 0.02;
const QUIET: Duration = Duration::from_millis(500);
/// How long to wait for a process to come to rest.
const REST_MAX: Duration = Duration::from_secs(30);

/// Of processes together, if they are known and shown.
pub(super) fn usage(pids: &[u32]) -> Option<Usage> {
    let sum = |sum: Usage, each: Usage| Usage { rss: sum.rss + each.rss, cpu: sum.cpu + each.cpu };
    let each: Option<Vec<Usage>> = pids.iter().map(|pid| one(*pid)).collect();
    each?.into_iter().reduce(sum)
}

fn one(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(Usage { rss: kib * 1024, cpu: scheduled(pid).or_else(|| ticked(pid))? })
}

/// What its threads have used, to the nanosecond.
fn scheduled(pid: u32) -> Option<f64> {
    let mut nanos = 0u64;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // One that has ended meanwhile is not missed: those of a server live as long as it.
        let Ok(line) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        nanos += line.split(' ').next()?.parse::<u64>().ok()?;
    }
    (nanos > 0).then_some(nanos as f64 / 1e9)
}

/// What the whole process has used, to a hundredth of a second.
fn ticked(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may have blanks: the third field is the first, so user and system time are at 11 and 12.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

/// What a process has used when it has come to rest: a server that has just started packs its page first.
pub(super) fn rested(pids: &[u32]) -> Option<Usage> {
    let began = Instant::now();
    let mut last = usage(pids)?;
    loop {
        thread::sleep(QUIET);
        let next = usage(pids)?;
        let is_quiet = next.cpu - last.cpu < QUIET_SHARE * QUIET.as_secs_f64();
        if is_quiet || began.elapsed() > REST_MAX {
            return Some(next);
        }
        last = next;
    }
}
