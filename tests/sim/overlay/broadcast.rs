//! News for everybody, while peers come and go.

use super::drill::Drill;
use super::lookup::{BUCKETS, LANES, REPLICAS, SIBLINGS, minutes};
use super::world::Conduct;
use crate::stories::{Outcome, Progress, Setup, Story, mean, nearest, number};
use std::collections::BTreeMap;

/// How long somebody may take to hear it.
const PATIENCE_S: f64 = 10.0;

/// The story.
pub(super) static STORY: Story = Story {
    name: "broadcast",
    about: "Peers chosen by chance tell everybody something, while others come and go (goal C7). delivered: who heard it \
            of those who were there from its beginning until 10 s after; copies: how often it came, for each that heard it; \
            news_hops: links that it had crossed. The first minute, in which the tree grows, is not counted.",
    size: (10_000, 1.0, 4.0),
    knobs: &[
        minutes(3.0),
        number("churn", 30.0, "peers that go, and come, % per hour; half go silently"),
        number("every", 2.0, "seconds between two rumours"),
        SIBLINGS,
        BUCKETS,
        LANES,
        REPLICAS,
    ],
    run,
};

/// One rumour: who was there, and how far it came to whom.
struct Rumour {
    there: Vec<usize>,
    heard: BTreeMap<usize, u8>,
}

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut drill = Drill::new(setup, 0.0, Conduct::Honest);
    drill.wire();
    drill.publish_keys(20, 20.0);
    let (churn, every) = (setup.number("churn"), setup.number("every"));
    let rounds = (setup.number("minutes") * 60.0 / every).max(1.0) as usize;
    let grow = (60.0 / every) as usize;
    let mut rumours = Vec::new();
    let mut counted = (0, 0);
    for round in 0..grow + rounds {
        if round == grow {
            counted = drill.world.gossip();
        }
        let there = drill.world.alive();
        let from = drill.world.one_of(&there);
        rumours.push(Rumour { there, heard: BTreeMap::from([(from, 0)]) });
        drill.world.say(from, round);
        drill.go(every, churn, 1.0, &mut |_| {});
        drill.collect(&mut rumours_heard(&mut rumours));
        progress(round as f64 / (grow + rounds) as f64);
    }
    drill.go(PATIENCE_S, churn, 0.0, &mut |_| {});
    drill.collect(&mut rumours_heard(&mut rumours));
    tell(&drill, &rumours[grow..], counted, progress)
}

fn rumours_heard(rumours: &mut [Rumour]) -> impl FnMut(usize, usize, u8) + '_ {
    |rumour, peer, hops| {
        if let Some(rumour) = rumours.get_mut(rumour) {
            rumour.heard.entry(peer).or_insert(hops);
        }
    }
}

fn tell(drill: &Drill, rumours: &[Rumour], before: (u64, u64), progress: Progress<'_>) -> Outcome {
    let (mut awaited, mut heard, mut hops) = (0usize, 0usize, Vec::new());
    for rumour in rumours {
        let stayed = rumour.there.iter().filter(|peer| drill.world.peers[**peer].machine.is_some());
        for peer in stayed {
            awaited += 1;
            if let Some(far) = rumour.heard.get(peer) {
                heard += 1;
                hops.push(f64::from(*far));
            }
        }
    }
    hops.sort_by(f64::total_cmp);
    let now = drill.world.gossip();
    let mut outcome = drill.outcome(&drill.questions);
    outcome.tell("rumours", rumours.len() as f64);
    outcome.tell("delivered", heard as f64 / awaited as f64);
    outcome.tell("delivered_goal", 0.999);
    outcome.tell("copies", (now.0 - before.0) as f64 / (now.1 - before.1) as f64);
    outcome.tell("copies_goal", 1.15);
    outcome.tell("news_hops_mean", mean(&hops));
    outcome.tell("news_hops_p95", nearest(&hops, 0.95));
    outcome.tell("news_hops_p95_goal", 12.0);
    progress(1.0);
    outcome
}
