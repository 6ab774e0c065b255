//! Some answer with wrong bytes.

use super::setup::number;
use super::{Class, Outcome, Play, Progress, Setup, Story, is_chosen};
use crate::spec::Conduct;

/// The story.
pub(super) static STORY: Story = Story {
    name: "poisoners",
    about: "A share of the peers spoils every block of a link after up to `honest_max` good ones (goals D1, D2). Ratios: \
            to the same seed's run in which they are honest; last_over_calm_scaled takes into account that they do \
            not give. banned: bans of poisoners.",
    size: (100, 16.0, 4.0),
    knobs: &[
        number("poisoner_share", 0.3, "share of peers that lie"),
        number("honest_max", 16.0, "good blocks before the first bad one of a link, at most"),
        number("compare", 1.0, "0: no run to compare with, twice as fast"),
    ],
    run,
};

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let compares = setup.number("compare") > 0.0;
    let parts = if compares { 2.0 } else { 1.0 };
    let mut play = population(setup);
    play.run(setup, &mut |share| progress(share / parts), &mut |_| {});
    let mut outcome = Outcome::of(&mut play);
    let (bans, honest) = play.bans();
    outcome.tell("banned", (bans - honest) as f64);
    if compares {
        let clean = setup.with("poisoner_share=0");
        let mut calm = population(&clean);
        calm.run(&clean, &mut |share| progress(f64::midpoint(1.0, share)), &mut |_| {});
        outcome.compare(Class::Contributor, &play, &calm);
        outcome.compare_last(&play, &calm);
        outcome.add_run(&mut calm);
    }
    outcome
}

fn population(setup: &Setup) -> Play {
    let mut play = Play::with_origin(setup);
    let honest_max = setup.number("honest_max") as u32;
    for index in 0..setup.peers {
        let mut spec = setup.peer(play.next());
        let lies = is_chosen(index, setup.number("poisoner_share"));
        if lies {
            spec.conduct = Conduct::Poisoner { honest_max };
        }
        play.add(if lies { Class::Hostile } else { Class::Contributor }, spec);
    }
    play
}
