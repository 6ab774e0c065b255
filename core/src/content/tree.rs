//! What is known and proven of one file's Merkle tree (BEP 52): it starts with the root, and nothing enters
//! that does not fold up to a node that is known.
//!
//! Level 0 is the leaves. A node is kept when it is a leaf of a piece whose leaves were learnt, or when it
//! stands at the level of the pieces or above; what lies between is folded when asked for. Kept nodes grow
//! with what was proven, never with a length that somebody declared.

use super::layout::{Layout, LeafIndex, PieceIndex};
use crate::config::LEAF_BYTES;
use crate::id::{Hash, Root};
use crate::util::Map;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use sha2::{Digest, Sha256};

/// log2 of the most hashes in one run: the 512 that BEP 52 allows and one message carries.
const RUN_HEIGHT_MAX: u8 = 9;

/// The hash of a leaf's bytes, at its true length.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Hash::of(bytes)
}

/// The hash above two nodes.
#[must_use]
pub fn parent(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The node at `level` over nothing but padding. A missing leaf is 32 zero bytes as its hash (BEP 52).
#[must_use]
pub fn zero_hash(level: u8) -> Hash {
    let mut zero = Hash([0; 32]);
    for _ in 0..level {
        zero = parent(&zero, &zero);
    }
    zero
}

/// Why hashes did not enter a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeError {
    /// The node that they should prove against is not known.
    Unknown,
    /// They do not fold up to it.
    Mismatch,
    /// Not a run of this tree, or not as many hashes as it has.
    Shape,
}

/// The proven part of a file's Merkle tree.
#[derive(Clone, Debug)]
pub struct Tree {
    root: Root,
    layout: Layout,
    /// Nodes below the root at the level of the pieces or above, by level and index. Padding is not kept.
    nodes: Map<(u8, u32), Hash>,
    /// Leaf hashes of pieces whose leaves are known.
    leaves: Map<u32, Vec<Hash>>,
    /// Known piece hashes in each aligned run of 512 pieces, so that the next gap is found fast.
    known: Vec<u16>,
}

impl Tree {
    /// A tree of which only the root is known.
    #[must_use]
    pub fn new(root: Root, layout: Layout) -> Self {
        let runs = layout.pieces().div_ceil(1 << RUN_HEIGHT_MAX);
        Self { root, layout, nodes: Map::new(), leaves: Map::new(), known: vec![0; runs as usize] }
    }

    /// The whole tree over the leaf hashes of a file. Too few or too many of them are padded or cut, which
    /// gives another root: compare it where one is known.
    #[must_use]
    pub fn from_leaves(layout: Layout, mut leaves: Vec<Hash>) -> Self {
        leaves.resize(layout.leaves() as usize, Hash([0; 32]));
        let rows = rows(leaves, 0, layout.height());
        let root = top(&rows);
        let mut tree = Self::new(Root(root.0), layout);
        tree.keep(0, 0, rows);
        tree
    }

    /// The root.
    #[must_use]
    pub const fn root(&self) -> Root {
        self.root
    }

    /// The layout of the file.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// A node that is known, or that the length implies: beyond the file there is only padding.
    #[must_use]
    pub fn node(&self, level: u8, index: u32) -> Option<Hash> {
        let above = self.layout.height().checked_sub(level)?;
        if u64::from(index) >= 1 << above {
            return None;
        }
        if index >= self.width(level) {
            return Some(zero_hash(level));
        }
        if above == 0 {
            return Some(self.root.hash());
        }
        if level >= self.piece_level() {
            return self.nodes.get(&(level, index)).copied();
        }
        let first = index << level;
        let piece = first >> self.layout.piece_level();
        let leaves = self.leaves.get(&piece)?;
        let start = (first - (piece << self.layout.piece_level())) as usize;
        let end = (start + (1 << level)).min(leaves.len());
        Some(top(&rows(leaves.get(start..end)?.to_vec(), 0, level)))
    }

    /// Learns `2^height` hashes at `level`, which stand under the node `index` of level `level + height`.
    /// Kept are leaves of whole pieces, and nodes at the level of the pieces or above.
    ///
    /// # Errors
    /// When that is no run of this tree, or nothing known proves it, or it is wrong.
    pub fn insert(&mut self, level: u8, height: u8, index: u32, hashes: &[Hash]) -> Result<(), TreeError> {
        let top_level = level.checked_add(height).ok_or(TreeError::Shape)?;
        let in_tree = top_level <= self.layout.height() && index < self.width(top_level);
        if !in_tree || hashes.len() != 1 << height {
            return Err(TreeError::Shape);
        }
        let first = index << height;
        let real = (self.width(level) - first).min(1 << height) as usize;
        let zero = zero_hash(level);
        if hashes[real..].iter().any(|hash| *hash != zero) {
            return Err(TreeError::Mismatch);
        }
        let known = self.node(top_level, index).ok_or(TreeError::Unknown)?;
        let rows = rows(hashes[..real].to_vec(), level, height);
        if top(&rows) != known {
            return Err(TreeError::Mismatch);
        }
        self.keep(level, first, rows);
        Ok(())
    }

    /// `2^height` hashes at `level` under the node `index` of level `level + height`: what a peer asks for.
    /// `None` when they are not all known, or that is no run of this tree.
    #[must_use]
    pub fn run(&self, level: u8, height: u8, index: u32) -> Option<Vec<Hash>> {
        let top_level = level.checked_add(height).filter(|top| *top <= self.layout.height())?;
        if height > RUN_HEIGHT_MAX || index >= self.width(top_level) {
            return None;
        }
        let first = index << height;
        let end = self.width(level).min(first + (1 << height));
        let mut run = self.row(level, first..end)?;
        run.resize(1 << height, zero_hash(level));
        Some(run)
    }

    /// Whether the hash of a piece is known.
    #[must_use]
    pub fn knows_piece(&self, piece: PieceIndex) -> bool {
        self.node(self.piece_level(), piece.get()).is_some()
    }

    /// Whether the leaf hashes of a piece are known.
    #[must_use]
    pub fn knows_leaves(&self, piece: PieceIndex) -> bool {
        self.layout.height() == 0 || self.leaves.contains_key(&piece.get())
    }

    /// Whether these are the bytes of a leaf. `None` while its hash is not known.
    #[must_use]
    pub fn check_leaf(&self, leaf: LeafIndex, bytes: &[u8]) -> Option<bool> {
        self.check_hash(leaf, bytes.len(), &leaf_hash(bytes))
    }

    /// Whether a leaf has this length and hash. `None` while its hash is not known.
    #[must_use]
    pub fn check_hash(&self, leaf: LeafIndex, length: usize, hash: &Hash) -> Option<bool> {
        let expected = self.node(0, leaf.get())?;
        Some(length == self.layout.leaf_bytes(leaf) as usize && *hash == expected)
    }

    /// Learns the leaf hashes of a piece (without padding) whose own hash is known.
    ///
    /// # Errors
    /// When they are not as many as the piece has leaves, or its hash is not known, or they are wrong.
    pub fn learn_piece(&mut self, piece: PieceIndex, hashes: &[Hash]) -> Result<(), TreeError> {
        if hashes.len() != self.layout.leaves_of(piece).len() {
            return Err(TreeError::Shape);
        }
        let level = self.piece_level();
        let known = self.node(level, piece.get()).ok_or(TreeError::Unknown)?;
        if top(&rows(hashes.to_vec(), 0, level)) != known {
            return Err(TreeError::Mismatch);
        }
        if self.layout.height() > 0 {
            self.leaves.insert(piece.get(), hashes.to_vec());
        }
        Ok(())
    }

    /// The hashes of all pieces, in order, if they are known: what a host may keep of a tree.
    #[must_use]
    pub fn piece_hashes(&self) -> Option<Vec<Hash>> {
        self.row(self.piece_level(), 0..self.layout.pieces())
    }

    /// Nodes side by side, if they are all known.
    fn row(&self, level: u8, range: Range<u32>) -> Option<Vec<Hash>> {
        let mut nodes = Vec::with_capacity(range.len());
        for at in range {
            nodes.push(self.node(level, at)?);
        }
        Some(nodes)
    }

    /// Learns the hashes of all pieces, as [`Self::piece_hashes`] gave them.
    ///
    /// # Errors
    /// When they are not as many as the file has pieces, or do not fold up to the root.
    pub fn learn_pieces(&mut self, hashes: &[Hash]) -> Result<(), TreeError> {
        if hashes.len() != self.layout.pieces() as usize {
            return Err(TreeError::Shape);
        }
        let level = self.piece_level();
        let rows = rows(hashes.to_vec(), level, self.layout.height() - level);
        if top(&rows) != self.root.hash() {
            return Err(TreeError::Mismatch);
        }
        self.keep(level, 0, rows);
        Ok(())
    }

    /// Forgets the leaf hashes of a piece. Its own hash stays.
    pub fn forget_leaves(&mut self, piece: PieceIndex) {
        self.leaves.remove(&piece.get());
    }

    /// The smallest aligned run of pieces around this one that a known node proves: the piece alone when its
    /// hash is known, the whole file when only the root is.
    #[must_use]
    pub fn provable(&self, piece: PieceIndex) -> Range<u32> {
        let steps = self.layout.height() - self.piece_level();
        let mut step = 0;
        while step < steps && self.node(self.piece_level() + step, piece.get() >> step).is_none() {
            step += 1;
        }
        let first = piece.get() >> step << step;
        first..(first + (1 << step)).min(self.layout.pieces())
    }

    /// Learns the leaf hashes (without padding) of a run of pieces as [`Self::provable`] names them, and with
    /// them the hashes of its pieces.
    ///
    /// # Errors
    /// When no aligned run from `first` has so many leaves, or no known node proves it, or they are wrong.
    pub fn learn_run(&mut self, first: u32, leaf_hashes: &[Hash]) -> Result<(), TreeError> {
        let level = self.piece_level();
        let leaf = first.checked_mul(1 << self.layout.piece_level()).ok_or(TreeError::Shape)?;
        let mut error = TreeError::Shape;
        for step in 0..=self.layout.height() - level {
            let end = u64::from(leaf) + (1 << (self.layout.piece_level() + step));
            let real = end.min(u64::from(self.layout.leaves())).saturating_sub(u64::from(leaf));
            if first.trailing_zeros() < u32::from(step) || real == 0 || real != leaf_hashes.len() as u64 {
                continue;
            }
            let Some(known) = self.node(level + step, first >> step) else {
                error = TreeError::Unknown;
                continue;
            };
            let rows = rows(leaf_hashes.to_vec(), 0, level + step);
            if top(&rows) != known {
                return Err(TreeError::Mismatch);
            }
            self.keep(0, leaf, rows);
            return Ok(());
        }
        Err(error)
    }

    /// The next run to ask for, so that the hashes of all pieces become known: `(level, height, index)` as in
    /// [`Self::insert`], at most 512 hashes, and provable by what is known. `None` when all are known.
    #[must_use]
    pub fn missing_layer(&self) -> Option<(u8, u8, u32)> {
        let low = self.piece_level();
        let steps = self.layout.height() - low;
        if steps == 0 {
            return None;
        }
        let height = steps.min(RUN_HEIGHT_MAX);
        // Above 512 pieces the layer needs two steps: first the tops of the runs, then each run.
        if steps > height {
            let above = low + height;
            for run in 0..self.width(above) {
                if !self.nodes.contains_key(&(above, run)) {
                    return Some((above, steps - height, 0));
                }
            }
        }
        for (run, known) in (0u32..).zip(&self.known) {
            if u32::from(*known) < (self.layout.pieces() - (run << height)).min(1 << height) {
                return Some((low, height, run));
            }
        }
        None
    }

    /// The level of the piece hashes; in a file below one piece the root takes their place.
    fn piece_level(&self) -> u8 {
        self.layout.piece_level().min(self.layout.height())
    }

    /// How many nodes of a level are not wholly padding.
    fn width(&self, level: u8) -> u32 {
        self.layout.leaves().div_ceil(1 << level)
    }

    /// Keeps proven rows: the first at `level` from index `first` on, each next one a level higher.
    fn keep(&mut self, level: u8, first: u32, rows: Vec<Vec<Hash>>) {
        let piece_level = self.piece_level();
        for (row, at) in rows.into_iter().zip(level..) {
            if at == self.layout.height() {
                break;
            }
            if at >= piece_level {
                self.keep_nodes(at, first >> (at - level), &row);
            } else if at == 0 {
                self.keep_leaves(first, &row);
            }
        }
    }

    fn keep_nodes(&mut self, level: u8, first: u32, row: &[Hash]) {
        for (index, hash) in (first..).zip(row) {
            let is_new = self.nodes.insert((level, index), *hash).is_none();
            if is_new && level == self.piece_level() {
                self.known[index as usize >> RUN_HEIGHT_MAX] += 1;
            }
        }
    }

    /// Keeps leaf hashes of whole pieces. A run of fewer was proven by leaves that are known already.
    fn keep_leaves(&mut self, first: u32, row: &[Hash]) {
        let piece_leaves = 1usize << self.layout.piece_level();
        let is_whole = (first as usize).is_multiple_of(piece_leaves);
        let to_the_end = first as usize + row.len() == self.layout.leaves() as usize;
        if !is_whole || (row.len() < piece_leaves && !to_the_end) {
            return;
        }
        for (piece, hashes) in (first >> self.layout.piece_level()..).zip(row.chunks(piece_leaves)) {
            self.leaves.insert(piece, hashes.to_vec());
        }
    }
}

/// A run without its padding at `level`, and the `height` rows above it.
fn rows(run: Vec<Hash>, level: u8, height: u8) -> Vec<Vec<Hash>> {
    let mut zero = zero_hash(level);
    let mut rows = vec![run];
    for _ in 0..height {
        let below = rows.last().map_or(&[][..], Vec::as_slice);
        let mut row = Vec::with_capacity(below.len().div_ceil(2));
        for pair in below.chunks(2) {
            row.push(parent(&pair[0], pair.get(1).unwrap_or(&zero)));
        }
        zero = parent(&zero, &zero);
        rows.push(row);
    }
    rows
}

/// The single node of the highest row.
fn top(rows: &[Vec<Hash>]) -> Hash {
    // Runs are not empty, and a fold keeps one node.
    let Some(top) = rows.last().and_then(|row| row.first()) else { unreachable!() };
    *top
}

/// The root of a file over its leaf hashes, and the layer at `level` (below the root).
pub(super) fn layer(leaves: Vec<Hash>, height: u8, level: u8) -> (Root, Vec<Hash>) {
    let mut rows = rows(leaves, 0, height);
    let root = Root(top(&rows).0);
    (root, if level < height { rows.swap_remove(usize::from(level)) } else { Vec::new() })
}

/// The root over a layer at `level` of a tree of that height.
pub(super) fn root_of_layer(layer: Vec<Hash>, level: u8, height: u8) -> Root {
    Root(top(&rows(layer, level, height - level)).0)
}

const _: () = assert!(LEAF_BYTES == 16 * 1024, "BEP 52 hashes leaves of 16 KiB");
