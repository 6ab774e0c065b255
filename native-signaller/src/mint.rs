//! `swarmlet-signaller token`: join tokens and the keys to make them with.

use crate::cli::TokenOptions;
use crate::{Config, Error};
use base64ct::{Base64UrlUnpadded, Encoding};
use ed25519_dalek::SigningKey;
use std::path::Path;
use std::time::SystemTime;
use swarmlet_core::Root;
use swarmlet_core::tracker::server::token::{Claims, Minter, is_site};

/// What the command prints.
///
/// # Errors
/// When there is nothing to make a token with, or it would say nonsense.
pub fn run(config: &Config, options: &TokenOptions) -> Result<String, Error> {
    if options.new_secret {
        return Ok(format!("{}\n", Base64UrlUnpadded::encode_string(&random()?)));
    }
    if options.new_key {
        let key = SigningKey::from_bytes(&random()?);
        let (private, public) = (Root(key.to_bytes()), Root(key.verifying_key().to_bytes()));
        return Ok(format!("private {private}\npublic  {public}\n"));
    }
    let site = options.site.clone().unwrap_or_default();
    if !is_site(&site) {
        return Err(Error::Config(format!("--site {site} is no origin such as https://shop.example")));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_err(|_| Error::Start("the clock is set before 1970".to_owned()))?;
    let lifetime = options.expires.unwrap_or(config.tokens.lifetime_seconds);
    let claims = Claims {
        site,
        expires_s: now.as_secs() + u64::from(lifetime),
        networks: options.net.iter().map(|network| network.0).collect(),
        contents: options.content.iter().map(|content| content.0).collect(),
    };
    let token = match (&options.key, config.tokens.secrets.first()) {
        (Some(path), _) => Minter::Key(&read(path)?).mint(&claims),
        (None, Some(secret)) => Minter::Secret(secret.text().as_bytes()).mint(&claims),
        (None, None) => {
            return Err(Error::Config("no tokens.secrets in the configuration, and no --key".into()));
        }
    };
    Ok(format!("{token}\n"))
}

fn random() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Start(error.to_string()))?;
    Ok(bytes)
}

/// Reads the first 64 hexadecimal digits of a file: all of it, or the line that `--new-key` called private.
pub(crate) fn read(path: &Path) -> Result<SigningKey, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::Read(path.to_owned(), error))?;
    let key = text.split_whitespace().find_map(Root::from_hex);
    let unfit = || Error::Unfit(path.to_owned(), "no private key: 64 hexadecimal digits".to_owned());
    key.map(|key| SigningKey::from_bytes(&key.0)).ok_or_else(unfit)
}
