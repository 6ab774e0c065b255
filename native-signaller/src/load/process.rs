//! What the system says about the server's process. Linux only; elsewhere nothing is known.

use std::fs;

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

/// Of a process, if it is known and shown.
pub(super) fn usage(pid: Option<u32>) -> Option<Usage> {
    let pid = pid?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may have blanks: the third field is the first, so user and system time are at 11 and 12.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    let cpu = (ticks()? + ticks()?) / TICKS;
    Some(Usage { rss: kib * 1024, cpu })
}
