//! Hashing the visitor's files into a torrent, one slice at a time. The files are read, never copied.

use crate::clock;
use crate::convert::{self, Plain, get};
use crate::hash::hash_leaves;
use crate::host::{Host, News};
use crate::store::read_ahead;
use crate::task::settled;
use alloc::rc::Rc;
use core::cell::Cell;
use core::time::Duration;
use js_sys::{Array, Uint8Array};
use swarmlet_core::content::{Builder, Built, ContentError, Magnet};
use swarmlet_core::{Command, Instant};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

/// Bytes of a slice: large enough to keep the disk busy, small enough to hash between two messages of a link.
const SLICE_BYTES: u32 = 1024 * 1024;
/// Between two reports of progress.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Files to hash, as the page gave them.
pub(crate) struct Files {
    entries: Vec<(Vec<String>, u64)>,
    blobs: Vec<Blob>,
}

impl Files {
    /// Reads a list of `{ path: string[], blob: Blob }`.
    pub(crate) fn of(list: &Array) -> Self {
        let (mut entries, mut blobs) = (Vec::new(), Vec::new());
        for at in 0..list.length() {
            let item = list.get(at);
            let blob: Blob = get(&item, "blob").unchecked_into();
            entries.push((convert::texts(&get(&item, "path")), blob.size() as u64));
            blobs.push(blob);
        }
        Self { entries, blobs }
    }
}

/// Hashes `files` and leaves the command to seed them for the next run of the host.
pub(crate) async fn seed(
    host: &'static Host,
    call: u32,
    files: Files,
    name: String,
    web_seeds: Vec<String>,
    cancelled: Rc<Cell<bool>>,
) -> Result<(Magnet, Vec<usize>), JsValue> {
    let built = hash(host, call, &files, &name, web_seeds, &cancelled).await?;
    let made = (built.torrent.magnet(), built.order.clone());
    for (entry, given) in built.torrent.info.files.iter().zip(&built.order) {
        if let (Some(root), Some(blob)) = (entry.root, files.blobs.get(*given)) {
            host.store.seed(root, blob.clone());
        }
    }
    host.push(News::Command(Command::Seed { torrent: Box::new(built.torrent), leaves: built.leaves }));
    Ok(made)
}

async fn hash(
    host: &Host,
    call: u32,
    files: &Files,
    name: &str,
    web_seeds: Vec<String>,
    cancelled: &Cell<bool>,
) -> Result<Built, JsValue> {
    let refuse = |error: ContentError| convert::refusal(code(error), Some(error));
    let mut builder = Builder::new(name, &files.entries, web_seeds).map_err(refuse)?.hash_with(hash_leaves);
    let mut reported = Instant::ZERO;
    for (index, blob) in files.blobs.iter().enumerate() {
        let size = blob.size() as u64;
        let mut next = (size > 0).then(|| read_ahead(blob, 0.0, SLICE_BYTES));
        let mut start = 0;
        while let Some(slice) = next {
            let bytes = settled(&slice).await.map_err(|_| gone())?;
            if cancelled.get() {
                return Err(convert::refusal("aborted", None));
            }
            let bytes = bytes.unchecked_into::<Uint8Array>().to_vec();
            start += u64::from(SLICE_BYTES);
            // The disk reads the next slice while this one is hashed.
            next = (start < size).then(|| read_ahead(blob, start as f64, SLICE_BYTES));
            builder.push(index, &bytes).map_err(refuse)?;
            if clock::now().since(reported) >= REPORT_EVERY {
                reported = clock::now();
                host.tell(Plain::of("hashed").set("id", call).number("hashed", builder.hashed()).done());
            }
        }
    }
    builder.finish().map_err(refuse)
}

fn gone() -> JsValue {
    convert::refusal("source-gone", None)
}

const fn code(error: ContentError) -> &'static str {
    match error {
        ContentError::Name | ContentError::NameTooLong | ContentError::TooDeep | ContentError::Duplicate => {
            "bad-name"
        }
        ContentError::NoFiles => "no-files",
        ContentError::TooManyFiles | ContentError::FileTooLarge | ContentError::TotalTooLarge => "too-large",
        ContentError::Surplus | ContentError::Incomplete => "source-gone",
        _ => "bad-argument",
    }
}
