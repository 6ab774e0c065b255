//! What a story is told before it begins: sizes, seed, and values by name.

use crate::queue::fork;
use crate::spec::{Nat, PeerSpec};
use crate::story::{FlashCrowd, UP};
use crate::tape::Recorder;
use core::time::Duration;
use std::collections::BTreeMap;
use swarmlet_core::config::Incentive;
use swarmlet_core::{Config, Instant};

/// A value that can be set by name.
#[derive(Debug)]
pub struct Knob {
    /// Its name.
    pub name: &'static str,
    /// What it is unless it is set.
    pub default: Value,
    /// What it does, with its unit.
    pub about: &'static str,
}

/// What a knob can be set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A number that is not negative.
    Number(f64),
    /// One of some words: which, and all of them.
    Word(&'static str, &'static [&'static str]),
}

/// A number by name.
#[must_use]
pub const fn number(name: &'static str, default: f64, about: &'static str) -> Knob {
    Knob { name, default: Value::Number(default), about }
}

/// A word by name; the first is the default.
#[must_use]
pub const fn word(name: &'static str, words: &'static [&'static str], about: &'static str) -> Knob {
    Knob { name, default: Value::Word(words[0], words), about }
}

/// To whom leechers give first.
const INCENTIVES: &[&str] = &["deficit", "none", "classic"];

/// Values that every story knows: the lines, the network, the engine.
pub const COMMON: &[Knob] = &[
    number("up", 5.0, "a peer's upload, Mbit/s"),
    number("down", 50.0, "a peer's download, Mbit/s"),
    number("rtt_min", 20.0, "shortest round trip between two peers, ms"),
    number("rtt_max", 150.0, "longest round trip between two peers, ms"),
    number("jitter", 2.0, "the most that a chunk is late by chance, ms"),
    number("loss", 0.0, "chunks of 16 KiB that suffer a loss on a line, each way, %"),
    number("nat_restricted", 0.0, "share of peers behind a NAT that lets in who was spoken to"),
    number("nat_symmetric", 0.0, "share of peers behind a NAT with a mapping for each destination"),
    number("connect", 0.0, "set-up of a connection, ms; 0: lognormal, median 600, 95 % within 2,000"),
    number("arrive", 0.0, "peers come evenly over this time, s"),
    number("sources", 1.0, "seeds, which share the origin's upload"),
    number("limit", 0.0, "end of the run, s of virtual time; 0: 20 bounds and 120 s"),
    word(
        "incentive",
        INCENTIVES,
        "whom peers serve first: whom they owe most (deficit), nobody (none), or those whom classic BitTorrent's rounds \
         let in (classic)",
    ),
    number("classic_slots", 4.0, "neighbours that classic BitTorrent lets in at a time, one of them by turn"),
    number("links_wanted", 0.0, "links looked for; 0: the engine's own number"),
    number("links_max", 0.0, "live links; 0: the engine's own number"),
    number("dials_max", 0.0, "links in the making; 0: the engine's own number"),
    number("window_leaves_max", 0.0, "requests under way on one link, leaves; 0: the engine's own number"),
    number("channel_kib", 0.0, "bytes given to a channel before it has room again, KiB; 0: the engine's own"),
];

/// A story's parameters.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Peers that want the content, cheaters among them.
    pub peers: usize,
    /// MiB of the content.
    pub mib: f64,
    /// The origin's upload as a multiple of a peer's.
    pub origin_ratio: f64,
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// Writes down what one of the peers is told.
    pub recorder: Recorder,
    values: BTreeMap<&'static str, Value>,
}

impl Setup {
    /// The sizes and values that a story has unless told otherwise.
    #[must_use]
    pub fn new((peers, mib, origin_ratio): (usize, f64, f64), knobs: &'static [Knob]) -> Self {
        // A story's own knob of the same name comes later and wins.
        let values = COMMON.iter().chain(knobs).map(|knob| (knob.name, knob.default)).collect();
        Self { peers, mib, origin_ratio, seed: 1, recorder: Recorder::default(), values }
    }

    /// Sets a value by `key=value`.
    ///
    /// # Errors
    /// What is wrong with it, and what there is.
    pub fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (key, text) = assignment.split_once('=').ok_or(format!("`{assignment}` is not key=value"))?;
        let known = || self.values.keys().copied().collect::<Vec<_>>().join(", ");
        let Some((name, old)) = self.values.get_key_value(key) else {
            return Err(format!("this story does not know `{key}`; it knows {}", known()));
        };
        let new = match old {
            Value::Number(_) => {
                let parsed = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
                Value::Number(parsed.ok_or(format!("`{key}` takes a number from 0 on, not `{text}`"))?)
            }
            Value::Word(_, words) => {
                let found = words.iter().find(|word| **word == text);
                Value::Word(found.ok_or(format!("`{key}` is one of {}", words.join(", ")))?, words)
            }
        };
        let name = *name;
        self.values.insert(name, new);
        Ok(())
    }

    /// The same with another value, for the run that a story compares itself with.
    ///
    /// # Panics
    /// When the story does not know the name, or the value does not fit: a bug of the story.
    #[must_use]
    pub fn with(&self, assignment: &str) -> Self {
        let mut other = self.clone();
        other.set(assignment).expect("a story knows its own values");
        other
    }

    /// A number by its name.
    ///
    /// # Panics
    /// When there is none: a bug of the story.
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        match self.values.get(name) {
            Some(Value::Number(value)) => *value,
            other => panic!("{name} is no number of this story: {other:?}"),
        }
    }

    /// A word by its name.
    ///
    /// # Panics
    /// When there is none: a bug of the story.
    #[must_use]
    pub fn word(&self, name: &str) -> &'static str {
        match self.values.get(name) {
            Some(Value::Word(value, _)) => value,
            other => panic!("{name} is no word of this story: {other:?}"),
        }
    }

    /// A span of time in seconds by its name.
    #[must_use]
    pub fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs_f64(self.number(name))
    }

    /// Bytes of the content, at least one.
    #[must_use]
    pub fn bytes(&self) -> usize {
        ((self.mib * f64::from(1 << 20)) as usize).max(1)
    }

    /// A peer's upload in bytes per second.
    #[must_use]
    pub fn up(&self) -> f64 {
        mbit(self.number("up"))
    }

    /// The origin's upload in bytes per second.
    #[must_use]
    pub fn origin_up(&self) -> f64 {
        self.up() * self.origin_ratio
    }

    /// The incentive by its word.
    #[must_use]
    pub fn incentive(&self) -> Incentive {
        match self.word("incentive") {
            "none" => Incentive::None,
            "classic" => Incentive::Classic { slots: self.number("classic_slots") as u8 },
            _ => Incentive::Deficit,
        }
    }

    /// The engine's configuration for an honest peer.
    #[must_use]
    pub fn config(&self) -> Config {
        let own = Config::default();
        let or_own = |name: &str, own: u32| match self.number(name) as u32 {
            0 => own,
            set => set,
        };
        Config {
            incentive: self.incentive(),
            links_wanted: or_own("links_wanted", own.links_wanted),
            links_max: or_own("links_max", own.links_max),
            dials_max: or_own("dials_max", own.dials_max),
            window_leaves_max: or_own("window_leaves_max", own.window_leaves_max),
            channel_high_bytes: or_own("channel_kib", own.channel_high_bytes >> 10) << 10,
            ..own
        }
    }

    /// An honest peer that wants the content. `index`: its number in the world, from which its latency follows.
    #[must_use]
    pub fn peer(&self, index: usize) -> PeerSpec {
        let crowd = FlashCrowd { seed: self.seed, ..FlashCrowd::default() };
        let mut spec = crowd.spec(index);
        // The crowd draws 5 to 37.5 ms one way, a quarter of 20 to 150 ms.
        let share = (spec.latency.as_secs_f64() - 0.005) / 0.0325;
        let (shortest, longest) = (self.number("rtt_min"), self.number("rtt_max"));
        spec.latency =
            Duration::from_secs_f64((longest - shortest).max(0.0).mul_add(share, shortest) / 4000.0);
        spec.up = self.up() as u64;
        spec.down = mbit(self.number("down")) as u64;
        spec.joins = self.seconds("arrive").mul_f64(index as f64 / self.peers.max(1) as f64);
        spec.jitter = Duration::from_secs_f64(self.number("jitter") / 1000.0);
        spec.loss_ppm = (self.number("loss") * 10_000.0) as u32;
        spec.nat = self.nat(index);
        spec.config = self.config();
        spec
    }

    /// What stands between the peer at `index` and the network.
    fn nat(&self, index: usize) -> Nat {
        let drawn = fork(self.seed, 61, index as u64).below(1_000_000) as f64 / 1e6;
        let (restricted, symmetric) = (self.number("nat_restricted"), self.number("nat_symmetric"));
        if drawn < restricted {
            Nat::Restricted
        } else if drawn < restricted + symmetric {
            Nat::Symmetric
        } else {
            Nat::Open
        }
    }

    /// One of the seeds that make up the origin.
    #[must_use]
    pub fn source(&self, index: usize) -> PeerSpec {
        let mut spec = self.peer(index);
        spec.seed = true;
        spec.joins = Duration::ZERO;
        spec.nat = Nat::Open;
        spec.up = (self.origin_up() / self.sources() as f64) as u64;
        spec
    }

    /// How many seeds make up the origin.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.number("sources") as usize
    }

    /// When a run ends, whoever is done by then.
    #[must_use]
    pub fn limit(&self, bound: f64) -> Instant {
        let set = self.seconds("limit");
        let own = Duration::from_secs_f64(bound.mul_add(20.0, 120.0)) + self.seconds("arrive");
        Instant::ZERO + if set.is_zero() { own } else { set }
    }
}

/// Bytes per second of Mbit/s.
#[must_use]
pub(super) fn mbit(value: f64) -> f64 {
    value * 125_000.0
}

/// The upload that the goals are stated for.
const _: () = assert!(UP == 625_000, "COMMON says 5 Mbit/s");

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &[Knob] = &[number("share", 0.5, "a share"), number("up", 8.0, "another default")];

    #[test]
    fn values_are_set_by_name_and_unknown_names_are_refused() {
        let mut setup = Setup::new((10, 1.0, 4.0), OWN);
        assert_eq!(setup.number("share"), 0.5);
        assert_eq!(setup.up(), 1e6);
        setup.set("share=0.25").unwrap();
        setup.set("incentive=none").unwrap();
        assert_eq!((setup.number("share"), setup.incentive()), (0.25, Incentive::None));
        let unknown = setup.set("shore=1").unwrap_err();
        assert!(unknown.contains("share") && unknown.contains("rtt_max"), "{unknown}");
        for bad in ["share", "share=x", "share=-1", "share=inf", "incentive=greed"] {
            assert!(setup.set(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn peers_are_as_the_goals_describe_them() {
        let mut setup = Setup::new((1000, 64.0, 4.0), &[]);
        setup.set("sources=2").unwrap();
        let round_trips: Vec<_> =
            (0..1000).map(|index| setup.peer(index).latency.as_secs_f64() * 4e3).collect();
        assert!(round_trips.iter().all(|ms| (20.0..=150.0).contains(ms)));
        assert!(round_trips.iter().any(|ms| *ms < 25.0) && round_trips.iter().any(|ms| *ms > 145.0));
        assert_eq!((setup.peer(1).up, setup.source(0).up), (UP, 2 * UP));
        assert_eq!(setup.bytes(), 64 << 20);
    }
}
