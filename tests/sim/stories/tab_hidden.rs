//! Some put the page into the background.

use super::setup::number;
use super::{Class, Outcome, Progress, Setup, Story, flash_crowd, is_chosen};
use crate::spec::Fault;

/// The story.
pub(super) static STORY: Story = Story {
    name: "tab-hidden",
    about: "A share of the tabs goes into the background: their timers ring once a second, and after five minutes once a \
            minute; messages still come. last_over_calm: to the same seed's run in which all stay in front.",
    size: (100, 16.0, 4.0),
    knobs: &[
        number("hidden_share", 0.5, "share of tabs in the background"),
        number("hide_at", 3.0, "when they go there, s"),
        number("show_at", 0.0, "when they come back, s; 0: never"),
    ],
    run,
};

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut play = flash_crowd::crowd(setup);
    let share = setup.number("hidden_share");
    let (hide_at, show_at) = (setup.seconds("hide_at"), setup.seconds("show_at"));
    for peer in play.of(Class::gives).collect::<Vec<_>>() {
        if is_chosen(peer - setup.sources(), share) {
            play.world.at(hide_at, Fault::Hide(peer));
            if !show_at.is_zero() {
                play.world.at(show_at, Fault::Show(peer));
            }
        }
    }
    play.run(setup, &mut |share| progress(share / 2.0), &mut |_| {});
    let mut calm = flash_crowd::crowd(setup);
    calm.run(setup, &mut |share| progress(f64::midpoint(1.0, share)), &mut |_| {});
    let mut outcome = Outcome::of(&mut play);
    outcome.compare_last(&play, &calm);
    outcome.add_run(&mut calm);
    outcome
}
