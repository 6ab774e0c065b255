//! One way of an access line: a queue in front of a wire, and what happens on the wire. Pure: time and chance are
//! handed in.

use serde::Deserialize;

/// A millionth of a second, since the bed was set up.
pub(crate) type Micros = u64;

/// Of this many draws, as many are lost or late as a probability in millionths says.
const MILLION: u64 = 1_000_000;
/// What a line without a queue of its own holds at least: two whole packets.
const QUEUE_MIN: u64 = 3_000;

/// How one way of a line behaves. What is left out does no harm.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Shape {
    /// Bits per second, headers of IP packets included; 0: no limit.
    pub(crate) rate: u64,
    /// Bytes that wait in front of it, whole packets; more are dropped. 0: 100 ms at its rate.
    pub(crate) queue: u64,
    /// Microseconds on the way.
    pub(crate) delay: Micros,
    /// The most that a packet is later by chance, microseconds; packets stay in order.
    pub(crate) jitter: Micros,
    /// Lost packets in a million.
    pub(crate) loss: u64,
    /// Packets in a million that are overtaken by those behind them.
    pub(crate) reorder: u64,
}

impl Shape {
    /// How long such a packet is late: those of the next few milliseconds come first, and on a long way more of
    /// them.
    const fn late(&self) -> Micros {
        2_000 + self.delay / 4
    }

    fn queue(&self) -> u64 {
        let own = if self.queue == 0 { self.rate / 80 } else { self.queue };
        own.max(QUEUE_MIN)
    }
}

/// What became of the packets of one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Tally {
    /// Packets and bytes that got onto the wire.
    pub(crate) packets: u64,
    /// The same in bytes.
    pub(crate) bytes: u64,
    /// Packets for which the queue had no room.
    pub(crate) overflowed: u64,
    /// Packets that the wire lost.
    pub(crate) lost: u64,
    /// Packets that were overtaken.
    pub(crate) overtaken: u64,
}

/// Chance: splitmix64.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The same draws for the same seed.
    #[must_use]
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`; 0 where that is 0.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        ((word as u128 * end as u128) >> 64) as u64
    }

    const fn hits(&mut self, per_million: u64) -> bool {
        per_million > 0 && self.below(MILLION) < per_million
    }
}

/// One way of a line.
#[derive(Debug)]
pub(crate) struct Line {
    shape: Shape,
    /// When what waits now is through, in thousandths of microseconds: a fast line's packet takes less than one.
    free: u64,
    /// When the last packet that kept its place comes out.
    last: Micros,
    cut_until: Micros,
    tally: Tally,
}

impl Line {
    /// An idle one.
    #[must_use]
    pub(crate) fn new(shape: Shape) -> Self {
        Self { shape, free: 0, last: 0, cut_until: 0, tally: Tally::default() }
    }

    /// What became of its packets.
    #[must_use]
    pub(crate) const fn tally(&self) -> Tally {
        self.tally
    }

    /// Nothing comes through before that moment.
    pub(crate) const fn cut(&mut self, until: Micros) {
        self.cut_until = until;
    }

    /// Bytes that wait or are just leaving.
    #[must_use]
    pub(crate) const fn waiting(&self, now: Micros) -> u64 {
        let nanos = self.free.saturating_sub(now * 1000);
        (nanos as u128 * self.shape.rate as u128 / 8_000_000_000) as u64
    }

    /// A packet comes to the line. When it comes out at the other end; `None`: it does not.
    pub(crate) fn take(&mut self, now: Micros, bytes: u64, dice: &mut Dice) -> Option<Micros> {
        if now < self.cut_until {
            self.tally.lost += 1;
            return None;
        }
        if self.shape.rate > 0 && self.waiting(now) + bytes > self.shape.queue() {
            self.tally.overflowed += 1;
            return None;
        }
        self.tally.packets += 1;
        self.tally.bytes += bytes;
        let cost = (bytes * 8_000_000_000).checked_div(self.shape.rate).unwrap_or(0);
        self.free = self.free.max(now * 1000) + cost;
        if dice.hits(self.shape.loss) {
            self.tally.lost += 1;
            return None;
        }
        let out = self.free / 1000 + self.shape.delay + dice.below(self.shape.jitter + 1);
        if dice.hits(self.shape.reorder) {
            self.tally.overtaken += 1;
            return Some(out + self.shape.late());
        }
        self.last = self.last.max(out);
        Some(self.last)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// 1500 bytes take 12 ms.
    const SLOW: Shape = Shape { rate: 1_000_000, queue: 6_000, delay: 0, jitter: 0, loss: 0, reorder: 0 };

    #[test]
    fn packets_leave_one_after_the_other_at_the_rate() {
        let (mut line, mut dice) = (Line::new(Shape { delay: 5_000, ..SLOW }), Dice::new(1));
        let out: Vec<_> = (0..3).map(|_| line.take(1_000, 1_500, &mut dice)).collect();
        assert_eq!(out, [Some(18_000), Some(30_000), Some(42_000)]);
        assert_eq!(line.take(1_000_000, 1_500, &mut dice), Some(1_017_000), "an idle line keeps no time");
        assert_eq!(line.tally(), Tally { packets: 4, bytes: 6_000, ..Tally::default() });
    }

    #[test]
    fn the_queue_is_counted_in_bytes_and_drops_what_comes_last() {
        let (mut line, mut dice) = (Line::new(SLOW), Dice::new(1));
        let taken = (0..10).filter(|_| line.take(0, 1_500, &mut dice).is_some()).count();
        assert_eq!((taken, line.waiting(0)), (4, 6_000));
        assert_eq!(line.take(11_000, 1_500, &mut dice), None, "125 bytes of the first are still there");
        assert_eq!(line.take(11_000, 1_300, &mut dice), Some(58_400), "a small one fits");
        assert_eq!(line.take(24_000, 1_500, &mut dice), Some(70_400));
        assert_eq!(line.tally().overflowed, 7);
    }

    #[test]
    fn what_was_not_said_is_a_tenth_of_a_second_of_queue_and_no_limit_without_a_rate() {
        let (mut line, mut dice) = (Line::new(Shape { queue: 0, ..SLOW }), Dice::new(1));
        assert_eq!((0..100).filter(|_| line.take(0, 1_250, &mut dice).is_some()).count(), 10);
        let mut free = Line::new(Shape::default());
        assert!((0..10_000).all(|now| free.take(now, 1_500, &mut dice) == Some(now)));
    }

    #[test]
    fn as_many_are_lost_and_overtaken_as_was_said() {
        let shape =
            Shape { loss: 100_000, reorder: 50_000, delay: 40_000, jitter: 3_000, ..Shape::default() };
        let (mut line, mut dice) = (Line::new(shape), Dice::new(7));
        let out: Vec<_> = (0..20_000).filter_map(|n| line.take(n * 1_000, 1_000, &mut dice)).collect();
        let tally = line.tally();
        assert!((1_800..2_200).contains(&tally.lost), "{tally:?}");
        assert!((800..1_000).contains(&tally.overtaken), "{tally:?}");
        let backwards = out.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
        assert!(backwards > tally.overtaken / 2, "{backwards} places changed");
    }

    #[test]
    fn jitter_alone_changes_no_order_and_is_never_more_than_said() {
        let shape = Shape { delay: 10_000, jitter: 5_000, ..Shape::default() };
        let (mut line, mut dice) = (Line::new(shape), Dice::new(3));
        let late: Vec<_> =
            (0..1_000).map(|n| (n * 100, line.take(n * 100, 100, &mut dice).unwrap())).collect();
        assert!(late.windows(2).all(|pair| pair[0].1 <= pair[1].1));
        assert!(late.iter().all(|(at, out)| (10_000..=15_000).contains(&(out - at))));
    }

    #[test]
    fn a_cut_line_lets_nothing_through_until_it_is_whole() {
        let (mut line, mut dice) = (Line::new(SLOW), Dice::new(1));
        line.cut(5_000_000);
        assert_eq!(line.take(4_999_999, 100, &mut dice), None);
        assert_eq!(line.take(5_000_000, 125, &mut dice), Some(5_001_000));
    }
}
