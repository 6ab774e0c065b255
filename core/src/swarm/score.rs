//! What a neighbour is worth to us: one number that nobody else is told. A leaf.
//!
//! The shape is that of gossipsub v1.1's peer score (theory §4): what is good adds up and is capped, what is bad counts by
//! its square, and both are forgotten. It decides where there is a choice among neighbours: which one gives way, whom we
//! name to others, whose word about others is taken, who is called again. Whom to serve is the deficit's business.
//!
//! Theory's P6 (many from one network) has no place here, since core does not see addresses; P7 (abuse of relaying) is paid from
//! a purse (`mesh`).

use crate::time::{Instant, SECOND};

/// Points are counted in thousandths.
const POINT: u64 = 1000;
/// P1: a point for each minute that the link lives, up to ten.
const MINUTE: u64 = 60 * SECOND;
const MINUTES_MAX: u64 = 10 * POINT;
/// P2: half a point for each verified MiB, up to fifty of them.
const GIVEN_MAX: u64 = 50 << 20;
/// P4: of messages that nobody asked for some cross a cancel honestly; so many are one bad one, at 20 points.
const STRAYS: u64 = 32;
const BAD: u64 = 20;
/// What was given and what was broken shrink by 3 % in this time: half is forgotten in four minutes.
const DECAY_EVERY: u64 = 10 * SECOND;

/// The sums that a score is made of.
#[derive(Debug)]
pub(crate) struct Score {
    since: Instant,
    decayed: Instant,
    /// Verified bytes.
    given: u64,
    /// Promises that were not kept, in thousandths.
    broken: u64,
    strays: u64,
}

impl Score {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { since: now, decayed: now, given: 0, broken: 0, strays: 0 }
    }

    /// It gave us something verified.
    pub(crate) fn gave(&mut self, now: Instant, bytes: u64) {
        self.decay(now);
        self.given = (self.given + bytes).min(GIVEN_MAX);
    }

    /// It kept us waiting for what it had promised.
    pub(crate) fn broke(&mut self, now: Instant) {
        self.decay(now);
        self.broken += POINT;
    }

    /// It sent what nobody had asked for. Answers how often it did.
    pub(crate) const fn strayed(&mut self) -> u64 {
        self.strays += 1;
        self.strays
    }

    #[cfg(feature = "lab")]
    pub(crate) const fn strays(&self) -> u64 {
        self.strays
    }

    /// The score, in thousandths of a point. Below zero a peer is not kept where others want its place.
    pub(crate) fn at(&self, now: Instant) -> i64 {
        let mut sums = Self { ..*self };
        sums.decay(now);
        let minutes = (now.passed(self.since) / (MINUTE / POINT)).min(MINUTES_MAX);
        let mib = (sums.given * POINT) >> 20;
        let strays = self.strays * POINT / STRAYS;
        let bad = sums.broken * sums.broken / POINT + BAD * strays * strays / POINT;
        (minutes + mib / 2).cast_signed() - bad.cast_signed()
    }

    fn decay(&mut self, now: Instant) {
        let steps = now.passed(self.decayed) / DECAY_EVERY;
        self.decayed = self.decayed.after(steps * DECAY_EVERY);
        // After an hour nothing is left worth counting.
        for _ in 0..steps.min(360) {
            self.given -= self.given.div_ceil(33);
            self.broken -= self.broken.div_ceil(33);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn second(at: u64) -> Instant {
        Instant::from_micros(at * SECOND)
    }

    #[test]
    fn who_gives_is_worth_more_than_who_is_only_there_and_broken_promises_outweigh_both() {
        let (mut giver, idle, mut liar) =
            (Score::new(Instant::ZERO), Score::new(Instant::ZERO), Score::new(Instant::ZERO));
        giver.gave(second(1), 4 << 20);
        for _ in 0..3 {
            liar.broke(second(1));
        }
        assert_eq!([&giver, &idle, &liar].map(|score| score.at(second(6))), [2100, 100, -8900]);
    }

    #[test]
    fn what_was_is_forgotten_and_time_and_gifts_are_capped() {
        let mut score = Score::new(Instant::ZERO);
        score.gave(Instant::ZERO, 1 << 40);
        assert_eq!(score.at(Instant::ZERO), 25_000);
        assert_eq!(score.at(second(86_400)), 10_000);
        let mut score = Score::new(Instant::ZERO);
        for _ in 0..5 {
            score.broke(Instant::ZERO);
        }
        assert!(score.at(second(230)) < -2000 && score.at(second(900)) > 9000);
    }

    #[test]
    fn a_stray_is_nothing_and_many_are_much() {
        let mut score = Score::new(Instant::ZERO);
        score.strayed();
        assert_eq!(score.at(Instant::ZERO), -19);
        while score.strayed() < 256 {}
        assert_eq!(score.at(Instant::ZERO), -1_280_000);
    }

    proptest! {
        #[test]
        fn more_good_is_never_worth_less_and_more_bad_never_more(
            gifts in prop::collection::vec((0u64..900, 0u64..1 << 30), 0..20), broken in 0u64..50, later in 0u64..100_000,
        ) {
            let mut less = Score::new(Instant::ZERO);
            let mut more = Score::new(Instant::ZERO);
            let mut worse = Score::new(Instant::ZERO);
            let mut at = 0;
            for (wait, bytes) in gifts {
                at += wait;
                less.gave(second(at), bytes / 2);
                more.gave(second(at), bytes);
                worse.gave(second(at), bytes / 2);
            }
            for _ in 0..broken {
                worse.broke(second(at));
            }
            let now = second(at + later);
            prop_assert!(worse.at(now) <= less.at(now) && less.at(now) <= more.at(now));
            prop_assert!(more.at(now) <= 35_000);
        }
    }
}
