//! Who is linked, by place: one list, small enough to be looked through. A leaf.
//!
//! Invariant: a link stands here at most once, and only from its `Greet` on, so that every place is proven.

use super::quota::Quota;
use crate::id::LinkId;
use crate::time::Instant;
use crate::util::{Map, order};
use crate::wire::overlay::{Contact, Point, Role};
use alloc::vec::Vec;

/// A neighbour.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// Who.
    pub contact: Contact,
    /// Where.
    pub point: Point,
    /// What it does for others.
    pub role: Role,
    /// We chose it.
    pub outbound: bool,
    /// We want the link.
    pub wanted: bool,
    /// It wants the link.
    pub wanted_there: bool,
    /// When the link came.
    pub since: Instant,
    /// When both had ceased to want it.
    pub idle_since: Option<Instant>,
    /// What it may still have passed on.
    pub quota: Quota,
    /// What it may still say.
    pub said: Quota,
}

/// All neighbours.
#[derive(Debug, Default)]
pub struct Table {
    me: Point,
    links: Map<LinkId, Neighbour>,
}

impl Table {
    /// The table of who stands at `me`.
    #[must_use]
    pub const fn new(me: Point) -> Self {
        Self { me, links: Map::new() }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.links.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// The neighbour at a link.
    #[must_use]
    pub fn get(&self, link: LinkId) -> Option<&Neighbour> {
        self.links.get(&link)
    }

    /// The neighbour at a link.
    pub fn get_mut(&mut self, link: LinkId) -> Option<&mut Neighbour> {
        self.links.get_mut(&link)
    }

    /// A new neighbour.
    pub fn insert(&mut self, link: LinkId, neighbour: Neighbour) {
        self.links.insert(link, neighbour);
    }

    /// It is gone.
    pub fn remove(&mut self, link: LinkId) -> Option<Neighbour> {
        self.links.remove(&link)
    }

    /// Everybody.
    pub fn iter(&self) -> impl Iterator<Item = (LinkId, &Neighbour)> + Clone {
        self.links.iter().map(|(link, neighbour)| (*link, neighbour))
    }

    /// Everybody.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (LinkId, &mut Neighbour)> {
        self.links.iter_mut().map(|(link, neighbour)| (*link, neighbour))
    }

    /// Those who pass on.
    pub fn routers(&self) -> impl Iterator<Item = (LinkId, &Neighbour)> + Clone {
        self.iter().filter(|(_, neighbour)| neighbour.role != Role::Leaf)
    }

    /// Whether there is a link to who stands there.
    #[must_use]
    pub fn has(&self, point: Point) -> bool {
        self.iter().any(|(_, neighbour)| neighbour.point == point)
    }

    /// The router nearest to a place, if it is nearer than `than`.
    #[must_use]
    pub fn nearer(&self, key: Point, than: u128, not: Option<LinkId>) -> Option<LinkId> {
        let mut best = (than, None);
        for (link, neighbour) in self.routers() {
            let distance = neighbour.point.to(key);
            if distance < best.0 && Some(link) != not {
                best = (distance, Some(link));
            }
        }
        best.1
    }

    /// The routers nearest to a place, nearest first.
    #[must_use]
    pub fn nearest(&self, key: Point, count: usize) -> Vec<LinkId> {
        let mut found: Vec<(u128, LinkId)> = Vec::new();
        for (link, neighbour) in self.routers() {
            found.push((neighbour.point.to(key), link));
        }
        let order = order(found.len(), &|a, b| found[a] < found[b]);
        order.into_iter().take(count).map(|at| found[at].1).collect()
    }

    /// How far the last of the nearest `count` is, in the upper half; `None`: there are not so many.
    #[must_use]
    pub fn reach(&self, count: usize) -> Option<u64> {
        let nearest = self.nearest(self.me, count);
        let last = nearest.last().filter(|_| nearest.len() == count)?;
        Some(self.links[last].point.far(self.me))
    }

    /// How many routers there are in the whole overlay, judged by how dense they stand around us (theory §3.3).
    #[must_use]
    pub fn estimate(&self, siblings: usize) -> u64 {
        let Some(reach) = self.reach(siblings) else { return self.routers().count() as u64 + 1 };
        (siblings as u64).saturating_mul(u64::MAX / reach.max(1))
    }

    /// Links in a bucket: those that we chose, and the others.
    #[must_use]
    pub fn in_bucket(&self, bucket: u32) -> (usize, usize) {
        let (mut ours, mut theirs) = (0, 0);
        for (_, neighbour) in self.routers() {
            if self.me.bucket(neighbour.point) == bucket {
                *(if neighbour.outbound { &mut ours } else { &mut theirs }) += 1;
            }
        }
        (ours, theirs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PeerId;
    use proptest::prelude::*;

    fn neighbour(point: u128) -> Neighbour {
        Neighbour {
            contact: Contact { peer: PeerId([1; 32]), nonce: 0 },
            point: Point(point),
            role: Role::Router,
            outbound: point.is_multiple_of(2),
            wanted: true,
            wanted_there: true,
            since: Instant::ZERO,
            idle_since: None,
            quota: Quota::default(),
            said: Quota::said(),
        }
    }

    proptest! {
        #[test]
        fn nearest_comes_first_and_nobody_is_missing(points in prop::collection::vec(any::<u128>(), 0..40), key: u128) {
            let mut table = Table::new(Point(0));
            for (link, point) in points.iter().enumerate() {
                table.insert(LinkId(link as u32), neighbour(*point));
            }
            let near = table.nearest(Point(key), 8);
            let mut expected: Vec<u128> = points.iter().map(|point| point ^ key).collect();
            expected.sort_unstable();
            expected.truncate(8);
            let found: Vec<u128> = near.iter().map(|link| table.get(*link).unwrap().point.to(Point(key))).collect();
            prop_assert_eq!(&found, &expected);
            let first = table.nearer(Point(key), u128::MAX, None);
            prop_assert_eq!(first.is_some(), expected.first().is_some_and(|first| *first < u128::MAX));
            let counted: usize = (0..=128).map(|bucket| { let (a, b) = table.in_bucket(bucket); a + b }).sum();
            prop_assert_eq!(counted, points.len());
        }

        #[test]
        fn the_estimate_is_of_the_right_size(seed: u64) {
            let mut rng = crate::rng::Rng::new([seed as u8; 32]);
            let mut estimates: Vec<u64> = (0..15).map(|_| {
                let mut table = Table::new(Point(0));
                for link in 0..1000 {
                    table.insert(LinkId(link), neighbour(u128::from(rng.below(u64::MAX)) << 64));
                }
                table.estimate(8)
            }).collect();
            estimates.sort_unstable();
            prop_assert!((500..2500).contains(&estimates[7]), "{:?}", estimates);
        }
    }
}
