//! Sites that publish nothing: what is fetched from their servers and signed, and all that is not. The origin is a real HTTP server.
#![allow(missing_docs, clippy::unwrap_used, clippy::std_instead_of_alloc)]

mod common;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use common::{Server, within};
use core::net::SocketAddr;
use core::time::Duration;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use swarmlet_core::Root;
use swarmlet_core::content::{Torrent, site_topic};
use swarmlet_signaller::{Config, Inlets, PerMinute, Witness};
use tokio::net::TcpListener;

const KIB: usize = 1024;

/// A site's own server, and how often each path was asked for, with the headers of the last time.
struct Origin {
    addr: SocketAddr,
    asked: Arc<Mutex<BTreeMap<String, (u32, HeaderMap)>>>,
}

fn bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 253) as u8 ^ seed).collect()
}

fn answer(path: &str, headers: &HeaderMap) -> Response {
    let told =
        |name: header::HeaderName, value: &'static str| ([(name, value)], bytes(1, 40 * KIB)).into_response();
    match path {
        "/pictures/a%20b.webp" => told(header::CACHE_CONTROL, "public, max-age=600"),
        "/film.mp4" => (bytes(2, 300 * KIB)).into_response(),
        "/private.bin" => told(header::CACHE_CONTROL, "private, max-age=600"),
        "/no-store.bin" => told(header::CACHE_CONTROL, "no-store"),
        "/no-cache.bin" => told(header::CACHE_CONTROL, "no-cache"),
        "/cookie.bin" => told(header::SET_COOKIE, "visit=1"),
        "/vary.bin" => told(header::VARY, "Accept-Encoding, Cookie"),
        "/packed.bin" => told(header::CONTENT_ENCODING, "gzip"),
        "/moved.bin" => (StatusCode::FOUND, [(header::LOCATION, "/film.mp4")]).into_response(),
        "/part.bin" => (StatusCode::PARTIAL_CONTENT, bytes(1, 40 * KIB)).into_response(),
        "/small.bin" => "small".into_response(),
        "/large.bin" => bytes(1, 2 << 20).into_response(),
        // Without a length: it is counted as it comes.
        "/endless.bin" => {
            let chunks =
                futures_util::stream::repeat_with(|| Ok::<_, core::convert::Infallible>(bytes(1, 64 * KIB)));
            axum::body::Body::from_stream(chunks).into_response()
        }
        "/short.bin" => {
            let same = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == "\"one\"");
            let head = [(header::CACHE_CONTROL, "max-age=1"), (header::ETAG, "\"one\"")];
            if same {
                (StatusCode::NOT_MODIFIED, head).into_response()
            } else {
                (head, bytes(3, 50 * KIB)).into_response()
            }
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Origin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<BTreeMap<String, (u32, HeaderMap)>>>::default();
        let told = Arc::clone(&asked);
        let router = Router::new().fallback(async move |request: Request| {
            let (path, headers) = (request.uri().path().to_owned(), request.headers().clone());
            let answer = answer(&path, &headers);
            let mut told = told.lock().unwrap();
            let count = told.get(&path).map_or(0, |(count, _)| *count);
            told.insert(path, (count + 1, headers));
            answer
        });
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { addr, asked }
    }

    fn count(&self, path: &str) -> u32 {
        self.asked.lock().unwrap().get(path).map_or(0, |(count, _)| *count)
    }

    fn base(&self) -> String {
        format!("http://{}/", self.addr)
    }

    fn config(&self) -> Config {
        let witness = Witness {
            key: "01".repeat(32).as_str().into(),
            origins: vec![self.base()],
            demand: 1,
            object_bytes_max: 1 << 20,
            fetches: PerMinute { per_minute: 6000, burst: 100 },
            private_addresses: true,
            ..Witness::default()
        };
        Config { witness, proxies: vec!["127.0.0.1".parse().unwrap()], ..Config::default() }
    }

    /// The key that signs for this site, as DESIGN derives it.
    fn key(&self) -> VerifyingKey {
        let hash =
            Sha256::new().chain_update(b"swarmlet witness").chain_update([1; 32]).chain_update(self.base());
        SigningKey::from_bytes(&hash.finalize().into()).verifying_key()
    }

    fn address(&self) -> String {
        format!("/swarmlet/witness/{}", Root(self.key().to_bytes()))
    }
}

/// Somebody of a network says what was loaded.
async fn wish(server: &Server, origin: &Origin, network: &str, paths: &str) {
    let length = paths.len().to_string();
    let headers = [("content-length", length.as_str()), ("x-forwarded-for", network)];
    let answer = server.send("POST", &origin.address(), &headers, paths).await;
    assert_eq!(answer.status, 204);
}

/// The manifest, once it has proven itself.
async fn manifest(server: &Server, origin: &Origin) -> Value {
    let read = async |name: &str| server.get(&format!("{}/{name}", origin.address()), &[]).await;
    loop {
        let (text, seal) = (read("swarmlet.json").await, read("swarmlet.json.sig").await);
        assert_eq!((text.status, text.header("access-control-allow-origin")), (200, "*"));
        let seal = String::from_utf8(seal.body).unwrap();
        let half = |at: usize| Root::from_hex(&seal[at..at + 64]).unwrap().0;
        let signature = Signature::from_slice(&[half(0), half(64)].concat()).unwrap();
        // Between the two another one may have been signed.
        let said = [b"swarmlet site manifest\n".as_slice(), &text.body].concat();
        if origin.key().verify_strict(&said, &signature).is_ok() {
            return serde_json::from_slice(&text.body).unwrap();
        }
    }
}

/// Waits until this many objects are vouched for. The manifest then.
async fn vouched(server: &Server, origin: &Origin, count: usize) -> Value {
    within("objects to be vouched for", async {
        loop {
            let manifest = manifest(server, origin).await;
            if manifest["files"].as_array().unwrap().len() == count {
                return manifest;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

#[tokio::test]
async fn what_several_networks_load_is_fetched_once_and_signed() {
    let origin = Origin::start().await;
    let mut config = origin.config();
    config.witness.demand = 2;
    let server = Server::start(config).await;
    let empty = manifest(&server, &origin).await;
    assert_eq!((empty["files"].as_array().unwrap().len(), empty["content"].as_str()), (0, Some("")));
    wish(&server, &origin, "9.9.9.9", "pictures/a b.webp\nfilm.mp4").await;
    wish(&server, &origin, "9.9.9.9", "pictures/a b.webp\nfilm.mp4").await;
    wish(&server, &origin, "8.8.8.8", "film.mp4\nodd/../film.mp4\n/film.mp4\nfilm.mp4?x\nfilm.mp4#x").await;
    let one = vouched(&server, &origin, 1).await;
    assert_eq!(
        (one["files"][0][0].as_str(), one["files"][0][3].as_str()),
        (Some("film.mp4"), Some("video/mp4"))
    );
    assert_eq!(origin.count("/pictures/a%20b.webp"), 0, "one network only");
    wish(&server, &origin, "2001:db8:1::1", "pictures/a b.webp").await;
    let two = vouched(&server, &origin, 2).await;
    let topic = site_topic(&origin.key().to_bytes()).to_string();
    assert_eq!(
        (two["base"].as_str().unwrap(), two["topic"].as_str().unwrap()),
        (origin.base().as_str(), topic.as_str())
    );
    for (network, path) in
        [("7.7.7.7", "film.mp4"), ("6.6.6.6", "film.mp4"), ("5.5.5.5", "pictures/a b.webp")]
    {
        wish(&server, &origin, network, path).await;
    }
    let torrent =
        server.get(&format!("{}/{}", origin.address(), two["torrent"].as_str().unwrap()), &[]).await;
    let torrent = Torrent::parse(&torrent.body).unwrap();
    assert_eq!(torrent.info.content.to_string(), two["content"].as_str().unwrap());
    assert_eq!(torrent.web_seeds, [format!("{}#", origin.base())]);
    let mut leaves: Vec<[u8; 32]> =
        bytes(2, 300 * KIB).chunks(16 * KIB).map(|leaf| Sha256::digest(leaf).into()).collect();
    leaves.resize(32, [0; 32]);
    while leaves.len() > 1 {
        leaves = leaves.chunks(2).map(|pair| Sha256::digest(pair.concat()).into()).collect();
    }
    let film = two["files"].as_array().unwrap().iter().find(|file| file[0] == "film.mp4").unwrap();
    assert_eq!(film[2].as_str().unwrap(), Root(leaves[0]).to_string(), "the root of what the server sent");
    assert_eq!((origin.count("/film.mp4"), origin.count("/pictures/a%20b.webp")), (1, 1));
    let headers = origin.asked.lock().unwrap()["/film.mp4"].1.clone();
    assert!(headers.get(header::COOKIE).is_none() && headers[header::ACCEPT_ENCODING] == "identity");
}

#[tokio::test]
async fn what_is_not_for_everybody_or_too_much_is_not_vouched_for() {
    let origin = Origin::start().await;
    let server = Server::start(origin.config()).await;
    let names = "private no-store no-cache cookie vary packed moved part small large endless missing";
    let paths: Vec<String> = names.split(' ').map(|name| format!("{name}.bin")).collect();
    wish(&server, &origin, "9.9.9.9", &format!("{}\nfilm.mp4", paths.join("\n"))).await;
    let manifest = vouched(&server, &origin, 1).await;
    assert_eq!(manifest["files"][0][0], "film.mp4", "the last in the queue, so all others were looked at");
    for path in &paths {
        assert_eq!(origin.count(&format!("/{path}")), 1, "{path}");
    }
    assert_eq!(origin.count("/film.mp4"), 1, "a redirection was not followed");
}

#[tokio::test]
async fn what_is_no_longer_good_is_asked_for_again_without_its_bytes() {
    let origin = Origin::start().await;
    let server = Server::start(origin.config()).await;
    wish(&server, &origin, "9.9.9.9", "short.bin").await;
    let root = vouched(&server, &origin, 1).await["files"][0][2].clone();
    vouched(&server, &origin, 0).await;
    wish(&server, &origin, "9.9.9.9", "short.bin").await;
    assert_eq!(vouched(&server, &origin, 1).await["files"][0][2], root);
    let (count, headers) = origin.asked.lock().unwrap()["/short.bin"].clone();
    assert_eq!(
        (count, &headers[header::IF_NONE_MATCH]),
        (2, &"\"one\"".parse::<header::HeaderValue>().unwrap())
    );
}

#[tokio::test]
async fn objects_and_requests_are_bounded() {
    let origin = Origin::start().await;
    let mut config = origin.config();
    config.witness.objects_max = 1;
    let server = Server::start(config).await;
    wish(&server, &origin, "9.9.9.9", "pictures/a b.webp\nfilm.mp4\nsmall.bin").await;
    let one = vouched(&server, &origin, 1).await;
    assert_eq!(one["files"][0][0], "pictures/a b.webp");
    assert_eq!(origin.count("/film.mp4"), 0, "no room");
    let mut config = origin.config();
    config.witness.fetches = PerMinute { per_minute: 1, burst: 1 };
    let server = Server::start(config).await;
    wish(&server, &origin, "9.9.9.9", "pictures/a b.webp\nfilm.mp4").await;
    vouched(&server, &origin, 1).await;
    assert_eq!(origin.count("/film.mp4"), 0, "not this minute");
}

#[tokio::test]
async fn nothing_is_asked_of_private_addresses_or_of_sites_that_are_not_listed() {
    let origin = Origin::start().await;
    // A name passes the configuration; what it stands for is looked at when it is asked.
    let mut config = origin.config();
    config.witness.private_addresses = false;
    config.witness.origins = vec![format!("http://localhost:{}/", origin.addr.port())];
    let keys = {
        let base = &config.witness.origins[0];
        let hash = Sha256::new().chain_update(b"swarmlet witness").chain_update([1; 32]).chain_update(base);
        Root(SigningKey::from_bytes(&hash.finalize().into()).verifying_key().to_bytes())
    };
    let (http, admin) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let operator = Server::elsewhere(admin.local_addr().unwrap());
    let server = Server::with(Inlets { admin: Some(admin), ..Inlets::only(http) }, config);
    let address = format!("/swarmlet/witness/{keys}");
    for path in ["film.mp4", "pictures/a b.webp"] {
        let length = path.len().to_string();
        assert_eq!(server.send("POST", &address, &[("content-length", &length)], path).await.status, 204);
    }
    within("both to be refused", async {
        let metrics = async || String::from_utf8(operator.get("/metrics", &[]).await.body).unwrap();
        while !metrics().await.contains("swarm_site_witness_refusals_total 2\n") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(origin.asked.lock().unwrap().len(), 0);
    let other = format!("/swarmlet/witness/{}", Root([7; 32]));
    assert_eq!(server.send("POST", &other, &[("content-length", "1")], "a").await.status, 404);
    assert_eq!(server.get(&format!("{other}/swarmlet.json"), &[]).await.status, 404);
    let off = Server::start(Config::default()).await;
    assert_eq!(off.send("POST", &origin.address(), &[("content-length", "8")], "film.mp4").await.status, 404);
    assert_eq!(off.get(&format!("{}/swarmlet.json", origin.address()), &[]).await.status, 404);
}
