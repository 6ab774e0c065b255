//! The network falls apart and grows together again.

use super::setup::number;
use super::{Class, Outcome, Progress, Setup, Story, flash_crowd, is_chosen};
use crate::spec::Fault;

/// The story.
pub(super) static STORY: Story = Story {
    name: "partition",
    about: "A share of the peers is cut off from the others for some time, while both reach the signaller. \
            last_over_calm: to the same seed's run without it.",
    size: (100, 16.0, 4.0),
    knobs: &[
        number("cut_share", 0.5, "share of peers that are cut off"),
        number("cut_at", 5.0, "when, s"),
        number("heal_at", 25.0, "when it is over, s; 0: never"),
    ],
    run,
};

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut play = flash_crowd::crowd(setup);
    let share = setup.number("cut_share");
    let givers: Vec<_> = play.of(Class::gives).collect();
    let cut = givers.into_iter().filter(|peer| is_chosen(peer - setup.sources(), share)).collect();
    play.world.at(setup.seconds("cut_at"), Fault::Partition(cut));
    if setup.number("heal_at") > 0.0 {
        play.world.at(setup.seconds("heal_at"), Fault::Heal);
    }
    play.run(setup, &mut |share| progress(share / 2.0), &mut |_| {});
    let mut calm = flash_crowd::crowd(setup);
    calm.run(setup, &mut |share| progress(f64::midpoint(1.0, share)), &mut |_| {});
    let mut outcome = Outcome::of(&mut play);
    outcome.compare_last(&play, &calm);
    outcome.add_run(&mut calm);
    outcome
}
