//! One virtual world: the clock, the event queue, the peers, and what may befall them.

use crate::content::Content;
use crate::disk::{Disk, Truth};
use crate::host::Peer;
use crate::net::Ledger;
use crate::origin::Origin;
use crate::queue::{Queue, fork};
use crate::rtc::{CONSENT, End, EndId, OwnedOutcome};
use crate::signaller::Signaller;
pub use crate::spec::{Fault, Options, PeerId, PeerSpec};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use swarmlet_core::rng::Rng;
use swarmlet_core::wire::Candidate;
use swarmlet_core::{Channel, Fingerprint, Instant, JobId, LinkId};

/// What a node will be told.
#[derive(Debug)]
pub(crate) enum News {
    /// See `Input::Linked`.
    Linked { link: LinkId },
    /// See `Input::Received`.
    Received { link: LinkId, channel: Channel, bytes: Vec<u8> },
    /// See `Input::Writable`.
    Writable { link: LinkId, channel: Channel, buffered: u32 },
    /// See `Input::Unlinked`.
    Unlinked { link: LinkId },
    /// See `Input::Found`.
    Found { link: LinkId, candidate: Option<Candidate> },
    /// See `Input::Signalled`.
    Signalled { connection: u64, bytes: Vec<u8> },
    /// See `Input::SignallerLost`.
    SignallerLost { connection: u64 },
    /// See `Input::Done`.
    Done { job: JobId, outcome: OwnedOutcome },
    /// Read at the time when the disk answers.
    Loaded { job: JobId, root: swarmlet_core::Root, start: u64, length: u32 },
    /// Written at the time when the disk is through.
    Stored { job: JobId, root: swarmlet_core::Root, start: u64, bytes: Vec<u8> },
    /// See `Input::Timeout`.
    Timeout,
}

/// What is in the event queue.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A node is told something, if it still lives the same life.
    Told { peer: PeerId, life: u32, news: News },
    /// A chunk has left its sender's line.
    ChunkLeft { end: EndId, channel: Channel, chunk: usize },
    /// It reached the receiver's line.
    ChunkCame { end: EndId, channel: Channel, chunk: usize, last: bool },
    /// A message's last byte is through the receiver's line.
    Through { end: EndId, channel: Channel },
    /// Set-up of a connection is over.
    Connected { one: EndId, two: EndId },
    /// An end hears that its connection is gone.
    Broken { end: EndId },
    /// Consent checks of a partition's links ran out.
    ConsentOver { partition: u32 },
    /// A signaller socket opens.
    SocketOpened { peer: PeerId, life: u32, job: JobId },
    /// A message reaches the signaller.
    SocketMessage { connection: u64, bytes: Vec<u8> },
    /// A signaller socket is closed by its peer.
    SocketClosed { connection: u64 },
    /// The signaller's own timer.
    SignallerTimer,
    /// An HTTP answer reaches a peer's line.
    Fetched { peer: PeerId, life: u32, job: JobId, bytes: Vec<u8> },
    /// The story goes on.
    Fault(Fault),
}

/// Everything.
pub struct World {
    /// What is the same for the whole run.
    pub options: Options,
    /// The time.
    pub now: Instant,
    /// What is to come.
    pub(crate) queue: Queue<Happening>,
    /// The peers.
    pub peers: Vec<Peer>,
    /// Both sides of all connections.
    pub ends: Vec<End>,
    /// Fingerprint → end.
    pub(crate) by_print: BTreeMap<Fingerprint, EndId>,
    /// The signaller's host.
    pub signaller: Signaller,
    /// HTTP origins.
    pub origins: Vec<Origin>,
    /// The true bytes of everything.
    pub truth: Truth,
    /// What is shared.
    pub content: Rc<Content>,
    /// Where channel bytes went.
    pub ledger: Ledger,
    /// Events so far.
    pub events: u64,
    /// Hash of all events so far: equal for equal runs.
    pub log: u64,
    /// Bytes that a node took for the content and that were not.
    pub corrupt: u64,
    /// The first invariant that did not hold, with its time.
    pub violation: Option<String>,
    pub(crate) rng: Rng,
    pub(crate) noted: bool,
    next_check: Instant,
    partition: (u32, BTreeSet<PeerId>),
}

impl World {
    /// An empty world around one share.
    #[must_use]
    pub fn new(options: Options, content: Rc<Content>) -> Self {
        let rng = fork(options.seed, 0, 0);
        let signaller = Signaller::new(&options);
        let truth = content.files.clone();
        Self {
            options,
            now: Instant::ZERO,
            queue: Queue::default(),
            peers: Vec::new(),
            ends: Vec::new(),
            by_print: BTreeMap::new(),
            signaller,
            origins: Vec::new(),
            truth,
            content,
            ledger: Ledger::default(),
            events: 0,
            log: 0xcbf2_9ce4_8422_2325,
            corrupt: 0,
            violation: None,
            rng,
            noted: false,
            next_check: Instant::ZERO,
            partition: (0, BTreeSet::new()),
        }
    }

    /// Adds a peer that opens its page when its spec says so.
    pub fn add(&mut self, spec: PeerSpec) -> PeerId {
        let id = self.peers.len();
        let mut disk = Disk::default();
        disk.room = spec.disk_room;
        if spec.seed {
            for (root, file) in &self.truth {
                disk.fill(*root, file.len() as u64);
            }
        }
        let joins = Instant::ZERO + spec.joins;
        self.peers.push(Peer::new(spec, disk, fork(self.options.seed, 1, id as u64)));
        self.queue.push(joins, Happening::Fault(Fault::Start(id)));
        id
    }

    /// Lets something befall the world at a time since its beginning.
    pub fn at(&mut self, time: Duration, fault: Fault) {
        self.queue.push(Instant::ZERO + time, Happening::Fault(fault));
    }

    /// Lets something befall the world now.
    pub fn inflict(&mut self, fault: Fault) {
        self.on_fault(fault);
    }

    /// Runs until `reached` holds (asked when an application was notified) or `limit` has passed since the
    /// beginning; returns whether it held. Stops at the first broken invariant.
    pub fn run_until(&mut self, limit: Duration, reached: impl Fn(&Self) -> bool) -> bool {
        let end = Instant::ZERO + limit;
        while let Some(at) = self.queue.next_at().filter(|at| *at <= end) {
            if self.violation.is_some() {
                return false;
            }
            if at >= self.next_check {
                self.check_running();
                self.next_check = at + Duration::from_secs(1);
            }
            if let Some((at, happening)) = self.queue.pop() {
                self.now = at;
                self.step(happening);
            }
            if core::mem::take(&mut self.noted) && reached(self) {
                return true;
            }
        }
        self.now = end;
        reached(self)
    }

    /// Runs until `limit` after the beginning.
    pub fn run(&mut self, limit: Duration) {
        self.run_until(limit, |_| false);
    }

    /// Tells a node something at `at`.
    pub(crate) fn tell(&mut self, peer: PeerId, life: u32, at: Instant, news: News) {
        self.queue.push(at, Happening::Told { peer, life, news });
    }

    /// Ends a job of a node at `at`.
    pub(crate) fn finish(&mut self, peer: PeerId, job: JobId, at: Instant, outcome: OwnedOutcome) {
        let life = self.peers[peer].life;
        self.tell(peer, life, at, News::Done { job, outcome });
    }

    /// Notes the first broken invariant.
    pub(crate) fn violate(&mut self, what: impl core::fmt::Display) {
        if self.violation.is_none() {
            let micros = self.now.micros();
            self.violation = Some(format!("seed {}, {micros} us: {what}", self.options.seed));
        }
    }

    /// Whether a partition lies between two peers.
    #[must_use]
    pub fn separated(&self, one: PeerId, two: PeerId) -> bool {
        self.partition.1.contains(&one) != self.partition.1.contains(&two)
    }

    fn step(&mut self, happening: Happening) {
        self.events += 1;
        self.note(&happening);
        match happening {
            Happening::Told { peer, life, news } => self.on_told(peer, life, news),
            Happening::ChunkLeft { end, channel, chunk } => self.on_chunk_left(end, channel, chunk),
            Happening::ChunkCame { end, channel, chunk, last } => {
                self.on_chunk_came(end, channel, chunk, last);
            }
            Happening::Through { end, channel } => self.on_through(end, channel),
            Happening::Connected { one, two } => self.on_connected(one, two),
            Happening::Broken { end } => self.on_broken(end),
            Happening::ConsentOver { partition } => {
                if partition == self.partition.0 {
                    self.on_consent_over();
                }
            }
            Happening::SocketOpened { peer, life, job } => self.on_socket_opened(peer, life, job),
            Happening::SocketMessage { connection, bytes } => self.on_socket_message(connection, &bytes),
            Happening::SocketClosed { connection } => self.on_socket_closed(connection),
            Happening::SignallerTimer => self.on_signaller_timer(),
            Happening::Fetched { peer, life, job, bytes } => self.on_fetched(peer, life, job, bytes),
            Happening::Fault(fault) => self.on_fault(fault),
        }
    }

    fn on_fault(&mut self, fault: Fault) {
        match fault {
            Fault::Start(peer) => self.start_peer(peer),
            Fault::Kill(peer) => self.kill_peer(peer),
            Fault::Leave(peer) => self.close_peer(peer),
            Fault::Freeze(peer) => self.peers[peer].frozen = true,
            Fault::Thaw(peer) => self.thaw_peer(peer),
            Fault::Conduct(peer, conduct) => self.peers[peer].spec.conduct = conduct,
            Fault::DiskRoom(peer, room) => self.peers[peer].disk.room = room,
            Fault::SignallerDown => self.signaller_down(),
            Fault::SignallerUp => self.signaller_up(),
            Fault::Partition(set) => self.set_partition(set),
            Fault::Heal => self.set_partition(BTreeSet::new()),
            Fault::OriginDies(origin) => self.origins[origin].dead = true,
            Fault::OriginBack(origin) => self.origins[origin].dead = false,
            Fault::OriginRate(origin, rate) => self.origins[origin].rate = rate,
            Fault::OriginWrong(origin, wrong) => self.origins[origin].wrong = wrong,
        }
    }

    fn set_partition(&mut self, set: BTreeSet<PeerId>) {
        self.partition = (self.partition.0 + 1, set);
        self.apply_partition();
        if !self.partition.1.is_empty() {
            let partition = self.partition.0;
            self.queue.push(self.now + CONSENT, Happening::ConsentOver { partition });
        }
    }
}
