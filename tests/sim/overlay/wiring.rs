//! A mesh as it stands after a long life: every peer with its siblings and one link into each bucket. What happens to
//! it from then on is the machines' own doing.

use super::world::World;
use swarmlet_core::wire::overlay::Point;

/// Links all peers of a world.
pub(super) fn wire(world: &mut World) {
    let mut order: Vec<(Point, usize)> =
        world.peers.iter().enumerate().map(|(index, peer)| (peer.point, index)).collect();
    order.sort_unstable();
    let buckets = order.len().next_power_of_two().trailing_zeros();
    let siblings = usize::from(world.settings.siblings);
    let mut linked: Vec<Vec<u32>> = vec![Vec::new(); order.len()];
    let mut wishes: Vec<usize> = (0..order.len()).collect();
    world.rng.shuffle(&mut wishes);
    for at in wishes {
        let (point, index) = order[at];
        for other in near(&order, at, siblings) {
            join(world, &mut linked, index, other);
        }
        for bucket in 0..buckets {
            let has = |other: &u32| point.bucket(world.peers[*other as usize].point) == bucket;
            let (from, to) = range(&order, point, bucket);
            let mut lacks = world
                .settings
                .per_bucket(bucket)
                .saturating_sub(linked[index].iter().filter(|other| has(other)).count())
                .min(to - from);
            while lacks > 0 {
                lacks -= 1;
                let pick = from + world.rng.below((to - from) as u64) as usize;
                join(world, &mut linked, index, order[pick].1);
            }
        }
    }
}

fn join(world: &mut World, linked: &mut [Vec<u32>], from: usize, to: usize) {
    if !linked[from].contains(&(to as u32)) {
        linked[from].push(to as u32);
        linked[to].push(from as u32);
        world.link(from, to);
    }
}

/// The nearest by exclusive or stand beside in the order, give or take some.
fn near(order: &[(Point, usize)], at: usize, count: usize) -> Vec<usize> {
    let (from, to) = (at.saturating_sub(8 * count), (at + 8 * count).min(order.len()));
    let point = order[at].0;
    let mut near: Vec<(u128, usize)> = order[from..to]
        .iter()
        .filter(|(other, _)| *other != point)
        .map(|(other, index)| (other.to(point), *index))
        .collect();
    near.sort_unstable();
    near.into_iter().take(count).map(|(_, index)| index).collect()
}

/// The peers of one bucket of `point`: a run of the order.
fn range(order: &[(Point, usize)], point: Point, bucket: u32) -> (usize, usize) {
    let (low, high) = (point.in_bucket(bucket, 0), point.in_bucket(bucket, u128::MAX));
    let from = order.partition_point(|(other, _)| *other < low);
    let to = order.partition_point(|(other, _)| *other <= high);
    (from, to)
}
