//! Tests of the content modules, with the help that they share.

mod bencode;
mod builder;
mod magnets;
mod refused;
mod tree;
mod vectors;

use crate::content::{Builder, Built};
use std::string::{String, ToString};
use std::vec::Vec;

/// Byte `i` is `i` modulo 251.
pub(super) fn pattern(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// A share of files with that pattern. A path is split at its slashes.
pub(super) fn share(name: &str, files: &[(&str, u64)]) -> Built {
    let split = |path: &str| path.split('/').map(ToString::to_string).collect::<Vec<String>>();
    let list: Vec<_> = files.iter().map(|(path, length)| (split(path), *length)).collect();
    let mut builder = Builder::new(name, &list, Vec::new()).unwrap();
    for (at, (_, length)) in files.iter().enumerate() {
        builder.push(at, &pattern(*length)).unwrap();
    }
    builder.finish().unwrap()
}
