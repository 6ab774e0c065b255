//! Who could be called: peers that somebody told of, and how it went with them.

use crate::id::{PeerId, Topic};
use crate::outbox::Cx;
use crate::time::{Instant, SECOND, earliest};
use crate::util::Map;
use alloc::vec::Vec;

/// First back-off after a failed attempt; doubles up to 64 times this.
pub(super) const BACKOFF: u64 = 3 * SECOND;
/// Peers that are remembered as known or failed.
const KNOWN_MAX: usize = 512;
/// Swarms of one of them.
const TOPICS_MAX: usize = 64;
/// A peer that was worth less than nothing is remembered as such for an hour (theory §4), and counts as one with so many
/// failures: where nobody else is known, or everybody was cut off for a while, it is called again.
const SHUN: u64 = 3600 * SECOND;
const SHUNNED_RANK: u32 = 64;

/// Everybody who is known; who failed most makes room.
pub(crate) struct Book {
    peers: Map<PeerId, Known>,
}

/// A peer that the signaller or somebody else told of.
#[derive(Debug, Default)]
struct Known {
    topics: Vec<Topic>,
    complete: bool,
    /// The signaller has it.
    told: bool,
    failures: u32,
    not_before: Instant,
    /// The last link with it ended while it was worth less than nothing: until then others are called first, and none makes
    /// room for it.
    shunned_until: Instant,
}

impl Book {
    pub(super) const fn new() -> Self {
        Self { peers: Map::new() }
    }

    /// Notes that `peer` is in `topic`, and that the signaller can reach it if that `told` us so.
    pub(crate) fn learn(&mut self, peer: PeerId, topic: Topic, complete: bool, told: bool) {
        let known = self.note(peer);
        known.complete = complete;
        known.told |= told;
        if !known.topics.contains(&topic) && known.topics.len() < TOPICS_MAX {
            known.topics.push(topic);
        }
    }

    /// What is known of a peer; another that failed most makes room.
    fn note(&mut self, peer: PeerId) -> &mut Known {
        if self.peers.len() >= KNOWN_MAX && !self.peers.contains_key(&peer) {
            let (mut worst, mut rank) = (peer, (0, Instant::ZERO));
            for (id, known) in &self.peers {
                if (known.failures, known.not_before) >= rank {
                    (worst, rank) = (*id, (known.failures, known.not_before));
                }
            }
            self.peers.remove(&worst);
        }
        self.peers.entry(peer).or_default()
    }

    /// Whom to call in `topic` now, of those who `may` be called: never tried before tried, then by chance. `may` is told of
    /// each whether the signaller has it.
    pub(super) fn choose(
        &self,
        topic: &Topic,
        we_are_complete: bool,
        may: &dyn Fn(&PeerId, bool) -> bool,
        cx: &mut Cx,
    ) -> Option<PeerId> {
        let mut best = Vec::new();
        let mut fewest = u32::MAX;
        for (id, known) in &self.peers {
            let failures = known.failures + if known.shunned_until > cx.now { SHUNNED_RANK } else { 0 };
            if failures > fewest
                || known.not_before > cx.now
                || (known.complete && we_are_complete)
                || !known.topics.contains(topic)
                || !may(id, known.told)
            {
                continue;
            }
            if failures < fewest {
                fewest = failures;
                best.clear();
            }
            best.push(*id);
        }
        // Chance is drawn only where there is a choice to make.
        if best.is_empty() { None } else { cx.rng.pick(&best).copied() }
    }

    /// When the next of those who are waited for may be called again.
    pub(super) fn retry_at(&self, now: Instant) -> Option<Instant> {
        let mut first = None;
        for (_, known) in &self.peers {
            if known.not_before > now {
                first = earliest(first, Some(known.not_before));
            }
        }
        first
    }

    /// An attempt, or a link, came to nothing: wait a moment before the next.
    pub(super) fn back_off(&mut self, peer: &PeerId, cx: &mut Cx) {
        if let Some(known) = self.peers.get_mut(peer) {
            let wait = BACKOFF << known.failures.min(6);
            known.failures = known.failures.saturating_add(1);
            known.not_before = cx.now.after(wait / 2 + cx.rng.below(wait / 2));
        }
    }

    /// A link came about.
    pub(super) fn forgive(&mut self, peer: &PeerId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.failures = 0;
        }
    }

    /// It was worth less than nothing.
    pub(super) fn shun(&mut self, peer: PeerId, now: Instant) {
        self.note(peer).shunned_until = now.after(SHUN);
    }

    /// Whether it is remembered as worth less than nothing.
    pub(crate) fn is_shunned(&self, peer: &PeerId, now: Instant) -> bool {
        self.peers.get(peer).is_some_and(|known| known.shunned_until > now)
    }

    /// Nobody is waited for: the last link is gone.
    pub(crate) fn hurry(&mut self) {
        for (_, known) in &mut self.peers {
            known.not_before = Instant::ZERO;
        }
    }

    /// This one is not waited for: the signaller has just named it, and there is nobody else.
    pub(crate) fn hurry_to(&mut self, peer: &PeerId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.not_before = Instant::ZERO;
        }
    }

    /// The signaller says that it has not got it.
    pub(super) fn untell(&mut self, peer: &PeerId) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.told = false;
        }
    }

    /// Whether the signaller has it.
    pub(super) fn is_told(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|known| known.told)
    }

    /// Whether it was said to have everything.
    pub(super) fn is_complete(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|known| known.complete)
    }

    /// The topics that `peer` is known to be in.
    pub(crate) fn topics_of(&self, peer: &PeerId) -> &[Topic] {
        match self.peers.get(peer) {
            Some(known) => &known.topics,
            None => &[],
        }
    }

    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    pub(super) fn forget_topic(&mut self, topic: &Topic) {
        self.peers.retain(|_, known| {
            known.topics.retain(|known| known != topic);
            !known.topics.is_empty()
        });
    }

    #[cfg(feature = "lab")]
    pub(super) const fn is_bounded(&self) -> bool {
        self.peers.len() <= KNOWN_MAX
    }
}
