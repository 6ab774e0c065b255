//! Bytes ⇄ values. Wire modules know the format and its limits, and nothing of what the values mean.
//!
//! Every message is one postcard value (variant index = position in the enum, so variants are only ever
//! appended). Three rules hold for all of them: the size is checked before anything is decoded, surplus
//! bytes are refused, and counts are checked before the value leaves this module.

pub mod bus;
mod json;
pub mod mesh;
#[cfg(feature = "overlay")]
pub mod overlay;
pub mod peer;
pub mod sdp;
pub mod signal;
#[cfg(test)]
mod tests;
pub mod tracker;
pub mod webtorrent;

pub use mesh::{Card, Code, Met};
pub use peer::{Frame, HashRange, Hello, Message, Pieces, Proof, Signature, Span};
pub use signal::{Address, Candidate, CandidateKind, Description, Role, Signal};
pub use tracker::{PeerView, Refusal, ToClient, ToTracker};

use crate::config::SIGNAL_BYTES_MAX;
use alloc::vec::Vec;
use serde::{Serialize, de::DeserializeOwned};

/// The protocol version that `Hello` carries, on links and to the tracker.
pub const VERSION: u16 = 1;
/// Bits of [`Hello::features`]: who sets one takes the message that came with it. Others are never sent it.
pub const FEATURE_NEWS: u32 = 1;
/// The same of [`Message::Overlay`].
pub const FEATURE_OVERLAY: u32 = 2;
/// The same of [`Message::Anchor`].
pub const FEATURE_ANCHOR: u32 = 4;

/// Several messages come as one (docs/PROTOCOL.md, "Messages of a link").
pub const FEATURE_GATHERED: u32 = 8;

/// What most messages fit into without their tail.
const HEAD_BYTES: usize = 64;

/// Bytes that are no message. Which bytes they were does not matter to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Longer than the limit for its kind.
    Oversize,
    /// Truncated, trailing, unknown or not canonical.
    Malformed,
    /// A count or length above its limit.
    Limit,
}

/// Encodes a value that this crate built, so that it cannot fail.
pub(crate) fn pack<T: Serialize>(value: &T) -> Vec<u8> {
    pack_before(value, 0)
}

/// The same with room for a tail behind it.
fn pack_before<T: Serialize>(value: &T, tail: usize) -> Vec<u8> {
    // Our messages have only encodable fields. `expect` would take postcard's error texts, a kilobyte, into every page.
    let Ok(bytes) = postcard::to_extend(value, Vec::with_capacity(HEAD_BYTES + tail)) else { unreachable!() };
    bytes
}

/// Decodes the first signaller message of a frame, either way. Answers what is behind it, too.
fn unpack<T: DeserializeOwned>(frame: &[u8]) -> Result<(T, &[u8]), Error> {
    if frame.len() > SIGNAL_BYTES_MAX {
        return Err(Error::Oversize);
    }
    postcard::take_from_bytes(frame).map_err(|_| Error::Malformed)
}
