//! What a page needs to reach others: our own STUN, so that no third party learns who visits, and credentials for the
//! operator's TURN server, which are good for minutes and bound to nobody's name.

use crate::{State, caller};
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use core::net::SocketAddr;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes of chance in a user name: coturn counts allocations by it.
const NAME_BYTES: usize = 12;

/// `GET /swarmlet/config.json`.
pub(crate) async fn config(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let config = state.config();
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let is_listed = |origin: &str| config.origins.iter().any(|listed| listed == origin);
    // Same-origin requests carry no `Origin`.
    if !config.origins.is_empty() && origin.is_some_and(|origin| !is_listed(origin)) {
        return (StatusCode::FORBIDDEN, "this origin is not served here\n").into_response();
    }
    let mut servers: Vec<Value> = Vec::new();
    let host = caller::base_url(
        &config.public_url,
        peer.ip(),
        &headers,
        &config.proxies,
        state.certificate.is_some(),
    );
    if let Some(addr) = config.stun.addr
        && let Some(url) = stun_url(&config.stun.url, host.as_deref(), addr.port())
    {
        servers.push(json!({ "urls": [url] }));
    }
    let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if !config.turn.urls.is_empty() && is_admitted(&state, &headers, peer, origin, now_s) {
        let mut name = [0; NAME_BYTES];
        if getrandom::fill(&mut name).is_ok() {
            let (username, credential) =
                credential(config.turn.secret.text(), now_s + u64::from(config.turn.lifetime_seconds), &name);
            servers.push(json!({ "urls": config.turn.urls, "username": username, "credential": credential }));
        }
    }
    let body = json!({ "iceServers": servers, "ttl": config.turn.lifetime_seconds });
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body.to_string())
        .into_response()
}

/// Relays cost the operator money, so where tokens are asked for, they are asked for here, too.
fn is_admitted(
    state: &State,
    headers: &HeaderMap,
    peer: SocketAddr,
    origin: Option<&str>,
    now_s: u64,
) -> bool {
    let config = state.config();
    if config.tokens.is_empty() {
        return true;
    }
    let rules = config.tokens.rules();
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("");
    let address = caller::address(peer.ip(), headers, &config.proxies);
    let limits = (rules.lifetime_s, rules.skew_s);
    let checked =
        rules.keys.read(token).and_then(|(claims, _)| claims.check(now_s, limits, Some(address), origin));
    checked.is_ok()
}

/// The name of this host as the page knows it, and the port of STUN.
fn stun_url(given: &str, base: Option<&str>, port: u16) -> Option<String> {
    if !given.is_empty() {
        return Some(given.to_owned());
    }
    let host = base?.split("://").nth(1)?.split('/').next()?;
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|c| c.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    Some(format!("stun:{name}:{port}"))
}

/// What coturn calls the TURN REST API: the name says until when, and the password is its HMAC-SHA1.
fn credential(secret: &str, expires_s: u64, name: &[u8]) -> (String, String) {
    let username = format!("{expires_s}:{}", Base64UrlUnpadded::encode_string(name));
    let mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of every length");
    let mac = mac.chain_update(username.as_bytes()).finalize().into_bytes();
    (username, Base64::encode_string(&mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_that_coturn_computes() {
        let (username, password) = credential("north", 1_763_700_000, b"visitor");
        assert_eq!(username, "1763700000:dmlzaXRvcg");
        // printf %s 1763700000:dmlzaXRvcg | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(password, "Lqscb8ZZ0VJOtLLLBx7kxWJcvgI=");
    }

    #[test]
    fn stun_is_where_the_page_is() {
        let url = |base| stun_url("", Some(base), 3478);
        assert_eq!(url("https://swarm.example").as_deref(), Some("stun:swarm.example:3478"));
        assert_eq!(url("http://127.0.0.1:8787/x").as_deref(), Some("stun:127.0.0.1:3478"));
        assert_eq!(url("http://[::1]:8787").as_deref(), Some("stun:[::1]:3478"));
        assert_eq!(url("http://[::1]").as_deref(), Some("stun:[::1]:3478"));
        assert_eq!(stun_url("stun:a.example", None, 1).as_deref(), Some("stun:a.example"));
        assert_eq!(stun_url("", None, 1), None);
    }
}
