//! Nobody has anything but a web server with a thin line.

use super::setup::number;
use super::{Class, Outcome, Play, Progress, Setup, Story};
use crate::content::Content;
use crate::origin::Origin;
use crate::spec::Fault;
use core::time::Duration;
use std::rc::Rc;

/// The story.
pub(super) static STORY: Story = Story {
    name: "slow-origin",
    about: "The only source is a web server, slower than the peers (origin-ratio below 1), which may die. offload: share \
            of the payload that peers gave each other.",
    size: (50, 8.0, 0.5),
    knobs: &[
        number("origin_ms", 20.0, "one way from the middle of the network to the server, ms"),
        number("dies", 0.0, "1: the server dies once every piece is with a peer"),
    ],
    run,
};

/// Where the content is.
pub(super) const URL: &str = "https://origin.example/file.bin";

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut play = with_server(setup, setup.origin_up());
    for _ in 0..setup.peers {
        let mut spec = setup.peer(play.next());
        spec.has_torrent = true;
        play.add(Class::Contributor, spec);
    }
    let mut dies = setup.number("dies") > 0.0;
    play.run(setup, progress, &mut |play| {
        if dies && play.all_out() {
            dies = false;
            play.world.inflict(Fault::OriginDies(0));
        }
    });
    let mut outcome = Outcome::of(&mut play);
    outcome.tell("offload", offload(&play));
    outcome
}

/// A world whose only source is a web server.
pub(super) fn with_server(setup: &Setup, rate: f64) -> Play {
    let content = Rc::new(Content::single(setup.seed, setup.bytes(), &[URL]));
    let mut origin = Origin::new(rate as u64);
    origin.latency = Duration::from_secs_f64(setup.number("origin_ms") / 1000.0);
    origin.files = content.files.keys().map(|root| (URL.to_owned(), *root)).collect();
    let mut play = Play::new(setup, content);
    play.world.origins.push(origin);
    play
}

/// The share of the payload that did not come from a web server.
pub(super) fn offload(play: &Play) -> f64 {
    let totals = play.totals();
    totals.from_peers as f64 / (totals.from_peers + totals.from_http) as f64
}
