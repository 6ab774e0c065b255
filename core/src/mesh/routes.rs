//! By which neighbour parcels go on: ways that other parcels showed.

use crate::id::{LinkId, PeerId};
use crate::time::{Instant, SECOND};
use alloc::vec::Vec;

/// How many there are at most, and how long each is believed.
const ROUTES_MAX: usize = 512;
pub(super) const ROUTE_LIFE: u64 = 60 * SECOND;

pub(super) struct Routes(Vec<Route>);

struct Route {
    to: PeerId,
    by: LinkId,
    until: Instant,
}

impl Routes {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Notes by which neighbour parcels for a peer go on, for a while.
    pub(super) fn learn(&mut self, to: PeerId, by: LinkId, now: Instant) {
        self.0.retain(|route| route.until > now);
        let known = self.0.iter().position(|route| route.to == to);
        // Who came first is believed until it is old: nobody takes over the way to another.
        if known.is_some_and(|at| self.0[at].by != by) || known.is_none() && self.0.len() >= ROUTES_MAX {
            return;
        }
        if let Some(at) = known {
            self.0.remove(at);
        }
        self.0.push(Route { to, by, until: now.after(ROUTE_LIFE) });
    }

    pub(super) fn find(&self, to: &PeerId, now: Instant) -> Option<LinkId> {
        self.0.iter().find(|route| route.to == *to && route.until > now).map(|route| route.by)
    }

    /// A neighbour is gone.
    pub(super) fn forget(&mut self, by: LinkId) {
        self.0.retain(|route| route.by != by);
    }

    /// A neighbour knows no way to a peer.
    pub(super) fn forget_way(&mut self, to: &PeerId, by: LinkId) {
        self.0.retain(|route| route.to != *to || route.by != by);
    }

    #[cfg(any(feature = "lab", test))]
    pub(super) const fn is_bounded(&self) -> bool {
        self.0.len() <= ROUTES_MAX
    }
}
