//! Where the bytes of a file lie: file ⇄ pieces ⇄ leaves. The only mint of [`PieceIndex`] and [`LeafIndex`].

use crate::config::{FILE_BYTES_MAX, LEAF_BYTES};
use core::ops::Range;

/// Pieces of a file that the piece size tries not to exceed: their bitmap is 1 KiB.
const PIECES_WANTED: u32 = 8192;
/// log2 of the leaves in the smallest piece: 64 KiB.
const PIECE_LEVEL_MIN: u8 = 2;
/// log2 of the leaves in the largest piece: 8 MiB, whose leaf hashes fit into one message.
const PIECE_LEVEL_MAX: u8 = 9;

/// A piece that exists in the layout it came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct PieceIndex(u32);

impl PieceIndex {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A leaf that exists in the layout it came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct LeafIndex(u32);

impl LeafIndex {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The canonical layout of a file: a function of its length alone, so that shares which hold the same file
/// under different torrent piece lengths still speak of the same pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    length: u64,
    leaves: u32,
    piece_level: u8,
    height: u8,
}

impl Layout {
    /// The layout of a file of so many bytes. `None` for none, and for more than [`FILE_BYTES_MAX`].
    #[must_use]
    pub fn of(length: u64) -> Option<Self> {
        if length == 0 || length > FILE_BYTES_MAX {
            return None;
        }
        let leaves = u32::try_from(length.div_ceil(u64::from(LEAF_BYTES))).ok()?;
        let mut piece_level = PIECE_LEVEL_MIN;
        while piece_level < PIECE_LEVEL_MAX && leaves.div_ceil(1 << piece_level) > PIECES_WANTED {
            piece_level += 1;
        }
        Some(Self { length, leaves, piece_level, height: ceil_log2(leaves) })
    }

    /// Bytes of the file.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Leaves of the file.
    #[must_use]
    pub const fn leaves(&self) -> u32 {
        self.leaves
    }

    /// Pieces of the file.
    #[must_use]
    pub const fn pieces(&self) -> u32 {
        self.leaves.div_ceil(1 << self.piece_level)
    }

    /// log2 of the leaves in a full piece.
    #[must_use]
    pub const fn piece_level(&self) -> u8 {
        self.piece_level
    }

    /// The level of the root: log2 of the leaves, rounded up.
    #[must_use]
    pub const fn height(&self) -> u8 {
        self.height
    }

    /// Bytes of a full piece.
    #[must_use]
    pub const fn piece_length(&self) -> u32 {
        LEAF_BYTES << self.piece_level
    }

    /// The piece of that number, if there is one.
    #[must_use]
    pub const fn piece(&self, index: u32) -> Option<PieceIndex> {
        if index < self.pieces() { Some(PieceIndex(index)) } else { None }
    }

    /// The leaf of that number, if there is one.
    #[must_use]
    pub const fn leaf(&self, index: u32) -> Option<LeafIndex> {
        if index < self.leaves { Some(LeafIndex(index)) } else { None }
    }

    /// All pieces in order.
    pub fn all_pieces(&self) -> impl Iterator<Item = PieceIndex> + use<> {
        (0..self.pieces()).map(PieceIndex)
    }

    /// The piece that a leaf is in.
    #[must_use]
    pub const fn piece_of(&self, leaf: LeafIndex) -> PieceIndex {
        PieceIndex(leaf.0 >> self.piece_level)
    }

    /// The leaves of a piece; fewer in the last one.
    #[must_use]
    pub fn leaves_of(&self, piece: PieceIndex) -> Range<u32> {
        let start = piece.0 << self.piece_level;
        start..(start + (1 << self.piece_level)).min(self.leaves)
    }

    /// The first byte of a piece.
    #[must_use]
    pub fn piece_start(&self, piece: PieceIndex) -> u64 {
        u64::from(piece.0) * u64::from(self.piece_length())
    }

    /// Bytes of a piece; the last may be short.
    #[must_use]
    pub fn piece_bytes(&self, piece: PieceIndex) -> u32 {
        self.clip(self.piece_start(piece), self.piece_length())
    }

    /// The first byte of a leaf.
    #[must_use]
    pub fn leaf_start(&self, leaf: LeafIndex) -> u64 {
        u64::from(leaf.0) * u64::from(LEAF_BYTES)
    }

    /// Bytes of a leaf; the last may be short.
    #[must_use]
    pub fn leaf_bytes(&self, leaf: LeafIndex) -> u32 {
        self.clip(self.leaf_start(leaf), LEAF_BYTES)
    }

    /// Bytes of `count` leaves from `start` on. `None` when one of them does not exist, or for no leaves.
    #[must_use]
    pub fn span_bytes(&self, start: u32, count: u32) -> Option<u64> {
        let end = start.checked_add(count).filter(|end| count > 0 && *end <= self.leaves)?;
        let from = u64::from(start) * u64::from(LEAF_BYTES);
        Some((u64::from(end) * u64::from(LEAF_BYTES)).min(self.length) - from)
    }

    /// The pieces that bytes `start..end` touch; what lies beyond the file is ignored.
    #[must_use]
    pub fn pieces_of_bytes(&self, start: u64, end: u64) -> Range<u32> {
        let end = end.min(self.length);
        if start >= end {
            return 0..0;
        }
        let size = u64::from(self.piece_length());
        // A file has at most 65,536 pieces.
        (start / size) as u32..end.div_ceil(size) as u32
    }

    /// `size` bytes from `start`, cut at the end of the file.
    fn clip(&self, start: u64, size: u32) -> u32 {
        self.length.saturating_sub(start).min(u64::from(size)) as u32
    }
}

/// log2, rounded up; 0 for 0 and 1.
pub(super) const fn ceil_log2(count: u32) -> u8 {
    if count <= 1 { 0 } else { (u32::BITS - (count - 1).leading_zeros()) as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_follow_the_length() {
        let at = |length| Layout::of(length).map(|l| (l.leaves(), l.pieces(), l.piece_level(), l.height()));
        assert_eq!(at(0), None);
        assert_eq!(at(1), Some((1, 1, 2, 0)));
        assert_eq!(at(16_384), Some((1, 1, 2, 0)));
        assert_eq!(at(16_385), Some((2, 1, 2, 1)));
        assert_eq!(at(65_537), Some((5, 2, 2, 3)));
        assert_eq!(at(512 << 20), Some((32_768, 8192, 2, 15)));
        assert_eq!(at((512 << 20) + 1), Some((32_769, 4097, 3, 16)));
        assert_eq!(at(64 << 30), Some((1 << 22, 8192, 9, 22)));
        assert_eq!(at(FILE_BYTES_MAX), Some((1 << 25, 65_536, 9, 25)));
        assert_eq!(at(FILE_BYTES_MAX + 1), None);
        assert_eq!(at(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn every_byte_is_in_one_leaf_of_one_piece(length in 1..2_000_000u64) {
            let layout = Layout::of(length).unwrap();
            let (mut bytes, mut leaves) = (0, 0);
            for piece in layout.all_pieces() {
                prop_assert_eq!(layout.piece_start(piece), bytes);
                prop_assert_eq!(layout.leaves_of(piece).start, leaves);
                let size: u32 = layout
                    .leaves_of(piece)
                    .map(|leaf| layout.leaf(leaf).unwrap())
                    .inspect(|leaf| assert_eq!(layout.piece_of(*leaf), piece))
                    .map(|leaf| layout.leaf_bytes(leaf))
                    .sum();
                prop_assert_eq!(size, layout.piece_bytes(piece));
                bytes += u64::from(size);
                leaves = layout.leaves_of(piece).end;
            }
            prop_assert_eq!(bytes, length);
            prop_assert_eq!(leaves, layout.leaves());
            prop_assert_eq!(layout.piece(layout.pieces()), None);
            prop_assert_eq!(layout.leaf(leaves), None);
            prop_assert_eq!(layout.span_bytes(0, leaves), Some(length));
            prop_assert_eq!(layout.span_bytes(0, leaves + 1), None);
            prop_assert_eq!(layout.span_bytes(u32::MAX, 2), None);
            prop_assert_eq!(layout.pieces_of_bytes(0, u64::MAX), 0..layout.pieces());
            prop_assert_eq!(layout.pieces_of_bytes(length, u64::MAX), 0..0);
        }
    }
}
