//! Where may be asked, and for how long an answer is good. Pure, but for names that are looked up.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AGE, CACHE_CONTROL, DATE, EXPIRES, HeaderMap, HeaderName};
use std::io;

/// Nothing is vouched for longer than this, whatever its server says.
const FRESH_MAX: Duration = Duration::from_secs(24 * 3600);

/// Whether an address is one of the internet's, and of one machine: what is not is refused, so that nobody gets the server to
/// ask its own network (RFC 6890 and its successors; forms that carry an IPv4 address in an IPv6 one count as it).
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

const fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && b & 0xc0 == 64;
    let assignments = a == 192 && b == 0 && c == 0;
    let relay = a == 192 && b == 88 && c == 99;
    let benchmarks = a == 198 && b & 0xfe == 18;
    let special = shared || assignments || relay || benchmarks || a == 0 || a >= 224;
    !(special || ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation())
}

/// The IPv4 address in two groups of an IPv6 one.
const fn carried(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits((high as u32) << 16 | low as u32)
}

const fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    match (a, b) {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056).
        (0x64, 0xff9b) => c | d | e | f == 0 && is_public_v4(carried(g, h)),
        (0x2002, _) => is_public_v4(carried(b, c)),
        // Teredo, benchmarks, ORCHID, documentation; the rest of 2001::/23 is for protocols.
        (0x2001, 0..0x200 | 0xdb8) | (0x3fff, 0..0x1000) => false,
        // What is given out to machines is 2000::/3.
        _ => a & 0xe000 == 0x2000,
    }
}

/// Looks names up, and keeps the addresses that may be asked: they are looked at each time that a connection is made, so a
/// name that changes gains nothing.
pub(super) struct Guarded {
    pub(super) private: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let good: Vec<SocketAddr> = found.filter(|found| private || is_public(found.ip())).collect();
            if good.is_empty() {
                let text = format!("{} has no public address", name.as_str());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text).into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

/// For how long an answer is good (RFC 9111 §4.2), `unsaid` where its server does not say. `None`: not without asking it again.
pub(super) fn fresh(headers: &HeaderMap, unsaid: Duration) -> Option<Duration> {
    let mut ages = [None, None];
    for value in headers.get_all(CACHE_CONTROL) {
        for word in value.to_str().ok()?.split(',') {
            let (name, argument) = word.split_once('=').unwrap_or((word, ""));
            let number = || argument.trim().trim_matches('"').parse::<u64>().unwrap_or(0);
            match name.trim().to_ascii_lowercase().as_str() {
                "no-cache" => return None,
                "s-maxage" => ages[0] = Some(number()),
                "max-age" => ages[1] = Some(number()),
                _ => {}
            }
        }
    }
    let seconds = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let date = |name| seconds(name).and_then(|text| httpdate::parse_http_date(text).ok());
    let lifetime = match ages[0].or(ages[1]).map(Duration::from_secs) {
        Some(lifetime) => lifetime,
        None if headers.contains_key(EXPIRES) => date(EXPIRES)?.duration_since(date(DATE)?).ok()?,
        None => unsaid,
    };
    let age = seconds(AGE).map_or(0, |text| text.trim().parse().unwrap_or(u64::MAX));
    let left = lifetime.checked_sub(Duration::from_secs(age))?.min(FRESH_MAX);
    (left > Duration::ZERO).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn only_machines_of_the_internet_are_asked() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
            "192.0.0.8",
            "240.0.0.1",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:c0a8:101::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "5f00::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "8.8.8.8",
            "1.1.1.1",
            "93.184.216.34",
            "172.32.0.1",
            "2606:4700::1",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn answers_are_good_for_as_long_as_their_server_says() {
        let headers = |lines: &[(&'static str, &'static str)]| -> HeaderMap {
            lines
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect()
        };
        let (date, later) =
            (("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("expires", "Sun, 06 Nov 1994 08:50:37 GMT"));
        for (lines, seconds) in [
            ([].as_slice(), Some(7)),
            (&[("cache-control", "public, max-age=60")], Some(60)),
            (&[("cache-control", "max-age=60, s-maxage=\"9\"")], Some(9)),
            (&[("cache-control", "max-age=60"), ("age", "50")], Some(10)),
            (&[("cache-control", "max-age=60"), ("age", "60")], None),
            (&[("cache-control", "max-age=60"), ("age", "odd")], None),
            (&[("cache-control", "max-age=99999999999")], Some(24 * 3600)),
            (&[("cache-control", "max-age=0")], None),
            (&[("cache-control", "max-age=x")], None),
            (&[("cache-control", "No-Cache")], None),
            (&[date, later], Some(60)),
            (&[date, later, ("cache-control", "max-age=5")], Some(5)),
            (&[later], None),
            (&[date, ("expires", "0")], None),
        ] {
            let left = fresh(&headers(lines), Duration::from_secs(7));
            assert_eq!(left, seconds.map(Duration::from_secs), "{lines:?}");
        }
    }
}
