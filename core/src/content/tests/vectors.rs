//! Self-made vectors that the reference creator's file hasher agreed with: one file `a.bin`, byte `i` is `i`
//! modulo 251, a torrent piece length of 32 KiB.

use super::pattern;
use crate::content::{FileEntry, Info, Layout, leaf_hash, tree, zero_hash};
use crate::id::Hash;
use std::string::ToString;
use std::vec;

const VECTORS: &[(u64, &str, usize, &str)] = &[
    (0, "", 0, "559807db525ca68cf7dc24e5463b83b6bb90bc69fb67101332d3478515860d39"),
    (
        1,
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        0,
        "fb1fa4f8a4593fcd88e4df3537406b8b8b70879907952a80698357941de2208b",
    ),
    (
        16383,
        "e08c7d58e58b9318263144a618d6f2b6f6825974decd9e6f9371567354b6f566",
        0,
        "0e967ac9a7108933de5cb8edf754c3eb41b9852f9870a3bbdac359dc54ad2a41",
    ),
    (
        16384,
        "4348e3b98e8a327b34ced39c1da9e67cdb4cd5e48e4d7960607a3ae403d35f0c",
        0,
        "a2441846b8a4c19d4dd1c1ea3fa18bf1ac7296c3e4be0fbbc84f10a8b8c5fda6",
    ),
    (
        16385,
        "9d7887c65d577a0237fb3c0998b87b3a62762d03796889a2caea01db914ccbb8",
        0,
        "3e31f4ab9a2ec03972ef7d251311ad331e86f0ebbee78acb750ec72d0fcf7b79",
    ),
    (
        32768,
        "d9e13d0b676ad681164ef0b7b5910d1328ea83a047cad57e619d76bbe3a08525",
        0,
        "452d4de1d575964ec0aba698fae22d406bfef26413da1009808a690ec0fc1ee2",
    ),
    (
        32769,
        "934c793a4cecccfd47faaf6b69c17703875e6c58ffe623bcd31ff3b2170770d1",
        2,
        "0dd6d26015b9520bbd219010f255df27fcf70b10521bfb40baf140209a312c0a",
    ),
    (
        65536,
        "2d6b546231225a7132a38ab354f03e9132e4b9141da89f1784b71ab2fb34fae3",
        2,
        "b21ee22b4a4a1e7d55f7d5988fdea594c66d84ec4b748bdafdea91eb75840440",
    ),
    (
        100_000,
        "505fc9a922f60ae071450b07256a4ba760612bffc38c27584ed03fd96c69841b",
        4,
        "48e90b9b9b5a7266665c50efcc19b50b72f1a663a06fcb748763fc2e81309ff7",
    ),
    (
        300_000,
        "1c5fb49bf57e0e945d9428a1798ddc8acc5dc57e19aa0c9bb1ed90e9b7885ee1",
        10,
        "c33e8fe4fa0da1aede184bed1285f8a1b05d3a8e1d232a1169c2a8ba3c34ca09",
    ),
];

#[test]
fn roots_layers_and_ids_match() {
    for (length, root, layer_hashes, id) in VECTORS {
        let leaves = pattern(*length).chunks(16 * 1024).map(leaf_hash).collect();
        let found = Layout::of(*length).map(|layout| tree::layer(leaves, layout.height(), 1));
        assert_eq!(found.as_ref().map_or(0, |(_, layer)| layer.len()), *layer_hashes, "{length}");
        assert_eq!(found.as_ref().map_or_else(Default::default, |(root, _)| root.to_string()), *root);
        let entry =
            FileEntry { path: vec!["a.bin".into()], length: *length, root: found.map(|found| found.0) };
        let info = Info::parse(&Info::write("a.bin", 32768, &[&entry])).unwrap();
        assert_eq!(info.content.to_string(), *id, "{length}");
        assert!(info.is_single());
        assert_eq!((info.files, info.total, info.piece_length), (vec![entry], *length, 32768));
    }
}

#[test]
fn padding_hashes() {
    assert_eq!(zero_hash(0), Hash([0; 32]));
    assert_eq!(zero_hash(1).to_string(), "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
}
