//! The signaller dies in the middle.

use super::setup::number;
use super::{Outcome, Progress, Setup, Story, flash_crowd};
use crate::spec::Fault;

/// The story.
pub(super) static STORY: Story = Story {
    name: "tracker-down",
    about: "The signaller dies a few seconds after all came (goal C4). last_over_calm: to the same seed's run in which it \
            lives.",
    size: (100, 16.0, 4.0),
    knobs: &[
        number("dies_at", 5.0, "when the signaller dies, s"),
        number("back_at", 0.0, "when a fresh one is there, s; 0: never"),
    ],
    run,
};

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut play = flash_crowd::crowd(setup);
    play.world.at(setup.seconds("dies_at"), Fault::SignallerDown);
    if setup.number("back_at") > 0.0 {
        play.world.at(setup.seconds("back_at"), Fault::SignallerUp);
    }
    play.run(setup, &mut |share| progress(share / 2.0), &mut |_| {});
    let mut calm = flash_crowd::crowd(setup);
    calm.run(setup, &mut |share| progress(f64::midpoint(1.0, share)), &mut |_| {});
    let mut outcome = Outcome::of(&mut play);
    outcome.compare_last(&play, &calm);
    outcome.add_run(&mut calm);
    outcome
}
