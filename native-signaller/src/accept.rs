//! Streams to HTTP/1.1, with the limits that keep slow clients from holding a server. A stream is anything that can be
//! read and written: a plain connection that the hub has passed on, or what TLS makes of one.

use crate::hub::Arrival;
use crate::{State, http};
use axum::body::Body;
use axum::extract::ConnectInfo;
use core::convert::Infallible;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The request line and headers together. Hyper takes no less than 8 KiB; above it answers 431.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Serves what arrives until `ending`; the connections then get to finish what they are at.
pub(crate) async fn run(state: Arc<State>, mut arrivals: mpsc::Receiver<Arrival>, ending: CancellationToken) {
    let router = http::router(Arc::clone(&state));
    let header_timeout = Duration::from_secs(state.config().socket.header_seconds.into());
    loop {
        let arrival = tokio::select! {
            () = ending.cancelled() => return,
            arrival = arrivals.recv() => match arrival {
                Some(arrival) => arrival,
                None => return,
            },
        };
        let Arrival { stream, bytes, address, place } = arrival;
        let Ok(stream) = TcpStream::from_std(stream) else { continue };
        let stream = Begun { bytes, used: 0, stream };
        let (router, ending) = (router.clone(), ending.clone());
        state.tasks.spawn(async move {
            serve(router, stream, address, header_timeout, ending).await;
            drop(place);
        });
    }
}

/// Serves one stream of a client at `address`.
pub(crate) async fn serve<S>(
    router: axum::Router,
    stream: S,
    address: SocketAddr,
    header_timeout: Duration,
    ending: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(address));
        async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = core::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(event = "http", near = %crate::log::Near(address.ip()), %error);
    }
}

/// A stream of which something was read already.
struct Begun<S> {
    bytes: Vec<u8>,
    used: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let rest = this.bytes.get(this.used..).unwrap_or(&[]);
        if rest.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, out);
        }
        let count = rest.len().min(out.remaining());
        out.put_slice(rest.get(..count).unwrap_or(&[]));
        this.used += count;
        if this.used == this.bytes.len() {
            (this.bytes, this.used) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
