//! Content as BEP 52 describes it. Leaves: pure functions and values that know no peer, no clock and no store.
//!
//! [`Builder`] makes a [`Torrent`] from files; [`Magnet`] names one; [`Info`] lists its files; [`Layout`] and
//! [`Tree`] say for one file where its bytes lie and whether they are the right ones.

pub mod bencode;
mod bitfield;
mod builder;
mod error;
pub mod http;
mod info;
mod layout;
mod magnet;
mod names;
mod torrent;
mod tree;
mod url;

#[cfg(test)]
mod tests;

pub use crate::config::hash_leaves;
pub use bitfield::{Bitfield, Ones};
pub use builder::{Builder, Built};
pub use error::ContentError;
pub use info::{FileEntry, Info, content_id, site_topic, topic_of};
pub use layout::{Layout, LeafIndex, PieceIndex};
pub use magnet::Magnet;
pub use torrent::Torrent;
pub use tree::{Tree, TreeError, leaf_hash, parent, zero_hash};
pub use url::web_url;
