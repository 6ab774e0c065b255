//! Joins and leaves, one after another. [SOAK_ROUNDS=12, or SOAK_MINUTES=30 of them (`make soak`)] A test of its own,
//! since it counts what the process holds.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::peers::{MIB, done, noisy, seeder, settings};
use common::{Server, within};
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::fs;
use std::time::Instant;
use swarmlet_core::content::Magnet;
use swarmlet_signaller::Config;
use swarmlet_signaller::seed::Peer;
use tokio::runtime::Handle;
use tokio::time;

/// Descriptors of one connection that may be open still, or not yet at the first count.
const SLACK: usize = 6;
/// Peers that are there at the same time.
const TOGETHER: usize = 3;
/// Rounds after which everything has been made that is made once: what the first count comes after.
const WARM_ROUNDS: u32 = 3;
/// The same for a long run, as its first part of so many: the C library keeps what was freed in places for each thread,
/// and takes hundreds of peers until it asks for no more.
const WARM_PART: u32 = 3;
/// How far from the start a long run may end, in parts of a hundred.
const OFF_PERCENT: f64 = 5.0;

/// Peers that come, take and go leave nothing behind: not in the one that stays, nor in the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_and_leaves_leave_nothing_behind() {
    let said = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let long = said("SOAK_MINUTES").map(|minutes| Duration::from_secs(u64::from(minutes) * 60));
    let rounds = said("SOAK_ROUNDS").unwrap_or(12);
    let server = Server::start(Config::default()).await;
    let path = noisy("soak-source", "film.bin", MIB);
    let (a, magnet) = seeder(&settings(&server, "soak-a"), &path).await;
    let (began, mut first, mut failed, mut round) = (Instant::now(), None, 0, 0);
    while long.map_or(round < rounds, |long| began.elapsed() < long) {
        failed += join_and_leave(&server, &magnet, round).await;
        within("their end at the other side", async {
            while a.counters().connections.load(Ordering::Relaxed) > 0 {
                time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        round += 1;
        if first.is_none() && long.map_or(round == WARM_ROUNDS, |long| began.elapsed() > long / WARM_PART) {
            first = Some(settled(long.is_some()).await);
        }
        if long.is_some() && round % 50 == 0 {
            println!("{:?}, {round} rounds: {:?}", began.elapsed(), Taken::now());
        }
    }
    println!("{failed} attempts failed");
    // Where the system does not tell, there is nothing to compare.
    if let Some(Some(first)) = first {
        compare(&first, round, long.is_some()).await;
    }
    a.close().await;
}

/// Some peers that come together; every third time one of them goes before it has anything. How many attempts to
/// link failed.
async fn join_and_leave(server: &Server, magnet: &Magnet, round: u32) -> u64 {
    let mut peers = Vec::new();
    for number in 0..if std::env::var_os("SOAK_MINUTES").is_some() { TOGETHER } else { 1 } {
        let peer = Peer::start(&settings(server, &format!("soak-b{number}"))).unwrap();
        let events = peer.events();
        peer.add(magnet.clone(), None).await;
        peers.push((peer, events));
    }
    if peers.len() > 1
        && round.is_multiple_of(3)
        && let Some((early, _)) = peers.pop()
    {
        early.close().await;
    }
    let mut failed = 0;
    for (peer, mut events) in peers {
        done(&mut events, magnet.content).await;
        failed += peer.counters().dials_failed.load(Ordering::Relaxed);
        peer.close().await;
    }
    failed
}

/// What was taken once nothing is on its way out any more: the same for a second, or for ten.
async fn settled(is_long: bool) -> Option<Taken> {
    let (mut before, mut same) = (Taken::now()?, 0);
    while same < if is_long { 10 } else { 1 } {
        time::sleep(Duration::from_secs(1)).await;
        let now = Taken::now()?;
        let is_same = now.descriptors == before.descriptors && now.tasks == before.tasks;
        same = if is_same { same + 1 } else { 0 };
        before = now;
    }
    Some(before)
}

/// The stack closes what it no longer needs when it gets to it, and of that it says nothing: one descriptor lost in
/// each round would be more than is let pass here.
async fn compare(first: &Taken, rounds: u32, is_long: bool) {
    within("the last peers' descriptors", async {
        while Taken::now().is_some_and(|now| now.descriptors > first.descriptors + SLACK) {
            time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let now = settled(is_long).await.unwrap();
    println!("{rounds} rounds: {first:?} after the first of them, {now:?} now");
    if is_long {
        for (what, was, is) in [
            ("descriptors", first.descriptors as f64, now.descriptors as f64),
            ("tasks", first.tasks as f64, now.tasks as f64),
            ("threads", first.threads as f64, now.threads as f64),
            ("memory", first.resident_kib as f64, now.resident_kib as f64),
        ] {
            let off = 100.0 * (is - was) / was;
            println!("{what}: {was} and {is}, {off:+.1} %");
            assert!(off <= OFF_PERCENT, "{what}: {off:+.1} %");
        }
    }
}

/// What this process holds.
#[derive(Debug)]
struct Taken {
    descriptors: usize,
    tasks: usize,
    threads: u64,
    resident_kib: u64,
}

impl Taken {
    fn now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Some(Self {
            descriptors: fs::read_dir("/proc/self/fd").ok()?.count(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            threads: field("Threads:")?,
            resident_kib: field("VmRSS:")?,
        })
    }
}
