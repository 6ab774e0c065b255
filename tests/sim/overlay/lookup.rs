//! Who has it? Ten thousand peers come and go, and there is no tracker.

use super::drill::{Before, Drill};
use super::world::Conduct;
use crate::stories::{Knob, Outcome, Progress, Setup, Story, number};

/// What all stories of the mesh know.
pub(super) const fn minutes(default: f64) -> Knob {
    number("minutes", default, "how long is measured, minutes of virtual time")
}
pub(super) const RATE: Knob = number("rate", 20.0, "questions for each second");
pub(super) const SIBLINGS: Knob =
    number("siblings", 0.0, "nearest routers kept; 0: the machine's own number");
pub(super) const BUCKETS: Knob =
    number("double_buckets", 0.0, "far buckets with two links each; 0: the machine's own number");
pub(super) const LANES: Knob = number("lanes", 0.0, "lanes of the safe path; 0: the machine's own number");
pub(super) const REPLICAS: Knob = number("replicas", 0.0, "keepers of a record; 0: the machine's own number");

/// Goals that more than one story is measured by.
pub(super) const GOALS: &[(&str, f64)] = &[
    ("found_first_try", 0.99),
    ("found_with_fallback", 0.999),
    ("hops_mean", 5.0),
    ("took_p95_s", 1.5),
    ("degree_mean", 30.0),
    ("degree_max", 45.0),
    ("handshakes_per_hour_and_router", 25.0),
];

/// The story.
pub(super) static STORY: Story = Story {
    name: "overlay-lookup",
    about: "Peers of the mesh come and go, no tracker is there, and 200 published keys are looked for (goals C1, C2). \
            With churn=0 and settle=0 nothing but questions: for the largest sizes.",
    size: (10_000, 1.0, 4.0),
    knobs: &[
        minutes(10.0),
        RATE,
        number("churn", 30.0, "peers that go, and come, % per hour; half go silently"),
        number(
            "settle",
            6.0,
            "minutes of churn before anything is measured, so that some have grown to routers",
        ),
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
    progress(0.05);
    drill.publish(20.0);
    let churn = setup.number("churn");
    drill.go(setup.number("settle") * 60.0, churn, 0.0, &mut |share| progress(0.1 + 0.3 * share));
    let (before, from) = (Before::of(&drill.world), drill.world.now);
    drill.go(setup.number("minutes") * 60.0, churn, setup.number("rate"), &mut |share| {
        progress(0.4 + 0.5 * share);
    });
    let to = drill.world.now;
    drill.go(10.0, churn, 0.0, &mut |_| {});
    let mut outcome = drill.outcome(&drill.asked(from, to));
    drill.tell_links(&mut outcome, &before);
    for (name, limit) in GOALS {
        outcome.tell(&format!("{name}_goal"), *limit);
    }
    progress(1.0);
    outcome
}
