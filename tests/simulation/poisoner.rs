//! A peer that spoils what it sends is found out by the first leaf, and nobody stores a wrong byte: the disk
//! compares every write with the truth and stops the run otherwise.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use core::time::Duration;
use swarmlet_core::{Event, Fault as PeerFault};
use swarmlet_tests::{Conduct, Fault, FlashCrowd, World};

const LIES: Conduct = Conduct::Poisoner { honest_max: 0 };

#[test]
fn a_liar_is_banned_and_everybody_else_completes() {
    let crowd = FlashCrowd { peers: 6, bytes: 4 << 20, ..FlashCrowd::default() };
    let mut world = crowd.world();
    // Once it has something, it has something to spoil.
    world.at(Duration::from_secs(3), Fault::Conduct(1, LIES));
    let done = world.run_until(Duration::from_secs(300), World::all_done);
    let report = world.report();
    println!("{report}");
    world.check();
    assert!(done, "every honest peer has it");
    let banning = |event: &Event| matches!(event, Event::Banned { fault: PeerFault::BadData, .. });
    assert!(world.peers.iter().any(|peer| peer.heard(banning)), "somebody found out");
    let liar = world.peers[1].node.as_ref().map(swarmlet_core::Node::peer_id);
    for peer in &world.peers {
        for (_, event) in &peer.notes {
            if let Event::Banned { peer, .. } = event {
                assert_eq!(Some(*peer), liar, "only the liar is banned");
            }
        }
    }
}

#[test]
fn with_nothing_but_a_liar_nothing_wrong_is_stored() {
    let crowd = FlashCrowd { peers: 2, bytes: 1 << 20, ..FlashCrowd::default() };
    let mut world = crowd.world();
    world.inflict(Fault::Conduct(0, LIES));
    world.run(Duration::from_secs(60));
    world.check();
    assert!(world.peers.iter().filter(|peer| !peer.spec.seed).all(|peer| peer.done_at.is_none()));
    assert!(world.peers.iter().filter(|peer| !peer.spec.seed).all(|peer| peer.stored == 0));
}
