//! Web seeds at work: which ranges to fetch, and proving what came.

use super::origin::{self, View};
use super::{Job, Swarm};
use crate::action::{Event, SourceFailure, Work};
use crate::config::LEAF_BYTES;
use crate::content::{leaf_hash, web_url};
use crate::id::{ContentId, Hash, JobId, Root};
use crate::input::{Failure, Outcome};
use crate::outbox::Cx;
use crate::time::earliest;
use alloc::vec::Vec;
use core::ops::Range;

/// A run that can only be proven as a whole may be this long; beyond it peers must supply the hashes.
const RUN_BYTES_MAX: u64 = 16 * 1024 * 1024;

impl Swarm {
    /// Starts as many HTTP requests as make sense now.
    pub(super) fn fetch_more(&mut self, cx: &mut Cx<'_>) {
        if self.wanted.is_empty() || self.origin_at.is_some_and(|at| at > cx.now) {
            return;
        }
        let active = self
            .shares
            .iter()
            .filter(|(_, share)| share.is_active() && share.torrent.is_some() && !share.done_told);
        let able: Vec<ContentId> = active
            .filter(|(_, share)| share.origins.iter().any(|origin| !origin.dropped))
            .map(|(content, _)| *content)
            .collect();
        for content in able {
            while self.fetch_one(content, cx) {}
        }
    }

    fn fetch_one(&mut self, content: ContentId, cx: &mut Cx<'_>) -> bool {
        let Some(share) = self.shares.get(&content) else { return false };
        let busy: u32 = share.origins.iter().map(|origin| origin.busy).sum();
        if busy >= self.config.fetches_max || busy >= origin::fetches(self.origin_view(content, cx)) {
            return false;
        }
        let resting = share
            .origins
            .iter()
            .filter(|origin| !origin.dropped && origin.not_before > cx.now)
            .map(|origin| origin.not_before);
        let resting = resting.min();
        let open = share
            .origins
            .iter()
            .enumerate()
            .filter(|(_, origin)| !origin.dropped && origin.not_before <= cx.now);
        let Some((at, base)) =
            open.min_by_key(|(_, origin)| origin.busy).map(|(at, origin)| (at, origin.base.clone()))
        else {
            self.origin_at = earliest(self.origin_at, resting);
            return false;
        };
        let Some((index, root, run)) = self.next_run(content) else { return false };
        let (Some(share), Some(file)) = (self.shares.get_mut(&content), self.files.get_mut(&root)) else {
            return false;
        };
        let Some(url) =
            share.torrent.as_ref().and_then(|torrent| web_url(&torrent.info, &base, index as usize))
        else {
            return false;
        };
        let pieces: Vec<_> = run.clone().filter_map(|piece| file.layout.piece(piece)).collect();
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return false };
        let start = file.layout.piece_start(*first);
        let end = file.layout.piece_start(*last) + u64::from(file.layout.piece_bytes(*last));
        for piece in &pieces {
            file.ledger.fetch(*piece);
        }
        share.origins[at].busy += 1;
        let job = cx.out.start(Work::Fetch { url, start, end, total: file.layout.length() });
        self.jobs.insert(job, Job::Fetch { content, origin: at, root, first: run.start, end: run.end });
        true
    }

    /// Ends the HTTP requests of a share.
    pub(super) fn abort_fetches(&mut self, content: ContentId, cx: &mut Cx<'_>) {
        let of_share = |job: &Job| matches!(job, Job::Fetch { content: of, .. } if *of == content);
        let jobs: Vec<JobId> = self.jobs.iter().filter(|(_, job)| of_share(job)).map(|(id, _)| *id).collect();
        for id in jobs {
            cx.out.abort(id);
            let Some(Job::Fetch { origin, root, first, end, .. }) = self.jobs.remove(&id) else { continue };
            self.release(content, origin, root, first..end);
        }
    }

    /// A request has ended without useful bytes: its pieces are free again.
    fn release(&mut self, content: ContentId, at: usize, root: Root, run: Range<u32>) {
        if let Some(origin) = self.shares.get_mut(&content).and_then(|share| share.origins.get_mut(at)) {
            origin.busy = origin.busy.saturating_sub(1);
        }
        if let Some(file) = self.files.get_mut(&root) {
            for piece in run.filter_map(|piece| file.layout.piece(piece)) {
                file.ledger.free(piece);
            }
        }
        self.wake_all();
    }

    fn origin_view(&self, content: ContentId, cx: &Cx<'_>) -> View {
        let share = self.shares.get(&content);
        let topic = share.map(|share| share.topic);
        let peers =
            self.peers.values().filter(|peer| topic.is_some_and(|topic| peer.topics.contains(&topic)));
        let useful = peers
            .filter(|peer| peer.has.iter().any(|(root, has)| self.wanted.contains(root) && !has.is_empty()))
            .count();
        let roots = share
            .into_iter()
            .flat_map(|share| share.wanted_roots())
            .map(|(_, root)| root)
            .filter(|root| self.wanted.contains(root));
        let mut view = View {
            peers_have_all: true,
            peers: u32::try_from(useful).unwrap_or(u32::MAX),
            peer_rate: self.peers.values().map(|peer| peer.down.per_second(cx.now)).sum(),
            urgent: false,
            most: self.config.fetches_max,
        };
        for file in roots.filter_map(|root| self.files.get(&root)) {
            view.peers_have_all &= file.ledger.have().iter_missing().all(|piece| file.rarity.of(piece) > 0);
            view.urgent |= !file.urgent.is_empty();
        }
        view
    }

    /// The next run of free pieces of a share: what a reader waits for, else the first.
    fn next_run(&self, content: ContentId) -> Option<(u32, Root, Range<u32>)> {
        let share = self.shares.get(&content)?;
        let wanted = || share.wanted_roots().filter(|(_, root)| self.wanted.contains(root));
        let urgent = wanted().find_map(|(index, root)| {
            let file = self.files.get(&root)?;
            file.urgent.iter().find_map(|piece| self.run_at(root, *piece)).map(|run| (index, root, run))
        });
        urgent.or_else(|| {
            wanted().find_map(|(index, root)| {
                let file = self.files.get(&root)?;
                file.ledger
                    .have()
                    .iter_missing()
                    .find_map(|piece| self.run_at(root, piece))
                    .map(|run| (index, root, run))
            })
        })
    }

    /// A provable run of free pieces from `piece` on.
    fn run_at(&self, root: Root, piece: u32) -> Option<Range<u32>> {
        let file = self.files.get(&root).filter(|file| file.recalling == 0)?;
        let free = |piece: u32| file.layout.piece(piece).is_some_and(|piece| file.ledger.is_free(piece));
        let first = file.layout.piece(piece)?;
        let mut run = file.tree.provable(first);
        let length =
            |run: &Range<u32>| u64::from(run.end - run.start) * u64::from(file.layout.piece_length());
        if !run.clone().all(free) || length(&run) > RUN_BYTES_MAX {
            return None;
        }
        while let Some(next) = file.layout.piece(run.end) {
            let more = file.tree.provable(next);
            let longer = run.start..more.end;
            if length(&longer) > u64::from(self.config.fetch_bytes)
                || more.start != run.end
                || !more.clone().all(free)
            {
                break;
            }
            run = longer;
        }
        Some(run)
    }

    pub(super) fn on_fetched(
        &mut self,
        content: ContentId,
        at: usize,
        root: Root,
        run: Range<u32>,
        outcome: &Outcome<'_>,
        cx: &mut Cx<'_>,
    ) {
        let proven = match outcome {
            Outcome::Bytes(bytes) => self.prove_run(content, root, run.clone(), bytes, cx),
            Outcome::Missing => Err(Some(Failure::Status(404))),
            Outcome::Failed(failure) => Err(Some(*failure)),
            Outcome::Ok | Outcome::Described(_) => Err(Some(Failure::Host)),
        };
        let Err(failure) = proven else {
            if let Some(origin) = self.shares.get_mut(&content).and_then(|share| share.origins.get_mut(at)) {
                origin.busy = origin.busy.saturating_sub(1);
            }
            return;
        };
        self.release(content, at, root, run);
        let Some(origin) = self.shares.get_mut(&content).and_then(|share| share.origins.get_mut(at)) else {
            return;
        };
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
        content: ContentId,
        root: Root,
        run: Range<u32>,
        bytes: &[u8],
        cx: &mut Cx<'_>,
    ) -> Result<(), Option<Failure>> {
        let Some(file) = self.files.get_mut(&root) else { return Ok(()) };
        let pieces: Vec<_> = run.clone().filter_map(|piece| file.layout.piece(piece)).collect();
        let total: u64 = pieces.iter().map(|piece| u64::from(file.layout.piece_bytes(*piece))).sum();
        if bytes.len() as u64 != total {
            return Err(Some(Failure::Host));
        }
        let hashes: Vec<Hash> = bytes.chunks(LEAF_BYTES as usize).map(leaf_hash).collect();
        let per_piece = (file.layout.piece_length() / LEAF_BYTES) as usize;
        let mut at = run.start;
        for provable in core::iter::from_fn(|| {
            let piece = file.layout.piece(at).filter(|_| at < run.end)?;
            let provable = file.tree.provable(piece);
            at = provable.end;
            Some(provable)
        })
        .collect::<Vec<_>>()
        {
            let from = (provable.start - run.start) as usize * per_piece;
            let to = ((provable.end - run.start) as usize * per_piece).min(hashes.len());
            file.tree.learn_run(provable.start, hashes.get(from..to).ok_or(None)?).map_err(|_| None)?;
        }
        let length = file.layout.piece_length() as usize;
        for (piece, part) in pieces.into_iter().zip(bytes.chunks(length)) {
            if let Some(file) = self.files.get_mut(&root) {
                file.ledger.fetched(piece);
            }
            self.keep(root, piece, part.to_vec(), cx);
        }
        self.on_http_bytes(content, root, total, cx);
        Ok(())
    }

    fn on_http_bytes(&mut self, content: ContentId, root: Root, bytes: u64, cx: &mut Cx<'_>) {
        self.totals.from_http += bytes;
        let Some(share) = self.shares.get_mut(&content) else { return };
        share.moved.from_http += bytes;
        share.moved.down.add(cx.now, bytes);
        share.origins.iter_mut().for_each(origin::Origin::succeeded);
        if !core::mem::replace(&mut share.first_leaf, true) {
            cx.out.notify(Event::FirstLeaf { content });
        }
        if self
            .files
            .get(&root)
            .is_some_and(|file| file.hashes.is_none() && file.tree.missing_layer().is_none())
        {
            self.wake_all();
        }
    }
}
