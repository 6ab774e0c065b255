//! The `get` command as people run it: to the end, killed in the middle, interrupted, and into a full folder.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::peers::{MIB, fresh, noise, noisy, seeder, settings};
use common::{Server, within};
use core::cell::Cell;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use swarmlet_signaller::Config;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A running `get`, and what it says.
struct Get {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Get {
    fn start(server: &Server, link: &str, output: &Path, more: &[&str]) -> Self {
        Self::start_at(&format!("http://{}/", server.addr), link, output, more)
    }

    fn start_at(signaller: &str, link: &str, output: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_swarmlet-signaller"))
            .args(["get", link, "--json", "--signaller", signaller, "--output"])
            .arg(output)
            .args(more)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn next(&mut self) -> Option<Value> {
        let line = within("a line of get", self.lines.next_line()).await.unwrap()?;
        Some(serde_json::from_str(&line).unwrap())
    }

    /// The next line of that kind, or the last of all.
    async fn until(&mut self, test: impl Fn(&Value) -> bool) -> Option<Value> {
        while let Some(line) = self.next().await {
            if test(&line) {
                return Some(line);
            }
        }
        None
    }

    async fn code(mut self) -> i32 {
        within("the end of get", self.child.wait()).await.unwrap().code().unwrap()
    }
}

fn is(kind: &'static str) -> impl Fn(&Value) -> bool {
    move |line| line["event"] == kind
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_comes_whole_and_comes_once() {
    let server = Server::start(Config::default()).await;
    let folder = common::folder(
        "get-album",
        &[
            ("a/one.bin", &noise(1, MIB)),
            ("a/same.bin", &noise(1, MIB)),
            ("empty", b""),
            ("two.bin", &noise(2, 100_001)),
        ],
    );
    let (seed, magnet) = seeder(&settings(&server, "get-seed"), &folder).await;
    let output = fresh("get-output");
    for (from_peers, from_store) in [(MIB as u64 + 100_001, 0), (0, MIB as u64 + 100_001)] {
        let mut get = Get::start(&server, &magnet.to_string(), &output, &[]);
        let end = get.until(is("complete")).await.expect("complete");
        assert_eq!(get.code().await, 0);
        assert_eq!(end["from_peers"], from_peers, "{end}");
        assert_eq!(end["from_store"], from_store, "{end}");
        for name in ["a/one.bin", "a/same.bin", "empty", "two.bin"] {
            let (is, was) = (fs::read(output.join("get-album").join(name)), fs::read(folder.join(name)));
            assert!(is.unwrap() == was.unwrap(), "{name}");
        }
    }
    // Mended where it is.
    fs::write(output.join("get-album/two.bin"), noise(3, 100_001)).unwrap();
    let mut get = Get::start(&server, &magnet.to_string(), &output, &[]);
    assert_eq!(get.until(is("complete")).await.expect("complete")["from_peers"], 100_001);
    assert_eq!(get.code().await, 0);
    assert!(fs::read(output.join("get-album/two.bin")).unwrap() == noise(2, 100_001));
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_peoples_files_are_left_alone() {
    let server = Server::start(Config::default()).await;
    let path = noisy("get-mine", "film.bin", MIB);
    let (seed, magnet) = seeder(&settings(&server, "get-mine-seed"), &path).await;
    let output = fresh("get-theirs");
    fs::write(output.join("film.bin"), b"theirs").unwrap();
    let mut get = Get::start(&server, &magnet.to_string(), &output, &[]);
    let end = get.until(is("failed")).await.expect("a refusal");
    assert!(end["reason"].as_str().unwrap().contains("--force"), "{end}");
    assert_eq!(get.code().await, 1);
    assert_eq!(fs::read(output.join("film.bin")).unwrap(), b"theirs");
    let mut get = Get::start(&server, &magnet.to_string(), &output, &["--force"]);
    get.until(is("complete")).await.expect("complete");
    assert_eq!(get.code().await, 0);
    assert!(fs::read(output.join("film.bin")).unwrap() == noise(MIB as u64, MIB));
    seed.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_ends_it_and_no_news_ends_it() {
    let server = Server::start(Config::default()).await;
    let path = noisy("get-big", "film.bin", 2 * MIB);
    let (seed, magnet) = seeder(&settings(&server, "get-big-seed"), &path).await;
    let mut get = Get::start(&server, &magnet.to_string(), &fresh("get-full"), &["--quota", "1M"]);
    let end = get.until(is("failed")).await.expect("a failure");
    assert!(end["reason"].as_str().unwrap().contains("room"), "{end}");
    assert_eq!(get.code().await, 1);
    seed.close().await;
    let mut get = Get::start(&server, &magnet.to_string(), &fresh("get-never"), &["--timeout", "1"]);
    get.until(is("timedout")).await.expect("an end");
    assert_eq!(get.code().await, 3);
}

/// A process that is killed loses what was on its way to it, and hardly more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_twenty_times_it_loses_next_to_nothing_and_never_a_byte_is_wrong() {
    const SIZE: usize = 64 * MIB;
    const KILLS: u64 = 20;
    const PIECE: u64 = 64 * 1024;
    let server = Server::start(Config::default()).await;
    let path = noisy("get-killed", "film.bin", SIZE);
    let mut slow = settings(&server, "get-killed-seed");
    slow.node.upload_rate_max = Some(1_500_000);
    let (seed, magnet) = seeder(&slow, &path).await;
    let output = fresh("get-killed-output");
    let (mut had, mut most) = (0, 0_u64);
    for kill in 0..KILLS {
        let mut get = Get::start(&server, &magnet.to_string(), &output, &[]);
        let before = seed.snapshot().await.unwrap().totals.sent;
        // What an earlier life left is looked through first.
        let start = get.until(|line| line["peers"].as_u64() > Some(0)).await.expect("a link");
        had = had.max(start["from_store"].as_u64().unwrap());
        // Moments that are no multiple of anything.
        let some = 100_000 + (kill * 7_368_787) % 700_000;
        // A line is up to a tenth of a second old when the kill comes, and what is asked for goes up and down meanwhile.
        let peak = Cell::new(0);
        let reached = |line: &Value| {
            peak.set(peak.get().max(line["in_flight"].as_u64().unwrap_or(0)));
            line["from_peers"].as_u64() > Some(some)
        };
        get.until(reached).await.expect("progress");
        get.child.kill().await.unwrap();
        // The seeder has sent this much for what the next life finds.
        let sent = seed.snapshot().await.unwrap().totals.sent - before;
        let mut look = Get::start_at("http://127.0.0.1:1", &magnet.to_string(), &output, &[]);
        let kept = look.until(|line| line["state"] == "fetching").await.expect("what is there")["from_store"]
            .as_u64()
            .unwrap();
        look.child.kill().await.unwrap();
        let (lost, in_flight) = (sent.saturating_sub(kept - had), peak.get());
        println!("kill {kill}: {sent} sent, {} kept, {lost} lost, {in_flight} were in flight", kept - had);
        assert!(lost <= in_flight + 2 * PIECE, "{lost} bytes lost, {in_flight} in flight");
        most = most.max(lost);
        had = kept;
    }
    println!("at most {most} bytes lost in one kill");
    let (fast, _) = seeder(&settings(&server, "get-killed-fast"), &path).await;
    let mut get = Get::start(&server, &magnet.to_string(), &output, &[]);
    let end = get.until(is("complete")).await.expect("complete");
    assert_eq!(get.code().await, 0);
    assert_eq!(end["from_peers"].as_u64().unwrap() + end["from_store"].as_u64().unwrap(), SIZE as u64);
    assert!(fs::read(output.join("film.bin")).unwrap() == noise(SIZE as u64, SIZE), "no byte is wrong");
    fast.close().await;
    seed.close().await;
}
