//! Keeping what one node was told in a run: a tape that the tests play to a fresh node again, for ever.

use super::Args;
use super::batch::{Batch, run_one};
use core::fmt::Write;
use indicatif::ProgressBar;
use swarmlet_tests::stories::Setup;
use swarmlet_tests::tape::{Recorder, Tape};

/// Where the tests look for tapes.
const FOLDER: &str = "tests/simulation/traces";
/// The first peer after the origin of most stories.
const PEER: usize = 1;

/// Plays a run of a batch again, the first one that went wrong if one did, and writes a peer's tape; says what it wrote.
///
/// # Errors
/// When that peer has no life in the run, or the file cannot be written.
pub(crate) fn save(batch: &Batch, peer: Option<usize>, file: &str) -> Result<String, String> {
    let mut setup = batch.setup.clone();
    setup.seed = batch.failed.unwrap_or(setup.seed);
    let found = || if batch.failed.is_some() { suspect(batch, &setup) } else { None };
    let peer = peer.or_else(found).unwrap_or(PEER);
    let tape = record(batch, &setup, Recorder::of(Some(peer))).take();
    let tape = tape.ok_or_else(|| format!("peer {peer} has told nothing with seed {}", setup.seed))?;
    write(&tape, file)?;
    Ok(format!("{file}: {} inputs of peer {peer}, seed {}", tape.told.len(), setup.seed))
}

/// The command that keeps a run.
pub(crate) fn command(name: &str, args: &Args, seed: u64) -> String {
    let mut line = format!("sim {name} --seed {seed}");
    for (option, value) in [("peers", args.peers.map(|peers| peers as f64)), ("mib", args.mib)] {
        let _ = value.map(|value| write!(line, " --{option} {value}"));
    }
    let _ = args.origin_ratio.map(|ratio| write!(line, " --origin-ratio {ratio}"));
    for assignment in &args.set {
        let _ = write!(line, " --set {assignment}");
    }
    let _ = write!(line, " --save {FOLDER}/{name}-{seed}.tape");
    line
}

/// Whom a broken invariant is about: whom it names, or who was told something last.
fn suspect(batch: &Batch, setup: &Setup) -> Option<usize> {
    let named = batch.violations.first().and_then(|what| named(what));
    named.or_else(|| record(batch, setup, Recorder::of(None)).last())
}

/// The number after the word "peer".
fn named(what: &str) -> Option<usize> {
    let mut words = what.split(|other: char| !other.is_ascii_alphanumeric());
    words.find(|word| *word == "peer")?;
    words.next()?.parse().ok()
}

fn record(batch: &Batch, setup: &Setup, recorder: Recorder) -> Recorder {
    let mut setup = setup.clone();
    setup.recorder = recorder.clone();
    // A panic is what may be looked for.
    let _ = run_one(batch.story, &setup, &ProgressBar::hidden());
    recorder
}

fn write(tape: &Tape, file: &str) -> Result<(), String> {
    std::fs::write(file, tape.encode()).map_err(|error| format!("{file}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::prepare;
    use super::super::{batch::run_seeds, keep::Keep};
    use super::*;

    fn saved(line: &str) -> Tape {
        let args = Args::said(line).unwrap();
        let (story, setup) = prepare(args.story.as_deref().unwrap(), &args).unwrap();
        let batch = run_seeds(story, &setup, 1, 1, &Keep::default(), &ProgressBar::hidden());
        let file = std::env::temp_dir().join(format!("swarmlet-{}-{}.tape", story.name, std::process::id()));
        let file = file.display().to_string();
        let said = save(&batch, args.save_peer, &file).unwrap();
        let tape = Tape::decode(&std::fs::read(&file).unwrap()).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(said.contains(&format!("{} inputs", tape.told.len())), "{said}");
        tape
    }

    #[test]
    fn any_run_can_be_kept_and_told_again() {
        let tape = saved("flash-crowd --peers 3 --mib 0.5 --seed 4 --set incentive=classic --save-peer 2");
        assert_eq!(tape.from, (4, 2));
        assert!(tape.play().unwrap() > 100);
        // Of a story with a run to compare with, the first run is kept, with what its application asked for.
        let viewer = saved("streaming --peers 3 --mib 0.5");
        let asks = |told: &swarmlet_tests::tape::Told| matches!(told, swarmlet_tests::tape::Told::Read(..));
        assert!(viewer.told.iter().any(|(_, told)| asks(told)));
        assert_eq!(viewer.play().map(|_| ()), Ok(()));
    }

    #[test]
    fn the_command_says_all_that_makes_the_run() {
        let args = Args::said("mixed --peers 9 --mib 0.5 --seeds 7 --set up=2 --json").unwrap();
        let line = command("mixed", &args, 5);
        assert_eq!(
            line,
            "sim mixed --seed 5 --peers 9 --mib 0.5 --set up=2 --save tests/simulation/traces/mixed-5.tape"
        );
        assert_eq!(Args::said(&line[4..]).map(|args| args.seed), Ok(5));
    }

    #[test]
    fn whom_an_invariant_names_is_found() {
        assert_eq!(named("seed 3, 12 us: peer 17: 9 links, 8 allowed"), Some(17));
        assert_eq!(named("seed 3, 12 us: Ledger { sent: 1 } do not add up"), None);
    }
}
