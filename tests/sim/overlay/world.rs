//! Peers of the mesh under one clock: links are objects with a latency, set-ups take their time, and what crashes is
//! noticed late. The machines are the very ones that ship, and what passes between them is bytes.

use super::liar;
use crate::queue::{Queue, fork, fork_seed};
use core::time::Duration;
use sha2::{Digest, Sha256};
use swarmlet_core::overlay::lookup::Way;
use swarmlet_core::overlay::point::Puzzle;
use swarmlet_core::overlay::{Action, Command, Event, Input, Overlay, Settings};
use swarmlet_core::rng::Rng;
use swarmlet_core::wire::Signature;
use swarmlet_core::wire::overlay::{Contact, Kind, Point, Role};
use swarmlet_core::{ContentId, Instant, LinkId, PeerId};

/// One way over a link: half of 80 ms, give or take a quarter (theory C1).
const LATENCY_US: (u64, u64) = (30_000, 20_000);
/// When a silent death is noticed: 30 s after the last word (`Config::dead_after`), which was at most 10 s before the
/// death (`Config::ping_after`).
const DETECT_US: (u64, u64) = (20_000_000, 10_000_000);
/// From the answer to open channels: lognormal, 4 round trips at the median.
const CONNECT_MEDIAN_S: f64 = 0.35;
const CONNECT_SIGMA: f64 = 0.6;
/// How long an answer to an offer is waited for.
const ANSWER_US: u64 = 5_000_000;
/// A sealed offer or answer, and a sealed candidate: 400 bytes and 96 (docs/PROTOCOL.md), and 64 of the seal.
const OFFER_BYTES: usize = 464;
const CANDIDATE_BYTES: usize = 160;
/// Unix time at the beginning: not at the turn of an hour, which `unix` can change.
pub(super) const UNIX_S: u64 = 1_800_000_600;

/// What a peer does that is not honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conduct {
    /// As written.
    Honest,
    /// Answers nothing and passes nothing on.
    Drops,
    /// Answers with other liars.
    Lies,
}

/// One peer.
pub(super) struct Peer {
    pub(super) machine: Option<Overlay>,
    pub(super) contact: Contact,
    pub(super) point: Point,
    pub(super) conduct: Conduct,
    /// Which part of a torn network it is in.
    pub(super) side: bool,
    pub(super) links: Vec<u32>,
    pub(super) handshakes: u32,
    armed: Instant,
    dials: Vec<(u32, Instant)>,
}

struct Link {
    ends: [u32; 2],
    latency_us: u32,
    alive: bool,
}

enum Happening {
    Arrives { end: u32, bytes: Vec<u8> },
    Gone { end: u32 },
    Timer { peer: u32 },
    Opens { from: u32, to: u32 },
    Waited { from: u32, to: u32 },
    Tick,
}

/// What a story is told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) at: Instant,
    pub(super) peer: usize,
    pub(super) event: Event,
}

/// Counts of all peers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) messages: u64,
    pub(super) handshakes: u64,
    pub(super) dials: u64,
    pub(super) declined: u64,
    pub(super) unanswered: u64,
    pub(super) sealed_bytes: u64,
    pub(super) checks: u64,
}

/// The world.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) peers: Vec<Peer>,
    pub(super) settings: Settings,
    pub(super) told: Vec<Told>,
    pub(super) totals: Totals,
    pub(super) liars: Vec<(Point, u32)>,
    pub(super) torn: bool,
    pub(super) rng: Rng,
    pub(super) hash: Sha256,
    links: Vec<Link>,
    queue: Queue<Happening>,
    seed: u64,
}

impl World {
    /// An empty world.
    #[must_use]
    pub(super) fn new(seed: u64, settings: Settings) -> Self {
        Self {
            now: Instant::ZERO,
            peers: Vec::new(),
            settings,
            told: Vec::new(),
            totals: Totals::default(),
            liars: Vec::new(),
            torn: false,
            rng: fork(seed, 70, 0),
            hash: Sha256::new(),
            links: Vec::new(),
            queue: Queue::default(),
            seed,
        }
    }

    /// A new peer without links. `role`: what it always is.
    pub(super) fn add(&mut self, role: Option<Role>, conduct: Conduct) -> usize {
        let index = self.peers.len();
        let mut id = fork(self.seed, 71, index as u64).bytes32();
        id[28..].copy_from_slice(&(index as u32).to_le_bytes());
        let contact = Puzzle::new(PeerId(id), self.settings.puzzle_bits)
            .work(u32::MAX)
            .expect("some answer is among four thousand million");
        self.add_contact(contact, role, conduct)
    }

    /// A new peer with a place that is known.
    pub(super) fn add_contact(&mut self, contact: Contact, role: Option<Role>, conduct: Conduct) -> usize {
        let index = self.peers.len();
        let settings = Settings { role, ..self.settings };
        let seed = fork_seed(self.seed, 72, index as u64);
        let unix_s = UNIX_S + self.now.micros() / 1_000_000;
        let machine = Overlay::new(settings, seed, contact, self.now, unix_s).expect("the puzzle is solved");
        let point = machine.point();
        if conduct != Conduct::Honest {
            let at = self.liars.partition_point(|(other, _)| *other < point);
            self.liars.insert(at, (point, index as u32));
        }
        self.peers.push(Peer {
            machine: Some(machine),
            contact,
            point,
            conduct,
            side: false,
            links: Vec::new(),
            handshakes: 0,
            armed: Instant::from_micros(u64::MAX),
            dials: Vec::new(),
        });
        index
    }

    /// Lets time pass until `at`.
    pub(super) fn run_until(&mut self, at: Instant) {
        self.queue.push(at, Happening::Tick);
        while let Some((now, happening)) = self.queue.pop() {
            self.now = now;
            if matches!(happening, Happening::Tick) && now >= at {
                return;
            }
            self.totals.events += 1;
            self.happen(happening);
        }
    }

    /// Lets so many seconds pass.
    pub(super) fn run_s(&mut self, seconds: f64) {
        self.run_until(self.now + Duration::from_secs_f64(seconds));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives { end, bytes } => self.arrive(end, &bytes),
            Happening::Gone { end } => self.gone(end),
            Happening::Timer { peer } => {
                let peer = peer as usize;
                if self.peers[peer].armed <= self.now {
                    self.peers[peer].armed = Instant::from_micros(u64::MAX);
                    self.input(peer, Input::Timeout);
                }
            }
            Happening::Opens { from, to } => self.open(from as usize, to as usize),
            Happening::Waited { from, to } => self.undial(from as usize, to, true),
            Happening::Tick => {}
        }
    }

    /// Hands something to a peer's machine and does what it says.
    pub(super) fn input(&mut self, peer: usize, input: Input<'_>) {
        let now = self.now;
        let Some(machine) = self.peers[peer].machine.as_mut() else { return };
        machine.handle(now, input);
        self.drain(peer);
    }

    /// An application's wish.
    pub(super) fn command(&mut self, peer: usize, command: Command) {
        self.input(peer, Input::Command(command));
    }

    fn drain(&mut self, peer: usize) {
        while let Some(action) = self.peers[peer].machine.as_mut().and_then(Overlay::poll_action) {
            self.act(peer, action);
        }
        let Some(next) = self.peers[peer].machine.as_ref().and_then(Overlay::poll_timeout) else { return };
        if next < self.peers[peer].armed {
            self.peers[peer].armed = next;
            self.queue.push(next.max(self.now), Happening::Timer { peer: peer as u32 });
        }
    }

    fn act(&mut self, peer: usize, action: Action) {
        match action {
            Action::Send { link, bytes } => self.send(link.0, bytes),
            Action::Dial { contact, way } => self.dial(peer, contact, &way),
            Action::Unlink { link } => self.unlink(link.0),
            Action::Sign { job, text } => {
                let signature = sign(&self.peers[peer].contact.peer, &text);
                self.now_input(peer, Input::Signed { job, signature });
            }
            Action::Verify { job, peer: signer, text, signature } => {
                self.totals.checks += 1;
                self.now_input(peer, Input::Verified { job, good: sign(&signer, &text) == signature });
            }
            Action::Sealed { way, bytes } => self.on_sealed(peer, &way, &bytes),
            Action::Notify(event) => {
                self.hash.update(self.now.micros().to_le_bytes());
                self.hash.update((peer as u32).to_le_bytes());
                self.told.push(Told { at: self.now, peer, event });
            }
        }
    }

    /// Inputs that follow from an action; the actions that they bring wait behind those that are there.
    fn now_input(&mut self, peer: usize, input: Input<'_>) {
        let now = self.now;
        if let Some(machine) = self.peers[peer].machine.as_mut() {
            machine.handle(now, input);
        }
    }

    pub(super) fn send(&mut self, end: u32, bytes: Vec<u8>) {
        let link = &self.links[end as usize / 2];
        if !link.alive || self.is_cut(link) {
            return;
        }
        self.totals.bytes += bytes.len() as u64;
        self.totals.messages += 1;
        let at = self.now.after(u64::from(link.latency_us));
        self.queue.push(at, Happening::Arrives { end: end ^ 1, bytes });
    }

    fn is_cut(&self, link: &Link) -> bool {
        let [a, b] = link.ends.map(|end| self.peers[end as usize].side);
        self.torn && a != b
    }

    fn arrive(&mut self, end: u32, bytes: &[u8]) {
        let link = &self.links[end as usize / 2];
        if !link.alive {
            return;
        }
        let peer = link.ends[end as usize % 2] as usize;
        if self.peers[peer].conduct != Conduct::Honest && liar::takes(self, peer, end, bytes) {
            return;
        }
        self.input(peer, Input::Received { link: LinkId(end), bytes });
    }

    fn gone(&mut self, end: u32) {
        let peer = self.links[end as usize / 2].ends[end as usize % 2] as usize;
        self.peers[peer].links.retain(|other| *other != end);
        self.input(peer, Input::Unlinked { link: LinkId(end) });
    }

    /// Makes a link at once; the first peer began it.
    pub(super) fn link(&mut self, from: usize, to: usize) {
        let number = self.links.len() as u32;
        let latency_us = (LATENCY_US.0 + self.rng.below(LATENCY_US.1)) as u32;
        self.links.push(Link { ends: [from as u32, to as u32], latency_us, alive: true });
        self.totals.handshakes += 1;
        for (side, (peer, other)) in [(from, to), (to, from)].into_iter().enumerate() {
            let end = number * 2 + side as u32;
            self.peers[peer].links.push(end);
            self.peers[peer].handshakes += 1;
            let other = self.peers[other].contact.peer;
            self.input(peer, Input::Linked { link: LinkId(end), peer: other, outbound: side == 0 });
        }
    }

    fn unlink(&mut self, end: u32) {
        let link = &mut self.links[end as usize / 2];
        if !core::mem::replace(&mut link.alive, false) {
            return;
        }
        let (peer, at) = (link.ends[end as usize % 2] as usize, self.now.after(u64::from(link.latency_us)));
        self.peers[peer].links.retain(|other| *other != end);
        self.queue.push(at, Happening::Gone { end: end ^ 1 });
    }

    /// A peer goes; `silently`: nobody is told.
    pub(super) fn kill(&mut self, peer: usize, silently: bool) {
        self.peers[peer].machine = None;
        for end in core::mem::take(&mut self.peers[peer].links) {
            self.links[end as usize / 2].alive = false;
            let at = if silently { self.noticed() } else { self.now.after(LATENCY_US.0) };
            self.queue.push(at, Happening::Gone { end: end ^ 1 });
        }
    }

    fn noticed(&mut self) -> Instant {
        self.now.after(DETECT_US.0 + self.rng.below(DETECT_US.1))
    }

    /// The network falls into two: what was linked across hears nothing any more, and notices after a while.
    pub(super) fn tear(&mut self) {
        self.torn = true;
        for number in 0..self.links.len() {
            if self.links[number].alive && self.is_cut(&self.links[number]) {
                self.links[number].alive = false;
                for side in 0..2 {
                    let at = self.noticed();
                    self.queue.push(at, Happening::Gone { end: number as u32 * 2 + side });
                }
            }
        }
    }

    /// The peer at the other end of a link.
    #[must_use]
    pub(super) fn across(&self, end: u32) -> usize {
        self.links[end as usize / 2].ends[1 - end as usize % 2] as usize
    }

    fn is_linked(&self, peer: usize, other: usize) -> bool {
        self.peers[peer].links.iter().any(|end| self.is_alive(*end) && self.across(*end) == other)
    }

    /// Whether a link carries messages.
    #[must_use]
    pub(super) fn is_alive(&self, end: u32) -> bool {
        let link = &self.links[end as usize / 2];
        link.alive && !self.is_cut(link)
    }

    fn dial(&mut self, peer: usize, contact: Contact, way: &Way) {
        self.totals.dials += 1;
        let to = index_of(&contact.peer);
        self.peers[peer].dials.push((to, self.now));
        let is_leaf =
            self.peers[peer].machine.as_ref().is_some_and(|machine| machine.snapshot().role == Role::Leaf);
        let bytes = envelope(b'O', peer as u32, to, is_leaf, OFFER_BYTES);
        self.now_input(peer, Input::Seal { way, bytes });
        let at = self.now.after(ANSWER_US);
        self.queue.push(at, Happening::Waited { from: peer as u32, to });
    }

    fn on_sealed(&mut self, peer: usize, way: &Way, bytes: &[u8]) {
        let Some((kind, from, to, is_leaf)) = opened(bytes) else { return };
        if to != peer as u32 {
            return;
        }
        self.totals.sealed_bytes += bytes.len() as u64;
        match kind {
            b'O' => {
                let point = self.peers[from as usize].point;
                // Both dial each other: the offer of the lower number counts.
                let glare = self.peers[peer].dials.iter().any(|(other, _)| *other == from);
                if glare && (peer as u32) < from || self.is_linked(peer, from as usize) {
                    return;
                }
                let _ = glare && self.forget_dial(peer, from);
                let room = self.peers[peer].machine.as_ref().is_some_and(|one| one.has_room(point, is_leaf));
                let (kind, length) = if room { (b'A', OFFER_BYTES) } else { (b'D', 32) };
                let bytes = envelope(kind, peer as u32, from, false, length);
                self.now_input(peer, Input::Seal { way, bytes });
                if room {
                    let bytes = envelope(b'C', peer as u32, from, false, CANDIDATE_BYTES);
                    self.now_input(peer, Input::Seal { way, bytes });
                }
            }
            b'A' if self.forget_dial(peer, from) => {
                let bytes = envelope(b'C', peer as u32, from, false, CANDIDATE_BYTES);
                self.now_input(peer, Input::Seal { way, bytes });
                let at = self.now + self.connect();
                self.queue.push(at, Happening::Opens { from: peer as u32, to: from });
            }
            b'D' if self.forget_dial(peer, from) => {
                self.totals.declined += 1;
                let peer_id = self.peers[from as usize].contact.peer;
                self.now_input(peer, Input::Undialled { peer: peer_id });
            }
            _ => {}
        }
    }

    /// From the answer to open channels.
    fn connect(&mut self) -> Duration {
        // Twelve uniform numbers make a normal one.
        let normal: f64 =
            (0..12).map(|_| self.rng.below(1 << 30) as f64 / f64::from(1 << 30)).sum::<f64>() - 6.0;
        Duration::from_secs_f64(CONNECT_MEDIAN_S * (CONNECT_SIGMA * normal).exp())
    }

    fn forget_dial(&mut self, peer: usize, to: u32) -> bool {
        let before = self.peers[peer].dials.len();
        self.peers[peer].dials.retain(|(other, _)| *other != to);
        self.peers[peer].dials.len() < before
    }

    fn undial(&mut self, peer: usize, to: u32, late: bool) {
        let is_old = |(other, since): &(u32, Instant)| *other == to && self.now.passed(*since) >= ANSWER_US;
        if late && !self.peers[peer].dials.iter().any(is_old) {
            return;
        }
        self.totals.unanswered += u64::from(self.forget_dial(peer, to));
        let peer_id = self.peers[to as usize].contact.peer;
        self.input(peer, Input::Undialled { peer: peer_id });
    }

    fn open(&mut self, from: usize, to: usize) {
        if self.is_linked(from, to) {
            return;
        }
        let both = [from, to].map(|peer| self.peers[peer].machine.is_some());
        let apart = self.torn && self.peers[from].side != self.peers[to].side;
        if both == [true, true] && !apart {
            self.link(from, to);
        } else {
            self.undial(from, to as u32, false);
        }
    }

    /// Peers that are there and honest, by number.
    #[must_use]
    pub(super) fn alive(&self) -> Vec<usize> {
        let is_there = |peer: &usize| {
            self.peers[*peer].machine.is_some() && self.peers[*peer].conduct == Conduct::Honest
        };
        (0..self.peers.len()).filter(is_there).collect()
    }

    /// One of some peers.
    pub(super) fn one_of(&mut self, peers: &[usize]) -> usize {
        *self.rng.pick(peers).expect("somebody is left")
    }

    /// Lets a peer tell everybody something with a number.
    pub(super) fn say(&mut self, peer: usize, number: usize) {
        self.list(peer, number, "rumour".repeat(15));
    }

    /// Lets a peer list something with a number.
    pub(super) fn list(&mut self, peer: usize, number: usize, title: String) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let (content, size, kind) = (ContentId(bytes), number as u64, Kind::Other);
        self.command(peer, Command::List { content, size, kind, title });
    }

    /// Rumours that came to anybody still there, and those of them that were news.
    pub(super) fn gossip(&self) -> (u64, u64) {
        let views = self.peers.iter().filter_map(|peer| peer.machine.as_ref()).map(Overlay::snapshot);
        views.fold((0, 0), |(came, new), view| (came + view.rumours_came, new + view.rumours_new))
    }

    /// Hash over all news.
    #[must_use]
    pub(super) fn trace(&self) -> [u8; 32] {
        let mut hash = self.hash.clone();
        hash.update(self.totals.events.to_le_bytes());
        hash.update(self.totals.bytes.to_le_bytes());
        hash.finalize().into()
    }
}

/// The simulator's signature: a hash, since nobody forges here, and ten thousand peers check millions.
fn sign(peer: &PeerId, text: &[u8]) -> Signature {
    let mut hash = Sha256::new();
    hash.update(peer.bytes());
    hash.update(text);
    Signature(hash.finalize().into(), [0; 32])
}

/// The number of a peer, which the simulator writes into its name.
fn index_of(peer: &PeerId) -> u32 {
    peer.bytes().last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn envelope(kind: u8, from: u32, to: u32, is_leaf: bool, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[0] = kind;
    bytes[1..5].copy_from_slice(&from.to_le_bytes());
    bytes[5..9].copy_from_slice(&to.to_le_bytes());
    bytes[9] = u8::from(is_leaf);
    bytes
}

fn opened(bytes: &[u8]) -> Option<(u8, u32, u32, bool)> {
    let head: &[u8; 10] = bytes.first_chunk()?;
    let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    Some((head[0], number(1), number(5), head[9] == 1))
}
