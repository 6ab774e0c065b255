//! What makes a configuration a good one, and what follows from it.

use super::{Config, Tokens};
use crate::Error;
use core::net::IpAddr;
use std::collections::BTreeSet;
use swarmlet_core::content::{site_topic, topic_of};
use swarmlet_core::overlay::anchors::is_address;
use swarmlet_core::tracker::server::token::{Keys, SECRET_BYTES_MIN, is_site};
use swarmlet_core::tracker::server::{Served, TokenRules};
use swarmlet_core::wire::bus::NODE_NAME_MAX;
use swarmlet_core::wire::webtorrent::InfoHash;
use swarmlet_core::{ContentId, Root};

fn wrong<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Config(text.into()))
}

/// Whether an address is of this machine or of a private network.
pub(super) const fn is_near(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

impl Config {
    /// Says what is wrong with it, in one line.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.check_reach()?;
        self.check_sockets()?;
        self.tokens.check()?;
        self.cluster.check()?;
        self.witness.check()?;
        if self.tls.cert.as_os_str().is_empty() != self.tls.key.as_os_str().is_empty() {
            return wrong("tls.cert and tls.key: both, or none");
        }
        if !self.stun.url.is_empty() && (self.stun.addr.is_none() || !self.stun.url.starts_with("stun:")) {
            return wrong("stun.url must begin with stun: and needs stun.addr");
        }
        if self.turn.urls.iter().any(|url| !url.starts_with("turn:") && !url.starts_with("turns:")) {
            return wrong("turn.urls must begin with turn: or turns:");
        }
        if !self.turn.urls.is_empty() && self.turn.secret.text().is_empty() {
            return wrong("turn.secret is missing");
        }
        Ok(())
    }

    fn check_reach(&self) -> Result<(), Error> {
        let url = &self.public_url;
        if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
            return wrong("public_url must begin with http:// or https://");
        }
        let is_socket = self.anchor_of.starts_with("ws://") || self.anchor_of.starts_with("wss://");
        if !self.anchor_of.is_empty() && (!is_socket || self.anchor().is_none() || self.seed.is_empty()) {
            return wrong(
                "anchor_of is the address of a signaller, ws:// or wss://, and needs seed and a public_url with https:// and no path",
            );
        }
        let is_origin = |text: &str| text.split_once("://").is_some_and(|(_, host)| !host.contains('/'));
        if let Some(bad) = self.origins.iter().find(|origin| !is_site(origin) || !is_origin(origin)) {
            return wrong(format!("origins: {bad} is not an origin such as https://site.example"));
        }
        if self.sites.iter().any(|key| Root::from_hex(key).is_none()) {
            return wrong("sites: 64 hexadecimal digits each, the public key that signs for the site");
        }
        let listed = !self.contents.is_empty() || !self.sites.is_empty() || !self.witness.origins.is_empty();
        let limited = listed || !self.tokens.is_empty();
        let offers = !self.share.is_empty() || !self.seed.is_empty();
        if self.is_public() && !self.open && !limited && !offers {
            return wrong(
                "others can reach this server, and nothing says whom it is for: set tokens, sites, contents, share or seed, or \
                 open = true (--open) to serve everybody",
            );
        }
        Ok(())
    }

    fn check_sockets(&self) -> Result<(), Error> {
        if self.socket.idle_seconds <= self.socket.ping_seconds || self.socket.ping_seconds == 0 {
            return wrong("socket.idle_seconds must be above socket.ping_seconds, which must not be 0");
        }
        if self.socket.queue_messages == 0 || self.socket.queue_bytes < 16 * 1024 {
            return wrong("socket.queue_messages must not be 0, socket.queue_bytes at least 16384");
        }
        if self.socket.connections_max == 0 || self.socket.header_seconds == 0 {
            return wrong("socket.connections_max and socket.header_seconds must not be 0");
        }
        Ok(())
    }

    /// Whether strangers can come here: by the address, or through a proxy.
    fn is_public(&self) -> bool {
        let host = self.public_url.split("://").nth(1).unwrap_or("localhost");
        let host = host.split('/').next().unwrap_or("");
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is_local = name == "localhost" || name.trim_matches(['[', ']']).parse().is_ok_and(is_near);
        !is_near(self.addr.ip()) || !self.proxies.is_empty() || !is_local
    }

    /// The swarms that are served. The server's own shares are, always.
    #[must_use]
    pub(crate) fn served(&self, shares: &[ContentId]) -> Served {
        let unlimited = self.open || !self.tokens.is_empty() || !self.is_public();
        if self.contents.is_empty() && self.sites.is_empty() && unlimited {
            return Served::All;
        }
        let (mut topics, mut info_hashes) = (BTreeSet::new(), BTreeSet::new());
        topics.extend(self.site_keys().map(|key| site_topic(&key)));
        topics
            .extend(self.witness.sites().iter().map(|(_, key)| site_topic(&key.verifying_key().to_bytes())));
        for content in self.contents.iter().map(|content| content.0).chain(shares.iter().copied()) {
            topics.insert(topic_of(&content));
            info_hashes.insert(InfoHash::of(&content));
        }
        Served::Only { topics, info_hashes }
    }

    fn site_keys(&self) -> impl Iterator<Item = [u8; 32]> {
        self.sites.iter().filter_map(|key| Root::from_hex(key)).map(|key| key.0)
    }

    /// Whether a live stream that this key signs may be told of here.
    pub(crate) fn may_publish(&self, key: &[u8; 32]) -> bool {
        let everybodys = self.tokens.is_empty() && matches!(self.served(&[]), Served::All);
        everybodys
            || self.site_keys().any(|site| site == *key)
            || self.tokens.rules().keys.public.contains(key)
    }

    /// Where pages find this signaller when theirs is gone, if it can be told.
    #[must_use]
    pub fn anchor(&self) -> Option<String> {
        let rest = self.public_url.trim_end_matches('/').strip_prefix("http")?;
        Some(format!("ws{rest}/signal")).filter(|address| is_address(address))
    }

    /// Keys that differ and that a running server cannot take over.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let fixed = [
            ("addr", self.addr != new.addr),
            ("admin_addr", self.admin_addr != new.admin_addr),
            ("www", self.www != new.www),
            ("share", self.share != new.share),
            ("seed", self.seed != new.seed),
            ("anchor_of", self.anchor_of != new.anchor_of),
            ("log", self.log != new.log),
            ("log_json", self.log_json != new.log_json),
            ("tls (on or off)", self.tls.is_on() != new.tls.is_on()),
            ("cluster", self.cluster != new.cluster),
            ("witness", self.witness != new.witness),
            ("stun.addr", self.stun.addr != new.stun.addr),
            ("socket.connections_max", self.socket.connections_max != new.socket.connections_max),
            ("socket.queue_messages", self.socket.queue_messages != new.socket.queue_messages),
            ("socket.queue_bytes", self.socket.queue_bytes != new.socket.queue_bytes),
        ];
        fixed.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}

impl super::Cluster {
    fn check(&self) -> Result<(), Error> {
        let is_name = |text: &str| {
            let plain = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
            text.len() <= NODE_NAME_MAX && text.bytes().all(plain)
        };
        if !self.url.text().is_empty() && !crate::cluster::is_url(self.url.text()) {
            return wrong("cluster.url must be redis://[user:password@]host[:port][/number], without TLS");
        }
        if !is_name(&self.node) || !is_name(&self.prefix) || self.prefix.is_empty() {
            return wrong(
                "cluster.node and cluster.prefix: at most 64 letters, digits, dots, dashes, underscores",
            );
        }
        Ok(())
    }
}

impl super::Tls {
    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.cert.as_os_str().is_empty()
    }
}

impl Tokens {
    /// Whether nobody needs one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.secrets.is_empty() && self.public_keys.is_empty()
    }

    fn check(&self) -> Result<(), Error> {
        if self.secrets.iter().any(|secret| secret.text().len() < SECRET_BYTES_MIN) {
            return wrong(format!("tokens.secrets: at least {SECRET_BYTES_MIN} characters each"));
        }
        if self.public_keys.iter().any(|key| ContentId::from_hex(key).is_none()) {
            return wrong("tokens.public_keys: 64 hexadecimal digits each");
        }
        if self.uses_max == 0 || self.lifetime_seconds == 0 {
            return wrong("tokens.uses_max and tokens.lifetime_seconds must not be 0");
        }
        Ok(())
    }

    /// As the tracker wants them.
    #[must_use]
    pub fn rules(&self) -> TokenRules {
        let public = self.public_keys.iter().filter_map(|key| ContentId::from_hex(key)).map(|key| key.0);
        TokenRules {
            keys: Keys {
                secrets: self.secrets.iter().map(|secret| secret.text().as_bytes().to_vec()).collect(),
                public: public.collect(),
            },
            lifetime_s: self.lifetime_seconds,
            skew_s: self.skew_seconds,
            resume_s: self.resume_seconds,
            uses_max: self.uses_max,
            peers_per_hour_max: self.peers_per_hour_max,
        }
    }
}
