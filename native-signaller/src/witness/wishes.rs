//! What pages say that they loaded. Anybody can say anything, so it only counts when several networks say the same.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use swarmlet_core::tracker::server::Network;

/// Paths that are counted at the same time.
const PATHS_MAX: usize = 1024;
/// A path that nobody named for so long is forgotten, and one that was asked for may be again.
const FORGET: Duration = Duration::from_secs(600);

/// Who loaded what lately.
#[derive(Debug, Default)]
pub(super) struct Wishes(BTreeMap<String, Wish>);

#[derive(Debug)]
struct Wish {
    since: Instant,
    /// At most as many as are needed.
    networks: BTreeSet<Network>,
    /// It was asked for; there is nothing more to count.
    asked: bool,
}

impl Wishes {
    /// Notes that somebody loaded something. Whether it is to be asked for now: once, when `demand` networks did.
    pub(super) fn add(&mut self, path: &str, network: Network, demand: u32, now: Instant) -> bool {
        let old = |wish: &Wish| now.duration_since(wish.since) >= FORGET;
        if self.0.get(path).is_some_and(old) {
            self.0.remove(path);
        }
        if !self.0.contains_key(path) && self.0.len() >= PATHS_MAX {
            self.0.retain(|_, wish| !old(wish));
            if self.0.len() >= PATHS_MAX {
                return false;
            }
        }
        let wish = self.0.entry(path.to_owned()).or_insert_with(|| Wish {
            since: now,
            networks: BTreeSet::new(),
            asked: false,
        });
        if wish.asked {
            return false;
        }
        wish.networks.insert(network);
        wish.asked = wish.networks.len() >= demand as usize;
        if wish.asked {
            wish.networks.clear();
        }
        wish.asked
    }

    /// It may be wished for anew: it is no longer vouched for.
    pub(super) fn forget(&mut self, path: &str) {
        self.0.remove(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_networks_count_and_each_path_is_asked_for_once() {
        let (mut wishes, now) = (Wishes::default(), Instant::now());
        let network = |byte| Network::V4([byte; 4]);
        assert!(!wishes.add("a", network(1), 2, now) && !wishes.add("a", network(1), 2, now), "one network");
        assert!(wishes.add("a", network(2), 2, now));
        assert!(!wishes.add("a", network(3), 2, now) && !wishes.add("a", network(4), 2, now), "asked for");
        assert!(
            !wishes.add("a", network(3), 2, now + FORGET) && wishes.add("a", network(4), 2, now + FORGET)
        );
        wishes.forget("a");
        assert!(wishes.add("a", network(4), 1, now));
    }

    #[test]
    fn nobody_can_fill_it() {
        let (mut wishes, now) = (Wishes::default(), Instant::now());
        let mut say = |at: usize, now| wishes.add(&at.to_string(), Network::V4([1; 4]), 1, now);
        assert_eq!((0..PATHS_MAX + 9).filter(|at| say(*at, now)).count(), PATHS_MAX);
        assert!(say(PATHS_MAX + 9, now + FORGET), "old ones made room");
    }
}
