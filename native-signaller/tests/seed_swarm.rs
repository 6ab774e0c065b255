//! Native peers that take files from each other over real connections, by way of a real signaller.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::Server;
use common::peers::{MIB, done, noise, noisy, seeder, settings};
use std::fs;
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
