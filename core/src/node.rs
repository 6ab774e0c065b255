//! The node: the switchboard between the application, the network, host work and the machines.

use crate::{Action, Config, Input, Instant, PeerId, Snapshot};

/// A peer's whole protocol behaviour.
pub struct Node {
    config: Config,
}

impl Node {
    /// A node at rest. `seed` must come from a cryptographic source: the peer's key is drawn from it.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        let _ = (seed, now);
        Self { config }
    }

    /// Who this node is.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        PeerId([0; 32])
    }

    /// Takes in one thing that happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        let _ = (now, input, &self.config);
    }

    /// The next order to the host.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        None
    }

    /// When `Input::Timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// What it looks like from outside.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::default()
    }
}
