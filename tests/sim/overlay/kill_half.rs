//! Half of all peers are gone from one moment to the next, and nobody is told.

use super::drill::{Drill, share};
use super::lookup::{BUCKETS, LANES, RATE, REPLICAS, SIBLINGS, minutes};
use super::world::Conduct;
use crate::stories::{Outcome, Progress, Setup, Story, number};
use core::time::Duration;

/// The story.
pub(super) static STORY: Story = Story {
    name: "overlay-kill-half",
    about: "A share of all peers crashes at once (goal C6). connected: survivors in the largest group of those still \
            linked, at once; found_10s and found_60s: questions asked in the first 10 s and from 10 s to 60 s after.",
    size: (10_000, 1.0, 4.0),
    knobs: &[
        minutes(2.0),
        RATE,
        number("share", 0.5, "share of peers that crash"),
        SIBLINGS,
        BUCKETS,
        LANES,
        REPLICAS,
    ],
    run,
};

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut drill = Drill::new(setup, 0.0, Conduct::Honest);
    drill.wire();
    drill.publish(20.0);
    progress(0.3);
    let mut alive = drill.world.alive();
    drill.rng.shuffle(&mut alive);
    let dead = (alive.len() as f64 * setup.number("share")) as usize;
    for peer in alive.drain(..dead) {
        drill.world.kill(peer, true);
    }
    let connected = drill.connected(&alive);
    let from = drill.world.now;
    let span_s = setup.number("minutes") * 60.0;
    drill.go(span_s, 0.0, setup.number("rate"), &mut |share| progress(0.3 + 0.6 * share));
    let to = drill.world.now;
    drill.go(60.0, 0.0, 0.0, &mut |_| {});
    let mut outcome = drill.outcome(&drill.asked(from, to));
    let found = |from_s: u64, to_s: u64| {
        let at = |seconds: u64| from + Duration::from_secs(seconds);
        share(&drill.asked(at(from_s), at(to_s)), |one| one.took_s.is_some())
    };
    let in_60 = |from_s: u64, to_s: u64| {
        let at = |seconds: u64| from + Duration::from_secs(seconds);
        share(&drill.asked(at(from_s), at(to_s)), |one| one.fast)
    };
    outcome.tell("connected", connected);
    outcome.tell("connected_goal", 0.999);
    outcome.tell("found_10s", found(0, 10));
    outcome.tell("found_10s_goal", 0.95);
    outcome.tell("found_60s", found(10, 60));
    outcome.tell("found_60s_goal", 0.99);
    outcome.tell("fast_10s", in_60(0, 10));
    outcome.tell("fast_60s", in_60(10, 60));
    outcome.tell("fast_after", in_60(60, 6000));
    outcome.tell("connected_at_end", drill.connected(&alive));
    progress(1.0);
    outcome
}
