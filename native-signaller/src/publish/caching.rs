//! What the web server says of who may keep a file (RFC 9111 §5.2, RFC 6265 §3): what is not for everybody is not published.
//! Pages cannot see all of it (browsers hide `Set-Cookie`), so it is looked at here.

use super::walk::Found;
use crate::Error;
use core::time::Duration;
use futures_util::StreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CACHE_CONTROL, HeaderMap, SET_COOKIE, VARY};

/// Requests at the same time.
const AT_ONCE: usize = 8;
/// For one answer.
const DEADLINE: Duration = Duration::from_secs(20);
/// What RFC 3986 leaves unreserved, and the slash.
pub(crate) const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Why an answer is not for everybody, if it is not.
pub(crate) fn objection(headers: &HeaderMap) -> Option<&'static str> {
    let says = |name, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let words = values.flat_map(|value| value.split(','));
        words
            .map(|word| word.split('=').next().unwrap_or("").trim())
            .any(|said| said.eq_ignore_ascii_case(word))
    };
    let rules = [
        (says(CACHE_CONTROL, "private"), "Cache-Control: private"),
        (says(CACHE_CONTROL, "no-store"), "Cache-Control: no-store"),
        (headers.contains_key(SET_COOKIE), "Set-Cookie"),
        (says(VARY, "cookie"), "Vary: Cookie"),
        (says(VARY, "authorization"), "Vary: Authorization"),
        (says(VARY, "*"), "Vary: *"),
    ];
    rules.into_iter().find(|(holds, _)| *holds).map(|(_, why)| why)
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
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = &why {
                eprintln!("left out: {}: {why}", file.path);
            }
            why.is_none().then_some(file)
        }
    });
    Ok(runtime.block_on(asked.buffered(AT_ONCE).filter_map(core::future::ready).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    #[test]
    fn what_is_not_for_everybody_says_so_in_one_of_these_ways() {
        let headers = |lines: &[(&'static str, &'static str)]| -> HeaderMap {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            lines.iter().map(pair).collect()
        };
        for lines in [
            [("cache-control", "max-age=60, Private")].as_slice(),
            &[("cache-control", "private=\"x-name\"")],
            &[("cache-control", "public"), ("cache-control", "no-store")],
            &[("set-cookie", "a=b")],
            &[("vary", "Accept-Encoding, COOKIE")],
            &[("vary", "authorization")],
            &[("vary", "*")],
        ] {
            assert!(objection(&headers(lines)).is_some(), "{lines:?}");
        }
        for lines in [
            [].as_slice(),
            &[("cache-control", "public, max-age=31536000, immutable")],
            &[("cache-control", "no-cache")],
            &[("vary", "Accept-Encoding, Origin")],
            &[("x-private", "private")],
        ] {
            assert_eq!(objection(&headers(lines)), None, "{lines:?}");
        }
    }
}
