//! Every limit and constant that a user, an operator or a test may want to change, with unit and reason.

use crate::id::Hash;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// Bytes of a leaf: what is hashed, verified and relayed as one (BEP 52).
pub const LEAF_BYTES: u32 = 16 * 1024;
/// Leaves in one block message: 64 KiB messages beat 16 KiB by a quarter on a data channel (measured).
pub const BLOCK_LEAVES_MAX: u32 = 4;
/// The largest data-channel message: a block of four leaves and its header. Browsers take 256 KiB.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 + 1024;
/// The low-water mark that hosts set on both channels of a link: little, so that the next block is chosen when the last
/// one has nearly left.
pub const CHANNEL_LOW_BYTES: u32 = 16 * 1024;
/// The largest message to and from a signaller.
pub const SIGNAL_BYTES_MAX: usize = 16 * 1024;
/// The largest `Command::Read`.
pub const READ_BYTES_MAX: u32 = 1024 * 1024;
/// The largest info dictionary accepted, in bytes (about 40,000 files with common names fit).
pub const INFO_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Files in one share.
pub const FILES_MAX: usize = 100_000;
/// Folders inside folders.
pub const PATH_DEPTH_MAX: usize = 32;
/// Bytes of one path element (the limit of common file systems).
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes of a share: what a JavaScript number holds exactly.
pub const TOTAL_BYTES_MAX: u64 = (1 << 53) - 1;
/// Bytes of one file: 65,536 pieces of 8 MiB.
pub const FILE_BYTES_MAX: u64 = 512 << 30;
/// The largest `.torrent` file accepted: an info dictionary and the piece layers of many large files.
pub const TORRENT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// HTTP sources, trackers and other addresses that are read from one torrent or magnet link, of each kind.
pub const URLS_MAX: usize = 64;
/// Bytes of one such address.
pub const URL_BYTES_MAX: usize = 2048;

/// To whom a leecher gives first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Incentive {
    /// To whom it owes most (FairTorrent): the rule that ships.
    #[default]
    Deficit,
    /// To everybody in turn, kept to compare with.
    #[cfg(feature = "lab")]
    None,
    /// To so many at a time, chosen in rounds as classic BitTorrent does, kept to compare with.
    #[cfg(feature = "lab")]
    Classic {
        /// Neighbours that are served, the one in its turn among them.
        slots: u8,
    },
}

/// What a node may do. The defaults suit a browser tab.
#[derive(Clone, Debug)]
pub struct Config {
    /// Sent to the signaller in the first message; empty where it is open to all.
    pub token: String,
    /// Where this peer is a signaller itself, as its neighbours are told (`overlay::anchors`); empty: it is none.
    pub anchor: String,
    /// Whether there is a signaller to talk to.
    pub signaller: bool,
    /// Live links. Chromium allows 500 connections in a tab; 12 to 20 useful ones are enough (theory §1.2).
    pub links_max: u32,
    /// Links wanted for each share before no more are looked for.
    pub links_wanted: u32,
    /// Links being made at the same time.
    pub dials_max: u32,
    /// Connections made in a tab's life, since closed ones may count until they are collected.
    pub connections_max: u32,
    /// From the first signal to open channels.
    pub dial_deadline: Duration,
    /// Bytes handed to a channel and not yet sent. 256 KiB was the fastest of five settings (baselines §1).
    pub channel_high_bytes: u32,
    /// Requested and not yet received, in leaves for each link (4 MiB).
    pub window_leaves_max: u32,
    /// Requests of one peer that wait here, in leaves. Twice the window: cancels may cross requests.
    pub queue_leaves_max: u32,
    /// Upload limit in bytes per second; `None`: no limit.
    pub upload_rate_max: Option<u64>,
    /// Shares at the same time.
    pub shares_max: u32,
    /// HTTP requests at the same time.
    pub fetches_max: u32,
    /// Bytes asked for in one HTTP request.
    pub fetch_bytes: u32,
    /// Quiet time after which a link is asked whether it is there.
    pub ping_after: Duration,
    /// Quiet time after which a link is dead.
    pub dead_after: Duration,
    /// To whom to give first.
    pub incentive: Incentive,
    /// SHA-256 of each leaf of bytes that begin with one. A host that has a faster way may put it here; it must give the
    /// same hashes.
    pub hash_leaves: fn(&[u8]) -> Vec<Hash>,
    /// What was proven here reads back the same, as far as the host can see: browsers refuse to read a visitor's file that
    /// was changed, and nobody else writes to private files that are open. Then one block in sixteen that leave is
    /// proven once more, by chance; otherwise all of it.
    pub spot_checks: bool,
}

/// The hash of each leaf of bytes that begin with one (BEP 52: SHA-256).
#[must_use]
pub fn hash_leaves(bytes: &[u8]) -> Vec<Hash> {
    let mut hashes = Vec::with_capacity(bytes.len().div_ceil(LEAF_BYTES as usize));
    for leaf in bytes.chunks(LEAF_BYTES as usize) {
        hashes.push(Hash::of(leaf));
    }
    hashes
}

impl Default for Config {
    fn default() -> Self {
        Self {
            token: String::new(),
            anchor: String::new(),
            signaller: true,
            links_max: 30,
            links_wanted: 12,
            dials_max: 6,
            connections_max: 400,
            dial_deadline: Duration::from_secs(15),
            channel_high_bytes: 256 * 1024,
            window_leaves_max: 256,
            queue_leaves_max: 512,
            upload_rate_max: None,
            shares_max: 64,
            fetches_max: 4,
            fetch_bytes: 1024 * 1024,
            ping_after: Duration::from_secs(10),
            dead_after: Duration::from_secs(30),
            incentive: Incentive::default(),
            hash_leaves,
            spot_checks: false,
        }
    }
}
