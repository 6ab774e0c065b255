//! Access links and what flows over them: store and forward in chunks of a leaf, every flow of a peer in
//! turn, so that a small message waits for chunks, never for whole queues (theory §6). Rates are what a data
//! channel carries: packet headers are not counted.

use crate::rtc::EndId;
use crate::world::{Happening, News, PeerId, World};
use core::time::Duration;
use std::collections::VecDeque;
use swarmlet_core::config::CHANNEL_LOW_BYTES;
use swarmlet_core::{Channel, Instant};

/// What is sent in one go.
const CHUNK_BYTES: usize = 16 * 1024;

/// One peer's line.
#[derive(Debug)]
pub struct Access {
    /// Bytes per second out.
    pub up: u64,
    /// Bytes per second in.
    pub down: u64,
    /// One way from the peer to the middle of the network.
    pub latency: Duration,
    /// Bytes that have left it, whatever became of them.
    pub sent: u64,
    /// Whether a chunk is on its way out.
    busy: bool,
    /// Flows with something to send, in turn.
    ring: VecDeque<(EndId, Channel)>,
    down_free: Instant,
}

/// One direction of one channel.
#[derive(Debug, Default)]
pub struct Flow {
    queue: VecDeque<Vec<u8>>,
    head_sent: usize,
    buffered: usize,
    transit: VecDeque<Vec<u8>>,
    last_arrival: Instant,
    in_ring: bool,
}

/// Where every byte that was sent has gone; `check` compares it with what is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Handed to channels.
    pub sent: u64,
    /// Handed to nodes.
    pub received: u64,
    /// Died with their link.
    pub lost: u64,
}

impl Access {
    /// A line.
    #[must_use]
    pub const fn new(up: u64, down: u64, latency: Duration) -> Self {
        Self { up, down, latency, sent: 0, busy: false, ring: VecDeque::new(), down_free: Instant::ZERO }
    }

    /// When `bytes` that come in at `now` are through.
    pub fn take_in(&mut self, now: Instant, bytes: u64) -> Instant {
        self.down_free = self.down_free.max(now) + transfer_time(bytes, self.down);
        self.down_free
    }

    /// Forgets what was to be sent: the peer is gone.
    pub fn silence(&mut self) {
        self.ring.clear();
    }
}

impl Flow {
    /// Bytes that the host still holds.
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.buffered
    }

    /// Bytes queued or on the way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.queue.iter().chain(&self.transit).map(|message| message.len() as u64).sum()
    }

    /// Loses what has not left the host; returns how many bytes.
    pub fn lose_queue(&mut self) -> u64 {
        self.head_sent = 0;
        self.buffered = 0;
        self.queue.drain(..).map(|message| message.len() as u64).sum()
    }

    /// Loses what is on the way; returns how many bytes.
    pub fn lose_transit(&mut self) -> u64 {
        self.transit.drain(..).map(|message| message.len() as u64).sum()
    }
}

/// How long `bytes` take at `rate` bytes per second, rounded up, so that no run is faster than its lines.
#[must_use]
pub fn transfer_time(bytes: u64, rate: u64) -> Duration {
    Duration::from_micros((u128::from(bytes) * 1_000_000).div_ceil(u128::from(rate.max(1))) as u64)
}

impl World {
    /// One way between two peers.
    #[must_use]
    pub fn latency(&self, from: PeerId, to: PeerId) -> Duration {
        self.peers[from].access.latency + self.peers[to].access.latency
    }

    /// A node's message goes into its channel's buffer.
    pub(crate) fn enqueue(&mut self, end: EndId, channel: Channel, message: Vec<u8>) {
        let flow = self.ends[end].flow_mut(channel);
        self.ledger.sent += message.len() as u64;
        flow.buffered += message.len();
        flow.queue.push_back(message);
        self.join_ring(end, channel);
    }

    /// Puts a flow that has something to send into its peer's ring.
    pub(crate) fn join_ring(&mut self, end: EndId, channel: Channel) {
        let peer = self.ends[end].peer;
        let stuck = self.ends[end].stuck;
        let flow = self.ends[end].flow_mut(channel);
        if flow.in_ring || stuck || flow.queue.is_empty() {
            return;
        }
        flow.in_ring = true;
        self.peers[peer].access.ring.push_back((end, channel));
        self.serve_uplink(peer);
    }

    fn serve_uplink(&mut self, peer: PeerId) {
        if self.peers[peer].access.busy {
            return;
        }
        while let Some((end, channel)) = self.peers[peer].access.ring.pop_front() {
            let stuck = self.ends[end].stuck;
            let flow = self.ends[end].flow_mut(channel);
            let Some(head) = flow.queue.front().filter(|_| !stuck) else {
                flow.in_ring = false;
                continue;
            };
            let chunk = (head.len() - flow.head_sent).min(CHUNK_BYTES);
            let access = &mut self.peers[peer].access;
            access.busy = true;
            let at = self.now + transfer_time(chunk as u64, access.up);
            self.queue.push(at, Happening::ChunkLeft { end, channel, chunk });
            return;
        }
    }

    pub(crate) fn on_chunk_left(&mut self, end: EndId, channel: Channel, chunk: usize) {
        let peer = self.ends[end].peer;
        self.peers[peer].access.busy = false;
        self.peers[peer].access.sent += chunk as u64;
        self.forward_chunk(end, channel, chunk);
        let flow = self.ends[end].flow_mut(channel);
        flow.in_ring = false;
        self.join_ring(end, channel);
        self.serve_uplink(peer);
    }

    fn forward_chunk(&mut self, end: EndId, channel: Channel, chunk: usize) {
        let (peer, life, link) = (self.ends[end].peer, self.ends[end].life, self.ends[end].link);
        let Some(other) = self.ends[end].other else { return };
        let (sender, receiver) = (peer, self.ends[other].peer);
        let jitter = self.peers[sender].spec.jitter.as_micros() as u64;
        let late = Duration::from_micros(self.peers[sender].rng.below(jitter.max(1)));
        let arrival = self.now + self.latency(sender, receiver) + late;
        let flow = self.ends[end].flow_mut(channel);
        let Some(head) = flow.queue.front() else { return };
        let before = flow.buffered;
        flow.head_sent += chunk;
        flow.buffered -= chunk;
        let last = flow.head_sent == head.len();
        if last {
            flow.head_sent = 0;
            let message = flow.queue.pop_front();
            flow.transit.extend(message);
        }
        flow.last_arrival = flow.last_arrival.max(arrival);
        let at = flow.last_arrival;
        let low = CHANNEL_LOW_BYTES as usize;
        let drained = (before > low && flow.buffered <= low).then_some(flow.buffered);
        self.queue.push(at, Happening::ChunkCame { end, channel, chunk, last });
        if let Some(buffered) = drained {
            let news = News::Writable { link, channel, buffered: buffered as u32 };
            self.tell(peer, life, self.now, news);
        }
    }

    pub(crate) fn on_chunk_came(&mut self, end: EndId, channel: Channel, chunk: usize, last: bool) {
        let Some(receiver) = self.ends[end].other.map(|other| self.ends[other].peer) else { return };
        let through = self.peers[receiver].access.take_in(self.now, chunk as u64);
        if last {
            self.queue.push(through, Happening::Through { end, channel });
        }
    }

    /// The last byte of a message is through the receiver's line.
    pub(crate) fn on_through(&mut self, end: EndId, channel: Channel) {
        let Some(other) = self.ends[end].other.filter(|other| self.ends[*other].is_open()) else { return };
        let Some(bytes) = self.ends[end].flow_mut(channel).transit.pop_front() else { return };
        self.ledger.received += bytes.len() as u64;
        let (peer, life, link) = (self.ends[other].peer, self.ends[other].life, self.ends[other].link);
        self.tell(peer, life, self.now, News::Received { link, channel, bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_forward_one_thing_after_the_other() {
        let mut access = Access::new(1_000_000, 500_000, Duration::ZERO);
        let first = access.take_in(Instant::from_micros(10), 1000);
        assert_eq!(first, Instant::from_micros(2010));
        assert_eq!(access.take_in(Instant::from_micros(20), 500), Instant::from_micros(3010));
        assert_eq!(access.take_in(Instant::from_micros(9000), 500), Instant::from_micros(10_000));
    }

    #[test]
    fn times_are_rounded_up() {
        assert_eq!(transfer_time(1, 3_000_000), Duration::from_micros(1));
        assert_eq!(transfer_time(0, 1), Duration::ZERO);
    }
}
