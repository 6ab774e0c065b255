//! The network falls into two for minutes, each half goes on alone, and then one link crosses.

use super::drill::{Drill, Question, share};
use super::lookup::{BUCKETS, LANES, REPLICAS, SIBLINGS, minutes};
use super::world::Conduct;
use crate::stories::{Outcome, Progress, Setup, Story, number};
use core::time::Duration;

/// Length of the spans that healing is told in.
const SPAN_S: u64 = 5;

/// The story.
pub(super) static STORY: Story = Story {
    name: "partition-heal",
    about: "Half of the peers cannot reach the other half for some minutes; then they could, and one link crosses \
            (goal C8). across_NNs: questions answered of those asked NN to NN+5 seconds later about keys that were \
            published in the other half; healed_s: from when on 99 % are.",
    size: (10_000, 1.0, 4.0),
    knobs: &[
        minutes(5.0),
        number("rate", 40.0, "questions for each second"),
        number("crossing", 1.0, "links that cross when the network is whole again"),
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
    for peer in 0..drill.world.peers.len() {
        drill.world.peers[peer].side = drill.rng.below(2) == 0;
    }
    drill.world.run_s(60.0);
    drill.world.tear();
    let torn_s = setup.number("minutes") * 60.0;
    drill.go(torn_s - 40.0_f64.min(torn_s / 2.0), 0.0, 0.0, &mut |share| progress(0.1 + 0.5 * share));
    // What is published now is known in one half only.
    drill.publish(20.0);
    drill.world.torn = false;
    let from = drill.world.now;
    for _ in 0..setup.number("crossing") as usize {
        cross(&mut drill);
    }
    drill.go(90.0, 0.0, setup.number("rate"), &mut |share| progress(0.6 + 0.3 * share));
    let to = drill.world.now;
    drill.go(20.0, 0.0, 0.0, &mut |_| {});
    let mut outcome = drill.outcome(&drill.asked(from + Duration::from_secs(60), to));
    let mut healed_s = f64::NAN;
    for at in (0..90 / SPAN_S).rev().map(|span| span * SPAN_S) {
        let span = from + Duration::from_secs(at);
        let across: Vec<Question> = drill
            .asked(span, span + Duration::from_secs(SPAN_S))
            .into_iter()
            .filter(|one| one.sides.0 != one.sides.1)
            .collect();
        let found = share(&across, |one| one.took_s.is_some());
        if found >= 0.99 {
            healed_s = at as f64;
        }
        outcome.tell(&format!("across_{at:02}s"), found);
        if found < 0.99 {
            break;
        }
    }
    outcome.tell("healed_s", healed_s);
    outcome.tell("healed_s_goal", 60.0);
    outcome.tell("connected", drill.connected(&drill.world.alive()));
    progress(1.0);
    outcome
}

/// Somebody on one side gets to know somebody on the other.
fn cross(drill: &mut Drill) {
    let alive = drill.world.alive();
    loop {
        let (one, other) = (drill.world.one_of(&alive), drill.world.one_of(&alive));
        let point = drill.world.peers[one].point;
        let there = &drill.world.peers[other];
        let room = there.machine.as_ref().is_some_and(|machine| machine.has_room(point, false));
        if there.side != drill.world.peers[one].side && room {
            return drill.world.link(one, other);
        }
    }
}
