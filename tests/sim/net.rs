//! Access links and what flows over them: store and forward, sent in chunks of a leaf with every flow of a peer in
//! turn, so that a small message waits for chunks, never for whole queues (theory §6). Rates are what a data
//! channel carries: packet headers are not counted.
//!
//! A message costs one event for each chunk but the last, and one or two when it comes in. The line out is settled
//! when somebody looks at it; it rings a bell only where there is more to send or the host waits to hear of room. The
//! line in takes a message as a whole: it is busy for as long as the message takes, in the order of last chunks, and
//! never with what has not yet left its sender.

use crate::body::Body;
use crate::happening::{Happening, News};
use crate::rtc::EndId;
use crate::spec::PeerId;
use crate::world::World;
use core::time::Duration;
use std::collections::VecDeque;
use swarmlet_core::config::CHANNEL_LOW_BYTES;
use swarmlet_core::wire::Frame;
use swarmlet_core::{Channel, Instant};

/// What is sent in one go.
const CHUNK_BYTES: usize = 16 * 1024;
/// A new or stalled connection reaches its line's rate within this many round trips (theory §6).
const RAMP_ROUND_TRIPS: u32 = 4;
/// And is never slower than this part of it: the first packets leave at once.
const RAMP_MIN: u32 = 8;
/// Of this many losses one is found by a timeout, the others by the packets that follow: a guess.
const TIMEOUTS: u64 = 4;
/// The timeouts of SCTP implementations in browsers begin at 200 ms and soon reach a second (RFC 9260 §16).
const TIMEOUT_MS: (u64, u64) = (200, 1000);

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
    /// The chunk on its way out: whose, and how many bytes.
    leaving: Option<(EndId, Channel, usize)>,
    /// When it will have left.
    free: Instant,
    /// Whether a `LineFree` is in the queue.
    bell: bool,
    /// Flows with something to send, in turn.
    ring: VecDeque<(EndId, Channel)>,
    down_free: Instant,
}

/// One direction of one channel.
#[derive(Debug, Default)]
pub struct Flow {
    queue: VecDeque<Body>,
    head_sent: usize,
    /// Bytes sent in the turn that it has now.
    turn: usize,
    buffered: usize,
    /// Messages whose last chunk is on the way, with the time when their first comes in.
    transit: VecDeque<(Body, Instant)>,
    /// How many of them wait for the receiver's line.
    due: usize,
    first_arrival: Instant,
    last_arrival: Instant,
    in_ring: bool,
    held: bool,
    /// Handed over since the node last heard how much room there is.
    pub(crate) unreported: usize,
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
        Self {
            up,
            down,
            latency,
            sent: 0,
            leaving: None,
            free: Instant::ZERO,
            bell: false,
            ring: VecDeque::new(),
            down_free: Instant::ZERO,
        }
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
    /// Bytes that the host still holds, the chunk that is leaving included.
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.buffered
    }

    /// Bytes queued or on the way.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let transit = self.transit.iter().map(|(body, _)| body);
        self.queue.iter().chain(transit).map(|body| body.len() as u64).sum()
    }

    /// Loses what has not left the host; returns how many bytes.
    pub fn lose_queue(&mut self) -> u64 {
        self.head_sent = 0;
        self.buffered = 0;
        core::mem::take(&mut self.queue).iter().map(|body| body.len() as u64).sum()
    }

    /// Loses what is on the way; returns how many bytes.
    pub fn lose_transit(&mut self) -> u64 {
        self.due = 0;
        core::mem::take(&mut self.transit).iter().map(|(body, _)| body.len() as u64).sum()
    }
}

/// How long `bytes` take at `rate` bytes per second, rounded up, so that no run is faster than its lines.
#[must_use]
pub fn transfer_time(bytes: u64, rate: u64) -> Duration {
    Duration::from_micros((bytes.saturating_mul(1_000_000)).div_ceil(rate.max(1)))
}

impl World {
    /// One way between two peers.
    #[must_use]
    pub fn latency(&self, from: PeerId, to: PeerId) -> Duration {
        self.peers[from].access.latency + self.peers[to].access.latency
    }

    /// A node's message goes into its channel's buffer.
    pub(crate) fn enqueue(&mut self, end: EndId, channel: Channel, body: Body) {
        let flow = self.ends[end].flow_mut(channel);
        self.ledger.sent += body.len() as u64;
        flow.buffered += body.len();
        flow.unreported += body.len();
        flow.queue.push_back(body);
        self.join_ring(end, channel);
    }

    /// Puts a flow that has something to send into its peer's ring.
    pub(crate) fn join_ring(&mut self, end: EndId, channel: Channel) {
        let this = &mut self.ends[end];
        let (peer, stuck) = (this.peer, this.stuck);
        let flow = this.flow_mut(channel);
        if flow.in_ring || flow.held || stuck || flow.queue.is_empty() {
            return;
        }
        flow.in_ring = true;
        self.peers[peer].access.ring.push_back((end, channel));
        self.serve_uplink(peer);
    }

    pub(crate) fn on_line_free(&mut self, peer: PeerId) {
        self.peers[peer].access.bell = false;
        self.serve_uplink(peer);
    }

    pub(crate) fn on_flow_ready(&mut self, end: EndId, channel: Channel) {
        self.ends[end].flow_mut(channel).held = false;
        self.join_ring(end, channel);
    }

    /// Bytes that a host still holds for a channel, now.
    pub(crate) fn buffered(&mut self, end: EndId, channel: Channel) -> usize {
        self.settle(self.ends[end].peer);
        self.ends[end].flow_mut(channel).buffered
    }

    /// Books a chunk that has left since somebody looked.
    fn settle(&mut self, peer: PeerId) {
        let access = &mut self.peers[peer].access;
        if access.free > self.now {
            return;
        }
        let Some((end, channel, chunk)) = access.leaving.take() else { return };
        access.sent += chunk as u64;
        let this = &mut self.ends[end];
        let (life, link) = (this.life, this.link);
        let flow = this.flow_mut(channel);
        let before = flow.buffered;
        flow.buffered = before.saturating_sub(chunk);
        let low = CHANNEL_LOW_BYTES as usize;
        if before > low && flow.buffered <= low {
            flow.unreported = 0;
            let buffered = flow.buffered as u32;
            self.tell(peer, life, self.now, News::Writable { link, channel, buffered });
        }
    }

    fn ring_bell(&mut self, peer: PeerId) {
        let access = &mut self.peers[peer].access;
        if !core::mem::replace(&mut access.bell, true) {
            self.queue.push(access.free, Happening::LineFree { peer });
        }
    }

    /// Sends the next chunk of whoever's turn it is, if the line is free.
    fn serve_uplink(&mut self, peer: PeerId) {
        self.settle(peer);
        if self.peers[peer].access.free > self.now {
            return self.ring_bell(peer);
        }
        while let Some((end, channel)) = self.peers[peer].access.ring.pop_front() {
            let (now, stuck, hold) = (self.now, self.ends[end].stuck, self.ends[end].hold);
            let flow = self.ends[end].flow_mut(channel);
            flow.in_ring = false;
            if stuck || flow.queue.is_empty() {
                continue;
            }
            if hold > now {
                flow.held = true;
                self.queue.push(hold, Happening::FlowReady { end, channel });
                continue;
            }
            return self.send_chunk(peer, end, channel);
        }
    }

    fn send_chunk(&mut self, peer: PeerId, end: EndId, channel: Channel) {
        let flow = self.ends[end].flow_mut(channel);
        let Some(length) = flow.queue.front().map(Body::len) else { return };
        let chunk = (length - flow.head_sent).min(CHUNK_BYTES);
        let (first, last) = (flow.head_sent == 0, flow.head_sent + chunk == length);
        let (takes, late) = self.fare(end, chunk);
        let access = &mut self.peers[peer].access;
        access.leaving = Some((end, channel, chunk));
        access.free = self.now + takes;
        let (free, waiting) = (access.free, !access.ring.is_empty());
        let Some(receiver) = self.ends[end].other.map(|other| self.ends[other].peer) else { return };
        let way = self.latency(peer, receiver);
        let inward = transfer_time(chunk as u64, self.peers[receiver].access.down);
        let flow = self.ends[end].flow_mut(channel);
        flow.last_arrival = flow.last_arrival.max(free + way + late);
        if first {
            flow.first_arrival = flow.last_arrival;
        }
        flow.head_sent += chunk;
        if last {
            flow.head_sent = 0;
            let (body, came) = (flow.queue.pop_front(), flow.first_arrival);
            flow.transit.extend(body.map(|body| (body, came)));
            self.queue.push(flow.last_arrival + inward, Happening::Came { end, channel });
        }
        let low = CHANNEL_LOW_BYTES as usize;
        let report = flow.buffered > low && flow.buffered - chunk <= low;
        // Small messages share a packet: a turn is so many bytes, and not one message.
        flow.turn += chunk;
        let goes_on = flow.turn < CHUNK_BYTES;
        if flow.queue.is_empty() || !goes_on {
            flow.turn = 0;
        }
        if !flow.queue.is_empty() {
            flow.in_ring = true;
            let ring = &mut self.peers[peer].access.ring;
            if goes_on { ring.push_front((end, channel)) } else { ring.push_back((end, channel)) }
        } else if !waiting && !report {
            return;
        }
        self.ring_bell(peer);
    }

    /// How long the line is busy with a chunk, and how late it comes beyond that: jitter, losses, and the pace of a
    /// connection that has just begun.
    fn fare(&mut self, end: EndId, chunk: usize) -> (Duration, Duration) {
        let this = &self.ends[end];
        let (peer, began) = (this.peer, this.began);
        let Some(other) = this.other.map(|other| self.ends[other].peer) else {
            return (Duration::ZERO, Duration::ZERO);
        };
        let round_trip = self.latency(peer, other) * 2;
        let mut takes = transfer_time(chunk as u64, self.peers[peer].access.up);
        let age = self.now.since(began);
        let ramp = round_trip * RAMP_ROUND_TRIPS;
        if age < ramp {
            let age = age.max(ramp / RAMP_MIN).as_micros().max(1);
            let spacing = takes.as_micros() * ramp.as_micros() / age;
            self.ends[end].hold = self.now + Duration::from_micros(spacing as u64);
        }
        let loss = self.peers[peer].spec.loss_ppm + self.peers[other].spec.loss_ppm;
        let jitter = self.peers[peer].spec.jitter.as_micros() as u64;
        let rng = &mut self.peers[peer].rng;
        let mut late = Duration::from_micros(rng.below(jitter.max(1)));
        if loss > 0 && rng.below(1_000_000) < u64::from(loss) {
            takes *= 2;
            if rng.below(TIMEOUTS) == 0 {
                let stall = TIMEOUT_MS.0 + rng.below(TIMEOUT_MS.1 - TIMEOUT_MS.0);
                late += Duration::from_millis(stall);
                self.ends[end].hold = self.now + late;
                self.ends[end].began = self.now + late;
            } else {
                late += round_trip;
                self.ends[end].began = self.now - round_trip * (RAMP_ROUND_TRIPS / 2);
            }
        }
        (takes, late)
    }

    /// A message would be through if the receiver's line had nothing else to do.
    pub(crate) fn on_came(&mut self, end: EndId, channel: Channel) {
        let Some(other) = self.ends[end].other.filter(|other| self.ends[*other].is_open()) else { return };
        let receiver = self.ends[other].peer;
        let flow = self.ends[end].flow_mut(channel);
        let Some((body, first)) = flow.transit.get(flow.due) else { return };
        let (first, bytes) = (*first, body.len() as u64);
        let access = &mut self.peers[receiver].access;
        let earliest = access.down_free.max(first) + transfer_time(bytes, access.down);
        access.down_free = earliest.max(self.now);
        let at = access.down_free;
        if at > self.now {
            self.ends[end].flow_mut(channel).due += 1;
            self.queue.push(at, Happening::Through { end, channel });
        } else {
            self.deliver(end, other, channel);
        }
    }

    /// The last byte of a message is through the receiver's line.
    pub(crate) fn on_through(&mut self, end: EndId, channel: Channel) {
        let Some(other) = self.ends[end].other.filter(|other| self.ends[*other].is_open()) else { return };
        let flow = self.ends[end].flow_mut(channel);
        flow.due = flow.due.saturating_sub(1);
        self.deliver(end, other, channel);
    }

    fn deliver(&mut self, end: EndId, other: EndId, channel: Channel) {
        let Some((body, _)) = self.ends[end].flow_mut(channel).transit.pop_front() else { return };
        self.ledger.received += body.len() as u64;
        let (peer, life, link) = (self.ends[other].peer, self.ends[other].life, self.ends[other].link);
        if self.options.trace {
            let (from, bytes) = (self.ends[end].peer, body.len());
            let mut scratch = Vec::new();
            let mut rest = body.bytes(&self.files, &mut scratch);
            while let Ok((Frame { message, .. }, behind)) = Frame::first(rest) {
                rest = behind;
                self.trace(format_args!("peer {peer} gets {bytes} bytes from peer {from}: {message:.120?}"));
            }
        }
        self.on_told(peer, life, News::Received { link, channel, body });
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
