//! What a peer counts, for logs and for whoever watches it. Everything else is in the node's snapshot.

use core::sync::atomic::{AtomicU64, Ordering};
use swarmlet_core::Event;

/// Counters of one peer since it started. Reading them costs and changes nothing.
#[derive(Debug, Default)]
pub struct Counters {
    /// Links with both channels open, now.
    pub links: AtomicU64,
    /// Connections of the WebRTC stack that hold sockets, now.
    pub connections: AtomicU64,
    /// Connections ever begun.
    pub connections_made: AtomicU64,
    /// Attempts that never became a link.
    pub dials_failed: AtomicU64,
    /// Links of which no byte left for half a minute although some were there.
    pub stuck: AtomicU64,
    /// Times that the WebRTC stack was thrown away.
    pub recycles: AtomicU64,
    /// Peers shut out.
    pub banned: AtomicU64,
    /// Bytes received on data channels.
    pub wire_in: AtomicU64,
    /// Bytes sent on data channels.
    pub wire_out: AtomicU64,
    /// Bytes read from disk.
    pub disk_read: AtomicU64,
    /// Bytes written to disk.
    pub disk_written: AtomicU64,
    /// Bytes that the store holds, now.
    pub stored: AtomicU64,
    /// Stored bytes that were found to be wrong.
    pub damaged: AtomicU64,
}

impl Counters {
    /// Name, value and whether it only grows, of each, for a metrics page.
    #[must_use]
    pub fn list(&self) -> [(&'static str, u64, bool); 13] {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("links", now(&self.links), false),
            ("connections", now(&self.connections), false),
            ("connections_made", now(&self.connections_made), true),
            ("dials_failed", now(&self.dials_failed), true),
            ("stuck", now(&self.stuck), true),
            ("recycles", now(&self.recycles), true),
            ("banned", now(&self.banned), true),
            ("wire_in_bytes", now(&self.wire_in), true),
            ("wire_out_bytes", now(&self.wire_out), true),
            ("disk_read_bytes", now(&self.disk_read), true),
            ("disk_written_bytes", now(&self.disk_written), true),
            ("stored_bytes", now(&self.stored), false),
            ("damaged", now(&self.damaged), true),
        ]
    }

    /// Counts what the node says.
    pub(super) fn note(&self, event: &Event) {
        let add = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        match event {
            Event::DialFailed { .. } => add(&self.dials_failed),
            Event::Banned { .. } => add(&self.banned),
            Event::Damaged { .. } => add(&self.damaged),
            Event::Ready { .. }
            | Event::FileDone { .. }
            | Event::Done { .. }
            | Event::Failed { .. }
            | Event::Bytes { .. }
            | Event::ReadFailed { .. }
            | Event::Code { .. }
            | Event::NoCode { .. }
            | Event::LinkUp { .. }
            | Event::LinkDown { .. }
            | Event::FirstLeaf { .. }
            | Event::SourceDropped { .. }
            | Event::SignallerUp
            | Event::SignallerDown { .. }
            | Event::SignallerRefused { .. } => {}
        }
    }
}
