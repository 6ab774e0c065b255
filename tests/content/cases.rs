//! The shares of cases.txt, made with our own builder.

use swarmlet_core::content::{Builder, Built};

/// One share that libtorrent and this project describe alike.
pub(crate) struct Case {
    /// The file's or folder's name.
    pub(crate) name: String,
    /// Whether we choose the piece length that it has.
    pub(crate) is_ours: bool,
    /// HTTP sources.
    pub(crate) web_seeds: Vec<String>,
    /// Path elements, length and shift of the pattern.
    pub(crate) files: Vec<(Vec<String>, u64, u64)>,
}

/// All shares of cases.txt, in order.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in include_str!("cases.txt").lines().filter(|line| !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').expect("each line has a word and a value");
        if word == "case" {
            let (name, piece_length) = rest.rsplit_once(' ').expect("a name and a piece length");
            let (name, is_ours) = (name.to_string(), piece_length == "0");
            cases.push(Case { name, is_ours, web_seeds: Vec::new(), files: Vec::new() });
            continue;
        }
        let case = cases.last_mut().expect("a case stands first");
        match word {
            "web" => case.web_seeds.push(rest.to_string()),
            "file" => {
                let mut words = rest.splitn(3, ' ');
                let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
                let (length, shift) = (number(), number());
                let path = words.next().expect("a path").split('/').map(str::to_string).collect();
                case.files.push((path, length, shift));
            }
            _ => {}
        }
    }
    cases
}

/// Byte `i` of a file: (i + shift) mod 251.
pub(crate) fn pattern(length: u64, shift: u64) -> Vec<u8> {
    (shift..shift + length).map(|at| (at % 251) as u8).collect()
}

impl Case {
    /// The share as our builder makes it.
    pub(crate) fn build(&self) -> Built {
        let list: Vec<_> = self.files.iter().map(|(path, length, _)| (path.clone(), *length)).collect();
        let mut builder = Builder::new(&self.name, &list, self.web_seeds.clone()).expect("a good case");
        for (at, (_, length, shift)) in self.files.iter().enumerate() {
            for chunk in pattern(*length, *shift).chunks(50_000) {
                builder.push(at, chunk).expect("as many bytes as were named");
            }
        }
        builder.finish().expect("all bytes were given")
    }
}
