//! Questions under way: first greedily over two links, then, after silence or an answer without providers, on the safe
//! path.

use super::lookup::{Lookup, Way};
use super::point::EPOCH_S;
use super::route::TTL;
use super::{Action, Event, Job, Overlay};
use crate::id::Topic;
use crate::time::{Instant, SECOND};
use crate::wire::overlay::{Body, Contact, Lead, Overlay as Message, Point, Provider};
use alloc::vec::Vec;

/// Neighbours that the safe path may begin with, nearest first: nearly all, so that no lane ends among liars.
const STARTS: usize = 24;
/// Questions at the same time.
const FINDS_MAX: usize = 64;
/// Records that one question may have verified.
const VERIFIED_MAX: u8 = 32;
/// Silence after which the safe path is taken (theory §3.3).
const SILENCE_US: u64 = SECOND + SECOND / 5;
/// Searches that are begun anew when a third of those asked were silent: a crash of many is over soon.
const AGAIN_MAX: u8 = 3;
const AGAIN_US: u64 = 2 * SECOND;
/// How many times the questions and the lanes of a search a publication may have.
const PUBLISH_TIMES: u8 = 3;
/// How long answers are taken after the first.
const GRACE_US: u64 = SECOND / 2;

/// Where a question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Answers of `waiting` greedy messages are waited for.
    Fast { until: Instant, waiting: u8 },
    /// Step by step.
    Safe,
    /// Too many were silent; once more, then.
    Again { at: Instant },
    /// Answered; others may come yet.
    Done { until: Instant },
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Find {
    /// What is to be published at who is found; `None`: the application asks for providers.
    publish: Option<Provider>,
    lookup: Lookup,
    phase: Phase,
    messages: u32,
    /// Records looked at, and how many of them are still with the host.
    verified: u8,
    verifying: u8,
    answers: u8,
    again: u8,
}

impl Find {
    fn new(settings: &super::Settings, key: Point, radius: u64, publish: Option<Provider>) -> Self {
        // Who publishes wants to reach the whole region, whoever stands in it.
        let budget = u32::from(settings.budget);
        let (lanes, width, budget) = if publish.is_some() {
            let lanes = settings.lanes.saturating_mul(PUBLISH_TIMES);
            (lanes, 2 * usize::from(settings.replicas), budget * u32::from(PUBLISH_TIMES))
        } else {
            // A search goes on as long as it may ask: liars that answer must not make it look done.
            (settings.lanes, usize::MAX, budget.saturating_sub(settings.first_hops.into()))
        };
        let lookup = Lookup::new(key, lanes, width, radius, budget);
        Self {
            publish,
            lookup,
            phase: Phase::Safe,
            messages: 0,
            verified: 0,
            verifying: 0,
            answers: 0,
            again: 0,
        }
    }

    /// When something is to be done if nothing comes.
    pub(super) fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Fast { until, .. } | Phase::Done { until } | Phase::Again { at: until } => until,
            // A host that owes us a signature will call anyway.
            Phase::Safe => self.lookup.deadline().unwrap_or(Instant::from_micros(u64::MAX)),
        }
    }
}

impl Overlay {
    /// Where a topic's providers are listed now.
    pub(super) fn key_of(&self, topic: &Topic) -> Point {
        Point::of_topic(topic, self.unix_now() / EPOCH_S)
    }

    pub(super) fn on_find(&mut self, query: u32, topic: &Topic) {
        let key = self.key_of(topic);
        let links = self.table.nearest(key, usize::from(self.settings.first_hops));
        if links.is_empty() || self.finds.len() >= FINDS_MAX {
            return self.out.push_back(Action::Notify(Event::Lost { query, messages: 0 }));
        }
        let mut find = Find::new(&self.settings, key, self.radius(), None);
        let waiting = links.len() as u8;
        find.phase = Phase::Fast { until: self.now.after(SILENCE_US), waiting };
        find.messages = u32::from(waiting);
        for link in links {
            self.send(link, &Message::Seek { query, key, ttl: TTL, back: Vec::new() });
        }
        self.finds.insert(query, find);
        let here = self.store.some(key, 0);
        self.consider(query, &here, 0);
    }

    /// Looks for everybody near a record's key, to give it to them.
    pub(super) fn spread(&mut self, provider: Provider) {
        if self.finds.len() >= FINDS_MAX {
            return;
        }
        let query = self.query();
        // Half as far again: who looks for it may judge the region larger.
        let radius = self.radius().saturating_add(self.radius() / 2);
        self.finds.insert(query, Find::new(&self.settings, provider.key, radius, Some(provider)));
        self.go_safe(query);
    }

    fn go_safe(&mut self, query: u32) {
        let Some(find) = self.finds.get_mut(&query) else { return };
        find.phase = Phase::Safe;
        let near = self.table.nearest(find.lookup.key(), STARTS);
        for (turn, link) in near.into_iter().enumerate() {
            if let Some(neighbour) = self.table.get(link) {
                find.lookup.start(neighbour.contact, neighbour.point, link, turn);
            }
        }
        self.step(query);
    }

    /// Asks whom the search says, or ends it.
    fn step(&mut self, query: u32) {
        let Some(find) = self.finds.get_mut(&query).filter(|find| find.phase == Phase::Safe) else { return };
        find.lookup.expire(self.now);
        let (ways, key) = (find.lookup.steps(self.now, &mut self.rng), find.lookup.key());
        find.messages += ways.len() as u32;
        let is_over = find.lookup.deadline().is_none() && find.verifying == 0;
        for way in ways {
            self.routed(&way, Body::Ask { query, key });
        }
        if is_over {
            self.end(query);
        }
    }

    fn end(&mut self, query: u32) {
        self.store_at_keepers(query);
        let (now, radius) = (self.now, self.radius());
        if let Some(find) = self.finds.get_mut(&query)
            && find.lookup.failed() * 3 > find.lookup.answered().count()
            && find.again < AGAIN_MAX
        {
            find.again += 1;
            find.phase = Phase::Again { at: now.after(AGAIN_US) };
            find.lookup = Find::new(&self.settings, find.lookup.key(), radius, find.publish).lookup;
            find.verified = 0;
            return;
        }
        let Some(find) = self.finds.remove(&query) else { return };
        if find.publish.is_none() {
            self.out.push_back(Action::Notify(Event::Lost { query, messages: find.messages }));
        }
    }

    /// Gives a record to all whom a publication has found so far, though it may begin anew: where many are silent that
    /// takes long.
    fn store_at_keepers(&mut self, query: u32) {
        let Some(find) = self.finds.get(&query) else { return };
        let Some(provider) = find.publish else { return };
        let keepers = find.lookup.keepers(usize::from(self.settings.replicas));
        for way in keepers.map(|spot| spot.way.clone()).collect::<Vec<Way>>() {
            self.routed(&way, Body::Store { provider });
        }
    }

    pub(super) fn on_answer(
        &mut self,
        way: &Way,
        query: u32,
        from: Contact,
        providers: Vec<Provider>,
        leads: Vec<Lead>,
    ) {
        let bits = self.settings.puzzle_bits;
        let Some(point) = Point::of(&from, bits) else { return };
        let me = self.point;
        let placed = |lead: Lead| Some((lead, Point::of(&lead.contact, bits).filter(|point| *point != me)?));
        let leads: Vec<(Lead, Point)> = leads.into_iter().filter_map(placed).collect();
        if self.tending.takes(query) {
            return self.on_near(way, query, (from, point), &leads);
        }
        let lanes = self.settings.lanes.max(1);
        let Some(find) = self.finds.get_mut(&query) else { return };
        // Who should keep the record and does not is new here, or lies: whom it names is not asked.
        let is_doubtful = find.publish.is_none() && providers.is_empty() && find.lookup.in_region(point);
        let leads = if is_doubtful { Vec::new() } else { leads };
        if !find.lookup.on_answer(point, &leads) && find.answers < self.settings.first_hops {
            // Only a greedy message is answered by somebody whom we did not ask.
            find.lookup.met(from, point, way.clone(), find.answers % lanes, &leads);
            find.answers += 1;
            if let Phase::Fast { waiting, .. } = &mut find.phase {
                *waiting = waiting.saturating_sub(1);
            }
        }
        self.consider(query, &providers, way.hops() as u8);
        let is_empty = |find: &super::find::Find| {
            matches!(find.phase, Phase::Fast { waiting: 0, .. }) && find.verifying == 0
        };
        if self.finds.get(&query).is_some_and(is_empty) {
            return self.go_safe(query);
        }
        self.step(query);
    }

    /// Has records verified that answer a question.
    fn consider(&mut self, query: u32, providers: &[Provider], hops: u8) {
        let unix_s = self.unix_now();
        for provider in providers {
            let Some(find) = self.finds.get(&query) else { return };
            let fits = provider.key == find.lookup.key()
                && u64::from(provider.until) > unix_s
                && find.publish.is_none()
                && find.verified < VERIFIED_MAX;
            let fast = matches!(find.phase, Phase::Fast { .. });
            let job = Job::Found { query, provider: *provider, hops, fast };
            if !fits || !self.verify(*provider, job) {
                continue;
            }
            if let Some(find) = self.finds.get_mut(&query) {
                find.verified += 1;
                find.verifying += 1;
            }
        }
    }

    pub(super) fn on_looked_at(&mut self, query: u32) {
        let Some(find) = self.finds.get_mut(&query) else { return };
        find.verifying = find.verifying.saturating_sub(1);
        if find.verifying > 0 {
            return;
        }
        if matches!(find.phase, Phase::Fast { waiting: 0, .. }) {
            self.go_safe(query);
        } else {
            self.step(query);
        }
    }

    pub(super) fn on_found(&mut self, query: u32, provider: Provider, hops: u8, fast: bool) {
        let Some(find) = self.finds.get_mut(&query) else { return };
        if !matches!(find.phase, Phase::Done { .. }) {
            find.phase = Phase::Done { until: self.now.after(GRACE_US) };
        }
        let (contact, messages) = (provider.contact, find.messages);
        self.out.push_back(Action::Notify(Event::Found { query, contact, hops, fast, messages }));
    }

    pub(super) fn on_find_time(&mut self) {
        let now = self.now;
        let due: Vec<u32> =
            self.finds.iter().filter(|(_, find)| find.deadline() <= now).map(|(query, _)| *query).collect();
        for query in due {
            match self.finds.get(&query).map(|find| find.phase) {
                Some(Phase::Fast { .. } | Phase::Again { .. }) => self.go_safe(query),
                Some(Phase::Safe) => self.step(query),
                Some(Phase::Done { .. }) => {
                    self.finds.remove(&query);
                }
                None => {}
            }
        }
    }
}
