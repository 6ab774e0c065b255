//! Liars: a share of all peers, or a few that paid for places next to one key.

use super::drill::{Before, Drill, KEYS, topic};
use super::lookup::{BUCKETS, LANES, RATE, REPLICAS, SIBLINGS, minutes};
use super::world::{Conduct, UNIX_S};
use crate::stories::{Outcome, Progress, Setup, Story, number, word};
use swarmlet_core::PeerId;
use swarmlet_core::overlay::point::EPOCH_S;
use swarmlet_core::wire::overlay::{Contact, Point, Role};

/// What liars do.
const CONDUCTS: &[&str] = &["lie", "drop"];

/// A share of all peers lies.
pub(super) static SYBIL: Story = Story {
    name: "overlay-sybil",
    about: "A share of all peers, whose places are as chance has it, answers every question with others of its kind \
            (conduct=lie) or nothing (drop), keeps no record and passes nothing on; they know each other at once. \
            Keys are published and looked for by the others (goal C3).",
    size: (10_000, 1.0, 4.0),
    knobs: &[
        minutes(2.0),
        RATE,
        number("share", 0.5, "share of peers that lie"),
        word("conduct", CONDUCTS, "what they do: lie or drop"),
        SIBLINGS,
        BUCKETS,
        LANES,
        REPLICAS,
    ],
    run: run_sybil,
};

/// Some paid for places next to the keys.
pub(super) static ECLIPSE: Story = Story {
    name: "overlay-eclipse",
    about: "For each of some keys, liars stand nearer to it than anybody else, as if their places had been chosen; \
            the keys are published and looked for all the same (goal C3).",
    size: (10_000, 1.0, 4.0),
    knobs: &[
        minutes(2.0),
        RATE,
        number("chosen", 20.0, "liars next to each key"),
        number("keys", 20.0, "keys that they stand next to; only these are looked for"),
        word("conduct", CONDUCTS, "what they do: lie or drop"),
        SIBLINGS,
        BUCKETS,
        LANES,
        REPLICAS,
    ],
    run: run_eclipse,
};

fn conduct(setup: &Setup) -> Conduct {
    if setup.word("conduct") == "drop" { Conduct::Drops } else { Conduct::Lies }
}

fn run_sybil(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let share = setup.number("share");
    let drill = Drill::new(setup, share, conduct(setup));
    let mut outcome = attacked(drill, setup, KEYS, progress);
    outcome.tell("found_with_fallback_goal", if share > 0.2 { 0.98 } else { 0.995 });
    outcome.tell("messages_max_goal", 45.0);
    outcome
}

fn run_eclipse(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut drill = Drill::new(setup, 0.0, Conduct::Honest);
    let (chosen, keys) = (setup.number("chosen") as usize, setup.number("keys") as usize);
    for key in 0..keys {
        let place = Point::of_topic(&topic(key), UNIX_S / EPOCH_S);
        for contact in paid_for(&drill, place, chosen, key) {
            drill.world.add_contact(contact, Some(Role::Router), conduct(setup));
        }
    }
    let mut outcome = attacked(drill, setup, keys, progress);
    outcome.tell("found_with_fallback_goal", 0.95);
    outcome
}

/// Contacts nearer to a place than any honest peer: what an attacker pays for by trying.
fn paid_for(drill: &Drill, place: Point, count: usize, key: usize) -> Vec<Contact> {
    let nearest = drill.world.peers.iter().map(|peer| peer.point.to(place)).min().unwrap_or(0);
    let mut found = Vec::new();
    let mut nonce = 0;
    // One key of a liar for each place; its number in the world is written into it as into all others.
    let mut number = drill.world.peers.len() as u32;
    while found.len() < count {
        let mut id = [0xee; 32];
        id[..8].copy_from_slice(&(key as u64).to_le_bytes());
        id[28..].copy_from_slice(&number.to_le_bytes());
        let contact = Contact { peer: PeerId(id), nonce };
        nonce = nonce.wrapping_add(1);
        let point = Point::of(&contact, drill.world.settings.puzzle_bits);
        if point.is_some_and(|point| point.to(place) < nearest) {
            found.push(contact);
            number += 1;
        }
    }
    found
}

fn attacked(mut drill: Drill, setup: &Setup, keys: usize, progress: Progress<'_>) -> Outcome {
    drill.wire();
    progress(0.1);
    drill.publish_keys(keys, 20.0);
    progress(0.3);
    let (before, from) = (Before::of(&drill.world), drill.world.now);
    let span_s = setup.number("minutes") * 60.0;
    drill.go(span_s, 0.0, setup.number("rate"), &mut |share| progress(0.3 + 0.6 * share));
    let to = drill.world.now;
    drill.go(60.0, 0.0, 0.0, &mut |_| {});
    let mut outcome = drill.outcome(&drill.asked(from, to));
    drill.tell_links(&mut outcome, &before);
    outcome.tell("keepers_mean", drill.keepers(keys));
    progress(1.0);
    outcome
}
