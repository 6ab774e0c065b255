//! Who is in which swarm, and whom to name to whom. Keeps every set by the order it is asked in, so that
//! an answer costs the same in a swarm of ten and of a million.

use super::candidates::Network;
use crate::id::{PeerId, Topic};
use crate::rng::Rng;
use crate::wire::PeerView;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Every swarm that has a member.
#[derive(Debug, Default)]
pub(super) struct Swarms {
    swarms: BTreeMap<Topic, Swarm>,
    memberships: u32,
    joins: u64,
}

/// One swarm. `seeds` and `leeches` hold each member once, at its `slot`; `newest` and `near` hold each once.
#[derive(Debug, Default)]
struct Swarm {
    members: BTreeMap<PeerId, Member>,
    seeds: Vec<PeerId>,
    leeches: Vec<PeerId>,
    newest: BTreeMap<u64, PeerId>,
    near: BTreeSet<(Network, PeerId)>,
}

#[derive(Debug)]
struct Member {
    complete: bool,
    slot: usize,
    joined: u64,
    network: Option<Network>,
}

impl Swarms {
    /// How many swarms there are.
    pub(super) fn len(&self) -> usize {
        self.swarms.len()
    }

    /// How many members all swarms have together.
    pub(super) const fn memberships(&self) -> u32 {
        self.memberships
    }

    /// Whether the swarm exists.
    pub(super) fn contains(&self, topic: &Topic) -> bool {
        self.swarms.contains_key(topic)
    }

    /// Every swarm.
    pub(super) fn topics(&self) -> impl Iterator<Item = Topic> {
        self.swarms.keys().copied()
    }

    /// At most `most` members, the newest and others by chance.
    pub(super) fn sample(&self, topic: &Topic, most: usize, rng: &mut Rng) -> Vec<PeerView> {
        let Some(swarm) = self.swarms.get(topic) else { return Vec::new() };
        let asker = PeerId([0; 32]);
        let mut choice = Choice { swarm, asker: &asker, want: most, leeches_only: false, chosen: Vec::new() };
        choice.newest(most / 3);
        choice.random(rng);
        choice.chosen
    }

    /// Adds a member, or updates it. Whether anything is different now.
    pub(super) fn join(
        &mut self,
        topic: Topic,
        peer: PeerId,
        complete: bool,
        network: Option<Network>,
    ) -> bool {
        let swarm = self.swarms.entry(topic).or_default();
        let was = swarm.members.get(&peer).map(|member| member.complete);
        if let Some(joined) = swarm.remove(&peer) {
            swarm.insert(peer, complete, joined, network);
        } else {
            self.joins += 1;
            self.memberships += 1;
            swarm.insert(peer, complete, self.joins, network);
        }
        was != Some(complete)
    }

    /// Takes a member out, and the swarm with its last one.
    pub(super) fn leave(&mut self, topic: &Topic, peer: &PeerId) {
        let Some(swarm) = self.swarms.get_mut(topic) else { return };
        if swarm.remove(peer).is_some() {
            self.memberships -= 1;
        }
        if swarm.members.is_empty() {
            self.swarms.remove(topic);
        }
    }

    /// Whether a member has all that it wants.
    pub(super) fn is_complete(&self, topic: &Topic, peer: &PeerId) -> bool {
        self.swarms.get(topic).and_then(|swarm| swarm.members.get(peer)).is_some_and(|member| member.complete)
    }

    /// Complete and other members.
    pub(super) fn counts(&self, topic: &Topic) -> (u32, u32) {
        let count = |peers: &Vec<PeerId>| u32::try_from(peers.len()).unwrap_or(u32::MAX);
        self.swarms.get(topic).map_or((0, 0), |swarm| (count(&swarm.seeds), count(&swarm.leeches)))
    }

    /// At most `want` members for `asker`, itself a member: a third from its own network, a third the
    /// newest, the rest by chance, so that no member is named to everybody (theory §5). Who is complete
    /// is told of no other complete one: they have nothing for each other.
    pub(super) fn choose(&self, topic: &Topic, asker: &PeerId, want: usize, rng: &mut Rng) -> Vec<PeerView> {
        let Some(swarm) = self.swarms.get(topic) else { return Vec::new() };
        let Some(me) = swarm.members.get(asker) else { return Vec::new() };
        let mut choice = Choice { swarm, asker, want, leeches_only: me.complete, chosen: Vec::new() };
        let third = want.div_ceil(3);
        if let Some(network) = me.network {
            choice.near(network, third, rng);
        }
        choice.newest(third);
        choice.random(rng);
        rng.shuffle(&mut choice.chosen);
        choice.chosen
    }
}

impl Swarm {
    fn insert(&mut self, peer: PeerId, complete: bool, joined: u64, network: Option<Network>) {
        let side = if complete { &mut self.seeds } else { &mut self.leeches };
        let slot = side.len();
        side.push(peer);
        self.newest.insert(joined, peer);
        if let Some(network) = network {
            self.near.insert((network, peer));
        }
        self.members.insert(peer, Member { complete, slot, joined, network });
    }

    /// Gives back when the member had joined.
    fn remove(&mut self, peer: &PeerId) -> Option<u64> {
        let member = self.members.remove(peer)?;
        let side = if member.complete { &mut self.seeds } else { &mut self.leeches };
        side.swap_remove(member.slot);
        if let Some(moved) = side.get(member.slot).and_then(|moved| self.members.get_mut(moved)) {
            moved.slot = member.slot;
        }
        self.newest.remove(&member.joined);
        if let Some(network) = member.network {
            self.near.remove(&(network, *peer));
        }
        Some(member.joined)
    }
}

/// Members looked at for each one wanted. Bounds the cost of an answer where most are seeds that a seed
/// does not want.
const LOOKS_EACH: usize = 4;

struct Choice<'a> {
    swarm: &'a Swarm,
    asker: &'a PeerId,
    want: usize,
    leeches_only: bool,
    chosen: Vec<PeerView>,
}

impl Choice<'_> {
    fn offer(&mut self, peer: PeerId) {
        let complete = self.swarm.members.get(&peer).is_some_and(|member| member.complete);
        let known = peer == *self.asker || self.chosen.iter().any(|view| view.peer == peer);
        if self.chosen.len() < self.want && !known && !(complete && self.leeches_only) {
            self.chosen.push(PeerView { peer, complete });
        }
    }

    /// From a random point on, so that the lowest key is not everybody's neighbour.
    fn near(&mut self, network: Network, count: usize, rng: &mut Rng) {
        let goal = self.chosen.len() + count;
        let (first, pivot, last) = (PeerId([0; 32]), PeerId(rng.bytes32()), PeerId([0xff; 32]));
        let after = self.swarm.near.range((network, pivot)..=(network, last));
        let before = self.swarm.near.range((network, first)..(network, pivot));
        for (_, peer) in after.chain(before).take(LOOKS_EACH * (count + 1)) {
            if self.chosen.len() < goal {
                self.offer(*peer);
            }
        }
    }

    fn newest(&mut self, count: usize) {
        let goal = self.chosen.len() + count;
        for peer in self.swarm.newest.values().rev().take(LOOKS_EACH * (count + 1)) {
            if self.chosen.len() < goal {
                self.offer(*peer);
            }
        }
    }

    /// Two seeds if there are any, then anybody.
    fn random(&mut self, rng: &mut Rng) {
        if !self.leeches_only {
            for _ in 0..2 {
                if let Some(peer) = rng.pick(&self.swarm.seeds) {
                    self.offer(*peer);
                }
            }
        }
        let sides: &[&Vec<PeerId>] = match self.leeches_only {
            true => &[&self.swarm.leeches],
            false => &[&self.swarm.leeches, &self.swarm.seeds],
        };
        let total: usize = sides.iter().map(|side| side.len()).sum();
        if total <= LOOKS_EACH * self.want {
            let mut all: Vec<PeerId> = sides.iter().flat_map(|side| side.iter().copied()).collect();
            rng.shuffle(&mut all);
            all.into_iter().for_each(|peer| self.offer(peer));
            return;
        }
        for _ in 0..LOOKS_EACH * self.want {
            let at = usize::try_from(rng.below(total as u64)).unwrap_or(0);
            let leeches = self.swarm.leeches.len();
            let pick = self.swarm.leeches.get(at).or_else(|| self.swarm.seeds.get(at.wrapping_sub(leeches)));
            if let Some(peer) = pick {
                self.offer(*peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap as Map;

    fn peer(number: u32) -> PeerId {
        let mut key = crate::rng::Rng::new([u8::try_from(number % 251).unwrap(); 32]).bytes32();
        key[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
        PeerId(key)
    }

    const TOPIC: Topic = Topic([9; 32]);

    #[test]
    fn random_joins_and_leaves_keep_the_sets_equal_to_a_model() {
        let (mut swarms, mut rng, mut model) = (Swarms::default(), Rng::new([1; 32]), Map::new());
        for step in 0..4000 {
            let who = peer(u32::try_from(rng.below(60)).unwrap());
            if rng.below(3) == 0 {
                swarms.leave(&TOPIC, &who);
                model.remove(&who);
            } else {
                let complete = rng.below(2) == 0;
                let network = (rng.below(2) == 0).then_some(Network::V4([8, 8, 8, 8]));
                let is_news = model.insert(who, complete) != Some(complete);
                assert_eq!(swarms.join(TOPIC, who, complete, network), is_news);
            }
            let seeds = u32::try_from(model.values().filter(|complete| **complete).count()).unwrap();
            let all = u32::try_from(model.len()).unwrap();
            assert_eq!(swarms.counts(&TOPIC), (seeds, all - seeds), "step {step}");
            assert_eq!((swarms.memberships(), swarms.len()), (all, usize::from(all > 0)));
            let Some(swarm) = swarms.swarms.get(&TOPIC) else { continue };
            assert_eq!(swarm.newest.len(), model.len());
            assert_eq!(swarm.near.len(), swarm.members.values().filter(|m| m.network.is_some()).count());
            for (id, member) in &swarm.members {
                let side = if member.complete { &swarm.seeds } else { &swarm.leeches };
                assert_eq!(side[member.slot], *id);
            }
        }
    }

    #[test]
    fn an_answer_names_others_once_and_no_seeds_to_seeds() {
        let (mut swarms, mut rng) = (Swarms::default(), Rng::new([2; 32]));
        for number in 0..100 {
            swarms.join(TOPIC, peer(number), number % 4 == 0, Some(Network::V4([1, 2, 3, 4])));
        }
        for number in 0..100 {
            let views = swarms.choose(&TOPIC, &peer(number), 12, &mut rng);
            let mut ids: Vec<_> = views.iter().map(|view| view.peer).collect();
            ids.sort();
            ids.dedup();
            assert_eq!((ids.len(), views.len()), (12, 12));
            assert!(!ids.contains(&peer(number)));
            assert!(number % 4 != 0 || views.iter().all(|view| !view.complete));
            assert!(number % 4 == 0 || views.iter().any(|view| view.complete));
        }
    }

    #[test]
    fn everybody_is_named_about_equally_often() {
        let (mut swarms, mut rng, mut named) = (Swarms::default(), Rng::new([3; 32]), Map::new());
        for number in 0..400 {
            swarms.join(TOPIC, peer(number), false, Some(Network::V4([1, 2, 3, 4])));
        }
        for _ in 0..10 {
            for number in 0..400 {
                for view in swarms.choose(&TOPIC, &peer(number), 12, &mut rng) {
                    *named.entry(view.peer).or_insert(0u32) += 1;
                }
            }
        }
        assert_eq!(named.len(), 400, "nobody is forgotten");
        let mut counts: Vec<_> = named.into_values().collect();
        counts.sort_unstable();
        assert!(counts[395] < 500, "only the four newest are named much more often: {:?}", &counts[390..]);
    }

    #[test]
    fn a_sample_is_all_of_a_small_swarm_and_some_of_a_large_one() {
        let (mut swarms, mut rng) = (Swarms::default(), Rng::new([5; 32]));
        for number in 0..100 {
            assert!(swarms.join(TOPIC, peer(number), number % 3 == 0, None));
            let mut ids: Vec<_> =
                swarms.sample(&TOPIC, 24, &mut rng).into_iter().map(|view| view.peer).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 24.min(number as usize + 1));
            assert!(ids.contains(&peer(number)), "the newest");
        }
        assert_eq!(swarms.sample(&Topic([8; 32]), 24, &mut rng), []);
    }

    #[test]
    fn neighbours_come_first() {
        let (mut swarms, mut rng) = (Swarms::default(), Rng::new([4; 32]));
        for number in 0..500 {
            let last = u8::from(number == 7 || number == 11);
            swarms.join(TOPIC, peer(number), false, Some(Network::V4([1, 2, 3, last])));
        }
        let views = swarms.choose(&TOPIC, &peer(7), 12, &mut rng);
        assert!(views.iter().any(|view| view.peer == peer(11)));
        assert_eq!(swarms.choose(&TOPIC, &peer(7), 0, &mut rng), []);
        assert_eq!(swarms.choose(&TOPIC, &peer(900), 12, &mut rng), [], "not a member");
    }
}
