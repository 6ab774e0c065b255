//! One file: its tree, its pieces, how rare they are, and what is to be written down of it.

use super::ledger::Ledger;
use super::picker::Extent;
use super::spread::Spread;
use crate::config::{Config, LEAF_BYTES};
use crate::content::{Bitfield, Layout, PieceIndex, Tree};
use crate::id::{ContentId, LinkId, Root};
use crate::rng::Rng;
use crate::time::Instant;
use crate::util::Set;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

/// A run that can only be proven as a whole may be this long; beyond it peers must supply the hashes.
const RUN_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A file that some share here consists of.
pub(crate) struct File {
    pub(crate) layout: Layout,
    pub(crate) tree: Tree,
    pub(crate) ledger: Ledger,
    /// How often each piece was given away: while we are the only source, fresh pieces go first.
    pub(crate) given: Given,
    /// An active share wants it.
    pub(crate) wanted: bool,
    /// The shares it belongs to.
    pub(crate) shares: Set<ContentId>,
    /// While it is scarce and we are its only source: what was shown to whom.
    pub(crate) spread: Option<Box<Spread>>,
    /// Its bytes are the application's own files: never stored, never discarded.
    pub(crate) is_source: bool,
    /// Records that are still being read; nothing is fetched before.
    pub(crate) recalling: u32,
    /// Pieces that somebody waits for, soon.
    pub(crate) urgent: Set<u32>,
    /// Pieces that somebody will wait for.
    pub(crate) next: Set<u32>,
    /// From whom hashes were asked, and until when to wait.
    pub(crate) hashes: Option<(LinkId, Instant)>,
}

impl File {
    pub(crate) fn new(layout: Layout, tree: Tree) -> Self {
        Self {
            layout,
            ledger: Ledger::new(layout),
            given: Given(alloc::vec![0; layout.pieces() as usize]),
            tree,
            wanted: false,
            shares: Set::new(),
            spread: None,
            is_source: false,
            recalling: 0,
            urgent: Set::new(),
            next: Set::new(),
            hashes: None,
        }
    }

    /// Missing pieces that no link has.
    pub(crate) fn unavailable(&self) -> u32 {
        let mut count = 0;
        for piece in self.ledger.have().iter_missing() {
            count += u32::from(self.ledger.ranks.holders(piece) == 0);
        }
        count
    }

    /// The piece to begin of those that a source `has`, and how pressing it is: what somebody waits for, then the
    /// rarest. `lacking`: not all piece hashes are known. `only`: what nobody else has.
    /// `extent`: where the source was asked last.
    pub(crate) fn choose(
        &self,
        has: &Bitfield,
        lacking: bool,
        only: bool,
        extent: Extent,
        rng: &mut Rng,
    ) -> Option<(usize, PieceIndex)> {
        let known = |piece: u32| {
            (!lacking || self.layout.piece(piece).is_some_and(|piece| self.tree.knows_piece(piece)))
                && !(only && self.ledger.ranks.holders(piece) > 1)
        };
        for piece in &self.urgent {
            if has.get(*piece) && self.ledger.ranks.free().get(*piece) && known(*piece) {
                return Some((0, self.layout.piece(*piece)?));
            }
        }
        let mut next: Option<(u16, u32)> = None;
        for piece in &self.next {
            let holders = self.ledger.ranks.holders(*piece);
            let able = has.get(*piece) && self.ledger.ranks.free().get(*piece) && known(*piece);
            if able && next.is_none_or(|(other, _)| holders < other) {
                next = Some((holders, *piece));
            }
        }
        if let Some((_, piece)) = next {
            return Some((0, self.layout.piece(piece)?));
        }
        // Who reads ahead wants no more before it has that: others need the lines for what they read.
        if !self.next.is_empty() {
            return None;
        }
        let (holders, piece) = self.ledger.ranks.rarest(has, &known, extent, rng)?;
        Some((holders, self.layout.piece(piece)?))
    }

    /// A free piece that no link has, by chance, and of which it is our lot to fetch it.
    pub(crate) fn unheld(&self, lot: &dyn Fn(u32) -> bool, rng: &mut Rng) -> Option<u32> {
        let mut chosen = None;
        let mut seen = 0;
        for piece in self.ledger.ranks.free().iter() {
            if self.ledger.ranks.holders(piece) == 0 && lot(piece) {
                seen += 1;
                if rng.below(seen) == 0 {
                    chosen = Some(piece);
                }
            }
        }
        chosen
    }

    /// Whether a piece is of those that readers wait for or will wait for.
    pub(crate) fn is_read(&self, piece: u32) -> bool {
        self.urgent.contains(&piece) || self.next.contains(&piece)
    }

    /// Whether there are such.
    pub(crate) fn has_readers(&self) -> bool {
        !(self.urgent.is_empty() && self.next.is_empty())
    }

    /// A link has these pieces.
    pub(crate) fn gain_all(&mut self, pieces: &Bitfield) {
        for piece in pieces.iter() {
            self.ledger.ranks.gain(piece);
        }
    }

    /// It has them no longer.
    pub(crate) fn lose_all(&mut self, pieces: &Bitfield) {
        for piece in pieces.iter() {
            self.ledger.ranks.lose(piece);
        }
    }

    /// Whether all pieces of a range of bytes are here.
    pub(crate) fn has_bytes(&self, start: u64, end: u64) -> bool {
        for piece in self.layout.pieces_of_bytes(start, end) {
            if !self.ledger.have().get(piece) {
                return false;
            }
        }
        true
    }

    /// A provable run of free pieces from `piece` on, of about `most` bytes.
    pub(crate) fn free_run(&self, piece: u32, most: u32) -> Option<Range<u32>> {
        let mut run = self.tree.provable(self.layout.piece(piece)?);
        if !self.is_free(&run) || self.length_of(&run) > RUN_BYTES_MAX {
            return None;
        }
        while let Some(next) = self.layout.piece(run.end) {
            let more = self.tree.provable(next);
            let longer = run.start..more.end;
            if self.length_of(&longer) > u64::from(most) || more.start != run.end || !self.is_free(&more) {
                break;
            }
            run = longer;
        }
        Some(run)
    }

    fn is_free(&self, run: &Range<u32>) -> bool {
        for piece in run.clone() {
            if !self.layout.piece(piece).is_some_and(|piece| self.ledger.is_free(piece)) {
                return false;
            }
        }
        true
    }

    fn length_of(&self, run: &Range<u32>) -> u64 {
        u64::from(run.end - run.start) * u64::from(self.layout.piece_length())
    }

    /// The first leaf that is not the content, of `bytes` that begin with leaf `start`.
    pub(crate) fn first_bad(&self, config: &Config, start: u32, bytes: &[u8]) -> Option<u32> {
        let hashes = (config.hash_leaves)(bytes);
        let mut index = start;
        for (leaf, hash) in bytes.chunks(LEAF_BYTES as usize).zip(&hashes) {
            match self.layout.leaf(index) {
                Some(at) if self.tree.check_hash(at, leaf.len(), hash) == Some(true) => index += 1,
                _ => return Some(index),
            }
        }
        None
    }

    /// The name of the record that says which pieces are stored.
    pub(crate) fn have_key(root: &Root) -> String {
        root.named("have-")
    }

    /// The name of the record of its piece hashes.
    pub(crate) fn tree_key(root: &Root) -> String {
        root.named("tree-")
    }
}

/// How often each piece was given.
pub(crate) struct Given(Vec<u16>);

impl Given {
    pub(crate) fn of(&self, piece: u32) -> u16 {
        match self.0.get(piece as usize) {
            Some(count) => *count,
            None => 0,
        }
    }

    pub(crate) fn gain(&mut self, piece: u32) {
        if let Some(count) = self.0.get_mut(piece as usize) {
            *count = count.saturating_add(1);
        }
    }
}
