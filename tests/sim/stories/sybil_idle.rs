//! Many identities that hold links and give nothing.

use super::setup::{number, word};
use super::{Class, Outcome, Play, Progress, Setup, Story, is_chosen};
use crate::spec::Conduct;
use core::time::Duration;

/// The story.
pub(super) static STORY: Story = Story {
    name: "sybil-idle",
    about: "A share of the peers hold links and neither want nor give anything, or with conduct=withhold say that they \
            have what they do not send (goal D3). Ratios: to the same seed's run to which they do not come.",
    size: (100, 16.0, 4.0),
    knobs: &[
        number("sybil_share", 0.5, "share of peers that are Sybils"),
        word("conduct", &["idle", "withhold"], "what they do: idle or withhold"),
    ],
    run,
};

/// After the end of every run.
const NEVER: Duration = Duration::from_secs(1 << 32);

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut play = population(setup, Duration::ZERO);
    play.run(setup, &mut |share| progress(share / 2.0), &mut |_| {});
    let mut calm = population(setup, NEVER);
    calm.run(setup, &mut |share| progress(f64::midpoint(1.0, share)), &mut |_| {});
    let mut outcome = Outcome::of(&mut play);
    outcome.compare(Class::Contributor, &play, &calm);
    outcome.compare_last(&play, &calm);
    outcome.add_run(&mut calm);
    outcome
}

fn population(setup: &Setup, joins: Duration) -> Play {
    let mut play = Play::with_origin(setup);
    let conduct = if setup.word("conduct") == "idle" { Conduct::Idle } else { Conduct::Withholder };
    for index in 0..setup.peers {
        let mut spec = setup.peer(play.next());
        let sybil = is_chosen(index, setup.number("sybil_share"));
        if sybil {
            (spec.conduct, spec.joins) = (conduct, joins);
        }
        play.add(if sybil { Class::Hostile } else { Class::Contributor }, spec);
    }
    play
}
