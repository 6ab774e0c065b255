//! What goes in and what comes out.

use super::{BusSnapshot, ServerConfig, TokenFault};
use crate::wire::bus::{NodeId, SwarmId};
use crate::wire::{Refusal, Signal, ToTracker};
use alloc::boxed::Box;
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
        /// The page that the browser says it is on; `None` for programs. Tokens are for pages of one site.
        origin: Option<&'a str>,
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
    /// What the wall clock says: first of all where tokens are asked for, and again now and then.
    Clock {
        /// Seconds since 1970.
        unix_s: u64,
    },
    /// Other rules from now on. Whoever is in stays, but not in swarms that are served no more.
    Configure(Box<ServerConfig>),
    /// Something about the other nodes of a cluster. Without any of it a server is alone.
    Bus(BusNews<'a>),
    /// [`poll_timeout`](super::Server::poll_timeout) is reached.
    Timeout,
}

/// What happened on the way to other nodes.
#[derive(Clone, Debug)]
pub enum BusNews<'a> {
    /// There is one now.
    Up {
        /// What this node is called there; a new name for each start.
        node: NodeId,
        /// What its operator calls it.
        name: &'a str,
    },
    /// There is none: also to be said when a node of a cluster starts.
    Down,
    /// Some node has said something, to all or to this one. What this one says to all is heard here, too.
    Heard {
        /// The message: one bundle.
        bytes: &'a [u8],
    },
    /// The answer to [`BusOrder::Find`].
    Found {
        /// As asked.
        swarm: SwarmId,
        /// As asked.
        question: u64,
        /// What was there, with the node that keeps it.
        digests: Vec<(NodeId, Vec<u8>)>,
    },
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
    /// Do something on the way to other nodes: what is to be kept, forgotten and found in this order, and what is told in
    /// this order, after what was kept before. Where there is no way, nothing.
    Bus(BusOrder),
}

/// What is to be done on the way to other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusOrder {
    /// Say something.
    Tell {
        /// To whom; `None` for all.
        node: Option<NodeId>,
        /// A word for a [`Bundle`](crate::wire::bus::Bundle).
        word: Vec<u8>,
    },
    /// Keep this for the others to find, in place of what was kept before.
    Keep {
        /// Under the name of this swarm, and of this node.
        swarm: SwarmId,
        /// What.
        bytes: Vec<u8>,
        /// For how long.
        life: Duration,
    },
    /// Keep nothing any more.
    Forget {
        /// Of this swarm.
        swarm: SwarmId,
    },
    /// Find what others have kept. Answered by [`BusNews::Found`], after all that was to be kept before.
    Find {
        /// Of which swarm.
        swarm: SwarmId,
        /// Comes back with the answer.
        question: u64,
        /// By whom.
        nodes: Vec<NodeId>,
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
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Oversize,
        Self::Malformed,
        Self::Protocol,
        Self::Denied,
        Self::Deadline,
        Self::Rate,
        Self::Full,
        Self::Replaced,
        Self::Draining,
    ];

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

/// Names of what clients send, in both dialects. The last is for what is no message, or one too many.
pub const MESSAGE_KINDS: [&str; 7] = ["hello", "announce", "leave", "relay", "answer", "scrape", "other"];
/// Names of the signals.
pub const SIGNAL_KINDS: [&str; 5] = ["knock", "offer", "answer", "candidate", "decline"];

pub(super) const MESSAGE_ANNOUNCE: usize = 1;
pub(super) const MESSAGE_ANSWER: usize = 4;
pub(super) const MESSAGE_SCRAPE: usize = 5;
pub(super) const MESSAGE_OTHER: usize = 6;
pub(super) const SIGNAL_OFFER: usize = 1;
pub(super) const SIGNAL_ANSWER: usize = 2;

/// The place of a message in [`MESSAGE_KINDS`].
pub(super) const fn message_kind(message: &ToTracker) -> usize {
    match message {
        ToTracker::Hello { .. } => 0,
        ToTracker::Announce { .. } => MESSAGE_ANNOUNCE,
        ToTracker::Leave { .. } => 2,
        ToTracker::Relay { .. } => 3,
    }
}

/// The place of a signal in [`SIGNAL_KINDS`].
pub(super) const fn signal_kind(signal: &Signal) -> usize {
    match signal {
        Signal::Knock { .. } => 0,
        Signal::Offer { .. } => SIGNAL_OFFER,
        Signal::Answer { .. } => SIGNAL_ANSWER,
        Signal::Candidate { .. } => 3,
        Signal::Decline { .. } => 4,
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
    /// Connections that came, ever.
    pub opened: u64,
    /// Connections that the other side, or the host, has ended, ever.
    pub lost: u64,
    /// Bytes of messages read, ever.
    pub bytes_in: u64,
    /// Messages sent, ever.
    pub messages_out: u64,
    /// Bytes of messages sent, ever.
    pub bytes_out: u64,
    /// Messages read, ever, in the order of [`MESSAGE_KINDS`].
    pub messages: [u64; MESSAGE_KINDS.len()],
    /// Announces answered, ever.
    pub announces: u64,
    /// Signals passed on, ever, in the order of [`SIGNAL_KINDS`].
    pub relays: [u64; SIGNAL_KINDS.len()],
    /// Candidates not passed on, ever.
    pub candidates_dropped: u64,
    /// Requests refused, ever, by `Refusal as usize`.
    pub refusals: [u64; Refusal::ALL.len()],
    /// Tokens that were not good, ever, by `TokenFault as usize`.
    pub token_faults: [u64; TokenFault::ALL.len()],
    /// Connections that gave way because their network held the most of what there was too little of, ever.
    pub evictions: u64,
    /// Peers that were not named since their asker's token was good for no more, ever.
    pub unnamed: u64,
    /// Connections closed by this side, ever, by `CloseReason as usize`.
    pub closes: [u64; CloseReason::ALL.len()],
    /// Whether the host is about to stop.
    pub draining: bool,
    /// What goes between nodes, where this is one of several.
    pub bus: Option<BusSnapshot>,
}
