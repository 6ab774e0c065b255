//! What swarms are at all nodes together: each keeps what it has where the others look it up, and asks for theirs when
//! somebody here wants to know.

use crate::id::{PeerId, Topic};
use crate::time::Instant;
use crate::tracker::server::cluster::{HEAL_AGAIN, KEEP, KEEP_AGAIN, Request, is_large};
use crate::tracker::server::door::BusOrder;
use crate::tracker::server::{ConnId, Server, ServerAction};
use crate::wire::PeerView;
use crate::wire::bus::{Digest, NodeId, SAMPLE_MAX, SwarmId};
use crate::wire::webtorrent::InfoHash;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

impl Server {
    pub(super) fn on_found(
        &mut self,
        now: Instant,
        swarm: SwarmId,
        question: u64,
        found: &[(NodeId, Vec<u8>)],
    ) {
        let Some(cluster) = &mut self.cluster else { return };
        let mut others = Vec::with_capacity(found.len());
        for (node, bytes) in found {
            cluster.counts.heard += 1;
            match Digest::decode(bytes) {
                Ok(digest) if cluster.nodes.contains_key(node) => others.push((*node, digest)),
                Ok(_) => {}
                Err(_) => cluster.counts.refused += 1,
            }
        }
        let Some(shelf) = cluster.shelves.get_mut(&swarm) else { return };
        let are_there = !others.is_empty();
        let done = shelf.see(now, question, others);
        let mut fed = Vec::new();
        if shelf.healing && are_there {
            (shelf.heals, shelf.healing) = (0, false);
            fed = shelf.take_hungry();
        }
        for waiter in done {
            let ready = self.cluster.as_mut().and_then(|cluster| cluster.answered(waiter));
            if let Some((conn, request)) = ready {
                self.answer(now, conn, request);
            }
        }
        if let SwarmId::Topic(topic) = swarm {
            for conn in fed {
                self.answer(
                    now,
                    conn,
                    Request::List { topic, want: usize::from(self.config.peers_answer_max) },
                );
            }
        }
        let [seeds, leeches, _] = self.here(swarm);
        let Some(cluster) = &mut self.cluster else { return };
        if let Some(shelf) = cluster.shelves.get_mut(&swarm)
            && !is_large(seeds + leeches)
        {
            shelf.others = Vec::new();
        }
        if seeds + leeches == 0 {
            cluster.drop_idle(swarm);
        }
    }

    /// Answers at once, or as soon as the others have been heard.
    pub(in crate::tracker::server) fn answer_after(&mut self, now: Instant, conn: ConnId, request: Request) {
        let (swarms, flocks) = (&self.swarms, &self.flocks);
        let total = |swarm| match swarm {
            SwarmId::Topic(topic) => swarms.counts(&topic).0 + swarms.counts(&topic).1,
            SwarmId::InfoHash(info_hash) => flocks.counts(&info_hash)[0] + flocks.counts(&info_hash)[1],
        };
        let request = match &mut self.cluster {
            Some(cluster) => cluster.ask(now, conn, request, total),
            None => Some(request),
        };
        if let Some(request) = request {
            self.answer(now, conn, request);
        }
    }

    pub(super) fn answer(&mut self, now: Instant, conn: ConnId, request: Request) {
        match request {
            Request::List { topic, want } => self.answer_list(now, conn, topic, want),
            Request::Round { info_hash, bytes } => self.answer_round(now, conn, info_hash, &bytes),
            Request::Scrape { hashes } => self.answer_scrape(conn, &hashes),
        }
    }

    /// Complete members, other members, and completions here.
    fn here(&self, swarm: SwarmId) -> [u32; 3] {
        match swarm {
            SwarmId::Topic(topic) => {
                let (seeds, leeches) = self.swarms.counts(&topic);
                [seeds, leeches, 0]
            }
            SwarmId::InfoHash(info_hash) => self.flocks.counts(&info_hash),
        }
    }

    /// The same at all nodes.
    pub(in crate::tracker::server) fn everywhere(&self, swarm: SwarmId) -> [u32; 3] {
        let mut counts = self.here(swarm);
        let others = self.cluster.as_ref().map_or([0; 3], |cluster| cluster.sums(swarm));
        counts.iter_mut().zip(others).for_each(|(count, other)| *count = count.saturating_add(other));
        counts
    }

    /// A swarm has changed here.
    pub(in crate::tracker::server) fn changed(&mut self, swarm: SwarmId) {
        let is_empty = self.cluster.is_some() && self.here(swarm)[..2] == [0, 0];
        let Some(cluster) = &mut self.cluster else { return };
        cluster.change(swarm);
        if is_empty && cluster.me.is_none() {
            cluster.drop_idle(swarm);
        }
    }

    /// Members at other nodes for `asker`, in any order, with the node of each.
    fn members_abroad(&mut self, topic: Topic, asker: &PeerId, complete: bool) -> Vec<(PeerView, NodeId)> {
        let Some(cluster) = &self.cluster else { return Vec::new() };
        let mut found = BTreeMap::new();
        for (node, digest) in cluster.others(SwarmId::Topic(topic)) {
            for view in &digest.sample {
                let is_of_use = !(complete && view.complete);
                if is_of_use && view.peer != *asker && !self.peers.contains_key(&view.peer) {
                    let node = cluster.arrivals.find(&view.peer).unwrap_or(*node);
                    found.insert(view.peer, (*view, node));
                }
            }
        }
        let mut views: Vec<_> = found.into_values().collect();
        self.rng.shuffle(&mut views);
        views
    }

    /// Names members to one of them: as many from other nodes as their share of the swarm is, but a quarter at least of
    /// either side, so that all nodes together are one swarm and neighbours stay neighbours; more where one has too few.
    pub(in crate::tracker::server) fn name_members(
        &mut self,
        now: Instant,
        topic: Topic,
        (asker, complete): (PeerId, bool),
        want: usize,
    ) -> Vec<PeerView> {
        let mut abroad = if want > 0 { self.members_abroad(topic, &asker, complete) } else { Vec::new() };
        if abroad.is_empty() {
            return self.swarms.choose(&topic, &asker, want, &mut self.rng);
        }
        let count = |[seeds, leeches, _]: [u32; 3]| {
            usize::try_from(if complete { leeches } else { seeds.saturating_add(leeches) })
                .unwrap_or(usize::MAX)
        };
        let swarm = SwarmId::Topic(topic);
        let (here, all) = (count(self.here(swarm)), count(self.everywhere(swarm)).max(1));
        let share = (want as u64 * all.saturating_sub(here) as u64).div_ceil(all as u64);
        let others_here = if complete { here } else { here.saturating_sub(1) };
        let share = usize::try_from(share).unwrap_or(want).clamp(want / 4, want - want / 4);
        abroad.truncate(share.max(want.saturating_sub(others_here)));
        let mut views = self.swarms.choose(&topic, &asker, want - abroad.len(), &mut self.rng);
        for (view, node) in abroad {
            if let Some(cluster) = &mut self.cluster {
                cluster.routes.learn(now, view.peer, topic, node);
            }
            views.push(view);
        }
        self.rng.shuffle(&mut views);
        views
    }

    /// A member was named fewer others than it wanted; some may be at nodes that are out of reach now.
    pub(in crate::tracker::server) fn is_hungry(&mut self, topic: Topic, conn: ConnId) {
        if let Some(cluster) = &mut self.cluster {
            cluster.shelves.entry(SwarmId::Topic(topic)).or_default().remember_hungry(conn);
        }
    }

    /// How many may take an offer at which other node.
    pub(in crate::tracker::server) fn takers_abroad(
        &self,
        info_hash: InfoHash,
        complete: bool,
    ) -> Vec<(NodeId, u32)> {
        let Some(cluster) = &self.cluster else { return Vec::new() };
        let others = cluster.others(SwarmId::InfoHash(info_hash)).iter();
        let takers = |digest: &Digest| if complete { digest.leeches } else { digest.leeches + digest.seeds };
        others.map(|(node, digest)| (*node, takers(digest))).filter(|(_, takers)| *takers > 0).collect()
    }

    /// Keeps what a swarm is here, and then asks what it is elsewhere: of two who join at two nodes at the same time, one
    /// at least finds the other.
    pub(super) fn tend(&mut self, now: Instant, swarm: SwarmId) {
        let [seeds, leeches, completed] = self.here(swarm);
        let total = seeds.saturating_add(leeches);
        let Some(cluster) = self.cluster.as_mut().filter(|cluster| cluster.me.is_some()) else { return };
        let wait = cluster.keeps_at(now, swarm, total);
        let Some(shelf) = cluster.shelves.get_mut(&swarm) else { return };
        if shelf.dirty && wait.is_none() {
            shelf.dirty = false;
            let was_kept = core::mem::replace(&mut shelf.kept, total > 0);
            shelf.kept_at = Some(now);
            if total > 0 {
                let sample = match swarm {
                    SwarmId::Topic(topic) => self.swarms.sample(&topic, SAMPLE_MAX, &mut self.rng),
                    SwarmId::InfoHash(_) => Vec::new(),
                };
                let bytes = Digest { seeds, leeches, completed, sample }.encode();
                self.actions.push_back(ServerAction::Bus(BusOrder::Keep { swarm, bytes, life: KEEP }));
                cluster.counts.said += 1;
                cluster.schedule(swarm, now + KEEP_AGAIN);
            } else if was_kept {
                self.actions.push_back(ServerAction::Bus(BusOrder::Forget { swarm }));
            }
        }
        if let Some(at) = wait {
            cluster.schedule(swarm, at);
        }
        self.look(now, swarm);
        if let Some(cluster) = self.cluster.as_mut().filter(|_| total == 0) {
            cluster.drop_idle(swarm);
        }
    }

    /// Asks the others about a swarm, if somebody wants to know.
    fn look(&mut self, now: Instant, swarm: SwarmId) {
        let Some(cluster) = &mut self.cluster else { return };
        let Some(shelf) = cluster.shelves.get_mut(&swarm) else { return };
        let heals = shelf.heals > 0;
        if heals {
            shelf.heals -= 1;
            shelf.healing = true;
        }
        let is_wanted = core::mem::take(&mut shelf.wanted) || heals;
        let heals_again = shelf.heals > 0;
        let nodes = cluster.neighbours();
        if is_wanted && !nodes.is_empty() {
            let question = cluster.question();
            self.actions.push_back(ServerAction::Bus(BusOrder::Find { swarm, question, nodes }));
        }
        if heals_again {
            cluster.schedule(swarm, now + HEAL_AGAIN);
        }
    }
}
