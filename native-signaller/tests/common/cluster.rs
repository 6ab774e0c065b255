//! Three servers as processes, the Redis that they share, and a balancer in front of them.

use super::{Client, Server, folder, peer, within};
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use swarmlet_core::wire::{Signal, ToClient, ToTracker};
use swarmlet_core::{PeerId, Topic};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// For what takes a machine that is busy with other things long.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// Between two looks at what only a look can tell.
const LOOK: Duration = Duration::from_millis(50);

/// A port that nothing listens on and that the system gives to nobody by itself.
fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Looks until it is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !is_so().await {
            sleep(LOOK).await;
        }
    };
    timeout(DEADLINE, looking).await.unwrap_or_else(|_| panic!("waited too long for {what}"));
}

pub struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    pub async fn start() -> Self {
        let port = port();
        let mut redis = Self { port, child: Self::spawn(port) };
        redis.ready().await;
        redis
    }

    fn spawn(port: u16) -> Child {
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        command.current_dir(folder(&format!("redis-{port}"), &[("empty", b"")])).stdout(Stdio::null());
        command.spawn().expect("redis-server must be here (.ci/need redis installs it)")
    }

    async fn ready(&mut self) {
        until("Redis", async || TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()).await;
        assert!(self.child.try_wait().unwrap().is_none(), "Redis has ended");
    }

    pub fn freeze(&self) {
        signal(&self.child, "STOP");
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Empty, at the same address.
    pub async fn start_again(&mut self) {
        self.child = Self::spawn(self.port);
        self.ready().await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// One server.
pub struct Node {
    name: String,
    pub addr: SocketAddr,
    admin: SocketAddr,
    redis: u16,
    child: Option<Child>,
}

impl Node {
    fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_swarmlet-signaller"));
        command.args(["serve", "--drain-seconds", "5", "--log", "warn"]);
        command.args(["--addr", &self.addr.to_string(), "--admin-addr", &self.admin.to_string()]);
        command.args(["--cluster", &format!("redis://127.0.0.1:{}", self.redis)]);
        command.env("SWARMLET_CLUSTER__NODE", &self.name);
        self.child = Some(command.spawn().unwrap());
    }

    pub fn server(&self) -> Server {
        Server::elsewhere(self.addr)
    }

    pub async fn admin(&self, path: &str) -> String {
        let answer = Server::elsewhere(self.admin).get(path, &[]).await;
        String::from_utf8(answer.body).unwrap()
    }

    async fn is_listening(&self) -> bool {
        TcpStream::connect(self.admin).await.is_ok()
    }

    /// Takes clients.
    async fn is_ready(&self) -> bool {
        self.is_listening().await && self.server().get("/readyz", &[]).await.status == 200
    }

    pub async fn knows(&self, others: &str) -> bool {
        self.is_listening().await && self.admin("/healthz").await == format!("ok\nother nodes: {others}\n")
    }

    pub fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn ask_to_stop(&self) {
        signal(self.child.as_ref().unwrap(), "TERM");
    }

    /// Waits for its end after that.
    pub async fn stopped(&mut self) {
        let mut child = self.child.take().unwrap();
        until("the end of a node", async || child.try_wait().unwrap().is_some()).await;
        assert!(child.wait().unwrap().success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = (child.kill(), child.wait());
        }
    }
}

pub struct Cloud {
    pub redis: Redis,
    pub nodes: Vec<Node>,
    observers: u8,
}

impl Cloud {
    pub async fn start() -> Self {
        let redis = Redis::start().await;
        let at = || SocketAddr::from(([127, 0, 0, 1], port()));
        let node = |name: &str| {
            let (addr, admin) = (at(), at());
            let mut node = Node { name: name.to_owned(), addr, admin, redis: redis.port, child: None };
            node.start();
            node
        };
        let nodes = ["a", "b", "c"].map(node).into();
        let cloud = Self { redis, nodes, observers: 100 };
        cloud.whole().await;
        cloud
    }

    /// Every node knows both others.
    pub async fn whole(&self) {
        for node in &self.nodes {
            until(&format!("{} to know both others", node.name), async || node.knows("2").await).await;
        }
    }

    pub async fn start_again(&mut self, at: usize) {
        self.nodes[at].start();
        self.whole().await;
    }

    /// A client that is in no swarm yet.
    pub async fn client(&self, at: usize, number: u8) -> Client {
        self.nodes[at].server().client(number).await
    }

    /// A client that has joined a swarm and was told of another member there.
    pub async fn meets(&self, at: usize, number: u8, topic: Topic, other: u8) -> Client {
        let joining = async {
            loop {
                let mut client = self.client(at, number).await;
                if client.join(topic).await.2.contains(&peer(other)) {
                    return client;
                }
            }
        };
        timeout(DEADLINE, joining).await.expect("the other to be named")
    }

    /// Waits until newcomers at a node are told of all these peers, knock at them, and are answered.
    pub async fn reaches(&mut self, at: usize, topic: Topic, peers: &BTreeSet<PeerId>) {
        let mut answered = BTreeSet::new();
        let looking = async {
            while answered != *peers {
                self.observers = self.observers.wrapping_add(1).max(100);
                let mut client = self.client(at, self.observers).await;
                answered.extend(client.knock_all(topic, peers).await);
            }
        };
        let ended = timeout(DEADLINE, looking).await;
        assert!(ended.is_ok(), "node {at}: {answered:?} of {peers:?}");
    }
}

impl Client {
    /// The next message that is no list of members: those come unasked when nodes find each other.
    pub async fn hear_signal(&mut self) -> ToClient {
        loop {
            let message = self.hear().await;
            if !matches!(message, ToClient::Peers { .. }) {
                return message;
            }
        }
    }

    /// Joins a swarm and gives back the answer.
    pub async fn join(&mut self, topic: Topic) -> (u32, u32, BTreeSet<PeerId>) {
        self.say(&ToTracker::Announce { topic, complete: false, want: 12 }).await;
        loop {
            // Others may knock before.
            if let ToClient::Peers { topic: of, seeds, leeches, peers } = self.hear().await
                && of == topic
            {
                return (seeds, leeches, peers.into_iter().map(|view| view.peer).collect());
            }
        }
    }

    /// Joins, knocks at those of `peers` that are named, and gives back who has answered within some seconds.
    async fn knock_all(&mut self, topic: Topic, peers: &BTreeSet<PeerId>) -> BTreeSet<PeerId> {
        let mut open: BTreeSet<PeerId> = self.join(topic).await.2.intersection(peers).copied().collect();
        for to in &open {
            let signals = vec![Signal::Knock { attempt: 1, topic }];
            self.say(&ToTracker::Relay { to: *to, signals }).await;
        }
        let mut answered = BTreeSet::new();
        let listening = async {
            while !open.is_empty() {
                match self.hear().await {
                    ToClient::Relayed { from, .. } => {
                        open.remove(&from);
                        answered.insert(from);
                    }
                    ToClient::Absent { peer } => drop(open.remove(&peer)),
                    _ => {}
                }
            }
        };
        let _ = timeout(Duration::from_secs(2), listening).await;
        let _ = self.socket.close(None).await;
        answered
    }
}

/// Passes connections on to the nodes in turn, as far as they are ready.
pub struct Balancer {
    pub addr: SocketAddr,
}

impl Balancer {
    pub async fn start(nodes: &[Node]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let nodes: Arc<Vec<SocketAddr>> = Arc::new(nodes.iter().map(|node| node.addr).collect());
        let next = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (nodes, next) = (Arc::clone(&nodes), Arc::clone(&next));
                tokio::spawn(async move {
                    for _ in 0..nodes.len() {
                        let node = nodes[next.fetch_add(1, Ordering::Relaxed) % nodes.len()];
                        if TcpStream::connect(node).await.is_err()
                            || Server::elsewhere(node).get("/readyz", &[]).await.status != 200
                        {
                            continue;
                        }
                        if let Ok(mut onward) = TcpStream::connect(node).await {
                            let _ = copy_bidirectional(&mut stream, &mut onward).await;
                            return;
                        }
                    }
                });
            }
        });
        Self { addr }
    }

    pub fn server(&self) -> Server {
        Server::elsewhere(self.addr)
    }
}

/// Waits for one message.
pub async fn hear_text(client: &mut Client) -> String {
    use futures_util::StreamExt;
    loop {
        let message = within("a message", client.socket.next()).await.unwrap().unwrap();
        if let tokio_tungstenite::tungstenite::Message::Text(text) = message {
            return text.as_str().to_owned();
        }
    }
}
