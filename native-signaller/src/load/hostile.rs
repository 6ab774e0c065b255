//! Honest clients among others: drips that send a byte now and then, readers that never read, floods of announces, and
//! messages that are none. What is measured is how the honest ones fare.

use super::crowd::{Crowd, push};
use super::process::usage;
use super::report::Report;
use super::scenes::{Pace, joined};
use super::words::Announce;
use super::{LoadOptions, Speech};
use core::time::Duration;
use std::io;
use std::time::Instant;
use swarmlet_core::tracker::server::Dialect;

/// Of each kind, for each honest client.
const DRIPS: usize = 5;
const OTHERS_OF_EACH: usize = 8;
/// Between two acts of the hostile crowd.
const BEAT: Duration = Duration::from_millis(20);
/// Drips send one byte each in so many beats.
const DRIP_BEATS: usize = 50;

/// See [`Scene::Hostile`](super::Scene::Hostile).
pub(super) fn run(options: &LoadOptions) -> io::Result<Report> {
    let span = Duration::from_secs(options.seconds.into());
    let mut honest = joined(options)?;
    let mut pace = Pace::new(options, 1);
    pace.run(&mut honest, options.rate, Duration::from_secs(1))?;
    let sent = pace.run(&mut honest, options.rate, span)?;
    let mut report = Report::new(options);
    report.rate("quiet_offers_each", pace.times.len() as f64, sent as f64);
    report.latency("quiet_offer_ms", &mut pace.times);
    let before = usage(options.pid);
    let mut mob = Mob::new(options)?;
    let (mut sent, mut times, began) = (0, Vec::new(), Instant::now());
    while began.elapsed() < span {
        mob.act()?;
        sent += pace.run(&mut honest, options.rate, BEAT)?;
        times.append(&mut pace.times);
    }
    report.rate("offers_each", times.len() as f64, sent as f64);
    report.latency("offer_ms", &mut times);
    report.put("honest_lost", honest.lost);
    report.put("hostile_opened", mob.opened);
    report.put("hostile_closed", mob.crowd.lost);
    report.usage(before, usage(options.pid), sent as f64);
    Ok(report)
}

/// The hostile crowd. Each place has one kind of client, and who is closed comes again.
struct Mob {
    crowd: Crowd,
    drips: usize,
    all: usize,
    beat: usize,
    opened: u64,
    junk: Vec<(u8, Vec<u8>)>,
    flood: Vec<Announce>,
}

impl Mob {
    fn new(options: &LoadOptions) -> io::Result<Self> {
        let crowd = Crowd::new(options.target, &options.path, options.speech.protocol())?;
        let drips = options.connections * DRIPS;
        let all = drips + options.connections / 10 * OTHERS_OF_EACH;
        // Into the honest ones' largest swarm, with names that nobody honest has.
        let flood = (0..OTHERS_OF_EACH).map(|at| Announce::new(900_000 + at, 0, options.offers, 1)).collect();
        let junk = junk(options.speech);
        Ok(Self { crowd, drips, all, beat: 0, opened: 0, junk, flood })
    }

    fn act(&mut self) -> io::Result<()> {
        self.beat += 1;
        // As many come (again) as a generator on one core can bring without being the bottleneck itself.
        for step in 0..20 {
            let at = (self.beat * 20 + step) % self.all;
            if !self.crowd.is_connected(at) {
                self.crowd.connect(at)?;
                self.opened += 1;
            }
        }
        for at in (self.beat % DRIP_BEATS..self.drips).step_by(DRIP_BEATS) {
            self.crowd.send_raw(at, b"\x81");
        }
        for at in (self.drips..self.all).step_by(8) {
            let which = (self.beat + at) % self.junk.len();
            let (opcode, bytes) = &self.junk[which];
            self.crowd.send(at, |out| push(out, *opcode, bytes));
            let flood = &mut self.flood[at % OTHERS_OF_EACH];
            self.crowd.send(at + 1, |out| flood.push(out, at, 0));
        }
        self.crowd.turn_deaf()
    }
}

/// Messages that are none, or none of this dialect.
fn junk(speech: Speech) -> Vec<(u8, Vec<u8>)> {
    let opcode = if speech.dialect() == Dialect::WebTorrent { 1 } else { 2 };
    let mut junk = vec![
        (opcode, Vec::new()),
        (opcode, vec![0xff; 100]),
        (opcode, vec![b'['; 10_000]),
        (opcode, b"{\"action\":\"announce\"}".to_vec()),
        (opcode, vec![b' '; 40_000]),
        (3, b"reserved".to_vec()),
        (9, vec![7; 125]),
    ];
    junk.extend((0..8).map(|kind| (opcode, vec![kind; 40])));
    junk
}
