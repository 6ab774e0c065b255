//! Giving: the queue of each peer, whom to serve next, and a last look at the bytes before they leave.

use super::peer::{Peer, Wish};
use super::{Job, Swarm, upload};
use crate::action::Work;
use crate::config::{BLOCK_LEAVES_MAX, LEAF_BYTES};
use crate::fault::Fault;
use crate::id::{LinkId, Root};
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
        root: Root,
        spans: Vec<Span>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Fault> {
        let served = self.is_served(&root);
        let file = self.files.get(&root).filter(|_| served);
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
                rejects.push(span);
                continue;
            }
            peer.queued_leaves += u32::from(span.count);
            if peer.queued_leaves > self.config.queue_leaves_max {
                return Err(Fault::Flooding);
            }
            peer.queue.push_back(Wish { root, span });
        }
        if !rejects.is_empty() {
            cx.out.control(link, &Message::Reject { root, spans: rejects });
        }
        Ok(())
    }

    pub(super) fn on_cancel(&mut self, link: LinkId, root: Root, spans: &[Span]) -> Result<(), Fault> {
        let peer = self.peers.get_mut(&link).ok_or(Fault::Unexpected)?;
        peer.queue
            .retain(|wish| wish.root != root || !spans.iter().any(|span| span.start == wish.span.start));
        peer.queued_leaves = peer.queue.iter().map(|wish| u32::from(wish.span.count)).sum();
        Ok(())
    }

    /// Rejects whatever peers still want of a file.
    pub(super) fn reject_all(&mut self, root: Root, cx: &mut Cx<'_>) {
        for (link, peer) in &mut self.peers {
            let spans: Vec<Span> =
                peer.queue.iter().filter(|wish| wish.root == root).map(|wish| wish.span).collect();
            peer.queue.retain(|wish| wish.root != root);
            peer.queued_leaves = peer.queue.iter().map(|wish| u32::from(wish.span.count)).sum();
            for spans in spans.chunks(limits::SPANS_MAX) {
                cx.out.control(*link, &Message::Reject { root, spans: spans.to_vec() });
            }
        }
    }

    /// Loads what peers wait for, as long as there is room on their channels.
    pub(super) fn serve(&mut self, cx: &mut Cx<'_>) {
        if self.serve_at.is_some_and(|at| at > cx.now)
            || self.peers.values().all(|peer| peer.queue.is_empty())
        {
            return;
        }
        let rate: u64 = self.peers.keys().map(|link| cx.out.up_rate(cx.now, *link)).sum();
        let mut ahead: u64 = self.peers.iter().map(|(link, peer)| peer.loading + cx.out.waiting(*link)).sum();
        while ahead < upload::ahead(rate) {
            let ready = self
                .peers
                .iter()
                .filter(|(link, peer)| cx.out.room(cx.now, **link) >= peer.loading + BLOCK_BYTES);
            let claims = ready.filter_map(|(link, peer)| {
                let (at, copies) = self.freshest(peer)?;
                Some(upload::Claim {
                    key: (*link, at),
                    received: peer.received,
                    sent: peer.sent + peer.loading,
                    copies,
                })
            });
            let Some((link, at)) = upload::next(claims) else { return };
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
        let copies = |wish: &Wish| {
            let Some(file) = self.files.get(&wish.root) else { return 0 };
            let Some(leaf) = file.layout.leaf(wish.span.start) else { return 0 };
            let piece = file.layout.piece_of(leaf);
            // A piece that was begun is finished before another is.
            u32::from(file.given.of(piece.get()))
                / (file.layout.leaves_of(piece).len() as u32).div_ceil(BLOCK_LEAVES_MAX)
        };
        let copies = peer.queue.iter().take(LOOK_MAX).map(copies).enumerate();
        copies.min_by_key(|(at, copies)| (*copies, *at))
    }

    /// Bytes for a peer came from the store: they are proven once more, then sent.
    pub(super) fn on_loaded(
        &mut self,
        link: LinkId,
        wish: Wish,
        bytes: u64,
        outcome: &Outcome<'_>,
        cx: &mut Cx<'_>,
    ) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.loading -= bytes;
        }
        let Wish { root, span } = wish;
        let Some(file) = self.files.get_mut(&root) else { return };
        let Some(piece) = file.layout.leaf(span.start).map(|leaf| file.layout.piece_of(leaf)) else { return };
        let good = match outcome {
            Outcome::Bytes(tail) if tail.len() as u64 == bytes => {
                (span.start..).zip(tail.chunks(LEAF_BYTES as usize)).all(|(index, leaf)| {
                    file.layout.leaf(index).is_some_and(|at| file.tree.check_leaf(at, leaf) == Some(true))
                })
            }
            Outcome::Bytes(_)
            | Outcome::Ok
            | Outcome::Missing
            | Outcome::Described(_)
            | Outcome::Failed(_) => false,
        };
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let (true, Outcome::Bytes(tail)) = (good, outcome) else {
            cx.out.control(link, &Message::Reject { root, spans: alloc::vec![span] });
            return self.on_damage(root, piece, cx);
        };
        if span.proof {
            let height = file.layout.piece_level().min(file.layout.height());
            if let Some(hashes) = file.tree.run(0, height, piece.get()) {
                let range = HashRange { root, level: 0, height, index: piece.get() };
                cx.out.bulk(cx.now, link, &Message::Hashes(range), &flatten(&hashes));
            }
        }
        cx.out.bulk(cx.now, link, &Message::Block { root, start: span.start }, tail);
        peer.sent += bytes;
        self.totals.sent += bytes;
        for content in &file.shares {
            if let Some(share) = self.shares.get_mut(content) {
                share.moved.sent += bytes;
                share.moved.up.add(cx.now, bytes);
            }
        }
    }

    pub(super) fn on_get_hashes(&self, link: LinkId, range: HashRange, cx: &mut Cx<'_>) -> Result<(), Fault> {
        let served = self.is_served(&range.root);
        let file = self.files.get(&range.root).filter(|_| served);
        match file.and_then(|file| file.tree.run(range.level, range.height, range.index)) {
            Some(hashes) if hashes.len() == 1 << range.height => {
                cx.out.bulk(cx.now, link, &Message::Hashes(range), &flatten(&hashes));
            }
            Some(_) | None => cx.out.control(link, &Message::NoHashes(range)),
        }
        Ok(())
    }
}

fn flatten(hashes: &[crate::id::Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}
