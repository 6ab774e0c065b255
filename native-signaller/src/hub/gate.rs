//! Who may come in at all, before anything is known but an address: connections that have asked for nothing yet, and
//! how many WebSockets are opened at once.

use crate::ws::head::Refusal;
use core::net::IpAddr;
use std::collections::BTreeMap;
use swarmlet_core::Instant;
use swarmlet_core::rng::Rng;
use swarmlet_core::tracker::server::{Bucket, Network, Rate, Server, limited_network};

/// Seconds within which those who found the server busy come back, each at a random point.
const RETRY_SECONDS: u64 = 30;

/// Keeps count.
#[derive(Debug)]
pub(super) struct Gate {
    half_open_max: u32,
    half_open: BTreeMap<Network, u32>,
    rate: Rate,
    fresh: Bucket,
    rng: Rng,
}

impl Gate {
    /// `half_open_max` for each network; `rate` of WebSockets from all.
    pub(super) fn new(half_open_max: u32, rate: Rate, seed: [u8; 32]) -> Self {
        let (half_open, fresh) = (BTreeMap::new(), Bucket::new(rate, Instant::ZERO));
        Self { half_open_max, half_open, rate, fresh, rng: Rng::new(seed) }
    }

    /// Other limits from now on.
    pub(super) const fn configure(&mut self, half_open_max: u32, rate: Rate) {
        (self.half_open_max, self.rate) = (half_open_max, rate);
    }

    /// Whether another connection may begin. Each that may is followed by [`left`](Self::left).
    pub(super) fn enters(&mut self, address: IpAddr) -> bool {
        let Some(network) = limited_network(Some(address)) else { return true };
        let count = self.half_open.entry(network).or_default();
        if *count >= self.half_open_max {
            return false;
        }
        *count += 1;
        true
    }

    /// A connection has asked for something, or is gone.
    pub(super) fn left(&mut self, address: IpAddr) {
        let Some(network) = limited_network(Some(address)) else { return };
        let Some(count) = self.half_open.get_mut(&network) else { return };
        *count -= 1;
        if *count == 0 {
            self.half_open.remove(&network);
        }
    }

    /// Whether a WebSocket may be opened.
    pub(super) fn admits(
        &mut self,
        now: Instant,
        address: Option<IpAddr>,
        server: &Server,
    ) -> Result<(), Refusal> {
        if !server.has_room_for(address) {
            return Err(Refusal::Network);
        }
        match self.fresh.take(self.rate, now) {
            Ok(()) => Ok(()),
            Err(_) => Err(Refusal::Busy(1 + self.rng.below(RETRY_SECONDS))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmlet_core::tracker::server::ServerConfig;

    #[test]
    fn sixteen_of_one_network_wait_and_loopback_is_free() {
        let mut gate = Gate::new(2, Rate { per_minute: 60, burst: 1 }, [0; 32]);
        let enters = |gate: &mut Gate, address: &str| gate.enters(address.parse().unwrap());
        assert!(enters(&mut gate, "8.8.8.8") && enters(&mut gate, "::ffff:8.8.8.8"));
        assert!(!enters(&mut gate, "8.8.8.8") && enters(&mut gate, "8.8.8.9"));
        assert!((0..9).all(|_| enters(&mut gate, "127.0.0.1")));
        gate.left("8.8.8.8".parse().unwrap());
        assert!(enters(&mut gate, "8.8.8.8") && !enters(&mut gate, "8.8.8.8"));
        for address in ["8.8.8.8", "8.8.8.8", "8.8.8.9", "127.0.0.1"] {
            gate.left(address.parse().unwrap());
        }
        assert!(gate.half_open.is_empty());
    }

    #[test]
    fn a_storm_is_told_to_come_back_at_different_times() {
        let server = Server::new(ServerConfig::default(), [0; 32], Instant::ZERO);
        let mut gate = Gate::new(16, Rate { per_minute: 60, burst: 2 }, [1; 32]);
        let now = Instant::from_micros(1);
        assert!((0..2).all(|_| gate.admits(now, None, &server).is_ok()));
        let waits: Vec<_> = (0..50).map(|_| gate.admits(now, None, &server)).collect();
        assert!(waits.iter().all(|wait| matches!(wait, Err(Refusal::Busy(1..=30)))), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]));
        assert!(gate.admits(Instant::from_micros(1_000_001), None, &server).is_ok());
    }
}
