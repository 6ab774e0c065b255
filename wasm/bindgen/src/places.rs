//! Where a panic says that it happened: file, line and column, sixteen bytes for each place, and the files' names. Lines
//! are enough to find it, and of other people's files the last part of the name.

use walrus::ir::Value;
use walrus::{ConstExpr, DataId, DataKind, Module};

/// Nobody's file has more lines or columns, nor a longer name.
const LINES_MAX: u32 = 100_000;
const COLUMNS_MAX: u32 = 1000;
const NAME_MAX: u32 = 200;

/// Bytes of the module's memory from an address on.
struct Segment {
    id: DataId,
    start: u32,
    bytes: Vec<u8>,
}

/// Forgets columns, and the folders of files that are not ours.
pub(crate) fn shorten(module: &mut Module) {
    let mut segments = Vec::new();
    for data in module.data.iter() {
        if let DataKind::Active { offset: ConstExpr::Value(Value::I32(start)), .. } = data.kind {
            segments.push(Segment { id: data.id(), start: start as u32, bytes: data.value.clone() });
        }
    }
    let mut folders = Vec::new();
    for at in 0..segments.len() {
        let first = segments[at].start.next_multiple_of(4) - segments[at].start;
        for place in (first as usize..segments[at].bytes.len().saturating_sub(15)).step_by(4) {
            let Some((name, length, folder)) = read(&segments, at, place) else { continue };
            put(&mut segments[at], place, name + folder);
            put(&mut segments[at], place + 4, length - folder);
            put(&mut segments[at], place + 12, 0);
            folders.push((name, folder));
        }
    }
    for (name, length) in folders {
        for segment in &mut segments {
            if let Some(at) = name.checked_sub(segment.start).map(|at| at as usize)
                && let Some(folder) = segment.bytes.get_mut(at..at + length as usize)
            {
                folder.fill(0);
            }
        }
    }
    for segment in segments {
        module.data.get_mut(segment.id).value = segment.bytes;
    }
}

/// The name's address and length, and how much of it is a folder of somebody else's, if a place stands there.
fn read(segments: &[Segment], at: usize, place: usize) -> Option<(u32, u32, u32)> {
    let word = |n: usize| -> Option<u32> {
        let bytes = segments[at].bytes.get(place + 4 * n..place + 4 * n + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let (name, length, line, column) = (word(0)?, word(1)?, word(2)?, word(3)?);
    let fits = (4..NAME_MAX).contains(&length)
        && (1..LINES_MAX).contains(&line)
        && (1..COLUMNS_MAX).contains(&column);
    let text = segments.iter().find_map(|segment| {
        let from = name.checked_sub(segment.start)? as usize;
        segment.bytes.get(from..from.checked_add(length as usize)?)
    })?;
    let text = core::str::from_utf8(text).ok().filter(|text| fits && text.ends_with(".rs"))?;
    let theirs = text.starts_with("/rustc/") || text.starts_with("index.crates.io");
    let folder = text.rfind('/').filter(|_| theirs).map_or(0, |slash| slash as u32 + 1);
    Some((name, length, folder))
}

fn put(segment: &mut Segment, at: usize, value: u32) {
    segment.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_other_peoples_folders_go() {
        let names = b"core/src/a.rs/rustc/0123/library/core/b.rs";
        let mut bytes = names.to_vec();
        bytes.resize(44, b'x');
        for word in [1024, 13, 7, 5, 1037, 29, 8, 6, 1024, 12, 7, 5] {
            bytes.extend(u32::to_le_bytes(word));
        }
        let mut module = Module::default();
        let memory = module.memories.add_local(false, false, 1, None, None);
        let offset = ConstExpr::Value(Value::I32(1024));
        module.data.add(DataKind::Active { memory, offset }, bytes);
        shorten(&mut module);
        let data = module.data.iter().next().expect("one segment");
        assert_eq!(&data.value[..13], b"core/src/a.rs");
        assert_eq!(&data.value[13..38], &[0; 25]);
        assert_eq!(&data.value[38..44], b"b.rsxx");
        let words: Vec<u32> = data.value[44..]
            .chunks(4)
            .map(|word| u32::from_le_bytes(word.try_into().expect("four")))
            .collect();
        // The last names no file, so it is no place.
        assert_eq!(words, [1024, 13, 7, 0, 1062, 4, 8, 0, 1024, 12, 7, 5]);
    }
}
