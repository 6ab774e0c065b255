//! What a run came to, in figures with names: the same for every story, and comparable with another run.

use super::play::{Class, Play};
use super::setup::Setup;
use sha2::{Digest, Sha256};
use swarmlet_core::Instant;
use swarmlet_core::config::LEAF_BYTES;

/// The result of one run of a story.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Name and value, in the order in which they are told. Not a number: there is none, since somebody is stranded.
    pub figures: Vec<(String, f64)>,
    /// When each peer that gives had everything, in seconds since it came, in order; without those that never had.
    pub curve: Vec<f64>,
    /// How many such peers there were.
    pub givers: usize,
    /// Events of this run and of those that it was compared with.
    pub events: u64,
    /// SHA-256 over the hashes of all events of all these runs.
    pub trace: [u8; 32],
    /// What peers look like that somebody waited for in vain: some of them, for whoever wants to know why.
    pub strandings: Vec<String>,
    /// Why a run is worth nothing: the first invariant that was broken, with seed and time.
    pub violation: Option<String>,
}

impl Outcome {
    /// What is told of every story. The times are those of peers that give.
    #[must_use]
    pub fn of(play: &mut Play) -> Self {
        let bound = play.bound().total;
        let times = play.times(Class::gives);
        let stranded = play.stranded();
        let (last, median) = (times.last().copied().unwrap_or(f64::NAN), nearest(&times, 0.5));
        let none_if_stranded = |value: f64| if stranded == 0 { value } else { f64::NAN };
        let totals = play.totals();
        let (bans, honest_banned) = play.bans();
        let payload = totals.from_peers + totals.from_http;
        // The first bad leaf of a liar is its last.
        let lies = (bans - honest_banned) * u64::from(LEAF_BYTES);
        let bytes = play.world.content.bytes();
        let done: Vec<_> =
            play.of(Class::gives).filter(|peer| play.world.peers[*peer].done_at.is_some()).collect();
        let (curve, givers) = (play.times_of(&done), times.len());
        let mut outcome = Self {
            figures: Vec::new(),
            curve,
            givers,
            events: 0,
            trace: [0; 32],
            strandings: play.strandings(),
            violation: None,
        };
        let last = none_if_stranded(last);
        outcome.tell("bound_s", bound);
        outcome.tell("last_s", last);
        outcome.tell("median_s", median);
        outcome.tell("mean_s", none_if_stranded(mean(&times)));
        outcome.tell("p95_s", none_if_stranded(nearest(&times, 0.95)));
        outcome.tell("ratio_last", last / bound);
        outcome.tell("ratio_median", median / bound);
        outcome.tell("origin_ratio", play.origin_bytes() as f64 / bytes as f64);
        outcome.tell("uplink_use", play.uplink_use());
        outcome.tell(
            "overhead",
            share(totals.wire_in.saturating_sub(totals.from_peers + totals.wasted), totals.wire_in),
        );
        outcome.tell("duplicates", share(totals.wasted, payload));
        outcome.tell("wasted", share(totals.wasted + lies, payload));
        outcome.tell("corrupt_delivered", (play.world.corrupt + play.corrupt) as f64);
        outcome.tell("honest_banned", honest_banned as f64);
        outcome.tell("stranded", stranded as f64);
        outcome.add_run(play);
        outcome
    }

    /// Adds a figure.
    pub fn tell(&mut self, name: &str, value: f64) {
        self.figures.push((name.to_owned(), value));
    }

    /// A figure by its name; not a number where there is none.
    #[must_use]
    pub fn figure(&self, name: &str) -> f64 {
        self.figures.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, value)| *value)
    }

    /// Judges a run and counts its events.
    pub fn add_run(&mut self, play: &mut Play) {
        if let Err(violation) = play.world.verdict() {
            self.violation.get_or_insert(violation);
        }
        self.events += play.world.inputs;
        let mut hash = Sha256::new();
        hash.update(self.trace);
        hash.update(play.world.options.seed.to_le_bytes());
        hash.update(play.world.events.to_le_bytes());
        hash.update(play.world.log.hash().to_le_bytes());
        self.trace = hash.finalize().into();
    }

    /// Mean and 99th percentile of a class, alone and as a ratio to the same peers' times in another run.
    pub fn compare(&mut self, class: Class, here: &Play, there: &Play) {
        let peers: Vec<_> = here.of(|one| one == class).collect();
        if peers.is_empty() {
            return;
        }
        let (mine, theirs) = (here.times_of(&peers), there.times_of(&peers));
        let (mean_s, p99_s) = (mean(&mine), nearest(&mine, 0.99));
        let name = class.name();
        self.tell(&format!("{name}_mean_s"), mean_s);
        self.tell(&format!("{name}_p99_s"), p99_s);
        self.tell(&format!("{name}_mean_ratio"), mean_s / mean(&theirs));
        self.tell(&format!("{name}_p99_ratio"), p99_s / nearest(&theirs, 0.99));
    }

    /// Compares contributors and free riders with each other, and contributors with another run.
    pub fn compare_riders(&mut self, here: &Play, there: &Play) {
        self.compare(Class::Contributor, here, there);
        self.compare(Class::FreeRider, here, there);
        let riders = mean(&here.times(|class| class == Class::FreeRider));
        let contributors = mean(&here.times(|class| class == Class::Contributor));
        self.tell("free_riders_over_contributors", riders / contributors);
    }

    /// How much later the last was than in another run, over how much the bound allows for.
    pub fn compare_last(&mut self, here: &Play, there: &Play) {
        let last = |play: &Play| play.times(Class::gives).last().copied().unwrap_or(f64::NAN);
        let ratio = last(here) / last(there);
        self.tell("last_over_calm", ratio);
        self.tell("last_over_calm_scaled", ratio * there.bound().total / here.bound().total);
    }
}

impl Play {
    /// How long each peer of some classes took, in order; who is not done took until now.
    #[must_use]
    pub fn times(&self, fits: impl Fn(Class) -> bool) -> Vec<f64> {
        self.times_of(&self.of(fits).collect::<Vec<_>>())
    }

    /// How long each of these peers took, in order; who is not done took until now.
    #[must_use]
    pub fn times_of(&self, peers: &[usize]) -> Vec<f64> {
        let took = |peer: &usize| {
            let peer = &self.world.peers[*peer];
            let done = peer.done_at.unwrap_or(self.world.now);
            done.since(Instant::ZERO + peer.spec.joins).as_secs_f64()
        };
        let mut times: Vec<_> = peers.iter().map(took).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    /// Peers that somebody waits for and that are not done.
    #[must_use]
    pub fn stranded(&self) -> usize {
        self.of(Class::is_awaited).filter(|peer| self.world.peers[*peer].done_at.is_none()).count()
    }

    /// What some of them look like.
    fn strandings(&self) -> Vec<String> {
        let stranded = self.of(Class::is_awaited).filter(|peer| self.world.peers[*peer].done_at.is_none());
        let look = |peer: usize| {
            let this = &self.world.peers[peer];
            let name = format!("seed {}: peer {peer} ({:?})", self.world.options.seed, self.classes[peer]);
            let Some(node) = &this.node else { return format!("{name} has no page open") };
            let view = node.snapshot();
            let asked: u32 = view.links.iter().map(|link| link.requested).sum();
            let share = view.shares.first();
            format!(
                "{name} has {} of {} bytes, {} links, {} in the making, {asked} leaves asked for, signaller {}, {:?}, \
                 {} pieces that nobody here has",
                share.map_or(0, |share| share.done),
                self.world.content.bytes(),
                view.links.len(),
                view.dialling,
                view.signaller,
                share.map(|share| share.state),
                share.map_or(0, |share| share.unavailable),
            )
        };
        stranded.take(STRANDED_SHOWN).map(look).collect()
    }

    /// What left the lines of those who give, of what could have, from 10 % to 90 % of the time until the last of
    /// them was done.
    #[must_use]
    pub fn uplink_use(&self) -> f64 {
        let done = self.of(Class::gives).filter_map(|peer| self.world.peers[peer].done_at).max();
        let end = done.unwrap_or(self.world.now).since(Instant::ZERO).as_secs_f64();
        let (from, to) = (self.sample_at(end * 0.1), self.sample_at(end * 0.9));
        (to.0 - from.0) / (to.1 - from.1)
    }

    /// Sent and possible bytes at a time, between the two samples around it.
    fn sample_at(&self, at: f64) -> (f64, f64) {
        let after = self.samples.partition_point(|sample| sample.at < at);
        let (Some(two), Some(one)) = (self.samples.get(after), self.samples.get(after.saturating_sub(1)))
        else {
            return self.samples.last().map_or((0.0, 0.0), |last| (last.sent, last.capacity));
        };
        let way = if two.at > one.at { (at - one.at) / (two.at - one.at) } else { 0.0 };
        let between = |one: f64, two: f64| (two - one).mul_add(way, one);
        (between(one.sent, two.sent), between(one.capacity, two.capacity))
    }
}

/// Stranded peers that are described.
const STRANDED_SHOWN: usize = 5;

/// Origin bytes until the last distinct piece was with a peer, as copies of the content.
#[must_use]
pub(super) fn copies_until_out(play: &Play) -> f64 {
    play.origin_until_out.map_or(f64::NAN, |bytes| bytes as f64 / play.world.content.bytes() as f64)
}

/// The bound for those who give where they are not preferred to those who do not.
#[must_use]
pub(super) fn bound_without_incentive(play: &Play, setup: &Setup) -> f64 {
    let riders = play.of(|class| class == Class::FreeRider).count() as f64;
    let givers = play.of(Class::gives).map(|peer| play.world.peers[peer].spec.up as f64);
    let (count, up) = givers.fold((0.0, 0.0), |(count, sum), up| (count + 1.0, sum + up));
    (count + riders) * play.world.content.bytes() as f64 / (setup.origin_up() + up)
}

/// The value that a share of all values is at or below (nearest rank).
#[must_use]
pub fn nearest(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// The mean; not a number for none.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| nearest(&values, share)), [1.0, 100.0, 198.0, 200.0]);
        assert!(nearest(&[], 0.5).is_nan());
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    }

    #[test]
    fn samples_are_joined_by_straight_lines() {
        let mut play = Play::with_origin(&Setup::new((0, 0.1, 1.0), &[]));
        let sample = |at, sent, capacity| super::super::play::Sample { at, sent, capacity };
        play.samples = vec![sample(0.0, 0.0, 0.0), sample(2.0, 10.0, 20.0), sample(4.0, 10.0, 40.0)];
        assert_eq!(play.sample_at(1.0), (5.0, 10.0));
        assert_eq!(play.sample_at(3.0), (10.0, 30.0));
        assert_eq!(play.sample_at(9.0), (10.0, 40.0));
    }
}
