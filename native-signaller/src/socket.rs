//! One WebSocket of a client: frames ⇄ hub, and the limits that end it.

use crate::hub::{Close, Outlet, SLOW, Ticket};
use crate::{State, caller, log};
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use swarmlet_core::tracker::server::Dialect;
use swarmlet_core::wire::webtorrent::MESSAGE_BYTES_MAX;
use tokio::time;

/// The sub-protocol of our own dialect. WebTorrent clients name none.
const PROTOCOL: &str = "swarmlet.1";

/// How long a close frame may take to leave.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

const IDLE: Close = Close { code: 1001, reason: "idle" };
const NOT_BINARY: Close = Close { code: 1003, reason: "binary messages only" };
const OVERSIZE: Close = Close { code: 1009, reason: "oversize" };

/// `GET /signal`.
pub(crate) async fn upgrade(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.protocols([PROTOCOL]),
        Err(rejection) => return rejection.into_response(),
    };
    let asked = headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL);
    let dialect = match (upgrade.selected_protocol(), asked) {
        (Some(_), _) => Dialect::Swarmlet,
        (None, false) => Dialect::WebTorrent,
        (None, true) => {
            return (StatusCode::BAD_REQUEST, "sub-protocols: swarmlet.1, or none\n").into_response();
        }
    };
    let config = state.config();
    let origins = &config.origins;
    let is_listed = |origin| origins.iter().any(|listed| listed.as_bytes() == origin);
    if !origins.is_empty() && !headers.get(header::ORIGIN).is_some_and(|origin| is_listed(origin.as_bytes()))
    {
        return (StatusCode::FORBIDDEN, "this origin is not served here\n").into_response();
    }
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).map(str::to_owned);
    let address = caller::address(peer.ip(), &headers, &config.proxies);
    // The library's buffers are 128 KiB and without end by default.
    let upgrade = upgrade
        .read_buffer_size(4 * 1024)
        .write_buffer_size(8 * 1024)
        .max_write_buffer_size(64 * 1024)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX);
    let tasks = state.tasks.clone();
    upgrade.on_upgrade(move |socket| tasks.track_future(serve(state, socket, address, dialect, origin)))
}

async fn serve(
    state: Arc<State>,
    socket: WebSocket,
    address: IpAddr,
    dialect: Dialect,
    origin: Option<String>,
) {
    let limits = state.config().socket.clone();
    let idle = Duration::from_secs(limits.idle_seconds.into());
    let ping = Duration::from_secs(limits.ping_seconds.into());
    let (ticket, mut outlet) = state.hub.open(Some(address), dialect, origin).await;
    let (mut sink, mut stream) = socket.split();
    let close = tokio::select! {
        close = read(&mut stream, &ticket, dialect, idle) => close,
        close = write(&mut sink, &mut outlet, dialect, ping) => close,
    };
    drop(ticket);
    let Some(close) = close else { return };
    tracing::debug!(event = "closing", near = %log::Near(address), code = close.code, reason = close.reason);
    let frame = CloseFrame { code: close.code, reason: close.reason.into() };
    let farewell = async {
        let _ = sink.send(Message::Close(Some(frame))).await;
        // Until the other side has answered: a TCP connection that is closed with bytes unread is reset, and
        // the reset may overtake the frame.
        while let Some(Ok(_)) = stream.next().await {}
    };
    let _ = time::timeout(CLOSE_DEADLINE, farewell).await;
}

/// Until the client is gone (`None`) or breaks a rule.
async fn read(
    stream: &mut SplitStream<WebSocket>,
    ticket: &Ticket,
    dialect: Dialect,
    idle: Duration,
) -> Option<Close> {
    loop {
        match time::timeout(idle, stream.next()).await {
            Err(_) => return Some(IDLE),
            Ok(None | Some(Ok(Message::Close(_)))) => return None,
            Ok(Some(Ok(Message::Binary(bytes)))) => ticket.received(bytes).await,
            Ok(Some(Ok(Message::Text(text)))) if dialect == Dialect::WebTorrent => {
                ticket.received(text.into()).await;
            }
            Ok(Some(Ok(Message::Text(_)))) => return Some(NOT_BINARY),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            Ok(Some(Err(error))) => {
                // The library's error type is not ours to name; these are its words for a size limit.
                return error.to_string().contains("too long").then_some(OVERSIZE);
            }
        }
    }
}

/// Until the hub closes, or the client takes no more.
async fn write(
    sink: &mut SplitSink<WebSocket, Message>,
    outlet: &mut Outlet,
    dialect: Dialect,
    ping: Duration,
) -> Option<Close> {
    let mut pings = time::interval_at(time::Instant::now() + ping, ping);
    pings.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let close = loop {
        let message = tokio::select! {
            biased;
            close = &mut outlet.close => break close.ok()?,
            Some(bytes) = outlet.messages.recv() => bytes,
            _ = pings.tick() => {
                tokio::select! {
                    close = &mut outlet.close => break close.ok()?,
                    sent = sink.send(Message::Ping(Bytes::new())) => sent.ok()?,
                }
                continue;
            }
        };
        let len = message.len();
        // The message first: what the hub said before it closed is to arrive where it can.
        tokio::select! {
            biased;
            sent = sink.send(framed(message, dialect)) => sent.ok()?,
            close = &mut outlet.close => break close.ok()?,
        }
        outlet.sent(len);
    };
    if close != SLOW {
        let rest = async {
            while let Ok(bytes) = outlet.messages.try_recv() {
                sink.send(framed(bytes, dialect)).await.ok()?;
            }
            Some(())
        };
        time::timeout(CLOSE_DEADLINE, rest).await.ok()??;
    }
    Some(close)
}

fn framed(message: Bytes, dialect: Dialect) -> Message {
    match dialect {
        Dialect::Swarmlet => Message::Binary(message),
        Dialect::WebTorrent => {
            Utf8Bytes::try_from(message.clone()).map_or(Message::Binary(message), Message::Text)
        }
    }
}
