//! The mesh in the simulator: ten thousand of the machines that ship, and stories that measure the goals.
//!
//! Reading order: `world`, `wiring`, `liar`, `drill`, then the stories.

mod broadcast;
mod drill;
mod kill_half;
mod liar;
mod lookup;
mod partition_heal;
mod search;
mod sybil;
mod wiring;
mod world;

use crate::stories::Story;

/// All stories of the mesh.
pub const ALL: &[&Story] = &[
    &lookup::STORY,
    &sybil::SYBIL,
    &sybil::ECLIPSE,
    &kill_half::STORY,
    &partition_heal::STORY,
    &broadcast::STORY,
    &search::STORY,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_story_runs_small_and_the_same_seed_gives_the_same_run() {
        for story in ALL {
            let mut setup = story.setup();
            setup.peers = 300;
            setup.set("minutes=0.5").unwrap();
            // As many liars as peers are no eclipse of one key any more.
            let _ = setup.set("keys=2");
            let outcome = (story.run)(&setup, &mut |_| {});
            assert_eq!(outcome.violation, None, "{}", story.name);
            assert_eq!((story.run)(&setup, &mut |_| {}).trace, outcome.trace, "{}", story.name);
            let found = outcome.figure("found_with_fallback");
            assert!(found > 0.9, "{}: {found} of all questions are answered", story.name);
        }
    }
}
