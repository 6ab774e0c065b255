//! What a node looks like from outside: for pages, metrics and tests. Reading it changes nothing.

use crate::id::{ContentId, PeerId, Root};
use alloc::string::String;
use alloc::vec::Vec;

/// A node at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Whether the signaller has let us in.
    pub signaller: bool,
    /// Proven links.
    pub links: Vec<LinkView>,
    /// Links being made.
    pub dialling: u32,
    /// Connections made since the start.
    pub connections_made: u32,
    /// Shares, in the order they were added.
    pub shares: Vec<ShareView>,
    /// Sums over all links and sources since the start.
    pub totals: Totals,
}

/// One proven link.
#[derive(Clone, Debug)]
pub struct LinkView {
    /// Whose.
    pub peer: PeerId,
    /// Verified payload bytes received.
    pub received: u64,
    /// Payload bytes sent.
    pub sent: u64,
    /// Received bytes per second, now.
    pub down_rate: u64,
    /// Sent bytes per second, now.
    pub up_rate: u64,
    /// Round trip in microseconds; 0 while unknown.
    pub rtt_us: u32,
    /// Requests outstanding to this peer, in leaves.
    pub requested: u32,
}

/// One share.
#[derive(Clone, Debug)]
pub struct ShareView {
    /// Which.
    pub content: ContentId,
    /// Its name; empty while unknown.
    pub name: String,
    /// What it is doing.
    pub state: ShareState,
    /// Its files; empty while unknown.
    pub files: Vec<FileView>,
    /// Bytes of the wanted files.
    pub wanted: u64,
    /// Verified bytes of the wanted files.
    pub done: u64,
    /// Verified payload bytes received from peers.
    pub from_peers: u64,
    /// Verified bytes received over HTTP.
    pub from_http: u64,
    /// Verified bytes found in the store at the start.
    pub from_store: u64,
    /// Payload bytes sent to peers.
    pub sent: u64,
    /// Bytes received and thrown away: duplicates and lies.
    pub wasted: u64,
    /// Received bytes per second, now.
    pub down_rate: u64,
    /// Sent bytes per second, now.
    pub up_rate: u64,
    /// Links to peers of this share.
    pub peers: u32,
    /// Seeds and others that the signaller told of.
    pub swarm_seeds: u32,
    /// Peers that are not complete, as the signaller told.
    pub swarm_leeches: u32,
    /// HTTP sources in use.
    pub sources: u32,
    /// Pieces still missing that no source here has.
    pub unavailable: u32,
}

/// What a share is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareState {
    /// The list of files is not known yet.
    Finding,
    /// Looking through what is stored.
    Checking,
    /// Fetching.
    Fetching,
    /// All wanted files are complete.
    Seeding,
    /// Paused by the application.
    Paused,
    /// Paused because of a failure that was reported.
    Failed,
}

/// One file of a share.
#[derive(Clone, Debug)]
pub struct FileView {
    /// Path elements.
    pub path: Vec<String>,
    /// Bytes.
    pub length: u64,
    /// What it swarms as; `None` for an empty file.
    pub root: Option<Root>,
    /// Verified bytes.
    pub done: u64,
    /// Whether it is to be fetched.
    pub wanted: bool,
}

/// Sums since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Verified payload bytes from peers.
    pub from_peers: u64,
    /// Verified bytes over HTTP.
    pub from_http: u64,
    /// Payload bytes to peers.
    pub sent: u64,
    /// All bytes received on data channels.
    pub wire_in: u64,
    /// All bytes sent on data channels.
    pub wire_out: u64,
    /// Bytes thrown away: duplicates and lies.
    pub wasted: u64,
    /// Peers banned.
    pub banned: u32,
}
