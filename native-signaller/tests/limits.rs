//! What a connection gets that does too little, too slowly, or comes too often. By real sockets, each until its end.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::Server;
use core::time::Duration;
use swarmlet_signaller::{Config, PerMinute};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Deadlines here are of seconds; a busy machine may take many times as long.
const PATIENCE: Duration = Duration::from_secs(120);

const REQUEST: &str = "GET /signal HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A connection that has said this.
async fn said(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// All that comes until the other side ends it.
async fn heard(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A reset is an end, too.
    drop(read.expect("the connection ends"));
    bytes
}

/// A WebSocket with these headers, and what is said over it at once.
async fn websocket(server: &Server, headers: &str, bytes: &[u8]) -> TcpStream {
    said(server, &[format!("{REQUEST}{headers}\r\n").as_bytes(), bytes].concat()).await
}

/// A short message as clients send it.
fn text(message: &str) -> Vec<u8> {
    let length = u8::try_from(message.len()).unwrap();
    assert!(length < 126);
    [&[0x81, 0x80 | length, 0, 0, 0, 0], message.as_bytes()].concat()
}

fn join() -> Vec<u8> {
    let (swarm, peer) = ("s".repeat(20), "p".repeat(20));
    text(&format!("{{\"action\":\"announce\",\"info_hash\":\"{swarm}\",\"peer_id\":\"{peer}\"}}"))
}

fn ends_with_close(bytes: &[u8], code: u16, reason: &str) -> bool {
    let length = u8::try_from(reason.len() + 2).unwrap();
    bytes.ends_with(&[&[0x88, length], &code.to_be_bytes()[..], reason.as_bytes()].concat())
}

#[tokio::test]
async fn who_does_not_ask_in_time_is_closed_without_a_word() {
    let mut config = Config::default();
    config.socket.header_seconds = 1;
    let server = Server::start(config).await;
    for begun in ["", "G", "GET /sig", REQUEST] {
        assert_eq!(heard(said(&server, begun.as_bytes()).await).await, b"", "{begun}");
    }
}

#[tokio::test]
async fn who_says_nothing_good_in_time_is_closed() {
    let mut config = Config::default();
    config.limits.hello_seconds = 1;
    let server = Server::start(config).await;
    for headers in ["", "Sec-WebSocket-Protocol: swarmlet.1\r\n"] {
        let bytes = heard(websocket(&server, headers, b"").await).await;
        assert!(bytes.starts_with(b"HTTP/1.1 101") && ends_with_close(&bytes, 1008, "deadline"), "{headers}");
    }
}

#[tokio::test]
async fn who_answers_no_ping_is_closed() {
    let mut config = Config::default();
    (config.socket.ping_seconds, config.socket.idle_seconds) = (1, 3);
    let server = Server::start(config).await;
    let bytes = heard(websocket(&server, "", &join()).await).await;
    assert!(bytes.windows(2).any(|pair| pair == [0x89, 0]), "it was asked");
    assert!(ends_with_close(&bytes, 1001, "idle"));
}

#[tokio::test]
async fn a_frame_that_never_ends_is_closed() {
    let server = Server::start(Config::default()).await;
    let begun = [join(), text("{\"action\"")[..8].to_vec()].concat();
    let bytes = heard(websocket(&server, "", &begun).await).await;
    assert!(ends_with_close(&bytes, 1008, "deadline"));
}

#[tokio::test]
async fn networks_have_a_share_of_connections_and_of_openings() {
    let mut config = Config { proxies: vec!["127.0.0.1".parse().unwrap()], ..Config::default() };
    config.limits.connections_per_network_max = 2;
    config.socket.opens_per_network = PerMinute { per_minute: 1, burst: 3 };
    let server = Server::start(config).await;
    let from = async |address: &str| {
        let mut stream = websocket(&server, &format!("X-Forwarded-For: {address}\r\n"), &join()).await;
        let mut status = [0; 12];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut status)).await.unwrap().unwrap();
        (String::from_utf8_lossy(&status[9..]).into_owned(), stream)
    };
    let (first, second, third) = (from("8.8.8.8").await, from("8.8.8.8").await, from("8.8.8.8").await);
    assert_eq!([first.0, second.0, third.0], ["101", "101", "429"]);
    let other = from("9.9.9.9").await;
    assert_eq!(other.0, "101", "another network has its own");
    // Its end is read, so that the server has seen ours.
    let mut gone = second.1;
    gone.shutdown().await.unwrap();
    heard(gone).await;
    assert_eq!(from("8.8.8.8").await.0, "101", "the third that it opened");
    let mut gone = first.1;
    gone.shutdown().await.unwrap();
    heard(gone).await;
    let (status, stream) = from("8.8.8.8").await;
    let rest = String::from_utf8(heard(stream).await).unwrap();
    assert!(status == "503" && rest.contains("\r\nretry-after: "), "{status} {rest}");
}
