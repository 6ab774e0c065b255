//! What was stored since the node wrote down what it has: that record comes a moment late, and a process may be
//! killed before. Appended to without waiting for the disk: it is for a killed process, not for a loss of power.
//! Like every record it is a claim, which the node proves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use swarmlet_core::Root;
use swarmlet_core::content::{Bitfield, Layout};

/// A total and a start, eight bytes each.
const ENTRY_BYTES: usize = 16;
/// As many entries as a file can have pieces, and as many again.
const ENTRIES_MAX: u64 = 2 * 65_536;

fn path(folder: &Path, root: Root) -> PathBuf {
    folder.join(format!("j-{root}"))
}

/// Notes that the piece at `start` of a file of `total` bytes is stored.
pub(super) fn note(folder: &Path, root: Root, total: u64, start: u64) -> io::Result<()> {
    let mut entry = [0; ENTRY_BYTES];
    entry[..8].copy_from_slice(&total.to_le_bytes());
    entry[8..].copy_from_slice(&start.to_le_bytes());
    OpenOptions::new().create(true).append(true).open(path(folder, root))?.write_all(&entry)
}

/// The bitmap of stored pieces with those that were noted. `None`: nothing was noted.
pub(super) fn merge(folder: &Path, root: Root, record: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path(folder, root)).ok()?;
    file.take(ENTRIES_MAX * ENTRY_BYTES as u64).read_to_end(&mut bytes).ok()?;
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).ok();
    let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
    let layout = Layout::of(number(&entries.first()?[..8])?)?;
    let mut have =
        Bitfield::from_bytes(record, layout.pieces()).unwrap_or_else(|| Bitfield::new(layout.pieces()));
    for entry in entries {
        let piece = number(&entry[8..])? / u64::from(layout.piece_length());
        if let Some(piece) = u32::try_from(piece).ok().and_then(|piece| layout.piece(piece)) {
            have.set(piece.get());
        }
    }
    Some(have.to_bytes())
}

/// Forgets what was noted.
pub(super) fn forget(folder: &Path, root: Root) -> io::Result<()> {
    match fs::remove_file(path(folder, root)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_added_to_what_was_written() {
        let folder = std::env::temp_dir().join(format!("swarmlet-journal-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (root, total) = (Root([7; 32]), 10 * 65_536);
        assert_eq!(merge(&folder, root, &[]), None);
        let mut written = Bitfield::new(10);
        written.set(1);
        note(&folder, root, total, 3 * 65_536).unwrap();
        note(&folder, root, total, 9 * 65_536).unwrap();
        let merged = Bitfield::from_bytes(&merge(&folder, root, &written.to_bytes()).unwrap(), 10).unwrap();
        assert_eq!(merged.iter().collect::<Vec<_>>(), [1, 3, 9]);
        // A torn last entry, as a killed process may leave.
        OpenOptions::new().append(true).open(path(&folder, root)).unwrap().write_all(&[1, 2, 3]).unwrap();
        let torn = Bitfield::from_bytes(&merge(&folder, root, b"no bitmap").unwrap(), 10).unwrap();
        assert_eq!(torn.iter().collect::<Vec<_>>(), [3, 9]);
        forget(&folder, root).unwrap();
        assert_eq!(merge(&folder, root, &[]), None);
        fs::remove_dir_all(folder).unwrap();
    }
}
