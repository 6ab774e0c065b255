//! Who is in which swarm of the WebTorrent dialect. A member is eight bytes here: everything else about it is with
//! its connection, which knows the member's place.

use super::ConnId;
use crate::rng::Rng;
use crate::wire::webtorrent::InfoHash;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Every swarm that has a member.
#[derive(Debug, Default)]
pub(super) struct Flocks {
    flocks: BTreeMap<InfoHash, Flock>,
    memberships: u32,
}

#[derive(Debug, Default)]
struct Flock {
    seeds: Vec<ConnId>,
    leeches: Vec<ConnId>,
    completed: u32,
}

/// Members looked at for each one wanted, so that those who may not be asked now do not leave a round empty.
const LOOKS_EACH: usize = 2;

impl Flock {
    const fn side(&mut self, complete: bool) -> &mut Vec<ConnId> {
        if complete { &mut self.seeds } else { &mut self.leeches }
    }
}

impl Flocks {
    /// How many swarms there are.
    pub(super) fn len(&self) -> usize {
        self.flocks.len()
    }

    /// How many members all swarms have together.
    pub(super) const fn memberships(&self) -> u32 {
        self.memberships
    }

    /// Whether the swarm exists.
    pub(super) fn contains(&self, info_hash: &InfoHash) -> bool {
        self.flocks.contains_key(info_hash)
    }

    /// Every swarm.
    pub(super) fn info_hashes(&self) -> impl Iterator<Item = InfoHash> {
        self.flocks.keys().copied()
    }

    /// Adds a member and gives back its place.
    pub(super) fn join(&mut self, info_hash: InfoHash, conn: ConnId, complete: bool) -> u32 {
        self.memberships += 1;
        let side = self.flocks.entry(info_hash).or_default().side(complete);
        side.push(conn);
        place(side.len() - 1)
    }

    /// Takes the member at a place out, and the swarm with its last one. Gives back who has the place now.
    pub(super) fn leave(&mut self, info_hash: &InfoHash, complete: bool, at: u32) -> Option<ConnId> {
        let flock = self.flocks.get_mut(info_hash)?;
        let side = flock.side(complete);
        let at = at as usize;
        if at >= side.len() {
            return None;
        }
        side.swap_remove(at);
        let moved = side.get(at).copied();
        // What a crowd has needed is not kept for the few that stay.
        if side.len() * 4 < side.capacity() {
            side.shrink_to(side.len() * 2);
        }
        self.memberships -= 1;
        if flock.seeds.is_empty() && flock.leeches.is_empty() {
            self.flocks.remove(info_hash);
        }
        moved
    }

    /// Counts a member that has completed.
    pub(super) fn complete(&mut self, info_hash: &InfoHash) {
        if let Some(flock) = self.flocks.get_mut(info_hash) {
            flock.completed = flock.completed.saturating_add(1);
        }
    }

    /// Complete members, other members, and how often it was completed.
    pub(super) fn counts(&self, info_hash: &InfoHash) -> [u32; 3] {
        let Some(flock) = self.flocks.get(info_hash) else { return [0; 3] };
        [place(flock.seeds.len()), place(flock.leeches.len()), flock.completed]
    }

    /// Members to whom `asker` may offer, each once, some more than wanted. Who is complete is told of no other
    /// complete one: they have nothing for each other.
    pub(super) fn choose(
        &self,
        info_hash: &InfoHash,
        asker: ConnId,
        complete: bool,
        want: usize,
        rng: &mut Rng,
    ) -> Vec<ConnId> {
        let Some(flock) = self.flocks.get(info_hash) else { return Vec::new() };
        let seeds: &[ConnId] = if complete { &[] } else { &flock.seeds };
        let (looks, total) = (want * LOOKS_EACH, flock.leeches.len() + seeds.len());
        let member =
            |at: usize| flock.leeches.get(at).or_else(|| seeds.get(at.wrapping_sub(flock.leeches.len())));
        let mut chosen = Vec::with_capacity(looks.min(total));
        let mut offer = |at: usize| {
            if let Some(conn) = member(at).filter(|conn| **conn != asker && !chosen.contains(*conn)) {
                chosen.push(*conn);
            }
        };
        let random = |rng: &mut Rng| usize::try_from(rng.below(total as u64)).unwrap_or(0);
        if total <= looks + 1 {
            let start = random(rng);
            (0..total).for_each(|step| offer((start + step) % total));
        } else {
            (0..looks).for_each(|_| offer(random(rng)));
        }
        chosen
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWARM: InfoHash = InfoHash([7; 20]);

    #[test]
    fn members_are_named_once_and_seeds_not_to_seeds() {
        let (mut flocks, mut rng) = (Flocks::default(), Rng::new([1; 32]));
        for number in 0..40 {
            flocks.join(SWARM, ConnId(number), number % 2 == 0);
        }
        for want in [1, 5, 10, 30] {
            for asker in 0..40 {
                let mut chosen = flocks.choose(&SWARM, ConnId(asker), asker % 2 == 0, want, &mut rng);
                assert!(!chosen.contains(&ConnId(asker)));
                assert!(asker % 2 == 1 || chosen.iter().all(|conn| conn.0 % 2 == 1));
                assert!(chosen.len() >= want.min(15), "{want}: {}", chosen.len());
                chosen.sort();
                chosen.dedup();
                assert!(chosen.len() >= want.min(15));
            }
        }
        assert_eq!(flocks.choose(&InfoHash([8; 20]), ConnId(1), false, 5, &mut rng), []);
    }

    #[test]
    fn places_stay_right_and_nothing_is_left() {
        let (mut flocks, mut rng) = (Flocks::default(), Rng::new([2; 32]));
        let mut places: BTreeMap<ConnId, (bool, u32)> = BTreeMap::new();
        for step in 0..5000 {
            let conn = ConnId(rng.below(50));
            if let Some((complete, at)) = places.remove(&conn) {
                if let Some(moved) = flocks.leave(&SWARM, complete, at) {
                    places.insert(moved, (complete, at));
                }
            } else {
                let complete = rng.below(2) == 0;
                let at = flocks.join(SWARM, conn, complete);
                places.insert(conn, (complete, at));
            }
            assert_eq!(flocks.memberships() as usize, places.len(), "step {step}");
            for (conn, (complete, at)) in &places {
                let flock = flocks.flocks.get_mut(&SWARM).unwrap();
                assert_eq!(flock.side(*complete)[*at as usize], *conn);
            }
        }
        for (_, (complete, _)) in places {
            flocks.leave(&SWARM, complete, 0);
        }
        assert_eq!((flocks.len(), flocks.memberships()), (0, 0));
        assert_eq!(flocks.leave(&SWARM, true, 0), None);
    }
}
