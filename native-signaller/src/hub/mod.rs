//! The single owner of [`tracker::Server`](swarmlet_core::tracker::Server), on a thread of its own. Plain TCP
//! connections belong to it from the first byte: it reads the request, and keeps those that want `/signal`; the rest
//! is handed to the HTTP server. Sockets that come another way (through TLS, or upgraded by the HTTP server) talk to
//! it through bounded queues.
//!
//! It never waits for a socket: one that does not take what it asked for is cut.

mod bus;
pub(crate) mod gate;
mod owner;
mod plain;
mod wire;

pub(crate) use bus::Found;

use crate::Config;
use crate::ws::Close;
use crate::ws::head::Refusal;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use core::time::Duration;
use prometheus_client::metrics::histogram::Histogram;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;
use swarmlet_core::tracker::server::{ConnId, Dialect, ServerConfig, ServerSnapshot};
use tokio::sync::{mpsc, oneshot};

/// Events of sockets elsewhere that wait for the hub. Each is at most a message.
const EVENTS_MAX: usize = 4096;

#[derive(Debug)]
enum Event {
    Admit { address: Option<IpAddr>, answer: oneshot::Sender<Result<(), Refusal>> },
    Opened { conn: ConnId, address: Option<IpAddr>, dialect: Dialect, origin: Option<String>, line: Line },
    Received { conn: ConnId, bytes: Bytes },
    Closed { conn: ConnId },
    Drain { spread: Duration, done: oneshot::Sender<()> },
    Configure(Box<(Config, ServerConfig)>),
    Count { answer: oneshot::Sender<Counts> },
    Bus(bus::News),
    Stop { done: oneshot::Sender<()> },
}

/// What the hub counts, and the tracker in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    /// The tracker's.
    pub(crate) tracker: ServerSnapshot,
    /// Bytes that wait for sockets to take them.
    pub(crate) queue_bytes: u64,
    /// Turned away before they were a WebSocket, ever, in the order of [`TURNED_AWAY`].
    pub(crate) turned_away: [u64; TURNED_AWAY.len()],
}

/// Why: connections of one network that ask for nothing, too many WebSockets of one network, too many opened at once.
pub(crate) const TURNED_AWAY: [&str; 3] = ["half_open", "network", "opens"];

/// A connection that is not for the signaller, with what was read of it.
pub(crate) struct Arrival {
    /// Does not block.
    pub(crate) stream: TcpStream,
    /// What came first.
    pub(crate) bytes: Vec<u8>,
    /// Who.
    pub(crate) address: SocketAddr,
    /// Counts the connection for as long as it lives.
    pub(crate) place: Place,
}

/// One of the connections that there may be; given back when dropped.
pub(crate) struct Place(Arc<AtomicU32>);

impl Place {
    fn take(taken: &Arc<AtomicU32>) -> Self {
        taken.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(taken))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The hub's end of the queue of a socket elsewhere.
#[derive(Debug)]
struct Line {
    messages: mpsc::Sender<Said>,
    waiting: Arc<AtomicUsize>,
    close: oneshot::Sender<Close>,
}

/// A message for a socket elsewhere.
#[derive(Debug)]
pub(crate) struct Said {
    /// The message.
    pub(crate) bytes: Bytes,
    /// When what it follows from was read.
    pub(crate) asked: Instant,
}

/// That socket's end: what to send, and when to stop.
pub(crate) struct Outlet {
    /// Messages to send. Ends with the connection.
    pub(crate) messages: mpsc::Receiver<Said>,
    /// Resolves when the connection is to be closed, after the messages before.
    pub(crate) close: oneshot::Receiver<Close>,
    waiting: Arc<AtomicUsize>,
    transit: Histogram,
}

impl Outlet {
    /// Says that messages have left, the oldest of which follows from what was read then.
    pub(crate) fn sent(&self, bytes: usize, asked: Option<Instant>) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(asked) = asked {
            self.transit.observe(asked.elapsed().as_secs_f64());
        }
    }
}

/// Seconds from the read that brought a message to the write of what it brought about: from the hub's own time to where people
/// notice.
const TRANSIT_SECONDS: [f64; 10] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

/// How everything else talks to the hub.
#[derive(Clone, Debug)]
pub(crate) struct Hub {
    events: mpsc::Sender<Event>,
    waker: Arc<mio::Waker>,
    next: Arc<AtomicU32>,
    queue_messages: usize,
    transit: Histogram,
}

/// One socket's membership; tells the hub when it is dropped, however the socket ended.
pub(crate) struct Ticket {
    conn: ConnId,
    hub: Hub,
}

impl Hub {
    /// Starts the thread, which accepts on `listener` if there is one and hands what is not for it to `arrivals`.
    pub(crate) fn start(
        config: &Config,
        rules: ServerConfig,
        seed: [u8; 32],
        listener: Option<TcpListener>,
        arrivals: mpsc::Sender<Arrival>,
    ) -> io::Result<Self> {
        let (events, inbox) = mpsc::channel(EVENTS_MAX);
        let transit = Histogram::new(TRANSIT_SECONDS);
        let (owner, waker) =
            owner::Owner::new(config, rules, seed, listener, (inbox, arrivals), transit.clone())?;
        std::thread::Builder::new().name("hub".to_owned()).spawn(move || owner.run())?;
        let queue_messages = config.socket.queue_messages as usize;
        let (waker, next) = (Arc::new(waker), Arc::new(AtomicU32::new(0)));
        Ok(Self { events, waker, next, queue_messages, transit })
    }

    async fn tell(&self, event: Event) -> Option<()> {
        self.events.send(event).await.ok()?;
        self.waker.wake().ok()
    }

    /// Whether a WebSocket of `address` may be opened now.
    pub(crate) async fn admit(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        let (answer, verdict) = oneshot::channel();
        if self.tell(Event::Admit { address, answer }).await.is_none() {
            return Err(Refusal::Busy(1));
        }
        verdict.await.unwrap_or(Err(Refusal::Busy(1)))
    }

    /// Brings in a socket.
    pub(crate) async fn open(
        &self,
        address: Option<IpAddr>,
        dialect: Dialect,
        origin: Option<String>,
    ) -> (Ticket, Outlet) {
        let conn = owner::line_id(self.next.fetch_add(1, Ordering::Relaxed));
        let (messages, outbox) = mpsc::channel(self.queue_messages);
        let (close, closed) = oneshot::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let line = Line { messages, close, waiting: Arc::clone(&waiting) };
        let _ = self.tell(Event::Opened { conn, address, dialect, origin, line }).await;
        let transit = self.transit.clone();
        (Ticket { conn, hub: self.clone() }, Outlet { messages: outbox, close: closed, waiting, transit })
    }

    /// Brings in a peer of this very process.
    pub(crate) async fn open_here(&self) -> (Ticket, Outlet) {
        self.open(None, Dialect::Swarmlet, None).await
    }

    /// Other rules from now on, as far as a running hub can take them over.
    pub(crate) async fn configure(&self, config: Config, rules: ServerConfig) {
        let _ = self.tell(Event::Configure(Box::new((config, rules)))).await;
    }

    /// Sends everybody away; resolves when the last one has gone.
    pub(crate) async fn drain(&self, spread: Duration) {
        let (done, all_gone) = oneshot::channel();
        if self.tell(Event::Drain { spread, done }).await.is_some() {
            let _ = all_gone.await;
        }
    }

    /// What is counted; also the proof that the hub is alive.
    pub(crate) async fn count(&self) -> Option<Counts> {
        let (answer, counts) = oneshot::channel();
        self.tell(Event::Count { answer }).await?;
        counts.await.ok()
    }

    /// How long messages are on their way through this server.
    pub(crate) fn transit(&self) -> Histogram {
        self.transit.clone()
    }

    /// Ends the thread; resolves when all that it owned is closed, the listener too.
    pub(crate) async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        if self.tell(Event::Stop { done }).await.is_some() {
            let _ = ended.await;
        }
    }
}

impl Ticket {
    /// Hands over one message. Waits while the hub is busy, and with it the reading of this socket.
    pub(crate) async fn received(&self, bytes: Bytes) {
        let _ = self.hub.tell(Event::Received { conn: self.conn, bytes }).await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let closed = Event::Closed { conn: self.conn };
        match self.hub.events.try_send(closed) {
            Ok(()) => drop(self.hub.waker.wake()),
            Err(mpsc::error::TrySendError::Closed(_)) => {}
            // A full queue must not lose this one.
            Err(mpsc::error::TrySendError::Full(closed)) => {
                let hub = self.hub.clone();
                tokio::spawn(async move { hub.tell(closed).await });
            }
        }
    }
}
