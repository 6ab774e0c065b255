//! Tapes that were kept: what nodes were told in runs that went wrong, or that have a bit of everything. Each is told
//! to a fresh node again; whatever it makes of it now, it breaks no limit and does not fall over.
//!
//! A new one: `SIM_SEED=n SIM_PEER=n SIM_SAVE=FILE cargo test -p swarmlet-tests --test replay -- save`.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use std::path::Path;
use swarmlet_tests::chaos;
use swarmlet_tests::tape::Tape;

#[test]
fn kept_tapes_break_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulation/traces");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let tape = Tape::decode(&std::fs::read(&path).unwrap()).expect("a tape");
        let sent = tape.play().unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()));
        println!("{}: {} inputs, {sent} bytes sent", path.display(), tape.told.len());
        assert!(sent > 0, "{} brings about something", path.display());
        played += 1;
    }
    assert!(played >= 2, "there are tapes");
}

#[test]
fn a_tape_tells_what_happened() {
    let tape = chaos::tape(3, 2).expect("peer 2 has lived");
    let again = Tape::decode(&tape.encode()).unwrap();
    assert_eq!(again.told.len(), tape.told.len());
    assert!(again.play().unwrap() > 1000);
}

#[test]
fn save_one_where_it_is_wanted() {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let (Some(seed), Some(peer)) = (number("SIM_SEED"), number("SIM_PEER")) else { return };
    let Ok(file) = std::env::var("SIM_SAVE") else { return };
    let tape = chaos::tape(seed, peer as usize).expect("the peer has lived");
    std::fs::write(&file, tape.encode()).unwrap();
    println!("{file}: {} inputs", tape.told.len());
}
