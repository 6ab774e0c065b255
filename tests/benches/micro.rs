//! What the engine does most often, alone: choosing a piece, proving a leaf, reading and writing messages.
//!
//! `make bench`. The goal for the picker is 2 µs for one request at 8,192 pieces and 30 neighbours.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use swarmlet_core::config::{BLOCK_LEAVES_MAX, LEAF_BYTES};
use swarmlet_core::content::{Bitfield, Layout, Tree, leaf_hash};
use swarmlet_core::lab::Picker;
use swarmlet_core::rng::Rng;
use swarmlet_core::wire::{Frame, Message, Pieces};
use swarmlet_core::{Hash, Root};
use swarmlet_tests::content::generate;

const PIECES: u32 = 8192;
const NEIGHBOURS: usize = 30;

fn main() {
    divan::main();
}

/// One request: the rarest free piece that a neighbour has; and freeing it, so that the next finds the same world.
#[divan::bench]
fn picker_request(bencher: Bencher) {
    let mut picker = Picker::new(PIECES, NEIGHBOURS, [1; 32]);
    let mut turn = 0;
    bencher.bench_local(|| {
        turn = (turn + 1) % NEIGHBOURS;
        let piece = picker.request(black_box(turn)).expect("half of all pieces are there");
        picker.release(piece);
        piece
    });
}

/// The same while a download goes on: pieces are taken until none is free.
#[divan::bench]
fn picker_whole_download(bencher: Bencher) {
    bencher
        .counter(divan::counter::ItemsCount::new(PIECES))
        .with_inputs(|| Picker::new(PIECES, NEIGHBOURS, [2; 32]))
        .bench_local_values(|mut picker| {
            let mut taken = 0u32;
            let mut idle = 0;
            let mut turn = 0;
            while idle < NEIGHBOURS {
                turn = (turn + 1) % NEIGHBOURS;
                if picker.request(turn).is_some() {
                    (taken, idle) = (taken + 1, 0);
                } else {
                    idle += 1;
                }
            }
            taken
        });
}

/// News of a piece from a neighbour.
#[divan::bench]
fn picker_gain(bencher: Bencher) {
    let mut rng = Rng::new([3; 32]);
    bencher
        .with_inputs(|| (Picker::new(64, NEIGHBOURS, [3; 32]), rng.below(64) as u32))
        .bench_local_refs(|(picker, piece)| picker.gain(7, *piece));
}

/// A leaf against a tree that knows its hash: SHA-256 of 16 KiB and a look.
#[divan::bench]
fn merkle_check_leaf(bencher: Bencher) {
    let (tree, bytes) = whole_tree(4 << 20);
    let leaf = tree.layout().leaf(17).expect("there are 256");
    let start = tree.layout().leaf_start(leaf) as usize;
    let bytes = &bytes[start..start + LEAF_BYTES as usize];
    bencher.counter(BytesCount::new(LEAF_BYTES)).bench(|| {
        assert_eq!(tree.check_leaf(black_box(leaf), black_box(bytes)), Some(true));
    });
}

/// The leaf hashes of a piece of 64 KiB against its hash.
#[divan::bench]
fn merkle_learn_piece(bencher: Bencher) {
    let (whole, _) = whole_tree(64 << 20);
    let layout = whole.layout();
    let pieces = whole.piece_hashes().expect("all is known");
    let piece = layout.piece(100).expect("there are 1,024");
    let leaves: Vec<Hash> = layout.leaves_of(piece).filter_map(|leaf| whole.node(0, leaf)).collect();
    let mut tree = Tree::new(whole.root(), layout);
    tree.learn_pieces(&pieces).expect("they are the right ones");
    bencher.bench_local(|| {
        tree.learn_piece(piece, black_box(&leaves)).expect("they are the right ones");
        tree.forget_leaves(piece);
    });
}

#[divan::bench]
fn codec_encode_block(bencher: Bencher) {
    let (message, tail) = block();
    bencher.counter(BytesCount::new(tail.len())).bench(|| black_box(&message).encode(black_box(&tail)));
}

#[divan::bench]
fn codec_decode_block(bencher: Bencher) {
    let (message, tail) = block();
    let bytes = message.encode(&tail);
    bencher.counter(BytesCount::new(bytes.len())).bench(|| Frame::decode(black_box(&bytes)).is_ok());
}

#[divan::bench]
fn codec_encode_have(bencher: Bencher) {
    let message = have();
    bencher.bench(|| black_box(&message).encode(&[]));
}

#[divan::bench]
fn codec_decode_have(bencher: Bencher) {
    let bytes = have().encode(&[]);
    bencher.bench(|| Frame::decode(black_box(&bytes)).is_ok());
}

fn whole_tree(length: usize) -> (Tree, Vec<u8>) {
    let bytes = generate(1, length);
    let layout = Layout::of(length as u64).expect("it is not empty");
    let leaves = bytes.chunks(LEAF_BYTES as usize).map(leaf_hash).collect();
    (Tree::from_leaves(layout, leaves), bytes)
}

fn block() -> (Message, Vec<u8>) {
    let message = Message::Block { root: Root([7; 32]), start: 4096 };
    (message, generate(2, (LEAF_BYTES * BLOCK_LEAVES_MAX) as usize))
}

fn have() -> Message {
    let mut rng = Rng::new([4; 32]);
    let mut pieces = Bitfield::new(PIECES);
    for piece in 0..PIECES {
        if rng.below(2) == 0 {
            pieces.set(piece);
        }
    }
    Message::Have { root: Root([7; 32]), pieces: Pieces::Bitmap(pieces.to_bytes()) }
}
