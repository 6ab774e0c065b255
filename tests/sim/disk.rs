//! A peer's disk: it outlives the node, and it may lose, tear, rot or fill up. Since the true bytes of every file
//! are known, only what is present is kept, so that ten thousand peers fit into memory.

use crate::files::Files;
use core::time::Duration;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use swarmlet_core::rng::Rng;
use swarmlet_core::{Instant, Root};

/// What was written within this time may not have reached the disk when everything stops (browsers and file systems
/// sync after one to five seconds).
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// One disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// Stored runs by file: start → end, disjoint and not touching.
    runs: BTreeMap<Root, BTreeMap<u64, u64>>,
    /// Small records.
    records: BTreeMap<String, Vec<u8>>,
    /// Bytes that it takes; `None`: no limit.
    pub room: Option<u64>,
    /// Bytes that are not what was written.
    rotten: BTreeSet<(Root, u64)>,
    /// Writes that may still be lost, oldest first.
    unsynced: VecDeque<(Instant, Write)>,
}

#[derive(Debug)]
enum Write {
    Run { root: Root, start: u64, end: u64 },
    Record { key: String, before: Option<Vec<u8>> },
}

impl Disk {
    /// An empty one.
    #[must_use]
    pub fn new(room: Option<u64>) -> Self {
        Self { room, ..Self::default() }
    }

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

    /// Whether a run is stored whole and as it was written.
    #[must_use]
    pub fn is_sound(&self, root: &Root, start: u64, end: u64) -> bool {
        self.holds(root, start, end) && self.rotten_in(root, start, end).next().is_none()
    }

    /// Flips a byte of what is read at `offset`, until it is written again.
    pub fn rot(&mut self, root: Root, offset: u64) {
        self.rotten.insert((root, offset));
    }

    /// Loses everything from `start` on.
    pub fn lose_from(&mut self, root: &Root, start: u64) {
        self.lose(root, start, u64::MAX);
    }

    /// Removes a file.
    pub fn discard(&mut self, root: &Root) {
        self.runs.remove(root);
        self.rotten.retain(|(of, _)| of != root);
    }

    /// Reads; `None` when not all of it is there.
    #[must_use]
    pub fn load<'a>(&self, files: &'a Files, root: &Root, start: u64, length: u32) -> Option<Cow<'a, [u8]>> {
        let end = start.checked_add(u64::from(length))?;
        let bytes = files.run_of(root, start, length).filter(|_| self.holds(root, start, end))?;
        let mut bytes = Cow::Borrowed(bytes);
        for at in self.rotten_in(root, start, end) {
            bytes.to_mut()[(at - start) as usize] ^= 1;
        }
        Some(bytes)
    }

    /// Takes a run of true bytes. `false`: no room.
    pub fn store(&mut self, now: Instant, root: Root, start: u64, length: u32) -> bool {
        let end = start + u64::from(length);
        if let Some(room) = self.room {
            let used: u64 = self.runs.keys().map(|root| self.stored(root)).sum();
            if used + u64::from(length) > room {
                return false;
            }
        }
        if !self.rotten.is_empty() {
            self.rotten.retain(|(of, at)| *of != root || !(start..end).contains(at));
        }
        let runs = self.runs.entry(root).or_default();
        let (mut first, mut last) = (start, end);
        while let Some((begin, stop)) = runs.range(..=last).next_back().map(|(from, to)| (*from, *to)) {
            if stop < first {
                break;
            }
            runs.remove(&begin);
            first = first.min(begin);
            last = last.max(stop);
        }
        runs.insert(first, last);
        self.log(now, Write::Run { root, start, end });
        true
    }

    /// Reads a record.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Vec<u8>> {
        self.records.get(key)
    }

    /// Writes a record.
    pub fn put(&mut self, now: Instant, key: String, value: Vec<u8>) {
        let before = self.records.insert(key.clone(), value);
        self.log(now, Write::Record { key, before });
    }

    /// Removes a record.
    pub fn forget(&mut self, key: &str) {
        self.records.remove(key);
    }

    /// Everything stops: of what was just written, newest first, some is there, some is torn, some is lost, in any
    /// order.
    pub fn crash(&mut self, now: Instant, rng: &mut Rng) {
        let mut settled = BTreeSet::new();
        let recent = core::mem::take(&mut self.unsynced).into_iter().rev();
        for (_, write) in recent.filter(|(at, _)| now.since(*at) < SYNC_AFTER) {
            let (luck, part) = (rng.below(3), rng.below(1 << 16));
            match write {
                Write::Run { root, start, end } => {
                    let cut = start + (((end - start) * part) >> 16);
                    match luck {
                        0 => {}
                        1 => self.lose(&root, cut, end),
                        _ => self.rot(root, cut.min(end - 1)),
                    }
                }
                // Once a newer version is there, older ones do not matter.
                Write::Record { key, .. } if settled.contains(&key) => {}
                Write::Record { key, before } => match (luck, before) {
                    (0, _) => {
                        settled.insert(key);
                    }
                    (1, Some(before)) => {
                        self.records.insert(key, before);
                    }
                    (1, None) => {
                        self.records.remove(&key);
                    }
                    _ => {
                        if let Some(value) = self.records.get_mut(&key) {
                            value.truncate(((value.len() as u64 * part) >> 16) as usize);
                        }
                        settled.insert(key);
                    }
                },
            }
        }
    }

    fn log(&mut self, now: Instant, write: Write) {
        while self.unsynced.front().is_some_and(|(at, _)| now.since(*at) >= SYNC_AFTER) {
            self.unsynced.pop_front();
        }
        self.unsynced.push_back((now, write));
    }

    fn rotten_in(&self, root: &Root, start: u64, end: u64) -> impl Iterator<Item = u64> {
        self.rotten.range((*root, start)..(*root, end)).map(|(_, at)| *at)
    }

    /// Loses what lies between.
    fn lose(&mut self, root: &Root, start: u64, end: u64) {
        let Some(runs) = self.runs.get_mut(root) else { return };
        let hit: Vec<_> = runs
            .range(..end)
            .filter(|(_, stop)| **stop > start)
            .map(|(begin, stop)| (*begin, *stop))
            .collect();
        for (begin, stop) in hit {
            runs.remove(&begin);
            for (from, to) in [(begin, start.min(stop)), (end.max(begin), stop)] {
                if from < to {
                    runs.insert(from, to);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Content;
    use crate::queue::fork;

    const NOW: Instant = Instant::ZERO;

    fn files() -> (Files, Root) {
        let content = Content::single(9, 100, &[]);
        let files = Files::new(&content);
        let root = *content.files.keys().next().unwrap();
        (files, root)
    }

    #[test]
    fn runs_join_and_only_whole_ones_are_read() {
        let (files, root) = files();
        let mut disk = Disk::default();
        for (start, end) in [(0, 10), (20, 30), (10, 20), (5, 25), (50, 60)] {
            assert!(disk.store(NOW, root, start, (end - start) as u32));
        }
        assert_eq!(disk.stored(&root), 40);
        assert_eq!(disk.load(&files, &root, 3, 20).as_deref(), files.run_of(&root, 3, 20));
        assert_eq!(disk.load(&files, &root, 25, 10), None);
        disk.lose(&root, 12, 14);
        assert!(disk.holds(&root, 0, 12) && disk.holds(&root, 14, 30) && !disk.holds(&root, 11, 13));
        disk.lose_from(&root, 8);
        assert_eq!(disk.stored(&root), 8);
    }

    #[test]
    fn full_disks_and_rot_are_seen() {
        let (files, root) = files();
        let mut disk = Disk::new(Some(4));
        assert!(!disk.store(NOW, root, 0, 5));
        assert!(disk.store(NOW, root, 0, 4));
        disk.rot(root, 2);
        let mut expected = files.run_of(&root, 0, 4).unwrap().to_vec();
        expected[2] ^= 1;
        assert_eq!(disk.load(&files, &root, 0, 4).as_deref(), Some(&expected[..]));
        assert!(!disk.is_sound(&root, 0, 4) && disk.is_sound(&root, 0, 2));
    }

    #[test]
    fn a_crash_takes_some_of_the_last_second_and_nothing_older() {
        let (_, root) = files();
        let (mut lost, mut torn, mut kept) = (0, 0, 0);
        for seed in 0..100 {
            let mut disk = Disk::default();
            let late = NOW + Duration::from_secs(5);
            disk.store(NOW, root, 0, 50);
            disk.put(NOW, "old".into(), vec![1; 8]);
            disk.store(late, root, 60, 40);
            disk.put(late, "old".into(), vec![2; 8]);
            disk.put(late, "new".into(), vec![3; 8]);
            disk.crash(late, &mut fork(seed, 0, 0));
            assert!(disk.is_sound(&root, 0, 50));
            let old = disk.get("old").unwrap();
            assert!(*old == [1; 8] || old.iter().all(|byte| *byte == 2));
            match disk.get("new").map(Vec::len) {
                None => lost += 1,
                Some(8) => kept += 1,
                Some(_) => torn += 1,
            }
        }
        assert!(lost > 10 && torn > 10 && kept > 10, "{lost} {torn} {kept}");
    }
}
