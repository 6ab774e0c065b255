//! Native peers in the surroundings that operators have: TLS with a certificate of their own, STUN, a metrics page, a
//! slow line.
#![allow(missing_docs, clippy::unwrap_used, clippy::std_instead_of_alloc)]

mod common;

use common::peers::{MIB, done, fresh, noisy, seeder, settings};
use common::{Server, within};
use core::time::Duration;
use rcgen::{CertificateParams, KeyPair};
use std::time::Instant;
use swarmlet_core::Event;
use swarmlet_signaller::seed::{Line, Made, Peer, Settings, Signaller};
use swarmlet_signaller::{Config, Inlets, Tls};
use tokio::net::{TcpListener, UdpSocket};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signaller_with_a_certificate_of_its_own_is_believed_when_its_authority_is_named() {
    let folder = fresh("reach-tls");
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let pair = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&pair).unwrap();
    std::fs::write(&cert, own.pem()).unwrap();
    std::fs::write(&key, pair.serialize_pem()).unwrap();
    let tls = Tls { cert: cert.clone(), key };
    let server = Server::start(Config { tls, ..Config::default() }).await;
    let believing = |name: &str| Settings {
        signaller: Signaller::At(format!("wss://localhost:{}/signal", server.addr.port())),
        authorities: vec![cert.clone()],
        ..settings(&server, name)
    };
    let (a, magnet) = seeder(&believing("reach-tls-a"), &noisy("reach-tls-file", "film.bin", MIB)).await;
    let b = Peer::start(&believing("reach-tls-b")).unwrap();
    let mut events = b.events();
    let content = magnet.content;
    b.add(magnet.clone(), None).await;
    done(&mut events, content).await;
    b.close().await;
    a.close().await;

    let stranger = Settings { authorities: Vec::new(), ..believing("reach-tls-c") };
    let c = Peer::start(&stranger).unwrap();
    let mut events = c.events();
    c.add(magnet, None).await;
    within("a refusal", async {
        while !matches!(events.recv().await.unwrap(), Event::SignallerDown { .. }) {}
    })
    .await;
    c.close().await;
    let none = Settings { authorities: vec![folder.join("none.pem")], ..settings(&server, "reach-tls-d") };
    assert!(Peer::start(&none).is_err());
}

/// A server with a share of its own, what the operator sees, and STUN.
async fn aside(config: Config) -> (Server, Server, UdpSocket) {
    let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (http, admin) = (listen().await, listen().await);
    let at = admin.local_addr().unwrap();
    let stun = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    address.connect(stun.local_addr().unwrap()).await.unwrap();
    let inlets = Inlets { admin: Some(admin), stun: Some(stun), ..Inlets::only(http) };
    (Server::with(inlets, config), Server::elsewhere(at), address)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_peer_inside_is_counted_and_stun_servers_are_asked() {
    let path = noisy("reach-inside", "film.bin", MIB);
    let magnet = Made::of(&path, Vec::new()).unwrap().torrent().magnet();
    let config = Config { addr: "127.0.0.1:0".parse().unwrap(), seed: vec![path], ..Config::default() };
    let (server, admin, stun) = aside(config).await;
    let asking = Settings {
        stun: vec![format!("stun:{}", stun.peer_addr().unwrap())],
        ..settings(&server, "reach-inside-b")
    };
    let b = Peer::start(&asking).unwrap();
    let mut events = b.events();
    let content = magnet.content;
    b.add(magnet, None).await;
    done(&mut events, content).await;
    let told = async || String::from_utf8(admin.get("/metrics", &[]).await.body).unwrap();
    let text = told().await;
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("no {name}\n{text}")).split(' ').nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(value("swarm_peer_shares"), 1.0);
    assert_eq!(value("swarm_peer_signaller"), 1.0);
    assert_eq!(value("swarm_peer_links"), 1.0);
    assert!(value("swarm_peer_sent_bytes_total") >= MIB as f64);
    assert!(value("swarm_peer_wire_out_bytes_total") >= MIB as f64);
    assert_eq!(value("swarm_peer_from_peers_bytes_total"), 0.0);
    within("a STUN answer", async {
        while told().await.contains("swarm_stun_packets_total{result=\"answered\"} 0") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    b.close().await;
}

/// The line that stands in for a slow one, where there is no network to make slow: never faster than it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slower_line_lets_no_more_through_than_it_says() {
    const RATE: u64 = 1_000_000;
    let way = Duration::from_millis(30);
    let server = Server::start(Config::default()).await;
    let slow = |name: &str| Settings { line: Some(Line::new(RATE, way)), ..settings(&server, name) };
    let (a, magnet) = seeder(&slow("reach-line-a"), &noisy("reach-line", "film.bin", 2 * MIB)).await;
    let b = Peer::start(&slow("reach-line-b")).unwrap();
    let mut events = b.events();
    let content = magnet.content;
    b.add(magnet, None).await;
    within("the first leaf", async {
        while !matches!(events.recv().await.unwrap(), Event::FirstLeaf { .. }) {}
    })
    .await;
    let began = Instant::now();
    done(&mut events, content).await;
    // The first leaf was there, and some others may have left behind it.
    let least = (2 * MIB - 256 * 1024) as f64 / RATE as f64;
    assert!(began.elapsed().as_secs_f64() >= least, "{:?}, {least} s at least", began.elapsed());
    let round_trip = b.snapshot().await.unwrap().links.first().map_or(0, |link| link.rtt_us);
    assert!(round_trip == 0 || round_trip >= 60_000, "{round_trip} µs");
    b.close().await;
    a.close().await;
}
