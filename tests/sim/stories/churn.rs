//! Peers leave when they are done, crash before, and new ones come.

use super::setup::number;
use super::{Class, Outcome, Play, Progress, Setup, Story, free_riders};
use crate::queue::fork;
use crate::spec::Fault;
use swarmlet_core::rng::Rng;

/// The story.
pub(super) static STORY: Story = Story {
    name: "churn",
    about: "Peers leave as soon as they have everything; some leave or crash before, and as many others come (goal A6); \
            some may be free riders. Who left early is not waited for. With origin_leaves=1 the origin crashes once every piece is with a peer, \
            and who comes later is not waited for.",
    size: (100, 16.0, 4.0),
    knobs: &[
        number("churn", 30.0, "peers that go before they are done, and come, % per hour"),
        number("crash_share", 0.5, "share of those who go that tell nobody"),
        number("leave", 1.0, "1: peers leave when they are done; 0: they stay"),
        number("origin_leaves", 0.0, "1: the origin crashes once every piece is with a peer"),
        number("free_rider_share", 0.0, "share of peers that give nothing"),
    ],
    run,
};

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut play = free_riders::population(setup, |spec| spec);
    let mut fate = Fate::new(setup);
    play.run(setup, progress, &mut |play| fate.strike(play, setup));
    Outcome::of(&mut play)
}

/// Who goes and who comes.
struct Fate {
    rng: Rng,
    first: usize,
    since_s: f64,
    /// Peers that go, for each peer and second.
    rate: f64,
    crash_share: f64,
    leave: bool,
    origin_leaves: bool,
}

impl Fate {
    fn new(setup: &Setup) -> Self {
        Self {
            rng: fork(setup.seed, 60, 0),
            first: setup.sources() + setup.peers,
            since_s: 0.0,
            rate: setup.number("churn") / 100.0 / 3600.0,
            crash_share: setup.number("crash_share"),
            leave: setup.number("leave") > 0.0,
            origin_leaves: setup.number("origin_leaves") > 0.0,
        }
    }

    fn chance(&mut self, share: f64) -> bool {
        (self.rng.below(1 << 32) as f64) < share * f64::from(u32::MAX)
    }

    /// What happened in the last step.
    fn strike(&mut self, play: &mut Play, setup: &Setup) {
        let now_s = play.world.now.micros() as f64 / 1e6;
        let share = self.rate * (now_s - core::mem::replace(&mut self.since_s, now_s));
        let first_are_done =
            play.of(Class::is_awaited).filter(|peer| *peer < self.first).all(|peer| is_done(play, peer));
        for peer in play.of(Class::is_awaited).collect::<Vec<_>>() {
            if play.world.peers[peer].node.is_none() {
                continue;
            }
            if is_done(play, peer) {
                if self.leave {
                    play.depart(peer, Fault::Leave(peer));
                }
            } else if !first_are_done && self.chance(share) {
                let crashes = self.chance(self.crash_share);
                play.depart(peer, if crashes { Fault::Kill(peer) } else { Fault::Leave(peer) });
                play.excused.insert(peer);
                self.replace(play, setup);
            }
        }
        if self.origin_leaves && play.all_out() {
            self.origin_leaves = false;
            for peer in 0..setup.sources() {
                play.depart(peer, Fault::Kill(peer));
            }
        }
    }

    /// Somebody comes for who went.
    fn replace(&self, play: &mut Play, setup: &Setup) {
        let mut spec = setup.peer(play.next());
        spec.joins = play.world.now.since(swarmlet_core::Instant::ZERO);
        let peer = play.add(Class::Contributor, spec);
        if setup.number("origin_leaves") > 0.0 {
            play.excused.insert(peer);
        }
    }
}

fn is_done(play: &Play, peer: usize) -> bool {
    play.world.peers[peer].done_at.is_some()
}
