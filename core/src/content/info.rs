//! The info dictionary of BEP 52: what a share is. Parsed once, and valid from then on.

use super::bencode::{Reader, put_bytes, put_int};
use super::{ContentError, names};
use crate::config::{FILE_BYTES_MAX, FILES_MAX, INFO_BYTES_MAX, LEAF_BYTES, PATH_DEPTH_MAX, TOTAL_BYTES_MAX};
use crate::id::{ContentId, Root, Topic};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use sha2::{Digest, Sha256};

/// The largest piece length that is read. Ours are at most 8 MiB; what others chose matters little here.
const PIECE_LENGTH_MAX: i64 = 1 << 30;

/// One file of a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Path elements, without the name of the share.
    pub path: Vec<String>,
    /// Bytes.
    pub length: u64,
    /// What it swarms as; `None` for an empty file.
    pub root: Option<Root>,
}

/// A valid info dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// SHA-256 of the dictionary's bytes.
    pub content: ContentId,
    /// The name of the file or of the folder.
    pub name: String,
    /// Bytes of a piece in the torrent's own layers; swarming uses [`super::Layout`].
    pub piece_length: u32,
    /// Files in the order of the file tree.
    pub files: Vec<FileEntry>,
    /// Bytes of all files.
    pub total: u64,
    bytes: Vec<u8>,
}

/// The id of the share that has these bytes as its info dictionary.
#[must_use]
pub fn content_id(info: &[u8]) -> ContentId {
    ContentId(Sha256::digest(info).into())
}

/// What a tracker knows a share by: derived, so that it does not learn the content id.
#[must_use]
pub fn topic_of(content: &ContentId) -> Topic {
    Topic(Sha256::new().chain_update(b"swarmlet topic").chain_update(content.0).finalize().into())
}

/// The swarm in which all visitors of a site meet, whatever deploy they have: by the public key that signs for it.
#[must_use]
pub fn site_topic(key: &[u8; 32]) -> Topic {
    Topic(Sha256::new().chain_update(b"swarmlet site").chain_update(key).finalize().into())
}

impl Info {
    /// Reads an info dictionary. Unknown keys count in the hash and are otherwise ignored, so hybrid torrents
    /// are read as what they are in version 2.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, ContentError> {
        if bytes.len() > INFO_BYTES_MAX {
            return Err(ContentError::TooLarge);
        }
        Reader::check(bytes)?;
        check_version(bytes)?;
        let (mut files, mut name, mut piece_length) = (None, None, None);
        let mut reader = Reader::new(bytes);
        let mut keys = reader.dict()?;
        while let Some(key) = reader.key(&mut keys)? {
            match key {
                b"file tree" => files = Some(read_tree(&mut reader)?),
                b"name" => name = Some(names::read_name(reader.bytes()?)?.to_string()),
                b"piece length" => piece_length = Some(read_piece_length(&mut reader)?),
                _ => drop(reader.skip()?),
            }
        }
        let missing = ContentError::MissingField;
        let (files, name) = (files.ok_or(missing)?, name.ok_or(missing)?);
        let total = check_files(&files)?;
        Ok(Self {
            content: content_id(bytes),
            name,
            piece_length: piece_length.ok_or(missing)?,
            files,
            total,
            bytes: bytes.to_vec(),
        })
    }

    /// The dictionary, byte for byte as it was hashed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What a tracker knows this share by.
    #[must_use]
    pub fn topic(&self) -> Topic {
        topic_of(&self.content)
    }

    /// Whether this is one file and no folder: the only file has the share's name.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self.files.as_slice(), [file] if file.path == [self.name.as_str()])
    }

    /// Writes an info dictionary with exactly the keys that BEP 52 requires. `files` are in tree order.
    pub(super) fn write(name: &str, piece_length: u32, files: &[&FileEntry]) -> Vec<u8> {
        let mut out = vec![b'd'];
        put_bytes(&mut out, b"file tree");
        put_folder(&mut out, files, 0);
        put_bytes(&mut out, b"meta version");
        put_int(&mut out, 2);
        put_bytes(&mut out, b"name");
        put_bytes(&mut out, name.as_bytes());
        put_bytes(&mut out, b"piece length");
        put_int(&mut out, u64::from(piece_length));
        out.push(b'e');
        out
    }
}

/// Checks paths and lengths of files; gives the sum.
pub(super) fn check_files(files: &[FileEntry]) -> Result<u64, ContentError> {
    names::check_paths(files)?;
    let mut total = 0u64;
    for file in files {
        if file.length > FILE_BYTES_MAX {
            return Err(ContentError::FileTooLarge);
        }
        total = total.saturating_add(file.length);
    }
    if total > TOTAL_BYTES_MAX { Err(ContentError::TotalTooLarge) } else { Ok(total) }
}

/// The version comes first in meaning, though not in the order of the keys.
fn check_version(bytes: &[u8]) -> Result<(), ContentError> {
    let (mut version, mut has_v1) = (None, false);
    let mut reader = Reader::new(bytes);
    let mut keys = reader.dict()?;
    while let Some(key) = reader.key(&mut keys)? {
        if key == b"meta version" {
            version = Some(reader.int()?);
        } else {
            has_v1 |= key == b"pieces";
            reader.skip()?;
        }
    }
    match version {
        Some(2) => Ok(()),
        Some(_) => Err(ContentError::Version),
        None if has_v1 => Err(ContentError::VersionOne),
        None => Err(ContentError::MissingField),
    }
}

fn read_piece_length(value: &mut Reader<'_>) -> Result<u32, ContentError> {
    let length = value.int()?;
    let is_allowed = (i64::from(LEAF_BYTES)..=PIECE_LENGTH_MAX).contains(&length) && length.count_ones() == 1;
    u32::try_from(length).ok().filter(|_| is_allowed).ok_or(ContentError::PieceLength)
}

fn read_tree(value: &mut Reader<'_>) -> Result<Vec<FileEntry>, ContentError> {
    let mut files = Vec::new();
    read_folder(value, &mut Vec::new(), &mut files)?;
    Ok(files)
}

/// Reads a folder or, below its name, the one empty key that makes it a file.
fn read_folder(
    value: &mut Reader<'_>,
    path: &mut Vec<String>,
    files: &mut Vec<FileEntry>,
) -> Result<(), ContentError> {
    let (mut entries, mut is_file) = (0u32, false);
    let mut keys = value.dict()?;
    while let Some(key) = value.key(&mut keys)? {
        entries += 1;
        if key.is_empty() {
            is_file = true;
            files.push(read_file(value, path)?);
        } else {
            if path.len() >= PATH_DEPTH_MAX {
                return Err(ContentError::TooDeep);
            }
            path.push(names::read_name(key)?.to_string());
            read_folder(value, path, files)?;
            path.pop();
        }
        if files.len() > FILES_MAX {
            return Err(ContentError::TooManyFiles);
        }
    }
    match (path.is_empty(), is_file, entries) {
        (true, false, 0) => Err(ContentError::NoFiles),
        (true, true, _) | (false, _, 0) | (_, true, 2..) => Err(ContentError::FileTree),
        _ => Ok(()),
    }
}

fn read_file(value: &mut Reader<'_>, path: &[String]) -> Result<FileEntry, ContentError> {
    let (mut length, mut root) = (None, None);
    let mut keys = value.dict()?;
    while let Some(key) = value.key(&mut keys)? {
        match key {
            b"length" => length = Some(value.int()?),
            b"pieces root" => root = Some(value.bytes()?),
            _ => drop(value.skip()?),
        }
    }
    let length = length.ok_or(ContentError::MissingField)?;
    let length = u64::try_from(length).map_err(|_| ContentError::FileTooLarge)?;
    let root = match (length, root) {
        (0, None) => None,
        (1.., Some(bytes)) => Some(Root(bytes.try_into().map_err(|_| ContentError::BadRoot)?)),
        _ => return Err(ContentError::BadRoot),
    };
    Ok(FileEntry { path: path.to_vec(), length, root })
}

/// Writes the folder that `files`, which share their first `depth` path elements, are in.
fn put_folder(out: &mut Vec<u8>, files: &[&FileEntry], depth: usize) {
    out.push(b'd');
    for group in files.chunk_by(|a, b| a.path.get(depth) == b.path.get(depth)) {
        let Some(name) = group.first().and_then(|file| file.path.get(depth)) else { continue };
        put_bytes(out, name.as_bytes());
        match group {
            [file] if file.path.len() == depth + 1 => put_file(out, file),
            _ => put_folder(out, group, depth + 1),
        }
    }
    out.push(b'e');
}

fn put_file(out: &mut Vec<u8>, file: &FileEntry) {
    out.extend_from_slice(b"d0:d");
    put_bytes(out, b"length");
    put_int(out, file.length);
    if let Some(root) = &file.root {
        put_bytes(out, b"pieces root");
        put_bytes(out, root.bytes());
    }
    out.extend_from_slice(b"ee");
}
