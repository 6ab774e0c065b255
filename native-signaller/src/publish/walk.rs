//! Which files of a site are worth publishing.

use super::manifest;
use crate::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use swarmlet_core::config::{FILES_MAX, PATH_DEPTH_MAX};

/// A file, and how it looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// From the site's folder, elements joined by `/`.
    pub(crate) path: String,
    pub(crate) size: u64,
    /// Nanoseconds since 1970 of the last change.
    pub(crate) changed: u64,
}

impl Found {
    /// The elements of its path.
    pub(super) fn names(&self) -> Vec<String> {
        self.path.split('/').map(str::to_owned).collect()
    }
}

/// All files of a folder, in the order of their names. Names that begin with a dot, links, our own files, small ones
/// and those that are excluded are left out.
pub(super) fn find(folder: &Path, exclude: &[String], min_size: u64) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    look(folder, "", 0, &mut |path, data| {
        let own = manifest::OWN.contains(&path) || path.ends_with(".part");
        if own || data.len() < min_size.max(1) || exclude.iter().any(|pattern| fits(pattern, path)) {
            return true;
        }
        let changed = data.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        found.push(Found { path: path.to_owned(), size: data.len(), changed });
        found.len() < FILES_MAX
    })?;
    Ok(found)
}

/// Shows each file to `keep`, until it says no.
fn look(
    folder: &Path,
    prefix: &str,
    depth: usize,
    keep: &mut dyn FnMut(&str, &fs::Metadata) -> bool,
) -> Result<bool, Error> {
    let unreadable = |error| Error::Read(folder.to_owned(), error);
    let mut entries: Vec<_> =
        fs::read_dir(folder).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path: PathBuf = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            return Err(Error::Unfit(path, "its name is not UTF-8".to_owned()));
        };
        if name.starts_with('.') {
            continue;
        }
        let (key, kind) = (format!("{prefix}{name}"), entry.file_type().map_err(unreadable)?);
        let more = if kind.is_dir() && depth + 1 < PATH_DEPTH_MAX {
            look(&path, &format!("{key}/"), depth + 1, keep)?
        } else if kind.is_file() {
            let data = entry.metadata().map_err(|error| Error::Read(path.clone(), error))?;
            keep(&key, &data)
        } else {
            true
        };
        if !more {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a path fits a pattern, in which `*` stands for anything, folders too.
fn fits(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = path.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, path) in [
            ("*", "a"),
            ("*.html", "a/b.html"),
            ("private/*", "private/a/b"),
            ("a*b*c", "a--b--c"),
            ("a*bb", "abbb"),
            ("exact.txt", "exact.txt"),
        ] {
            assert!(fits(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("*.html", "a.htm"),
            ("private/*", "a/private/b"),
            ("a*a", "a"),
            ("exact", "exact.txt"),
            ("", "a"),
        ] {
            assert!(!fits(pattern, path), "{pattern} {path}");
        }
    }
}
