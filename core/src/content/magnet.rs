//! Magnet links (BEP 9, BEP 52, BEP 53): a content id, and hints.

use super::{ContentError, names, url};
use crate::config::{FILES_MAX, URLS_MAX};
use crate::id::ContentId;
use crate::util::text;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The longest link that is read.
const MAGNET_BYTES_MAX: usize = 64 * 1024;
/// A v2 content id in a link: a multihash of 32 bytes of SHA-256.
const URN_V2: &str = "urn:btmh:1220";
const URN_V1: &str = "urn:btih:";

/// A magnet link, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Magnet {
    /// The share.
    pub content: ContentId,
    /// Its display name (`dn`), where it is one that a share may have.
    pub name: Option<String>,
    /// HTTP sources (`ws`).
    pub web_seeds: Vec<String>,
    /// Addresses of BitTorrent trackers (`tr`), kept for others.
    pub trackers: Vec<String>,
    /// Where the `.torrent` file is (`xs`).
    pub sources: Vec<String>,
    /// Which files to fetch (`so`), ascending; `None`: all.
    pub select: Option<Vec<u32>>,
}

impl Magnet {
    /// The link that says nothing but the content id.
    #[must_use]
    pub const fn of(content: ContentId) -> Self {
        Self {
            content,
            name: None,
            web_seeds: Vec::new(),
            trackers: Vec::new(),
            sources: Vec::new(),
            select: None,
        }
    }

    /// Reads a magnet link, its `urn:btmh:1220…` alone, or the 64 hexadecimal digits of the id alone.
    ///
    /// # Errors
    /// `VersionOne` for ids of BitTorrent v1; otherwise what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ContentError> {
        if text.len() > MAGNET_BYTES_MAX {
            return Err(ContentError::TooLarge);
        }
        let text = text.trim_ascii();
        if let Some(query) = strip_prefix(text, "magnet:") {
            return read_query(query.strip_prefix('?').ok_or(ContentError::NotMagnet)?);
        }
        if let Some(id) = strip_prefix(text, URN_V2) {
            return ContentId::from_hex(id).map(Self::of).ok_or(ContentError::BadId);
        }
        let is_v1 = text.len() == 40 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if is_v1 || strip_prefix(text, URN_V1).is_some() {
            return Err(ContentError::VersionOne);
        }
        ContentId::from_hex(text).map(Self::of).ok_or(ContentError::NotMagnet)
    }
}

/// What is written is read back as the same.
impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from("magnet:?xt=");
        text.push_str(URN_V2);
        text::push_hex(&mut text, self.content.bytes());
        for (key, values) in [
            ("&dn=", self.name.as_slice()),
            ("&ws=", &self.web_seeds),
            ("&tr=", &self.trackers),
            ("&xs=", &self.sources),
        ] {
            for value in values {
                text.push_str(key);
                url::escape(value, &mut text);
            }
        }
        if let Some(select) = &self.select {
            push_selection(&mut text, select);
        }
        f.write_str(&text)
    }
}

fn read_query(query: &str) -> Result<Magnet, ContentError> {
    let (mut content, mut has_v1) = (None, false);
    let mut magnet = Magnet::of(ContentId([0; 32]));
    for pair in text::parts(query, b'&') {
        let (key, value) = text::cut(pair, b'=').unwrap_or((pair, ""));
        // Several values of a kind may be numbered: `xt.1`, `tr.2`.
        let key = match text::cut(key, b'.') {
            Some((key, number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => key,
            _ => key,
        };
        match key {
            "xt" => {
                let topic = url::unescape(value)?;
                has_v1 |= strip_prefix(&topic, URN_V1).is_some();
                if let Some(id) = strip_prefix(&topic, "urn:btmh:") {
                    let id = id.strip_prefix("1220").and_then(ContentId::from_hex);
                    let id = id.ok_or(ContentError::BadId)?;
                    if content.replace(id).is_some_and(|other| other != id) {
                        return Err(ContentError::BadId);
                    }
                }
            }
            "dn" => {
                let name = url::unescape(&value.replace('+', " "))?;
                magnet.name = Some(name).filter(|name| names::check_name(name).is_ok());
            }
            "ws" | "as" => push(&mut magnet.web_seeds, value, url::is_http)?,
            "tr" => push(&mut magnet.trackers, value, url::is_sane)?,
            "xs" => push(&mut magnet.sources, value, url::is_http)?,
            "so" => magnet.select = Some(read_selection(&url::unescape(value)?)?),
            _ => {}
        }
    }
    match content {
        Some(content) => Ok(Magnet { content, ..magnet }),
        None if has_v1 => Err(ContentError::VersionOne),
        None => Err(ContentError::BadId),
    }
}

/// Keeps an address. Odd ones and those beyond the limit are only hints that are not followed.
fn push(urls: &mut Vec<String>, value: &str, is_wanted: fn(&str) -> bool) -> Result<(), ContentError> {
    let url = url::unescape(value)?;
    if is_wanted(&url) && urls.len() < URLS_MAX && !urls.contains(&url) {
        urls.push(url);
    }
    Ok(())
}

/// BEP 53: `0,2,4-6`, both ends included.
fn read_selection(text: &str) -> Result<Vec<u32>, ContentError> {
    let number =
        |text: &str| text::number(text.as_bytes(), FILES_MAX as u64 - 1).ok_or(ContentError::BadSelection);
    // Ranges may overlap, so what is kept is bounded by the number of files and not by the text.
    let mut chosen = super::Bitfield::new(FILES_MAX as u32);
    for part in text::parts(text, b',') {
        let (first, last) = text::cut(part, b'-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(ContentError::BadSelection);
        }
        for index in first..=last {
            chosen.set(index as u32);
        }
    }
    let mut select = Vec::new();
    for index in chosen.iter() {
        select.push(index);
    }
    Ok(select)
}

fn push_selection(text: &mut String, select: &[u32]) {
    let mut separator = "&so=";
    for run in select.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        text.push_str(separator);
        separator = ",";
        let [first, rest @ ..] = run else { continue };
        text::push_number(text, (*first).into());
        if let Some(last) = rest.last() {
            text.push('-');
            text::push_number(text, (*last).into());
        }
    }
}

/// Schemes and URNs are compared without regard to case.
fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}
