//! The signaller's host, and those of anchors: sockets, latency, and the very `tracker::Server` that ships. The first one is
//! the signaller that all know.

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
use swarmlet_core::{Command, Failure, Instant, JobId};

/// One way from the middle of the network to the signaller.
const LATENCY: Duration = Duration::from_millis(5);
/// Ways before a socket is open: TCP, TLS and the upgrade.
const OPENING_WAYS: u32 = 5;
/// The upper bits of a connection's number say whose it is.
const WHICH_BITS: u32 = 32;
/// Starts of one signaller, so that no two have the same seed.
const STARTS_MAX: u64 = 1_000_000;

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
    pub(crate) fn new(options: &Options, which: usize) -> Self {
        let starts = which as u64 * STARTS_MAX;
        let seed = fork_seed(options.seed, 1000, starts);
        Self {
            server: Some(Server::new(ServerConfig::default(), seed, Instant::ZERO)),
            sockets: BTreeMap::new(),
            next_socket: (which as u64) << WHICH_BITS,
            starts,
            armed: None,
            in_free: Instant::ZERO,
            out_free: Instant::ZERO,
        }
    }
}

/// Whose connection that is.
const fn of(connection: u64) -> usize {
    (connection >> WHICH_BITS) as usize
}

impl World {
    /// One more signaller, for peers that are told to use it ([`World::turn`]).
    pub fn add_signaller(&mut self) -> usize {
        let which = self.signallers.len();
        self.signallers.push(Signaller::new(&self.options, which));
        which
    }

    /// A peer's host opens that signaller from now on, at once.
    pub fn turn(&mut self, peer: PeerId, which: usize) {
        self.peers[peer].uses = which;
        self.command(peer, Command::Offline);
        self.command(peer, Command::Online);
    }

    /// One way between a peer and the signaller.
    pub(crate) fn signaller_latency(&self, peer: PeerId) -> Duration {
        self.peers[peer].access.latency + LATENCY
    }

    /// When a message that a peer sends now is through the signaller's line.
    pub(crate) fn signal_up(&mut self, peer: PeerId, connection: u64, bytes: usize) -> Instant {
        let (at, rate) = (self.now + self.signaller_latency(peer), self.options.signaller_rate);
        let line = &mut self.signallers[of(connection)].in_free;
        *line = at.max(*line) + transfer_time(bytes as u64, rate);
        *line
    }

    /// When a message that the signaller sends now reaches a peer.
    fn signal_down(&mut self, peer: PeerId, connection: u64, bytes: usize) -> Instant {
        let line = &mut self.signallers[of(connection)].out_free;
        *line = self.now.max(*line) + transfer_time(bytes as u64, self.options.signaller_rate);
        *line + self.signaller_latency(peer)
    }

    pub(crate) fn open_socket(&mut self, peer: PeerId, job: JobId) {
        let (life, which) = (self.peers[peer].life, self.peers[peer].uses);
        let at = self.now + self.signaller_latency(peer) * OPENING_WAYS;
        self.queue.push(at, Happening::SocketOpened { peer, life, job, which });
    }

    /// The signaller's side of a socket opens; the client hears of it one way later.
    pub(crate) fn on_socket_opened(&mut self, (peer, life): (PeerId, u32), job: JobId, which: usize) {
        if self.peers[peer].life != life || self.peers[peer].node.is_none() {
            return;
        }
        let at = self.now + self.signaller_latency(peer);
        let signaller = &mut self.signallers[which];
        if signaller.server.is_none() || self.peers[peer].uses != which {
            return self.finish(peer, job, at, OwnedOutcome::Failed(Failure::Network));
        }
        let connection = signaller.next_socket;
        signaller.next_socket += 1;
        signaller.sockets.insert(connection, (peer, life));
        self.peers[peer].socket = Some(connection);
        self.finish(peer, job, at, OwnedOutcome::Ok);
        let address = Some(IpAddr::V4(Ipv4Addr::from(peer_address(peer))));
        let dialect = Dialect::Swarmlet;
        self.serve(which, ServerInput::Opened { conn: ConnId(connection), address, dialect, origin: None });
    }

    pub(crate) fn on_socket_message(&mut self, connection: u64, bytes: &[u8]) {
        if self.signallers[of(connection)].sockets.contains_key(&connection) {
            self.serve(of(connection), ServerInput::Received { conn: ConnId(connection), bytes });
        }
    }

    pub(crate) fn on_socket_closed(&mut self, connection: u64) {
        if self.signallers[of(connection)].sockets.remove(&connection).is_some() {
            self.serve(of(connection), ServerInput::Closed { conn: ConnId(connection) });
        }
    }

    pub(crate) fn on_signaller_timer(&mut self, which: usize) {
        if self.signallers[which].armed.is_some_and(|armed| armed <= self.now) {
            self.signallers[which].armed = None;
            self.serve(which, ServerInput::Timeout);
        }
    }

    pub(crate) fn signaller_down(&mut self, which: usize) {
        let signaller = &mut self.signallers[which];
        signaller.server = None;
        signaller.armed = None;
        for (connection, (peer, life)) in core::mem::take(&mut signaller.sockets) {
            self.hang_up(connection, peer, life);
        }
    }

    pub(crate) fn signaller_up(&mut self, which: usize) {
        let signaller = &mut self.signallers[which];
        if signaller.server.is_some() {
            return;
        }
        signaller.starts += 1;
        let seed = fork_seed(self.options.seed, 1000, signaller.starts);
        signaller.server = Some(Server::new(ServerConfig::default(), seed, self.now));
    }

    fn hang_up(&mut self, connection: u64, peer: PeerId, life: u32) {
        let at = self.now + self.signaller_latency(peer);
        self.tell(peer, life, at, News::SignallerLost { connection });
    }

    fn serve(&mut self, which: usize, input: ServerInput<'_>) {
        let Some(mut server) = self.signallers[which].server.take() else { return };
        server.handle(self.now, input);
        self.inputs += 1;
        while let Some(action) = server.poll_action() {
            match action {
                ServerAction::Send { conn: ConnId(connection), bytes } => {
                    let Some((peer, life)) = self.signallers[which].sockets.get(&connection).copied() else {
                        continue;
                    };
                    let at = self.signal_down(peer, connection, bytes.len());
                    self.tell(peer, life, at, News::Signalled { connection, bytes });
                }
                // Each signaller is alone.
                ServerAction::Bus(_) => {}
                ServerAction::Close { conn: ConnId(connection), reason } => {
                    self.trace(format_args!("signaller closes {connection}: {}", reason.name()));
                    if let Some((peer, life)) = self.signallers[which].sockets.remove(&connection) {
                        self.hang_up(connection, peer, life);
                    }
                }
            }
        }
        let timeout = server.poll_timeout();
        let signaller = &mut self.signallers[which];
        signaller.server = Some(server);
        let Some(at) = timeout.map(|at| at.max(self.now)) else { return };
        let known = signaller.armed.is_some_and(|armed| armed <= at && armed > self.now);
        if !known {
            signaller.armed = Some(at);
            self.queue.push(at, Happening::SignallerTimer { which });
        }
    }
}

/// The address that the signaller sees, which is also the one in the peer's candidates.
#[must_use]
pub const fn peer_address(peer: PeerId) -> [u8; 4] {
    let [_, high, middle, low] = (peer as u32).to_be_bytes();
    [10, high, middle, low]
}
