//! What can happen in a world, and the hash that names a whole run.

use crate::body::Body;
use crate::rtc::{EndId, OwnedOutcome};
use crate::spec::{Fault, PeerId};
use swarmlet_core::wire::Candidate;
use swarmlet_core::{Channel, JobId, LinkId, Root};

/// What a node will be told.
#[derive(Debug)]
pub(crate) enum News {
    /// See `Input::Linked`.
    Linked { link: LinkId },
    /// See `Input::Received`.
    Received { link: LinkId, channel: Channel, body: Body },
    /// See `Input::Writable`.
    Writable { link: LinkId, channel: Channel, buffered: u32 },
    /// See `Input::Unlinked`.
    Unlinked { link: LinkId },
    /// See `Input::Found`.
    Found { link: LinkId, candidate: Option<Candidate> },
    /// See `Input::Signalled`.
    Signalled { connection: u64, bytes: Vec<u8> },
    /// See `Input::SignallerLost`.
    SignallerLost { connection: u64 },
    /// See `Input::Done`.
    Done { job: JobId, outcome: OwnedOutcome },
    /// Read at the time when the disk answers.
    Loaded { job: JobId, root: Root, start: u64, length: u32 },
    /// Written at the time when the disk is through.
    Stored { job: JobId, root: Root, start: u64, length: u32 },
    /// A part of a file that an origin sent, `wrong` or right.
    Fetched { job: JobId, file: u32, start: u64, length: u32, wrong: bool },
    /// See `Input::Timeout`.
    Timeout,
}

/// What is in the event queue.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A node is told something, if it still lives the same life.
    Told { peer: PeerId, life: u32, news: News },
    /// A line out has sent what it was sending, and there is more, or somebody waits to hear it.
    LineFree { peer: PeerId },
    /// A channel may send again.
    FlowReady { end: EndId, channel: Channel },
    /// A message could be through its receiver's line, if that line had nothing else to do.
    Came { end: EndId, channel: Channel },
    /// It is.
    Through { end: EndId, channel: Channel },
    /// Set-up of a connection is over.
    Connected { one: EndId, two: EndId },
    /// An end hears that its connection is gone.
    Broken { end: EndId },
    /// Consent checks of a partition's links ran out.
    ConsentOver { partition: u32 },
    /// A signaller socket opens.
    SocketOpened { peer: PeerId, life: u32, job: JobId, which: usize },
    /// A message reaches the signaller.
    SocketMessage { connection: u64, bytes: Vec<u8> },
    /// A signaller socket is closed by its peer.
    SocketClosed { connection: u64 },
    /// The signaller's own timer.
    SignallerTimer { which: usize },
    /// An HTTP answer reaches a peer's line.
    Answered { peer: PeerId, life: u32, job: JobId, file: u32, start: u64, length: u32, wrong: bool },
    /// A parcel that a peer held back leaves it.
    LetGo { end: EndId, parcel: Vec<u8> },
    /// The story goes on.
    Fault(Fault),
}

/// The hash of a run: every event's time, kind and place, and of messages the length and the first bytes (payload is
/// compared with the truth where it is stored). Equal for equal runs, on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log(u64);

impl Default for Log {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Log {
    /// The hash so far.
    #[must_use]
    pub const fn hash(self) -> u64 {
        self.0
    }

    /// Takes in a number.
    pub const fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }

    /// Takes in some numbers.
    pub fn words(&mut self, words: &[u64]) {
        for word in words {
            self.word(*word);
        }
    }

    /// Takes in the length of a message and its first 64 bytes.
    pub fn message(&mut self, length: usize, bytes: &[u8]) {
        self.word(length as u64);
        for chunk in bytes.get(..64).unwrap_or(bytes).chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    /// Takes in what happened at a time.
    pub(crate) fn note(&mut self, micros: u64, happening: &Happening) {
        self.word(micros);
        match happening {
            Happening::Told { peer, news, .. } => {
                self.words(&[1, *peer as u64]);
                self.news(news);
            }
            Happening::LineFree { peer } => self.words(&[2, *peer as u64]),
            Happening::FlowReady { end, .. } => self.words(&[3, *end as u64]),
            Happening::Came { end, .. } => self.words(&[4, *end as u64]),
            Happening::Through { end, .. } => self.words(&[5, *end as u64]),
            Happening::Connected { one, two } => self.words(&[6, *one as u64, *two as u64]),
            Happening::Broken { end } => self.words(&[7, *end as u64]),
            Happening::ConsentOver { partition } => self.words(&[8, u64::from(*partition)]),
            Happening::SocketOpened { peer, .. } => self.words(&[9, *peer as u64]),
            Happening::SocketMessage { connection, bytes } => {
                self.words(&[10, *connection]);
                self.message(bytes.len(), bytes);
            }
            Happening::SocketClosed { connection } => self.words(&[11, *connection]),
            Happening::SignallerTimer { .. } => self.word(12),
            Happening::Answered { peer, start, length, .. } => {
                self.words(&[13, *peer as u64, *start, u64::from(*length)]);
            }
            Happening::LetGo { end, parcel } => {
                self.words(&[15, *end as u64]);
                self.message(parcel.len(), parcel);
            }
            Happening::Fault(fault) => {
                let text = format!("{fault:?}");
                self.word(14);
                self.message(text.len(), text.as_bytes());
            }
        }
    }

    fn news(&mut self, news: &News) {
        match news {
            News::Linked { link } => self.words(&[1, u64::from(link.0)]),
            News::Received { link, channel, body } => {
                self.words(&[2, u64::from(link.0), *channel as u64]);
                self.message(body.len(), body.head());
            }
            News::Writable { link, channel, buffered } => {
                self.words(&[3, u64::from(link.0), *channel as u64, u64::from(*buffered)]);
            }
            News::Unlinked { link } => self.words(&[4, u64::from(link.0)]),
            News::Found { link, candidate } => {
                self.words(&[5, u64::from(link.0), u64::from(candidate.is_some())]);
            }
            News::Signalled { bytes, .. } => {
                self.word(6);
                self.message(bytes.len(), bytes);
            }
            News::SignallerLost { connection } => self.words(&[7, *connection]),
            News::Done { job, outcome } => self.words(&[8, job.0, outcome.kind()]),
            News::Loaded { job, start, .. } => self.words(&[9, job.0, *start]),
            News::Stored { job, start, .. } => self.words(&[10, job.0, *start]),
            News::Fetched { job, start, .. } => self.words(&[11, job.0, *start]),
            News::Timeout => self.word(12),
        }
    }
}
