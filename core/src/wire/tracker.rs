//! What peers and the signaller say to each other: binary WebSocket messages, sub-protocol `swarmlet.1`. One of those, a
//! *frame*, has one message of ours or several, one behind the other: what is said at the same time costs one.

use super::{Error, Signal, Signature, pack, pack_before, unpack};
use crate::id::{PeerId, Topic};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Candidate peers in one answer: 12 (theory §5).
pub const PEERS_MAX: usize = 12;
/// Signals in one `Relay`: a description and all candidates of its side.
pub const SIGNALS_MAX: usize = 21;
/// What a description and two candidates take, and so room enough for most of what the signaller says.
const SIDE_BYTES: usize = 192;
/// Characters of a join token.
pub const TOKEN_MAX: usize = 1024;

/// What a peer says to the signaller. The order of the variants is the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToTracker {
    /// 0: the answer to `Challenge`; before it nothing else is allowed, and behind it what needs no other answer first.
    Hello {
        /// [`super::VERSION`].
        version: u16,
        /// Bits for additions; unknown ones are ignored.
        features: u32,
        /// Who speaks.
        peer: PeerId,
        /// By that key, over the challenge (docs/PROTOCOL.md).
        signature: Signature,
        /// Empty where the signaller is open to all.
        token: String,
    },
    /// 1: I am in this swarm; again when something changed. Answered by `Peers`.
    Announce {
        /// The swarm.
        topic: Topic,
        /// I have all that I want.
        complete: bool,
        /// How many candidates I would like, at most 12; 0: just count me.
        want: u8,
    },
    /// 2: I am not in this swarm any more.
    Leave {
        /// The swarm.
        topic: Topic,
    },
    /// 3: pass this on to a peer that shares a swarm with me.
    Relay {
        /// To whom.
        to: PeerId,
        /// What, in this order: 1 to [`SIGNALS_MAX`].
        signals: Vec<Signal>,
    },
}

/// What the signaller says. The order of the variants is the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToClient {
    /// 0: first of all: prove that you own the key that you will name.
    Challenge {
        /// To be signed.
        #[serde(with = "crate::util::bytes")]
        nonce: [u8; 32],
    },
    /// 1: you are in.
    Welcome {
        /// [`super::VERSION`].
        version: u16,
        /// Bits for additions; unknown ones are ignored.
        features: u32,
    },
    /// 2: the answer to `Announce`.
    Peers {
        /// The swarm.
        topic: Topic,
        /// Complete members.
        seeds: u32,
        /// Other members.
        leeches: u32,
        /// Whom to knock at.
        peers: Vec<PeerView>,
    },
    /// 3: a peer that shares a swarm with you says this.
    Relayed {
        /// Who.
        from: PeerId,
        /// What, in this order: 1 to [`SIGNALS_MAX`].
        signals: Vec<Signal>,
    },
    /// 4: a `Relay` had no taker.
    Absent {
        /// Who is not here.
        peer: PeerId,
    },
    /// 5: something was refused.
    Refused {
        /// Why.
        reason: Refusal,
        /// Milliseconds before another try makes sense.
        retry_ms: u32,
    },
    /// 6: the server is about to close; come back after a random share of this time.
    GoAway {
        /// Milliseconds.
        spread_ms: u32,
    },
}

/// A member of a swarm, as the signaller names it to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerView {
    /// Who.
    pub peer: PeerId,
    /// Whether it has all that it wants.
    pub complete: bool,
}

/// Why the signaller refused something. The order of the variants is the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// 0: a version that it does not speak.
    Version,
    /// 1: the signature does not prove the key.
    Identity,
    /// 2: no token, or not a good one.
    Token,
    /// 3: too many messages.
    Rate,
    /// 4: too many swarms on this socket.
    Swarms,
    /// 5: the server is full.
    Full,
    /// 6: you share no swarm with whom you want to signal, or the signal is not sane.
    Relay,
    /// 7: the same key connected again elsewhere.
    Replaced,
    /// 8: this swarm is not served here.
    Content,
}

impl Refusal {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Version,
        Self::Identity,
        Self::Token,
        Self::Rate,
        Self::Swarms,
        Self::Full,
        Self::Relay,
        Self::Replaced,
        Self::Content,
    ];

    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Identity => "identity",
            Self::Token => "token",
            Self::Rate => "rate",
            Self::Swarms => "swarms",
            Self::Full => "full",
            Self::Relay => "relay",
            Self::Replaced => "replaced",
            Self::Content => "content",
        }
    }
}

/// Whether signals are few enough, and safe to pass on.
pub(super) fn are_sane(signals: &[Signal]) -> bool {
    (1..=SIGNALS_MAX).contains(&signals.len()) && signals.iter().all(Signal::is_sane)
}

/// All messages of a frame.
fn read<M>(mut frame: &[u8], take: impl Fn(&[u8]) -> Result<(M, &[u8]), Error>) -> Result<Vec<M>, Error> {
    let mut messages = Vec::new();
    loop {
        let (message, rest) = take(frame)?;
        messages.push(message);
        if rest.is_empty() {
            return Ok(messages);
        }
        frame = rest;
    }
}

impl ToTracker {
    /// Reads a whole frame.
    ///
    /// # Errors
    /// When it is too long, or has a part that is no message or breaks a limit.
    pub fn read(frame: &[u8]) -> Result<Vec<Self>, Error> {
        read(frame, Self::take)
    }

    /// Reads the first message of a frame. Answers what is behind it, too.
    ///
    /// # Errors
    /// When the frame is too long, or this is no message or breaks a limit.
    pub fn take(frame: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (message, rest) = unpack(frame)?;
        let fits = match &message {
            Self::Hello { token, .. } => token.len() <= TOKEN_MAX,
            Self::Announce { want, .. } => usize::from(*want) <= PEERS_MAX,
            Self::Relay { signals, .. } => are_sane(signals),
            Self::Leave { .. } => true,
        };
        if fits { Ok((message, rest)) } else { Err(Error::Limit) }
    }

    /// Writes one message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        pack(self)
    }
}

impl ToClient {
    /// Reads a whole frame.
    ///
    /// # Errors
    /// When it is too long, or has a part that is no message or breaks a limit.
    pub fn read(frame: &[u8]) -> Result<Vec<Self>, Error> {
        read(frame, Self::take)
    }

    /// Reads the first message of a frame. Answers what is behind it, too.
    ///
    /// # Errors
    /// When the frame is too long, or this is no message or breaks a limit.
    pub fn take(frame: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (message, rest) = unpack(frame)?;
        let fits = match &message {
            Self::Peers { peers, .. } => peers.len() <= PEERS_MAX,
            Self::Relayed { signals, .. } => are_sane(signals),
            Self::Challenge { .. }
            | Self::Welcome { .. }
            | Self::Absent { .. }
            | Self::Refused { .. }
            | Self::GoAway { .. } => true,
        };
        if fits { Ok((message, rest)) } else { Err(Error::Limit) }
    }

    /// Writes one message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        pack_before(self, SIDE_BYTES)
    }
}
