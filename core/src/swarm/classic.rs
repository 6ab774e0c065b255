//! Choking as classic BitTorrent does it, to compare with; not in what ships (theory §1.3, "BT-classic").
//!
//! Every ten seconds those neighbours that want something are ranked by what they gave in the last twenty, and by a
//! seed by what they took; the best are served until the next round, and one more in turn, whatever it gave. The turn
//! passes on every thirty seconds, and newcomers are three times as likely to be next in it. Nobody else is served:
//! what it asked for is rejected, and it is told to ask for nothing until it hears otherwise.

use super::Swarm;
use super::peer::Peer;
use crate::config::Incentive;
use crate::content::Bitfield;
use crate::fault::Fault;
use crate::id::LinkId;
use crate::outbox::Cx;
use crate::rng::Rng;
use crate::time::{Instant, SECOND};
use crate::util::{Map, Set};
use crate::wire::{Message, peer as limits};
use alloc::vec::Vec;

/// The best are found anew this often.
const ROUND: u64 = 10 * SECOND;
/// The turn passes on after so many rounds.
const TURN_ROUNDS: u32 = 3;
/// Whoever was let in and sends nothing for so long is served in its turn only.
const SNUB_AFTER: u64 = 60 * SECOND;
/// Places that are given away again when somebody wants nothing more or is gone; looked at this often.
const LOOK_AFTER: u64 = SECOND / 4;

/// Who is served, and who serves us.
#[derive(Default)]
pub(super) struct Classic {
    /// Neighbours in the order in which their turn comes.
    turns: Vec<LinkId>,
    /// What each had given and taken when a round began: this one, and the one before.
    marks: Map<LinkId, [Moved; 2]>,
    choked: Set<LinkId>,
    choking: Set<LinkId>,
    rounds: u32,
    round_at: Option<Instant>,
    look_at: Option<Instant>,
}

/// Bytes since the link was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moved {
    given: u64,
    taken: u64,
}

/// A neighbour, as its claim to be served is judged.
#[derive(Clone, Copy, Debug)]
struct Claim {
    link: LinkId,
    /// It wants something that we have.
    interested: bool,
    /// It let us ask and sends nothing.
    snubs: bool,
    /// What it gave of late, or took.
    moved: u64,
}

impl Classic {
    /// Whether this is the rule here.
    pub(super) const fn is_on(&self) -> bool {
        self.look_at.is_some()
    }

    /// Whether we serve nothing to this neighbour.
    pub(super) fn is_choked(&self, link: LinkId) -> bool {
        self.choked.contains(&link)
    }

    /// Whether this neighbour serves us nothing.
    pub(super) fn is_choking(&self, link: LinkId) -> bool {
        self.choking.contains(&link)
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.look_at
    }

    /// A neighbour is there: it waits, and three times in `len + 3` cases it is the next.
    fn meet(&mut self, link: LinkId, rng: &mut Rng) {
        let place = rng.below(self.turns.len() as u64 + 3).saturating_sub(2) as usize;
        self.turns.insert(place, link);
        self.marks.insert(link, Default::default());
        self.choked.insert(link);
    }

    fn forget(&mut self, link: LinkId) {
        self.turns.retain(|other| *other != link);
        self.marks.remove(&link);
        self.choked.remove(&link);
        self.choking.remove(&link);
    }
}

/// Those who are served take turns, a block each: the longer ago the last one, the smaller.
pub(super) const fn turn(peer: &Peer) -> u64 {
    if peer.loading > 0 { u64::MAX } else { peer.served.micros() }
}

/// Whom to serve of neighbours that stand in the order of their turns: the best but one place, by what they moved, then
/// by turn until `slots` are served that want anything. Who wants nothing yet and stands in between may begin at once.
fn served(slots: usize, claims: &[Claim]) -> Set<LinkId> {
    let mut best: Vec<&Claim> = claims.iter().filter(|claim| claim.interested && !claim.snubs).collect();
    best.sort_by_key(|claim| core::cmp::Reverse(claim.moved));
    best.truncate(slots.saturating_sub(1));
    let mut served: Set<LinkId> = best.iter().map(|claim| claim.link).collect();
    let mut places = slots - served.len().min(slots);
    for claim in claims {
        if places == 0 {
            break;
        }
        if served.insert(claim.link) && claim.interested {
            places -= 1;
        }
    }
    served
}

impl Swarm {
    /// A link is proven: nobody is served before the first look.
    pub(super) fn meet_classic(&mut self, link: LinkId, cx: &mut Cx) {
        if let Incentive::Classic { .. } = cx.config.incentive {
            self.classic.meet(link, &mut cx.rng);
            self.classic.look_at.get_or_insert(cx.now.after(LOOK_AFTER));
            self.classic.round_at.get_or_insert(cx.now.after(ROUND));
            cx.out.control(link, &Message::Choke { on: true });
        }
    }

    pub(super) fn forget_classic(&mut self, link: LinkId) {
        self.classic.forget(link);
    }

    /// A neighbour begins or ends to serve us.
    pub(super) fn on_choke(&mut self, link: LinkId, on: bool) -> Result<(), Fault> {
        let peer = self.peer(link)?;
        peer.idle = false;
        if on {
            // What it rejects now it still has.
            let asked: Vec<_> = peer.owes().keys().copied().collect();
            asked.iter().for_each(|(start, root)| peer.call_back(root, *start, None));
            self.classic.choking.insert(link);
        } else {
            self.classic.choking.remove(&link);
        }
        Ok(())
    }

    /// Time has passed: a round may be over, or a place free.
    pub(super) fn review_classic(&mut self, cx: &mut Cx) {
        let Incentive::Classic { slots } = cx.config.incentive else { return };
        if self.classic.look_at.is_none_or(|at| at > cx.now) {
            return;
        }
        self.classic.look_at = Some(cx.now.after(LOOK_AFTER));
        let mut claims = self.claims(cx.now);
        let is_over = self.classic.round_at.is_some_and(|at| at <= cx.now);
        if is_over {
            self.begin_round(&mut claims, cx.now);
        }
        let waits = |claim: &&Claim| claim.interested && self.classic.is_choked(claim.link);
        let is_served = |claim: &&Claim| claim.interested && !self.classic.is_choked(claim.link);
        let busy = claims.iter().filter(is_served).count();
        let is_free = busy < usize::from(slots) && claims.iter().any(|claim| waits(&claim));
        if is_over || is_free || busy > usize::from(slots) {
            let served = served(usize::from(slots), &claims);
            for claim in &claims {
                self.set_choked(claim.link, !served.contains(&claim.link), cx);
            }
        }
    }

    /// What neighbours have moved is counted from a round later on; every third time the turn passes on.
    fn begin_round(&mut self, claims: &mut [Claim], now: Instant) {
        self.classic.round_at = Some(now.after(ROUND));
        self.classic.rounds += 1;
        for (link, marks) in &mut self.classic.marks {
            if let Some(peer) = self.peers.get(link) {
                *marks = [marks[1], Moved { given: peer.received, taken: peer.sent }];
            }
        }
        // Whose turn is next is the first that waits; those before it go to the end.
        if self.classic.rounds.is_multiple_of(TURN_ROUNDS) {
            let choked = &self.classic.choked;
            let next = claims.iter().position(|claim| claim.interested && choked.contains(&claim.link));
            if let Some(next) = next {
                claims.rotate_left(next);
                self.classic.turns.rotate_left(next);
            }
        }
    }

    /// All neighbours in the order of their turns.
    fn claims(&self, now: Instant) -> Vec<Claim> {
        let gives = !self.wanted.is_empty();
        let mut claims = Vec::new();
        for link in &self.classic.turns {
            let Some(peer) = self.peers.get(link) else { continue };
            let before = self.classic.marks.get(link).map_or(Moved::default(), |marks| marks[0]);
            let moved = if gives { peer.received - before.given } else { peer.sent - before.taken };
            let snubs = peer.asked_leaves() > 0 && now.passed(peer.progress) > SNUB_AFTER;
            claims.push(Claim { link: *link, interested: self.is_interested(*link), snubs, moved });
        }
        claims
    }

    /// Whether a neighbour wants anything that we have.
    fn is_interested(&self, link: LinkId) -> bool {
        let Some(peer) = self.peers.get(&link) else { return false };
        let lacks = |has: Option<&Bitfield>, ours: &Bitfield| match has {
            Some(has) => has.wants_from(ours),
            None => !ours.is_empty(),
        };
        peer.wants.iter().any(|root| {
            let file = self.files.get(root).filter(|_| self.is_served(root));
            file.is_some_and(|file| lacks(peer.has.get(root), file.ledger.have()))
        })
    }

    /// Serves a neighbour from now on, or does not and rejects what it asked for.
    fn set_choked(&mut self, link: LinkId, on: bool, cx: &mut Cx) {
        if on == self.classic.is_choked(link) {
            return;
        }
        cx.out.control(link, &Message::Choke { on });
        if !on {
            self.classic.choked.remove(&link);
            return;
        }
        self.classic.choked.insert(link);
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let mut spans: Map<_, Vec<_>> = Map::new();
        for wish in &peer.queue {
            spans.entry(wish.root).or_default().push(wish.span);
        }
        peer.retain_wishes(&|_| false);
        for (root, spans) in spans {
            for spans in spans.chunks(limits::SPANS_MAX) {
                cx.out.control(link, &Message::Reject { root, spans: spans.to_vec() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn claim(link: u32, interested: bool, snubs: bool, moved: u64) -> Claim {
        Claim { link: LinkId(link), interested, snubs, moved }
    }

    fn links(served: &Set<LinkId>) -> Vec<u32> {
        served.iter().map(|link| link.0).collect()
    }

    #[test]
    fn the_best_three_are_served_and_one_in_its_turn() {
        let moved = [0, 10, 90, 0, 50, 70, 60];
        let claims: Vec<_> =
            moved.iter().zip(0..).map(|(moved, link)| claim(link, true, false, *moved)).collect();
        assert_eq!(links(&served(4, &claims)), [0, 2, 5, 6]);
        // A silent one loses its place, not its turn.
        let mut silent = claims.clone();
        silent[2].snubs = true;
        assert_eq!(links(&served(4, &silent)), [0, 4, 5, 6]);
        // Who wants nothing takes no place.
        let mut sated = claims;
        sated[0].interested = false;
        assert_eq!(links(&served(4, &sated)), [0, 1, 2, 5, 6]);
    }

    #[test]
    fn a_newcomer_is_three_times_as_likely_to_be_next() {
        let mut rng = Rng::new([4; 32]);
        let mut first = 0;
        for _ in 0..3000 {
            let mut classic = Classic::default();
            (0..9).for_each(|link| classic.meet(LinkId(link), &mut rng));
            classic.meet(LinkId(9), &mut rng);
            first += u32::from(classic.turns[0] == LinkId(9));
            assert!(classic.is_choked(LinkId(9)));
        }
        // 3 of 12.
        assert!((650..850).contains(&first), "{first}");
    }

    proptest! {
        #[test]
        fn places_are_filled_and_never_more_than_there_are(
            slots in 1usize..9,
            neighbours in prop::collection::vec((any::<bool>(), any::<bool>(), 0u64..100), 0..40),
        ) {
            let claims: Vec<_> = neighbours
                .iter()
                .zip(0..)
                .map(|((interested, snubs, moved), link)| claim(link, *interested, *snubs, *moved))
                .collect();
            let served = served(slots, &claims);
            let is_served = |claim: &&Claim| served.contains(&claim.link);
            let wanting = claims.iter().filter(|claim| claim.interested).count();
            let busy: Vec<_> = claims.iter().filter(|claim| claim.interested).filter(is_served).collect();
            prop_assert_eq!(busy.len(), wanting.min(slots));
            // All but one place at the most go by turn where enough want to be served and give.
            let able = claims.iter().filter(|claim| claim.interested && !claim.snubs);
            let mut moved: Vec<_> = able.map(|claim| claim.moved).collect();
            moved.sort_unstable_by_key(|moved| core::cmp::Reverse(*moved));
            for (place, least) in moved.iter().take(slots - 1).enumerate() {
                let better = busy.iter().filter(|claim| !claim.snubs && claim.moved >= *least).count();
                prop_assert!(better > place);
            }
        }

        #[test]
        fn everybody_who_waits_has_its_turn(count in 5usize..20) {
            let mut claims: Vec<_> = (0..count as u32).map(|link| claim(link, true, false, 0)).collect();
            claims.iter_mut().take(3).for_each(|claim| claim.moved = 9);
            let mut seen: Set<LinkId> = Set::new();
            for _ in 0..count {
                let now = served(4, &claims);
                now.iter().for_each(|link| { seen.insert(*link); });
                let next = claims.iter().position(|claim| !now.contains(&claim.link)).unwrap_or(0);
                claims.rotate_left(next);
            }
            prop_assert_eq!(seen.len(), count);
        }
    }
}
