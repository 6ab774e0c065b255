//! `sim`: runs a story with other numbers than the tests do, and prints what it came to.

use core::time::Duration;
use swarmlet_tests::FlashCrowd;

const USAGE: &str = "usage: sim flash-crowd [--peers N] [--mib M] [--origin-ratio C] [--sources K] [--seed S] \
                     [--seeds RUNS] [--json]";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((crowd, runs, json)) = parse(&words) else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    for seed in crowd.seed..crowd.seed + runs {
        let report = FlashCrowd { seed, ..crowd.clone() }.run(Duration::from_secs(24 * 3600));
        if json {
            println!("{}", report.json());
        } else {
            println!("{report}");
        }
    }
}

fn parse(words: &[String]) -> Option<(FlashCrowd, u64, bool)> {
    let (story, options) = words.split_first()?;
    if story != "flash-crowd" {
        return None;
    }
    let (mut crowd, mut runs, mut json) = (FlashCrowd::default(), 1, false);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        if option == "--json" {
            json = true;
            continue;
        }
        let value: u64 = options.next()?.parse().ok()?;
        let count = usize::try_from(value).ok()?;
        match option.as_str() {
            "--peers" => crowd.peers = count,
            "--mib" => crowd.bytes = count << 20,
            "--origin-ratio" => crowd.seed_ratio = value,
            "--sources" => crowd.seeds = count,
            "--seed" => crowd.seed = value,
            "--seeds" => runs = value,
            _ => return None,
        }
    }
    Some((crowd, runs, json))
}
