//! What the web server says of who may keep a file (RFC 9111 §5.2, RFC 6265 §3): what is not for everybody is not published.
//! Pages cannot see all of it (browsers hide `Set-Cookie`), so it is looked at here.

use super::walk::Found;
use crate::Error;
use core::time::Duration;
use futures_util::StreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CACHE_CONTROL, HeaderMap, SET_COOKIE, VARY};
use swarmlet_core::content::http;

/// Requests at the same time.
const AT_ONCE: usize = 8;
/// For one answer.
const DEADLINE: Duration = Duration::from_secs(20);
/// What RFC 3986 leaves unreserved, and the slash.
pub(crate) const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Why an answer is not for everybody, if it is not.
pub(crate) fn objection(headers: &HeaderMap) -> Option<&'static str> {
    // What is not text is in doubt.
    let all = |name| {
        let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("private, *"));
        values.collect::<Vec<_>>().join(",")
    };
    http::objection(&all(CACHE_CONTROL), &all(VARY), headers.contains_key(SET_COOKIE))
}

/// Asks the web server for the headers of each file, and keeps those that are for everybody.
pub(super) fn keep_public(base: &str, found: Vec<Found>) -> Result<Vec<Found>, Error> {
    let failed = |error: &dyn ToString| Error::Start(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    let client = reqwest::Client::builder().timeout(DEADLINE).build().map_err(|error| failed(&error))?;
    let asked = futures_util::stream::iter(found).map(|file| {
        let request = client.head(format!("{base}{}", utf8_percent_encode(&file.path, ESCAPED)));
        async move {
            let why = match request.send().await {
                Ok(answer) if answer.status().is_success() => objection(answer.headers()).map(str::to_owned),
                Ok(answer) => Some(format!("the web server says {}", answer.status())),
                Err(error) => Some(causes(&error)),
            };
            if let Some(why) = &why {
                eprintln!("left out: {}: {why}", file.path);
            }
            why.is_none().then_some(file)
        }
    });
    Ok(runtime.block_on(asked.buffered(AT_ONCE).filter_map(core::future::ready).collect()))
}

/// An error and what is behind it: the first says that there was one, the last why.
fn causes(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn all_headers_of_a_name_are_looked_at() {
        let headers = |lines: &[(&'static str, &'static [u8])]| -> HeaderMap {
            let pair = |(name, value): &(&'static str, &'static [u8])| {
                (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
            };
            lines.iter().map(pair).collect()
        };
        for lines in [
            [("cache-control", b"public".as_slice()), ("cache-control", b"no-store")].as_slice(),
            &[("vary", b"accept-encoding"), ("vary", b"cookie")],
            &[("set-cookie", b"a=b")],
            &[("cache-control", b"max-age=1, \xff")],
            &[("vary", b"\xff")],
        ] {
            assert!(objection(&headers(lines)).is_some(), "{lines:?}");
        }
        assert_eq!(objection(&headers(&[("x-private", b"private"), ("vary", b"origin")])), None);
    }
}
