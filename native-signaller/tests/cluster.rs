//! Three servers behind one Redis, all of them processes: clients of both dialects meet across them, and whatever is
//! killed, frozen or restarted, nobody is lost.
#![cfg(unix)]
#![allow(missing_docs, clippy::unwrap_used, clippy::std_instead_of_alloc)]

mod common;

use common::cluster::{Balancer, Cloud, hear_text, until};
use common::peers::{MIB, done, noisy, seeder, settings};
use common::{Client, Server, TOPIC, peer};
use core::time::Duration;
use futures_util::SinkExt;
use std::collections::BTreeSet;
use std::time::Instant;
use swarmlet_core::content::topic_of;
use swarmlet_core::wire::{Signal, ToClient};
use swarmlet_core::{Event, Topic};
use swarmlet_signaller::Config;
use swarmlet_signaller::seed::Peer;
use tokio_tungstenite::tungstenite::Message;

const KNOCK: Signal = Signal::Knock { attempt: 1, topic: TOPIC };
/// From Redis's return until whoever lacked others is told of them.
const HEALING: Duration = Duration::from_secs(30);
const SWARM: &str = "abcdefghijklmnopqrst";
const SDP: &str = "v=0\\r\\no=- 1 2 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\\r\\n\
    a=candidate:1 1 udp 2113937151 127.0.0.1 51234 typ host\\r\\na=ice-ufrag:abcd\\r\\n\
    a=ice-pwd:abcdefghijklmnopqrstuv+/\\r\\na=fingerprint:sha-256 00:11\\r\\na=setup:actpass\\r\\n";

async fn torrent_client(server: &Server) -> Client {
    server.dial(None).await.unwrap()
}

async fn say_text(client: &mut Client, text: String) {
    client.socket.send(Message::Text(text.into())).await.unwrap();
}

fn announce(peer: &str, left: u32, offers: &str) -> String {
    format!(
        "{{\"action\":\"announce\",\"info_hash\":\"{SWARM}\",\"peer_id\":\"{peer}\",\"left\":{left},\
         \"offers\":[{offers}]}}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_both_dialects_and_native_peers_meet_across_nodes() {
    let cloud = Cloud::start().await;
    // Our own dialect.
    let mut a = cloud.client(0, 1).await;
    assert_eq!(a.join(TOPIC).await, (0, 1, BTreeSet::new()));
    let mut b = cloud.meets(1, 2, TOPIC, 1).await;
    b.relay(1, KNOCK).await;
    assert_eq!(a.hear_signal().await, ToClient::Relayed { from: peer(2), signals: vec![KNOCK] });
    a.relay(2, Signal::Decline { attempt: 1 }).await;
    assert_eq!(
        b.hear_signal().await,
        ToClient::Relayed { from: peer(1), signals: vec![Signal::Decline { attempt: 1 }] }
    );
    a.relay(9, KNOCK).await;
    assert_eq!(a.hear_signal().await, ToClient::Absent { peer: peer(9) });

    // WebTorrent's.
    let [mut seed, mut other] =
        [torrent_client(&cloud.nodes[0].server()).await, torrent_client(&cloud.nodes[2].server()).await];
    let (seed_id, leech_id, offer_id) =
        ("-WW0302-seed00000000", "-WW0302-leech0000000", "offer000000000000000");
    say_text(&mut seed, announce(seed_id, 0, "")).await;
    assert!(hear_text(&mut seed).await.contains("\"complete\":1,\"incomplete\":0"));
    let offer = format!("{{\"offer_id\":\"{offer_id}\",\"offer\":{{\"type\":\"offer\",\"sdp\":\"{SDP}\"}}}}");
    // On a machine that is very slow the answer does not wait for the others: then it is tried anew.
    let (mut leech, offered) = loop {
        let mut leech = torrent_client(&cloud.nodes[1].server()).await;
        say_text(&mut leech, announce(leech_id, 9, &offer)).await;
        hear_text(&mut leech).await;
        if let Ok(offered) = tokio::time::timeout(Duration::from_secs(5), hear_text(&mut seed)).await {
            break (leech, offered);
        }
    };
    assert!(
        offered.contains(leech_id) && offered.contains(offer_id) && offered.contains("a=candidate"),
        "{offered}"
    );
    let answer = format!(
        "{{\"action\":\"announce\",\"info_hash\":\"{SWARM}\",\"peer_id\":\"{seed_id}\",\"to_peer_id\":\"{leech_id}\",\
         \"answer\":{{\"type\":\"answer\",\"sdp\":\"{SDP}\"}},\"offer_id\":\"{offer_id}\"}}"
    );
    say_text(&mut seed, answer).await;
    let answered = hear_text(&mut leech).await;
    assert!(answered.contains("\"answer\"") && answered.contains(seed_id), "{answered}");
    until("both to be counted elsewhere", async || {
        say_text(&mut other, format!("{{\"action\":\"scrape\",\"info_hash\":\"{SWARM}\"}}")).await;
        hear_text(&mut other).await.contains("\"complete\":1,\"incomplete\":1")
    })
    .await;

    // Bytes, between peers whose signallers differ.
    let path = noisy("cluster-source", "film.bin", 4 * MIB);
    let (giver, magnet) = seeder(&settings(&cloud.nodes[0].server(), "cluster-a"), &path).await;
    let topic = topic_of(&magnet.content);
    let mut observer = cloud.client(1, 50).await;
    until("the seed to be known", async || observer.join(topic).await.0 == 1).await;
    let taker = Peer::start(&settings(&cloud.nodes[2].server(), "cluster-b")).unwrap();
    let (mut events, content) = (taker.events(), magnet.content);
    taker.add(magnet, None).await;
    done(&mut events, content).await;
    let share = taker.snapshot().await.unwrap().shares.remove(0);
    assert_eq!((share.from_peers, share.from_http), (4 * MIB as u64, 0));

    let metrics = cloud.nodes[0].admin("/metrics").await;
    for line in
        ["swarm_bus_up 1.0", "swarm_bus_nodes 2.0", "swarm_bus_dropped_total 0", "swarm_bus_lag_seconds "]
    {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(metrics.contains("swarm_bus_messages_total{dir=\"in\",result=\"refused\"} 0"), "{metrics}");
    assert!(cloud.nodes[0].admin("/").await.contains("Other nodes<td>2"));
    taker.close().await;
    giver.close().await;
}

/// Native peers that all have the same file and come through the balancer.
async fn crowd(balancer: &Balancer, name: &str) -> (Vec<Peer>, Topic) {
    let path = noisy(&format!("{name}-source"), "page.bin", MIB);
    let (mut peers, mut topic) = (Vec::new(), None);
    for number in 0..3 {
        let (peer, magnet) = seeder(&settings(&balancer.server(), &format!("{name}-{number}")), &path).await;
        topic = Some(topic_of(&magnet.content));
        peers.push(peer);
    }
    (peers, topic.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_is_killed_in_turn_and_its_peers_are_found_elsewhere() {
    let mut cloud = Cloud::start().await;
    let balancer = Balancer::start(&cloud.nodes).await;
    let (peers, topic) = crowd(&balancer, "killed").await;
    let all: BTreeSet<_> = peers.iter().map(Peer::id).collect();
    for at in 0..3 {
        cloud.reaches(at, topic, &all).await;
    }
    for victim in 0..3 {
        let killed = Instant::now();
        cloud.nodes[victim].kill();
        for at in (0..3).filter(|at| *at != victim) {
            cloud.reaches(at, topic, &all).await;
        }
        println!(
            "node {victim} killed: all were found at the others after {:.1} s",
            killed.elapsed().as_secs_f64()
        );
        cloud.start_again(victim).await;
    }
    for peer in peers {
        peer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_nobody() {
    let mut cloud = Cloud::start().await;
    let balancer = Balancer::start(&cloud.nodes).await;
    let (peers, topic) = crowd(&balancer, "rolling").await;
    let all: BTreeSet<_> = peers.iter().map(Peer::id).collect();
    cloud.reaches(0, topic, &all).await;
    for at in 0..3 {
        cloud.nodes[at].ask_to_stop();
        cloud.nodes[at].stopped().await;
        let asked = Instant::now();
        cloud.reaches((at + 1) % 3, topic, &all).await;
        println!("node {at} drained: all were found after {:.1} s", asked.elapsed().as_secs_f64());
        cloud.start_again(at).await;
        cloud.reaches(at, topic, &all).await;
    }
    for peer in peers {
        peer.close().await;
    }
}

/// Lets the outage of Redis last, if it is to (`REDIS_OUTAGE_SECONDS`): with every megabyte that the transfer goes on two clients
/// come to a node, the same for both, and one of them knocks at the other; those who are there give a sign of life. Gives back
/// how many pairs have met.
async fn outlast(cloud: &Cloud, end: Instant, taker: &Peer, clients: &mut [&mut Client]) -> usize {
    const PAIRS: Topic = Topic([7; 32]);
    let (mut pairs, mut seen) = (0, taken(taker).await);
    while Instant::now() < end {
        let (at, first) = (pairs % 3, 200 + u8::try_from(pairs % 20).unwrap() * 2);
        let (mut a, mut b) = (cloud.client(at, first).await, cloud.client(at, first + 1).await);
        a.join(PAIRS).await;
        assert!(b.join(PAIRS).await.2.contains(&peer(first)));
        let knock = Signal::Knock { attempt: 1, topic: PAIRS };
        b.relay(first, knock.clone()).await;
        assert_eq!(a.hear_signal().await, ToClient::Relayed { from: peer(first + 1), signals: vec![knock] });
        pairs += 1;
        for client in &mut *clients {
            client.socket.send(Message::Ping(Vec::new().into())).await.unwrap();
        }
        until("the transfer to go on", async || taken(taker).await >= seen + 1_000_000).await;
        seen = taken(taker).await;
    }
    pairs
}

/// Bytes of its share that came from peers.
async fn taken(taker: &Peer) -> u64 {
    taker.snapshot().await.unwrap().shares[0].from_peers
}

/// `REDIS_OUTAGE_SECONDS=60 cargo test -p swarmlet-signaller --test cluster -- redis_freezes --nocapture` is the whole of it; without,
/// Redis is away for as long as the looks take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_freezes_dies_and_comes_back_and_nothing_breaks() {
    const ALONE: Topic = Topic([6; 32]);
    const RATE: usize = 2_000_000;
    let outage = std::env::var("REDIS_OUTAGE_SECONDS").map_or(0, |text| text.parse::<u64>().unwrap());
    let outage = Duration::from_secs(outage);
    let mut cloud = Cloud::start().await;
    let mut a = cloud.client(0, 1).await;
    a.join(TOPIC).await;
    let mut b = cloud.meets(1, 2, TOPIC, 1).await;
    // A transfer between nodes, slow enough to be there all the time.
    let length = 8 * MIB + RATE * usize::try_from(outage.as_secs()).unwrap();
    let path = noisy("frozen-source", "film.bin", length);
    let mut slow = settings(&cloud.nodes[0].server(), "frozen-a");
    slow.node.upload_rate_max = Some(RATE as u64);
    let (giver, magnet) = seeder(&slow, &path).await;
    cloud.reaches(2, topic_of(&magnet.content), &BTreeSet::from([giver.id()])).await;
    let taker = Peer::start(&settings(&cloud.nodes[2].server(), "frozen-b")).unwrap();
    let mut events = taker.events();
    taker.add(magnet, None).await;
    until("the first leaf", async || matches!(events.recv().await.unwrap(), Event::FirstLeaf { .. })).await;

    let (gone, before) = (Instant::now(), taken(&taker).await);
    cloud.redis.freeze();
    // Whoever comes is served from this node, sooner or later without waiting.
    let mut c = cloud.client(0, 3).await;
    assert!(c.join(TOPIC).await.2.contains(&peer(1)));
    for node in &cloud.nodes {
        until("a node to notice", async || node.admin("/healthz").await.ends_with("no way to them\n")).await;
        assert_eq!(node.server().get("/readyz", &[]).await.status, 200, "alone is no fault");
    }
    cloud.redis.kill();
    let mut d = cloud.client(0, 4).await;
    let (_, leeches, named) = d.join(TOPIC).await;
    assert_eq!((leeches, named.contains(&peer(1)), named.contains(&peer(3))), (3, true, true));
    d.relay(1, KNOCK).await;
    assert_eq!(a.hear_signal().await, ToClient::Relayed { from: peer(4), signals: vec![KNOCK] });
    let (mut e, mut f) = (cloud.client(0, 5).await, cloud.client(1, 6).await);
    assert_eq!((e.join(ALONE).await.1, f.join(ALONE).await.1), (1, 1), "each knows its own node only");
    assert!(cloud.nodes[0].admin("/metrics").await.contains("swarm_bus_up 0.0"));

    let pairs =
        outlast(&cloud, gone + outage, &taker, &mut [&mut a, &mut b, &mut c, &mut d, &mut e, &mut f]).await;
    let moved = taken(&taker).await - before;
    println!(
        "Redis was away for {:.1} s: the transfer took in {:.1} MB meanwhile, and {pairs} pairs of newcomers met",
        gone.elapsed().as_secs_f64(),
        moved as f64 / 1e6
    );
    assert!(moved > 0, "the transfer went on");
    cloud.redis.start_again().await;
    let back = Instant::now();
    cloud.whole().await;
    // Who was alone is told of the other without asking.
    let healed = async |client: &mut Client, other: u8| {
        while !matches!(client.hear().await, ToClient::Peers { peers, .. } if peers.iter().any(|view| view.peer == peer(other)))
        {
        }
    };
    tokio::time::timeout(HEALING, async {
        tokio::select! {
            () = healed(&mut e, 6) => {}
            () = healed(&mut f, 5) => {}
        }
    })
    .await
    .unwrap();
    println!("healed {:.1} s after Redis was back", back.elapsed().as_secs_f64());
    let mut g = cloud.client(2, 7).await;
    until("all to be counted", async || g.join(TOPIC).await.1 == 5).await;
    b.relay(1, KNOCK).await;
    assert_eq!(a.hear_signal().await, ToClient::Relayed { from: peer(2), signals: vec![KNOCK] });
    until("the whole file", async || taken(&taker).await >= length as u64).await;
    taker.close().await;
    giver.close().await;
}

#[tokio::test]
async fn a_server_whose_redis_was_never_there_serves() {
    let mut config = Config::default();
    config.cluster.url = "redis://127.0.0.1:1".into();
    let server = Server::start(config).await;
    let (mut a, mut b) = (server.client(1).await, server.client(2).await);
    a.announce().await;
    assert_eq!(b.announce().await, (0, 2, vec![peer(1)]));
}
