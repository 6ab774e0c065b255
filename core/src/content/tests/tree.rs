//! The tree against a naive model, and against every lie of one hash.

use crate::content::{Layout, Tree, TreeError, leaf_hash, parent, zero_hash};
use crate::id::{Hash, Root};
use proptest::prelude::*;
use std::vec::Vec;

const LEAF: u64 = 16 * 1024;

fn hashes(count: u32) -> Vec<Hash> {
    (0..count).map(|at| leaf_hash(&at.to_le_bytes())).collect()
}

/// All levels, padded, by the book.
fn model(leaves: &[Hash]) -> Vec<Vec<Hash>> {
    let mut row = leaves.to_vec();
    row.resize(leaves.len().next_power_of_two(), Hash([0; 32]));
    let mut rows = Vec::from([row]);
    while rows.last().unwrap().len() > 1 {
        let next = rows.last().unwrap().chunks(2).map(|pair| parent(&pair[0], &pair[1])).collect();
        rows.push(next);
    }
    rows
}

/// Every run of a tree of that height whose top is not wholly padding.
fn runs(layout: Layout) -> impl Iterator<Item = (u8, u8, u32)> {
    let tops = (0..=layout.height()).flat_map(move |top| {
        (0..layout.leaves().div_ceil(1 << top))
            .flat_map(move |index| (0..=top).map(move |low| (low, top - low, index)))
    });
    tops.filter(|(_, height, _)| *height <= 9)
}

#[test]
fn exhaustive_for_small_trees() {
    for count in 1..=17u32 {
        let layout = Layout::of(u64::from(count) * LEAF).unwrap();
        let (leaves, rows) = (hashes(count), model(&hashes(count)));
        let whole = Tree::from_leaves(layout, leaves);
        assert_eq!(whole.root().hash(), rows.last().unwrap()[0]);
        for (level, height, index) in runs(layout) {
            let first = (index as usize) << height;
            let truth = &rows[usize::from(level)][first..first + (1 << height)];
            assert_eq!(
                whole.run(level, height, index).as_deref(),
                Some(truth),
                "{count} {level} {height} {index}"
            );
            let mut fresh = Tree::new(whole.root(), layout);
            let is_root = level + height == layout.height();
            let expected = if is_root { Ok(()) } else { Err(TreeError::Unknown) };
            assert_eq!(fresh.insert(level, height, index, truth), expected);
            refuses_every_change(&mut whole.clone(), (level, height, index), truth);
        }
        for level in 0..=layout.height() {
            for (index, node) in (0..).zip(&rows[usize::from(level)]) {
                assert_eq!(whole.node(level, index), Some(*node));
            }
            assert_eq!(whole.node(level, rows[usize::from(level)].len() as u32), None);
        }
        assert_eq!(whole.node(layout.height() + 1, 0), None);
    }
}

fn refuses_every_change(tree: &mut Tree, (level, height, index): (u8, u8, u32), truth: &[Hash]) {
    for at in 0..truth.len() {
        let mut lie = truth.to_vec();
        lie[at].0[at % 32] ^= 1 << (at % 8);
        assert_eq!(tree.insert(level, height, index, &lie), Err(TreeError::Mismatch));
        if at > 0 && lie[at - 1] != truth[at] {
            let mut swapped = truth.to_vec();
            swapped.swap(at - 1, at);
            assert_eq!(tree.insert(level, height, index, &swapped), Err(TreeError::Mismatch));
        }
    }
    assert_eq!(tree.insert(level, height, index, &truth[1..]), Err(TreeError::Shape));
    assert_eq!(tree.insert(level, height, index, &[truth, truth].concat()), Err(TreeError::Shape));
    assert_eq!(tree.insert(level + 30, height, index, truth), Err(TreeError::Shape));
    assert_eq!(tree.insert(255, 255, index, truth), Err(TreeError::Shape));
    assert_eq!(tree.insert(level, height, u32::MAX, truth), Err(TreeError::Shape));
}

#[test]
fn repeating_the_last_leaf_makes_another_root() {
    for count in 1..17u32 {
        let mut longer = hashes(count);
        longer.push(longer[count as usize - 1]);
        let tree = |leaves: Vec<Hash>| {
            Tree::from_leaves(Layout::of(leaves.len() as u64 * LEAF).unwrap(), leaves).root()
        };
        assert_ne!(tree(hashes(count)), tree(longer));
    }
}

#[test]
fn a_false_length_proves_nothing_in_the_padding() {
    // The root of four leaves, declared as three: the fourth cannot be passed off as padding.
    let whole = Tree::from_leaves(Layout::of(4 * LEAF).unwrap(), hashes(4));
    let mut short = Tree::new(whole.root(), Layout::of(3 * LEAF).unwrap());
    assert_eq!(short.insert(0, 2, 0, &hashes(4)), Err(TreeError::Mismatch));
}

#[test]
fn a_file_of_one_leaf_needs_nothing() {
    let layout = Layout::of(5).unwrap();
    let mut tree = Tree::new(Root(leaf_hash(b"hello").0), layout);
    let (piece, leaf) = (layout.piece(0).unwrap(), layout.leaf(0).unwrap());
    assert!(tree.knows_piece(piece) && tree.knows_leaves(piece) && tree.missing_layer().is_none());
    assert_eq!(tree.check_leaf(leaf, b"hello"), Some(true));
    assert_eq!(tree.check_leaf(leaf, b"hellO"), Some(false));
    assert_eq!(tree.check_leaf(leaf, b"hello "), Some(false));
    assert_eq!(tree.learn_piece(piece, &[leaf_hash(b"hello")]), Ok(()));
    assert_eq!(tree.learn_piece(piece, &[leaf_hash(b"other")]), Err(TreeError::Mismatch));
    assert_eq!(tree.provable(piece), 0..1);
    assert_eq!(tree.learn_run(0, &[leaf_hash(b"hello")]), Ok(()));
    assert_eq!(tree.run(0, 0, 0), Some(Vec::from([leaf_hash(b"hello")])));
}

#[test]
fn the_largest_file_takes_two_steps() {
    let layout = Layout::of(crate::config::FILE_BYTES_MAX).unwrap();
    let layer = hashes(65_536);
    let root = Root(model(&layer).last().unwrap()[0].0);
    let mut seed = Tree::new(root, layout);
    assert_eq!(seed.insert(9, 16, 0, &layer), Ok(()));
    assert_eq!(seed.missing_layer(), None);

    let mut tree = Tree::new(root, layout);
    let mut asked = 0;
    while let Some((level, height, index)) = tree.missing_layer() {
        let run = seed.run(level, height, index).unwrap();
        assert!(run.len() <= 512);
        assert_eq!(tree.insert(level, height, index, &run), Ok(()));
        asked += 1;
        assert!(asked <= 129);
    }
    assert_eq!(asked, 129);
    assert!(layout.all_pieces().all(|piece| tree.knows_piece(piece)));
    assert_eq!(tree.node(9, 65_535), Some(layer[65_535]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_peer_learns_it_all_from_a_seed(count in 1..6000u32, pick in any::<u32>()) {
        let layout = Layout::of(u64::from(count) * LEAF).unwrap();
        let seed = Tree::from_leaves(layout, hashes(count));
        let mut tree = Tree::new(seed.root(), layout);
        while let Some((level, height, index)) = tree.missing_layer() {
            prop_assert!(height <= 9);
            prop_assert!(tree.node(level + height, index).is_some());
            let run = seed.run(level, height, index).unwrap();
            prop_assert_eq!(tree.insert(level, height, index, &run), Ok(()));
        }
        for piece in layout.all_pieces() {
            prop_assert!(tree.knows_piece(piece));
            prop_assert_eq!(tree.provable(piece), piece.get()..piece.get() + 1);
        }
        let mut kept = tree.piece_hashes().unwrap();
        let mut again = Tree::new(seed.root(), layout);
        prop_assert_eq!(again.piece_hashes().is_some(), layout.pieces() == 1);
        prop_assert_eq!(again.learn_pieces(&kept), Ok(()));
        prop_assert_eq!(again.missing_layer(), None);
        prop_assert_eq!(again.learn_pieces(&kept[1..]), Err(TreeError::Shape));
        let at = pick as usize % kept.len();
        kept[at].0[0] ^= 1;
        prop_assert_eq!(again.learn_pieces(&kept), Err(TreeError::Mismatch));
        let piece = layout.piece(pick % layout.pieces()).unwrap();
        let range = layout.leaves_of(piece);
        let leaves = &hashes(count)[range.start as usize..range.end as usize];
        let leaf = layout.leaf(range.start).unwrap();
        prop_assert_eq!(tree.learn_piece(piece, &leaves[1..]), Err(TreeError::Shape));
        let mut lie = leaves.to_vec();
        lie[0].0[3] ^= 4;
        prop_assert_eq!(tree.learn_piece(piece, &lie), Err(TreeError::Mismatch));
        prop_assert_eq!(tree.knows_leaves(piece), count == 1);
        prop_assert_eq!(tree.learn_piece(piece, leaves), Ok(()));
        prop_assert!(tree.knows_leaves(piece));
        prop_assert_eq!(tree.check_leaf(leaf, b"wrong"), Some(false));
        tree.forget_leaves(piece);
        prop_assert_eq!(tree.knows_leaves(piece), count == 1);
        prop_assert_eq!(tree.check_leaf(leaf, b"wrong"), (count == 1).then_some(false));
        prop_assert!(tree.knows_piece(piece));
    }

    #[test]
    fn runs_of_pieces_are_proven_by_what_stands_above_them(count in 5..5000u32, pick in any::<u32>()) {
        let layout = Layout::of(u64::from(count) * LEAF).unwrap();
        let (leaves, seed) = (hashes(count), Tree::from_leaves(layout, hashes(count)));
        let mut tree = Tree::new(seed.root(), layout);
        let piece = layout.piece(pick % layout.pieces()).unwrap();
        prop_assert_eq!(tree.provable(piece), 0..layout.pieces());
        // A layer of some height is known, as from a torrent with larger pieces.
        let level = 2 + (pick >> 16) as u8 % (layout.height() - 1);
        if layout.height() - level <= 9 {
            let layer = seed.run(level, layout.height() - level, 0).unwrap();
            prop_assert_eq!(tree.insert(level, layout.height() - level, 0, &layer), Ok(()));
        }
        let run = tree.provable(piece);
        prop_assert!(run.contains(&piece.get()));
        let end = (run.end * 4).min(count);
        let ours = &leaves[run.start as usize * 4..end as usize];
        let mut lie = ours.to_vec();
        if lie.len() > 1 {
            lie.swap(0, 1);
            prop_assert_eq!(tree.learn_run(run.start, &lie), Err(TreeError::Mismatch));
        }
        prop_assert_eq!(tree.learn_run(run.start, &ours[1..]).is_ok(), false);
        prop_assert_eq!(tree.learn_run(u32::MAX, ours), Err(TreeError::Shape));
        prop_assert_eq!(tree.learn_run(run.start, ours), Ok(()));
        for index in run {
            let piece = layout.piece(index).unwrap();
            prop_assert!(tree.knows_piece(piece) && tree.knows_leaves(piece));
        }
        while let Some((level, height, index)) = tree.missing_layer() {
            let run = seed.run(level, height, index).unwrap();
            prop_assert_eq!(tree.insert(level, height, index, &run), Ok(()));
        }
    }
}

#[test]
fn padding_is_known_where_the_length_implies_it() {
    let layout = Layout::of(9 * LEAF).unwrap();
    let tree = Tree::new(Root([7; 32]), layout);
    assert_eq!(tree.node(4, 0), Some(Hash([7; 32])));
    assert_eq!(tree.node(2, 3), Some(zero_hash(2)));
    assert_eq!(tree.node(2, 2), None);
    assert_eq!(tree.node(0, 9), Some(Hash([0; 32])));
    assert_eq!(tree.node(0, 16), None);
    assert_eq!(tree.run(0, 0, 9), None);
}
