//! Kinds of values, as they are written in a file.

use crate::Error;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use swarmlet_core::ContentId;
use swarmlet_core::content::Magnet;
use swarmlet_core::tracker::server::Prefix;

/// An address, or a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub Prefix);

/// A content id, written as 64 hexadecimal digits or a magnet link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content(pub ContentId);

/// Text that is never shown. `file:PATH` stands for what is in that file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Network {
    /// Whether one of the networks has the address.
    #[must_use]
    pub fn any(networks: &[Self], address: IpAddr) -> bool {
        networks.iter().any(|network| network.0.contains(address))
    }
}

impl Secret {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Puts the content of the file in place of its name.
    pub(super) fn read(&mut self) -> Result<(), Error> {
        if let Some(path) = self.0.strip_prefix("file:") {
            let text = std::fs::read_to_string(path).map_err(|error| Error::Read(path.into(), error))?;
            text.trim().clone_into(&mut self.0);
        }
        Ok(())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "hidden" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { "hidden" })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl FromStr for Network {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("{text} is no address and no network such as 10.0.0.0/8"))
    }
}

impl FromStr for Content {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let magnet = || Magnet::parse(text).ok().map(|magnet| magnet.content);
        ContentId::from_hex(text)
            .or_else(magnet)
            .map(Self)
            .ok_or_else(|| format!("{text} is no content id and no magnet link"))
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// An address that may be missing: the empty text, since TOML has no word for nothing.
pub(super) mod optional {
    use core::net::SocketAddr;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_str(""),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(de::Error::custom) }
    }
}
