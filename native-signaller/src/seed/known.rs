//! What was hashed before: a program that starts again looks at each file, and reads those that have changed. What
//! this remembers is a hint like any other of the disk: bytes are verified when they are read, so that a file whose
//! change nothing shows is found out before anybody gets a byte of it.

use crate::publish::cache::Cache;
use crate::publish::walk::Found;
use core::time::Duration;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use swarmlet_core::Hash;

/// Shares of fewer bytes are hashed sooner than anybody would notice.
const WORTH_BYTES: u64 = 16 * 1024 * 1024;
/// A file that has changed so lately may change again within what its time of change can tell.
const SETTLED: Duration = Duration::from_secs(2);

/// The folder for it: as the service manager says, or as users have it.
pub(crate) fn folder() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = |folder: PathBuf| folder.join("swarmlet");
    named("CACHE_DIRECTORY")
        .or_else(|| named("XDG_CACHE_HOME").map(own))
        .or_else(|| named("HOME").map(|home| own(home.join(".cache"))))
}

/// What is known of a share's files.
pub(super) struct Known {
    path: Option<PathBuf>,
    cache: Cache,
    fresh: Cache,
    changed: bool,
}

impl Known {
    /// Reads what is known of the share of `bytes` at a path. `folder`: none remembers nothing.
    pub(super) fn open(folder: Option<&Path>, share: &Path, bytes: u64) -> Self {
        let name = Sha256::digest(share.as_os_str().as_encoded_bytes());
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let path =
            folder.filter(|_| bytes >= WORTH_BYTES).map(|folder| folder.join(format!("hashes-{name}")));
        let cache = path.as_deref().map(Cache::read).unwrap_or_default();
        Self { path, cache, fresh: Cache::default(), changed: false }
    }

    /// Its leaf hashes, if it looks as it did.
    pub(super) fn get(&self, file: &Found) -> Option<&[Hash]> {
        self.cache.get(file)
    }

    /// Remembers a file that looked so before it was read.
    pub(super) fn put(&mut self, file: &Found, leaves: &[Hash]) {
        let age = SystemTime::UNIX_EPOCH + Duration::from_nanos(file.changed);
        if self.path.is_some() && age.elapsed().is_ok_and(|age| age > SETTLED) {
            self.changed |= self.cache.get(file).is_none();
            self.fresh.put(file, leaves.to_vec());
        }
    }

    /// Writes it down, without the files that are no longer there. That it cannot be written costs time only.
    pub(super) fn keep(self) {
        let Some(path) = self.path.filter(|_| self.changed) else { return };
        let next = path.with_extension("new");
        let written = path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = written.and_then(|()| self.fresh.write(&next)).and_then(|()| fs::rename(&next, &path));
        if let Err(error) = written {
            tracing::debug!(event = "hashes", path = %path.display(), %error);
        }
    }
}

/// How a file looks. `None`: it cannot be told apart from another.
pub(super) fn look(path: &Path) -> Option<Found> {
    let data = fs::metadata(path).ok()?;
    let changed = data.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let changed = u64::try_from(changed.as_nanos()).ok()?;
    Some(Found { path: path.to_str()?.to_owned(), size: data.len(), changed })
}

#[cfg(test)]
mod tests {
    use super::super::share::Made;
    use super::*;
    use std::fs::File;

    #[test]
    fn what_has_not_changed_is_not_read_again() {
        let root = std::env::temp_dir().join(format!("swarmlet-known-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let (folder, cache) = (root.join("album"), root.join("cache"));
        fs::create_dir_all(&folder).unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        let write = |name: &str, bytes: &[u8], changed: SystemTime| {
            fs::write(folder.join(name), bytes).unwrap();
            File::options().write(true).open(folder.join(name)).unwrap().set_modified(changed).unwrap();
        };
        write("one", &vec![1; WORTH_BYTES as usize], long_ago);
        write("two", &[2; 100_000], long_ago);
        write("young", &[3; 100_000], SystemTime::now() + Duration::from_secs(3600));
        let make = || Made::watched(&folder, Vec::new(), Some(&cache), &mut |_, _| true).unwrap().content();
        let first = make();
        assert_eq!(Made::of(&folder, Vec::new()).unwrap().content(), first);
        // Another byte behind its back shows that it is not read.
        write("one", &vec![9; WORTH_BYTES as usize], long_ago);
        assert_eq!(make(), first);
        write("young", &[4; 100_000], SystemTime::now() + Duration::from_secs(3600));
        let second = make();
        assert_ne!(second, first, "its age says nothing");
        write("one", &vec![9; WORTH_BYTES as usize], long_ago + Duration::from_secs(1));
        let third = make();
        assert_eq!(third, Made::of(&folder, Vec::new()).unwrap().content());
        assert_ne!(third, second);
        fs::write(fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path(), "rubbish").unwrap();
        assert_eq!(make(), third);
        fs::remove_dir_all(root).unwrap();
    }
}
