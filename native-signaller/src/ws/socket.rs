//! A WebSocket over an asynchronous stream, as TLS and the HTTP server give them: frames ⇄ hub, and the limits
//! that end it.

use super::frame::{self, Assembler, Incoming, Kind};
use super::head::{self, Refusal, Request};
use super::{Close, DRIP, IDLE, NOT_BINARY, SLOW, message_bytes_max};
use crate::hub::{Outlet, Ticket};
use crate::{State, caller, log};
use axum::body::Body;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::time::Duration;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use swarmlet_core::tracker::server::Dialect;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::time::{self, Instant};

/// How long a close frame may take to leave.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// A frame that was begun must be whole within this.
const PARTIAL_DEADLINE: Duration = Duration::from_secs(10);
/// What one read takes, on the stack.
const READ_BYTES: usize = 4 * 1024;

/// `GET /signal` on a connection that the HTTP server has.
pub(crate) async fn upgrade(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    mut request: axum::extract::Request,
) -> Response {
    let mut asked = Request { get: true, ..Request::default() };
    headers.iter().for_each(|(name, value)| asked.header(name.as_str(), value.as_bytes()));
    let config = state.config();
    let address = caller::address(peer.ip(), &headers, &config.proxies);
    let upgrade = match asked.check(&config.origins, !config.tokens.is_empty()) {
        Ok(upgrade) => upgrade,
        Err(refusal) => return refused(refusal),
    };
    if let Err(refusal) = state.hub.admit(Some(address)).await {
        return refused(refusal);
    }
    let origin = asked.origin.and_then(|origin| core::str::from_utf8(origin).ok()).map(str::to_owned);
    let (tasks, dialect, upgraded) = (state.tasks.clone(), upgrade.dialect, hyper::upgrade::on(&mut request));
    tasks.spawn(async move {
        if let Ok(stream) = upgraded.await {
            serve(state, TokioIo::new(stream), address, dialect, origin).await;
        }
    });
    let mut response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    for (name, value) in upgrade.headers() {
        response = response.header(name, value);
    }
    response.body(Body::empty()).unwrap_or_default()
}

fn refused(refusal: Refusal) -> Response {
    let (status, text) = refusal.words();
    let code = status.split(' ').next().and_then(|code| code.parse().ok());
    let mut response = (code.unwrap_or(StatusCode::BAD_REQUEST), text).into_response();
    for (name, value) in refusal.headers() {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Talks until one side has had enough.
pub(crate) async fn serve<S>(
    state: Arc<State>,
    stream: S,
    address: IpAddr,
    dialect: Dialect,
    origin: Option<String>,
) where
    S: AsyncRead + AsyncWrite,
{
    let socket = state.config().socket.clone();
    let (ticket, mut outlet) = state.hub.open(Some(address), dialect, origin).await;
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lane = Lane {
        reader,
        dialect,
        unread: Vec::new(),
        assembler: Assembler::default(),
        partial: None,
        idle: Duration::from_secs(socket.idle_seconds.into()),
    };
    let ping = Duration::from_secs(socket.ping_seconds.into());
    let close = talk(&mut lane, &mut writer, &ticket, &mut outlet, ping).await;
    drop(ticket);
    let Some(close) = close else { return };
    tracing::debug!(event = "closing", near = %log::Near(address), code = close.code, reason = close.reason);
    let farewell = async {
        let mut out = Vec::new();
        if close != SLOW {
            while let Ok(said) = outlet.messages.try_recv() {
                frame::push(&mut out, head::kind(dialect), &said.bytes);
            }
        }
        frame::push_close(&mut out, close);
        writer.write_all(&out).await?;
        writer.shutdown().await?;
        // Until the other side has ended, too: a connection that is closed with bytes unread is reset, and the
        // reset may overtake the frame.
        while lane.fill().await? > 0 {
            lane.unread.clear();
        }
        Ok::<_, io::Error>(())
    };
    let _ = time::timeout(CLOSE_DEADLINE, farewell).await;
}

/// The reading side.
struct Lane<S> {
    reader: ReadHalf<S>,
    dialect: Dialect,
    unread: Vec<u8>,
    assembler: Assembler,
    partial: Option<Instant>,
    idle: Duration,
}

/// What a read has brought.
#[derive(Default)]
struct Heard {
    messages: Vec<Bytes>,
    pong: Option<Vec<u8>>,
    end: Option<Close>,
}

impl<S: AsyncRead + AsyncWrite> Lane<S> {
    /// Reads what there is. The buffer is on the stack until there is something.
    async fn fill(&mut self) -> io::Result<usize> {
        core::future::poll_fn(|cx| {
            let mut space = [0; READ_BYTES];
            let mut buffer = ReadBuf::new(&mut space);
            let read = Pin::new(&mut self.reader).poll_read(cx, &mut buffer);
            read.map_ok(|()| {
                self.unread.extend_from_slice(buffer.filled());
                buffer.filled().len()
            })
        })
        .await
    }

    /// The next that comes; `None` when nobody is there any more.
    async fn hear(&mut self) -> Option<Heard> {
        let idle = Instant::now() + self.idle;
        let until = self.partial.map_or(idle, |since| idle.min(since + PARTIAL_DEADLINE));
        match time::timeout_at(until, self.fill()).await {
            Err(_) if until < idle => return Some(Heard { end: Some(DRIP), ..Heard::default() }),
            Err(_) => return Some(Heard { end: Some(IDLE), ..Heard::default() }),
            Ok(Err(_) | Ok(0)) => return None,
            Ok(Ok(_)) => {}
        }
        let (mut heard, dialect) = (Heard::default(), self.dialect);
        let fed = self.assembler.feed(&mut self.unread, message_bytes_max(dialect), |incoming| {
            match incoming {
                Incoming::Message { text: true, .. } if dialect == Dialect::Swarmlet => {
                    heard.end = Some(NOT_BINARY);
                }
                Incoming::Message { bytes, .. } => heard.messages.push(Bytes::copy_from_slice(bytes)),
                Incoming::Ping(bytes) => heard.pong = Some(bytes.to_vec()),
                Incoming::Pong => {}
                Incoming::Close(code) => {
                    let code = code.filter(|code| *code >= 1000).unwrap_or(1000);
                    heard.end = Some(Close { code, reason: "" });
                }
            }
            heard.end.is_none()
        });
        match fed {
            Ok(used) => drop(self.unread.drain(..used)),
            Err(close) => heard.end = heard.end.or(Some(close)),
        }
        if self.unread.is_empty() {
            self.unread = Vec::new();
        }
        let is_partial = !self.unread.is_empty() || self.assembler.is_within();
        self.partial = if is_partial { self.partial.or(Some(Instant::now())) } else { None };
        Some(heard)
    }
}

/// Until the client is gone (`None`), breaks a rule, or the hub has had enough.
async fn talk<S: AsyncRead + AsyncWrite>(
    lane: &mut Lane<S>,
    writer: &mut WriteHalf<S>,
    ticket: &Ticket,
    outlet: &mut Outlet,
    ping: Duration,
) -> Option<Close> {
    let mut pings = time::interval_at(Instant::now() + ping, ping);
    pings.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    let kind = head::kind(lane.dialect);
    loop {
        let mut out = Vec::new();
        let (mut sent, mut asked) = (0, None);
        tokio::select! {
            biased;
            close = &mut outlet.close => return close.ok(),
            Some(first) = outlet.messages.recv() => {
                asked = Some(first.asked);
                let mut next = Some(first);
                while let Some(said) = next {
                    sent += said.bytes.len();
                    frame::push(&mut out, kind, &said.bytes);
                    next = outlet.messages.try_recv().ok();
                }
            }
            _ = pings.tick() => frame::push(&mut out, Kind::Ping, &[]),
            heard = lane.hear() => {
                let heard = heard?;
                for bytes in heard.messages {
                    ticket.received(bytes).await;
                }
                if heard.end.is_some() {
                    return heard.end;
                }
                if let Some(pong) = heard.pong {
                    frame::push(&mut out, Kind::Pong, &pong);
                }
            }
        }
        let write = async {
            writer.write_all(&out).await?;
            writer.flush().await
        };
        tokio::select! {
            biased;
            written = write => written.ok()?,
            close = &mut outlet.close => return close.ok(),
        }
        outlet.sent(sent, asked);
    }
}
