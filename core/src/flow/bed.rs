//! A bed for the controller: links over a shared line with a drop-tail queue, each on a channel that has a congestion control of its
//! own as SCTP's is (RFC 9260 §7: slow start, halving once in a round trip, a timeout of a second at least that begins anew),
//! so that what the two do to each other can be seen without a browser, a clock or a quiet machine.

use super::Flow;
use crate::config::{BLOCK_LEAVES_MAX, LEAF_BYTES};
use crate::time::{Instant, SECOND};
use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;

const PACKET: u64 = 1200;
const BLOCK: u64 = LEAF_BYTES as u64 * BLOCK_LEAVES_MAX as u64;
const PACKETS: u64 = BLOCK.div_ceil(PACKET);
/// What a channel has room for before the next block is given to it (`Outbox::room`).
const BUFFER: u64 = 128 * 1024;
/// dcsctp's, in packets: what it begins with, and what it falls back to.
const CWND_START: u64 = 10;
const CWND_MIN: u64 = 4;
const RTO: u64 = SECOND;
/// Leaves that a receiver asks for at first; half of what has come is added to it (`picker::window`).
const ASKED: u64 = 2 * BLOCK_LEAVES_MAX as u64;

/// The line: bytes per second, microseconds one way, bytes of queue.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) rate: u64,
    pub(super) delay: u64,
    pub(super) queue: u64,
}

/// What one link got, and what all did to the line.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Bytes for each link while all of them were there.
    pub(super) shares: Vec<u64>,
    /// Bytes per second of all, from two seconds after the first began.
    pub(super) rate: u64,
    /// Bytes per second of the first link in the three seconds after its first block has come.
    pub(super) first: u64,
    /// Microseconds of queue that 95 % of the moments stay below.
    pub(super) queued: u64,
    pub(super) dropped: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Begin,
    /// A packet, and its place among all that were sent.
    Packet(u64, u64),
    Sack(u64),
    Acked(u64, u32),
    Timer(u64),
}

struct Link {
    flow: Flow,
    begun: bool,
    /// Packets given to the channel, and the first that was never sent.
    given: u64,
    next: u64,
    lost: BTreeSet<u64>,
    /// By when they were sent.
    flight: BTreeMap<u64, u64>,
    sent: u64,
    cwnd: u64,
    ssthresh: u64,
    partial: u64,
    recovery: u64,
    timer: u64,
    got: BTreeSet<u64>,
    whole: u64,
    taken: u64,
    /// Leaves that the receiver asked for until now, as far as the sender knows.
    asked: u64,
}

/// Runs links that begin at these microseconds over one line.
pub(super) fn run(line: Line, starts: &[u64], until: u64) -> Seen {
    let mut bed = Bed { line, events: BinaryHeap::new(), free: 0, order: 0, dropped: 0 };
    let mut links = Vec::new();
    for (at, start) in starts.iter().enumerate() {
        bed.put(*start, at, What::Begin);
        links.push(Link::new());
    }
    let all_from = starts.iter().max().copied().unwrap_or(0) + 2 * SECOND;
    let mut seen = Seen { shares: alloc::vec![0; starts.len()], ..Seen::default() };
    let (mut samples, mut looked, mut bytes) = (Vec::new(), 0, 0);
    let mut first_at = None;
    while let Some(Reverse((now, _, at, what))) = bed.events.pop() {
        if now > until {
            break;
        }
        while looked < now {
            looked += 10_000;
            if looked > 2 * SECOND {
                samples.push(bed.free.saturating_sub(looked));
            }
        }
        let before = links[at].taken;
        links[at].take_in(&mut bed, now, at, what);
        let fresh = (links[at].taken - before) * BLOCK;
        if now > 2 * SECOND {
            bytes += fresh;
        }
        if at == 0 && fresh > 0 {
            let from = *first_at.get_or_insert(now);
            seen.first += if now - from < 3 * SECOND { fresh } else { 0 };
        }
        if now > all_from {
            seen.shares[at] += fresh;
        }
    }
    samples.sort_unstable();
    seen.queued = samples[samples.len() * 95 / 100];
    seen.rate = bytes * SECOND / (until - 2 * SECOND);
    seen.dropped = bed.dropped;
    seen.first /= 3;
    seen
}

struct Bed {
    line: Line,
    events: BinaryHeap<Reverse<(u64, u64, usize, What)>>,
    free: u64,
    order: u64,
    dropped: u64,
}

impl Bed {
    fn put(&mut self, at: u64, link: usize, what: What) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, link, what)));
    }

    fn send(&mut self, now: u64, link: usize, packet: u64, order: u64) {
        let queue = self.free.saturating_sub(now) * self.line.rate / SECOND;
        if queue + PACKET > self.line.queue {
            self.dropped += 1;
            return;
        }
        self.free = self.free.max(now) + PACKET * SECOND / self.line.rate;
        self.put(self.free + self.line.delay, link, What::Packet(packet, order));
    }
}

impl Link {
    fn new() -> Self {
        Self {
            flow: Flow::new(Instant::ZERO),
            begun: false,
            given: 0,
            next: 0,
            lost: BTreeSet::new(),
            flight: BTreeMap::new(),
            sent: 0,
            cwnd: CWND_START,
            ssthresh: u64::MAX,
            partial: 0,
            recovery: 0,
            timer: 0,
            got: BTreeSet::new(),
            whole: 0,
            taken: 0,
            asked: ASKED,
        }
    }

    fn take_in(&mut self, bed: &mut Bed, now: u64, at: usize, what: What) {
        let back = bed.line.delay;
        match what {
            What::Begin => self.begun = true,
            What::Packet(packet, order) => {
                self.got.insert(packet);
                while self.got.remove(&self.whole) {
                    self.whole += 1;
                }
                bed.put(now + back, at, What::Sack(order));
                if self.whole / PACKETS > self.taken {
                    self.taken = self.whole / PACKETS;
                    // Clocks that are apart.
                    let clock = Instant::from_micros(now).millis().wrapping_sub(77_777);
                    bed.put(now + back, at, What::Acked(self.taken, clock));
                }
            }
            What::Sack(order) => self.sack(bed, now, at, order),
            What::Acked(blocks, clock) => {
                let leaves = blocks * u64::from(BLOCK_LEAVES_MAX);
                assert!(self.flow.acked(Instant::from_micros(now), leaves, clock).is_some());
                self.asked = leaves + ASKED + leaves / 2;
            }
            What::Timer(timer) => {
                if timer == self.timer && !self.flight.is_empty() {
                    (self.ssthresh, self.cwnd) = ((self.cwnd / 2).max(CWND_MIN), 1);
                    self.lost.extend(core::mem::take(&mut self.flight).into_values());
                    self.recovery = self.sent;
                }
            }
        }
        while self.begun
            && self.flow.has_room(0)
            && (self.given / PACKETS + 1) * u64::from(BLOCK_LEAVES_MAX) <= self.asked
            && (self.given - self.next + self.lost.len() as u64) * PACKET + BLOCK <= BUFFER
        {
            self.flow.send(Instant::from_micros(now), BLOCK_LEAVES_MAX);
            self.given += PACKETS;
        }
        // dcsctp sends four packets at most on one occasion, and is told of two at a time.
        let burst = if matches!(what, What::Sack(_)) { 2 } else { 4 };
        self.transmit(bed, now, at, burst);
    }

    fn sack(&mut self, bed: &mut Bed, now: u64, at: usize, order: u64) {
        let full = self.flight.len() as u64 >= self.cwnd;
        if self.flight.remove(&order).is_none() {
            return;
        }
        // Three that were sent later have come.
        while let Some((first, packet)) =
            self.flight.first_key_value().map(|(first, packet)| (*first, *packet))
            && first + 3 <= order
        {
            self.flight.remove(&first);
            self.lost.insert(packet);
            if first >= self.recovery {
                self.cwnd = (self.cwnd / 2).max(CWND_MIN);
                self.ssthresh = self.cwnd;
                self.recovery = self.sent;
            }
        }
        if full && self.lost.is_empty() {
            self.partial += 1;
            // Two packets are acknowledged at a time, for which slow start adds one.
            if self.partial >= if self.cwnd < self.ssthresh { 2 } else { self.cwnd } {
                (self.cwnd, self.partial) = (self.cwnd + 1, 0);
            }
        }
        self.timer += 1;
        bed.put(now + RTO, at, What::Timer(self.timer));
    }

    fn transmit(&mut self, bed: &mut Bed, now: u64, at: usize, burst: u64) {
        let idle = self.flight.is_empty();
        let last = self.sent + burst;
        while (self.flight.len() as u64) < self.cwnd && self.sent < last {
            let packet = match self.lost.pop_first() {
                Some(packet) => packet,
                None if self.next < self.given => {
                    self.next += 1;
                    self.next - 1
                }
                None => break,
            };
            self.flight.insert(self.sent, packet);
            bed.send(now, at, packet, self.sent);
            self.sent += 1;
        }
        if idle && !self.flight.is_empty() {
            self.timer += 1;
            bed.put(now + RTO, at, What::Timer(self.timer));
        }
    }
}
