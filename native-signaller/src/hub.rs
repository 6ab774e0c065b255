//! The single owner of [`tracker::Server`](swarmlet_core::tracker::Server): everything that sockets say comes
//! in through one bounded queue, and goes out through one bounded queue for each socket.
//!
//! The hub never waits for a socket: one whose queue overflows is cut.

use crate::Config;
use bytes::Bytes;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;
use swarmlet_core::Instant;
use swarmlet_core::tracker::server::{
    CloseReason, ConnId, Dialect, Server, ServerAction, ServerConfig, ServerInput, ServerSnapshot,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time;

/// Events of all sockets that wait for the hub. Each is at most a message: 64 MiB at the very worst.
const EVENTS_MAX: usize = 4096;

/// Between two looks at the wall clock, by which tokens are judged.
const CLOCK_EVERY: Duration = Duration::from_secs(60);

/// Why a socket is closed: the WebSocket code, and a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Close {
    /// RFC 6455 §7.4.
    pub(crate) code: u16,
    /// For people who look.
    pub(crate) reason: &'static str,
}

/// A client that does not read what it asked for.
pub(crate) const SLOW: Close = Close { code: 1013, reason: "slow" };

impl From<CloseReason> for Close {
    fn from(reason: CloseReason) -> Self {
        let code = match reason {
            CloseReason::Oversize => 1009,
            CloseReason::Malformed | CloseReason::Protocol => 1002,
            CloseReason::Denied | CloseReason::Deadline | CloseReason::Rate => 1008,
            CloseReason::Full => 1013,
            CloseReason::Draining => 1012,
            CloseReason::Replaced => 4001,
        };
        Self { code, reason: reason.name() }
    }
}

#[derive(Debug)]
enum Event {
    Opened { conn: ConnId, address: Option<IpAddr>, dialect: Dialect, origin: Option<String>, line: Line },
    Received { conn: ConnId, bytes: Bytes },
    Closed { conn: ConnId },
    Drain { spread: Duration, done: oneshot::Sender<()> },
    Configure(Box<ServerConfig>),
    Count { answer: oneshot::Sender<ServerSnapshot> },
}

/// The hub's end of a socket's queue.
#[derive(Debug)]
struct Line {
    messages: mpsc::Sender<Bytes>,
    waiting: Arc<AtomicUsize>,
    close: oneshot::Sender<Close>,
}

/// The socket's end: what to send, and when to stop.
pub(crate) struct Outlet {
    /// Messages to send. Ends with the connection.
    pub(crate) messages: mpsc::Receiver<Bytes>,
    /// Resolves when the connection is to be closed, after the messages before.
    pub(crate) close: oneshot::Receiver<Close>,
    waiting: Arc<AtomicUsize>,
}

impl Outlet {
    /// Says that a message has left.
    pub(crate) fn sent(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// How everything else talks to the hub.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    events: mpsc::Sender<Event>,
    next: Arc<AtomicU64>,
    queue_messages: usize,
}

/// One socket's membership; tells the hub when it is dropped, however the socket ended.
pub(crate) struct Ticket {
    conn: ConnId,
    hub: Hub,
}

impl Hub {
    /// Starts the task. It ends when nobody can talk to it any more.
    pub(crate) fn start(config: &Config, rules: ServerConfig, seed: [u8; 32]) -> Self {
        let (events, inbox) = mpsc::channel(EVENTS_MAX);
        let owner = Owner {
            server: Server::new(rules, seed, Instant::ZERO),
            origin: time::Instant::now(),
            lines: HashMap::new(),
            queue_bytes: config.socket.queue_bytes as usize,
            drained: Vec::new(),
        };
        tokio::spawn(owner.run(inbox));
        let queue_messages = config.socket.queue_messages as usize;
        Self { events, next: Arc::new(AtomicU64::new(1)), queue_messages }
    }

    /// Brings in a socket.
    pub(crate) async fn open(
        &self,
        address: Option<IpAddr>,
        dialect: Dialect,
        origin: Option<String>,
    ) -> (Ticket, Outlet) {
        let conn = ConnId(self.next.fetch_add(1, Ordering::Relaxed));
        let (messages, outbox) = mpsc::channel(self.queue_messages);
        let (close, closed) = oneshot::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let line = Line { messages, close, waiting: Arc::clone(&waiting) };
        let _ = self.events.send(Event::Opened { conn, address, dialect, origin, line }).await;
        (Ticket { conn, hub: self.clone() }, Outlet { messages: outbox, close: closed, waiting })
    }

    /// Brings in a peer of this very process.
    pub(crate) async fn open_here(&self) -> (Ticket, Outlet) {
        self.open(None, Dialect::Swarmlet, None).await
    }

    /// Other rules from now on.
    pub(crate) async fn configure(&self, rules: ServerConfig) {
        let _ = self.events.send(Event::Configure(Box::new(rules))).await;
    }

    /// Sends everybody away; resolves when the last one has gone.
    pub(crate) async fn drain(&self, spread: Duration) {
        let (done, all_gone) = oneshot::channel();
        if self.events.send(Event::Drain { spread, done }).await.is_ok() {
            let _ = all_gone.await;
        }
    }

    /// What the tracker counts; also the proof that the hub is alive.
    pub(crate) async fn count(&self) -> Option<ServerSnapshot> {
        let (answer, snapshot) = oneshot::channel();
        self.events.send(Event::Count { answer }).await.ok()?;
        snapshot.await.ok()
    }
}

impl Ticket {
    /// Hands over one message. Waits while the hub is busy, and with it the reading of this socket.
    pub(crate) async fn received(&self, bytes: Bytes) {
        let _ = self.hub.events.send(Event::Received { conn: self.conn, bytes }).await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let closed = Event::Closed { conn: self.conn };
        // A full queue must not lose this one.
        if let Err(mpsc::error::TrySendError::Full(closed)) = self.hub.events.try_send(closed) {
            let events = self.hub.events.clone();
            tokio::spawn(async move { events.send(closed).await });
        }
    }
}

struct Owner {
    server: Server,
    origin: time::Instant,
    /// One for each connection that the tracker knows.
    lines: HashMap<ConnId, Line>,
    queue_bytes: usize,
    drained: Vec<oneshot::Sender<()>>,
}

impl Owner {
    async fn run(mut self, mut inbox: mpsc::Receiver<Event>) {
        self.tell_time();
        let mut clock = time::interval_at(time::Instant::now() + CLOCK_EVERY, CLOCK_EVERY);
        clock.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            let wake = self.server.poll_timeout().map(|at| self.origin + Duration::from_micros(at.micros()));
            let timer = async {
                match wake {
                    Some(at) => time::sleep_until(at).await,
                    None => core::future::pending().await,
                }
            };
            tokio::select! {
                event = inbox.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => return,
                },
                () = timer => self.handle(ServerInput::Timeout),
                _ = clock.tick() => self.tell_time(),
            }
            if self.lines.is_empty() {
                // Dropping the other end is the news.
                self.drained.clear();
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Opened { conn, address, dialect, origin, line } => {
                self.lines.insert(conn, line);
                self.handle(ServerInput::Opened { conn, address, dialect, origin: origin.as_deref() });
            }
            Event::Received { conn, bytes } => self.handle(ServerInput::Received { conn, bytes: &bytes }),
            Event::Closed { conn } => {
                self.lines.remove(&conn);
                self.handle(ServerInput::Closed { conn });
            }
            Event::Drain { spread, done } => {
                self.handle(ServerInput::Drain { spread });
                self.drained.push(done);
            }
            Event::Configure(rules) => {
                self.handle(ServerInput::Configure(rules));
                self.tell_time();
            }
            Event::Count { answer } => drop(answer.send(self.server.snapshot())),
        }
    }

    /// Clocks are set, and machines sleep.
    fn tell_time(&mut self) {
        if let Ok(since) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            self.handle(ServerInput::Clock { unix_s: since.as_secs() });
        }
    }

    fn handle(&mut self, input: ServerInput<'_>) {
        let now = self.origin.elapsed().as_micros();
        let now = Instant::from_micros(u64::try_from(now).unwrap_or(u64::MAX));
        self.server.handle(now, input);
        let mut cut = Vec::new();
        while let Some(action) = self.server.poll_action() {
            match action {
                ServerAction::Send { conn, bytes } => {
                    if !self.send(conn, bytes.into()) {
                        cut.push(conn);
                    }
                }
                ServerAction::Close { conn, reason } => self.close(conn, reason.into()),
            }
        }
        for conn in cut {
            self.close(conn, SLOW);
            self.server.handle(now, ServerInput::Closed { conn });
        }
    }

    /// Whether there was room.
    fn send(&self, conn: ConnId, bytes: Bytes) -> bool {
        let Some(line) = self.lines.get(&conn) else { return true };
        let len = bytes.len();
        if line.waiting.fetch_add(len, Ordering::Relaxed) + len > self.queue_bytes {
            return false;
        }
        !matches!(line.messages.try_send(bytes), Err(mpsc::error::TrySendError::Full(_)))
    }

    fn close(&mut self, conn: ConnId, close: Close) {
        if let Some(line) = self.lines.remove(&conn) {
            tracing::debug!(event = "close", conn = conn.0, code = close.code, reason = close.reason);
            let _ = line.close.send(close);
        }
    }
}
