//! Web seeds at work: which ranges to fetch, and proving what came.

use super::origin::{self, Lot, Origin, Usage, View};
use super::share::Share;
use super::{Job, Swarm};
use crate::action::{Event, SourceFailure, Work};
use crate::config::LEAF_BYTES;
use crate::content::web_url;
use crate::id::{ContentId, JobId, Root};
use crate::input::{Failure, Outcome};
use crate::outbox::Cx;
use crate::time::{Instant, SECOND, earliest};
use alloc::vec::Vec;
use core::ops::Range;

impl Swarm {
    /// Starts as many HTTP requests as make sense now.
    pub(super) fn fetch_more(&mut self, cx: &mut Cx) {
        if self.wanted.is_empty() || self.origin_at.is_some_and(|at| at > cx.now) {
            return;
        }
        self.origin_at = None;
        let (mut able, mut first) = (Vec::new(), None);
        for (content, share) in &self.shares {
            if share.is_active() && share.torrent.is_some() && !share.done_told {
                let source_at = share.source_at();
                first = earliest(first, source_at);
                if source_at.is_some() {
                    able.push(*content);
                }
            }
        }
        for content in &able {
            while self.fetch_one(content, cx).is_some() {}
        }
        // Sources that are all away are not looked at ten times a second.
        self.origin_at = first.map(|first| first.clamp(cx.now.after(origin::LOOK), cx.now.after(SECOND)));
    }

    fn fetch_one(&mut self, content: &ContentId, cx: &mut Cx) -> Option<()> {
        let share = self.shares.get(content)?;
        let mut busy = 0;
        let mut least: Option<(usize, &Origin)> = None;
        for (at, origin) in share.origins.iter().enumerate() {
            busy += origin.busy;
            let able = !origin.dropped && origin.not_before <= cx.now;
            if able && least.is_none_or(|(_, other)| origin.busy < other.busy) {
                least = Some((at, origin));
            }
        }
        let at = least.filter(|_| busy < cx.config.fetches_max)?.0;
        let (index, root, run) = match self.next_due(content, cx) {
            Some(found) => found,
            None => self.next_spare(content, busy, cx)?,
        };
        let share = self.shares.get(content)?;
        let base = &share.origins[at].base;
        let url = web_url(&share.torrent.as_ref()?.info, base, index)?;
        let share = self.shares.get_mut(content)?;
        let file = self.files.get_mut(&root)?;
        let mut end = 0;
        for piece in run.clone() {
            let piece = file.layout.piece(piece)?;
            file.ledger.fetch(piece);
            end = file.layout.piece_start(piece) + u64::from(file.layout.piece_bytes(piece));
        }
        let start = file.layout.piece_start(file.layout.piece(run.start)?);
        share.origins[at].busy += 1;
        let job = cx.out.start(Work::Fetch { url, start, end, total: file.layout.length() });
        self.jobs.insert(
            job,
            Job::Fetch { content: *content, origin: at, root, first: run.start, end: run.end, since: cx.now },
        );
        Some(())
    }

    /// Ends the HTTP requests of a share.
    pub(super) fn abort_fetches(&mut self, content: &ContentId, cx: &mut Cx) {
        while let Some((job, origin, root, run)) = self.next_fetch(Some(content), cx.now) {
            cx.out.abort(job);
            self.jobs.remove(&job);
            self.release((content, origin), &root, run);
        }
    }

    /// What a web server has kept waiting for long is asked of peers, where they have it. A browser itself waits for minutes.
    pub(super) fn leave_slow(&mut self, cx: &mut Cx) {
        while let Some((job, ..)) = self.next_fetch(None, cx.now) {
            cx.out.abort(job);
            self.on_done(job, &Outcome::Failed(Failure::Network), cx);
        }
    }

    /// A request of a share; or, without one, a request that is slow and that peers could answer.
    fn next_fetch(&self, of: Option<&ContentId>, now: Instant) -> Option<(JobId, usize, Root, Range<u32>)> {
        for (id, job) in &self.jobs {
            let Job::Fetch { content, origin, root, first, end, since } = job else { continue };
            let fits = match (of, self.files.get(root)) {
                (Some(of), _) => of == content,
                (None, Some(file)) => {
                    let bytes = u64::from(end - first) * u64::from(file.layout.piece_length());
                    since.after(origin::PATIENCE + bytes * SECOND / origin::SLOW) <= now
                        && (*first..*end).all(|piece| file.ledger.ranks.holders(piece) > 0)
                }
                (None, None) => false,
            };
            if fits {
                return Some((*id, *origin, *root, *first..*end));
            }
        }
        None
    }

    /// A request has ended without useful bytes: its pieces are free again.
    fn release(&mut self, from: (&ContentId, usize), root: &Root, run: Range<u32>) {
        if let Some(origin) = self.origin(from) {
            origin.busy = origin.busy.saturating_sub(1);
        }
        if let Some(file) = self.files.get_mut(root) {
            for piece in run {
                if let Some(piece) = file.layout.piece(piece) {
                    file.ledger.free(piece);
                }
            }
        }
        self.wake_all();
    }

    fn origin(&mut self, (content, at): (&ContentId, usize)) -> Option<&mut Origin> {
        self.shares.get_mut(content)?.origins.get_mut(at)
    }

    /// What a reader needs so soon that peers have had their chance.
    fn next_due(&mut self, content: &ContentId, cx: &mut Cx) -> Option<(usize, Root, Range<u32>)> {
        if self.reads.is_empty() {
            return None;
        }
        let share = self.shares.get(content)?;
        let mut roots = Vec::new();
        for index in 0..share.files().len() {
            if let Some(root) = share.wanted(index).filter(|root| self.wanted.contains(root)) {
                roots.push((index, root));
            }
        }
        for (index, root) in roots {
            self.take_over(&root, cx);
            let due = self.due_by(&root, cx.now.after(origin::HEDGE), cx.now);
            let file = self.files.get(&root).filter(|file| file.recalling == 0)?;
            for piece in &due {
                let mut end = *piece + 1;
                while due.contains(&end) {
                    end += 1;
                }
                let most =
                    (end - *piece).saturating_mul(file.layout.piece_length()).min(cx.config.fetch_bytes);
                if let Some(run) = file.free_run(*piece, most) {
                    return Some((index, root, run));
                }
            }
        }
        None
    }

    /// Takes pieces that are about to be late from peers: first those that are not on their way yet, at last all.
    fn take_over(&mut self, root: &Root, cx: &mut Cx) {
        let Some(asked) = cx.now.micros().checked_sub(origin::HEDGE) else { return };
        let asked = Instant::from_micros(asked);
        let late = self.due_by(root, cx.now.after(origin::LATE), asked);
        for piece in &self.due_by(root, cx.now.after(origin::RECALL), asked) {
            let Some(file) = self.files.get(root) else { return };
            let Some(piece) = file.layout.piece(*piece).filter(|piece| file.ledger.is_open(*piece)) else {
                continue;
            };
            let leaves = file.layout.leaves_of(piece);
            if !late.contains(&piece.get()) {
                self.call_back_all(root, &leaves, cx);
                continue;
            }
            for link in self.links() {
                self.take_back(link, Some(*root), &|span| leaves.contains(&span.start), cx);
            }
            if let Some(file) = self.files.get_mut(root) {
                file.ledger.free(piece);
            }
        }
    }

    /// What nobody waits for: everything where there are no peers, else what no peer has, to share it.
    fn next_spare(
        &mut self,
        content: &ContentId,
        busy: u32,
        cx: &mut Cx,
    ) -> Option<(usize, Root, Range<u32>)> {
        let since = *self.shares.get_mut(content)?.sourced.get_or_insert(cx.now);
        let share = self.shares.get(content)?;
        let freely = match origin::usage(self.origin_view(share, since, cx)) {
            Usage::Freely => true,
            Usage::Few if busy == 0 => false,
            Usage::Few | Usage::Not => return None,
        };
        let lot = self.lot(content, cx);
        let share = self.shares.get(content)?;
        for index in 0..share.files().len() {
            let Some(root) = share.wanted(index).filter(|root| self.wanted.contains(root)) else { continue };
            let Some(file) = self.files.get(&root).filter(|file| file.recalling == 0) else { continue };
            if !freely {
                let ours = |piece: u32| {
                    if file.has_readers() { file.is_read(piece) && lot.falls_on(piece) } else { lot.on_duty }
                };
                let run = file.unheld(&ours, &mut cx.rng).and_then(|piece| file.free_run(piece, 0));
                if let Some(run) = run {
                    return Some((index, root, run));
                }
                continue;
            }
            for piece in file.ledger.have().iter_missing() {
                if let Some(run) = file.free_run(piece, cx.config.fetch_bytes) {
                    return Some((index, root, run));
                }
            }
        }
        None
    }

    /// Which part of what no peer has is ours to fetch.
    fn lot(&mut self, content: &ContentId, cx: &mut Cx) -> Lot {
        let links = self.shares.get(content).map_or(0, |share| self.peers_in(&share.topic));
        let Some(share) = self.shares.get_mut(content) else { return Lot::default() };
        if share.lot_at.is_none_or(|at| at <= cx.now) {
            share.lot_at = Some(cx.now.after(origin::DUTY));
            // The signaller's number is that of the beginning: in a crowd it is too small.
            share.lot.draw((share.seeds + share.leeches).max(links * 2), &mut cx.rng);
        }
        share.lot
    }

    fn origin_view(&self, share: &Share, since: Instant, cx: &Cx) -> View {
        let mut view = View { peers: 0, searching: cx.config.signaller, waited: cx.now.passed(since) };
        for (_, peer) in &self.peers {
            view.peers += u32::from(peer.topics.contains(&share.topic));
        }
        view
    }

    pub(super) fn on_fetched(
        &mut self,
        from: (&ContentId, usize),
        root: &Root,
        run: Range<u32>,
        outcome: &Outcome<'_>,
        cx: &mut Cx,
    ) {
        let proven = match outcome {
            Outcome::Bytes(bytes) => self.prove_run(from.0, root, run.clone(), bytes, cx),
            Outcome::Missing => Err(Some(Failure::Status(404))),
            Outcome::Failed(failure) => Err(Some(*failure)),
            Outcome::Ok | Outcome::Described(_) => Err(Some(Failure::Host)),
        };
        let Err(failure) = proven else {
            self.origin_at = None;
            if let Some(origin) = self.origin(from) {
                origin.busy = origin.busy.saturating_sub(1);
            }
            return;
        };
        self.origin_at = None;
        self.release(from, root, run);
        let Some(origin) = self.origin(from) else { return };
        let reason = match failure {
            None => {
                origin.dropped = true;
                Some(SourceFailure::BadData)
            }
            Some(failure) => origin.failed(failure, cx.now),
        };
        if let Some(reason) = reason {
            cx.out.notify(Event::SourceDropped { url: origin.base.clone(), reason });
        }
    }

    /// Proves fetched bytes and stores their pieces. `Err(None)`: they are not the content.
    fn prove_run(
        &mut self,
        content: &ContentId,
        root: &Root,
        run: Range<u32>,
        bytes: &[u8],
        cx: &mut Cx,
    ) -> Result<(), Option<Failure>> {
        let Some(file) = self.files.get_mut(root) else { return Ok(()) };
        let layout = file.layout;
        let mut total = 0;
        for piece in run.clone() {
            total += layout.piece(piece).map_or(0, |piece| u64::from(layout.piece_bytes(piece)));
        }
        if bytes.len() as u64 != total {
            return Err(Some(Failure::Host));
        }
        let hashes = (cx.config.hash_leaves)(bytes);
        let per_piece = (layout.piece_length() / LEAF_BYTES) as usize;
        let mut at = run.start;
        while at < run.end
            && let Some(piece) = layout.piece(at)
        {
            let provable = file.tree.provable(piece);
            let from = (provable.start - run.start) as usize * per_piece;
            let to = ((provable.end - run.start) as usize * per_piece).min(hashes.len());
            file.tree.learn_run(provable.start, hashes.get(from..to).ok_or(None)?).map_err(|_| None)?;
            at = provable.end;
        }
        at = run.start;
        for part in bytes.chunks(layout.piece_length() as usize) {
            if let (Some(piece), Some(file)) = (layout.piece(at), self.files.get_mut(root)) {
                file.ledger.fetched(piece);
                self.keep(root, piece, part.to_vec(), cx);
            }
            at += 1;
        }
        self.on_http_bytes(content, root, total, cx);
        Ok(())
    }

    fn on_http_bytes(&mut self, content: &ContentId, root: &Root, bytes: u64, cx: &mut Cx) {
        self.totals.from_http += bytes;
        let Some(share) = self.shares.get_mut(content) else { return };
        share.moved.from_http += bytes;
        share.moved.down.add(cx.now, bytes);
        for origin in &mut share.origins {
            origin.succeeded();
        }
        if !core::mem::replace(&mut share.first_leaf, true) {
            cx.out.notify(Event::FirstLeaf { content: *content });
        }
        if let Some(file) = self.files.get(root)
            && file.hashes.is_none()
            && file.tree.missing_layer().is_none()
        {
            self.wake_all();
        }
    }
}
