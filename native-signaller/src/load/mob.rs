//! The hostile crowd of [`hostile`](super::hostile).

use super::bad::{self, Bad};
use super::crowd::{Crowd, Heard, push};
use super::report::Report;
use super::words::{self, Announce, Word};
use super::{LoadOptions, Speech};
use core::net::Ipv4Addr;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io;
use std::time::Instant;

/// For each honest client.
const DRIPS: usize = 5;
/// One of so many drips is of frames. The others ask for a WebSocket byte by byte; all have gone within the server's deadlines,
/// and more of these would come than WebSockets may be opened by all together.
const FRAME_DRIPS: usize = 4;
/// For each ten honest clients, of each other kind.
const OTHERS: usize = 1;
/// Between two acts.
const BEAT: Duration = Duration::from_millis(20);
/// Drips send one byte each in so many beats.
const DRIP_BEATS: usize = 100;
/// Drips that come in a second: what keeps 5,000 there that have 5 s each, and half as many again.
const DRIPS_EACH_SECOND: f64 = 1_500.0;
/// Others that do, each as long as it takes to be closed for what it says.
const OTHERS_EACH_SECOND: f64 = 500.0;
/// Clients of one network, as the header of a proxy names them: what 64 connections of one network allow, and half of it.
const NETWORK: usize = 32;
/// Names of hostile clients begin here, and no honest one is called so.
pub(super) const NAMES: usize = 900_000;

/// What the thread of the honest ones and that of the others tell each other.
#[derive(Default)]
pub(super) struct Signs {
    complete: AtomicBool,
    counts: AtomicBool,
    stops: AtomicBool,
}

impl Signs {
    /// Whether all have come, or never will.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed) || self.stops.load(Ordering::Relaxed)
    }

    /// From now on what comes of it counts.
    pub(super) fn count(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }

    /// That was it.
    pub(super) fn stop(&self) {
        self.stops.store(true, Ordering::Relaxed);
    }
}

/// Lets every other thread go first, also where the whole generator goes before other programs (`chrt`).
pub(super) fn give_way() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "there is no safe way to these calls")]
    // SAFETY: sched_setscheduler reads what it is given here, and setpriority takes numbers only. 0 is the calling thread, for
    // which alone both are on Linux (sched(7)).
    unsafe {
        let normal = libc::sched_param { sched_priority: 0 };
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const normal);
        libc::setpriority(libc::PRIO_PROCESS, 0, 10);
    }
}

const fn is_frame_drip(at: usize) -> bool {
    at.is_multiple_of(FRAME_DRIPS)
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
pub(super) struct Mob {
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
    pub(super) flood_bytes: u64,
    pub(super) foreign_bytes: u64,
    /// Offers of honest clients that came to hostile ones: delivered, too.
    pub(super) taken: u64,
    /// Drips that were there at a time, looked at each beat while it counts: the fewest, the sum, and how many beats.
    drips_least: usize,
    drips_sum: usize,
    beats: usize,
}

impl Mob {
    pub(super) fn new(options: &LoadOptions) -> io::Result<Self> {
        let crowd = |speech: Speech, first: [u8; 4]| {
            let crowd = Crowd::new(&options.target, &options.path, speech.protocol())?;
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
            drips_least: usize::MAX,
            drips_sum: 0,
            beats: 0,
        })
    }

    const fn kind(&self, at: usize) -> Kind {
        match at.checked_sub(self.drips) {
            None if is_frame_drip(at) => Kind::FrameDrip,
            None => Kind::HeadDrip,
            Some(other) => match other / self.others {
                0 => Kind::Deaf,
                1 => Kind::Announces,
                2 => Kind::Offers,
                _ => Kind::Nonsense,
            },
        }
    }

    /// Comes in, does what it does, and counts what comes of it while the signs say so.
    pub(super) fn run(mut self, signs: &Signs) -> io::Result<Self> {
        let (mut last, mut is_counting) = (Instant::now(), false);
        while !signs.stops.load(Ordering::Relaxed) {
            let since = core::mem::replace(&mut last, Instant::now());
            let seconds = last.duration_since(since).as_secs_f64();
            self.act([DRIPS_EACH_SECOND, OTHERS_EACH_SECOND].map(|each| (each * seconds) as usize))?;
            let drips = (0..self.drips).filter(|at| self.loud.is_connected(*at)).count();
            // Each stays for as long as it may and comes again: a few are always on their way.
            if drips * 100 >= self.drips * 99 {
                signs.complete.store(true, Ordering::Relaxed);
            }
            if signs.counts.load(Ordering::Relaxed) {
                if !is_counting {
                    (is_counting, self.taken) = (true, 0);
                }
                self.drips_least = self.drips_least.min(drips);
                (self.drips_sum, self.beats) = (self.drips_sum + drips, self.beats + 1);
            }
        }
        Ok(self)
    }

    /// What it was, for a report.
    pub(super) fn tell(&self, report: &mut Report) {
        let crowds = [&self.loud, &self.own];
        report.put("drips_least", self.drips_least.min(self.drips));
        report.put("drips_mean", self.drips_sum / self.beats.max(1));
        report.put("hostile_connections", crowds.iter().map(|crowd| crowd.len()).sum::<usize>());
        report.put("hostile_opened", self.opened);
        report.put("hostile_closed", crowds.iter().map(|crowd| crowd.lost).sum::<u64>());
        report.put("bad_inputs", self.bad.iter().map(Vec::len).sum::<usize>());
        report.put("bad_inputs_sent", self.sent);
    }

    /// Lets some of them come, each as what it is.
    fn come(&mut self, places: Range<usize>, most: usize) -> io::Result<()> {
        let (first, count) = (places.start, places.len());
        let mut come = 0;
        for step in 0..count {
            let at = first + (self.beat * 997 + step) % count;
            if come == most || self.loud.is_connected(at) {
                continue;
            }
            come += 1;
            match self.kind(at) {
                Kind::HeadDrip => self.loud.connect_raw(at)?,
                Kind::Deaf => self.loud.connect_deaf(at)?,
                Kind::FrameDrip | Kind::Announces | Kind::Offers | Kind::Nonsense => self.loud.connect(at)?,
            }
        }
        self.opened += come as u64;
        Ok(())
    }

    fn act(&mut self, [drips, others]: [usize; 2]) -> io::Result<()> {
        let until = Instant::now() + BEAT;
        self.beat += 1;
        let all = self.drips + 4 * self.others;
        self.come(0..self.drips, drips)?;
        self.come(self.drips..all, others)?;
        for at in (self.beat % DRIP_BEATS..self.drips).step_by(DRIP_BEATS) {
            let byte: &[u8] = if is_frame_drip(at) { b"\x81" } else { b"G" };
            self.loud.send_raw(at, byte);
        }
        for at in self.drips..all {
            self.act_at(at);
        }
        self.own_nonsense()?;
        self.own.turn_deaf()?;
        let (foreign, taken) = (&mut self.foreign_bytes, &mut self.taken);
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            self.loud.turn(rest, |_, heard, _| {
                let Heard::Message(bytes) = heard else { return };
                let Word::Offer { peer, .. } = Word::read(bytes) else { return };
                match words::is_named_from(NAMES, peer) {
                    true => *foreign += bytes.len() as u64,
                    false => *taken += 1,
                }
            })?;
            if rest.is_zero() {
                return Ok(());
            }
        }
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
