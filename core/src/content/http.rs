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
    let (range, size) = header.trim_ascii().strip_prefix("bytes ")?.trim_ascii().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |digits: &str| text::number(digits.as_bytes(), u64::MAX);
    let (first, last) = (number(first)?, number(last)?);
    let size = if size == "*" { None } else { Some(number(size)?) };
    (first <= last && size.is_none_or(|size| last < size)).then_some((first, last, size))
}

#[cfg(test)]
mod tests {
    use super::*;

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
