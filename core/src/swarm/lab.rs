//! The picker as a benchmark sees it: one file, neighbours that have parts of it, and nothing else.

use super::picker::{Extent, Ranks};
use crate::content::Bitfield;
use crate::rng::Rng;
use alloc::vec::Vec;

/// A file's pieces, who has them, and which are free.
pub struct Picker {
    ranks: Ranks,
    neighbours: Vec<Bitfield>,
    rng: Rng,
}

impl Picker {
    /// Neighbours that have each piece with a chance of one half.
    #[must_use]
    pub fn new(pieces: u32, neighbours: usize, seed: [u8; 32]) -> Self {
        let mut picker = Self { ranks: Ranks::new(pieces), neighbours: Vec::new(), rng: Rng::new(seed) };
        for _ in 0..neighbours {
            let mut has = Bitfield::new(pieces);
            for piece in 0..pieces {
                if picker.rng.below(2) == 0 {
                    has.set(piece);
                    picker.ranks.gain(piece);
                }
            }
            picker.neighbours.push(has);
        }
        picker
    }

    /// Chooses what to ask a neighbour for; it is no longer free.
    pub fn request(&mut self, neighbour: usize) -> Option<u32> {
        let has = self.neighbours.get(neighbour)?;
        let (_, piece) = self.ranks.rarest(has, &|_| true, Extent::new(0, 0, 1), &mut self.rng)?;
        self.ranks.set_free(piece, false);
        Some(piece)
    }

    /// A piece that nobody is at work on any more.
    pub fn release(&mut self, piece: u32) {
        self.ranks.set_free(piece, true);
    }

    /// A neighbour has got a piece.
    pub fn gain(&mut self, neighbour: usize, piece: u32) {
        if self.neighbours.get_mut(neighbour).is_some_and(|has| has.set(piece)) {
            self.ranks.gain(piece);
        }
    }
}
