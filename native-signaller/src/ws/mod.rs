//! WebSockets (RFC 6455), the server's side: the bytes of frames, the request that opens one, and the loop of one
//! that comes over an asynchronous stream. Written for many sockets that are mostly silent: nothing here owns a
//! buffer while nothing is under way. No extension is ever agreed to, compression least of all.

pub(crate) mod frame;
pub(crate) mod head;
pub(crate) mod socket;

use swarmlet_core::tracker::server::{CloseReason, Dialect};

/// Why a socket is closed: the WebSocket code, and a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Close {
    /// RFC 6455 §7.4.
    pub(crate) code: u16,
    /// For people who look.
    pub(crate) reason: &'static str,
}

/// A client that does not read what it asked for.
pub(crate) const SLOW: Close = Close { code: 1013, reason: "slow" };
/// No sign of life.
pub(crate) const IDLE: Close = Close { code: 1001, reason: "idle" };
/// A frame that was begun and not finished in time.
pub(crate) const DRIP: Close = Close { code: 1008, reason: "deadline" };
/// Text where binary messages are spoken.
pub(crate) const NOT_BINARY: Close = Close { code: 1003, reason: "binary messages only" };
/// A message above the limit of its dialect.
pub(crate) const OVERSIZE: Close = Close { code: 1009, reason: "oversize" };
/// Bytes that are no frames of a client.
pub(crate) const BROKEN: Close = Close { code: 1002, reason: "malformed" };

impl From<CloseReason> for Close {
    fn from(reason: CloseReason) -> Self {
        let code = match reason {
            CloseReason::Oversize => 1009,
            CloseReason::Malformed | CloseReason::Protocol => 1002,
            CloseReason::Denied | CloseReason::Deadline | CloseReason::Rate => 1008,
            CloseReason::Full => 1013,
            CloseReason::Draining => 1012,
            CloseReason::Replaced => 4001,
        };
        Self { code, reason: reason.name() }
    }
}

/// The largest message of a dialect.
pub(crate) const fn message_bytes_max(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Swarmlet => swarmlet_core::config::SIGNAL_BYTES_MAX,
        Dialect::WebTorrent => swarmlet_core::wire::webtorrent::MESSAGE_BYTES_MAX,
    }
}
