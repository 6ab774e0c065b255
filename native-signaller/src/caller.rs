//! Who asks, and what they call us: through proxies that are trusted, and not through others.

use crate::config::Network;
use axum::http::{HeaderMap, HeaderValue, header};
use core::net::IpAddr;

/// The right-most address of `X-Forwarded-For` that is none of our proxies; anybody can write the others.
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let forwarded: Vec<&[u8]> =
        headers.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes).collect();
    forwarded_for(peer, &forwarded, proxies)
}

/// The same from the bare values of the header.
pub(crate) fn forwarded_for(peer: IpAddr, values: &[&[u8]], proxies: &[Network]) -> IpAddr {
    let peer = peer.to_canonical();
    if !Network::any(proxies, peer) {
        return peer;
    }
    let values = values.iter().filter_map(|value| core::str::from_utf8(value).ok());
    let hops: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
    let mut caller = peer;
    for hop in hops.iter().rev() {
        let Ok(ip) = hop.trim().parse::<IpAddr>() else { break };
        caller = ip.to_canonical();
        if !Network::any(proxies, caller) {
            break;
        }
    }
    caller
}

/// The address of this server as the caller wrote it, without a slash at the end. `None` when the `Host`
/// header could smuggle anything into an address.
pub(crate) fn base_url(
    public_url: &str,
    peer: IpAddr,
    headers: &HeaderMap,
    proxies: &[Network],
    tls: bool,
) -> Option<String> {
    if !public_url.is_empty() {
        return Some(public_url.trim_end_matches('/').to_owned());
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b':' | b'[' | b']');
    if host.is_empty() || host.len() > 255 || !host.bytes().all(is_plain) {
        return None;
    }
    let forwarded = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let tls = tls || (forwarded && Network::any(proxies, peer));
    Some(format!("{}://{host}", if tls { "https" } else { "http" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn forwarded_addresses_count_from_trusted_proxies_only() {
        let proxies = ["10.0.0.1".parse().unwrap(), "10.0.0.2/31".parse().unwrap()];
        for (peer, forwarded, caller) in [
            ("8.8.8.8", "1.1.1.1", "8.8.8.8"),
            ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
            ("::ffff:10.0.0.1", "1.1.1.1", "1.1.1.1"),
            ("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
            ("10.0.0.1", "6.6.6.6, rubbish", "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
        ] {
            let headers = headers(&[("x-forwarded-for", forwarded)]);
            let got = address(peer.parse().unwrap(), &headers, &proxies);
            assert_eq!(got, caller.parse::<IpAddr>().unwrap(), "{peer} {forwarded}");
        }
    }

    #[test]
    fn the_base_is_what_the_caller_wrote_if_it_is_plain() {
        let peer: IpAddr = "127.0.0.1".parse().unwrap();
        let base = |host: &str| base_url("", peer, &headers(&[("host", host)]), &[], false);
        assert_eq!(base("127.0.0.1:8787").unwrap(), "http://127.0.0.1:8787");
        assert_eq!(base("[::1]:1").unwrap(), "http://[::1]:1");
        for bad in ["", "a/b", "a b", "a@b", "a\"b", "é", &"a".repeat(256)] {
            assert_eq!(base(bad), None, "{bad}");
        }
        let tls = headers(&[("host", "a.example"), ("x-forwarded-proto", "https")]);
        assert_eq!(base_url("", peer, &tls, &[], false).unwrap(), "http://a.example");
        assert_eq!(
            base_url("", peer, &tls, &["127.0.0.0/8".parse().unwrap()], false).unwrap(),
            "https://a.example"
        );
        assert_eq!(base_url("https://x/", peer, &tls, &[], false).unwrap(), "https://x");
    }
}
