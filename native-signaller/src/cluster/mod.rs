//! The way to the other nodes of a cluster: one Redis (or Valkey) that passes messages on and keeps digests for a while.
//! What is said, kept and asked is the tracker's business; here bytes travel.
//!
//! ```text
//! hub ─▶ orders ─▶ PUBLISH, SET … EX, DEL, MGET ─▶ Redis ─▶ SUBSCRIBE ─▶ hub
//! ```
//! What was told to the same node within a moment is one message. A connection that fails is made anew; what it has
//! not carried is lost, and the tracker says anew what matters.

mod bundles;
mod keys;
mod session;

use crate::Config;
use crate::hub::Hub;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use keys::Keys;
use session::Ended;
use std::sync::Arc;
use swarmlet_core::rng::Rng;
use swarmlet_core::tracker::server::BusOrder;
use swarmlet_core::wire::bus::NodeId;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time;

/// Orders that wait for Redis (reliability §6.1). One more is dropped and counted.
const ORDERS_MAX: usize = 10_000;
/// For what is said at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Between two tries to connect, doubling, with jitter.
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// The hub's end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    queue: mpsc::Sender<BusOrder>,
    counts: Arc<Counts>,
}

/// Counts of the host's part.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    dropped: AtomicU64,
    connects: AtomicU64,
}

impl Orders {
    /// Takes an order, if there is room.
    pub(crate) fn give(&self, order: BusOrder) {
        if self.queue.try_send(order).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Counts {
    /// Orders that found no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Connections made, ever.
    pub(crate) fn connects(&self) -> u64 {
        self.connects.load(Ordering::Relaxed)
    }
}

/// A node of a cluster.
struct Member {
    client: redis::Client,
    node: NodeId,
    name: String,
    keys: Keys,
    hub: Hub,
    counts: Arc<Counts>,
}

/// Whether a text says where a Redis is.
pub(crate) fn is_url(text: &str) -> bool {
    text.starts_with("redis") && redis::Client::open(text).is_ok()
}

/// Makes this server a node of a cluster, if it is to be one. Ends when the hub has.
pub(crate) async fn start(
    config: &Config,
    hub: &Hub,
    seed: [u8; 32],
) -> Option<(Arc<Counts>, JoinHandle<()>)> {
    let client = redis::Client::open(config.cluster.url.text()).ok()?;
    let mut rng = Rng::new(seed);
    let [a, b, c, d, e, f, g, h, ..] = rng.bytes32();
    let node = NodeId::from_bytes([a, b, c, d, e, f, g, h]);
    let mut name = config.cluster.node.clone();
    if name.is_empty() {
        name = node.to_string();
    }
    hub.bus_down().await;
    let (counts, keys) = (Arc::new(Counts::default()), Keys::new(&config.cluster.prefix));
    let member = Member { client, node, name, keys, hub: hub.clone(), counts: Arc::clone(&counts) };
    Some((counts, tokio::spawn(member.run(rng))))
}

/// Waits until the last words to other nodes are said; not for long.
pub(crate) async fn end(carrying: Option<JoinHandle<()>>) {
    if let Some(carrying) = carrying {
        let _ = time::timeout(LAST_WORDS, carrying).await;
    }
}

impl Member {
    async fn run(self, mut rng: Rng) {
        let mut wait = RETRY_MIN;
        // The same fault is said once.
        let mut said = String::new();
        loop {
            let before = self.counts.connects();
            let fault = match session::run(&self).await {
                Ended::Stopped => return,
                Ended::Lost(fault) => fault,
            };
            if self.counts.connects() > before {
                wait = RETRY_MIN;
                said.clear();
                self.hub.bus_down().await;
            }
            if fault != said {
                tracing::warn!(event = "bus", node = self.name, "no way to other nodes: {fault}");
                said = fault;
            }
            tokio::select! {
                () = time::sleep(wait / 2 + rng.jitter(wait)) => {}
                () = self.hub.ended() => return,
            }
            wait = (wait * 2).min(RETRY_MAX);
        }
    }
}
