//! Peers that find each other without a signaller: by codes that people carry, and through peers that they are linked
//! with, good ones and bad ones.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use core::time::Duration;
use swarmlet_core::{Command, Event};
use swarmlet_tests::{Conduct, Fault, FlashCrowd, Meddling, PeerId, World};

const GONE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(30);

/// Time in the world from now on.
fn after(world: &World, time: Duration) -> Duration {
    Duration::from_micros(world.now.micros()) + time
}

/// The code that a peer's application got for a call.
fn code_of(world: &World, peer: PeerId, wanted: u32) -> Option<Vec<u8>> {
    world.peers[peer].notes.iter().find_map(|(_, event)| match event {
        Event::Code { call, code } if *call == wanted => Some(code.clone()),
        _ => None,
    })
}

/// Two people connect with no server: offer out, answer back. Answers the offer.
fn connect_by_hand(world: &mut World, from: PeerId, to: PeerId) -> Vec<u8> {
    let content = world.content.magnet().content;
    world.command(from, Command::Invite { call: 1, content });
    let limit = after(world, SOON);
    assert!(world.run_until(limit, |world| code_of(world, from, 1).is_some()), "an offer is made");
    let offer = code_of(world, from, 1).unwrap();
    // It is read when somebody has time.
    world.run(after(world, Duration::from_secs(100)));
    world.command(to, Command::Meet { call: 2, code: offer.clone() });
    let limit = after(world, SOON);
    assert!(world.run_until(limit, |world| code_of(world, to, 2).is_some()), "an answer is made");
    let code = code_of(world, to, 2).unwrap();
    world.run(after(world, Duration::from_secs(100)));
    world.command(from, Command::Meet { call: 3, code });
    assert_eq!(code_of(world, from, 3), Some(vec![]), "the answer is taken");
    offer
}

fn links(world: &World, peer: PeerId) -> usize {
    world.peers[peer].node.as_ref().map_or(0, |node| node.snapshot().links.len())
}

/// A swarm whose signaller is gone, and one who comes then.
fn orphans(crowd: &FlashCrowd, conduct: impl Fn(PeerId) -> Conduct) -> (World, PeerId) {
    let mut world = crowd.world();
    for peer in 0..world.peers.len() {
        world.peers[peer].spec.conduct = conduct(peer);
    }
    world.at(GONE, Fault::SignallerDown);
    world.run(GONE + Duration::from_secs(10));
    let mut late = crowd.spec(world.peers.len());
    late.joins = after(&world, Duration::from_secs(1));
    let late = world.add(late);
    world.run(after(&world, Duration::from_secs(2)));
    (world, late)
}

/// Who knows one peer meets others through it, and has everything.
fn comes_in(mut world: World, late: PeerId) -> World {
    connect_by_hand(&mut world, 1, late);
    let limit = after(&world, Duration::from_secs(120));
    let met = world.run_until(limit, |world| links(world, late) >= 4);
    assert!(met, "{} links: through the one peer that it knows it meets three others", links(&world, late));
    let limit = after(&world, Duration::from_secs(300));
    let done = world.run_until(limit, World::all_done);
    println!("{}", world.report());
    world.check();
    assert!(done, "all have it");
    for peer in &world.peers {
        assert!(
            !peer.heard(|event| matches!(event, Event::Banned { .. })),
            "nobody is to blame for anything"
        );
    }
    world
}

#[test]
fn a_ninth_peer_that_knows_one_of_eight_meets_others_through_it() {
    let crowd = FlashCrowd { peers: 7, bytes: 4 << 20, ..FlashCrowd::default() };
    let (world, late) = orphans(&crowd, |_| Conduct::Honest);
    comes_in(world, late);
}

#[test]
fn two_meet_without_any_server() {
    let crowd = FlashCrowd { peers: 1, bytes: 1 << 20, ..FlashCrowd::default() };
    let mut world = crowd.world();
    world.inflict(Fault::SignallerDown);
    world.run(Duration::from_secs(5));
    let offer = connect_by_hand(&mut world, 0, 1);
    let limit = after(&world, Duration::from_secs(60));
    let done = world.run_until(limit, World::all_done);
    println!("{}", world.report());
    world.check();
    assert!(done);
    // What was used up, is nonsense, or is our own comes to nothing, and says so.
    for (call, code) in [(10, offer), (11, vec![1, 2, 3]), (12, vec![])] {
        world.command(0, Command::Meet { call, code });
        assert!(world.peers[0].heard(|event| *event == Event::NoCode { call }), "call {call}");
    }
}

#[test]
fn an_answer_that_never_comes_costs_nothing_but_an_attempt() {
    let crowd = FlashCrowd { peers: 1, bytes: 1 << 20, ..FlashCrowd::default() };
    let mut world = crowd.world();
    let content = world.content.magnet().content;
    world.run(Duration::from_secs(1));
    for call in 0..5 {
        world.command(0, Command::Invite { call, content });
    }
    world.run(Duration::from_secs(30));
    let made = (0..5).filter(|call| code_of(&world, 0, *call).is_some()).count();
    assert_eq!(made, 3, "so many wait for people at a time; the others are refused");
    let done = world.run_until(Duration::from_secs(60), World::all_done);
    assert!(done, "others connect as ever");
    world.run(Duration::from_secs(1000));
    world.check();
    assert_eq!(world.peers[0].node.as_ref().unwrap().snapshot().dialling, 0, "offers grow old");
}

/// Every third peer meddles with what it is to pass on; who comes knows an honest one.
fn bad_relays(how: Meddling) {
    let crowd = FlashCrowd { peers: 14, bytes: 4 << 20, ..FlashCrowd::default() };
    let (world, late) =
        orphans(&crowd, |peer| if peer % 3 == 2 { Conduct::Relay(how) } else { Conduct::Honest });
    comes_in(world, late);
}

#[test]
fn neighbours_that_drop_parcels_cost_time_and_nothing_else() {
    bad_relays(Meddling::Drops);
}

#[test]
fn neighbours_that_alter_parcels_cost_time_and_nothing_else() {
    bad_relays(Meddling::Alters);
}

#[test]
fn neighbours_that_delay_parcels_cost_time_and_nothing_else() {
    bad_relays(Meddling::Delays);
}

#[test]
fn neighbours_that_repeat_parcels_cost_time_and_nothing_else() {
    bad_relays(Meddling::Repeats);
}
