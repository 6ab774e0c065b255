//! Making links: who offers, glare, trickle, deadlines, budgets. Both hosts only execute. Whom to call, and when again,
//! is known by `known.rs`; when nobody at all, by `rest.rs`.
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

mod attempt;
mod code;
mod known;
mod rest;
#[cfg(test)]
mod stories;

use super::{Links, Opened};
use crate::action::{Event, Work};
use crate::config::Config;
use crate::fault::Fault;
use crate::id::{JobId, LinkId, PeerId, Topic};
use crate::input::Outcome;
use crate::outbox::{Cx, Way};
use crate::time::{Instant, SECOND, earliest};
use crate::util::Map;
use crate::wire::{Candidate, Code, Description, Role, Signal};
use alloc::vec;
use attempt::{BETWEEN, Dial, Step};
use known::Book;
use rest::Rest;

/// Candidates of one side that are used; browsers find two to ten.
const CANDIDATES_MAX: usize = 20;
/// An offer comes within this time of a knock, or never: who passes knocks on may have lost it, and the signaller does not
/// say which of them it refused.
const KNOCK_PATIENCE: u64 = 5 * SECOND;
/// Inbound attempts on top of our own, so that a newcomer is not locked out by our dialling.
const INBOUND_EXTRA: u32 = 6;

/// All attempts under way, and who could be tried.
pub(crate) struct Dialer {
    me: PeerId,
    dials: Map<PeerId, Dial>,
    pub(crate) known: Book,
    rest: Rest,
    next_link: u32,
    made: u32,
}

impl Dialer {
    pub(crate) const fn new(me: PeerId) -> Self {
        Self { me, dials: Map::new(), known: Book::new(), rest: Rest::new(), next_link: 0, made: 0 }
    }

    /// A signal to `peer` did not come there: there was nobody. A knock goes once more where another neighbour leads there.
    pub(crate) fn absent(&mut self, peer: &PeerId, way: Way, reaches: bool, cx: &mut Cx) {
        if way == Way::Signaller {
            self.known.untell(peer);
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

    /// The best peer of `topic` to knock at now.
    pub(crate) fn choose(
        &self,
        topic: &Topic,
        we_are_complete: bool,
        links: &Links,
        reaches: &dyn Fn(&PeerId) -> bool,
        cx: &mut Cx,
    ) -> Option<PeerId> {
        let is_up = cx.is_up;
        let may = |peer: &PeerId, told: bool| {
            !self.dials.contains_key(peer) && (told && is_up || reaches(peer)) && links.with(peer).is_none()
        };
        self.known.choose(topic, we_are_complete, &may, cx)
    }

    /// When the next known peer of a topic may be tried again.
    pub(crate) fn retry_at(&self, now: Instant) -> Option<Instant> {
        earliest(self.rest.until(now), self.known.retry_at(now))
    }

    /// Whether the network seems to let nothing through, and it is not the time to try that again.
    pub(crate) fn rests(&self, links: usize, now: Instant) -> bool {
        links == 0 && self.rest.holds(!self.dials.is_empty(), now)
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
        let way = if cx.is_up && self.known.is_told(&peer) { Way::Signaller } else { Way::Peers };
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
                let complete = self.known.is_complete(&peer);
                self.known.learn(peer, topic, complete, way == Way::Signaller);
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
        let awaited = |dial: &Dial| dial.attempt == attempt && dial.step == Step::Knocked;
        // What nobody waits for costs no connection.
        if !self.dials.get(&peer).is_some_and(awaited) || description.role != Role::Actpass {
            return;
        }
        let link = self.mint();
        let Some(dial) = self.dials.get_mut(&peer) else { return };
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
            if dial.local.is_some() && !matches!(dial.way, Way::Code(_)) {
                dial.say_at = Some(cx.now.after(BETWEEN));
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
        self.known.forgive(&peer);
        self.rest.opened();
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
            self.known.shun(*peer, cx.now);
        }
        self.known.back_off(peer, cx);
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
        self.known.forget(peer);
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
        self.known.forget_topic(topic);
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
            (!self.known.is_bounded(), "too many peers are remembered"),
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
            self.rest.missed(cx.now);
        }
        self.drop_dial(&peer, cx);
        self.known.back_off(&peer, cx);
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
