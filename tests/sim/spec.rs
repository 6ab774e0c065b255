//! What a story asks for: who is there, how they behave, and what befalls them.

use crate::rtc::SetUp;
use core::time::Duration;
use std::collections::BTreeSet;
use swarmlet_core::{Config, Instant, Root};

/// The number of a peer in `World::peers`.
pub type PeerId = usize;

/// What is the same for a whole run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// How long connections take to come up.
    pub set_up: SetUp,
    /// Bytes per second of the signaller's line, each way.
    pub signaller_rate: u64,
    /// Whether to print a line for each event.
    pub trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, set_up: SetUp::Lognormal, signaller_rate: 125_000_000, trace: false }
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
    /// How many in a million chunks of 16 KiB suffer a loss on its line, each way.
    pub loss_ppm: u32,
    /// What its clock shows.
    pub clock: Clock,
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
            loss_ppm: 0,
            clock: Clock::default(),
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

/// A clock that is ahead and goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// What it showed when the world began.
    pub ahead: Duration,
    /// Millionths that it is fast, or slow where negative.
    pub fast_ppm: i32,
}

impl Clock {
    const MILLION: i64 = 1_000_000;

    /// What it shows at a time of the world.
    #[must_use]
    pub fn shows(self, at: Instant) -> Instant {
        let pace = (Self::MILLION + i64::from(self.fast_ppm)).max(1) as u128;
        let gone = u128::from(at.micros()) * pace / Self::MILLION as u128;
        Instant::from_micros(gone as u64) + self.ahead
    }

    /// When it shows that, or a moment later.
    #[must_use]
    pub fn when(self, shown: Instant) -> Instant {
        if self == Self::default() {
            return shown;
        }
        let pace = (Self::MILLION + i64::from(self.fast_ppm)).max(1) as u128;
        let gone = (shown - self.ahead).micros();
        let at = (u128::from(gone) * Self::MILLION as u128).div_ceil(pace);
        Instant::from_micros(u64::try_from(at).unwrap_or(u64::MAX))
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
    /// Does to the parcels of others as it likes.
    Relay(Meddling),
}

/// What becomes of a parcel that somebody else was to pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meddling {
    /// It is lost.
    Drops,
    /// Its last bit is not what it was.
    Alters,
    /// Only the first of a link ever comes, again and again.
    Repeats,
    /// It goes on later, and others overtake it.
    Delays,
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
    /// The tab is killed: nobody is told, and what it wrote is there.
    Kill(PeerId),
    /// The machine is: of what was written last some is lost and some is torn.
    Crash(PeerId),
    /// The application closes the node.
    Leave(PeerId),
    /// Its scripts do not run, its packets are acknowledged.
    Freeze(PeerId),
    /// They run again.
    Thaw(PeerId),
    /// Its tab is hidden: timers come late.
    Hide(PeerId),
    /// It is not any more.
    Show(PeerId),
    /// A byte of a file on its disk is not what it was, from now on.
    Rot(PeerId, Root, u64),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_wrong_never_rings_early() {
        for fast_ppm in [-200, 0, 1, 500] {
            let clock = Clock { ahead: Duration::from_secs(86_400), fast_ppm };
            for micros in [0, 1, 999_999, 123_456_789_012] {
                let at = Instant::from_micros(micros);
                let back = clock.when(clock.shows(at));
                assert!(back <= at && at.passed(back) <= 1, "{fast_ppm} {micros} {back:?}");
                let due = Instant::from_micros(86_400_000_000 + micros);
                assert!(clock.shows(clock.when(due)) >= due);
            }
        }
    }
}
