//! Swarmlet's own dialect: a proven key, membership by topic, and typed signals between two members.

use super::bucket::Bucket;
use super::candidates::Network;
use super::cluster::Request;
use super::door::{MESSAGE_OTHER, message_kind, signal_kind};
use super::evict::Scarce;
use super::limits::ServerConfig;
use super::{CloseReason, ConnId, Server, ServerAction, Stage};
use crate::config::SIGNAL_BYTES_MAX;
use crate::content::topic_of;
use crate::id::{PeerId, Topic};
use crate::keys;
use crate::time::Instant;
use crate::tracker::challenge_bytes;
use crate::wire::bus::{SwarmId, Word};
use crate::wire::tracker::PEERS_MAX;
use crate::wire::{self, Refusal, Signal, Signature, ToClient, ToTracker};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

/// A peer that has proven its key.
#[derive(Debug)]
pub(super) struct Member {
    peer: PeerId,
    /// At most `swarms_per_connection_max`, in order.
    topics: Vec<Joined>,
    /// What its token is for; empty: everything.
    allowed: Box<[Topic]>,
    knocks: Bucket,
    offers: Bucket,
    introductions: Bucket,
    details: Bucket,
}

/// A swarm that a peer is in.
#[derive(Debug)]
struct Joined {
    topic: Topic,
    lists: Bucket,
}

impl Member {
    fn new(peer: PeerId, allowed: Box<[Topic]>, limits: &ServerConfig, now: Instant) -> Self {
        Self {
            peer,
            topics: Vec::new(),
            allowed,
            knocks: Bucket::new(limits.knocks, now),
            offers: Bucket::new(limits.offers, now),
            introductions: Bucket::new(limits.introductions, now),
            details: Bucket::new(limits.details, now),
        }
    }

    pub(super) const fn peer(&self) -> PeerId {
        self.peer
    }

    pub(super) const fn topics(&self) -> usize {
        self.topics.len()
    }

    pub(super) fn find(&self, topic: &Topic) -> Result<usize, usize> {
        self.topics.binary_search_by(|joined| joined.topic.cmp(topic))
    }

    fn shares_a_topic(&self, other: &Self) -> bool {
        self.topics.iter().any(|joined| other.find(&joined.topic).is_ok())
    }
}

/// Keys are as good as random.
fn mark(peer: &PeerId) -> u32 {
    peer.bytes().first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The attempt that signals begin, if they begin one.
pub(super) fn attempt_of(signals: &[Signal]) -> Option<u32> {
    let begins = |signal: &&Signal| matches!(signal, Signal::Knock { .. } | Signal::Offer { .. });
    signals.iter().find(begins).map(Signal::attempt)
}

impl Server {
    /// Takes a frame of this dialect. Each message counts for itself; at the first that is one too many the rest is dropped.
    pub(super) fn on_swarmlet(&mut self, now: Instant, id: ConnId, mut frame: &[u8]) {
        while self.may_speak(now, id) {
            let message = ToTracker::take(frame);
            self.counts.messages[message.as_ref().map_or(MESSAGE_OTHER, |(said, _)| message_kind(said))] += 1;
            match message {
                Ok((message, rest)) => {
                    self.on_message(now, id, message);
                    frame = rest;
                }
                Err(wire::Error::Oversize) => return self.close(id, CloseReason::Oversize),
                Err(wire::Error::Malformed | wire::Error::Limit) => {
                    return self.close(id, CloseReason::Malformed);
                }
            }
            if frame.is_empty() {
                return;
            }
        }
    }

    fn on_message(&mut self, now: Instant, id: ConnId, message: ToTracker) {
        let Some(conn) = self.conns.get(id) else { return };
        match (&conn.stage, message) {
            (Stage::Challenged { nonce }, ToTracker::Hello { version, peer, signature, token, .. }) => {
                let nonce = *nonce;
                self.on_hello(now, id, version, peer, (nonce, signature), &token);
            }
            (Stage::Member(_), ToTracker::Announce { topic, complete, want }) => {
                self.on_announce(now, id, topic, complete, want);
            }
            (Stage::Member(_), ToTracker::Leave { topic }) => self.on_leave(id, &topic),
            (Stage::Member(_), ToTracker::Relay { to, signals }) => self.on_relay(now, id, to, signals),
            _ => self.close(id, CloseReason::Protocol),
        }
    }

    fn on_hello(
        &mut self,
        now: Instant,
        id: ConnId,
        version: u16,
        peer: PeerId,
        (nonce, signature): ([u8; 32], Signature),
        token: &str,
    ) {
        if version != wire::VERSION {
            self.refuse(id, Refusal::Version, Duration::ZERO);
            return self.close(id, CloseReason::Protocol);
        }
        if !keys::verify(&peer, &challenge_bytes(&nonce, &peer), &signature) {
            self.refuse(id, Refusal::Identity, Duration::ZERO);
            return self.close(id, CloseReason::Denied);
        }
        // After the proof: guesses cost a signature each, and only its bearer uses a token up.
        let Ok(contents) = self.admit_bearer(now, id, token, Some(peer)) else {
            self.refuse(id, Refusal::Token, Duration::ZERO);
            return self.close(id, CloseReason::Denied);
        };
        if let Some(earlier) = self.peers.get(&peer).copied() {
            self.refuse(earlier, Refusal::Replaced, Duration::ZERO);
            self.close(earlier, CloseReason::Replaced);
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        let allowed = contents.iter().map(topic_of).collect();
        conn.stage = Stage::Member(Member::new(peer, allowed, &self.config, now));
        self.peers.insert(peer, id);
        self.gate.entered(&peer);
        self.prune_hellos();
        self.tell(None, &Word::Here { peer });
        self.tell_inside(None, &[peer]);
        self.send(id, &ToClient::Welcome { version: wire::VERSION, features: 0 });
    }

    fn on_announce(&mut self, now: Instant, id: ConnId, topic: Topic, complete: bool, want: u8) {
        let memberships = self.swarms.memberships() + self.flocks.memberships();
        let Some(conn) = self.conns.get_mut(id) else { return };
        let network = conn.address.map(Network::of);
        let Stage::Member(member) = &mut conn.stage else { return };
        let at = match member.find(&topic) {
            Ok(at) => at,
            Err(at) => {
                if member.topics.len() >= self.config.swarms_per_connection_max as usize {
                    return self.refuse(id, Refusal::Swarms, Duration::ZERO);
                }
                let is_allowed = member.allowed.is_empty() || member.allowed.contains(&topic);
                if !is_allowed || !self.config.served.has_topic(&topic) {
                    return self.refuse(id, Refusal::Content, Duration::ZERO);
                }
                let is_new = !self.swarms.contains(&topic);
                if self.config.is_full(self.swarms.len() + self.flocks.len(), is_new, memberships) {
                    let address = conn.address;
                    if self.make_room(now, address, Scarce::Memberships) {
                        // Once: room is not made again for a while.
                        return self.on_announce(now, id, topic, complete, want);
                    }
                    return self.refuse(id, Refusal::Full, Duration::from_secs(60));
                }
                member.topics.insert(at, Joined { topic, lists: Bucket::new(self.config.lists, now) });
                at
            }
        };
        let peer = member.peer;
        let lists = member.topics.get_mut(at).map(|joined| &mut joined.lists);
        // Who asks often learns how many there are, not who.
        let is_due = want > 0 && lists.is_some_and(|lists| lists.take(self.config.lists, now).is_ok());
        if self.swarms.join(topic, peer, complete, network) {
            self.changed(SwarmId::Topic(topic));
        }
        let want =
            if is_due { usize::from(want.min(self.config.peers_answer_max)).min(PEERS_MAX) } else { 0 };
        self.counts.announces += 1;
        self.answer_after(now, id, Request::List { topic, want });
    }

    /// Names members of a swarm to one of them, unless it has left meanwhile.
    pub(super) fn answer_list(&mut self, now: Instant, id: ConnId, topic: Topic, want: usize) {
        let Some(peer) = self.member(id).filter(|member| member.find(&topic).is_ok()).map(Member::peer)
        else {
            return;
        };
        let complete = self.swarms.is_complete(&topic, &peer);
        let mut peers = self.name_members(now, topic, (peer, complete), want);
        if peers.len() < want {
            self.is_hungry(topic, id);
        }
        peers.retain(|view| self.may_meet(now, id, mark(&view.peer)));
        let [seeds, leeches, _] = self.everywhere(SwarmId::Topic(topic));
        self.send(id, &ToClient::Peers { topic, seeds, leeches, peers });
    }

    fn on_leave(&mut self, id: ConnId, topic: &Topic) {
        let Some(Stage::Member(member)) = self.conns.get_mut(id).map(|conn| &mut conn.stage) else { return };
        if let Ok(at) = member.find(topic) {
            member.topics.remove(at);
            self.swarms.leave(topic, &member.peer);
            self.changed(SwarmId::Topic(*topic));
        }
    }

    /// Takes a member out of the swarms that are not served.
    pub(super) fn expel_member(&mut self, id: ConnId) {
        let served = &self.config.served;
        let Some(Stage::Member(member)) = self.conns.get_mut(id).map(|conn| &mut conn.stage) else { return };
        let ended: Vec<Joined> =
            member.topics.extract_if(.., |joined| !served.has_topic(&joined.topic)).collect();
        let peer = member.peer;
        for joined in &ended {
            self.swarms.leave(&joined.topic, &peer);
            self.changed(SwarmId::Topic(joined.topic));
        }
        if !ended.is_empty() {
            self.refuse(id, Refusal::Content, Duration::ZERO);
        }
    }

    /// What is left of a member whose connection is gone.
    pub(super) fn forget_member(&mut self, member: &Member) {
        self.peers.remove(&member.peer);
        self.tell_outside(member.peer);
        self.gate.left(&self.config.tokens, &member.peer);
        for joined in &member.topics {
            self.swarms.leave(&joined.topic, &member.peer);
            self.changed(SwarmId::Topic(joined.topic));
        }
    }

    /// Says something. What is said at the same time goes in one frame.
    pub(super) fn send(&mut self, conn: ConnId, message: &ToClient) {
        let message = message.encode();
        debug_assert!(message.len() <= SIGNAL_BYTES_MAX, "every answer fits the limit that clients have");
        if let Some(ServerAction::Send { conn: last, bytes }) = self.actions.back_mut()
            && *last == conn
            && bytes.len() + message.len() <= SIGNAL_BYTES_MAX
        {
            bytes.extend_from_slice(&message);
            self.counts.messages_out += 1;
        } else {
            self.actions.push_back(ServerAction::Send { conn, bytes: message });
        }
    }

    fn on_relay(&mut self, now: Instant, id: ConnId, to: PeerId, mut signals: Vec<Signal>) {
        let Some(target) = self.peers.get(&to).copied() else {
            return self.relay_abroad(now, id, to, signals);
        };
        if target == id {
            return self.refuse(id, Refusal::Relay, Duration::ZERO);
        }
        if !signals.iter().all(|signal| self.may_signal(id, target, signal)) {
            // It has left, as far as the sender may know: that ends the attempt at once.
            self.counts.refusals[Refusal::Relay as usize] += 1;
            return self.send(id, &ToClient::Absent { peer: to });
        }
        if let Err(wait) = self.take_from_sender(now, id, &signals) {
            let Some(decline) = self.take_back(id, to, &signals, wait) else { return };
            signals = alloc::vec![decline];
        }
        if let Err(wait) = self.take_from_target(now, target, &signals) {
            return self.decline_for(id, to, &signals, wait);
        }
        self.entitle(id, &signals);
        signals.retain(|signal| match signal {
            Signal::Candidate { candidate, .. } => {
                self.passing(core::slice::from_ref(candidate), id, target).has(0)
            }
            _ => true,
        });
        let Some(from) = self.member(id).map(|member| member.peer).filter(|_| !signals.is_empty()) else {
            return;
        };
        self.count_relays(&signals);
        self.send(target, &ToClient::Relayed { from, signals });
    }

    pub(super) fn count_relays(&mut self, signals: &[Signal]) {
        signals.iter().for_each(|signal| self.counts.relays[signal_kind(signal)] += 1);
    }

    /// Whether the two share a swarm: the one that the signal names, or any where it names none.
    fn may_signal(&self, id: ConnId, target: ConnId, signal: &Signal) -> bool {
        let (Some(ours), Some(theirs)) = (self.member(id), self.member(target)) else { return false };
        match signal {
            Signal::Knock { topic, .. } | Signal::Offer { topic, .. } => {
                ours.find(topic).is_ok() && theirs.find(topic).is_ok()
            }
            Signal::Answer { .. } | Signal::Candidate { .. } | Signal::Decline { .. } => {
                ours.shares_a_topic(theirs)
            }
        }
    }

    pub(super) fn member(&self, id: ConnId) -> Option<&Member> {
        match &self.conns.get(id)?.stage {
            Stage::Member(member) => Some(member),
            Stage::Challenged { .. } | Stage::WebTorrent(_) => None,
        }
    }

    fn member_mut(&mut self, id: ConnId) -> Option<&mut Member> {
        match &mut self.conns.get_mut(id)?.stage {
            Stage::Member(member) => Some(member),
            Stage::Challenged { .. } | Stage::WebTorrent(_) => None,
        }
    }

    /// Takes tokens of the sender.
    pub(super) fn take_from_sender(
        &mut self,
        now: Instant,
        id: ConnId,
        signals: &[Signal],
    ) -> Result<(), Duration> {
        let (knocks, offers) = (self.config.knocks, self.config.offers);
        let Some(sender) = self.member_mut(id) else { return Ok(()) };
        for signal in signals {
            match signal {
                Signal::Knock { .. } => sender.knocks.take(knocks, now)?,
                Signal::Offer { .. } => sender.offers.take(offers, now)?,
                Signal::Answer { .. } | Signal::Candidate { .. } | Signal::Decline { .. } => {}
            }
        }
        Ok(())
    }

    /// Who makes too many offers cannot make this one: its attempt ends, and what is left to say is that to whoever waits for
    /// the offer. Of anything else, a knock too, only how long it is too much: attempts that nothing was heard of pace
    /// those who knock.
    pub(super) fn take_back(
        &mut self,
        id: ConnId,
        to: PeerId,
        signals: &[Signal],
        wait: Duration,
    ) -> Option<Signal> {
        let offered = signals.iter().find(|signal| matches!(signal, Signal::Offer { .. }));
        let Some(attempt) = offered.map(Signal::attempt) else {
            self.refuse(id, Refusal::Rate, wait);
            return None;
        };
        self.decline_for(id, to, signals, wait);
        Some(Signal::Decline { attempt })
    }

    /// Whom too many call has no time for this one: a refusal alone would not say whose attempt it is that ends.
    fn decline_for(&mut self, id: ConnId, to: PeerId, signals: &[Signal], wait: Duration) {
        let Some(attempt) = attempt_of(signals) else { return self.refuse(id, Refusal::Rate, wait) };
        self.counts.refusals[Refusal::Rate as usize] += 1;
        self.send(id, &ToClient::Relayed { from: to, signals: alloc::vec![Signal::Decline { attempt }] });
    }

    /// Who knocks wants an offer: that one is let through, however many others call.
    pub(super) fn entitle(&mut self, id: ConnId, signals: &[Signal]) {
        let introductions = self.config.introductions;
        let Some(sender) = self.member_mut(id) else { return };
        for signal in signals {
            if matches!(signal, Signal::Knock { .. }) {
                sender.introductions.give(introductions);
            }
        }
    }

    /// Takes tokens of the target.
    pub(super) fn take_from_target(
        &mut self,
        now: Instant,
        to: ConnId,
        signals: &[Signal],
    ) -> Result<(), Duration> {
        let (introductions, details) = (self.config.introductions, self.config.details);
        let Some(target) = self.member_mut(to) else { return Ok(()) };
        for signal in signals {
            match signal {
                Signal::Knock { .. } | Signal::Offer { .. } => {
                    target.introductions.take(introductions, now)?;
                }
                Signal::Answer { .. } | Signal::Candidate { .. } | Signal::Decline { .. } => {
                    target.details.take(details, now)?;
                }
            }
        }
        Ok(())
    }
}
