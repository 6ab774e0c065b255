//! Asking peers for hashes and leaves, and taking in what they send.

use super::ledger::Kept;
use super::peer::Peer;
use super::picker::Extent;
use super::{ANSWER_DEADLINE, Fact, Job, Swarm};
use crate::action::{Event, Work};
use crate::config::{BLOCK_LEAVES_MAX, LEAF_BYTES};
use crate::content::{PieceIndex, TreeError};
use crate::fault::Fault;
use crate::id::{Hash, LinkId, Root};
use crate::outbox::{CALMLY, Cx};
use crate::time::SECOND;
use crate::util::Map;
use crate::wire::{HashRange, Message, Span, peer as limits};
use alloc::vec::Vec;

/// Bytes of open pieces, and of pieces being stored, that are held in memory.
pub(super) const HELD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Snubs in a row before a peer that keeps nothing it promises is let go. Not few: whoever gives to those who
/// give most lets others wait, and that is fair.
const SNUBS_MAX: u32 = 12;
/// Files with something to ask for that are compared before one is chosen.
const LOOK_FILES: u32 = 16;

impl Swarm {
    /// Asks a peer for as much as its window lets through.
    pub(super) fn ask(&mut self, link: LinkId, cx: &mut Cx) {
        let Some(peer) = self.peers.get(&link) else { return };
        if !peer.may_be_asked() {
            return;
        }
        let room = peer.window - peer.asked_leaves();
        #[cfg(feature = "lab")]
        if self.classic.is_choking(link) {
            return;
        }
        let mut held = self.storing_bytes;
        self.begun.retain(|root| {
            let bytes = self.files.get(root).map_or(0, |file| file.ledger.open_bytes());
            held += bytes;
            bytes > 0
        });
        let mut plan = Plan { room, spans: Map::new() };
        self.continue_pieces(link, &mut plan, cx);
        while plan.room > 0 && held < HELD_BYTES_MAX && self.begin_piece(link, &mut plan, cx) {}
        if plan.room == room {
            self.double_late(link, &mut plan, cx);
        }
        if plan.room == room {
            self.call_back(link, cx);
        }
        let Some(peer) = self.peers.get_mut(&link) else { return };
        peer.idle = plan.room == room && held < HELD_BYTES_MAX;
        // Who feeds us is asked for more calmly, unless a reader waits.
        let calm = peer.received > 0 && cx.now.passed(peer.fed) < SECOND && self.reads.is_empty();
        let wait = if calm { CALMLY } else { 0 };
        for (root, spans) in plan.spans {
            for spans in spans.chunks(limits::SPANS_MAX) {
                for span in spans {
                    peer.ask(&root, *span, cx.now);
                }
                cx.out.control_within(wait, link, &Message::Request { root, spans: spans.to_vec() });
            }
        }
    }

    /// Leaves of pieces that are under way.
    fn continue_pieces(&mut self, link: LinkId, plan: &mut Plan, cx: &Cx) {
        let Some(peer) = self.peers.get(&link) else { return };
        for root in &self.begun {
            let (Some(file), Some(has)) = (self.files.get_mut(root), peer.has.get(root)) else { continue };
            while plan.room > 0
                && let Some(piece) = file.ledger.loose_piece(has, peer.is_shunned(cx.now))
            {
                take_spans(file, root, piece, peer, plan);
            }
        }
    }

    /// One new piece: what a reader waits for, else the rarest. `false`: there is none.
    fn begin_piece(&mut self, link: LinkId, plan: &mut Plan, cx: &mut Cx) -> bool {
        let Some(peer) = self.peers.get(&link) else { return false };
        let mut best: Option<(usize, Root, PieceIndex)> = None;
        let mut looked = 0;
        // Somewhere in the list, so that not everybody begins with the same files.
        let from = cx.rng.below(self.wanted.len().max(1) as u64) as usize;
        for root in self.wanted.iter().skip(from).chain(self.wanted.iter().take(from)) {
            let (Some(file), Some(has)) = (self.files.get(root), peer.has.get(root)) else { continue };
            if file.recalling > 0 {
                continue;
            }
            let next = if peer.next.0 == *root { peer.next.1 } else { 0 };
            let extent = Extent::new(next, peer.pace, file.layout.piece_length());
            let Some((rank, piece)) =
                file.choose(has, self.lacking.contains(root), peer.is_shunned(cx.now), extent, &mut cx.rng)
            else {
                continue;
            };
            if best.is_none_or(|(other, _, _)| rank < other) {
                best = Some((rank, *root, piece));
            }
            looked += 1;
            if looked >= LOOK_FILES {
                break;
            }
        }
        let Some((_, root, piece)) = best else { return false };
        let Some(file) = self.files.get_mut(&root) else { return false };
        file.ledger.open(piece);
        self.begun.insert(root);
        take_spans(file, &root, piece, peer, plan);
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.next = (root, piece.get() + 1);
        }
        true
    }

    /// Leaves, at last.
    pub(super) fn on_block(
        &mut self,
        link: LinkId,
        root: &Root,
        start: u32,
        tail: &[u8],
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let leaves = tail.len().div_ceil(LEAF_BYTES as usize) as u32;
        let peer = self.peer(link)?;
        peer.taken += u64::from(leaves);
        let Some(answer) = peer.answered(root, start) else { return self.stray(link, tail.len()) };
        if let Some(asked) = &answer {
            peer.see_answer(asked, cx.now);
        }
        peer.progress = cx.now;
        peer.snubs = 0;
        let Some(file) = self.files.get_mut(root) else { return self.stray(link, tail.len()) };
        if let Some(asked) = answer {
            file.ledger.unask(start, asked.count);
            if leaves != u32::from(asked.count) {
                return Err(Fault::Malformed);
            }
        }
        if file.layout.span_bytes(start, leaves) != Some(tail.len() as u64) {
            return Err(Fault::Malformed);
        }
        let mut good = 0;
        let mut result = Ok(());
        let hashes = (cx.config.hash_leaves)(tail);
        // A whole piece needs no hashes of its leaves: its own proves them.
        if let Some(piece) = file.layout.leaf(start).map(|leaf| file.layout.piece_of(leaf))
            && !file.tree.knows_leaves(piece)
            && file.tree.learn_piece(piece, &hashes) == Err(TreeError::Mismatch)
        {
            return Err(Fault::BadData);
        }
        for ((index, bytes), hash) in (start..).zip(tail.chunks(LEAF_BYTES as usize)).zip(&hashes) {
            match self.on_leaf(link, root, (index, hash), bytes, cx) {
                Ok(kept) => good += kept,
                Err(fault) => {
                    result = Err(fault);
                    break;
                }
            }
        }
        if good > 0 {
            self.credit(link, root, good, cx);
        }
        result
    }

    /// Takes in one leaf; answers how many bytes of it were of use.
    fn on_leaf(
        &mut self,
        link: LinkId,
        root: &Root,
        (index, hash): (u32, &Hash),
        bytes: &[u8],
        cx: &mut Cx,
    ) -> Result<u64, Fault> {
        let Some(file) = self.files.get_mut(root) else { return Ok(0) };
        let Some(leaf) = file.layout.leaf(index) else { return Err(Fault::Malformed) };
        match file.tree.check_hash(leaf, bytes.len(), hash) {
            Some(true) => {}
            Some(false) => return Err(Fault::BadData),
            // It was told to send the hashes first.
            None => return self.stray(link, bytes.len()).map(|()| 0),
        }
        let kept = file.ledger.accept(leaf, bytes);
        let piece = file.layout.piece_of(leaf);
        let (others, whole) = match kept {
            Kept::Duplicate => {
                self.waste(root, bytes.len());
                return Ok(0);
            }
            Kept::Leaf(others) => (others, None),
            Kept::Piece(others, whole) => (others, Some(whole)),
        };
        if others {
            self.cancel_elsewhere(link, root, index, cx);
        }
        if let Some(whole) = whole {
            self.keep(root, piece, whole, cx);
        }
        Ok(bytes.len() as u64)
    }

    /// Counts verified bytes for the peer and for each share of the file.
    fn credit(&mut self, link: LinkId, root: &Root, bytes: u64, cx: &mut Cx) {
        self.totals.from_peers += bytes;
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.received += bytes;
            peer.fed = cx.now;
            peer.score.gave(cx.now, bytes);
            peer.down.add(cx.now, bytes);
            peer.pace = peer.down.per_second(cx.now);
            peer.widen(cx.config.window_leaves_max);
        }
        let Some(file) = self.files.get(root) else { return };
        for content in &file.shares {
            let Some(share) = self.shares.get_mut(content) else { continue };
            share.moved.from_peers += bytes;
            share.moved.down.add(cx.now, bytes);
            if !core::mem::replace(&mut share.first_leaf, true) {
                cx.out.notify(Event::FirstLeaf { content: *content });
            }
        }
    }

    fn waste(&mut self, root: &Root, bytes: usize) {
        self.totals.wasted += bytes as u64;
        self.moved(root, &mut |moved| moved.wasted += bytes as u64);
    }

    /// A leaf that others were asked for too has come.
    fn cancel_elsewhere(&mut self, from: LinkId, root: &Root, index: u32, cx: &mut Cx) {
        for link in self.links() {
            if link != from {
                let covers = |run: &Span| run.start <= index && index - run.start < u32::from(run.count);
                if self.take_back(link, Some(*root), &covers, cx)
                    && let Some(peer) = self.peers.get_mut(&link)
                {
                    peer.idle = false;
                    self.awake.insert(link);
                }
            }
        }
    }

    /// Takes runs back that a peer was asked for, of one file or of all. `false`: there were none.
    pub(super) fn take_back(
        &mut self,
        link: LinkId,
        root: Option<Root>,
        fits: &dyn Fn(&Span) -> bool,
        cx: &mut Cx,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&link) else { return false };
        let mut runs = Vec::new();
        for ((start, of), asked) in peer.owes() {
            let span = Span { start: *start, count: asked.count, proof: asked.proof };
            if root.is_none_or(|root| root == *of) && fits(&span) {
                runs.push((*of, span));
            }
        }
        self.awake.insert(link);
        for (root, span) in &runs {
            peer.give_up(root, span.start);
            if let Some(file) = self.files.get_mut(root) {
                file.ledger.unask(span.start, span.count);
            }
            cx.out.control(link, &Message::Cancel { root: *root, spans: alloc::vec![*span] });
        }
        !runs.is_empty()
    }

    /// Stores a whole piece.
    pub(super) fn keep(&mut self, root: &Root, piece: PieceIndex, bytes: Vec<u8>, cx: &mut Cx) {
        let Some(file) = self.files.get(root) else { return };
        let length = bytes.len() as u64;
        let (total, start) = (file.layout.length(), file.layout.piece_start(piece));
        self.storing_bytes += length;
        let job = cx.out.start(Work::Store { root: *root, total, start, bytes });
        self.jobs.insert(job, Job::Store { root: *root, piece: piece.get(), bytes: length });
    }

    pub(super) fn on_reject(&mut self, link: LinkId, root: &Root, spans: &[Span]) -> Result<(), Fault> {
        let peer = self.peers.get_mut(&link).ok_or(Fault::Unexpected)?;
        let (mut gave_back, mut to_all, mut heirs) = (false, false, Vec::new());
        for span in spans {
            let Some(asked) = peer.rejected(root, span.start) else { continue };
            gave_back |= asked.called_back.is_some();
            match asked.called_back {
                Some(Some(heir)) => heirs.push(heir),
                _ => to_all = true,
            }
            let Some(file) = self.files.get_mut(root) else { continue };
            file.ledger.unask(span.start, asked.count);
            // What it rejects it does not have, whatever it said before; or we asked it to forget it.
            if asked.called_back.is_none()
                && let (Some(leaf), Some(has)) = (file.layout.leaf(span.start), peer.has.get_mut(root))
            {
                let piece = file.layout.piece_of(leaf).get();
                if has.clear(piece) {
                    file.ledger.ranks.lose(piece);
                }
            }
        }
        // What was called back for somebody is not offered to others before.
        if to_all {
            self.wake_all();
        }
        for heir in heirs {
            if let Some(peer) = self.peers.get_mut(&heir) {
                peer.idle = false;
                self.awake.insert(heir);
            }
        }
        // What was called back is for somebody else: whoever gave it back is not asked first.
        if gave_back && let Some(peer) = self.peers.get_mut(&link) {
            peer.idle = true;
        }
        Ok(())
    }

    /// Asks for the hashes that prove pieces, where they are missing.
    pub(super) fn seek_hashes(&mut self, cx: &mut Cx) {
        let mut lacking = core::mem::take(&mut self.lacking);
        lacking.retain(|root| self.seek_hashes_of(root, cx));
        self.lacking = lacking;
    }

    /// Answers whether hashes of this file are still missing.
    fn seek_hashes_of(&mut self, root: &Root, cx: &mut Cx) -> bool {
        let Some(file) = self.files.get_mut(root) else { return false };
        let Some((level, height, index)) = file.tree.missing_layer() else { return false };
        if file.hashes.is_some() || file.recalling > 0 {
            return true;
        }
        let mut able = Vec::new();
        for (link, peer) in &self.peers {
            if peer.has.contains_key(root) && !peer.no_hashes.contains(root) {
                able.push(*link);
            }
        }
        if able.is_empty() {
            // Who had nothing or was late may do better next time.
            for (_, peer) in &mut self.peers {
                peer.no_hashes.remove(root);
            }
        }
        if let Some(link) = cx.rng.pick(&able).copied() {
            file.hashes = Some((link, cx.now + ANSWER_DEADLINE));
            cx.out.control(link, &Message::GetHashes(HashRange { root: *root, level, height, index }));
        }
        true
    }

    pub(super) fn on_hashes(
        &mut self,
        link: LinkId,
        range: &HashRange,
        tail: &[u8],
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let Some(file) = self.files.get_mut(&range.root) else { return self.stray(link, tail.len()) };
        let peer = self.peers.get(&link).ok_or(Fault::Unexpected)?;
        let answers = file.hashes.is_some_and(|(from, _)| from == link) && range.level > 0;
        let piece = file.layout.piece(range.index).filter(|_| range.level == 0);
        let proves = piece.is_some_and(|piece| peer.asked_proof(&range.root, file.layout.leaves_of(piece)));
        let whole = range.level == 0 && file.layout.pieces() == 1;
        if !answers && !proves && !whole {
            return self.stray(link, tail.len());
        }
        if file.tree.insert(range.level, range.height, range.index, &Hash::row(tail)).is_err() {
            return Err(Fault::BadData);
        }
        if answers {
            file.hashes = None;
            if file.tree.missing_layer().is_none() {
                self.on_layer_known(&range.root, cx);
            } else {
                // Pieces whose hashes are known may be begun while the rest is asked for.
                self.wake_all();
            }
            self.seek_hashes(cx);
        }
        Ok(())
    }

    pub(super) fn on_no_hashes(&mut self, link: LinkId, range: &HashRange, cx: &mut Cx) -> Result<(), Fault> {
        let peer = self.peers.get_mut(&link).ok_or(Fault::Unexpected)?;
        if let Some(file) = self.files.get_mut(&range.root) {
            peer.no_hashes.insert(range.root);
            if file.hashes.is_some_and(|(from, _)| from == link) {
                file.hashes = None;
            }
        }
        self.seek_hashes(cx);
        Ok(())
    }

    /// Takes its work from a peer that is silent.
    pub(super) fn snub_silent(&mut self, cx: &mut Cx) {
        for link in self.links() {
            let Some(peer) = self.peers.get_mut(&link) else { continue };
            if peer.snub_at().is_none_or(|at| at > cx.now) {
                continue;
            }
            peer.snub(cx.now);
            peer.widen(cx.config.window_leaves_max);
            if peer.snubs >= SNUBS_MAX {
                self.facts.push(Fact::Fault(link, Fault::Stalled));
            }
            self.take_back(link, None, &|_| true, cx);
            self.wake_all();
        }
    }

    /// Asks somebody else for hashes and lists of files that did not come.
    pub(super) fn drop_late_answers(&mut self, cx: &mut Cx) {
        let mut late = false;
        for (root, file) in &mut self.files {
            if let Some((link, at)) = file.hashes
                && at <= cx.now
            {
                file.hashes = None;
                late = true;
                if let Some(peer) = self.peers.get_mut(&link) {
                    peer.no_hashes.insert(*root);
                }
            }
        }
        for (content, share) in &mut self.shares {
            if let Some((link, at)) = share.info.from
                && at <= cx.now
            {
                share.info.from = None;
                late = true;
                if let Some(peer) = self.peers.get_mut(&link) {
                    peer.no_info.insert(*content);
                }
            }
        }
        if late || !self.lacking.is_empty() {
            self.seek_hashes(cx);
        }
        self.seek_infos(cx);
    }
}

/// What one peer is about to be asked.
pub(super) struct Plan {
    room: u32,
    spans: Map<Root, Vec<Span>>,
}

impl Plan {
    pub(super) fn push(&mut self, root: &Root, span: Span) {
        self.room = self.room.saturating_sub(u32::from(span.count));
        self.spans.entry(*root).or_default().push(span);
    }
}

/// Puts leaves of an open piece into the plan. The first run also asks for the hashes that prove it, unless it is all of it.
fn take_spans(file: &mut super::File, root: &Root, piece: PieceIndex, peer: &Peer, plan: &mut Plan) {
    let leaves = file.layout.leaves_of(piece);
    let mut proof = !file.tree.knows_leaves(piece) && !peer.asked_proof(root, leaves.clone());
    while plan.room > 0 {
        let Some(mut span) = file.ledger.ask(piece, BLOCK_LEAVES_MAX) else { return };
        span.proof = core::mem::take(&mut proof) && usize::from(span.count) < leaves.len();
        plan.push(root, span);
    }
}
