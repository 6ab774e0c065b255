//! Links: from open channels to a proven peer, and whether it is still there.
//!
//! Invariant: a peer has at most one proven link, and nothing but `Hello` and `Proof` passes before the proof.
//! The host signs and verifies, which takes it a moment: what a peer says meanwhile is held back, in order.
//! What is said over a link is none of this module's business.

pub(crate) mod dial;
pub(crate) mod proof;
#[cfg(test)]
mod stories;

use crate::action::Work;
use crate::config::Config;
use crate::fault::Fault;
use crate::id::{Fingerprint, JobId, LinkId, PeerId, Topic};
use crate::input::Outcome;
use crate::outbox::{CONTROL_BYTES_MAX, Cx};
use crate::time::{Instant, earliest, micros};
use crate::util::Map;
use crate::wire::{self, Hello, Message, Proof, Signature};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;
use proof::Side;

/// From open channels to the proof. A browser signs and verifies in 0.2 ms; the rest is round trips.
const GREETING_DEADLINE: Duration = Duration::from_secs(10);
/// A timer that is this late means that we slept, not that the peer did: ask again.
const LATE: Duration = Duration::from_secs(5);
/// What we understand beyond the first 25 messages.
const FEATURES: u32 =
    wire::FEATURE_NEWS | wire::FEATURE_OVERLAY | wire::FEATURE_ANCHOR | wire::FEATURE_GATHERED;

/// Channels that have just opened.
pub(crate) struct Opened {
    pub(crate) link: LinkId,
    pub(crate) peer: PeerId,
    pub(crate) local: Fingerprint,
    pub(crate) remote: Fingerprint,
    pub(crate) began: Instant,
    /// The swarm that it was made for.
    pub(crate) topic: Topic,
}

/// A link that has just been proven.
pub(crate) struct Proven {
    pub(crate) peer: PeerId,
    pub(crate) topic: Topic,
    /// Microseconds since the dial began.
    pub(crate) took: u64,
}

/// All open links.
#[derive(Default)]
pub(crate) struct Links {
    links: Map<LinkId, Box<Link>>,
    by_peer: Map<PeerId, LinkId>,
    /// No deadline of a link comes before: what is heard of a link moves its own further off.
    due: Option<Instant>,
}

struct Link {
    of: Opened,
    opened: Instant,
    nonce: [u8; 32],
    their_nonce: Option<[u8; 32]>,
    their_features: u32,
    /// What the host is at.
    job: Option<(JobId, Task)>,
    held: Held,
    proven: bool,
    heard: Instant,
    asked: Option<(u32, Instant)>,
}

/// What a host does for a link.
#[derive(Clone, Copy)]
enum Task {
    /// It signs our proof.
    Sign,
    /// It verifies theirs.
    Verify,
}

/// Messages that wait for the host, at most as many bytes as an honest peer lets pile up.
#[derive(Default)]
struct Held {
    messages: VecDeque<Vec<u8>>,
    bytes: u64,
}

impl Links {
    /// Greets on channels that have just opened.
    pub(crate) fn open(&mut self, opened: Opened, me: PeerId, cx: &mut Cx) {
        let nonce = cx.rng.bytes32();
        let hello = Hello { version: wire::VERSION, features: FEATURES, peer: me, nonce };
        let id = opened.link;
        cx.out.open(id);
        cx.out.control(id, &Message::Hello(hello));
        let link = Link {
            of: opened,
            opened: cx.now,
            nonce,
            their_nonce: None,
            their_features: 0,
            job: None,
            held: Held::default(),
            proven: false,
            heard: cx.now,
            asked: None,
        };
        self.due = earliest(self.due, Some(link.deadline(&cx.config)));
        self.links.insert(id, Box::new(link));
    }

    pub(crate) fn on_hello(
        &mut self,
        id: LinkId,
        hello: &Hello,
        me: &PeerId,
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let link = self.links.get_mut(&id).ok_or(Fault::Unexpected)?;
        if hello.version != wire::VERSION {
            return Err(Fault::Version);
        }
        if link.their_nonce.replace(hello.nonce).is_some() {
            return Err(Fault::Unexpected);
        }
        if hello.peer != link.of.peer {
            return Err(Fault::Identity);
        }
        link.their_features = hello.features;
        let message = proof::transcript(link.mine(me), link.theirs(&hello.nonce));
        link.job = Some((cx.out.start(Work::Sign { message }), Task::Sign));
        Ok(())
    }

    pub(crate) fn on_proof(
        &mut self,
        id: LinkId,
        proof: &Proof,
        me: &PeerId,
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let link = self.links.get_mut(&id).ok_or(Fault::Unexpected)?;
        let Some(nonce) = link.their_nonce else { return Err(Fault::Unexpected) };
        if link.proven {
            return Err(Fault::Unexpected);
        }
        let message = proof::transcript(link.theirs(&nonce), link.mine(me));
        let (peer, signature) = (link.of.peer, proof.signature);
        link.job = Some((cx.out.start(Work::Verify { peer, message, signature }), Task::Verify));
        Ok(())
    }

    /// The host has signed or verified. `None`: not our job, or its link is gone.
    pub(crate) fn on_done(
        &mut self,
        job: JobId,
        outcome: &Outcome<'_>,
        cx: &mut Cx,
    ) -> Option<(LinkId, Result<Option<Proven>, Fault>)> {
        let mut links = self.links.iter_mut();
        let (id, link) = links.find(|(_, link)| link.job.is_some_and(|(ours, _)| ours == job))?;
        let (_, task) = link.job.take()?;
        let result = match (task, outcome) {
            (Task::Sign, Outcome::Bytes(bytes)) => {
                Signature::from_bytes(bytes).ok_or(Fault::Refused).map(|signature| {
                    cx.out.control(*id, &Message::Proof(Proof { signature }));
                    None
                })
            }
            (Task::Verify, Outcome::Ok) if self.by_peer.contains_key(&link.of.peer) => Err(Fault::Duplicate),
            (Task::Verify, Outcome::Ok) => {
                link.proven = true;
                self.by_peer.insert(link.of.peer, *id);
                let took = cx.now.passed(link.of.began);
                Ok(Some(Proven { peer: link.of.peer, topic: link.of.topic, took }))
            }
            (Task::Verify, Outcome::Missing) => Err(Fault::Identity),
            // The host could not: nobody's fault, and no link.
            _ => Err(Fault::Refused),
        };
        Some((*id, result))
    }

    /// Keeps a message for later while the host signs or verifies. Answers whether it did.
    pub(crate) fn hold(&mut self, id: LinkId, bytes: &[u8]) -> Result<bool, Fault> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(false) };
        // What waits already comes first.
        if link.job.is_none() && link.held.messages.is_empty() {
            return Ok(false);
        }
        link.held.bytes += bytes.len() as u64;
        if link.held.bytes > CONTROL_BYTES_MAX {
            return Err(Fault::Flooding);
        }
        link.held.messages.push_back(bytes.to_vec());
        Ok(true)
    }

    /// The next message that need not wait any more.
    pub(crate) fn release(&mut self, id: LinkId) -> Option<Vec<u8>> {
        let link = self.links.get_mut(&id).filter(|link| link.job.is_none())?;
        let bytes = link.held.messages.pop_front()?;
        link.held.bytes -= bytes.len() as u64;
        Some(bytes)
    }

    pub(crate) fn on_ping(&self, id: LinkId, nonce: u32, cx: &mut Cx) -> Result<(), Fault> {
        if !self.is_proven(id) {
            return Err(Fault::Unexpected);
        }
        cx.out.control(id, &Message::Pong { nonce });
        Ok(())
    }

    pub(crate) fn on_pong(&mut self, id: LinkId, nonce: u32, cx: &Cx) -> Result<u64, Fault> {
        let link = self.links.get_mut(&id).ok_or(Fault::Unexpected)?;
        let Some((asked, at)) = link.asked.take() else { return Err(Fault::Unexpected) };
        if asked != nonce {
            return Err(Fault::Unexpected);
        }
        self.due = earliest(self.due, Some(link.deadline(&cx.config)));
        Ok(cx.now.passed(at))
    }

    /// Notes that something came in.
    pub(crate) fn on_heard(&mut self, id: LinkId, now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.heard = now;
        }
    }

    /// Asks quiet peers, and names those that are gone.
    pub(crate) fn on_timeout(&mut self, cx: &mut Cx) -> Vec<(LinkId, Fault)> {
        let mut dead = Vec::new();
        if self.due.is_none_or(|due| due > cx.now) {
            return dead;
        }
        self.due = None;
        for (id, link) in &mut self.links {
            if !link.proven && cx.now.since(link.opened) >= GREETING_DEADLINE {
                dead.push((*id, Fault::Deadline));
                continue;
            }
            if link.proven && link.dead_at(&cx.config).is_some_and(|due| due <= cx.now && cx.now < due + LATE)
            {
                dead.push((*id, Fault::Stalled));
                continue;
            }
            if link.proven && cx.now >= link.ping_at(&cx.config) {
                Self::ping(*id, link, cx);
            }
            self.due = earliest(self.due, Some(link.deadline(&cx.config)));
        }
        dead
    }

    /// Measures the round trip of a link that has just been proven.
    pub(crate) fn measure(&mut self, id: LinkId, cx: &mut Cx) {
        if let Some(link) = self.links.get_mut(&id) {
            Self::ping(id, link, cx);
        }
    }

    fn ping(id: LinkId, link: &mut Link, cx: &mut Cx) {
        let nonce = cx.rng.below(1 << 32) as u32;
        link.asked = Some((nonce, cx.now));
        cx.out.control(id, &Message::Ping { nonce });
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Forgets a link. Answers whose it was, and whether it was proven.
    pub(crate) fn close(&mut self, id: LinkId) -> Option<(PeerId, bool)> {
        let link = self.links.remove(&id)?;
        if link.proven {
            self.by_peer.remove(&link.of.peer);
        }
        Some((link.of.peer, link.proven))
    }

    pub(crate) fn is_proven(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.proven)
    }

    /// Whether the peer at the other end understands what a feature bit stands for.
    pub(crate) fn understands(&self, id: LinkId, feature: u32) -> bool {
        self.links.get(&id).is_some_and(|link| link.their_features & feature != 0)
    }

    /// Whose an open link is.
    pub(crate) fn peer_of(&self, id: LinkId) -> Option<PeerId> {
        self.links.get(&id).map(|link| link.of.peer)
    }

    pub(crate) fn contains(&self, id: LinkId) -> bool {
        self.links.contains_key(&id)
    }

    /// The open link with a peer, proven or not.
    pub(crate) fn with(&self, peer: &PeerId) -> Option<LinkId> {
        if let Some(id) = self.by_peer.get(peer) {
            return Some(*id);
        }
        for (id, link) in &self.links {
            if link.of.peer == *peer {
                return Some(*id);
            }
        }
        None
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn ids(&self) -> Vec<LinkId> {
        let mut ids = Vec::new();
        for (id, _) in &self.links {
            ids.push(*id);
        }
        ids
    }

    /// Proven links.
    pub(crate) const fn proven(&self) -> &Map<PeerId, LinkId> {
        &self.by_peer
    }
}

impl Link {
    fn mine<'a>(&'a self, me: &'a PeerId) -> Side<'a> {
        Side { peer: me, fingerprint: &self.of.local, nonce: &self.nonce }
    }

    const fn theirs<'a>(&'a self, nonce: &'a [u8; 32]) -> Side<'a> {
        Side { peer: &self.of.peer, fingerprint: &self.of.remote, nonce }
    }

    /// When something is to be done about its silence.
    fn deadline(&self, config: &Config) -> Instant {
        match (self.proven, self.asked) {
            (false, _) => self.opened + GREETING_DEADLINE,
            (true, None) => self.ping_at(config),
            (true, Some(_)) => self.dead_at(config).unwrap_or_else(|| self.ping_at(config)),
        }
    }

    /// When silence is asked about; again when the answer was slept through.
    fn ping_at(&self, config: &Config) -> Instant {
        self.dead_at(config).unwrap_or(self.heard + config.ping_after)
    }

    /// When an unanswered question means the end.
    fn dead_at(&self, config: &Config) -> Option<Instant> {
        let (_, asked) = self.asked?;
        let dead_after = micros(config.dead_after);
        Some(self.heard.after(dead_after).max(asked.after(dead_after / 2)))
    }
}
