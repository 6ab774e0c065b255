//! The server host: signalling, the page and sample shares on one port.
//!
//! ```text
//! TCP ─▶ hub ─┬─▶ accept ─▶ http ─▶ files, shares     (maps made at start; no path is ever joined)
//!             └─▶ ws ⇄ tracker::Server
//! ```
//! Decisions about peers are taken in `swarmlet_core`; this crate moves bytes and keeps limits.
#![allow(clippy::std_instead_of_alloc, reason = "a program with an operating system under it")]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cli;
pub mod load;
pub mod log;
pub mod metrics;
pub mod mint;
pub mod publish;
pub mod seed;
pub mod shutdown;

mod accept;
mod admin;
mod bulletins;
mod caller;
mod cluster;
mod config;
mod error;
mod files;
mod http;
mod hub;
mod ice;
mod memory;
mod range;
mod savings;
mod script;
mod shares;
mod stun;
mod tls;
mod witness;
mod ws;

pub use config::{
    Cluster, Config, Content, Limits, Network, PerMinute, Secret, Socket, Stun, Tls, Tokens, Turn, Witness,
};
pub use error::Error;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use hub::Hub;
use std::sync::Arc;
use std::time::Instant;
use swarmlet_core::ContentId;
use swarmlet_core::tracker::server::Served;
use tokio::net::{TcpListener, TcpSocket, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long sockets and responses get to end after everybody was sent away.
const LINGER: Duration = Duration::from_secs(1);

/// Connections for the HTTP server that wait to be looked at.
const ARRIVALS_MAX: usize = 1024;

/// Connections that the system has taken and the server has not. The system's own limit (`net.core.somaxconn`) is
/// often the same.
const BACKLOG: u32 = 4096;

/// What every request may need.
struct State {
    live: watch::Sender<Arc<Config>>,
    hub: Hub,
    assets: files::Assets,
    shares: shares::Shares,
    /// The peer inside the server, where it has something to seed, and the one that it is at the signaller that it is an anchor for.
    peer: Option<seed::Peer>,
    away: Option<seed::Peer>,
    /// Visitors of sites that share.
    crowds: std::sync::Mutex<publish::crowd::Crowds>,
    /// Live streams of sites.
    board: publish::board::Board,
    /// Sites that publish nothing.
    witnesses: witness::Witnesses,
    /// What visitors' pages said of how it went.
    tally: publish::tally::Tally,
    draining: AtomicBool,
    metrics: metrics::Metrics,
    /// Counts of the way to other nodes, where this is one of several.
    bus: Option<Arc<cluster::Counts>>,
    /// Where TLS is spoken.
    certificate: Option<Arc<tls::Certificate>>,
    started: Instant,
    /// Sockets and TCP connections.
    tasks: TaskTracker,
}

impl State {
    /// The configuration as it is now.
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.live.borrow())
    }

    /// Takes over what configurations come, until the end.
    async fn obey(
        self: &Arc<Self>,
        mut reloads: mpsc::Receiver<Config>,
        mut end: impl Future<Output = ()> + Unpin,
    ) {
        loop {
            tokio::select! {
                () = &mut end => break,
                Some(config) = reloads.recv() => self.reload(config).await,
            }
        }
    }

    /// Takes over another one, as far as a running server can.
    async fn reload(self: &Arc<Self>, new: Config) {
        let fixed = self.config().needs_restart(&new);
        if !fixed.is_empty() {
            tracing::warn!(event = "reload", "a restart is needed for {}", fixed.join(", "));
        }
        self.hub.configure(new.clone(), new.tracker(&self.contents())).await;
        self.live.send_replace(Arc::new(new));
        self.renew().await;
        tracing::info!(event = "reload", "the configuration was read again");
    }

    /// Takes over the certificate if its files have changed.
    async fn renew(self: &Arc<Self>) {
        let state = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || {
            let config = state.config();
            state.certificate.as_ref().filter(|_| config.tls.is_on()).map(|shown| shown.reload(&config.tls))
        });
        match read.await {
            Ok(Some(Ok(true))) => tracing::info!(event = "certificate", "new connections get a new one"),
            Ok(Some(Err(error))) => tracing::error!(event = "certificate", "the old one stays: {error}"),
            Ok(Some(Ok(false)) | None) | Err(_) => {}
        }
    }

    /// Whether only some contents are served.
    fn is_listed(&self) -> bool {
        matches!(self.config().served(&self.contents()), Served::Only { .. })
    }

    fn contents(&self) -> Vec<ContentId> {
        self.shares.list().map(shares::Share::content).collect()
    }
}

/// Everything that a server listens to, bound before it starts.
pub struct Inlets {
    /// The page and signalling.
    pub http: TcpListener,
    /// The operator's side.
    pub admin: Option<TcpListener>,
    /// STUN.
    pub stun: Option<UdpSocket>,
    /// Configurations that take the place of the first.
    pub reloads: mpsc::Receiver<Config>,
}

impl Inlets {
    /// One listener, and no more configurations.
    #[must_use]
    pub fn only(http: TcpListener) -> Self {
        Self { http, admin: None, stun: None, reloads: mpsc::channel(1).1 }
    }

    /// What a configuration asks for.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn bind(config: &Config, reloads: mpsc::Receiver<Config>) -> Result<Self, Error> {
        let failed = |addr| move |error| Error::Listen(addr, error);
        let http = listen(config.addr).map_err(failed(config.addr))?;
        let admin = match config.admin_addr {
            Some(addr) => Some(listen(addr).map_err(failed(addr))?),
            None => None,
        };
        let stun = match config.stun.addr {
            Some(addr) => Some(UdpSocket::bind(addr).await.map_err(|error| Error::Listen(addr, error))?),
            None => None,
        };
        Ok(Self { http, admin, stun, reloads })
    }
}

/// Many come at once after an outage: who finds the queue full is not refused but ignored, and tries again after a
/// second or three.
fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that starts again must not wait for connections of its last run to be forgotten.
    socket.set_reuseaddr(cfg!(unix))?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown` resolves, then sends everybody away and returns.
///
/// # Errors
/// When the page or a share cannot be read.
pub async fn run(config: Config, inlets: Inlets, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Error::Start(error.to_string()))?;
    let (www, folders, seeds) = (config.www.clone(), config.share.clone(), config.seed.clone());
    let mut shutdown = core::pin::pin!(shutdown);
    let reading = tokio::task::spawn_blocking(move || {
        let (shares, made) = shares::Shares::read(&folders, &seeds)?;
        Ok::<_, Error>((files::Assets::read(&www)?, shares, made))
    });
    let read = tokio::select! { read = reading => read, () = shutdown.as_mut() => return Ok(()) };
    let certificate = if config.tls.is_on() { Some(tls::Certificate::load(&config.tls)?) } else { None };
    let (assets, shares, made) = read.map_err(|error| Error::Start(error.to_string()))??;
    let contents: Vec<ContentId> = shares.list().map(shares::Share::content).collect();
    let failed = |error: std::io::Error| Error::Start(error.to_string());
    let Inlets { http, admin, stun, reloads } = inlets;
    let addr = http.local_addr().map_err(failed)?;
    let (arrivals, arriving) = mpsc::channel(ARRIVALS_MAX);
    // The hub accepts plain connections itself; those with TLS come to it when they are WebSockets.
    let (plain, secret) = match &certificate {
        None => (Some(http.into_std().map_err(failed)?), None),
        Some(shown) => (None, Some((http, shown.acceptor()?))),
    };
    let hub = Hub::start(&config, config.tracker(&contents), seed, plain, arrivals).map_err(failed)?;
    let (bus, carrying) = cluster::start(&config, &hub, seed.map(|byte| byte.rotate_left(1))).await.unzip();
    let (peer, away) = seeded(&config, &hub, made).await?;
    let (witnesses, workers) = witness::Witnesses::new(&config.witness)?;
    let (live, _) = watch::channel(Arc::new(config));
    let state = Arc::new(State {
        live,
        hub,
        assets,
        shares,
        peer,
        away,
        crowds: std::sync::Mutex::default(),
        board: publish::board::Board::default(),
        witnesses,
        tally: publish::tally::Tally::default(),
        draining: AtomicBool::new(false),
        metrics: metrics::Metrics::default(),
        bus,
        certificate,
        started: Instant::now(),
        tasks: TaskTracker::new(),
    });
    announce(&state, addr);
    let compressing = tokio::task::spawn_blocking({
        let state = Arc::clone(&state);
        move || state.assets.compress(&state.draining)
    });

    let ending = CancellationToken::new();
    let accepting = tokio::spawn(accept::run(Arc::clone(&state), arriving, ending.clone()));
    if let Some((listener, acceptor)) = secret {
        state.tasks.spawn(tls::run(Arc::clone(&state), acceptor, listener, ending.clone()));
    }
    listen_aside(&state, admin, stun, &ending);
    for worker in workers {
        state.tasks.spawn(ending.clone().run_until_cancelled_owned(worker.run()));
    }
    state.obey(reloads, shutdown).await;

    let clean = go_away(&state, accepting, &ending).await;
    let _ = compressing.await;
    state.hub.stop().await;
    cluster::end(carrying).await;
    tracing::info!(event = "end", clean);
    Ok(())
}

/// Sends everybody away; whether all went in time.
async fn go_away(state: &State, accepting: JoinHandle<()>, ending: &CancellationToken) -> bool {
    let drain = Duration::from_secs(state.config().drain_seconds.into());
    tracing::info!(event = "drain", seconds = drain.as_secs(), "going away; a second signal ends at once");
    state.draining.store(true, Ordering::Relaxed);
    for peer in [&state.peer, &state.away].into_iter().flatten() {
        peer.close().await;
    }
    state.board.close();
    // The tracker closes who is left when four fifths are over, so that the close frames get out in time.
    let left = tokio::time::timeout(drain, state.hub.drain(drain * 4 / 5)).await;
    ending.cancel();
    let _ = accepting.await;
    state.tasks.close();
    let _ = tokio::time::timeout(LINGER, state.tasks.wait()).await;
    left.is_ok()
}

fn listen_aside(
    state: &Arc<State>,
    admin: Option<TcpListener>,
    stun: Option<UdpSocket>,
    ending: &CancellationToken,
) {
    if let Some(listener) = admin {
        tokio::spawn(admin::run(Arc::clone(state), listener, ending.clone()));
    }
    if let Some(socket) = stun {
        tokio::spawn(stun::run(Arc::clone(state), socket, ending.clone()));
    }
}

/// Whether what the configuration names is there and good, without serving it.
///
/// # Errors
/// One line that names what is wrong.
pub fn verify(config: &Config) -> Result<(), Error> {
    if config.tls.is_on() {
        tls::Certificate::load(&config.tls)?;
    }
    Ok(())
}

/// The peer that has the shares of this server, where there are any, and the same at the signaller that it is an anchor for.
async fn seeded(
    config: &Config,
    hub: &Hub,
    made: Vec<seed::Made>,
) -> Result<(Option<seed::Peer>, Option<seed::Peer>), Error> {
    if made.is_empty() {
        return Ok((None, None));
    }
    let ip = config.addr.ip();
    let here = seed::Here { hub: hub.clone(), loopback: ip.is_loopback() || ip.is_unspecified() };
    let home = (!config.anchor_of.is_empty()).then(|| seed::Signaller::At(config.anchor_of.clone()));
    let mut peers = [None, None];
    for (peer, signaller) in peers.iter_mut().zip([Some(seed::Signaller::Here(here)), home]) {
        let Some(signaller) = signaller else { continue };
        let mut settings = seed::Settings { signaller, ..seed::Settings::default() };
        settings.node.shares_max = u32::try_from(made.len()).unwrap_or(u32::MAX);
        settings.node.anchor = config.anchor().unwrap_or_default();
        let started = peer.insert(seed::Peer::start(&settings)?);
        for share in &made {
            started.seed(share.clone()).await;
        }
    }
    Ok(peers.into())
}

fn announce(state: &State, addr: core::net::SocketAddr) {
    for share in state.shares.list() {
        tracing::info!(event = "share", name = share.name(), content = %share.content(), bytes = share.size());
    }
    state.witnesses.announce();
    let mut shown = addr;
    if addr.ip().is_unspecified() {
        shown.set_ip(core::net::Ipv4Addr::LOCALHOST.into());
    }
    let page = if state.assets.is_whole() {
        "open the page"
    } else {
        "no whole page (make wasm builds it), signalling"
    };
    let scheme = if state.certificate.is_some() { "https" } else { "http" };
    let public_url = state.config().public_url.clone();
    let url = if public_url.is_empty() { format!("{scheme}://{shown}/") } else { public_url };
    tracing::info!(event = "listening", %addr, "{page}: {url}");
}
