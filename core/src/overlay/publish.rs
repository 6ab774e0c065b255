//! What we have and want found: signed for this hour and the next, given to everybody near the key, and again and
//! again; and what others give us to keep.

use super::point::EPOCH_S;
use super::table::Neighbour;
use super::{Action, Job, Overlay};
use crate::id::{LinkId, Topic};
use crate::time::{Instant, SECOND};
use crate::wire::overlay::{Body, Overlay as Message, Point, Provider, Role};
use crate::wire::{Signature, pack};
use alloc::vec::Vec;

/// Topics published at the same time.
const OWN_MAX: usize = 64;
/// How often a record is given out anew, a fifth more or less by chance (theory §3.3).
const AGAIN_US: u64 = 10 * 60 * SECOND;
/// The same in a mesh so small that the few who keep a record may be gone before that; and where nobody is yet.
const YOUNG_US: u64 = 30 * SECOND;
const ALONE_US: u64 = SECOND;
/// How long a record says that it holds, and how much longer is still believed.
const HOLDS_S: u64 = 30 * 60;
const AHEAD_S: u64 = 5 * 60;
/// How long before the hour ends the next hour's record is given out as well.
const EARLY_S: u64 = 15 * 60;
/// A record is kept by who stands nearer to its key than this many replicas stand: far above what is meant, since who
/// counts by four siblings may be wrong by a factor of four.
const SLACK: u64 = 8;

/// Something that we have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    pub(super) next_at: Instant,
}

/// What a provider signs.
pub(super) fn text(provider: &Provider) -> Vec<u8> {
    let mut text = Vec::from(*b"swarmlet overlay provider");
    text.extend(pack(&(provider.key, provider.contact, provider.until)));
    text
}

impl Overlay {
    pub(super) fn on_publish(&mut self, topic: Topic) {
        if self.own.len() < OWN_MAX {
            self.own.insert(topic, Own { next_at: self.now });
        }
    }

    pub(super) fn on_publish_time(&mut self) {
        let now = self.now;
        let due: Vec<Topic> =
            self.own.iter().filter(|(_, own)| own.next_at <= now).map(|(topic, _)| *topic).collect();
        for topic in due {
            let routers = self.table.routers().count();
            let pause = if routers == 0 {
                ALONE_US
            } else if routers < usize::from(self.settings.siblings) * 2 {
                YOUNG_US
            } else {
                AGAIN_US
            };
            let next_at = now.after(pause - pause / 5 + self.rng.below(pause * 2 / 5));
            self.own.insert(topic, Own { next_at });
            if routers == 0 {
                continue;
            }
            let unix_s = self.unix_now();
            let (hour, next) = (unix_s / EPOCH_S, (unix_s + EARLY_S) / EPOCH_S);
            for hour in hour..=next {
                let until = u32::try_from(unix_s + HOLDS_S).unwrap_or(u32::MAX);
                let key = Point::of_topic(&topic, hour);
                let unsigned = Signature([0; 32], [0; 32]);
                let provider = Provider { key, contact: self.me, until, signature: unsigned };
                let text = text(&provider);
                self.job(Job::Own { topic, provider }, |job| Action::Sign { job, text });
            }
        }
    }

    /// A record of ours is signed.
    pub(super) fn on_own(&mut self, topic: &Topic, provider: Provider) {
        if self.own.contains_key(topic) {
            self.spread(provider);
        }
    }

    pub(super) fn on_store(&mut self, link: LinkId, provider: Provider) {
        let unix_s = self.unix_now();
        let holds = (unix_s + 1..=unix_s + HOLDS_S + AHEAD_S).contains(&u64::from(provider.until));
        let is_placed = Point::of(&provider.contact, self.settings.puzzle_bits).is_some();
        if self.role == Role::Leaf || !holds || !is_placed || !self.is_near(provider.key) {
            return;
        }
        if !self.store.has(&provider) {
            self.verify(provider, Job::Keep { provider, from: link });
        }
    }

    /// Keeps a record that was verified, and gives it to those neighbours that should have it: who publishes may have
    /// met one honest keeper only.
    pub(super) fn keep(&mut self, provider: Provider, from: LinkId) {
        if self.store.has(&provider) || !self.store.put(provider, self.now) {
            return;
        }
        let radius = self.radius();
        let near = |(link, neighbour): &(LinkId, &Neighbour)| {
            *link != from && neighbour.point.far(provider.key) <= radius
        };
        let links: Vec<LinkId> = self.table.routers().filter(near).map(|(link, _)| link).collect();
        let body = Body::Store { provider };
        for to in links {
            let message = Message::Routed { route: Vec::new(), back: Vec::new(), body: body.clone() };
            self.pass_on(from, to, &message);
        }
    }

    fn is_near(&self, key: Point) -> bool {
        let radius = self.radius().saturating_mul(SLACK);
        self.point.far(key) <= radius
    }

    /// How far the replicas of a key stand from it.
    pub(super) fn radius(&self) -> u64 {
        let routers = self.table.estimate(usize::from(self.settings.siblings)).max(1);
        (u64::MAX / routers).saturating_mul(u64::from(self.settings.replicas))
    }

    /// Gives a new neighbour what it should keep.
    pub(super) fn hand_over(&mut self, link: LinkId) {
        let Some(neighbour) = self.table.get(link) else { return };
        let (there, radius) = (neighbour.point, self.radius());
        let records: Vec<Provider> = self
            .store
            .iter()
            .filter(|record| there.far(record.key) <= radius.min(self.point.far(record.key)))
            .copied()
            .collect();
        for provider in records {
            self.routed(&super::Way { link, rest: Vec::new() }, Body::Store { provider });
        }
    }
}
