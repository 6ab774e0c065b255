//! What a story asks for: who is there, how they behave, and what befalls them.

use crate::rtc::SetUp;
use core::time::Duration;
use std::collections::BTreeSet;
use swarmlet_core::Config;

/// The number of a peer in `World::peers`.
pub type PeerId = usize;

/// What is the same for a whole run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// How long connections take to come up.
    pub set_up: SetUp,
    /// Whether to print a line for each event.
    pub trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, set_up: SetUp::Lognormal, trace: false }
    }
}

/// One peer, as a story wants it. The default has 5 and 50 Mbit/s, 20 ms to the middle of the network, and nothing
/// wrong with it.
#[derive(Clone, Debug)]
pub struct PeerSpec {
    /// Upload bytes per second.
    pub up: u64,
    /// Download bytes per second.
    pub down: u64,
    /// One way to the middle of the network; a pair's round trip is twice the sum of both.
    pub latency: Duration,
    /// The most that a message is late by chance.
    pub jitter: Duration,
    /// When its page opens.
    pub joins: Duration,
    /// Whether it has the content from the start.
    pub seed: bool,
    /// Whether it knows the `.torrent` and not the link alone.
    pub has_torrent: bool,
    /// How it behaves towards others.
    pub conduct: Conduct,
    /// What stands between it and the network.
    pub nat: Nat,
    /// Connections that its browser makes at the same time before it refuses (theory §6).
    pub links_cap: usize,
    /// Bytes that its disk takes; `None`: no limit.
    pub disk_room: Option<u64>,
    /// Its configuration.
    pub config: Config,
}

impl Default for PeerSpec {
    fn default() -> Self {
        Self {
            up: 625_000,
            down: 6_250_000,
            latency: Duration::from_millis(20),
            jitter: Duration::from_millis(2),
            joins: Duration::ZERO,
            seed: false,
            has_torrent: false,
            conduct: Conduct::Honest,
            nat: Nat::Open,
            links_cap: 45,
            disk_room: None,
            config: Config::default(),
        }
    }
}

impl PeerSpec {
    /// Whether it wants the content and keeps to the rules: whom a run is for.
    #[must_use]
    pub const fn is_honest_leecher(&self) -> bool {
        !self.seed && matches!(self.conduct, Conduct::Honest)
    }

    /// The same peer with as many times the links (theory §1.2: the large-view exploit).
    #[must_use]
    pub const fn with_large_view(mut self, times: u32) -> Self {
        self.config.links_wanted *= times;
        self.config.links_max *= times;
        self.config.dials_max *= times;
        self.links_cap *= times as usize;
        self
    }
}

/// How a peer behaves towards others. The engine of a cheater is the one that ships; its host changes what leaves
/// it, as somebody would who cheats with least effort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// By the rules.
    #[default]
    Honest,
    /// Takes and never gives: nobody hears what it has.
    FreeRider,
    /// Spoils every block of a link, after up to so many good ones, drawn for each link.
    Poisoner {
        /// The most blocks that it sends as they are.
        honest_max: u32,
    },
    /// Says what it has, takes every request, and answers none.
    Withholder,
    /// Holds links, and neither wants nor has anything.
    Idle,
}

/// What stands between a peer and the network (RFC 4787's filtering and mapping, in four classes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nat {
    /// Reachable.
    #[default]
    Open,
    /// One mapping for all destinations, filtered by who was spoken to: hole punching works.
    Restricted,
    /// A mapping for each destination: what was punched for the signaller is of no use.
    Symmetric,
    /// No UDP at all.
    Blocked,
}

impl Nat {
    /// In how many of a thousand pairs a connection can be made, without a relay. Open and blocked are what they
    /// say; 82 % of NATs took part in hole punching (Ford, Srisuresh and Kegel 2005, table 1) and fewer fail today;
    /// the others are guesses between these.
    #[must_use]
    pub const fn success(self, other: Self) -> u64 {
        match (self, other) {
            (Self::Blocked, _) | (_, Self::Blocked) => 0,
            (Self::Open, _) | (_, Self::Open) => 1000,
            (Self::Restricted, Self::Restricted) => 950,
            (Self::Symmetric, Self::Symmetric) => 0,
            (Self::Restricted, Self::Symmetric) | (Self::Symmetric, Self::Restricted) => 350,
        }
    }
}

/// What befalls a peer or the world.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The page opens (again), with what its disk holds.
    Start(PeerId),
    /// A crash: nobody is told.
    Kill(PeerId),
    /// The application closes the node.
    Leave(PeerId),
    /// Its scripts do not run, its packets are acknowledged.
    Freeze(PeerId),
    /// They run again.
    Thaw(PeerId),
    /// It behaves differently from now on.
    Conduct(PeerId, Conduct),
    /// Its disk takes this many bytes from now on.
    DiskRoom(PeerId, Option<u64>),
    /// The signaller dies, and with it all that it knew.
    SignallerDown,
    /// A fresh one is there.
    SignallerUp,
    /// These peers do not reach the others any more.
    Partition(BTreeSet<PeerId>),
    /// They do again.
    Heal,
    /// An HTTP origin does not answer any more.
    OriginDies(usize),
    /// It answers again.
    OriginBack(usize),
    /// It sends this many bytes per second from now on.
    OriginRate(usize, u64),
    /// It serves bytes that are not the content, or the right ones again.
    OriginWrong(usize, bool),
}
