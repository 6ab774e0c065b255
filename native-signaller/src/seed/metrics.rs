//! What a peer counts, for logs and for whoever watches it. Everything else is in the node's snapshot.

use core::sync::atomic::{AtomicU64, Ordering};
use swarmlet_core::{Event, Snapshot};

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
    /// All of them, for a metrics page.
    pub(super) fn list(&self) -> Vec<Measure> {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let gauge = |name, help, counter| Measure { name, help, value: now(counter), grows: false };
        let count = |name, help, counter| Measure { name, help, value: now(counter), grows: true };
        vec![
            gauge("links", "Links with both channels open", &self.links),
            gauge("connections", "Connections that hold sockets", &self.connections),
            count("connections_made", "Connections ever begun", &self.connections_made),
            count("dials_failed", "Attempts that never became a link", &self.dials_failed),
            count("stuck", "Links of which no byte left for half a minute", &self.stuck),
            count("recycles", "Times that the WebRTC stack was thrown away", &self.recycles),
            count("banned", "Peers shut out", &self.banned),
            count("wire_in_bytes", "Bytes received on data channels", &self.wire_in),
            count("wire_out_bytes", "Bytes sent on data channels", &self.wire_out),
            count("disk_read_bytes", "Bytes read from disk", &self.disk_read),
            count("disk_written_bytes", "Bytes written to disk", &self.disk_written),
            gauge("stored_bytes", "Bytes that the store holds", &self.stored),
            count("damaged", "Stored bytes that were found to be wrong", &self.damaged),
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
            | Event::News { .. }
            | Event::SignallerUp
            | Event::SignallerDown { .. }
            | Event::Anchor { .. }
            | Event::SignallerRefused { .. } => {}
        }
    }
}

/// One figure of a metrics page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) value: u64,
    /// Whether it only ever grows.
    pub(crate) grows: bool,
}

/// What the node's own view adds.
pub(super) fn of_node(view: &Snapshot) -> [Measure; 7] {
    let gauge = |name, help, value| Measure { name, help, value, grows: false };
    let count = |name, help, value| Measure { name, help, value, grows: true };
    let totals = &view.totals;
    [
        gauge("shares", "Shares that it has or fetches", view.shares.len() as u64),
        gauge("dialling", "Links in the making", view.dialling.into()),
        gauge("signaller", "1: its signaller is there", view.signaller.into()),
        count("sent_bytes", "Payload given to peers", totals.sent),
        count("from_peers_bytes", "Verified payload from peers", totals.from_peers),
        count("from_http_bytes", "Verified payload over HTTP", totals.from_http),
        count("wasted_bytes", "Payload thrown away: duplicates and lies", totals.wasted),
    ]
}
