//! Lines that meet in one point: who sends what to whom, and when it is there. Pure, like the lines.

use crate::line::{Dice, Line, Micros, Shape, Tally};
use core::cmp::Reverse;
use core::net::Ipv4Addr;
use serde::{Deserialize, Serialize};
use std::collections::BinaryHeap;

/// Who is at the end of a line, by number.
pub(crate) type Node = usize;

/// Both ways of somebody's line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Access {
    /// What it is called: letters, digits, hyphens.
    pub(crate) name: String,
    /// To the others.
    #[serde(default)]
    pub(crate) up: Shape,
    /// From the others.
    #[serde(default)]
    pub(crate) down: Shape,
}

/// What went through both ways of a line.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Both {
    /// To the others.
    pub(crate) up: Tally,
    /// From the others.
    pub(crate) down: Tally,
}

/// Where a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    /// In the middle: its receiver's line comes next.
    Middle,
    /// At its receiver.
    End,
}

/// A packet on its way. They are in the order of time, and of coming where times are equal.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    due: Micros,
    number: u64,
    at: At,
    to: Node,
    packet: Vec<u8>,
}

/// All lines.
#[derive(Debug)]
pub(crate) struct Star {
    lines: Vec<(Line, Line)>,
    flights: BinaryHeap<Reverse<Flight>>,
    flown: u64,
    dice: Dice,
}

/// Of the addresses of a bed, 10.77.0.0/16, a node's own.
#[must_use]
pub(crate) const fn address(node: Node) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, (node / 250) as u8, (node % 250 + 1) as u8)
}

/// Whose address a packet is for, where it is an IPv4 packet for one of the bed's.
#[must_use]
pub(crate) fn receiver(packet: &[u8]) -> Option<Node> {
    let (version, to) = (packet.first()? >> 4, packet.get(16..20)?);
    match to {
        [10, 77, high, low @ 1..=250] if version == 4 => {
            Some(usize::from(*high) * 250 + usize::from(*low) - 1)
        }
        _ => None,
    }
}

impl Star {
    /// Idle lines.
    #[must_use]
    pub(crate) fn new(nodes: &[Access], seed: u64) -> Self {
        let lines = nodes.iter().map(|node| (Line::new(node.up), Line::new(node.down))).collect();
        Self { lines, flights: BinaryHeap::new(), flown: 0, dice: Dice::new(seed) }
    }

    /// Somebody sends a packet.
    pub(crate) fn send(&mut self, now: Micros, from: Node, packet: Vec<u8>) {
        let Some(to) = receiver(&packet).filter(|to| *to < self.lines.len() && *to != from) else { return };
        let Some((up, _)) = self.lines.get_mut(from) else { return };
        if let Some(due) = up.take(now, packet.len() as u64, &mut self.dice) {
            self.fly(due, At::Middle, to, packet);
        }
    }

    fn fly(&mut self, due: Micros, at: At, to: Node, packet: Vec<u8>) {
        self.flown += 1;
        self.flights.push(Reverse(Flight { due, number: self.flown, at, to, packet }));
    }

    /// When something is to be done next.
    #[must_use]
    pub(crate) fn due(&self) -> Option<Micros> {
        self.flights.peek().map(|Reverse(flight)| flight.due)
    }

    /// A packet that is there, and at whom.
    pub(crate) fn arrived(&mut self, now: Micros) -> Option<(Node, Vec<u8>)> {
        while self.due().is_some_and(|due| due <= now) {
            let Reverse(flight) = self.flights.pop()?;
            let Flight { due, at, to, packet, .. } = flight;
            if at == At::End {
                return Some((to, packet));
            }
            // By its own time: that the machine was late is not added up on the way.
            let down = &mut self.lines[to].1;
            if let Some(due) = down.take(due, packet.len() as u64, &mut self.dice) {
                self.fly(due, At::End, to, packet);
            }
        }
        None
    }

    /// Cuts somebody's line.
    pub(crate) fn cut(&mut self, node: Node, until: Micros) {
        if let Some((up, down)) = self.lines.get_mut(node) {
            up.cut(until);
            down.cut(until);
        }
    }

    /// What went through each line.
    #[must_use]
    pub(crate) fn tallies(&self) -> Vec<Both> {
        self.lines.iter().map(|(up, down)| Both { up: up.tally(), down: down.tally() }).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn packet(to: Node, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[0] = 0x45;
        bytes[16..20].copy_from_slice(&address(to).octets());
        bytes
    }

    fn access(rate: u64, delay: Micros) -> Access {
        let shape = Shape { rate, delay, ..Shape::default() };
        Access { name: "x".to_owned(), up: shape, down: shape }
    }

    #[test]
    fn addresses_and_nodes_are_the_same_thing() {
        for node in [0, 1, 249, 250, 1_000] {
            assert_eq!(receiver(&packet(node, 20)), Some(node));
        }
        let mut odd = packet(3, 20);
        odd[0] = 0x65;
        assert_eq!(receiver(&odd), None, "another version");
        assert_eq!(receiver(&packet(3, 20)[..19]), None, "cut short");
        odd = packet(3, 20);
        odd[19] = 255;
        assert_eq!(receiver(&odd), None, "nobody's");
    }

    #[test]
    fn a_packet_passes_its_senders_and_its_receivers_line() {
        let mut star = Star::new(&[access(8_000_000, 10_000), access(4_000_000, 5_000)], 1);
        star.send(0, 0, packet(1, 1_000));
        star.send(0, 0, packet(1, 1_000));
        assert_eq!(star.due(), Some(11_000));
        assert!(star.arrived(17_999).is_none());
        assert_eq!(star.arrived(18_000).unwrap().0, 1, "1 ms and 10 ms, 2 ms and 5 ms");
        assert!(star.arrived(19_999).is_none());
        assert!(star.arrived(20_000).is_some(), "the second waits for the slower line");
        let tallies = star.tallies();
        assert_eq!((tallies[0].up.bytes, tallies[1].down.bytes, tallies[1].up.bytes), (2_000, 2_000, 0));
    }

    #[test]
    fn what_is_for_nobody_goes_nowhere() {
        let mut star = Star::new(&[access(0, 0), access(0, 0)], 1);
        star.send(0, 0, packet(0, 20));
        star.send(0, 0, packet(2, 20));
        star.send(0, 0, vec![0x60; 40]);
        star.send(0, 9, packet(1, 20));
        assert_eq!(star.due(), None);
        star.cut(1, 100);
        star.send(0, 0, packet(1, 20));
        assert!(star.arrived(1_000).is_none(), "its receiver's line is cut");
    }
}
