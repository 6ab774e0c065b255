//! The host of each node: takes its orders, as a browser would, and tells it what happened.

use crate::body::Body;
use crate::disk::Disk;
use crate::files::known_leaf_hashes;
use crate::happening::{Happening, News};
use crate::net::Access;
use crate::rtc::LinkTable;
use crate::spec::{PeerId, PeerSpec};
use crate::tape::Tape;
use crate::world::World;
use core::time::Duration;
use std::collections::VecDeque;
use swarmlet_core::config::CHANNEL_LOW_BYTES;
use swarmlet_core::keys::{Exchange, Key};
use swarmlet_core::rng::Rng;
use swarmlet_core::{Action, Channel, Command, Event, Hash, Input, Instant, JobId, LinkId, Node};

/// Inputs that a node may cause itself without time passing, before that is called spinning.
const SPIN_MAX: u32 = 100_000;
/// Inputs of a node in one virtual second that no story needs, and for each so many bytes per second of its line one
/// more: a block takes about ten.
const INPUTS_MAX: u64 = 10_000;
const BYTES_PER_INPUT: u64 = 1_000;
/// Room on a control channel is reported after this much was put on it: these messages are small, and what the node
/// would do with such a report is to count.
const CONTROL_REPORT_BYTES: usize = 16 * 1024;
/// Hidden tabs have timers once in a second, and after five minutes once in a minute (Chromium, "intensive
/// throttling"; research/reliability.md F18).
const HIDDEN_TIMER: u64 = 1_000_000;
const HIDDEN_LONG: Duration = Duration::from_secs(300);
const HIDDEN_LONG_TIMER: u64 = 60_000_000;
/// The first byte of a parcel on the wire.
const PARCEL: u8 = 23;

/// One peer: what outlives its node, and its node.
pub struct Peer {
    /// As the story wants it.
    pub spec: PeerSpec,
    /// Its line.
    pub access: Access,
    /// Its disk.
    pub disk: Disk,
    /// The node, while its page is open.
    pub node: Option<Node>,
    /// How often it was started: news for an earlier life is dropped.
    pub life: u32,
    /// Whether its scripts stand still.
    pub frozen: bool,
    /// Since when its tab is hidden.
    pub hidden: Option<Instant>,
    /// What its application was told, and when.
    pub notes: Vec<(Instant, Event)>,
    /// When it had all that it wanted, for the first time.
    pub done_at: Option<Instant>,
    /// Bytes stored over all lives.
    pub stored: u64,
    /// Bytes fetched over HTTP over all lives.
    pub fetched: u64,
    pub(crate) links: LinkTable,
    pub(crate) socket: Option<u64>,
    /// Which signaller its host opens.
    pub(crate) uses: usize,
    pub(crate) rng: Rng,
    pub(crate) key: Key,
    pub(crate) exchange: Exchange,
    pub(crate) jobs: Jobs,
    pub(crate) held: VecDeque<News>,
    pub(crate) armed: Option<Instant>,
    spin: (Instant, u32),
    /// The second that runs, and its inputs so far.
    busy: (u64, u64),
}

/// Work under way, by the numbers that the node gives: small ones, in order.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Vec<u64>);

impl Jobs {
    pub(crate) fn insert(&mut self, JobId(job): JobId) {
        let at = (job / 64) as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (job % 64);
    }

    /// Whether it was under way.
    pub(crate) fn remove(&mut self, JobId(job): JobId) -> bool {
        let Some(word) = self.0.get_mut((job / 64) as usize) else { return false };
        let was = *word & 1 << (job % 64) != 0;
        *word &= !(1 << (job % 64));
        was
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Peer {
    pub(crate) fn new(spec: PeerSpec, rng: Rng) -> Self {
        let access = Access::new(spec.up, spec.down, spec.latency);
        let disk = Disk::new(spec.disk_room);
        Self {
            spec,
            access,
            disk,
            node: None,
            life: 0,
            frozen: false,
            hidden: None,
            notes: Vec::new(),
            done_at: None,
            stored: 0,
            fetched: 0,
            links: LinkTable::default(),
            socket: None,
            uses: 0,
            rng,
            key: Key::from_seed(&[0; 32]),
            exchange: Exchange::from_seed([0; 32]),
            jobs: Jobs::default(),
            held: VecDeque::new(),
            armed: None,
            spin: (Instant::ZERO, 0),
            busy: (0, 0),
        }
    }

    /// Whether its browser makes one more connection.
    pub(crate) const fn has_room(&self) -> bool {
        self.links.len() < self.spec.links_cap
    }

    /// Whether its application was told something like that.
    pub fn heard(&self, what: impl Fn(&Event) -> bool) -> bool {
        self.notes.iter().any(|(_, event)| what(event))
    }

    /// When a timer rings that is set for `at`.
    fn granted(&self, at: Instant, now: Instant) -> Instant {
        let Some(since) = self.hidden else { return at };
        let long = now.since(since) >= HIDDEN_LONG;
        let grain = if long { HIDDEN_LONG_TIMER } else { HIDDEN_TIMER };
        Instant::from_micros(at.micros().div_ceil(grain).saturating_mul(grain))
    }
}

impl World {
    /// Hands a command of the application to a node.
    pub fn command(&mut self, peer: PeerId, command: Command) {
        self.handle(peer, Input::Command(command));
    }

    /// A fresh node for a peer's next life.
    pub(crate) fn new_node(&mut self, peer: PeerId, seed: [u8; 32]) {
        let mut config = self.peers[peer].spec.config.clone();
        config.hash_leaves = known_leaf_hashes;
        let now = self.local(peer);
        let this = &mut self.peers[peer];
        this.key = Key::from_seed(&this.rng.bytes32());
        let id = this.key.peer_id();
        // Not drawn, so that worlds run as they did before there was such a key.
        this.exchange = Exchange::from_seed(Hash::of(&[seed, id.0].concat()).0);
        this.node = Some(Node::new(config, seed, id, now));
        let from = (self.options.seed, peer);
        self.recorder.begin(peer, || Tape::begin(from, seed, id.0, &this.spec, now));
    }

    /// What a peer's own clock shows now.
    #[must_use]
    pub fn local(&self, peer: PeerId) -> Instant {
        self.peers[peer].spec.clock.shows(self.now)
    }

    /// The host's loop: one input, all orders, one timer.
    pub(crate) fn handle(&mut self, peer: PeerId, input: Input<'_>) {
        if self.tell_node(peer, input) {
            self.carry_out(peer);
        }
    }

    /// One input. `false`: there is no node.
    fn tell_node(&mut self, peer: PeerId, input: Input<'_>) -> bool {
        let now = self.local(peer);
        let Some(node) = &mut self.peers[peer].node else { return false };
        self.recorder.note(peer, now, &input);
        node.handle(now, input);
        self.inputs += 1;
        self.watch_spin(peer);
        true
    }

    /// All orders of a node, and `Input::Writable` at once for channels that a batch left below their mark.
    fn carry_out(&mut self, peer: PeerId) {
        let mut written = core::mem::take(&mut self.written);
        let mut reported = 0;
        loop {
            while let Some(action) = self.peers[peer].node.as_mut().and_then(Node::poll_action) {
                self.perform(peer, action, &mut written);
            }
            let Some((link, channel)) = written.get(reported).copied() else { break };
            reported += 1;
            if let Some(buffered) = self.room_to_report(peer, link, channel) {
                self.log.words(&[u64::from(link.0), u64::from(buffered)]);
                self.tell_node(peer, Input::Writable { link, channel, buffered });
            }
        }
        written.clear();
        self.written = written;
        self.arm(peer);
    }

    fn room_to_report(&mut self, peer: PeerId, link: LinkId, channel: Channel) -> Option<u32> {
        let end = self.end_of(peer, link)?;
        let buffered = self.buffered(end, channel) as u32;
        let flow = self.ends[end].flow_mut(channel);
        let least = if channel == Channel::Control { CONTROL_REPORT_BYTES } else { 1 };
        if flow.unreported < least || buffered > CHANNEL_LOW_BYTES {
            return None;
        }
        flow.unreported = 0;
        Some(buffered)
    }

    /// Sets a peer's one timer anew where it would ring too late.
    pub(crate) fn arm(&mut self, peer: PeerId) {
        let now = self.now;
        let this = &self.peers[peer];
        let Some(due) = this.node.as_ref().and_then(Node::poll_timeout) else { return };
        let at = this.granted(this.spec.clock.when(due).max(now), now);
        if this.armed.is_some_and(|armed| armed <= at && armed > now) {
            // A timer that rings early asks the node again: needless ones do no harm.
            return;
        }
        let life = this.life;
        self.peers[peer].armed = Some(at);
        self.tell(peer, life, at, News::Timeout);
    }

    pub(crate) fn on_timer(&mut self, peer: PeerId) {
        if self.peers[peer].armed.is_some_and(|armed| armed <= self.now) {
            self.peers[peer].armed = None;
            self.handle(peer, Input::Timeout);
        }
    }

    fn watch_spin(&mut self, peer: PeerId) {
        let (since, count) = self.peers[peer].spin;
        self.peers[peer].spin = if since == self.now { (since, count + 1) } else { (self.now, 0) };
        if count > SPIN_MAX {
            self.violate(format_args!("peer {peer} spins: {count} inputs in no time"));
        }
        let second = self.now.micros() / 1_000_000;
        let this = &mut self.peers[peer];
        this.busy = if this.busy.0 == second { (second, this.busy.1 + 1) } else { (second, 1) };
        let (count, most) = (this.busy.1, INPUTS_MAX + (this.spec.up + this.spec.down) / BYTES_PER_INPUT);
        if count > most {
            self.violate(format_args!("peer {peer} is in a storm: {count} inputs within a second"));
        }
    }

    fn perform(&mut self, peer: PeerId, action: Action, written: &mut Vec<(LinkId, Channel)>) {
        match action {
            Action::Notify(event) => self.on_notify(peer, event),
            Action::Send { link, channel, bytes } => {
                let open = self.end_of(peer, link).filter(|end| self.ends[*end].is_open());
                let Some(end) = open else { return };
                let Some(bytes) = self.twist(end, bytes) else { return };
                if let Some(between) =
                    between(&bytes).filter(|[from, _]| *from != self.peers[peer].key.peer_id())
                {
                    *self.passed_on.entry(between).or_default() += bytes.len() as u64;
                }
                let body = Body::of(bytes, channel, &self.files);
                self.enqueue(end, channel, body);
                if !written.contains(&(link, channel)) {
                    written.push((link, channel));
                }
            }
            Action::Unlink { link } => self.unlink(peer, link),
            Action::Signal { bytes } => {
                if let Some(connection) = self.peers[peer].socket {
                    let at = self.signal_up(peer, connection, bytes.len());
                    self.queue.push(at, Happening::SocketMessage { connection, bytes });
                }
            }
            Action::Start { job, work } => {
                self.peers[peer].jobs.insert(job);
                self.start_work(peer, job, work);
            }
            Action::Abort { job } => {
                self.peers[peer].jobs.remove(job);
            }
        }
    }

    fn on_notify(&mut self, peer: PeerId, event: Event) {
        self.noted = true;
        self.trace(format_args!("peer {peer} says {event:?}"));
        let now = self.now;
        if let Event::Banned { peer: banned, fault } = &event {
            self.check_ban(peer, banned, *fault);
        }
        let this = &mut self.peers[peer];
        if matches!(event, Event::Done { .. }) {
            this.done_at.get_or_insert(now);
        }
        this.notes.push((now, event));
    }
}

/// Sender and receiver of a parcel: variant, receiver, sender are its first 1, 32 and 32 bytes.
fn between(bytes: &[u8]) -> Option<[swarmlet_core::PeerId; 2]> {
    let id = |at: usize| bytes.get(at..at + 32)?.try_into().ok().map(swarmlet_core::PeerId);
    (bytes.first() == Some(&PARCEL)).then_some([id(33)?, id(1)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_of_hidden_tabs_ring_once_a_second_and_later_once_a_minute() {
        let mut peer = Peer::new(PeerSpec::default(), crate::queue::fork(1, 0, 0));
        let at = Instant::from_micros(10_300_000);
        assert_eq!(peer.granted(at, Instant::ZERO), at);
        peer.hidden = Some(Instant::from_micros(5_000_000));
        assert_eq!(peer.granted(at, Instant::from_micros(6_000_000)), Instant::from_micros(11_000_000));
        let long = Instant::from_micros(310_000_000);
        assert_eq!(peer.granted(long, long), Instant::from_micros(360_000_000));
    }

    #[test]
    fn jobs_end_once() {
        let mut jobs = Jobs::default();
        jobs.insert(JobId(70));
        assert!(!jobs.remove(JobId(6)) && jobs.remove(JobId(70)) && !jobs.remove(JobId(70)));
    }
}
