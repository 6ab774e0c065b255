//! The WebSocket to the signaller, or the short way to one in the same process.

use super::Signaller;
use super::host::News;
use crate::hub::Hub;
use core::time::Duration;
use futures_util::{SinkExt, StreamExt};
use swarmlet_core::JobId;
use swarmlet_core::config::SIGNAL_BYTES_MAX;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

/// The sub-protocol: a signaller that does not know it refuses the connection.
const PROTOCOL: &str = "swarmlet.1";
/// From the first packet to the open socket.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);
/// For the last words.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);
/// Messages that may wait for a signaller that does not read.
const WAITING_MAX: usize = 1024;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A socket, open or on the way. Its task closes it when nobody can say anything any more.
pub(super) struct Socket {
    outbox: mpsc::Sender<Vec<u8>>,
    task: JoinHandle<()>,
}

impl Socket {
    /// Begins to connect. What becomes of it is told under the number of the job.
    pub(super) fn open(
        job: JobId,
        signaller: &Signaller,
        tls: Option<Connector>,
        news: mpsc::Sender<News>,
    ) -> Self {
        let (outbox, messages) = mpsc::channel(WAITING_MAX);
        let task = match signaller {
            Signaller::None => tokio::spawn(async move { drop(news.send(News::SocketClosed(job)).await) }),
            Signaller::At(url) => tokio::spawn(run(job, url.clone(), tls, news, messages)),
            Signaller::Here(here) => tokio::spawn(talk_here(job, here.hub.clone(), news, messages)),
        };
        Self { outbox, task }
    }

    /// Sends one message. `false`: the signaller leaves a thousand unread, or is gone.
    pub(super) fn send(&self, bytes: Vec<u8>) -> bool {
        self.outbox.try_send(bytes).is_ok()
    }

    /// Closes it after what was sent.
    pub(super) async fn close(self) {
        drop(self.outbox);
        let _ = time::timeout(CLOSE_DEADLINE, self.task).await;
    }
}

async fn run(
    job: JobId,
    url: String,
    tls: Option<Connector>,
    news: mpsc::Sender<News>,
    mut outbox: mpsc::Receiver<Vec<u8>>,
) {
    match time::timeout(OPEN_DEADLINE, connect(&url, tls)).await {
        Ok(Ok(stream)) => {
            if news.send(News::SocketOpen(job)).await.is_ok() {
                talk(job, stream, &news, &mut outbox).await;
            }
        }
        Ok(Err(error)) => tracing::warn!(event = "signaller", url, %error, "not reached"),
        Err(_) => tracing::warn!(event = "signaller", url, "does not answer"),
    }
    let _ = news.send(News::SocketClosed(job)).await;
}

async fn connect(url: &str, tls: Option<Connector>) -> Result<Stream, Error> {
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOL));
    let limits = WebSocketConfig::default()
        .max_message_size(Some(SIGNAL_BYTES_MAX))
        .max_frame_size(Some(SIGNAL_BYTES_MAX));
    // Signals are small and every one of them is waited for.
    let (stream, _) = connect_async_tls_with_config(request, Some(limits), true, tls).await?;
    Ok(stream)
}

async fn talk(
    job: JobId,
    mut stream: Stream,
    news: &mpsc::Sender<News>,
    outbox: &mut mpsc::Receiver<Vec<u8>>,
) {
    loop {
        tokio::select! {
            heard = stream.next() => match heard {
                Some(Ok(Message::Binary(bytes))) => {
                    let heard = News::Signalled { socket: job, bytes: bytes.into() };
                    if news.send(heard).await.is_err() {
                        return;
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            said = outbox.recv() => match said {
                Some(bytes) => {
                    if stream.send(Message::Binary(bytes.into())).await.is_err() {
                        return;
                    }
                }
                None => {
                    let _ = time::timeout(CLOSE_DEADLINE, stream.close(None)).await;
                    return;
                }
            },
        }
    }
}

/// The same with the hub of this process: no socket, no encryption, no address.
async fn talk_here(job: JobId, hub: Hub, news: mpsc::Sender<News>, mut outbox: mpsc::Receiver<Vec<u8>>) {
    let (ticket, mut outlet) = hub.open_here().await;
    let _ = news.send(News::SocketOpen(job)).await;
    loop {
        tokio::select! {
            biased;
            _ = &mut outlet.close => break,
            heard = outlet.messages.recv() => {
                let Some(said) = heard else { break };
                outlet.sent(said.bytes.len(), Some(said.asked));
                let heard = News::Signalled { socket: job, bytes: said.bytes.into() };
                if news.send(heard).await.is_err() {
                    break;
                }
            }
            said = outbox.recv() => match said {
                Some(bytes) => ticket.received(bytes.into()).await,
                None => break,
            },
        }
    }
    drop(ticket);
    let _ = news.send(News::SocketClosed(job)).await;
}
