//! Folders that the operator offers: read once for their hashes, then served in ranges as a web seed
//! (BEP 19), with a `.torrent` and a magnet link that name this server as the source.

use crate::Error;
use crate::files::{ascii, is_known, mime, partial, unsatisfiable};
use crate::range::{Wanted, wanted};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, SeekFrom};
use std::path::{Path, PathBuf};
use swarmlet_core::ContentId;
use swarmlet_core::config::{FILES_MAX, PATH_DEPTH_MAX};
use swarmlet_core::content::{Builder, Torrent};
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
    /// Reads and hashes folders.
    pub(crate) fn read(folders: &[PathBuf]) -> Result<Self, Error> {
        let mut shares = Self::default();
        for folder in folders {
            shares.add(folder)?;
        }
        Ok(shares)
    }

    /// The shares, by name.
    pub(crate) fn list(&self) -> impl Iterator<Item = &Share> {
        self.shares.values()
    }

    fn add(&mut self, folder: &Path) -> Result<(), Error> {
        let unfit = |text: String| Error::Unfit(folder.to_owned(), text);
        let whole = folder.canonicalize().map_err(|error| Error::Read(folder.to_owned(), error))?;
        let name = whole.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
        if self.shares.contains_key(&name) {
            return Err(unfit(format!("a second share named {name}")));
        }
        let mut found = Vec::new();
        find(&whole, &mut Vec::new(), &mut found)?;
        let listed: Vec<_> = found.iter().map(|(_, names, size)| (names.clone(), *size)).collect();
        let mut builder =
            Builder::new(&name, &listed, Vec::new()).map_err(|error| unfit(format!("{error:?}")))?;
        for (index, (path, _, _)) in found.iter().enumerate() {
            hash(&mut builder, index, path)?;
        }
        let built = builder.finish().map_err(|error| unfit(format!("{error:?}")))?;
        let single = built.torrent.info.is_single();
        for (entry, given) in built.torrent.info.files.iter().zip(&built.order) {
            let Some((path, names, size)) = found.get(*given) else { continue };
            let tag = entry.root.map_or_else(|| "\"empty\"".to_owned(), |root| format!("\"{root}\""));
            let key = if single { name.clone() } else { format!("{name}/{}", names.join("/")) };
            let served = Served { path: path.clone(), size: *size, tag, mime: mime(&key) };
            self.files.insert(key, served);
        }
        let size = listed.iter().map(|(_, size)| size).sum();
        self.shares.insert(name, Share { torrent: built.torrent, size });
        Ok(())
    }

    /// What the page offers.
    pub(crate) fn index(&self, base: &str) -> Response {
        let entries = self.list().map(|share| {
            serde_json::json!({
                "name": share.name(),
                "size": share.size,
                "files": share.torrent.info.files.len(),
                "magnet": share.at(base).magnet().to_string(),
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

type Found = (PathBuf, Vec<String>, u64);

/// Collects the files of a folder in the order of their names; links and hidden ones are left out.
fn find(folder: &Path, names: &mut Vec<String>, found: &mut Vec<Found>) -> Result<(), Error> {
    let unreadable = |error| Error::Read(folder.to_owned(), error);
    let mut entries =
        std::fs::read_dir(folder).map_err(unreadable)?.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            return Err(Error::Unfit(path, "the name is not Unicode".to_owned()));
        };
        if name.starts_with('.') {
            continue;
        }
        names.push(name);
        if kind.is_dir() && names.len() < PATH_DEPTH_MAX {
            find(&path, names, found)?;
        } else if kind.is_file() {
            let size = entry.metadata().map_err(unreadable)?.len();
            found.push((path, names.clone(), size));
        }
        names.pop();
        if found.len() > FILES_MAX {
            return Err(Error::Unfit(folder.to_owned(), format!("more than {FILES_MAX} files")));
        }
    }
    Ok(())
}

fn hash(builder: &mut Builder, index: usize, path: &Path) -> Result<(), Error> {
    let unreadable = |error| Error::Read(path.to_owned(), error);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut chunk = vec![0; 1024 * 1024];
    loop {
        let count = file.read(&mut chunk).map_err(unreadable)?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        builder.push(index, bytes).map_err(|error| Error::Unfit(path.to_owned(), format!("{error:?}")))?;
    }
}
