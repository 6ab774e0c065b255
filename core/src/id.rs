//! Identities: 32-byte values that must never be mistaken for one another.

use crate::util::text::{hex, push_hex};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(#[serde(with = "crate::util::bytes")] pub [u8; 32]);

        impl $name {
            /// The 32 bytes.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; 32] {
                &self.0
            }
            /// All 64 hexadecimal digits.
            #[must_use]
            pub fn hex(&self) -> String {
                self.named("")
            }
            /// Reads 64 hexadecimal digits.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0; 32];
                hex(text.as_bytes(), &mut bytes)?;
                Some(Self(bytes))
            }
            /// All digits after a prefix: the name of a record.
            pub(crate) fn named(&self, prefix: &str) -> String {
                let mut name = String::from(prefix);
                push_hex(&mut name, &self.0);
                name
            }
        }

        /// All 64 hexadecimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.named(""))
            }
        }

        /// The first 8 hexadecimal digits: enough to tell values apart in a log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.named("")[..8])
            }
        }
    };
}

id32!(
    /// A peer: its Ed25519 public key, fresh for each page session.
    PeerId
);
id32!(
    /// A share: SHA-256 of its BEP 52 info dictionary (the v2 infohash).
    ContentId
);
id32!(
    /// A file: the BEP 52 `pieces root` of its bytes. What swarms is the file.
    Root
);
id32!(
    /// What a tracker knows a swarm by; derived, so that the tracker does not learn the content id.
    Topic
);
id32!(
    /// SHA-256 of a DTLS certificate.
    Fingerprint
);
id32!(
    /// A node of a Merkle tree.
    Hash
);

impl Topic {
    /// What links of the overlay are made for: no share's.
    pub const OVERLAY: Self = Self(*b"swarmlet overlay: not of a share");
}

impl LinkId {
    /// The overlay that a host runs beside its node: to the node a neighbour like others, that leads to many.
    pub const OVERLAY: Self = Self(0);
}

impl Hash {
    /// SHA-256.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hashes that stand in a row of bytes.
    pub(crate) fn row(bytes: &[u8]) -> Vec<Self> {
        let rows = bytes.as_chunks().0;
        let mut hashes = Vec::with_capacity(rows.len());
        for row in rows {
            hashes.push(Self(*row));
        }
        hashes
    }

    /// The bytes of hashes in a row.
    pub(crate) fn flatten(hashes: &[Self]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(hashes.len() * 32);
        for hash in hashes {
            bytes.extend_from_slice(&hash.0);
        }
        bytes
    }
}

impl Root {
    /// The root seen as the top node of its tree.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        Hash(self.0)
    }
}

/// One attempt at, and then one life of, a connection to a peer. Never reused, so late news of a dead
/// link cannot be mistaken for news of its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// One piece of host work, from `Action::Start` to `Input::Done`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);
