//! Who is in which swarm, and whom to name to whom. Keeps every set by the order it is asked in, so that
//! an answer costs the same in a swarm of ten and of a million.

use super::candidates::Network;
use crate::id::{PeerId, Topic};
use crate::rng::Rng;
use crate::wire::PeerView;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::num::NonZeroU32;

/// Every swarm that has a member.
#[derive(Debug, Default)]
pub(super) struct Swarms {
    swarms: BTreeMap<Topic, Swarm>,
    memberships: u32,
}

/// One swarm. Names are long, and there may be millions of memberships: all but `places` know a member by its place in
/// `members`. `seeds` and `leeches` hold each once, at its `slot`; `near` holds each whose network is known once, in a swarm of
/// [`NEAR_FROM`] and more: fewer are looked through.
#[derive(Debug, Default)]
struct Swarm {
    /// Without gaps, so the last one moves into the place of one who leaves.
    members: Vec<Member>,
    places: BTreeMap<PeerId, Place>,
    seeds: Vec<Place>,
    leeches: Vec<Place>,
    newest: Option<Place>,
    near: BTreeSet<(Network, Place)>,
}

/// A tree of fewer costs more than to look at them.
const NEAR_FROM: usize = 64;

/// Of a member. Not zero, so that having none costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(NonZeroU32);

#[derive(Debug)]
struct Member {
    peer: PeerId,
    complete: bool,
    slot: u32,
    /// Who has joined just before and just after.
    older: Option<Place>,
    newer: Option<Place>,
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
        match swarm.places.get(&peer).copied() {
            Some(at) => swarm.update(at, complete, network),
            None => {
                self.memberships += 1;
                swarm.enter(peer, complete, network);
                true
            }
        }
    }

    /// Takes a member out, and the swarm with its last one.
    pub(super) fn leave(&mut self, topic: &Topic, peer: &PeerId) {
        let Some(swarm) = self.swarms.get_mut(topic) else { return };
        if swarm.leave(peer) {
            self.memberships -= 1;
        }
        if swarm.members.is_empty() {
            self.swarms.remove(topic);
        }
    }

    /// Whether a member has all that it wants.
    pub(super) fn is_complete(&self, topic: &Topic, peer: &PeerId) -> bool {
        self.swarms.get(topic).and_then(|swarm| swarm.find(peer)).is_some_and(|member| member.complete)
    }

    /// Complete and other members.
    pub(super) fn counts(&self, topic: &Topic) -> (u32, u32) {
        let count = |peers: &Vec<Place>| u32::try_from(peers.len()).unwrap_or(u32::MAX);
        self.swarms.get(topic).map_or((0, 0), |swarm| (count(&swarm.seeds), count(&swarm.leeches)))
    }

    /// At most `want` members for `asker`, itself a member: a third from its own network, a third the
    /// newest, the rest by chance, so that no member is named to everybody (theory §5). Who is complete
    /// is told of no other complete one: they have nothing for each other.
    pub(super) fn choose(&self, topic: &Topic, asker: &PeerId, want: usize, rng: &mut Rng) -> Vec<PeerView> {
        let Some(swarm) = self.swarms.get(topic) else { return Vec::new() };
        let Some(me) = swarm.find(asker) else { return Vec::new() };
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

impl Place {
    /// Of the member at an index; there are never 2^32 of them.
    fn of(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl Swarm {
    fn at(&self, at: Place) -> Option<&Member> {
        self.members.get(at.index())
    }

    fn find(&self, peer: &PeerId) -> Option<&Member> {
        self.at(*self.places.get(peer)?)
    }

    fn enter(&mut self, peer: PeerId, complete: bool, network: Option<Network>) {
        let (at, older) = (Place::of(self.members.len()), self.newest.take());
        if self.members.len() == self.members.capacity() {
            // Doubling would leave a third of what all swarms hold unused.
            self.members.reserve_exact(self.members.len() / 4 + 2);
        }
        self.members.push(Member { peer, complete, slot: 0, older, newer: None, network });
        self.places.insert(peer, at);
        self.join_line(older, at, None);
        self.take_side(at);
        if self.members.len() == NEAR_FROM {
            let named = |(index, member): (usize, &Member)| Some((member.network?, Place::of(index)));
            self.near = self.members.iter().enumerate().filter_map(named).collect();
        } else {
            self.note_near(network, at);
        }
    }

    fn note_near(&mut self, network: Option<Network>, at: Place) {
        if self.members.len() >= NEAR_FROM {
            self.near.extend(network.map(|network| (network, at)));
        }
    }

    /// Whether anything is different now.
    fn update(&mut self, at: Place, complete: bool, network: Option<Network>) -> bool {
        let Some(member) = self.members.get_mut(at.index()) else { return false };
        let is_news = member.complete != complete;
        let before = core::mem::replace(&mut member.network, network);
        if before != network {
            if let Some(before) = before {
                self.near.remove(&(before, at));
            }
            self.note_near(network, at);
        }
        if is_news {
            self.leave_side(at);
            if let Some(member) = self.members.get_mut(at.index()) {
                member.complete = complete;
            }
            self.take_side(at);
        }
        is_news
    }

    /// Whether it was there.
    fn leave(&mut self, peer: &PeerId) -> bool {
        let Some(at) = self.places.remove(peer) else { return false };
        self.leave_side(at);
        let Some(&Member { older, newer, network, .. }) = self.at(at) else { return false };
        self.close_line(older, newer);
        if let Some(network) = network {
            self.near.remove(&(network, at));
        }
        self.members.swap_remove(at.index());
        let last = Place::of(self.members.len());
        if last != at {
            self.settle(last, at);
        }
        if self.members.len() < NEAR_FROM {
            self.near.clear();
        }
        if self.members.len() * 4 < self.members.capacity() {
            self.members.shrink_to(self.members.len() * 2);
        }
        true
    }

    /// Tells all who know the member that is now `at` another place.
    fn settle(&mut self, before: Place, at: Place) {
        let Some(&Member { peer, complete, slot, older, newer, network }) = self.at(at) else { return };
        self.places.insert(peer, at);
        if let Some(slot) = self.side(complete).get_mut(slot as usize) {
            *slot = at;
        }
        if let Some(network) = network {
            self.near.remove(&(network, before));
        }
        self.note_near(network, at);
        self.join_line(older, at, newer);
    }

    /// Who is older and who is newer than the member `at` a place knows it there.
    fn join_line(&mut self, older: Option<Place>, at: Place, newer: Option<Place>) {
        if let Some(older) = older.and_then(|older| self.members.get_mut(older.index())) {
            older.newer = Some(at);
        }
        match newer.and_then(|newer| self.members.get_mut(newer.index())) {
            Some(newer) => newer.older = Some(at),
            None => self.newest = Some(at),
        }
    }

    /// Who was older and who was newer than one that is gone know each other.
    fn close_line(&mut self, older: Option<Place>, newer: Option<Place>) {
        if let Some(older) = older.and_then(|older| self.members.get_mut(older.index())) {
            older.newer = newer;
        }
        match newer.and_then(|newer| self.members.get_mut(newer.index())) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
    }

    const fn side(&mut self, complete: bool) -> &mut Vec<Place> {
        if complete { &mut self.seeds } else { &mut self.leeches }
    }

    fn take_side(&mut self, at: Place) {
        let Some(complete) = self.at(at).map(|member| member.complete) else { return };
        let side = self.side(complete);
        let slot = u32::try_from(side.len()).unwrap_or(u32::MAX);
        side.push(at);
        if let Some(member) = self.members.get_mut(at.index()) {
            member.slot = slot;
        }
    }

    fn leave_side(&mut self, at: Place) {
        let Some(&Member { complete, slot, .. }) = self.at(at) else { return };
        let side = self.side(complete);
        side.swap_remove(slot as usize);
        let moved = side.get(slot as usize).copied();
        if let Some(moved) = moved.and_then(|moved| self.members.get_mut(moved.index())) {
            moved.slot = slot;
        }
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
    fn offer(&mut self, at: Place) {
        let Some(&Member { peer, complete, .. }) = self.swarm.at(at) else { return };
        let known = peer == *self.asker || self.chosen.iter().any(|view| view.peer == peer);
        if self.chosen.len() < self.want && !known && !(complete && self.leeches_only) {
            self.chosen.push(PeerView { peer, complete });
        }
    }

    /// From a random point on, so that the first is not everybody's neighbour.
    fn near(&mut self, network: Network, count: usize, rng: &mut Rng) {
        let goal = self.chosen.len() + count;
        let pivot = usize::try_from(rng.below(self.swarm.members.len() as u64)).unwrap_or(0);
        if self.swarm.members.len() < NEAR_FROM {
            let places = (pivot..self.swarm.members.len()).chain(0..pivot).map(Place::of);
            for at in places {
                let is_near = self.swarm.at(at).is_some_and(|member| member.network == Some(network));
                if is_near && self.chosen.len() < goal {
                    self.offer(at);
                }
            }
            return;
        }
        let (first, pivot, last) = (Place::of(0), Place::of(pivot), Place(NonZeroU32::MAX));
        let after = self.swarm.near.range((network, pivot)..=(network, last));
        let before = self.swarm.near.range((network, first)..(network, pivot));
        for (_, at) in after.chain(before).take(LOOKS_EACH * (count + 1)) {
            if self.chosen.len() < goal {
                self.offer(*at);
            }
        }
    }

    fn newest(&mut self, count: usize) {
        let goal = self.chosen.len() + count;
        let older = |at: &Place| self.swarm.at(*at)?.older;
        let line = core::iter::successors(self.swarm.newest, older).take(LOOKS_EACH * (count + 1));
        for at in line.collect::<Vec<_>>() {
            if self.chosen.len() < goal {
                self.offer(at);
            }
        }
    }

    /// Two seeds if there are any, then anybody.
    fn random(&mut self, rng: &mut Rng) {
        if !self.leeches_only {
            for _ in 0..2 {
                if let Some(at) = rng.pick(&self.swarm.seeds) {
                    self.offer(*at);
                }
            }
        }
        let sides: &[&Vec<Place>] = match self.leeches_only {
            true => &[&self.swarm.leeches],
            false => &[&self.swarm.leeches, &self.swarm.seeds],
        };
        let total: usize = sides.iter().map(|side| side.len()).sum();
        if total <= LOOKS_EACH * self.want {
            let mut all: Vec<Place> = sides.iter().flat_map(|side| side.iter().copied()).collect();
            rng.shuffle(&mut all);
            all.into_iter().for_each(|at| self.offer(at));
            return;
        }
        for _ in 0..LOOKS_EACH * self.want {
            let at = usize::try_from(rng.below(total as u64)).unwrap_or(0);
            let leeches = self.swarm.leeches.len();
            let pick = self.swarm.leeches.get(at).or_else(|| self.swarm.seeds.get(at.wrapping_sub(leeches)));
            if let Some(at) = pick {
                self.offer(*at);
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
        let (mut order, mut sizes): (Vec<PeerId>, [u32; 2]) = (Vec::new(), [0; 2]);
        for step in 0..4000 {
            // Up and down around what is looked through.
            let (who, leaves) = (peer(u32::try_from(rng.below(120)).unwrap()), [1, 4][step / 500 % 2]);
            if rng.below(6) < leaves {
                swarms.leave(&TOPIC, &who);
                model.remove(&who);
                order.retain(|other| *other != who);
            } else {
                let complete = rng.below(2) == 0;
                let network = (rng.below(2) == 0).then_some(Network::V4([8, 8, 8, 8]));
                let is_news = model.insert(who, complete) != Some(complete);
                assert_eq!(swarms.join(TOPIC, who, complete, network), is_news);
                order.extend((!order.contains(&who)).then_some(who));
            }
            let seeds = u32::try_from(model.values().filter(|complete| **complete).count()).unwrap();
            let all = u32::try_from(model.len()).unwrap();
            assert_eq!(swarms.counts(&TOPIC), (seeds, all - seeds), "step {step}");
            assert_eq!((swarms.memberships(), swarms.len()), (all, usize::from(all > 0)));
            let Some(swarm) = swarms.swarms.get(&TOPIC) else { continue };
            let line: Vec<_> = core::iter::successors(swarm.newest, |at| swarm.at(*at)?.older).collect();
            let joined: Vec<_> = line.iter().rev().map(|at| swarm.at(*at).unwrap().peer).collect();
            assert_eq!(joined, order, "in the order of joining");
            assert_eq!((swarm.members.len(), swarm.places.len()), (model.len(), model.len()));
            let is_large = swarm.members.len() >= NEAR_FROM;
            let named = swarm.members.iter().filter(|member| is_large && member.network.is_some()).count();
            assert_eq!(swarm.near.len(), named);
            sizes[usize::from(is_large)] += 1;
            for (id, place) in &swarm.places {
                let member = swarm.at(*place).unwrap();
                let side = if member.complete { &swarm.seeds } else { &swarm.leeches };
                assert_eq!((member.peer, side[member.slot as usize]), (*id, *place));
                assert!(
                    !is_large || member.network.is_none_or(|network| swarm.near.contains(&(network, *place)))
                );
                assert_eq!(member.newer.is_none(), swarm.newest == Some(*place));
            }
        }
        assert!(sizes.iter().all(|steps| *steps > 500), "{sizes:?}");
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
