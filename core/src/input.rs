//! What happens to a node: commands, network, finished work, time.

use crate::content::{Magnet, Torrent};
use crate::id::{ContentId, Hash, JobId, LinkId, Root, Topic};
use crate::util::Map;
use crate::wire::{Candidate, Description};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// One thing that happened. A run of a node is a list of `(Instant, Input)`.
#[derive(Debug)]
pub enum Input<'a> {
    /// The application wants something.
    Command(Command),
    /// Both data channels of a link are open, over a DTLS session with the fingerprints of its two descriptions.
    Linked {
        /// The link that `Work::Dial` or `Work::Accept` named.
        link: LinkId,
    },
    /// One whole data-channel message arrived.
    Received {
        /// Where.
        link: LinkId,
        /// On which of its two channels.
        channel: Channel,
        /// The message.
        bytes: &'a [u8],
    },
    /// A channel's buffer is at or below its low-water mark ([`crate::config::CHANNEL_LOW_BYTES`]). Hosts say
    /// so when it drains to the mark, and at once after a batch of sends that did not rise above it.
    Writable {
        /// Where.
        link: LinkId,
        /// On which of its two channels.
        channel: Channel,
        /// Bytes that the host still holds for it.
        buffered: u32,
    },
    /// A link is gone: closed by the other side, or failed.
    Unlinked {
        /// Which.
        link: LinkId,
    },
    /// The host found a local ICE candidate. `None`: it found the last one.
    Found {
        /// For which link.
        link: LinkId,
        /// The candidate.
        candidate: Option<Candidate>,
    },
    /// The signaller sent a message.
    Signalled {
        /// The message.
        bytes: &'a [u8],
    },
    /// The signaller's socket closed.
    SignallerLost,
    /// Host work ended. Exactly one `Done` comes for each `Start`, unless it was aborted.
    Done {
        /// Which work.
        job: JobId,
        /// How it ended.
        outcome: Outcome<'a>,
    },
    /// The time of `poll_timeout` may have come. Early, late or needless ones do no harm.
    Timeout,
}

/// The two pre-negotiated data channels of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Id 0: everything small.
    Control,
    /// Id 1: blocks, hashes and info dictionaries.
    Bulk,
}

/// What the application asks for. A refusal is an [`crate::Event`], never an error.
#[derive(Debug)]
pub enum Command {
    /// Offer a share whose bytes the host can `Load` by root.
    Seed {
        /// Made by [`crate::content::Builder`].
        torrent: Box<Torrent>,
        /// Leaf hashes of each file, by its root.
        leaves: Map<Root, Vec<Hash>>,
    },
    /// Fetch a share.
    Add {
        /// What is known of it.
        magnet: Magnet,
        /// Its `.torrent`, where the application has it.
        torrent: Option<Box<Torrent>>,
        /// Fetch only these files (by index); `None`: all.
        select: Option<Vec<u32>>,
        /// The swarm in which its members meet; `None`: one of its own.
        topic: Option<Topic>,
    },
    /// Pass news on to some neighbours in a swarm.
    Tell {
        /// Which swarm.
        topic: Topic,
        /// At most [`crate::wire::peer::NEWS_BYTES_MAX`].
        news: Vec<u8>,
    },
    /// Fetch other files of a share than before.
    Select {
        /// Which share.
        content: ContentId,
        /// Indices of the wanted files; `None`: all.
        files: Option<Vec<u32>>,
    },
    /// Stop asking and serving, keep everything.
    Pause(ContentId),
    /// Go on.
    Resume(ContentId),
    /// Forget a share, and what is stored for it unless `keep`.
    Remove {
        /// Which share.
        content: ContentId,
        /// Leave the stored bytes.
        keep: bool,
    },
    /// Remove the stored bytes of a file that is not wanted now, whether it is of a share or not. It may be fetched again.
    Drop(Root),
    /// Ask for verified bytes of a file, now or when they are there. Raises their priority. Answered by
    /// `Event::Bytes` or `Event::ReadFailed` with the same number.
    Read {
        /// The application's number for this read.
        read: u32,
        /// Which file.
        root: Root,
        /// First byte.
        start: u64,
        /// How many bytes, at most [`crate::config::READ_BYTES_MAX`].
        length: u32,
        /// How soon they are needed. Zero: now, whatever it costs; later: peers get the chance to send them first.
        within: Duration,
    },
    /// The read is not wanted any more.
    CancelRead(u32),
    /// Make one side of a connection for somebody who is reached by no server: `Event::Code` brings the code to carry
    /// over.
    Invite {
        /// The application's number.
        call: u32,
        /// The share that both are in.
        content: ContentId,
    },
    /// Take in a code that was carried over. An offer is answered by `Event::Code` with the code to carry back, an
    /// answer by one with nothing; what cannot be used by `Event::NoCode`.
    Meet {
        /// The application's number.
        call: u32,
        /// What the other's node made.
        code: Vec<u8>,
    },
    /// The network is there (again): reconnect at once.
    Online,
    /// The network is gone: do not try.
    Offline,
    /// Give at most so many bytes per second from now on; `None`: no limit.
    Upload(Option<u64>),
    /// What to show to a signaller from now on.
    Token(String),
    /// Say goodbye to everybody.
    Close,
}

/// How host work ended. Which variant fits which work stands at [`crate::Work`].
#[derive(Debug)]
pub enum Outcome<'a> {
    /// Done; nothing to say.
    Ok,
    /// What was asked for does not exist (`Get`, `Load`; HTTP 404 and 410), or is not so (`Verify`).
    Missing,
    /// Bytes.
    Bytes(&'a [u8]),
    /// The local side of a connection.
    Described(Description),
    /// The host could not do it.
    Failed(Failure),
}

/// Why the host could not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No network, refused, reset, timed out: worth another try later.
    Network,
    /// The HTTP server answered, but not with the range that was asked for.
    Status(u16),
    /// No storage left.
    Full,
    /// The browser or crate refused, for good.
    Unsupported,
    /// Anything else of the host's.
    Host,
}

impl Failure {
    /// A stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Status(_) => "status",
            Self::Full => "storage-full",
            Self::Unsupported => "unsupported",
            Self::Host => "host",
        }
    }
}
