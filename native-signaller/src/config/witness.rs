//! Web sites that publish nothing: which, and how much is asked of them.

use super::{PerMinute, Secret};
use crate::Error;
use core::net::IpAddr;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use swarmlet_core::Root;

/// Each has a client and a task of its own.
const ORIGINS_MAX: usize = 64;

/// The server fetches what visitors of these sites load often, once, and signs its hash. Without origins: nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Witness {
    /// An Ed25519 private key as `token --new-key` prints it. Each site gets a key that is derived from it.
    pub key: Secret,
    /// The sites: addresses such as `https://shop.example/`, and only what is below them.
    pub origins: Vec<String>,
    /// Different networks whose visitors must have loaded an object before it is fetched.
    pub demand: u32,
    /// Bytes of one object.
    pub object_bytes_max: u64,
    /// Objects of one site.
    pub objects_max: u32,
    /// Bytes of all objects of one site. Two thousandths of it are kept in memory.
    pub bytes_max: u64,
    /// How long an object is vouched for if its server does not say how long it is good.
    pub fresh_seconds: u32,
    /// Requests to one site.
    pub fetches: PerMinute,
    /// Sites may have addresses of this machine or of private networks.
    pub private_addresses: bool,
}

impl Default for Witness {
    fn default() -> Self {
        Self {
            key: Secret::default(),
            origins: Vec::new(),
            demand: 2,
            object_bytes_max: 64 << 20,
            objects_max: 256,
            bytes_max: 4 << 30,
            fresh_seconds: 3600,
            fetches: PerMinute { per_minute: 30, burst: 10 },
            private_addresses: false,
        }
    }
}

impl Witness {
    /// The sites, and the key that signs for each.
    pub(crate) fn sites(&self) -> Vec<(String, SigningKey)> {
        let Some(key) = self.secret() else { return Vec::new() };
        let derived = |origin: &String| {
            let hash =
                Sha256::new().chain_update(b"swarmlet witness").chain_update(key.0).chain_update(origin);
            (origin.clone(), SigningKey::from_bytes(&hash.finalize().into()))
        };
        self.origins.iter().map(derived).collect()
    }

    /// The first 64 hexadecimal digits: all of it, or what `--new-key` called private.
    fn secret(&self) -> Option<Root> {
        self.key.text().split_whitespace().find_map(Root::from_hex)
    }

    /// Says what is wrong with it.
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |text: String| Err(Error::Config(text));
        if self.origins.is_empty() {
            return Ok(());
        }
        if self.secret().is_none() {
            return wrong("witness.key is missing: 64 hexadecimal digits, or file:PATH".into());
        }
        if self.origins.len() > ORIGINS_MAX {
            return wrong(format!("witness.origins: at most {ORIGINS_MAX}"));
        }
        for origin in &self.origins {
            let Some(url) = reqwest::Url::parse(origin).ok().filter(|url| is_base(url, origin)) else {
                return wrong(format!(
                    "witness.origins: {origin} is no address such as https://shop.example/"
                ));
            };
            if !self.private_addresses && literal(&url).is_some_and(|ip| !crate::witness::is_public(ip)) {
                return wrong(format!(
                    "witness.origins: {origin} is a private address, which needs witness.private_addresses = true"
                ));
            }
        }
        if self.demand == 0 || self.objects_max == 0 || self.fetches.burst == 0 {
            return wrong(
                "witness.demand, witness.objects_max and witness.fetches.burst must not be 0".into(),
            );
        }
        Ok(())
    }
}

/// The address of a folder as it is written by everybody alike.
fn is_base(url: &reqwest::Url, text: &str) -> bool {
    let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    matches!(url.scheme(), "http" | "https")
        && bare
        && url.password().is_none()
        && url.path().ends_with('/')
        && url.as_str() == text
}

/// The host, where it is an address.
pub(crate) fn literal(url: &reqwest::Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}
