//! The tracker: who is in which swarm, and the relay of signals between members.

pub(crate) mod client;
pub mod server;

pub use server::Server;

use crate::id::PeerId;
use alloc::vec::Vec;

/// What a peer signs to prove its key to a signaller: bound to one connection by the signaller's nonce.
#[must_use]
pub fn challenge_bytes(nonce: &[u8; 32], peer: &PeerId) -> Vec<u8> {
    [b"swarmlet signaller 1".as_slice(), nonce, peer.bytes()].concat()
}
