//! Honest clients among others: drips of bytes, readers that never read, floods of announces and of offers, and inputs that
//! are none in either dialect. What is measured is how the honest ones fare, what the hostile ones can make others
//! receive, and what all of it costs in memory.

use super::LoadOptions;
use super::mob::{self, Mob, Signs};
use super::process::{rested, usage};
use super::report::Report;
use super::scenes::{Pace, Tally, joined};
use core::time::Duration;
use std::io;
use std::thread;
use std::time::Instant;

/// How long the hostile crowd may take to come in.
const GATHERING: Duration = Duration::from_secs(30);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// From the end of all connections to the last look at the server's memory.
const SETTLING: Duration = Duration::from_secs(3);

/// See [`Scene::Hostile`](super::Scene::Hostile).
pub(super) fn run(options: &LoadOptions) -> io::Result<Report> {
    let span = Duration::from_secs(options.seconds.into());
    let mut honest = joined(options)?;
    let start = rested(&options.pid);
    let mut pace = Pace::new(options, 1, mob::NAMES);
    pace.run(&mut honest, options.rate, Duration::from_secs(1))?;
    pace.run(&mut honest, options.rate, span)?;
    let mut report = Report::new(options);
    let quiet = pace.take();
    report.tally("quiet", &quiet);
    let before = usage(&options.pid);
    // The hostile ones have a thread of their own, which gives way: a crowd that keeps its own generator busy would be what the
    // honest ones wait for.
    let signs = Signs::default();
    let mob = thread::scope(|scope| {
        let mob = scope.spawn(|| {
            mob::give_way();
            let mob = Mob::new(options).and_then(|mob| mob.run(&signs));
            signs.stop();
            mob
        });
        let fared = (|| {
            let began = Instant::now();
            while !signs.is_complete() && began.elapsed() < GATHERING {
                pace.run(&mut honest, options.rate, LOOK)?;
            }
            drop(pace.take());
            signs.count();
            pace.run(&mut honest, options.rate, span)
        })();
        signs.stop();
        // What is on its way is not lost.
        let rest = pace.run(&mut honest, 0, Duration::from_secs(1));
        let mob = mob.join().map_err(|_| io::Error::other("the hostile crowd's thread has ended"))?;
        fared.and(rest).and(mob)
    })?;
    let among = pace.take();
    let after = usage(&options.pid);
    report.tally("hostile", &among);
    report.rate("success_answers", among.answered(), quiet.answered());
    let taken = mob.taken as f64 / (among.sent as f64).max(1.0);
    report.rate("success_offers", among.delivered() + taken, quiet.delivered());
    report.rate("p99_ratio", among.p99(), quiet.p99());
    report.put("honest_lost", honest.lost);
    let foreign = among.foreign_bytes + mob.foreign_bytes;
    report.put("bytes_of_floods", mob.flood_bytes);
    report.put("bytes_to_others", foreign);
    report.rate("amplification", foreign as f64, mob.flood_bytes as f64);
    mob.tell(&mut report);
    report.usage(before, after, among.sent as f64);
    drop(mob);
    drop(honest);
    // The server gives memory back within a second.
    thread::sleep(SETTLING);
    if let (Some(start), Some(end)) = (start, rested(&options.pid)) {
        report.rate("rss_kept", end.rss as f64, start.rss as f64);
    }
    Ok(report)
}

impl Tally {
    fn answered(&self) -> f64 {
        self.answers as f64 / (self.sent as f64).max(1.0)
    }

    fn delivered(&self) -> f64 {
        self.times.len() as f64 / (self.sent as f64).max(1.0)
    }

    /// Microseconds.
    fn p99(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.get(times.len() * 99 / 100).map_or(0.0, |micros| *micros as f64)
    }
}
