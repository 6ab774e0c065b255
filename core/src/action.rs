//! What a node wants: the five verbs, and the outbox that machines write them to.

use crate::fault::Fault;
use crate::id::{ContentId, JobId, LinkId, PeerId, Root, Topic};
use crate::input::{Channel, Failure};
use crate::wire::{Candidate, Description, Signature};
use alloc::string::String;
use alloc::vec::Vec;

/// One order to the host.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Tell the application.
    Notify(Event),
    /// Send one message on a data channel.
    Send {
        /// Where.
        link: LinkId,
        /// On which of its channels.
        channel: Channel,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Close a connection. No further input for this link is expected.
    Unlink {
        /// Which.
        link: LinkId,
    },
    /// Send one message to the signaller.
    Signal {
        /// The message.
        bytes: Vec<u8>,
    },
    /// Begin some work; report by `Input::Done`.
    Start {
        /// Its number.
        job: JobId,
        /// What to do.
        work: Work,
    },
    /// The outcome of this work is not wanted any more. `Input::Done` may still come.
    Abort {
        /// Its number.
        job: JobId,
    },
}

/// What only a host can do.
#[derive(Debug, PartialEq)]
pub enum Work {
    /// Open the socket to the signaller. → `Ok` when open, `Failed`.
    OpenSignaller,
    /// Close the socket to the signaller, if any. → `Ok`.
    CloseSignaller,
    /// Sign with the key whose public half the node was given. → `Bytes` (64), `Failed`. [`crate::keys`] can do it.
    Sign {
        /// What.
        message: Vec<u8>,
    },
    /// Verify an Ed25519 signature. → `Ok` when it is good, `Missing` when it is not, `Failed` when nobody knows.
    Verify {
        /// Who is said to have signed: the public key.
        peer: PeerId,
        /// What.
        message: Vec<u8>,
        /// How.
        signature: Signature,
    },
    /// Make an X25519 key for this node alone, if there is none. → `Bytes` (32): its public half, `Failed`.
    Exchange,
    /// Agree with the owner of another X25519 key. → `Bytes` (32): the shared secret as it is, `Failed`.
    Agree {
        /// The public half of the other's.
        key: [u8; 32],
    },
    /// Make a connection and its two channels, create an offer, set it. → `Described`, `Failed`.
    Dial {
        /// The name of the new link.
        link: LinkId,
    },
    /// Make a connection for a remote offer, create the answer, set it. → `Described`, `Failed`.
    Accept {
        /// The name of the new link.
        link: LinkId,
        /// The offer.
        remote: Description,
    },
    /// Set the answer to our offer. → `Ok`, `Failed`.
    Complete {
        /// Which link.
        link: LinkId,
        /// The answer.
        remote: Description,
    },
    /// Add a remote candidate. → `Ok`, `Failed` (which is no tragedy).
    Candidate {
        /// Which link.
        link: LinkId,
        /// The candidate.
        candidate: Candidate,
    },
    /// Fetch bytes `start..end` of an HTTP resource. → `Bytes` of exactly that length, `Missing`, `Failed`.
    Fetch {
        /// The resource.
        url: String,
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
        /// Size of the whole resource: a plain 200 of that size may stand for a range.
        total: u64,
    },
    /// Read stored bytes of a file. → `Bytes` (of exactly that length), `Missing`, `Failed`.
    Load {
        /// Which file.
        root: Root,
        /// First byte.
        start: u64,
        /// How many.
        length: u32,
    },
    /// Store verified bytes of a file. → `Ok`, `Failed`.
    Store {
        /// Which file.
        root: Root,
        /// Size of the whole file.
        total: u64,
        /// First byte.
        start: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Read a small record. → `Bytes`, `Missing`, `Failed`.
    Get {
        /// Its name: `[a-z0-9-]`, at most 100 characters.
        key: String,
    },
    /// Write a small record. → `Ok`, `Failed`.
    Put {
        /// Its name.
        key: String,
        /// What to write.
        value: Vec<u8>,
    },
    /// Remove the stored bytes of a file. → `Ok`.
    Discard {
        /// Which file.
        root: Root,
    },
    /// Remove a small record. → `Ok`.
    Forget {
        /// Its name.
        key: String,
    },
}

/// News for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The list of files of a share is known.
    Ready {
        /// Which share.
        content: ContentId,
    },
    /// A file of a share is complete and verified.
    FileDone {
        /// Which share.
        content: ContentId,
        /// Its index.
        file: u32,
    },
    /// All wanted files of a share are complete and verified.
    Done {
        /// Which share.
        content: ContentId,
    },
    /// A share cannot go on. `Storage`: it is paused; resume when there is room.
    Failed {
        /// Which share.
        content: ContentId,
        /// Why.
        reason: ShareFailure,
    },
    /// The bytes of a `Command::Read`.
    Bytes {
        /// The application's number.
        read: u32,
        /// Verified bytes.
        bytes: Vec<u8>,
    },
    /// A `Command::Read` that cannot be answered.
    ReadFailed {
        /// The application's number.
        read: u32,
    },
    /// A link to a proven peer is up.
    LinkUp {
        /// Whose.
        peer: PeerId,
        /// Milliseconds since the dial began.
        took_ms: u32,
    },
    /// It is gone.
    LinkDown {
        /// Whose.
        peer: PeerId,
        /// What the peer did wrong, if anything.
        fault: Option<Fault>,
    },
    /// A connection that never came up.
    DialFailed {
        /// With whom.
        peer: PeerId,
        /// Why.
        fault: Fault,
    },
    /// A peer lied and is shut out.
    Banned {
        /// Who.
        peer: PeerId,
        /// How.
        fault: Fault,
    },
    /// The first verified leaf of a share came.
    FirstLeaf {
        /// Which share.
        content: ContentId,
    },
    /// An HTTP source is not used any more; one that was only out of reach is tried now and then, and used when it is back.
    SourceDropped {
        /// Its base address.
        url: String,
        /// Why.
        reason: SourceFailure,
    },
    /// A code of a `Command::Invite` or `Command::Meet`, to be carried to the other.
    Code {
        /// The application's number.
        call: u32,
        /// For [`crate::wire::Code::decode`]; empty when there is nothing more to carry.
        code: Vec<u8>,
    },
    /// A `Command::Invite` or `Command::Meet` that came to nothing.
    NoCode {
        /// The application's number.
        call: u32,
    },
    /// A neighbour passed news of a swarm on. Nothing of it is proven: what is to be believed says the application.
    News {
        /// Which swarm.
        topic: Topic,
        /// What it said.
        news: Vec<u8>,
    },
    /// A linked peer says where it is a signaller itself. Its own word, for `overlay::anchors` of a later visit.
    Anchor {
        /// The address, as it came.
        address: Vec<u8>,
    },
    /// The signaller let us in.
    SignallerUp,
    /// The signaller is gone; running transfers go on.
    SignallerDown {
        /// Milliseconds until the next try.
        retry_ms: u32,
    },
    /// The signaller refused something, with its stable reason.
    SignallerRefused {
        /// A name from docs/PROTOCOL.md.
        reason: &'static str,
    },
    /// A share's stored bytes were damaged; they are fetched again.
    Damaged {
        /// Which file.
        root: Root,
    },
}

/// Why a share cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareFailure {
    /// The list of files that a peer sent is not what the id names, or breaks the rules.
    BadInfo,
    /// No storage left.
    Storage(Failure),
    /// Too many shares.
    TooMany,
    /// No such share, file or selection.
    Unknown,
    /// The files that are seeded cannot be read any more.
    SourceGone,
}

/// Why an HTTP source is not used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFailure {
    /// It served bytes that are not the content.
    BadData,
    /// It does not have the file, or knows no ranges.
    Status(u16),
    /// It could not be reached several times in a row.
    Unreachable,
}
