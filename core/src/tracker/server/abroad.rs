//! What other nodes of the cluster say, and what they are told: `Cluster` knows who they are, this is what follows
//! for clients. A signal to a client of another node is checked where its sender is connected as far as that node
//! can, and by the taker's node as far as only that one can; each counts against the limits of its own client.

mod passing;

use super::cluster::{BEAT_EVERY, HEAL_AGAIN, KEEP, KEEP_AGAIN, Request, is_large};
use super::door::{BusNews, BusOrder};
use super::{CloseReason, ConnId, Server, ServerAction};
use crate::id::{PeerId, Topic};
use crate::time::Instant;
use crate::wire::bus::{Digest, INSIDE_MAX, NodeId, SAMPLE_MAX, SwarmId, Word, Words};
use crate::wire::webtorrent::InfoHash;
use crate::wire::{PeerView, Refusal, ToClient};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

impl Server {
    /// Takes what happened on the way to other nodes.
    pub(super) fn on_bus(&mut self, now: Instant, news: BusNews<'_>) {
        match news {
            BusNews::Up { node, name } => {
                let topics = self.swarms.topics().map(SwarmId::Topic);
                let swarms = topics.chain(self.flocks.info_hashes().map(SwarmId::InfoHash)).collect();
                self.cluster.get_or_insert_default().connect(now, node, name, swarms);
                self.beat(now, None, true);
            }
            BusNews::Down => {
                let cluster = self.cluster.get_or_insert_default();
                let nodes: Vec<NodeId> = cluster.nodes.keys().copied().collect();
                let waited = cluster.disconnect();
                nodes.into_iter().for_each(|node| self.gate.left_at(&self.config.tokens, node, None));
                waited.into_iter().for_each(|(conn, request)| self.answer(now, conn, request));
            }
            BusNews::Heard { bytes } => self.on_words(now, bytes),
            BusNews::Found { swarm, question, digests } => self.on_found(now, swarm, question, &digests),
        }
    }

    /// Says something to one node, or to all.
    pub(super) fn tell(&mut self, node: Option<NodeId>, word: &Word<'_>) {
        let Some(cluster) = &mut self.cluster else { return };
        if cluster.me.is_some() {
            cluster.counts.said += 1;
            self.actions.push_back(ServerAction::Bus(BusOrder::Tell { node, word: word.encode() }));
        }
    }

    /// Whether there is nobody else to ask.
    pub(super) fn is_alone(&self) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| cluster.is_alone())
    }

    /// Whether there are other nodes that cannot be reached.
    pub(super) fn is_cut_off(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.me.is_none())
    }

    /// Gives a sign of life.
    pub(super) fn beat(&mut self, now: Instant, node: Option<NodeId>, fresh: bool) {
        let draining = self.draining;
        let Some(cluster) = &mut self.cluster else { return };
        let (name, mut count) = (cluster.name.clone(), cluster.beat.0);
        if node.is_none() {
            count += 1;
            cluster.beat = (count, now);
            cluster.beat_at = Some(now + BEAT_EVERY);
        }
        self.tell(node, &Word::Beat { name, count, fresh, draining });
    }

    fn on_words(&mut self, now: Instant, bytes: &[u8]) {
        let Some(me) = self.cluster.as_ref().and_then(|cluster| cluster.me) else { return };
        let Ok((node, words)) = Words::open(bytes) else { return self.count_heard(false) };
        for word in words {
            self.count_heard(word.is_ok());
            match word {
                Ok(Word::Beat { count, .. }) if node == me => self.on_own_beat(now, count),
                Ok(word) if node != me => self.on_word(now, node, word),
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn count_heard(&mut self, is_word: bool) {
        if let Some(cluster) = &mut self.cluster {
            cluster.counts.heard += 1;
            cluster.counts.refused += u64::from(!is_word);
        }
    }

    fn on_own_beat(&mut self, now: Instant, count: u64) {
        if let Some(cluster) = self.cluster.as_mut().filter(|cluster| cluster.beat.0 == count) {
            cluster.counts.lag_us = now.passed(cluster.beat.1);
        }
    }

    fn on_word(&mut self, now: Instant, node: NodeId, word: Word<'_>) {
        let Some(cluster) = &mut self.cluster else { return };
        match word {
            Word::Beat { fresh, draining, .. } => {
                // The name is for those who look at what goes over the bus.
                cluster.hear(now, node, draining);
                if fresh {
                    self.beat(now, Some(node), false);
                    let inside: Vec<PeerId> = self.peers.keys().copied().collect();
                    self.tell_inside(Some(node), &inside);
                }
            }
            Word::Bye => {
                cluster.nodes.remove(&node);
                self.gate.left_at(&self.config.tokens, node, None);
            }
            Word::Inside { peers } => {
                peers.into_iter().for_each(|(peer, token)| self.gate.entered_at(node, peer, token));
            }
            Word::Outside { peer } => self.gate.left_at(&self.config.tokens, node, Some(&peer)),
            Word::Here { peer } => self.on_moved(now, node, &peer),
            Word::Relay { from, address, to, via, signals } => {
                self.on_signals(now, node, (from, address), (to, via), signals);
            }
            Word::Absent { peer, asker } => self.on_absent(node, peer, &asker),
            Word::Offer { .. } => self.on_offer_abroad(now, node, &word),
            Word::Answer { .. } => self.on_answer_abroad(&word),
        }
    }

    /// Says who was let in with which token, so that they are let in again by other nodes, too, when it has expired.
    pub(super) fn tell_inside(&mut self, node: Option<NodeId>, peers: &[PeerId]) {
        if self.cluster.is_none() || self.config.tokens.keys.is_empty() {
            return;
        }
        for some in peers.chunks(INSIDE_MAX) {
            let tokens = some.iter().filter_map(|peer| Some((*peer, self.gate.token_of(peer)?)));
            let peers: Vec<_> = tokens.collect();
            if !peers.is_empty() {
                self.tell(node, &Word::Inside { peers });
            }
        }
    }

    /// Says that one of them has left.
    pub(super) fn tell_outside(&mut self, peer: PeerId) {
        if self.cluster.is_some() && self.gate.token_of(&peer).is_some() {
            self.tell(None, &Word::Outside { peer });
        }
    }

    /// A peer has proven its key elsewhere, so what it had here is a connection that nobody uses.
    fn on_moved(&mut self, now: Instant, node: NodeId, peer: &PeerId) {
        if let Some(cluster) = &mut self.cluster {
            cluster.arrivals.note(now, *peer, node);
            cluster.routes.move_to(peer, node);
        }
        if let Some(conn) = self.peers.get(peer).copied() {
            self.refuse(conn, Refusal::Replaced, Duration::ZERO);
            self.close(conn, CloseReason::Replaced);
        }
    }

    fn on_absent(&mut self, node: NodeId, peer: PeerId, asker: &PeerId) {
        if let Some(cluster) = &mut self.cluster {
            cluster.routes.forget(&peer, node);
        }
        if let Some(conn) = self.peers.get(asker).copied() {
            self.send(conn, &ToClient::Absent { peer });
        }
    }

    fn on_found(&mut self, now: Instant, swarm: SwarmId, question: u64, found: &[(NodeId, Vec<u8>)]) {
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
    pub(super) fn answer_after(&mut self, now: Instant, conn: ConnId, request: Request) {
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

    fn answer(&mut self, now: Instant, conn: ConnId, request: Request) {
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
    pub(super) fn everywhere(&self, swarm: SwarmId) -> [u32; 3] {
        let mut counts = self.here(swarm);
        let others = self.cluster.as_ref().map_or([0; 3], |cluster| cluster.sums(swarm));
        counts.iter_mut().zip(others).for_each(|(count, other)| *count = count.saturating_add(other));
        counts
    }

    /// A swarm has changed here.
    pub(super) fn changed(&mut self, swarm: SwarmId) {
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
    pub(super) fn name_members(
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
    pub(super) fn is_hungry(&mut self, topic: Topic, conn: ConnId) {
        if let Some(cluster) = &mut self.cluster {
            cluster.shelves.entry(SwarmId::Topic(topic)).or_default().remember_hungry(conn);
        }
    }

    /// How many may take an offer at which other node.
    pub(super) fn takers_abroad(&self, info_hash: InfoHash, complete: bool) -> Vec<(NodeId, u32)> {
        let Some(cluster) = &self.cluster else { return Vec::new() };
        let others = cluster.others(SwarmId::InfoHash(info_hash)).iter();
        let takers = |digest: &Digest| if complete { digest.leeches } else { digest.leeches + digest.seeds };
        others.map(|(node, digest)| (*node, takers(digest))).filter(|(_, takers)| *takers > 0).collect()
    }

    /// What the clock asks for.
    pub(super) fn on_cluster_timeout(&mut self, now: Instant) {
        let Some(cluster) = &mut self.cluster else { return };
        let is_beat = cluster.beat_at.is_some_and(|at| at <= now);
        let gone = if is_beat { cluster.expire(now) } else { Vec::new() };
        gone.into_iter().for_each(|node| self.gate.left_at(&self.config.tokens, node, None));
        let Some(cluster) = &mut self.cluster else { return };
        for swarm in cluster.take_due(now) {
            self.tend(now, swarm);
        }
        if is_beat {
            self.beat(now, None, false);
        }
        while let Some((conn, request)) = self.cluster.as_mut().and_then(|cluster| cluster.overdue(now)) {
            self.answer(now, conn, request);
        }
    }

    /// Lets the others know what has changed. The end of every input.
    pub(super) fn publish(&mut self, now: Instant) {
        let Some(cluster) = &mut self.cluster else { return };
        for swarm in cluster.take_urgent() {
            self.tend(now, swarm);
        }
        let is_over = self.draining && self.conns.is_empty();
        if let Some(cluster) = self.cluster.as_mut().filter(|cluster| is_over && !cluster.said_bye) {
            cluster.said_bye = true;
            self.tell(None, &Word::Bye);
        }
    }

    /// Keeps what a swarm is here, and then asks what it is elsewhere: of two who join at two nodes at the same time, one
    /// at least finds the other.
    fn tend(&mut self, now: Instant, swarm: SwarmId) {
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
