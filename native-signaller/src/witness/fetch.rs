//! One request to a site's server, by the rules: no redirect, no proxy, no cookie, no address that is not public, no more bytes
//! than allowed; and what is not for everybody is not taken.

use super::guard::{Guarded, fresh};
use crate::Error;
use crate::config::Witness;
use crate::publish::caching::{ESCAPED, objection};
use core::time::Duration;
use percent_encoding::utf8_percent_encode;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, IF_NONE_MATCH};
use reqwest::{Client, StatusCode, redirect};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use swarmlet_core::Hash;
use swarmlet_core::config::LEAF_BYTES;

/// To connect; and for a whole answer: 64 MiB at 5 Mbit/s.
const CONNECT: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(120);
/// Of a site's own words.
const ETAG_BYTES_MAX: usize = 256;

/// What a server sent.
#[derive(Debug)]
pub(super) enum Got {
    /// It is as it was.
    Same { fresh: Duration },
    /// All of it. `first`: its first byte.
    Whole { leaves: Vec<Hash>, size: u64, first: Option<u8>, etag: Option<String>, fresh: Duration },
}

/// Asks one site.
pub(super) struct Fetcher {
    client: Client,
    base: String,
    unsaid: Duration,
}

impl Fetcher {
    pub(super) fn new(config: &Witness, base: &str) -> Result<Self, Error> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Guarded { private: config.private_addresses }))
            .connect_timeout(CONNECT)
            .timeout(DEADLINE)
            .user_agent("swarmlet-signaller (witness)")
            .build()
            .map_err(|error| Error::Start(error.to_string()))?;
        Ok(Self { client, base: base.to_owned(), unsaid: Duration::from_secs(config.fresh_seconds.into()) })
    }

    /// Asks for an object, or whether it is still what had this `etag`. Errors are reasons, for the log.
    pub(super) async fn get(&self, path: &str, etag: Option<&str>, bytes_max: u64) -> Result<Got, String> {
        let url = format!("{}{}", self.base, utf8_percent_encode(path, ESCAPED));
        // An address that its reader would write differently is none that pages ask for.
        if reqwest::Url::parse(&url).map_err(|error| error.to_string())?.as_str() != url {
            return Err("an odd address".into());
        }
        let mut request = self.client.get(&url).header(ACCEPT_ENCODING, "identity");
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let mut answer = request.send().await.map_err(|error| error.to_string())?;
        let headers = answer.headers();
        if let Some(why) = objection(headers) {
            return Err(why.into());
        }
        let fresh = fresh(headers, self.unsaid).ok_or("it is to be asked for each time")?;
        match answer.status() {
            StatusCode::NOT_MODIFIED if etag.is_some() => return Ok(Got::Same { fresh }),
            StatusCode::OK => {}
            other => return Err(format!("the server says {other}")),
        }
        if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err("it is sent compressed only".into());
        }
        let etag = tag(headers);
        if answer.content_length().is_some_and(|length| length > bytes_max) {
            return Err("it is too large".into());
        }
        let mut leaves = Leaves::default();
        while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
            leaves.take(&chunk);
            if leaves.size > bytes_max {
                return Err("it is too large".into());
            }
        }
        let (size, first) = (leaves.size, leaves.first);
        Ok(Got::Whole { leaves: leaves.end(), size, first, etag, fresh })
    }
}

/// A strong entity tag: what a weak one says may differ in bytes (RFC 9110 §8.8.1).
fn tag(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get(ETAG)?.to_str().ok()?;
    (tag.starts_with('"') && tag.len() <= ETAG_BYTES_MAX).then(|| tag.to_owned())
}

/// Hashes of leaves, as bytes come.
#[derive(Default)]
struct Leaves {
    done: Vec<Hash>,
    hasher: Sha256,
    /// Bytes of the leaf that is hashed now, and of all.
    part: usize,
    size: u64,
    first: Option<u8>,
}

impl Leaves {
    fn take(&mut self, mut bytes: &[u8]) {
        self.first = self.first.or(bytes.first().copied());
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at((LEAF_BYTES as usize - self.part).min(bytes.len()));
            self.hasher.update(now);
            self.part += now.len();
            if self.part == LEAF_BYTES as usize {
                self.close();
            }
            bytes = rest;
        }
    }

    fn close(&mut self) {
        self.done.push(Hash(self.hasher.finalize_reset().into()));
        self.part = 0;
    }

    fn end(mut self) -> Vec<Hash> {
        if self.part > 0 {
            self.close();
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmlet_core::content::leaf_hash;

    #[test]
    fn leaves_are_those_of_the_whole_however_it_comes() {
        let whole: Vec<u8> = (0..LEAF_BYTES as usize * 2 + 777).map(|at| (at * 7 % 251) as u8).collect();
        let expected: Vec<Hash> = whole.chunks(LEAF_BYTES as usize).map(leaf_hash).collect();
        for step in [1000, 16_384, 40_000, whole.len()] {
            let mut leaves = Leaves::default();
            whole.chunks(step).for_each(|chunk| leaves.take(chunk));
            assert_eq!((leaves.size, leaves.first), (whole.len() as u64, Some(0)));
            assert_eq!(leaves.end(), expected, "{step}");
        }
        assert_eq!(Leaves::default().end(), []);
    }
}
