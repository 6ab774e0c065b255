//! The safe path: who is nearest to a place, asked step by step along lanes that share no peer. A leaf.
//!
//! Each peer that is asked names neighbours of its own, and is the last step on the way to them; so no link is made
//! (theory §3.3, relay-iterative). A liar can name liars only: whom one lane has met, no other lane takes from it,
//! and of one answer [`TAKEN_MAX`] are taken.

use crate::id::LinkId;
use crate::rng::Rng;
use crate::time::{Instant, SECOND};
use crate::wire::overlay::{Contact, Lead, Point};
use alloc::vec::Vec;

/// Peers taken from one answer: 4. Theory §3.3 says 3, with which 0.980 to 0.987 are found where half of all lie, and 0.988
/// to 0.993 with 4 (four and five seeds, `overlay-sybil --set minutes=1 --set rate=40`).
pub const TAKEN_MAX: usize = 4;
/// Peers remembered in one search.
pub const SPOTS_MAX: usize = 96;
/// Links between us and who is asked: 10 (theory §3.3).
pub const WAY_MAX: usize = 10;
/// Silence after which somebody is given up: so much, and so much more for each link on the way. Four links make the
/// 1.2 s of theory §3.3; who answers later is heard all the same.
const SILENCE_US: u64 = SECOND * 2 / 5;
const SILENCE_HOP_US: u64 = SECOND / 5;

/// How to reach somebody over links that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Our link.
    pub link: LinkId,
    /// The further steps, the last one first, as messages carry them.
    pub rest: Vec<u32>,
}

impl Way {
    /// The way to who stands one link further.
    #[must_use]
    pub fn then(&self, label: u32) -> Self {
        let mut rest = Vec::with_capacity(self.rest.len() + 1);
        rest.push(label);
        rest.extend_from_slice(&self.rest);
        Self { link: self.link, rest }
    }

    /// Links that it crosses.
    #[must_use]
    pub const fn hops(&self) -> usize {
        self.rest.len() + 1
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Asked { until: Instant },
    Answered,
    Failed,
}

/// Somebody who may be near.
#[derive(Clone, Debug)]
pub struct Spot {
    /// Who.
    pub contact: Contact,
    /// Where.
    pub point: Point,
    /// How to get there.
    pub way: Way,
    /// Another way, if the first one fails.
    other: Option<Way>,
    lane: u8,
    state: State,
    /// Who named it.
    by: Point,
    /// It should keep the record, and does not.
    is_vain: bool,
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Lookup {
    key: Point,
    lanes: u8,
    /// A lane ends when this many peers nearer than its next one are known,
    width: usize,
    /// and nobody of the region is left: who stands nearer than this, in the upper half.
    radius: u64,
    /// Questions that may still be asked.
    budget: u32,
    /// By which bits chance chooses within the region.
    turn: u32,
    /// By distance.
    spots: Vec<Spot>,
}

impl Lookup {
    /// Nobody known yet.
    #[must_use]
    pub const fn new(key: Point, lanes: u8, width: usize, radius: u64, budget: u32) -> Self {
        Self { key, lanes, width, radius, budget, turn: 0, spots: Vec::new() }
    }

    /// The place that is searched.
    #[must_use]
    pub const fn key(&self) -> Point {
        self.key
    }

    /// Adds one of our own neighbours; they are dealt out to the lanes in turn.
    pub fn start(&mut self, contact: Contact, point: Point, link: LinkId, turn: usize) {
        let lane = (turn % usize::from(self.lanes.max(1))) as u8;
        self.add(Spot {
            contact,
            point,
            way: Way { link, rest: Vec::new() },
            other: None,
            lane,
            state: State::New,
            by: point,
            is_vain: false,
        });
    }

    /// Somebody answered whom a greedy message found.
    pub fn met(&mut self, contact: Contact, point: Point, way: Way, lane: u8, leads: &[(Lead, Point)]) {
        let state = State::Answered;
        self.add(Spot {
            contact,
            point,
            way: way.clone(),
            other: None,
            lane,
            state,
            by: point,
            is_vain: false,
        });
        self.take(&way, point, lane, leads);
    }

    /// Whether who stands there is of those who keep the key's records.
    #[must_use]
    pub const fn in_region(&self, point: Point) -> bool {
        point.far(self.key) <= self.radius
    }

    /// Somebody answered whom we asked; without leads: there is no more to be had there. `false`: we did not.
    pub fn on_answer(&mut self, point: Point, leads: &[(Lead, Point)]) -> bool {
        let Some(spot) = self.spots.iter_mut().find(|spot| spot.point == point) else { return false };
        if !matches!(spot.state, State::Asked { .. } | State::Failed) {
            return false;
        }
        spot.state = State::Answered;
        spot.is_vain = leads.is_empty();
        let (way, lane) = (spot.way.clone(), spot.lane);
        self.take(&way, point, lane, leads);
        true
    }

    fn take(&mut self, way: &Way, by: Point, lane: u8, leads: &[(Lead, Point)]) {
        if way.hops() >= WAY_MAX {
            return;
        }
        let mut taken = 0;
        // Leads come in any order that a liar likes. Within the region all are equal, so that places next to the key
        // are worth no more than others; outside it those nearest to it are taken.
        let rank = |at: usize| {
            let point: Point = leads[at].1;
            let in_region = point.far(self.key) <= self.radius;
            (!in_region, if in_region { point.0.rotate_left(self.turn) } else { point.to(self.key) })
        };
        let order = crate::util::order(leads.len(), &|a, b| rank(a) < rank(b));
        for (lead, point) in order.into_iter().map(|at| leads[at]) {
            if let Some(known) = self.spots.iter_mut().find(|spot| spot.point == point) {
                if known.other.is_none() && known.lane != lane && known.way.hops() > 1 {
                    known.other = Some(way.then(lead.label));
                }
            } else if taken < TAKEN_MAX {
                taken += 1;
                let (contact, way) = (lead.contact, way.then(lead.label));
                self.add(Spot {
                    contact,
                    point,
                    way,
                    other: None,
                    lane,
                    state: State::New,
                    by,
                    is_vain: false,
                });
            }
        }
    }

    fn add(&mut self, spot: Spot) {
        let distance = spot.point.to(self.key);
        let at = self.spots.partition_point(|known| known.point.to(self.key) < distance);
        if self.spots.get(at).is_some_and(|known| known.point == spot.point) {
            return;
        }
        self.spots.insert(at, spot);
        self.spots.truncate(SPOTS_MAX);
    }

    /// Whom to ask now, at most one for each lane that waits for nobody. Within the region anybody may have what is
    /// looked for, so chance decides: who paid for the places nearest to the key is not asked first.
    pub fn steps(&mut self, now: Instant, rng: &mut Rng) -> Vec<Way> {
        // The low bits of places are nobody's choice: they decide among those in the region.
        self.turn = 8 + rng.below(80) as u32;
        let mut ways = Vec::new();
        for lane in 0..self.lanes {
            let waits = |spot: &Spot| spot.lane == lane && matches!(spot.state, State::Asked { .. });
            if self.budget == 0 || self.spots.iter().any(waits) {
                continue;
            }
            let Some(at) = self.next(lane, rng) else { continue };
            let spot = &mut self.spots[at];
            let silence = SILENCE_US + SILENCE_HOP_US * spot.way.hops() as u64;
            spot.state = State::Asked { until: now.after(silence) };
            self.budget -= 1;
            ways.push(spot.way.clone());
        }
        ways
    }

    fn next(&self, lane: u8, rng: &mut Rng) -> Option<usize> {
        let is_new = |at: &usize| self.spots[*at].lane == lane && self.spots[*at].state == State::New;
        let in_region = |at: &usize| self.spots[*at].point.far(self.key) <= self.radius;
        // Who has named one there that has no record is likely to have named others: those wait.
        let is_doubted = |at: &usize| {
            let by = self.spots[*at].by;
            self.spots.iter().any(|spot| spot.by == by && spot.is_vain)
        };
        let (mut region, mut waiting) = (Vec::new(), None);
        for at in (0..self.spots.len()).filter(in_region).filter(is_new) {
            if is_doubted(&at) {
                waiting.get_or_insert(at);
            } else {
                region.push(at);
            }
        }
        if let Some(at) = rng.pick(&region) {
            return Some(*at);
        }
        let alive = (0..self.spots.len()).filter(|at| self.spots[*at].state != State::Failed);
        let outside = |at: &usize| is_new(at) && !in_region(at);
        alive.take(self.width).find(outside).or(waiting)
    }

    /// Gives up whom silence proves wrong, or tries the other way to it.
    pub fn expire(&mut self, now: Instant) {
        for spot in &mut self.spots {
            if matches!(spot.state, State::Asked { until } if until <= now) {
                spot.state = State::Failed;
                if let Some(other) = spot.other.take() {
                    (spot.way, spot.state) = (other, State::New);
                }
            }
        }
    }

    /// When somebody is given up next. `None`: the search is over.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let until = |spot: &Spot| match spot.state {
            State::Asked { until } => Some(until),
            State::New | State::Answered | State::Failed => None,
        };
        self.spots.iter().filter_map(until).min()
    }

    /// Who answered, nearest first: everybody in the region, and `count` at least.
    pub fn keepers(&self, count: usize) -> impl Iterator<Item = &Spot> {
        let in_region = move |spot: &Spot| spot.point.far(self.key) <= self.radius;
        self.answered()
            .enumerate()
            .filter(move |(at, spot)| *at < count || in_region(spot))
            .map(|(_, spot)| spot)
    }

    /// How many did not answer, or lie on ways that are broken.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.spots.iter().filter(|spot| spot.state == State::Failed).count()
    }

    /// Who answered, nearest first.
    pub fn answered(&self) -> impl Iterator<Item = &Spot> {
        self.spots.iter().filter(|spot| spot.state == State::Answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;
    use crate::util::Map;
    use proptest::prelude::*;

    const fn contact() -> Contact {
        Contact { peer: PeerId([7; 32]), nonce: 0 }
    }

    fn lead(label: u32, point: u128) -> (Lead, Point) {
        (Lead { contact: contact(), label }, Point(point))
    }

    /// A world of points, each of which knows those next to it and some far away; the way tells who is asked.
    fn search(points: &[u128], key: u128, lanes: u8, dead: impl Fn(u128) -> bool) -> (Lookup, u32) {
        let mut lookup = Lookup::new(Point(key), lanes, 8, 1 << 59, 200);
        let mut rng = crate::rng::Rng::new([1; 32]);
        for (turn, point) in points.iter().take(8).enumerate() {
            lookup.start(contact(), Point(*point), LinkId(turn as u32), turn);
        }
        let (mut now, mut asked) = (Instant::ZERO, 0);
        loop {
            lookup.expire(now);
            let ways = lookup.steps(now, &mut rng);
            asked += ways.len() as u32;
            let open: Vec<Point> = lookup
                .spots
                .iter()
                .filter(|spot| matches!(spot.state, State::Asked { .. }))
                .map(|spot| spot.point)
                .collect();
            for point in open.iter().filter(|point| !dead(point.0)) {
                let mut near: Vec<u128> = points.to_vec();
                near.sort_unstable_by_key(|other| other ^ key);
                let rank = near.iter().position(|other| *other == point.0).unwrap();
                let from = rank.saturating_sub(8);
                let leads: Vec<_> =
                    near[from..rank].iter().enumerate().map(|(at, point)| lead(at as u32, *point)).collect();
                assert!(lookup.on_answer(*point, &leads));
            }
            match lookup.deadline() {
                Some(deadline) => now = deadline,
                None if ways.is_empty() => return (lookup, asked),
                None => {}
            }
        }
    }

    proptest! {
        #[test]
        fn it_ends_with_the_nearest_that_live_and_asks_nobody_twice(
            seed: u8, key: u128, lanes in 1u8..5, dead_in in 3u128..9,
        ) {
            let mut rng = crate::rng::Rng::new([seed; 32]);
            let points: Vec<u128> = (0..60)
                .map(|_| u128::from(rng.below(u64::MAX)) << 64 | u128::from(rng.below(u64::MAX)))
                .collect();
            let (lookup, asked) = search(&points, key, lanes, |point| point.is_multiple_of(dead_in));
            prop_assert!(asked as usize <= 2 * points.len());
            let seen: Map<Point, ()> = lookup.spots.iter().map(|spot| (spot.point, ())).collect();
            prop_assert_eq!(seen.len(), lookup.spots.len());
            prop_assert!(lookup.spots.windows(2).all(|pair| pair[0].point.to(Point(key)) < pair[1].point.to(Point(key))));
            prop_assert!(lookup.answered().all(|spot| !spot.point.0.is_multiple_of(dead_in)));
            prop_assert!(lookup.spots.iter().all(|spot| spot.way.hops() <= WAY_MAX));
        }

        #[test]
        fn what_strangers_answer_is_not_taken(point: u128) {
            let mut lookup = Lookup::new(Point(0), 4, 20, 0, 45);
            prop_assert!(!lookup.on_answer(Point(point), &[lead(1, 2)]));
            prop_assert!(lookup.spots.is_empty());
        }
    }

    #[test]
    fn one_answer_adds_four_and_a_second_way_is_kept_for_later() {
        let mut lookup = Lookup::new(Point(0), 2, 20, 0, 45);
        lookup.start(contact(), Point(1 << 100), LinkId(1), 0);
        lookup.start(contact(), Point(1 << 101), LinkId(2), 1);
        assert_eq!(lookup.steps(Instant::ZERO, &mut crate::rng::Rng::new([1; 32])).len(), 2);
        let leads: Vec<_> = (1..=5).map(|at| lead(at, u128::from(at))).collect();
        assert!(lookup.on_answer(Point(1 << 100), &leads));
        assert_eq!(lookup.spots.len(), 6);
        assert!(lookup.on_answer(Point(1 << 101), &leads[..1]));
        assert_eq!(
            lookup.steps(Instant::ZERO, &mut crate::rng::Rng::new([1; 32])),
            [Way { link: LinkId(1), rest: alloc::vec![1] }]
        );
        let late = Instant::ZERO.after(SECOND);
        lookup.expire(late);
        let again = lookup.steps(late, &mut crate::rng::Rng::new([1; 32]));
        assert!(again.contains(&Way { link: LinkId(2), rest: alloc::vec![1] }), "{again:?}");
    }
}
