//! Who lists something like this? Far more is listed than one peer keeps, and peers come and go.

use super::drill::{Drill, STEP_S};
use super::lookup::{BUCKETS, LANES, REPLICAS, SIBLINGS, minutes};
use super::world::Conduct;
use crate::stories::{Outcome, Progress, Setup, Story, number};
use swarmlet_core::overlay::search::{STEPS, STEPS_MORE, WALKS, WALKS_MORE};

/// The story.
pub(super) static STORY: Story = Story {
    name: "search",
    about: "Peers chosen by chance list shares, each keeps a few of them, and others look for one by its words while peers \
            go and come. found_with_fallback: of all questions; found_first_try: by walks of the first round; both beside \
            what walks by chance that never meet the same peer twice would find. messages: that asked, at most.",
    size: (3_000, 1.0, 4.0),
    knobs: &[
        minutes(1.0),
        number("rate", 10.0, "questions for each second"),
        number("churn", 30.0, "peers that go, and come, % per hour; half go silently"),
        number("listed", 500.0, "shares that are listed"),
        number("kept", 25.0, "listings that each peer keeps"),
        SIBLINGS,
        BUCKETS,
        LANES,
        REPLICAS,
    ],
    run,
};

/// A word that no other title has.
fn title(number: usize) -> String {
    format!("Share w{number:05} of a peer")
}

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let (listed, kept) = (setup.number("listed") as usize, setup.number("kept"));
    let mut drill = Drill::keeping(setup, 0.0, Conduct::Honest, kept as u16);
    drill.wire();
    // Trees of news grow before anything is told.
    drill.go(20.0, 0.0, 0.0, &mut |_| {});
    let mut publishers = Vec::new();
    for number in 0..listed {
        let alive = drill.world.alive();
        let peer = drill.world.one_of(&alive);
        publishers.push(peer);
        drill.world.list(peer, number, title(number));
        drill.world.run_s(30.0 / listed as f64);
        progress(0.5 * number as f64 / listed as f64);
    }
    drill.world.run_s(10.0);
    let (churn, rate) = (setup.number("churn"), setup.number("rate"));
    let (seconds, peers) = (setup.number("minutes") * 60.0, drill.world.alive().len());
    let (mut asked, from) = (0.0, drill.world.now);
    for step in 0..(seconds / STEP_S) as usize {
        drill.churn(churn, peers);
        asked += rate * STEP_S;
        let alive = drill.world.alive();
        while asked >= 1.0 {
            asked -= 1.0;
            let asker = drill.world.one_of(&alive);
            let number = drill.rng.below(listed as u64) as usize;
            drill.search(asker, publishers[number], &format!("w{number:05}"));
        }
        drill.go(STEP_S, 0.0, 0.0, &mut |_| {});
        progress(0.5 + 0.5 * step as f64 * STEP_S / seconds);
    }
    let to = drill.world.now;
    drill.go(5.0, 0.0, 0.0, &mut |_| {});
    let mut outcome = drill.outcome(&drill.asked(from, to));
    let missed = 1.0 - (kept / listed as f64).min(1.0);
    let first = WALKS * (usize::from(STEPS) + 1);
    let all = first + WALKS_MORE * (usize::from(STEPS_MORE) + 1);
    // The asker keeps some itself.
    outcome.tell("found_first_try_by_chance", 1.0 - missed.powi(first as i32 + 1));
    outcome.tell("found_with_fallback_by_chance", 1.0 - missed.powi(all as i32 + 1));
    outcome.tell("found_with_fallback_goal", 0.99);
    outcome.tell("took_p95_s_goal", 1.5);
    outcome.tell("messages_max_goal", all as f64);
    progress(1.0);
    outcome
}
