//! The times that no swarm can beat (Kumar and Ross's fluid bound, Mundinger, Weber and Weiss's last-block
//! bound, both with ramp-up), with and without free riders, and the share of a stream that viewers can give each
//! other (Kumar, Liu and Ross). Each term holds for any protocol; every run is printed as a ratio to the largest.

use swarmlet_core::config::LEAF_BYTES;

/// What a run had to work with. Rates are bytes per second.
#[derive(Clone, Debug)]
pub struct Task {
    /// Bytes that each peer wants.
    pub bytes: u64,
    /// Upload rates of all seeds and origins together.
    pub source_up: f64,
    /// Upload rate of each peer that wants the content.
    pub up: Vec<f64>,
    /// The slowest download rate among them.
    pub down_min: f64,
    /// Seconds until a first link can be up.
    pub connect: f64,
}

/// The terms of the bound in seconds, connection set-up apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// All upload capacity together, as peers come to own something.
    pub aggregate: f64,
    /// The last fresh leaf leaves the sources and still has to spread.
    pub last_leaf: f64,
    /// The slowest download.
    pub slowest: f64,
    /// The largest of them plus set-up.
    pub total: f64,
}

/// Computes the bound of `task`.
#[must_use]
pub fn lower_bound(task: &Task) -> Bound {
    let bytes = task.bytes as f64;
    let mut up = task.up.clone();
    up.sort_by(|a, b| b.total_cmp(a));
    let fastest = up.first().copied().unwrap_or(0.0).max(task.source_up);
    // Files below a leaf have a shorter smallest unit.
    let tau = bytes.min(f64::from(LEAF_BYTES)) / fastest;
    let count = up.len() as u64;
    let aggregate = aggregate_time(task.source_up, &up, bytes, tau);
    let last_leaf = bytes / task.source_up + f64::from(log2_floor(count.max(1))) * tau;
    let slowest = bytes / task.down_min;
    let total = task.connect + aggregate.max(last_leaf).max(slowest);
    Bound { aggregate, last_leaf, slowest, total }
}

/// The smallest T with `source·T + Σ u_i·max(0, T − t_i) ≥ N·F`: the i-th peer cannot own anything before
/// `t_i = tau·ceil(log2(i + 1))`, since holders at most double in each tau.
fn aggregate_time(source_up: f64, up: &[f64], bytes: f64, tau: f64) -> f64 {
    let needed = bytes * up.len() as f64;
    let carried = |time: f64| {
        let relayed: f64 = (1u64..)
            .zip(up)
            .map(|(rank, rate)| rate * (time - tau * f64::from(log2_ceil(rank + 1))).max(0.0))
            .sum();
        source_up.mul_add(time, relayed)
    };
    let (mut low, mut high) = (0.0, needed / source_up);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if carried(middle) >= needed { high = middle } else { low = middle }
    }
    // The lower end, so that rounding can only weaken the bound.
    low
}

/// Kumar and Ross's fluid bound: content that flows like water, no ramp-up, no set-up.
#[must_use]
pub fn fluid(task: &Task) -> f64 {
    let bytes = task.bytes as f64;
    let total: f64 = task.source_up + task.up.iter().sum::<f64>();
    let aggregate = task.up.len() as f64 * bytes / total;
    (bytes / task.source_up).max(bytes / task.down_min).max(aggregate)
}

/// Mundinger, Weber and Weiss's bound for `peers` and a source of the same rate `up`, where a leaf is passed on
/// once it is whole: `M + floor(log2 N)` rounds.
#[must_use]
pub fn chunked(bytes: u64, peers: u64, up: f64) -> f64 {
    let leaves = bytes.div_ceil(u64::from(LEAF_BYTES)).max(1);
    let rounds = leaves as f64 + f64::from(log2_floor(peers.max(1)));
    bytes as f64 / up * (rounds / leaves as f64)
}

/// What free riders cost. `task` describes the contributors; `riders` others want the same and give nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WithRiders {
    /// The contributors' bound where they are served first.
    pub contributors: f64,
    /// The bound for everybody, which is also the contributors' where nobody is preferred.
    pub everybody: f64,
}

/// Computes the free-rider bounds, connection set-up included.
#[must_use]
pub fn with_riders(task: &Task, riders: usize) -> WithRiders {
    let mut all = task.clone();
    all.up.resize(task.up.len() + riders, 0.0);
    WithRiders { contributors: lower_bound(task).total, everybody: lower_bound(&all).total }
}

/// The largest share of a stream of `bitrate` bytes per second that viewers with these upload rates can give each
/// other, where a share `reachable` of their capacity reaches somebody who wants it: at most all but one copy.
#[must_use]
pub fn max_offload(up: &[f64], bitrate: f64, reachable: f64) -> f64 {
    let viewers = up.len() as f64;
    if up.is_empty() {
        return 0.0;
    }
    (1.0 - 1.0 / viewers).min(reachable * up.iter().sum::<f64>() / (viewers * bitrate))
}

/// The highest bitrate that everybody can watch: `min(u_S, (u_S + Σ u_i) / n)`.
#[must_use]
pub fn max_bitrate(source_up: f64, up: &[f64]) -> f64 {
    source_up.min((source_up + up.iter().sum::<f64>()) / up.len().max(1) as f64)
}

const fn log2_floor(value: u64) -> u32 {
    value.ilog2()
}

const fn log2_ceil(value: u64) -> u32 {
    value.next_power_of_two().ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) {
        assert!((left - right).abs() <= 1e-9 * right.abs().max(1.0), "{left} is not {right}");
    }

    fn task(peers: usize, source_up: f64, up: f64) -> Task {
        Task { bytes: 16 << 20, source_up, up: vec![up; peers], down_min: 1e12, connect: 0.0 }
    }

    #[test]
    fn one_peer_takes_as_long_as_its_source_needs() {
        let bound = lower_bound(&task(1, 1e6, 1e6));
        near(bound.total, f64::from(16 << 20) / 1e6);
    }

    #[test]
    fn equal_peers_give_rounds_m_plus_floor_log2_n() {
        // (F/u)·(1 + floor(log2 N)/M), M leaves.
        let leaves = 1024.0;
        for (peers, extra) in [(1, 0.0), (3, 1.0), (7, 2.0), (20, 4.0), (1000, 9.0)] {
            let bound = lower_bound(&task(peers, 1e6, 1e6));
            near(bound.last_leaf, f64::from(16 << 20) / 1e6 * (1.0 + extra / leaves));
        }
    }

    #[test]
    fn without_relaying_a_source_sends_every_copy() {
        let mut lone = task(10, 1e6, 1e6);
        lone.up = vec![0.0; 10];
        near(lower_bound(&lone).aggregate, 10.0 * f64::from(16 << 20) / 1e6);
    }

    #[test]
    fn strong_sources_leave_the_aggregate_term_between_fluid_and_fluid_plus_ramp() {
        let strong = task(100, 4e6, 1e6);
        let fluid = 100.0 * f64::from(16 << 20) / (4e6 + 100.0 * 1e6);
        let ramp = 16384.0 / 4e6 * 7.0;
        let bound = lower_bound(&strong);
        assert!(bound.aggregate >= fluid && bound.aggregate <= fluid + ramp, "{bound:?} {fluid}");
    }

    #[test]
    fn the_slowest_download_counts_and_set_up_is_added() {
        let mut slow = task(4, 1e6, 1e6);
        slow.down_min = 1e5;
        slow.connect = 0.6;
        near(lower_bound(&slow).total, 0.6 + f64::from(16 << 20) / 1e5);
    }

    #[test]
    fn water_flows_at_the_narrowest_place() {
        let bytes = f64::from(16 << 20);
        // The source, everybody together, one download.
        near(fluid(&task(1000, 1e6, 4e6)), bytes / 1e6);
        near(fluid(&task(1000, 4e6, 1e6)), 1000.0 * bytes / 1004e6);
        near(fluid(&Task { down_min: 1e5, ..task(1000, 4e6, 1e6) }), bytes / 1e5);
        // Ramp-up and the last leaf only ever add to it.
        for (peers, source, up) in [(1, 1e6, 1e6), (10, 4e6, 1e6), (1000, 1e6, 5e5), (1000, 4e6, 1e6)] {
            let task = task(peers, source, up);
            assert!(lower_bound(&task).total >= fluid(&task) * (1.0 - 1e-12), "{task:?}");
        }
    }

    #[test]
    fn leaves_that_are_passed_on_whole_add_a_round_for_each_doubling() {
        near(chunked(16 << 20, 1, 1e6), f64::from(16 << 20) / 1e6);
        near(chunked(1024 * 16384, 1000, 16384.0), 1024.0 + 9.0);
        near(chunked(1024 * 16384, 1023, 16384.0), 1024.0 + 9.0);
        near(chunked(1024 * 16384, 1024, 16384.0), 1024.0 + 10.0);
        near(chunked(1000, 4, 1000.0), 1.0 + 2.0);
        let equal = lower_bound(&task(1000, 1e6, 1e6));
        near(chunked(16 << 20, 1000, 1e6), equal.last_leaf);
    }

    #[test]
    fn half_free_riders_cost_nothing_or_double_the_time() {
        let clean = lower_bound(&task(1000, 4e6, 1e6)).total;
        let half = with_riders(&task(500, 4e6, 1e6), 500);
        assert!((half.contributors / clean - 1.0).abs() < 0.01, "{half:?} {clean}");
        assert!((half.everybody / clean - 2.0).abs() < 0.02, "{half:?} {clean}");
        let none = with_riders(&task(1000, 4e6, 1e6), 0);
        near(none.contributors, none.everybody);
    }

    #[test]
    fn viewers_can_give_what_they_have_and_all_but_one_copy() {
        near(max_offload(&[1.2; 1000], 1.0, 1.0), 0.999);
        near(max_offload(&[0.6; 1000], 1.0, 0.9), 0.54);
        near(max_offload(&[9.0; 2], 1.0, 0.9), 0.5);
        near(max_offload(&[], 1.0, 0.9), 0.0);
        near(max_bitrate(4.0, &[1.0; 100]), 1.04);
        near(max_bitrate(1.0, &[5.0; 100]), 1.0);
    }

    #[test]
    fn logarithms_round_as_their_names_say() {
        assert_eq!([1, 2, 3, 4, 1000].map(log2_floor), [0, 1, 1, 2, 9]);
        assert_eq!([1, 2, 3, 4, 1000].map(log2_ceil), [0, 1, 2, 2, 10]);
    }
}
