//! A node among peers, a signaller and a disk that do whatever random bytes say.

extern crate alloc;

mod run;

use swarmlet_core::rng::Rng;

/// Runs by chance; `make fuzz T=node` looks for those that go new ways.
const RUNS: u64 = 20_000;

#[test]
fn whatever_it_is_told_a_node_keeps_its_word() {
    let only = std::env::var("HOSTILE_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in only.map_or(0..RUNS, |seed: u64| seed..seed + 1) {
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = Rng::new(entropy);
        let bytes: Vec<u8> = (0..8 + rng.below(2000)).map(|_| rng.below(256) as u8).collect();
        let played = std::panic::catch_unwind(|| run::run(&bytes));
        assert!(
            played.is_ok(),
            "run {seed} broke: HOSTILE_SEED={seed} cargo test -p swarmlet-tests --test hostile"
        );
    }
}
