//! Rumours: what everybody should hear. A few neighbours are told at once, the other ones of the view only what there is
//! to be had; so a tree grows, and what it loses is fetched (`HyParView` and Plumtree, Leitão et al. 2007). The view is made
//! of links that exist: being in it costs no connection.
//!
//! Bound: [`KEPT_MAX`] rumours of a kilobyte, [`NAMES_MAX`] names, and [`MISSING_MAX`] that are waited for.

use super::Overlay;
use crate::id::LinkId;
use crate::time::{Instant, SECOND, earliest};
use crate::util::{Map, Set};
use crate::wire::overlay::{Listing, Overlay as Message, RUMOURS_MAX, RumourId};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Neighbours in the view: 5 (`HyParView` with ten thousand peers), and how many more others may add.
const VIEW: usize = 5;
const VIEW_MAX: usize = 8;
/// How long the answer to `Join` is waited for.
const JOIN_US: u64 = 3 * SECOND;
/// Before a rumour that was announced is asked for, and before the next one is asked (theory §3.2, for 80 ms).
const GRAFT_US: u64 = SECOND * 2 / 5;
const GRAFT_AGAIN_US: u64 = SECOND / 5;
/// How long announcements are gathered.
const BATCH_US: u64 = SECOND / 50;
/// How long a rumour is kept, and its name (theory §3.2).
const KEPT_US: u64 = 30 * SECOND;
const NAMED_US: u64 = 90 * SECOND;
/// Rumours that are kept.
pub const KEPT_MAX: usize = 128;
/// Names that are remembered.
pub const NAMES_MAX: usize = 2048;
/// Rumours that were announced and have not come.
pub const MISSING_MAX: usize = 256;
/// Neighbours remembered for each of those.
const SOURCES_MAX: usize = 4;

#[derive(Debug)]
struct Known {
    bytes: Vec<u8>,
    hops: u8,
}

#[derive(Debug)]
struct Missing {
    sources: VecDeque<LinkId>,
    at: Instant,
}

/// What is known of rumours, and of whom they come.
#[derive(Debug, Default)]
pub(super) struct Gossip {
    /// The view, and whether rumours go there at once.
    view: Map<LinkId, bool>,
    asked: Map<LinkId, Instant>,
    known: Map<RumourId, Known>,
    /// Names by age; those that have lost their rumour are empty in `known`.
    ages: VecDeque<(Instant, RumourId)>,
    missing: Map<RumourId, Missing>,
    /// Rumours whose signatures are looked at: not more than that is done of at a time.
    judging: Set<RumourId>,
    told: Map<LinkId, Vec<(RumourId, u8)>>,
    flush_at: Option<Instant>,
    /// Rumours that came, and those of them that were news.
    pub(super) came: u64,
    pub(super) news: u64,
}

impl Gossip {
    pub(super) fn next_at(&self) -> Option<Instant> {
        let missing = self.missing.values().map(|missing| missing.at).min();
        earliest(self.flush_at, missing)
    }

    pub(super) fn remove(&mut self, link: LinkId) {
        self.view.remove(&link);
        self.asked.remove(&link);
        self.told.remove(&link);
    }

    /// Whether there is somebody who would hear a rumour.
    pub(super) const fn has_view(&self) -> bool {
        !self.view.is_empty()
    }

    /// The signature of what may be a rumour was looked at.
    pub(super) fn judged(&mut self, listing: &Listing) {
        self.judging.remove(&RumourId::of(&listing.encode()));
    }

    /// Forgets what is old, or more than is kept.
    fn sweep(&mut self, now: Instant) {
        let mut fresh = 0;
        for (at, id) in self.ages.iter().rev() {
            fresh += 1;
            if fresh <= KEPT_MAX && now.passed(*at) <= KEPT_US {
                continue;
            }
            match self.known.get_mut(id) {
                // Older ones have been emptied before.
                Some(known) if known.bytes.is_empty() => break,
                Some(known) => known.bytes = Vec::new(),
                None => {}
            }
        }
        while let Some((at, id)) = self.ages.front().copied() {
            if self.ages.len() <= NAMES_MAX && now.passed(at) <= NAMED_US {
                break;
            }
            self.ages.pop_front();
            self.known.remove(&id);
        }
    }
}

impl Overlay {
    /// Sees to it that the view is full.
    pub(super) fn tend_view(&mut self) {
        let now = self.now;
        self.gossip.asked.retain(|_, until| *until > now);
        self.gossip.sweep(now);
        let mut links: Vec<LinkId> = self.table.routers().map(|(link, _)| link).collect();
        links.retain(|link| !self.gossip.view.contains_key(link) && !self.gossip.asked.contains_key(link));
        let has = self.gossip.view.len() + self.gossip.asked.len();
        self.rng.shuffle(&mut links);
        for link in links.into_iter().take(VIEW.saturating_sub(has)) {
            let urgent = self.gossip.view.is_empty();
            self.gossip.asked.insert(link, now.after(JOIN_US));
            self.send(link, &Message::Join { urgent });
        }
    }

    pub(super) fn on_join(&mut self, link: LinkId, urgent: bool) {
        let is_answer = self.gossip.asked.remove(&link).is_some();
        if is_answer || self.gossip.view.contains_key(&link) {
            self.gossip.view.insert(link, true);
            return;
        }
        if self.gossip.view.len() >= VIEW_MAX {
            if !urgent {
                return self.send(link, &Message::Part);
            }
            let others: Vec<LinkId> = self.gossip.view.keys().copied().collect();
            if let Some(other) = self.rng.pick(&others).copied() {
                self.gossip.remove(other);
                self.send(other, &Message::Part);
            }
        }
        self.gossip.view.insert(link, true);
        self.send(link, &Message::Join { urgent: false });
    }

    pub(super) fn on_rumour(&mut self, link: LinkId, hops: u8, bytes: &[u8]) {
        self.gossip.came += 1;
        let Ok(listing) = Listing::decode(bytes) else { return self.cut(link) };
        let id = RumourId::of(bytes);
        if self.gossip.known.contains_key(&id) || self.gossip.judging.contains(&id) {
            // Somebody else was faster: from here on names will do.
            if let Some(eager) = self.gossip.view.get_mut(&link) {
                *eager = false;
            }
            return self.send(link, &Message::Prune);
        }
        let now = self.now;
        let Some(neighbour) = self.table.get_mut(link) else { return };
        if !neighbour.quota.take(now, bytes.len()) {
            return;
        }
        if let Some(eager) = self.gossip.view.get_mut(&link) {
            *eager = true;
        }
        self.gossip.news += 1;
        if self.catalogue.is_news(&listing, self.unix_now())
            && self.verify_listing(listing, None, Some((link, hops)))
        {
            self.gossip.judging.insert(id);
        }
    }

    pub(super) fn spread_rumour(&mut self, from: Option<LinkId>, hops: u8, bytes: Vec<u8>) {
        let (id, hops) = (RumourId::of(&bytes), hops.saturating_add(1));
        self.gossip.missing.remove(&id);
        let view: Vec<(LinkId, bool)> =
            self.gossip.view.iter().map(|(link, eager)| (*link, *eager)).collect();
        for (link, eager) in view.into_iter().filter(|(link, _)| Some(*link) != from) {
            if eager {
                self.send(link, &Message::Rumour { hops, bytes: bytes.clone() });
            } else {
                let told = self.gossip.told.entry(link).or_default();
                if told.len() < RUMOURS_MAX {
                    told.push((id, hops));
                }
                self.gossip.flush_at.get_or_insert(self.now.after(BATCH_US));
            }
        }
        self.gossip.ages.push_back((self.now, id));
        self.gossip.known.insert(id, Known { bytes, hops });
        self.gossip.sweep(self.now);
    }

    pub(super) fn on_heard(&mut self, link: LinkId, rumours: &[(RumourId, u8)]) {
        for (id, _) in rumours {
            if self.gossip.known.contains_key(id) {
                continue;
            }
            if let Some(missing) = self.gossip.missing.get_mut(id) {
                if missing.sources.len() < SOURCES_MAX {
                    missing.sources.push_back(link);
                }
            } else if self.gossip.missing.len() < MISSING_MAX {
                let (sources, at) = (VecDeque::from([link]), self.now.after(GRAFT_US));
                self.gossip.missing.insert(*id, Missing { sources, at });
            }
        }
    }

    pub(super) fn on_graft(&mut self, link: LinkId, rumour: Option<RumourId>) {
        if let Some(eager) = self.gossip.view.get_mut(&link) {
            *eager = true;
        }
        let known = rumour.and_then(|id| self.gossip.known.get(&id)).filter(|known| !known.bytes.is_empty());
        if let Some((hops, bytes)) = known.map(|known| (known.hops, known.bytes.clone())) {
            self.send(link, &Message::Rumour { hops, bytes });
        }
    }

    pub(super) fn on_prune(&mut self, link: LinkId) {
        if let Some(eager) = self.gossip.view.get_mut(&link) {
            *eager = false;
        }
    }

    pub(super) fn on_gossip_time(&mut self) {
        if self.gossip.flush_at.is_some_and(|at| at <= self.now) {
            self.gossip.flush_at = None;
            for (link, rumours) in core::mem::take(&mut self.gossip.told) {
                self.send(link, &Message::Heard { rumours });
            }
        }
        let now = self.now;
        let due: Vec<RumourId> =
            self.gossip.missing.iter().filter(|(_, one)| one.at <= now).map(|(id, _)| *id).collect();
        for id in due {
            let Some(missing) = self.gossip.missing.get_mut(&id) else { continue };
            missing.at = now.after(GRAFT_AGAIN_US);
            let Some(link) = missing.sources.pop_front() else {
                self.gossip.missing.remove(&id);
                continue;
            };
            if let Some(eager) = self.gossip.view.get_mut(&link) {
                *eager = true;
                self.send(link, &Message::Graft { rumour: Some(id) });
            }
        }
    }
}
