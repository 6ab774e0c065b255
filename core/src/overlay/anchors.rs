//! Where to go while the signaller cannot be reached: anchors that peers of earlier visits have named.
//!
//! An anchor is a native peer with a signaller of its own, for the region of swarms that it serves. It names that to those
//! it is linked with ([`crate::Event::Anchor`]), and nobody else can name it; hosts keep the last [`ANCHORS_MAX`]. Who
//! finds the signaller gone goes to the one that stands first for its shares by rendezvous hashing, so visitors of the
//! same content who know the same anchors meet at the same one. After a while it looks whether the signaller is back, and
//! goes on to the next: its links stay, so groups that met at different anchors become one.
//!
//! Bound: an anchor that is none costs its own attempts, further and further apart, and is forgotten after
//! [`FAILURES_MAX`] in a row; [`TRIES`] are tried before there is a pause. All that it can do is what any signaller can.

use crate::id::{ContentId, Hash};
use crate::rng::Rng;
use crate::time::{Instant, SECOND};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// Anchors that are remembered (theory §3.3: 20).
pub const ANCHORS_MAX: usize = 20;
/// Bytes of an address.
pub const ADDRESS_BYTES_MAX: usize = crate::wire::mesh::ANCHOR_BYTES_MAX;
/// The signaller is taken for gone after this time and up to as much again.
const PATIENCE: u64 = 5 * SECOND;
/// From the attempt to being let in.
const ENTRY: u64 = 10 * SECOND;
/// Anchors that are tried in a row.
pub const TRIES: u32 = 2;
/// From being let in to looking whether the signaller is back, and to the next anchor; doubles up to 16 times this.
const STAY: u64 = 15 * SECOND;
/// Where nobody lets us in, at the signaller; doubles up to 16 times this until somebody does.
const PAUSE: u64 = 60 * SECOND;
/// After so many failures in a row an anchor is forgotten.
pub const FAILURES_MAX: u32 = 3;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// These are what peers are wanted for.
    Shares(Vec<ContentId>),
    /// Whoever is used lets us in: [`crate::Event::SignallerUp`].
    Up,
    /// It does not, or not any more: [`crate::Event::SignallerDown`].
    Down,
    /// The time of [`Anchors::poll_timeout`] has come.
    Timeout,
}

/// An order to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Use this address, or the signaller's own, from now on, and open it at once. An anchor gets no token.
    Use(Option<String>),
    /// Remember this one no longer.
    Forget(String),
}

/// Where we are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The signaller lets us in.
    Home,
    /// It does not, and until then nobody else is tried.
    Out { until: Instant },
    /// This anchor is tried, or has to come back.
    Trying { address: String, until: Instant },
    /// It lets us in; then we look for the signaller.
    At { address: String, until: Instant },
    /// Is the signaller back? This anchor had let us in.
    Looking { address: String, until: Instant },
}

#[derive(Clone, Debug)]
struct Anchor {
    address: String,
    failures: u32,
    not_before: Instant,
}

/// The list and where we are.
#[derive(Debug)]
pub struct Anchors {
    list: Vec<Anchor>,
    shares: Vec<ContentId>,
    place: Place,
    /// Where we were since we have been everywhere.
    visited: Vec<String>,
    /// Anchors that failed in a row, pauses since somebody let us in, and stays since the signaller went.
    tried: u32,
    pauses: u32,
    stays: u32,
    rng: Rng,
    out: VecDeque<Action>,
}

impl Anchors {
    /// With the signaller out of reach since `now`. Of `addresses`, the newest first, those are taken that are addresses of
    /// anchors and not `home`.
    #[must_use]
    pub fn new<'a>(
        addresses: impl Iterator<Item = &'a str>,
        home: &str,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let good = addresses.filter(|address| is_address(address) && *address != home);
        let anchor = |address: &str| Anchor { address: address.into(), failures: 0, not_before: now };
        let mut rng = Rng::new(seed);
        Self {
            list: good.take(ANCHORS_MAX).map(anchor).collect(),
            shares: Vec::new(),
            place: Place::Out { until: now.after(PATIENCE + rng.below(PATIENCE)) },
            visited: Vec::new(),
            tried: 0,
            pauses: 0,
            stays: 0,
            rng,
            out: VecDeque::new(),
        }
    }

    /// Takes in one thing that happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Shares(shares) => self.shares = shares,
            Input::Up => self.on_up(now),
            Input::Down => self.on_down(now),
            Input::Timeout => match &self.place {
                Place::Out { until } if *until <= now => self.try_next(now),
                Place::At { address, until } if *until <= now => {
                    self.place = Place::Looking { address: address.clone(), until: now.after(ENTRY) };
                    self.out.push_back(Action::Use(None));
                }
                Place::Trying { until, .. } | Place::Looking { until, .. } if *until <= now => {
                    self.on_down(now);
                }
                _ => {}
            },
        }
    }

    /// The next order to the host.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.place {
            Place::Home => None,
            Place::Out { until } => (!self.list.is_empty()).then_some(*until),
            Place::Trying { until, .. } | Place::At { until, .. } | Place::Looking { until, .. } => {
                Some(*until)
            }
        }
    }

    fn on_up(&mut self, now: Instant) {
        (self.tried, self.pauses) = (0, 0);
        self.place = match core::mem::replace(&mut self.place, Place::Home) {
            Place::Trying { address, .. } => {
                if let Some(anchor) = self.list.iter_mut().find(|anchor| anchor.address == address) {
                    anchor.failures = 0;
                }
                Place::At { address, until: self.later(STAY << self.stays.min(4), now) }
            }
            Place::At { address, until } => Place::At { address, until },
            Place::Home | Place::Out { .. } | Place::Looking { .. } => {
                self.stays = 0;
                self.visited.clear();
                Place::Home
            }
        };
    }

    fn on_down(&mut self, now: Instant) {
        match self.place.clone() {
            Place::Home => {
                self.place = Place::Out { until: now.after(PATIENCE + self.rng.below(PATIENCE)) };
            }
            Place::Out { .. } => {}
            // It was there a moment ago: the node tries it again by itself.
            Place::At { address, .. } => self.place = Place::Trying { address, until: now.after(ENTRY) },
            Place::Looking { address, .. } => {
                self.stays += 1;
                self.visited.push(address);
                self.try_next(now);
            }
            Place::Trying { address, .. } => {
                self.on_failed(&address, now);
                self.tried += 1;
                self.try_next(now);
            }
        }
    }

    fn on_failed(&mut self, address: &str, now: Instant) {
        let Some(at) = self.list.iter().position(|anchor| anchor.address == address) else { return };
        let anchor = &mut self.list[at];
        anchor.failures += 1;
        anchor.not_before = now.after(PAUSE << anchor.failures);
        if anchor.failures >= FAILURES_MAX {
            self.list.remove(at);
            self.out.push_back(Action::Forget(address.into()));
        }
    }

    /// Tries the next anchor, or has a pause at home.
    fn try_next(&mut self, now: Instant) {
        let away = matches!(self.place, Place::Trying { .. });
        if self.tried < TRIES {
            let mut next = self.first(now);
            if next.is_none() {
                self.visited.clear();
                next = self.first(now);
            }
            if let Some(address) = next {
                self.out.push_back(Action::Use(Some(address.clone())));
                self.place = Place::Trying { address, until: now.after(ENTRY) };
                return;
            }
        }
        // Nothing is wanted yet: soon something may be.
        let span = if self.shares.is_empty() { SECOND } else { PAUSE << self.pauses.min(4) };
        if self.tried > 0 {
            self.pauses += 1;
        }
        self.tried = 0;
        self.place = Place::Out { until: self.later(span, now) };
        if away {
            self.out.push_back(Action::Use(None));
        }
    }

    /// Of those that do not rest and where we were not, and of these of those that failed least, the one that stands first for
    /// any of our shares.
    fn first(&self, now: Instant) -> Option<String> {
        let fits = |anchor: &&Anchor| anchor.not_before <= now && !self.visited.contains(&anchor.address);
        let free = self.list.iter().filter(fits);
        let rank = |anchor: &&Anchor| {
            let rank =
                |share: &ContentId| Hash::of(&[share.bytes().as_slice(), anchor.address.as_bytes()].concat());
            (anchor.failures, self.shares.iter().map(rank).min())
        };
        free.min_by_key(rank).filter(|_| !self.shares.is_empty()).map(|anchor| anchor.address.clone())
    }

    fn later(&mut self, span: u64, now: Instant) -> Instant {
        now.after(span / 2 + self.rng.below(span))
    }
}

/// Whether a text is the address of an anchor: `wss://` and host, with a port or none, and the one path `/signal`; or the same
/// with `ws://` on this machine. So nobody can have pages ask for any other thing of any other server.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("wss://").or_else(|| {
        text.strip_prefix("ws://").filter(|rest| {
            ["localhost", "127.0.0.1", "[::1]"]
                .iter()
                .any(|near| rest.strip_prefix(near).is_some_and(|behind| behind.starts_with([':', '/'])))
        })
    });
    let host = rest.and_then(|rest| rest.strip_suffix("/signal"));
    text.len() <= ADDRESS_BYTES_MAX
        && host.is_some_and(|host| {
            !host.is_empty() && host.bytes().all(|c| c.is_ascii_alphanumeric() || b".-:[]".contains(&c))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::{format, vec};

    const HOME: &str = "wss://home.example/signal";

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * SECOND)
    }

    fn anchors(count: u8, seed: u8) -> Anchors {
        let list: Vec<String> = (0..count).map(|number| format!("wss://a{number}.example/signal")).collect();
        let mut anchors = Anchors::new(list.iter().map(String::as_str), HOME, [seed; 32], Instant::ZERO);
        anchors.handle(Instant::ZERO, Input::Shares(vec![ContentId([9; 32])]));
        anchors
    }

    /// Plays until `end`; `is_there` says who lets somebody in. Answers when which address was used, home being empty.
    fn play(
        anchors: &mut Anchors,
        end: u64,
        is_there: &dyn Fn(&str, Instant) -> bool,
    ) -> Vec<(Instant, String)> {
        let mut used = Vec::new();
        while let Some(now) = anchors.poll_timeout().filter(|due| *due <= at(end)) {
            anchors.handle(now, Input::Timeout);
            while let Some(action) = anchors.poll_action() {
                let Action::Use(address) = action else { continue };
                let address = address.unwrap_or_default();
                let there = is_there(&address, now);
                used.push((now, address));
                anchors.handle(now, if there { Input::Up } else { Input::Down });
            }
        }
        used
    }

    #[test]
    fn visitors_of_one_share_meet_at_one_anchor_and_go_home_when_the_signaller_is_back() {
        let mut first = Vec::new();
        for seed in 0..20 {
            let mut anchors = anchors(20, seed);
            let used = play(&mut anchors, 1000, &|address, now| !address.is_empty() || now >= at(100));
            assert!(used[0].0 >= at(5) && used[0].0 < at(10), "{used:?}");
            first.push(used[0].1.clone());
            let home = used.last().expect("it is there from 100 s on");
            assert!(home.1.is_empty() && home.0 < at(400), "{used:?}");
            assert_eq!(anchors.place, Place::Home);
        }
        first.dedup();
        assert_eq!(first.len(), 1, "{first:?}");
    }

    #[test]
    fn an_anchor_that_is_none_is_tried_three_times_and_forgotten() {
        let mut anchors = anchors(20, 1);
        let used = play(&mut anchors, 40_000, &|_, _| false);
        let mut tries = BTreeMap::<&str, Vec<Instant>>::new();
        for (now, address) in used.iter().filter(|(_, address)| !address.is_empty()) {
            tries.entry(address).or_default().push(*now);
        }
        for times in tries.values() {
            assert!(times.len() <= FAILURES_MAX as usize, "{times:?}");
            for pair in times.windows(2) {
                assert!(pair[1].since(pair[0]).as_secs() >= 120, "{times:?}");
            }
        }
        for window in used.windows(TRIES as usize + 1) {
            assert!(window.iter().any(|(_, address)| address.is_empty()), "a pause after two: {window:?}");
        }
        assert!(anchors.list.is_empty() && anchors.poll_timeout().is_none(), "{:?}", anchors.list);
    }

    #[test]
    fn silence_counts_as_no_and_nothing_wanted_as_no_need() {
        let mut anchors = anchors(2, 1);
        anchors.handle(at(1), Input::Shares(vec![]));
        for second in 1..30 {
            anchors.handle(at(second), Input::Timeout);
            assert_eq!(anchors.poll_action(), None);
        }
        anchors.handle(at(30), Input::Shares(vec![ContentId([1; 32])]));
        anchors.handle(at(40), Input::Timeout);
        let Some(Action::Use(Some(first))) = anchors.poll_action() else { panic!("{anchors:?}") };
        anchors.handle(at(49), Input::Timeout);
        assert_eq!(anchors.poll_action(), None);
        anchors.handle(at(50), Input::Timeout);
        let Some(Action::Use(Some(second))) = anchors.poll_action() else { panic!("{anchors:?}") };
        assert_ne!(first, second);
        // Who was let in and is cut off waits for the same one first.
        anchors.handle(at(51), Input::Up);
        anchors.handle(at(52), Input::Down);
        assert_eq!(anchors.poll_action(), None);
        anchors.handle(at(53), Input::Up);
        assert!(matches!(&anchors.place, Place::At { address, .. } if *address == second));
    }

    #[test]
    fn addresses_ask_for_nothing_but_a_signaller() {
        for good in
            ["wss://a.example/signal", "wss://[2001:db8::1]:8443/signal", "ws://127.0.0.1:8787/signal"]
        {
            assert!(is_address(good), "{good}");
        }
        let long = format!("wss://{}/signal", "a".repeat(ADDRESS_BYTES_MAX));
        for bad in [
            "https://a.example/signal",
            "ws://a.example/signal",
            "ws://192.168.1.1/signal",
            "wss:///signal",
            "wss://a.example/admin?x=/signal",
            "wss://u:p@a.example/signal",
            "wss://a.example/x/signal",
            "ws://localhost.evil.example/signal",
            "wss://a.example/signal#",
            "",
            long.as_str(),
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_no_storm_comes_of_it(inputs in prop::collection::vec((0u8..4, 0u64..30), 0..200)) {
            let mut anchors = anchors(5, 3);
            let (mut now, mut used) = (0, 0);
            for (kind, wait) in inputs {
                now += wait;
                anchors.handle(at(now), match kind {
                    0 => Input::Up,
                    1 => Input::Down,
                    2 => Input::Shares(vec![ContentId([wait as u8; 32])]),
                    _ => Input::Timeout,
                });
                while let Some(action) = anchors.poll_action() {
                    used += u64::from(matches!(action, Action::Use(Some(_))));
                }
                prop_assert!(anchors.list.len() <= 5);
            }
            prop_assert!(used <= 20 + now / 5, "{used} in {now} s");
        }
    }
}
