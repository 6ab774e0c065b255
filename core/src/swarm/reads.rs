//! Reads: the application asks for bytes; it gets them when they are there and proven.

use super::{Job, Swarm};
use crate::action::{Event, Work};
use crate::config::{LEAF_BYTES, READ_BYTES_MAX};
use crate::id::Root;
use crate::input::Outcome;
use crate::outbox::Cx;
use crate::time::{Instant, SECOND};
use crate::util::Set;
use alloc::vec::Vec;
use core::time::Duration;

/// Reads that may wait at the same time.
const READS_MAX: usize = 256;

/// What is needed this soon is asked for in its order; before that the rarest comes first, so that readers who are
/// at the same place have something to give each other (Zhou, Chiu and Lui; theory §2).
const PRESSING: u64 = 12 * SECOND;

/// One read.
#[derive(Clone, Copy)]
pub(super) struct Read {
    root: Root,
    start: u64,
    end: u64,
    /// When it was asked for, and when its bytes are needed.
    since: Instant,
    due: Instant,
    loading: bool,
}

impl Swarm {
    pub(crate) fn read(
        &mut self,
        read: u32,
        root: &Root,
        start: u64,
        length: u32,
        within: Duration,
        cx: &mut Cx,
    ) {
        let end = start.saturating_add(u64::from(length));
        let total = self.files.get(root).map_or(0, |file| file.layout.length());
        let fits = start < end && end <= total && length <= READ_BYTES_MAX;
        if !fits || self.reads.len() >= READS_MAX || self.reads.contains_key(&read) {
            return cx.out.notify(Event::ReadFailed { read });
        }
        let due = cx.now + within;
        self.reads.insert(read, Read { root: *root, start, end, since: cx.now, due, loading: false });
        self.origin_at = None;
        self.answer_reads(root, cx);
    }

    pub(crate) fn cancel_read(&mut self, read: u32, now: Instant) {
        if let Some(read) = self.reads.remove(&read) {
            self.mark_urgent(&read.root, now);
        }
    }

    /// Loads for each read of a file whose pieces are there.
    pub(super) fn answer_reads(&mut self, root: &Root, cx: &mut Cx) {
        if self.reads.is_empty() {
            return;
        }
        self.mark_urgent(root, cx.now);
        let Some(file) = self.files.get(root) else { return };
        for (id, read) in &mut self.reads {
            if read.root != *root || read.loading || !file.has_bytes(read.start, read.end) {
                continue;
            }
            let leaf = u64::from(LEAF_BYTES);
            let start = read.start / leaf * leaf;
            let end = (read.end.div_ceil(leaf) * leaf).min(file.layout.length());
            read.loading = true;
            let length = u32::try_from(end - start).unwrap_or(0);
            let job = cx.out.start(Work::Load { root: *root, start, length });
            self.jobs.insert(job, Job::Read(*id));
        }
    }

    /// Sorts what readers wait for into what is pressing and what is next.
    fn mark_urgent(&mut self, root: &Root, now: Instant) {
        let Some(file) = self.files.get_mut(root) else { return };
        (file.urgent, file.next) = (Set::new(), Set::new());
        for (_, read) in &self.reads {
            if read.root != *root {
                continue;
            }
            let pieces = if read.due <= now.after(PRESSING) { &mut file.urgent } else { &mut file.next };
            for piece in file.layout.pieces_of_bytes(read.start, read.end) {
                if !file.ledger.have().get(piece) {
                    pieces.insert(piece);
                }
            }
        }
        if !(file.urgent.is_empty() && file.next.is_empty()) {
            self.wake_all();
        }
    }

    /// Time has passed: more of what readers wait for is pressing.
    pub(super) fn review_reads(&mut self, now: Instant) {
        let mut roots = Set::new();
        for (_, read) in &self.reads {
            roots.insert(read.root);
        }
        for root in &roots {
            self.mark_urgent(root, now);
        }
    }

    /// The pieces of a file that are missing, needed by one time and asked for before another, in their order.
    pub(super) fn due_by(&self, root: &Root, by: Instant, before: Instant) -> Set<u32> {
        let mut pieces = Set::new();
        let Some(file) = self.files.get(root) else { return pieces };
        for (_, read) in &self.reads {
            if read.root != *root || read.due > by || read.since > before {
                continue;
            }
            for piece in file.layout.pieces_of_bytes(read.start, read.end) {
                if !file.ledger.have().get(piece) {
                    pieces.insert(piece);
                }
            }
        }
        pieces
    }

    pub(super) fn on_read_loaded(&mut self, id: u32, outcome: &Outcome<'_>, cx: &mut Cx) {
        let Some(read) = self.reads.get_mut(&id) else { return };
        read.loading = false;
        let read = *read;
        let Some(file) = self.files.get_mut(&read.root) else { return };
        let first = read.start / u64::from(LEAF_BYTES);
        let layout = file.layout;
        let mut bad = layout.pieces_of_bytes(read.start, read.end);
        if let Outcome::Bytes(bytes) = outcome {
            let skip = (read.start - first * u64::from(LEAF_BYTES)) as usize;
            let length = (read.end - read.start) as usize;
            if let Some(index) = file.first_bad(&cx.config, first as u32, bytes) {
                let piece = layout.leaf(index).map_or(bad.start, |leaf| layout.piece_of(leaf).get());
                bad = piece..piece + 1;
            } else if let Some(wanted) = bytes.get(skip..skip + length) {
                self.reads.remove(&id);
                return cx.out.notify(Event::Bytes { read: id, bytes: wanted.to_vec() });
            }
        }
        let is_source = file.is_source;
        for piece in bad {
            if let Some(piece) = layout.piece(piece) {
                self.on_damage(&read.root, piece, cx);
            }
        }
        if is_source {
            self.reads.remove(&id);
            cx.out.notify(Event::ReadFailed { read: id });
        } else {
            self.answer_reads(&read.root, cx);
        }
    }

    /// Reads of files that are no longer here.
    pub(super) fn fail_reads_without_file(&mut self, cx: &mut Cx) {
        let mut gone = Vec::new();
        for (id, read) in &self.reads {
            if !self.files.contains_key(&read.root) {
                gone.push(*id);
            }
        }
        for read in gone {
            self.reads.remove(&read);
            cx.out.notify(Event::ReadFailed { read });
        }
    }
}
