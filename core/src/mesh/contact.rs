//! One peer behind neighbours: its card, the key that both agree on, and what waits for that.

use super::seal::{Holder, Seen, Way};
use crate::Work;
use crate::id::{JobId, LinkId, PeerId};
use crate::input::Outcome;
use crate::outbox::Cx;
use crate::time::Instant;
use crate::wire::{Card, Signal};
use alloc::vec::Vec;

/// Neighbours that lead to one peer.
const WAYS_MAX: usize = 4;
/// Signals that wait for a key: an offer and all its candidates.
const WAITING_MAX: usize = 24;

pub(super) struct Contact {
    pub(super) peer: PeerId,
    pub(super) card: Option<Card>,
    pub(super) step: Step,
    /// Neighbours that lead to it; parcels go to the first.
    pub(super) by: Vec<LinkId>,
    pub(super) used: Instant,
    out: Vec<Signal>,
    inbox: Vec<(LinkId, Vec<u8>)>,
}

pub(super) enum Step {
    /// There was nothing to say yet.
    New,
    /// The host verifies its card.
    Verifying(JobId),
    /// The host agrees with it on a secret.
    Agreeing(JobId),
    /// Both can seal.
    Agreed { out: Way, back: Way, seen: Seen },
}

impl Contact {
    pub(super) const fn new(peer: PeerId, now: Instant) -> Self {
        Self {
            peer,
            card: None,
            step: Step::New,
            by: Vec::new(),
            used: now,
            out: Vec::new(),
            inbox: Vec::new(),
        }
    }

    /// Whether it waits for that job.
    pub(super) fn awaits(&self, job: JobId) -> bool {
        matches!(self.step, Step::Verifying(ours) | Step::Agreeing(ours) if ours == job)
    }

    /// A neighbour leads to it.
    pub(super) fn lead(&mut self, by: LinkId) {
        if !self.by.contains(&by) && self.by.len() < WAYS_MAX {
            self.by.push(by);
        }
    }

    /// A neighbour does not lead to it any more. Answers whether it did.
    pub(super) fn unlead(&mut self, by: LinkId) -> bool {
        let at = self.by.iter().position(|other| *other == by);
        at.map(|at| self.by.remove(at)).is_some()
    }

    /// Something to say. Each knock tries the next way.
    pub(super) fn give(&mut self, signal: Signal) {
        if matches!(signal, Signal::Knock { .. }) && !self.by.is_empty() {
            let by = self.by.remove(0);
            self.by.push(by);
        }
        if self.out.len() < WAITING_MAX {
            self.out.push(signal);
        }
    }

    /// A parcel of its, by way of a neighbour.
    pub(super) fn take(&mut self, by: LinkId, sealed: &[u8]) {
        if self.inbox.len() < WAITING_MAX {
            self.inbox.push((by, sealed.to_vec()));
        }
    }

    /// Has its card verified, if somebody showed one.
    pub(super) fn verify(&mut self, cx: &mut Cx) {
        let Some(card) = &self.card else { return self.inbox.clear() };
        let Some(signature) = card.signature() else { return };
        let message = Card::vow(&self.peer, &card.key());
        self.step = Step::Verifying(cx.out.start(Work::Verify { peer: self.peer, message, signature }));
    }

    /// The host did what `step` waits for. `false`: no key can be had.
    pub(super) fn on_done(&mut self, outcome: &Outcome<'_>, me: Holder<'_>, cx: &mut Cx) -> bool {
        let Some(key) = self.card.map(|card| card.key()) else { return false };
        match (&self.step, outcome) {
            (Step::Verifying(_), Outcome::Ok) => {
                self.step = Step::Agreeing(cx.out.start(Work::Agree { key }));
            }
            (Step::Agreeing(_), Outcome::Bytes(secret)) => {
                // All zero is what keys of small order bring about: everybody would know it.
                if secret.iter().all(|byte| *byte == 0) {
                    return false;
                }
                let them = Holder { peer: &self.peer, key: &key };
                let (out, back) = (Way::new(secret, me, them), Way::new(secret, them, me));
                self.step = Step::Agreed { out, back, seen: Seen::default() };
            }
            _ => return false,
        }
        true
    }

    /// The next that has come, in order. What was not sealed by the peer, or came before, is dropped.
    pub(super) fn read(&mut self) -> Option<Signal> {
        let Step::Agreed { back, seen, .. } = &mut self.step else { return None };
        while !self.inbox.is_empty() {
            let (by, mut parcel) = self.inbox.remove(0);
            if let Some((number, plain)) = back.open(&mut parcel)
                && seen.is_new(number)
                && let Some((signal, [])) = Signal::take(plain)
            {
                // Answers go back as this came.
                self.unlead(by);
                self.by.insert(0, by);
                self.by.truncate(WAYS_MAX);
                return Some(signal);
            }
        }
        None
    }

    /// What waits to be sent, in order.
    pub(super) fn take_out(&mut self) -> Vec<Signal> {
        core::mem::take(&mut self.out)
    }

    /// Writes the tail of a parcel, with `card` where it is ours to show.
    pub(super) fn seal(&self, number: u64, signal: &Signal, card: Option<&Card>) -> Vec<u8> {
        let mut tail = card.map_or(Vec::new(), |card| card.0.to_vec());
        if let Step::Agreed { out, .. } = &self.step {
            out.seal(number, &signal.encode(), &mut tail);
        }
        tail
    }

    #[cfg(feature = "lab")]
    pub(super) const fn is_bounded(&self) -> bool {
        self.by.len() <= WAYS_MAX && self.out.len() <= WAITING_MAX && self.inbox.len() <= WAITING_MAX
    }
}
