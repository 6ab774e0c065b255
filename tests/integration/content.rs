//! Content ids and `.torrent` files against those that libtorrent made (tests/content/libtorrent.txt).

#[path = "../content/cases.rs"]
mod cases;

use cases::{Case, cases, pattern};
use swarmlet_core::content::{Info, Layout, Torrent, Tree, leaf_hash};

/// Each case with libtorrent's id and torrent.
fn golden() -> Vec<(Case, String, Vec<u8>)> {
    let lines: Vec<_> = include_str!("../content/libtorrent.txt").lines().collect();
    let cases = cases();
    assert_eq!(lines.len(), cases.len(), "libtorrent.txt is older than cases.txt");
    let read = |(case, line): (Case, &str)| {
        let (id, torrent) = line.split_once(' ').expect("an id and a torrent");
        let bytes = torrent.as_bytes().chunks(2).map(|pair| {
            let digits = str::from_utf8(pair).expect("hexadecimal digits");
            u8::from_str_radix(digits, 16).expect("hexadecimal digits")
        });
        (case, id.to_string(), bytes.collect())
    };
    cases.into_iter().zip(lines).map(read).collect()
}

#[test]
fn we_make_what_libtorrent_makes() {
    let mut compared = 0;
    for (case, id, torrent) in golden().into_iter().filter(|(case, ..)| case.is_ours) {
        let ours = case.build().torrent;
        assert_eq!(ours.info.content.to_string(), id, "{}", case.name);
        assert_eq!(
            ours.encode().escape_ascii().to_string(),
            torrent.escape_ascii().to_string(),
            "{}",
            case.name
        );
        compared += 1;
    }
    assert!(compared >= 12);
}

#[test]
fn we_read_what_libtorrent_makes() {
    for (case, id, bytes) in golden() {
        let torrent = Torrent::parse(&bytes).unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
        assert_eq!(torrent.info.content.to_string(), id);
        assert_eq!(torrent.info.name, case.name);
        assert_eq!(torrent.web_seeds, case.web_seeds);
        assert_eq!(torrent.encode(), bytes, "{}", case.name);
        assert_eq!(Info::parse(torrent.info.bytes()).as_ref(), Ok(&torrent.info));
        let mut expected = case.files.clone();
        expected.sort();
        assert_eq!(torrent.info.files.len(), expected.len());
        for (at, (path, length, shift)) in expected.iter().enumerate() {
            let file = &torrent.info.files[at];
            assert_eq!((&file.path, file.length), (path, *length));
            prove(&torrent, at, &pattern(*length, *shift));
        }
    }
}

/// Every leaf of a file checks against what its torrent proves, and a changed one does not.
fn prove(torrent: &Torrent, file: usize, bytes: &[u8]) {
    let Some(layout) = Layout::of(bytes.len() as u64) else {
        assert!(torrent.seed_tree(file).is_none());
        return;
    };
    let mut tree = torrent.seed_tree(file).expect("a file that is not empty has a tree");
    let whole = Tree::from_leaves(layout, bytes.chunks(16 * 1024).map(leaf_hash).collect());
    assert_eq!(tree.root(), whole.root());
    for piece in layout.all_pieces() {
        let run = tree.provable(piece);
        let first = layout.piece(run.start).expect("a piece of the file");
        let last = layout.piece(run.end - 1).expect("a piece of the file");
        let leaves = layout.leaves_of(first).start..layout.leaves_of(last).end;
        let hashes: Vec<_> = leaves.map(|leaf| whole.node(0, leaf).expect("known")).collect();
        assert_eq!(tree.learn_run(run.start, &hashes), Ok(()));
    }
    for (leaf, chunk) in (0..).zip(bytes.chunks(16 * 1024)) {
        let leaf = layout.leaf(leaf).expect("a leaf of the file");
        assert_eq!(tree.check_leaf(leaf, chunk), Some(true));
        let mut wrong = chunk.to_vec();
        wrong[chunk.len() / 2] ^= 1;
        assert_eq!(tree.check_leaf(leaf, &wrong), Some(false));
    }
}
