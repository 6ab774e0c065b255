//! Weak, middling and strong lines in one swarm.

use super::setup::number;
use super::{Class, Outcome, Play, Progress, Setup, Story, is_chosen};

/// The story.
pub(super) static STORY: Story = Story {
    name: "mixed",
    about: "Peers with a quarter, once and four times the upload come at once (goal A3). Ratios of a class: to the \
            same seed's run without incentive.",
    size: (100, 16.0, 4.0),
    knobs: &[
        number("weak_share", 0.5, "share of peers with a weak line"),
        number("strong_share", 0.2, "share of peers with a strong line"),
        number("weak_up", 0.25, "a weak line's upload as a multiple of `up`"),
        number("strong_up", 4.0, "a strong line's upload as a multiple of `up`"),
    ],
    run,
};

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut fair = population(setup);
    fair.run(setup, &mut |share| progress(share / 2.0), &mut |_| {});
    let equal = setup.with("incentive=none");
    let mut none = population(&equal);
    none.run(&equal, &mut |share| progress(f64::midpoint(1.0, share)), &mut |_| {});
    let mut outcome = Outcome::of(&mut fair);
    for class in [Class::Strong, Class::Mid, Class::Weak] {
        outcome.compare(class, &fair, &none);
    }
    outcome.add_run(&mut none);
    outcome
}

fn population(setup: &Setup) -> Play {
    let mut play = Play::with_origin(setup);
    let (weak, strong) = (setup.number("weak_share"), setup.number("strong_share"));
    let strong_of_others = strong / (1.0 - weak).max(f64::MIN_POSITIVE);
    let mut others = 0;
    for index in 0..setup.peers {
        let class = if is_chosen(index, weak) {
            Class::Weak
        } else {
            others += 1;
            if is_chosen(others - 1, strong_of_others) { Class::Strong } else { Class::Mid }
        };
        let mut spec = setup.peer(play.next());
        let times = match class {
            Class::Weak => setup.number("weak_up"),
            Class::Strong => setup.number("strong_up"),
            _ => 1.0,
        };
        spec.up = (spec.up as f64 * times) as u64;
        play.add(class, spec);
    }
    play
}
