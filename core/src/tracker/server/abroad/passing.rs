//! What clients of one node say to those of another: signals of our dialect, offers and answers of WebTorrent's.

use crate::id::{PeerId, Topic};
use crate::time::Instant;
use crate::tracker::server::candidates::Rules;
use crate::tracker::server::door::{SIGNAL_ANSWER, SIGNAL_OFFER};
use crate::tracker::server::swarmlet::{Member, attempt_of};
use crate::tracker::server::webtorrent::Pending;
use crate::tracker::server::{ConnId, Server, ServerAction};
use crate::wire::bus::{NodeId, Word};
use crate::wire::webtorrent::{Envelope, Passing, Sdp};
use crate::wire::{Candidate, Refusal, Signal, ToClient};
use alloc::vec::Vec;
use core::net::IpAddr;

/// No client's number.
const NOBODY: ConnId = ConnId(u64::MAX);
/// Members among whom one is looked for that may get an offer of another node.
const TAKERS: usize = 4;

impl Server {
    /// Passes signals on to a peer that is not here, if another node is known to have it in a swarm of the sender's.
    pub(in crate::tracker::server) fn relay_abroad(
        &mut self,
        now: Instant,
        id: ConnId,
        to: PeerId,
        mut signals: Vec<Signal>,
    ) {
        let Some((via, node)) = self.way_to(id, &to, &signals) else {
            return self.send(id, &ToClient::Absent { peer: to });
        };
        if let Err(wait) = self.take_from_sender(now, id, &signals) {
            let Some(decline) = self.take_back(id, to, &signals, wait) else { return };
            signals = alloc::vec![decline];
        }
        self.entitle(id, &signals);
        signals.retain(|signal| match signal {
            Signal::Candidate { candidate, .. } => self.leaving(core::slice::from_ref(candidate), id).has(0),
            _ => true,
        });
        if signals.is_empty() {
            return;
        }
        let (Some(from), Some(conn)) = (self.member(id).map(Member::peer), self.conns.get(id)) else {
            return;
        };
        let address = conn.address;
        if let Some(cluster) = &mut self.cluster {
            cluster.routes.learn(now, to, via, node);
        }
        self.count_relays(&signals);
        self.tell(Some(node), &Word::Relay { from, address, to, via, signals });
    }

    fn way_to(&self, id: ConnId, to: &PeerId, signals: &[Signal]) -> Option<(Topic, NodeId)> {
        let (member, cluster) = (self.member(id)?, self.cluster.as_ref()?);
        let mut topics = cluster.routes.topics(to).filter(|topic| are_of(signals, topic));
        let via = topics.find(|topic| member.find(topic).is_ok())?;
        let node = cluster.routes.find(to, &via)?;
        cluster.nodes.contains_key(&node).then_some((via, node))
    }

    pub(super) fn on_signals(
        &mut self,
        now: Instant,
        node: NodeId,
        (from, address): (PeerId, Option<IpAddr>),
        (to, via): (PeerId, Topic),
        mut signals: Vec<Signal>,
    ) {
        let target = self.peers.get(&to).copied();
        let is_member = |id| self.member(id).is_some_and(|member| member.find(&via).is_ok());
        let Some(target) = target.filter(|target| is_member(*target)) else {
            return self.tell(Some(node), &Word::Absent { peer: to, asker: from });
        };
        if !are_of(&signals, &via) || self.take_from_target(now, target, &signals).is_err() {
            self.counts.refusals[Refusal::Rate as usize] += 1;
            if let Some(attempt) = attempt_of(&signals) {
                let signals = alloc::vec![Signal::Decline { attempt }];
                self.tell(Some(node), &Word::Relay { from: to, address: None, to: from, via, signals });
            }
            return;
        }
        signals.retain(|signal| match signal {
            Signal::Candidate { candidate, .. } => {
                self.arriving(core::slice::from_ref(candidate), address, target).has(0)
            }
            _ => true,
        });
        if signals.is_empty() {
            return;
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.routes.learn(now, from, via, node);
        }
        self.send(target, &ToClient::Relayed { from, signals });
    }

    /// Gives an offer of another node's client to a client of this one.
    pub(super) fn on_offer_abroad(&mut self, now: Instant, node: NodeId, word: &Word<'_>) {
        let Word::Offer { conn, address, info_hash, peer, complete, ref met, id, sdp } = *word else {
            return;
        };
        let chosen = self.flocks.choose(&info_hash, NOBODY, complete, TAKERS, &mut self.rng);
        let Some(target) = self.find_taker_for_abroad(now, node, (&info_hash, peer), met, chosen) else {
            return;
        };
        let Ok(session) = Sdp::read(sdp).and_then(|sdp| self.session(sdp)) else { return };
        let passing = self.arriving(session.candidates(), address, target);
        let bytes = Envelope { info_hash, peer, id, answer: false }.encode(&session, passing, self.sheet());
        self.remember_offer(now, target, Pending::new(Some(node), ConnId(conn), info_hash, id, now));
        self.counts.relays[SIGNAL_OFFER] += 1;
        self.actions.push_back(ServerAction::Send { conn: target, bytes });
    }

    /// Gives another node's answer to the client here that has offered.
    pub(super) fn on_answer_abroad(&mut self, word: &Word<'_>) {
        let Word::Answer { conn, address, info_hash, peer, to, id, sdp } = *word else { return };
        let target = ConnId(conn);
        if !self.is_in_swarm(target, &info_hash, to) {
            return;
        }
        let Ok(session) = Sdp::read(sdp).and_then(|sdp| self.session(sdp)) else { return };
        let passing = self.arriving(session.candidates(), address, target);
        let bytes = Envelope { info_hash, peer, id, answer: true }.encode(&session, passing, self.sheet());
        self.counts.relays[SIGNAL_ANSWER] += 1;
        self.actions.push_back(ServerAction::Send { conn: target, bytes });
    }

    /// Which candidates may leave this node, wherever they go: what the taker's address decides is for its node.
    pub(in crate::tracker::server) fn leaving(
        &mut self,
        candidates: &[Candidate],
        source: ConnId,
    ) -> Passing {
        self.passing(candidates, source, source)
    }

    /// Which candidates that have left another node are for a client of this one.
    fn arriving(&mut self, candidates: &[Candidate], source: Option<IpAddr>, target: ConnId) -> Passing {
        let taker = self.conns.get(target).and_then(|conn| conn.address);
        let rules = Rules { strict: false, relays: &self.config.relays };
        let passes = |candidate: &Candidate| rules.pass(candidate, source, taker, &mut []);
        let passing = Passing::when(|at| candidates.get(at).is_some_and(passes));
        let passed = (0..candidates.len()).filter(|at| passing.has(*at)).count();
        self.counts.candidates_dropped += (candidates.len() - passed) as u64;
        passing
    }
}

/// Whether signals name no other swarm.
fn are_of(signals: &[Signal], topic: &Topic) -> bool {
    signals.iter().all(|signal| match signal {
        Signal::Knock { topic: named, .. } | Signal::Offer { topic: named, .. } => named == topic,
        Signal::Answer { .. } | Signal::Candidate { .. } | Signal::Decline { .. } => true,
    })
}
