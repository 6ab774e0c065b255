//! Credited super-seeding: how the only source of a file gets it out once before it gives anything twice
//! (theory §0.3, §0.4).
//!
//! While pieces are scarce a seed shows each peer few of them, different ones to each, and shows more to those whose
//! pieces turn up elsewhere. So no two ask for the same, and who passes nothing on gets nothing fresh.

use super::Swarm;
use super::file::File;
use super::peer::Peer;
use crate::content::{Bitfield, PieceIndex};
use crate::id::{LinkId, Root};
use crate::outbox::Cx;
use crate::rng::Rng;
use crate::time::{Instant, SECOND};
use crate::util::Map;
use crate::wire::{Message, Pieces};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Fewer peers than this ask for different pieces by chance often enough.
const PEERS_MIN: usize = 6;
/// Smaller files are out before anything is gained by care.
const PIECES_MIN: u32 = 16;
/// A file whose every piece is with so many peers is safe with them.
const HOLDERS_ENOUGH: u16 = 3;
/// Pieces shown to a peer and not yet sent: at first, and at the most.
const SHOWN_MIN: usize = 2;
const SHOWN_MAX: usize = 32;
/// Pieces that anybody gets before it is seen to pass one on.
const GIFT: u64 = 2;
/// What was shown and not asked for in this time no longer stands in the way of something else.
const STALE_AFTER: u64 = 4 * SECOND;
/// A line that has nothing to do shows more, this often.
const GROW_AFTER: u64 = SECOND / 8;

/// What a seed remembers of a file that it shows piece by piece.
pub(crate) struct Spread {
    given: Vec<Given>,
    /// How often each was shown.
    times: Vec<u8>,
    /// Seen at somebody else than the first.
    out: Bitfield,
}

/// To whom we gave a piece. Only of what one peer alone got from us is it known who passed it on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    Nobody,
    /// Leaves that we have not sent it. While there are any it cannot pass the piece on, and is not reproached with it:
    /// or it would wait for the rest behind all who were never given anything.
    One {
        link: LinkId,
        left: u32,
    },
    Several,
}

/// What one peer was shown.
pub(crate) struct Shown {
    pieces: Bitfield,
    /// Of these, what was neither sent nor seen to be got elsewhere, and since when: it may be got and not be told.
    open: Map<u32, Instant>,
    /// What it got from us.
    got: Bitfield,
    most: usize,
}

impl Spread {
    fn new(pieces: u32) -> Self {
        let count = pieces as usize;
        Self {
            given: alloc::vec![Given::Nobody; count],
            times: alloc::vec![0; count],
            out: Bitfield::new(pieces),
        }
    }

    /// Leaves of a piece go to a peer. Who is to be reproached with it from now on, and who no longer.
    fn give(&mut self, link: LinkId, piece: u32, leaves: u32, of: u32) -> (bool, Option<LinkId>) {
        let out = self.out.get(piece);
        let Some(given) = self.given.get_mut(piece as usize).filter(|_| !out) else { return (false, None) };
        let (next, reproach, excuse) = match *given {
            Given::Nobody => (Given::One { link, left: of.saturating_sub(leaves) }, leaves >= of, None),
            Given::One { link: one, left } if one == link => {
                (Given::One { link, left: left.saturating_sub(leaves) }, left > 0 && left <= leaves, None)
            }
            Given::One { link: one, left } => (Given::Several, false, (left == 0).then_some(one)),
            Given::Several => (Given::Several, false, None),
        };
        *given = next;
        (reproach, excuse)
    }

    /// A piece is seen at a peer that did not get it from us: who is to be thanked.
    fn see(&mut self, link: LinkId, piece: u32) -> Option<LinkId> {
        match self.given.get(piece as usize)? {
            Given::One { link: one, .. } if *one == link => None,
            Given::One { link: one, left: 0 } => self.out.set(piece).then_some(*one),
            _ => {
                self.out.set(piece);
                None
            }
        }
    }

    /// What to show next: what fewest have, then what was shown least; ties by chance.
    fn next(
        &self,
        holders: &dyn Fn(u32) -> u16,
        shown: &Bitfield,
        has: &Bitfield,
        rng: &mut Rng,
    ) -> Option<u32> {
        let mut best = None;
        let mut ties = 0;
        for piece in shown.iter_missing() {
            if has.get(piece) {
                continue;
            }
            let rank = u32::from(holders(piece)) * 4 + u32::from(self.times[piece as usize].min(3));
            match best {
                Some((other, _)) if rank > other => continue,
                Some((other, _)) if rank == other => ties += 1,
                _ => ties = 1,
            }
            if ties == 1 || rng.below(ties) == 0 {
                best = Some((rank, piece));
            }
        }
        best.map(|(_, piece)| piece)
    }
}

impl Swarm {
    /// Begins or ends to show files piece by piece, as things are now.
    pub(super) fn review_spreads(&mut self, cx: &mut Cx) {
        // Who took anything from peers is not the only source.
        let only_source = self.totals.from_peers == 0;
        #[cfg(feature = "lab")]
        let only_source = only_source && !self.classic.is_on();
        if !only_source && !self.spreading {
            return;
        }
        let mut changed = Vec::new();
        for (root, file) in &self.files {
            let pieces = file.layout.pieces();
            if pieces < PIECES_MIN || !file.ledger.is_complete() {
                continue;
            }
            let mut takers = 0;
            for (_, peer) in &self.peers {
                takers += usize::from(lacks(peer, root));
            }
            // Once begun it goes on with fewer.
            let least = if file.spread.is_some() { PEERS_MIN / 2 } else { PEERS_MIN };
            let wants = only_source
                && takers >= least
                && !(0..pieces).all(|piece| file.ledger.ranks.holders(piece) >= HOLDERS_ENOUGH)
                && !self.has_http(file);
            if wants != file.spread.is_some() {
                changed.push((*root, wants));
            }
        }
        for (root, wants) in &changed {
            if let Some(file) = self.files.get_mut(root) {
                file.spread = wants.then(|| Box::new(Spread::new(file.layout.pieces())));
            }
            self.spread_changed(root, cx);
        }
        if !changed.is_empty() {
            self.spreading = false;
            for (_, file) in &self.files {
                if file.spread.is_some() {
                    self.spreading = true;
                    self.spread_gift = self.spread_gift.max(GIFT * u64::from(file.layout.piece_length()));
                }
            }
            self.tell_wants_to_all(cx);
        }
    }

    /// Whether there are HTTP sources of a file: then it is not scarce.
    fn has_http(&self, file: &File) -> bool {
        let mut some = false;
        for content in &file.shares {
            some |= self.shares.get(content).is_some_and(|share| share.sources() > 0);
        }
        some
    }

    fn spread_changed(&mut self, root: &Root, cx: &mut Cx) {
        for link in self.links() {
            let Some(peer) = self.peers.get_mut(&link) else { continue };
            peer.shown.remove(root);
            peer.unspread = 0;
            if peer.wants.contains(root) && self.is_served(root) {
                self.tell_have(link, root, cx);
            }
        }
    }

    /// Says what a peer is shown of a file; `None` when it is shown all.
    pub(super) fn show(&mut self, link: LinkId, root: &Root) -> Option<Pieces> {
        let file = self.files.get(root).filter(|file| file.spread.is_some())?;
        let peer = self.peers.get_mut(&link)?;
        let mut pieces = Bitfield::new(file.layout.pieces());
        for wish in &peer.queue {
            if wish.root == *root
                && let Some(leaf) = file.layout.leaf(wish.span.start)
            {
                pieces.set(file.layout.piece_of(leaf).get());
            }
        }
        let shown = Pieces::Bitmap(pieces.to_bytes());
        let got = Bitfield::new(file.layout.pieces());
        peer.shown.insert(*root, Shown { pieces, open: Map::new(), got, most: SHOWN_MIN });
        Some(shown)
    }

    /// Shows a peer as many pieces as it may see unsent.
    pub(super) fn show_more(&mut self, link: LinkId, root: &Root, cx: &mut Cx) {
        let Some(file) = self.files.get_mut(root) else { return };
        let (Some(spread), Some(peer)) = (&mut file.spread, self.peers.get_mut(&link)) else { return };
        let Some(shown) = peer.shown.get_mut(root) else { return };
        let none = Bitfield::new(file.layout.pieces());
        let has = peer.has.get(root).unwrap_or(&none);
        let ranks = &file.ledger.ranks;
        shown.open.retain(|_, since| cx.now.passed(*since) < STALE_AFTER);
        let mut fresh = Vec::new();
        while shown.open.len() < shown.most {
            let Some(piece) = spread.next(&|piece| ranks.holders(piece), &shown.pieces, has, &mut cx.rng)
            else {
                break;
            };
            let times = &mut spread.times[piece as usize];
            *times = times.saturating_add(1);
            shown.pieces.set(piece);
            shown.open.insert(piece, cx.now);
            fresh.push(piece);
        }
        if !fresh.is_empty() {
            cx.out.control(link, &Message::Gained { root: *root, pieces: fresh });
        }
    }

    /// Leaves of a piece were sent to a peer.
    pub(super) fn on_shown_sent(
        &mut self,
        link: LinkId,
        root: &Root,
        index: PieceIndex,
        leaves: u32,
        cx: &mut Cx,
    ) {
        let Some(file) = self.files.get_mut(root) else { return };
        let (piece, all) = (index.get(), file.layout.leaves_of(index));
        if let Some(spread) = &mut file.spread {
            let (reproach, excuse) = spread.give(link, piece, leaves, all.end - all.start);
            if reproach && let Some(peer) = self.peers.get_mut(&link) {
                peer.unspread += 1;
            }
            if let Some(peer) = excuse.and_then(|link| self.peers.get_mut(&link)) {
                peer.unspread = peer.unspread.saturating_sub(1);
            }
        }
        let Some(peer) = self.peers.get_mut(&link) else { return };
        if let Some(shown) = peer.shown.get_mut(root) {
            shown.got.set(piece);
            if shown.open.remove(&piece).is_some() {
                self.show_more(link, root, cx);
            }
        }
    }

    /// A peer has got pieces, from whomever: those who had them first get their credit.
    pub(super) fn on_seen(&mut self, link: LinkId, root: &Root, gained: &[u32], cx: &mut Cx) {
        let Some(file) = self.files.get_mut(root) else { return };
        let Some(spread) = &mut file.spread else { return };
        for piece in gained {
            let shown = self.peers.get(&link).and_then(|peer| peer.shown.get(root));
            if !shown.is_some_and(|shown| shown.got.get(*piece))
                && let Some(giver) = spread.see(link, *piece).and_then(|link| self.peers.get_mut(&link))
            {
                giver.unspread = giver.unspread.saturating_sub(1);
                giver.spread = true;
            }
        }
        if let Some(peer) = self.peers.get_mut(&link)
            && let Some(shown) = peer.shown.get_mut(root)
        {
            for piece in gained {
                shown.open.remove(piece);
            }
        }
        self.show_more(link, root, cx);
    }

    /// The line has nothing to send: everybody is shown a little more.
    pub(super) fn show_everybody_more(&mut self, cx: &mut Cx) {
        if self.grow_at > cx.now {
            return;
        }
        self.grow_at = cx.now.after(GROW_AFTER);
        for link in self.links() {
            let Some(peer) = self.peers.get_mut(&link) else { continue };
            let mut roots = Vec::new();
            for (root, shown) in &mut peer.shown {
                shown.most = (shown.most + 1).min(SHOWN_MAX);
                roots.push(*root);
            }
            for root in roots {
                self.show_more(link, &root, cx);
            }
        }
    }

    /// Whoever is gone passes nothing on.
    pub(super) fn forget_first(&mut self, link: LinkId) {
        for (_, file) in &mut self.files {
            let Some(spread) = &mut file.spread else { continue };
            for given in &mut spread.given {
                if matches!(given, Given::One { link: one, .. } if *one == link) {
                    *given = Given::Nobody;
                }
            }
        }
    }
}

/// Whether a peer wants a file and has not got all of it.
fn lacks(peer: &Peer, root: &Root) -> bool {
    peer.wants.contains(root) && !peer.has.get(root).is_some_and(Bitfield::is_full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_reproached_with_what_it_got_first_and_not_with_what_it_waits_for() {
        let (one, two) = (LinkId(1), LinkId(2));
        let mut spread = Spread::new(4);
        assert_eq!(spread.give(one, 0, 12, 16), (false, None), "a part is of no use to others");
        assert_eq!(spread.see(two, 1), None, "it was given to nobody");
        assert_eq!(spread.give(one, 0, 4, 16), (true, None));
        assert_eq!(spread.see(one, 0), None, "it is seen at whom it was given to");
        assert_eq!(spread.see(two, 0), Some(one));
        assert_eq!(spread.give(one, 1, 16, 16), (false, None), "others had it before");
        assert_eq!(spread.give(one, 9, 1, 16), (false, None), "there is no such piece");
    }

    #[test]
    fn who_passes_on_is_thanked_unless_it_may_have_been_another() {
        let (one, two, three) = (LinkId(1), LinkId(2), LinkId(3));
        let mut spread = Spread::new(2);
        assert_eq!(spread.give(one, 0, 16, 16), (true, None));
        assert_eq!(spread.see(three, 0), Some(one));
        assert_eq!(spread.see(two, 0), None, "once");
        assert_eq!(spread.give(one, 1, 16, 16), (true, None));
        assert_eq!(spread.give(two, 1, 4, 16), (false, Some(one)));
        assert_eq!(spread.see(three, 1), None);
    }
}
