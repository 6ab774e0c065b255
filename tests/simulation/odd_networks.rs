//! Networks as they are: NATs that keep peers apart, partitions, and a tab whose scripts stand still.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use core::time::Duration;
use swarmlet_tests::{Fault, FlashCrowd, Nat, World};

fn crowd() -> FlashCrowd {
    FlashCrowd { peers: 5, bytes: 4 << 20, ..FlashCrowd::default() }
}

fn completes(mut world: World, limit: Duration) {
    let done = world.run_until(limit, World::all_done);
    println!("{}", world.report());
    world.check();
    assert!(done, "all have it");
}

#[test]
fn peers_that_cannot_reach_each_other_get_it_from_those_they_can_reach() {
    let mut world = crowd().world();
    for peer in world.peers.iter_mut().filter(|peer| !peer.spec.seed).take(4) {
        peer.spec.nat = Nat::Symmetric;
    }
    completes(world, Duration::from_secs(300));
}

/// Connections are a thing that a browser gives a tab only so many of.
#[test]
fn a_peer_whose_network_lets_nothing_through_keeps_its_connections() {
    let mut world = FlashCrowd { peers: 20, ..crowd() }.world();
    let blocked = world.peers.iter().position(|peer| !peer.spec.seed).unwrap();
    world.peers[blocked].spec.nat = Nat::Blocked;
    world.run_until(Duration::from_secs(1200), |_| false);
    world.check();
    let made = world.peers[blocked].node.as_ref().unwrap().snapshot().connections_made;
    assert!((24..60).contains(&made), "{made} connections");
}

#[test]
fn a_short_partition_costs_little_more_than_its_time() {
    let mut world = crowd().world();
    world.at(Duration::from_secs(4), Fault::Partition([0, 1].into()));
    world.at(Duration::from_secs(14), Fault::Heal);
    completes(world, Duration::from_secs(60));
}

#[test]
fn a_long_partition_ends_links_that_are_made_again() {
    let mut world = crowd().world();
    world.at(Duration::from_secs(3), Fault::Partition([0].into()));
    world.at(Duration::from_secs(120), Fault::Heal);
    completes(world, Duration::from_secs(600));
}

#[test]
fn a_tab_that_stands_still_for_a_while_goes_on_afterwards() {
    for frozen in [0, 3] {
        let mut world = crowd().world();
        world.at(Duration::from_secs(4), Fault::Freeze(frozen));
        world.at(Duration::from_secs(24), Fault::Thaw(frozen));
        completes(world, Duration::from_secs(120));
    }
}
