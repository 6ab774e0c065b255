//! HTTP sources: alone, beside peers, with wrong bytes, and dying in the middle.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use core::time::Duration;
use std::rc::Rc;
use swarmlet_core::Event;
use swarmlet_core::action::SourceFailure;
use swarmlet_tests::origin::Origin;
use swarmlet_tests::{Content, Fault, FlashCrowd, World};

const URL: &str = "https://origin.example/file.bin";

/// A world with one HTTP origin that has the file; nobody else does.
fn world(crowd: &FlashCrowd) -> World {
    let content = Rc::new(Content::single(crowd.seed, crowd.bytes, &[URL]));
    let mut world = crowd.world_of(content.clone());
    let mut origin = Origin::new(1_250_000);
    let root = *content.files.keys().next().expect("one file");
    origin.files.insert(URL.to_owned(), root);
    world.origins.push(origin);
    for peer in &mut world.peers {
        peer.spec.has_torrent = true;
    }
    world
}

#[test]
fn without_peers_the_origin_is_enough() {
    let crowd = FlashCrowd { peers: 1, seeds: 0, bytes: (2 << 20) + 5, ..FlashCrowd::default() };
    let mut world = world(&crowd);
    let done = world.run_until(Duration::from_secs(60), World::all_done);
    println!("{}", world.report());
    world.check();
    assert!(done, "all came over HTTP");
    let served = world.origins[0].served;
    let bytes = crowd.bytes as u64;
    assert!((bytes..=bytes + bytes / 10).contains(&served), "{served} bytes for a file of {bytes}");
}

#[test]
fn peers_take_load_off_the_origin() {
    let crowd = FlashCrowd { peers: 6, seeds: 0, bytes: 16 << 20, ..FlashCrowd::default() };
    let mut world = world(&crowd);
    let done = world.run_until(Duration::from_secs(300), World::all_done);
    let copies = world.origins[0].served as f64 / crowd.bytes as f64;
    println!("{}; the origin sent {copies:.2} copies", world.report());
    world.check();
    assert!(done, "all have it");
    assert!(copies < 6.0, "peers gave something: {copies}");
}

#[test]
fn wrong_bytes_are_refused_and_the_source_is_dropped() {
    let crowd = FlashCrowd { peers: 1, seeds: 0, bytes: 1 << 20, ..FlashCrowd::default() };
    let mut world = world(&crowd);
    world.origins[0].wrong = true;
    world.run(Duration::from_secs(60));
    world.check();
    let peer = &world.peers[0];
    assert!(peer.done_at.is_none() && peer.stored == 0, "nothing of it was stored");
    let dropped =
        |event: &Event| matches!(event, Event::SourceDropped { reason: SourceFailure::BadData, .. });
    assert!(peer.heard(dropped), "{:?}", peer.notes);
}

#[test]
fn a_seed_helps_out_when_the_origin_lies_or_dies() {
    for fault in [None, Some(Fault::OriginDies(0))] {
        let crowd = FlashCrowd { peers: 2, seeds: 1, bytes: 2 << 20, ..FlashCrowd::default() };
        let mut world = world(&crowd);
        match fault {
            Some(fault) => world.at(Duration::from_secs(1), fault),
            None => world.origins[0].wrong = true,
        }
        let done = world.run_until(Duration::from_secs(300), World::all_done);
        println!("{}", world.report());
        world.check();
        assert!(done, "the seed was enough");
    }
}
