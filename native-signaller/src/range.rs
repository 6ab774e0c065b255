//! The `Range` header: one range, or the whole.

use axum::http::{HeaderMap, header};

/// What a request asks for, in bytes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything.
    Whole,
    /// From the first up to, not with, the second.
    Part(u64, u64),
    /// Nothing that is there.
    Nothing,
}

/// Reads `Range` and `If-Range`. Several ranges, other units and what is no range mean the whole, as RFC 9110
/// allows.
pub(crate) fn wanted(headers: &HeaderMap, size: u64, etag: &str) -> Wanted {
    let Some(range) = headers.get(header::RANGE) else { return Wanted::Whole };
    if headers.get(header::IF_RANGE).is_some_and(|known| known != etag) {
        return Wanted::Whole;
    }
    range.to_str().ok().and_then(|range| parse(range, size)).unwrap_or(Wanted::Whole)
}

fn parse(range: &str, size: u64) -> Option<Wanted> {
    let (first, last) = range.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        // More than fits is as good as the most that fits.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    if first.is_empty() {
        let count = number(last)?.min(size);
        return Some(if count == 0 { Wanted::Nothing } else { Wanted::Part(size - count, size) });
    }
    let first = number(first)?;
    let end = if last.is_empty() { size } else { number(last)?.saturating_add(1).min(size) };
    if !last.is_empty() && number(last)? < first {
        return None;
    }
    Some(if first >= size { Wanted::Nothing } else { Wanted::Part(first, end) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix() {
        use Wanted::{Nothing, Part, Whole};
        for (range, wanted_of_10) in [
            ("bytes=0-", Part(0, 10)),
            ("bytes=0-0", Part(0, 1)),
            ("bytes=3-5", Part(3, 6)),
            ("bytes=9-9", Part(9, 10)),
            ("bytes=9-99", Part(9, 10)),
            ("bytes=3-99999999999999999999999", Part(3, 10)),
            ("bytes=-1", Part(9, 10)),
            ("bytes=-10", Part(0, 10)),
            ("bytes=-11", Part(0, 10)),
            ("bytes=-0", Nothing),
            ("bytes=10-", Nothing),
            ("bytes=10-11", Nothing),
            ("bytes=99999999999999999999999-", Nothing),
            ("bytes=5-3", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1-2,4-5", Whole),
            ("items=1-2", Whole),
            ("bytes 1-2", Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, range.parse().unwrap());
            assert_eq!(wanted(&headers, 10, "\"x\""), wanted_of_10, "{range}");
        }
        let mut many = HeaderMap::new();
        many.insert(header::RANGE, format!("bytes={}", "0-,".repeat(5000)).parse().unwrap());
        assert_eq!(wanted(&many, 10, ""), Whole);
    }

    #[test]
    fn an_empty_file_has_no_part() {
        for range in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(parse(range, 0), Some(Wanted::Nothing), "{range}");
        }
    }

    #[test]
    fn if_range_holds_for_the_same_bytes_only() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, "bytes=1-2".parse().unwrap());
        headers.insert(header::IF_RANGE, "\"x\"".parse().unwrap());
        assert_eq!(wanted(&headers, 10, "\"x\""), Wanted::Part(1, 3));
        assert_eq!(wanted(&headers, 10, "\"y\""), Wanted::Whole);
    }
}
