//! Files and folders of this machine, hashed into a torrent. They are read, never copied.

use super::known::{self, Known};
use crate::Error;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use swarmlet_core::config::{FILES_MAX, PATH_DEPTH_MAX};
use swarmlet_core::content::{Builder, Built, Torrent};
use swarmlet_core::{ContentId, Root};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// A share, and where its files are.
#[derive(Clone, Debug)]
pub struct Made {
    pub(super) built: Built,
    /// Of each file of the torrent.
    paths: Vec<PathBuf>,
}

/// A file to share: its path in the share, its length, and where it is.
struct Found {
    names: Vec<String>,
    length: u64,
    path: PathBuf,
}

impl Made {
    /// Reads and hashes a file, or a folder with all that is in it. Names that begin with a dot, links and what
    /// is neither file nor folder are left out. Takes as long as reading it all does.
    ///
    /// # Errors
    /// When something cannot be read, or cannot be shared.
    pub fn of(path: &Path, web_seeds: Vec<String>) -> Result<Self, Error> {
        Self::watched(path, web_seeds, None, &mut |_, _| true)
    }

    /// The same; `cache` is the folder that remembers hashes, and `progress` is told bytes hashed and bytes in all,
    /// and may end it by `false`.
    ///
    /// # Errors
    /// The same, and when it was ended.
    pub fn watched(
        path: &Path,
        web_seeds: Vec<String>,
        cache: Option<&Path>,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Self, Error> {
        let whole = path.canonicalize().map_err(|error| Error::Read(path.to_owned(), error))?;
        let unfit = |text: &dyn ToString| Error::Unfit(path.to_owned(), text.to_string());
        let name = whole.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| unfit(&"its name is not UTF-8"))?;
        let mut found = Vec::new();
        if whole.is_file() {
            let length = length(&whole)?;
            found.push(Found { names: vec![name.to_owned()], length, path: whole.clone() });
        } else {
            find(&whole, &mut Vec::new(), &mut found)?;
        }
        let listed: Vec<_> = found.iter().map(|file| (file.names.clone(), file.length)).collect();
        let total = found.iter().map(|file| file.length).sum();
        let mut builder = Builder::new(name, &listed, web_seeds).map_err(|error| unfit(&error))?;
        let mut known = Known::open(cache, &whole, total);
        let mut looks = Vec::with_capacity(found.len());
        for (index, file) in found.iter().enumerate() {
            let look = known::look(&file.path);
            match look.as_ref().and_then(|look| known.get(look)) {
                Some(leaves) => builder.know(index, leaves.to_vec()).map_err(|error| unfit(&error))?,
                None => hash_file(&mut builder, index, &file.path, &mut |hashed| progress(hashed, total))?,
            }
            looks.push(look);
        }
        let built = builder.finish().map_err(|error| unfit(&error))?;
        for (entry, given) in built.torrent.info.files.iter().zip(&built.order) {
            let leaves = entry.root.and_then(|root| built.leaves.get(&root));
            if let (Some(Some(look)), Some(leaves)) = (looks.get(*given), leaves) {
                known.put(look, leaves);
            }
        }
        known.keep();
        let paths = built.order.iter().filter_map(|given| found.get(*given)).map(|file| file.path.clone());
        Ok(Self { paths: paths.collect(), built })
    }

    /// Where each file of the torrent is, in its order.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Where the bytes of each root are.
    pub(super) fn sources(&self) -> Vec<(Root, PathBuf)> {
        let entries = self.torrent().info.files.iter().zip(&self.paths);
        entries.filter_map(|(entry, path)| Some((entry.root?, path.clone()))).collect()
    }

    /// What the share is.
    #[must_use]
    pub const fn content(&self) -> ContentId {
        self.built.torrent.info.content
    }

    /// Its torrent.
    #[must_use]
    pub const fn torrent(&self) -> &Torrent {
        &self.built.torrent
    }
}

fn length(path: &Path) -> Result<u64, Error> {
    fs::metadata(path).map(|data| data.len()).map_err(|error| Error::Read(path.to_owned(), error))
}

fn find(folder: &Path, names: &mut Vec<String>, found: &mut Vec<Found>) -> Result<(), Error> {
    let unreadable = |error| Error::Read(folder.to_owned(), error);
    let entries = fs::read_dir(folder).map_err(unreadable)?.collect::<Result<Vec<_>, _>>();
    let mut entries = entries.map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type().map_err(unreadable)?);
        let Ok(name) = entry.file_name().into_string() else {
            return Err(Error::Unfit(path, "its name is not UTF-8".to_owned()));
        };
        if name.starts_with('.') {
            continue;
        }
        names.push(name);
        if kind.is_dir() && names.len() < PATH_DEPTH_MAX {
            find(&path, names, found)?;
        } else if kind.is_file() {
            if found.len() == FILES_MAX {
                return Err(Error::Unfit(path, format!("more than {FILES_MAX} files")));
            }
            found.push(Found { names: names.clone(), length: length(&path)?, path });
        }
        names.pop();
    }
    Ok(())
}

/// Hashes a file into its place; `progress` hears how many bytes the builder has hashed and says whether to go on.
pub(crate) fn hash_file(
    builder: &mut Builder,
    index: usize,
    path: &Path,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<(), Error> {
    let unreadable = |error| Error::Read(path.to_owned(), error);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let size = file.read(&mut chunk).map_err(unreadable)?;
        let Some(bytes) = chunk.get(..size).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        builder.push(index, bytes).map_err(|error| Error::Unfit(path.to_owned(), error.to_string()))?;
        if !progress(builder.hashed()) {
            return Err(Error::Unfit(path.to_owned(), "hashing was ended".to_owned()));
        }
    }
}
