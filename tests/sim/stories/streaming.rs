//! Many watch the same film from a web server and from each other.

use super::outcome::nearest;
use super::player::{Film, Player, Viewing};
use super::setup::{mbit, number};
use super::slow_origin::with_server;
use super::{Class, Outcome, Play, Progress, Setup, Story, is_chosen};
use crate::bounds::max_offload;
use core::time::Duration;

/// The story.
pub(super) static STORY: Story = Story {
    name: "streaming",
    about: "Viewers read a file in order at a bitrate, from peers and from a web server (goal B1, B2). `up` follows from \
            bitrate and upload_ratio: 30 % of the viewers have a quarter of it, 20 % 2.125 times. offload: share \
            of what was watched that the server did not send; offload_bound: what the viewers' lines allow for (theory §2, \
            0.9 of them reachable). stalls: share of the time that the picture stood still; stalls_http, startup_http_p95_s: in the same \
            seed's run without peers; stalls_over_http, startup_over_http_s: the differences.",
    size: (50, 16.0, 5000.0),
    knobs: &[
        number("bitrate", 1.0, "the film's, Mbit/s"),
        number("upload_ratio", 1.2, "the viewers' mean upload as a multiple of the bitrate"),
        number("segment", 2.0, "what the player reads at once, s"),
        number("startup", 4.0, "what is there before it begins, s"),
        number("ahead", 30.0, "how far it reads ahead, s"),
        number("arrive", 30.0, "viewers come evenly over this time, s"),
        number("origin_ms", 20.0, "one way from the middle of the network to the server, ms"),
    ],
    run,
};

/// A viewer's upload as a multiple of the mean: weak, middling, strong; the mean of them is 1.
const LINES: [(Class, f64, f64); 3] =
    [(Class::Weak, 0.3, 0.25), (Class::Strong, 0.2, 2.125), (Class::Mid, 0.5, 1.0)];

/// How often players look at what has come.
const STEP: Duration = Duration::from_millis(100);

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut setup = setup.with(&format!("up={}", setup.number("bitrate") * setup.number("upload_ratio")));
    if setup.number("limit") <= 0.0 {
        let film_s = setup.bytes() as f64 / mbit(setup.number("bitrate"));
        setup = setup.with(&format!("limit={}", film_s.mul_add(3.0, 120.0 + setup.number("arrive"))));
    }
    let setup = &setup;
    let (mut play, viewings) = watch(setup, true, &mut |share| progress(share / 2.0));
    let (mut alone, alone_viewings) = watch(setup, false, &mut |share| progress(f64::midpoint(1.0, share)));
    let mut outcome = Outcome::of(&mut play);
    let watched = setup.peers as f64 * play.world.content.bytes() as f64;
    let ups: Vec<_> = play.of(Class::gives).map(|peer| play.world.peers[peer].spec.up as f64).collect();
    outcome.tell("offload", 1.0 - play.world.origins[0].served as f64 / watched);
    outcome.tell("offload_bound", max_offload(&ups, mbit(setup.number("bitrate")), 0.9));
    outcome.tell("stalls", stalls(&viewings));
    outcome.tell("stalls_http", stalls(&alone_viewings));
    outcome.tell("stalls_over_http", stalls(&viewings) - stalls(&alone_viewings));
    outcome.tell("startup_p95_s", startup(&viewings));
    outcome.tell("startup_http_p95_s", startup(&alone_viewings));
    outcome.tell("startup_over_http_s", startup(&viewings) - startup(&alone_viewings));
    outcome.add_run(&mut alone);
    outcome
}

/// Lets everybody watch until all have the whole film.
fn watch(setup: &Setup, peers: bool, progress: Progress<'_>) -> (Play, Vec<Viewing>) {
    let mut play = audience(setup, peers);
    let film = film(setup, &play);
    let mut players: Vec<_> = play
        .of(Class::gives)
        .map(|peer| Player::new(peer, play.world.peers[peer].spec.joins.as_secs_f64()))
        .collect();
    play.run(setup, progress, &mut |play| players.iter_mut().for_each(|player| player.step(&film, play)));
    // From now on everything is on the viewer's own disk.
    let now_s = play.world.now.micros() as f64 / 1e6;
    let viewings = players.iter().map(|player| player.viewing(&film, now_s)).collect();
    (play, viewings)
}

fn film(setup: &Setup, play: &Play) -> Film {
    let (segment_s, per_second) = (setup.number("segment"), mbit(setup.number("bitrate")));
    let segments = |name: &str| (setup.number(name) / segment_s).ceil().max(1.0) as usize;
    let (root, file) = play.world.content.files.first_key_value().expect("a film is one file");
    Film {
        root: *root,
        bytes: file.len() as u64,
        segment_bytes: (segment_s * per_second) as u32,
        segment_s,
        startup: segments("startup"),
        ahead: segments("ahead"),
    }
}

fn audience(setup: &Setup, peers: bool) -> Play {
    let mut play = with_server(setup, setup.origin_up());
    play.step = STEP;
    for index in 0..setup.peers {
        let mut spec = setup.peer(play.next());
        spec.has_torrent = true;
        spec.config.signaller = peers;
        let (class, _, times) = LINES[line_of(index)];
        spec.up = (setup.up() * times) as u64;
        play.add(class, spec);
    }
    play
}

/// Which line the viewer at `index` has, by the shares of [`LINES`].
fn line_of(index: usize) -> usize {
    let [(_, weak, _), (_, strong, _), _] = LINES;
    if is_chosen(index, weak) {
        return 0;
    }
    let others = (0..index).filter(|other| !is_chosen(*other, weak)).count();
    if is_chosen(others, strong / (1.0 - weak)) { 1 } else { 2 }
}

fn stalls(viewings: &[Viewing]) -> f64 {
    let stalled: f64 = viewings.iter().map(|viewing| viewing.stalled_s).sum();
    let played: f64 = viewings.iter().map(|viewing| viewing.played_s).sum();
    stalled / (stalled + played)
}

fn startup(viewings: &[Viewing]) -> f64 {
    let mut times: Vec<_> = viewings.iter().map(|viewing| viewing.startup_s).collect();
    times.sort_by(f64::total_cmp);
    nearest(&times, 0.95)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_viewers_mean_upload_is_as_asked_for() {
        let setup = STORY.setup();
        let play = audience(&setup, true);
        let mean = play.world.peers.iter().map(|peer| peer.spec.up as f64).sum::<f64>() / 50.0;
        assert!((mean / setup.up() - 1.0).abs() < 0.02, "{mean}");
    }
}
