//! Joins and leaves, one after another. [SOAK_ROUNDS=12] A test of its own, since it counts what the process holds.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::peers::{MIB, done, noisy, seeder, settings};
use common::{Server, within};
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::fs;
use swarmlet_signaller::Config;
use swarmlet_signaller::seed::Peer;

/// Descriptors of one connection that may be open still, or not yet at the first count.
const SLACK: usize = 6;

/// Peers that come, take and go leave nothing behind: not in the one that stays, nor in the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_and_leaves_leave_nothing_behind() {
    let rounds = std::env::var("SOAK_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12_u32);
    let server = Server::start(Config::default()).await;
    let path = noisy("soak-source", "film.bin", MIB);
    let (a, magnet) = seeder(&settings(&server, "soak-a"), &path).await;
    let content = magnet.content;
    let (mut first, mut failed) = (None, 0);
    for round in 0..rounds {
        let b = Peer::start(&settings(&server, "soak-b")).unwrap();
        let mut events = b.events();
        b.add(magnet.clone(), None).await;
        done(&mut events, content).await;
        failed += b.counters().dials_failed.load(Ordering::Relaxed);
        b.close().await;
        within("its end at the other side", async {
            while a.counters().connections.load(Ordering::Relaxed) > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // What is made once is there after the first rounds.
        if round == 2 {
            first = taken();
        }
    }
    println!("{failed} attempts failed");
    // Where the system does not tell, there is nothing to compare. The stack closes what it no longer needs when it gets
    // to it, and of that it says nothing: one descriptor lost in each round would be more than is let pass here.
    if let Some((sockets, memory)) = first {
        within("the last peer's descriptors", async {
            while taken().is_some_and(|(now, _)| now > sockets + SLACK) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let (sockets_now, memory_now) = taken().unwrap();
        println!(
            "{rounds} rounds: {sockets} descriptors and {memory} KiB after the third, {sockets_now} and {memory_now} now"
        );
    }
    a.close().await;
}

/// Descriptors and bytes of memory of this process.
fn taken() -> Option<(usize, u64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let resident = resident.split_whitespace().next()?.parse().ok()?;
    Some((fs::read_dir("/proc/self/fd").ok()?.count(), resident))
}
