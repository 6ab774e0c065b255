//! Identities: 32-byte values that must never be mistaken for one another.

use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 32 bytes.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; 32] {
                &self.0
            }
            /// Reads 64 hexadecimal digits.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                parse_hex32(text).map(Self)
            }
        }

        /// All 64 hexadecimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        /// The first 8 hexadecimal digits: enough to tell values apart in a log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
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

fn parse_hex32(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(out)
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
