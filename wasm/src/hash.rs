//! SHA-256 of four leaves side by side, a word of each in a lane of a vector: more than twice as fast as one after another.
//! Unlike `crypto.subtle` it needs no promise for each leaf and is there without TLS.

use swarmlet_core::Hash;
use swarmlet_core::config::LEAF_BYTES;
use swarmlet_core::content;

/// The hash of each leaf of bytes that begin with one.
#[must_use]
pub fn hash_leaves(bytes: &[u8]) -> Vec<Hash> {
    let mut hashes = Vec::new();
    for run in bytes.chunks(LEAF_BYTES as usize * 4) {
        match run.as_chunks().0.as_array() {
            Some(four) => hashes.extend_from_slice(&lanes::hash(four)),
            None => hashes.append(&mut content::hash_leaves(run)),
        }
    }
    hashes
}

#[cfg(not(target_feature = "simd128"))]
mod lanes {
    use super::{Hash, LEAF_BYTES, content};

    pub(super) fn hash(leaves: &[[u8; LEAF_BYTES as usize]; 4]) -> [Hash; 4] {
        leaves.each_ref().map(|leaf| content::leaf_hash(leaf))
    }
}

#[cfg(target_feature = "simd128")]
mod lanes {
    use super::{Hash, LEAF_BYTES};
    use core::arch::wasm32::{
        i8x16_shuffle, i32x4_add, i32x4_shl, i32x4_shuffle, i32x4_splat, u32x4_extract_lane, u32x4_shr,
        u64x2, v128, v128_bitselect, v128_or, v128_xor,
    };

    const BLOCK_BYTES: usize = 64;

    /// FIPS 180-4, 5.3.3.
    const START: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];

    /// FIPS 180-4, 4.2.2.
    #[rustfmt::skip]
    const K: [u32; 64] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ];

    pub(super) fn hash(leaves: &[[u8; LEAF_BYTES as usize]; 4]) -> [Hash; 4] {
        let mut state = START.map(|word| i32x4_splat(word.cast_signed()));
        for at in (0..LEAF_BYTES as usize).step_by(BLOCK_BYTES) {
            let mut w = [i32x4_splat(0); 16];
            for (four, at) in w.as_chunks_mut().0.iter_mut().zip((at..).step_by(16)) {
                *four = turned(leaves.each_ref().map(|leaf| {
                    // A run of 64 bytes holds four of 16.
                    let Some(bytes) = leaf[at..].first_chunk() else { unreachable!() };
                    let bytes = u128::from_le_bytes(*bytes);
                    let words = u64x2(bytes as u64, (bytes >> 64) as u64);
                    i8x16_shuffle::<3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12>(words, words)
                }));
            }
            compress(&mut state, w);
        }
        // What follows is the same for all: a one, zeros, the length in bits.
        let mut end = [i32x4_splat(0); 16];
        end[0] = i32x4_splat(i32::MIN);
        end[15] = i32x4_splat((LEAF_BYTES * 8).cast_signed());
        compress(&mut state, end);
        let mut hashes = [Hash([0; 32]); 4];
        for (word, lanes) in state.iter().enumerate() {
            let lanes = [
                u32x4_extract_lane::<0>(*lanes),
                u32x4_extract_lane::<1>(*lanes),
                u32x4_extract_lane::<2>(*lanes),
                u32x4_extract_lane::<3>(*lanes),
            ];
            for (hash, lane) in hashes.iter_mut().zip(lanes) {
                hash.0[word * 4..word * 4 + 4].copy_from_slice(&lane.to_be_bytes());
            }
        }
        hashes
    }

    /// Rows become columns: four words of one leaf after the other, then the first word of each, the second of each. Gathering them
    /// one by one took a quarter of the time.
    fn turned([a, b, c, d]: [v128; 4]) -> [v128; 4] {
        let (ab, cd) = (i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<0, 4, 1, 5>(c, d));
        let (late_ab, late_cd) = (i32x4_shuffle::<2, 6, 3, 7>(a, b), i32x4_shuffle::<2, 6, 3, 7>(c, d));
        [
            i32x4_shuffle::<0, 1, 4, 5>(ab, cd),
            i32x4_shuffle::<2, 3, 6, 7>(ab, cd),
            i32x4_shuffle::<0, 1, 4, 5>(late_ab, late_cd),
            i32x4_shuffle::<2, 3, 6, 7>(late_ab, late_cd),
        ]
    }

    /// FIPS 180-4, 6.2.2.
    fn compress(state: &mut [v128; 8], mut w: [v128; 16]) {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
        for (round, k) in K.iter().enumerate() {
            let at = round % 16;
            if round >= 16 {
                let (early, late) = (w[(round + 1) % 16], w[(round + 14) % 16]);
                let s0 = xor(turn::<7>(early), turn::<18>(early), u32x4_shr(early, 3));
                let s1 = xor(turn::<17>(late), turn::<19>(late), u32x4_shr(late, 10));
                w[at] = i32x4_add(i32x4_add(w[at], s0), i32x4_add(w[(round + 9) % 16], s1));
            }
            let s1 = xor(turn::<6>(e), turn::<11>(e), turn::<25>(e));
            let t1 = i32x4_add(i32x4_add(h, s1), v128_bitselect(f, g, e));
            let t1 = i32x4_add(t1, i32x4_add(w[at], i32x4_splat(k.cast_signed())));
            let s0 = xor(turn::<2>(a), turn::<13>(a), turn::<22>(a));
            // The majority: `b` where the first two agree, the third elsewhere.
            let t2 = i32x4_add(s0, v128_bitselect(c, b, v128_xor(a, b)));
            (h, g, f, e, d, c, b, a) = (g, f, e, i32x4_add(d, t1), c, b, a, i32x4_add(t1, t2));
        }
        for (word, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            *word = i32x4_add(*word, new);
        }
    }

    fn turn<const BITS: u32>(x: v128) -> v128 {
        v128_or(u32x4_shr(x, BITS), i32x4_shl(x, 32 - BITS))
    }

    fn xor(x: v128, y: v128, z: v128) -> v128 {
        v128_xor(v128_xor(x, y), z)
    }
}
