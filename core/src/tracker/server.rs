//! What a signaller runs: membership that lives as long as a connection, introductions, and the relay of
//! signals between two members of one swarm. The simulator runs the same machine. It speaks two dialects, which
//! have swarms of their own: Swarmlet's (`swarmlet.rs`) and that of WebTorrent trackers (`webtorrent.rs`).
//!
//! What goes out to others is at most what came in, plus a tenth: nothing here can be used to amplify. Whatever a connection sends costs at most that connection.
//! No content passes here, and a topic does not tell what it stands for.

mod abroad;
mod bucket;
mod candidates;
mod cluster;
mod conns;
mod door;
mod entry;
mod evict;
mod flocks;
mod gate;
mod limits;
mod named;
mod prefix;
mod routes;
mod shelf;
#[cfg(test)]
mod stories;
mod swarmlet;
mod swarms;
pub mod token;
mod webtorrent;

pub use bucket::{Bucket, Rate};
pub use candidates::Network;
pub use cluster::BusSnapshot;
pub use door::{BusNews, BusOrder};
pub use door::{CloseReason, ConnId, Dialect, ServerAction, ServerInput, ServerSnapshot};
pub use door::{MESSAGE_KINDS, SIGNAL_KINDS};
pub use entry::limited_network;
pub use gate::TokenRules;
pub use limits::{Served, ServerConfig};
pub use prefix::{NotAPrefix, Prefix};
pub use token::TokenFault;

use crate::id::{ContentId, PeerId};
use crate::rng::Rng;
use crate::time::{Instant, earliest};
use crate::wire::webtorrent::Passing;
use crate::wire::{Candidate, Refusal, ToClient};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use cluster::Cluster;
use conns::Conns;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::time::Duration;
use flocks::Flocks;
use gate::Gate;
use named::Named;
use swarms::Swarms;
use token::TokenId;

/// Buffers that are kept for messages, and how large they are: smaller ones allocators keep at hand themselves.
const SHEETS_MAX: usize = 64;
const SHEET_BYTES: RangeInclusive<usize> = 1024..=4096;

/// The machine. Input by [`Server::handle`], output by [`Server::poll_action`] until it is empty, then one
/// timer at [`Server::poll_timeout`].
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    rng: Rng,
    conns: Conns,
    /// Who is behind which connection; both ways always agree.
    peers: BTreeMap<PeerId, ConnId>,
    /// Connections from each network.
    networks: BTreeMap<Network, u32>,
    swarms: Swarms,
    flocks: Flocks,
    gate: Gate,
    /// Other nodes; `None` where there never were any.
    cluster: Option<Box<Cluster>>,
    named: Named,
    /// When somebody was last looked for who holds too much.
    searched_at: Option<Instant>,
    /// When offers that nobody answered are next forgotten.
    sweep_at: Option<Instant>,
    /// In order, since the time allowed is the same for all. May name connections that are gone.
    hellos: VecDeque<(Instant, ConnId)>,
    drained_at: Option<Instant>,
    draining: bool,
    actions: VecDeque<ServerAction>,
    /// See [`Server::recycle`].
    sheets: Vec<Vec<u8>>,
    counts: ServerSnapshot,
}

#[derive(Debug)]
struct Conn {
    address: Option<IpAddr>,
    /// The page that it says it is on. Kept only where tokens are asked for, and until one was shown.
    origin: Option<Box<str>>,
    /// The token that let it in, where tokens are asked for.
    bearer: Option<Box<TokenId>>,
    /// Networks of addresses that it says are its own too, since they are of the other family than the one that it
    /// connects from.
    elsewhere: [Option<Network>; 2],
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
    Member(swarmlet::Member),
    /// Speaks the other dialect.
    WebTorrent(webtorrent::Client),
}

impl Stage {
    /// Whether nothing good was said yet.
    const fn is_waiting(&self) -> bool {
        match self {
            Self::Challenged { .. } => true,
            Self::Member(_) => false,
            Self::WebTorrent(client) => !client.has_spoken(),
        }
    }
}

impl Server {
    /// A server without clients.
    #[must_use]
    pub fn new(config: ServerConfig, seed: [u8; 32], _now: Instant) -> Self {
        Self {
            config,
            rng: Rng::new(seed),
            conns: Conns::default(),
            peers: BTreeMap::new(),
            networks: BTreeMap::new(),
            swarms: Swarms::default(),
            flocks: Flocks::default(),
            gate: Gate::default(),
            cluster: None,
            named: Named::default(),
            searched_at: None,
            sweep_at: None,
            hellos: VecDeque::new(),
            drained_at: None,
            draining: false,
            actions: VecDeque::new(),
            sheets: Vec::new(),
            counts: ServerSnapshot::default(),
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: ServerInput<'_>) {
        match input {
            ServerInput::Opened { conn, address, dialect, origin } => {
                self.on_opened(now, conn, address, dialect, origin);
            }
            ServerInput::Received { conn, bytes } => self.on_received(now, conn, bytes),
            ServerInput::Closed { conn } => {
                self.counts.lost += u64::from(self.conns.contains(conn));
                self.forget(conn);
            }
            ServerInput::Drain { spread } => self.on_drain(now, spread),
            ServerInput::Clock { unix_s } => {
                self.gate.tell(now, unix_s);
                self.named.prune(now);
            }
            ServerInput::Configure(config) => self.on_configure(*config),
            ServerInput::Bus(news) => self.on_bus(now, news),
            ServerInput::Timeout => self.on_timeout(now),
        }
        self.publish(now);
    }

    /// The next order to carry out.
    pub fn poll_action(&mut self) -> Option<ServerAction> {
        let action = self.actions.pop_front();
        if let Some(ServerAction::Send { bytes, .. }) = &action {
            self.counts.messages_out += 1;
            self.counts.bytes_out += bytes.len() as u64;
        }
        action
    }

    /// Takes back the bytes of a message that was sent, to write another one on: an allocator takes long for what is this large.
    pub fn recycle(&mut self, mut bytes: Vec<u8>) {
        if self.sheets.len() < SHEETS_MAX && SHEET_BYTES.contains(&bytes.capacity()) {
            bytes.clear();
            self.sheets.push(bytes);
        }
    }

    /// Empty.
    fn sheet(&mut self) -> Vec<u8> {
        self.sheets.pop().unwrap_or_default()
    }

    /// When [`ServerInput::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let hello = self.hellos.front().map(|(deadline, _)| *deadline);
        let cluster = self.cluster.as_ref().and_then(|cluster| cluster.deadline());
        earliest(earliest(earliest(hello, self.sweep_at), self.drained_at), cluster)
    }

    /// The counts.
    #[must_use]
    pub fn snapshot(&self) -> ServerSnapshot {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        ServerSnapshot {
            connections: count(self.conns.len()),
            peers: count(self.peers.len()),
            swarms: count(self.swarms.len() + self.flocks.len()),
            memberships: self.swarms.memberships() + self.flocks.memberships(),
            draining: self.draining,
            bus: self.cluster.as_ref().map(|cluster| cluster.snapshot()),
            ..self.counts
        }
    }

    fn on_received(&mut self, now: Instant, id: ConnId, bytes: &[u8]) {
        let Some(conn) = self.conns.get(id) else { return };
        self.counts.bytes_in += bytes.len() as u64;
        if !matches!(conn.stage, Stage::WebTorrent(_)) {
            self.on_swarmlet(now, id, bytes);
        } else if self.may_speak(now, id) {
            self.on_webtorrent(now, id, bytes);
        }
    }

    /// Whether a connection may say one message more.
    fn may_speak(&mut self, now: Instant, id: ConnId) -> bool {
        let Some(conn) = self.conns.get_mut(id) else { return false };
        let Err(wait) = conn.messages.take(self.config.messages, now) else { return true };
        self.counts.messages[door::MESSAGE_OTHER] += 1;
        if conn.patience.take(self.config.messages, now).is_err() {
            self.close(id, CloseReason::Rate);
        } else {
            self.refuse(id, Refusal::Rate, wait);
        }
        false
    }

    /// What a token is for: none for everything. Whatever is wrong with it is counted.
    fn admit_bearer(
        &mut self,
        now: Instant,
        id: ConnId,
        token: &str,
        peer: Option<PeerId>,
    ) -> Result<Vec<ContentId>, TokenFault> {
        let Some(conn) = self.conns.get_mut(id) else { return Err(TokenFault::Missing) };
        let bearer = (conn.address, conn.origin.as_deref(), peer);
        let admitted = self.gate.admit(&self.config.tokens, now, token, bearer);
        match &admitted {
            Ok((_, bearer)) => (conn.origin, conn.bearer) = (None, bearer.map(Box::new)),
            Err(fault) => self.counts.token_faults[*fault as usize] += 1,
        }
        admitted.map(|(contents, _)| contents)
    }

    /// Whether a client may be told of a peer, or handed to one: its token is good for so many different ones.
    fn may_meet(&mut self, now: Instant, id: ConnId, mark: u32) -> bool {
        let Some(bearer) = self.conns.get(id).and_then(|conn| conn.bearer.as_deref()) else { return true };
        let allowed = self.named.allows(now, bearer, mark, self.config.tokens.peers_per_hour_max);
        self.counts.unnamed += u64::from(!allowed);
        allowed
    }

    /// Takes over other rules. Members of swarms that are served no more are in them no more.
    fn on_configure(&mut self, config: ServerConfig) {
        self.config = config;
        for conn in self.conns.ids() {
            self.expel_member(conn);
            self.expel_client(conn);
        }
    }

    fn on_timeout(&mut self, now: Instant) {
        self.close_silent(now);
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(now);
        }
        self.on_cluster_timeout(now);
        self.close_drained(now);
    }

    fn refuse(&mut self, conn: ConnId, reason: Refusal, retry: Duration) {
        self.counts.refusals[reason as usize] += 1;
        match self.conns.get(conn).map(|conn| &conn.stage) {
            Some(Stage::WebTorrent(_)) => self.fail(conn, reason.name()),
            Some(Stage::Challenged { .. } | Stage::Member(_)) | None => {
                self.send(conn, &ToClient::Refused { reason, retry_ms: millis(retry) });
            }
        }
    }

    /// Which candidates of one connection are passed on to another; counts those that are not.
    fn passing(&mut self, candidates: &[Candidate], source: ConnId, target: ConnId) -> Passing {
        let taker = self.conns.get(target).and_then(|conn| conn.address);
        let mut passing = Passing::default();
        let Some(conn) = self.conns.get_mut(source) else { return passing };
        let rules = candidates::Rules { strict: self.config.strict_candidates, relays: &self.config.relays };
        for (at, candidate) in candidates.iter().enumerate() {
            if rules.pass(candidate, conn.address, taker, &mut conn.elsewhere) {
                passing.add(at);
            } else {
                self.counts.candidates_dropped += 1;
            }
        }
        passing
    }
}

/// Rounded up, so that who waits that long has waited enough.
fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_micros().div_ceil(1000)).unwrap_or(u32::MAX)
}
