//! One file: its tree, its pieces, how rare they are, and what is to be written down of it.

use super::ledger::Ledger;
use crate::content::{Bitfield, Layout, Tree};
use crate::id::{ContentId, LinkId, Root};
use crate::time::Instant;
use crate::util::Set;
use alloc::string::String;
use alloc::vec::Vec;

/// A file that some share here consists of.
pub(crate) struct File {
    pub(crate) layout: Layout,
    pub(crate) tree: Tree,
    pub(crate) ledger: Ledger,
    pub(crate) rarity: Rarity,
    /// How often each piece was given away: while we are the only source, fresh pieces go first.
    pub(crate) given: Rarity,
    /// The shares it belongs to.
    pub(crate) shares: Set<ContentId>,
    /// Its bytes are the application's own files: never stored, never discarded.
    pub(crate) is_source: bool,
    /// Records that are still being read; nothing is fetched before.
    pub(crate) recalling: u32,
    /// Pieces that somebody waits for.
    pub(crate) urgent: Set<u32>,
    /// From whom hashes were asked, and until when to wait.
    pub(crate) hashes: Option<(LinkId, Instant)>,
}

impl File {
    pub(crate) fn new(layout: Layout, tree: Tree) -> Self {
        Self {
            layout,
            ledger: Ledger::new(layout),
            rarity: Rarity::new(layout.pieces()),
            given: Rarity::new(layout.pieces()),
            tree,
            shares: Set::new(),
            is_source: false,
            recalling: 0,
            urgent: Set::new(),
            hashes: None,
        }
    }

    /// The name of the record that says which pieces are stored.
    pub(crate) fn have_key(root: &Root) -> String {
        alloc::format!("have-{root}")
    }

    /// The name of the record of its piece hashes.
    pub(crate) fn tree_key(root: &Root) -> String {
        alloc::format!("tree-{root}")
    }

    /// All piece hashes in a row, for the record.
    pub(crate) fn piece_hashes(&self) -> Option<Vec<u8>> {
        let level = self.layout.piece_level().min(self.layout.height());
        let mut out = Vec::with_capacity(self.layout.pieces() as usize * 32);
        for piece in 0..self.layout.pieces() {
            out.extend_from_slice(&self.tree.node(level, piece)?.0);
        }
        Some(out)
    }
}

/// A count for each piece: links that have it, or times that it was given.
pub(crate) struct Rarity(Vec<u16>);

impl Rarity {
    fn new(pieces: u32) -> Self {
        Self(alloc::vec![0; pieces as usize])
    }

    pub(crate) fn of(&self, piece: u32) -> u16 {
        self.0.get(piece as usize).copied().unwrap_or(0)
    }

    pub(crate) fn gain(&mut self, piece: u32) {
        if let Some(count) = self.0.get_mut(piece as usize) {
            *count = count.saturating_add(1);
        }
    }

    pub(crate) fn gain_all(&mut self, pieces: &Bitfield) {
        pieces.iter().for_each(|piece| self.gain(piece));
    }

    pub(crate) fn lose_all(&mut self, pieces: &Bitfield) {
        for piece in pieces.iter() {
            if let Some(count) = self.0.get_mut(piece as usize) {
                *count = count.saturating_sub(1);
            }
        }
    }
}
