//! How connections come and go: whether there is room, how long they may be silent, what is left of them, and how all
//! of them are sent away.

use super::candidates::{self, Scope};
use super::evict::Scarce;
use super::{
    Bucket, CloseReason, Conn, ConnId, Dialect, Network, Server, ServerAction, Stage, millis, webtorrent,
};
use crate::time::Instant;
use crate::wire::{Refusal, ToClient};
use alloc::boxed::Box;
use core::net::IpAddr;
use core::time::Duration;

impl Server {
    /// Whether its network may have another connection. At the limit for all together the heaviest network gives way,
    /// if there is one that is much heavier.
    #[must_use]
    pub fn has_room_for(&self, address: Option<IpAddr>) -> bool {
        let network = limited_network(address);
        let neighbours = network.and_then(|network| self.networks.get(&network)).copied().unwrap_or(0);
        neighbours < self.config.connections_per_network_max
    }

    fn is_crowded(&self) -> bool {
        self.conns.len() >= self.config.connections_max as usize
    }

    pub(super) fn on_opened(
        &mut self,
        now: Instant,
        conn: ConnId,
        address: Option<IpAddr>,
        dialect: Dialect,
        origin: Option<&str>,
    ) {
        let network = limited_network(address);
        let is_crowded = self.is_crowded() && !self.make_room(now, address, Scarce::Connections);
        let full = is_crowded || !self.has_room_for(address);
        let nonce = self.rng.bytes32();
        let limits = &self.config;
        let stage = match dialect {
            Dialect::Swarmlet => Stage::Challenged { nonce },
            Dialect::WebTorrent => Stage::WebTorrent(webtorrent::Client::new(limits, now)),
        };
        let asks = !limits.tokens.keys.is_empty();
        let opened = Conn {
            address,
            origin: origin.filter(|_| asks).map(Box::from),
            bearer: None,
            elsewhere: [None; 2],
            stage,
            messages: Bucket::new(limits.messages, now),
            patience: Bucket::new(limits.messages, now),
        };
        if let Some(network) = network {
            *self.networks.entry(network).or_default() += 1;
        }
        self.counts.opened += 1;
        self.conns.insert(conn, Box::new(opened));
        if self.draining {
            return self.close(conn, CloseReason::Draining);
        }
        if full {
            self.refuse(conn, Refusal::Full, Duration::from_secs(30));
            return self.close(conn, CloseReason::Full);
        }
        self.hellos.push_back((now + self.config.hello_deadline, conn));
        if dialect == Dialect::Swarmlet {
            self.send(conn, &ToClient::Challenge { nonce });
        }
    }

    /// Closes those who have said nothing good in time.
    pub(super) fn close_silent(&mut self, now: Instant) {
        while let Some((deadline, conn)) = self.hellos.front().copied()
            && deadline <= now
        {
            self.hellos.pop_front();
            if self.is_waiting(conn) {
                self.close(conn, CloseReason::Deadline);
            }
        }
        self.prune_hellos();
    }

    pub(super) fn is_waiting(&self, conn: ConnId) -> bool {
        self.conns.get(conn).is_some_and(|conn| conn.stage.is_waiting())
    }

    /// Keeps the timer from ringing for connections that are settled.
    pub(super) fn prune_hellos(&mut self) {
        while self.hellos.front().is_some_and(|(_, conn)| !self.is_waiting(*conn)) {
            self.hellos.pop_front();
        }
        // What a storm has needed is not kept for the few that come one by one.
        if self.hellos.len() * 4 < self.hellos.capacity() && self.hellos.capacity() > 1024 {
            self.hellos.shrink_to(self.hellos.len() * 2);
        }
    }

    pub(super) fn forget(&mut self, id: ConnId) {
        let Some(conn) = self.conns.remove(id) else { return };
        match conn.stage {
            Stage::Challenged { .. } => {}
            Stage::Member(member) => self.forget_member(&member),
            Stage::WebTorrent(client) => self.forget_client(client),
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

    pub(super) fn close(&mut self, conn: ConnId, reason: CloseReason) {
        self.counts.closes[reason as usize] += 1;
        self.forget(conn);
        self.actions.push_back(ServerAction::Close { conn, reason });
    }

    pub(super) fn on_drain(&mut self, now: Instant, spread: Duration) {
        if self.draining {
            return;
        }
        self.draining = true;
        self.drained_at = Some(now + spread);
        self.beat(now, None, false);
        let spread_ms = millis(spread);
        for conn in self.conns.ids() {
            // The other dialect has no word for it: its clients see the close, and come back at their own pace.
            if self.conns.get(conn).is_some_and(|conn| !matches!(conn.stage, Stage::WebTorrent(_))) {
                self.send(conn, &ToClient::GoAway { spread_ms });
            }
        }
    }

    /// Closes those who are still there when time is up.
    pub(super) fn close_drained(&mut self, now: Instant) {
        if self.drained_at.is_some_and(|at| at <= now) {
            self.drained_at = None;
            for conn in self.conns.ids() {
                self.close(conn, CloseReason::Draining);
            }
        }
    }
}

/// The network whose connections are counted: none for a connection from this machine.
#[must_use]
pub fn limited_network(address: Option<IpAddr>) -> Option<Network> {
    address.filter(|address| candidates::scope(*address) != Scope::Machine).map(Network::of)
}
