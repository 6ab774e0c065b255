//! The signaller's host: sockets, latency, and the very `tracker::Server` that ships.

use crate::happening::{Happening, News};
use crate::net::transfer_time;
use crate::queue::fork_seed;
use crate::rtc::OwnedOutcome;
use crate::spec::{Options, PeerId};
use crate::world::World;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::BTreeMap;
use swarmlet_core::tracker::Server;
use swarmlet_core::tracker::server::{ConnId, Dialect, ServerAction, ServerConfig, ServerInput};
use swarmlet_core::{Failure, Instant, JobId};

/// One way from the middle of the network to the signaller.
const LATENCY: Duration = Duration::from_millis(5);
/// Ways before a socket is open: TCP, TLS and the upgrade.
const OPENING_WAYS: u32 = 5;

/// A signaller and its sockets.
pub struct Signaller {
    /// The machine; `None` while it is down.
    pub server: Option<Server>,
    sockets: BTreeMap<u64, (PeerId, u32)>,
    next_socket: u64,
    starts: u64,
    armed: Option<Instant>,
    in_free: Instant,
    out_free: Instant,
}

impl Signaller {
    pub(crate) fn new(options: &Options) -> Self {
        let server = Server::new(ServerConfig::default(), fork_seed(options.seed, 1000, 0), Instant::ZERO);
        Self {
            server: Some(server),
            sockets: BTreeMap::new(),
            next_socket: 0,
            starts: 0,
            armed: None,
            in_free: Instant::ZERO,
            out_free: Instant::ZERO,
        }
    }
}

impl World {
    /// One way between a peer and the signaller.
    pub(crate) fn signaller_latency(&self, peer: PeerId) -> Duration {
        self.peers[peer].access.latency + LATENCY
    }

    /// When a message that a peer sends now is through the signaller's line.
    pub(crate) fn signal_up(&mut self, peer: PeerId, bytes: usize) -> Instant {
        let (at, rate) = (self.now + self.signaller_latency(peer), self.options.signaller_rate);
        let line = &mut self.signaller.in_free;
        *line = at.max(*line) + transfer_time(bytes as u64, rate);
        *line
    }

    /// When a message that the signaller sends now reaches a peer.
    fn signal_down(&mut self, peer: PeerId, bytes: usize) -> Instant {
        let line = &mut self.signaller.out_free;
        *line = self.now.max(*line) + transfer_time(bytes as u64, self.options.signaller_rate);
        *line + self.signaller_latency(peer)
    }

    pub(crate) fn open_socket(&mut self, peer: PeerId, job: JobId) {
        let life = self.peers[peer].life;
        let at = self.now + self.signaller_latency(peer) * OPENING_WAYS;
        self.queue.push(at, Happening::SocketOpened { peer, life, job });
    }

    /// The signaller's side of a socket opens; the client hears of it one way later.
    pub(crate) fn on_socket_opened(&mut self, peer: PeerId, life: u32, job: JobId) {
        if self.peers[peer].life != life || self.peers[peer].node.is_none() {
            return;
        }
        let at = self.now + self.signaller_latency(peer);
        if self.signaller.server.is_none() {
            return self.finish(peer, job, at, OwnedOutcome::Failed(Failure::Network));
        }
        let connection = self.signaller.next_socket;
        self.signaller.next_socket += 1;
        self.signaller.sockets.insert(connection, (peer, life));
        self.peers[peer].socket = Some(connection);
        self.finish(peer, job, at, OwnedOutcome::Ok);
        let address = Some(IpAddr::V4(Ipv4Addr::from(peer_address(peer))));
        let dialect = Dialect::Swarmlet;
        self.serve(ServerInput::Opened { conn: ConnId(connection), address, dialect, origin: None });
    }

    pub(crate) fn on_socket_message(&mut self, connection: u64, bytes: &[u8]) {
        if self.signaller.sockets.contains_key(&connection) {
            self.serve(ServerInput::Received { conn: ConnId(connection), bytes });
        }
    }

    pub(crate) fn on_socket_closed(&mut self, connection: u64) {
        if self.signaller.sockets.remove(&connection).is_some() {
            self.serve(ServerInput::Closed { conn: ConnId(connection) });
        }
    }

    pub(crate) fn on_signaller_timer(&mut self) {
        if self.signaller.armed.is_some_and(|armed| armed <= self.now) {
            self.signaller.armed = None;
            self.serve(ServerInput::Timeout);
        }
    }

    pub(crate) fn signaller_down(&mut self) {
        self.signaller.server = None;
        self.signaller.armed = None;
        for (connection, (peer, life)) in core::mem::take(&mut self.signaller.sockets) {
            self.hang_up(connection, peer, life);
        }
    }

    pub(crate) fn signaller_up(&mut self) {
        if self.signaller.server.is_some() {
            return;
        }
        self.signaller.starts += 1;
        let seed = fork_seed(self.options.seed, 1000, self.signaller.starts);
        self.signaller.server = Some(Server::new(ServerConfig::default(), seed, self.now));
    }

    fn hang_up(&mut self, connection: u64, peer: PeerId, life: u32) {
        let at = self.now + self.signaller_latency(peer);
        self.tell(peer, life, at, News::SignallerLost { connection });
    }

    fn serve(&mut self, input: ServerInput<'_>) {
        let Some(mut server) = self.signaller.server.take() else { return };
        server.handle(self.now, input);
        self.inputs += 1;
        while let Some(action) = server.poll_action() {
            match action {
                ServerAction::Send { conn: ConnId(connection), bytes } => {
                    let Some((peer, life)) = self.signaller.sockets.get(&connection).copied() else {
                        continue;
                    };
                    let at = self.signal_down(peer, bytes.len());
                    self.tell(peer, life, at, News::Signalled { connection, bytes });
                }
                // One signaller, alone.
                ServerAction::Bus(_) => {}
                ServerAction::Close { conn: ConnId(connection), reason } => {
                    self.trace(format_args!("signaller closes {connection}: {}", reason.name()));
                    if let Some((peer, life)) = self.signaller.sockets.remove(&connection) {
                        self.hang_up(connection, peer, life);
                    }
                }
            }
        }
        let timeout = server.poll_timeout();
        self.signaller.server = Some(server);
        let Some(at) = timeout.map(|at| at.max(self.now)) else { return };
        let known = self.signaller.armed.is_some_and(|armed| armed <= at && armed > self.now);
        if !known {
            self.signaller.armed = Some(at);
            self.queue.push(at, Happening::SignallerTimer);
        }
    }
}

/// The address that the signaller sees, which is also the one in the peer's candidates.
#[must_use]
pub const fn peer_address(peer: PeerId) -> [u8; 4] {
    let [_, high, middle, low] = (peer as u32).to_be_bytes();
    [10, high, middle, low]
}
