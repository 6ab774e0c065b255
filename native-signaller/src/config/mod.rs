//! The configuration: one TOML file, then `SWARMLET_*` variables, then flags, the later the stronger.
//! Unknown keys in the file are refused, so that a typing error is not a silent default.

mod check;
mod load;
mod values;
mod witness;

pub use values::{Content, Network, Secret};
pub use witness::Witness;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use swarmlet_core::ContentId;
use swarmlet_core::tracker::server::{Rate, ServerConfig, TokenRules};

/// Everything that an operator may set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub addr: SocketAddr,
    /// Where metrics, health and the status page are. Empty: nowhere.
    #[serde(with = "values::optional")]
    pub admin_addr: Option<SocketAddr>,
    /// The folder of the page. Empty: the page that is in the program.
    pub www: PathBuf,
    /// Folders to offer as shares over HTTP.
    pub share: Vec<PathBuf>,
    /// Folders or files to offer as shares as a peer, with HTTP for those whom no peer reaches.
    pub seed: Vec<PathBuf>,
    /// How others reach this server. Empty: as the `Host` header of each request says.
    pub public_url: String,
    /// The signaller that this server is an anchor for, as `wss://swarm.example/signal`: the peer with what is seeded is there,
    /// too, and tells whom it is linked with that `public_url` helps when that signaller is gone. Empty: of none.
    pub anchor_of: String,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: addresses, or networks as
    /// `10.0.0.0/8`.
    pub proxies: Vec<Network>,
    /// Pages that may use the signaller, as browsers write `Origin`. Empty: all.
    pub origins: Vec<String>,
    /// Serve everybody for everything, although the address is public and nothing else limits it.
    pub open: bool,
    /// What is served: content ids or magnet links. Empty: everything, if anything else limits who comes.
    pub contents: Vec<Content>,
    /// Web sites that are served, by the public keys that sign for them, 64 hexadecimal digits each: what their visitors
    /// share, and their live streams.
    pub sites: Vec<String>,
    /// From SIGTERM to the end.
    pub drain_seconds: u32,
    /// What to log.
    pub log: String,
    /// One JSON object for each line.
    pub log_json: bool,
    /// The certificate, if TLS is spoken here.
    pub tls: Tls,
    /// Who is let in.
    pub tokens: Tokens,
    /// The built-in STUN server.
    pub stun: Stun,
    /// A TURN server of the operator's.
    pub turn: Turn,
    /// Sites that publish nothing, and are vouched for by this server.
    pub witness: Witness,
    /// Other servers for the same swarms.
    pub cluster: Cluster,
    /// What one connection may do to the server.
    pub socket: Socket,
    /// What one peer may do to others.
    pub limits: Limits,
}

/// PEM files. Both, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those that vouch for it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Which join tokens are good. Without keys nobody needs one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// Shared with the servers of sites, for HMAC-SHA256.
    pub secrets: Vec<Secret>,
    /// Ed25519 public keys of sites, 64 hexadecimal digits each.
    pub public_keys: Vec<String>,
    /// How far ahead a token may expire.
    pub lifetime_seconds: u32,
    /// How far clocks may be apart.
    pub skew_seconds: u32,
    /// How long a peer that was in may come back with a token that has expired meanwhile.
    pub resume_seconds: u32,
    /// How often one token lets somebody in.
    pub uses_max: u32,
    /// Different peers that the bearers of one token are told of in an hour.
    pub peers_per_hour_max: u32,
}

/// STUN tells a browser its public address, which it otherwise would ask a third party for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stun {
    /// Where to listen, UDP. Empty: not at all.
    #[serde(with = "values::optional")]
    pub addr: Option<SocketAddr>,
    /// What pages are told, as `stun:swarm.example:3478`. Empty: this host's name and the port of `addr`.
    pub url: String,
    /// Answers to one IPv4 address or IPv6 /64.
    pub answers: PerMinute,
}

/// Credentials for a relay that shares a secret with us (coturn: `use-auth-secret`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    /// As `turns:turn.example:443?transport=tcp`.
    pub urls: Vec<String>,
    /// coturn's `static-auth-secret`.
    pub secret: Secret,
    /// How long credentials are good for.
    pub lifetime_seconds: u32,
}

/// Several servers for one crowd of clients: whoever connects to one meets those of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// The Redis or Valkey that all nodes use, as `redis://:password@10.0.0.5:6379`. Empty: this server is alone.
    pub url: Secret,
    /// What this node is called in logs and metrics. Empty: a number by chance.
    pub node: String,
    /// What names in Redis begin with. Nodes with the same one find each other.
    pub prefix: String,
}

/// Connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Socket {
    /// TCP connections, for pages too. Each costs a descriptor.
    pub connections_max: u32,
    /// For the headers of a request.
    pub header_seconds: u32,
    /// Connections of one IPv4 address or IPv6 /64 that have asked for nothing yet.
    pub half_open_per_network_max: u32,
    /// WebSockets that may be opened, by all together. Others are told to come back.
    pub opens: PerMinute,
    /// WebSockets that one IPv4 address or IPv6 /64 may open. Others of it are told to come back.
    pub opens_per_network: PerMinute,
    /// Between pings.
    pub ping_seconds: u32,
    /// Without a sign of life, pongs count.
    pub idle_seconds: u32,
    /// Messages that wait for a slow reader.
    pub queue_messages: u32,
    /// Bytes that wait for a slow reader.
    pub queue_bytes: u32,
}

/// The tracker's limits; see `ServerConfig` of the core for what each means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "one for one the fields of ServerConfig")]
pub struct Limits {
    pub hello_seconds: u32,
    pub connections_max: u32,
    pub connections_per_network_max: u32,
    pub swarms_max: u32,
    pub memberships_max: u32,
    pub strict_candidates: bool,
    pub relays: Vec<IpAddr>,
    pub webtorrent_interval_seconds: u32,
    pub lists: PerMinute,
    pub swarms_per_connection_max: u32,
    pub peers_answer_max: u8,
    pub messages: PerMinute,
    pub knocks: PerMinute,
    pub offers: PerMinute,
    pub introductions: PerMinute,
    pub details: PerMinute,
}

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerMinute {
    /// In the long run.
    pub per_minute: u32,
    /// At once.
    pub burst: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addr: (Ipv4Addr::LOCALHOST, 8787).into(),
            admin_addr: None,
            www: PathBuf::new(),
            share: Vec::new(),
            seed: Vec::new(),
            public_url: String::new(),
            anchor_of: String::new(),
            proxies: Vec::new(),
            origins: Vec::new(),
            open: false,
            contents: Vec::new(),
            sites: Vec::new(),
            drain_seconds: 10,
            log: "info".to_owned(),
            log_json: false,
            tls: Tls::default(),
            tokens: Tokens::default(),
            stun: Stun::default(),
            turn: Turn::default(),
            witness: Witness::default(),
            cluster: Cluster::default(),
            socket: Socket::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        let TokenRules { lifetime_s, skew_s, resume_s, uses_max, peers_per_hour_max, .. } =
            TokenRules::default();
        let (secrets, public_keys) = (Vec::new(), Vec::new());
        Self {
            secrets,
            public_keys,
            lifetime_seconds: lifetime_s,
            skew_seconds: skew_s,
            resume_seconds: resume_s,
            uses_max,
            peers_per_hour_max,
        }
    }
}

impl Default for Stun {
    fn default() -> Self {
        // A browser asks two or three times for each connection; an office shares one address.
        Self { addr: None, url: String::new(), answers: PerMinute { per_minute: 300, burst: 100 } }
    }
}

impl Default for Turn {
    fn default() -> Self {
        Self { urls: Vec::new(), secret: Secret::default(), lifetime_seconds: 600 }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self { url: Secret::default(), node: String::new(), prefix: "swarmlet".to_owned() }
    }
}

impl Default for Socket {
    fn default() -> Self {
        Self {
            connections_max: 100_000,
            header_seconds: 5,
            half_open_per_network_max: 16,
            opens: PerMinute { per_minute: 30_000, burst: 1000 },
            // Twice as many as one network may have at once: an office comes back after an outage without a wait.
            opens_per_network: PerMinute { per_minute: 120, burst: 128 },
            ping_seconds: 25,
            idle_seconds: 60,
            queue_messages: 256,
            queue_bytes: 64 * 1024,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let core = ServerConfig::default();
        Self {
            hello_seconds: u32::try_from(core.hello_deadline.as_secs()).unwrap_or(u32::MAX),
            connections_max: core.connections_max,
            connections_per_network_max: core.connections_per_network_max,
            swarms_max: core.swarms_max,
            memberships_max: core.memberships_max,
            strict_candidates: core.strict_candidates,
            relays: core.relays,
            webtorrent_interval_seconds: u32::try_from(core.webtorrent_interval.as_secs())
                .unwrap_or(u32::MAX),
            lists: core.lists.into(),
            swarms_per_connection_max: core.swarms_per_connection_max,
            peers_answer_max: core.peers_answer_max,
            messages: core.messages.into(),
            knocks: core.knocks.into(),
            offers: core.offers.into(),
            introductions: core.introductions.into(),
            details: core.details.into(),
        }
    }
}

impl From<Rate> for PerMinute {
    fn from(Rate { per_minute, burst }: Rate) -> Self {
        Self { per_minute, burst }
    }
}

impl From<PerMinute> for Rate {
    fn from(PerMinute { per_minute, burst }: PerMinute) -> Self {
        Self { per_minute, burst }
    }
}

impl Config {
    /// The whole, as a file. Secrets are not shown.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration has only what TOML can say")
    }

    /// The part that the tracker takes. `shares` are what this server offers itself.
    #[must_use]
    pub fn tracker(&self, shares: &[ContentId]) -> ServerConfig {
        let limits = &self.limits;
        ServerConfig {
            tokens: self.tokens.rules(),
            hello_deadline: Duration::from_secs(limits.hello_seconds.into()),
            connections_max: limits.connections_max,
            connections_per_network_max: limits.connections_per_network_max,
            swarms_max: limits.swarms_max,
            memberships_max: limits.memberships_max,
            served: self.served(shares),
            strict_candidates: limits.strict_candidates,
            relays: limits.relays.clone(),
            webtorrent_interval: Duration::from_secs(limits.webtorrent_interval_seconds.into()),
            lists: limits.lists.into(),
            swarms_per_connection_max: limits.swarms_per_connection_max,
            peers_answer_max: limits.peers_answer_max,
            messages: limits.messages.into(),
            knocks: limits.knocks.into(),
            offers: limits.offers.into(),
            introductions: limits.introductions.into(),
            details: limits.details.into(),
        }
    }
}
