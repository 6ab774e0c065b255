//! One virtual world: the clock, the event queue, the peers, and what may befall them.

use crate::content::Content;
use crate::files::Files;
use crate::happening::{Happening, Log, News};
use crate::host::Peer;
use crate::net::Ledger;
use crate::origin::Origin;
use crate::queue::{Queue, fork};
use crate::rtc::{CONSENT, End, EndId, OwnedOutcome};
use crate::signaller::Signaller;
pub use crate::spec::{Fault, Options, PeerId, PeerSpec};
use crate::tape::Recorder;
use core::cell::Cell;
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use swarmlet_core::rng::Rng;
use swarmlet_core::wire::Signature;
use swarmlet_core::{Channel, Fingerprint, Instant, JobId, LinkId};

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
    /// The signaller's host, and those of anchors.
    pub signallers: Vec<Signaller>,
    /// HTTP origins.
    pub origins: Vec<Origin>,
    /// The true bytes of everything.
    pub files: Files,
    /// What is shared.
    pub content: Rc<Content>,
    /// Where channel bytes went.
    pub ledger: Ledger,
    /// Events of the queue so far.
    pub events: u64,
    /// Inputs of nodes and of the tracker so far: what a core did.
    pub inputs: u64,
    /// Hash of all events so far.
    pub log: Log,
    /// Bytes that a node took for the content and that were not.
    pub corrupt: u64,
    /// Bytes of parcels that somebody passed on, by sender and receiver.
    pub passed_on: BTreeMap<[swarmlet_core::PeerId; 2], u64>,
    /// The first invariant that did not hold, with its time.
    pub violation: Option<String>,
    pub(crate) rng: Rng,
    pub(crate) noted: bool,
    /// Channels that the batch at hand wrote to; kept for its memory.
    pub(crate) written: Vec<(LinkId, Channel)>,
    /// Where messages are put together; kept for its memory.
    pub(crate) scratch: Vec<u8>,
    /// A peer that was not done when it was last looked at.
    pub(crate) undone: Cell<usize>,
    /// Whose inputs are written down, and what was.
    pub recorder: Recorder,
    /// Signatures that were made and not yet verified: by whom, and over what.
    pub(crate) signed: BTreeMap<[u8; 32], (Signature, swarmlet_core::PeerId, Vec<u8>)>,
    next_check: Instant,
    /// Where the next look at peers' insides begins.
    pub(crate) audited: usize,
    partition: (u32, BTreeSet<PeerId>),
}

impl World {
    /// An empty world around one share.
    #[must_use]
    pub fn new(options: Options, content: Rc<Content>) -> Self {
        let rng = fork(options.seed, 0, 0);
        let signallers = vec![Signaller::new(&options, 0)];
        let files = Files::new(&content);
        Self {
            options,
            now: Instant::ZERO,
            queue: Queue::default(),
            peers: Vec::new(),
            ends: Vec::new(),
            by_print: BTreeMap::new(),
            signallers,
            origins: Vec::new(),
            files,
            content,
            ledger: Ledger::default(),
            events: 0,
            inputs: 0,
            log: Log::default(),
            corrupt: 0,
            passed_on: BTreeMap::new(),
            violation: None,
            rng,
            noted: false,
            written: Vec::new(),
            scratch: Vec::new(),
            undone: Cell::new(0),
            recorder: Recorder::default(),
            signed: BTreeMap::new(),
            next_check: Instant::ZERO,
            audited: 0,
            partition: (0, BTreeSet::new()),
        }
    }

    /// Adds a peer that opens its page when its spec says so.
    pub fn add(&mut self, spec: PeerSpec) -> PeerId {
        let id = self.peers.len();
        let joins = Instant::ZERO + spec.joins;
        let mut peer = Peer::new(spec, fork(self.options.seed, 1, id as u64));
        for (root, file) in self.files.iter().filter(|_| peer.spec.seed) {
            peer.disk.fill(*root, file.len() as u64);
        }
        self.peers.push(peer);
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
        self.files.enter();
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
            self.recorder.seal();
            let micros = self.now.micros();
            self.violation = Some(format!("seed {}, {micros} us: {what}", self.options.seed));
        }
    }

    /// Whether a partition lies between two peers.
    #[must_use]
    pub fn separated(&self, one: PeerId, two: PeerId) -> bool {
        self.partition.1.contains(&one) != self.partition.1.contains(&two)
    }

    /// One line about the present, when the run is traced.
    pub(crate) fn trace(&self, what: fmt::Arguments<'_>) {
        if self.options.trace {
            eprintln!("{:>12} {what}", self.now.micros());
        }
    }

    fn step(&mut self, happening: Happening) {
        self.events += 1;
        self.log.note(self.now.micros(), &happening);
        if self.options.trace {
            self.trace(format_args!("{happening:.80?}"));
        }
        match happening {
            Happening::Told { peer, life, news } => self.on_told(peer, life, news),
            Happening::LineFree { peer } => self.on_line_free(peer),
            Happening::FlowReady { end, channel } => self.on_flow_ready(end, channel),
            Happening::Came { end, channel } => self.on_came(end, channel),
            Happening::Through { end, channel } => self.on_through(end, channel),
            Happening::Connected { one, two } => self.on_connected(one, two),
            Happening::Broken { end } => self.on_broken(end),
            Happening::ConsentOver { partition } => {
                if partition == self.partition.0 {
                    self.on_consent_over();
                }
            }
            Happening::SocketOpened { peer, life, job, which } => {
                self.on_socket_opened((peer, life), job, which);
            }
            Happening::SocketMessage { connection, bytes } => self.on_socket_message(connection, &bytes),
            Happening::SocketClosed { connection } => self.on_socket_closed(connection),
            Happening::SignallerTimer { which } => self.on_signaller_timer(which),
            Happening::Answered { peer, life, job, file, start, length, wrong } => {
                self.on_answered((peer, life), job, (file, start, length), wrong);
            }
            Happening::LetGo { end, parcel } => self.let_go(end, parcel),
            Happening::Fault(fault) => self.on_fault(fault),
        }
    }

    fn on_fault(&mut self, fault: Fault) {
        match fault {
            Fault::Start(peer) => self.start_peer(peer),
            Fault::Kill(peer) => self.kill_peer(peer),
            Fault::Crash(peer) => self.crash_peer(peer),
            Fault::Leave(peer) => self.close_peer(peer),
            Fault::Freeze(peer) => self.peers[peer].frozen = true,
            Fault::Thaw(peer) => self.thaw_peer(peer),
            Fault::Hide(peer) => self.hide_peer(peer),
            Fault::Show(peer) => self.show_peer(peer),
            Fault::Rot(peer, root, offset) => self.peers[peer].disk.rot(root, offset),
            Fault::Conduct(peer, conduct) => self.peers[peer].spec.conduct = conduct,
            Fault::DiskRoom(peer, room) => self.peers[peer].disk.room = room,
            Fault::SignallerDown => self.signaller_down(0),
            Fault::SignallerUp => self.signaller_up(0),
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
