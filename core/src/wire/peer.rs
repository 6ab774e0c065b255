//! What peers say to each other. Control messages go on channel 0; those with a raw tail on channel 1.

use super::Error;
use super::mesh::{ANCHOR_BYTES_MAX, CARD_BYTES, MET_BYTES, MET_MAX, is_parcel};
use crate::config::{BLOCK_LEAVES_MAX, INFO_BYTES_MAX, LEAF_BYTES, MESSAGE_BYTES_MAX};
use crate::id::{ContentId, PeerId, Root, Topic};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Roots in one `Want`.
pub const ROOTS_MAX: usize = 512;
/// Spans in one `Request`, `Cancel` or `Reject`.
pub const SPANS_MAX: usize = 128;
/// Pieces in one `Gained`.
pub const GAINED_MAX: usize = 1024;
/// Bytes of a piece bitmap: 64 Ki pieces.
pub const BITMAP_BYTES_MAX: usize = 8 * 1024;
/// Hashes in one `Hashes`: 512, as BEP 52 allows.
pub const HASHES_HEIGHT_MAX: u8 = 9;
/// Bytes of an info dictionary in one `Info`.
pub const INFO_CHUNK_BYTES: u32 = 32 * 1024;
/// Bytes behind an `Overlay`: a peer's id, where one end is the overlay itself, and its longest message.
pub const OVERLAY_TAIL_MAX: usize = 32 + 4 * 1024;

/// Bytes of several messages that come as one.
pub const GATHERED_BYTES_MAX: usize = 4 * 1024;
/// Bytes of one `News`.
pub const NEWS_BYTES_MAX: usize = 16 * 1024;

/// One message of a link. The order of the variants is the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// 0: first on each link, both ways.
    Hello(Hello),
    /// 1: second on each link, both ways.
    Proof(Proof),
    /// 2: tell me what you have of these files, now and from now on.
    Want {
        /// The files.
        roots: Vec<Root>,
    },
    /// 3: not any more.
    Unwant {
        /// The files.
        roots: Vec<Root>,
    },
    /// 4: what I have of a file. Answers `Want`; replaces what was said before.
    Have {
        /// The file.
        root: Root,
        /// Its pieces.
        pieces: Pieces,
    },
    /// 5: pieces that I have got since.
    Gained {
        /// The file.
        root: Root,
        /// Piece indices.
        pieces: Vec<u32>,
    },
    /// 6: send me these leaves.
    Request {
        /// The file.
        root: Root,
        /// Runs of leaves.
        spans: Vec<Span>,
    },
    /// 7: do not send me these any more. One may cross its block.
    Cancel {
        /// The file.
        root: Root,
        /// The spans as requested.
        spans: Vec<Span>,
    },
    /// 8: these requests will not be answered.
    Reject {
        /// The file.
        root: Root,
        /// The spans as requested.
        spans: Vec<Span>,
    },
    /// 9: send me a run of a file's tree.
    GetHashes(HashRange),
    /// 10: the run; tail: 32 bytes for each hash.
    Hashes(HashRange),
    /// 11: I do not have that run.
    NoHashes(HashRange),
    /// 12: send me the info dictionary, from a byte on.
    GetInfo {
        /// Of which share.
        content: ContentId,
        /// First byte.
        offset: u32,
    },
    /// 13: a part of an info dictionary; tail: its bytes.
    Info {
        /// Of which share.
        content: ContentId,
        /// Size of the whole.
        total: u32,
        /// First byte of the tail in the whole.
        offset: u32,
    },
    /// 14: I do not have that info dictionary.
    NoInfo {
        /// Of which share.
        content: ContentId,
    },
    /// 15: one to four whole leaves of a file; tail: their bytes. The last leaf of a file may be short.
    Block {
        /// The file.
        root: Root,
        /// The first leaf.
        start: u32,
    },
    /// 16: are you there?
    Ping {
        /// Comes back in the answer.
        nonce: u32,
    },
    /// 17: yes.
    Pong {
        /// From the question.
        nonce: u32,
    },
    /// 18: I am closing this link on purpose.
    Goodbye,
    /// 19: so many leaves have come from you in blocks since the link was made, wanted or not.
    Acked {
        /// Leaves.
        leaves: u64,
        /// When the last of them came, in milliseconds of a clock of the sender's of this message.
        clock: u32,
    },
    /// 20: my key for parcels; tail: a [`super::Card`]. Before it, none of the following is sent to a peer.
    Card,
    /// 21: with whom of this swarm are you linked?
    GetPeers {
        /// The swarm.
        topic: Topic,
    },
    /// 22: with these, for some; tail: [`super::Met`] in a row.
    Peers {
        /// The swarm.
        topic: Topic,
    },
    /// 23: a signal for whom it names: take it or pass it on. Tail: the sender's card, if the receiver may not have it;
    /// a number; 16 bytes of proof; the signal, encrypted.
    Parcel {
        /// To whom.
        to: PeerId,
        /// From whom; what is inside proves it.
        from: PeerId,
        /// How many may still pass it on.
        hops: u8,
        /// Whether there is a card.
        card: bool,
    },
    /// 24: I know no way to this peer.
    Unreached {
        /// To whom a parcel was addressed.
        peer: PeerId,
    },
    /// 25: this was said in a swarm, by whom it proves itself; tail: what.
    News {
        /// The swarm.
        topic: Topic,
    },
    /// 26: for the overlay that runs beside the receiver, if one does (docs/OVERLAY.md). Tail: one of its messages;
    /// none: the sender's overlay lets this link go.
    Overlay,
    /// 27: where I am a signaller myself, for when yours is gone. Tail: the address.
    Anchor,
    /// Whether requests are rejected from now on. The simulator's alone, and always the last: it has no number.
    #[cfg(feature = "lab")]
    Choke {
        /// They are.
        on: bool,
    },
}

/// Who speaks, and what it understands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`super::VERSION`].
    pub version: u16,
    /// Bits for additions ([`super::FEATURE_NEWS`] and its like); unknown ones are ignored.
    pub features: u32,
    /// The key that `Proof` will prove.
    pub peer: PeerId,
    /// For this link only.
    #[serde(with = "crate::util::bytes")]
    pub nonce: [u8; 32],
}

/// An Ed25519 signature, in two halves since serde stops at 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature(
    #[serde(with = "crate::util::bytes")] pub [u8; 32],
    #[serde(with = "crate::util::bytes")] pub [u8; 32],
);

impl Signature {
    /// Reads 64 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (halves, []) = bytes.as_chunks() else { return None };
        let [first, second] = halves else { return None };
        Some(Self(*first, *second))
    }
}

/// Proof of the key over both DTLS fingerprints and both nonces: nobody sits between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Over the transcript in docs/PROTOCOL.md.
    pub signature: Signature,
}

/// The pieces of a file that a peer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pieces {
    /// Every one.
    All,
    /// One bit for each, most significant first; surplus bits are zero.
    Bitmap(Vec<u8>),
}

/// A run of leaves inside one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// First leaf of the file.
    pub start: u32,
    /// 1 to 4 leaves.
    pub count: u8,
    /// Send the leaf hashes of the piece first: I do not have them.
    pub proof: bool,
}

/// `2^height` nodes of a file's tree at `level`, below the node `index` of level `level + height`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HashRange {
    /// The file.
    pub root: Root,
    /// 0: leaves.
    pub level: u8,
    /// log2 of the number of hashes, at most 9.
    pub height: u8,
    /// Which node of level `level + height` they prove against.
    pub index: u32,
}

/// A message and its raw tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message.
    pub message: Message,
    /// Empty but for `Block`, `Hashes`, `Info`, `Card`, `Peers`, `Parcel`, `News`, `Overlay` and `Anchor`.
    pub tail: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a data-channel message that is one message.
    ///
    /// # Errors
    /// When it is too long, no message, more than one, or breaks a limit.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        match Self::first(bytes)? {
            (frame, []) => Ok(frame),
            _ => Err(Error::Malformed),
        }
    }

    /// Reads the first message of a data-channel message, and answers the rest of it: what has a tail is the last, as what
    /// greets is.
    ///
    /// # Errors
    /// When it is too long, no message, or breaks a limit.
    pub fn first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Error> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Error::Oversize);
        }
        let (message, rest) = postcard::take_from_bytes::<Message>(bytes).map_err(|_| Error::Malformed)?;
        let (tail, rest) = if message.is_last() { (rest, [].as_slice()) } else { ([].as_slice(), rest) };
        if !rest.is_empty() && bytes.len() > GATHERED_BYTES_MAX {
            return Err(Error::Oversize);
        }
        check(&message, tail)?;
        Ok((Self { message, tail }, rest))
    }
}

impl Message {
    /// Whether no other message can follow in the same data-channel message.
    pub(crate) const fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Hello(_)
                | Self::Proof(_)
                | Self::Hashes(_)
                | Self::Info { .. }
                | Self::Block { .. }
                | Self::Card
                | Self::Peers { .. }
                | Self::Parcel { .. }
                | Self::News { .. }
                | Self::Overlay
                | Self::Anchor
        )
    }

    /// Writes one data-channel message.
    #[must_use]
    pub fn encode(&self, tail: &[u8]) -> Vec<u8> {
        let mut out = super::pack_before(self, tail.len());
        out.extend_from_slice(tail);
        out
    }
}

fn check(message: &Message, tail: &[u8]) -> Result<(), Error> {
    let tail_fits = match message {
        Message::Block { .. } => (1..=(LEAF_BYTES * BLOCK_LEAVES_MAX) as usize).contains(&tail.len()),
        Message::Hashes(range) => range.height <= HASHES_HEIGHT_MAX && tail.len() == 32usize << range.height,
        Message::Info { total, offset, .. } => {
            let end = u64::from(*offset) + tail.len() as u64;
            !tail.is_empty() && end <= u64::from(*total) && *total as usize <= INFO_BYTES_MAX
        }
        Message::Card => tail.len() == CARD_BYTES,
        Message::Peers { .. } => tail.len() <= MET_MAX * MET_BYTES && tail.len().is_multiple_of(MET_BYTES),
        Message::Parcel { hops, card, .. } => is_parcel(*hops, *card, tail),
        Message::News { .. } => (1..=NEWS_BYTES_MAX).contains(&tail.len()),
        Message::Overlay => tail.len() <= OVERLAY_TAIL_MAX,
        Message::Anchor => (1..=ANCHOR_BYTES_MAX).contains(&tail.len()),
        _ => tail.is_empty(),
    };
    let counts_fit = match message {
        Message::Want { roots } | Message::Unwant { roots } => roots.len() <= ROOTS_MAX,
        Message::Have { pieces: Pieces::Bitmap(bits), .. } => bits.len() <= BITMAP_BYTES_MAX,
        Message::Gained { pieces, .. } => pieces.len() <= GAINED_MAX,
        Message::Request { spans, .. } | Message::Cancel { spans, .. } | Message::Reject { spans, .. } => {
            spans.len() <= SPANS_MAX && spans.iter().all(Span::is_sane)
        }
        Message::GetHashes(range) | Message::NoHashes(range) => {
            range.height <= HASHES_HEIGHT_MAX && range.level < 48
        }
        Message::Hashes(range) => range.level < 48,
        _ => true,
    };
    match (tail_fits, counts_fit) {
        (true, true) => Ok(()),
        (false, _) => Err(Error::Malformed),
        (_, false) => Err(Error::Limit),
    }
}

impl Span {
    fn is_sane(&self) -> bool {
        (1..=BLOCK_LEAVES_MAX).contains(&u32::from(self.count))
            && self.start.checked_add(u32::from(self.count)).is_some()
    }
}
