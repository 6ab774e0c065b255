//! The host of each node: carries out what it orders, as a browser would, and tells it what happened.

use crate::disk::{Disk, Written};
use crate::net::Access;
use crate::queue::fork_seed;
use crate::rtc::{EndId, OwnedOutcome};
use crate::world::{Happening, News, PeerId, PeerSpec, World};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use swarmlet_core::keys::{self, Key};
use swarmlet_core::rng::Rng;
use swarmlet_core::wire::{Description, sdp};
use swarmlet_core::{
    Action, Channel, Command, Event, Failure, Input, Instant, JobId, LinkId, Node, Root, Work,
};

/// What a disk needs for anything at all.
const DISK_SEEK: Duration = Duration::from_micros(500);
/// Signing or verifying in a browser.
const KEY_WORK: Duration = Duration::from_micros(200);
/// Bytes per second of a disk.
const DISK_RATE: u64 = 300_000_000;
/// Inputs that a node may cause itself without time passing, before that is called spinning.
const SPIN_MAX: u32 = 100_000;

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
    /// What its application was told, and when.
    pub notes: Vec<(Instant, Event)>,
    /// When it had all that it wanted, for the first time.
    pub done_at: Option<Instant>,
    /// Bytes stored over all lives.
    pub stored: u64,
    /// Bytes fetched over HTTP over all lives.
    pub fetched: u64,
    pub(crate) links: BTreeMap<LinkId, EndId>,
    pub(crate) socket: Option<u64>,
    pub(crate) rng: Rng,
    key: Key,
    jobs: BTreeSet<JobId>,
    held: VecDeque<News>,
    armed: Option<Instant>,
    spin: (Instant, u32),
}

impl Peer {
    pub(crate) fn new(spec: PeerSpec, disk: Disk, rng: Rng) -> Self {
        let access = Access::new(spec.up, spec.down, spec.latency);
        Self {
            spec,
            access,
            disk,
            node: None,
            life: 0,
            frozen: false,
            notes: Vec::new(),
            done_at: None,
            stored: 0,
            fetched: 0,
            links: BTreeMap::new(),
            socket: None,
            rng,
            key: Key::from_seed(&[0; 32]),
            jobs: BTreeSet::new(),
            held: VecDeque::new(),
            armed: None,
            spin: (Instant::ZERO, 0),
        }
    }

    /// Whether its browser makes one more connection.
    fn has_room(&self) -> bool {
        self.links.len() < self.spec.links_cap
    }

    /// Whether its application was told something like that.
    pub fn heard(&self, what: impl Fn(&Event) -> bool) -> bool {
        self.notes.iter().any(|(_, event)| what(event))
    }
}

impl World {
    pub(crate) fn start_peer(&mut self, peer: PeerId) {
        let (seed, now) = (self.options.seed, self.now);
        let content = self.content.clone();
        let this = &mut self.peers[peer];
        if this.node.is_some() {
            return;
        }
        this.life += 1;
        let node_seed = fork_seed(seed, 2 + u64::from(this.life), peer as u64);
        this.key = Key::from_seed(&this.rng.bytes32());
        this.node = Some(Node::new(this.spec.config.clone(), node_seed, this.key.peer_id(), now));
        let command = if this.spec.seed {
            Command::Seed { torrent: Box::new(content.torrent.clone()), leaves: content.leaves.clone() }
        } else {
            let torrent = this.spec.has_torrent.then(|| Box::new(content.torrent.clone()));
            Command::Add { magnet: content.magnet(), torrent, select: None }
        };
        // Node::new may have orders of its own; the first input drains them too.
        self.command(peer, command);
    }

    /// Hands a command of the application to a node.
    pub fn command(&mut self, peer: PeerId, command: Command) {
        self.handle(peer, Input::Command(command));
    }

    pub(crate) fn close_peer(&mut self, peer: PeerId) {
        self.command(peer, Command::Close);
        self.end_life(peer);
    }

    pub(crate) fn kill_peer(&mut self, peer: PeerId) {
        let ends: Vec<_> = self.peers[peer].links.values().copied().collect();
        for end in ends {
            self.abandon(end);
        }
        self.end_life(peer);
    }

    fn end_life(&mut self, peer: PeerId) {
        let links: Vec<_> = self.peers[peer].links.keys().copied().collect();
        for link in links {
            self.unlink(peer, link);
        }
        if let Some(connection) = self.peers[peer].socket.take() {
            let at = self.now + self.signaller_latency(peer);
            self.queue.push(at, Happening::SocketClosed { connection });
        }
        let this = &mut self.peers[peer];
        this.node = None;
        this.jobs.clear();
        this.held.clear();
        this.armed = None;
        this.frozen = false;
        this.access.silence();
    }

    pub(crate) fn thaw_peer(&mut self, peer: PeerId) {
        self.peers[peer].frozen = false;
        let life = self.peers[peer].life;
        while let Some(news) = self.peers[peer].held.pop_front() {
            self.on_told(peer, life, news);
        }
    }

    /// The one way by which news reaches a node.
    pub(crate) fn on_told(&mut self, peer: PeerId, life: u32, news: News) {
        let this = &mut self.peers[peer];
        if this.life != life || this.node.is_none() {
            return;
        }
        if this.frozen {
            this.held.push_back(news);
            return;
        }
        match news {
            News::Linked { link } => self.handle(peer, Input::Linked { link }),
            News::Received { link, channel, bytes } => {
                self.handle(peer, Input::Received { link, channel, bytes: &bytes });
            }
            News::Writable { link, channel, buffered } => {
                if self.end_of(peer, link).is_some() {
                    self.handle(peer, Input::Writable { link, channel, buffered });
                }
            }
            News::Unlinked { link } => self.handle(peer, Input::Unlinked { link }),
            News::Found { link, candidate } => {
                if self.end_of(peer, link).is_some() {
                    self.handle(peer, Input::Found { link, candidate });
                }
            }
            News::Signalled { connection, bytes } => {
                if this.socket == Some(connection) {
                    self.handle(peer, Input::Signalled { bytes: &bytes });
                }
            }
            News::SignallerLost { connection } => {
                if this.socket == Some(connection) {
                    this.socket = None;
                    self.handle(peer, Input::SignallerLost);
                }
            }
            News::Done { job, outcome } => self.done(peer, job, &outcome),
            News::Loaded { job, root, start, length } => {
                let loaded = this.disk.load(&self.truth, &root, start, length);
                self.done(peer, job, &loaded.map_or(OwnedOutcome::Missing, OwnedOutcome::Bytes));
            }
            News::Stored { job, root, start, bytes } => self.on_stored(peer, job, root, start, &bytes),
            News::Timeout => self.on_timer(peer),
        }
    }

    fn on_stored(&mut self, peer: PeerId, job: JobId, root: Root, start: u64, bytes: &[u8]) {
        let outcome = match self.peers[peer].disk.store(&self.truth, root, start, bytes) {
            Written::Ok => {
                self.peers[peer].stored += bytes.len() as u64;
                OwnedOutcome::Ok
            }
            Written::Full => OwnedOutcome::Failed(Failure::Full),
            Written::Wrong => {
                self.corrupt += bytes.len() as u64;
                self.violate(format_args!("peer {peer} stored wrong bytes of {root:?} at {start}"));
                OwnedOutcome::Failed(Failure::Host)
            }
        };
        self.done(peer, job, &outcome);
    }

    fn done(&mut self, peer: PeerId, job: JobId, outcome: &OwnedOutcome) {
        if self.peers[peer].jobs.remove(&job) {
            self.handle(peer, Input::Done { job, outcome: outcome.lend() });
        }
    }

    fn on_timer(&mut self, peer: PeerId) {
        let due = self.peers[peer].armed.is_some_and(|armed| armed <= self.now);
        if due {
            self.peers[peer].armed = None;
            self.handle(peer, Input::Timeout);
        }
    }

    /// The host's loop: one input, all orders, one timer.
    fn handle(&mut self, peer: PeerId, input: Input<'_>) {
        let Some(mut node) = self.peers[peer].node.take() else { return };
        node.handle(self.now, input);
        let mut written = BTreeSet::new();
        while let Some(action) = node.poll_action() {
            self.perform(peer, action, &mut written);
        }
        let timeout = node.poll_timeout();
        self.peers[peer].node = Some(node);
        self.report_room(peer, &written);
        self.arm(peer, timeout);
        self.watch_spin(peer);
    }

    /// `Input::Writable` at once for channels that a batch of sends left below their mark.
    fn report_room(&mut self, peer: PeerId, written: &BTreeSet<(LinkId, Channel)>) {
        let life = self.peers[peer].life;
        for (link, channel) in written {
            let Some(end) = self.end_of(peer, *link) else { continue };
            let buffered = self.ends[end].flow_mut(*channel).buffered() as u32;
            if buffered <= swarmlet_core::config::CHANNEL_LOW_BYTES {
                let news = News::Writable { link: *link, channel: *channel, buffered };
                self.tell(peer, life, self.now, news);
            }
        }
    }

    fn arm(&mut self, peer: PeerId, timeout: Option<Instant>) {
        let at = timeout.map(|at| at.max(self.now));
        let this = &mut self.peers[peer];
        let known = this.armed.zip(at).is_some_and(|(armed, at)| armed <= at && armed > self.now);
        if at.is_none() || known {
            // A timer that rings early asks the node again: needless ones do no harm.
            return;
        }
        this.armed = at;
        let life = this.life;
        self.tell(peer, life, at.unwrap_or(self.now), News::Timeout);
    }

    fn watch_spin(&mut self, peer: PeerId) {
        let (since, count) = self.peers[peer].spin;
        self.peers[peer].spin = if since == self.now { (since, count + 1) } else { (self.now, 0) };
        if count > SPIN_MAX {
            self.violate(format_args!("peer {peer} spins: {count} inputs in no time"));
        }
    }

    fn perform(&mut self, peer: PeerId, action: Action, written: &mut BTreeSet<(LinkId, Channel)>) {
        match action {
            Action::Notify(event) => self.on_notify(peer, event),
            Action::Send { link, channel, bytes } => {
                let open = self.end_of(peer, link).filter(|end| self.ends[*end].is_open());
                if let Some(end) = open
                    && let Some(bytes) = self.twist(end, bytes)
                {
                    self.enqueue(end, channel, bytes);
                    written.insert((link, channel));
                }
            }
            Action::Unlink { link } => self.unlink(peer, link),
            Action::Signal { bytes } => {
                if let Some(connection) = self.peers[peer].socket {
                    let at = self.now + self.signaller_latency(peer);
                    self.queue.push(at, Happening::SocketMessage { connection, bytes });
                }
            }
            Action::Start { job, work } => {
                self.peers[peer].jobs.insert(job);
                self.start_work(peer, job, work);
            }
            Action::Abort { job } => {
                self.peers[peer].jobs.remove(&job);
            }
        }
    }

    fn on_notify(&mut self, peer: PeerId, event: Event) {
        self.noted = true;
        self.trace(format_args!("peer {peer} says {event:?}"));
        let now = self.now;
        let this = &mut self.peers[peer];
        if matches!(event, Event::Done { .. }) {
            this.done_at.get_or_insert(now);
        }
        this.notes.push((now, event));
    }

    fn start_work(&mut self, peer: PeerId, job: JobId, work: Work) {
        let soon = self.now + Duration::from_millis(1);
        match work {
            Work::OpenSignaller => self.open_socket(peer, job),
            Work::CloseSignaller => {
                if let Some(connection) = self.peers[peer].socket.take() {
                    let at = self.now + self.signaller_latency(peer);
                    self.queue.push(at, Happening::SocketClosed { connection });
                }
                self.finish(peer, job, soon, OwnedOutcome::Ok);
            }
            Work::Sign { message } => {
                let signature = self.peers[peer].key.sign(&message);
                self.finish(peer, job, self.now + KEY_WORK, OwnedOutcome::Bytes(signature.to_vec()));
            }
            Work::Verify { peer: signer, message, signature } => {
                let good = keys::verify(&signer, &message, &signature);
                let outcome = if good { OwnedOutcome::Ok } else { OwnedOutcome::Missing };
                self.finish(peer, job, self.now + KEY_WORK, outcome);
            }
            Work::Dial { link } if self.peers[peer].has_room() => self.create_end(peer, job, link, None),
            Work::Dial { .. } => self.finish(peer, job, soon, OwnedOutcome::Failed(Failure::Host)),
            Work::Accept { link, remote } => {
                if self.host_takes(&remote) && self.peers[peer].has_room() {
                    self.create_end(peer, job, link, Some(&remote));
                } else {
                    self.finish(peer, job, soon, OwnedOutcome::Failed(Failure::Host));
                }
            }
            Work::Complete { link, remote } => {
                let taken = self.host_takes(&remote) && self.complete_end(peer, link, &remote);
                self.finish(peer, job, soon, ok_or_failed(taken));
            }
            Work::Candidate { link, .. } => {
                let taken = self.add_candidate(peer, link);
                self.finish(peer, job, soon, ok_or_failed(taken));
            }
            Work::Fetch { url, start, end, .. } => self.fetch(peer, job, &url, start, end),
            Work::Load { root, start, length } => {
                let at = self.disk_done(u64::from(length));
                self.tell(peer, self.peers[peer].life, at, News::Loaded { job, root, start, length });
            }
            Work::Store { root, start, bytes, .. } => {
                let at = self.disk_done(bytes.len() as u64);
                self.tell(peer, self.peers[peer].life, at, News::Stored { job, root, start, bytes });
            }
            Work::Get { key } => {
                let value = self.peers[peer].disk.records.get(&key).cloned();
                self.finish(peer, job, soon, value.map_or(OwnedOutcome::Missing, OwnedOutcome::Bytes));
            }
            Work::Put { key, value } => {
                self.peers[peer].disk.records.insert(key, value);
                self.finish(peer, job, soon, OwnedOutcome::Ok);
            }
            Work::Discard { root } => {
                self.peers[peer].disk.discard(&root);
                self.finish(peer, job, soon, OwnedOutcome::Ok);
            }
            Work::Forget { key } => {
                self.peers[peer].disk.records.remove(&key);
                self.finish(peer, job, soon, OwnedOutcome::Ok);
            }
        }
    }

    fn disk_done(&self, bytes: u64) -> Instant {
        self.now + DISK_SEEK + crate::net::transfer_time(bytes, DISK_RATE)
    }

    /// A browser takes only what makes a valid SDP.
    fn host_takes(&mut self, remote: &Description) -> bool {
        let parsed = sdp::build(remote).and_then(|text| sdp::parse(&text));
        if parsed.as_ref() != Some(remote) {
            self.violate("a description that does not survive the way through SDP");
        }
        parsed.is_some()
    }

    fn fetch(&mut self, peer: PeerId, job: JobId, url: &str, start: u64, end: u64) {
        let way = self.peers[peer].access.latency;
        let found = self.origins.iter().position(|origin| origin.files.contains_key(url));
        let Some(index) = found.filter(|index| !self.origins[*index].dead) else {
            let at = self.now + way * 2;
            let outcome = match found {
                Some(_) => OwnedOutcome::Failed(Failure::Network),
                None => OwnedOutcome::Missing,
            };
            return self.finish(peer, job, at, outcome);
        };
        let origin = &mut self.origins[index];
        let body = self.truth.get(&origin.files[url]).and_then(|file| {
            let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
            file.get(range).map(<[u8]>::to_vec)
        });
        let Some(mut bytes) = body else {
            let at = self.now + (way + origin.latency) * 2;
            return self.finish(peer, job, at, OwnedOutcome::Failed(Failure::Status(416)));
        };
        if origin.wrong {
            bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        let left = origin.send(self.now + way + origin.latency, bytes.len() as u64);
        let at = left + way + origin.latency;
        let life = self.peers[peer].life;
        self.queue.push(at, Happening::Fetched { peer, life, job, bytes });
    }

    pub(crate) fn on_fetched(&mut self, peer: PeerId, life: u32, job: JobId, bytes: Vec<u8>) {
        if self.peers[peer].life != life {
            return;
        }
        self.peers[peer].fetched += bytes.len() as u64;
        let through = self.peers[peer].access.take_in(self.now, bytes.len() as u64);
        self.finish(peer, job, through, OwnedOutcome::Bytes(bytes));
    }
}

const fn ok_or_failed(ok: bool) -> OwnedOutcome {
    if ok { OwnedOutcome::Ok } else { OwnedOutcome::Failed(Failure::Host) }
}
