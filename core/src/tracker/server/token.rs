//! Join tokens: what a site's server gives to its visitors, and what a signaller lets them in for.
//!
//! ```text
//! h1.BODY.SEAL     HMAC-SHA256 with a secret that site and signaller share, 32 bytes
//! e1.BODY.SEAL     Ed25519 with the site's key, of which the signaller knows the public half, 64 bytes
//! ```
//! Both parts are base64url without padding. `BODY` is text such as
//! `site=https://shop.example&exp=1763700000`; the seal is over `swarmlet join `, the two characters of the kind, a
//! dot, and `BODY` as it stands in the token. Nothing is read before the seal is known to be good.

use super::Prefix;
use crate::id::ContentId;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use base64ct::{Base64UrlUnpadded, Encoding};
use core::fmt::{self, Display};
use core::net::IpAddr;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a secret, at least: below it, guessing is cheaper than asking.
pub const SECRET_BYTES_MIN: usize = 16;
/// Items of one list in a token.
const LIST_MAX: usize = 8;
/// Characters of a site's name.
const SITE_MAX: usize = 255;

/// What a token says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The page's origin as browsers write it: `https://shop.example`.
    pub site: String,
    /// Seconds since 1970, not good after.
    pub expires_s: u64,
    /// Where its bearer may connect from; empty: from everywhere.
    pub networks: Vec<Prefix>,
    /// What its bearer may ask for; empty: for everything.
    pub contents: Vec<ContentId>,
}

/// What a signaller judges tokens by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// For `h1`. Several, so that a new one can be brought in before the old one goes.
    pub secrets: Vec<Vec<u8>>,
    /// For `e1`.
    pub public: Vec<[u8; 32]>,
}

/// Names one token: the first bytes of its seal, which nobody can choose.
pub type TokenId = [u8; 16];

/// Why a token was not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenFault {
    /// None was shown.
    Missing,
    /// Not a token, or with claims that this version does not know.
    Malformed,
    /// No key of ours made it.
    Seal,
    /// Too late.
    Expired,
    /// Good for longer than this signaller allows.
    Lifetime,
    /// For the pages of another site.
    Site,
    /// For another network.
    Network,
    /// Used too often.
    Spent,
    /// The host has not said what time it is.
    Clock,
}

impl TokenFault {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Missing,
        Self::Malformed,
        Self::Seal,
        Self::Expired,
        Self::Lifetime,
        Self::Site,
        Self::Network,
        Self::Spent,
        Self::Clock,
    ];

    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Seal => "seal",
            Self::Expired => "expired",
            Self::Lifetime => "lifetime",
            Self::Site => "site",
            Self::Network => "network",
            Self::Spent => "spent",
            Self::Clock => "clock",
        }
    }
}

/// What makes tokens.
pub enum Minter<'a> {
    /// `h1`.
    Secret(&'a [u8]),
    /// `e1`.
    Key(&'a SigningKey),
}

impl Minter<'_> {
    /// Makes a token.
    #[must_use]
    pub fn mint(&self, claims: &Claims) -> String {
        let kind = match self {
            Self::Secret(_) => "h1",
            Self::Key(_) => "e1",
        };
        let body = Base64UrlUnpadded::encode_string(claims.to_string().as_bytes());
        let text = sealed_text(kind, &body);
        let seal = match self {
            Self::Secret(secret) => mac(secret, &text).finalize().into_bytes().to_vec(),
            Self::Key(key) => key.sign(&text).to_bytes().to_vec(),
        };
        [kind, ".", &body, ".", &Base64UrlUnpadded::encode_string(&seal)].concat()
    }
}

impl Keys {
    /// Whether every bearer is let in without a token.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.public.is_empty()
    }

    /// Reads a token that one of the keys made.
    ///
    /// # Errors
    /// `Missing`, `Malformed` or `Seal`.
    pub fn read(&self, token: &str) -> Result<(Claims, TokenId), TokenFault> {
        if token.is_empty() {
            return Err(TokenFault::Missing);
        }
        let mut parts = token.split('.');
        let (Some(kind), Some(body), Some(seal), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFault::Malformed);
        };
        let seal = Base64UrlUnpadded::decode_vec(seal).map_err(|_| TokenFault::Malformed)?;
        let text = sealed_text(kind, body);
        let good = match kind {
            "h1" => self.secrets.iter().any(|secret| mac(secret, &text).verify_slice(&seal).is_ok()),
            "e1" => self.public.iter().any(|key| signed(key, &text, &seal)),
            _ => return Err(TokenFault::Malformed),
        };
        let id = seal.first_chunk().copied().filter(|_| good).ok_or(TokenFault::Seal)?;
        let body = Base64UrlUnpadded::decode_vec(body).map_err(|_| TokenFault::Malformed)?;
        let claims = core::str::from_utf8(&body).ok().and_then(Claims::parse);
        claims.map(|claims| (claims, id)).ok_or(TokenFault::Malformed)
    }
}

fn sealed_text(kind: &str, body: &str) -> Vec<u8> {
    ["swarmlet join ", kind, ".", body].concat().into_bytes()
}

fn mac(secret: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of every length");
    mac.chain_update(text)
}

fn signed(key: &[u8; 32], text: &[u8], seal: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(key) else { return false };
    let Ok(signature) = ed25519_dalek::Signature::from_slice(seal) else { return false };
    key.verify_strict(text, &signature).is_ok()
}

impl Claims {
    /// Reads the body of a token. An unknown claim may be a restriction, so it is refused.
    fn parse(text: &str) -> Option<Self> {
        let mut claims = Self::default();
        let (mut seen_site, mut seen_exp) = (false, false);
        for pair in text.split('&') {
            let (key, value) = pair.split_once('=')?;
            match key {
                "site" if !seen_site => {
                    seen_site = true;
                    claims.site = Some(value).filter(|site| is_site(site))?.to_string();
                }
                "exp" if !seen_exp => {
                    seen_exp = true;
                    claims.expires_s = crate::util::text::number(value.as_bytes(), u64::MAX)?;
                }
                "net" if claims.networks.is_empty() => {
                    claims.networks = list(value, |item| item.parse().ok())?;
                }
                "content" if claims.contents.is_empty() => {
                    claims.contents = list(value, ContentId::from_hex)?;
                }
                _ => return None,
            }
        }
        (seen_site && seen_exp).then_some(claims)
    }

    /// Whether the token is good now, and for who shows it. `lifetime_s` and `skew_s` are what the signaller
    /// allows; `origin` is `None` for programs that are no pages.
    ///
    /// # Errors
    /// `Lifetime`, `Site` or `Network`; `Expired` only where nothing else is wrong.
    pub fn check(
        &self,
        now_s: u64,
        (lifetime_s, skew_s): (u32, u32),
        address: Option<IpAddr>,
        origin: Option<&str>,
    ) -> Result<(), TokenFault> {
        let latest = now_s.saturating_add(lifetime_s.into()).saturating_add(skew_s.into());
        if self.expires_s > latest {
            return Err(TokenFault::Lifetime);
        }
        if origin.is_some_and(|origin| origin != self.site) {
            return Err(TokenFault::Site);
        }
        let is_near = |address: IpAddr| self.networks.iter().any(|network| network.contains(address));
        if !self.networks.is_empty() && !address.is_some_and(is_near) {
            return Err(TokenFault::Network);
        }
        if now_s > self.expires_s.saturating_add(skew_s.into()) {
            return Err(TokenFault::Expired);
        }
        Ok(())
    }
}

/// The body of a token.
impl Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "site={}&exp={}", self.site, self.expires_s)?;
        for (at, network) in self.networks.iter().enumerate() {
            write!(f, "{}{network}", if at == 0 { "&net=" } else { "," })?;
        }
        for (at, content) in self.contents.iter().enumerate() {
            f.write_str(if at == 0 { "&content=" } else { "," })?;
            content.fmt(f)?;
        }
        Ok(())
    }
}

/// Whether text can be an origin: nothing that means something in a token.
#[must_use]
pub fn is_site(text: &str) -> bool {
    let plain =
        |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b':' | b'/' | b'[' | b']' | b'_');
    !text.is_empty() && text.len() <= SITE_MAX && text.bytes().all(plain)
}

fn list<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let items: Vec<T> = text.split(',').take(LIST_MAX + 1).map(read).collect::<Option<_>>()?;
    (items.len() <= LIST_MAX).then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::vec;

    const SECRET: &[u8] = b"a secret of thirty-two characters";
    /// Made by Node.js: docs/OPERATING.md.
    const BY_SECRET: &str = concat!(
        "h1.c2l0ZT1odHRwczovL3Nob3AuZXhhbXBsZSZleHA9MTc2MzcwMDAwMA.0RdYtp2GlMH6Qaag1aqmvv7qFm9k8z",
        "F5JdlJwY5o8R4",
    );
    const BY_KEY: &str = concat!(
        "e1.c2l0ZT1odHRwczovL3Nob3AuZXhhbXBsZSZleHA9MTc2MzcwMDAwMCZuZXQ9MjAzLjAuMTEzLjAvMjQsMjAwM",
        "TpkYjg6Oi8zMiZjb250ZW50PTVhNWE1YTVhNWE1YTVhNWE1YTVhNWE1YTVhNWE1YTVhNWE1YTVhNWE1YTVhNWE1Y",
        "TVhNWE1YTVhNWE1YTVhNWE.cSIfTzKWO_ew0-DE42Kct4bNTvl6m1ePlew4RJSdtQZihmAxRNB0mtT1ZYZoQ5x1J",
        "Df-H5G4GF8qi_LuYqGEDw",
    );
    const PUBLIC: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";
    const EXPIRES: u64 = 1_763_700_000;

    fn keys() -> Keys {
        let mut public = [0; 32];
        crate::util::text::hex(PUBLIC.as_bytes(), &mut public).unwrap();
        Keys { secrets: vec![b"an older secret, still good".to_vec(), SECRET.to_vec()], public: vec![public] }
    }

    fn claims() -> Claims {
        let site = "https://shop.example".to_string();
        Claims { site, expires_s: EXPIRES, ..Claims::default() }
    }

    #[test]
    fn tokens_of_other_programs_are_read_and_made_byte_for_byte() {
        let (read, _) = keys().read(BY_SECRET).unwrap();
        assert_eq!(read, claims());
        assert_eq!(Minter::Secret(SECRET).mint(&read), BY_SECRET);
        let (read, _) = keys().read(BY_KEY).unwrap();
        let networks = vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        assert_eq!(read, Claims { networks, contents: vec![ContentId([0x5a; 32])], ..claims() });
        assert_eq!(Minter::Key(&SigningKey::from_bytes(&[7; 32])).mint(&read), BY_KEY);
    }

    #[test]
    fn every_changed_character_breaks_a_token() {
        for token in [BY_SECRET, BY_KEY] {
            for at in 0..token.len() {
                let mut changed = token.as_bytes().to_vec();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                let changed = core::str::from_utf8(&changed).unwrap();
                assert!(keys().read(changed).is_err(), "{at}: {changed}");
            }
            assert!(keys().read(&format!("{token}=")).is_err());
            assert!(keys().read(&format!("{token}.")).is_err());
            assert_eq!(Keys::default().read(token), Err(TokenFault::Seal));
        }
        assert_eq!(keys().read(""), Err(TokenFault::Missing));
        for rubbish in ["a", "..", "h1..", "x1.YQ.YQ", "h1.YQ.YQ"] {
            assert!(keys().read(rubbish).is_err(), "{rubbish}");
        }
        // One kind of seal is no other: a public key is no secret.
        let confused = Keys { secrets: vec![keys().public[0].to_vec()], public: Vec::new() };
        assert_eq!(confused.read(BY_KEY), Err(TokenFault::Seal));
    }

    #[test]
    fn what_a_body_may_say() {
        for bad in [
            "",
            "site=https://a.example",
            "exp=1",
            "site=&exp=1",
            "site=https://a.example&exp=1&later=x",
            "site=https://a.example&exp=1&exp=2",
            "site=https://a.example&exp=-1",
            "site=https://a.example&exp=99999999999999999999",
            "site=https://a example&exp=1",
            "site=https://a.example&exp=1&net=",
            "site=https://a.example&exp=1&net=10.0.0.0/8&net=10.0.0.0/8",
            "site=https://a.example&exp=1&content=00",
            "site=https://a.example&exp=1&net=1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1",
            "site=https://a.example&exp=1\0",
        ] {
            assert_eq!(Claims::parse(bad), None, "{bad}");
        }
        assert!(Claims::parse("exp=1&site=http://[::1]:8787").is_some(), "in any order");
    }

    #[test]
    fn time_site_and_network_are_checked() {
        let near = "203.0.113.9".parse().ok();
        let claims = Claims { networks: vec!["203.0.113.0/24".parse().unwrap()], ..claims() };
        let site = Some("https://shop.example");
        let check = |now, address, origin| claims.check(now, (600, 60), address, origin);
        for (now, result) in [
            (EXPIRES - 661, Err(TokenFault::Lifetime)),
            (EXPIRES - 660, Ok(())),
            (EXPIRES, Ok(())),
            (EXPIRES + 60, Ok(())),
            (EXPIRES + 61, Err(TokenFault::Expired)),
            (u64::MAX, Err(TokenFault::Expired)),
            (0, Err(TokenFault::Lifetime)),
        ] {
            assert_eq!(check(now, near, site), result, "{now}");
        }
        assert_eq!(check(EXPIRES, near, None), Ok(()), "programs say no origin");
        assert_eq!(check(EXPIRES, near, Some("https://shop.example.evil")), Err(TokenFault::Site));
        assert_eq!(check(EXPIRES, "203.0.114.9".parse().ok(), site), Err(TokenFault::Network));
        assert_eq!(check(EXPIRES, None, site), Err(TokenFault::Network), "nowhere is not near");
        let endless = Claims { expires_s: u64::MAX, ..claims.clone() };
        assert_eq!(endless.check(1, (600, 60), near, site), Err(TokenFault::Lifetime), "nothing overflows");
    }
}
