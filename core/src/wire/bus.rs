//! What the nodes of one cluster say to each other, and what each keeps where the others can look it up. Less hostile
//! than clients, bounded all the same: a size is checked before anything is decoded, counts before a value leaves.
//!
//! The first byte is the format. Nodes that speak another one do not hear each other: each serves its own clients.
//! What a node has to say to the same ears at the same time is one message: for the store in between, a message costs
//! more than its bytes.

use super::tracker::are_sane;
use super::webtorrent::{InfoHash, OfferId, PeerCode, SESSION_BYTES_MAX};
use super::{Error, PeerView, Signal, pack};
use crate::id::{PeerId, Topic};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::num::NonZeroU64;
use serde::{Deserialize, Serialize};

/// The format.
pub const BUS_VERSION: u8 = 4;
/// The largest message (reliability §6.1).
pub const BUS_BYTES_MAX: usize = 16 * 1024;
/// Words in one message: as many offers or signals of the usual size as it has room for.
pub const WORDS_MAX: usize = 64;
/// Members that one node names of a swarm.
pub const SAMPLE_MAX: usize = 24;
/// Peers that one message says are inside.
pub const INSIDE_MAX: usize = 256;
/// Clients that one offer is not for.
pub const MET_MAX: usize = 16;
/// Bytes of the name that an operator gave a node.
pub const NODE_NAME_MAX: usize = 64;

/// A node, from its start to its end: one that starts again is another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub NonZeroU64);

impl NodeId {
    /// One by chance.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(NonZeroU64::MIN.saturating_add(u64::from_be_bytes(bytes) >> 1))
    }
}

/// 16 hexadecimal digits.
impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A swarm of either dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SwarmId {
    /// Of Swarmlet's.
    Topic(Topic),
    /// Of WebTorrent's.
    InfoHash(InfoHash),
}

/// A letter for the dialect and all hexadecimal digits.
impl fmt::Display for SwarmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dialect, bytes): (_, &[u8]) = match self {
            Self::Topic(topic) => ("s", &topic.0),
            Self::InfoHash(info_hash) => ("w", &info_hash.0),
        };
        f.write_str(dialect)?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A message of one node. The order of the variants is the format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Word<'a> {
    /// 0: I am here. To all, every two seconds; to one, when it has just come.
    Beat {
        /// What its operator calls it.
        name: String,
        /// How many it has said.
        count: u64,
        /// Says it for the first time on this way: please answer.
        fresh: bool,
        /// About to stop: name its members to nobody.
        draining: bool,
    },
    /// 1: I am not any more.
    Bye,
    /// 2: this peer has proven its key to me: whoever has it, has it no more.
    Here {
        /// Who.
        peer: PeerId,
    },
    /// 3: signals from a peer of mine to one of yours.
    Relay {
        /// Mine.
        from: PeerId,
        /// Where it connects from.
        address: Option<IpAddr>,
        /// Yours.
        to: PeerId,
        /// The swarm that they share.
        via: Topic,
        /// What, in this order.
        signals: Vec<Signal>,
    },
    /// 4: I do not have that peer.
    Absent {
        /// Who is not here.
        peer: PeerId,
        /// Who wanted it.
        asker: PeerId,
    },
    /// 5: an offer of a WebTorrent client of mine, for one of yours that you choose.
    Offer {
        /// What I call its connection.
        conn: u64,
        /// Where it connects from.
        address: Option<IpAddr>,
        /// The swarm.
        info_hash: InfoHash,
        /// The client.
        peer: PeerCode,
        /// Has everything: not for one that has, too.
        complete: bool,
        /// Connections of yours whose offers it has not answered, at most [`MET_MAX`]: it is not for them.
        met: Vec<u64>,
        /// What the client calls the offer.
        id: OfferId,
        /// The description as a JSON text, quotes included.
        #[serde(borrow)]
        sdp: &'a str,
    },
    /// 6: an answer to an offer that came from you.
    Answer {
        /// What you call the connection.
        conn: u64,
        /// Where who answers connects from.
        address: Option<IpAddr>,
        /// The swarm.
        info_hash: InfoHash,
        /// Who answers.
        peer: PeerCode,
        /// Who offered.
        to: PeerCode,
        /// What.
        id: OfferId,
        /// The description as a JSON text, quotes included.
        #[serde(borrow)]
        sdp: &'a str,
    },
    /// 7: these peers of mine were let in with these tokens; to all when one comes, to one that has just come all of
    /// them. At most [`INSIDE_MAX`].
    Inside {
        /// Each with what names its token.
        peers: Vec<(PeerId, [u8; 16])>,
    },
    /// 8: this one has left.
    Outside {
        /// Who.
        peer: PeerId,
    },
}

impl<'a> Word<'a> {
    /// Writes it, for a [`Bundle`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        pack(self)
    }

    fn fits(&self) -> bool {
        match self {
            Self::Beat { name, .. } => name.len() <= NODE_NAME_MAX,
            Self::Relay { signals, .. } => are_sane(signals),
            Self::Offer { sdp, met, .. } => sdp.len() <= SESSION_BYTES_MAX + 2 && met.len() <= MET_MAX,
            Self::Answer { sdp, .. } => sdp.len() <= SESSION_BYTES_MAX + 2,
            Self::Inside { peers } => peers.len() <= INSIDE_MAX,
            Self::Bye | Self::Here { .. } | Self::Absent { .. } | Self::Outside { .. } => true,
        }
    }
}

/// A message: words of one node, in order.
#[derive(Debug)]
pub struct Bundle {
    bytes: Vec<u8>,
    words: usize,
}

impl Bundle {
    /// One of a single word, as said by a node.
    #[must_use]
    pub fn new(node: NodeId, word: &[u8]) -> Self {
        let mut bytes = versioned(&node);
        bytes.extend_from_slice(word);
        Self { bytes, words: 1 }
    }

    /// Adds a word; whether there was room.
    #[must_use]
    pub fn add(&mut self, word: &[u8]) -> bool {
        let has_room = self.words < WORDS_MAX && self.bytes.len() + word.len() <= BUS_BYTES_MAX;
        if has_room {
            self.bytes.extend_from_slice(word);
            self.words += 1;
        }
        has_room
    }

    /// The message.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The words of a message, read one by one. Ends with the first that is none or breaks a limit, and with one more than
/// [`WORDS_MAX`].
#[derive(Debug)]
pub struct Words<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Words<'a> {
    /// Reads who says them.
    ///
    /// # Errors
    /// When the message is too long, in another format, or has no word.
    pub fn open(bytes: &'a [u8]) -> Result<(NodeId, Self), Error> {
        match take(versioned_part(bytes)?)? {
            (_, []) => Err(Error::Malformed),
            (node, rest) => Ok((node, Self { rest, left: WORDS_MAX })),
        }
    }

    fn take(&mut self) -> Result<Word<'a>, Error> {
        self.left = self.left.checked_sub(1).ok_or(Error::Limit)?;
        let (word, rest): (Word<'a>, _) = take(self.rest)?;
        self.rest = rest;
        if word.fits() { Ok(word) } else { Err(Error::Limit) }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Result<Word<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let word = self.take();
        if word.is_err() {
            self.rest = &[];
        }
        Some(word)
    }
}

/// What one node has of one swarm, kept for the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Complete members.
    pub seeds: u32,
    /// Other members.
    pub leeches: u32,
    /// How often it was completed there.
    pub completed: u32,
    /// Some of them, at most [`SAMPLE_MAX`]; none in the dialect of WebTorrent.
    pub sample: Vec<PeerView>,
}

impl Digest {
    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        versioned(self)
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is too long, in another format, no digest, or breaks a limit.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let (digest, []) = take::<Self>(versioned_part(bytes)?)? else { return Err(Error::Malformed) };
        if digest.sample.len() <= SAMPLE_MAX { Ok(digest) } else { Err(Error::Limit) }
    }
}

fn versioned<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = pack(value);
    bytes.insert(0, BUS_VERSION);
    bytes
}

/// What follows the format.
fn versioned_part(bytes: &[u8]) -> Result<&[u8], Error> {
    match bytes.split_first() {
        _ if bytes.len() > BUS_BYTES_MAX => Err(Error::Oversize),
        Some((&BUS_VERSION, rest)) => Ok(rest),
        Some(_) | None => Err(Error::Malformed),
    }
}

fn take<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, &'a [u8]), Error> {
    postcard::take_from_bytes(bytes).map_err(|_| Error::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;
    use std::vec;

    const NODE: NodeId = NodeId(NonZeroU64::new(0x0102_0304_0506_0708).unwrap());

    fn words() -> Vec<Word<'static>> {
        let (from, to, via) = (PeerId([1; 32]), PeerId([2; 32]), Topic([3; 32]));
        let (peer, id, sdp) = (PeerCode([4; 20]), OfferId([5; 20]), "\"v=0\"");
        let (info_hash, address) = (InfoHash([6; 20]), "8.8.4.4".parse().ok());
        vec![
            Word::Beat { name: "a".to_string(), count: 7, fresh: true, draining: false },
            Word::Bye,
            Word::Here { peer: from },
            Word::Relay { from, address, to, via, signals: vec![Signal::Decline { attempt: 9 }] },
            Word::Absent { peer: to, asker: from },
            Word::Offer { conn: 8, address, info_hash, peer, complete: true, met: vec![7, 300], id, sdp },
            Word::Answer { conn: 8, address: None, info_hash, peer, to: PeerCode([7; 20]), id, sdp },
            Word::Inside { peers: vec![(from, [8; 16]), (to, [9; 16])] },
            Word::Outside { peer: to },
        ]
    }

    fn bundle(words: &[Word<'_>]) -> Vec<u8> {
        let [first, rest @ ..] = words else { unreachable!() };
        let mut bundle = Bundle::new(NODE, &first.encode());
        rest.iter().for_each(|word| assert!(bundle.add(&word.encode())));
        bundle.into_bytes()
    }

    fn read(bytes: &[u8]) -> Result<(NodeId, Vec<Word<'_>>), Error> {
        let (node, words) = Words::open(bytes)?;
        Ok((node, words.collect::<Result<_, _>>()?))
    }

    #[test]
    fn words_read_back_and_nothing_longer_or_shorter_does() {
        for word in words() {
            let bytes = bundle(core::slice::from_ref(&word));
            assert_eq!(read(&bytes), Ok((NODE, vec![word.clone()])));
            for cut in 0..bytes.len() {
                assert_eq!(read(&bytes[..cut]), Err(Error::Malformed), "{word:?} {cut}");
            }
            assert_eq!(read(&[&bytes[..], &[0]].concat()), Err(Error::Malformed));
            let mut other = bytes;
            other[0] += 1;
            assert_eq!(read(&other), Err(Error::Malformed), "another format");
        }
    }

    #[test]
    fn one_message_carries_words_of_all_kinds_until_one_is_none() {
        let mut bytes = bundle(&words());
        assert_eq!(read(&bytes), Ok((NODE, words())));
        bytes.push(0xff);
        let (_, heard) = Words::open(&bytes).unwrap();
        let heard: Vec<_> = heard.collect();
        let (last, before) = heard.split_last().unwrap();
        assert_eq!((last, before.len()), (&Err(Error::Malformed), words().len()));
    }

    #[test]
    fn a_message_has_an_end() {
        let mut full = Bundle::new(NODE, &Word::Bye.encode());
        assert_eq!((1..).take_while(|_| full.add(&Word::Bye.encode())).count(), WORDS_MAX - 1);
        let mut bytes = full.into_bytes();
        assert_eq!(read(&bytes).unwrap().1.len(), WORDS_MAX);
        bytes.extend_from_slice(&[1; 1000]);
        let (_, heard) = Words::open(&bytes).unwrap();
        assert_eq!((heard.count(), read(&bytes)), (WORDS_MAX + 1, Err(Error::Limit)));
        let inside = Word::Inside { peers: vec![(PeerId([1; 32]), [2; 16]); INSIDE_MAX] }.encode();
        let mut large = Bundle::new(NODE, &inside);
        assert!(!large.add(&inside) && large.add(&Word::Bye.encode()));
        assert_eq!(read(&large.into_bytes()).unwrap().1.len(), 2);
    }

    #[test]
    fn the_format_is_what_it_was() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| std::format!("{byte:02x}")).collect::<String>();
        let words = words();
        // The format, the node, and the words: a beat ("a", 7, fresh, not draining), and an end.
        assert_eq!(hex(bundle(&words[..2])), ["04", "888e98a8c0e0808101", "000161070100", "01"].concat());
        let view = PeerView { peer: PeerId([0xab; 32]), complete: true };
        let digest = Digest { seeds: 1, leeches: 2, completed: 3, sample: vec![view] };
        assert_eq!(hex(digest.encode()), std::format!("0401020301{}01", "ab".repeat(32)));
    }

    #[test]
    fn limits_hold() {
        let view = PeerView { peer: PeerId([1; 32]), complete: false };
        let digest = |count| Digest { sample: vec![view; count], ..Digest::default() };
        assert!(Digest::decode(&digest(SAMPLE_MAX).encode()).is_ok());
        assert_eq!(Digest::decode(&digest(SAMPLE_MAX + 1).encode()), Err(Error::Limit));
        let beat = |name| Word::Beat { name, count: 0, fresh: false, draining: false };
        let verdict = |word| read(&bundle(&[word])).map(drop);
        assert_eq!(verdict(beat("x".repeat(NODE_NAME_MAX + 1))), Err(Error::Limit));
        let inside = |count| Word::Inside { peers: vec![(PeerId([1; 32]), [2; 16]); count] };
        assert_eq!(verdict(inside(INSIDE_MAX)), Ok(()));
        assert_eq!(verdict(inside(INSIDE_MAX + 1)), Err(Error::Limit));
        let offer = |count| {
            let (info_hash, peer, id) = (InfoHash([6; 20]), PeerCode([4; 20]), OfferId([5; 20]));
            let met = vec![u64::MAX; count];
            Word::Offer { conn: 8, address: None, info_hash, peer, complete: true, met, id, sdp: "\"v=0\"" }
        };
        assert_eq!(verdict(offer(MET_MAX)), Ok(()));
        assert_eq!(verdict(offer(MET_MAX + 1)), Err(Error::Limit));
        assert_eq!(verdict(beat("x".repeat(BUS_BYTES_MAX))), Err(Error::Oversize));
        assert_eq!(Digest::decode(&[]), Err(Error::Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), good: bool) {
            if good && let Some(first) = bytes.first_mut() {
                *first = BUS_VERSION;
            }
            let _ = (read(&bytes), Digest::decode(&bytes));
        }
    }
}
