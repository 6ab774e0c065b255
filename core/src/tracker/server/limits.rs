//! How much of everything.

use super::{Rate, TokenRules};
use crate::id::Topic;
use crate::wire::webtorrent::InfoHash;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// What clients may do. Defaults: research on other signallers and trackers (`docs/OPERATING.md`).
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Who is let in.
    pub tokens: TokenRules,
    /// From connecting to a good first message. WebTorrent clients say nothing before they have gathered candidates, for which they
    /// give themselves 5 s (simple-peer's `iceCompleteTimeout`).
    pub hello_deadline: Duration,
    /// Connections, whether they have said who they are or not. About 1.5 KB each, here.
    pub connections_max: u32,
    /// Connections from one IPv4 address or IPv6 /64. Loopback is free: a proxy speaks for everybody.
    pub connections_per_network_max: u32,
    /// Swarms with a member.
    pub swarms_max: u32,
    /// Members of all swarms together. About 250 bytes each.
    pub memberships_max: u32,
    /// What is served.
    pub served: Served,
    /// Whether public candidates must be addresses of who sends them: that of its connection, at most two networks
    /// of the other family, or one of `relays`.
    pub strict_candidates: bool,
    /// TURN servers that relay candidates may name.
    pub relays: Vec<IpAddr>,
    /// When WebTorrent clients are told to announce again.
    pub webtorrent_interval: Duration,
    /// Lists of others, or rounds of offers, that one connection gets in one swarm.
    pub lists: Rate,
    /// Swarms that one connection may be in.
    pub swarms_per_connection_max: u32,
    /// Candidates in one answer; at most 12.
    pub peers_answer_max: u8,
    /// Messages of one connection. Its burst answers all introductions that may come at once, and leaves a hundred: a seed
    /// that has to decline a crowd could not offer to anybody else. What is above is refused; as much again above that
    /// closes.
    pub messages: Rate,
    /// Knocks that one peer may send.
    pub knocks: Rate,
    /// Offers that one peer may send: it answers every knock that it gets with one.
    pub offers: Rate,
    /// Knocks and offers that one peer may get, whoever sends them.
    pub introductions: Rate,
    /// Answers, candidates and declines that one peer may get: twenty for each introduction.
    pub details: Rate,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            tokens: TokenRules::default(),
            hello_deadline: Duration::from_secs(15),
            connections_max: 90_000,
            connections_per_network_max: 64,
            swarms_max: 1_000_000,
            memberships_max: 2_000_000,
            served: Served::All,
            strict_candidates: true,
            relays: Vec::new(),
            webtorrent_interval: Duration::from_secs(120),
            lists: Rate { per_minute: 6, burst: 4 },
            swarms_per_connection_max: 32,
            peers_answer_max: 12,
            messages: Rate { per_minute: 1200, burst: 160 },
            knocks: Rate { per_minute: 30, burst: 30 },
            offers: Rate { per_minute: 60, burst: 60 },
            introductions: Rate { per_minute: 60, burst: 60 },
            details: Rate { per_minute: 1200, burst: 400 },
        }
    }
}

/// Which swarms may be announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// Any.
    All,
    /// These.
    Only {
        /// Of Swarmlet's dialect.
        topics: BTreeSet<Topic>,
        /// Of WebTorrent's.
        info_hashes: BTreeSet<InfoHash>,
    },
}

impl Served {
    pub(super) fn has_topic(&self, topic: &Topic) -> bool {
        match self {
            Self::All => true,
            Self::Only { topics, .. } => topics.contains(topic),
        }
    }

    pub(super) fn has_info_hash(&self, info_hash: &InfoHash) -> bool {
        match self {
            Self::All => true,
            Self::Only { info_hashes, .. } => info_hashes.contains(info_hash),
        }
    }
}

impl ServerConfig {
    /// Whether there is no room for another membership, in a swarm that may be new.
    pub(super) const fn is_full(&self, swarms: usize, is_new: bool, memberships: u32) -> bool {
        (is_new && swarms >= self.swarms_max as usize) || memberships >= self.memberships_max
    }
}
