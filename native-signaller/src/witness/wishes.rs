//! What pages say that they loaded. Anybody can say anything, so it only counts when several networks say the same, and no network
//! gets more of the site's server, or of the room here, than others leave to it.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use swarmlet_core::tracker::server::Network;

/// Paths that are counted at the same time.
const PATHS_MAX: usize = 1024;
/// Networks that are remembered for one path.
const NETWORKS_MAX: usize = 16;
/// A path that was first named so long ago is forgotten, and one that was asked for may be again.
const FORGET: Duration = Duration::from_secs(600);

/// Who loaded what lately.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    open: BTreeMap<String, Wish>,
    /// What was asked for: as many as the rate of requests allows in that time.
    asked: BTreeMap<String, Wish>,
}

#[derive(Debug)]
struct Wish {
    since: Instant,
    networks: BTreeSet<Network>,
}

impl Wish {
    fn is_old(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= FORGET
    }
}

impl Wishes {
    /// Notes that somebody loaded something. Whether as many networks as are needed say so now.
    pub(super) fn add(&mut self, path: &str, network: Network, demand: u32, now: Instant) -> bool {
        if self.asked.get(path).is_some_and(|wish| !wish.is_old(now)) {
            return false;
        }
        if self.open.get(path).is_some_and(|wish| wish.is_old(now)) {
            self.open.remove(path);
        }
        if !self.open.contains_key(path) && self.open.len() >= PATHS_MAX {
            self.make_room(now);
        }
        let wish = self
            .open
            .entry(path.to_owned())
            .or_insert_with(|| Wish { since: now, networks: BTreeSet::new() });
        if wish.networks.len() < NETWORKS_MAX {
            wish.networks.insert(network);
        }
        wish.networks.len() >= demand as usize
    }

    /// The path to ask for now: of those that enough networks named, the one of a network for which the least was asked for lately;
    /// then what most of them named, then what was named first.
    pub(super) fn next(&mut self, demand: u32, now: Instant) -> Option<String> {
        self.asked.retain(|_, wish| !wish.is_old(now));
        let mut had: BTreeMap<Network, u32> = BTreeMap::new();
        for network in self.asked.values().flat_map(|wish| &wish.networks) {
            *had.entry(*network).or_default() += 1;
        }
        let least =
            |wish: &Wish| wish.networks.iter().map(|network| had.get(network).copied().unwrap_or(0)).min();
        let ripe = |wish: &Wish| wish.networks.len() >= demand as usize && !wish.is_old(now);
        let found = self.open.iter().filter(|(_, wish)| ripe(wish));
        let best = found.min_by_key(|(_, wish)| (least(wish), Reverse(wish.networks.len()), wish.since));
        let path = best.map(|(path, _)| path.clone())?;
        if let Some(wish) = self.open.remove(&path) {
            self.asked.insert(path.clone(), Wish { since: now, ..wish });
        }
        Some(path)
    }

    /// It may be wished for anew: it is no longer vouched for.
    pub(super) fn forget(&mut self, path: &str) {
        self.asked.remove(path);
    }

    /// What only networks named that name the most goes, of that what the fewest named, and of that the oldest.
    fn make_room(&mut self, now: Instant) {
        self.open.retain(|_, wish| !wish.is_old(now));
        if self.open.len() < PATHS_MAX {
            return;
        }
        let mut named: BTreeMap<Network, usize> = BTreeMap::new();
        for network in self.open.values().flat_map(|wish| &wish.networks) {
            *named.entry(*network).or_default() += 1;
        }
        let least =
            |wish: &Wish| wish.networks.iter().filter_map(|network| named.get(network)).min().copied();
        let gone = self
            .open
            .iter()
            .max_by_key(|(_, wish)| (least(wish), Reverse(wish.networks.len()), Reverse(wish.since)));
        if let Some(path) = gone.map(|(path, _)| path.clone()) {
            self.open.remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn network(byte: u8) -> Network {
        Network::V4([byte; 4])
    }

    #[test]
    fn several_networks_count_and_each_path_is_asked_for_once() {
        let (mut wishes, now) = (Wishes::default(), Instant::now());
        assert!(!wishes.add("a", network(1), 2, now) && !wishes.add("a", network(1), 2, now), "one network");
        assert_eq!(wishes.next(2, now), None);
        assert!(wishes.add("a", network(2), 2, now));
        assert_eq!(wishes.next(2, now).as_deref(), Some("a"));
        assert!(!wishes.add("a", network(3), 2, now) && !wishes.add("a", network(4), 2, now), "asked for");
        assert_eq!(wishes.next(2, now), None);
        let later = now + FORGET;
        assert!(!wishes.add("a", network(3), 2, later) && wishes.add("a", network(4), 2, later));
        assert_eq!(wishes.next(2, later).as_deref(), Some("a"));
        wishes.forget("a");
        assert!(wishes.add("a", network(4), 1, later));
        assert_eq!(wishes.next(1, later + FORGET), None, "nobody wants it any more");
    }

    #[test]
    fn two_networks_that_name_everything_do_not_keep_others_waiting() {
        let (mut wishes, now) = (Wishes::default(), Instant::now());
        for at in 0..5 * PATHS_MAX {
            wishes.add(&format!("junk {at}"), network(1), 2, now);
            wishes.add(&format!("junk {at}"), network(2), 2, now);
        }
        assert!((0..20).all(|_| wishes.next(2, now).is_some()), "nobody else is there");
        for at in 0..10 {
            // Between each two of theirs the others fill the room again.
            for byte in [3, 4] {
                wishes.add(&format!("film {at}"), network(byte), 2, now);
                for junk in 0..PATHS_MAX {
                    wishes.add(&format!("{at} {byte} {junk}"), network(1), 2, now);
                }
            }
            assert!(wishes.open.len() <= PATHS_MAX);
            assert_eq!(wishes.next(2, now), Some(format!("film {at}")));
        }
    }

    #[test]
    fn two_networks_that_agree_on_everything_do_not_push_out_what_one_has_named() {
        let (mut wishes, now) = (Wishes::default(), Instant::now());
        for at in 0..2 * PATHS_MAX {
            for byte in [1, 2] {
                wishes.add(&format!("junk {at}"), network(byte), 2, now);
            }
        }
        assert!(!wishes.add("film", network(3), 2, now));
        for at in 0..PATHS_MAX {
            wishes.add(&format!("more {at}"), network(1), 2, now);
        }
        assert!(wishes.add("film", network(4), 2, now), "both of those who loaded it are remembered");
        assert_eq!(wishes.open.len(), PATHS_MAX);
    }

    #[test]
    fn what_is_asked_for_lately_is_what_can_be() {
        let (mut wishes, now) = (Wishes::default(), Instant::now());
        for at in 0..50 {
            wishes.add(&at.to_string(), network(1), 1, now);
            assert_eq!(wishes.next(1, now), Some(at.to_string()));
        }
        assert_eq!(wishes.asked.len(), 50);
        assert_eq!((wishes.next(1, now + FORGET), wishes.asked.len()), (None, 0));
    }
}
