//! A node that is started again from its disk fetches nothing that it had.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use core::time::Duration;
use swarmlet_tests::{Fault, FlashCrowd, World};

/// A leecher that is stopped by `stop` when it has about half, and started again ten seconds later.
fn stopped_in_the_middle(stop: fn(usize) -> Fault) -> (World, u64) {
    let crowd = FlashCrowd { peers: 1, bytes: 8 << 20, ..FlashCrowd::default() };
    let mut world = crowd.world();
    let mut time = Duration::ZERO;
    while world.peers[1].stored < (4 << 20) {
        time += Duration::from_millis(100);
        world.run(time);
        assert!(time < Duration::from_secs(300), "half of it arrives");
    }
    world.inflict(stop(1));
    let had = world.peers[1].stored;
    world.at(time + Duration::from_secs(10), Fault::Start(1));
    (world, had)
}

#[test]
fn a_node_that_was_closed_resumes() {
    resumes(Fault::Leave);
}

#[test]
fn a_node_that_crashed_resumes() {
    resumes(Fault::Kill);
}

fn resumes(stop: fn(usize) -> Fault) {
    let (mut world, had) = stopped_in_the_middle(stop);
    let done = world.run_until(Duration::from_secs(600), World::all_done);
    println!("{}", world.report());
    world.check();
    assert!(done, "it completes");
    let node = world.peers[1].node.as_ref().expect("it runs");
    let share = node.snapshot().shares.first().cloned().expect("one share");
    // What was stored but not yet on record when it stopped may come again: a few pieces.
    let slack = 512 * 1024;
    assert!(share.from_store + slack >= had, "{} of {had} bytes were found again", share.from_store);
    assert!(share.from_peers <= (8 << 20) - had + slack, "{} bytes were fetched", share.from_peers);
}

#[test]
fn a_rotten_byte_is_found_and_fetched_again() {
    let (mut world, had) = stopped_in_the_middle(Fault::Kill);
    let root = *world.content.files.keys().next().expect("one file");
    let length = world.content.files[&root].len() as u64;
    let rotten = (0..length).step_by(65_536).find(|at| world.peers[1].disk.holds(&root, *at, at + 65_536));
    let rotten = rotten.expect("a whole piece is there") + 777;
    world.peers[1].disk.rot(root, rotten);
    let done = world.run_until(Duration::from_secs(600), World::all_done);
    world.check();
    assert!(done && had > 0, "it completes");
    let clean = world.peers[1].disk.load(&world.files, &root, rotten, 1);
    assert_eq!(clean.as_deref(), world.content.files[&root].get(rotten as usize..=rotten as usize));
}
