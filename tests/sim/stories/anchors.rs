//! The signaller is gone before anybody comes; all were here before, and remember anchors.

use super::outcome::nearest;
use super::setup::number;
use super::{Outcome, Progress, Setup, Story, flash_crowd};
use crate::queue::{fork, fork_seed};
use crate::spec::Fault;
use crate::world::World;
use core::time::Duration;
use std::collections::BTreeSet;
use swarmlet_core::overlay::anchors::{Action, Anchors, Input};
use swarmlet_core::{Event, Instant};

/// The story.
pub(super) static STORY: Story = Story {
    name: "anchors",
    about: "The signaller is dead from the start, and everybody remembers some anchors of earlier visits, of which some are dead, too. \
            last_over_calm: to the same seed's run in which it lives. linked_s: when 95 % have had their first link. used: anchors \
            that somebody was at. tries_max: addresses that one peer opened, at most. home_s: when the last has gone back, after it lives again.",
    size: (100, 16.0, 4.0),
    knobs: &[
        number("anchors", 20.0, "anchors that there are"),
        number("known", 10.0, "of these each remembers, by chance"),
        number("dead", 5.0, "of these are gone"),
        number("back_at", 0.0, "when the signaller is there again, s; 0: never"),
    ],
    run,
};

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut play = flash_crowd::crowd(setup);
    play.world.at(Duration::ZERO, Fault::SignallerDown);
    let back_at = setup.seconds("back_at");
    if !back_at.is_zero() {
        play.world.at(back_at, Fault::SignallerUp);
    }
    let servers: Vec<usize> =
        (0..setup.number("anchors") as usize).map(|_| play.world.add_signaller()).collect();
    for which in servers.iter().take(setup.number("dead") as usize) {
        play.world.signaller_down(*which);
    }
    let content = play.world.content.id();
    let mut visitors: Vec<Visitor> =
        (0..play.next()).map(|peer| Visitor::new(peer, setup, servers.clone(), content)).collect();
    let mut used = BTreeSet::new();
    play.run(setup, &mut |share| progress(share / 2.0), &mut |play| {
        for visitor in &mut visitors {
            used.extend(visitor.go_on(&mut play.world));
        }
    });
    let mut home = 0.0;
    if !back_at.is_zero() {
        let limit = play.world.now + Duration::from_secs(1200);
        while play.world.now < limit
            && visitors.iter().any(|visitor| play.world.peers[visitor.peer].uses != 0)
        {
            let next = play.world.now.since(Instant::ZERO) + play.step;
            play.world.run(next);
            for visitor in &mut visitors {
                visitor.go_on(&mut play.world);
            }
        }
        home = play.world.now.since(Instant::ZERO + back_at).as_secs_f64();
    }
    let mut linked: Vec<f64> =
        visitors.iter().filter_map(|visitor| first_link(&play.world, visitor.peer)).collect();
    linked.sort_by(f64::total_cmp);
    let mut calm = flash_crowd::crowd(setup);
    calm.run(setup, &mut |share| progress(f64::midpoint(1.0, share)), &mut |_| {});
    let mut outcome = Outcome::of(&mut play);
    outcome.compare_last(&play, &calm);
    outcome.tell("linked_s", if linked.is_empty() { f64::NAN } else { nearest(&linked, 0.95) });
    outcome.tell("used", used.len() as f64);
    outcome.tell("tries_max", f64::from(visitors.iter().map(|visitor| visitor.tries).max().unwrap_or(0)));
    if !back_at.is_zero() {
        outcome.tell("home_s", home);
    }
    outcome.add_run(&mut calm);
    outcome
}

/// What stands beside a node in its host: the list, and who is on it.
struct Visitor {
    peer: usize,
    anchors: Anchors,
    known: Vec<(String, usize)>,
    /// Notes of the node's that it has seen.
    seen: usize,
    tries: u32,
}

impl Visitor {
    fn new(peer: usize, setup: &Setup, mut servers: Vec<usize>, content: swarmlet_core::ContentId) -> Self {
        fork(setup.seed, 71, peer as u64).shuffle(&mut servers);
        servers.truncate(setup.number("known") as usize);
        let address = |which: usize| (format!("wss://anchor{which}.example/signal"), which);
        let known: Vec<(String, usize)> = servers.into_iter().map(address).collect();
        let list = known.iter().map(|(address, _)| address.as_str());
        let seed = fork_seed(setup.seed, 72, peer as u64);
        let mut anchors = Anchors::new(list, "wss://home.example/signal", seed, Instant::ZERO);
        anchors.handle(Instant::ZERO, Input::Shares(vec![content]));
        Self { peer, anchors, known, seen: 0, tries: 0 }
    }

    /// Tells it what the node said, and does what it orders. Answers who let it in.
    fn go_on(&mut self, world: &mut World) -> Option<usize> {
        let mut at = None;
        let now = world.now;
        for (_, event) in &world.peers[self.peer].notes[self.seen..] {
            match event {
                Event::SignallerUp => {
                    at = Some(world.peers[self.peer].uses).filter(|which| *which != 0);
                    self.anchors.handle(now, Input::Up);
                }
                Event::SignallerDown { .. } => self.anchors.handle(now, Input::Down),
                _ => {}
            }
        }
        self.seen = world.peers[self.peer].notes.len();
        if self.anchors.poll_timeout().is_some_and(|due| due <= now) {
            self.anchors.handle(now, Input::Timeout);
        }
        while let Some(action) = self.anchors.poll_action() {
            let Action::Use(address) = action else { continue };
            let which = address.and_then(|address| self.known.iter().find(|(known, _)| *known == address));
            self.tries += u32::from(which.is_some());
            world.turn(self.peer, which.map_or(0, |(_, which)| *which));
        }
        at
    }
}

fn first_link(world: &World, peer: usize) -> Option<f64> {
    let is_up = |event: &Event| matches!(event, Event::LinkUp { .. });
    let first = world.peers[peer].notes.iter().find(|(_, event)| is_up(event));
    first.map(|(at, _)| at.since(Instant::ZERO).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_the_signaller_dead_from_the_start_all_meet_at_anchors_and_go_home_when_it_is_back() {
        let mut setup = STORY.setup().with("back_at=40");
        (setup.peers, setup.mib) = (12, 1.0);
        let outcome = run(&setup, &mut |_| {});
        assert_eq!((outcome.figure("stranded"), &outcome.violation), (0.0, &None));
        assert!(outcome.figure("home_s") < 400.0, "{}", outcome.figure("home_s"));
        assert!(outcome.figure("used") >= 1.0);
    }
}
