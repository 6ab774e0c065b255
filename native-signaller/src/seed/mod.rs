//! A peer without a browser: the same node as in a page, with the `webrtc` crate, a disk and a WebSocket under it.
//!
//! ```text
//! Peer (handle) ──▶ Host: one task owns the Node ──▶ store threads, fetches, the signaller's socket
//!                        ▲ news            │ orders
//!                        └── link tasks ◀──┘   (a runtime of their own, which can be thrown away)
//! ```
//! Nothing is decided here that the node can decide.

mod beside;
pub mod cli;
mod connection;
mod disk;
mod fetch;
mod get;
mod guard;
mod host;
mod journal;
pub(crate) mod known;
mod limit;
mod link;
mod metrics;
mod pipe;
mod rtc;
mod share;
mod show;
mod socket;
mod stack;
mod store;
mod tend;
mod trust;
mod watch;

pub use get::get;
pub use metrics::Counters;
pub(crate) use metrics::Measure;
pub use share::Made;
pub(crate) use share::hash_file;
pub(crate) use show::count;
pub use tend::seed;

use crate::Error;
use crate::hub::Hub;
use core::net::IpAddr;
use core::time::Duration;
use host::{Host, News};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swarmlet_core::content::{Magnet, Torrent};
use swarmlet_core::{Command, ContentId, Event, PeerId, Root, Snapshot};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time;

/// News that wait for the node. Most are messages of at most 65 KiB: 16 MiB at the very worst.
const NEWS_MAX: usize = 256;
/// Events that a slow listener may be behind.
const EVENTS_MAX: usize = 4096;

/// How long a metrics page waits for the node.
const ANSWER_DEADLINE: Duration = Duration::from_secs(1);

/// Who brings peers together.
#[derive(Clone, Debug, Default)]
pub enum Signaller {
    /// Nobody.
    #[default]
    None,
    /// A server, as `wss://host/signal`.
    At(String),
    /// This process.
    Here(Here),
}

/// The signaller of this process.
#[derive(Clone, Debug)]
pub struct Here {
    pub(crate) hub: Hub,
    /// Whether it is reached by the loopback.
    pub(crate) loopback: bool,
}

/// What a peer is to do and may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the signaller is.
    pub signaller: Signaller,
    /// Files (PEM) of authorities that are believed beside the public ones.
    pub authorities: Vec<PathBuf>,
    /// The node's own limits.
    pub node: swarmlet_core::Config,
    /// Where fetched content and records are kept. `None`: nothing is kept, so nothing can be fetched.
    pub data: Option<PathBuf>,
    /// Bytes that fetched content may take there.
    pub quota: Option<u64>,
    /// Bytes per second that are taken in from peers.
    pub download_rate_max: Option<u64>,
    /// Addresses of this machine to use. Empty: those of every interface.
    pub bind: Vec<IpAddr>,
    /// Addresses by which this machine is known on the internet, where its own are not.
    pub external: Vec<IpAddr>,
    /// STUN servers, as `stun:host:port`.
    pub stun: Vec<String>,
    /// Threads for connections.
    pub threads: usize,
    /// Bytes of memory of the process above which the connections are cut and made anew.
    pub memory_max: u64,
    /// A slower line than there is, to compare with predictions.
    pub line: Option<Line>,
}

impl Default for Settings {
    fn default() -> Self {
        // No tab's limit on connections binds here; a server serves many.
        let node = swarmlet_core::Config { connections_max: u32::MAX, links_max: 100, ..Default::default() };
        Self {
            signaller: Signaller::None,
            authorities: Vec::new(),
            node,
            data: None,
            quota: None,
            download_rate_max: None,
            bind: Vec::new(),
            external: Vec::new(),
            stun: Vec::new(),
            threads: 2,
            memory_max: 2 * 1024 * 1024 * 1024,
            line: None,
        }
    }
}

impl Settings {
    /// Whether the signaller is on this very machine, so that others on it may be reached by the loopback.
    fn loopback(&self) -> bool {
        let url = match &self.signaller {
            Signaller::None => return false,
            Signaller::Here(here) => return here.loopback,
            Signaller::At(url) => url,
        };
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let host = rest.split(['/', '?', '#']).next().unwrap_or("");
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// A line of so many bytes per second, and so long. What all links of a peer send goes through it.
#[derive(Clone, Debug)]
pub struct Line {
    bucket: Arc<limit::Bucket>,
    delay: Duration,
}

impl Line {
    /// A line to go out by.
    #[must_use]
    pub fn new(bytes_per_second: u64, delay: Duration) -> Self {
        Self { bucket: Arc::new(limit::Bucket::steady(bytes_per_second)), delay }
    }

    fn take(&self, bytes: usize) -> tokio::time::Instant {
        self.bucket.take(bytes) + self.delay
    }
}

/// A running peer. Clones speak to the same one; it ends with [`Peer::close`], or when the last is dropped.
#[derive(Clone, Debug)]
pub struct Peer {
    id: PeerId,
    news: mpsc::Sender<News>,
    events: broadcast::Sender<Event>,
    counters: Arc<Counters>,
    disk: Arc<disk::Disk>,
    /// Dropped with the last handle.
    _held: Arc<Held>,
}

/// Ends the peer when nobody holds it any more.
#[derive(Debug)]
struct Held(mpsc::Sender<News>);

impl Drop for Held {
    fn drop(&mut self) {
        let close = News::Close(oneshot::channel().0);
        if let Err(mpsc::error::TrySendError::Full(close)) = self.0.try_send(close)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let news = self.0.clone();
            runtime.spawn(async move { news.send(close).await });
        }
    }
}

impl Peer {
    /// Starts a peer on the current runtime.
    ///
    /// # Errors
    /// When its folder cannot be used, or the system gives no threads or randomness.
    pub fn start(settings: &Settings) -> Result<Self, Error> {
        let mut seeds = [[0; 32]; 2];
        for seed in &mut seeds {
            getrandom::fill(seed).map_err(|error| Error::Start(error.to_string()))?;
        }
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let counters = Arc::new(Counters::default());
        let (host, news) = Host::new(settings, seeds, events.clone(), Arc::clone(&counters))?;
        let (id, disk) = (host.peer_id(), host.disk());
        tokio::spawn(host.run());
        tokio::spawn(guard::run(news.downgrade(), Arc::clone(&counters), settings.memory_max));
        let held = Arc::new(Held(news.clone()));
        Ok(Self { id, news, events, counters, disk, _held: held })
    }

    /// Who it is.
    #[must_use]
    pub const fn id(&self) -> PeerId {
        self.id
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Everything that it counts, for a metrics page: its own counters, and what the node says. Nothing of the node
    /// when it does not answer.
    pub(crate) async fn measures(&self) -> Vec<Measure> {
        let mut all = self.counters.list();
        let snapshot = time::timeout(ANSWER_DEADLINE, self.snapshot()).await.ok().flatten();
        all.extend(snapshot.iter().flat_map(metrics::of_node));
        all
    }

    /// What the node has to say from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Hands a command to the node.
    pub async fn command(&self, command: Command) {
        let _ = self.news.send(News::Command(command)).await;
    }

    /// Offers files of this machine; they are read where they are.
    pub async fn seed(&self, made: Made) -> ContentId {
        let content = made.content();
        let _ = self.news.send(News::Sources(made.sources())).await;
        let built = made.built;
        let (torrent, leaves) = (Box::new(built.torrent), built.leaves);
        self.command(Command::Seed { torrent, leaves }).await;
        content
    }

    /// Begins to fetch a share.
    pub async fn add(&self, magnet: Magnet, torrent: Option<Torrent>) {
        self.command(Command::Add { magnet, torrent: torrent.map(Box::new), select: None, topic: None })
            .await;
    }

    /// What it looks like now. `None`: it has ended.
    pub async fn snapshot(&self) -> Option<Snapshot> {
        let (answer, snapshot) = oneshot::channel();
        self.news.send(News::Ask(answer)).await.ok()?;
        snapshot.await.ok()
    }

    /// The `.torrent` of a share, where all that it must contain is known.
    pub async fn torrent(&self, content: ContentId) -> Option<Torrent> {
        let (answer, torrent) = oneshot::channel();
        self.news.send(News::AskTorrent { content, answer }).await.ok()?;
        torrent.await.ok()?
    }

    /// Moves a whole file to where people want it; it is served from there.
    ///
    /// # Errors
    /// What the system says.
    pub async fn place(&self, root: Root, path: &Path) -> std::io::Result<()> {
        let (disk, path) = (Arc::clone(&self.disk), path.to_owned());
        let moved = tokio::task::spawn_blocking(move || disk.place(root, &path)).await;
        moved.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    /// Where a fetched file was moved to.
    #[must_use]
    pub fn place_of(&self, root: &Root) -> Option<PathBuf> {
        self.disk.place_of(root)
    }

    /// Cuts every link and makes the WebRTC stack anew.
    pub async fn recycle(&self, why: &'static str) {
        let _ = self.news.send(News::Recycle(why)).await;
    }

    /// Says goodbye, writes down what is to be kept, and ends.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.news.send(News::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
    }
}
