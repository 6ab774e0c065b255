//! What two peers say to each other through the signaller before they have a link: typed, never SDP text.

use super::pack;
use crate::id::{Fingerprint, Topic};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Characters of an ICE user fragment. RFC 8839 allows 4 to 256; browsers make 4 to 8.
pub const UFRAG_MAX: usize = 32;
/// Characters of an ICE password. RFC 8839 allows 22 to 256; browsers make 24 to 32.
pub const PWD_MAX: usize = 64;

/// One step of making a link. `attempt` is chosen by who knocks or offers and comes back in every answer,
/// so that late messages of an earlier attempt are recognised. The order of the variants is the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// 0: I would like a link; offer me one. Costs nobody a connection yet.
    Knock {
        /// Of the knocker.
        attempt: u32,
        /// The swarm that both are in.
        topic: Topic,
    },
    /// 1: the answer to a knock.
    Offer {
        /// From the knock.
        attempt: u32,
        /// The swarm that both are in.
        topic: Topic,
        /// The offerer's side.
        description: Description,
    },
    /// 2: the answer to an offer.
    Answer {
        /// From the offer.
        attempt: u32,
        /// The answerer's side.
        description: Description,
    },
    /// 3: one more way to reach the sender.
    Candidate {
        /// From the offer.
        attempt: u32,
        /// The candidate.
        candidate: Candidate,
    },
    /// 4: no, thank you: full, or not interested.
    Decline {
        /// From the knock or offer.
        attempt: u32,
    },
}

/// One side of a connection: all that an SDP would say that is not the same every time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// ICE user fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// Of the DTLS certificate.
    pub fingerprint: Fingerprint,
    /// Who begins the DTLS handshake.
    pub role: Role,
}

/// The DTLS role (`a=setup`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Either; what an offer says.
    Actpass,
    /// Begins the handshake.
    Active,
    /// Waits for it.
    Passive,
}

/// One way to reach a peer. UDP only, component 1 only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where.
    pub address: Address,
    /// UDP port.
    pub port: u16,
    /// How the address was found.
    pub kind: CandidateKind,
    /// ICE priority.
    pub priority: u32,
}

/// An address as candidates carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// IPv4, network order.
    V4(#[serde(with = "crate::util::bytes")] [u8; 4]),
    /// IPv6, network order.
    V6(#[serde(with = "crate::util::bytes")] [u8; 16]),
    /// The UUID of `<uuid>.local`: a browser hiding a local address.
    Mdns(#[serde(with = "crate::util::bytes")] [u8; 16]),
}

/// How a candidate's address was found (RFC 8445 §5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CandidateKind {
    /// On an interface of the peer.
    Host,
    /// As a STUN server saw the peer.
    ServerReflexive,
    /// As the other peer saw it.
    PeerReflexive,
    /// On a TURN server.
    Relay,
}

impl Description {
    /// Whether the fields keep to the alphabet and lengths of RFC 8839, so that no text can be smuggled
    /// into an SDP through them.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        let ice_chars =
            |text: &str| text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'+' || c == b'/');
        (4..=UFRAG_MAX).contains(&self.ufrag.len())
            && (22..=PWD_MAX).contains(&self.pwd.len())
            && ice_chars(&self.ufrag)
            && ice_chars(&self.pwd)
    }
}

impl Signal {
    /// Reads a signal that came without a signaller. Answers what is behind it, too.
    #[must_use]
    pub fn take(bytes: &[u8]) -> Option<(Self, &[u8])> {
        postcard::take_from_bytes::<Self>(bytes).ok().filter(|(signal, _)| signal.is_sane())
    }

    /// Writes a signal that goes without a signaller.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        pack(self)
    }

    /// The attempt that a signal belongs to.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        match self {
            Self::Knock { attempt, .. }
            | Self::Offer { attempt, .. }
            | Self::Answer { attempt, .. }
            | Self::Candidate { attempt, .. }
            | Self::Decline { attempt } => *attempt,
        }
    }

    /// Whether every text in it is safe to pass on.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        match self {
            Self::Offer { description, .. } | Self::Answer { description, .. } => description.is_sane(),
            Self::Candidate { candidate, .. } => candidate.port != 0,
            Self::Knock { .. } | Self::Decline { .. } => true,
        }
    }
}
