//! The configuration: one TOML file, then `SWARMLET_*` variables, then flags, the later the stronger.
//! Unknown keys in the file are refused, so that a typing error is not a silent default.

use crate::Error;
use crate::cli::Options;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use swarmlet_core::tracker::server::{Rate, Served, ServerConfig};
use toml::{Table, Value};

/// Everything that an operator may set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub addr: SocketAddr,
    /// The folder of the page. Empty: `www` here, if there is one.
    pub www: PathBuf,
    /// Folders to offer as shares over HTTP.
    pub share: Vec<PathBuf>,
    /// Folders or files to offer as shares as a peer, with HTTP for those whom no peer reaches.
    pub seed: Vec<PathBuf>,
    /// How others reach this server. Empty: as the `Host` header of each request says.
    pub public_url: String,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub proxies: Vec<IpAddr>,
    /// Pages that may use the signaller, as browsers write `Origin`. Empty: all.
    pub origins: Vec<String>,
    /// Tokens that let a peer in. Empty: all peers.
    pub tokens: Vec<String>,
    /// From SIGTERM to the end.
    pub drain_seconds: u32,
    /// What to log.
    pub log: String,
    /// One JSON object for each line.
    pub log_json: bool,
    /// What one connection may do to the server.
    pub socket: Socket,
    /// What one peer may do to others.
    pub limits: Limits,
}

/// Connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Socket {
    /// TCP connections, for pages too. Each costs a descriptor.
    pub connections_max: u32,
    /// For the headers of a request.
    pub header_seconds: u32,
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
            www: PathBuf::new(),
            share: Vec::new(),
            seed: Vec::new(),
            public_url: String::new(),
            proxies: Vec::new(),
            origins: Vec::new(),
            tokens: Vec::new(),
            drain_seconds: 10,
            log: "info".to_owned(),
            log_json: false,
            socket: Socket::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Socket {
    fn default() -> Self {
        Self {
            connections_max: 100_000,
            header_seconds: 5,
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
    /// Reads the file that the flags name and lays environment and flags over it. The second value is
    /// warnings.
    ///
    /// # Errors
    /// One line that names what is wrong.
    pub fn load(
        options: &Options,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<(Self, Vec<String>), Error> {
        let mut table = Table::new();
        if let Some(path) = &options.config {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Error::Config(format!("{}: {error}", path.display())))?;
            table = text.parse().map_err(|error| Error::Config(format!("{}: {error}", path.display())))?;
        }
        let warnings = overlay(&mut table, environment)?;
        let mut config: Self = table.try_into().map_err(|error| Error::Config(error.to_string()))?;
        config.flags(options);
        config.check()?;
        Ok((config, warnings))
    }

    fn flags(&mut self, options: &Options) {
        let set = |target: &mut String, flag: &Option<String>| {
            if let Some(value) = flag {
                target.clone_from(value);
            }
        };
        set(&mut self.public_url, &options.public_url);
        set(&mut self.log, &options.log);
        if let Some(www) = &options.www {
            self.www.clone_from(www);
        }
        if !options.share.is_empty() {
            self.share.clone_from(&options.share);
        }
        if !options.seed.is_empty() {
            self.seed.clone_from(&options.seed);
        }
        self.addr = options.addr.unwrap_or(self.addr);
        self.drain_seconds = options.drain_seconds.unwrap_or(self.drain_seconds);
        self.log_json |= options.log_json;
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |text: &str| Err(Error::Config(text.to_owned()));
        let url = &self.public_url;
        if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
            return wrong("public_url must begin with http:// or https://");
        }
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

    /// The whole, as a file. Tokens are not shown.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut shown = self.clone();
        shown.tokens.iter_mut().for_each(|token| *token = "hidden".to_owned());
        toml::to_string(&shown).expect("a configuration has only what TOML can say")
    }

    /// The part that the tracker takes.
    #[must_use]
    pub fn tracker(&self) -> ServerConfig {
        let limits = &self.limits;
        ServerConfig {
            tokens: self.tokens.clone(),
            hello_deadline: Duration::from_secs(limits.hello_seconds.into()),
            connections_max: limits.connections_max,
            connections_per_network_max: limits.connections_per_network_max,
            swarms_max: limits.swarms_max,
            memberships_max: limits.memberships_max,
            served: Served::All,
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

/// Lays `SWARMLET_A__B=value` over `[a] b`. Other programs may have variables of that prefix too, so one that
/// is no key is a warning.
fn overlay(
    table: &mut Table,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Vec<String>, Error> {
    let known = Table::try_from(Config::default()).expect("a configuration is a table");
    let mut warnings = Vec::new();
    for (name, text) in environment {
        let Some(path) = name.strip_prefix("SWARMLET_") else { continue };
        let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        let Some(like) = find(&known, &keys) else {
            warnings.push(format!("{name} is no setting of this program"));
            continue;
        };
        let value =
            value_like(like, &text).ok_or_else(|| Error::Config(format!("{name}={text}: bad value")))?;
        put(table, &keys, value)
            .ok_or_else(|| Error::Config(format!("{name}: the file has no table there")))?;
    }
    Ok(warnings)
}

fn find<'a>(table: &'a Table, keys: &[String]) -> Option<&'a Value> {
    let (first, rest) = keys.split_first()?;
    let value = table.get(first)?;
    match (value, rest) {
        (Value::Table(_), []) => None,
        (Value::Table(inner), _) => find(inner, rest),
        (_, []) => Some(value),
        _ => None,
    }
}

/// Reads text as the type that the default has; a list by commas.
fn value_like(like: &Value, text: &str) -> Option<Value> {
    match like {
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        _ => Some(Value::String(text.to_owned())),
    }
}

fn put(table: &mut Table, keys: &[String], value: Value) -> Option<()> {
    let (first, rest) = keys.split_first()?;
    if rest.is_empty() {
        table.insert(first.clone(), value);
        return Some(());
    }
    let inner = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
    put(inner.as_table_mut()?, rest, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        file: &str,
        environment: &[(&str, &str)],
        options: &Options,
    ) -> Result<(Config, Vec<String>), Error> {
        let mut table: Table = file.parse().expect("TOML");
        let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let warnings = overlay(&mut table, pairs)?;
        let mut config: Config = table.try_into().map_err(|error| Error::Config(error.to_string()))?;
        config.flags(options);
        config.check().map(|()| (config, warnings))
    }

    #[test]
    fn flags_beat_environment_beats_file() {
        let file = "addr = '127.0.0.1:1'\ndrain_seconds = 1\nlog = 'warn'\n[limits]\nswarms_max = 5";
        let environment = [
            ("SWARMLET_DRAIN_SECONDS", "2"),
            ("SWARMLET_LOG", "debug"),
            ("SWARMLET_LIMITS__SWARMS_MAX", "6"),
            ("SWARMLET_LIMITS__KNOCKS__BURST", "7"),
            ("SWARMLET_LIMITS__KNOCKS__PER_MINUTE", "8"),
            ("SWARMLET_PROXIES", "10.0.0.1, ::1"),
            ("SWARMLET_BROWSER", "x"),
            ("PATH", "x"),
        ];
        let options = Options { log: Some("error".to_owned()), ..Options::default() };
        let (config, warnings) = load(file, &environment, &options).expect("good");
        assert_eq!((config.addr.port(), config.drain_seconds, config.log.as_str()), (1, 2, "error"));
        assert_eq!(config.limits.swarms_max, 6);
        assert_eq!(config.limits.knocks, PerMinute { per_minute: 8, burst: 7 });
        assert_eq!(config.proxies.len(), 2);
        assert_eq!(warnings, ["SWARMLET_BROWSER is no setting of this program"]);
    }

    #[test]
    fn what_is_printed_reads_back() {
        let config = Config { share: vec!["a".into()], ..Config::default() };
        let (read, _) = load(&config.to_toml(), &[], &Options::default()).expect("good");
        assert_eq!(read, config);
        let secret = Config { tokens: vec!["canary".to_owned()], ..Config::default() };
        assert!(!secret.to_toml().contains("canary"));
    }

    #[test]
    fn mistakes_are_refused_in_words() {
        let options = Options::default();
        for (file, word) in [
            ("adr = '127.0.0.1:1'", "adr"),
            ("addr = 'here'", "socket address"),
            ("[limits]\nswarm_max = 1", "swarm_max"),
            ("drain_seconds = -1", "drain_seconds"),
            ("public_url = 'swarm.example'", "public_url"),
            ("[socket]\nidle_seconds = 25", "idle_seconds"),
            ("[socket]\nqueue_bytes = 1", "queue_bytes"),
        ] {
            let error = load(file, &[], &options).expect_err(file).to_string();
            assert!(error.contains(word), "{file}: {error}");
        }
        assert!(load("", &[("SWARMLET_DRAIN_SECONDS", "soon")], &options).is_err());
    }
}
