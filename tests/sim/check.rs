//! Invariants: some hold at every moment, some at the end of a run. The first one that is broken stops it.

use crate::bounds::{Bound, Task, lower_bound};
use crate::host::Peer;
use crate::spec::{Conduct, PeerId};
use crate::world::World;
use core::time::Duration;
use swarmlet_core::Fault as PeerFault;

/// Peers whose insides are looked at in each virtual second.
const AUDITED_MAX: usize = 100;

impl World {
    /// What holds at every moment; asked once in each virtual second, of a few peers in turn where there are many.
    pub(crate) fn check_running(&mut self) {
        let count = self.peers.len();
        for offset in 0..count.min(AUDITED_MAX) {
            let peer = (self.audited + offset) % count;
            let Some(node) = &self.peers[peer].node else { continue };
            let snapshot = node.snapshot();
            let done_wrong = snapshot.shares.iter().any(|share| share.done > share.wanted);
            if let Some(wrong) = node.audit() {
                self.violate(format_args!("peer {peer}: {wrong}"));
            }
            if done_wrong {
                self.violate(format_args!("peer {peer} says it has more than it wants"));
            }
        }
        self.audited = (self.audited + AUDITED_MAX) % count.max(1);
        self.check_ledger();
    }

    /// Nobody who keeps to the rules is shut out.
    pub(crate) fn check_ban(&mut self, by: PeerId, banned: &swarmlet_core::PeerId, fault: PeerFault) {
        let is_it = |peer: &Peer| peer.node.as_ref().is_some_and(|node| node.peer_id() == *banned);
        let Some(peer) = self.peers.iter().position(is_it) else { return };
        if self.peers[peer].spec.conduct == Conduct::Honest {
            self.violate(format_args!("peer {by} bans honest peer {peer}: {}", fault.name()));
        }
    }

    /// Bytes sent = received + lost + in flight.
    fn check_ledger(&mut self) {
        let in_flight: u64 = self.ends.iter().map(crate::rtc::End::in_flight).sum();
        let ledger = self.ledger;
        if ledger.sent != ledger.received + ledger.lost + in_flight {
            self.violate(format_args!("{ledger:?} and {in_flight} bytes in flight do not add up"));
        }
    }

    /// What holds at the end of a run.
    ///
    /// # Panics
    /// With the seed and the first broken invariant.
    pub fn check(&mut self) {
        if let Err(violation) = self.verdict() {
            panic!("{violation}");
        }
    }

    /// What holds at the end of a run, or the first broken invariant with its seed and time.
    ///
    /// # Errors
    /// The broken invariant.
    pub fn verdict(&mut self) -> Result<(), String> {
        self.check_running();
        self.check_delivery();
        self.check_bound();
        self.violation.clone().map_or(Ok(()), Err)
    }

    /// A peer that says it has everything has every byte on its disk. (Wrong bytes never get there: every
    /// write is compared with the truth when it is made.)
    fn check_delivery(&mut self) {
        for peer in 0..self.peers.len() {
            let this = &self.peers[peer];
            if this.spec.seed || this.done_at.is_none() || !self.is_complete(peer) {
                continue;
            }
            let missing: u64 =
                self.files.iter().map(|(root, file)| file.len() as u64 - this.disk.stored(root)).sum();
            let settled = this.done_at.is_some_and(|at| self.now.since(at) > Duration::from_secs(1));
            if missing > 0 && settled {
                self.violate(format_args!("peer {peer} says it is done and misses {missing} bytes"));
            }
        }
    }

    /// No run beats the bound.
    fn check_bound(&mut self) {
        let Some(last) = self.last_done() else { return };
        let bound = self.bound(self.options.set_up.shortest());
        if last.as_secs_f64() < bound.total {
            let total = bound.total;
            self.violate(format_args!("done after {last:?}, which the bound of {total:.3} s forbids"));
        }
    }

    /// The bound for this world with `connect` as the time of a first link.
    #[must_use]
    pub fn bound(&self, connect: Duration) -> Bound {
        let seeds = self.peers.iter().filter(|peer| peer.spec.seed).map(|peer| peer.spec.up);
        let source_up = seeds.chain(self.origins.iter().map(|origin| origin.rate)).sum::<u64>() as f64;
        let wanting: Vec<_> = self.peers.iter().filter(|peer| !peer.spec.seed).collect();
        // HTTP needs no connection to a peer.
        let connect = if self.origins.is_empty() { connect } else { Duration::ZERO };
        lower_bound(&Task {
            bytes: self.content.bytes(),
            source_up,
            up: wanting.iter().map(|peer| peer.spec.up as f64).collect(),
            down_min: wanting.iter().map(|peer| peer.spec.down).min().unwrap_or(u64::MAX) as f64,
            connect: connect.as_secs_f64(),
        })
    }

    /// When the last peer that wanted the content had it, if all do.
    #[must_use]
    pub fn last_done(&self) -> Option<Duration> {
        self.done_times().and_then(|times| times.last().copied())
    }

    /// When each peer that wanted the content had it, in order, if all do.
    #[must_use]
    pub fn done_times(&self) -> Option<Vec<Duration>> {
        let wanting = self.peers.iter().filter(|peer| !peer.spec.seed);
        let mut times = wanting
            .map(|peer| peer.done_at.map(|at| at.since(swarmlet_core::Instant::ZERO)))
            .collect::<Option<Vec<_>>>()?;
        times.sort_unstable();
        Some(times)
    }

    /// Whether every honest peer that wants the content has it.
    #[must_use]
    pub fn all_done(&self) -> bool {
        // Asked after every note of an application: the peer that was not done the last time is looked at first.
        let is_done = |peer: &Peer| peer.done_at.is_some() || !peer.spec.is_honest_leecher();
        let first = self.undone.get().min(self.peers.len());
        let (before, after) = self.peers.split_at(first);
        let found = after.iter().chain(before).position(|peer| !is_done(peer));
        if let Some(at) = found {
            self.undone.set((first + at) % self.peers.len());
        }
        found.is_none()
    }
}
