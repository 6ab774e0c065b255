//! Which paths a share may have. One rule for what is read and for what is made.
//!
//! Refused is what could escape a folder, hide what a name says, or fall together with another file.
//! Trailing dots, spaces and Windows device names pass: files are stored by their root, never under these
//! names, and a browser that saves one replaces what its system cannot take.

use super::{ContentError, FileEntry};
use crate::config::{FILES_MAX, NAME_BYTES_MAX, PATH_DEPTH_MAX};
use crate::util::order;
use alloc::string::String;
use alloc::vec::Vec;

/// Checks the name of a share, a folder or a file.
pub(super) fn check_name(name: &str) -> Result<(), ContentError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(ContentError::NameTooLong);
    }
    if matches!(name, "" | "." | "..") || name.chars().any(is_refused) {
        return Err(ContentError::Name);
    }
    Ok(())
}

/// Reads a name from bytes.
pub(super) fn read_name(bytes: &[u8]) -> Result<&str, ContentError> {
    if bytes.len() > NAME_BYTES_MAX {
        return Err(ContentError::NameTooLong);
    }
    let name = core::str::from_utf8(bytes).map_err(|_| ContentError::Name)?;
    check_name(name).map(|()| name)
}

/// Checks the paths of a share against one another.
pub(super) fn check_paths(files: &[FileEntry]) -> Result<(), ContentError> {
    match files.len() {
        0 => return Err(ContentError::NoFiles),
        count if count > FILES_MAX => return Err(ContentError::TooManyFiles),
        _ => {}
    }
    let mut folded: Vec<Vec<String>> = Vec::with_capacity(files.len());
    for file in files {
        match file.path.len() {
            0 => return Err(ContentError::Name),
            depth if depth > PATH_DEPTH_MAX => return Err(ContentError::TooDeep),
            _ => {}
        }
        let mut path = Vec::with_capacity(file.path.len());
        for name in &file.path {
            check_name(name)?;
            path.push(fold(name));
        }
        folded.push(path);
    }
    // In this order a path is followed at once by those that it is the beginning of.
    let order = order(folded.len(), &|a, b| folded[a] < folded[b]);
    if order.windows(2).any(|pair| folded[pair[1]].starts_with(&folded[pair[0]])) {
        return Err(ContentError::Duplicate);
    }
    Ok(())
}

/// The form in which names that differ only in case are equal. ASCII only: the tables for the rest of Unicode
/// would be 12 KB of every page, and nothing is ever stored under these names.
fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Separators, controls (C0, DEL, C1), line breaks, and what makes a name read in another order than it is.
const fn is_refused(char: char) -> bool {
    matches!(char,
        '/' | '\\'
        | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{2028}' | '\u{2029}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
