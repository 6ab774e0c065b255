//! The pieces of one file. Each piece is in exactly one state, and this is where that is kept true.
//!
//! missing → open (leaves come from peers) or fetching (over HTTP) → storing → had.
//! claimed (the store said so before) → checking → had, or missing again.

use super::picker::Ranks;
use crate::content::{Bitfield, Layout, LeafIndex, PieceIndex, Tree};
use crate::util::{Map, Set};
use crate::wire::Span;
use alloc::vec::Vec;

/// Copies of one leaf that may be asked for at the same time (theory §1.3, endgame).
const COPIES_MAX: u8 = 2;

/// Where every piece of a file stands.
pub(crate) struct Ledger {
    layout: Layout,
    have: Bitfield,
    claimed: Bitfield,
    active: Map<PieceIndex, Active>,
    /// Open pieces with leaves that nobody was asked for.
    loose: Set<PieceIndex>,
    /// How many links have each piece, and which are free.
    pub(crate) ranks: Ranks,
    done_bytes: u64,
    open_bytes: u64,
}

enum Active {
    Open(Partial),
    Fetching,
    Storing,
    Checking,
}

/// A piece whose leaves arrive one by one.
struct Partial {
    slots: Vec<Slot>,
    /// Empty until the first leaf comes: many pieces are asked for, few are under way.
    bytes: Vec<u8>,
    missing: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Missing,
    Asked(u8),
    Got,
}

/// What became of a leaf.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// We had it, or do not want it.
    Duplicate,
    /// Noted. `true`: somebody else was asked for it too.
    Leaf(bool),
    /// Noted, and with it the piece is whole: these are its bytes. The piece is now being stored.
    Piece(bool, Vec<u8>),
}

impl Ledger {
    pub(crate) fn new(layout: Layout) -> Self {
        let pieces = layout.pieces();
        Self {
            layout,
            have: Bitfield::new(pieces),
            claimed: Bitfield::new(pieces),
            active: Map::new(),
            loose: Set::new(),
            ranks: Ranks::new(pieces),
            done_bytes: 0,
            open_bytes: 0,
        }
    }

    /// All of it is here.
    pub(crate) fn fill(&mut self) {
        self.have = Bitfield::full(self.layout.pieces());
        (self.done_bytes, self.open_bytes) = (self.layout.length(), 0);
        (self.active, self.loose) = (Map::new(), Set::new());
        self.claimed = Bitfield::new(self.layout.pieces());
        for piece in 0..self.layout.pieces() {
            self.ranks.set_free(piece, false);
        }
    }

    pub(crate) const fn have(&self) -> &Bitfield {
        &self.have
    }

    pub(crate) const fn done_bytes(&self) -> u64 {
        self.done_bytes
    }

    /// Bytes of the pieces that are open: at most as much is held in memory.
    pub(crate) const fn open_bytes(&self) -> u64 {
        self.open_bytes
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.have.is_full()
    }

    pub(crate) fn is_checking(&self) -> bool {
        if !self.claimed.is_empty() {
            return true;
        }
        for (_, active) in &self.active {
            if matches!(active, Active::Checking) {
                return true;
            }
        }
        false
    }

    /// The first count that is not what it was derived from, if one is.
    #[cfg(feature = "lab")]
    pub(crate) fn audit(&self) -> Option<&'static str> {
        let bytes =
            |index: u32| self.layout.piece(index).map_or(0, |at| u64::from(self.layout.piece_bytes(at)));
        let done: u64 = self.have.iter().map(bytes).sum();
        let (mut open, mut slots) = (0, true);
        for (piece, active) in &self.active {
            let Active::Open(partial) = active else { continue };
            open += u64::from(self.layout.piece_bytes(*piece));
            let missing = partial.slots.iter().filter(|slot| **slot != Slot::Got).count();
            let unasked = partial.slots.contains(&Slot::Missing);
            slots &= missing == partial.missing as usize && unasked == self.loose.contains(piece);
        }
        let had = |piece: &PieceIndex| self.have.get(piece.get());
        let broken = [
            (done != self.done_bytes, "bytes that are there are counted wrong"),
            (open != self.open_bytes, "bytes of open pieces are counted wrong"),
            (!slots, "the leaves of an open piece are counted wrong"),
            (self.loose.iter().any(|piece| !self.active.contains_key(piece)), "a loose piece is not open"),
            (self.active.keys().any(had), "a piece is there and being worked on"),
        ];
        broken.iter().find(|(is, _)| *is).map(|(_, what)| *what)
    }

    /// Whether a piece is missing and nobody is at work on it.
    pub(crate) fn is_free(&self, piece: PieceIndex) -> bool {
        self.ranks.free().get(piece.get())
    }

    /// Whether its leaves are being collected from peers.
    pub(crate) fn is_open(&self, piece: PieceIndex) -> bool {
        matches!(self.active.get(&piece), Some(Active::Open(_)))
    }

    /// Whether there are leaves that nobody has been asked for.
    pub(crate) fn has_unasked(&self) -> bool {
        !self.ranks.free().is_empty() || !self.loose.is_empty()
    }

    /// The first piece that was begun, that a source `has` and of which some leaves nobody was asked for.
    /// `only`: if nobody else has it.
    pub(crate) fn loose_piece(&self, has: &Bitfield, only: bool) -> Option<PieceIndex> {
        for piece in &self.loose {
            if has.get(piece.get()) && !(only && self.ranks.holders(piece.get()) > 1) {
                return Some(*piece);
            }
        }
        None
    }

    /// Begins to collect the leaves of a free piece.
    pub(crate) fn open(&mut self, piece: PieceIndex) {
        debug_assert!(self.is_free(piece), "only a free piece is opened");
        let leaves = self.layout.leaves_of(piece);
        let bytes = self.layout.piece_bytes(piece);
        let missing = leaves.end - leaves.start;
        self.open_bytes += u64::from(bytes);
        let partial =
            Partial { slots: alloc::vec![Slot::Missing; missing as usize], bytes: Vec::new(), missing };
        self.enter(piece, Active::Open(partial));
        self.loose.insert(piece);
    }

    /// A piece is no longer free.
    fn enter(&mut self, piece: PieceIndex, state: Active) {
        self.active.insert(piece, state);
        self.ranks.set_free(piece.get(), false);
    }

    /// The next run of leaves of an open piece that nobody was asked for, at most `most`; it counts as asked.
    pub(crate) fn ask(&mut self, piece: PieceIndex, most: u32) -> Option<Span> {
        let first = self.layout.leaves_of(piece).start;
        let partial = self.partial(piece)?;
        let (mut start, mut count) = (first, 0);
        for slot in &mut partial.slots {
            if *slot == Slot::Missing && u32::from(count) < most {
                *slot = Slot::Asked(1);
                count += 1;
            } else if count == 0 {
                start += 1;
            } else {
                break;
            }
        }
        if !partial.slots.contains(&Slot::Missing) {
            self.loose.remove(&piece);
        }
        if count == 0 { None } else { Some(Span { start, count, proof: false }) }
    }

    /// Whether a run is under way at one source and no other.
    pub(crate) fn is_asked_once(&self, start: u32, count: u8) -> bool {
        let Some(leaf) = self.layout.leaf(start) else { return false };
        let piece = self.layout.piece_of(leaf);
        let at = (start - self.layout.leaves_of(piece).start) as usize;
        let Some(Active::Open(partial)) = self.active.get(&piece) else { return false };
        let Some(slots) = partial.slots.get(at..at + usize::from(count)) else { return false };
        slots.iter().all(|slot| *slot == Slot::Asked(1))
    }

    /// Asks one more source for a run that is under way. `false`: it has come, or enough are asked.
    pub(crate) fn ask_too(&mut self, start: u32, count: u8) -> bool {
        let Some(slots) = self.slots_of(start, count) else { return false };
        for slot in &mut *slots {
            if !matches!(slot, Slot::Asked(n) if *n < COPIES_MAX) {
                return false;
            }
        }
        for slot in slots {
            if let Slot::Asked(n) = slot {
                *n += 1;
            }
        }
        true
    }

    /// A source will not send this run.
    pub(crate) fn unask(&mut self, start: u32, count: u8) {
        let Some(slots) = self.slots_of(start, count) else { return };
        let mut freed = false;
        for slot in slots {
            match slot {
                Slot::Asked(1) => (*slot, freed) = (Slot::Missing, true),
                Slot::Asked(n) => *n -= 1,
                Slot::Missing | Slot::Got => {}
            }
        }
        if freed && let Some(leaf) = self.layout.leaf(start) {
            self.loose.insert(self.layout.piece_of(leaf));
        }
    }

    /// Takes in a verified leaf.
    pub(crate) fn accept(&mut self, leaf: LeafIndex, bytes: &[u8]) -> Kept {
        let piece = self.layout.piece_of(leaf);
        let first = self.layout.leaves_of(piece).start;
        let offset = (self.layout.leaf_start(leaf) - self.layout.piece_start(piece)) as usize;
        let length = self.layout.piece_bytes(piece) as usize;
        let Some(partial) = self.partial(piece) else { return Kept::Duplicate };
        let slot = &mut partial.slots[(leaf.get() - first) as usize];
        let others = match *slot {
            Slot::Got => return Kept::Duplicate,
            Slot::Missing => false,
            // Whoever sent it was unasked before: it is still owed by somebody else.
            Slot::Asked(_) => true,
        };
        *slot = Slot::Got;
        if partial.bytes.is_empty() {
            partial.bytes = alloc::vec![0; length];
        }
        partial.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        partial.missing -= 1;
        let whole = partial.missing == 0;
        let bytes = if whole { core::mem::take(&mut partial.bytes) } else { Vec::new() };
        if !partial.slots.contains(&Slot::Missing) {
            self.loose.remove(&piece);
        }
        if !whole {
            return Kept::Leaf(others);
        }
        self.open_bytes -= bytes.len() as u64;
        self.active.insert(piece, Active::Storing);
        Kept::Piece(others, bytes)
    }

    /// A free piece is fetched over HTTP.
    pub(crate) fn fetch(&mut self, piece: PieceIndex) {
        debug_assert!(self.is_free(piece), "only a free piece is fetched");
        self.enter(piece, Active::Fetching);
    }

    /// A fetched piece is verified and being stored.
    pub(crate) fn fetched(&mut self, piece: PieceIndex) {
        self.active.insert(piece, Active::Storing);
    }

    /// A piece is stored.
    pub(crate) fn stored(&mut self, piece: PieceIndex) {
        self.active.remove(&piece);
        self.ranks.set_free(piece.get(), false);
        if self.have.set(piece.get()) {
            self.done_bytes += u64::from(self.layout.piece_bytes(piece));
        }
    }

    /// A piece could not be fetched, stored or confirmed: it is missing.
    pub(crate) fn free(&mut self, piece: PieceIndex) {
        if let Some(Active::Open(_)) = self.active.remove(&piece) {
            self.open_bytes -= u64::from(self.layout.piece_bytes(piece));
        }
        self.loose.remove(&piece);
        self.claimed.clear(piece.get());
        self.ranks.set_free(piece.get(), !self.have.get(piece.get()));
    }

    /// A piece that we had is damaged.
    pub(crate) fn lose(&mut self, piece: PieceIndex) {
        if self.have.clear(piece.get()) {
            self.done_bytes -= u64::from(self.layout.piece_bytes(piece));
            self.ranks.set_free(piece.get(), !self.active.contains_key(&piece));
        }
    }

    /// The store says that it has these pieces. A hint, to be checked.
    pub(crate) fn claim(&mut self, pieces: &Bitfield) {
        if pieces.len() == self.claimed.len() {
            for piece in pieces.iter() {
                if self.ranks.free().get(piece) {
                    self.claimed.set(piece);
                    self.ranks.set_free(piece, false);
                }
            }
        }
    }

    /// The next claimed piece to look at whose hash is known; it is now being checked.
    pub(crate) fn next_check(&mut self, tree: &Tree) -> Option<PieceIndex> {
        let mut next = None;
        for piece in self.claimed.iter() {
            next = self.layout.piece(piece).filter(|piece| tree.knows_piece(*piece));
            if next.is_some() {
                break;
            }
        }
        self.claimed.clear(next?.get());
        self.active.insert(next?, Active::Checking);
        next
    }

    fn partial(&mut self, piece: PieceIndex) -> Option<&mut Partial> {
        match self.active.get_mut(&piece)? {
            Active::Open(partial) => Some(partial),
            Active::Fetching | Active::Storing | Active::Checking => None,
        }
    }

    fn slots_of(&mut self, start: u32, count: u8) -> Option<&mut [Slot]> {
        let piece = self.layout.piece_of(self.layout.leaf(start)?);
        let first = self.layout.leaves_of(piece).start;
        let at = (start - first) as usize;
        self.partial(piece)?.slots.get_mut(at..at + usize::from(count))
    }
}
