//! A folder whose entries are shares: what is put into it, and what is taken out. By looking, since that works on
//! every file system, network shares too, and a change counts only once it is over anyway.

use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::hash::DefaultHasher;
use std::path::{Path, PathBuf};
use swarmlet_core::config::PATH_DEPTH_MAX;
use tokio::time;

/// Between two looks. What looks the same twice is at rest.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What happened in the folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// An entry is new, or other than it was, and at rest.
    Put(PathBuf),
    /// An entry is gone.
    Gone(PathBuf),
}

/// A folder that is looked at.
pub(super) struct Watch {
    folder: PathBuf,
    /// As they looked last time, and whether that was told.
    entries: BTreeMap<PathBuf, (u64, bool)>,
    changes: VecDeque<Change>,
    looks: time::Interval,
}

impl Watch {
    pub(super) fn new(folder: PathBuf) -> Self {
        let mut looks = time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        Self { folder, entries: BTreeMap::new(), changes: VecDeque::new(), looks }
    }

    /// The next change. May be dropped at any time.
    pub(super) async fn next(&mut self) -> Change {
        loop {
            if let Some(change) = self.changes.pop_front() {
                return change;
            }
            self.looks.tick().await;
            self.look();
        }
    }

    fn look(&mut self) {
        let Ok(listed) = fs::read_dir(&self.folder) else { return };
        let mut seen = BTreeMap::new();
        for entry in listed.flatten() {
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                let path = entry.path();
                let mut state = DefaultHasher::new();
                appearance(&path, 0, &mut state);
                seen.insert(path, state.finish());
            }
        }
        for path in self.entries.keys().filter(|path| !seen.contains_key(*path)) {
            self.changes.push_back(Change::Gone(path.clone()));
        }
        self.entries.retain(|path, _| seen.contains_key(path));
        for (path, now) in seen {
            let entry = self.entries.entry(path.clone()).or_insert((!now, false));
            if entry.0 != now {
                *entry = (now, false);
            } else if !core::mem::replace(&mut entry.1, true) {
                self.changes.push_back(Change::Put(path));
            }
        }
    }
}

/// Names, sizes and times of all that is in it.
fn appearance(path: &Path, depth: usize, state: &mut DefaultHasher) {
    let Ok(data) = fs::symlink_metadata(path) else { return };
    path.hash(state);
    (data.len(), data.modified().ok(), data.is_dir()).hash(state);
    if data.is_dir() && depth < PATH_DEPTH_MAX {
        let mut inside: Vec<_> = fs::read_dir(path).into_iter().flatten().flatten().collect();
        inside.sort_by_key(fs::DirEntry::file_name);
        for entry in inside {
            appearance(&entry.path(), depth + 1, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_entry_is_told_when_it_is_at_rest_and_when_it_is_gone() {
        let folder = std::env::temp_dir().join(format!("swarmlet-watch-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("album")).unwrap();
        fs::write(folder.join(".hidden"), "x").unwrap();
        let mut watch = Watch::new(folder.clone());
        watch.look();
        fs::write(folder.join("album/song"), "la").unwrap();
        watch.look();
        assert!(watch.changes.is_empty(), "it has just changed");
        assert_eq!(watch.next().await, Change::Put(folder.join("album")));
        watch.look();
        assert!(watch.changes.is_empty(), "it is told once");
        fs::write(folder.join("album/song"), "la la").unwrap();
        watch.look();
        assert_eq!(watch.next().await, Change::Put(folder.join("album")));
        fs::remove_dir_all(folder.join("album")).unwrap();
        assert_eq!(watch.next().await, Change::Gone(folder.join("album")));
        fs::remove_dir_all(folder).unwrap();
    }
}
