//! What an operator uses: TLS, metrics, the status page, STUN, and what pages are told of ICE servers.
#![allow(missing_docs, clippy::unwrap_used, clippy::std_instead_of_alloc)]

mod common;

use common::{Server, folder, within};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swarmlet_core::tracker::server::token::{Claims, Minter};
use swarmlet_signaller::{Config, Inlets, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A certificate that is its own authority, in two files.
fn certify(folder: &Path, name: &str) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    cert.der().clone()
}

fn with_tls(folder: &Path) -> Config {
    let (cert, key): (PathBuf, PathBuf) = (folder.join("cert.pem"), folder.join("key.pem"));
    Config { tls: Tls { cert, key }, ..Config::default() }
}

fn connector(
    trusted: CertificateDer<'static>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let mut config =
        builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn shake(
    server: &Server,
    connector: &TlsConnector,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    within("a handshake", connector.connect(name, stream)).await
}

#[tokio::test]
async fn pages_and_sockets_over_tls_and_a_new_certificate_without_a_restart() {
    let root = folder("tls", &[]);
    std::fs::create_dir_all(&root).unwrap();
    let first = certify(&root, "swarm.example");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (reload, reloads) = mpsc::channel(1);
    let inlets = Inlets { reloads, ..Inlets::only(listener) };
    let mut server = Server::with(inlets, with_tls(&root));
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let connector = connector(first.clone(), versions);
        let mut stream = shake(&server, &connector, "swarm.example").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nhost: swarm.example\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut text = String::new();
        within("an answer", stream.read_to_string(&mut text)).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    }
    let both = [&rustls::version::TLS13, &rustls::version::TLS12];
    let old = connector(first.clone(), &both);
    let stream = shake(&server, &old, "swarm.example").await.unwrap();
    let mut request = "wss://swarm.example/signal".into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "swarmlet.1".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    assert!(
        within("the challenge", futures_util::StreamExt::next(&mut socket))
            .await
            .unwrap()
            .unwrap()
            .is_binary()
    );

    // Plain HTTP is no TLS, and ends nothing but itself.
    let mut plain = TcpStream::connect(server.addr).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    let _ = within("the end", plain.read_to_end(&mut rest)).await;
    assert!(!rest.starts_with(b"HTTP"));

    let second = connector(certify(&root, "swarm.example"), &both);
    assert!(shake(&server, &second, "swarm.example").await.is_err(), "not yet");
    reload.send(with_tls(&root)).await.unwrap();
    while shake(&server, &second, "swarm.example").await.is_err() {
        tokio::task::yield_now().await;
    }
    let fresh = connector(first, &both);
    assert!(shake(&server, &fresh, "swarm.example").await.is_err(), "the old one is shown to nobody new");
    std::fs::write(root.join("key.pem"), "rubbish").unwrap();
    reload.send(with_tls(&root)).await.unwrap();
    assert!(shake(&server, &second, "swarm.example").await.is_ok(), "what is wrong changes nothing");
    server.ask_to_stop();
    drop(socket);
    server.stopped().await;
}

#[test]
fn a_certificate_that_is_none_is_told_before_the_start() {
    let root = folder("no-tls", &[("cert.pem", b"rubbish"), ("key.pem", b"rubbish")]);
    let error = swarmlet_signaller::verify(&with_tls(&root)).unwrap_err().to_string();
    assert!(error.contains("cert.pem") && !error.contains('\n'), "{error}");
    certify(&root, "a.example");
    assert!(swarmlet_signaller::verify(&with_tls(&root)).is_ok());
    std::fs::write(root.join("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = swarmlet_signaller::verify(&with_tls(&root)).unwrap_err().to_string();
    assert!(error.contains("key.pem"), "of another key: {error}");
}

async fn aside(config: Config) -> (Server, Server, UdpSocket) {
    let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (http, admin) = (listen().await, listen().await);
    let admin_addr = admin.local_addr().unwrap();
    let stun = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(stun.local_addr().unwrap()).await.unwrap();
    let inlets = Inlets { admin: Some(admin), stun: Some(stun), ..Inlets::only(http) };
    (Server::with(inlets, config), Server::elsewhere(admin_addr), client)
}

#[tokio::test]
async fn the_operator_sees_numbers_and_nobody_else_does() {
    let (server, admin, _stun) = aside(Config::default()).await;
    let (mut a, mut b) = (server.client(1).await, server.client(2).await);
    a.announce().await;
    b.announce().await;
    let mut bad = server.dial(Some("swarmlet.1")).await.unwrap();
    bad.say(&swarmlet_core::wire::ToTracker::Leave { topic: common::TOPIC }).await;
    bad.closed().await;
    let answer = admin.get("/metrics", &[]).await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(answer.headers["content-type"].starts_with("application/openmetrics-text"));
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
    for line in [
        "swarm_ws_connections 2.0",
        "swarm_ws_accepts_total{result=\"ok\"} 3",
        "swarm_ws_accepts_total{result=\"opens\"} 0",
        "swarm_ws_outbound_queue_bytes 0.0",
        "swarm_relay_seconds_count ",
        "swarm_ws_closes_total{code_class=\"1xxx\",reason=\"protocol\"} 1",
        "swarm_ws_messages_total{dir=\"in\",type=\"announce\"} 2",
        "swarm_tracker_swarms 1.0",
        "swarm_tracker_peers{state=\"proven\"} 2.0",
        "swarm_auth_failures_total{reason=\"expired\"} 0",
        "swarm_draining 0.0",
        "swarm_task_panics_total ",
        "swarm_build_info{version=",
        "process_resident_memory_bytes ",
        "process_open_fds ",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("tls_cert_expiry"), "there is no certificate");
    let page = admin.get("/", &[]).await;
    let text = String::from_utf8(page.body).unwrap();
    assert!(text.contains("WebSockets<td>2 of 90000") && text.contains("protocol<td>1"), "{text}");
    assert_eq!((admin.get("/healthz", &[]).await.status, admin.get("/readyz", &[]).await.status), (200, 200));
    assert_eq!(server.get("/metrics", &[]).await.status, 404);
}

#[tokio::test]
async fn stun_answers_and_the_page_is_told_where() {
    let mut config = Config::default();
    config.stun.addr = Some("127.0.0.1:3478".parse().unwrap());
    config.stun.answers.burst = 2;
    config.stun.answers.per_minute = 1;
    config.turn.urls = vec!["turn:turn.example:3478".to_owned()];
    config.turn.secret = "north".into();
    config.tokens.secrets = vec!["sixteen letters.".into()];
    let (server, admin, client) = aside(config).await;
    let request = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let mut answer = [0; 64];
    for _ in 0..2 {
        client.send(&[9; 20]).await.unwrap();
        client.send(&request).await.unwrap();
        let len = within("an answer", client.recv(&mut answer)).await.unwrap();
        assert_eq!((len, &answer[..2]), (32, &[1, 1][..]));
    }
    client.send(&request).await.unwrap();
    let metrics = async || String::from_utf8(admin.get("/metrics", &[]).await.body).unwrap();
    while !metrics().await.contains("swarm_stun_packets_total{result=\"limited\"} 1") {
        tokio::task::yield_now().await;
    }
    let text = metrics().await;
    assert!(text.contains("{result=\"answered\"} 2") && text.contains("{result=\"ignored\"} 2"), "{text}");

    let told = async |headers: &[(&str, &str)]| {
        let answer = server.get("/swarmlet/config.json", headers).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
        serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()
    };
    let stranger = told(&[]).await;
    assert_eq!(stranger["iceServers"], serde_json::json!([{ "urls": ["stun:127.0.0.1:3478"] }]));
    let now =
        std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = Claims { site: "https://a.example".to_owned(), expires_s: now + 60, ..Claims::default() };
    let token = format!("Bearer {}", Minter::Secret(b"sixteen letters.").mint(&claims));
    let visitor = told(&[("origin", "https://a.example"), ("authorization", &token)]).await;
    assert_eq!(visitor["iceServers"][1]["urls"][0], "turn:turn.example:3478");
    let other = told(&[("origin", "https://b.example"), ("authorization", &token)]).await;
    assert_eq!(other["iceServers"].as_array().unwrap().len(), 1, "a token of another site");
}
