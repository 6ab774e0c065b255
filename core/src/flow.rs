//! What is under way to one peer, and how much may be. A leaf.
//!
//! A channel's own count of waiting bytes ends where the network begins, and what is queued there delays everybody.
//! So the receiver says what it has taken (`Acked`), and what may be under way is what it takes in a round trip and a
//! little more: the queue on the way stays short, whatever lies between (the idea of LEDBAT, RFC 6817).

use crate::config::{BLOCK_LEAVES_MAX, LEAF_BYTES};
use crate::rate::Rate;
use crate::time::{Instant, SECOND};
use alloc::collections::VecDeque;

/// Queueing delay that a link may cause itself.
const TARGET: u64 = 40_000;
/// Leaves that may always be under way: three blocks, since one is being sent, one on its way, one acknowledged.
const LEAVES_MIN: u64 = 3 * BLOCK_LEAVES_MAX as u64;
/// Leaves that may be under way at the most (4 MiB).
const LEAVES_MAX: u64 = 256;
/// The shortest delay is taken from this span of time and the one before: routes change.
const BASE_SPAN: u64 = 60 * SECOND;

/// Blocks sent to one peer and not yet acknowledged.
#[derive(Debug)]
pub(crate) struct Flow {
    sent: u64,
    acked: u64,
    /// Count after each block, and when it was sent.
    marks: VecDeque<(u64, Instant)>,
    rate: Rate,
    base: u64,
    base_before: u64,
    base_since: Instant,
}

impl Flow {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            sent: 0,
            acked: 0,
            marks: VecDeque::new(),
            rate: Rate::default(),
            base: u64::MAX,
            base_before: u64::MAX,
            base_since: now,
        }
    }

    /// A block leaves.
    pub(crate) fn send(&mut self, now: Instant, leaves: u32) {
        self.sent += u64::from(leaves);
        self.marks.push_back((self.sent, now));
    }

    /// The peer has taken so many leaves since the link came up. `false`: more than were sent.
    pub(crate) fn acked(&mut self, now: Instant, leaves: u64) -> bool {
        if leaves > self.sent {
            return false;
        }
        self.rate.add(now, leaves.saturating_sub(self.acked) * u64::from(LEAF_BYTES));
        self.acked = self.acked.max(leaves);
        while let Some((count, at)) = self.marks.front().copied()
            && count <= self.acked
        {
            self.marks.pop_front();
            self.see_delay(now, now.passed(at));
        }
        true
    }

    /// Takes note of a time from sending to hearing.
    pub(crate) fn see_delay(&mut self, now: Instant, delay: u64) {
        if now.passed(self.base_since) > BASE_SPAN {
            self.base_before = core::mem::replace(&mut self.base, u64::MAX);
            self.base_since = now;
        }
        self.base = self.base.min(delay);
    }

    /// The shortest time from sending to hearing, in microseconds.
    pub(crate) fn base(&self) -> u64 {
        match self.base.min(self.base_before) {
            u64::MAX => SECOND / 5,
            base => base,
        }
    }

    /// Bytes under way.
    pub(crate) const fn under_way(&self) -> u64 {
        (self.sent - self.acked) * LEAF_BYTES as u64
    }

    /// Whether one more block may go, with so many leaves being loaded.
    pub(crate) fn has_room(&self, now: Instant, loading: u64) -> bool {
        let bytes = self.rate.per_second(now) * (self.base() + TARGET).min(4 * SECOND) / SECOND;
        let leaves =
            (bytes / u64::from(LEAF_BYTES) + u64::from(BLOCK_LEAVES_MAX)).clamp(LEAVES_MIN, LEAVES_MAX);
        self.sent - self.acked + loading < leaves
    }

    /// Whether what is under way has been silent for longer than `patience`.
    pub(crate) fn is_stuck(&self, now: Instant, patience: u64) -> bool {
        self.marks.front().is_some_and(|(_, at)| now.passed(*at) > patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as fast as the flow lets it over a line of `rate` bytes per second; the most that waited in its queue.
    fn run(rate: u64, delay: u64) -> (u64, u64) {
        let mut flow = Flow::new(Instant::ZERO);
        let (mut now, mut free, mut taken, mut queue) = (0u64, 0u64, 0u64, 0u64);
        let mut acks = VecDeque::new();
        while now < 20 * SECOND {
            while flow.has_room(Instant::from_micros(now), 0) {
                flow.send(Instant::from_micros(now), 4);
                free = free.max(now) + 65_536 * SECOND / rate;
                taken += 4;
                if now > 10 * SECOND {
                    queue = queue.max(free - now);
                }
                acks.push_back((free + delay, taken));
            }
            let Some((at, leaves)) = acks.pop_front() else { break };
            now = at;
            assert!(flow.acked(Instant::from_micros(now), leaves));
        }
        (flow.acked * 16_384 * SECOND / now, queue)
    }

    #[test]
    fn lines_are_filled_and_their_queues_stay_short() {
        for (rate, delay) in
            [(625_000, 40_000), (6_250_000, 40_000), (12_500_000, 10_000), (1_250_000, 200_000)]
        {
            let (got, queue) = run(rate, delay);
            assert!(got * 100 > rate * 90, "{got} of {rate}");
            let blocks = 3 * 65_536 * SECOND / rate;
            assert!(queue < blocks + 2 * TARGET, "{queue} us at {rate}");
        }
    }

    #[test]
    fn nobody_acknowledges_what_was_not_sent_and_silence_is_seen() {
        let mut flow = Flow::new(Instant::ZERO);
        assert!(!flow.acked(Instant::ZERO, 1));
        flow.send(Instant::ZERO, 4);
        assert!(!flow.is_stuck(Instant::from_micros(9), 9) && flow.is_stuck(Instant::from_micros(10), 9));
        assert!(flow.acked(Instant::from_micros(10), 4) && flow.under_way() == 0);
        assert!(!flow.is_stuck(Instant::from_micros(SECOND), 9));
    }
}
