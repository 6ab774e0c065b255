//! Native peers that take files from each other over real connections, by way of a real signaller.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::peers::{MIB, done, noise, noisy, seeder, settings};
use common::{Server, within};
use core::sync::atomic::Ordering;
use std::fs;
use swarmlet_core::Event;
use swarmlet_signaller::Config;
use swarmlet_signaller::seed::Peer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_mebibytes_from_one_to_another() {
    let server = Server::start(Config::default()).await;
    let path = noisy("swarm-source", "film.bin", 16 * MIB);
    let (a, magnet) = seeder(&settings(&server, "swarm-a"), &path).await;
    let b_settings = settings(&server, "swarm-b");
    let b = Peer::start(&b_settings).unwrap();
    let (mut events, content) = (b.events(), magnet.content);
    b.add(magnet, None).await;
    done(&mut events, content).await;

    let view = b.snapshot().await.unwrap();
    let share = view.shares.first().unwrap();
    assert_eq!((share.from_peers, share.from_http, share.wasted), (16 * MIB as u64, 0, 0));
    assert_eq!(view.links.first().map(|link| link.peer), Some(a.id()));
    let root = share.files.first().unwrap().root.unwrap();
    b.close().await;
    a.close().await;
    let stored = fs::read(b_settings.data.unwrap().join(root.to_string())).unwrap();
    assert!(stored == noise(16 * MIB as u64, 16 * MIB), "the bytes that were shared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_thrown_away_in_the_middle_costs_a_moment() {
    let server = Server::start(Config::default()).await;
    let path = noisy("recycle-source", "film.bin", 16 * MIB);
    let mut slow = settings(&server, "recycle-a");
    slow.node.upload_rate_max = Some(8_000_000);
    let (a, magnet) = seeder(&slow, &path).await;
    let b = Peer::start(&settings(&server, "recycle-b")).unwrap();
    let (mut events, content) = (b.events(), magnet.content);
    b.add(magnet, None).await;
    within("the first leaf", async {
        while !matches!(events.recv().await.unwrap(), Event::FirstLeaf { .. }) {}
    })
    .await;
    a.recycle("a test").await;
    b.recycle("a test").await;
    done(&mut events, content).await;
    let share = b.snapshot().await.unwrap().shares.remove(0);
    assert_eq!(share.from_peers, 16 * MIB as u64);
    assert_eq!(b.counters().recycles.load(Ordering::Relaxed), 1);
    assert!(b.counters().connections_made.load(Ordering::Relaxed) > 1, "it linked again");
    b.close().await;
    a.close().await;
}

/// Who may give nothing may take, and nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_gives_nothing_is_no_source() {
    let server = Server::start(Config::default()).await;
    let path = noisy("shut-source", "film.bin", MIB);
    let mut shut = settings(&server, "shut-a");
    shut.node.upload_rate_max = Some(0);
    let (a, magnet) = seeder(&shut, &path).await;
    shut.data = settings(&server, "shut-b").data;
    let b = Peer::start(&shut).unwrap();
    let (mut events, content) = (b.events(), magnet.content);
    b.add(magnet.clone(), None).await;
    while !matches!(events.recv().await.unwrap(), Event::SignallerUp) {}

    let (c, _) = seeder(&settings(&server, "shut-c"), &path).await;
    done(&mut events, content).await;
    let d = Peer::start(&settings(&server, "shut-d")).unwrap();
    let mut events = d.events();
    d.add(magnet, None).await;
    done(&mut events, content).await;
    let view = d.snapshot().await.unwrap();
    let share = view.shares.first().unwrap();
    assert_eq!(share.from_peers, MIB as u64);
    // Whoever came to have all just now may still be counted: its leaving is on its way to the signaller.
    let given = |of: &Peer| {
        view.links.iter().filter(|link| link.peer == of.id()).map(|link| link.received).sum::<u64>()
    };
    assert_eq!((given(&a), given(&b), given(&c)), (0, 0, MIB as u64), "{:?}", view.links);
    for peer in [a, b, c, d] {
        peer.close().await;
    }
}
