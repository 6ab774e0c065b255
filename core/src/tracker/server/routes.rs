//! At which node a peer is that was named here, or has written to here, so that signals find it.

use crate::id::{PeerId, Topic};
use crate::time::Instant;
use crate::wire::bus::NodeId;
use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

/// How long a route is kept that nobody uses: about as long as a page is open.
const ROUTE_LIFE: Duration = Duration::from_secs(30 * 60);
/// About 200 bytes each. Beyond, the ones that were used longest ago are forgotten.
const ROUTES_MAX: usize = 200_000;

/// Every route, by peer and by age; both always agree.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// At most [`ROUTES_MAX`].
    routes: BTreeMap<(PeerId, Topic), Route>,
    ages: BTreeMap<u64, (PeerId, Topic)>,
    uses: u64,
}

#[derive(Clone, Copy, Debug)]
struct Route {
    node: NodeId,
    used: u64,
    until: Instant,
}

impl Routes {
    /// A peer of a swarm is at a node.
    pub(super) fn learn(&mut self, now: Instant, peer: PeerId, topic: Topic, node: NodeId) {
        self.uses += 1;
        let route = Route { node, used: self.uses, until: now + ROUTE_LIFE };
        if let Some(old) = self.routes.insert((peer, topic), route) {
            self.ages.remove(&old.used);
        }
        self.ages.insert(self.uses, (peer, topic));
        if self.routes.len() > ROUTES_MAX
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.routes.remove(&oldest);
        }
    }

    /// Where a peer of a swarm is.
    pub(super) fn find(&self, peer: &PeerId, topic: &Topic) -> Option<NodeId> {
        self.routes.get(&(*peer, *topic)).map(|route| route.node)
    }

    /// The swarms in which a peer is known.
    pub(super) fn topics(&self, peer: &PeerId) -> impl Iterator<Item = Topic> {
        let (first, last) = (Topic([0; 32]), Topic([0xff; 32]));
        self.routes.range((*peer, first)..=(*peer, last)).map(|((_, topic), _)| *topic)
    }

    /// A peer has come to a node; what was known of it elsewhere is over.
    pub(super) fn move_to(&mut self, peer: &PeerId, node: NodeId) {
        let (first, last) = (Topic([0; 32]), Topic([0xff; 32]));
        self.routes.range_mut((*peer, first)..=(*peer, last)).for_each(|(_, route)| route.node = node);
    }

    /// A node does not have a peer.
    pub(super) fn forget(&mut self, peer: &PeerId, node: NodeId) {
        let (first, last) = (Topic([0; 32]), Topic([0xff; 32]));
        while let Some((key, used)) = self
            .routes
            .range((*peer, first)..=(*peer, last))
            .find(|(_, route)| route.node == node)
            .map(|(key, route)| (*key, route.used))
        {
            self.routes.remove(&key);
            self.ages.remove(&used);
        }
    }

    /// Forgets what nobody has used for long.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(entry) = self.ages.first_entry()
            && self.routes.get(entry.get()).is_none_or(|route| route.until <= now)
        {
            self.routes.remove(&entry.remove());
        }
    }
}

/// How long it is remembered that a peer has come to a node: until what it was at another is forgotten.
const ARRIVAL_LIFE: Duration = Duration::from_secs(10);
/// Beyond, the first ones are forgotten.
const ARRIVALS_MAX: usize = 100_000;

/// The peers that have come to other nodes just now. What a node has kept that is gone still names them for a moment.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// At most [`ARRIVALS_MAX`].
    nodes: BTreeMap<PeerId, (NodeId, Instant)>,
    order: VecDeque<(Instant, PeerId)>,
}

impl Arrivals {
    /// A peer has come to a node.
    pub(super) fn note(&mut self, now: Instant, peer: PeerId, node: NodeId) {
        if self.order.len() >= ARRIVALS_MAX {
            self.forget_first();
        }
        self.nodes.insert(peer, (node, now));
        self.order.push_back((now, peer));
    }

    /// To which node a peer has come.
    pub(super) fn find(&self, peer: &PeerId) -> Option<NodeId> {
        self.nodes.get(peer).map(|(node, _)| *node)
    }

    /// Forgets what is long ago.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| now.since(*at) >= ARRIVAL_LIFE) {
            self.forget_first();
        }
    }

    /// Unless the peer has come again since.
    fn forget_first(&mut self) {
        if let Some((at, peer)) = self.order.pop_front()
            && self.nodes.get(&peer).is_some_and(|(_, last)| *last == at)
        {
            self.nodes.remove(&peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::vec::Vec;

    fn node(number: u8) -> NodeId {
        NodeId::from_bytes([number; 8])
    }

    #[test]
    fn peers_are_found_where_they_were_last_seen() {
        let (mut routes, peer, a, b) =
            (Routes::default(), PeerId([1; 32]), Topic([0; 32]), Topic([0xff; 32]));
        routes.learn(Instant::ZERO, peer, a, node(1));
        routes.learn(Instant::ZERO, peer, b, node(1));
        assert_eq!((routes.find(&peer, &a), routes.topics(&peer).count()), (Some(node(1)), 2));
        routes.move_to(&peer, node(2));
        assert_eq!(routes.find(&peer, &b), Some(node(2)));
        routes.forget(&peer, node(1));
        assert_eq!(routes.topics(&peer).collect::<Vec<_>>(), [a, b], "it is not there any more anyway");
        routes.forget(&peer, node(2));
        assert_eq!((routes.routes.len(), routes.ages.len()), (0, 0));
    }

    #[test]
    fn arrivals_are_forgotten_soon_and_the_last_one_counts() {
        let (mut arrivals, peer) = (Arrivals::default(), PeerId([1; 32]));
        let later = Instant::ZERO + ARRIVAL_LIFE / 2;
        arrivals.note(Instant::ZERO, peer, node(1));
        arrivals.note(later, peer, node(2));
        arrivals.expire(Instant::ZERO + ARRIVAL_LIFE);
        assert_eq!(arrivals.find(&peer), Some(node(2)));
        arrivals.expire(later + ARRIVAL_LIFE);
        assert_eq!((arrivals.find(&peer), arrivals.nodes.len(), arrivals.order.len()), (None, 0, 0));
    }

    #[test]
    fn unused_routes_end_and_maps_agree() {
        let (mut routes, mut rng) = (Routes::default(), Rng::new([3; 32]));
        let mut now = Instant::ZERO;
        for _ in 0..3000 {
            let byte = |rng: &mut Rng| u8::try_from(rng.below(16)).unwrap();
            let (peer, topic) = (PeerId([byte(&mut rng); 32]), Topic([byte(&mut rng); 32]));
            match rng.below(5) {
                0 => routes.forget(&peer, node(byte(&mut rng) % 3)),
                1 => routes.move_to(&peer, node(byte(&mut rng) % 3)),
                2 => routes.expire(now),
                _ => routes.learn(now, peer, topic, node(byte(&mut rng) % 3)),
            }
            now = now + Duration::from_secs(rng.below(60));
            assert_eq!(routes.routes.len(), routes.ages.len());
            assert!(routes.ages.iter().all(|(used, key)| routes.routes[key].used == *used));
        }
        routes.expire(now + ROUTE_LIFE);
        assert_eq!(routes.routes.len(), 0);
    }
}
