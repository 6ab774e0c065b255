//! Content as BEP 52 describes it. Leaves: pure functions and values that know no peer, no clock and no store.

use crate::id::{ContentId, Hash, Root};
use alloc::string::String;
use alloc::vec::Vec;

/// A magnet link, read.
#[derive(Clone, Debug)]
pub struct Magnet {
    /// The share.
    pub content: ContentId,
    /// Its display name.
    pub name: Option<String>,
    /// Its HTTP sources.
    pub web_seeds: Vec<String>,
}

/// A `.torrent` file, read.
#[derive(Clone, Debug)]
pub struct Torrent {
    /// HTTP sources.
    pub web_seeds: Vec<String>,
    /// Stub.
    pub layers: alloc::collections::BTreeMap<Root, Vec<Hash>>,
}
