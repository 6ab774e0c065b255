//! Files and records in a folder, one job at a time.

use super::host::Ended;
use super::metrics::Counters;
use super::{Settings, journal};
use crate::Error;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swarmlet_core::{Failure, Root, Work};

/// Files kept open. Each costs a descriptor.
const OPEN_MAX: usize = 64;
/// The largest record that is read back: a share's list of files with all its piece hashes.
const RECORD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The record of files that were moved to where people want them.
const PLACES: &str = "places";

/// A folder, or none.
#[derive(Debug)]
pub(super) struct Disk {
    folder: Option<PathBuf>,
    quota: Option<u64>,
    /// Bytes that content takes here, about.
    used: AtomicU64,
    state: Mutex<State>,
    counters: Arc<Counters>,
    /// Holds the folder for this process.
    _lock: Option<File>,
}

#[derive(Debug, Default)]
struct State {
    /// Files of the user's: read where they are, never written.
    sources: HashMap<Root, PathBuf>,
    /// Files that were fetched and moved to where people want them: ours to read and to mend.
    places: BTreeMap<String, PathBuf>,
    /// The most recently used last.
    open: Vec<(Root, Arc<File>)>,
}

impl Disk {
    pub(super) fn open(settings: &Settings, counters: Arc<Counters>) -> Result<Self, Error> {
        let mut disk = Self {
            folder: settings.data.clone(),
            quota: settings.quota,
            used: AtomicU64::new(0),
            state: Mutex::default(),
            counters,
            _lock: None,
        };
        let Some(folder) = &settings.data else { return Ok(disk) };
        let unreadable = |error| Error::Read(folder.clone(), error);
        fs::create_dir_all(folder).map_err(unreadable)?;
        let lock = File::create(folder.join("lock")).map_err(unreadable)?;
        if lock.try_lock().is_err() {
            return Err(Error::Unfit(folder.clone(), "another process uses this folder".to_owned()));
        }
        let places = disk.read_places().unwrap_or_default();
        disk.state().places = places;
        disk._lock = Some(lock);
        disk.recount();
        Ok(disk)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self) -> io::Result<&Path> {
        self.folder.as_deref().ok_or_else(|| ErrorKind::Unsupported.into())
    }

    pub(super) fn add_sources(&self, sources: Vec<(Root, PathBuf)>) {
        let mut state = self.state();
        for (root, path) in sources {
            state.open.retain(|(of, _)| *of != root);
            state.sources.insert(root, path);
        }
    }

    /// Carries out one storage job.
    pub(super) fn carry_out(&self, work: Work) -> io::Result<Ended> {
        match work {
            Work::Load { root, start, length } => self.load(root, start, length),
            Work::Store { root, total, start, bytes } => self.store(root, total, start, &bytes),
            Work::Get { key } => match key.strip_prefix("have-").and_then(Root::from_hex) {
                Some(root) => self.have(root, &key),
                None => self.get(&key),
            },
            Work::Put { key, value } => self.put(&key, &value),
            Work::Discard { root } => self.discard(root),
            Work::Forget { key } => self.forget(&key),
            _ => Ok(Ended::Failed(Failure::Unsupported)),
        }
    }

    fn load(&self, root: Root, start: u64, length: u32) -> io::Result<Ended> {
        let file = match self.file(root, false) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(Ended::Missing),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; length as usize];
        match read_at(&file, &mut bytes, start) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Ended::Missing),
            Err(error) => return Err(error),
        }
        self.counters.disk_read.fetch_add(u64::from(length), Ordering::Relaxed);
        Ok(Ended::Bytes(bytes))
    }

    fn store(&self, root: Root, total: u64, start: u64, bytes: &[u8]) -> io::Result<Ended> {
        let more = bytes.len() as u64;
        let room = |disk: &Self| {
            disk.quota.is_none_or(|quota| disk.used.load(Ordering::Relaxed).saturating_add(more) <= quota)
        };
        // The count is of what was written; some of it may have been written twice.
        if !room(self)
            && !{
                self.recount();
                room(self)
            }
        {
            return Ok(Ended::Failed(Failure::Full));
        }
        write_at(&*self.file(root, true)?, bytes, start)?;
        journal::note(self.folder()?, root, total, start)?;
        self.note_used(self.used.fetch_add(more, Ordering::Relaxed) + more);
        self.counters.disk_written.fetch_add(more, Ordering::Relaxed);
        Ok(Ended::Ok)
    }

    fn note_used(&self, used: u64) {
        self.counters.stored.store(used, Ordering::Relaxed);
    }

    /// The file of a root, wherever it is.
    fn file(&self, root: Root, write: bool) -> io::Result<Arc<File>> {
        let mut state = self.state();
        if let Some(at) = state.open.iter().position(|(of, _)| *of == root) {
            let entry = state.open.remove(at);
            let file = Arc::clone(&entry.1);
            state.open.push(entry);
            return Ok(file);
        }
        let source = state.sources.get(&root);
        let path = match source.or_else(|| state.places.get(&root.to_string())) {
            Some(path) => path.clone(),
            None => self.folder().map_err(|_| io::Error::from(ErrorKind::NotFound))?.join(root.to_string()),
        };
        let mut options = OpenOptions::new();
        options.read(true);
        if source.is_none() {
            options.write(true).create(write);
        }
        let file = Arc::new(options.open(path)?);
        if state.open.len() >= OPEN_MAX {
            state.open.remove(0);
        }
        state.open.push((root, Arc::clone(&file)));
        Ok(file)
    }

    fn discard(&self, root: Root) -> io::Result<Ended> {
        let mut state = self.state();
        state.open.retain(|(of, _)| *of != root);
        state.sources.remove(&root);
        // A file that was moved to where people want it is theirs.
        let placed = state.places.remove(&root.to_string()).is_some();
        drop(state);
        if placed {
            self.write_places()?;
        }
        let folder = self.folder()?;
        journal::forget(folder, root)?;
        let removed = remove(&folder.join(root.to_string()));
        self.recount();
        removed
    }

    fn record(&self, key: &str) -> io::Result<PathBuf> {
        let sane = key.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
        if !sane || key.is_empty() || key.len() > 100 {
            return Err(ErrorKind::InvalidInput.into());
        }
        Ok(self.folder()?.join(format!("r-{key}")))
    }

    fn get(&self, key: &str) -> io::Result<Ended> {
        let Ok(path) = self.record(key) else { return Ok(Ended::Missing) };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(Ended::Missing),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(RECORD_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(Ended::Bytes(bytes))
    }

    /// Which pieces are stored: as the node has written down, and as the store noted since.
    fn have(&self, root: Root, key: &str) -> io::Result<Ended> {
        let record = self.get(key)?;
        let Some(folder) = &self.folder else { return Ok(record) };
        let written = if let Ended::Bytes(bytes) = &record { bytes.as_slice() } else { &[] };
        Ok(journal::merge(folder, root, written).map_or(record, Ended::Bytes))
    }

    fn put(&self, key: &str, value: &[u8]) -> io::Result<Ended> {
        // Without a folder nothing is remembered, which is what was asked for.
        if self.folder.is_none() {
            return Ok(Ended::Ok);
        }
        let path = self.record(key)?;
        let fresh = path.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(value)?;
        // A rename may reach the disk before what it names, and then there would be no record at all.
        file.sync_data()?;
        fs::rename(&fresh, &path)?;
        Ok(Ended::Ok)
    }

    fn forget(&self, key: &str) -> io::Result<Ended> {
        match self.folder {
            Some(_) => remove(&self.record(key)?),
            None => Ok(Ended::Ok),
        }
    }

    /// Counts anew what content takes.
    fn recount(&self) {
        let Some(folder) = &self.folder else { return };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let content = entries.filter(|entry| entry.file_name().len() == 64);
        let used = content.filter_map(|entry| entry.metadata().ok()).map(|data| taken(&data)).sum();
        self.used.store(used, Ordering::Relaxed);
        self.note_used(used);
    }

    /// Where a fetched file was moved to.
    pub(super) fn place_of(&self, root: &Root) -> Option<PathBuf> {
        self.state().places.get(&root.to_string()).cloned()
    }

    /// Moves a whole file to where people want it, and reads it there from now on. A second place for the same
    /// file gets a copy.
    pub(super) fn place(&self, root: Root, path: &Path) -> io::Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut state = self.state();
        if let Some(from) = state.sources.get(&root).or_else(|| state.places.get(&root.to_string())) {
            let from = from.clone();
            drop(state);
            return if from == path { Ok(()) } else { fs::copy(&from, path).map(drop) };
        }
        let from = self.folder()?.join(root.to_string());
        // Nobody may look for it between the two names.
        let moved = fs::rename(&from, path).is_ok();
        if !moved {
            // Another file system: the copy is made while the first is still in use.
            drop(state);
            fs::copy(&from, path)?;
            state = self.state();
        }
        state.places.insert(root.to_string(), path.to_owned());
        state.open.retain(|(of, _)| *of != root);
        drop(state);
        self.write_places()?;
        if !moved {
            fs::remove_file(&from)?;
        }
        self.recount();
        Ok(())
    }

    fn read_places(&self) -> Option<BTreeMap<String, PathBuf>> {
        let Ok(Ended::Bytes(bytes)) = self.get(PLACES) else { return None };
        let mut places: BTreeMap<String, PathBuf> = serde_json::from_slice(&bytes).ok()?;
        places.retain(|_, path| path.is_file());
        Some(places)
    }

    fn write_places(&self) -> io::Result<()> {
        let text = serde_json::to_vec(&self.state().places)?;
        self.put(PLACES, &text).map(drop)
    }

    /// Sees to it that content has reached the disk.
    pub(super) fn flush(&self) {
        for (root, file) in &self.state().open {
            if let Err(error) = file.sync_data() {
                tracing::debug!(event = "flush", %root, %error);
            }
        }
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn remove(path: &Path) -> io::Result<Ended> {
    match fs::remove_file(path) {
        Err(error) if !is_missing(&error) => Err(error),
        Ok(()) | Err(_) => Ok(Ended::Ok),
    }
}

/// What the node is told of an error.
pub(super) fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Failure::Full,
        ErrorKind::Unsupported => Failure::Unsupported,
        _ => Failure::Host,
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], start: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, start)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], start: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, start)
}

/// Bytes on disk: less than its length while a file has holes.
#[cfg(unix)]
fn taken(data: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(data) * 512
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut start: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, start)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => (bytes, start) = (&mut bytes[read..], start + read as u64),
        }
    }
    Ok(())
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut start: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, start)?;
        (bytes, start) = (&bytes[written..], start + written as u64);
    }
    Ok(())
}

#[cfg(windows)]
fn taken(data: &fs::Metadata) -> u64 {
    data.len()
}
