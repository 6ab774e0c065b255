//! The way to the signaller: its socket, our place in its swarms, and patience when it is gone.
//!
//! Invariant: nothing is sent before the answer to the challenge, and nothing but announces between it and `Welcome`.
//! Membership lives as long as the socket, so after a reconnect everything is announced again, in the frame of that answer,
//! and while connected nothing is repeated without need.

#[cfg(test)]
mod stories;

use crate::action::Work;
use crate::config::Config;
use crate::id::{JobId, PeerId, Topic};
use crate::input::Outcome;
use crate::outbox::Cx;
use crate::time::{Instant, SECOND, earliest};
use crate::util::Map;
use crate::wire::{self, Signature, ToClient, ToTracker};
use alloc::vec::Vec;
use core::time::Duration;

/// First wait before a new try; doubles up to `RETRY_MAX`, with full jitter (reliability F4).
const RETRY_MIN: u64 = SECOND / 2;
/// Longest wait before a new try: most are back within it when the signaller is (reliability F1).
const RETRY_MAX: u64 = 15 * SECOND;
/// The longest that the server may ask for, and how long a socket must live to count as healthy.
const PATIENCE: u64 = 60 * SECOND;
/// From the open socket to `Welcome`.
const WELCOME_DEADLINE: Duration = Duration::from_secs(10);
/// A peer with too few links asks for more after this time, and after twice that each time that did not help, up to
/// sixteen times (theory §5: 120 s).
const ASK_AGAIN: u64 = 8 * SECOND;
/// One that has lost half of its links begins with this: others are done and go.
const ASK_SOON: u64 = SECOND / 2;

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
    Greeting { deadline: Instant, signing: Option<JobId> },
    Up { since: Instant },
    Off,
}

#[derive(Default)]
struct Membership {
    complete: bool,
    said: bool,
    ask_at: Option<Instant>,
    asks: u32,
    /// The most links that there were, and whether half of them are lost.
    most: usize,
    lost: bool,
}

/// What something means for the rest of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The message is in its place: act on it. A challenge goes to [`Client::on_challenge`].
    Accepted,
    /// Nothing to do.
    Nothing,
    /// The socket is of no use: lost until the next try.
    Broken,
}

impl Client {
    pub(crate) const fn new(config: &Config) -> Self {
        let state = if config.signaller { State::Waiting { until: Instant::ZERO } } else { State::Off };
        Self { state, retries: 0, topics: Map::new(), enabled: config.signaller }
    }

    /// Joins a swarm, or says that we are now complete in it.
    pub(crate) fn join(&mut self, topic: Topic, complete: bool, cx: &mut Cx) {
        let known = self.topics.entry(topic).or_default();
        if known.said && known.complete == complete {
            return;
        }
        *known = Membership { complete, said: false, ask_at: None, asks: 0, ..*known };
        if cx.is_up {
            known.announce(topic, cx);
        } else {
            self.wake(cx);
        }
    }

    pub(crate) fn leave(&mut self, topic: &Topic, cx: &mut Cx) {
        if let Some(known) = self.topics.remove(topic)
            && known.said
        {
            cx.out.signal(&ToTracker::Leave { topic: *topic });
        }
    }

    /// Notes how many links there are in a swarm. Answers whether half of what there were are lost.
    pub(crate) fn on_links(&mut self, topic: &Topic, links: usize) -> bool {
        let Some(known) = self.topics.get_mut(topic) else { return false };
        known.most = known.most.max(links);
        let lost = links * 2 <= known.most && known.most > 0;
        if lost && !known.lost {
            known.asks = 0;
        }
        known.lost = lost;
        lost
    }

    /// Asks for more peers of a swarm, soon.
    pub(crate) fn ask_again(&mut self, topic: &Topic, cx: &mut Cx) {
        let Some(known) = self.topics.get_mut(topic) else { return };
        let first = if known.lost { ASK_SOON } else { ASK_AGAIN };
        let span = (first << known.asks.min(8)).min(ASK_AGAIN * 16);
        // Who has lost its last link does not wait for what was meant for somebody with some.
        if known.ask_at.is_none_or(|at| at > cx.now.after(span * 2)) {
            known.asks += 1;
            known.ask_at = Some(cx.now.after(span / 2 + cx.rng.below(span)));
        }
    }

    /// Asks for no more peers of a swarm.
    pub(crate) fn ask_no_more(&mut self, topic: &Topic) {
        if let Some(known) = self.topics.get_mut(topic) {
            (known.ask_at, known.asks) = (None, 0);
        }
    }

    /// The socket opened, or could not be; the answer to the challenge is signed, or could not be. `None`: not our
    /// job.
    pub(crate) fn on_done(
        &mut self,
        job: JobId,
        outcome: &Outcome<'_>,
        me: &PeerId,
        cx: &mut Cx,
    ) -> Option<News> {
        match (&self.state, outcome) {
            (State::Opening(ours), Outcome::Ok) if *ours == job => {
                self.state = State::Greeting { deadline: cx.now + WELCOME_DEADLINE, signing: None };
                Some(News::Nothing)
            }
            (State::Opening(ours), _) if *ours == job => Some(self.on_lost(cx)),
            (State::Greeting { signing: Some(ours), .. }, outcome) if *ours == job => {
                let Outcome::Bytes(bytes) = outcome else { return Some(self.give_up(cx)) };
                let Some(signature) = Signature::from_bytes(bytes) else { return Some(self.give_up(cx)) };
                Self::hello(*me, signature, cx);
                self.announce_all(cx);
                Some(News::Nothing)
            }
            _ => None,
        }
    }

    pub(crate) fn on_message(&mut self, message: &ToClient, cx: &mut Cx) -> News {
        match (message, &self.state) {
            (ToClient::Challenge { .. }, State::Greeting { .. }) => {}
            (ToClient::Welcome { version, .. }, State::Greeting { .. }) if *version == wire::VERSION => {
                self.state = State::Up { since: cx.now };
                cx.is_up = true;
                self.announce_all(cx);
            }
            (
                ToClient::Peers { .. } | ToClient::Relayed { .. } | ToClient::Absent { .. },
                State::Up { .. },
            ) => {}
            (ToClient::Refused { retry_ms, .. }, state) => {
                if matches!(state, State::Greeting { .. }) {
                    self.give_up_for(u64::from(*retry_ms) * 1000, cx);
                }
            }
            (ToClient::GoAway { spread_ms }, State::Up { .. }) => {
                let spread = (u64::from(*spread_ms) * 1000).min(PATIENCE);
                let wait = cx.rng.below(spread);
                self.give_up_for(wait, cx);
                return News::Broken;
            }
            _ => return self.give_up(cx),
        }
        News::Accepted
    }

    /// Has the host sign the answer to the challenge.
    pub(crate) fn on_challenge(&mut self, message: Vec<u8>, cx: &mut Cx) {
        if let State::Greeting { signing, .. } = &mut self.state {
            *signing = Some(cx.out.start(Work::Sign { message }));
        }
    }

    fn hello(peer: PeerId, signature: Signature, cx: &mut Cx) {
        let token = cx.config.token.clone();
        cx.out.signal(&ToTracker::Hello { version: wire::VERSION, features: 0, peer, signature, token });
    }

    /// Announces what was not.
    fn announce_all(&mut self, cx: &mut Cx) {
        for (topic, known) in &mut self.topics {
            if !known.said {
                known.announce(*topic, cx);
            }
        }
    }

    /// The socket closed.
    pub(crate) fn on_lost(&mut self, cx: &mut Cx) -> News {
        if matches!(self.state, State::Waiting { .. } | State::Off) {
            return News::Nothing;
        }
        if matches!(self.state, State::Up { since } if cx.now.passed(since) >= PATIENCE) {
            self.retries = 0;
        }
        let span = (RETRY_MIN << self.retries.min(7)).min(RETRY_MAX);
        self.retries += 1;
        let wait = span / 4 + cx.rng.below(span);
        self.rest(cx.now.after(wait), cx);
        News::Broken
    }

    /// The socket cannot be trusted.
    pub(crate) fn give_up(&mut self, cx: &mut Cx) -> News {
        cx.out.start(Work::CloseSignaller);
        self.on_lost(cx)
    }

    fn give_up_for(&mut self, wait: u64, cx: &mut Cx) {
        cx.out.start(Work::CloseSignaller);
        self.retries += 1;
        self.rest(cx.now.after(wait.clamp(RETRY_MIN, PATIENCE)), cx);
    }

    fn rest(&mut self, until: Instant, cx: &mut Cx) {
        cx.is_up = false;
        self.state = State::Waiting { until };
        for (_, known) in &mut self.topics {
            known.said = false;
            known.ask_at = None;
        }
    }

    pub(crate) fn set_online(&mut self, online: bool, cx: &mut Cx) {
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
            self.rest(cx.now, cx);
            self.state = State::Off;
        }
    }

    pub(crate) fn on_timeout(&mut self, cx: &mut Cx) -> News {
        match self.state {
            State::Waiting { .. } => self.wake(cx),
            State::Greeting { deadline, .. } if deadline <= cx.now => return self.give_up(cx),
            State::Up { .. } => {
                for (topic, known) in &mut self.topics {
                    if known.ask_at.is_some_and(|at| at <= cx.now) {
                        known.announce(*topic, cx);
                    }
                }
            }
            State::Greeting { .. } | State::Opening(_) | State::Off => {}
        }
        News::Nothing
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => (!self.topics.is_empty()).then_some(until),
            State::Greeting { deadline, .. } => Some(deadline),
            State::Up { .. } => {
                let mut first = None;
                for (_, known) in &self.topics {
                    first = earliest(first, known.ask_at);
                }
                first
            }
            State::Opening(_) | State::Off => None,
        }
    }

    /// Milliseconds until the next try.
    pub(crate) fn retry_ms(&self, now: Instant) -> u32 {
        match self.state {
            State::Waiting { until } => (until.passed(now) / 1000) as u32,
            State::Opening(_) | State::Greeting { .. } | State::Up { .. } | State::Off => 0,
        }
    }

    /// Opens the socket when it is time and there is something to say.
    fn wake(&mut self, cx: &mut Cx) {
        if let State::Waiting { until } = self.state
            && until <= cx.now
            && !self.topics.is_empty()
        {
            self.state = State::Opening(cx.out.start(Work::OpenSignaller));
        }
    }
}

impl Membership {
    fn announce(&mut self, topic: Topic, cx: &mut Cx) {
        self.said = true;
        self.ask_at = None;
        let want = wire::tracker::PEERS_MAX as u8;
        cx.out.signal(&ToTracker::Announce { topic, complete: self.complete, want });
    }
}
