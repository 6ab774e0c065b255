//! Figures for machines (one line of JSON) and for people.

use super::batch::Batch;
use core::fmt::Write;
use swarmlet_tests::stories::mean;

/// The figures that every run tells, and those of classes.
pub(crate) const FIGURES: &[(&str, &str)] = &[
    ("bound_s", "the time that no swarm can beat, with the median set-up of a connection"),
    (
        "last_s median_s",
        "when the last and half of the peers that give had everything; null: somebody never had",
    ),
    ("mean_s p95_s", "their mean time, and the time within which 95 % of them were done"),
    ("ratio_last ratio_median", "these over the bound"),
    ("origin_ratio", "payload that origin and HTTP sources sent, as copies of the content"),
    (
        "uplink_use",
        "what left the peers' lines of what could have, from 10 % to 90 % of the time until last_s",
    ),
    ("overhead", "bytes on data channels that are no payload, as a share of all"),
    ("duplicates", "payload that came twice or unasked, as a share of all payload"),
    ("wasted", "duplicates and lies, as a share of all payload"),
    ("corrupt_delivered", "bytes stored or given to the application that were not the content"),
    ("honest_banned", "bans of peers that did not lie"),
    ("stranded", "peers that were not done at the end"),
    (
        "events events_per_s",
        "events of all nodes, hosts and networks, runs for comparison included; per second of one core's time",
    ),
    ("wall_s", "real time, all runs together"),
    ("trace_sha256", "hash over all events: equal for equal runs"),
    (
        "CLASS_mean_s",
        "mean time of contributors, free_riders, strong, mid, weak; who is not done counts with the end",
    ),
    ("CLASS_p99_s", "the time within which 99 % of them were done"),
    ("CLASS_mean_ratio", "the same peers' mean in the run that the story compares with"),
    ("CLASS_p99_ratio", "the same for the 99th percentile"),
    ("free_riders_over_contributors", "ratio of the mean times"),
    (
        "last_over_calm",
        "last_s over that of the same seed's calm run; _scaled: over the ratio of the bounds too",
    ),
    (
        "seeds NAME_min _max _ci95",
        "with --seeds: figures are means, with extremes and half of the 95 % interval (Student's t); \
         corrupt_delivered, honest_banned, stranded and events are sums",
    ),
];

/// These are sums over all seeds: a mean would hide the one that counts.
const SUMS: &[&str] = &["corrupt_delivered", "honest_banned", "stranded"];

/// What one figure came to over all seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) mean: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Half of the 95 % interval of the mean; 0 for a single run.
    pub(crate) ci95: f64,
}

impl Summary {
    pub(crate) fn of(values: &[f64]) -> Self {
        let mean = mean(values);
        let count = values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let ci95 = match values.len() {
            0 | 1 => 0.0,
            more => student(more - 1) * (squares / (count - 1.0) / count).sqrt(),
        };
        let extreme = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick).unwrap_or(f64::NAN);
        Self { mean, min: extreme(f64::min), max: extreme(f64::max), ci95 }
    }
}

/// The two-sided 95 % quantile of Student's t.
fn student(freedom: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
        2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048,
        2.045, 2.042,
    ];
    freedom.checked_sub(1).and_then(|at| TABLE.get(at)).copied().unwrap_or(1.96)
}

/// All runs as one JSON object.
pub(crate) fn json(batch: &Batch) -> String {
    let mut out = format!(r#"{{"story":"{}","seed":{}"#, batch.story.name, batch.setup.seed);
    let mut add = |name: &str, value: f64| {
        let _ = write!(out, r#","{name}":{}"#, number(value));
    };
    add("peers", batch.setup.peers as f64);
    add("mib", batch.setup.mib);
    let names = names(batch);
    let classes_from = names.iter().position(|name| *name == "stranded").map_or(0, |at| at + 1);
    let (common, own) = names.split_at(classes_from);
    common.iter().for_each(|name| add(name, told(batch, name)));
    add("events", batch.events() as f64);
    add("events_per_s", batch.events_per_s());
    add("wall_s", batch.wall_s);
    let _ = write!(out, r#","trace_sha256":"{}""#, batch.trace());
    let mut add = |name: &str, value: f64| {
        let _ = write!(out, r#","{name}":{}"#, number(value));
    };
    own.iter().for_each(|name| add(name, told(batch, name)));
    if batch.runs.len() > 1 {
        add("seeds", batch.runs.len() as f64);
        for name in names.iter().filter(|name| !SUMS.contains(name)) {
            let summary = Summary::of(&batch.values(name));
            add(&format!("{name}_min"), summary.min);
            add(&format!("{name}_max"), summary.max);
            add(&format!("{name}_ci95"), summary.ci95);
        }
    }
    out + "}"
}

/// All runs for people.
pub(crate) fn text(batch: &Batch) -> String {
    let setup = &batch.setup;
    let mut out = format!(
        "{}: {} peers, {} MiB, origin {} ×",
        batch.story.name, setup.peers, setup.mib, setup.origin_ratio
    );
    let _ = match batch.runs.len() {
        1 => writeln!(out, ", seed {}", setup.seed),
        more => writeln!(out, ", {more} seeds from {}", setup.seed),
    };
    for name in names(batch) {
        let summary = Summary::of(&batch.values(name));
        let _ = write!(out, "  {name:<30} {:>12}", number(told(batch, name)));
        if batch.runs.len() > 1 && !SUMS.contains(&name) {
            let [ci95, min, max] = [summary.ci95, summary.min, summary.max].map(number);
            let _ = write!(out, "   ± {ci95} (95 %), {min} to {max}");
        }
        out.push('\n');
    }
    let (events, rate) = (batch.events(), batch.events_per_s());
    let _ = writeln!(out, "  {events} events in {:.2} s, {rate:.0} for each second and core", batch.wall_s);
    let _ = writeln!(out, "  trace {}", batch.trace());
    out
}

/// The names of what was told, in order.
fn names(batch: &Batch) -> Vec<&str> {
    let first = batch.runs.first();
    first.map_or_else(Vec::new, |run| run.outcome.figures.iter().map(|(name, _)| name.as_str()).collect())
}

/// One value for all runs.
pub(crate) fn told(batch: &Batch, name: &str) -> f64 {
    let values = batch.values(name);
    if SUMS.contains(&name) { values.iter().sum() } else { mean(&values) }
}

/// A number as JSON has it, with six decimals at most.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "null".to_owned();
    }
    let text = format!("{value:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_student() {
        let summary = Summary::of(&[1.0, 2.0, 3.0]);
        assert_eq!((summary.mean, summary.min, summary.max), (2.0, 1.0, 3.0));
        assert!((summary.ci95 - 4.303 / 3f64.sqrt()).abs() < 1e-9);
        assert_eq!(Summary::of(&[5.0]).ci95, 0.0);
        assert_eq!((student(1), student(30), student(31)), (12.706, 2.042, 1.96));
    }

    #[test]
    fn numbers_are_json() {
        assert_eq!(
            [1.0, 0.5, -0.000_000_1, 1e9 / 3.0, f64::NAN, f64::INFINITY].map(number).join(" "),
            "1 0.5 0 333333333.333333 null null"
        );
    }
}
