//! What peers do for one another where there is no signaller: they name whom they know, and pass sealed parcels on.
//! And the code that two people carry themselves. All of it is tails, cut by hand: derived decoders are kilobytes.

use super::{Error, Role, Signal, Signature};
use crate::id::PeerId;
use alloc::vec::Vec;

/// Bytes of a card: an X25519 key and a signature.
pub const CARD_BYTES: usize = 32 + 64;
/// Bytes of a peer in `Peers`: its id, whether it is complete, its card.
pub const MET_BYTES: usize = 32 + 1 + CARD_BYTES;
/// Peers in one `Peers`: two thirds of what a node is linked with at most.
pub const MET_MAX: usize = 20;
/// What comes before the sealed bytes of a parcel: its number and its proof.
pub const SEAL_BYTES: usize = 8 + 16;
/// Sealed bytes of a parcel: the largest signal has 170.
pub const SEALED_MAX: usize = 256;
/// How many neighbours pass a parcel on at most.
pub const HOPS_MAX: u8 = 12;
/// Candidates in a code.
pub const CODE_CANDIDATES_MAX: usize = 20;
/// Bytes of a code.
pub const CODE_BYTES_MAX: usize = 1024;
/// Bytes of an anchor's address: the longest name of a host has 253, those in use far fewer.
pub const ANCHOR_BYTES_MAX: usize = 128;
/// The first byte of a code.
const CODE_VERSION: u8 = 1;

/// The key that parcels for a peer are sealed with, and the peer's own signature of [`Card::vow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card(pub [u8; CARD_BYTES]);

impl Card {
    /// Reads the bytes of one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The X25519 key, for this session only.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        core::array::from_fn(|at| self.0[at])
    }

    /// By the peer's own key.
    #[must_use]
    pub fn signature(&self) -> Option<Signature> {
        Signature::from_bytes(&self.0[32..])
    }

    /// What `peer` signs (docs/PROTOCOL.md, "Cards").
    #[must_use]
    pub fn vow(peer: &PeerId, key: &[u8]) -> Vec<u8> {
        [b"swarmlet card 1".as_slice(), peer.bytes(), key].concat()
    }
}

/// A peer, as one that is linked with it names it to others. No address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// Who.
    pub peer: PeerId,
    /// Whether it seems to have all of what we both share.
    pub complete: bool,
    /// As the peer gave it to us; not verified.
    pub card: Card,
}

impl Met {
    /// Reads the rows of a `Peers`.
    #[must_use]
    pub fn list(rows: &[u8]) -> Vec<Self> {
        let mut list = Vec::new();
        for row in rows.chunks_exact(MET_BYTES) {
            if let (Ok(peer), Some(card)) = (row[..32].try_into(), Card::from_bytes(&row[33..])) {
                list.push(Self { peer: PeerId(peer), complete: row[32] != 0, card });
            }
        }
        list
    }

    /// Writes a row.
    pub fn write(&self, rows: &mut Vec<u8>) {
        rows.extend_from_slice(self.peer.bytes());
        rows.push(u8::from(self.complete));
        rows.extend_from_slice(&self.card.0);
    }
}

/// Whether what is behind a `Parcel` can be one.
pub(super) fn is_parcel(hops: u8, card: bool, tail: &[u8]) -> bool {
    let least = if card { CARD_BYTES + SEAL_BYTES } else { SEAL_BYTES };
    hops <= HOPS_MAX && (least..=least + SEALED_MAX).contains(&tail.len())
}

/// One side of a connection with all that the other needs to know, for two who carry it by hand: signals in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Whose side.
    pub peer: PeerId,
    /// An offer or an answer, and its candidates.
    pub signals: Vec<Signal>,
}

impl Code {
    /// Reads a code.
    ///
    /// # Errors
    /// When it is too long, no code, of another version, or breaks a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > CODE_BYTES_MAX {
            return Err(Error::Oversize);
        }
        let Some((&[CODE_VERSION], rest)) = bytes.split_first_chunk() else { return Err(Error::Malformed) };
        let Some((peer, mut rest)) = rest.split_first_chunk() else { return Err(Error::Malformed) };
        let mut signals = Vec::new();
        while let Some((signal, behind)) = Signal::take(rest) {
            rest = behind;
            let fits = match &signal {
                Signal::Offer { description, .. } => signals.is_empty() && description.role == Role::Actpass,
                Signal::Answer { description, .. } => signals.is_empty() && description.role != Role::Actpass,
                Signal::Candidate { .. } => !signals.is_empty(),
                Signal::Knock { .. } | Signal::Decline { .. } => false,
            };
            if !fits || signals.len() > CODE_CANDIDATES_MAX {
                return Err(Error::Limit);
            }
            signals.push(signal);
        }
        let whole = rest.is_empty() && !signals.is_empty();
        if whole { Ok(Self { peer: PeerId(*peer), signals }) } else { Err(Error::Malformed) }
    }

    /// Writes a code.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.push(CODE_VERSION);
        bytes.extend_from_slice(self.peer.bytes());
        for signal in &self.signals {
            bytes.extend_from_slice(&signal.encode());
        }
        bytes
    }
}
