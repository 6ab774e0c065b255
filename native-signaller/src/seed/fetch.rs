//! Ranged HTTP from web seeds. Never reads more than was asked for; what the bytes are worth is for the node to
//! prove.

use super::Settings;
use super::host::{Ended, News};
use super::rtc::done;
use core::ops::Range;
use core::time::Duration;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, redirect};
use swarmlet_core::content::http::{Take, judge};
use swarmlet_core::{Failure, JobId};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Without a byte of the answer.
const READ_DEADLINE: Duration = Duration::from_secs(20);
const REDIRECTS_MAX: usize = 5;

/// A pool of connections to web seeds.
pub(super) struct Fetcher {
    client: Client,
}

impl Fetcher {
    pub(super) fn new(settings: &Settings) -> Result<Self, crate::Error> {
        let client = Client::builder()
            .user_agent(concat!("swarmlet/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_DEADLINE)
            .read_timeout(READ_DEADLINE)
            .redirect(redirect::Policy::limited(REDIRECTS_MAX))
            .pool_max_idle_per_host(settings.node.fetches_max as usize)
            .build();
        client.map(|client| Self { client }).map_err(|error| crate::Error::Start(error.to_string()))
    }

    /// Begins to fetch a range of a resource of `total` bytes.
    pub(super) fn begin(
        &self,
        job: JobId,
        url: String,
        range: Range<u64>,
        total: u64,
        news: mpsc::Sender<News>,
    ) -> AbortHandle {
        let client = self.client.clone();
        let task = tokio::spawn(async move {
            let ended = fetch(&client, &url, range, total).await;
            done(&news, job, ended).await;
        });
        task.abort_handle()
    }
}

async fn fetch(client: &Client, url: &str, range: Range<u64>, total: u64) -> Ended {
    let Some(last) = range.end.checked_sub(1).filter(|last| *last >= range.start) else {
        return Ended::Failed(Failure::Unsupported);
    };
    let request = client.get(url).header(RANGE, format!("bytes={}-{last}", range.start));
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_builder() => return Ended::Failed(Failure::Unsupported),
        Err(_) => return Ended::Failed(Failure::Network),
    };
    let status = response.status().as_u16();
    let header = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    match judge(status, header, range.start, range.end, total) {
        Take::Missing => Ended::Missing,
        Take::Refuse => Ended::Failed(Failure::Status(status)),
        Take::Body { skip, length, rest } => body(response, skip, length, rest).await,
    }
}

/// Reads a body chunk by chunk and stops at the first byte too many.
async fn body(mut response: Response, skip: u64, length: u64, rest: u64) -> Ended {
    let wrong = Ended::Failed(Failure::Status(response.status().as_u16()));
    let whole = skip.saturating_add(length).saturating_add(rest);
    // The length is bounded by the node's own request, not by the server.
    let Ok(room) = usize::try_from(length) else { return wrong };
    let (mut out, mut seen) = (Vec::with_capacity(room), 0_u64);
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(_) => return Ended::Failed(Failure::Network),
        };
        let size = chunk.len() as u64;
        if seen + size > whole {
            return wrong;
        }
        // The part of the range that lies in this chunk; both ends fit, since they are cut to its size.
        let within = |at: u64| usize::try_from(at.clamp(seen, seen + size) - seen).unwrap_or(usize::MAX);
        if let Some(part) = chunk.get(within(skip)..within(skip + length)) {
            out.extend_from_slice(part);
        }
        seen += size;
    }
    if seen == whole && out.len() == room { Ended::Bytes(out) } else { wrong }
}
