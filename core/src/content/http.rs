//! What an answer to a request for a range of bytes is worth (RFC 9110 §14, BEP 19). What the bytes are worth is
//! proven by their hashes.

use crate::util::text;

/// A server that knows no ranges sends the whole resource; up to this size the range is cut out of it.
const WHOLE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What to take from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Nothing: this resource does not exist.
    Missing,
    /// Nothing: the answer is not what was asked for.
    Refuse,
    /// `skip` bytes are passed over, `length` bytes are taken, and nothing may follow but `rest` bytes.
    Body {
        /// Bytes before the range.
        skip: u64,
        /// Bytes of the range.
        length: u64,
        /// Bytes after it.
        rest: u64,
    },
}

/// Why an answer is not for everybody, if it is not: by its `Cache-Control` and `Vary` headers (RFC 9111 §5.2, RFC 9110 §12.5.5;
/// several of a name are joined by commas), and whether it sets a cookie (RFC 6265 §3). Any doubt is an objection.
#[must_use]
pub fn objection(cache_control: &str, vary: &str, sets_cookie: bool) -> Option<&'static str> {
    if says(cache_control, "private") {
        Some("Cache-Control: private")
    } else if says(cache_control, "no-store") {
        Some("Cache-Control: no-store")
    } else if sets_cookie {
        Some("Set-Cookie")
    } else if says(vary, "cookie") {
        Some("Vary: Cookie")
    } else if says(vary, "authorization") {
        Some("Vary: Authorization")
    } else if says(vary, "*") {
        Some("Vary: *")
    } else {
        None
    }
}

/// Whether a word is anywhere in a list, be it what something is set to.
fn says(list: &str, word: &str) -> bool {
    let mut words = list.as_bytes().split(|byte| matches!(byte, b',' | b';' | b'=' | b'"' | b' ' | b'\t'));
    words.any(|said| said.eq_ignore_ascii_case(word.as_bytes()))
}

/// Decides by status and `Content-Range` header. A server of another origin may hide the header, and then the
/// length of the body must do.
#[must_use]
pub fn judge(status: u16, content_range: Option<&str>, start: u64, end: u64, total: u64) -> Take {
    let length = end.saturating_sub(start);
    match status {
        404 | 410 => Take::Missing,
        206 => match content_range.map(parse_content_range) {
            None => Take::Body { skip: 0, length, rest: 0 },
            Some(Some((first, last, size)))
                if first == start
                    && last.checked_add(1) == Some(end)
                    && size.is_none_or(|size| size == total) =>
            {
                Take::Body { skip: 0, length, rest: 0 }
            }
            Some(_) => Take::Refuse,
        },
        200 if start == 0 && end == total || total <= WHOLE_BYTES_MAX => {
            Take::Body { skip: start, length, rest: total.saturating_sub(end) }
        }
        _ => Take::Refuse,
    }
}

/// Reads `bytes first-last/size`, where the size may be `*`.
#[must_use]
pub fn parse_content_range(header: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, size) = text::cut(header.trim_ascii().strip_prefix("bytes ")?.trim_ascii(), b'/')?;
    let (first, last) = text::cut(range, b'-')?;
    let number = |digits: &str| text::number(digits.as_bytes(), u64::MAX);
    let (first, last) = (number(first)?, number(last)?);
    let size = if size == "*" { None } else { Some(number(size)?) };
    (first <= last && size.is_none_or(|size| last < size)).then_some((first, last, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_for_everybody_says_so_in_one_of_these_ways() {
        for (control, vary, cookie) in [
            ("max-age=60, Private", "", false),
            ("private=\"x-name\"", "", false),
            ("private=\"set-cookie, x\"", "", false),
            ("public,no-store", "", false),
            ("max-age=1;\tprivate", "", false),
            ("ext=\"no-store\"", "", false),
            ("public", "", true),
            ("", "Accept-Encoding, COOKIE", false),
            ("", "authorization", false),
            ("", "*", false),
        ] {
            assert!(objection(control, vary, cookie).is_some(), "{control} {vary}");
        }
        for (control, vary) in [
            ("", ""),
            ("public, max-age=31536000, immutable", ""),
            ("no-cache", "Accept-Encoding, Origin"),
            ("x-private, no-storekeeper", "x-cookie"),
            ("cookie", "private"),
        ] {
            assert_eq!(objection(control, vary, false), None, "{control} {vary}");
        }
    }

    #[test]
    fn content_ranges_are_read_strictly() {
        assert_eq!(parse_content_range("bytes 0-9/10"), Some((0, 9, Some(10))));
        assert_eq!(parse_content_range("bytes 5-9/*"), Some((5, 9, None)));
        for bad in [
            "",
            "bytes",
            "bytes */10",
            "bytes 9-5/10",
            "bytes 0-10/10",
            "items 0-1/2",
            "bytes +0-1/2",
            "bytes 0-99999999999999999999/*",
            "bytes 0-1",
            "bytes 0-1/2/3",
        ] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_answer_is_taken_only_when_it_is_the_range() {
        let body = Take::Body { skip: 0, length: 10, rest: 0 };
        assert_eq!(judge(206, Some("bytes 10-19/100"), 10, 20, 100), body);
        assert_eq!(judge(206, Some("bytes 10-19/*"), 10, 20, 100), body);
        assert_eq!(judge(206, None, 10, 20, 100), body);
        assert_eq!(judge(206, Some("bytes 10-18/100"), 10, 20, 100), Take::Refuse);
        assert_eq!(judge(206, Some("bytes 10-19/101"), 10, 20, 100), Take::Refuse);
        assert_eq!(judge(206, Some("nonsense"), 10, 20, 100), Take::Refuse);
        assert_eq!(judge(200, None, 0, 100, 100), Take::Body { skip: 0, length: 100, rest: 0 });
        assert_eq!(judge(200, None, 10, 20, 100), Take::Body { skip: 10, length: 10, rest: 80 });
        let huge = WHOLE_BYTES_MAX + 1;
        assert_eq!(judge(200, None, 10, 20, huge), Take::Refuse);
        assert_eq!(judge(200, None, 0, huge, huge), Take::Body { skip: 0, length: huge, rest: 0 });
        assert_eq!(judge(404, None, 0, 1, 1), Take::Missing);
        assert_eq!(judge(410, None, 0, 1, 1), Take::Missing);
        for status in [0, 204, 304, 400, 403, 416, 429, 500, 503] {
            assert_eq!(judge(status, Some("bytes 0-0/1"), 0, 1, 1), Take::Refuse);
        }
    }
}
