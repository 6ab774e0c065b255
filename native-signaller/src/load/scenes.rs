//! The scenes.

use super::crowd::{Crowd, Heard};
use super::process::{rested, usage};
use super::report::Report;
use super::words::{self, Announce, Word};
use super::{LoadOptions, Speech};
use core::net::Ipv4Addr;
use core::time::Duration;
use std::io;
use std::time::Instant;
use swarmlet_core::rng::Rng;
use swarmlet_core::wire::ToClient;

/// Connections that are being opened at once.
const OPENING: usize = 256;
/// How long the server may take for anything that is not measured.
const PATIENCE: Duration = Duration::from_secs(120);
const TURN: Duration = Duration::from_millis(50);

/// Which swarm each client is in: the n-th swarm has a share of 1/n.
pub(super) fn zipf(connections: usize, swarms: usize) -> Vec<usize> {
    let mut rng = Rng::new([9; 32]);
    let weights: Vec<u64> = (1..=swarms as u64).map(|rank| 1_000_000 / rank).collect();
    let total: u64 = weights.iter().sum();
    let mut pick = || {
        let mut at = rng.below(total);
        weights.iter().position(|weight| at.checked_sub(*weight).map(|rest| at = rest).is_none()).unwrap_or(0)
    };
    (0..connections).map(|_| pick()).collect()
}

/// A crowd of which everybody has joined a swarm.
pub(super) fn joined(options: &LoadOptions) -> io::Result<Crowd> {
    let mut crowd = Crowd::new(&options.target, &options.path, options.speech.protocol())?;
    if options.networks {
        crowd = crowd.behind_a_proxy(Ipv4Addr::new(11, 0, 0, 0), 1);
    }
    join(&mut crowd, options, 0..options.connections)?;
    Ok(crowd)
}

/// Opens connections and joins, a bounded number at a time, until all are in.
pub(super) fn join(
    crowd: &mut Crowd,
    options: &LoadOptions,
    places: core::ops::Range<usize>,
) -> io::Result<()> {
    let (swarms, began) = (zipf(places.end, options.swarms), Instant::now());
    let (mut next, mut settled, count) = (places.start, 0, places.len());
    let speech = options.speech;
    // Some are told of others once more, unasked.
    let mut is_in = vec![false; places.end];
    while settled < count {
        if began.elapsed() > PATIENCE {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{settled} of {count} have joined")));
        }
        while next < places.end && next - places.start - settled < OPENING {
            crowd.connect(next)?;
            next += 1;
        }
        let lost = crowd.lost;
        let mut settle = |at: usize| settled += usize::from(!core::mem::replace(&mut is_in[at], true));
        crowd.turn(TURN, |at, heard, out| match (speech, heard) {
            (Speech::Webtorrent, Heard::Open) => Announce::new(at, swarms[at], 0, 1).push(out, at, 0),
            (Speech::Webtorrent, Heard::Message(_)) => settle(at),
            (Speech::Swarmlet, Heard::Open) => {}
            (Speech::Swarmlet, Heard::Message(bytes)) => match ToClient::take(bytes) {
                Ok((ToClient::Challenge { nonce }, _)) => {
                    words::push_join(out, &words::key(at), &nonce, swarms[at]);
                }
                _ => settle(at),
            },
        })?;
        if crowd.lost > lost {
            let why = crowd.loss.take().map(|error| error.to_string()).unwrap_or_default();
            let text = format!("{settled} of {count} have joined, and one that was to join is closed: {why}");
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, text));
        }
    }
    Ok(())
}

/// See [`Scene::Announces`](super::Scene::Announces).
pub(super) fn announces(options: &LoadOptions) -> io::Result<Report> {
    let mut crowd = joined(options)?;
    rested(&options.pid);
    let swarms = zipf(options.connections, options.swarms);
    let announce = |(at, swarm): (usize, &usize)| Announce::new(at, *swarm, options.offers, 1);
    let mut announces: Vec<Announce> = swarms.iter().enumerate().map(announce).collect();
    let origin = Instant::now();
    for (at, announce) in announces.iter_mut().enumerate() {
        crowd.send(at, |out| announce.push(out, at, 0));
    }
    let (mut sent, mut offers, mut answers) = (0u64, 0u64, 0u64);
    // Answers that the server has yet to answer before it gets to the announce.
    let mut owed = vec![0u32; options.connections];
    // A second to warm up.
    let mut start = None;
    let span = Duration::from_secs(options.seconds.into());
    loop {
        let elapsed = origin.elapsed();
        if start.is_none() && elapsed >= Duration::from_secs(1) {
            (sent, offers, answers) = (0, 0, 0);
            start = Some((elapsed, usage(&options.pid)));
        }
        if start.as_ref().is_some_and(|(start, _)| elapsed >= *start + span) {
            break;
        }
        let micros = elapsed.as_micros() as u64;
        crowd.turn(TURN, |at, heard, out| {
            let Heard::Message(bytes) = heard else { return };
            match Word::read(bytes) {
                Word::Offer { id, peer, swarm } => {
                    offers += 1;
                    words::push_answer(out, at, id, peer, swarm);
                    owed[at] += u32::from(options.answers_answers);
                }
                Word::Answer => answers += 1,
                Word::Counts if owed[at] > 0 => owed[at] -= 1,
                Word::Counts => {
                    sent += 1;
                    announces[at].push(out, at, micros);
                }
                Word::Other => {}
            }
        })?;
    }
    let (began, before) = start.unwrap_or_default();
    let seconds = (origin.elapsed() - began).as_secs_f64();
    let mut report = Report::new(options);
    report.rate("announces_per_second", sent as f64, seconds);
    report.rate("offers_each", offers as f64, sent as f64);
    report.rate("answers_each", answers as f64, sent as f64);
    report.rate("answers_per_second", answers as f64, seconds);
    report.usage(before, usage(&options.pid), sent as f64);
    report.put("lost", crowd.lost);
    Ok(report)
}

/// Clients at a rate; each offer is timed.
pub(super) struct Pace {
    announces: Vec<Announce>,
    /// Names from here on are of others, whose offers are not timed.
    others: usize,
    origin: Instant,
    next: usize,
    tally: Tally,
}

/// How they fared.
#[derive(Default)]
pub(super) struct Tally {
    /// Announces.
    pub(super) sent: u64,
    /// That were answered.
    pub(super) answers: u64,
    /// Microseconds from who offers to who gets it.
    pub(super) times: Vec<u64>,
    /// Of offers of others.
    pub(super) foreign_bytes: u64,
}

impl Pace {
    pub(super) fn new(options: &LoadOptions, offers: usize, others: usize) -> Self {
        let swarms = zipf(options.connections, options.swarms);
        let announce = |(at, swarm): (usize, &usize)| Announce::new(at, *swarm, offers, 1);
        let announces = swarms.iter().enumerate().map(announce).collect();
        Self { announces, others, origin: Instant::now(), next: 0, tally: Tally::default() }
    }

    /// What came since the last time.
    pub(super) fn take(&mut self) -> Tally {
        core::mem::take(&mut self.tally)
    }

    /// For a while.
    pub(super) fn run(&mut self, crowd: &mut Crowd, rate: u32, span: Duration) -> io::Result<()> {
        let (began, mut sent) = (Instant::now(), 0u64);
        while began.elapsed() < span {
            let due = (began.elapsed().as_secs_f64() * f64::from(rate)) as u64;
            while sent < due {
                let (at, micros) = (self.next, self.origin.elapsed().as_micros() as u64);
                let announce = &mut self.announces[at];
                crowd.send(at, |out| announce.push(out, at, micros));
                self.next = (at + 1) % self.announces.len();
                sent += 1;
            }
            let next =
                Duration::try_from_secs_f64((due + 1) as f64 / f64::from(rate)).unwrap_or(span).min(span);
            crowd.turn(next.saturating_sub(began.elapsed()), |_, heard, _| self.hear(&heard))?;
        }
        self.tally.sent += sent;
        Ok(())
    }

    fn hear(&mut self, heard: &Heard<'_>) {
        let Heard::Message(bytes) = heard else { return };
        match Word::read(bytes) {
            Word::Offer { peer, .. } if words::is_named_from(self.others, peer) => {
                self.tally.foreign_bytes += bytes.len() as u64;
            }
            Word::Offer { id, .. } => {
                let sent = id.get(..13).and_then(|digits| core::str::from_utf8(digits).ok());
                let sent = sent.and_then(|digits| digits.parse::<u64>().ok());
                let now = self.origin.elapsed().as_micros() as u64;
                self.tally.times.extend(sent.map(|sent| now.saturating_sub(sent)));
            }
            Word::Counts => self.tally.answers += 1,
            Word::Answer | Word::Other => {}
        }
    }
}

/// See [`Scene::Latency`](super::Scene::Latency).
pub(super) fn latency(options: &LoadOptions) -> io::Result<Report> {
    let mut crowd = joined(options)?;
    rested(&options.pid);
    let mut pace = Pace::new(options, 1, usize::MAX);
    pace.run(&mut crowd, options.rate, Duration::from_secs(1))?;
    drop(pace.take());
    let before = usage(&options.pid);
    pace.run(&mut crowd, options.rate, Duration::from_secs(options.seconds.into()))?;
    let mut tally = pace.take();
    let mut report = Report::new(options);
    report.put("announces", tally.sent);
    report.latency("offer_ms", &mut tally.times);
    report.usage(before, usage(&options.pid), tally.sent as f64);
    Ok(report)
}

/// See [`Scene::Idle`](super::Scene::Idle).
pub(super) fn idle(options: &LoadOptions) -> io::Result<Report> {
    let before = rested(&options.pid);
    let began = Instant::now();
    let mut crowd = joined(options)?;
    let seconds = began.elapsed().as_secs_f64();
    let settle = Instant::now();
    while settle.elapsed() < Duration::from_secs(options.seconds.into()) {
        crowd.turn(TURN, |_, _, _| {})?;
    }
    let after = usage(&options.pid);
    let mut report = Report::new(options);
    report.rate("joins_per_second", options.connections as f64, seconds);
    if let (Some(before), Some(after)) = (before, after) {
        let grown = after.rss.saturating_sub(before.rss) as f64;
        report.rate("rss_bytes_each", grown, crowd.len() as f64);
    }
    report.usage(before, after, options.connections as f64);
    report.put("lost", crowd.lost);
    Ok(report)
}

/// See [`Scene::Accepts`](super::Scene::Accepts).
pub(super) fn accepts(options: &LoadOptions) -> io::Result<Report> {
    let mut crowd = Crowd::new(&options.target, &options.path, options.speech.protocol())?;
    let window = options.connections.min(OPENING);
    rested(&options.pid);
    let (before, began) = (usage(&options.pid), Instant::now());
    let (mut opened, mut again) = (0u64, Vec::new());
    (0..window).try_for_each(|at| crowd.connect(at))?;
    while began.elapsed() < Duration::from_secs(options.seconds.into()) {
        crowd.turn(TURN, |at, heard, _| {
            if matches!(heard, Heard::Open) {
                opened += 1;
                again.push(at);
            }
        })?;
        if crowd.lost > 0 {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "the server refuses connections"));
        }
        for at in again.drain(..) {
            crowd.connect(at)?;
        }
    }
    let mut report = Report::new(options);
    report.rate("accepts_per_second", opened as f64, began.elapsed().as_secs_f64());
    report.usage(before, usage(&options.pid), opened as f64);
    Ok(report)
}

/// See [`Scene::Storm`](super::Scene::Storm).
pub(super) fn storm(options: &LoadOptions) -> io::Result<Report> {
    let start = rested(&options.pid);
    let mut crowd = joined(options)?;
    let before = usage(&options.pid);
    let began = Instant::now();
    crowd.hang_up_all();
    join(&mut crowd, options, 0..options.connections)?;
    let seconds = began.elapsed().as_secs_f64();
    let after = usage(&options.pid);
    crowd.hang_up_all();
    std::thread::sleep(Duration::from_secs(options.seconds.into()));
    let mut report = Report::new(options);
    report.rate("recovered_seconds", seconds, 1.0);
    report.usage(before, after, options.connections as f64);
    if let (Some(start), Some(end)) = (start, rested(&options.pid)) {
        report.rate("rss_kept", end.rss as f64, start.rss as f64);
        report.put("rss_kib_empty", serde_json::json!({ "start": start.rss / 1024, "end": end.rss / 1024 }));
    }
    Ok(report)
}
