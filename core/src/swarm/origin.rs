//! HTTP sources of a share (BEP 19): when to use one, and when to drop it. Pure but for the source's own state.

use crate::action::SourceFailure;
use crate::input::Failure;
use crate::time::{Instant, SECOND};
use alloc::string::String;

/// Failures in a row after which a source counts as unreachable.
const FAILURES_MAX: u32 = 5;
/// First pause after a failure; doubles.
const BACKOFF: u64 = SECOND / 2;
/// While peers give at least this much and have all that is missing, the owner of the HTTP server is spared.
const PEERS_ENOUGH: u64 = 256 * 1024;

/// One base address of a share.
pub(crate) struct Origin {
    pub(crate) base: String,
    pub(crate) busy: u32,
    pub(crate) not_before: Instant,
    failures: u32,
    pub(crate) dropped: bool,
}

/// What decides how much is fetched over HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Some peer has every piece that is missing.
    pub(crate) peers_have_all: bool,
    /// Links to peers of this share.
    pub(crate) peers: u32,
    /// Verified bytes per second from peers.
    pub(crate) peer_rate: u64,
    /// An application read waits.
    pub(crate) urgent: bool,
    /// The most requests that the configuration allows.
    pub(crate) most: u32,
}

/// How many HTTP requests a share may have under way: all of them while peers are of no use, a few while they
/// are too slow or lack something, none while they do well.
pub(crate) const fn fetches(view: View) -> u32 {
    if view.peers == 0 {
        return view.most;
    }
    if view.peers_have_all && view.peer_rate >= PEERS_ENOUGH && !view.urgent {
        return 0;
    }
    if view.most < 2 { view.most } else { 2 }
}

impl Origin {
    pub(crate) const fn new(base: String) -> Self {
        Self { base, busy: 0, not_before: Instant::ZERO, failures: 0, dropped: false }
    }

    pub(crate) const fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Notes a failure; `Some` when the source is to be dropped.
    pub(crate) fn failed(&mut self, failure: Failure, now: Instant) -> Option<SourceFailure> {
        self.failures += 1;
        self.not_before = now.after(BACKOFF << self.failures.min(6));
        let busy = matches!(failure, Failure::Network | Failure::Status(429 | 500..=599));
        let verdict = match failure {
            _ if busy && self.failures < FAILURES_MAX => return None,
            Failure::Status(status) => SourceFailure::Status(status),
            Failure::Network | Failure::Full | Failure::Unsupported | Failure::Host => {
                SourceFailure::Unreachable
            }
        };
        self.dropped = true;
        Some(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_alone_is_used_to_the_full_and_good_peers_spare_it() {
        let view = View { peers_have_all: false, peers: 0, peer_rate: 0, urgent: false, most: 4 };
        assert_eq!(fetches(view), 4);
        let view = View { peers: 3, ..view };
        assert_eq!(fetches(view), 2);
        let view = View { peers_have_all: true, peer_rate: 1 << 20, ..view };
        assert_eq!(fetches(view), 0);
        assert_eq!(fetches(View { urgent: true, ..view }), 2);
    }

    #[test]
    fn a_missing_file_drops_the_source_at_once_and_a_busy_server_gets_time() {
        let now = Instant::ZERO;
        let mut origin = Origin::new(String::new());
        assert_eq!(origin.failed(Failure::Status(503), now), None);
        assert!(origin.not_before > now);
        assert_eq!(origin.failed(Failure::Status(404), now), Some(SourceFailure::Status(404)));
    }
}
