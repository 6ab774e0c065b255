//! Hashes files into a torrent, chunk by chunk as their bytes come.

use super::info::{FileEntry, check_files};
use super::layout::ceil_log2;
use super::{ContentError, Info, Layout, Torrent, hash_leaves, names, tree, url};
use crate::config::{INFO_BYTES_MAX, LEAF_BYTES, URLS_MAX};
use crate::id::{Hash, Root};
use crate::util::{Map, order};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A share in the making. Holds a hash for each leaf and less than a leaf of bytes for each file begun.
#[derive(Debug)]
pub struct Builder {
    name: String,
    pub(super) piece_length: u32,
    web_seeds: Vec<String>,
    /// As given.
    files: Vec<Growing>,
    /// Given indices in the order of the file tree.
    order: Vec<usize>,
    hashed: u64,
    hash_leaves: fn(&[u8]) -> Vec<Hash>,
}

#[derive(Debug)]
struct Growing {
    entry: FileEntry,
    /// Bytes still to come.
    left: u64,
    /// The start of the next leaf.
    partial: Vec<u8>,
    leaves: Vec<Hash>,
}

/// A share, made.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its torrent.
    pub torrent: Torrent,
    /// Leaf hashes of each file that is not empty, by its root.
    pub leaves: Map<Root, Vec<Hash>>,
    /// For each file of the torrent, which of the given ones it is.
    pub order: Vec<usize>,
}

impl Builder {
    /// Begins a share of files with these paths and lengths. A single file whose path is just the name becomes
    /// a single-file torrent; otherwise the name is that of the folder. Odd web seeds are left out.
    ///
    /// # Errors
    /// When a name, path, length or their number breaks the rules that [`Info::parse`] has too.
    pub fn new(
        name: &str,
        files: &[(Vec<String>, u64)],
        mut web_seeds: Vec<String>,
    ) -> Result<Self, ContentError> {
        names::check_name(name)?;
        let mut entries = Vec::with_capacity(files.len());
        let mut largest = 1;
        for (path, length) in files {
            let root = (*length > 0).then_some(Root([0; 32]));
            entries.push(FileEntry { path: path.clone(), length: *length, root });
            largest = largest.max(*length);
        }
        check_files(&entries)?;
        let layout = Layout::of(largest).ok_or(ContentError::FileTooLarge)?;
        let mut files = Vec::with_capacity(entries.len());
        for entry in entries {
            files.push(Growing { left: entry.length, entry, partial: Vec::new(), leaves: Vec::new() });
        }
        // Bytes of UTF-8 sort as bencoding wants its keys, and a folder's files stay together.
        let order = order(files.len(), &|a, b| files[a].entry.path < files[b].entry.path);
        web_seeds.retain(|seed| url::is_http(seed));
        web_seeds.truncate(URLS_MAX);
        let piece_length = layout.piece_length();
        let builder =
            Self { name: name.to_string(), piece_length, web_seeds, files, order, hashed: 0, hash_leaves };
        // Roots do not change the size of the dictionary, so it is known now whether it will be too large.
        if builder.info().len() > INFO_BYTES_MAX { Err(ContentError::TooLarge) } else { Ok(builder) }
    }

    /// Hashes with the host's own way from now on.
    #[must_use]
    pub fn hash_with(mut self, hash_leaves: fn(&[u8]) -> Vec<Hash>) -> Self {
        self.hash_leaves = hash_leaves;
        self
    }

    /// Takes the next bytes of a file, named by its index in the given list.
    ///
    /// # Errors
    /// When there is no such file, or it was said to be shorter.
    pub fn push(&mut self, file: usize, mut bytes: &[u8]) -> Result<(), ContentError> {
        let file = self.files.get_mut(file).ok_or(ContentError::NoSuchFile)?;
        file.left = file.left.checked_sub(bytes.len() as u64).ok_or(ContentError::Surplus)?;
        self.hashed += bytes.len() as u64;
        let leaf_bytes = LEAF_BYTES as usize;
        if !file.partial.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(leaf_bytes - file.partial.len()));
            file.partial.extend_from_slice(head);
            bytes = rest;
            if file.partial.len() == leaf_bytes {
                file.leaves.extend((self.hash_leaves)(&file.partial));
                file.partial.clear();
            }
        }
        let (leaves, rest) = bytes.split_at(bytes.len() - bytes.len() % leaf_bytes);
        file.leaves.extend((self.hash_leaves)(leaves));
        file.partial.extend_from_slice(rest);
        if file.left == 0 {
            let last = core::mem::take(&mut file.partial);
            file.leaves.extend((self.hash_leaves)(&last));
        }
        Ok(())
    }

    /// Takes the leaf hashes of a whole file that was hashed before, in place of its bytes.
    ///
    /// # Errors
    /// When there is no such file, bytes of it were taken already, or these are not as many as it has leaves.
    pub fn know(&mut self, file: usize, leaves: Vec<Hash>) -> Result<(), ContentError> {
        let file = self.files.get_mut(file).ok_or(ContentError::NoSuchFile)?;
        if file.left != file.entry.length || leaves.len() as u64 != file.left.div_ceil(u64::from(LEAF_BYTES))
        {
            return Err(ContentError::Surplus);
        }
        self.hashed += file.left;
        (file.left, file.leaves) = (0, leaves);
        Ok(())
    }

    /// Bytes taken so far, of all files.
    #[must_use]
    pub const fn hashed(&self) -> u64 {
        self.hashed
    }

    /// Makes the torrent.
    ///
    /// # Errors
    /// When bytes of a file are missing.
    pub fn finish(mut self) -> Result<Built, ContentError> {
        if self.files.iter().any(|file| file.left > 0) {
            return Err(ContentError::Incomplete);
        }
        let level = ceil_log2(self.piece_length / LEAF_BYTES);
        let (mut layers, mut leaves) = (Map::new(), Map::new());
        for file in &mut self.files {
            let Some(layout) = Layout::of(file.entry.length) else { continue };
            let hashes = core::mem::take(&mut file.leaves);
            let (root, layer) = tree::layer(hashes.clone(), layout.height(), level);
            file.entry.root = Some(root);
            leaves.insert(root, hashes);
            if !layer.is_empty() {
                layers.insert(root, layer);
            }
        }
        let info = Info::parse(&self.info())?;
        let torrent = Torrent { info, layers, web_seeds: self.web_seeds, trackers: Vec::new() };
        Ok(Built { torrent, leaves, order: self.order })
    }

    fn info(&self) -> Vec<u8> {
        let mut entries = Vec::with_capacity(self.order.len());
        for at in &self.order {
            entries.push(&self.files[*at].entry);
        }
        Info::write(&self.name, self.piece_length, &entries)
    }
}
