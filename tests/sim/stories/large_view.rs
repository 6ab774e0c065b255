//! Free riders that connect to many times as many peers as the others.

use super::outcome::nearest;
use super::setup::number;
use super::{Class, Outcome, Play, Progress, Setup, Story, free_riders};

/// The story.
pub(super) static STORY: Story = Story {
    name: "large-view",
    about: "Free riders that look for `view` times the links, since whoever asks everybody lives on gifts (goal A5; \
            Sirivianos et al. 2007). Ratios of a class: to the same seed's run without free riders. \
            riders_median_over_median and first_rider_over_median: the free riders' median and fastest time over the \
            contributors' median.",
    size: (100, 16.0, 4.0),
    knobs: &[
        number("free_rider_share", 0.4, "share of peers that give nothing"),
        number("view", 5.0, "their links as a multiple of the others'"),
    ],
    run,
};

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut play = population(setup);
    play.run(setup, &mut |share| progress(share / 2.0), &mut |_| {});
    let clean = setup.with("free_rider_share=0");
    let mut calm = population(&clean);
    calm.run(&clean, &mut |share| progress(f64::midpoint(1.0, share)), &mut |_| {});
    let mut outcome = Outcome::of(&mut play);
    outcome.compare_riders(&play, &calm);
    let riders = play.times(|class| class == Class::FreeRider);
    let median = nearest(&play.times(Class::gives), 0.5);
    outcome.tell("riders_median_over_median", nearest(&riders, 0.5) / median);
    outcome.tell("first_rider_over_median", nearest(&riders, 0.0) / median);
    outcome.add_run(&mut calm);
    outcome
}

fn population(setup: &Setup) -> Play {
    let view = setup.number("view").max(1.0) as u32;
    free_riders::population(setup, |spec| spec.with_large_view(view))
}
