//! Start, drain, restart, and the ways in which a start fails.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Server, folder};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use swarmlet_core::wire::ToClient;
use swarmlet_signaller::Config;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[tokio::test]
async fn draining_says_so_then_closes_then_ends() {
    let mut server = Server::start(Config { drain_seconds: 1, ..Config::default() }).await;
    let (mut a, mut b) = (server.client(1).await, server.client(2).await);
    assert_eq!(
        (server.get("/readyz", &[]).await.status, server.get("/healthz", &[]).await.status),
        (200, 200)
    );
    server.ask_to_stop();
    for client in [&mut a, &mut b] {
        assert_eq!(client.hear().await, ToClient::GoAway { spread_ms: 800 });
    }
    assert_eq!(
        (server.get("/readyz", &[]).await.status, server.get("/healthz", &[]).await.status),
        (503, 200)
    );
    let mut late = server.dial(Some("swarmlet.1")).await.unwrap();
    for client in [&mut late, &mut a, &mut b] {
        assert_eq!(client.closed().await, Some(CloseCode::Restart));
    }
    server.stopped().await;
}

#[tokio::test]
async fn without_clients_it_ends_at_once_and_starts_again_at_the_same_address() {
    let mut server = Server::start(Config::default()).await;
    let addr = server.addr;
    let mut client = server.client(1).await;
    client.announce().await;
    server.ask_to_stop();
    assert!(matches!(client.hear().await, ToClient::GoAway { .. }));
    client.socket.close(None).await.unwrap();
    client.closed().await;
    server.stopped().await;
    let server = Server::start_at(addr, Config::default()).await;
    let mut client = server.client(1).await;
    assert_eq!(client.announce().await, (0, 1, vec![]), "nothing is remembered");
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarmlet-signaller"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn one_line(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");
    text
}

#[test]
fn a_start_that_fails_says_why_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let output = program(&["serve", "--addr", &addr, "--log", "error"]).output().unwrap();
    assert!(one_line(&output).contains("is in use"));
    let root = folder("configs", &[("bad.toml", b"adr = 1"), ("good.toml", b"drain_seconds = 3")]);
    let bad = root.join("bad.toml");
    let output = program(&["config", "--check", "--config", bad.to_str().unwrap()]).output().unwrap();
    assert!(one_line(&output).contains("adr"));
    for arguments in [
        ["--www", "/nonexistent", "--addr", "127.0.0.1:0"],
        ["--share", "/nonexistent", "--addr", "127.0.0.1:0"],
    ] {
        let output = program(&arguments).args(["--log", "error"]).output().unwrap();
        assert!(one_line(&output).contains("/nonexistent"));
    }
    let good = root.join("good.toml");
    let output = program(&["config", "--print", "--config", good.to_str().unwrap()]).output().unwrap();
    assert!(
        output.status.success() && String::from_utf8(output.stdout).unwrap().contains("drain_seconds = 3")
    );
}

#[cfg(unix)]
#[test]
fn sigterm_ends_it_well() {
    let mut child = program(&["--addr", "127.0.0.1:0", "--log-json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("listening")).unwrap();
    assert!(line.contains("http://127.0.0.1:"), "{line}");
    assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut child = program(&["--addr", "127.0.0.1:0", "--drain-seconds", "600"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("listening")).unwrap();
    let addr = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let mut client = Server::elsewhere(addr.parse().unwrap()).client(1).await;
    let terminate = || Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(terminate().success());
    assert!(matches!(client.hear().await, ToClient::GoAway { spread_ms: 480_000 }));
    assert!(terminate().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
