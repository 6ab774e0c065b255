//! Honest clients among others: drips of bytes, readers that never read, floods of announces and of offers, and inputs that
//! are none in either dialect. What is measured is how the honest ones fare, what the hostile ones can make others
//! receive, and what all of it costs in memory.

use super::bad::{self, Bad};
use super::crowd::{Crowd, Heard, push};
use super::process::{rested, usage};
use super::report::Report;
use super::scenes::{Pace, joined};
use super::words::{self, Announce, Word};
use super::{LoadOptions, Speech};
use core::net::Ipv4Addr;
use core::time::Duration;
use std::io;
use std::time::Instant;

/// For each honest client.
const DRIPS: usize = 5;
/// For each ten honest clients, of each other kind.
const OTHERS: usize = 1;
/// Between two acts of the hostile crowd.
const BEAT: Duration = Duration::from_millis(20);
/// Drips send one byte each in so many beats.
const DRIP_BEATS: usize = 100;
/// Connections that are begun in one beat. More, and the generator is what is measured.
const COME_EACH: usize = 20;
/// Clients of one network, as the header of a proxy names them: what 64 connections of one network allow, and half of it.
const NETWORK: usize = 32;
/// Names of hostile clients begin here, and no honest one is called so.
const NAMES: usize = 900_000;

/// See [`Scene::Hostile`](super::Scene::Hostile).
pub(super) fn run(options: &LoadOptions) -> io::Result<Report> {
    let span = Duration::from_secs(options.seconds.into());
    let mut honest = joined(options)?;
    let start = rested(options.pid);
    let mut pace = Pace::new(options, 1, NAMES);
    pace.run(&mut honest, options.rate, Duration::from_secs(1))?;
    pace.run(&mut honest, options.rate, span)?;
    let mut report = Report::new(options);
    let quiet = pace.take();
    report.tally("quiet", &quiet);
    let before = usage(options.pid);
    let mut mob = Mob::new(options)?;
    let began = Instant::now();
    // The first seconds bring the mob in.
    while began.elapsed() < Duration::from_secs(u64::from(options.seconds) / 2 + 1) {
        mob.act()?;
        pace.run(&mut honest, options.rate, BEAT)?;
    }
    drop(pace.take());
    mob.taken = 0;
    let began = Instant::now();
    while began.elapsed() < span {
        mob.act()?;
        pace.run(&mut honest, options.rate, BEAT)?;
    }
    // What is on its way is not lost.
    pace.run(&mut honest, 0, Duration::from_secs(1))?;
    let among = pace.take();
    let taken = mob.taken as f64 / (among.sent as f64).max(1.0);
    let after = usage(options.pid);
    report.tally("hostile", &among);
    report.rate("success_answers", among.answered(), quiet.answered());
    report.rate("success_offers", among.delivered() + taken, quiet.delivered());
    report.rate("p99_ratio", among.p99(), quiet.p99());
    report.put("honest_lost", honest.lost);
    let foreign = among.foreign_bytes + mob.foreign_bytes;
    report.put("bytes_of_floods", mob.flood_bytes);
    report.put("bytes_to_others", foreign);
    report.rate("amplification", foreign as f64, mob.flood_bytes as f64);
    let crowds = [&mob.loud, &mob.own];
    report.put("hostile_connections", crowds.iter().map(|crowd| crowd.len()).sum::<usize>());
    report.put("hostile_opened", mob.opened);
    report.put("hostile_closed", crowds.iter().map(|crowd| crowd.lost).sum::<u64>());
    report.put("bad_inputs", mob.bad.iter().map(Vec::len).sum::<usize>());
    report.put("bad_inputs_sent", mob.sent);
    report.usage(before, after, among.sent as f64);
    drop(mob);
    drop(honest);
    if let (Some(start), Some(end)) = (start, rested(options.pid)) {
        report.rate("rss_kept", end.rss as f64, start.rss as f64);
    }
    Ok(report)
}

/// What a place in the hostile crowd does.
#[derive(Clone, Copy)]
enum Kind {
    /// A request, byte by byte.
    HeadDrip,
    /// A frame, byte by byte.
    FrameDrip,
    /// Announces without end, and reads nothing.
    Deaf,
    /// Announces without end.
    Announces,
    /// Announces with offers, without end.
    Offers,
    /// One bad input after the other.
    Nonsense,
}

/// The hostile crowd. Each place has one kind of client, and who is closed comes again.
struct Mob {
    /// All but those who speak our dialect.
    loud: Crowd,
    own: Crowd,
    drips: usize,
    others: usize,
    beat: usize,
    opened: u64,
    sent: u64,
    /// Of both dialects.
    bad: [Vec<Bad>; 2],
    announces: Vec<Announce>,
    offers: Vec<Announce>,
    deaf: Vec<Announce>,
    joins: Vec<Announce>,
    /// What floods have sent, and what of it came to anybody.
    flood_bytes: u64,
    foreign_bytes: u64,
    /// Offers of honest clients that came to hostile ones: delivered, too.
    taken: u64,
}

impl Mob {
    fn new(options: &LoadOptions) -> io::Result<Self> {
        let crowd = |speech: Speech, first: [u8; 4]| {
            let crowd = Crowd::new(options.target, &options.path, speech.protocol())?;
            Ok::<_, io::Error>(if options.networks {
                crowd.behind_a_proxy(Ipv4Addr::from(first), NETWORK)
            } else {
                crowd
            })
        };
        let drips = options.connections * DRIPS;
        let others = (options.connections * OTHERS / 10).max(1);
        let flood = |kind: usize, swarm: usize, offers: usize| {
            (0..others).map(|at| Announce::new(NAMES + kind * others + at, swarm, offers, 1)).collect()
        };
        Ok(Self {
            loud: crowd(Speech::Webtorrent, [12, 0, 0, 0])?,
            own: crowd(Speech::Swarmlet, [13, 0, 0, 0])?,
            drips,
            others,
            beat: 0,
            opened: 0,
            sent: 0,
            bad: [bad::webtorrent(), bad::swarmlet()],
            // Into the honest ones' largest swarm. Who never reads, or says nonsense, would swallow what is counted there.
            announces: flood(0, 0, 0),
            offers: flood(1, 0, options.offers),
            deaf: flood(2, NAMES, options.offers),
            joins: flood(3, NAMES + 1, 0),
            flood_bytes: 0,
            foreign_bytes: 0,
            taken: 0,
        })
    }

    const fn kind(&self, at: usize) -> Kind {
        match at.checked_sub(self.drips) {
            None if at.is_multiple_of(2) => Kind::HeadDrip,
            None => Kind::FrameDrip,
            Some(other) => match other / self.others {
                0 => Kind::Deaf,
                1 => Kind::Announces,
                2 => Kind::Offers,
                _ => Kind::Nonsense,
            },
        }
    }

    /// Lets them come, each as what it is.
    fn come(&mut self, all: usize) -> io::Result<()> {
        let mut come = COME_EACH;
        for step in 0..all {
            let at = (self.beat * 997 + step) % all;
            if come == 0 || self.loud.is_connected(at) {
                continue;
            }
            (come, self.opened) = (come - 1, self.opened + 1);
            match self.kind(at) {
                Kind::HeadDrip => self.loud.connect_raw(at)?,
                Kind::Deaf => self.loud.connect_deaf(at)?,
                Kind::FrameDrip | Kind::Announces | Kind::Offers | Kind::Nonsense => self.loud.connect(at)?,
            }
        }
        Ok(())
    }

    fn act(&mut self) -> io::Result<()> {
        self.beat += 1;
        let all = self.drips + 4 * self.others;
        self.come(all)?;
        for at in (self.beat % DRIP_BEATS..self.drips).step_by(DRIP_BEATS) {
            let byte: &[u8] = if at.is_multiple_of(2) { b"G" } else { b"\x81" };
            self.loud.send_raw(at, byte);
        }
        for at in self.drips..all {
            self.act_at(at);
        }
        self.own_nonsense()?;
        let (foreign, taken) = (&mut self.foreign_bytes, &mut self.taken);
        self.loud.turn(Duration::ZERO, |_, heard, _| {
            let Heard::Message(bytes) = heard else { return };
            let Word::Offer { peer, .. } = Word::read(bytes) else { return };
            match words::is_named_from(NAMES, peer) {
                true => *foreign += bytes.len() as u64,
                false => *taken += 1,
            }
        })?;
        self.own.turn_deaf()
    }

    fn act_at(&mut self, at: usize) {
        let (number, stamp) = ((at - self.drips) % self.others, self.beat as u64);
        let flood = match self.kind(at) {
            Kind::Deaf => &mut self.deaf[number],
            Kind::Announces => &mut self.announces[number],
            Kind::Offers => &mut self.offers[number],
            Kind::Nonsense => {
                // Who is in is judged by other rules than who is not.
                let (_, bytes) = &self.bad[0][(self.beat + at) % self.bad[0].len()];
                let join = &mut self.joins[number];
                self.sent += u64::from(self.loud.is_open(at));
                return self.loud.send(at, |out| {
                    join.push(out, at, 0);
                    out.extend_from_slice(bytes);
                });
            }
            Kind::HeadDrip | Kind::FrameDrip => return,
        };
        // Not behind what the server has not taken yet: a generator that keeps it all would be the one to drown.
        let sent = &mut self.flood_bytes;
        if self.loud.has_room(at) {
            self.loud.send(at, |out| {
                let before = out.len();
                flood.push(out, at, stamp);
                *sent += (out.len() - before) as u64;
            });
        }
    }

    /// Those of our dialect say nonsense before they have said who they are, and pings between it.
    fn own_nonsense(&mut self) -> io::Result<()> {
        for at in 0..self.others {
            if self.own.is_connected(at) {
                let (_, bytes) = &self.bad[1][(self.beat + at) % self.bad[1].len()];
                self.sent += u64::from(self.own.is_open(at));
                self.own.send(at, |out| {
                    push(out, 9, b"still here");
                    out.extend_from_slice(bytes);
                });
            } else if at % 4 == self.beat % 4 {
                self.own.connect(at)?;
                self.opened += 1;
            }
        }
        Ok(())
    }
}

impl super::scenes::Tally {
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
