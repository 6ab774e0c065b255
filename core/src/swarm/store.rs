//! Remembering: records of what is stored, checking them after a restart, and what to do about damage.

use super::file::File;
use super::share::Share;
use super::{Fact, Job, RARE, Swarm, TELL_AFTER, WRITE_AFTER};
use crate::action::{Event, ShareFailure, Work};
use crate::content::{Bitfield, PieceIndex};
use crate::id::{ContentId, Hash, Root};
use crate::input::{Failure, Outcome};
use crate::outbox::Cx;
use crate::time::earliest;

/// Pieces that are looked through at the same time.
const CHECKS_MAX: u32 = 4;

impl Swarm {
    /// Reads what an earlier visit wrote down about a file.
    pub(super) fn recall(&mut self, root: &Root, cx: &mut Cx) {
        let Some(file) = self.files.get_mut(root).filter(|file| !file.is_source) else { return };
        let job = cx.out.start(Work::Get { key: File::have_key(root) });
        self.jobs.insert(job, Job::Have(*root));
        file.recalling = 1;
        if file.tree.missing_layer().is_some() {
            file.recalling = 2;
            let job = cx.out.start(Work::Get { key: File::tree_key(root) });
            self.jobs.insert(job, Job::Hashes(*root));
        }
    }

    pub(super) fn on_have_recalled(&mut self, root: &Root, outcome: &Outcome<'_>, cx: &mut Cx) {
        let Some(file) = self.files.get_mut(root) else { return };
        if let Outcome::Bytes(bytes) = outcome
            && let Some(claimed) = Bitfield::from_bytes(bytes, file.layout.pieces())
        {
            file.ledger.claim(&claimed);
        }
        self.on_recalled(root, cx);
    }

    pub(super) fn on_hashes_recalled(&mut self, root: &Root, outcome: &Outcome<'_>, cx: &mut Cx) {
        let Some(file) = self.files.get_mut(root) else { return };
        if let Outcome::Bytes(bytes) = outcome {
            // A damaged record is no record: its hashes do not fit the root.
            let _ = file.tree.learn_pieces(&Hash::row(bytes));
        }
        self.on_recalled(root, cx);
    }

    fn on_recalled(&mut self, root: &Root, cx: &mut Cx) {
        let Some(file) = self.files.get_mut(root) else { return };
        file.recalling = file.recalling.saturating_sub(1);
        if file.recalling == 0 {
            self.unchecked.insert(*root);
            self.wake_all();
            self.seek_hashes(cx);
        }
    }

    /// Looks through claimed pieces, a few at a time.
    pub(super) fn check_more(&mut self, cx: &mut Cx) {
        while self.checks < CHECKS_MAX {
            let Some(root) = self.unchecked.iter().next().copied() else { return };
            let next = self.files.get_mut(&root).and_then(|file| file.ledger.next_check(&file.tree));
            let (Some(piece), Some(file)) = (next, self.files.get(&root)) else {
                self.unchecked.remove(&root);
                continue;
            };
            self.checks += 1;
            let (start, length) = (file.layout.piece_start(piece), file.layout.piece_bytes(piece));
            let job = cx.out.start(Work::Load { root, start, length });
            self.jobs.insert(job, Job::Check { root, piece: piece.get() });
        }
    }

    pub(super) fn on_checked(&mut self, root: &Root, piece: u32, outcome: &Outcome<'_>, cx: &mut Cx) {
        self.checks -= 1;
        let Some(file) = self.files.get_mut(root) else { return };
        let Some(piece) = file.layout.piece(piece) else { return };
        let length = file.layout.piece_bytes(piece);
        let good = matches!(outcome, Outcome::Bytes(bytes) if bytes.len() == length as usize
            && file.tree.learn_piece(piece, &(cx.config.hash_leaves)(bytes)).is_ok());
        if !good {
            file.ledger.free(piece);
            self.wake_all();
            return cx.out.notify(Event::Damaged { root: *root });
        }
        self.moved(root, &mut |moved| moved.from_store += u64::from(length));
        self.on_piece(root, piece, cx);
    }

    pub(super) fn on_stored(
        &mut self,
        root: &Root,
        piece: u32,
        bytes: u64,
        outcome: &Outcome<'_>,
        cx: &mut Cx,
    ) {
        self.storing_bytes -= bytes;
        let Some(file) = self.files.get_mut(root) else { return };
        let Some(piece) = file.layout.piece(piece) else { return };
        if let Outcome::Ok = outcome {
            return self.on_piece(root, piece, cx);
        }
        file.ledger.free(piece);
        let failure = if let Outcome::Failed(failure) = outcome { *failure } else { Failure::Host };
        for content in self.shares_of(root) {
            self.fail(&content, ShareFailure::Storage(failure), cx);
        }
    }

    /// A piece is verified and stored.
    fn on_piece(&mut self, root: &Root, piece: PieceIndex, cx: &mut Cx) {
        let Some(file) = self.files.get_mut(root) else { return };
        file.ledger.stored(piece);
        file.urgent.remove(&piece.get());
        file.next.remove(&piece.get());
        let complete = file.ledger.is_complete();
        let file_holders = file.ledger.ranks.holders(piece.get());
        self.untold.entry(*root).or_default().push(piece.get());
        self.tell_at = earliest(self.tell_at, Some(cx.now.after(TELL_AFTER)));
        if file_holders <= RARE {
            self.tell_few(root, piece.get(), cx);
        }
        self.unwritten.insert(*root);
        self.write_soon(cx);
        if complete {
            self.write_records(cx);
            self.on_file_complete(root, cx);
        }
        self.answer_reads(root, cx);
    }

    /// Gives up what is stored of a file that nobody wants.
    pub(crate) fn drop_stored(&mut self, root: &Root, cx: &mut Cx) {
        if let Some(file) = self.files.get_mut(root) {
            if file.is_source || file.recalling > 0 || self.wanted.contains(root) {
                return;
            }
            for piece in 0..file.layout.pieces() {
                if let Some(piece) = file.layout.piece(piece) {
                    file.ledger.lose(piece);
                }
            }
        }
        self.unwritten.remove(root);
        cx.out.start(Work::Discard { root: *root });
        cx.out.start(Work::Forget { key: File::have_key(root) });
        for link in self.links() {
            if self.peers.get(&link).is_some_and(|peer| peer.wants.contains(root)) {
                self.tell_have(link, root, cx);
            }
        }
    }

    /// Writes down which pieces are stored.
    pub(super) fn write_records(&mut self, cx: &mut Cx) {
        self.write_at = None;
        for root in core::mem::take(&mut self.unwritten) {
            let Some(file) = self.files.get(&root).filter(|file| !file.is_source) else { continue };
            let job =
                cx.out.start(Work::Put { key: File::have_key(&root), value: file.ledger.have().to_bytes() });
            self.jobs.insert(job, Job::Written);
            self.writing += 1;
        }
    }

    pub(super) fn on_written(&mut self, cx: &Cx) {
        self.writing -= 1;
        self.write_soon(cx);
    }

    /// Sees to it that changed records are written.
    fn write_soon(&mut self, cx: &Cx) {
        if self.writing == 0 && !self.unwritten.is_empty() {
            self.write_at.get_or_insert(cx.now + WRITE_AFTER);
        }
    }

    /// Writes down the list of files of a share.
    pub(super) fn write_info(&self, content: &ContentId, cx: &mut Cx) {
        let Some(share) = self.shares.get(content) else { return };
        let Some(torrent) = self.torrent(content).or_else(|| share.torrent.clone()) else { return };
        cx.out.start(Work::Put { key: Share::record_key(content), value: torrent.encode() });
    }

    /// All piece hashes of a file are known: they are kept, and what waited for them goes on.
    pub(super) fn on_layer_known(&mut self, root: &Root, cx: &mut Cx) {
        self.wake_all();
        for link in self.links() {
            if self.is_served(root) && self.peers.get(&link).is_some_and(|peer| peer.wants.contains(root)) {
                self.tell_have(link, root, cx);
            }
        }
        let Some(file) = self.files.get(root) else { return };
        if file.ledger.is_checking() {
            self.unchecked.insert(*root);
        }
        if let Some(hashes) = file.tree.piece_hashes() {
            let value = Hash::flatten(&hashes);
            cx.out.start(Work::Put { key: File::tree_key(root), value });
        }
        for content in self.shares_of(root) {
            if self.torrent(&content).is_some() {
                self.write_info(&content, cx);
            }
        }
    }

    /// Stored bytes do not fit their hashes: they are forgotten and fetched again.
    pub(super) fn on_damage(&mut self, root: &Root, piece: PieceIndex, cx: &mut Cx) {
        let Some(file) = self.files.get_mut(root) else { return };
        if !file.ledger.have().get(piece.get()) {
            return;
        }
        if file.is_source {
            for content in self.shares_of(root) {
                self.fail(&content, ShareFailure::SourceGone, cx);
            }
            return;
        }
        file.ledger.lose(piece);
        self.unwritten.insert(*root);
        self.write_soon(cx);
        cx.out.notify(Event::Damaged { root: *root });
        for content in self.shares_of(root) {
            if let Some(share) = self.shares.get_mut(&content) {
                share.done_told = false;
                self.facts.push(Fact::Joined { topic: share.topic, complete: false });
            }
        }
        self.refresh(cx);
    }
}
