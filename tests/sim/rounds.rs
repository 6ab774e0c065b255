//! A second opinion: a swarm without messages, in rounds. In each round everybody who has a block that somebody else
//! lacks gives away as many as its line carries, and nobody takes more than its line does (theory §6, §8). It knows
//! nothing of the engine or the simulated network: no windows, no requests, no delays, and everybody sees what everybody
//! has had since the round before.
//!
//! So it tells what a crowd of equal peers can come to that chooses the rarest block of a random neighbourhood, where
//! nothing but the choice costs time. The engine is printed beside it; it should be a little slower, never much faster.

use crate::queue::fork;
use swarmlet_core::rng::Rng;

/// A crowd of equal peers and one origin.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Peers that want everything.
    pub peers: usize,
    /// Blocks of the content.
    pub blocks: usize,
    /// Blocks that the origin sends in a round, in the mean; a peer sends one.
    pub origin: f64,
    /// Blocks that a peer takes in a round at the most.
    pub down: usize,
    /// Neighbours of each peer, about.
    pub links: usize,
    /// Everything that is drawn follows from it.
    pub seed: u64,
}

/// Rounds until each peer had everything, in order.
#[must_use]
pub fn run(crowd: &Crowd) -> Vec<u32> {
    let mut swarm = Swarm::new(crowd);
    let mut done = Vec::new();
    // A crowd that lacks nothing but luck needs a few rounds more than blocks.
    let most = (crowd.blocks * 4 + 1000) as u32;
    for round in 1..=most {
        let sent = |rounds: u32| (f64::from(rounds) * crowd.origin) as usize;
        swarm.round(crowd, sent(round) - sent(round - 1));
        let newly = swarm.newly_done(crowd.blocks);
        done.extend(core::iter::repeat_n(round, newly));
        if done.len() == crowd.peers {
            break;
        }
    }
    done
}

/// Peers by number; the origin is the last.
struct Swarm {
    links: Vec<Vec<usize>>,
    has: Vec<Vec<u64>>,
    count: Vec<usize>,
    told: Vec<bool>,
    /// How many neighbours of each have each block; of the origin: how often it gave it away.
    holders: Vec<Vec<u16>>,
    rng: Rng,
}

impl Swarm {
    fn new(crowd: &Crowd) -> Self {
        let mut rng = fork(crowd.seed, 71, 0);
        let everybody = crowd.peers + 1;
        let mut links = vec![Vec::new(); everybody];
        for peer in 0..everybody {
            let mut tries = 0;
            while links[peer].len() < crowd.links.min(crowd.peers).div_ceil(2) && tries < 100 {
                tries += 1;
                let other = rng.below(everybody as u64) as usize;
                if other != peer && !links[peer].contains(&other) {
                    links[peer].push(other);
                    links[other].push(peer);
                }
            }
        }
        let words = crowd.blocks.div_ceil(64);
        let mut has = vec![vec![0; words]; everybody];
        (0..crowd.blocks).for_each(|block| has[crowd.peers][block / 64] |= 1 << (block % 64));
        let mut count = vec![0; everybody];
        count[crowd.peers] = crowd.blocks;
        let holders = vec![vec![0; crowd.blocks]; everybody];
        Self { links, has, count, told: vec![false; crowd.peers], holders, rng }
    }

    /// Everybody gives in an order that chance makes, of what it had before the round.
    fn round(&mut self, crowd: &Crowd, origin: usize) {
        let before = self.has.clone();
        let mut taken = vec![0; crowd.peers + 1];
        let mut order: Vec<usize> = (0..=crowd.peers).collect();
        self.rng.shuffle(&mut order);
        for giver in order {
            let sends = if giver == crowd.peers { origin } else { 1 };
            for _ in 0..sends {
                self.give(giver, &before, &mut taken, crowd);
            }
        }
    }

    /// One block, to the neighbour that has least of those who lack something that the giver has.
    fn give(&mut self, giver: usize, before: &[Vec<u64>], taken: &mut [usize], crowd: &Crowd) {
        let mut best: Option<(usize, u64, usize)> = None;
        for at in 0..self.links[giver].len() {
            let taker = self.links[giver][at];
            if taker == crowd.peers || taken[taker] >= crowd.down || self.count[taker] == crowd.blocks {
                continue;
            }
            let lacks = before[giver].iter().zip(&self.has[taker]).any(|(ours, theirs)| ours & !theirs != 0);
            let rank = (self.count[taker], self.rng.below(1 << 32), taker);
            if lacks && best.is_none_or(|best| rank < best) {
                best = Some(rank);
            }
        }
        let Some((_, _, taker)) = best else { return };
        let rarity = if giver == crowd.peers { giver } else { taker };
        let Some(block) = self.choose(rarity, &before[giver], taker) else { return };
        self.has[taker][block / 64] |= 1 << (block % 64);
        self.count[taker] += 1;
        taken[taker] += 1;
        if giver == crowd.peers {
            self.holders[giver][block] += 1;
        }
        for other in self.links[taker].iter().filter(|other| **other != crowd.peers) {
            self.holders[*other][block] += 1;
        }
    }

    /// The block that fewest of the taker's neighbours have; of the origin, the one that it gave away least.
    fn choose(&mut self, rarity: usize, has: &[u64], taker: usize) -> Option<usize> {
        let (mut best, mut least, mut ties) = (None, u16::MAX, 0);
        for (at, (ours, theirs)) in has.iter().zip(&self.has[taker]).enumerate() {
            let mut lacks = ours & !theirs;
            while lacks != 0 {
                let block = at * 64 + lacks.trailing_zeros() as usize;
                lacks &= lacks - 1;
                let holders = self.holders[rarity][block];
                if holders < least {
                    (best, least, ties) = (Some(block), holders, 1);
                } else if holders == least {
                    ties += 1;
                    if self.rng.below(ties) == 0 {
                        best = Some(block);
                    }
                }
            }
        }
        best
    }

    fn newly_done(&mut self, blocks: usize) -> usize {
        let mut newly = 0;
        for (told, count) in self.told.iter_mut().zip(&self.count) {
            if !*told && *count == blocks {
                *told = true;
                newly += 1;
            }
        }
        newly
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(peers: usize, blocks: usize, origin: f64) -> Crowd {
        Crowd { peers, blocks, origin, down: 10, links: 24, seed: 1 }
    }

    #[test]
    fn one_peer_takes_a_block_in_each_round_and_many_a_few_more() {
        assert_eq!(run(&crowd(1, 50, 1.0)), [50]);
        for seed in 1..4 {
            let times = run(&Crowd { seed, ..crowd(60, 128, 1.0) });
            let last = *times.last().unwrap();
            // No fewer than M + floor(log2 N) rounds (Mundinger, Weber and Weiss), and not many more.
            assert_eq!(times.len(), 60);
            assert!((128 + 5..=128 + 30).contains(&last), "{last}");
        }
    }

    #[test]
    fn a_stronger_origin_helps_as_much_as_its_share_of_all_lines() {
        let last = |origin| *run(&crowd(60, 128, origin)).last().unwrap();
        // 60 × 128 blocks over 64 lines are 120 rounds, and some to begin and to end.
        let (equal, strong) = (last(1.0), last(4.0));
        assert!((120..=145).contains(&strong) && strong <= equal, "{strong} {equal}");
    }
}
