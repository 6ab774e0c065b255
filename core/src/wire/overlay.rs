//! What peers of the overlay say to each other: one message at a time, in whatever a host carries it over a link.

use super::{Error, Signature, pack};
use crate::id::{ContentId, PeerId};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of one message: an answer with eight records and eight leads fills half of it.
pub const OVERLAY_BYTES_MAX: usize = 4 * 1024;
/// Links that one message may cross (theory §3.3: 12 greedy steps, 10 routed ones, and one to spare).
pub const HOPS_MAX: usize = 16;
/// Neighbours that one answer names.
pub const LEADS_MAX: usize = 8;
/// Provider records in one answer.
pub const PROVIDERS_MAX: usize = 8;
/// Bytes of a sealed envelope: an offer with candidates fits three times.
pub const SEALED_BYTES_MAX: usize = 2048;
/// Rumours that one message announces.
pub const RUMOURS_MAX: usize = 32;
/// Bytes of a rumour.
pub const RUMOUR_BYTES_MAX: usize = 1024;
/// Bytes of a listing's title.
pub const TITLE_BYTES_MAX: usize = 120;
/// Bytes of the words that a question looks for.
pub const WORDS_BYTES_MAX: usize = 64;
/// Listings in one answer: 2.3 KB.
pub const LISTINGS_IN_ANSWER: usize = 8;

/// A place in the overlay: 128 bits, compared by exclusive or.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(pub u128);

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        crate::util::bytes::serialize(&self.0.to_be_bytes(), to)
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        crate::util::bytes::deserialize(from).map(|bytes| Self(u128::from_be_bytes(bytes)))
    }
}

/// A peer with the answer to its puzzle, from which its place follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Contact {
    /// Who.
    pub peer: PeerId,
    /// Found by trying.
    pub nonce: u32,
}

/// What a peer does for others. The order of the variants is the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// Nothing: young, mobile or hidden.
    Leaf,
    /// Passes on and stores.
    Router,
    /// A router that stays: where others come back to.
    Anchor,
}

/// Somebody that a peer has a link to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lead {
    /// Who.
    pub contact: Contact,
    /// The peer's name for that link: the next step of a route.
    pub label: u32,
}

/// A signed promise to have something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// What, as the overlay names it for this hour.
    pub key: Point,
    /// Who.
    pub contact: Contact,
    /// Unix time after which it holds no more, in seconds.
    pub until: u32,
    /// By the provider, over the rest.
    pub signature: Signature,
}

/// The name of a rumour: the first bytes of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RumourId(#[serde(with = "crate::util::bytes")] pub [u8; 16]);

/// What a listed share is, as its publisher says. The order of the variants is the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Anything else, or several kinds.
    Other,
    /// Sound.
    Audio,
    /// Films.
    Video,
    /// Pictures.
    Image,
    /// Texts and documents.
    Text,
}

/// A share that its publisher wants found by everybody. Without a title it withdraws what was listed before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Which share.
    pub content: ContentId,
    /// By whom: the key that `signature` is of.
    pub by: PeerId,
    /// Of the listings of one publisher for one share the one with the greatest number counts.
    pub sequence: u32,
    /// Unix time after which it holds no more, in seconds.
    pub until: u32,
    /// Bytes of the whole share.
    pub size: u64,
    /// What it is.
    pub kind: Kind,
    /// What it is called: one line.
    pub title: String,
    /// By the publisher, over the rest.
    pub signature: Signature,
}

impl Listing {
    /// Reads a listing, as a rumour carries it.
    ///
    /// # Errors
    /// When it is none, something is left over, or its title breaks a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match postcard::take_from_bytes::<Self>(bytes) {
            Ok((listing, [])) if listing.fits() => Ok(listing),
            Ok((_, [])) => Err(Error::Limit),
            Ok(_) | Err(_) => Err(Error::Malformed),
        }
    }

    /// Writes a listing.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        pack(self)
    }

    /// Whether it takes back what was listed before.
    #[must_use]
    pub const fn is_withdrawal(&self) -> bool {
        self.title.is_empty()
    }

    fn fits(&self) -> bool {
        self.title.len() <= TITLE_BYTES_MAX && !self.title.chars().any(char::is_control)
    }
}

/// One message of the overlay. The order of the variants is the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overlay {
    /// 0: first on each link, both ways; again when something of it changed.
    Greet {
        /// The answer to the puzzle of the peer that this link was proven to lead to.
        nonce: u32,
        /// What the sender does for others.
        role: Role,
        /// How long the sender has been in the overlay, in seconds.
        age_s: u32,
        /// Whether the sender wants to keep the link.
        wanted: bool,
    },
    /// 1: goes to whichever neighbour is nearest to `key`, until it is with who is nearest or has providers of it.
    Seek {
        /// The asker's name for the question.
        query: u32,
        /// Where to.
        key: Point,
        /// Steps that it may still take.
        ttl: u8,
        /// The way back, link by link, the last one first to be taken.
        back: Vec<u32>,
    },
    /// 2: goes along links that are named.
    Routed {
        /// Links to be taken, the last one first.
        route: Vec<u32>,
        /// The way back, so far.
        back: Vec<u32>,
        /// What for.
        body: Body,
    },
    /// 3: somebody settled came near me whom I did not know; look for yourself through that link of mine.
    Hint {
        /// The link.
        label: u32,
    },
    /// 4: be one of those that I give rumours to at once.
    Join {
        /// I have nobody else: do not refuse.
        urgent: bool,
    },
    /// 5: the answer to `Join` that is no, or not any more.
    Part,
    /// 6: a rumour.
    Rumour {
        /// Links that it has crossed.
        hops: u8,
        /// What it says.
        #[serde(with = "crate::wire::overlay::raw")]
        bytes: Vec<u8>,
    },
    /// 7: rumours that I have.
    Heard {
        /// Their names, with the links that they had crossed.
        rumours: Vec<(RumourId, u8)>,
    },
    /// 8: give me this one, and others at once from now on.
    Graft {
        /// Its name; none: only the latter.
        rumour: Option<RumourId>,
    },
    /// 9: only tell me which rumours you have.
    Prune,
    /// 10: who has listings with these words? It goes on to a neighbour chosen by chance, until its steps are used up.
    Search {
        /// The asker's name for the question.
        query: u32,
        /// Steps that it may still take.
        ttl: u8,
        /// The way back, link by link, the last one first to be taken.
        back: Vec<u32>,
        /// The words, in UTF-8, with spaces between them.
        #[serde(with = "crate::wire::overlay::raw")]
        words: Vec<u8>,
    },
}

/// What goes along a named route. The order of the variants is the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// 0: providers of `key`, and whom you know that is nearest to it?
    Ask {
        /// The asker's name for the question.
        query: u32,
        /// The place.
        key: Point,
    },
    /// 1: the answer to `Ask` and to `Seek`.
    Answer {
        /// Of the question.
        query: u32,
        /// Who answers.
        from: Contact,
        /// Providers.
        providers: Vec<Provider>,
        /// Neighbours nearest to the place.
        leads: Vec<Lead>,
    },
    /// 2: keep this.
    Store {
        /// The record.
        provider: Provider,
    },
    /// 3: for who is there: a sealed envelope.
    Sealed {
        /// What it is.
        #[serde(with = "crate::wire::overlay::raw")]
        bytes: Vec<u8>,
    },
    /// 4: go on from here as a `Seek`.
    Seek {
        /// The asker's name for the question.
        query: u32,
        /// Where to.
        key: Point,
    },
    /// 5: the answer to `Search`.
    Matches {
        /// Of the question.
        query: u32,
        /// What fits.
        listings: Vec<Listing>,
    },
}

/// What is in a sealed body: how two peers whom the overlay leads to each other come to a link. The order of the
/// variants is the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Envelope {
    /// 0: I want to signal to you, with this card. Answered by `Card` or `Full`.
    Hail {
        /// Who.
        from: Contact,
        /// What the sender does for others; none: the link is not for the overlay but for a swarm.
        role: Option<Role>,
        /// The bytes of a [`super::Card`].
        #[serde(with = "crate::wire::overlay::raw")]
        card: Vec<u8>,
    },
    /// 1: do so, with this card.
    Card {
        /// Who.
        from: PeerId,
        /// The bytes of a [`super::Card`].
        #[serde(with = "crate::wire::overlay::raw")]
        card: Vec<u8>,
    },
    /// 2: there is no room for one more link of the overlay.
    Full {
        /// Who.
        from: PeerId,
    },
    /// 3: a parcel, as neighbours would pass it on: its tail.
    Parcel {
        /// From whom; what is inside proves it.
        from: PeerId,
        /// Whether there is a card in front.
        card: bool,
        /// The rest.
        #[serde(with = "crate::wire::overlay::raw")]
        tail: Vec<u8>,
    },
}

impl Envelope {
    /// Reads an envelope.
    ///
    /// # Errors
    /// When it is none, or something is left over.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        match postcard::take_from_bytes(bytes) {
            Ok((envelope, [])) => Ok(envelope),
            Ok(_) | Err(_) => Err(Error::Malformed),
        }
    }

    /// Writes an envelope.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        pack(self)
    }
}

impl Overlay {
    /// Reads one message.
    ///
    /// # Errors
    /// When it is too long, no message, or breaks a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > OVERLAY_BYTES_MAX {
            return Err(Error::Oversize);
        }
        let message: Self = match postcard::take_from_bytes(bytes) {
            Ok((message, [])) => message,
            Ok(_) | Err(_) => return Err(Error::Malformed),
        };
        if message.fits() { Ok(message) } else { Err(Error::Limit) }
    }

    /// Writes one message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        pack(self)
    }

    fn fits(&self) -> bool {
        match self {
            Self::Greet { .. }
            | Self::Hint { .. }
            | Self::Join { .. }
            | Self::Part
            | Self::Graft { .. }
            | Self::Prune => true,
            Self::Seek { ttl, back, .. } => usize::from(*ttl) + back.len() <= HOPS_MAX,
            Self::Routed { route, back, body } => route.len() + back.len() <= HOPS_MAX && body.fits(),
            Self::Search { ttl, back, words, .. } => {
                usize::from(*ttl) + back.len() <= HOPS_MAX && words.len() <= WORDS_BYTES_MAX
            }
            Self::Rumour { bytes, .. } => bytes.len() <= RUMOUR_BYTES_MAX,
            Self::Heard { rumours } => rumours.len() <= RUMOURS_MAX,
        }
    }
}

impl Body {
    fn fits(&self) -> bool {
        match self {
            Self::Ask { .. } | Self::Store { .. } | Self::Seek { .. } => true,
            Self::Answer { providers, leads, .. } => {
                providers.len() <= PROVIDERS_MAX && leads.len() <= LEADS_MAX
            }
            Self::Sealed { bytes } => bytes.len() <= SEALED_BYTES_MAX,
            Self::Matches { listings, .. } => {
                listings.len() <= LISTINGS_IN_ANSWER && listings.iter().all(Listing::fits)
            }
        }
    }
}

impl RumourId {
    /// The name of a rumour.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let hash = crate::id::Hash::of(bytes);
        Self(*hash.bytes().first_chunk().unwrap_or(&[0; 16]))
    }
}

/// Bytes of any length, taken whole: serde's own list code names every byte.
pub(crate) mod raw {
    use alloc::vec::Vec;
    use core::fmt;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_bytes(Raw)
    }

    struct Raw;

    impl Visitor<'_> for Raw {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }
}
