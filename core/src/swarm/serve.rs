//! Giving: the queue of each peer, whom to serve next, and a last look at the bytes before they leave.

use super::peer::{Peer, Wish};
use super::upload::{self, Throttle};
use super::{Job, Swarm};
use crate::action::Work;
use crate::config::{BLOCK_LEAVES_MAX, LEAF_BYTES};
use crate::fault::Fault;
use crate::id::{Hash, LinkId, Root};
use crate::input::Outcome;
use crate::outbox::Cx;
use crate::time::Instant;
use crate::wire::{HashRange, Message, Span, peer as limits};
use alloc::vec::Vec;

/// One block message: what a channel must have room for.
const BLOCK_BYTES: u64 = (LEAF_BYTES * BLOCK_LEAVES_MAX) as u64;

/// Of so many blocks that leave one is proven once more where that is enough ([`crate::Config::spot_checks`]): a peer cuts off who
/// sends it one bad block, however soon that is found out here.
const SPOT_CHECKS: u64 = 16;

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
        #[cfg(feature = "lab")]
        let served = served && !self.classic.is_choked(link);
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

    /// A peer takes requests back; it is told which of them will not be answered.
    pub(super) fn on_cancel(
        &mut self,
        link: LinkId,
        root: &Root,
        spans: &[Span],
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let peer = self.peers.get_mut(&link).ok_or(Fault::Unexpected)?;
        let mut dropped = Vec::new();
        for span in spans {
            let before = peer.queue.len();
            peer.retain_wishes(&|wish| wish.root != *root || wish.span.start != span.start);
            if peer.queue.len() < before {
                dropped.push(*span);
            }
        }
        if !dropped.is_empty() {
            cx.out.control(link, &Message::Reject { root: *root, spans: dropped });
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

    /// Loads what peers wait for, as long as little is under way.
    pub(super) fn serve(&mut self, cx: &mut Cx) {
        if self.serve_at.is_some_and(|at| at > cx.now) {
            return;
        }
        let (mut under_way, mut waiting) = (0, 0);
        let rate = self.up.per_second(cx.now);
        let patience = upload::patience(rate);
        self.busy.retain(|link| {
            let Some(peer) = self.peers.get(link) else { return false };
            let sent = peer.flow.under_way() * u64::from(LEAF_BYTES);
            // Who does not read holds nobody else up.
            if !peer.flow.is_stuck(cx.now, patience) {
                under_way += sent + peer.loading;
                // What is acknowledged has left, whatever is heard of the channel.
                waiting += cx.out.waiting(*link).min(sent) + peer.loading;
            }
            sent + peer.loading > 0
        });
        let most = upload::ahead(rate, self.way, self.ahead.size());
        let shows =
            self.spreading && (under_way == 0 || self.peers.values().any(|peer| !peer.queue.is_empty()));
        while under_way < most && waiting < upload::line(rate) {
            let Some((link, at)) = self.most_deserving(cx) else { break };
            let Some(bytes) = self.load_wish(link, at, cx) else { return };
            under_way += bytes;
            waiting += bytes;
        }
        if under_way < most && shows {
            self.show_everybody_more(cx);
        }
        if under_way >= most || waiting >= upload::line(rate) {
            self.busy_at = cx.now;
        }
    }

    /// Whom to serve next, and with what of its queue.
    fn most_deserving(&self, cx: &Cx) -> Option<(LinkId, usize)> {
        // Who has taken nothing from peers has nobody to repay.
        let owes = self.totals.from_peers > 0;
        let mut best = None;
        for (link, peer) in &self.peers {
            if peer.queue.is_empty() {
                continue;
            }
            let (received, sent) = (peer.received, peer.sent + peer.loading);
            // Lines are shared evenly by those who may use them, not by what they got before.
            #[cfg(feature = "lab")]
            let sent = if self.classic.is_on() { super::classic::turn(peer) } else { sent };
            let gift = self.spread_gift;
            let mut claim = upload::Claim {
                received,
                sent,
                gift,
                spread: peer.spread,
                unspread: peer.unspread,
                copies: 0,
            };
            // Room is looked for, and the queue looked through, where it may matter.
            if best.is_some_and(|(_, _, other)| upload::rank(cx.config.incentive, owes, claim) < other)
                || cx.out.room(cx.now, *link) < peer.loading + BLOCK_BYTES
                || !peer.flow.has_room(peer.loading / u64::from(LEAF_BYTES))
            {
                continue;
            }
            let (at, copies) = if owes { self.rarest(peer) } else { self.freshest(peer) };
            // Classic peers are served in the order in which they asked.
            #[cfg(feature = "lab")]
            let (at, copies) = if self.classic.is_on() { (0, 0) } else { (at, copies) };
            claim.copies = copies;
            let rank = upload::rank(cx.config.incentive, owes, claim);
            if best.is_none_or(|(_, _, other)| rank > other) {
                best = Some((*link, at, rank));
            }
        }
        best.map(|(link, at, _)| (link, at))
    }

    /// Loads what is at one place of a peer's queue; answers how much that is.
    fn load_wish(&mut self, link: LinkId, at: usize, cx: &mut Cx) -> Option<u64> {
        let peer = self.peers.get_mut(&link)?;
        let wish = peer.queue.get(at).copied()?;
        let Some(file) = self.files.get_mut(&wish.root) else {
            peer.queue.remove(at);
            return Some(0);
        };
        let leaf = file.layout.leaf(wish.span.start)?;
        let bytes = file.layout.span_bytes(wish.span.start, u32::from(wish.span.count))?;
        if let Err(later) = self.throttle.take(cx.now, bytes) {
            self.serve_at = Some(later);
            return None;
        }
        peer.queue.remove(at);
        file.given.gain(file.layout.piece_of(leaf).get());
        peer.queued_leaves -= u32::from(wish.span.count);
        peer.loading += bytes;
        self.busy.insert(link);
        let length = u32::try_from(bytes).unwrap_or(0);
        let job = cx.out.start(Work::Load { root: wish.root, start: file.layout.leaf_start(leaf), length });
        self.jobs.insert(job, Job::Serve { link, wish, bytes });
        Some(bytes)
    }

    /// Gives at most so much per second from now on.
    pub(crate) const fn limit_upload(&mut self, rate: Option<u64>, now: Instant) {
        self.throttle = Throttle::new(rate, now);
        self.serve_at = None;
    }

    /// A peer has taken what we sent.
    pub(super) fn on_acked(&mut self, link: LinkId, leaves: u64, clock: u32, cx: &Cx) -> Result<(), Fault> {
        let mut under_way = 0;
        for busy in &self.busy {
            under_way += self.peers.get(busy).map_or(0, |peer| peer.flow.under_way() * u64::from(LEAF_BYTES));
        }
        let peer = self.peers.get_mut(&link).ok_or(Fault::Unexpected)?;
        let taken = peer.flow.acked(cx.now, leaves, clock).ok_or(Fault::Malformed)?;
        let fresh = taken.fresh * u64::from(LEAF_BYTES);
        self.ahead.see(fresh, taken.queued, upload::AHEAD, under_way * 2 > self.ahead.size());
        self.way = (self.way * 7 + taken.way.min(2000)) / 8;
        self.up.add(cx.now, fresh);
        Ok(())
    }

    /// Tells peers what has come from them.
    pub(super) fn acknowledge(&mut self, link: LinkId, cx: &mut Cx) {
        if let Some(peer) = self.peers.get_mut(&link)
            && let Some(leaves) = peer.acknowledge()
        {
            cx.out.control(link, &Message::Acked { leaves, clock: cx.now.millis() });
        }
    }

    /// Where in a peer's queue the piece stands that was given away least, and how often that was.
    fn freshest(&self, peer: &Peer) -> (usize, u32) {
        let mut best = (0, u32::MAX);
        for (at, wish) in peer.queue.iter().take(LOOK_MAX).enumerate() {
            let copies = self.copies(wish);
            if copies < best.1 {
                best = (at, copies);
            }
        }
        best
    }

    /// Where in a peer's queue the piece stands that fewest others have, as far as we know, and how many that are:
    /// whom we gave a piece does not tell us that it has it.
    fn rarest(&self, peer: &Peer) -> (usize, u32) {
        let mut best = (0, u32::MAX);
        for (at, wish) in peer.queue.iter().take(LOOK_MAX).enumerate() {
            let Some(file) = self.files.get(&wish.root) else { continue };
            let Some(leaf) = file.layout.leaf(wish.span.start) else { continue };
            let holders = u32::from(file.ledger.ranks.holders(file.layout.piece_of(leaf).get()));
            let copies = holders + self.copies(wish);
            if copies < best.1 {
                best = (at, copies);
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
        let is_proven = cx.config.spot_checks && cx.rng.below(SPOT_CHECKS) > 0;
        let good = tail.len() as u64 == bytes
            && (is_proven || file.first_bad(&cx.config, span.start, tail).is_none());
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
        peer.flow.send(cx.now, u32::from(span.count));
        peer.sent += bytes;
        peer.served = cx.now;
        self.totals.sent += bytes;
        self.moved(&root, &mut |moved| {
            moved.sent += bytes;
            moved.up.add(cx.now, bytes);
        });
        self.on_shown_sent(link, &root, piece, u32::from(span.count), cx);
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
