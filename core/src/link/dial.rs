//! Making links: who offers, glare, trickle, deadlines, budgets, back-off. Both hosts only execute.
//!
//! A peer that wants a link *knocks*; a peer that agrees *offers*; the knocker *answers*. So no connection is
//! made before both sides have said yes, which matters because a browser grants a tab only some 500 of them.
//!
//! Invariant: at most one attempt for each peer, and every attempt has a deadline.
//!
//! Glare: when two knocks cross, the peer with the greater id offers and the other waits.
//!
//! Signals travel through the signaller, through linked peers, or by hand (`code.rs`); all of an attempt's the same way.
//! A description waits a moment for its candidates: what goes together is one message for everybody on the way.

mod code;
#[cfg(test)]
mod stories;

use super::{Links, Opened};
use crate::action::{Event, Work};
use crate::config::Config;
use crate::fault::Fault;
use crate::id::{Fingerprint, JobId, LinkId, PeerId, Topic};
use crate::input::Outcome;
use crate::outbox::{Cx, Way};
use crate::time::{Instant, SECOND, earliest};
use crate::util::Map;
use crate::wire::{Candidate, Code, Description, Role, Signal};
use alloc::vec;
use alloc::vec::Vec;

/// Candidates of one side that are used; browsers find two to ten.
const CANDIDATES_MAX: usize = 20;
/// Signals wait this long for more of their side, or until its host has found all. Addresses of its own are found within a
/// few milliseconds, and what STUN has to say within one trip.
const TOGETHER: u64 = SECOND / 50;
/// First back-off after a failed attempt; doubles up to 64 times this.
const BACKOFF: u64 = 3 * SECOND;
/// Peers that are remembered as known or failed.
const KNOWN_MAX: usize = 512;
/// A peer that was worth less than nothing is remembered as such for an hour (theory §4), and counts as one with so many
/// failures: where nobody else is known, or everybody was cut off for a while, it is called again.
const SHUN: u64 = 3600 * SECOND;
const SHUNNED_RANK: u32 = 64;
/// An offer comes within this time of a knock, or never: who passes knocks on may have lost it, and the signaller does not
/// say which of them it refused.
const KNOCK_PATIENCE: u64 = 5 * SECOND;
/// So many connections in a row that never opened, while there is no link at all, and the network is taken for one that
/// lets nothing through: then one at a time is tried, after a pause that doubles as that of a single peer does. A tab's
/// 400 connections would be gone in a quarter of an hour; so they last for most of a day, and whoever moves to another
/// network links within three minutes. More than a newcomer meets by chance: of ten pairs behind NATs eight connect.
const MISSES_MAX: u32 = 24;
/// Inbound attempts on top of our own, so that a newcomer is not locked out by our dialling.
const INBOUND_EXTRA: u32 = 6;

/// All attempts under way, and who could be tried.
pub(crate) struct Dialer {
    me: PeerId,
    dials: Map<PeerId, Dial>,
    known: Map<PeerId, Known>,
    next_link: u32,
    made: u32,
    /// Connections that never opened since one did, and how long nothing is tried therefore.
    misses: u32,
    rest_until: Instant,
}

struct Dial {
    attempt: u32,
    topic: Topic,
    way: Way,
    step: Step,
    link: Option<LinkId>,
    began: Instant,
    deadline: Instant,
    local: Option<Fingerprint>,
    remote: Option<Fingerprint>,
    /// To be said together: our description, first of all, and candidates.
    say: Vec<Signal>,
    /// When, where that is known.
    say_at: Option<Instant>,
    /// Candidates of ours.
    found: usize,
    added: usize,
}

#[derive(Debug, PartialEq)]
enum Step {
    /// We knocked; an offer should come.
    Knocked,
    /// The host makes our offer.
    Offering(JobId),
    /// Our offer is out.
    Offered,
    /// The host makes our answer.
    Answering(JobId),
    /// Both descriptions are known: the connection is being made.
    Connecting,
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

impl Dialer {
    pub(crate) const fn new(me: PeerId) -> Self {
        Self {
            me,
            dials: Map::new(),
            known: Map::new(),
            next_link: 0,
            made: 0,
            misses: 0,
            rest_until: Instant::ZERO,
        }
    }

    /// Notes that `peer` is in `topic`, and that the signaller can reach it if that `told` us so.
    /// `alone`: there is no link at all, and whom the signaller names is not waited for.
    pub(crate) fn learn(&mut self, peer: PeerId, topic: Topic, complete: bool, told: bool, alone: bool) {
        let known = self.remember(peer);
        if told && alone {
            known.not_before = Instant::ZERO;
        }
        known.complete = complete;
        known.told |= told;
        if !known.topics.contains(&topic) && known.topics.len() < 64 {
            known.topics.push(topic);
        }
    }

    /// What is known of a peer; another that failed most makes room.
    fn remember(&mut self, peer: PeerId) -> &mut Known {
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&peer) {
            let (mut worst, mut rank) = (peer, (0, Instant::ZERO));
            for (id, known) in &self.known {
                if (known.failures, known.not_before) >= rank {
                    (worst, rank) = (*id, (known.failures, known.not_before));
                }
            }
            self.known.remove(&worst);
        }
        self.known.entry(peer).or_default()
    }

    /// A signal to `peer` did not come there: there was nobody. A knock goes once more where another neighbour leads there.
    pub(crate) fn absent(&mut self, peer: &PeerId, way: Way, reaches: bool, cx: &mut Cx) {
        if way == Way::Signaller
            && let Some(known) = self.known.get_mut(peer)
        {
            known.told = false;
        }
        if let Some(dial) = self.dials.get(peer)
            && dial.way == way
            && matches!(dial.step, Step::Knocked | Step::Offered)
        {
            if reaches && dial.step == Step::Knocked {
                let (attempt, topic) = (dial.attempt, dial.topic);
                return cx.relay(way, *peer, vec![Signal::Knock { attempt, topic }]);
            }
            self.fail(*peer, Fault::Deadline, cx);
        }
    }

    /// The best peer of `topic` to knock at now: never tried before tried, then by chance.
    pub(crate) fn choose(
        &self,
        topic: &Topic,
        we_are_complete: bool,
        links: &Links,
        reaches: &dyn Fn(&PeerId) -> bool,
        cx: &mut Cx,
    ) -> Option<PeerId> {
        let mut best = Vec::new();
        let mut fewest = u32::MAX;
        for (id, known) in &self.known {
            let failures = known.failures + if known.shunned_until > cx.now { SHUNNED_RANK } else { 0 };
            if failures > fewest
                || known.not_before > cx.now
                || (known.complete && we_are_complete)
                || !known.topics.contains(topic)
                || self.dials.contains_key(id)
                || !(known.told && cx.is_up || reaches(id))
                || links.with(id).is_some()
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

    /// When the next known peer of a topic may be tried again.
    pub(crate) fn retry_at(&self, now: Instant) -> Option<Instant> {
        let mut first = (self.rest_until > now).then_some(self.rest_until);
        for (_, known) in &self.known {
            if known.not_before > now {
                first = earliest(first, Some(known.not_before));
            }
        }
        first
    }

    /// Whether the network seems to let nothing through, and it is not the time to try that again.
    pub(crate) fn rests(&self, links: usize, now: Instant) -> bool {
        links == 0 && self.misses >= MISSES_MAX && (self.rest_until > now || !self.dials.is_empty())
    }

    /// Whether one more attempt of our own fits the budget.
    pub(crate) fn may_knock(&self, links: usize, config: &Config) -> bool {
        let dials = self.dials.len();
        dials < config.dials_max as usize
            && links + dials < config.links_max as usize
            && self.made < config.connections_max
    }

    /// Whether `peer` may be asked for a link now.
    pub(crate) fn may_knock_at(&self, peer: &PeerId, links: usize, config: &Config) -> bool {
        !self.dials.contains_key(peer) && self.may_knock(links, config)
    }

    /// Asks `peer` for a link.
    pub(crate) fn knock(&mut self, peer: PeerId, topic: Topic, cx: &mut Cx) {
        let attempt = cx.rng.below(1 << 32) as u32;
        let told = cx.is_up && self.known.get(&peer).is_some_and(|known| known.told);
        let way = if told { Way::Signaller } else { Way::Peers };
        let mut dial = Dial::new(attempt, topic, way, Step::Knocked, cx);
        dial.deadline = cx.now.after(KNOCK_PATIENCE);
        self.dials.insert(peer, dial);
        cx.relay(way, peer, vec![Signal::Knock { attempt, topic }]);
    }

    /// Somebody signals. `welcome` says whether the application side wants a link with this peer at all.
    pub(crate) fn on_signal(
        &mut self,
        peer: PeerId,
        way: Way,
        signal: Signal,
        welcome: bool,
        links: usize,
        cx: &mut Cx,
    ) {
        if !matches!(signal, Signal::Knock { .. }) && self.dials.get(&peer).is_none_or(|dial| dial.way != way)
        {
            return;
        }
        match signal {
            Signal::Knock { attempt, topic } => {
                self.on_knock((peer, way), attempt, topic, welcome, links, cx);
            }
            Signal::Offer { attempt, topic: _, description } => self.on_offer(peer, attempt, description, cx),
            Signal::Answer { attempt, description } => self.on_answer(peer, attempt, description, cx),
            Signal::Candidate { attempt, candidate } => self.on_candidate(&peer, attempt, candidate, cx),
            Signal::Decline { attempt } => {
                if self.dials.get(&peer).is_some_and(|dial| dial.attempt == attempt) {
                    self.fail(peer, Fault::Refused, cx);
                }
            }
        }
    }

    fn on_knock(
        &mut self,
        (peer, way): (PeerId, Way),
        attempt: u32,
        topic: Topic,
        welcome: bool,
        links: usize,
        cx: &mut Cx,
    ) {
        let began = match self.dials.get(&peer) {
            Some(dial) if dial.step == Step::Knocked && self.me < peer => return,
            // Another neighbour brought it, too.
            Some(dial) if dial.attempt == attempt && dial.link.is_some() => return,
            Some(dial) => {
                let began = dial.began;
                self.drop_dial(&peer, cx);
                Some(began)
            }
            None => None,
        };
        let room = self.dials.len() < (cx.config.dials_max + INBOUND_EXTRA) as usize
            && links + self.dials.len() < cx.config.links_max as usize
            && self.made < cx.config.connections_max
            && !self.rests(links, cx.now);
        if !welcome || !room {
            // When there is room, it is called.
            if welcome {
                let complete = self.known.get(&peer).is_some_and(|known| known.complete);
                self.learn(peer, topic, complete, way == Way::Signaller, false);
            }
            return cx.relay(way, peer, vec![Signal::Decline { attempt }]);
        }
        let link = self.mint();
        let job = cx.out.start(Work::Dial { link });
        let mut dial = Dial::new(attempt, topic, way, Step::Offering(job), cx);
        dial.link = Some(link);
        dial.began = began.unwrap_or(cx.now);
        self.dials.insert(peer, dial);
    }

    fn on_offer(&mut self, peer: PeerId, attempt: u32, description: Description, cx: &mut Cx) {
        let link = self.mint();
        let Some(dial) = self.dials.get_mut(&peer) else { return };
        if dial.attempt != attempt || dial.step != Step::Knocked || description.role != Role::Actpass {
            return;
        }
        dial.link = Some(link);
        dial.remote = Some(description.fingerprint);
        dial.deadline = dial.began + cx.config.dial_deadline;
        let job = cx.out.start(Work::Accept { link, remote: description });
        dial.step = Step::Answering(job);
    }

    fn on_answer(&mut self, peer: PeerId, attempt: u32, description: Description, cx: &mut Cx) {
        let Some(dial) = self.dials.get_mut(&peer) else { return };
        let Some(link) = dial.link else { return };
        if dial.attempt != attempt || dial.step != Step::Offered || description.role == Role::Actpass {
            return;
        }
        dial.remote = Some(description.fingerprint);
        dial.step = Step::Connecting;
        cx.out.start(Work::Complete { link, remote: description });
    }

    fn on_candidate(&mut self, peer: &PeerId, attempt: u32, candidate: Candidate, cx: &mut Cx) {
        let Some(dial) = self.dials.get_mut(peer) else { return };
        let (Some(link), true) = (dial.link, dial.remote.is_some()) else { return };
        if dial.attempt == attempt && dial.added < CANDIDATES_MAX {
            dial.added += 1;
            cx.out.start(Work::Candidate { link, candidate });
        }
    }

    /// The host describes our side. `false`: not our job.
    pub(crate) fn on_done(&mut self, job: JobId, outcome: &Outcome<'_>, cx: &mut Cx) -> bool {
        let ours = |dial: &Dial| matches!(dial.step, Step::Offering(of) | Step::Answering(of) if of == job);
        let Some(peer) = self.first(&ours) else { return false };
        let Outcome::Described(description) = outcome else {
            self.fail(peer, Fault::Refused, cx);
            return true;
        };
        let Some(dial) = self.dials.get_mut(&peer) else { return true };
        dial.local = Some(description.fingerprint);
        let attempt = dial.attempt;
        let description = description.clone();
        let signal = if matches!(dial.step, Step::Offering(_)) {
            dial.step = Step::Offered;
            Signal::Offer { attempt, topic: dial.topic, description }
        } else {
            dial.step = Step::Connecting;
            Signal::Answer { attempt, description }
        };
        dial.say.insert(0, signal);
        dial.say_later(cx.now);
        true
    }

    /// The host found a way to reach us.
    pub(crate) fn on_found(&mut self, link: LinkId, candidate: Option<Candidate>, cx: &mut Cx) {
        let Some(peer) = self.peer_of(link) else { return };
        let Some(dial) = self.dials.get_mut(&peer) else { return };
        let Some(candidate) = candidate else {
            return self.say(&peer, cx);
        };
        if dial.found < CANDIDATES_MAX {
            dial.found += 1;
            dial.say.push(Signal::Candidate { attempt: dial.attempt, candidate });
            // A code is written once.
            if dial.local.is_some() && dial.say_at.is_none() && !matches!(dial.way, Way::Code(_)) {
                dial.say_later(cx.now);
            }
        }
    }

    /// Says what is to be said, if it is time or nothing more will come.
    fn say(&mut self, peer: &PeerId, cx: &mut Cx) {
        let Some(dial) = self.dials.get_mut(peer) else { return };
        if dial.say_at.take().is_none() {
            return;
        }
        let signals = core::mem::take(&mut dial.say);
        match dial.way {
            Way::Code(call) => {
                cx.out.notify(Event::Code { call, code: Code { peer: self.me, signals }.encode() });
            }
            way => cx.relay(way, *peer, signals),
        }
    }

    /// The channels of a link are open: the attempt has succeeded. `None`: not a link of ours.
    pub(crate) fn on_linked(&mut self, link: LinkId) -> Option<Opened> {
        let peer = self.peer_of(link)?;
        let dial = self.dials.remove(&peer)?;
        let (local, remote) = (dial.local?, dial.remote?);
        if let Some(known) = self.known.get_mut(&peer) {
            known.failures = 0;
        }
        self.misses = 0;
        Some(Opened { link, peer, local, remote, began: dial.began, topic: dial.topic })
    }

    /// A connection failed before it opened.
    pub(crate) fn on_unlinked(&mut self, link: LinkId, cx: &mut Cx) {
        if let Some(peer) = self.peer_of(link) {
            self.fail(peer, Fault::Deadline, cx);
        }
    }

    /// A proven or greeting link to `peer` ended: wait a moment before the next attempt.
    /// `bad`: and it was worth less than nothing.
    pub(crate) fn on_lost(&mut self, peer: &PeerId, bad: bool, cx: &mut Cx) {
        if bad {
            self.remember(*peer).shunned_until = cx.now.after(SHUN);
        }
        if let Some(known) = self.known.get_mut(peer) {
            known.back_off(cx);
        }
    }

    /// The last link is gone: nobody is waited for.
    pub(crate) fn hurry(&mut self) {
        for (_, known) in &mut self.known {
            known.not_before = Instant::ZERO;
        }
    }

    /// Whether it is remembered as worth less than nothing.
    pub(crate) fn is_shunned(&self, peer: &PeerId, now: Instant) -> bool {
        self.known.get(peer).is_some_and(|known| known.shunned_until > now)
    }

    /// Ends attempts that took too long.
    pub(crate) fn on_timeout(&mut self, cx: &mut Cx) {
        let now = cx.now;
        while let Some(peer) = self.first(&|dial| dial.say_at.is_some_and(|at| at <= now)) {
            self.say(&peer, cx);
        }
        while let Some(peer) = self.first(&|dial| dial.deadline <= now) {
            self.fail(peer, Fault::Deadline, cx);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let mut first = None;
        for (_, dial) in &self.dials {
            first = earliest(first, Some(dial.say_at.unwrap_or(dial.deadline)));
        }
        first
    }

    /// Ends every attempt whose signals can no longer be carried: the signaller is gone.
    pub(crate) fn on_signaller_lost(&mut self, cx: &mut Cx) {
        while let Some(peer) = self.first(&|dial| dial.way == Way::Signaller && dial.step != Step::Connecting)
        {
            self.fail(peer, Fault::Deadline, cx);
        }
    }

    /// Never try this peer again.
    pub(crate) fn ban(&mut self, peer: &PeerId, cx: &mut Cx) {
        self.drop_dial(peer, cx);
        self.known.remove(peer);
    }

    /// Tells everybody whom an attempt is under way with that nothing will come of it.
    pub(crate) fn decline_all(&self, cx: &mut Cx) {
        for (peer, dial) in &self.dials {
            cx.relay(dial.way, *peer, vec![Signal::Decline { attempt: dial.attempt }]);
        }
    }

    pub(crate) fn forget_topic(&mut self, topic: &Topic, cx: &mut Cx) {
        while let Some(peer) = self.first(&|dial| dial.topic == *topic) {
            self.drop_dial(&peer, cx);
        }
        self.known.retain(|_, known| {
            known.topics.retain(|known| known != topic);
            !known.topics.is_empty()
        });
    }

    /// The topics that `peer` is known to be in.
    pub(crate) fn topics_of(&self, peer: &PeerId) -> &[Topic] {
        match self.known.get(peer) {
            Some(known) => &known.topics,
            None => &[],
        }
    }

    pub(crate) fn dialling(&self, topic: &Topic) -> usize {
        let mut count = 0;
        for (_, dial) in &self.dials {
            count += usize::from(dial.topic == *topic);
        }
        count
    }

    /// The first limit that is broken, if one is.
    #[cfg(feature = "lab")]
    pub(crate) fn audit(&self, config: &Config) -> Option<&'static str> {
        let broken = [
            (self.known.len() > KNOWN_MAX, "too many peers are remembered"),
            (self.dials.len() > (config.dials_max + INBOUND_EXTRA) as usize, "too many dials at a time"),
            (self.made > config.connections_max + config.dials_max, "too many connections were made"),
            (
                self.dials.values().any(|dial| dial.say.len() > CANDIDATES_MAX + 1),
                "too many candidates are held",
            ),
        ];
        broken.iter().find(|(is, _)| *is).map(|(_, what)| *what)
    }

    pub(crate) fn len(&self) -> usize {
        self.dials.len()
    }

    pub(crate) const fn made(&self) -> u32 {
        self.made
    }

    fn mint(&mut self) -> LinkId {
        self.made += 1;
        self.next_link += 1;
        LinkId(self.next_link)
    }

    /// With whom the first attempt is that `fits`.
    fn first(&self, fits: &dyn Fn(&Dial) -> bool) -> Option<PeerId> {
        for (peer, dial) in &self.dials {
            if fits(dial) {
                return Some(*peer);
            }
        }
        None
    }

    fn peer_of(&self, link: LinkId) -> Option<PeerId> {
        self.first(&|dial| dial.link == Some(link))
    }

    fn fail(&mut self, peer: PeerId, fault: Fault, cx: &mut Cx) {
        if fault != Fault::Refused && self.dials.get(&peer).is_some_and(|dial| dial.step == Step::Connecting)
        {
            self.misses += 1;
            if self.misses >= MISSES_MAX {
                self.rest_until = cx.now.after(BACKOFF << (self.misses - MISSES_MAX).min(6));
            }
        }
        self.drop_dial(&peer, cx);
        if let Some(known) = self.known.get_mut(&peer) {
            known.back_off(cx);
        }
        cx.out.notify(Event::DialFailed { peer, fault });
    }

    fn drop_dial(&mut self, peer: &PeerId, cx: &mut Cx) {
        let Some(dial) = self.dials.remove(peer) else { return };
        if let Some(link) = dial.link {
            cx.out.unlink(link);
        }
        if let Way::Code(call) = dial.way
            && (dial.say_at.is_some() || matches!(dial.step, Step::Offering(_) | Step::Answering(_)))
        {
            cx.out.notify(Event::NoCode { call });
        }
    }
}

impl Dial {
    fn new(attempt: u32, topic: Topic, way: Way, step: Step, cx: &Cx) -> Self {
        Self {
            attempt,
            topic,
            way,
            step,
            link: None,
            began: cx.now,
            deadline: cx.now + cx.config.dial_deadline,
            local: None,
            remote: None,
            say: Vec::new(),
            say_at: None,
            found: 0,
            added: 0,
        }
    }

    /// Waits a moment for what belongs together.
    fn say_later(&mut self, now: Instant) {
        let span = if matches!(self.way, Way::Code(_)) { code::GATHERING } else { TOGETHER };
        self.say_at = Some(now.after(span));
    }
}

impl Known {
    fn back_off(&mut self, cx: &mut Cx) {
        let wait = BACKOFF << self.failures.min(6);
        self.failures = self.failures.saturating_add(1);
        self.not_before = cx.now.after(wait / 2 + cx.rng.below(wait / 2));
    }
}
