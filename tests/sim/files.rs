//! The true bytes of every file of a run, and the true hash of every leaf, found again without hashing.

use crate::content::Content;
use core::cell::RefCell;
use core::ops::Range;
use std::rc::Rc;
use swarmlet_core::config::{BLOCK_LEAVES_MAX, LEAF_BYTES};
use swarmlet_core::content::leaf_hash;
use swarmlet_core::wire::Message;
use swarmlet_core::{Hash, Root};

const LEAF: usize = LEAF_BYTES as usize;

/// Heads of block messages are shorter: a variant, a root and an index.
pub(crate) const HEAD_BYTES_MAX: usize = 40;
const BLOCK: usize = LEAF * BLOCK_LEAVES_MAX as usize;
const STRIDE: usize = HEAD_BYTES_MAX + BLOCK;

/// All files of a run, by root.
#[derive(Clone, Debug, Default)]
pub struct Files {
    files: Rc<[(Root, Rc<[u8]>)]>,
    /// Of each file every whole block message, ready to be lent.
    messages: Rc<[Rc<[u8]>]>,
    known: Rc<Known>,
}

/// The leaf hashes of a run.
#[derive(Debug, Default)]
struct Known {
    /// By checksum, sorted.
    sums: Vec<(u128, Hash)>,
    /// By address, for bytes that are lent.
    places: Vec<Place>,
}

/// Where the true bytes of a file lie in memory: blocks, each with a head before it.
#[derive(Debug)]
struct Place {
    bytes: Rc<[u8]>,
    head: usize,
    block: usize,
    /// Bytes of the file.
    total: usize,
    hashes: Vec<Hash>,
}

impl Place {
    /// The hash of a leaf that is a part of these very bytes.
    fn hash_of(&self, leaf: &[u8]) -> Option<Hash> {
        let offset = leaf.as_ptr().addr().checked_sub(self.bytes.as_ptr().addr())?;
        if offset + leaf.len() > self.bytes.len() {
            return None;
        }
        let stride = self.head + self.block;
        let inside = (offset % stride).checked_sub(self.head)?;
        let start = offset / stride * self.block + inside;
        let whole = inside.is_multiple_of(LEAF) && leaf.len() == LEAF.min(self.total.checked_sub(start)?);
        self.hashes.get(start / LEAF).filter(|_| whole).copied()
    }
}

thread_local! {
    /// The leaves of the world that runs on this thread.
    static KNOWN: RefCell<Rc<Known>> = RefCell::default();
}

impl Files {
    /// The files of a share.
    #[must_use]
    pub fn new(content: &Content) -> Self {
        let files: Vec<_> = content.files.iter().map(|(root, bytes)| (*root, bytes.clone())).collect();
        let messages: Vec<Rc<[u8]>> = files.iter().map(|(root, bytes)| messages(*root, bytes)).collect();
        let mut known = Known::default();
        for ((root, bytes), messages) in files.iter().zip(&messages) {
            let hashes = content.leaves.get(root).cloned().unwrap_or_default();
            known.sums.extend(bytes.chunks(LEAF).map(checksum).zip(hashes.iter().copied()));
            let plain = Place {
                bytes: bytes.clone(),
                head: 0,
                block: bytes.len().max(1),
                total: bytes.len(),
                hashes,
            };
            let (bytes, hashes) = (messages.clone(), plain.hashes.clone());
            let framed = Place { bytes, head: HEAD_BYTES_MAX, block: BLOCK, total: plain.total, hashes };
            known.places.extend([plain, framed]);
        }
        known.sums.sort_unstable_by_key(|(sum, _)| *sum);
        known.sums.dedup_by_key(|(sum, _)| *sum);
        Self { files: files.into(), messages: messages.into(), known: Rc::new(known) }
    }

    /// A whole block message with this head, if it is the one that brings a true run: nothing is copied.
    #[must_use]
    pub(crate) fn message(&self, head: &[u8], file: u32, start: u64, length: u32) -> Option<&[u8]> {
        let start = usize::try_from(start).ok().filter(|start| start.is_multiple_of(BLOCK))?;
        let tail = start / BLOCK * STRIDE + HEAD_BYTES_MAX;
        let message = self.messages.get(file as usize)?.get(tail - head.len()..tail + length as usize)?;
        Some(message).filter(|message| length as usize <= BLOCK && message.starts_with(head))
    }

    /// The number of a file.
    #[must_use]
    pub fn index(&self, root: &Root) -> Option<u32> {
        self.files.binary_search_by_key(root, |(root, _)| *root).ok().map(|at| at as u32)
    }

    /// A run of a file, if it lies in the file.
    #[must_use]
    pub fn run(&self, file: u32, start: u64, length: u32) -> Option<&[u8]> {
        let run = range(start, length)?;
        let inside = run.start % BLOCK;
        if inside + run.len() > BLOCK {
            return self.files.get(file as usize)?.1.get(run);
        }
        // Out of the messages: what is lent from there anyway is at hand.
        let from = run.start / BLOCK * STRIDE + HEAD_BYTES_MAX + inside;
        self.messages.get(file as usize)?.get(from..from + run.len())
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

/// [`known_leaf_hash`] of each leaf of a run.
#[must_use]
pub fn known_leaf_hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.chunks(LEAF).map(known_leaf_hash).collect()
}

/// SHA-256 of a leaf: looked up by where it lies in memory, or by its checksum, where the leaf is a true one, computed where it is not. Peers of a run hash the same
/// leaves a thousand times; the checksum has 128 bits, and nobody here tries to make two leaves with the same one.
#[must_use]
pub fn known_leaf_hash(bytes: &[u8]) -> Hash {
    let known = KNOWN.with_borrow(|known| {
        known.places.iter().find_map(|place| place.hash_of(bytes)).or_else(|| {
            let sum = checksum(bytes);
            known.sums.binary_search_by_key(&sum, |(sum, _)| *sum).ok().map(|at| known.sums[at].1)
        })
    });
    known.unwrap_or_else(|| leaf_hash(bytes))
}

/// Every block message of a file, each with its head close before its block.
fn messages(root: Root, bytes: &[u8]) -> Rc<[u8]> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(BLOCK) * STRIDE);
    for (at, block) in bytes.chunks(BLOCK).enumerate() {
        let head = Message::Block { root, start: at as u32 * BLOCK_LEAVES_MAX }.encode(&[]);
        out.resize(at * STRIDE + HEAD_BYTES_MAX - head.len(), 0);
        out.extend_from_slice(&head);
        out.extend_from_slice(block);
    }
    out.into()
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
            let file = files.index(root).unwrap();
            for (at, (leaf, expected)) in bytes.chunks(LEAF).zip(&content.leaves[root]).enumerate() {
                assert_eq!(known_leaf_hash(leaf), *expected);
                let copy = leaf.to_vec();
                assert_eq!(known_leaf_hash(&copy), *expected);
                assert_ne!(known_leaf_hash(&leaf[1..]), *expected);
                let (block, inside) = (at / 4 * BLOCK, at % 4 * LEAF);
                let head = Message::Block { root: *root, start: at as u32 / 4 * 4 }.encode(&[]);
                let length = (bytes.len() - block).min(BLOCK) as u32;
                let message = files.message(&head, file, block as u64, length).unwrap();
                let lent = &message[head.len() + inside..][..leaf.len()];
                assert_eq!((lent, known_leaf_hash(lent)), (leaf, *expected));
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
