//! A peer in words, for the message of a run that went wrong.

use crate::rtc::End;
use crate::spec::PeerId;
use crate::world::World;
use core::fmt::Write;

/// Of what an application was told the last is shown.
const NOTES_SHOWN: usize = 8;

impl World {
    /// Bytes that one peer has sent and another has not got.
    fn under_way(&self, from: PeerId, to: PeerId) -> u64 {
        let ends = self.ends.iter().filter(|end| end.peer == from && end.is_open());
        ends.filter(|end| end.other.is_some_and(|other| self.ends[other].peer == to))
            .map(End::in_flight)
            .sum()
    }

    /// What a peer looks like now: its links, its shares, and what its application heard last.
    #[must_use]
    pub fn describe(&self, peer: PeerId) -> String {
        let this = &self.peers[peer];
        let mut out =
            format!("peer {peer}, life {}, {:?}, {:?}", this.life, this.spec.conduct, this.spec.nat);
        let Some(node) = &this.node else { return out + ", closed" };
        let snapshot = node.snapshot();
        let (made, dialling) = (snapshot.connections_made, snapshot.dialling);
        let _ = writeln!(out, ", signaller {}, {dialling} dials of {made}", snapshot.signaller);
        for link in &snapshot.links {
            let other = self
                .peers
                .iter()
                .position(|other| other.node.as_ref().is_some_and(|node| node.peer_id() == link.peer));
            let conduct = other.map(|other| self.peers[other].spec.conduct);
            let _ = writeln!(
                out,
                "  link to {other:?} {conduct:?}: {} in, {} out, {} leaves asked, rtt {} us, {} bytes under way to it",
                link.received,
                link.sent,
                link.requested,
                link.rtt_us,
                other.map_or(0, |other| self.under_way(peer, other))
            );
        }
        for share in &snapshot.shares {
            let (done, wanted, unavailable) = (share.done, share.wanted, share.unavailable);
            let _ = writeln!(
                out,
                "  {:?}: {done} of {wanted}, {unavailable} pieces nowhere, {} wasted",
                share.state, share.wasted
            );
        }
        for (at, event) in this.notes.iter().rev().take(NOTES_SHOWN) {
            let _ = writeln!(out, "  {} us: {event:?}", at.micros());
        }
        out
    }
}
