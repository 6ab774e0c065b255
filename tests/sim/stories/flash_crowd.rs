//! All come at once, to one origin.

use super::outcome::copies_until_out;
use super::setup::mbit;
use super::{Class, Outcome, Play, Progress, Setup, Story};
use crate::rounds::{self, Crowd};
use swarmlet_core::config::{BLOCK_LEAVES_MAX, LEAF_BYTES};

/// The story.
pub(super) static STORY: Story = Story {
    name: "flash-crowd",
    about: "Equal peers all come at once to one origin (goals A1, A2, A7). origin_until_out: copies that the \
            origin had sent when the last distinct piece was with a peer. rounds_last_s, last_over_rounds: when the last \
            peer has everything in a model without messages and delays, in rounds (tests/sim/rounds.rs), and last_s over it.",
    size: (100, 16.0, 4.0),
    knobs: &[],
    run,
};

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut play = crowd(setup);
    play.run(setup, progress, &mut |_| {});
    let mut outcome = Outcome::of(&mut play);
    outcome.tell("origin_until_out", copies_until_out(&play));
    if setup.number("arrive") <= 0.0 {
        let last_s = in_rounds(setup, &play);
        outcome.tell("rounds_last_s", last_s);
        outcome.tell("last_over_rounds", outcome.figure("last_s") / last_s);
    }
    outcome
}

/// When the last peer has everything in the model of rounds, with the median set-up of a connection.
fn in_rounds(setup: &Setup, play: &Play) -> f64 {
    let block = f64::from(LEAF_BYTES * BLOCK_LEAVES_MAX).min(setup.bytes() as f64);
    let crowd = Crowd {
        peers: setup.peers,
        blocks: (setup.bytes() as f64 / block).ceil() as usize,
        origin: setup.origin_ratio,
        down: (mbit(setup.number("down")) / setup.up()).max(1.0) as usize,
        links: 2 * setup.config().links_wanted as usize,
        seed: setup.seed,
    };
    let rounds = rounds::run(&crowd).last().copied().map_or(f64::NAN, f64::from);
    play.world.options.set_up.median().as_secs_f64() + rounds * block / setup.up()
}

/// An origin and equal peers.
pub(super) fn crowd(setup: &Setup) -> Play {
    let mut play = Play::with_origin(setup);
    for _ in 0..setup.peers {
        play.add(Class::Contributor, setup.peer(play.next()));
    }
    play
}

#[cfg(test)]
mod tests {
    use super::super::play::Class;
    use super::*;

    #[test]
    fn one_peer_takes_as_long_as_its_source() {
        let mut setup = STORY.setup();
        (setup.peers, setup.mib, setup.origin_ratio) = (1, 8.0, 1.0);
        for assignment in ["connect=1", "jitter=0", "rtt_min=4", "rtt_max=4"] {
            setup.set(assignment).unwrap();
        }
        let ratio = run(&setup, &mut |_| {}).figure("ratio_last");
        // Greeting, list of files and hashes are all that comes on top.
        assert!((1.0..1.05).contains(&ratio), "{ratio}");
    }

    #[test]
    fn choking_as_in_classic_bittorrent_brings_everything_to_everybody() {
        for seed in 1..4 {
            let mut setup = STORY.setup().with("incentive=classic");
            (setup.peers, setup.mib, setup.seed) = (20, 2.0, seed);
            let outcome = run(&setup, &mut |_| {});
            assert_eq!((outcome.figure("stranded"), outcome.violation), (0.0, None));
        }
    }

    #[test]
    fn everybody_is_waited_for() {
        let setup = STORY.setup();
        let play = crowd(&setup);
        assert_eq!(play.of(Class::is_awaited).count(), setup.peers);
    }
}
