//! Connections: two ends that know each other's fingerprints and at least one way between them come to be a
//! link after a set-up time, unless their NATs forbid it.

use crate::happening::{Happening, News};
use crate::net::Flow;
use crate::queue::fork;
use crate::signaller::peer_address;
use crate::spec::PeerId;
use crate::world::World;
use core::time::Duration;
use swarmlet_core::rng::Rng;
use swarmlet_core::wire::{Address, Candidate, CandidateKind, Description, Role};
use swarmlet_core::{Channel, Failure, Fingerprint, Instant, JobId, LinkId, Outcome};

/// The number of an end in [`World::ends`].
pub type EndId = usize;

/// After this long without a sign of life ICE gives a connection up (RFC 7675 §5.1).
pub const CONSENT: Duration = Duration::from_secs(30);

/// How long ICE, DTLS and SCTP take.
#[derive(Clone, Copy, Debug)]
pub enum SetUp {
    /// Always the same.
    Fixed(Duration),
    /// About lognormal: median 0.6 s, 95 % within 2 s (theory §6).
    Lognormal,
}

/// How far an end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Descriptions and candidates are on their way.
    New,
    /// Both sides are known; packets fly.
    Connecting,
    /// The channels are open.
    Open,
    /// Closed, by whomever.
    Closed,
}

/// One side of a connection.
#[derive(Debug)]
pub struct End {
    /// Whose.
    pub peer: PeerId,
    /// In which of its lives.
    pub life: u32,
    /// What the node calls it.
    pub link: LinkId,
    /// Its other side, once they have met.
    pub other: Option<EndId>,
    /// Nothing leaves: a partition, or the other side crashed.
    pub stuck: bool,
    /// How many more blocks a poisoner sends as they are.
    pub(crate) honest: Option<u64>,
    /// The first parcel of another that was passed on here.
    pub(crate) kept: Option<Vec<u8>>,
    /// When it began to send, or began anew after a stall.
    pub(crate) began: Instant,
    /// Nothing leaves before.
    pub(crate) hold: Instant,
    stage: Stage,
    print: Fingerprint,
    remote: Option<Fingerprint>,
    candidates: u32,
    control: Flow,
    bulk: Flow,
}

impl End {
    /// Whether messages can come in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// What this side sends on `channel`.
    pub const fn flow_mut(&mut self, channel: Channel) -> &mut Flow {
        match channel {
            Channel::Control => &mut self.control,
            Channel::Bulk => &mut self.bulk,
        }
    }

    /// Bytes queued or on the way, both channels.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.control.in_flight() + self.bulk.in_flight()
    }

    fn lose_queues(&mut self) -> u64 {
        self.control.lose_queue() + self.bulk.lose_queue()
    }

    fn lose_transit(&mut self) -> u64 {
        self.control.lose_transit() + self.bulk.lose_transit()
    }
}

impl SetUp {
    /// Nine points of the inverse distribution in milliseconds, by cumulated per mille.
    const POINTS: [(u64, u64); 9] = [
        (0, 100),
        (50, 180),
        (100, 235),
        (250, 366),
        (500, 600),
        (750, 983),
        (900, 1533),
        (950, 2000),
        (1000, 4000),
    ];

    /// The shortest that can be drawn: what the bound may count on.
    #[must_use]
    pub const fn shortest(self) -> Duration {
        match self {
            Self::Fixed(span) => span,
            Self::Lognormal => Duration::from_millis(Self::POINTS[0].1),
        }
    }

    /// Half of all take longer.
    #[must_use]
    pub const fn median(self) -> Duration {
        match self {
            Self::Fixed(span) => span,
            Self::Lognormal => Duration::from_millis(Self::POINTS[4].1),
        }
    }

    fn draw(self, rng: &mut Rng) -> Duration {
        match self {
            Self::Fixed(span) => span,
            Self::Lognormal => {
                let at = rng.below(1_000_000);
                let pair = Self::POINTS.windows(2).find(|pair| at < pair[1].0 * 1000);
                let Some([(low, from), (high, to)]) = pair else { return Duration::from_millis(4000) };
                let micros = from * 1000 + (to - from) * (at - low * 1000) / (high - low);
                Duration::from_micros(micros)
            }
        }
    }
}

/// A peer's ends by the numbers that its node gives to links: small ones, in order.
#[derive(Debug, Default)]
pub(crate) struct LinkTable {
    ends: Vec<Option<EndId>>,
    count: usize,
}

impl LinkTable {
    pub(crate) fn get(&self, link: LinkId) -> Option<EndId> {
        *self.ends.get(link.0 as usize)?
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    fn insert(&mut self, link: LinkId, end: EndId) {
        let at = link.0 as usize;
        if self.ends.len() <= at {
            self.ends.resize(at + 1, None);
        }
        self.count += usize::from(self.ends[at].replace(end).is_none());
    }

    fn remove(&mut self, link: LinkId) {
        let gone = self.ends.get_mut(link.0 as usize).and_then(Option::take);
        self.count -= usize::from(gone.is_some());
    }

    /// All links and their ends, in order.
    pub(crate) fn all(&self) -> Vec<(LinkId, EndId)> {
        let named = |(at, end): (usize, &Option<EndId>)| Some((LinkId(at as u32), (*end)?));
        self.ends.iter().enumerate().filter_map(named).collect()
    }
}

impl World {
    /// A browser made a connection and described it.
    pub(crate) fn create_end(
        &mut self,
        peer: PeerId,
        job: JobId,
        link: LinkId,
        remote: Option<&Description>,
    ) {
        let life = self.peers[peer].life;
        let rng = &mut self.peers[peer].rng;
        let print = Fingerprint(rng.bytes32());
        let description = Description {
            ufrag: format!("u{:07}", rng.below(10_000_000)),
            pwd: format!("p{:023}", rng.below(1 << 60)),
            fingerprint: print,
            role: if remote.is_some() { Role::Active } else { Role::Actpass },
        };
        self.ends.push(End {
            peer,
            life,
            link,
            other: None,
            stuck: false,
            honest: None,
            kept: None,
            began: Instant::ZERO,
            hold: Instant::ZERO,
            stage: Stage::New,
            print,
            remote: remote.map(|description| description.fingerprint),
            candidates: 0,
            control: Flow::default(),
            bulk: Flow::default(),
        });
        let end = self.ends.len() - 1;
        self.by_print.insert(print, end);
        self.peers[peer].links.insert(link, end);
        let port = u16::try_from(1024 + end % 60_000).unwrap_or(1024);
        let [a, b, c, d] = peer_address(peer);
        let address = Address::V4([a, b, c, d]);
        let candidate = Candidate { address, port, kind: CandidateKind::Host, priority: 2_130_706_431 };
        let after = |ms| self.now + Duration::from_millis(ms);
        let (described, found, last) = (after(10), after(12), after(150));
        self.finish(peer, job, described, OwnedOutcome::Described(description));
        self.tell(peer, life, found, News::Found { link, candidate: Some(candidate) });
        self.tell(peer, life, last, News::Found { link, candidate: None });
        self.try_connect(end);
    }

    /// The answer is set.
    pub(crate) fn complete_end(&mut self, peer: PeerId, link: LinkId, remote: &Description) -> bool {
        let Some(end) = self.end_of(peer, link) else { return false };
        self.ends[end].remote = Some(remote.fingerprint);
        self.try_connect(end);
        true
    }

    /// A remote candidate is known.
    pub(crate) fn add_candidate(&mut self, peer: PeerId, link: LinkId) -> bool {
        let Some(end) = self.end_of(peer, link) else { return false };
        self.ends[end].candidates += 1;
        self.try_connect(end);
        true
    }

    /// The living end that a node calls `link`.
    pub(crate) fn end_of(&self, peer: PeerId, link: LinkId) -> Option<EndId> {
        self.peers[peer].links.get(link).filter(|end| self.ends[*end].stage != Stage::Closed)
    }

    fn try_connect(&mut self, end: EndId) {
        let mine = &self.ends[end];
        let Some(other) = mine.remote.and_then(|print| self.by_print.get(&print)).copied() else { return };
        let theirs = &self.ends[other];
        let met = theirs.remote == Some(mine.print);
        let fresh = mine.stage == Stage::New && theirs.stage == Stage::New;
        let reachable = mine.candidates + theirs.candidates > 0;
        if !(met && fresh && reachable) || self.nat_forbids(mine.peer, theirs.peer) {
            return;
        }
        let takes = self.options.set_up.draw(&mut self.rng);
        for (one, two) in [(end, other), (other, end)] {
            self.ends[one].stage = Stage::Connecting;
            self.ends[one].other = Some(two);
        }
        self.queue.push(self.now + takes, Happening::Connected { one: end, two: other });
    }

    /// Whether what stands between two peers and the network keeps them apart.
    pub(crate) fn nat_forbids(&self, one: PeerId, two: PeerId) -> bool {
        let success = self.peers[one].spec.nat.success(self.peers[two].spec.nat);
        // The same for every attempt of a pair: it is what their boxes are like.
        let pair = (one.min(two) * self.peers.len() + one.max(two)) as u64;
        success < 1000 && fork(self.options.seed, 8, pair).below(1000) >= success
    }

    pub(crate) fn on_connected(&mut self, one: EndId, two: EndId) {
        let alive = [one, two].iter().all(|end| self.ends[*end].stage == Stage::Connecting);
        if !alive || self.separated(self.ends[one].peer, self.ends[two].peer) {
            return;
        }
        for end in [one, two] {
            self.ends[end].stage = Stage::Open;
            self.ends[end].began = self.now;
            let (peer, life, link) = (self.ends[end].peer, self.ends[end].life, self.ends[end].link);
            self.tell(peer, life, self.now, News::Linked { link });
        }
    }

    /// A node closed its side: the other hears of it as fast as packets fly.
    pub(crate) fn unlink(&mut self, peer: PeerId, link: LinkId) {
        let Some(end) = self.end_of(peer, link) else { return };
        let was_open = self.ends[end].is_open();
        self.close_end(end);
        if let Some(other) = self.ends[end].other.filter(|_| was_open) {
            let delay = self.latency(peer, self.ends[other].peer);
            self.queue.push(self.now + delay, Happening::Broken { end: other });
        }
    }

    /// A crash: nobody says anything, the other side's consent checks run out.
    pub(crate) fn abandon(&mut self, end: EndId) {
        self.close_end(end);
        if let Some(other) = self.ends[end].other {
            self.ends[other].stuck = true;
            self.queue.push(self.now + CONSENT, Happening::Broken { end: other });
        }
    }

    /// An end learns that its connection is gone.
    pub(crate) fn on_broken(&mut self, end: EndId) {
        if !self.ends[end].is_open() {
            return;
        }
        self.close_end(end);
        let (peer, life, link) = (self.ends[end].peer, self.ends[end].life, self.ends[end].link);
        self.tell(peer, life, self.now, News::Unlinked { link });
    }

    /// Closes one side: what it had not sent is lost, and so is what was coming to it.
    fn close_end(&mut self, end: EndId) {
        self.ends[end].stage = Stage::Closed;
        let (peer, link, print) = (self.ends[end].peer, self.ends[end].link, self.ends[end].print);
        self.peers[peer].links.remove(link);
        self.by_print.remove(&print);
        self.ledger.lost += self.ends[end].lose_queues();
        if let Some(other) = self.ends[end].other {
            self.ledger.lost += self.ends[other].lose_transit();
            if self.ends[other].stage == Stage::Closed {
                self.ledger.lost += self.ends[end].lose_transit();
            }
        }
    }

    /// Stops or restarts everything between peers that a partition separates.
    pub(crate) fn apply_partition(&mut self) {
        for end in 0..self.ends.len() {
            let Some(other) = self.ends[end].other.filter(|_| self.ends[end].is_open()) else { continue };
            if self.ends[other].stage != Stage::Open {
                continue;
            }
            let stuck = self.separated(self.ends[end].peer, self.ends[other].peer);
            let freed = self.ends[end].stuck && !stuck;
            self.ends[end].stuck = stuck;
            if freed {
                self.join_ring(end, Channel::Control);
                self.join_ring(end, Channel::Bulk);
            }
        }
    }

    /// Breaks what a partition has held up since before the consent checks ran out.
    pub(crate) fn on_consent_over(&mut self) {
        for end in 0..self.ends.len() {
            if self.ends[end].stuck {
                self.on_broken(end);
            }
        }
    }
}

/// An [`Outcome`] that waits in the queue.
#[derive(Debug)]
pub enum OwnedOutcome {
    /// Done.
    Ok,
    /// Not there.
    Missing,
    /// Bytes.
    Bytes(Vec<u8>),
    /// The local side of a connection.
    Described(Description),
    /// Failed.
    Failed(Failure),
}

impl OwnedOutcome {
    /// Which variant it is.
    #[must_use]
    pub const fn kind(&self) -> u64 {
        match self {
            Self::Ok => 0,
            Self::Missing => 1,
            Self::Bytes(_) => 2,
            Self::Described(_) => 3,
            Self::Failed(_) => 4,
        }
    }

    /// As the node takes it.
    #[must_use]
    pub fn lend(&self) -> Outcome<'_> {
        match self {
            Self::Ok => Outcome::Ok,
            Self::Missing => Outcome::Missing,
            Self::Bytes(bytes) => Outcome::Bytes(bytes),
            Self::Described(description) => Outcome::Described(description.clone()),
            Self::Failed(failure) => Outcome::Failed(*failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_up_times_have_the_measured_median_and_tail() {
        let mut rng = fork(1, 0, 0);
        let mut times: Vec<_> = (0..10_000).map(|_| SetUp::Lognormal.draw(&mut rng).as_millis()).collect();
        times.sort_unstable();
        assert!((570..=630).contains(&times[5_000]), "{}", times[5_000]);
        assert!((1_850..=2_150).contains(&times[9_500]), "{}", times[9_500]);
        assert!(times[0] >= SetUp::Lognormal.shortest().as_millis());
    }
}
