//! What other nodes of the cluster say, and what they are told: `Cluster` knows who they are, this is what follows
//! for clients. A signal to a client of another node is checked where its sender is connected as far as that node
//! can, and by the taker's node as far as only that one can; each counts against the limits of its own client.

mod passing;
mod swarms;

use super::cluster::BEAT_EVERY;
use super::door::{BusNews, BusOrder};
use super::{CloseReason, Server, ServerAction};
use crate::id::PeerId;
use crate::time::Instant;
use crate::wire::bus::{INSIDE_MAX, NodeId, SwarmId, Word, Words};
use crate::wire::{Refusal, ToClient};
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
}
