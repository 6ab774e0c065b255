//! Sites that publish nothing: what many visitors load is fetched once from the site's own server, and its hash is signed. So
//! visitors may give it to each other, and know that it is what that server sends.
//!
//! ```text
//! pages ─▶ wishes (who loads what) ─▶ fetch (once, by the rules) ─▶ site (what is vouched for) ─▶ manifest, signature, torrent
//! ```
//! Pages can name paths and nothing else: where is asked is what the configuration lists.

mod fetch;
mod guard;
mod site;
mod wishes;

pub(crate) use guard::is_public;

use crate::config::Witness;
use crate::http::plain;
use crate::publish::manifest::{MANIFEST, SIGNATURE};
use crate::seed::Measure;
use crate::{Error, State, caller};
use axum::extract::{ConnectInfo, Path, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use site::{Site, Worker};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use swarmlet_core::Root;
use swarmlet_core::tracker::server::Network;

/// Bytes of what a page says that it loaded, and paths that are read of it.
pub(crate) const WISH_BYTES_MAX: usize = 16 * 1024;
const WISHES_MAX: usize = 32;

/// All sites that are vouched for, by the public key that signs for each.
#[derive(Default)]
pub(crate) struct Witnesses(BTreeMap<String, Arc<Site>>);

impl Witnesses {
    /// The sites, and what works for each.
    pub(crate) fn new(config: &Witness) -> Result<(Self, Vec<Worker>), Error> {
        let mut all = Self::default();
        let mut workers = Vec::new();
        for (base, key) in config.sites() {
            let public = Root(key.verifying_key().to_bytes()).to_string();
            let (site, worker) = Site::new(config, base, key)?;
            all.0.insert(public, site);
            workers.push(worker);
        }
        Ok((all, workers))
    }

    /// What the owner of each site pastes into its pages.
    pub(crate) fn announce(&self) {
        for (key, site) in &self.0 {
            let base = site.base();
            tracing::info!(
                event = "witness",
                site = base,
                key,
                "data-manifest=\"…/swarmlet/witness/{key}/{MANIFEST}\" data-key=\"{key}\""
            );
        }
    }

    /// Sums over all sites, for the metrics.
    pub(crate) fn measures(&self) -> Vec<Measure> {
        let sum = |of: fn(&Site) -> u64| self.0.values().map(|site| of(site)).sum();
        let gauge = |name, help, value| Measure { name, help, value, grows: false };
        let count = |name, help, value| Measure { name, help, value, grows: true };
        vec![
            gauge("witness_objects", "Objects that are vouched for", sum(|site| site.vouched().0)),
            gauge("witness_bytes", "Their bytes", sum(|site| site.vouched().1)),
            count(
                "witness_fetched_bytes",
                "Bytes that sites sent for it",
                sum(|site| site.counts.fetched_bytes.load(Ordering::Relaxed)),
            ),
            count(
                "witness_fetches",
                "Requests to sites",
                sum(|site| site.counts.fetches.load(Ordering::Relaxed)),
            ),
            count(
                "witness_refusals",
                "Objects that were not vouched for",
                sum(|site| site.counts.refusals.load(Ordering::Relaxed)),
            ),
        ]
    }
}

/// A page says what it loaded: paths below the site's address, one in a line.
pub(crate) async fn wish(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let Some(site) = state.witnesses.0.get(&key) else {
        return plain(StatusCode::NOT_FOUND, "no such site\n");
    };
    let network = Network::of(caller::address(peer.ip(), &headers, &state.config().proxies));
    for path in body.lines().take(WISHES_MAX) {
        site.wish(path, network, Instant::now());
    }
    StatusCode::NO_CONTENT.into_response()
}

/// The manifest of a site, its signature, or its torrent.
pub(crate) async fn read(
    Shared(state): Shared<Arc<State>>,
    Path((key, name)): Path<(String, String)>,
) -> Response {
    let found = state.witnesses.0.get(&key).and_then(|site| match name.as_str() {
        MANIFEST => Some(("application/json", site.edition().manifest.clone().into_bytes())),
        SIGNATURE => Some(("text/plain; charset=utf-8", site.edition().seal.clone().into_bytes())),
        name => Some(("application/x-bittorrent", site.torrent(name)?)),
    });
    let Some((kind, bytes)) = found else { return plain(StatusCode::NOT_FOUND, "not found\n") };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], bytes).into_response()
}
