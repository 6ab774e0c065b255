//! Random worlds: everything that can be wrong with peers, lines, disks, origins and the signaller, drawn from one
//! seed. All that can pass passes within two minutes; then everybody honest must become complete, or it must be
//! plain why that cannot be.

use crate::content::Content;
use crate::origin::Origin;
use crate::queue::fork;
use crate::spec::{Clock, Conduct, Fault, Nat, Options, PeerId, PeerSpec};
use crate::tape::{Recorder, Tape};
use crate::world::World;
use core::time::Duration;
use std::collections::BTreeSet;
use std::rc::Rc;
use swarmlet_core::config::LEAF_BYTES;
use swarmlet_core::rng::Rng;
use swarmlet_core::snapshot::ShareState;

/// Faults begin before this, in milliseconds.
const FAULTS_BEFORE_MS: u64 = 60_000;
/// And what passes has passed after as long again.
const CALM_MS: u64 = 2 * FAULTS_BEFORE_MS;
/// How long it may take from then on: dials to peers that failed often are tried again after three minutes.
const LIMIT: Duration = Duration::from_secs(1800);
const URL: &str = "https://origin.example/file.bin";

/// What became of a random world.
#[derive(Debug)]
pub struct Verdict {
    /// Honest peers that are complete.
    pub complete: usize,
    /// Honest peers that cannot be, since what they miss is nowhere within their reach.
    pub impossible: usize,
    /// What is wrong with the run, if anything is.
    pub wrong: Option<String>,
}

/// A random world; nothing has happened in it yet.
#[must_use]
pub fn world(seed: u64) -> World {
    let mut rng = fork(seed, 20, 0);
    let peers = 5 + rng.below(36) as usize;
    let bytes = (64 << 10) + rng.below(3 << 20) as usize;
    let has_origin = rng.below(4) == 0;
    let sources: &[&str] = if has_origin { &[URL] } else { &[] };
    let content = Rc::new(Content::single(seed, bytes, sources));
    let options = Options {
        seed,
        signaller_rate: [125_000_000, 1_000_000, 50_000][rng.below(3) as usize],
        trace: std::env::var_os("SIM_TRACE").is_some(),
        ..Options::default()
    };
    let mut world = World::new(options, content.clone());
    let seeds = 1 + rng.below(2) as usize;
    for id in 0..peers {
        let spec = peer(&mut rng, id < seeds);
        world.add(spec);
    }
    if has_origin {
        let mut origin = Origin::new(100_000 + rng.below(5_000_000));
        origin.files.extend(content.files.keys().map(|root| (URL.to_owned(), *root)));
        world.origins.push(origin);
    }
    for _ in 0..rng.below(2 * peers as u64) {
        befall(&mut world, &mut rng, peers);
    }
    world
}

/// Runs a random world to its end and judges it.
#[must_use]
pub fn run(seed: u64) -> Verdict {
    let mut world = world(seed);
    world.run(Duration::from_millis(CALM_MS));
    world.run_until(Duration::from_millis(CALM_MS) + LIMIT, World::all_complete);
    judge(&mut world)
}

/// The hash of the first two minutes of a random world: the same on every machine.
#[must_use]
pub fn trace(seed: u64) -> u64 {
    let mut world = world(seed);
    world.run(Duration::from_millis(CALM_MS));
    let mut log = world.log;
    log.words(&[world.events, world.inputs]);
    log.hash()
}

/// What a peer of a random world was told in the last life it had in the first two minutes.
#[must_use]
pub fn tape(seed: u64, peer: PeerId) -> Option<Tape> {
    let mut world = world(seed);
    world.recorder = Recorder::of(Some(peer));
    world.run(Duration::from_millis(CALM_MS));
    world.recorder.take()
}

fn judge(world: &mut World) -> Verdict {
    let mut wrong = world.verdict().err();
    let (mut complete, mut impossible) = (0, 0);
    for id in 0..world.peers.len() {
        let peer = &world.peers[id];
        if peer.node.is_none() || !peer.spec.is_honest_leecher() {
            continue;
        }
        if world.is_complete(id) {
            complete += 1;
        } else if world.is_hopeless(id) {
            impossible += 1;
        } else if wrong.is_none() {
            wrong = Some(format!("seed {}: stranded\n{}", world.options.seed, world.describe(id)));
        }
    }
    Verdict { complete, impossible, wrong }
}

/// Somebody; with a seed not much is wrong, or few worlds would come to anything.
fn peer(rng: &mut Rng, seed: bool) -> PeerSpec {
    let up = [30_000, 125_000, 625_000, 2_500_000][rng.below(4) as usize];
    let conduct = match rng.below(24) {
        _ if seed => Conduct::Honest,
        0 => Conduct::FreeRider,
        1 => Conduct::Poisoner { honest_max: rng.below(20) as u32 },
        2 => Conduct::Withholder,
        3 => Conduct::Idle,
        _ => Conduct::Honest,
    };
    let nat = match rng.below(10) {
        _ if seed => Nat::Open,
        0..=3 => Nat::Open,
        4..=7 => Nat::Restricted,
        8 => Nat::Symmetric,
        _ => Nat::Blocked,
    };
    let ahead = Duration::from_secs(rng.below(2) * rng.below(400 * 86_400));
    let fast_ppm = rng.below(1001) as i32 - 500;
    let mut spec = PeerSpec {
        up,
        down: up * (1 + rng.below(10)),
        latency: Duration::from_micros(1_000 + rng.below(100_000)),
        jitter: Duration::from_micros(rng.below(20_000)),
        loss_ppm: (rng.below(3) / 2 * rng.below(50_000)) as u32,
        clock: Clock { ahead, fast_ppm },
        joins: Duration::from_millis(rng.below(2) * rng.below(30_000)),
        seed,
        has_torrent: rng.below(2) == 0,
        conduct,
        nat,
        ..PeerSpec::default()
    };
    if rng.below(8) == 0 {
        spec.config.upload_rate_max = Some(20_000 + rng.below(up));
    }
    if rng.below(8) == 0 {
        spec.config.links_max = 4;
        spec.config.links_wanted = 3;
    }
    if conduct == Conduct::FreeRider && rng.below(2) == 0 {
        spec = spec.with_large_view(5);
    }
    spec
}

/// Something happens, and passes if it is of the kind that passes.
fn befall(world: &mut World, rng: &mut Rng, peers: usize) {
    let who = rng.below(peers as u64) as PeerId;
    let at = rng.below(FAULTS_BEFORE_MS);
    let until = at + 1 + rng.below(30_000);
    let origins = world.origins.len();
    let (first, last) = match rng.below(16) {
        0 => (Fault::Kill(who), Some(Fault::Start(who))),
        1 => (Fault::Crash(who), Some(Fault::Start(who))),
        2 => (Fault::Leave(who), Some(Fault::Start(who))),
        // For good: one in eight of those, or nothing would be left.
        3 if rng.below(8) == 0 => (Fault::Leave(who), None),
        4 => (Fault::Freeze(who), Some(Fault::Thaw(who))),
        5 => (Fault::Hide(who), Some(Fault::Show(who))),
        6 => (Fault::Hide(who), None),
        7 => (Fault::SignallerDown, Some(Fault::SignallerUp)),
        8 => {
            let side: BTreeSet<_> = (0..peers).filter(|_| rng.below(2) == 0).collect();
            (Fault::Partition(side), Some(Fault::Heal))
        }
        9 => (Fault::DiskRoom(who, Some(0)), Some(Fault::DiskRoom(who, None))),
        10 | 11 => {
            let Some((root, file)) = world.content.files.first_key_value() else { return };
            (Fault::Rot(who, *root, rng.below(file.len() as u64)), None)
        }
        12 if origins > 0 => (Fault::OriginDies(0), Some(Fault::OriginBack(0))),
        13 if origins > 0 => {
            let rate = world.origins[0].rate;
            (Fault::OriginRate(0, 1 + rate / 20), Some(Fault::OriginRate(0, rate)))
        }
        14 if origins > 0 => (Fault::OriginWrong(0, true), None),
        _ => return,
    };
    world.at(Duration::from_millis(at), first);
    if let Some(last) = last {
        world.at(Duration::from_millis(until), last);
    }
}

impl World {
    /// Whether a node says that it has all it wants, now.
    #[must_use]
    pub fn is_complete(&self, peer: PeerId) -> bool {
        let Some(node) = &self.peers[peer].node else { return false };
        node.snapshot().shares.iter().all(|share| share.state == ShareState::Seeding)
    }

    /// Whether every honest peer that is there is complete, or never will be.
    #[must_use]
    pub fn all_complete(&self) -> bool {
        let waiting = |id: &PeerId| {
            let peer = &self.peers[*id];
            peer.node.is_some() && peer.spec.is_honest_leecher() && !self.is_complete(*id)
        };
        (0..self.peers.len()).filter(waiting).all(|id| self.is_hopeless(id))
    }

    /// Whether what a peer misses is nowhere among those that it can reach, directly or through others that keep to
    /// the rules.
    #[must_use]
    pub fn is_hopeless(&self, peer: PeerId) -> bool {
        if self.failed(peer) {
            return true;
        }
        let reach = self.reach(peer);
        // Over HTTP come files, not the list of files.
        let knows = self.peers[peer].spec.has_torrent || reach.len() > 1;
        if knows && self.origins.iter().any(|origin| !origin.dead && !origin.wrong) {
            return false;
        }
        self.files.iter().any(|(root, file)| {
            let ends = (0..file.len() as u64).step_by(LEAF_BYTES as usize);
            let mut leaves =
                ends.map(|start| (start, (start + u64::from(LEAF_BYTES)).min(file.len() as u64)));
            leaves.any(|(start, end)| {
                !reach.iter().any(|other| self.peers[*other].disk.is_sound(root, start, end))
            })
        })
    }

    /// Whether an application was told that its share cannot go on: its disk was full, and nobody resumed it.
    fn failed(&self, peer: PeerId) -> bool {
        let shares = self.peers[peer].node.as_ref().map(|node| node.snapshot().shares).unwrap_or_default();
        shares.iter().any(|share| share.state == ShareState::Failed)
    }

    /// Honest peers that are there and between whom and `peer` there is a chain of pairs that can connect.
    fn reach(&self, peer: PeerId) -> BTreeSet<PeerId> {
        let mut reach = BTreeSet::from([peer]);
        let mut edge = vec![peer];
        while let Some(one) = edge.pop() {
            for two in 0..self.peers.len() {
                let other = &self.peers[two];
                let serves =
                    other.node.is_some() && other.spec.conduct == Conduct::Honest && !self.failed(two);
                if serves && !self.nat_forbids(one, two) && reach.insert(two) {
                    edge.push(two);
                }
            }
        }
        reach
    }
}
