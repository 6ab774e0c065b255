//! Web seeds at work: which ranges to fetch, and proving what came.

use super::origin::{self, Origin, View};
use super::peer::Peer;
use super::share::Share;
use super::store::leaf_hashes;
use super::{Job, Swarm};
use crate::action::{Event, SourceFailure, Work};
use crate::config::LEAF_BYTES;
use crate::content::web_url;
use crate::id::{ContentId, Root};
use crate::input::{Failure, Outcome};
use crate::outbox::Cx;
use crate::time::earliest;
use alloc::vec::Vec;
use core::ops::Range;

impl Swarm {
    /// Starts as many HTTP requests as make sense now.
    pub(super) fn fetch_more(&mut self, cx: &mut Cx) {
        if self.wanted.is_empty() || self.origin_at.is_some_and(|at| at > cx.now) {
            return;
        }
        let mut able = Vec::new();
        for (content, share) in &self.shares {
            if share.is_active() && share.torrent.is_some() && !share.done_told && share.sources() > 0 {
                able.push(*content);
            }
        }
        for content in able {
            while self.fetch_one(&content, cx).is_some() {}
        }
    }

    fn fetch_one(&mut self, content: &ContentId, cx: &mut Cx) -> Option<()> {
        let share = self.shares.get(content)?;
        let mut busy = 0;
        let mut resting = None;
        let mut least: Option<(usize, &Origin)> = None;
        for (at, origin) in share.origins.iter().enumerate() {
            busy += origin.busy;
            if origin.dropped {
                continue;
            }
            if origin.not_before > cx.now {
                resting = earliest(resting, Some(origin.not_before));
            } else if least.is_none_or(|(_, other)| origin.busy < other.busy) {
                least = Some((at, origin));
            }
        }
        if busy >= cx.config.fetches_max || busy >= origin::fetches(self.origin_view(share, cx)) {
            return None;
        }
        let Some((at, origin)) = least else {
            self.origin_at = earliest(self.origin_at, resting);
            return None;
        };
        let (index, root, run) = self.next_run(share, cx.config.fetch_bytes)?;
        let url = web_url(&share.torrent.as_ref()?.info, &origin.base, index)?;
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
        self.jobs
            .insert(job, Job::Fetch { content: *content, origin: at, root, first: run.start, end: run.end });
        Some(())
    }

    /// Ends the HTTP requests of a share.
    pub(super) fn abort_fetches(&mut self, content: &ContentId, cx: &mut Cx) {
        let mut ended = Vec::new();
        for (id, job) in &self.jobs {
            if let Job::Fetch { content: of, origin, root, first, end } = job
                && *of == *content
            {
                ended.push((*id, *origin, *root, *first..*end));
            }
        }
        for (id, origin, root, run) in ended {
            cx.out.abort(id);
            self.jobs.remove(&id);
            self.release((content, origin), &root, run);
        }
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

    fn origin_view(&self, share: &Share, cx: &Cx) -> View {
        let mut view =
            View { peers_have_all: true, peers: 0, peer_rate: 0, urgent: false, most: cx.config.fetches_max };
        for (_, peer) in &self.peers {
            view.peer_rate += peer.down.per_second(cx.now);
            view.peers += u32::from(peer.topics.contains(&share.topic) && self.is_useful(peer));
        }
        for index in 0..share.files().len() {
            let Some(root) = share.wanted(index).filter(|root| self.wanted.contains(root)) else { continue };
            if let Some(file) = self.files.get(&root) {
                view.peers_have_all &= file.unavailable() == 0;
                view.urgent |= !file.urgent.is_empty();
            }
        }
        view
    }

    /// Whether a peer has anything of a file that is wanted.
    fn is_useful(&self, peer: &Peer) -> bool {
        for (root, has) in &peer.has {
            if !has.is_empty() && self.wanted.contains(root) {
                return true;
            }
        }
        false
    }

    /// The next run of free pieces of a share: what a reader waits for, else the first.
    fn next_run(&self, share: &Share, most: u32) -> Option<(usize, Root, Range<u32>)> {
        for urgent in [true, false] {
            for index in 0..share.files().len() {
                let Some(root) = share.wanted(index).filter(|root| self.wanted.contains(root)) else {
                    continue;
                };
                let Some(file) = self.files.get(&root) else { continue };
                if file.recalling > 0 || (urgent && file.urgent.is_empty()) {
                    continue;
                }
                for piece in file.ledger.have().iter_missing() {
                    if (!urgent || file.urgent.contains(&piece))
                        && let Some(run) = file.free_run(piece, most)
                    {
                        return Some((index, root, run));
                    }
                }
            }
        }
        None
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
            if let Some(origin) = self.origin(from) {
                origin.busy = origin.busy.saturating_sub(1);
            }
            return;
        };
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
        let hashes = leaf_hashes(cx.config.leaf_hash, bytes);
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
