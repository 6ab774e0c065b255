//! What is known of one swarm at other nodes, and what they can know of it here.

use super::ConnId;
use crate::time::Instant;
use crate::wire::bus::{Digest, NodeId};
use alloc::vec::Vec;

/// Members that could not be named enough others; more will be named to each other anyway.
const HUNGRY_MAX: usize = 12;
/// Requests that wait for one swarm's digests; others are answered with what is known.
const ASKERS_MAX: usize = 256;

/// One swarm.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// What the others may look up is not what is the case.
    pub(super) dirty: bool,
    /// Others may find something.
    pub(super) kept: bool,
    /// When that was put there.
    pub(super) kept_at: Option<Instant>,
    /// When the swarm is looked at again. Agrees with the list of all those times.
    pub(super) due: Option<Instant>,
    /// When `others` was true, if nothing has changed here since.
    pub(super) seen_at: Option<Instant>,
    /// What other nodes have. Kept for large swarms only: small ones are asked for each time.
    pub(super) others: Vec<(NodeId, Digest)>,
    /// Complete members, other members, and completions at other nodes.
    pub(super) sums: [u32; 3],
    /// To be asked for.
    pub(super) wanted: bool,
    /// Tries that are left to bring together those who could not be while nodes were apart.
    pub(super) heals: u8,
    /// One of them is under way.
    pub(super) healing: bool,
    /// Wait for the answer to a question of that number, or a later one; at most [`ASKERS_MAX`].
    askers: Vec<(u64, u64)>,
    /// At most [`HUNGRY_MAX`]; may be gone.
    hungry: Vec<ConnId>,
}

impl Shelf {
    /// Lets a request wait for the answer to a question. Whether there was room.
    pub(super) fn wait(&mut self, question: u64, waiter: u64) -> bool {
        let has_room = self.askers.len() < ASKERS_MAX;
        if has_room {
            self.askers.push((question, waiter));
            self.wanted = true;
        }
        has_room
    }

    /// Takes what other nodes have, and gives back whose waiting is over.
    pub(super) fn see(&mut self, now: Instant, question: u64, others: Vec<(NodeId, Digest)>) -> Vec<u64> {
        self.sums = [0; 3];
        for (_, digest) in &others {
            let counts = [digest.seeds, digest.leeches, digest.completed];
            self.sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(count));
        }
        (self.others, self.seen_at) = (others, Some(now));
        self.askers.extract_if(.., |(needs, _)| *needs <= question).map(|(_, waiter)| waiter).collect()
    }

    /// Nothing is known of other nodes any more.
    pub(super) fn forget_others(&mut self) {
        (self.others, self.seen_at, self.sums) = (Vec::new(), None, [0; 3]);
        (self.kept, self.kept_at, self.due, self.dirty) = (false, None, None, false);
        (self.wanted, self.heals, self.healing) = (false, 0, false);
        self.askers = Vec::new();
    }

    /// A request waits no longer.
    pub(super) fn give_up(&mut self, waiter: u64) {
        self.askers.retain(|(_, other)| *other != waiter);
    }

    /// A member would have liked more others.
    pub(super) fn remember_hungry(&mut self, conn: ConnId) {
        if self.hungry.len() < HUNGRY_MAX && !self.hungry.contains(&conn) {
            self.hungry.push(conn);
        }
    }

    pub(super) const fn has_hungry(&self) -> bool {
        !self.hungry.is_empty()
    }

    pub(super) fn take_hungry(&mut self) -> Vec<ConnId> {
        core::mem::take(&mut self.hungry)
    }

    /// Whether nobody needs it.
    pub(super) const fn is_idle(&self) -> bool {
        !self.dirty && !self.wanted && self.askers.is_empty()
    }
}
