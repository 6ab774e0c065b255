//! Folders that the operator offers: read once for their hashes, then served in ranges as a web seed
//! (BEP 19), with a `.torrent` and a magnet link that name this server as the source.

use crate::Error;
use crate::files::{ascii, is_known, mime, partial, unsatisfiable};
use crate::range::{Wanted, wanted};
use crate::seed::{Made, known};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use swarmlet_core::ContentId;

use swarmlet_core::content::Torrent;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// What RFC 3986 leaves unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Bytes read from a file at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Every share, and every file of one by its decoded path `share/folder/file`.
#[derive(Default)]
pub(crate) struct Shares {
    shares: BTreeMap<String, Share>,
    files: HashMap<String, Served>,
}

/// One folder.
pub(crate) struct Share {
    torrent: Torrent,
    size: u64,
    /// A peer of this process has it: the link names no web seed, so that those come into use whom it does not cost.
    seeded: bool,
}

struct Served {
    path: PathBuf,
    size: u64,
    tag: String,
    mime: &'static str,
}

impl Share {
    /// The name of the folder.
    pub(crate) fn name(&self) -> &str {
        &self.torrent.info.name
    }

    /// What the share is.
    pub(crate) const fn content(&self) -> ContentId {
        self.torrent.info.content
    }

    /// Bytes of all files.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    fn at(&self, base: &str) -> Torrent {
        Torrent { web_seeds: vec![format!("{base}/share/")], ..self.torrent.clone() }
    }
}

impl Shares {
    /// Reads and hashes folders: those that are served over HTTP, and those that a peer is to seed, which are given
    /// back.
    pub(crate) fn read(folders: &[PathBuf], seeds: &[PathBuf]) -> Result<(Self, Vec<Made>), Error> {
        let mut shares = Self::default();
        for folder in folders {
            shares.add(folder, false)?;
        }
        let mut made = Vec::new();
        for path in seeds {
            made.push(shares.add(path, true)?);
        }
        Ok((shares, made))
    }

    /// The shares, by name.
    pub(crate) fn list(&self) -> impl Iterator<Item = &Share> {
        self.shares.values()
    }

    fn add(&mut self, folder: &Path, seeded: bool) -> Result<Made, Error> {
        let unfit = |text: String| Error::Unfit(folder.to_owned(), text);
        let whole = folder.canonicalize().map_err(|error| Error::Read(folder.to_owned(), error))?;
        let name = whole.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
        if self.shares.contains_key(&name) {
            return Err(unfit(format!("a second share named {name}")));
        }
        let made = Made::watched(&whole, Vec::new(), known::folder().as_deref(), &mut |_, _| true)?;
        let torrent = made.torrent().clone();
        let single = torrent.info.is_single();
        for (entry, path) in torrent.info.files.iter().zip(made.paths()) {
            let tag = entry.root.map_or_else(|| "\"empty\"".to_owned(), |root| format!("\"{root}\""));
            let key = if single { name.clone() } else { format!("{name}/{}", entry.path.join("/")) };
            let served = Served { path: path.clone(), size: entry.length, tag, mime: mime(&key) };
            self.files.insert(key, served);
        }
        let size = torrent.info.files.iter().map(|file| file.length).sum();
        self.shares.insert(name, Share { torrent, size, seeded });
        Ok(made)
    }

    /// What the page offers.
    pub(crate) fn index(&self, base: &str) -> Response {
        let entries = self.list().map(|share| {
            let magnet = if share.seeded { share.torrent.magnet() } else { share.at(base).magnet() };
            serde_json::json!({
                "name": share.name(),
                "seeded": share.seeded,
                "size": share.size,
                "files": share.torrent.info.files.len(),
                "magnet": magnet.to_string(),
                "torrent": format!("/share/{}.torrent", utf8_percent_encode(share.name(), ESCAPED)),
            })
        });
        let entries = entries.collect::<Vec<_>>();
        let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
        (headers, serde_json::Value::Array(entries).to_string()).into_response()
    }

    /// The `.torrent` of the share of that name.
    pub(crate) fn torrent(&self, name: &str, base: &str) -> Option<Response> {
        let torrent = self.shares.get(name)?.at(base).encode();
        let headers = [(header::CONTENT_TYPE, mime(".torrent")), (header::CACHE_CONTROL, "no-cache")];
        Some((headers, torrent).into_response())
    }

    /// A file of a share, or a range of it.
    pub(crate) async fn file(&self, path: &str, request: &HeaderMap) -> Option<Response> {
        let served = self.files.get(path)?;
        let part = wanted(request, served.size, &served.tag);
        let mut response = if is_known(request, &served.tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            served.respond(part).await
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, ascii(&served.tag));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Some(response)
    }
}

impl Served {
    async fn respond(&self, part: Wanted) -> Response {
        let (first, end) = match part {
            Wanted::Nothing => return unsatisfiable(self.size),
            Wanted::Whole => (0, self.size),
            Wanted::Part(first, end) => (first, end),
        };
        let body = match self.open(first, end - first).await {
            Ok(body) => body,
            Err(error) => {
                tracing::warn!(event = "share", %error, "a shared file is not what it was at start");
                return (StatusCode::GONE, "this file has changed\n").into_response();
            }
        };
        let mut response = match part {
            Wanted::Part(..) => partial(body, first, end, self.size),
            Wanted::Whole | Wanted::Nothing => {
                ([(header::CONTENT_LENGTH, HeaderValue::from(self.size))], body).into_response()
            }
        };
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.mime));
        response
    }

    async fn open(&self, first: u64, count: u64) -> io::Result<Body> {
        let mut file = tokio::fs::File::open(&self.path).await?;
        if file.metadata().await?.len() != self.size {
            return Err(io::Error::other("another size"));
        }
        file.seek(SeekFrom::Start(first)).await?;
        Ok(Body::from_stream(ReaderStream::with_capacity(file.take(count), CHUNK_BYTES)))
    }
}
