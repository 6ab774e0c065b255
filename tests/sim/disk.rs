//! A peer's disk: it outlives the node, and it may lose, rot or fill up. Since the true bytes of every file
//! are known, only what is present is kept, so that a thousand peers fit into memory.

use std::collections::BTreeMap;
use std::rc::Rc;
use swarmlet_core::Root;

/// The true bytes of every file of a run.
pub type Truth = BTreeMap<Root, Rc<[u8]>>;

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Stored.
    Ok,
    /// No room.
    Full,
    /// The node wanted to store bytes that are not the content: a bug of the node.
    Wrong,
}

/// One disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// Stored runs by file: start → end, disjoint and not touching.
    runs: BTreeMap<Root, BTreeMap<u64, u64>>,
    /// Small records.
    pub records: BTreeMap<String, Vec<u8>>,
    /// Bytes that it takes; `None`: no limit.
    pub room: Option<u64>,
    rotten: BTreeMap<Root, u64>,
}

impl Disk {
    /// Puts a whole file there.
    pub fn fill(&mut self, root: Root, length: u64) {
        self.runs.entry(root).or_default().insert(0, length);
    }

    /// Bytes stored of a file.
    #[must_use]
    pub fn stored(&self, root: &Root) -> u64 {
        self.runs.get(root).into_iter().flatten().map(|(start, end)| end - start).sum()
    }

    /// Whether a run is stored whole.
    #[must_use]
    pub fn holds(&self, root: &Root, start: u64, end: u64) -> bool {
        let run = self.runs.get(root).and_then(|runs| runs.range(..=start).next_back());
        run.is_some_and(|(_, last)| *last >= end)
    }

    /// Flips a byte of what is read at `offset`, from now on.
    pub fn rot(&mut self, root: Root, offset: u64) {
        self.rotten.insert(root, offset);
    }

    /// Loses everything from `start` on.
    pub fn lose_from(&mut self, root: &Root, start: u64) {
        let Some(runs) = self.runs.get_mut(root) else { return };
        runs.retain(|first, _| *first < start);
        for end in runs.values_mut() {
            *end = (*end).min(start);
        }
    }

    /// Removes a file.
    pub fn discard(&mut self, root: &Root) {
        self.runs.remove(root);
        self.rotten.remove(root);
    }

    /// Reads; `None` when not all of it is there.
    #[must_use]
    pub fn load(&self, truth: &Truth, root: &Root, start: u64, length: u32) -> Option<Vec<u8>> {
        let end = start.checked_add(u64::from(length))?;
        if !self.holds(root, start, end) {
            return None;
        }
        let range = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
        let mut bytes = truth.get(root)?.get(range)?.to_vec();
        if let Some(at) = self.rotten.get(root).filter(|at| (start..end).contains(at)) {
            bytes[usize::try_from(at - start).ok()?] ^= 1;
        }
        Some(bytes)
    }

    /// Writes, and says whether the bytes are the true ones.
    pub fn store(&mut self, truth: &Truth, root: Root, start: u64, bytes: &[u8]) -> Written {
        let end = start + bytes.len() as u64;
        let range = usize::try_from(start).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX);
        if truth.get(&root).and_then(|file| file.get(range)) != Some(bytes) {
            return Written::Wrong;
        }
        let used: u64 = self.runs.keys().map(|root| self.stored(root)).sum();
        if self.room.is_some_and(|room| used + bytes.len() as u64 > room) {
            return Written::Full;
        }
        if self.rotten.get(&root).is_some_and(|at| (start..end).contains(at)) {
            self.rotten.remove(&root);
        }
        let runs = self.runs.entry(root).or_default();
        let (mut first, mut last) = (start, end);
        let touching: Vec<u64> =
            runs.range(..=end).filter(|(_, stop)| **stop >= start).map(|(begin, _)| *begin).collect();
        for begin in touching {
            let stop = runs.remove(&begin).unwrap_or(begin);
            first = first.min(begin);
            last = last.max(stop);
        }
        runs.insert(first, last);
        Written::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth() -> (Truth, Root) {
        let root = Root([7; 32]);
        (BTreeMap::from([(root, Rc::from((0u8..100).collect::<Vec<_>>().as_slice()))]), root)
    }

    #[test]
    fn runs_join_and_only_whole_ones_are_read() {
        let (truth, root) = truth();
        let mut disk = Disk::default();
        let bytes: Vec<u8> = (0..100).collect();
        for (start, end) in [(0, 10), (20, 30), (10, 20), (5, 25)] {
            assert_eq!(disk.store(&truth, root, start as u64, &bytes[start..end]), Written::Ok);
        }
        assert_eq!(disk.stored(&root), 30);
        assert_eq!(disk.load(&truth, &root, 3, 20), Some(bytes[3..23].to_vec()));
        assert_eq!(disk.load(&truth, &root, 25, 10), None);
        disk.lose_from(&root, 8);
        assert_eq!(disk.stored(&root), 8);
    }

    #[test]
    fn wrong_bytes_full_disks_and_rot_are_seen() {
        let (truth, root) = truth();
        let mut disk = Disk { room: Some(4), ..Disk::default() };
        assert_eq!(disk.store(&truth, root, 0, &[9, 9]), Written::Wrong);
        assert_eq!(disk.store(&truth, root, 99, &[99, 100]), Written::Wrong);
        assert_eq!(disk.store(&truth, root, 0, &[0, 1, 2, 3, 4]), Written::Full);
        assert_eq!(disk.store(&truth, root, 0, &[0, 1, 2, 3]), Written::Ok);
        disk.rot(root, 2);
        assert_eq!(disk.load(&truth, &root, 0, 4), Some(vec![0, 1, 3, 3]));
    }
}
