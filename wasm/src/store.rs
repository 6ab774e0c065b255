//! Stored content and small records: the browser's private files (OPFS) through synchronous access handles,
//! memory where those are missing, and the visitor's own files for what is seeded (never copied).
//!
//! Jobs on private files run one after another: a file takes one access handle at a time. What is read here
//! is a claim that the node proves again.

use crate::clock::now;
use crate::convert::{failure, is_missing};
use crate::host::{Ended, Host, News};
use crate::table::Table;
use crate::task::{settled, spawn};
use alloc::collections::VecDeque;
use core::cell::{Cell, RefCell};
use js_sys::{Promise, Uint8Array};
use swarmlet_core::util::Map;
use swarmlet_core::{Failure, Instant, JobId, Root, Work};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    Blob, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetFileOptions,
    FileSystemReadWriteOptions, FileSystemSyncAccessHandle,
};

/// Open access handles. Each holds a file descriptor in the browser process.
const HANDLES_MAX: usize = 48;
/// What the memory store holds at most: content lives in the same address space limits as the page.
const MEMORY_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// What comes within so many microseconds is written together where it lies together, until it is so many bytes or lies in
/// so many places: each write into a private file makes work in the browser process, and two thirds less of it for each byte
/// where a mebibyte is written at a time and not a quarter. 40 ms is what a fast peer takes to send one.
const GATHER_US: u64 = 40_000;
const GATHER_BYTES: usize = 1024 * 1024;
const GATHER_PLACES: usize = 8;
/// Granularity of the memory store.
const CHUNK_BYTES: u64 = 256 * 1024;

/// What is to be done, for a job and for those that were joined to it.
type Job = (JobId, Vec<JobId>, Work);

/// Where content is kept.
pub struct Store {
    queue: RefCell<VecDeque<Job>>,
    /// Small records go before content: a record that waits behind what it tells of comes too late for a reload.
    records: RefCell<VecDeque<Job>>,
    /// Empty while the task that empties the queue is under way.
    disk: Cell<Option<Disk>>,
    seeds: RefCell<Table<Root, Blob>>,
    gathers: bool,
    /// Until when what is to be written waits.
    due: Cell<Option<Instant>>,
}

impl Store {
    /// A store in `directory`, or in memory.
    #[must_use]
    pub fn new(directory: Option<FileSystemDirectoryHandle>) -> Self {
        let gathers = directory.is_some();
        let disk = directory.map_or_else(
            || Disk::Memory(Memory::default()),
            |directory| Disk::Files(Files { directory, open: Vec::new() }),
        );
        Self {
            queue: RefCell::default(),
            records: RefCell::default(),
            disk: Cell::new(Some(disk)),
            seeds: RefCell::default(),
            gathers,
            due: Cell::new(None),
        }
    }

    /// From now on the bytes of `root` are read from the visitor's own file.
    pub(crate) fn seed(&self, root: Root, blob: Blob) {
        self.seeds.borrow_mut().insert(root, blob);
    }

    /// Begins one storage job.
    pub(crate) fn begin(host: &'static Host, job: JobId, work: Work) {
        let store = &host.store;
        if let Work::Load { root, start, length } = work
            && let Some(blob) = store.seeds.borrow().get(&root).cloned()
        {
            // Files of the visitor are read side by side: each read waits for the browser process.
            spawn(async move {
                let ended = read_blob(&blob, start, length).await;
                host.news(News::Done { job, ended });
            });
            return;
        }
        match &work {
            Work::Get { key } if !recorded(key, false) => {
                return host.push(News::Done { job, ended: Ended::Missing });
            }
            Work::Put { key, .. } => _ = recorded(key, true),
            _ => {}
        }
        let is_record = matches!(work, Work::Get { .. } | Work::Put { .. } | Work::Forget { .. });
        let queue = if is_record { &store.records } else { &store.queue };
        let may_wait = store.gathers && matches!(work, Work::Store { .. });
        if gather(&mut queue.borrow_mut(), job, work) && may_wait {
            let due = store.due.get().unwrap_or_else(|| now().after(GATHER_US));
            return store.due.set(Some(due));
        }
        Self::empty(host);
    }

    /// Begins what has waited long enough, or says when it will have.
    pub(crate) fn look(host: &'static Host, now: Instant) -> Option<Instant> {
        let due = host.store.due.get()?;
        if now < due {
            return Some(due);
        }
        Self::empty(host);
        None
    }

    /// Carries out what waits, unless that is being done.
    fn empty(host: &'static Host) {
        host.store.due.set(None);
        let Some(mut disk) = host.store.disk.take() else { return };
        spawn(async move {
            loop {
                let record = host.store.records.borrow_mut().pop_front();
                let next = record.or_else(|| host.store.queue.borrow_mut().pop_front());
                let Some((job, joined, work)) = next else { break };
                if let Work::Discard { root } = &work {
                    host.store.seeds.borrow_mut().remove(root);
                }
                let ended = disk.carry_out(work).await;
                for job in joined {
                    let ended =
                        if let Ended::Failed(failure) = ended { Ended::Failed(failure) } else { Ended::Ok };
                    host.news(News::Done { job, ended });
                }
                host.news(News::Done { job, ended });
            }
            host.store.disk.set(Some(disk));
        });
    }

    /// Closes every file, so that another tab may open them. Jobs that still wait are given up.
    pub(crate) fn close(&self) {
        self.queue.borrow_mut().clear();
        self.records.borrow_mut().clear();
        drop(self.disk.take());
    }

    /// Carries out one job outside of a host: for tests.
    pub async fn run(&self, work: Work) -> Result<Option<Vec<u8>>, Failure> {
        let mut disk = self.disk.take().ok_or(Failure::Host)?;
        let ended = disk.carry_out(work).await;
        self.disk.set(Some(disk));
        match ended {
            Ended::Bytes(bytes) => Ok(Some(bytes)),
            Ended::Failed(failure) => Err(failure),
            Ended::Missing | Ended::Described(_) => Ok(None),
            Ended::Ok => Ok(Some(Vec::new())),
        }
    }
}

/// Puts what is to be written behind the rest, or to what it continues. Whether it may wait.
fn gather(queue: &mut VecDeque<Job>, job: JobId, work: Work) -> bool {
    if let Work::Store { root, start, bytes, .. } = &work {
        for (_, joined, before) in queue.iter_mut().rev() {
            // Nothing overtakes what discards it.
            let Work::Store { root: of, start: from, bytes: written, .. } = before else { break };
            if of == root && *from + written.len() as u64 == *start {
                written.extend_from_slice(bytes);
                joined.push(job);
                return written.len() < GATHER_BYTES;
            }
        }
    }
    queue.push_back((job, Vec::new(), work));
    queue.len() < GATHER_PLACES
}

#[wasm_bindgen]
extern "C" {
    /// `www/worker/ahead.js`
    #[wasm_bindgen(js_namespace = self, js_name = readAhead)]
    pub(crate) fn read_ahead(blob: &Blob, start: f64, length: u32) -> Promise;
    /// Whether there may be a record of this name: `www/worker/recorded.js`
    #[wasm_bindgen(js_namespace = self)]
    fn recorded(key: &str, written: bool) -> bool;
}

async fn read_blob(blob: &Blob, start: u64, length: u32) -> Ended {
    match settled(&read_ahead(blob, start as f64, length)).await {
        Ok(bytes) => {
            let bytes: Uint8Array = bytes.unchecked_into();
            if bytes.length() == length { Ended::Bytes(bytes.to_vec()) } else { Ended::Missing }
        }
        Err(error) if is_missing(&error) => Ended::Missing,
        // NotReadableError: the file was changed, moved or deleted.
        Err(_) => Ended::Failed(Failure::Host),
    }
}

enum Disk {
    Memory(Memory),
    Files(Files),
}

impl Disk {
    async fn carry_out(&mut self, work: Work) -> Ended {
        match self {
            Self::Memory(memory) => memory.carry_out(work),
            Self::Files(files) => match files.carry_out(work).await {
                Ok(ended) => ended,
                Err(error) if is_missing(&error) => Ended::Missing,
                Err(error) => Ended::Failed(failure(&error)),
            },
        }
    }
}

/// Files named by root in hexadecimal, records named `r-` and their key.
struct Files {
    directory: FileSystemDirectoryHandle,
    /// The most recently used last. Opening asks the browser process and takes long while it is busy.
    open: Vec<(String, Handle)>,
}

/// Closed when dropped: the browser would keep the lock until it collects garbage.
struct Handle(FileSystemSyncAccessHandle);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Handle {
    fn read(&self, start: u64, length: usize) -> Result<Option<Vec<u8>>, JsValue> {
        let mut bytes = vec![0; length];
        let read = self.0.read_with_u8_array_and_options(&mut bytes, &at(start))?;
        Ok((read as usize == length).then_some(bytes))
    }

    fn write(&self, start: u64, bytes: &[u8]) -> Result<Ended, JsValue> {
        let written = self.0.write_with_u8_array_and_options(bytes, &at(start))?;
        // A short write without an exception is how some browsers say that the disk is full.
        Ok(if written as usize == bytes.len() { Ended::Ok } else { Ended::Failed(Failure::Full) })
    }
}

fn at(start: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(start as f64);
    options
}

impl Files {
    async fn carry_out(&mut self, work: Work) -> Result<Ended, JsValue> {
        match work {
            Work::Load { root, start, length } => {
                let handle = self.file(root.hex(), false).await?;
                Ok(handle.read(start, length as usize)?.map_or(Ended::Missing, Ended::Bytes))
            }
            Work::Store { root, start, bytes, .. } => self.file(root.hex(), true).await?.write(start, &bytes),
            Work::Get { key } => {
                let handle = self.file(record(&key), false).await?;
                let size = handle.0.get_size()?;
                Ok(handle.read(0, size as usize)?.map_or(Ended::Missing, Ended::Bytes))
            }
            Work::Put { key, value } => {
                let handle = self.file(record(&key), true).await?;
                let ended = handle.write(0, &value)?;
                handle.0.truncate_with_f64(value.len() as f64)?;
                Ok(ended)
            }
            Work::Discard { root } => self.remove(root.hex()).await,
            Work::Forget { key } => self.remove(record(&key)).await,
            _ => Ok(Ended::Failed(Failure::Unsupported)),
        }
    }

    async fn file(&mut self, name: String, create: bool) -> Result<&Handle, JsValue> {
        let handle = match self.open.iter().position(|(open, _)| *open == name) {
            Some(at) => self.open.remove(at).1,
            None => {
                if self.open.len() >= HANDLES_MAX {
                    let (_, oldest) = self.open.remove(0);
                    oldest.0.flush()?;
                }
                self.open(&name, create).await?
            }
        };
        self.open.push((name, handle));
        // One was pushed on the line above.
        let Some((_, handle)) = self.open.last() else { unreachable!() };
        Ok(handle)
    }

    async fn open(&self, name: &str, create: bool) -> Result<Handle, JsValue> {
        let options = FileSystemGetFileOptions::new();
        options.set_create(create);
        let file = settled(&self.directory.get_file_handle_with_options(name, &options)).await?;
        let file: FileSystemFileHandle = file.unchecked_into();
        let handle = settled(&file.create_sync_access_handle()).await?;
        Ok(Handle(handle.unchecked_into()))
    }

    async fn remove(&mut self, name: String) -> Result<Ended, JsValue> {
        self.open.retain(|(open, _)| *open != name);
        match settled(&self.directory.remove_entry(&name)).await {
            Err(error) if !is_missing(&error) => Err(error),
            Ok(_) | Err(_) => Ok(Ended::Ok),
        }
    }
}

fn record(key: &str) -> String {
    String::from("r-") + key
}

/// Content in buffers of the JavaScript heap, which may grow where the memory of a wasm program may not.
#[derive(Default)]
struct Memory {
    chunks: Map<(Root, u64), Uint8Array>,
    records: Table<String, Vec<u8>>,
}

impl Memory {
    fn carry_out(&mut self, work: Work) -> Ended {
        match work {
            Work::Load { root, start, length } => self.load(root, start, length),
            Work::Store { root, total, start, bytes } => self.store(root, total, start, &bytes),
            Work::Get { key } => self.records.get(&key).cloned().map_or(Ended::Missing, Ended::Bytes),
            Work::Put { key, value } => {
                self.records.insert(key, value);
                Ended::Ok
            }
            Work::Discard { root } => {
                self.chunks.retain(|(of, _), _| *of != root);
                Ended::Ok
            }
            Work::Forget { key } => {
                self.records.remove(&key);
                Ended::Ok
            }
            _ => Ended::Failed(Failure::Unsupported),
        }
    }

    fn load(&self, root: Root, start: u64, length: u32) -> Ended {
        let mut out = vec![0; length as usize];
        for (index, in_chunk, in_out, size) in pieces(start, u64::from(length)) {
            let Some(chunk) = self.chunks.get(&(root, index)) else { return Ended::Missing };
            if in_chunk + size as u32 > chunk.length() {
                return Ended::Missing;
            }
            chunk.subarray(in_chunk, in_chunk + size as u32).copy_to(&mut out[in_out..in_out + size]);
        }
        Ended::Bytes(out)
    }

    fn store(&mut self, root: Root, total: u64, start: u64, bytes: &[u8]) -> Ended {
        for (index, in_chunk, in_bytes, size) in pieces(start, bytes.len() as u64) {
            let here = total.saturating_sub(index * CHUNK_BYTES).min(CHUNK_BYTES);
            if u64::from(in_chunk) + size as u64 > here {
                return Ended::Failed(Failure::Host);
            }
            let key = (root, index);
            if !self.chunks.contains_key(&key) {
                if (self.chunks.len() as u64).saturating_mul(CHUNK_BYTES) >= MEMORY_BYTES_MAX {
                    return Ended::Failed(Failure::Full);
                }
                self.chunks.insert(key, Uint8Array::new_with_length(here as u32));
            }
            let chunk = &self.chunks[&key];
            chunk.subarray(in_chunk, in_chunk + size as u32).copy_from(&bytes[in_bytes..in_bytes + size]);
        }
        Ended::Ok
    }
}

/// The chunks that a run of bytes touches: index, first byte in the chunk, first byte in the run, bytes.
fn pieces(start: u64, length: u64) -> impl Iterator<Item = (u64, u32, usize, usize)> {
    let end = start.saturating_add(length);
    let mut at = start;
    core::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let index = at / CHUNK_BYTES;
        let until = ((index + 1) * CHUNK_BYTES).min(end);
        let piece = (index, (at % CHUNK_BYTES) as u32, (at - start) as usize, (until - at) as usize);
        at = until;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_cut_at_chunk_borders() {
        let all: Vec<_> = pieces(CHUNK_BYTES - 1, CHUNK_BYTES + 2).collect();
        let chunk = CHUNK_BYTES as usize;
        assert_eq!(all, [(0, CHUNK_BYTES as u32 - 1, 0, 1), (1, 0, 1, chunk), (2, 0, 1 + chunk, 1)]);
        assert_eq!(pieces(5, 0).count(), 0);
    }

    #[test]
    fn what_lies_together_is_written_together_and_nothing_overtakes_what_discards_it() {
        let (a, b) = (Root([1; 32]), Root([2; 32]));
        let put = |root, start, length| Work::Store { root, total: 1 << 30, start, bytes: vec![7; length] };
        let mut queue = VecDeque::new();
        for (job, work, may_wait) in [
            (1, put(a, 0, 100), true),
            (2, put(b, 100, 50), true),
            (3, put(a, 100, GATHER_BYTES - 101), true),
            (4, put(a, GATHER_BYTES as u64 - 1, 1), false),
            (5, put(a, 0, 100), true),
            (6, Work::Discard { root: a }, true),
            (7, put(a, 100, 10), true),
        ] {
            assert_eq!(gather(&mut queue, JobId(job), work), may_wait, "{job}");
        }
        let lies = |(job, joined, work): &Job| match work {
            Work::Store { start, bytes, .. } => (job.0, joined.clone(), *start, bytes.len()),
            _ => (job.0, joined.clone(), 0, 0),
        };
        assert_eq!(
            queue.iter().map(lies).collect::<Vec<_>>(),
            [
                (1, vec![JobId(3), JobId(4)], 0, GATHER_BYTES),
                (2, vec![], 100, 50),
                (5, vec![], 0, 100),
                (6, vec![], 0, 0),
                (7, vec![], 100, 10),
            ]
        );
        for job in 8..11 {
            assert_eq!(gather(&mut queue, JobId(job), put(b, job * 1000, 1)), job < 10, "many places");
        }
    }
}
