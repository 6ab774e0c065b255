//! The `.torrent` file: an info dictionary, the piece layers that prove against it, and where to look.

use super::bencode::{Reader, put_bytes};
use super::layout::ceil_log2;
use super::{ContentError, Info, Layout, Magnet, Tree, tree, url};
use crate::config::{LEAF_BYTES, TORRENT_BYTES_MAX, URLS_MAX};
use crate::id::{Hash, Root};
use crate::util::Map;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// A valid `.torrent` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torrent {
    /// What it is.
    pub info: Info,
    /// For each file larger than a piece of the torrent: the hashes of those pieces, without padding.
    pub layers: Map<Root, Vec<Hash>>,
    /// HTTP sources (BEP 19).
    pub web_seeds: Vec<String>,
    /// Addresses of BitTorrent trackers, kept for others.
    pub trackers: Vec<String>,
}

impl Torrent {
    /// Reads a `.torrent` file, and proves its layers against the roots of its files.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, ContentError> {
        if bytes.len() > TORRENT_BYTES_MAX {
            return Err(ContentError::TooLarge);
        }
        Reader::check(bytes)?;
        let (mut info, mut layers) = (None, None);
        let (mut web_seeds, mut trackers) = (Vec::new(), Vec::new());
        let mut value = Reader::new(bytes);
        let mut keys = value.dict()?;
        while let Some(key) = value.key(&mut keys)? {
            match key {
                b"announce" => push_url(&mut trackers, value.bytes()?, url::is_sane),
                b"announce-list" => {
                    value.list()?;
                    while value.item()? {
                        read_urls(&mut value, &mut trackers, url::is_sane)?;
                    }
                }
                b"info" => info = Some(Info::parse(value.skip()?)?),
                b"piece layers" => layers = Some(read_layers(&mut value)?),
                b"url-list" => read_web_seeds(&mut value, &mut web_seeds)?,
                _ => drop(value.skip()?),
            }
        }
        let info = info.ok_or(ContentError::MissingField)?;
        let layers = layers.ok_or(ContentError::LayersMissing)?;
        check_layers(&info, &layers)?;
        Ok(Self { info, layers, web_seeds, trackers })
    }

    /// Writes the `.torrent` file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![b'd'];
        if let Some(first) = self.trackers.first() {
            put_bytes(&mut out, b"announce");
            put_bytes(&mut out, first.as_bytes());
        }
        if self.trackers.len() > 1 {
            put_bytes(&mut out, b"announce-list");
            out.push(b'l');
            for tracker in &self.trackers {
                out.push(b'l');
                put_bytes(&mut out, tracker.as_bytes());
                out.push(b'e');
            }
            out.push(b'e');
        }
        put_bytes(&mut out, b"info");
        out.extend_from_slice(self.info.bytes());
        put_bytes(&mut out, b"piece layers");
        out.push(b'd');
        for (root, layer) in &self.layers {
            put_bytes(&mut out, root.bytes());
            put_bytes(&mut out, &flat(layer));
        }
        out.push(b'e');
        put_web_seeds(&mut out, &self.web_seeds);
        out.push(b'e');
        out
    }

    /// The magnet link of this share.
    #[must_use]
    pub fn magnet(&self) -> Magnet {
        Magnet {
            name: Some(self.info.name.clone()),
            web_seeds: self.web_seeds.clone(),
            trackers: self.trackers.clone(),
            ..Magnet::of(self.info.content)
        }
    }

    /// The tree of a file as far as this torrent proves it. `None` for an empty file or no file.
    #[must_use]
    pub fn seed_tree(&self, file: usize) -> Option<Tree> {
        let entry = self.info.files.get(file)?;
        let (root, layout) = (entry.root?, Layout::of(entry.length)?);
        let mut tree = Tree::new(root, layout);
        // A small file may claim the root of a large one; it has no layer all the same.
        let has_layer = entry.length > u64::from(self.info.piece_length);
        if let Some(layer) = self.layers.get(&root).filter(|_| has_layer) {
            let level = piece_level(&self.info);
            let height = layout.height() - level;
            let mut layer = layer.clone();
            layer.resize(1 << height, tree::zero_hash(level));
            // Proven when it was read, so this adds it all.
            tree.insert(level, height, 0, &layer).ok()?;
        }
        Some(tree)
    }
}

/// log2 of the leaves in a piece of the torrent.
fn piece_level(info: &Info) -> u8 {
    ceil_log2(info.piece_length / LEAF_BYTES)
}

fn read_layers(value: &mut Reader<'_>) -> Result<Map<Root, Vec<Hash>>, ContentError> {
    let mut layers = Map::new();
    let mut keys = value.dict()?;
    while let Some(key) = value.key(&mut keys)? {
        let root = Root(key.try_into().map_err(|_| ContentError::BadLayers)?);
        let (hashes, rest) = value.bytes()?.as_chunks::<32>();
        if hashes.is_empty() || !rest.is_empty() {
            return Err(ContentError::BadLayers);
        }
        let mut layer = Vec::with_capacity(hashes.len());
        for hash in hashes {
            layer.push(Hash(*hash));
        }
        layers.insert(root, layer);
    }
    Ok(layers)
}

/// Every file larger than a piece has its layer, it folds up to the root, and there are no others.
fn check_layers(info: &Info, layers: &Map<Root, Vec<Hash>>) -> Result<(), ContentError> {
    let mut proven: Map<Root, u64> = Map::new();
    for file in info.files.iter().filter(|file| file.length > u64::from(info.piece_length)) {
        let root = file.root.ok_or(ContentError::BadRoot)?;
        match proven.insert(root, file.length) {
            Some(length) if length == file.length => continue,
            Some(_) => return Err(ContentError::BadLayers),
            None => {}
        }
        let layer = layers.get(&root).ok_or(ContentError::LayersMissing)?;
        let layout = Layout::of(file.length).ok_or(ContentError::FileTooLarge)?;
        let level = piece_level(info);
        let fits = layer.len() as u64 == file.length.div_ceil(u64::from(info.piece_length));
        if !fits || tree::root_of_layer(layer.clone(), level, layout.height()) != root {
            return Err(ContentError::BadLayers);
        }
    }
    if proven.len() == layers.len() { Ok(()) } else { Err(ContentError::BadLayers) }
}

/// BEP 19: one address, or a list of them.
fn read_web_seeds(value: &mut Reader<'_>, seeds: &mut Vec<String>) -> Result<(), ContentError> {
    if value.peek()? == b'l' {
        return read_urls(value, seeds, url::is_http);
    }
    push_url(seeds, value.bytes()?, url::is_http);
    Ok(())
}

fn read_urls(
    value: &mut Reader<'_>,
    urls: &mut Vec<String>,
    is_wanted: fn(&str) -> bool,
) -> Result<(), ContentError> {
    value.list()?;
    while value.item()? {
        push_url(urls, value.bytes()?, is_wanted);
    }
    Ok(())
}

/// Keeps an address. Odd ones and those beyond the limit are only hints that are not followed.
fn push_url(urls: &mut Vec<String>, bytes: &[u8], is_wanted: fn(&str) -> bool) {
    let Some(text) = core::str::from_utf8(bytes).ok().filter(|text| is_wanted(text)) else { return };
    if urls.len() < URLS_MAX && !urls.iter().any(|known| known == text) {
        urls.push(text.to_string());
    }
}

fn put_web_seeds(out: &mut Vec<u8>, seeds: &[String]) {
    match seeds {
        [] => {}
        [seed] => {
            put_bytes(out, b"url-list");
            put_bytes(out, seed.as_bytes());
        }
        _ => {
            put_bytes(out, b"url-list");
            out.push(b'l');
            seeds.iter().for_each(|seed| put_bytes(out, seed.as_bytes()));
            out.push(b'e');
        }
    }
}

fn flat(layer: &[Hash]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(layer.len() * 32);
    for hash in layer {
        bytes.extend_from_slice(&hash.0);
    }
    bytes
}
