//! Who stays serves: the seed leaves when others are complete, and somebody comes after that.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use core::time::Duration;
use swarmlet_tests::{Fault, FlashCrowd, World};

fn late_joiner(leaving: fn(usize) -> Fault) -> World {
    let crowd = FlashCrowd { peers: 3, bytes: 2 << 20, ..FlashCrowd::default() };
    let mut world = crowd.world();
    assert!(world.run_until(Duration::from_secs(300), World::all_done), "three peers have it");
    world.inflict(leaving(0));
    let mut late = crowd.spec(4);
    late.joins = Duration::from_micros(world.now.micros()) + Duration::from_secs(1);
    let late = world.add(late);
    let limit = Duration::from_micros(world.now.micros()) + Duration::from_secs(300);
    let done = world.run_until(limit, |world| world.peers[late].done_at.is_some());
    println!("{}", world.report());
    world.check();
    assert!(done, "the late peer has it");
    world
}

#[test]
fn a_late_peer_is_served_after_the_seed_closed() {
    let _ = late_joiner(Fault::Leave);
}

#[test]
fn a_late_peer_is_served_after_the_seed_crashed() {
    let _ = late_joiner(Fault::Kill);
}

#[test]
fn the_others_finish_when_the_seed_leaves_after_one_copy_is_out() {
    (1..=12).for_each(seed_leaves_after_one_copy);
}

fn seed_leaves_after_one_copy(seed: u64) {
    let crowd = FlashCrowd { peers: 6, bytes: 2 << 20, seed, ..FlashCrowd::default() };
    let mut world = crowd.world();
    let one_copy = |world: &World| world.peers.iter().any(|peer| !peer.spec.seed && peer.done_at.is_some());
    assert!(world.run_until(Duration::from_secs(300), one_copy));
    world.inflict(Fault::Kill(0));
    // Sooner than the dead links are found out: what they owe is asked for elsewhere.
    let limit = Duration::from_micros(world.now.micros()) + Duration::from_secs(20);
    let done = world.run_until(limit, World::all_done);
    println!("{}", world.report());
    world.check();
    assert!(done, "all six have it");
}
