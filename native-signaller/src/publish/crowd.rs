//! Who is on a site now, counted and not known: pages ask before they load anything whether there is somebody to share
//! with. A visit is a number that its page drew; it is forgotten within a minute.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use swarmlet_core::Topic;

/// A visit that was not heard of for one to two of these is over. Pages ask every ten seconds.
const GENERATION: Duration = Duration::from_secs(30);
/// Sites that are counted at the same time, about 200 bytes each.
const TOPICS_MAX: usize = 4096;
/// Visits that are counted of one site: who asks wants to know whether there is anybody.
const VISITS_MAX: usize = 1024;

/// All sites.
#[derive(Debug, Default)]
pub(crate) struct Crowds(BTreeMap<Topic, Crowd>);

#[derive(Debug)]
struct Crowd {
    since: Instant,
    now: BTreeSet<u64>,
    before: BTreeSet<u64>,
}

impl Crowds {
    /// Notes a visit; how many there are now, this one included.
    pub(crate) fn visit(&mut self, topic: Topic, visit: u64, now: Instant) -> usize {
        if !self.0.contains_key(&topic) && self.0.len() >= TOPICS_MAX {
            self.0.retain(|_, crowd| now.duration_since(crowd.since) < GENERATION * 2);
            if self.0.len() >= TOPICS_MAX {
                return 1;
            }
        }
        let crowd = self.0.entry(topic).or_insert_with(|| Crowd {
            since: now,
            now: BTreeSet::new(),
            before: BTreeSet::new(),
        });
        let age = now.duration_since(crowd.since);
        if age >= GENERATION {
            let old = core::mem::take(&mut crowd.now);
            crowd.before = if age < GENERATION * 2 { old } else { BTreeSet::new() };
            crowd.since = now;
        }
        if crowd.now.len() < VISITS_MAX {
            crowd.before.remove(&visit);
            crowd.now.insert(visit);
        }
        crowd.now.len() + crowd.before.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_are_counted_once_and_forgotten() {
        let (mut crowds, start) = (Crowds::default(), Instant::now());
        let (a, b) = (Topic([1; 32]), Topic([2; 32]));
        assert_eq!(crowds.visit(a, 1, start), 1);
        assert_eq!(crowds.visit(a, 1, start), 1);
        assert_eq!(crowds.visit(a, 2, start), 2);
        assert_eq!(crowds.visit(b, 2, start), 1, "another site");
        let later = start + GENERATION;
        assert_eq!(crowds.visit(a, 3, later), 3, "those of before count still");
        assert_eq!(crowds.visit(a, 1, later), 3);
        assert_eq!(crowds.visit(a, 3, later + GENERATION), 2, "2 has not been heard of");
        assert_eq!(crowds.visit(a, 3, later + GENERATION * 5), 1);
    }

    #[test]
    fn strangers_cannot_fill_the_memory() {
        let (mut crowds, start) = (Crowds::default(), Instant::now());
        for visit in 0..5000 {
            let count = crowds.visit(Topic([0; 32]), visit, start);
            assert!(count <= VISITS_MAX);
        }
        for at in 0..5000_u32 {
            let mut topic = [9; 32];
            topic[..4].copy_from_slice(&at.to_le_bytes());
            crowds.visit(Topic(topic), 1, start);
        }
        assert_eq!(crowds.0.len(), TOPICS_MAX);
        assert_eq!(crowds.visit(Topic([7; 32]), 1, start + GENERATION * 2), 1);
        assert_eq!(crowds.0.len(), 1, "those of before made room");
    }
}
