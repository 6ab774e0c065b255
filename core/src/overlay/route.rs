//! Passing on: greedily towards a place, or along named links; and the answers. Nothing is remembered for it, since a
//! message collects its way back as it goes.

use super::lookup::Way;
use super::{Action, Overlay};
use crate::id::LinkId;
use crate::wire::overlay::{Body, HOPS_MAX, LEADS_MAX, Lead, Overlay as Message, Point, Role};
use alloc::vec::Vec;

/// Greedy steps (theory §3.3).
pub(super) const TTL: u8 = 12;

impl Overlay {
    pub(super) fn on_seek(&mut self, link: LinkId, query: u32, key: Point, ttl: u8, mut back: Vec<u32>) {
        let is_here = self.store.of(key).next().is_some();
        let next = (!is_here && ttl > 0 && self.role != Role::Leaf)
            .then(|| self.table.nearer(key, self.point.to(key), Some(link)))
            .flatten();
        let Some(next) = next else { return self.answer(&Way { link, rest: back }, query, key) };
        back.push(link.0);
        let message = Message::Seek { query, key, ttl: ttl - 1, back };
        self.pass_on(link, next, &message);
    }

    pub(super) fn on_routed(
        &mut self,
        link: LinkId,
        mut route: Vec<u32>,
        mut back: Vec<u32>,
        body: Body,
        length: usize,
    ) {
        if let Some(label) = route.pop() {
            let next = LinkId(label);
            if length <= crate::wire::overlay::OVERLAY_BYTES_MAX && self.table.get(next).is_some() {
                back.push(link.0);
                self.pass_on(link, next, &Message::Routed { route, back, body });
            }
            return;
        }
        let way = Way { link, rest: back };
        match body {
            Body::Ask { query, key } => self.answer(&way, query, key),
            Body::Answer { query, from, providers, leads } => {
                self.on_answer(&way, query, from, providers, leads);
            }
            Body::Store { provider } => self.on_store(link, provider),
            Body::Sealed { bytes } => self.out.push_back(Action::Sealed { way, bytes }),
            Body::Matches { query, listings } => self.on_matches(query, listings, way.hops() as u8),
            Body::Seek { query, key } => {
                let left = HOPS_MAX.saturating_sub(way.rest.len() + 1);
                self.on_seek(link, query, key, TTL.min(left as u8), way.rest);
            }
        }
    }

    /// Sends on what a neighbour wants passed on, if it may have that much.
    pub(super) fn pass_on(&mut self, from: LinkId, to: LinkId, message: &Message) {
        let bytes = message.encode();
        let now = self.now;
        let allowed =
            self.table.get_mut(from).is_some_and(|neighbour| neighbour.quota.take(now, bytes.len()));
        if allowed {
            self.sent_bytes += bytes.len() as u64;
            self.sent_messages += 1;
            self.out.push_back(Action::Send { link: to, bytes });
        }
    }

    fn answer(&mut self, way: &Way, query: u32, key: Point) {
        let turn = self.rng.below(1 << 16) as usize;
        let (providers, leads) = (self.store.some(key, turn), self.leads(key));
        let body = Body::Answer { query, from: self.me, providers, leads };
        self.routed(way, body);
    }

    /// Sends something along a way.
    pub(super) fn routed(&mut self, way: &Way, body: Body) {
        self.send(way.link, &Message::Routed { route: way.rest.clone(), back: Vec::new(), body });
    }

    /// The neighbours nearest to a place; a leaf only if it stands there.
    fn leads(&self, key: Point) -> Vec<Lead> {
        let mut links = self.table.nearest(key, LEADS_MAX);
        let leaf = self.table.iter().find(|(_, neighbour)| neighbour.point == key);
        if let Some((link, _)) = leaf.filter(|(link, _)| !links.contains(link)) {
            links.truncate(LEADS_MAX - 1);
            links.insert(0, link);
        }
        let lead = |link: LinkId| Some(Lead { contact: self.table.get(link)?.contact, label: link.0 });
        links.into_iter().filter_map(lead).collect()
    }
}
