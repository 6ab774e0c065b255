//! Giving: the queue of each peer, whom to serve next, and a last look at the bytes before they leave.

use super::peer::{Peer, Wish};
use super::{Job, Swarm, upload};
use crate::action::Work;
use crate::config::{BLOCK_LEAVES_MAX, LEAF_BYTES};
use crate::fault::Fault;
use crate::id::{Hash, LinkId, Root};
use crate::input::Outcome;
use crate::outbox::Cx;
use crate::wire::{HashRange, Message, Span, peer as limits};
use alloc::vec::Vec;

/// One block message: what a channel must have room for.
const BLOCK_BYTES: u64 = (LEAF_BYTES * BLOCK_LEAVES_MAX) as u64;

/// Requests of a peer that are looked at for the one to answer next.
const LOOK_MAX: usize = 64;

impl Swarm {
    pub(super) fn on_request(
        &mut self,
        link: LinkId,
        root: &Root,
        spans: &[Span],
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let served = self.is_served(root);
        let file = self.files.get(root).filter(|_| served);
        let peer = self.peers.get_mut(&link).ok_or(Fault::Unexpected)?;
        let mut rejects = Vec::new();
        for span in spans {
            let has = file.is_some_and(|file| {
                let Some(leaf) = file.layout.leaf(span.start) else { return false };
                let piece = file.layout.piece_of(leaf);
                span.start + u32::from(span.count) <= file.layout.leaves_of(piece).end
                    && file.ledger.have().get(piece.get())
            });
            if !has {
                rejects.push(*span);
                continue;
            }
            peer.queued_leaves += u32::from(span.count);
            if peer.queued_leaves > cx.config.queue_leaves_max {
                return Err(Fault::Flooding);
            }
            peer.queue.push(Wish { root: *root, span: *span });
        }
        if !rejects.is_empty() {
            cx.out.control(link, &Message::Reject { root: *root, spans: rejects });
        }
        Ok(())
    }

    pub(super) fn on_cancel(&mut self, link: LinkId, root: &Root, spans: &[Span]) -> Result<(), Fault> {
        let peer = self.peers.get_mut(&link).ok_or(Fault::Unexpected)?;
        for span in spans {
            peer.retain_wishes(&|wish| wish.root != *root || wish.span.start != span.start);
        }
        Ok(())
    }

    /// Rejects whatever peers still want of a file.
    pub(super) fn reject_all(&mut self, root: &Root, cx: &mut Cx) {
        for (link, peer) in &mut self.peers {
            let mut spans = Vec::new();
            for wish in &peer.queue {
                if wish.root == *root {
                    spans.push(wish.span);
                }
            }
            peer.retain_wishes(&|wish| wish.root != *root);
            for spans in spans.chunks(limits::SPANS_MAX) {
                cx.out.control(*link, &Message::Reject { root: *root, spans: spans.to_vec() });
            }
        }
    }

    /// Loads what peers wait for, as long as there is room on their channels.
    pub(super) fn serve(&mut self, cx: &mut Cx) {
        if self.serve_at.is_some_and(|at| at > cx.now) {
            return;
        }
        let (mut rate, mut ahead, mut waiting) = (0, 0, 0);
        for (link, peer) in &self.peers {
            rate += cx.out.up_rate(cx.now, *link);
            ahead += peer.loading + cx.out.waiting(*link);
            waiting += peer.queue.len();
        }
        if waiting == 0 {
            return;
        }
        while ahead < upload::ahead(rate) {
            let mut best = None;
            for (link, peer) in &self.peers {
                if cx.out.room(cx.now, *link) < peer.loading + BLOCK_BYTES {
                    continue;
                }
                let Some((at, copies)) = self.freshest(peer) else { continue };
                let rank = upload::rank(peer.received, peer.sent + peer.loading, copies);
                if best.is_none_or(|(_, _, other)| rank > other) {
                    best = Some((*link, at, rank));
                }
            }
            let Some((link, at, _)) = best else { return };
            let Some(peer) = self.peers.get_mut(&link) else { return };
            let Some(wish) = peer.queue.get(at).copied() else { return };
            let Some(file) = self.files.get_mut(&wish.root) else {
                peer.queue.remove(at);
                continue;
            };
            let (Some(leaf), Some(bytes)) = (
                file.layout.leaf(wish.span.start),
                file.layout.span_bytes(wish.span.start, u32::from(wish.span.count)),
            ) else {
                return;
            };
            if let Err(later) = self.throttle.take(cx.now, bytes) {
                self.serve_at = Some(later);
                return;
            }
            peer.queue.remove(at);
            file.given.gain(file.layout.piece_of(leaf).get());
            peer.queued_leaves -= u32::from(wish.span.count);
            peer.loading += bytes;
            ahead += bytes;
            let length = u32::try_from(bytes).unwrap_or(0);
            let job =
                cx.out.start(Work::Load { root: wish.root, start: file.layout.leaf_start(leaf), length });
            self.jobs.insert(job, Job::Serve { link, wish, bytes });
        }
    }

    /// Where in a peer's queue the piece stands that was given away least, and how often that was.
    fn freshest(&self, peer: &Peer) -> Option<(usize, u32)> {
        let mut best = None;
        for (at, wish) in peer.queue.iter().take(LOOK_MAX).enumerate() {
            let copies = self.copies(wish);
            if best.is_none_or(|(_, fewest)| copies < fewest) {
                best = Some((at, copies));
            }
        }
        best
    }

    /// How often the piece of a wish was given away.
    fn copies(&self, wish: &Wish) -> u32 {
        let Some(file) = self.files.get(&wish.root) else { return 0 };
        let Some(leaf) = file.layout.leaf(wish.span.start) else { return 0 };
        let piece = file.layout.piece_of(leaf);
        // A piece that was begun is finished before another is.
        u32::from(file.given.of(piece.get()))
            / (file.layout.leaves_of(piece).len() as u32).div_ceil(BLOCK_LEAVES_MAX)
    }

    /// Bytes for a peer came from the store: they are proven once more, then sent.
    pub(super) fn on_loaded(
        &mut self,
        link: LinkId,
        wish: Wish,
        bytes: u64,
        outcome: &Outcome<'_>,
        cx: &mut Cx,
    ) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.loading -= bytes;
        }
        let Wish { root, span } = wish;
        let Some(file) = self.files.get_mut(&root) else { return };
        let Some(piece) = file.layout.leaf(span.start).map(|leaf| file.layout.piece_of(leaf)) else { return };
        let tail = if let Outcome::Bytes(tail) = outcome { *tail } else { &[] };
        let good =
            tail.len() as u64 == bytes && file.first_bad(cx.config.leaf_hash, span.start, tail).is_none();
        let Some(peer) = self.peers.get_mut(&link) else { return };
        if !good {
            cx.out.control(link, &Message::Reject { root, spans: alloc::vec![span] });
            return self.on_damage(&root, piece, cx);
        }
        if span.proof {
            let height = file.layout.piece_level().min(file.layout.height());
            if let Some(hashes) = file.tree.run(0, height, piece.get()) {
                let range = HashRange { root, level: 0, height, index: piece.get() };
                cx.out.bulk(cx.now, link, &Message::Hashes(range), &Hash::flatten(&hashes));
            }
        }
        cx.out.bulk(cx.now, link, &Message::Block { root, start: span.start }, tail);
        peer.sent += bytes;
        self.totals.sent += bytes;
        self.moved(&root, &mut |moved| {
            moved.sent += bytes;
            moved.up.add(cx.now, bytes);
        });
    }

    pub(super) fn on_get_hashes(&self, link: LinkId, range: &HashRange, cx: &mut Cx) -> Result<(), Fault> {
        let served = self.is_served(&range.root);
        let file = self.files.get(&range.root).filter(|_| served);
        if let Some(hashes) = file.and_then(|file| file.tree.run(range.level, range.height, range.index))
            && hashes.len() == 1 << range.height
        {
            cx.out.bulk(cx.now, link, &Message::Hashes(*range), &Hash::flatten(&hashes));
        } else {
            cx.out.control(link, &Message::NoHashes(*range));
        }
        Ok(())
    }
}
