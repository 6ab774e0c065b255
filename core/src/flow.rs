//! What is under way to one peer, and how much may be. A leaf.
//!
//! A channel's own count of waiting bytes ends where the network begins, and what is queued there delays everybody.
//! So the receiver says what it has taken and when by its own clock (`Acked`). The time from sending to taking, less the
//! shortest such time, is what blocks waited in queues on the way, whatever the two clocks show and however late the
//! answer comes. Windows grow while that wait is short and shrink while it is long (the idea of LEDBAT, RFC 6817). How they start and
//! empty the way now and then is LEDBAT++'s (draft-irtf-iccrg-ledbat-plus-plus); what each link keeps waiting is counted in bytes
//! as in FAST TCP (Wei, Jin, Low, Hegde: IEEE/ACM Transactions on Networking 14, 2006), which shares a line evenly whatever windows were.

#[cfg(test)]
mod bed;

use crate::config::BLOCK_LEAVES_MAX;
use crate::time::{Instant, SECOND};
use alloc::collections::VecDeque;

/// Milliseconds of waiting that nobody shrinks for: clocks count in milliseconds, and a busy machine is late by some. What stands in
/// the queue also makes who comes later take the way for longer, and itself entitled to more: so it is little.
const TARGET: u64 = 8;
/// Leaves that each link keeps waiting beyond that: where all see the same wait, rate × (wait − target) = this for each, so all have
/// the same rate.
const KEPT: u64 = 1;
/// Leaves that may always be under way but for the moments in which the way is emptied: three blocks, since one is being sent,
/// one on its way, one acknowledged.
const LEAVES_MIN: u64 = 3 * BLOCK_LEAVES_MAX as u64;
/// Leaves that may be under way at the most (8 MiB).
const LEAVES_MAX: u64 = 512;
/// Of the size a round trip adds this part at the most once the start is over.
const GAIN_PART: u64 = 16;
/// A wait that ends the start.
const START_WAIT: u64 = 7;
/// From one moment in which the way is emptied to the next: as long at least, and so many times as long as that takes.
const DRAIN_EVERY: u64 = 3 * SECOND;
const DRAIN_SHARE: u64 = 48;
/// The shortest delay is taken from this span of time and the one before: routes and clocks change.
const BASE_SPAN: u64 = 60 * SECOND;

/// How much may be asked for or sent to all: doubles in each round trip until something waits on the way, then follows what waits by up
/// to a quarter in a round trip: what is heard of it is old.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    size: u64,
    min: u64,
    max: u64,
    /// Something has waited for too long before.
    met: bool,
}

impl Window {
    pub(crate) const fn new(min: u64, max: u64) -> Self {
        Self { size: min, min, max, met: false }
    }

    /// So much has arrived after it was `queued` for some milliseconds, of which `target` are allowed. `full`: the
    /// window was in use; what is not used need not grow.
    pub(crate) fn see(&mut self, amount: u64, queued: u64, target: u64, full: bool) {
        if queued >= target {
            self.met = true;
            self.size -= amount.min(self.size) * (queued - target).min(target) / (target * 4);
        } else if full {
            let slower = if self.met { 4 } else { 1 };
            self.size += (amount * (target - queued)).div_ceil(target * slower);
        }
        self.size = self.size.clamp(self.min, self.max);
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }
}

/// How many leaves may be under way to one peer. Half as many more in every second round trip, until even what waits least does wait: the
/// first round trip after a growth still tells of what was sent before it. Then, and again every few seconds, three quarters of what the way
/// holds for one round trip: others fill the line, so that only an emptied way shows how long it is. Less than that would let the channel
/// below run dry, and a browser's begins anew with four packets. And then what keeps its share waiting.
#[derive(Debug)]
struct Pace {
    size: u64,
    phase: Phase,
    /// The shortest wait in this round trip, whether the size was in use, and when the round trip is over. What leaves together
    /// waits for itself; the first of it does not (HyStart, RFC 9406, takes the shortest of a round trip, too).
    least: u64,
    used: bool,
    round: Instant,
    drain_at: Instant,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Whether a whole round trip was heard of since the size grew.
    Start(bool),
    /// After it so many leaves may be under way again.
    Drain(u64),
    Steady,
}

impl Pace {
    const fn new() -> Self {
        Self {
            size: LEAVES_MIN,
            phase: Phase::Start(true),
            least: u64::MAX,
            used: false,
            round: Instant::ZERO,
            drain_at: Instant::ZERO,
        }
    }

    /// Something has arrived after it was `queued` for some milliseconds of a round trip that takes `way` without. `full`: the size was
    /// in use; what is not used need not grow.
    fn see(&mut self, now: Instant, queued: u64, way: u64, full: bool) {
        self.least = self.least.min(queued);
        self.used |= full;
        if now < self.round {
            return;
        }
        let all = way + queued;
        let (least, used) = (self.least, core::mem::take(&mut self.used));
        let span = (all * 1000).min(SECOND);
        (self.least, self.round) = (u64::MAX, now.after(span));
        match self.phase {
            Phase::Drain(before) => (self.size, self.phase) = (before, Phase::Steady),
            Phase::Start(heard) if least < START_WAIT => {
                self.grow(self.size / 2 * u64::from(used && heard));
                self.phase = Phase::Start(!heard);
            }
            Phase::Steady if now < self.drain_at => {
                let faster = self.size / GAIN_PART * TARGET.saturating_sub(least) / TARGET;
                let aim = self.size * (way + TARGET) / (way + least.max(TARGET)) + KEPT + faster;
                self.grow(aim.saturating_sub(self.size).div_ceil(2) * u64::from(used));
                self.size = (self.size - self.size.saturating_sub(aim) / 2).max(LEAVES_MIN);
            }
            Phase::Start(_) | Phase::Steady => {
                let holds = self.size * way / (way + least).max(1);
                self.phase = Phase::Drain(holds.max(LEAVES_MIN));
                self.size = (holds * 3 / 4).max(u64::from(BLOCK_LEAVES_MAX));
                self.drain_at = now.after(DRAIN_EVERY.max(span * DRAIN_SHARE));
            }
        }
    }

    fn grow(&mut self, by: u64) {
        self.size = (self.size + by).min(LEAVES_MAX);
    }
}

/// What an acknowledgement tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Leaves that are acknowledged for the first time.
    pub(crate) fresh: u64,
    /// Milliseconds that the last of them waited on its way.
    pub(crate) queued: u64,
    /// Milliseconds from sending to hearing of it, without that.
    pub(crate) way: u64,
}

/// Blocks sent to one peer and not yet acknowledged.
#[derive(Debug)]
pub(crate) struct Flow {
    sent: u64,
    acked: u64,
    /// Count after each block, and when it was sent.
    marks: VecDeque<(u64, Instant)>,
    pace: Pace,
    /// Shortest times from sending to taking, by two clocks that may be apart.
    base: Option<i64>,
    base_before: Option<i64>,
    base_since: Instant,
}

impl Flow {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            sent: 0,
            acked: 0,
            marks: VecDeque::new(),
            pace: Pace::new(),
            base: None,
            base_before: None,
            base_since: now,
        }
    }

    /// A block leaves.
    pub(crate) fn send(&mut self, now: Instant, leaves: u32) {
        self.sent += u64::from(leaves);
        self.marks.push_back((self.sent, now));
    }

    /// The peer has taken so many leaves since the link came up, the last at `clock` of its own milliseconds. `None`: more
    /// than were sent.
    pub(crate) fn acked(&mut self, now: Instant, leaves: u64, clock: u32) -> Option<Taken> {
        if leaves > self.sent {
            return None;
        }
        let fresh = leaves.saturating_sub(self.acked);
        let full = (self.sent - self.acked) * 2 > self.pace.size;
        self.acked += fresh;
        let mut sent_at = None;
        while let Some((count, at)) = self.marks.front().copied()
            && count <= self.acked
        {
            self.marks.pop_front();
            sent_at = Some(at);
        }
        let Some(at) = sent_at else { return Some(Taken { fresh, ..Taken::default() }) };
        let queued = self.queued(now, i64::from(clock.wrapping_sub(at.millis()).cast_signed()));
        let way = (now.passed(at) / 1000).saturating_sub(queued);
        self.pace.see(now, queued, way, full);
        Some(Taken { fresh, queued, way })
    }

    /// How much longer a block took than the fastest one.
    fn queued(&mut self, now: Instant, took: i64) -> u64 {
        if now.passed(self.base_since) > BASE_SPAN {
            self.base_before = self.base.take();
            self.base_since = now;
        }
        let base = took.min(self.base.unwrap_or(took));
        self.base = Some(base);
        (took - base.min(self.base_before.unwrap_or(base))).cast_unsigned()
    }

    /// Leaves under way.
    pub(crate) const fn under_way(&self) -> u64 {
        self.sent - self.acked
    }

    /// Whether one more block may go, with so many leaves being loaded.
    pub(crate) const fn has_room(&self, loading: u64) -> bool {
        self.under_way() + loading + BLOCK_LEAVES_MAX as u64 <= self.pace.size
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
    /// Acknowledgements are `back` microseconds late, and the clocks are apart.
    fn run(rate: u64, delay: u64, back: u64) -> (u64, u64) {
        let mut flow = Flow::new(Instant::ZERO);
        let (mut now, mut free, mut taken, mut queue) = (0u64, 0u64, 0u64, 0u64);
        let mut acks = VecDeque::new();
        while now < 20 * SECOND {
            while flow.has_room(0) {
                flow.send(Instant::from_micros(now), 4);
                free = free.max(now) + 65_536 * SECOND / rate;
                taken += 4;
                if now > 10 * SECOND {
                    queue = queue.max(free - now);
                }
                acks.push_back((free + delay + back, taken, free + delay));
            }
            let Some((at, leaves, came)) = acks.pop_front() else { break };
            now = at;
            let clock = Instant::from_micros(came).millis().wrapping_sub(77_777);
            assert!(flow.acked(Instant::from_micros(now), leaves, clock).is_some());
        }
        (flow.acked * 16_384 * SECOND / now, queue)
    }

    #[test]
    fn lines_are_filled_and_their_queues_stay_short() {
        let lines = [(625_000, 40_000), (6_250_000, 40_000), (12_500_000, 10_000), (1_250_000, 200_000)];
        for (rate, delay) in lines {
            for back in [0, 300_000] {
                let (got, queue) = run(rate, delay, back);
                // Round trips that late answers make long are many until the window has grown.
                let share = if back > 0 { 60 } else { 80 };
                assert!(got * 100 > rate * share, "{got} of {rate}, {back} us late");
                let blocks = 3 * 65_536 * SECOND / rate;
                assert!(queue < blocks + 4 * TARGET * 1000, "{queue} us at {rate}, {back} us late");
            }
        }
    }

    #[test]
    fn shaped_lines_are_filled_shared_and_not_overrun() {
        // 50 Mbit/s and 2 × 20 ms, 10 and 2 × 50, 100 and 2 × 5; queues of 300 ms and of 40.
        for (rate, delay) in [(6_250_000, 20_000), (1_250_000, 50_000), (12_500_000, 5_000)] {
            let deep = bed::Line { rate, delay, queue: rate * 3 / 10 };
            let one = bed::run(deep, &[0], 15 * SECOND);
            assert!(one.rate * 100 >= rate * 95 && one.queued <= 100_000, "{one:?} at {rate}");
            assert!(one.first * 100 >= rate * 90, "{one:?} at {rate}");
            // The second comes at different moments of what the first does now and then.
            let (mut two, mut first, mut waits) = (u64::MAX, 0, 0);
            for later in [30, 33, 36, 39] {
                let seen = bed::run(deep, &[0, later * SECOND / 10], 25 * SECOND);
                let all: u64 = seen.shares.iter().sum();
                assert!(seen.shares.iter().all(|share| share * 100 >= all * 35), "{seen:?} at {rate}");
                (two, waits) = (two.min(seen.rate), waits.max(seen.queued));
                first += seen.shares[0] * 25 / all;
            }
            assert!(two * 100 >= rate * 90 && waits <= 250_000, "{two}, {waits} at {rate}");
            assert!((40..=60).contains(&first), "{first} % at {rate}");
            let short = bed::Line { queue: rate / 25, ..deep };
            let tight = bed::run(short, &[0], 15 * SECOND);
            // At 10 Mbit/s the queue has no room for one block.
            let (share, dropped) = if rate < 2_000_000 { (50, u64::MAX) } else { (90, 0) };
            assert!(tight.rate * 100 >= rate * share && tight.dropped <= dropped, "{tight:?} at {rate}");
            // For docs/NETWORK.md, with `-- --nocapture`.
            std::println!(
                "{rate} B/s: one {} %, {} % in 3 s, {} ms; two {} %, {} ms, first {} %; short queue {} %, {} % in 3 s, {} packets dropped",
                one.rate * 100 / rate,
                one.first * 100 / rate,
                one.queued / 1000,
                two * 100 / rate,
                waits / 1000,
                first,
                tight.rate * 100 / rate,
                tight.first * 100 / rate,
                tight.dropped
            );
        }
    }

    #[test]
    fn nobody_acknowledges_what_was_not_sent_and_silence_is_seen() {
        let mut flow = Flow::new(Instant::ZERO);
        assert_eq!(flow.acked(Instant::ZERO, 1, 0), None);
        flow.send(Instant::ZERO, 4);
        assert!(!flow.is_stuck(Instant::from_micros(9), 9) && flow.is_stuck(Instant::from_micros(10), 9));
        assert_eq!(flow.acked(Instant::from_micros(10), 4, 5), Some(Taken { fresh: 4, queued: 0, way: 0 }));
        assert_eq!(flow.under_way(), 0);
        assert!(!flow.is_stuck(Instant::from_micros(SECOND), 9));
    }
}
