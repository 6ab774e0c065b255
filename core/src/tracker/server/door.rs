//! What goes in and what comes out.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// One connection of a client, numbered by the host and never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// The two ways to speak to a signaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Swarmlet's own: binary messages, sub-protocol `swarmlet.1`.
    Swarmlet,
    /// That of WebTorrent trackers: JSON in text messages, no sub-protocol.
    WebTorrent,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum ServerInput<'a> {
    /// A client connected.
    Opened {
        /// Its number from now on.
        conn: ConnId,
        /// Where from; `None` where there is no address (in process).
        address: Option<IpAddr>,
        /// What it speaks.
        dialect: Dialect,
    },
    /// A client sent a message.
    Received {
        /// Which client.
        conn: ConnId,
        /// The message.
        bytes: &'a [u8],
    },
    /// A client is gone.
    Closed {
        /// Which client.
        conn: ConnId,
    },
    /// The host is about to stop: nobody new, and everybody closed at the end of `spread`.
    Drain {
        /// Within which clients come back, each at a random point.
        spread: Duration,
    },
    /// [`poll_timeout`](super::Server::poll_timeout) is reached.
    Timeout,
}

/// What the host is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAction {
    /// Send a message.
    Send {
        /// To which client.
        conn: ConnId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Close a connection, after the messages before. Its number is not used any more.
    Close {
        /// Of which client.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
    },
}

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CloseReason {
    /// A message above [`SIGNAL_BYTES_MAX`](crate::config::SIGNAL_BYTES_MAX).
    Oversize,
    /// Bytes that are no message.
    Malformed,
    /// A message that makes no sense in this state, or another version.
    Protocol,
    /// No proof of the key, or no good token.
    Denied,
    /// No good first message in time.
    Deadline,
    /// Far too many messages.
    Rate,
    /// No room.
    Full,
    /// The same key connected again.
    Replaced,
    /// The host stops.
    Draining,
}

impl CloseReason {
    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oversize => "oversize",
            Self::Malformed => "malformed",
            Self::Protocol => "protocol",
            Self::Denied => "denied",
            Self::Deadline => "deadline",
            Self::Rate => "rate",
            Self::Full => "full",
            Self::Replaced => "replaced",
            Self::Draining => "draining",
        }
    }
}

/// Counts, for metrics and tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerSnapshot {
    /// Connections.
    pub connections: u32,
    /// Connections that have proven a key.
    pub peers: u32,
    /// Swarms.
    pub swarms: u32,
    /// Members of all swarms together.
    pub memberships: u32,
    /// Messages read, ever.
    pub messages: u64,
    /// Announces answered, ever.
    pub announces: u64,
    /// Signals passed on, ever.
    pub relays: u64,
    /// Candidates not passed on, ever.
    pub candidates_dropped: u64,
    /// Requests refused, ever.
    pub refusals: u64,
    /// Connections closed by this side, ever.
    pub closes: u64,
    /// Whether the host is about to stop.
    pub draining: bool,
}
