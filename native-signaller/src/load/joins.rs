//! Newcomers among residents: each connects, joins a swarm, is introduced to others until as many as it wanted have
//! heard from it both ways, stays until so many others have come, and hangs up. What a whole join costs the server, in
//! either dialect.

use super::crowd::{Crowd, Heard};
use super::process::{rested, usage};
use super::report::Report;
use super::scenes::{joined, zipf};
use super::words::{self, Announce, Word};
use super::{LoadOptions, Speech};
use core::time::Duration;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::time::Instant;
use swarmlet_core::PeerId;
use swarmlet_core::keys::Key;
use swarmlet_core::wire::{Signal, ToClient};

/// Newcomers at the same time.
const AT_ONCE: usize = 64;
/// Those who are done stay for so many more, so that nobody is introduced to somebody who has just gone.
const STAYING: usize = 256;
/// Whoever is not done by then counts as unfinished.
const PATIENCE: Duration = Duration::from_secs(1);
/// Keys that newcomers have in turn: making one takes the generator longer than all the rest. More than come while one that will
/// never be done is waited for: two with the same key replace each other.
const KEYS: usize = 16_384;
const TURN: Duration = Duration::from_millis(20);

/// One join under way.
struct Newcomer {
    /// Never used twice: a name of its own.
    serial: usize,
    swarm: usize,
    since: Instant,
    /// Introductions that it waits for; unknown until the server has counted the swarm.
    wanted: Option<usize>,
    made: usize,
    /// Whom it has called and not heard from, where those who call choose whom.
    called: Vec<PeerId>,
    /// Done, and waits for its turn to leave.
    stays: bool,
}

/// Nobody is introduced to who has left when it is called, nor to who has been called too often.
#[derive(Default)]
struct Missed {
    absent: u64,
    declined: u64,
    /// Hung up with the call on its way to it: no server can tell. A peer that is called waits in vain then.
    gone: u64,
}

impl Newcomer {
    fn is_done(&self) -> bool {
        self.wanted.is_some_and(|wanted| self.made >= wanted)
    }

    /// Whether it waited for that one; it does no more.
    fn is_heard_by(&mut self, peer: &PeerId) -> bool {
        let at = self.called.iter().position(|called| called == peer);
        at.map(|at| self.called.swap_remove(at)).is_some()
    }
}

/// What went to and from the server, by messages.
#[derive(Default)]
struct Traffic {
    joins: u64,
    unfinished: u64,
    introductions: u64,
    missed: Missed,
    sent: [u64; 2],
    heard: [u64; 2],
}

/// Everybody, and what was said.
struct Scene<'a> {
    options: &'a LoadOptions,
    residents: Vec<usize>,
    newcomers: Vec<Newcomer>,
    /// Who is done, longest first.
    staying: VecDeque<usize>,
    next: usize,
    keys: Vec<Key>,
    /// Who the residents are, where they have keys.
    resident_peers: Vec<PeerId>,
    /// Whose keys are not in use: they have hung up.
    gone: HashSet<PeerId>,
    traffic: Traffic,
}

/// See [`Scene::Joins`](super::Scene::Joins).
pub(super) fn run(options: &LoadOptions) -> io::Result<Report> {
    let mut crowd = joined(options)?;
    let residents = zipf(options.connections, options.swarms);
    let next = options.connections;
    let (newcomers, staying, traffic) = (Vec::new(), VecDeque::new(), Traffic::default());
    let keys = match options.speech {
        Speech::Swarmlet => (0..KEYS).map(|at| words::key(options.connections + at)).collect(),
        Speech::Webtorrent => Vec::new(),
    };
    let gone = HashSet::new();
    let resident_peers = match options.speech {
        Speech::Swarmlet => (0..options.connections).map(|at| words::key(at).peer_id()).collect(),
        Speech::Webtorrent => Vec::new(),
    };
    let mut scene =
        Scene { options, residents, newcomers, staying, next, keys, resident_peers, gone, traffic };
    rested(&options.pid);
    for slot in 0..AT_ONCE {
        scene.come(slot, &mut crowd)?;
    }
    let (before, began) = (usage(&options.pid), Instant::now());
    while began.elapsed() < Duration::from_secs(options.seconds.into()) {
        crowd.turn(TURN, |at, heard, out| scene.hear(at, heard, out))?;
        scene.replace(&mut crowd)?;
    }
    let (after, seconds) = (usage(&options.pid), began.elapsed().as_secs_f64());
    let Traffic { joins, unfinished, introductions, missed, sent, heard } = scene.traffic;
    let mut report = Report::new(options);
    report.rate("joins_per_second", joins as f64, seconds);
    report.rate("introductions_each", introductions as f64, joins as f64);
    for (name, [messages, bytes]) in [("to_server", sent), ("from_server", heard)] {
        report.rate(&format!("messages_{name}_each"), messages as f64, joins as f64);
        report.rate(&format!("bytes_{name}_each"), bytes as f64, joins as f64);
    }
    report.put("unfinished", unfinished);
    report.put("absent", missed.absent);
    report.put("declined", missed.declined);
    report.put("gone", missed.gone);
    report.put("lost", crowd.lost);
    report.usage(before, after, joins as f64);
    Ok(report)
}

impl Scene<'_> {
    /// Lets somebody come, in place of whoever has that slot.
    fn come(&mut self, slot: usize, crowd: &mut Crowd) -> io::Result<()> {
        self.next += 1;
        // The same share of newcomers for each swarm as of residents.
        let swarm = self.residents[self.next % self.residents.len()];
        let (serial, since, called) = (self.next, Instant::now(), Vec::new());
        let newcomer = Newcomer { serial, swarm, since, wanted: None, made: 0, called, stays: false };
        match self.newcomers.get_mut(slot) {
            Some(before) => {
                let before = core::mem::replace(before, newcomer);
                self.part_with(before.serial);
            }
            None => self.newcomers.push(newcomer),
        }
        if let Some(peer) = self.peer(serial) {
            self.gone.remove(&peer);
        }
        crowd.connect(self.options.connections + slot)
    }

    /// Who hangs up, if enough are there: of those whom nobody waits for, the one who has stayed longest.
    fn leaver(&mut self) -> Option<usize> {
        let is_awaited = |slot: &usize| {
            let peer = self.peer(self.newcomers[*slot].serial);
            peer.is_some_and(|peer| self.newcomers.iter().any(|other| other.called.contains(&peer)))
        };
        let is_full = self.staying.len() > STAYING;
        let at = self.staying.iter().position(|slot| is_full && !is_awaited(slot))?;
        self.staying.remove(at)
    }

    fn peer(&self, serial: usize) -> Option<PeerId> {
        Some(self.keys.get(serial % KEYS)?.peer_id())
    }

    /// Nobody waits for somebody who hangs up now.
    fn part_with(&mut self, serial: usize) {
        let Some(peer) = self.peer(serial) else { return };
        self.gone.insert(peer);
        for slot in 0..self.newcomers.len() {
            let is_missed = self.miss(slot, &peer);
            self.traffic.missed.gone += u64::from(is_missed);
        }
    }

    /// Lets others come for those who are done, or never will be.
    fn replace(&mut self, crowd: &mut Crowd) -> io::Result<()> {
        for slot in 0..self.newcomers.len() {
            let newcomer = &mut self.newcomers[slot];
            if newcomer.stays {
                continue;
            }
            if newcomer.is_done() {
                newcomer.stays = true;
                self.traffic.joins += 1;
                self.staying.push_back(slot);
                let free = self.leaver().unwrap_or(self.newcomers.len());
                self.come(free, crowd)?;
            } else if newcomer.since.elapsed() > PATIENCE {
                self.traffic.unfinished += 1;
                self.come(slot, crowd)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, at: usize, heard: Heard<'_>, out: &mut Vec<u8>) {
        let before = out.len();
        let slot = at.checked_sub(self.options.connections);
        if let Heard::Message(bytes) = heard {
            self.traffic.heard[0] += 1;
            self.traffic.heard[1] += bytes.len() as u64;
        }
        let messages = match self.options.speech {
            Speech::Webtorrent => self.webtorrent(at, slot, &heard, out),
            Speech::Swarmlet => self.swarmlet(at, slot, &heard, out),
        };
        self.traffic.sent[0] += messages;
        self.traffic.sent[1] += (out.len() - before) as u64;
    }

    /// Gives back how many messages were said.
    fn webtorrent(&mut self, at: usize, slot: Option<usize>, heard: &Heard<'_>, out: &mut Vec<u8>) -> u64 {
        let Heard::Message(bytes) = heard else {
            let Some(Newcomer { serial, swarm, .. }) = slot.map(|slot| &self.newcomers[slot]) else {
                return 0;
            };
            Announce::new(*serial, *swarm, self.options.offers, 1).push(out, *serial, 0);
            return 1;
        };
        match (Word::read(bytes), slot) {
            (Word::Offer { id, peer, swarm }, _) => {
                let name = slot.map_or(at, |slot| self.newcomers[slot].serial);
                words::push_answer(out, name, id, peer, swarm);
                1
            }
            (Word::Answer, Some(slot)) => {
                self.newcomers[slot].made += 1;
                self.traffic.introductions += 1;
                0
            }
            (Word::Counts, Some(slot)) => {
                let others = words::members(bytes).saturating_sub(1);
                self.newcomers[slot].wanted = Some(others.min(self.options.offers));
                0
            }
            (Word::Answer | Word::Counts | Word::Other, _) => 0,
        }
    }

    /// Gives back how many messages were said.
    fn swarmlet(&mut self, at: usize, slot: Option<usize>, heard: &Heard<'_>, out: &mut Vec<u8>) -> u64 {
        let Heard::Message(mut frame) = *heard else { return 0 };
        let mut said = 0;
        while let Ok((message, rest)) = ToClient::take(frame) {
            frame = rest;
            said += match (message, slot) {
                (ToClient::Challenge { nonce }, Some(slot)) => {
                    let Newcomer { serial, swarm, .. } = self.newcomers[slot];
                    words::push_join(out, &self.keys[serial % KEYS], &nonce, swarm);
                    1
                }
                (ToClient::Peers { topic, peers, .. }, Some(slot)) => {
                    let some = || peers.iter().take(self.options.offers).map(|view| view.peer);
                    let newcomer = &mut self.newcomers[slot];
                    newcomer.called = some().filter(|peer| !self.gone.contains(peer)).collect();
                    newcomer.wanted = Some(newcomer.called.len());
                    newcomer.made = 0;
                    self.traffic.missed.gone += (some().count() - newcomer.called.len()) as u64;
                    // Nothing is said in a frame without messages: it would be malformed.
                    let is_anybody = some().next().is_some();
                    if is_anybody {
                        words::push_knocks(out, some(), slot as u32, topic);
                    }
                    u64::from(is_anybody)
                }
                (ToClient::Relayed { from, signals }, _) => {
                    signals.into_iter().map(|signal| self.on_signal(at, from, signal, out)).sum()
                }
                (ToClient::Absent { peer }, Some(slot)) => {
                    self.traffic.missed.absent += u64::from(self.miss(slot, &peer));
                    0
                }
                _ => 0,
            };
        }
        said
    }

    /// The attempt's number is the place of the newcomer that knocked; an answer is heard by whom it has called.
    fn on_signal(&mut self, at: usize, from: PeerId, signal: Signal, out: &mut Vec<u8>) -> u64 {
        match signal {
            Signal::Knock { attempt, topic } => {
                words::push_side(out, from, words::offer(attempt, topic));
                1
            }
            Signal::Offer { attempt, .. } => {
                words::push_side(out, from, words::answer(attempt));
                1
            }
            Signal::Answer { attempt, .. } => {
                let called = match at.checked_sub(self.options.connections) {
                    Some(slot) => self.peer(self.newcomers[slot].serial),
                    None => self.resident_peers.get(at).copied(),
                };
                if let (Some(called), Some(newcomer)) = (called, self.newcomers.get_mut(attempt as usize))
                    && newcomer.is_heard_by(&called)
                {
                    newcomer.made += 1;
                    self.traffic.introductions += 1;
                }
                0
            }
            Signal::Decline { attempt } => {
                self.traffic.missed.declined += u64::from(self.miss(attempt as usize, &from));
                0
            }
            Signal::Candidate { .. } => 0,
        }
    }

    /// One fewer to wait for, if somebody still waits.
    fn miss(&mut self, slot: usize, peer: &PeerId) -> bool {
        let Some(newcomer) = self.newcomers.get_mut(slot) else { return false };
        let was_called = newcomer.is_heard_by(peer);
        newcomer.wanted = newcomer.wanted.map(|wanted| wanted - usize::from(was_called));
        was_called
    }
}
