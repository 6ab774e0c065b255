//! Leaf hashes of files as they were, so that only what has changed is read again. 0.2 % of the site's bytes.
//!
//! A cache is a hint: what cannot be read, or is damaged, counts as empty.

use super::walk::Found;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use swarmlet_core::Hash;
use swarmlet_core::config::LEAF_BYTES;

/// In the site's folder. Web servers commonly do not serve names with a dot, and it holds no secrets.
pub(super) const NAME: &str = ".swarmlet-publish";
/// What the file begins with.
const MAGIC: &[u8] = b"swarmlet publish 1\n";
/// Bytes of the hash at its end.
const SEAL_BYTES: usize = 32;

/// What is known of each file, by path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cache(BTreeMap<String, Known>);

#[derive(Debug, PartialEq, Eq)]
struct Known {
    size: u64,
    changed: u64,
    leaves: Vec<Hash>,
}

impl Cache {
    /// The leaf hashes of a file that looks as it did.
    pub(crate) fn get(&self, file: &Found) -> Option<&[Hash]> {
        let known = self.0.get(&file.path)?;
        let same = known.size == file.size && known.changed == file.changed && file.changed != 0;
        same.then_some(known.leaves.as_slice())
    }

    pub(crate) fn put(&mut self, file: &Found, leaves: Vec<Hash>) {
        self.0.insert(file.path.clone(), Known { size: file.size, changed: file.changed, leaves });
    }

    pub(crate) fn read(path: &Path) -> Self {
        std::fs::read(path).ok().and_then(|bytes| Self::decode(&bytes)).unwrap_or_default()
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for (path, known) in &self.0 {
            for number in [path.len() as u64, known.size, known.changed] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            out.extend_from_slice(path.as_bytes());
            known.leaves.iter().for_each(|leaf| out.extend_from_slice(&leaf.0));
        }
        let seal = Sha256::digest(&out);
        out.extend_from_slice(&seal);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
        if Sha256::digest(body).as_slice() != seal {
            return None;
        }
        let mut rest = body.strip_prefix(MAGIC)?;
        let mut files = BTreeMap::new();
        while !rest.is_empty() {
            let mut number = || {
                let (head, tail) = rest.split_first_chunk::<8>()?;
                rest = tail;
                Some(u64::from_le_bytes(*head))
            };
            let (length, size, changed) = (number()?, number()?, number()?);
            let (path, tail) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            let count = usize::try_from(size.div_ceil(u64::from(LEAF_BYTES))).ok()?;
            let (leaves, tail) = tail.split_at_checked(count.checked_mul(32)?)?;
            let leaves = leaves.as_chunks::<32>().0.iter().map(|leaf| Hash(*leaf)).collect();
            files.insert(String::from_utf8(path.to_vec()).ok()?, Known { size, changed, leaves });
            rest = tail;
        }
        Some(Self(files))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_reads_back_and_a_damaged_one_is_empty() {
        let mut cache = Cache::default();
        let file = Found { path: "a/ü.bin".to_owned(), size: 20_000, changed: 7 };
        cache.put(&file, vec![Hash([1; 32]), Hash([2; 32])]);
        let bytes = cache.encode();
        assert_eq!(Cache::decode(&bytes).as_ref(), Some(&cache));
        assert_eq!(cache.get(&file).map(<[_]>::len), Some(2));
        for other in [Found { size: 20_001, ..file.clone() }, Found { changed: 8, ..file.clone() }] {
            assert_eq!(cache.get(&other), None);
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Cache::decode(&damaged), None, "{at}");
            assert_eq!(Cache::decode(&bytes[..at]), None, "{at}");
        }
    }
}
