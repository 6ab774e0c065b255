//! The page and everything embeddable: read into memory at start, so that no request can name a path, and
//! compressed in the background.

use crate::Error;
use crate::memory;
use crate::range::{Wanted, wanted};
use crate::script;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicBool, Ordering};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

/// The page as it was when the program was built.
mod page {
    include!(concat!(env!("OUT_DIR"), "/page.rs"));
}

/// Bytes of all files together: a page, not an archive.
const TOTAL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Folders inside folders.
const DEPTH_MAX: usize = 16;
/// Below this, compression saves no packet.
const COMPRESS_BYTES_MIN: usize = 1024;
/// Of 11: the last two steps take ten times as long for one or two per cent.
const BROTLI_QUALITY: i32 = 9;
/// What only developers need.
const SKIPPED: [&str; 5] = ["node_modules", "package.json", "package-lock.json", "tsconfig.json", "tests"];

/// All files, by path from the folder of the page.
#[derive(Default)]
pub(crate) struct Assets(BTreeMap<String, Asset>);

/// One file.
pub(crate) struct Asset {
    mime: &'static str,
    plain: Bytes,
    /// Of the plain form, without the quotes; other forms add a suffix.
    tag: String,
    brotli: OnceLock<Bytes>,
    gzip: OnceLock<Bytes>,
    immutable: bool,
}

impl Assets {
    /// Reads a folder; without a name, takes the page that is in the program.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        if folder.as_os_str().is_empty() {
            let files = page::FILES
                .iter()
                .map(|(path, bytes)| ((*path).to_owned(), Asset::new(path, Bytes::from_static(bytes))));
            return Ok(Self(files.collect()));
        }
        let mut assets = Self::default();
        assets.read_folder(folder, "", 0, &mut 0)?;
        Ok(assets)
    }

    fn read_folder(
        &mut self,
        folder: &Path,
        prefix: &str,
        depth: usize,
        total: &mut u64,
    ) -> Result<(), Error> {
        let unreadable = |error| Error::Read(folder.to_owned(), error);
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
            // Links are not followed: they may lead out of the folder.
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if name.starts_with('.') || SKIPPED.contains(&name.as_str()) {
                continue;
            }
            let key = format!("{prefix}{name}");
            if kind.is_dir() && depth < DEPTH_MAX {
                self.read_folder(&path, &format!("{key}/"), depth + 1, total)?;
            } else if kind.is_file() {
                let plain = fs::read(&path).map_err(|error| Error::Read(path.clone(), error))?;
                *total += plain.len() as u64;
                if *total > TOTAL_BYTES_MAX {
                    let text = format!("more than {TOTAL_BYTES_MAX} bytes; large files are for --share");
                    return Err(Error::Unfit(folder.to_owned(), text));
                }
                self.0.insert(key.clone(), Asset::new(&key, plain.into()));
            }
        }
        Ok(())
    }

    /// Whether there is a page that works.
    pub(crate) fn is_whole(&self) -> bool {
        ["index.html", "pkg/swarmlet_wasm_bg.wasm"].iter().all(|path| self.0.contains_key(*path))
    }

    /// The file of that path.
    pub(crate) fn get(&self, path: &str) -> Option<&Asset> {
        self.0.get(path)
    }

    /// Compresses what gains by it. Takes a while; ends early with the server.
    pub(crate) fn compress(&self, ending: &AtomicBool) {
        for asset in self.0.values().filter(|asset| asset.is_compressible()) {
            if ending.load(Ordering::Relaxed) {
                return;
            }
            for (slot, bytes) in [(&asset.gzip, gzip(&asset.plain)), (&asset.brotli, brotli(&asset.plain))] {
                if bytes.len() < asset.plain.len() {
                    let _ = slot.set(bytes.into());
                }
            }
        }
        // What packs well takes tens of MiB to do it.
        memory::give_back();
        tracing::debug!(event = "compressed", files = self.0.len());
    }
}

impl Asset {
    fn new(path: &str, plain: Bytes) -> Self {
        let text = str::from_utf8(&plain).ok().filter(|_| script::is_ours(path));
        let plain = text.map(script::without_comments).map_or(plain.clone(), Bytes::from);
        let mut tag = String::with_capacity(32);
        for byte in Sha256::digest(&plain).iter().take(16) {
            let _ = write!(tag, "{byte:02x}");
        }
        let (brotli, gzip) = (OnceLock::new(), OnceLock::new());
        Self { mime: mime(path), plain, tag, brotli, gzip, immutable: is_hashed(path) }
    }

    fn is_compressible(&self) -> bool {
        let text = self.mime.starts_with("text/") || self.mime.contains("json") || self.mime.contains("svg");
        (text || self.mime == "application/wasm") && self.plain.len() >= COMPRESS_BYTES_MIN
    }

    /// Answers a request for this file.
    pub(crate) fn respond(&self, request: &HeaderMap) -> Response {
        let plain_tag = format!("\"{}\"", self.tag);
        let part = wanted(request, self.plain.len() as u64, &plain_tag);
        let (encoding, bytes) = match part {
            Wanted::Whole => self.best(request),
            Wanted::Part(..) | Wanted::Nothing => ("", &self.plain),
        };
        let tag = if encoding.is_empty() { plain_tag } else { format!("\"{}-{encoding}\"", self.tag) };
        let cache = if self.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
        let mut response = if is_known(request, &tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let mut response = slice(bytes, part);
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.mime));
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            if !encoding.is_empty() {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
            response
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        headers.insert(header::ETAG, ascii(&tag));
        if self.is_compressible() {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        response
    }

    /// The smallest form that the client takes and that is ready.
    fn best(&self, request: &HeaderMap) -> (&'static str, &Bytes) {
        for (encoding, form) in [("br", &self.brotli), ("gzip", &self.gzip)] {
            if let Some(bytes) = form.get().filter(|_| accepts(request, encoding)) {
                return (encoding, bytes);
            }
        }
        ("", &self.plain)
    }
}

/// A part of bytes, or why not.
fn slice(bytes: &Bytes, part: Wanted) -> Response {
    match part {
        Wanted::Whole => Body::from(bytes.clone()).into_response(),
        Wanted::Nothing => unsatisfiable(bytes.len() as u64),
        Wanted::Part(first, end) => {
            // The range was cut to the size of what is in memory, so both fit.
            let at = |position| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
            partial(Body::from(bytes.slice(at(first)..at(end))), first, end, bytes.len() as u64)
        }
    }
}

/// 206 with its headers.
pub(crate) fn partial(body: Body, first: u64, end: u64, size: u64) -> Response {
    let range = ascii(&format!("bytes {first}-{}/{size}", end.saturating_sub(1)));
    let length = HeaderValue::from(end - first);
    let headers = [(header::CONTENT_RANGE, range), (header::CONTENT_LENGTH, length)];
    (StatusCode::PARTIAL_CONTENT, headers, body).into_response()
}

/// 416 with the size.
pub(crate) fn unsatisfiable(size: u64) -> Response {
    let range = ascii(&format!("bytes */{size}"));
    (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response()
}

/// Whether the client has these very bytes.
pub(crate) fn is_known(request: &HeaderMap, tag: &str) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == "*" || known == tag)
}

/// A header of ours.
pub(crate) fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("made of hexadecimal digits, numbers and quotes")
}

/// Whether `Accept-Encoding` names the encoding and does not give it the weight 0.
fn accepts(request: &HeaderMap, encoding: &str) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING);
    values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let zero = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32));
        name.trim().eq_ignore_ascii_case(encoding) && !zero
    })
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(8));
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory takes everything")
}

fn brotli(plain: &[u8]) -> Vec<u8> {
    let parameters = brotli::enc::BrotliEncoderParams { quality: BROTLI_QUALITY, ..Default::default() };
    let mut out = Vec::new();
    brotli::BrotliCompress(&mut &*plain, &mut out, &parameters).expect("memory takes everything");
    out
}

/// Whether the name has a hash of the content in it, as in `swarmlet.0a1b2c3d4e5f.js`.
fn is_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut parts = name.rsplit('.').skip(1);
    let hash = parts.next().unwrap_or("");
    parts.next().is_some() && hash.len() >= 12 && hash.bytes().all(|c| c.is_ascii_hexdigit())
}

/// The type of a file by its name.
pub(crate) fn mime(path: &str) -> &'static str {
    let extension = path.rsplit('.').next().unwrap_or("").to_ascii_lowercase();
    match extension.as_str() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" | "md" | "ts" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" => "audio/ogg",
        "opus" => "audio/opus",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "m4a" => "audio/mp4",
        "mp4" | "m4v" => "video/mp4",
        "webm" => "video/webm",
        "ogv" => "video/ogg",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "torrent" => "application/x-bittorrent",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_read_as_browsers_write_them() {
        let accepts = |value: &str, encoding| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, value.parse().unwrap());
            accepts(&headers, encoding)
        };
        assert!(accepts("gzip, deflate, br, zstd", "br"));
        assert!(accepts("GZIP;q=0.5", "gzip"));
        assert!(!accepts("gzip, br;q=0", "br"));
        assert!(!accepts("br; q=0.0", "br"));
        assert!(!accepts("identity", "br"));
    }

    #[test]
    fn only_names_with_a_hash_are_for_ever() {
        assert!(is_hashed("a/swarmlet.0a1b2c3d4e5f.js"));
        for name in ["swarmlet.js", "0a1b2c3d4e5f.js", "a/b.min.js", "swarmlet_bg.wasm", ""] {
            assert!(!is_hashed(name), "{name}");
        }
    }
}
