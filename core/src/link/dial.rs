//! Making links: who offers, glare, trickle, deadlines, budgets, back-off. Both hosts only execute.
//!
//! A peer that wants a link *knocks*; a peer that agrees *offers*; the knocker *answers*. So no connection is
//! made before both sides have said yes, which matters because a browser grants a tab only some 500 of them.
//!
//! Invariant: at most one attempt for each peer, and every attempt has a deadline.
//!
//! Glare: when two knocks cross, the peer with the greater id offers and the other waits.

use super::Opened;
use crate::action::Work;
use crate::config::Config;
use crate::fault::Fault;
use crate::id::{JobId, LinkId, PeerId, Topic};
use crate::input::Outcome;
use crate::outbox::Cx;
use crate::time::{Instant, earliest};
use crate::util::Map;
use crate::wire::{Candidate, Description, Role, Signal};
use alloc::vec::Vec;
use core::time::Duration;

/// Candidates of one side that are used; browsers find two to ten.
const CANDIDATES_MAX: usize = 20;
/// First back-off after a failed attempt; doubles up to 64 times this.
const BACKOFF: Duration = Duration::from_secs(3);
/// Peers that are remembered as known or failed.
const KNOWN_MAX: usize = 512;
/// Inbound attempts on top of our own, so that a newcomer is not locked out by our dialling.
const INBOUND_EXTRA: u32 = 6;

/// All attempts under way, and who could be tried.
pub(crate) struct Dialer {
    dials: Map<PeerId, Dial>,
    known: Map<PeerId, Known>,
    next_link: u32,
    made: u32,
}

struct Dial {
    attempt: u32,
    topic: Topic,
    step: Step,
    link: Option<LinkId>,
    began: Instant,
    deadline: Instant,
    local: Option<Description>,
    remote: Option<Description>,
    /// Found before our description was sent.
    held: Vec<Candidate>,
    sent: usize,
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
    failures: u32,
    not_before: Instant,
}

/// What a signal or a failure means for the rest of the node.
#[derive(Debug, PartialEq)]
pub(crate) enum Say {
    /// Pass this on.
    Signal(PeerId, Signal),
    /// The attempt has ended.
    Failed(PeerId, Fault),
}

impl Dialer {
    pub(crate) const fn new() -> Self {
        Self { dials: Map::new(), known: Map::new(), next_link: 0, made: 0 }
    }

    /// Notes that `peer` is in `topic`.
    pub(crate) fn learn(&mut self, peer: PeerId, topic: Topic, complete: bool) {
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&peer) {
            let Some(worst) = self
                .known
                .iter()
                .max_by_key(|(_, known)| (known.failures, known.not_before))
                .map(|(id, _)| *id)
            else {
                return;
            };
            self.known.remove(&worst);
        }
        let known = self.known.entry(peer).or_default();
        known.complete = complete;
        if !known.topics.contains(&topic) && known.topics.len() < 64 {
            known.topics.push(topic);
        }
    }

    /// Forgets that `peer` can be reached: the signaller says it is not there.
    pub(crate) fn absent(&mut self, peer: &PeerId, cx: &mut Cx<'_>) -> Option<Say> {
        self.known.remove(peer);
        matches!(self.dials.get(peer)?.step, Step::Knocked | Step::Offered)
            .then(|| self.fail(*peer, Fault::Deadline, cx))
    }

    /// The best peer of `topic` to knock at now: never tried before tried, then by chance.
    pub(crate) fn choose(
        &self,
        topic: &Topic,
        we_are_complete: bool,
        busy: impl Fn(&PeerId) -> bool,
        cx: &mut Cx<'_>,
    ) -> Option<PeerId> {
        let fits = |id: &PeerId, known: &Known| {
            known.topics.contains(topic)
                && known.not_before <= cx.now
                && !(known.complete && we_are_complete)
                && !self.dials.contains_key(id)
                && !busy(id)
        };
        let fresh: Vec<_> = self.known.iter().filter(|(id, known)| fits(id, known)).collect();
        let fewest = fresh.iter().map(|(_, known)| known.failures).min()?;
        let best: Vec<PeerId> =
            fresh.iter().filter(|(_, known)| known.failures == fewest).map(|(id, _)| **id).collect();
        cx.rng.pick(&best).copied()
    }

    /// When the next known peer of a topic may be tried again.
    pub(crate) fn retry_at(&self, now: Instant) -> Option<Instant> {
        self.known.values().map(|known| known.not_before).filter(|at| *at > now).min()
    }

    /// Whether one more attempt of our own fits the budget.
    pub(crate) fn may_knock(&self, config: &Config, links: usize) -> bool {
        let dials = self.dials.len();
        dials < config.dials_max as usize
            && links + dials < config.links_max as usize
            && self.made < config.connections_max
    }

    /// Asks `peer` for a link.
    pub(crate) fn knock(&mut self, peer: PeerId, topic: Topic, config: &Config, cx: &mut Cx<'_>) -> Say {
        let attempt = u32::try_from(cx.rng.below(1 << 32)).unwrap_or(0);
        self.dials.insert(peer, Dial::new(attempt, topic, Step::Knocked, config, cx.now));
        Say::Signal(peer, Signal::Knock { attempt, topic })
    }

    /// Somebody signals. `welcome` says whether the application side wants a link with this peer at all.
    #[expect(clippy::too_many_arguments, reason = "one caller; a struct would only rename them")]
    pub(crate) fn on_signal(
        &mut self,
        me: &PeerId,
        peer: PeerId,
        signal: Signal,
        welcome: bool,
        links: usize,
        config: &Config,
        cx: &mut Cx<'_>,
    ) -> Option<Say> {
        match signal {
            Signal::Knock { attempt, topic } => {
                self.on_knock(me, peer, attempt, topic, welcome, links, config, cx)
            }
            Signal::Offer { attempt, topic: _, description } => self.on_offer(peer, attempt, description, cx),
            Signal::Answer { attempt, description } => self.on_answer(peer, attempt, description, cx),
            Signal::Candidate { attempt, candidate } => {
                self.on_candidate(&peer, attempt, candidate, cx);
                None
            }
            Signal::Decline { attempt } => {
                let declined = self.dials.get(&peer).is_some_and(|dial| dial.attempt == attempt);
                declined.then(|| self.fail(peer, Fault::Refused, cx))
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one caller; a struct would only rename them")]
    fn on_knock(
        &mut self,
        me: &PeerId,
        peer: PeerId,
        attempt: u32,
        topic: Topic,
        welcome: bool,
        links: usize,
        config: &Config,
        cx: &mut Cx<'_>,
    ) -> Option<Say> {
        let began = match self.dials.get(&peer) {
            Some(dial) if dial.step == Step::Knocked && *me < peer => return None,
            Some(dial) => {
                let began = dial.began;
                self.drop_dial(&peer, cx);
                Some(began)
            }
            None => None,
        };
        let room = self.dials.len() < (config.dials_max + INBOUND_EXTRA) as usize
            && links + self.dials.len() < config.links_max as usize
            && self.made < config.connections_max;
        if !welcome || !room {
            return Some(Say::Signal(peer, Signal::Decline { attempt }));
        }
        let link = self.mint();
        let job = cx.out.start(Work::Dial { link });
        let mut dial = Dial::new(attempt, topic, Step::Offering(job), config, cx.now);
        dial.link = Some(link);
        dial.began = began.unwrap_or(cx.now);
        self.dials.insert(peer, dial);
        None
    }

    fn on_offer(
        &mut self,
        peer: PeerId,
        attempt: u32,
        description: Description,
        cx: &mut Cx<'_>,
    ) -> Option<Say> {
        let link = self.mint();
        let dial = self.dials.get_mut(&peer)?;
        if dial.attempt != attempt || dial.step != Step::Knocked || description.role != Role::Actpass {
            return None;
        }
        dial.link = Some(link);
        dial.remote = Some(description.clone());
        let job = cx.out.start(Work::Accept { link, remote: description });
        dial.step = Step::Answering(job);
        None
    }

    fn on_answer(
        &mut self,
        peer: PeerId,
        attempt: u32,
        description: Description,
        cx: &mut Cx<'_>,
    ) -> Option<Say> {
        let dial = self.dials.get_mut(&peer)?;
        let link = dial.link?;
        if dial.attempt != attempt || dial.step != Step::Offered || description.role == Role::Actpass {
            return None;
        }
        dial.remote = Some(description.clone());
        dial.step = Step::Connecting;
        cx.out.start(Work::Complete { link, remote: description });
        None
    }

    fn on_candidate(&mut self, peer: &PeerId, attempt: u32, candidate: Candidate, cx: &mut Cx<'_>) {
        let Some(dial) = self.dials.get_mut(peer) else { return };
        let (Some(link), true) = (dial.link, dial.remote.is_some()) else { return };
        if dial.attempt == attempt && dial.added < CANDIDATES_MAX {
            dial.added += 1;
            cx.out.start(Work::Candidate { link, candidate });
        }
    }

    /// The host describes our side. `None`: not our job.
    pub(crate) fn on_done(&mut self, job: JobId, outcome: &Outcome<'_>, cx: &mut Cx<'_>) -> Option<Vec<Say>> {
        let (peer, dial) = self
            .dials
            .iter_mut()
            .find(|(_, dial)| matches!(dial.step, Step::Offering(j) | Step::Answering(j) if j == job))?;
        let peer = *peer;
        let Outcome::Described(description) = outcome else {
            return Some(alloc::vec![self.fail(peer, Fault::Refused, cx)]);
        };
        dial.local = Some(description.clone());
        let attempt = dial.attempt;
        let description = description.clone();
        let first = if matches!(dial.step, Step::Offering(_)) {
            dial.step = Step::Offered;
            Signal::Offer { attempt, topic: dial.topic, description }
        } else {
            dial.step = Step::Connecting;
            Signal::Answer { attempt, description }
        };
        let mut says = alloc::vec![Say::Signal(peer, first)];
        for candidate in core::mem::take(&mut dial.held) {
            dial.sent += 1;
            says.push(Say::Signal(peer, Signal::Candidate { attempt, candidate }));
        }
        Some(says)
    }

    /// The host found a way to reach us.
    pub(crate) fn on_found(&mut self, link: LinkId, candidate: Candidate) -> Option<Say> {
        let (peer, dial) = self.dials.iter_mut().find(|(_, dial)| dial.link == Some(link))?;
        if dial.sent + dial.held.len() >= CANDIDATES_MAX {
            return None;
        }
        if dial.local.is_none() {
            dial.held.push(candidate);
            return None;
        }
        dial.sent += 1;
        Some(Say::Signal(*peer, Signal::Candidate { attempt: dial.attempt, candidate }))
    }

    /// The channels of a link are open: the attempt has succeeded. `None`: not a link of ours.
    pub(crate) fn on_linked(&mut self, link: LinkId) -> Option<(Opened, Topic)> {
        let peer = self.peer_of(link)?;
        let dial = self.dials.remove(&peer)?;
        let (local, remote) = (dial.local?.fingerprint, dial.remote?.fingerprint);
        if let Some(known) = self.known.get_mut(&peer) {
            known.failures = 0;
        }
        Some((Opened { link, peer, local, remote, began: dial.began }, dial.topic))
    }

    /// A connection failed before it opened.
    pub(crate) fn on_unlinked(&mut self, link: LinkId, cx: &mut Cx<'_>) -> Option<Say> {
        let peer = self.peer_of(link)?;
        Some(self.fail(peer, Fault::Deadline, cx))
    }

    /// A proven or greeting link to `peer` ended: wait a moment before the next attempt.
    pub(crate) fn on_lost(&mut self, peer: &PeerId, cx: &mut Cx<'_>) {
        if let Some(known) = self.known.get_mut(peer) {
            known.back_off(cx);
        }
    }

    /// Ends attempts that took too long.
    pub(crate) fn on_timeout(&mut self, cx: &mut Cx<'_>) -> Vec<Say> {
        let late: Vec<PeerId> =
            self.dials.iter().filter(|(_, dial)| dial.deadline <= cx.now).map(|(peer, _)| *peer).collect();
        late.into_iter().map(|peer| self.fail(peer, Fault::Deadline, cx)).collect()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.dials.values().fold(None, |first, dial| earliest(first, Some(dial.deadline)))
    }

    /// Ends every attempt whose signals can no longer be carried: the signaller is gone.
    pub(crate) fn on_signaller_lost(&mut self, cx: &mut Cx<'_>) -> Vec<Say> {
        let stranded: Vec<PeerId> = self
            .dials
            .iter()
            .filter(|(_, dial)| dial.step != Step::Connecting)
            .map(|(peer, _)| *peer)
            .collect();
        stranded.into_iter().map(|peer| self.fail(peer, Fault::Deadline, cx)).collect()
    }

    /// Never try this peer again.
    pub(crate) fn ban(&mut self, peer: &PeerId, cx: &mut Cx<'_>) {
        self.drop_dial(peer, cx);
        self.known.remove(peer);
    }

    pub(crate) fn forget_topic(&mut self, topic: &Topic, cx: &mut Cx<'_>) {
        let stale: Vec<PeerId> =
            self.dials.iter().filter(|(_, dial)| dial.topic == *topic).map(|(peer, _)| *peer).collect();
        for peer in stale {
            self.drop_dial(&peer, cx);
        }
        for known in self.known.values_mut() {
            known.topics.retain(|known| known != topic);
        }
        self.known.retain(|_, known| !known.topics.is_empty());
    }

    /// The topics that `peer` is known to be in.
    pub(crate) fn topics_of(&self, peer: &PeerId) -> &[Topic] {
        self.known.get(peer).map_or(&[], |known| &known.topics)
    }

    pub(crate) fn dialling(&self, topic: &Topic) -> usize {
        self.dials.values().filter(|dial| dial.topic == *topic).count()
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

    fn peer_of(&self, link: LinkId) -> Option<PeerId> {
        self.dials.iter().find(|(_, dial)| dial.link == Some(link)).map(|(peer, _)| *peer)
    }

    fn fail(&mut self, peer: PeerId, fault: Fault, cx: &mut Cx<'_>) -> Say {
        self.drop_dial(&peer, cx);
        if let Some(known) = self.known.get_mut(&peer) {
            known.back_off(cx);
        }
        Say::Failed(peer, fault)
    }

    fn drop_dial(&mut self, peer: &PeerId, cx: &mut Cx<'_>) {
        if let Some(link) = self.dials.remove(peer).and_then(|dial| dial.link) {
            cx.out.unlink(link);
        }
    }
}

impl Dial {
    fn new(attempt: u32, topic: Topic, step: Step, config: &Config, now: Instant) -> Self {
        Self {
            attempt,
            topic,
            step,
            link: None,
            began: now,
            deadline: now + config.dial_deadline,
            local: None,
            remote: None,
            held: Vec::new(),
            sent: 0,
            added: 0,
        }
    }
}

impl Known {
    fn back_off(&mut self, cx: &mut Cx<'_>) {
        let wait = BACKOFF * (1 << self.failures.min(6));
        self.failures = self.failures.saturating_add(1);
        self.not_before = cx.now + wait / 2 + cx.rng.jitter(wait / 2);
    }
}
