//! Who may come in at all, before anything is known but an address: connections that have asked for nothing yet, and
//! how many WebSockets are opened at once.

use crate::Socket;
use crate::ws::head::Refusal;
use core::net::IpAddr;
use std::collections::BTreeMap;
use swarmlet_core::Instant;
use swarmlet_core::rng::Rng;
use swarmlet_core::tracker::server::{Bucket, Network, Rate, Server, limited_network};

/// Seconds within which those who found the server busy come back, each at a random point.
const RETRY_SECONDS: u64 = 30;
/// Networks whose openings are counted at the same time. At about 60 bytes each, 4 MB. Above it those are forgotten
/// that are owed nothing, and if there are none, all.
const NETWORKS_MAX: usize = 1 << 16;

/// Connections that have asked for nothing yet, by network.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    most: u32,
    counts: BTreeMap<Network, u32>,
}

impl HalfOpen {
    /// So many of each network.
    pub(crate) const fn new(most: u32) -> Self {
        Self { most, counts: BTreeMap::new() }
    }

    /// Whether another connection may begin. Each that may is followed by [`left`](Self::left).
    pub(crate) fn enters(&mut self, address: IpAddr) -> bool {
        let Some(network) = limited_network(Some(address)) else { return true };
        let count = self.counts.entry(network).or_default();
        if *count >= self.most {
            return false;
        }
        *count += 1;
        true
    }

    /// A connection has asked for something, or is gone.
    pub(crate) fn left(&mut self, address: IpAddr) {
        let Some(network) = limited_network(Some(address)) else { return };
        let Some(count) = self.counts.get_mut(&network) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&network);
        }
    }
}

/// Keeps count.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) half_open: HalfOpen,
    rate: Rate,
    fresh: Bucket,
    rate_each: Rate,
    fresh_each: BTreeMap<Network, Bucket>,
    rng: Rng,
    /// In the order of [`TURNED_AWAY`](super::TURNED_AWAY).
    pub(super) turned_away: [u64; 3],
}

impl Gate {
    pub(super) fn new(socket: &Socket, seed: [u8; 32]) -> Self {
        let (rate, rate_each) = (socket.opens.into(), socket.opens_per_network.into());
        let half_open = HalfOpen::new(socket.half_open_per_network_max);
        let fresh = Bucket::new(rate, Instant::ZERO);
        let (fresh_each, rng) = (BTreeMap::new(), Rng::new(seed));
        Self { half_open, rate, fresh, rate_each, fresh_each, rng, turned_away: [0; 3] }
    }

    /// Other limits from now on.
    pub(super) fn configure(&mut self, socket: &Socket) {
        self.half_open.most = socket.half_open_per_network_max;
        (self.rate, self.rate_each) = (socket.opens.into(), socket.opens_per_network.into());
    }

    /// Whether a WebSocket may be opened.
    pub(super) fn admits(
        &mut self,
        now: Instant,
        address: Option<IpAddr>,
        server: &Server,
    ) -> Result<(), Refusal> {
        if !server.has_room_for(address) {
            self.turned_away[1] += 1;
            return Err(Refusal::Network);
        }
        // Its own first: who comes too often must not use up what all others have together.
        let own = limited_network(address).map_or(Ok(()), |network| self.take_own(now, network));
        match own.and_then(|()| self.fresh.take(self.rate, now).map_err(drop)) {
            Ok(()) => Ok(()),
            Err(()) => {
                self.turned_away[2] += 1;
                Err(Refusal::Busy(1 + self.rng.below(RETRY_SECONDS)))
            }
        }
    }

    fn take_own(&mut self, now: Instant, network: Network) -> Result<(), ()> {
        let rate = self.rate_each;
        if self.fresh_each.len() >= NETWORKS_MAX && !self.fresh_each.contains_key(&network) {
            self.fresh_each.retain(|_, bucket| !bucket.is_full(rate, now));
            if self.fresh_each.len() >= NETWORKS_MAX {
                self.fresh_each.clear();
            }
        }
        self.fresh_each.entry(network).or_insert_with(|| Bucket::new(rate, now)).take(rate, now).map_err(drop)
    }

    /// Whether a connection may begin.
    pub(super) fn lets_begin(&mut self, address: IpAddr) -> bool {
        let may = self.half_open.enters(address);
        self.turned_away[0] += u64::from(!may);
        may
    }

    /// Forgets networks that have not come for a while.
    pub(super) fn prune(&mut self, now: Instant) {
        let rate = self.rate_each;
        self.fresh_each.retain(|_, bucket| !bucket.is_full(rate, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PerMinute;
    use swarmlet_core::tracker::server::ServerConfig;

    #[test]
    fn sixteen_of_one_network_wait_and_loopback_is_free() {
        let mut gate = HalfOpen::new(2);
        let enters = |gate: &mut HalfOpen, address: &str| gate.enters(address.parse().unwrap());
        assert!(enters(&mut gate, "8.8.8.8") && enters(&mut gate, "::ffff:8.8.8.8"));
        assert!(!enters(&mut gate, "8.8.8.8") && enters(&mut gate, "8.8.8.9"));
        assert!((0..9).all(|_| enters(&mut gate, "127.0.0.1")));
        gate.left("8.8.8.8".parse().unwrap());
        assert!(enters(&mut gate, "8.8.8.8") && !enters(&mut gate, "8.8.8.8"));
        for address in ["8.8.8.8", "8.8.8.8", "8.8.8.9", "127.0.0.1"] {
            gate.left(address.parse().unwrap());
        }
        assert!(gate.counts.is_empty());
    }

    #[test]
    fn a_storm_is_told_to_come_back_at_different_times() {
        let server = Server::new(ServerConfig::default(), [0; 32], Instant::ZERO);
        let opens = PerMinute { per_minute: 60, burst: 2 };
        let mut gate = Gate::new(&Socket { opens, ..Socket::default() }, [1; 32]);
        let now = Instant::from_micros(1);
        assert!((0..2).all(|_| gate.admits(now, None, &server).is_ok()));
        let waits: Vec<_> = (0..50).map(|_| gate.admits(now, None, &server)).collect();
        assert!(waits.iter().all(|wait| matches!(wait, Err(Refusal::Busy(1..=30)))), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]));
        assert!(gate.admits(Instant::from_micros(1_000_001), None, &server).is_ok());
    }

    #[test]
    fn one_network_that_comes_again_and_again_keeps_nobody_else_out() {
        let server = Server::new(ServerConfig::default(), [0; 32], Instant::ZERO);
        let (opens, each) = (PerMinute { per_minute: 60, burst: 10 }, PerMinute { per_minute: 60, burst: 3 });
        let socket = Socket { opens, opens_per_network: each, ..Socket::default() };
        let (mut gate, now) = (Gate::new(&socket, [2; 32]), Instant::from_micros(1));
        let mut comes = |address: &str, now| gate.admits(now, address.parse().ok(), &server).is_ok();
        assert_eq!((0..50).filter(|_| comes("8.8.8.8", now)).count(), 3);
        assert_eq!((0..50).filter(|_| comes("2600::1", now)).count(), 3);
        assert!(comes("9.9.9.9", now) && comes("2600:0:0:1::1", now));
        // A proxy speaks for everybody.
        assert_eq!((0..50).filter(|_| comes("127.0.0.1", now)).count(), 2, "what all have left");
        let later = Instant::from_micros(1_000_001);
        assert!(comes("8.8.8.8", later) && !comes("8.8.8.8", later));
        gate.prune(Instant::from_micros(5_000_001));
        assert!(gate.fresh_each.is_empty());
    }
}
