//! The way to the signaller: its socket, our place in its swarms, and patience when it is gone.
//!
//! Invariant: nothing but the answer to the challenge is sent before `Welcome`. Membership lives as long as the
//! socket, so after a reconnect everything is announced again, and while connected nothing is repeated without need.

use crate::action::Work;
use crate::config::Config;
use crate::id::{JobId, PeerId, Topic};
use crate::outbox::Cx;
use crate::time::{Instant, earliest};
use crate::util::Map;
use crate::wire::{self, PeerView, Refusal, Signal, Signature, ToClient, ToTracker};
use alloc::vec::Vec;
use core::time::Duration;

/// First wait before a new try; doubles up to `RETRY_MAX`, with full jitter (reliability F4).
const RETRY_MIN: Duration = Duration::from_millis(500);
/// Longest wait before a new try. Also clamps what the server may ask for.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// From the open socket to `Welcome`.
const WELCOME_DEADLINE: Duration = Duration::from_secs(10);
/// A peer with too few links asks for more this often (theory §5: 120 s; sooner while it has none).
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// The socket and what was said over it.
pub(crate) struct Client {
    state: State,
    retries: u32,
    topics: Map<Topic, Membership>,
    enabled: bool,
}

enum State {
    Waiting { until: Instant },
    Opening(JobId),
    Greeting { deadline: Instant },
    Up { since: Instant },
    Off,
}

#[derive(Default)]
struct Membership {
    complete: bool,
    said: bool,
    ask_at: Option<Instant>,
}

/// What a message means for the rest of the node.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// We are in.
    Up,
    /// Sign this and call [`Client::hello`].
    Challenge([u8; 32]),
    /// Members of a swarm.
    Peers { topic: Topic, seeds: u32, leeches: u32, peers: Vec<PeerView> },
    /// A peer signals.
    Signal(PeerId, Signal),
    /// A peer is not there.
    Absent(PeerId),
    /// The signaller said no.
    Refused(Refusal),
    /// Nothing to do.
    Nothing,
    /// The socket is of no use: lost after this many milliseconds until the next try.
    Broken,
}

impl Client {
    pub(crate) const fn new(config: &Config) -> Self {
        let state = if config.signaller { State::Waiting { until: Instant::ZERO } } else { State::Off };
        Self { state, retries: 0, topics: Map::new(), enabled: config.signaller }
    }

    pub(crate) const fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Joins a swarm, or says that we are now complete in it.
    pub(crate) fn join(&mut self, topic: Topic, complete: bool, cx: &mut Cx<'_>) {
        let known = self.topics.entry(topic).or_default();
        if known.said && known.complete == complete {
            return;
        }
        *known = Membership { complete, said: false, ask_at: None };
        if self.is_up() {
            self.announce(topic, cx);
        } else {
            self.wake(cx);
        }
    }

    pub(crate) fn leave(&mut self, topic: &Topic, cx: &mut Cx<'_>) {
        if self.topics.remove(topic).is_some_and(|known| known.said) && self.is_up() {
            cx.out.signal(ToTracker::Leave { topic: *topic }.encode());
        }
    }

    /// Asks for more peers of a swarm, soon.
    pub(crate) fn ask_again(&mut self, topic: &Topic, cx: &mut Cx<'_>) {
        if let Some(known) = self.topics.get_mut(topic)
            && known.ask_at.is_none()
        {
            known.ask_at = Some(cx.now + ASK_AGAIN / 2 + cx.rng.jitter(ASK_AGAIN));
        }
    }

    /// Asks for no more peers of a swarm.
    pub(crate) fn ask_no_more(&mut self, topic: &Topic) {
        if let Some(known) = self.topics.get_mut(topic) {
            known.ask_at = None;
        }
    }

    pub(crate) fn relay(&self, to: PeerId, signal: Signal, cx: &mut Cx<'_>) {
        if self.is_up() {
            cx.out.signal(ToTracker::Relay { to, signal }.encode());
        }
    }

    /// The socket opened, or could not be. `None`: not our job.
    pub(crate) fn on_done(&mut self, job: JobId, opened: bool, cx: &mut Cx<'_>) -> Option<Heard> {
        if !matches!(self.state, State::Opening(ours) if ours == job) {
            return None;
        }
        if opened {
            self.state = State::Greeting { deadline: cx.now + WELCOME_DEADLINE };
            return Some(Heard::Nothing);
        }
        Some(self.on_lost(cx))
    }

    pub(crate) fn on_message(&mut self, bytes: &[u8], cx: &mut Cx<'_>) -> Heard {
        let Ok(message) = ToClient::decode(bytes) else { return self.give_up(cx) };
        match (message, &self.state) {
            (ToClient::Challenge { nonce }, State::Greeting { .. }) => Heard::Challenge(nonce),
            (ToClient::Welcome { version, .. }, State::Greeting { .. }) if version == wire::VERSION => {
                self.state = State::Up { since: cx.now };
                let topics: Vec<Topic> = self.topics.keys().copied().collect();
                for topic in topics {
                    self.announce(topic, cx);
                }
                Heard::Up
            }
            (ToClient::Peers { topic, seeds, leeches, peers }, State::Up { .. }) => {
                Heard::Peers { topic, seeds, leeches, peers }
            }
            (ToClient::Relayed { from, signal }, State::Up { .. }) => Heard::Signal(from, signal),
            (ToClient::Absent { peer }, State::Up { .. }) => Heard::Absent(peer),
            (ToClient::Refused { reason, retry_ms }, _) => {
                if matches!(self.state, State::Greeting { .. }) {
                    self.give_up_for(Duration::from_millis(u64::from(retry_ms)), cx);
                }
                Heard::Refused(reason)
            }
            (ToClient::GoAway { spread_ms }, State::Up { .. }) => {
                let spread = Duration::from_millis(u64::from(spread_ms)).min(RETRY_MAX);
                let wait = cx.rng.jitter(spread);
                self.give_up_for(wait, cx);
                Heard::Broken
            }
            _ => self.give_up(cx),
        }
    }

    /// Answers the challenge.
    pub(crate) fn hello(&self, peer: PeerId, signature: Signature, config: &Config, cx: &mut Cx<'_>) {
        let token = config.token.clone();
        cx.out.signal(
            ToTracker::Hello { version: wire::VERSION, features: 0, peer, signature, token }.encode(),
        );
    }

    /// The socket closed.
    pub(crate) fn on_lost(&mut self, cx: &mut Cx<'_>) -> Heard {
        if matches!(self.state, State::Waiting { .. } | State::Off) {
            return Heard::Nothing;
        }
        if matches!(self.state, State::Up { since } if cx.now.since(since) >= RETRY_MAX) {
            self.retries = 0;
        }
        let span = (RETRY_MIN * (1 << self.retries.min(7))).min(RETRY_MAX);
        self.retries += 1;
        let wait = span / 4 + cx.rng.jitter(span);
        self.rest(cx.now + wait);
        Heard::Broken
    }

    fn give_up(&mut self, cx: &mut Cx<'_>) -> Heard {
        cx.out.start(Work::CloseSignaller);
        self.on_lost(cx)
    }

    fn give_up_for(&mut self, wait: Duration, cx: &mut Cx<'_>) {
        cx.out.start(Work::CloseSignaller);
        self.retries += 1;
        self.rest(cx.now + wait.clamp(RETRY_MIN, RETRY_MAX));
    }

    fn rest(&mut self, until: Instant) {
        self.state = State::Waiting { until };
        for known in self.topics.values_mut() {
            known.said = false;
            known.ask_at = None;
        }
    }

    pub(crate) fn set_online(&mut self, online: bool, cx: &mut Cx<'_>) {
        if !self.enabled {
            return;
        }
        if online {
            if matches!(self.state, State::Off | State::Waiting { .. }) {
                self.retries = 0;
                self.state = State::Waiting { until: cx.now };
                self.wake(cx);
            }
        } else if !matches!(self.state, State::Off) {
            cx.out.start(Work::CloseSignaller);
            self.rest(cx.now);
            self.state = State::Off;
        }
    }

    pub(crate) fn on_timeout(&mut self, cx: &mut Cx<'_>) -> Heard {
        match self.state {
            State::Waiting { .. } => self.wake(cx),
            State::Greeting { deadline } if deadline <= cx.now => return self.give_up(cx),
            State::Up { .. } => {
                let due: Vec<Topic> = self
                    .topics
                    .iter()
                    .filter(|(_, known)| known.ask_at.is_some_and(|at| at <= cx.now))
                    .map(|(topic, _)| *topic)
                    .collect();
                for topic in due {
                    self.announce(topic, cx);
                }
            }
            State::Greeting { .. } | State::Opening(_) | State::Off => {}
        }
        Heard::Nothing
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => (!self.topics.is_empty()).then_some(until),
            State::Greeting { deadline } => Some(deadline),
            State::Up { .. } => self.topics.values().fold(None, |first, known| earliest(first, known.ask_at)),
            State::Opening(_) | State::Off => None,
        }
    }

    /// Milliseconds until the next try.
    pub(crate) fn retry_ms(&self, now: Instant) -> u32 {
        match self.state {
            State::Waiting { until } => u32::try_from(until.since(now).as_millis()).unwrap_or(u32::MAX),
            State::Opening(_) | State::Greeting { .. } | State::Up { .. } | State::Off => 0,
        }
    }

    /// Opens the socket when it is time and there is something to say.
    fn wake(&mut self, cx: &mut Cx<'_>) {
        if let State::Waiting { until } = self.state
            && until <= cx.now
            && !self.topics.is_empty()
        {
            self.state = State::Opening(cx.out.start(Work::OpenSignaller));
        }
    }

    fn announce(&mut self, topic: Topic, cx: &mut Cx<'_>) {
        let Some(known) = self.topics.get_mut(&topic) else { return };
        known.said = true;
        known.ask_at = None;
        let want = u8::try_from(wire::tracker::PEERS_MAX).unwrap_or(u8::MAX);
        cx.out.signal(ToTracker::Announce { topic, complete: known.complete, want }.encode());
    }
}
