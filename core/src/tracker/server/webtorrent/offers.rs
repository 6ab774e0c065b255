//! Offers on their way to members that the tracker chooses, and answers on their way back.

use super::{Client, Joined, Pending, client_mut};
use crate::rng::Rng;
use crate::time::Instant;
use crate::tracker::server::door::{SIGNAL_ANSWER, SIGNAL_OFFER};
use crate::tracker::server::{ConnId, Server, ServerAction};
use crate::wire::Refusal;
use crate::wire::bus::{MET_MAX, NodeId, Word};
use crate::wire::webtorrent::{Announce, Answer, Envelope, InfoHash, Offer, PeerCode, Reply, Session};
use alloc::vec::Vec;
use core::time::Duration;

/// How long offers to other nodes may cross theirs: twice as long as a node waits for the others (`answer_after`).
const CROSSING: Duration = Duration::from_millis(500);

/// Who gets an offer.
enum Taker {
    Here(ConnId),
    Abroad(NodeId),
}

impl Client {
    /// Notes that an offer of its own leaves for another node.
    fn offers_to(&mut self, now: Instant, node: NodeId, info_hash: InfoHash) {
        self.crossing.retain(|(to, of, until)| *until > now && (*to, *of) != (node, info_hash));
        self.crossing.push((node, info_hash, now + CROSSING));
    }

    /// Whether it may be handed an offer of another node's member, which one of its own may cross on the way: of two such
    /// offers each node lets only that one through whose maker's name is less.
    fn may_be_asked_from(&self, now: Instant, node: NodeId, info_hash: &InfoHash, by: PeerCode) -> bool {
        let may_cross =
            |&(to, of, until): &(NodeId, InfoHash, Instant)| to == node && of == *info_hash && until > now;
        let is_less = |joined: &Joined| by.0 < joined.peer.0;
        !self.crossing.iter().any(may_cross) || self.joined(info_hash).is_some_and(is_less)
    }
}

impl Server {
    /// Hands offers to members, one each, as long as what goes out is not more than `room` bytes.
    pub(super) fn hand_out(
        &mut self,
        now: Instant,
        id: ConnId,
        announce: &Announce<'_>,
        complete: bool,
        mut room: usize,
    ) {
        let info_hash = announce.info_hash;
        let lists = self.config.lists;
        let Some(client) = client_mut(&mut self.conns, id) else { return };
        if client.joined_mut(&info_hash).is_none_or(|joined| joined.lists.take(lists, now).is_err()) {
            return;
        }
        // Where two offer to each other at once their clients (WebTorrent 3.0.21) close one connection each, not always the same.
        let met: Vec<ConnId> = client.is_asked_by(now, None, &info_hash).collect();
        let chosen = self.flocks.choose(&info_hash, id, complete, announce.offers.len(), &mut self.rng);
        let mut chosen = chosen.into_iter().filter(|target| !met.contains(target));
        let mut abroad = self.takers_abroad(info_hash, complete);
        for Offer { id: offer, sdp } in &announce.offers {
            let Ok(session) = self.session(*sdp) else {
                self.counts.refusals[Refusal::Relay as usize] += 1;
                let reason = "description";
                return self.reply(id, &Reply::Failure { scrape: false, info_hash: Some(info_hash), reason });
            };
            if !self.may_offer(now, id) {
                return;
            }
            let taker = self.taker(now, announce.peer, &info_hash, &mut chosen, &mut abroad);
            let Some(taker) = taker else { return };
            // Numbers of connections are not used twice; who is elsewhere is always somebody new.
            let mark = match taker {
                Taker::Here(target) => target.0 ^ target.0.rotate_right(32),
                Taker::Abroad(_) => self.rng.below(u64::from(u32::MAX)),
            };
            if !self.may_meet(now, id, mark as u32) {
                return;
            }
            let envelope = Envelope { info_hash, peer: announce.peer, id: *offer, answer: false };
            let passing = match taker {
                Taker::Here(target) => self.passing(session.candidates(), id, target),
                Taker::Abroad(_) => self.leaving(session.candidates(), id),
            };
            let bytes = envelope.encode(&session, passing, self.sheet());
            let Some(rest) = room.checked_sub(bytes.len()) else { return };
            room = rest;
            match taker {
                Taker::Here(target) => {
                    self.remember_offer(now, target, Pending::new(None, id, info_hash, *offer, now));
                    self.actions.push_back(ServerAction::Send { conn: target, bytes });
                }
                Taker::Abroad(node) => self.send_offer_abroad(now, node, id, envelope, complete, &session),
            }
            self.counts.relays[SIGNAL_OFFER] += 1;
        }
    }

    fn send_offer_abroad(
        &mut self,
        now: Instant,
        node: NodeId,
        id: ConnId,
        envelope: Envelope,
        complete: bool,
        session: &Session<'_>,
    ) {
        let sdp = session.quoted(self.leaving(session.candidates(), id));
        let address = self.conns.get(id).and_then(|conn| conn.address);
        let Envelope { info_hash, peer, id: offer, .. } = envelope;
        let Some(client) = client_mut(&mut self.conns, id) else { return };
        client.offers_to(now, node, info_hash);
        let asked = client.is_asked_by(now, Some(node), &info_hash);
        let met = asked.take(MET_MAX).map(|conn| conn.0).collect();
        let word = Word::Offer { conn: id.0, address, info_hash, peer, complete, met, id: offer, sdp: &sdp };
        self.tell(Some(node), &word);
    }

    /// Notes that a client may answer an offer.
    pub(in crate::tracker::server) fn remember_offer(
        &mut self,
        now: Instant,
        target: ConnId,
        offer: Pending,
    ) {
        if let Some(client) = client_mut(&mut self.conns, target) {
            client.remember(offer, now);
        }
        self.sweep_at = Some(self.sweep_at.unwrap_or(offer.until));
    }

    fn may_offer(&mut self, now: Instant, id: ConnId) -> bool {
        let offers = self.config.offers;
        client_mut(&mut self.conns, id).is_some_and(|client| client.offers.take(offers, now).is_ok())
    }

    /// Who gets the next offer: chosen members here and those at other nodes have the same chance.
    fn taker(
        &mut self,
        now: Instant,
        peer: PeerCode,
        info_hash: &InfoHash,
        chosen: &mut impl Iterator<Item = ConnId>,
        abroad: &mut Vec<(NodeId, u32)>,
    ) -> Option<Taker> {
        let far: u64 = abroad.iter().map(|(_, takers)| u64::from(*takers)).sum();
        let [seeds, leeches, _] = self.flocks.counts(info_hash);
        if far > 0 && self.rng.below(far + u64::from(seeds) + u64::from(leeches)) < far {
            return take_weighted(abroad, far, &mut self.rng).map(Taker::Abroad);
        }
        let here = self.find_taker(now, peer, info_hash, chosen).map(Taker::Here);
        here.or_else(|| take_weighted(abroad, far, &mut self.rng).map(Taker::Abroad))
    }

    /// The next of `chosen` that may get an offer of another node's client now.
    pub(in crate::tracker::server) fn find_taker_for_abroad(
        &mut self,
        now: Instant,
        node: NodeId,
        (info_hash, peer): (&InfoHash, PeerCode),
        met: &[u64],
        mut chosen: Vec<ConnId>,
    ) -> Option<ConnId> {
        chosen.retain(|target| {
            !met.contains(&target.0)
                && client_mut(&mut self.conns, *target)
                    .is_some_and(|client| client.may_be_asked_from(now, node, info_hash, peer))
        });
        self.find_taker(now, peer, info_hash, &mut chosen.into_iter())
    }

    /// The next of `chosen` that may get an offer now.
    fn find_taker(
        &mut self,
        now: Instant,
        peer: PeerCode,
        info_hash: &InfoHash,
        chosen: &mut impl Iterator<Item = ConnId>,
    ) -> Option<ConnId> {
        let introductions = self.config.introductions;
        chosen.find(|target| {
            // One client over two connections is no use to itself.
            client_mut(&mut self.conns, *target).is_some_and(|client| {
                client.joined(info_hash).is_some_and(|joined| joined.peer != peer)
                    && client.introductions.take(introductions, now).is_ok()
            })
        })
    }

    /// Passes an answer on to who made the offer. Clients answer late and to those who left, so what does not fit
    /// is dropped without a word, as other trackers do.
    pub(super) fn on_answer(&mut self, id: ConnId, answer: &Answer<'_>) {
        let Answer { info_hash, peer, to, id: offer, sdp } = *answer;
        let Some(client) = client_mut(&mut self.conns, id) else { return };
        let is_member = client.joined(&info_hash).is_some_and(|joined| joined.peer == peer);
        let is_it = |pending: &Pending| pending.id == offer && pending.info_hash == info_hash;
        let found = client.pending.iter().position(is_it).filter(|_| is_member);
        let Some(Pending { node, from: target, .. }) = found.map(|at| client.pending.remove(at)) else {
            self.counts.refusals[Refusal::Relay as usize] += 1;
            return;
        };
        if node.is_none() && !self.is_in_swarm(target, &info_hash, to) {
            self.counts.refusals[Refusal::Relay as usize] += 1;
            return;
        }
        let Ok(session) = self.session(sdp) else {
            self.counts.refusals[Refusal::Relay as usize] += 1;
            let reason = "description";
            return self.reply(id, &Reply::Failure { scrape: false, info_hash: Some(info_hash), reason });
        };
        if node.is_some() {
            let sdp = session.quoted(self.leaving(session.candidates(), id));
            let address = self.conns.get(id).and_then(|conn| conn.address);
            let word = Word::Answer { conn: target.0, address, info_hash, peer, to, id: offer, sdp: &sdp };
            self.counts.relays[SIGNAL_ANSWER] += 1;
            return self.tell(node, &word);
        }
        let envelope = Envelope { info_hash, peer, id: offer, answer: true };
        let passing = self.passing(session.candidates(), id, target);
        let bytes = envelope.encode(&session, passing, self.sheet());
        self.counts.relays[SIGNAL_ANSWER] += 1;
        self.actions.push_back(ServerAction::Send { conn: target, bytes });
    }

    /// Whether a client is in a swarm under that name.
    pub(in crate::tracker::server) fn is_in_swarm(
        &mut self,
        id: ConnId,
        info_hash: &InfoHash,
        peer: PeerCode,
    ) -> bool {
        let joined = client_mut(&mut self.conns, id).and_then(|client| client.joined(info_hash));
        joined.is_some_and(|joined| joined.peer == peer)
    }
}

/// One of the nodes, by the weight of each, which is then one less. `total`: of all weights.
fn take_weighted(nodes: &mut Vec<(NodeId, u32)>, total: u64, rng: &mut Rng) -> Option<NodeId> {
    let mut left = if total > 0 { rng.below(total) } else { return None };
    let at = nodes.iter().position(|(_, weight)| {
        let is_it = left < u64::from(*weight);
        left = left.saturating_sub(u64::from(*weight));
        is_it
    })?;
    let (node, weight) = nodes.get_mut(at)?;
    let node = *node;
    *weight -= 1;
    if *weight == 0 {
        nodes.swap_remove(at);
    }
    Some(node)
}
