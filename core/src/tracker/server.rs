//! What a signaller runs: membership that lives as long as a connection, introductions, and the relay of
//! signals between two members of one swarm. The simulator runs the same machine.
//!
//! One message in makes at most one message out to anybody but its sender, and that one carries what came
//! in: nothing here can be used to amplify. Whatever a connection sends costs at most that connection.
//! No content passes here, and a topic does not tell what it stands for.

mod bucket;
mod candidates;
mod door;
mod limits;
#[cfg(test)]
mod stories;
mod swarms;

pub use bucket::Rate;
pub use door::{CloseReason, ConnId, ServerAction, ServerInput, ServerSnapshot};
pub use limits::ServerConfig;

use super::challenge_bytes;
use crate::config::SIGNAL_BYTES_MAX;
use crate::id::{PeerId, Topic};
use crate::keys;
use crate::rng::Rng;
use crate::time::{Instant, earliest};
use crate::wire::tracker::PEERS_MAX;
use crate::wire::{self, Refusal, Signal, Signature, ToClient, ToTracker};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bucket::Bucket;
use candidates::{Network, Scope};
use core::net::IpAddr;
use core::time::Duration;
use swarms::Swarms;

/// The machine. Input by [`Server::handle`], output by [`Server::poll_action`] until it is empty, then one
/// timer at [`Server::poll_timeout`].
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    rng: Rng,
    /// At most `connections_max`.
    conns: BTreeMap<ConnId, Conn>,
    /// Who is behind which connection; both ways always agree.
    peers: BTreeMap<PeerId, ConnId>,
    /// Connections from each network.
    networks: BTreeMap<Network, u32>,
    swarms: Swarms,
    /// In order, since the time allowed is the same for all. May name connections that are gone.
    hellos: VecDeque<(Instant, ConnId)>,
    drained_at: Option<Instant>,
    draining: bool,
    actions: VecDeque<ServerAction>,
    counts: ServerSnapshot,
}

#[derive(Debug)]
struct Conn {
    address: Option<IpAddr>,
    stage: Stage,
    messages: Bucket,
    /// Refused messages that are forgiven before the connection is closed.
    patience: Bucket,
}

#[derive(Debug)]
enum Stage {
    /// Has to prove its key.
    Challenged { nonce: [u8; 32] },
    /// Has.
    Member(Member),
}

#[derive(Debug)]
struct Member {
    peer: PeerId,
    /// At most `swarms_per_connection_max`.
    topics: BTreeSet<Topic>,
    knocks: Bucket,
    offers: Bucket,
    introductions: Bucket,
    details: Bucket,
}

impl Server {
    /// A server without clients.
    #[must_use]
    pub fn new(config: ServerConfig, seed: [u8; 32], _now: Instant) -> Self {
        Self {
            config,
            rng: Rng::new(seed),
            conns: BTreeMap::new(),
            peers: BTreeMap::new(),
            networks: BTreeMap::new(),
            swarms: Swarms::default(),
            hellos: VecDeque::new(),
            drained_at: None,
            draining: false,
            actions: VecDeque::new(),
            counts: ServerSnapshot::default(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: ServerInput<'_>) {
        match input {
            ServerInput::Opened { conn, address } => self.on_opened(now, conn, address),
            ServerInput::Received { conn, bytes } => self.on_received(now, conn, bytes),
            ServerInput::Closed { conn } => self.forget(conn),
            ServerInput::Drain { spread } => self.on_drain(now, spread),
            ServerInput::Timeout => self.on_timeout(now),
        }
    }

    /// The next order to carry out.
    pub fn poll_action(&mut self) -> Option<ServerAction> {
        self.actions.pop_front()
    }

    /// When [`ServerInput::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.hellos.front().map(|(deadline, _)| *deadline), self.drained_at)
    }

    /// The counts.
    #[must_use]
    pub fn snapshot(&self) -> ServerSnapshot {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        ServerSnapshot {
            connections: count(self.conns.len()),
            peers: count(self.peers.len()),
            swarms: count(self.swarms.len()),
            memberships: self.swarms.memberships(),
            draining: self.draining,
            ..self.counts
        }
    }

    fn on_opened(&mut self, now: Instant, conn: ConnId, address: Option<IpAddr>) {
        let network = limited_network(address);
        let neighbours = network.and_then(|network| self.networks.get(&network)).copied().unwrap_or(0);
        let full = self.conns.len() >= self.config.connections_max as usize
            || neighbours >= self.config.connections_per_network_max;
        let nonce = self.rng.bytes32();
        let limits = &self.config;
        let opened = Conn {
            address,
            stage: Stage::Challenged { nonce },
            messages: Bucket::new(limits.messages, now),
            patience: Bucket::new(limits.messages, now),
        };
        if let Some(network) = network {
            *self.networks.entry(network).or_default() += 1;
        }
        self.conns.insert(conn, opened);
        if self.draining {
            return self.close(conn, CloseReason::Draining);
        }
        if full {
            self.refuse(conn, Refusal::Full, Duration::from_secs(30));
            return self.close(conn, CloseReason::Full);
        }
        self.hellos.push_back((now + self.config.hello_deadline, conn));
        self.send(conn, &ToClient::Challenge { nonce });
    }

    fn on_received(&mut self, now: Instant, id: ConnId, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        self.counts.messages += 1;
        if let Err(wait) = conn.messages.take(self.config.messages, now) {
            if conn.patience.take(self.config.messages, now).is_err() {
                return self.close(id, CloseReason::Rate);
            }
            return self.refuse(id, Refusal::Rate, wait);
        }
        match (&conn.stage, ToTracker::decode(bytes)) {
            (_, Err(wire::Error::Oversize)) => self.close(id, CloseReason::Oversize),
            (_, Err(wire::Error::Malformed | wire::Error::Limit)) => self.close(id, CloseReason::Malformed),
            (Stage::Challenged { nonce }, Ok(ToTracker::Hello { version, peer, signature, token, .. })) => {
                let nonce = *nonce;
                self.on_hello(now, id, version, peer, (nonce, signature), &token);
            }
            (Stage::Challenged { .. }, Ok(_)) | (Stage::Member(_), Ok(ToTracker::Hello { .. })) => {
                self.close(id, CloseReason::Protocol);
            }
            (Stage::Member(_), Ok(ToTracker::Announce { topic, complete, want })) => {
                self.on_announce(id, topic, complete, want);
            }
            (Stage::Member(_), Ok(ToTracker::Leave { topic })) => self.on_leave(id, &topic),
            (Stage::Member(_), Ok(ToTracker::Relay { to, signal })) => self.on_relay(now, id, to, signal),
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
        let tokens = &self.config.tokens;
        if !tokens.is_empty() && tokens.iter().filter(|good| same_secret(good, token)).count() == 0 {
            self.refuse(id, Refusal::Token, Duration::ZERO);
            return self.close(id, CloseReason::Denied);
        }
        if !keys::verify(&peer, &challenge_bytes(&nonce, &peer), &signature) {
            self.refuse(id, Refusal::Identity, Duration::ZERO);
            return self.close(id, CloseReason::Denied);
        }
        if let Some(earlier) = self.peers.get(&peer).copied() {
            self.refuse(earlier, Refusal::Replaced, Duration::ZERO);
            self.close(earlier, CloseReason::Replaced);
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let limits = &self.config;
        conn.stage = Stage::Member(Member {
            peer,
            topics: BTreeSet::new(),
            knocks: Bucket::new(limits.knocks, now),
            offers: Bucket::new(limits.offers, now),
            introductions: Bucket::new(limits.introductions, now),
            details: Bucket::new(limits.details, now),
        });
        self.peers.insert(peer, id);
        self.prune_hellos();
        self.send(id, &ToClient::Welcome { version: wire::VERSION, features: 0 });
    }

    fn on_announce(&mut self, id: ConnId, topic: Topic, complete: bool, want: u8) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let network = conn.address.map(Network::of);
        let Stage::Member(member) = &mut conn.stage else { return };
        if !member.topics.contains(&topic) {
            if member.topics.len() >= self.config.swarms_per_connection_max as usize {
                return self.refuse(id, Refusal::Swarms, Duration::ZERO);
            }
            let swarms_full =
                self.swarms.len() >= self.config.swarms_max as usize && !self.swarms.contains(&topic);
            if swarms_full || self.swarms.memberships() >= self.config.memberships_max {
                return self.refuse(id, Refusal::Full, Duration::from_secs(60));
            }
            member.topics.insert(topic);
        }
        let peer = member.peer;
        self.swarms.join(topic, peer, complete, network);
        let want = usize::from(want.min(self.config.peers_answer_max)).min(PEERS_MAX);
        let peers = self.swarms.choose(&topic, &peer, want, &mut self.rng);
        let (seeds, leeches) = self.swarms.counts(&topic);
        self.counts.announces += 1;
        self.send(id, &ToClient::Peers { topic, seeds, leeches, peers });
    }

    fn on_leave(&mut self, id: ConnId, topic: &Topic) {
        let Some(Conn { stage: Stage::Member(member), .. }) = self.conns.get_mut(&id) else { return };
        if member.topics.remove(topic) {
            self.swarms.leave(topic, &member.peer);
        }
    }

    fn on_relay(&mut self, now: Instant, id: ConnId, to: PeerId, signal: Signal) {
        let Some(target) = self.peers.get(&to).copied() else {
            return self.send(id, &ToClient::Absent { peer: to });
        };
        if target == id || !self.may_signal(id, target, &signal) {
            return self.refuse(id, Refusal::Relay, Duration::ZERO);
        }
        if let Err(wait) = self.take_relay(now, id, target, &signal) {
            return self.refuse(id, Refusal::Rate, wait);
        }
        let (Some(sender), Some(taker)) = (self.conns.get(&id), self.conns.get(&target)) else { return };
        if let Signal::Candidate { candidate, .. } = &signal
            && !candidates::passes(candidate, sender.address, taker.address)
        {
            self.counts.candidates_dropped += 1;
            return;
        }
        let Stage::Member(Member { peer: from, .. }) = sender.stage else { return };
        self.counts.relays += 1;
        self.send(target, &ToClient::Relayed { from, signal });
    }

    /// Whether the two share a swarm: the one that the signal names, or any where it names none.
    fn may_signal(&self, id: ConnId, target: ConnId, signal: &Signal) -> bool {
        let topics = |conn: ConnId| match self.conns.get(&conn).map(|conn| &conn.stage) {
            Some(Stage::Member(member)) => Some(&member.topics),
            Some(Stage::Challenged { .. }) | None => None,
        };
        let (Some(ours), Some(theirs)) = (topics(id), topics(target)) else { return false };
        match signal {
            Signal::Knock { topic, .. } | Signal::Offer { topic, .. } => {
                ours.contains(topic) && theirs.contains(topic)
            }
            Signal::Answer { .. } | Signal::Candidate { .. } | Signal::Decline { .. } => {
                !ours.is_disjoint(theirs)
            }
        }
    }

    /// Takes a token of the sender, then one of the target.
    fn take_relay(&mut self, now: Instant, id: ConnId, to: ConnId, signal: &Signal) -> Result<(), Duration> {
        let limits = &self.config;
        if let Some(Conn { stage: Stage::Member(sender), .. }) = self.conns.get_mut(&id) {
            match signal {
                Signal::Knock { .. } => sender.knocks.take(limits.knocks, now)?,
                Signal::Offer { .. } => sender.offers.take(limits.offers, now)?,
                Signal::Answer { .. } | Signal::Candidate { .. } | Signal::Decline { .. } => {}
            }
        }
        if let Some(Conn { stage: Stage::Member(target), .. }) = self.conns.get_mut(&to) {
            match signal {
                Signal::Knock { .. } | Signal::Offer { .. } => {
                    target.introductions.take(limits.introductions, now)?;
                }
                Signal::Answer { .. } | Signal::Candidate { .. } | Signal::Decline { .. } => {
                    target.details.take(limits.details, now)?;
                }
            }
        }
        Ok(())
    }

    fn on_drain(&mut self, now: Instant, spread: Duration) {
        if self.draining {
            return;
        }
        self.draining = true;
        self.drained_at = Some(now + spread);
        let spread_ms = millis(spread);
        let everybody: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in everybody {
            self.send(conn, &ToClient::GoAway { spread_ms });
        }
    }

    fn on_timeout(&mut self, now: Instant) {
        while let Some((deadline, conn)) = self.hellos.front().copied()
            && deadline <= now
        {
            self.hellos.pop_front();
            if self.is_challenged(conn) {
                self.close(conn, CloseReason::Deadline);
            }
        }
        self.prune_hellos();
        if self.drained_at.is_some_and(|at| at <= now) {
            self.drained_at = None;
            let everybody: Vec<ConnId> = self.conns.keys().copied().collect();
            for conn in everybody {
                self.close(conn, CloseReason::Draining);
            }
        }
    }

    fn is_challenged(&self, conn: ConnId) -> bool {
        self.conns.get(&conn).is_some_and(|conn| matches!(conn.stage, Stage::Challenged { .. }))
    }

    /// Keeps the timer from ringing for connections that are settled.
    fn prune_hellos(&mut self) {
        while self.hellos.front().is_some_and(|(_, conn)| !self.is_challenged(*conn)) {
            self.hellos.pop_front();
        }
    }

    fn forget(&mut self, id: ConnId) {
        let Some(conn) = self.conns.remove(&id) else { return };
        if let Stage::Member(member) = conn.stage {
            self.peers.remove(&member.peer);
            for topic in &member.topics {
                self.swarms.leave(topic, &member.peer);
            }
        }
        if let Some(network) = limited_network(conn.address)
            && let Some(count) = self.networks.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                self.networks.remove(&network);
            }
        }
        self.prune_hellos();
    }

    fn send(&mut self, conn: ConnId, message: &ToClient) {
        let bytes = message.encode();
        debug_assert!(bytes.len() <= SIGNAL_BYTES_MAX, "every answer fits the limit that clients have");
        self.actions.push_back(ServerAction::Send { conn, bytes });
    }

    fn refuse(&mut self, conn: ConnId, reason: Refusal, retry: Duration) {
        self.counts.refusals += 1;
        self.send(conn, &ToClient::Refused { reason, retry_ms: millis(retry) });
    }

    fn close(&mut self, conn: ConnId, reason: CloseReason) {
        self.counts.closes += 1;
        self.forget(conn);
        self.actions.push_back(ServerAction::Close { conn, reason });
    }
}

/// The network whose connections are counted: none for a connection from this machine.
fn limited_network(address: Option<IpAddr>) -> Option<Network> {
    address.filter(|address| candidates::scope(*address) != Scope::Machine).map(Network::of)
}

/// Rounded up, so that who waits that long has waited enough.
fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_micros().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// Takes the same time wherever the two differ; only the length shows.
fn same_secret(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
