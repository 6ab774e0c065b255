//! The same seed gives the same run, event by event; another seed gives another run.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use core::time::Duration;
use swarmlet_tests::{Conduct, Fault, FlashCrowd, Report, World};

/// A run with a bit of everything in it.
fn eventful(seed: u64) -> Report {
    let crowd = FlashCrowd { seed, peers: 6, bytes: 1 << 20, ..FlashCrowd::default() };
    let mut world = crowd.world();
    world.at(Duration::from_secs(2), Fault::Conduct(3, Conduct::Poisoner { honest_max: 0 }));
    world.at(Duration::from_secs(3), Fault::Kill(2));
    world.at(Duration::from_secs(4), Fault::SignallerDown);
    world.at(Duration::from_secs(4), Fault::Freeze(4));
    world.at(Duration::from_secs(5), Fault::Partition([1, 5].into()));
    world.at(Duration::from_secs(7), Fault::SignallerUp);
    world.at(Duration::from_secs(8), Fault::Thaw(4));
    world.at(Duration::from_secs(9), Fault::Heal);
    world.at(Duration::from_secs(10), Fault::Start(2));
    world.run(Duration::from_secs(120));
    world.check();
    world.report()
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let first = eventful(7);
    println!("{first}");
    assert_eq!(first, eventful(7));
    assert_ne!(first.log, eventful(8).log);
}

#[test]
fn everybody_honest_survives_an_eventful_run() {
    for seed in 1..=8 {
        let report = eventful(seed);
        println!("{report}");
        assert!(report.peers.1 >= 5, "{report}");
    }
}

#[test]
fn nothing_happens_in_an_empty_world() {
    let mut world = FlashCrowd { peers: 0, seeds: 0, ..FlashCrowd::default() }.world();
    world.run(Duration::from_secs(1));
    assert_eq!((world.events, world.all_done()), (0, true));
    let _: &World = &world;
}
