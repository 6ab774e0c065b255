//! What is where, and the headers that keep pages safe.

use crate::publish::tally::REPORT_BYTES_MAX;
use crate::witness::WISH_BYTES_MAX;
use crate::ws::{head, socket};
use crate::{State, bulletins, caller, ice, witness};
use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use core::time::Duration;
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use std::time::Instant;
use swarmlet_core::Topic;
use swarmlet_core::wire::peer::NEWS_BYTES_MAX;

/// Web seeds may be anywhere, and so may other signallers; scripts and workers come from here only.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' blob: data:; media-src 'self' blob:; font-src 'self'; \
    connect-src 'self' ws: wss: http: https: blob:; worker-src 'self' blob:; manifest-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";
/// Shared files are content, never pages of this origin.
const CONTENT_POLICY: &str = "default-src 'none'; sandbox";

/// The router.
pub(crate) fn router(state: Arc<State>) -> Router {
    let pages = Router::new()
        .route("/", get(page))
        .layer(from_fn(|request, next| dress(request, next, PAGE_POLICY, false)));
    let embeddable = Router::new()
        .route("/swarmlet/config.json", get(ice::config).options(preflight))
        .route("/swarmlet/gate/{topic}", get(gate).options(preflight))
        .route("/swarmlet/beacon", post(beacon).layer(DefaultBodyLimit::max(REPORT_BYTES_MAX)))
        .route("/swarmlet/live", post(bulletins::tell).layer(DefaultBodyLimit::max(NEWS_BYTES_MAX)))
        .route("/swarmlet/live/{channel}", get(bulletins::wait).options(preflight))
        .route("/swarmlet/witness/{site}", post(witness::wish).layer(DefaultBodyLimit::max(WISH_BYTES_MAX)))
        .route("/swarmlet/witness/{site}/{name}", get(witness::read).options(preflight))
        .route("/swarmlet/{*path}", get(asset).options(preflight))
        .layer(from_fn(|request, next| dress(request, next, PAGE_POLICY, true)));
    let shares = Router::new()
        .route("/share/{*path}", get(share).options(preflight))
        .layer(from_fn(|request, next| dress(request, next, CONTENT_POLICY, true)));
    Router::new()
        .route(head::PATH, get(socket::upgrade))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .merge(pages)
        .merge(embeddable)
        .merge(shares)
        .fallback(async || not_found())
        .with_state(state)
}

async fn page(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    state.assets.get("index.html").map_or_else(not_found, |asset| asset.respond(&headers))
}

async fn asset(Shared(state): Shared<Arc<State>>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(path) = decoded(&uri, "/swarmlet/") else { return not_found() };
    let mut response = state.assets.get(&path).map_or_else(not_found, |asset| asset.respond(&headers));
    if path == "sw.js" {
        // The worker is to see the requests of the whole site.
        response.headers_mut().insert("service-worker-allowed", HeaderValue::from_static("/"));
    }
    response
}

/// How many visitors of a site there are now: what a page asks before it loads anything.
async fn gate(Shared(state): Shared<Arc<State>>, Path(topic): Path<String>, uri: Uri) -> Response {
    let visit = uri.query().and_then(|query| query.strip_prefix("v="));
    let visit = visit.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let (Some(topic), Some(visit)) = (Topic::from_hex(&topic), visit) else {
        return plain(StatusCode::BAD_REQUEST, "a topic and a visit are wanted\n");
    };
    let Ok(mut crowds) = state.crowds.lock() else { return not_found() };
    let count = crowds.visit(topic, visit, Instant::now());
    drop(crowds);
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, format!("{{\"visitors\":{count}}}\n")).into_response()
}

/// What a page says of how it went, since its owner and its visitor let it.
async fn beacon(Shared(state): Shared<Arc<State>>, body: String) -> Response {
    if state.tally.add(&body, Instant::now()) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        plain(StatusCode::BAD_REQUEST, "no report, or too many\n")
    }
}

async fn share(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(path) = decoded(&uri, "/share/") else { return not_found() };
    let config = state.config();
    let base = || {
        caller::base_url(
            &config.public_url,
            peer.ip(),
            &headers,
            &config.proxies,
            state.certificate.is_some(),
        )
    };
    let torrent = |name| state.shares.torrent(name, &base()?);
    if path == "index.json" {
        return match base() {
            Some(base) => state.shares.index(&base),
            None => (StatusCode::BAD_REQUEST, "no usable Host header\n").into_response(),
        };
    }
    if let Some(response) = path.strip_suffix(".torrent").and_then(torrent) {
        return response;
    }
    state.shares.file(&path, &headers).await.unwrap_or_else(not_found)
}

/// The path behind `prefix`, as people write it.
fn decoded(uri: &Uri, prefix: &str) -> Option<String> {
    let path = percent_decode_str(uri.path().strip_prefix(prefix)?).decode_utf8().ok()?;
    Some(path.into_owned())
}

async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "range, if-range, if-none-match, authorization"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Alive: the hub answers.
pub(crate) async fn healthz(Shared(state): Shared<Arc<State>>) -> Response {
    match tokio::time::timeout(Duration::from_secs(1), state.hub.count()).await {
        Ok(Some(_)) => plain(StatusCode::OK, "ok\n"),
        Ok(None) | Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "stuck\n"),
    }
}

/// Ready: alive, and not about to stop.
pub(crate) async fn readyz(state: Shared<Arc<State>>) -> Response {
    if state.draining.load(Ordering::Relaxed) {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    }
    healthz(state).await
}

fn not_found() -> Response {
    plain(StatusCode::NOT_FOUND, "not found\n")
}

pub(crate) fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

/// Adds the headers of a kind of resource. `shared` ones may be used by pages of other sites.
async fn dress(request: Request, next: Next, policy: &'static str, shared: bool) -> Response {
    let mut response = next.run(request).await;
    let reach = if shared { "cross-origin" } else { "same-origin" };
    let mut set = |name: &'static str, value: &'static str| {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    };
    set("content-security-policy", policy);
    set("x-content-type-options", "nosniff");
    set("referrer-policy", "no-referrer");
    set("cross-origin-resource-policy", reach);
    if shared {
        set("access-control-allow-origin", "*");
        set("access-control-expose-headers", "content-range, content-length, accept-ranges, etag");
    } else {
        set("cross-origin-opener-policy", "same-origin");
        set("permissions-policy", "camera=(), microphone=(), geolocation=()");
    }
    response
}
