//! The stories: each in a file of its own, all with the same command line and the same figures.
//!
//! A story builds a [`Play`] from a [`Setup`], lets it run, and tells an [`Outcome`]; where it compares with a calmer
//! or fairer world, it runs the same seed there as well.

mod anchors;
mod churn;
mod flash_crowd;
mod free_riders;
mod large_view;
mod mixed;
mod newcomers;
mod outcome;
mod partition;
mod play;
mod player;
mod poisoners;
mod setup;
mod slow_origin;
mod streaming;
mod sybil_idle;
mod tab_hidden;
mod tracker_down;

pub use outcome::{Outcome, mean, nearest};
pub use play::{Class, Play, Progress, Sample};
pub use setup::{COMMON, Knob, Setup, Value, number, word};

/// A story as the command line knows it.
#[derive(Debug)]
pub struct Story {
    /// Its name.
    pub name: &'static str,
    /// What happens, and what its own figures mean.
    pub about: &'static str,
    /// Peers, MiB, and the origin's upload as a multiple of a peer's, unless told otherwise: a run of seconds.
    pub size: (usize, f64, f64),
    /// What can be set besides [`COMMON`].
    pub knobs: &'static [Knob],
    /// Runs it.
    pub run: fn(&Setup, Progress<'_>) -> Outcome,
}

/// All of them.
pub const ALL: &[&Story] = &[
    &flash_crowd::STORY,
    &mixed::STORY,
    &free_riders::STORY,
    &large_view::STORY,
    &churn::STORY,
    &poisoners::STORY,
    &sybil_idle::STORY,
    &slow_origin::STORY,
    &tracker_down::STORY,
    &newcomers::STORY,
    &anchors::STORY,
    &tab_hidden::STORY,
    &partition::STORY,
    &streaming::STORY,
];

/// A story by its name, of the swarm or of the mesh.
#[must_use]
pub fn find(name: &str) -> Option<&'static Story> {
    ALL.iter().chain(crate::overlay::ALL).find(|story| story.name == name).copied()
}

impl Story {
    /// Its parameters before anything is set.
    #[must_use]
    pub fn setup(&self) -> Setup {
        Setup::new(self.size, self.knobs)
    }
}

/// Spreads a share of `count` members evenly: whether the one at `index` is of that share.
const fn is_chosen(index: usize, share: f64) -> bool {
    (index + 1) as f64 * share >= (index as f64 * share) as usize as f64 + 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_spread_evenly() {
        for (share, count) in [(0.0, 0), (0.3, 30), (0.5, 50), (0.75, 75), (1.0, 100)] {
            assert_eq!((0..100).filter(|index| is_chosen(*index, share)).count(), count, "{share}");
        }
        assert_eq!((0..10).filter(|index| is_chosen(*index, 0.2)).collect::<Vec<_>>(), [4, 9]);
    }

    #[test]
    fn names_are_distinct_and_every_story_is_found() {
        for story in ALL {
            assert!(core::ptr::eq(find(story.name).expect("listed"), *story));
        }
        assert!(find("no-such-story").is_none());
    }

    /// Small enough for every test run.
    fn small(story: &Story) -> Setup {
        let mut setup = story.setup();
        (setup.peers, setup.mib, setup.origin_ratio) = (8, 0.5, setup.origin_ratio.min(4.0));
        setup
    }

    #[test]
    fn every_story_ends_well_and_the_same_seed_gives_the_same_run() {
        for story in ALL {
            let mut share = 0.0;
            let outcome = (story.run)(&small(story), &mut |now| share = now);
            assert_eq!(outcome.violation, None, "{}", story.name);
            for (name, value) in &outcome.figures {
                assert!(value.is_finite(), "{}: {name} is {value}", story.name);
            }
            let figures = ["stranded", "corrupt_delivered", "honest_banned"].map(|name| outcome.figure(name));
            assert_eq!(figures, [0.0; 3], "{}", story.name);
            assert!((0.99..=1.0).contains(&share), "{}: progress ends at {share}", story.name);
            assert_eq!((story.run)(&small(story), &mut |_| {}).trace, outcome.trace, "{}", story.name);
        }
    }

    #[test]
    fn another_seed_gives_another_run() {
        let story = find("flash-crowd").expect("listed");
        let setup = small(story);
        let mut other = setup.clone();
        other.seed = 2;
        assert_ne!((story.run)(&setup, &mut |_| {}).trace, (story.run)(&other, &mut |_| {}).trace);
    }
}
