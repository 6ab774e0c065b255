//! From file, environment and flags to a configuration.

use super::Config;
use super::check::is_near;
use crate::Error;
use crate::cli::Options;
use toml::{Table, Value};

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
        let mut warnings = overlay(&mut table, environment)?;
        let mut config: Self = table.try_into().map_err(|error| Error::Config(error.to_string()))?;
        config.flags(options);
        config.read_secrets()?;
        config.check()?;
        if config.admin_addr.is_some_and(|addr| !is_near(addr.ip())) {
            warnings.push("admin_addr asks nobody for a password, and others can reach it".to_owned());
        }
        Ok((config, warnings))
    }

    fn flags(&mut self, options: &Options) {
        let set = |target: &mut String, flag: &Option<String>| {
            if let Some(value) = flag {
                target.clone_from(value);
            }
        };
        set(&mut self.public_url, &options.public_url);
        set(&mut self.anchor_of, &options.anchor_of);
        set(&mut self.log, &options.log);
        if let Some(url) = &options.cluster {
            self.cluster.url = url.as_str().into();
        }
        self.admin_addr = options.admin_addr.or(self.admin_addr);
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
        self.open |= options.open;
    }

    /// Puts the content of files in place of their names.
    fn read_secrets(&mut self) -> Result<(), Error> {
        let single = [&mut self.turn.secret, &mut self.cluster.url, &mut self.witness.key];
        for secret in self.tokens.secrets.iter_mut().chain(single) {
            secret.read()?;
        }
        Ok(())
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
    use crate::config::PerMinute;
    use swarmlet_core::ContentId;
    use swarmlet_core::tracker::server::Served;

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
        config.read_secrets()?;
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
            ("SWARMLET_OPEN", "true"),
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
        let mut secret = Config::default();
        secret.tokens.secrets = vec!["canary, and long enough".into()];
        secret.turn.secret = "canary".into();
        secret.cluster.url = "redis://:canary@127.0.0.1".into();
        assert!(!secret.to_toml().contains("canary") && !format!("{secret:?}").contains("canary"));
    }

    #[test]
    fn mistakes_are_refused_in_words() {
        let options = Options::default();
        let witness = |origin| format!("[witness]\nkey = '{}'\norigins = ['{origin}']", "01".repeat(32));
        for (file, word) in [
            ("adr = '127.0.0.1:1'", "adr"),
            ("addr = 'here'", "socket address"),
            ("[limits]\nswarm_max = 1", "swarm_max"),
            ("drain_seconds = -1", "drain_seconds"),
            ("public_url = 'swarm.example'", "public_url"),
            ("anchor_of = 'wss://swarm.example/signal'", "anchor_of"),
            ("anchor_of = 'wss://swarm.example/signal'\npublic_url = 'https://me.example'", "anchor_of"),
            ("anchor_of = 'swarm.example'\nseed = ['x']\npublic_url = 'https://me.example'", "anchor_of"),
            ("[socket]\nidle_seconds = 25", "idle_seconds"),
            ("[socket]\nqueue_bytes = 1", "queue_bytes"),
            ("proxies = ['10.0.0.0/33']", "10.0.0.0/33"),
            ("contents = ['abc']", "abc"),
            ("origins = ['https://site.example/']", "site.example/"),
            ("[tokens]\nsecrets = ['short']", "16"),
            ("[tokens]\nsecrets = ['file:/nonexistent/secret']", "/nonexistent/secret"),
            ("[tokens]\npublic_keys = ['00']", "public_keys"),
            ("[tls]\ncert = 'a.pem'", "tls.key"),
            ("admin_addr = 'there'", "socket address"),
            ("[stun]\nurl = 'stun:a.example'", "stun.addr"),
            ("[turn]\nurls = ['turn:a.example']", "turn.secret"),
            ("[cluster]\nurl = 'http://127.0.0.1'", "cluster.url"),
            ("[cluster]\nurl = 'rediss://127.0.0.1'", "without TLS"),
            ("[cluster]\nnode = 'a b'", "cluster.node"),
            ("[turn]\nurls = ['http://a.example']\nsecret = 'x'", "turn:"),
            ("[witness]\norigins = ['https://a.example/']", "witness.key"),
            (&witness("http://10.0.0.1/"), "private"),
            (&witness("http://[::ffff:7f00:1]/"), "private"),
            (&witness("https://a.example"), "a.example"),
            (&witness("https://a.example/?x"), "?x"),
            (&witness("ftp://a.example/"), "ftp"),
        ] {
            let error = load(file, &[], &options).expect_err(file).to_string();
            assert!(error.contains(word), "{file}: {error}");
        }
        let by_variable =
            load("", &[("SWARMLET_CLUSTER__URL", "redis://127.0.0.1/3")], &options).expect("good").0;
        assert_eq!(by_variable.cluster.url.text(), "redis://127.0.0.1/3");
        assert!(load("", &[("SWARMLET_ADMIN_ADDR", "127.0.0.1:1")], &options).is_ok());
        assert!(load("", &[("SWARMLET_DRAIN_SECONDS", "soon")], &options).is_err());
    }

    #[test]
    fn a_public_address_is_closed_unless_somebody_said_otherwise() {
        let options = Options::default();
        let content = "contents = ['0101010101010101010101010101010101010101010101010101010101010101']";
        for (file, starts) in [
            ("addr = '127.0.0.1:1'", true),
            ("addr = '192.168.1.2:1'", true),
            ("addr = '[::1]:1'", true),
            ("addr = '0.0.0.0:1'", false),
            ("addr = '[::]:1'", false),
            ("addr = '8.8.8.8:1'", false),
            ("proxies = ['127.0.0.1']", false),
            ("public_url = 'https://swarm.example'", false),
            ("public_url = 'http://localhost:8787'", true),
            ("addr = '0.0.0.0:1'\nopen = true", true),
            ("addr = '0.0.0.0:1'\nshare = ['a']", true),
            ("addr = '0.0.0.0:1'\n[tokens]\nsecrets = ['sixteen letters.']", true),
            (&format!("addr = '0.0.0.0:1'\n{content}"), true),
            (&format!("addr = '0.0.0.0:1'\n{}", content.replace("contents", "sites")), true),
            (
                "addr = '0.0.0.0:1'\n[witness]\nkey = '0101010101010101010101010101010101010101010101010101010101010101'\norigins = ['https://a.example/']",
                true,
            ),
        ] {
            let loaded = load(file, &[], &options);
            assert_eq!(loaded.is_ok(), starts, "{file}: {:?}", loaded.err());
        }
        let options = Options { open: true, ..Options::default() };
        assert!(load("addr = '0.0.0.0:1'", &[], &options).is_ok());
    }

    #[test]
    fn what_is_served_follows_from_what_limits() {
        let share = ContentId([1; 32]);
        let topics = |file| {
            let config = load(file, &[], &Options::default()).expect(file).0;
            match config.served(&[share]) {
                Served::All => None,
                Served::Only { topics, info_hashes } => {
                    assert_eq!(topics.len(), info_hashes.len());
                    Some(topics.len())
                }
            }
        };
        assert_eq!(topics(""), None, "a local server serves everything");
        assert_eq!(topics("addr = '0.0.0.0:1'\nopen = true"), None);
        assert_eq!(topics("addr = '0.0.0.0:1'\nshare = ['a']"), Some(1), "its own shares only");
        assert_eq!(topics("addr = '0.0.0.0:1'\n[tokens]\nsecrets = ['sixteen letters.']"), None);
        let magnet = format!("contents = ['magnet:?xt=urn:btmh:1220{}']", "02".repeat(32));
        assert_eq!(topics(&magnet), Some(2), "listed, and its own");
        assert_eq!(topics(&format!("open = true\n{magnet}")), Some(2));
    }
}
