//! A film player as an application of a node: it reads segments in order and ahead, begins when enough of them are
//! there, and stands still when the next one is late.

use super::play::Play;
use crate::world::PeerId;
use core::time::Duration;
use swarmlet_core::{Command, Event, Root};

/// What is played, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Film {
    /// Which file.
    pub(super) root: Root,
    /// Its bytes.
    pub(super) bytes: u64,
    /// Bytes of a segment.
    pub(super) segment_bytes: u32,
    /// Seconds of a segment.
    pub(super) segment_s: f64,
    /// Segments that are there before it begins.
    pub(super) startup: usize,
    /// Segments that are read ahead of the one that is played.
    pub(super) ahead: usize,
}

impl Film {
    pub(super) fn segments(&self) -> usize {
        self.bytes.div_ceil(u64::from(self.segment_bytes)) as usize
    }

    fn range(&self, segment: usize) -> (u64, u32) {
        let start = segment as u64 * u64::from(self.segment_bytes);
        let length = (self.bytes - start).min(u64::from(self.segment_bytes));
        (start, u32::try_from(length).unwrap_or(self.segment_bytes))
    }
}

/// One viewer's player.
#[derive(Debug)]
pub(super) struct Player {
    peer: PeerId,
    came_s: f64,
    /// When each segment was there, in seconds; the reads so far.
    arrivals: Vec<Option<f64>>,
    seen: usize,
}

/// What a viewer went through, up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Viewing {
    /// Seconds from the click to the first picture.
    pub(super) startup_s: f64,
    /// Seconds that the picture stood still.
    pub(super) stalled_s: f64,
    /// Seconds that were played.
    pub(super) played_s: f64,
    /// The segment that is played or waited for.
    at: usize,
}

impl Player {
    pub(super) const fn new(peer: PeerId, came_s: f64) -> Self {
        Self { peer, came_s, arrivals: Vec::new(), seen: 0 }
    }

    /// Takes in what came since the last step and reads on.
    pub(super) fn step(&mut self, film: &Film, play: &mut Play) {
        let now_s = play.world.now.micros() as f64 / 1e6;
        if play.world.peers[self.peer].node.is_none() {
            return;
        }
        self.take_in(film, play);
        let wanted = (self.viewing(film, now_s).at + film.ahead).min(film.segments());
        while self.arrivals.len() < wanted {
            let segment = self.arrivals.len();
            let (start, length) = film.range(segment);
            let within = self.due_in(film, segment, now_s);
            self.arrivals.push(None);
            let read = u32::try_from(segment).unwrap_or(u32::MAX);
            play.world.command(self.peer, Command::Read { read, root: film.root, start, length, within });
        }
    }

    /// How soon a segment is needed, if nothing is late.
    fn due_in(&self, film: &Film, segment: usize, now_s: f64) -> Duration {
        let viewing = self.viewing(film, now_s);
        let waits = viewing.at == 0 && viewing.played_s <= 0.0 && segment < film.startup;
        // What has been played of the segment at `at` is less of it to come.
        let into = viewing.played_s - viewing.at as f64 * film.segment_s;
        let ahead = segment.saturating_sub(viewing.at) as f64 * film.segment_s - into;
        Duration::from_secs_f64(if waits { 0.0 } else { ahead.max(0.0) })
    }

    fn take_in(&mut self, film: &Film, play: &mut Play) {
        let world = &mut play.world;
        let notes = world.peers[self.peer].notes.iter_mut().skip(self.seen);
        for (at, event) in notes {
            self.seen += 1;
            let Event::Bytes { read, bytes } = event else { continue };
            // Nobody needs them twice, and a thousand viewers would not fit into memory.
            let bytes = core::mem::take(bytes);
            let (start, length) = film.range(*read as usize);
            let range = start as usize..start as usize + length as usize;
            let truth = world.content.files.get(&film.root).and_then(|file| file.get(range));
            if truth != Some(bytes.as_slice()) {
                play.corrupt += bytes.len() as u64;
            }
            if let Some(arrival) = self.arrivals.get_mut(*read as usize) {
                arrival.get_or_insert(at.micros() as f64 / 1e6);
            }
        }
    }

    /// What the viewer went through until `now_s`.
    pub(super) fn viewing(&self, film: &Film, now_s: f64) -> Viewing {
        let arrival =
            |segment: usize| self.arrivals.get(segment).copied().flatten().filter(|at| *at <= now_s);
        let needed = film.startup.min(film.segments());
        let first = (0..needed).map(arrival).try_fold(self.came_s, |latest, at| Some(latest.max(at?)));
        let Some(began) = first else {
            return Viewing { startup_s: now_s - self.came_s, ..Viewing::default() };
        };
        let mut viewing = Viewing { startup_s: began - self.came_s, ..Viewing::default() };
        let mut clock = began;
        for segment in 0..film.segments() {
            viewing.at = segment;
            let begins = arrival(segment).map_or(now_s, |at| at.max(clock));
            viewing.stalled_s += (begins - clock).max(0.0);
            if arrival(segment).is_none() || begins + film.segment_s > now_s {
                viewing.played_s += (now_s - begins).max(0.0);
                return viewing;
            }
            viewing.played_s += film.segment_s;
            clock = begins + film.segment_s;
        }
        viewing.at = film.segments();
        viewing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film() -> Film {
        let root = Root([0; 32]);
        Film { root, bytes: 950, segment_bytes: 100, segment_s: 2.0, startup: 2, ahead: 5 }
    }

    fn player(arrivals: &[f64]) -> Player {
        let arrivals = arrivals.iter().map(|at| Some(*at).filter(|at| at.is_finite())).collect();
        Player { arrivals, ..Player::new(0, 10.0) }
    }

    #[test]
    fn the_last_segment_is_shorter() {
        assert_eq!((film().segments(), film().range(0), film().range(9)), (10, (0, 100), (900, 50)));
    }

    #[test]
    fn it_begins_when_enough_is_there_and_stands_still_for_what_is_late() {
        // Begins at 12, the third segment is due at 16 and comes at 17, the fourth is due at 19.
        let player = player(&[11.0, 12.0, 17.0, 13.0, f64::NAN]);
        assert_eq!(player.viewing(&film(), 11.5), Viewing { startup_s: 1.5, ..Viewing::default() });
        let before = player.viewing(&film(), 15.0);
        assert_eq!((before.startup_s, before.played_s, before.stalled_s, before.at), (2.0, 3.0, 0.0, 1));
        let after = player.viewing(&film(), 20.0);
        assert_eq!((after.played_s, after.stalled_s, after.at), (7.0, 1.0, 3));
        // The fifth is due at 21 and has not come at 24.
        let late = player.viewing(&film(), 24.0);
        assert_eq!((late.played_s, late.stalled_s, late.at), (8.0, 4.0, 4));
    }

    #[test]
    fn a_film_that_was_all_there_is_played_to_its_end() {
        let player = player(&[10.5; 10]);
        let viewing = player.viewing(&film(), 99.0);
        assert_eq!(
            (viewing.startup_s, viewing.played_s, viewing.stalled_s, viewing.at),
            (0.5, 20.0, 0.0, 10)
        );
    }
}
