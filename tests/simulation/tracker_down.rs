//! Running transfers do not need the signaller; new peers find the others when it is back.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use core::time::Duration;
use swarmlet_core::Event;
use swarmlet_tests::{Fault, FlashCrowd, World};

#[test]
fn a_transfer_goes_on_while_the_signaller_is_down() {
    let crowd = FlashCrowd { peers: 5, bytes: 4 << 20, ..FlashCrowd::default() };
    let undisturbed = crowd.run(Duration::from_secs(300));
    let mut world = crowd.world();
    world.at(Duration::from_secs(6), Fault::SignallerDown);
    let done = world.run_until(Duration::from_secs(300), World::all_done);
    let report = world.report();
    println!("{undisturbed}\n{report}");
    world.check();
    assert!(done, "all have it without a signaller");
    let (Some((_, last)), Some((_, before))) = (report.times, undisturbed.times) else { panic!("{report}") };
    assert!(last <= before * 1.25, "{last} s without, {before} s with a signaller");
}

#[test]
fn who_comes_while_it_is_down_is_served_when_it_is_back() {
    let crowd = FlashCrowd { peers: 2, bytes: 1 << 20, ..FlashCrowd::default() };
    let mut world = crowd.world();
    world.at(Duration::from_secs(20), Fault::SignallerDown);
    let mut late = crowd.spec(3);
    late.joins = Duration::from_secs(30);
    let late = world.add(late);
    world.at(Duration::from_secs(60), Fault::SignallerUp);
    world.run(Duration::from_secs(59));
    assert!(world.peers[late].done_at.is_none(), "nobody could be found");
    assert!(world.peers[late].heard(|event| matches!(event, Event::SignallerDown { .. })));
    let done = world.run_until(Duration::from_secs(360), World::all_done);
    println!("{}", world.report());
    world.check();
    assert!(done, "the late peer has it");
    world.run(Duration::from_secs(360));
    for peer in &world.peers {
        let ups = peer.notes.iter().filter(|(_, event)| *event == Event::SignallerUp).count();
        assert!(ups >= 1 && peer.node.as_ref().is_some_and(|node| node.snapshot().signaller), "all are back");
    }
}
