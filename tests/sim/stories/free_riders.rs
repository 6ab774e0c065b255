//! Some take and give nothing.

use super::outcome::bound_without_incentive;
use super::setup::{number, word};

use super::{Class, Outcome, Play, Progress, Setup, Story, is_chosen};
use crate::spec::{Conduct, PeerSpec};

/// The story.
pub(super) static STORY: Story = Story {
    name: "free-riders",
    about: "A share of the peers gives nothing (goal A4). The bound is that of the contributors if they are served \
            first; bound_no_incentive_s: if nobody is. Ratios of a class: to the same seed's run that `baseline` names.",
    size: (100, 16.0, 4.0),
    knobs: &[
        number("free_rider_share", 0.5, "share of peers that give nothing"),
        word(
            "baseline",
            &["clean", "none", "classic"],
            "what is compared with: the same peers without free riders (clean), or with them where nobody \
             is preferred (none) or all choke as classic BitTorrent does (classic)",
        ),
    ],
    run,
};

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut play = population(setup, |spec| spec);
    play.run(setup, &mut |share| progress(share / 2.0), &mut |_| {});
    let other = match setup.word("baseline") {
        "none" => setup.with("incentive=none"),
        "classic" => setup.with("incentive=classic"),
        _ => setup.with("free_rider_share=0"),
    };
    let mut baseline = population(&other, |spec| spec);
    baseline.run(&other, &mut |share| progress(f64::midpoint(1.0, share)), &mut |_| {});
    let mut outcome = Outcome::of(&mut play);
    outcome.tell("bound_no_incentive_s", bound_without_incentive(&play, setup));
    outcome.compare_riders(&play, &baseline);
    outcome.add_run(&mut baseline);
    outcome
}

/// Contributors and free riders; `rider` makes the latter what they are besides.
pub(super) fn population(setup: &Setup, rider: impl Fn(PeerSpec) -> PeerSpec) -> Play {
    let mut play = Play::with_origin(setup);
    let riders = setup.number("free_rider_share");
    for index in 0..setup.peers {
        let mut spec = setup.peer(play.next());
        let class = if is_chosen(index, riders) { Class::FreeRider } else { Class::Contributor };
        if class == Class::FreeRider {
            spec = rider(PeerSpec { conduct: Conduct::FreeRider, ..spec });
        }
        play.add(class, spec);
    }
    play
}
