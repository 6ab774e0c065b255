//! What is late at one source and could come sooner from another.

use super::Swarm;
use super::fetch::Plan;
use super::peer::{Heir, Peer};
use crate::config::{BLOCK_LEAVES_MAX, LEAF_BYTES};
use crate::id::{LinkId, Root};
use crate::outbox::Cx;
use crate::time::{Instant, SECOND};
use crate::wire::{Message, Span};
use alloc::vec::Vec;
use core::ops::Range;

/// A run stays with the source that was asked for at least this long: it may be on its way.
const STAY: u64 = SECOND / 4;
/// Runs that are called back for a source at once: what it is asked for at first.
const CALLED_MAX: usize = 4;
/// A leaf is asked for twice only if its first source would take this much longer. Calling back costs nothing and does the
/// same for whoever answers; this is for sources that do not. With 2 s a hundred peers wasted twice as much and were done no
/// sooner; without it those who meet peers that withhold took five times as long.
const ENDGAME_GAIN: u64 = 5 * SECOND;

impl Swarm {
    /// A source has nothing else for us: some runs that wait longest at others are called back from there, and who gives
    /// them up makes them free for this one. So the load evens out over those who have what many want.
    pub(super) fn call_back(&mut self, link: LinkId, cx: &mut Cx) {
        let Some(peer) = self.peers.get(&link) else { return };
        if peer.asked_leaves() > 0 || peer.snubs > 0 {
            return;
        }
        let mut called: Vec<(LinkId, Root, Span)> = Vec::new();
        let mut mine = own_time(peer);
        while called.len() < CALLED_MAX
            && let Some(run) = self.longest_wait(link, peer, mine, &called, cx.now)
        {
            called.push(run);
            mine += block_time(peer);
        }
        for (other, root, span) in called {
            self.call_back_from(other, &root, span, Some(link), cx);
        }
    }

    /// The run that waits longest at another source than `link`, of those that this one has and would send within `mine`.
    fn longest_wait(
        &self,
        link: LinkId,
        peer: &Peer,
        mine: u64,
        called: &[(LinkId, Root, Span)],
        now: Instant,
    ) -> Option<(LinkId, Root, Span)> {
        let mut best: Option<(u64, Instant, LinkId, Root, Span)> = None;
        for (other, slow) in &self.peers {
            let eta = slow.eta(now);
            if slow.asked_leaves() == 0 || *other == link || eta <= mine {
                continue;
            }
            for ((start, root), asked) in slow.owes() {
                let better = best.as_ref().is_none_or(|best| (eta, asked.at) > (best.0, best.1));
                if better
                    && asked.called_back.is_none()
                    && now.passed(asked.at) >= STAY
                    && !called.iter().any(|(_, of, span)| of == root && span.start == *start)
                    && self.could_send(peer, root, *start, asked.count)
                {
                    let span = Span { start: *start, count: asked.count, proof: asked.proof };
                    best = Some((eta, asked.at, *other, *root, span));
                }
            }
        }
        best.map(|(_, _, other, root, span)| (other, root, span))
    }

    /// Asks a source to give up a run for another if it has not sent it.
    fn call_back_from(&mut self, link: LinkId, root: &Root, span: Span, heir: Heir, cx: &mut Cx) {
        if let Some(slow) = self.peers.get_mut(&link) {
            slow.call_back(root, span.start, heir);
        }
        cx.out.control(link, &Message::Cancel { root: *root, spans: alloc::vec![span] });
    }

    /// Calls back some leaves of a file from whoever was asked for them.
    pub(super) fn call_back_all(&mut self, root: &Root, leaves: &Range<u32>, cx: &mut Cx) {
        for link in self.links() {
            let Some(peer) = self.peers.get(&link) else { continue };
            let mut spans = Vec::new();
            for ((start, of), asked) in peer.owes() {
                if of == root && leaves.contains(start) && asked.called_back.is_none() {
                    spans.push(Span { start: *start, count: asked.count, proof: asked.proof });
                }
            }
            for span in spans {
                self.call_back_from(link, root, span, None, cx);
            }
        }
    }

    /// Whether a run is under way at one source only, and a peer has it.
    fn could_send(&self, peer: &Peer, root: &Root, start: u32, count: u8) -> bool {
        let (Some(file), Some(has)) = (self.files.get(root), peer.has.get(root)) else { return false };
        let Some(leaf) = file.layout.leaf(start) else { return false };
        has.get(file.layout.piece_of(leaf).get()) && file.ledger.is_asked_once(start, count)
    }

    /// Endgame: when all is asked for, an idle peer is asked for one run that a much slower one owes us.
    pub(super) fn double_late(&mut self, link: LinkId, plan: &mut Plan, cx: &Cx) {
        let Some(peer) = self.peers.get(&link) else { return };
        if peer.asked_leaves() > 0 || peer.snubs > 0 {
            return;
        }
        for root in &self.wanted {
            if self.files.get(root).is_some_and(|file| file.ledger.has_unasked()) {
                return;
            }
        }
        let mut slowest = None;
        let mut longest = own_time(peer) * 4 + ENDGAME_GAIN;
        for (other, slow) in &self.peers {
            let eta = slow.eta(cx.now);
            let longer = if slowest.is_none() { eta > longest } else { eta >= longest };
            if longer && *other != link && slow.asked_leaves() > 0 {
                (slowest, longest) = (Some(slow), eta);
            }
        }
        let Some(slow) = slowest else { return };
        for ((start, root), asked) in slow.owes() {
            let (Some(file), Some(has)) = (self.files.get_mut(root), peer.has.get(root)) else { continue };
            let Some(leaf) = file.layout.leaf(*start) else { continue };
            let piece = file.layout.piece_of(leaf);
            if has.get(piece.get()) && file.ledger.ask_too(*start, asked.count) {
                let proof = !file.tree.knows_leaves(piece);
                return plan.push(root, Span { start: *start, count: asked.count, proof });
            }
        }
    }
}

/// How long a peer with nothing else to do needs for one block.
fn own_time(peer: &Peer) -> u64 {
    block_time(peer) + peer.rtt
}

/// How long it needs for each further one.
fn block_time(peer: &Peer) -> u64 {
    let block = u64::from(LEAF_BYTES * BLOCK_LEAVES_MAX);
    block * SECOND / peer.pace.max(block / 4)
}
