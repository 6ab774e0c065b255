//! A story on stage: a world, who is who in it, and what is measured while it runs.

use super::setup::Setup;
use crate::bounds::{Bound, Task, lower_bound};
use crate::content::Content;
use crate::rtc::SetUp;
use crate::story::FlashCrowd;
use crate::world::{Fault, PeerId, PeerSpec, World};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use swarmlet_core::content::Layout;
use swarmlet_core::snapshot::Totals;
use swarmlet_core::{Event, Instant, Node};

/// Who a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Has the content from the start.
    Origin,
    /// Wants it and gives.
    Contributor,
    /// Wants it and gives nothing.
    FreeRider,
    /// Wants it and gives, over a fast line.
    Strong,
    /// Over a middling one.
    Mid,
    /// Over a slow one.
    Weak,
    /// Lies, or promises and does not give: nobody waits for it.
    Hostile,
}

impl Class {
    /// Its name in figures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Contributor => "contributors",
            Self::FreeRider => "free_riders",
            Self::Strong => "strong",
            Self::Mid => "mid",
            Self::Weak => "weak",
            Self::Hostile => "hostile",
        }
    }

    /// Whether it gives to others what it wants itself.
    #[must_use]
    pub const fn gives(self) -> bool {
        matches!(self, Self::Contributor | Self::Strong | Self::Mid | Self::Weak)
    }

    /// Whether the run ends when it and its like are done.
    #[must_use]
    pub const fn is_awaited(self) -> bool {
        self.gives() || matches!(self, Self::FreeRider)
    }
}

/// The run so far, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Seconds since the beginning.
    pub at: f64,
    /// Bytes that have left the lines of those who give.
    pub sent: f64,
    /// Bytes that could have.
    pub capacity: f64,
}

/// A running story.
pub struct Play {
    /// The world.
    pub world: World,
    /// Who is who, by number.
    pub classes: Vec<Class>,
    /// Left before they were done, or came later than the others: nobody waits for them.
    pub excused: BTreeSet<PeerId>,
    /// Bytes that an application was given and that were not the content.
    pub corrupt: u64,
    /// The lines over time.
    pub samples: Vec<Sample>,
    /// Bytes that the origin had sent when the last distinct piece was with a peer.
    pub origin_until_out: Option<u64>,
    /// Steps of a run are never longer.
    pub step: Duration,
    ids: BTreeMap<swarmlet_core::PeerId, PeerId>,
    gone: Totals,
    pieces: Vec<(swarmlet_core::Root, u64, u64)>,
}

/// What is told of a run while it lasts: the share that is done.
pub type Progress<'a> = &'a mut dyn FnMut(f64);

impl Play {
    /// An empty stage.
    #[must_use]
    pub fn new(setup: &Setup, content: Rc<Content>) -> Self {
        let set_up = match setup.number("connect") {
            0.0 => SetUp::Lognormal,
            ms => SetUp::Fixed(Duration::from_secs_f64(ms / 1000.0)),
        };
        let crowd = FlashCrowd { seed: setup.seed, peers: 0, seeds: 0, set_up, ..FlashCrowd::default() };
        let pieces = pieces(&content);
        let mut world = crowd.world_of(content);
        world.recorder = setup.recorder.clone();
        Self {
            world,
            classes: Vec::new(),
            excused: BTreeSet::new(),
            corrupt: 0,
            samples: Vec::new(),
            origin_until_out: None,
            step: STEP_MAX,
            ids: BTreeMap::new(),
            gone: Totals::default(),
            pieces,
        }
    }

    /// One file of the story's size, and its origin.
    #[must_use]
    pub fn with_origin(setup: &Setup) -> Self {
        let mut play = Self::new(setup, Rc::new(Content::single(setup.seed, setup.bytes(), &[])));
        for index in 0..setup.sources() {
            play.add(Class::Origin, setup.source(index));
        }
        play
    }

    /// Adds somebody.
    pub fn add(&mut self, class: Class, spec: PeerSpec) -> PeerId {
        self.classes.push(class);
        self.world.add(spec)
    }

    /// The number that the next peer will have.
    #[must_use]
    pub const fn next(&self) -> PeerId {
        self.classes.len()
    }

    /// Peers of a class, but for the excused.
    pub fn of(&self, fits: impl Fn(Class) -> bool) -> impl Iterator<Item = PeerId> {
        let all = self.classes.iter().enumerate();
        all.filter(move |(peer, class)| fits(**class) && !self.excused.contains(peer)).map(|(peer, _)| peer)
    }

    /// Somebody goes, with what is known of it noted first.
    pub fn depart(&mut self, peer: PeerId, how: Fault) {
        self.note_id(peer);
        if let Some(node) = &self.world.peers[peer].node {
            add(&mut self.gone, &node.snapshot().totals);
        }
        self.world.inflict(how);
    }

    /// The bound for all who give, as if nobody else were there. Where most come later than the first, capacity
    /// and need are never all there at once, and only what a single peer can take in counts.
    #[must_use]
    pub fn bound(&self) -> Bound {
        let bound = self.bound_at_once();
        let came_later = self.of(Class::gives).filter(|peer| !self.world.peers[*peer].spec.joins.is_zero());
        if came_later.count() * 2 <= self.of(Class::gives).count() {
            return bound;
        }
        let set_up = bound.total - bound.aggregate.max(bound.last_leaf).max(bound.slowest);
        Bound { aggregate: 0.0, last_leaf: 0.0, total: set_up + bound.slowest, ..bound }
    }

    fn bound_at_once(&self) -> Bound {
        let specs = |class: fn(Class) -> bool| self.of(class).map(|peer| &self.world.peers[peer].spec);
        let sources: u64 = specs(|class| class == Class::Origin).map(|spec| spec.up).sum();
        let origins: u64 = self.world.origins.iter().map(|origin| origin.rate).sum();
        // HTTP needs no connection to a peer.
        let needs_link = self.world.origins.is_empty();
        let connect = if needs_link { self.world.options.set_up.median() } else { Duration::ZERO };
        lower_bound(&Task {
            bytes: self.world.content.bytes(),
            source_up: (sources + origins) as f64,
            up: specs(Class::gives).map(|spec| spec.up as f64).collect(),
            down_min: specs(Class::gives).map(|spec| spec.down).min().unwrap_or(u64::MAX) as f64,
            connect: connect.as_secs_f64(),
        })
    }

    /// Runs until everybody who is waited for has everything, or the setup's limit. `each` is called some hundred
    /// times on the way, and may change the world.
    pub fn run(&mut self, setup: &Setup, progress: Progress<'_>, each: &mut dyn FnMut(&mut Self)) {
        let bound = self.bound().total;
        let limit = setup.limit(bound);
        let tick = Duration::from_secs_f64(bound / 400.0).max(STEP_MIN).min(self.step);
        self.sample(Duration::ZERO);
        while self.world.violation.is_none() && self.world.now < limit {
            let before = self.world.now;
            let until = (before + tick).min(limit).since(Instant::ZERO);
            self.world.run_until(until, |_| false);
            each(self);
            self.sample(self.world.now.since(before));
            self.watch_pieces();
            progress(self.share_done());
            if self.is_over() {
                break;
            }
        }
        for peer in 0..self.next() {
            self.note_id(peer);
        }
        self.world.recorder.end();
    }

    /// Whether nobody is waited for any more.
    fn is_over(&self) -> bool {
        self.of(Class::is_awaited).all(|peer| self.world.peers[peer].done_at.is_some())
    }

    fn share_done(&self) -> f64 {
        let (mut stored, mut wanted) = (0, 0);
        for peer in self.of(Class::is_awaited) {
            wanted += self.world.content.bytes();
            stored += self.world.peers[peer].stored;
        }
        stored as f64 / wanted.max(1) as f64
    }

    fn sample(&mut self, passed: Duration) {
        let mut new = self.samples.last().copied().unwrap_or_default();
        new.at = self.world.now.since(Instant::ZERO).as_secs_f64();
        new.sent = 0.0;
        let giving = self.world.peers.iter().zip(&self.classes).filter(|(_, class)| class.gives());
        for (peer, _) in giving {
            new.sent += peer.access.sent as f64;
            if peer.node.is_some() && !peer.frozen {
                new.capacity += peer.spec.up as f64 * passed.as_secs_f64();
            }
        }
        self.samples.push(new);
    }

    /// Notes when the last distinct piece has come to a peer: from then on nobody needs the origin.
    fn watch_pieces(&mut self) {
        if self.origin_until_out.is_some() {
            return;
        }
        while let Some((root, start, end)) = self.pieces.last() {
            let mut others = self.world.peers.iter().filter(|peer| !peer.spec.seed);
            if !others.any(|peer| peer.disk.holds(root, *start, *end)) {
                return;
            }
            self.pieces.pop();
        }
        self.origin_until_out = Some(self.origin_bytes());
    }

    /// Whether every piece is with a peer that is not the origin.
    #[must_use]
    pub const fn all_out(&self) -> bool {
        self.origin_until_out.is_some()
    }

    /// Payload that seeds and HTTP origins have sent.
    #[must_use]
    pub fn origin_bytes(&self) -> u64 {
        let seeds = self.world.peers.iter().filter(|peer| peer.spec.seed);
        let sent: u64 =
            seeds.filter_map(|peer| peer.node.as_ref()).map(|node| node.snapshot().totals.sent).sum();
        let served: u64 = self.world.origins.iter().map(|origin| origin.served).sum();
        sent + served + self.gone_seeds()
    }

    /// What seeds that left had sent. (Leechers that left count in `gone` too, but sent nothing as seeds.)
    fn gone_seeds(&self) -> u64 {
        let absent = |peer: &&crate::host::Peer| peer.spec.seed && peer.node.is_none();
        self.world.peers.iter().filter(absent).map(|peer| peer.access.sent).sum()
    }

    /// Sums over all nodes, those that left included.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut sum = self.gone;
        for node in self.world.peers.iter().filter_map(|peer| peer.node.as_ref()) {
            add(&mut sum, &node.snapshot().totals);
        }
        sum
    }

    fn note_id(&mut self, peer: PeerId) {
        if let Some(id) = self.world.peers[peer].node.as_ref().map(Node::peer_id) {
            self.ids.insert(id, peer);
        }
    }

    /// How often somebody was shut out, and how often that somebody was honest.
    #[must_use]
    pub fn bans(&self) -> (u64, u64) {
        let (mut all, mut honest) = (0, 0);
        for (_, event) in self.world.peers.iter().flat_map(|peer| &peer.notes) {
            let Event::Banned { peer, .. } = event else { continue };
            all += 1;
            let class = self.ids.get(peer).and_then(|peer| self.classes.get(*peer));
            honest += u64::from(class.is_none_or(|class| *class != Class::Hostile));
        }
        (all, honest)
    }
}

/// Steps of a run are not shorter.
const STEP_MIN: Duration = Duration::from_millis(20);
/// Steps of a run are not longer: peers that leave when they are done leave by the step.
const STEP_MAX: Duration = Duration::from_millis(250);

/// Every piece of every file, by its first and last byte.
fn pieces(content: &Content) -> Vec<(swarmlet_core::Root, u64, u64)> {
    let mut all = Vec::new();
    for (root, file) in &content.files {
        let Some(layout) = Layout::of(file.len() as u64) else { continue };
        for piece in layout.all_pieces() {
            let start = layout.piece_start(piece);
            all.push((*root, start, start + u64::from(layout.piece_bytes(piece))));
        }
    }
    all
}

fn add(sum: &mut Totals, one: &Totals) {
    sum.from_peers += one.from_peers;
    sum.from_http += one.from_http;
    sum.sent += one.sent;
    sum.wire_in += one.wire_in;
    sum.wire_out += one.wire_out;
    sum.wasted += one.wasted;
    sum.banned += one.banned;
}
