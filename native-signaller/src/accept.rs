//! TCP connections to HTTP/1.1, with the limits that keep slow clients from holding a server.

use crate::{State, http};
use axum::body::Body;
use axum::extract::ConnectInfo;
use core::convert::Infallible;
use core::net::SocketAddr;
use core::time::Duration;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The request line and headers together. Hyper takes no less than 8 KiB; above it answers 431.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Accepts until `ending`; the connections then get to finish what they are at.
pub(crate) async fn run(state: Arc<State>, listener: TcpListener, ending: CancellationToken) {
    let router = http::router(Arc::clone(&state));
    let room = Arc::new(Semaphore::new(state.config().socket.connections_max as usize));
    loop {
        let permit = Arc::clone(&room).acquire_owned();
        let accepted = async { (permit.await, listener.accept().await) };
        let (permit, stream, address) = tokio::select! {
            () = ending.cancelled() => return,
            (permit, accepted) = accepted => match accepted {
                Ok((stream, address)) => (permit, stream, address),
                Err(error) => {
                    tracing::warn!(event = "accept", %error);
                    // Out of descriptors, mostly: accepting again at once would only spin.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let (router, ending) = (router.clone(), ending.clone());
        let header_timeout = Duration::from_secs(state.config().socket.header_seconds.into());
        state.tasks.spawn(async move {
            serve(router, stream, address, header_timeout, ending).await;
            drop(permit);
        });
    }
}

async fn serve(
    router: axum::Router,
    stream: TcpStream,
    address: SocketAddr,
    header_timeout: Duration,
    ending: CancellationToken,
) {
    // Signals are small and somebody waits for each.
    let _ = stream.set_nodelay(true);
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
