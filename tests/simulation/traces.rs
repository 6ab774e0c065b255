//! Prints the hash of each random world's run: `traces FIRST LAST`. `compare.mjs` runs the same worlds in wasm.

use swarmlet_tests::chaos;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<u64>().ok());
    let (Some(first), Some(last)) = (numbers.next(), numbers.next()) else {
        eprintln!("usage: traces FIRST LAST");
        std::process::exit(2);
    };
    for seed in first..=last {
        println!("{seed} {:016x}", chaos::trace(seed));
    }
}
