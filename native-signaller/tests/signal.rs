//! Clients that find each other and signal, and clients that misbehave, over real WebSockets.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Server, TOPIC, peer};
use futures_util::{SinkExt, StreamExt};
use swarmlet_core::config::SIGNAL_BYTES_MAX;
use swarmlet_core::wire::{Signal, ToClient, ToTracker};
use swarmlet_signaller::{Config, PerMinute};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

#[tokio::test]
async fn two_find_each_other_and_signal() {
    let server = Server::start(Config::default()).await;
    let (mut a, mut b) = (server.client(1).await, server.client(2).await);
    assert_eq!(a.announce().await, (0, 1, vec![]));
    assert_eq!(b.announce().await, (0, 2, vec![peer(1)]));
    let knock = Signal::Knock { attempt: 7, topic: TOPIC };
    b.relay(1, knock.clone()).await;
    assert_eq!(a.hear().await, ToClient::Relayed { from: peer(2), signals: vec![knock] });
    let decline = Signal::Decline { attempt: 7 };
    a.relay(2, decline.clone()).await;
    assert_eq!(b.hear().await, ToClient::Relayed { from: peer(1), signals: vec![decline] });
    a.socket.close(None).await.unwrap();
    a.closed().await;
    b.relay(1, Signal::Knock { attempt: 8, topic: TOPIC }).await;
    assert_eq!(b.hear().await, ToClient::Absent { peer: peer(1) });
}

#[tokio::test]
async fn what_is_wrong_closes_its_own_socket_only() {
    let server = Server::start(Config::default()).await;
    let mut good = server.client(1).await;
    let huge = Message::binary(vec![0; SIGNAL_BYTES_MAX + 1]);
    let announce = ToTracker::Announce { topic: TOPIC, complete: false, want: 1 }.encode();
    for (message, code) in [
        (Message::binary(vec![9, 9, 9]), CloseCode::Protocol),
        (Message::binary(vec![]), CloseCode::Protocol),
        (Message::binary(announce), CloseCode::Protocol),
        (Message::text("{}"), CloseCode::Unsupported),
        (huge, CloseCode::Size),
    ] {
        let mut bad = server.dial(Some("swarmlet.1")).await.unwrap();
        bad.socket.send(message).await.unwrap();
        assert_eq!(bad.closed().await, Some(code));
    }
    assert_eq!(good.announce().await, (0, 1, vec![]));
}

#[tokio::test]
async fn a_wrong_sub_protocol_is_refused() {
    let server = Server::start(Config::default()).await;
    for protocol in [Some("swarmlet.2"), Some("json")] {
        match server.dial(protocol).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 400),
            _ => panic!("{protocol:?} was accepted"),
        }
    }
    assert!(server.dial(Some("other, swarmlet.1")).await.is_ok());
    let plain = server.get("/signal", &[]).await;
    assert!((400..500).contains(&plain.status), "{}", plain.status);
}

#[tokio::test]
async fn without_a_sub_protocol_it_is_a_webtorrent_tracker() {
    let server = Server::start(Config::default()).await;
    let mut client = server.dial(None).await.unwrap();
    let (swarm, peer) = ("s".repeat(20), "p".repeat(20));
    let announce = format!(
        "{{\"action\":\"announce\",\"info_hash\":\"{swarm}\",\"peer_id\":\"{peer}\",\"left\":0,\"offers\":[]}}"
    );
    let counts = format!(
        "{{\"action\":\"announce\",\"info_hash\":\"{swarm}\",\"complete\":1,\"incomplete\":0,\"interval\":120}}"
    );
    for message in [Message::text(announce.clone()), Message::binary(announce)] {
        client.socket.send(message).await.unwrap();
        assert_eq!(client.socket.next().await.unwrap().unwrap(), Message::text(counts.clone()));
    }
}

#[tokio::test]
async fn only_listed_origins_where_there_is_a_list() {
    let origins = vec!["https://swarm.example".to_owned()];
    let server = Server::start(Config { origins, ..Config::default() }).await;
    for origin in [None, Some("null"), Some("https://swarm.example.evil"), Some("http://swarm.example")] {
        match server.dial_from(origin, Some("swarmlet.1")).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 403),
            _ => panic!("{origin:?} was accepted"),
        }
    }
    assert!(server.dial_from(Some("https://swarm.example"), Some("swarmlet.1")).await.is_ok());
}

#[tokio::test]
async fn a_slow_reader_is_cut_and_others_are_not() {
    let mut config = Config::default();
    config.limits.messages = PerMinute { per_minute: 100_000_000, burst: 1_000_000 };
    let server = Server::start(config).await;
    let mut good = server.client(1).await;
    good.announce().await;
    let mut slow = server.client(2).await;
    let announce = ToTracker::Announce { topic: TOPIC, complete: false, want: 12 }.encode();
    // It asks and asks and never reads: the queue, then the buffers of both kernels fill.
    for _ in 0..200_000 {
        if slow.socket.feed(Message::binary(announce.clone())).await.is_err() {
            break;
        }
    }
    let _ = slow.socket.flush().await;
    let end = slow.closed().await;
    assert!(matches!(end, None | Some(CloseCode::Again)), "{end:?}");
    assert_eq!(good.announce().await, (0, 1, vec![]), "the slow one is no member any more");
}

#[tokio::test]
async fn the_same_key_again_takes_over() {
    let server = Server::start(Config::default()).await;
    let mut old = server.client(1).await;
    let mut new = server.client(1).await;
    assert!(matches!(old.hear().await, ToClient::Refused { .. }), "the last word arrives before the close");
    assert_eq!(old.closed().await, Some(CloseCode::Library(4001)));
    assert_eq!(new.announce().await, (0, 1, vec![]));
}
