//! Addresses: which are kept, percent-encoding, and where a web seed has a file (BEP 19).

use super::{ContentError, Info};
use crate::config::URL_BYTES_MAX;
use crate::util::text;
use alloc::string::String;
use alloc::vec::Vec;

/// The address of a file at a web seed: the base itself for a single file (with the name appended where the
/// base ends in a slash), otherwise base, name and path. A base that ends in `#` is the folder itself, whatever its
/// name: a web site's root has none (ours, not of BEP 19). `None` when there is no such file.
#[must_use]
pub fn web_url(info: &Info, base: &str, file: usize) -> Option<String> {
    let entry = info.files.get(file)?;
    let site = base.strip_suffix('#');
    let mut url = String::from(site.unwrap_or(base));
    if site.is_some() {
        escape_path(&entry.path, url.ends_with('/'), &mut url);
        return Some(url);
    }
    if info.is_single() {
        if base.ends_with('/') {
            escape(&info.name, &mut url);
        }
        return Some(url);
    }
    if !base.ends_with('/') {
        url.push('/');
    }
    escape(&info.name, &mut url);
    escape_path(&entry.path, false, &mut url);
    Some(url)
}

fn escape_path(path: &[String], mut begun: bool, url: &mut String) {
    for name in path {
        if !core::mem::take(&mut begun) {
            url.push('/');
        }
        escape(name, url);
    }
}

/// Whether an address is worth keeping: not empty, not too long, one line, no blanks.
pub(super) fn is_sane(url: &str) -> bool {
    (1..=URL_BYTES_MAX).contains(&url.len())
        && !url.bytes().any(|byte| byte.is_ascii_control() || byte.is_ascii_whitespace())
}

/// Whether an address can be fetched by a browser.
pub(super) fn is_http(url: &str) -> bool {
    let after = |scheme: &str| {
        let (head, rest) = url.as_bytes().split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest.len())
    };
    is_sane(url) && after("https://").or_else(|| after("http://")).is_some_and(|rest| rest > 0)
}

/// Appends text with everything escaped but RFC 3986's unreserved characters.
pub(super) fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                for digit in [byte >> 4, byte & 15] {
                    out.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
        }
    }
}

/// Undoes [`escape`].
pub(super) fn unescape(text: &str) -> Result<String, ContentError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2).ok_or(ContentError::BadEscape)?;
        let mut byte = [0];
        text::hex(digits, &mut byte).ok_or(ContentError::BadEscape)?;
        bytes.extend_from_slice(&byte);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| ContentError::BadEscape)
}
