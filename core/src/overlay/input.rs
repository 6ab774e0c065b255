//! What goes into the mesh's machine, and what comes out.

use super::lookup::Way;
use crate::id::{ContentId, LinkId, PeerId, Topic};
use crate::wire::Signature;
use crate::wire::overlay::{Contact, Kind, Listing, Role};
use alloc::string::String;
use alloc::vec::Vec;

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// There is a link to a peer, whose key is proven.
    Linked {
        /// The link.
        link: LinkId,
        /// Who.
        peer: PeerId,
        /// We began it.
        outbound: bool,
    },
    /// A link is gone.
    Unlinked {
        /// The link.
        link: LinkId,
    },
    /// A neighbour said something.
    Received {
        /// The link.
        link: LinkId,
        /// What, as it came.
        bytes: &'a [u8],
    },
    /// A link that was to be made is not made.
    Undialled {
        /// To whom.
        peer: PeerId,
    },
    /// Carry an envelope.
    Seal {
        /// Along this way.
        way: &'a Way,
        /// What is in it.
        bytes: Vec<u8>,
    },
    /// A text was signed.
    Signed {
        /// From [`Action::Sign`].
        job: u32,
        /// By our key.
        signature: Signature,
    },
    /// A signature was looked at.
    Verified {
        /// From [`Action::Verify`].
        job: u32,
        /// Whether it holds.
        good: bool,
    },
    /// The application wants something.
    Command(Command),
    /// The time of [`super::Overlay::poll_timeout`] has come.
    Timeout,
}

/// What an application can want.
#[derive(Clone, Debug)]
pub enum Command {
    /// Who has this?
    Find {
        /// The application's name for the question, below 2^31.
        query: u32,
        /// What.
        topic: Topic,
    },
    /// I have this, until I withdraw it.
    Publish {
        /// What.
        topic: Topic,
    },
    /// I have it no more.
    Withdraw {
        /// What.
        topic: Topic,
    },
    /// How is this peer reached? [`Event::Reached`] says so, once; silence means that no way was found.
    Reach {
        /// Who.
        contact: Contact,
    },
    /// Let everybody know of this share, until it is unlisted.
    List {
        /// Which.
        content: ContentId,
        /// Bytes of it.
        size: u64,
        /// What it is.
        kind: Kind,
        /// What it is called: [`crate::wire::overlay::TITLE_BYTES_MAX`] of it count.
        title: String,
    },
    /// Not any more.
    Unlist {
        /// Which.
        content: ContentId,
    },
    /// Who lists something like this?
    Search {
        /// The application's name for the question.
        query: u32,
        /// Words that a title has.
        text: String,
    },
}

/// An order to the host.
#[derive(Clone, Debug)]
pub enum Action {
    /// Send this over a link.
    Send {
        /// The link.
        link: LinkId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Make a link: signals go along the way, in envelopes ([`Input::Seal`]).
    Dial {
        /// To whom.
        contact: Contact,
        /// The way.
        way: Way,
    },
    /// The mesh needs this link no more.
    Unlink {
        /// The link.
        link: LinkId,
    },
    /// Sign a text with our key.
    Sign {
        /// Comes back in [`Input::Signed`].
        job: u32,
        /// What.
        text: Vec<u8>,
    },
    /// See whether a signature holds.
    Verify {
        /// Comes back in [`Input::Verified`].
        job: u32,
        /// Whose key.
        peer: PeerId,
        /// What was signed.
        text: Vec<u8>,
        /// The signature.
        signature: Signature,
    },
    /// An envelope came.
    Sealed {
        /// The way back to whoever sent it.
        way: Way,
        /// What is in it.
        bytes: Vec<u8>,
    },
    /// Tell the application.
    Notify(Event),
}

/// News for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody has what was asked for; several for one question.
    Found {
        /// The question.
        query: u32,
        /// Who.
        contact: Contact,
        /// Links that the question crossed.
        hops: u8,
        /// On the fast path.
        fast: bool,
        /// Questions asked so far.
        messages: u32,
    },
    /// Nobody was found who has it.
    Lost {
        /// The question.
        query: u32,
        /// Questions asked.
        messages: u32,
    },
    /// A way to somebody who was to be reached.
    Reached {
        /// Who.
        contact: Contact,
        /// The way.
        way: Way,
    },
    /// Somebody has listed a share for everybody.
    Listed {
        /// What, with a signature that holds.
        listing: Listing,
        /// Links that the news crossed.
        hops: u8,
    },
    /// A listing that answers a search; several for one question, the same share perhaps from several publishers.
    Matched {
        /// The question.
        query: u32,
        /// What, with a signature that holds.
        listing: Listing,
        /// Links that the answer crossed.
        hops: u8,
    },
    /// A search is over.
    Searched {
        /// The question.
        query: u32,
        /// Listings that were found.
        found: u8,
        /// Messages that asked, at most.
        messages: u32,
    },
    /// There are no links left: somebody must be found by other means.
    Alone,
}

/// A look from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What this peer does for others.
    pub role: Role,
    /// Neighbours.
    pub links: usize,
    /// Of them those that pass on.
    pub routers: usize,
    /// Records kept for others.
    pub records: usize,
    /// Listings known.
    pub listings: usize,
    /// Routers in the whole mesh, judged by what is near.
    pub estimate: u64,
    /// Bytes sent since the start.
    pub sent_bytes: u64,
    /// Messages sent since the start.
    pub sent_messages: u64,
    /// Rumours that came, each time that they came.
    pub rumours_came: u64,
    /// Rumours that were news.
    pub rumours_new: u64,
}
