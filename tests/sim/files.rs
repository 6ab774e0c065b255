//! The true bytes of every file of a run, and the true hash of every leaf, found again without hashing.

use crate::content::Content;
use core::cell::RefCell;
use core::ops::Range;
use std::rc::Rc;
use swarmlet_core::config::LEAF_BYTES;
use swarmlet_core::content::leaf_hash;
use swarmlet_core::{Hash, Root};

const LEAF: usize = LEAF_BYTES as usize;

/// All files of a run, by root.
#[derive(Clone, Debug, Default)]
pub struct Files {
    files: Rc<[(Root, Rc<[u8]>)]>,
    known: Rc<Known>,
}

/// Leaf hashes by checksum, sorted.
#[derive(Debug, Default)]
struct Known(Vec<(u128, Hash)>);

thread_local! {
    /// The leaves of the world that runs on this thread.
    static KNOWN: RefCell<Rc<Known>> = RefCell::default();
}

impl Files {
    /// The files of a share.
    #[must_use]
    pub fn new(content: &Content) -> Self {
        let files: Vec<_> = content.files.iter().map(|(root, bytes)| (*root, bytes.clone())).collect();
        let mut known = Vec::new();
        for (root, bytes) in &content.files {
            let hashes = content.leaves.get(root).map_or(&[][..], Vec::as_slice);
            known.extend(bytes.chunks(LEAF).map(checksum).zip(hashes.iter().copied()));
        }
        known.sort_unstable_by_key(|(sum, _)| *sum);
        known.dedup_by_key(|(sum, _)| *sum);
        Self { files: files.into(), known: Rc::new(Known(known)) }
    }

    /// The number of a file.
    #[must_use]
    pub fn index(&self, root: &Root) -> Option<u32> {
        self.files.binary_search_by_key(root, |(root, _)| *root).ok().map(|at| at as u32)
    }

    /// A run of a file, if it lies in the file.
    #[must_use]
    pub fn run(&self, file: u32, start: u64, length: u32) -> Option<&[u8]> {
        let (_, bytes) = self.files.get(file as usize)?;
        bytes.get(range(start, length)?)
    }

    /// The same by root.
    #[must_use]
    pub fn run_of(&self, root: &Root, start: u64, length: u32) -> Option<&[u8]> {
        self.run(self.index(root)?, start, length)
    }

    /// The bytes of a file.
    #[must_use]
    pub fn get(&self, root: &Root) -> Option<&Rc<[u8]>> {
        self.files.get(self.index(root)? as usize).map(|(_, bytes)| bytes)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &(Root, Rc<[u8]>)> {
        self.files.iter()
    }

    /// Makes [`known_leaf_hash`] know these files' leaves on this thread.
    pub fn enter(&self) {
        KNOWN.with_borrow_mut(|known| {
            if !Rc::ptr_eq(known, &self.known) {
                known.clone_from(&self.known);
            }
        });
    }
}

fn range(start: u64, length: u32) -> Option<Range<usize>> {
    let end = start.checked_add(u64::from(length))?;
    Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

/// SHA-256 of a leaf: looked up where the leaf is a true one, computed where it is not. Peers of a run hash the same
/// leaves a thousand times; the checksum has 128 bits, and nobody here tries to make two leaves with the same one.
#[must_use]
pub fn known_leaf_hash(bytes: &[u8]) -> Hash {
    let sum = checksum(bytes);
    let known = KNOWN.with_borrow(|known| {
        known.0.binary_search_by_key(&sum, |(sum, _)| *sum).ok().map(|at| known.0[at].1)
    });
    known.unwrap_or_else(|| leaf_hash(bytes))
}

/// Eight lanes of multiply and rotate, folded with the length. Each step is a bijection of its lane, so that two
/// leaves that differ in one word only never have the same sum.
fn checksum(bytes: &[u8]) -> u128 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut lanes = [1u64, 2, 3, 4, 5, 6, 7, 8].map(|lane| lane.wrapping_mul(ODD));
    let mut blocks = bytes.chunks_exact(64);
    for block in &mut blocks {
        for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            *lane = (*lane ^ word_of(word)).wrapping_mul(ODD).rotate_left(31);
        }
    }
    for (at, word) in blocks.remainder().chunks(8).enumerate() {
        lanes[at] = (lanes[at] ^ word_of(word)).wrapping_mul(ODD).rotate_left(29);
    }
    let fold = |seed: u64| {
        lanes.iter().fold(seed, |sum, lane| {
            let mixed = (sum ^ lane).wrapping_mul(ODD);
            mixed ^ mixed >> 32
        })
    };
    let length = bytes.len() as u64;
    u128::from(fold(length)) << 64 | u128::from(fold(!length))
}

fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_leaves_have_their_true_hashes_and_others_are_hashed() {
        let content = Content::folder(3, &[("a", 100_000), ("b", 20_000)], &[]);
        let files = Files::new(&content);
        files.enter();
        for (root, bytes) in files.iter() {
            for (leaf, expected) in bytes.chunks(LEAF).zip(&content.leaves[root]) {
                assert_eq!(known_leaf_hash(leaf), *expected);
                assert_eq!(leaf_hash(leaf), *expected);
                let mut other = leaf.to_vec();
                other[leaf.len() / 2] ^= 64;
                assert_eq!(known_leaf_hash(&other), leaf_hash(&other));
            }
        }
        assert_eq!(files.run_of(&Root([0; 32]), 0, 1), None);
    }

    #[test]
    fn checksums_see_every_byte_and_the_length() {
        let bytes = crate::content::generate(5, 200);
        let sum = checksum(&bytes);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(checksum(&other), sum, "byte {at}");
        }
        assert_ne!(checksum(&bytes[..199]), checksum(&[&bytes[..199], &[0]].concat()));
    }
}
