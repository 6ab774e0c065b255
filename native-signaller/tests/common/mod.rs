//! A server on a free port inside the test, and clients as simple as can be.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::std_instead_of_alloc)]

pub mod cluster;
pub mod peers;

use core::net::SocketAddr;
use core::time::Duration;
use ed25519_dalek::{Signer, SigningKey};
use futures_util::{SinkExt, StreamExt};
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use swarmlet_core::tracker::challenge_bytes;
use swarmlet_core::wire::{Signal, Signature, ToClient, ToTracker, VERSION};
use swarmlet_core::{PeerId, Topic};
use swarmlet_signaller::{Config, Error, Inlets, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub const TOPIC: Topic = Topic([5; 32]);
/// Long enough for a busy machine, short enough for a person.
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

pub struct Server {
    pub addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    done: JoinHandle<Result<(), Error>>,
}

impl Server {
    pub async fn start(config: Config) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), config).await
    }

    pub async fn start_at(addr: SocketAddr, config: Config) -> Self {
        Self::with(Inlets::only(TcpListener::bind(addr).await.unwrap()), config)
    }

    pub fn with(inlets: Inlets, config: Config) -> Self {
        let addr = inlets.http.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let done = tokio::spawn(run(config, inlets, async move { drop(stopped.await) }));
        Self { addr, stop: Some(stop), done }
    }

    /// One in another process.
    pub fn elsewhere(addr: SocketAddr) -> Self {
        Self { addr, stop: None, done: tokio::spawn(async { Ok(()) }) }
    }

    pub fn ask_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub async fn stopped(self) {
        within("the end of the server", self.done).await.unwrap().unwrap();
    }

    /// One request on a connection of its own; `path` goes out as it is.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(method, path, headers, "").await
    }

    /// The same with a body, whose length is among the headers.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.addr);
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        within("an answer", async {
            let mut stream = TcpStream::connect(self.addr).await.unwrap();
            stream.write_all(format!("{text}\r\n{body}").as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            Answer::parse(&bytes)
        })
        .await
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request("GET", path, headers).await
    }

    pub async fn dial(&self, protocol: Option<&str>) -> Result<Client, tungstenite::Error> {
        self.dial_from(None, protocol).await
    }

    pub async fn dial_from(
        &self,
        origin: Option<&str>,
        protocol: Option<&str>,
    ) -> Result<Client, tungstenite::Error> {
        let mut request = format!("ws://{}/signal", self.addr).into_client_request().unwrap();
        for (name, value) in [("origin", origin), ("sec-websocket-protocol", protocol)] {
            if let Some(value) = value {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
        }
        within("a WebSocket", connect_async(request))
            .await
            .map(|(socket, _)| Client { socket, heard: VecDeque::new() })
    }

    /// A client that has been welcomed.
    pub async fn client(&self, number: u8) -> Client {
        let mut client = self.dial(Some("swarmlet.1")).await.unwrap();
        assert!(matches!(client.hello(number).await, ToClient::Welcome { version: VERSION, .. }));
        client
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = core::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HashMap<String, String> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut body = bytes[end + 4..].to_vec();
        if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            body = unchunk(&body);
        }
        Self { status, headers, body }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
        let count = usize::from_str_radix(core::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if count == 0 {
            return out;
        }
        out.extend_from_slice(&bytes[end + 2..end + 2 + count]);
        bytes = &bytes[end + 4 + count..];
    }
}

pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Read of a frame, and not asked for yet.
    heard: VecDeque<ToClient>,
}

impl Client {
    pub async fn hello(&mut self, number: u8) -> ToClient {
        self.hello_with(number, "").await
    }

    pub async fn hello_with(&mut self, number: u8, token: &str) -> ToClient {
        let ToClient::Challenge { nonce } = self.hear().await else { panic!("no challenge") };
        let signature = key(number).sign(&challenge_bytes(&nonce, &peer(number)));
        let signature = Signature(*signature.r_bytes(), *signature.s_bytes());
        let token = token.to_owned();
        let hello = ToTracker::Hello { version: VERSION, features: 0, peer: peer(number), signature, token };
        self.say(&hello).await;
        self.hear().await
    }

    pub async fn say(&mut self, message: &ToTracker) {
        self.socket.send(Message::Binary(message.encode().into())).await.unwrap();
    }

    pub async fn hear(&mut self) -> ToClient {
        loop {
            if let Some(message) = self.heard.pop_front() {
                return message;
            }
            match within("a message", self.socket.next()).await.unwrap().unwrap() {
                Message::Binary(bytes) => self.heard.extend(ToClient::read(&bytes).unwrap()),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Announces and gives back the counts.
    pub async fn announce(&mut self) -> (u32, u32, Vec<PeerId>) {
        self.say(&ToTracker::Announce { topic: TOPIC, complete: false, want: 12 }).await;
        let ToClient::Peers { seeds, leeches, peers, .. } = self.hear().await else { panic!("no peers") };
        (seeds, leeches, peers.into_iter().map(|view| view.peer).collect())
    }

    pub async fn relay(&mut self, to: u8, signal: Signal) {
        self.say(&ToTracker::Relay { to: peer(to), signals: vec![signal] }).await;
    }

    /// Reads to the end; the close code if one came.
    pub async fn closed(&mut self) -> Option<CloseCode> {
        let mut code = None;
        while let Some(Ok(message)) = within("the end", self.socket.next()).await {
            if let Message::Close(frame) = message {
                code = frame.map(|frame| frame.code);
            }
        }
        code
    }
}

pub fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

pub fn peer(number: u8) -> PeerId {
    PeerId(key(number).verifying_key().to_bytes())
}

/// A folder with these files, made new.
pub fn folder(name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&root);
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    root
}
