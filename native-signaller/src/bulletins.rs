//! Bulletins of live streams over HTTP: a publisher posts one, pages wait for the next as server-sent events.

use crate::http::plain;
use crate::publish::board::Refused;
use crate::publish::bulletin::Bulletin;
use crate::{State, caller};
use axum::extract::{ConnectInfo, Path, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use core::convert::Infallible;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;
use swarmlet_core::Topic;

/// So that proxies do not end a silent connection.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Takes a bulletin that proves itself, of a site that this server is for.
pub(crate) async fn tell(Shared(state): Shared<Arc<State>>, body: String) -> Response {
    let Some(bulletin) = Bulletin::read(&body) else {
        return plain(StatusCode::BAD_REQUEST, "no bulletin, or not signed by the key that it names\n");
    };
    if !state.config().may_publish(&bulletin.key) {
        return plain(
            StatusCode::FORBIDDEN,
            "this server is not for that site: see `sites` in its configuration\n",
        );
    }
    match state.board.put(&bulletin, Instant::now()) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(Refused::Old) => plain(StatusCode::CONFLICT, "there is a newer one\n"),
        Err(Refused::Often) => plain(StatusCode::TOO_MANY_REQUESTS, "too often\n"),
        Err(Refused::Full) => plain(StatusCode::SERVICE_UNAVAILABLE, "no room for another stream\n"),
    }
}

/// The newest bulletin of a stream, and each one that comes.
pub(crate) async fn wait(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(channel): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(channel) = Topic::from_hex(&channel) else {
        return plain(StatusCode::BAD_REQUEST, "a channel is wanted\n");
    };
    let address = caller::address(peer.ip(), &headers, &state.config().proxies);
    let Some(waiting) = state.board.wait(channel, address, Instant::now()) else {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "too many wait\n");
    };
    let events = futures_util::stream::unfold(waiting, async |mut waiting| {
        let text = waiting.next().await?;
        Some((Ok::<_, Infallible>(Event::default().data(&*text)), waiting))
    });
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    ([(header::CACHE_CONTROL, "no-store")], events).into_response()
}
