//! What connections run on: a runtime of their own, so that a stack that leaks sockets, tasks or memory can be
//! thrown away whole, and everything else goes on (webrtc-rs PR 887, mina-rust 979).

use super::Settings;
use super::limit::Bucket;
use super::metrics::Counters;
use crate::Error;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::net::UdpSocket;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;

/// How long connections get to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// What every link task needs.
pub(super) struct Shared {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) loopback: bool,
    pub(super) stun: Vec<String>,
    pub(super) external: Vec<IpAddr>,
    /// Takes what arrives on bulk channels.
    pub(super) download: Option<Bucket>,
    /// Takes what leaves on bulk channels, and how long it then lies about: a line that is not there.
    pub(super) line: Option<super::Line>,
    pub(super) counters: Arc<Counters>,
}

impl Shared {
    /// What the settings say; `loopback`: others on this machine are to be reached.
    pub(super) fn of(settings: &Settings, loopback: bool, counters: Arc<Counters>) -> Self {
        Self {
            addresses: addresses(settings, loopback),
            loopback,
            stun: settings.stun.clone(),
            external: settings.external.clone(),
            download: settings.download_rate_max.map(Bucket::new),
            line: settings.line.clone(),
            counters,
        }
    }
}

/// A runtime, and what runs on it.
pub(super) struct Stack {
    runtime: Option<Runtime>,
    threads: usize,
    tasks: TaskTracker,
    shared: Arc<Shared>,
}

impl Stack {
    pub(super) fn start(settings: &Settings, counters: Arc<Counters>) -> Result<Self, Error> {
        let shared = Arc::new(Shared::of(settings, settings.loopback(), counters));
        let runtime = runtime(settings.threads)?;
        Ok(Self { runtime: Some(runtime), threads: settings.threads, tasks: TaskTracker::new(), shared })
    }

    /// Begins a task on the stack.
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(&self, task: impl FnOnce(Arc<Shared>) -> F) {
        if let Some(runtime) = &self.runtime {
            self.tasks.spawn_on(task(Arc::clone(&self.shared)), runtime.handle());
        }
    }

    /// Throws the runtime away with all that runs on it, and starts another.
    pub(super) fn renew(&mut self) {
        // Without a new one there would be no links at all: then the old one has to do.
        match runtime(self.threads) {
            Ok(fresh) => {
                if let Some(old) = self.runtime.replace(fresh) {
                    old.shutdown_background();
                }
                self.tasks = TaskTracker::new();
            }
            Err(error) => tracing::error!(event = "recycle", %error, "no new threads to be had"),
        }
    }

    /// Waits for tasks that were told to end.
    pub(super) async fn end(&self) {
        self.tasks.close();
        let _ = tokio::time::timeout(GOODBYE, self.tasks.wait()).await;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Dropping it would wait for its threads, which no task may.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime(threads: usize) -> Result<Runtime, Error> {
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .thread_name("links")
        .enable_all()
        .build()
        .map_err(|error| Error::Start(error.to_string()))
}

/// What to bind: every interface, as the crate finds them anew for each connection, and the loopback where the
/// signaller is on it, since a machine may have nothing else.
fn addresses(settings: &Settings, loopback: bool) -> Vec<SocketAddr> {
    if !settings.bind.is_empty() {
        return settings.bind.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
    }
    let mut all = Vec::new();
    // Connecting a UDP socket sends nothing, and fails where there is no way to such an address.
    let has_way = |from: IpAddr, to: IpAddr| {
        UdpSocket::bind((from, 0)).and_then(|socket| socket.connect((to, 9))).is_ok()
    };
    let (any4, any6) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    // The first address of each documentation block: nobody is there.
    if has_way(any4, Ipv4Addr::new(192, 0, 2, 1).into()) {
        all.push(SocketAddr::new(any4, 0));
    }
    if has_way(any6, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()) {
        all.push(SocketAddr::new(any6, 0));
    }
    if loopback || all.is_empty() {
        all.push((Ipv4Addr::LOCALHOST, 0).into());
    }
    all
}
