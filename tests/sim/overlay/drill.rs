//! What stories share: a mesh that stands, keys that are published, questions, churn, and what came of them.

use super::wiring;
use super::world::{Conduct, UNIX_S, World};
use crate::queue::fork;
use crate::stories::{Outcome, Setup, mean, nearest};
use std::collections::BTreeMap;
use swarmlet_core::overlay::point::EPOCH_S;
use swarmlet_core::overlay::search::STEPS;
use swarmlet_core::overlay::{Command, Event, Settings};
use swarmlet_core::rng::Rng;
use swarmlet_core::wire::overlay::{Point, Role};
use swarmlet_core::{Instant, Topic};

/// Keys that are looked for.
pub(super) const KEYS: usize = 200;
/// Listings that each peer keeps, where a story does not say: ten thousand peers keep them in one memory.
const LISTINGS_MAX: u16 = 16;
/// Between two steps of a story.
pub(super) const STEP_S: f64 = 0.1;

/// One question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) at: Instant,
    /// Seconds until the first answer.
    pub(super) took_s: Option<f64>,
    pub(super) fast: bool,
    pub(super) hops: u8,
    pub(super) messages: u32,
    /// The machine said that nobody is there.
    pub(super) lost: bool,
    /// The asker has gone since.
    pub(super) void: bool,
    pub(super) from: usize,
    /// Which part of a torn network asked, and which published.
    pub(super) sides: (bool, bool),
}

/// A story under way.
pub(super) struct Drill {
    pub(super) world: World,
    pub(super) questions: Vec<Question>,
    pub(super) rng: Rng,
    pub(super) publishers: Vec<usize>,
    pub(super) alone: u64,
    asked: f64,
    /// Rumours that were heard: which, by whom, and over how many links.
    heard: Vec<(usize, usize, u8)>,
    by_query: BTreeMap<(usize, u32), usize>,
    churned: f64,
}

/// The topic of a key.
pub(super) fn topic(key: usize) -> Topic {
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&(key as u64).to_le_bytes());
    Topic(bytes)
}

impl Drill {
    /// A mesh of `setup.peers` routers that has stood for long; a share of them as `conduct` says.
    pub(super) fn new(setup: &Setup, liars: f64, conduct: Conduct) -> Self {
        Self::keeping(setup, liars, conduct, LISTINGS_MAX)
    }

    /// The same, of peers that keep so many listings.
    pub(super) fn keeping(setup: &Setup, liars: f64, conduct: Conduct, listings_max: u16) -> Self {
        let own = Settings::default();
        let set = |name: &str, own: u8| match setup.number(name) as u8 {
            0 => own,
            set => set,
        };
        let settings = Settings {
            // What a place costs is not what these stories measure.
            puzzle_bits: 1,
            siblings: set("siblings", own.siblings),
            double_buckets: set("double_buckets", own.double_buckets),
            lanes: set("lanes", own.lanes),
            replicas: set("replicas", own.replicas),
            listings_max,
            ..own
        };
        let mut world = World::new(setup.seed, settings);
        for index in 0..setup.peers {
            let lies = (index + 1) as f64 * liars >= (index as f64 * liars).floor() + 1.0;
            world.add(Some(Role::Router), if lies { conduct } else { Conduct::Honest });
        }
        Self {
            world,
            questions: Vec::new(),
            rng: fork(setup.seed, 73, 0),
            publishers: Vec::new(),
            alone: 0,
            asked: 0.0,
            heard: Vec::new(),
            by_query: BTreeMap::new(),
            churned: 0.0,
        }
    }

    /// Links everybody and lets them greet.
    pub(super) fn wire(&mut self) {
        wiring::wire(&mut self.world);
        self.world.run_s(2.0);
    }

    /// Peers that stay publish the keys, over `seconds`; and what follows is waited for.
    pub(super) fn publish(&mut self, seconds: f64) {
        self.publish_keys(KEYS, seconds);
    }

    /// The same with so many keys.
    pub(super) fn publish_keys(&mut self, keys: usize, seconds: f64) {
        for key in 0..keys {
            let alive = self.world.alive();
            let peer = self.world.one_of(&alive);
            self.publishers.push(peer);
            self.world.command(peer, Command::Publish { topic: topic(key) });
            self.world.run_s(seconds / keys as f64);
        }
        self.world.run_s(20.0);
    }

    /// Lets time pass with churn and questions.
    pub(super) fn go(&mut self, seconds: f64, churn: f64, rate: f64, progress: &mut dyn FnMut(f64)) {
        let steps = (seconds / STEP_S) as u64;
        let count = self.world.alive().len();
        let mut askers = Vec::new();
        for step in 0..steps {
            if step % 50 == 0 {
                askers = self.world.alive();
                progress(step as f64 / steps as f64);
            }
            self.churn(churn, count);
            self.step(rate, &askers);
        }
    }

    /// Peers that keep a key, on average.
    pub(super) fn keepers(&self, keys: usize) -> f64 {
        let kept: usize = (0..keys)
            .map(|key| {
                let place = Point::of_topic(&topic(key), UNIX_S / EPOCH_S);
                self.world
                    .peers
                    .iter()
                    .filter(|peer| peer.machine.as_ref().is_some_and(|one| one.keeps(place)))
                    .count()
            })
            .sum();
        kept as f64 / keys as f64
    }

    /// One step: `rate` questions for each second by peers of `askers`.
    pub(super) fn step(&mut self, rate: f64, askers: &[usize]) {
        self.asked += rate * STEP_S;
        while self.asked >= 1.0 {
            self.asked -= 1.0;
            let from = self.world.one_of(askers);
            let key = self.rng.below(self.publishers.len() as u64) as usize;
            self.ask(from, key);
        }
        self.world.run_s(STEP_S);
        self.listen();
    }

    fn ask(&mut self, from: usize, key: usize) {
        let command = |query| Command::Find { query, topic: topic(key) };
        self.ask_by(from, self.publishers[key], command);
    }

    /// A question by words.
    pub(super) fn search(&mut self, from: usize, publisher: usize, text: &str) {
        self.ask_by(from, publisher, |query| Command::Search { query, text: text.into() });
    }

    fn ask_by(&mut self, from: usize, publisher: usize, command: impl FnOnce(u32) -> Command) {
        if self.world.peers[from].machine.is_none() {
            return;
        }
        let query = self.questions.len() as u32;
        self.by_query.insert((from, query), self.questions.len());
        self.questions.push(Question {
            at: self.world.now,
            took_s: None,
            fast: false,
            hops: 0,
            messages: 0,
            lost: false,
            void: false,
            from,
            sides: (self.world.peers[from].side, self.world.peers[publisher].side),
        });
        self.world.command(from, command(query));
        self.listen();
    }

    fn listen(&mut self) {
        let news: Vec<_> = self.world.told.drain(..).collect();
        for told in news {
            match told.event {
                Event::Found { query, fast, hops, messages, .. } => {
                    let Some(at) = self.by_query.get(&(told.peer, query)) else { continue };
                    let question = &mut self.questions[*at];
                    if question.took_s.is_none() {
                        question.took_s = Some(told.at.since(question.at).as_secs_f64());
                        (question.fast, question.hops, question.messages) = (fast, hops, messages);
                    }
                }
                Event::Lost { query, messages } => {
                    let Some(at) = self.by_query.get(&(told.peer, query)) else { continue };
                    let question = &mut self.questions[*at];
                    question.lost |= question.took_s.is_none();
                    question.messages = question.messages.max(messages);
                }
                Event::Listed { listing, hops } => {
                    self.heard.push((listing.size as usize, told.peer, hops));
                }
                Event::Matched { query, hops, .. } => {
                    let Some(at) = self.by_query.get(&(told.peer, query)) else { continue };
                    let question = &mut self.questions[*at];
                    if question.took_s.is_none() {
                        question.took_s = Some(told.at.since(question.at).as_secs_f64());
                        (question.fast, question.hops) = (hops as usize <= STEPS as usize + 1, hops);
                    }
                }
                Event::Searched { query, messages, .. } => {
                    let Some(at) = self.by_query.get(&(told.peer, query)) else { continue };
                    let question = &mut self.questions[*at];
                    question.lost |= question.took_s.is_none();
                    question.messages = messages;
                }
                // Nobody in these stories asks for it.
                Event::Reached { .. } => {}
                Event::Alone => self.rescue(told.peer),
            }
        }
    }

    /// Hands over which rumours were heard since the last time.
    pub(super) fn collect(&mut self, each: &mut dyn FnMut(usize, usize, u8)) {
        for (rumour, peer, hops) in self.heard.drain(..) {
            each(rumour, peer, hops);
        }
    }

    /// Who has lost everybody comes back through somebody it remembers, as it came first.
    fn rescue(&mut self, peer: usize) {
        self.alone += 1;
        self.bootstrap(peer);
    }

    fn bootstrap(&mut self, peer: usize) {
        let side = self.world.peers[peer].side;
        for _ in 0..100 {
            let other = self.rng.below(self.world.peers.len() as u64) as usize;
            let there = &self.world.peers[other];
            let fits = there.conduct == Conduct::Honest && (there.side == side || !self.world.torn);
            if other != peer && there.machine.is_some() && fits {
                return self.world.link(peer, other);
            }
        }
    }

    /// One step of churn: `percent` of the peers go in an hour, half of them silently, and as many come.
    pub(super) fn churn(&mut self, percent: f64, count: usize) {
        self.churned += percent / 100.0 / 3600.0 * STEP_S * count as f64;
        while self.churned >= 1.0 {
            self.churned -= 1.0;
            let alive = self.world.alive();
            let gone = self.world.one_of(&alive);
            for question in &mut self.questions {
                question.void |= question.from == gone && question.took_s.is_none() && !question.lost;
            }
            let silently = self.rng.below(2) == 0;
            self.world.kill(gone, silently);
            let new = self.world.add(None, Conduct::Honest);
            // It remembers two anchors that are still there.
            self.bootstrap(new);
            self.bootstrap(new);
        }
    }

    /// Questions asked in a span that somebody waited for.
    pub(super) fn asked(&self, from: Instant, to: Instant) -> Vec<Question> {
        let in_span = |one: &&Question| one.at >= from && one.at < to && !one.void;
        self.questions.iter().filter(in_span).copied().collect()
    }

    /// What every story tells.
    pub(super) fn outcome(&self, questions: &[Question]) -> Outcome {
        let mut outcome = Outcome {
            figures: Vec::new(),
            curve: Vec::new(),
            givers: 0,
            events: self.world.totals.events,
            trace: self.world.trace(),
            strandings: Vec::new(),
            violation: None,
        };
        let mut took: Vec<f64> = questions.iter().filter_map(|one| one.took_s).collect();
        took.sort_by(f64::total_cmp);
        let mut hops: Vec<f64> =
            questions.iter().filter(|one| one.fast && one.hops > 0).map(|one| f64::from(one.hops)).collect();
        hops.sort_by(f64::total_cmp);
        let mut messages: Vec<f64> = questions.iter().map(|one| f64::from(one.messages)).collect();
        messages.sort_by(f64::total_cmp);
        outcome.tell("questions", questions.len() as f64);
        outcome.tell("found_first_try", share(questions, |one| one.fast && one.took_s.is_some()));
        outcome.tell("found_with_fallback", share(questions, |one| one.took_s.is_some()));
        outcome.tell("hops_mean", mean(&hops));
        outcome.tell("hops_p95", nearest(&hops, 0.95));
        outcome.tell("took_mean_s", mean(&took));
        outcome.tell("took_p95_s", nearest(&took, 0.95));
        outcome.tell("messages_mean", mean(&messages));
        outcome.tell("messages_p95", nearest(&messages, 0.95));
        outcome.tell(
            "found_within_45_messages",
            share(questions, |one| one.took_s.is_some() && one.messages <= 45),
        );
        outcome.tell("messages_max", messages.last().copied().unwrap_or(0.0));
        outcome
    }

    /// Links and traffic of the routers, over a span that began with `before`.
    pub(super) fn tell_links(&self, outcome: &mut Outcome, before: &Before) {
        let routers: Vec<usize> = self.routers();
        let degrees: Vec<f64> =
            routers.iter().map(|peer| self.world.peers[*peer].links.len() as f64).collect();
        let hours = self.world.now.since(before.at).as_secs_f64() / 3600.0;
        let made: Vec<f64> = routers
            .iter()
            .filter_map(|peer| {
                Some(f64::from(self.world.peers[*peer].handshakes - before.handshakes.get(*peer)?))
            })
            .collect();
        outcome.tell("routers", routers.len() as f64);
        outcome.tell("degree_mean", mean(&degrees));
        outcome.tell("degree_max", degrees.iter().copied().fold(0.0, f64::max));
        outcome.tell("handshakes_per_hour_and_router", mean(&made) / hours);
        let totals = self.world.totals;
        let bits = (totals.bytes - before.totals.bytes) as f64 * 8.0;
        outcome.tell("kbit_s_per_router", bits / (hours * 3600.0) / routers.len() as f64 / 1000.0);
        let dials = (totals.dials - before.totals.dials) as f64;
        outcome.tell("dials", dials);
        outcome.tell("dials_declined", (totals.declined - before.totals.declined) as f64 / dials);
        outcome.tell("dials_unanswered", (totals.unanswered - before.totals.unanswered) as f64 / dials);
    }

    /// Honest routers that are there.
    pub(super) fn routers(&self) -> Vec<usize> {
        let is_router = |peer: &usize| {
            let machine = self.world.peers[*peer].machine.as_ref();
            machine.is_some_and(|machine| machine.snapshot().role != Role::Leaf)
        };
        self.world.alive().into_iter().filter(is_router).collect()
    }

    /// The share of some peers that is in the largest group of those linked with one another.
    pub(super) fn connected(&self, peers: &[usize]) -> f64 {
        let mut group: BTreeMap<usize, usize> = BTreeMap::new();
        let mut largest = 0usize;
        for start in peers {
            if group.contains_key(start) {
                continue;
            }
            let (mut stack, mut size) = (vec![*start], 0usize);
            group.insert(*start, *start);
            while let Some(peer) = stack.pop() {
                size += 1;
                for end in self.world.peers[peer].links.iter().filter(|end| self.world.is_alive(**end)) {
                    let other = self.world.across(*end);
                    if self.world.peers[other].machine.is_some() && !group.contains_key(&other) {
                        group.insert(other, *start);
                        stack.push(other);
                    }
                }
            }
            largest = largest.max(size);
        }
        largest as f64 / peers.len() as f64
    }
}

/// What was before a span.
pub(super) struct Before {
    at: Instant,
    handshakes: Vec<u32>,
    totals: super::world::Totals,
}

impl Before {
    pub(super) fn of(world: &World) -> Self {
        let handshakes = world.peers.iter().map(|peer| peer.handshakes).collect();
        Self { at: world.now, handshakes, totals: world.totals }
    }
}

/// The share of questions of which something is so.
pub(super) fn share(questions: &[Question], so: impl Fn(&Question) -> bool) -> f64 {
    questions.iter().filter(|one| so(one)).count() as f64 / questions.len() as f64
}

/// The stories begin ten minutes after an hour, and none is longer than half an hour.
const _: () = assert!(UNIX_S % 3600 == 600, "no story crosses the turn of an hour unless it wants to");
