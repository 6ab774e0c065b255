//! Made torrents: read back as the same, in tree order, whatever the chunks.

use super::{pattern, share};
use crate::content::ContentError::{self, Duplicate, Incomplete, NoFiles, NoSuchFile, Surplus};
use crate::content::{Builder, Info, Layout, Torrent, Tree, web_url};
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec::Vec;

fn file(path: &[&str], length: u64) -> (Vec<String>, u64) {
    (path.iter().map(ToString::to_string).collect(), length)
}

#[test]
fn files_come_in_the_order_of_the_tree() {
    let built = share("f", &[("b", 1), ("a.txt", 2), ("a/z", 3), ("Ä/ø", 4), ("a/b/c", 0), ("C", 5)]);
    let paths: Vec<String> = built.torrent.info.files.iter().map(|file| file.path.join("/")).collect();
    assert_eq!(paths, ["C", "a/b/c", "a/z", "a.txt", "b", "Ä/ø"]);
}

#[test]
fn a_torrent_reads_back_as_itself() {
    let built = share("f", &[("b", 70_000), ("a/z", 3), ("c", 1 << 20), ("empty", 0)]);
    let torrent = built.torrent;
    assert_eq!(built.order, [1, 0, 2, 3]);
    assert_eq!(Torrent::parse(&torrent.encode()), Ok(torrent.clone()));
    assert_eq!(torrent.info.total, 70_000 + 3 + (1 << 20));
    assert_eq!(torrent.info.piece_length, 65_536);
    assert!(!torrent.info.is_single());
    assert_eq!(torrent.magnet().content, torrent.info.content);
    assert_ne!(torrent.info.topic().bytes(), torrent.info.content.bytes());
    for (at, entry) in torrent.info.files.iter().enumerate() {
        let tree = torrent.seed_tree(at);
        assert_eq!(tree.as_ref().map(Tree::root), entry.root);
        let Some(tree) = tree else { continue };
        assert_eq!(tree.missing_layer(), None);
        let whole = Tree::from_leaves(tree.layout(), built.leaves[&tree.root()].clone());
        assert_eq!(whole.root(), tree.root());
        for piece in tree.layout().all_pieces() {
            let level = tree.layout().piece_level().min(tree.layout().height());
            assert_eq!(tree.node(level, piece.get()), whole.node(level, piece.get()));
        }
    }
    assert!(torrent.seed_tree(99).is_none());
}

#[test]
fn what_does_not_fit_is_refused() {
    let new = |name: &str, files: &[(Vec<String>, u64)]| Builder::new(name, files, Vec::new()).map(drop);
    assert_eq!(new("f", &[]), Err(NoFiles));
    assert_eq!(new("..", &[file(&["a"], 1)]), Err(ContentError::Name));
    assert_eq!(new("f", &[file(&[], 1)]), Err(ContentError::Name));
    assert_eq!(new("f", &[file(&["a", ""], 1)]), Err(ContentError::Name));
    assert_eq!(new("f", &[file(&["a"], 1), file(&["A"], 1)]), Err(Duplicate));
    assert_eq!(new("f", &[file(&["a"], 1), file(&["a"], 1)]), Err(Duplicate));
    assert_eq!(new("f", &[file(&["AE"], 1), file(&["ae", "x"], 1)]), Err(Duplicate));
    assert_eq!(new("f", &[file(&["a"], u64::MAX)]), Err(ContentError::FileTooLarge));
    assert_eq!(new("f", &[file(&["x"; 33], 1)]), Err(ContentError::TooDeep));
    assert_eq!(new("f", &[file(&["x"; 32], 1)]), Ok(()));
    let many: Vec<_> = (0..100_001).map(|at| file(&[&at.to_string()], 0)).collect();
    assert_eq!(new("f", &many), Err(ContentError::TooManyFiles));
    let long: Vec<_> = (0..20_000).map(|at| file(&[&std::format!("{at:0>200}")], 1)).collect();
    assert_eq!(new("f", &long), Err(ContentError::TooLarge));
    let huge: Vec<_> = (0..16_385).map(|at| file(&[&at.to_string()], 512 << 30)).collect();
    assert_eq!(new("f", &huge), Err(ContentError::TotalTooLarge));

    let mut builder = Builder::new("f", &[file(&["a"], 3)], Vec::new()).unwrap();
    assert_eq!(builder.push(1, b"x"), Err(NoSuchFile));
    assert_eq!(builder.push(0, b"long"), Err(Surplus));
    assert_eq!(builder.push(0, b"xy"), Ok(()));
    assert_eq!(builder.push(0, b"zz"), Err(Surplus));
    assert_eq!(builder.hashed(), 2);
    assert_eq!(builder.finish().map(drop), Err(Incomplete));
}

#[test]
fn web_seed_addresses_follow_bep_19() {
    let single = share("a b.txt", &[("a b.txt", 1)]).torrent.info;
    assert!(single.is_single());
    assert_eq!(web_url(&single, "https://h/x", 0).unwrap(), "https://h/x");
    assert_eq!(web_url(&single, "https://h/x/", 0).unwrap(), "https://h/x/a%20b.txt");
    let folder = share("Ordner", &[("ü/100%?#.txt", 1), ("b~-_.", 1)]).torrent.info;
    assert_eq!(web_url(&folder, "https://h/x", 0).unwrap(), "https://h/x/Ordner/b~-_.");
    assert_eq!(web_url(&folder, "https://h/", 1).unwrap(), "https://h/Ordner/%C3%BC/100%25%3F%23.txt");
    assert_eq!(web_url(&folder, "https://h/", 2), None);
    for base in ["https://h/#", "https://h#"] {
        assert_eq!(web_url(&folder, base, 1).unwrap(), "https://h/%C3%BC/100%25%3F%23.txt");
    }
    assert_eq!(web_url(&single, "https://h/x/#", 0).unwrap(), "https://h/x/a%20b.txt");
    let web = ["ftp://x/y", "https://h/x", "http://"].map(String::from).to_vec();
    let mut builder = Builder::new("f", &[file(&["f"], 1)], web).unwrap();
    builder.push(0, b"x").unwrap();
    assert_eq!(builder.finish().unwrap().torrent.web_seeds, ["https://h/x"]);
}

#[test]
fn the_piece_length_follows_the_largest_file() {
    let length = |bytes| {
        let builder = Builder::new("f", &[file(&["f"], bytes), file(&["g"], 1)], Vec::new()).unwrap();
        builder.piece_length
    };
    for bytes in [0, 1, 65_536, 512 << 20, (512 << 20) + 1, 64 << 30, 512 << 30] {
        assert_eq!(length(bytes), Layout::of(bytes.max(1)).unwrap().piece_length());
    }
}

#[test]
fn a_file_that_was_hashed_before_needs_no_bytes() {
    let whole = share("f", &[("a", 40_000), ("b", 100_000)]);
    let mut builder = Builder::new("f", &[file(&["a"], 40_000), file(&["b"], 100_000)], Vec::new()).unwrap();
    let known = |at: usize| {
        let root = whole.torrent.info.files[at].root.unwrap();
        whole.leaves.get(&root).unwrap().clone()
    };
    assert_eq!(builder.know(0, known(1)), Err(Surplus));
    assert_eq!(builder.know(2, known(1)), Err(NoSuchFile));
    builder.know(0, known(0)).unwrap();
    assert_eq!(builder.know(0, known(0)), Err(Surplus));
    builder.know(1, known(1)).unwrap();
    assert_eq!(builder.hashed(), 140_000);
    assert_eq!(builder.finish().unwrap().torrent, whole.torrent);
}

#[test]
fn an_info_may_hold_one_file_named_like_it() {
    let built = share("f", &[("f", 0)]);
    assert!(built.torrent.info.is_single());
    assert!(built.leaves.is_empty() && built.torrent.seed_tree(0).is_none());
    assert_eq!(Info::parse(built.torrent.info.bytes()), Ok(built.torrent.info));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn chunks_do_not_matter(length in 0..300_000u64, sizes in proptest::collection::vec(1..50_000usize, 1..20)) {
        let bytes = pattern(length);
        let mut builder = Builder::new("f", &[file(&["f"], length)], Vec::new()).unwrap();
        let (mut rest, mut sizes) = (bytes.as_slice(), sizes.iter().cycle());
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            builder.push(0, chunk).unwrap();
            rest = later;
        }
        let built = builder.finish().unwrap();
        prop_assert_eq!(built.torrent, share("f", &[("f", length)]).torrent);
    }
}
