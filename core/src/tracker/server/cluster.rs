//! This node among others of one cluster: who else is there, what they have, and what they can look up of us.
//!
//! Everything here is soft state. Each node keeps for each of its swarms one digest where the others can look it up
//! (how many members, and some of them by name), for as long as it lives; an announce is answered with what the
//! others have kept, at most [`PATIENCE`] later. Without a way to the others a node knows its own clients, and that is
//! enough to serve them. What is said and done with it is in `abroad.rs`; how bytes travel is the host's business.

#[cfg(test)]
mod stories;

use super::ConnId;
use super::routes::{Arrivals, Routes};
use super::shelf::Shelf;
use crate::id::Topic;
use crate::time::{Instant, earliest};
use crate::wire::bus::{Digest, NodeId, SAMPLE_MAX, SwarmId};
use crate::wire::webtorrent::InfoHash;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// Between two signs of life.
pub(super) const BEAT_EVERY: Duration = Duration::from_secs(2);
/// Without a sign of life a node counts as gone: four beats.
const NODE_LIFE: Duration = Duration::from_secs(8);
/// Nodes of one cluster, beside this one.
const NODES_MAX: usize = 63;
/// How long an announce may wait to hear of other nodes. Nobody notices a quarter of a second when joining.
const PATIENCE: Duration = Duration::from_millis(250);
/// Requests that wait, and bytes of them. Others are answered with what is known.
const WAITING_MAX: usize = 4096;
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long others find what was kept; nodes that are gone are not asked for long before.
pub(super) const KEEP: Duration = Duration::from_secs(300);
/// Before that it is kept again.
pub(super) const KEEP_AGAIN: Duration = Duration::from_secs(120);
/// A large swarm, which no digest names whole, is kept and asked for this often at most.
const PACE: Duration = Duration::from_secs(1);
/// When a way to the others is back, so many swarms are kept in a second, but all of them within `SPREAD_MAX`.
const SWARMS_EACH_SECOND: u64 = 10_000;
const SPREAD_MAX: Duration = Duration::from_secs(15);
/// Between two tries to bring together those who could not be.
pub(super) const HEAL_AGAIN: Duration = Duration::from_secs(8);
/// Swarms that are tended in one go.
const DUE_EACH: usize = 1000;

/// The state.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// What this node is called, while there is a way to the others.
    pub(super) me: Option<NodeId>,
    pub(super) name: String,
    /// The others; at most [`NODES_MAX`].
    pub(super) nodes: BTreeMap<NodeId, Node>,
    /// One for each swarm that has a member here, or is asked for.
    pub(super) shelves: BTreeMap<SwarmId, Shelf>,
    /// When which swarm is looked at again.
    due: BTreeSet<(Instant, SwarmId)>,
    /// To be looked at before this input is done.
    urgent: Vec<SwarmId>,
    /// In order of their end; at most [`WAITING_MAX`].
    waiting: BTreeMap<u64, Waiting>,
    waiting_bytes: usize,
    numbers: u64,
    pub(super) routes: Routes,
    pub(super) arrivals: Arrivals,
    pub(super) beat_at: Option<Instant>,
    /// The last beat that went out: its number, and when.
    pub(super) beat: (u64, Instant),
    pub(super) said_bye: bool,
    pub(super) counts: BusSnapshot,
}

/// Another node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) heard: Instant,
    pub(super) draining: bool,
}

/// Counts of what goes between nodes, for metrics and tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusSnapshot {
    /// Whether there is a way to other nodes.
    pub up: bool,
    /// Other nodes that live.
    pub nodes: u32,
    /// Words and digests that went out, ever.
    pub said: u64,
    /// Words and digests that came, ever.
    pub heard: u64,
    /// Of them, those that could not be read.
    pub refused: u64,
    /// Answers that did not wait until other nodes were heard, ever.
    pub late: u64,
    /// How long the last sign of life took to come back to its sender, in microseconds.
    pub lag_us: u64,
}

/// What waits until other nodes are known.
#[derive(Debug)]
pub(super) enum Request {
    /// A list of members.
    List { topic: Topic, want: usize },
    /// An announce of WebTorrent's dialect, with its offers.
    Round { info_hash: InfoHash, bytes: Vec<u8> },
    /// Counts of swarms.
    Scrape { hashes: Vec<InfoHash> },
}

#[derive(Debug)]
struct Waiting {
    until: Instant,
    conn: ConnId,
    /// Answers that are missing.
    missing: usize,
    request: Request,
}

impl Request {
    fn swarms(&self) -> Vec<SwarmId> {
        match self {
            Self::List { topic, .. } => Vec::from([SwarmId::Topic(*topic)]),
            Self::Round { info_hash, .. } => Vec::from([SwarmId::InfoHash(*info_hash)]),
            Self::Scrape { hashes } => hashes.iter().copied().map(SwarmId::InfoHash).collect(),
        }
    }

    const fn bytes(&self) -> usize {
        match self {
            Self::List { .. } => 0,
            Self::Round { bytes, .. } => bytes.len(),
            Self::Scrape { hashes } => hashes.len() * 20,
        }
    }
}

impl Cluster {
    /// There is a way to the others. `swarms` are those with a member here.
    pub(super) fn connect(&mut self, now: Instant, me: NodeId, name: &str, swarms: Vec<SwarmId>) {
        self.disconnect();
        (self.me, self.beat_at, self.said_bye) = (Some(me), Some(now), false);
        self.name = String::from(name);
        for (at, swarm) in spread(now, swarms) {
            let shelf = self.shelves.entry(swarm).or_default();
            shelf.dirty = true;
            shelf.heals = if shelf.has_hungry() { 2 } else { 0 };
            self.schedule(swarm, at);
        }
    }

    /// There is none. Gives back what has waited.
    pub(super) fn disconnect(&mut self) -> Vec<(ConnId, Request)> {
        (self.me, self.beat_at) = (None, None);
        self.nodes.clear();
        self.due.clear();
        self.urgent.clear();
        self.shelves.values_mut().for_each(Shelf::forget_others);
        self.waiting_bytes = 0;
        let waiting = core::mem::take(&mut self.waiting);
        waiting.into_values().map(|waiting| (waiting.conn, waiting.request)).collect()
    }

    /// Whether nobody else has members that may be named.
    pub(super) fn is_alone(&self) -> bool {
        self.me.is_none() || self.nodes.values().all(|node| node.draining)
    }

    /// Notes a sign of life; whether it is the first.
    pub(super) fn hear(&mut self, now: Instant, node: NodeId, draining: bool) -> bool {
        let is_new = !self.nodes.contains_key(&node);
        if is_new && self.nodes.len() >= NODES_MAX {
            return false;
        }
        self.nodes.insert(node, Node { heard: now, draining });
        if is_new {
            self.heal(now);
        }
        is_new
    }

    /// Others may have come to those who lacked them.
    fn heal(&mut self, now: Instant) {
        let hungry = self.shelves.iter().filter(|(_, shelf)| shelf.has_hungry());
        let swarms: Vec<SwarmId> = hungry.map(|(swarm, _)| *swarm).collect();
        for (at, swarm) in spread(now, swarms) {
            if let Some(shelf) = self.shelves.get_mut(&swarm) {
                shelf.heals = 2;
            }
            self.schedule(swarm, at);
        }
    }

    /// Forgets who is silent, and gives it back.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<NodeId> {
        let gone = self.nodes.extract_if(.., |_, node| now.since(node.heard) >= NODE_LIFE);
        let gone = gone.map(|(node, _)| node).collect();
        self.routes.expire(now);
        self.arrivals.expire(now);
        gone
    }

    /// The nodes whose members may be named.
    pub(super) fn neighbours(&self) -> Vec<NodeId> {
        self.nodes.iter().filter(|(_, node)| !node.draining).map(|(id, _)| *id).collect()
    }

    /// Looks at a swarm at that time, or before.
    pub(super) fn schedule(&mut self, swarm: SwarmId, at: Instant) {
        let Some(shelf) = self.shelves.get_mut(&swarm) else { return };
        if shelf.due.is_some_and(|due| due <= at) {
            return;
        }
        if let Some(later) = shelf.due.replace(at) {
            self.due.remove(&(later, swarm));
        }
        self.due.insert((at, swarm));
    }

    /// Forgets a swarm that nobody needs.
    pub(super) fn drop_idle(&mut self, swarm: SwarmId) {
        if let Some(shelf) = self.shelves.get(&swarm)
            && shelf.is_idle()
        {
            if let Some(due) = shelf.due {
                self.due.remove(&(due, swarm));
            }
            self.shelves.remove(&swarm);
        }
    }

    /// Somebody came to a swarm here, left it, or became complete.
    pub(super) fn change(&mut self, swarm: SwarmId) {
        if self.me.is_some() {
            let shelf = self.shelves.entry(swarm).or_default();
            shelf.dirty = true;
            self.urgent.push(swarm);
        }
    }

    /// Lets a request wait for what the others have; gives it back when it is to be answered now. `total`: members
    /// of a swarm here.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: Request,
        total: impl Fn(SwarmId) -> u32,
    ) -> Option<Request> {
        if self.is_alone() {
            return Some(request);
        }
        if self.waiting.len() >= WAITING_MAX || self.waiting_bytes + request.bytes() > WAITING_BYTES_MAX {
            self.counts.late += 1;
            return Some(request);
        }
        self.numbers += 1;
        let (number, mut missing) = (self.numbers, 0);
        for swarm in request.swarms() {
            let shelf = self.shelves.entry(swarm).or_default();
            let is_fresh = shelf.seen_at.is_some_and(|at| now.since(at) < PACE);
            if (is_fresh && is_large(total(swarm))) || !shelf.wait(number, number) {
                continue;
            }
            missing += 1;
            self.urgent.push(swarm);
        }
        if missing == 0 {
            return Some(request);
        }
        self.waiting_bytes += request.bytes();
        self.waiting.insert(number, Waiting { until: now + PATIENCE, conn, missing, request });
        None
    }

    /// One of the answers that a request waits for is there. Gives it back when it was the last.
    pub(super) fn answered(&mut self, waiter: u64) -> Option<(ConnId, Request)> {
        let waiting = self.waiting.get_mut(&waiter)?;
        waiting.missing = waiting.missing.saturating_sub(1);
        if waiting.missing > 0 { None } else { self.release(waiter) }
    }

    /// The next request that has waited long enough.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<(ConnId, Request)> {
        let (waiter, _) = self.waiting.first_key_value().filter(|(_, waiting)| waiting.until <= now)?;
        let waiter = *waiter;
        self.counts.late += 1;
        let (conn, request) = self.release(waiter)?;
        for swarm in request.swarms() {
            let Some(shelf) = self.shelves.get_mut(&swarm) else { continue };
            shelf.give_up(waiter);
            if !shelf.kept {
                self.drop_idle(swarm);
            }
        }
        Some((conn, request))
    }

    fn release(&mut self, waiter: u64) -> Option<(ConnId, Request)> {
        let Waiting { conn, request, .. } = self.waiting.remove(&waiter)?;
        self.waiting_bytes -= request.bytes();
        Some((conn, request))
    }

    /// The swarms that something has happened to.
    pub(super) fn take_urgent(&mut self) -> Vec<SwarmId> {
        core::mem::take(&mut self.urgent)
    }

    /// Swarms whose time has come.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<SwarmId> {
        let mut swarms = Vec::new();
        while swarms.len() < DUE_EACH
            && let Some((at, swarm)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            if let Some(shelf) = self.shelves.get_mut(&swarm) {
                (shelf.due, shelf.dirty) = (None, true);
            }
            swarms.push(swarm);
        }
        swarms
    }

    /// When a large swarm may be kept again, if that is not now.
    pub(super) fn keeps_at(&self, now: Instant, swarm: SwarmId, total: u32) -> Option<Instant> {
        let kept_at = self.shelves.get(&swarm)?.kept_at.filter(|_| is_large(total))?;
        Some(kept_at + PACE).filter(|at| *at > now)
    }

    /// The number of a question that answers everything that waits now.
    pub(super) const fn question(&self) -> u64 {
        self.numbers
    }

    /// What others have of a swarm, as far as it is known now.
    pub(super) fn others(&self, swarm: SwarmId) -> &[(NodeId, Digest)] {
        self.shelves.get(&swarm).map_or(&[], |shelf| &shelf.others)
    }

    pub(super) fn sums(&self, swarm: SwarmId) -> [u32; 3] {
        self.shelves.get(&swarm).map_or([0; 3], |shelf| shelf.sums)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = self.due.first().map(|(at, _)| *at);
        let waiting = self.waiting.first_key_value().map(|(_, waiting)| waiting.until);
        earliest(earliest(due, waiting), self.beat_at)
    }

    pub(super) fn snapshot(&self) -> BusSnapshot {
        let nodes = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        BusSnapshot { up: self.me.is_some(), nodes, ..self.counts }
    }
}

/// Whether a digest cannot name all members.
pub(super) const fn is_large(total: u32) -> bool {
    total > SAMPLE_MAX as u32
}

/// Shares out work over a time that grows with it.
fn spread(now: Instant, swarms: Vec<SwarmId>) -> impl Iterator<Item = (Instant, SwarmId)> {
    let count = swarms.len() as u64;
    let span_us = (count * 1_000_000 / SWARMS_EACH_SECOND).min(crate::time::micros(SPREAD_MAX));
    let share = move |at: usize| now.after(span_us * at as u64 / count.max(1));
    swarms.into_iter().enumerate().map(move |(at, swarm)| (share(at), swarm))
}
