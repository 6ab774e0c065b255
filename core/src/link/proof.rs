//! What a peer signs to bind its key to the two ends of a link's DTLS session. A leaf.

use crate::id::{Fingerprint, PeerId};
use alloc::vec::Vec;

/// One side of a link, as its proof names it.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) peer: &'a PeerId,
    pub(crate) fingerprint: &'a Fingerprint,
    pub(crate) nonce: &'a [u8; 32],
}

/// What `signer` signs to prove itself to `other` (docs/PROTOCOL.md, "Proof").
pub(crate) fn transcript(signer: Side<'_>, other: Side<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(15 + 6 * 32);
    out.extend_from_slice(b"swarmlet link 1");
    for side in [signer, other] {
        out.extend_from_slice(side.peer.bytes());
        out.extend_from_slice(side.fingerprint.bytes());
        out.extend_from_slice(side.nonce);
    }
    out
}
