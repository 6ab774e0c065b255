//! Keeping the mesh: the nearest routers as siblings, one link into each bucket, nothing that nobody needs; and coming
//! together again when two meshes meet.

use super::lookup::Way;
use super::quota::Quota;
use super::route::TTL;
use super::table::Neighbour;
use super::{Action, Event, Overlay, Stranger};
use crate::id::{LinkId, PeerId};
use crate::time::{Instant, SECOND};
use crate::util::Map;
use crate::wire::overlay::{Body, Contact, Lead, Overlay as Message, Point, Role};
use alloc::vec::Vec;

/// Between two looks while all is well, and while something is missing; half of it is left to chance.
const CALM_US: u64 = 20 * SECOND;
const LACK_US: u64 = 2 * SECOND;
/// How often siblings are asked for nearer ones.
const NEAR_US: u64 = 60 * SECOND;
/// How long a question for neighbours is waited for.
const ASK_US: u64 = 3 * SECOND;
/// How long a link in the making counts.
const DIAL_US: u64 = 20 * SECOND;
/// Links in the making, and questions under way for them.
const DIALS_MAX: usize = 4;
/// How long a link that nobody wants is kept, in case that somebody does.
const IDLE_US: u64 = 10 * SECOND;
/// A bucket in which nobody was found is left alone for so long.
const EMPTY_US: u64 = 120 * SECOND;
/// Who is older than this is settled: that it comes near is no birth.
const SETTLED_S: u32 = 60;
/// Hints are followed once in this time, and given once in that.
const FOLLOW_US: u64 = 5 * SECOND;
const HINT_US: u64 = SECOND;

/// What a question for neighbours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Somebody in this bucket.
    Bucket(u32),
    /// Somebody nearer than my siblings.
    Near,
    /// Any router near me: I am a leaf.
    Any,
    /// A way to somebody; whether those have been asked who stand near it.
    Reach(Contact, bool),
}

/// What is under way.
#[derive(Debug)]
pub(super) struct Tending {
    next: Instant,
    near_at: Instant,
    swept_at: Instant,
    follow_at: Instant,
    hint_at: Instant,
    asks: Map<u32, (Purpose, Instant)>,
    /// Links in the making, until when they count, and for which bucket.
    dials: Map<PeerId, (Instant, Option<u32>)>,
    /// Buckets that are left alone, and until when.
    empty: Map<u32, Instant>,
    alone: bool,
}

impl Tending {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            next: now,
            near_at: now,
            swept_at: now,
            follow_at: now,
            hint_at: now,
            asks: Map::new(),
            dials: Map::new(),
            empty: Map::new(),
            alone: true,
        }
    }

    pub(super) const fn next_at(&self) -> Instant {
        self.next
    }

    pub(super) fn takes(&self, query: u32) -> bool {
        self.asks.contains_key(&query)
    }

    /// Questions under way for the mesh's own sake.
    fn looking(&self) -> usize {
        self.asks.values().filter(|(purpose, _)| !matches!(purpose, Purpose::Reach(..))).count()
    }

    fn soon(&mut self, at: Instant) {
        self.next = self.next.min(at);
    }

    pub(super) fn undialled(&mut self, peer: PeerId, now: Instant) {
        // Nobody there has room, or nobody is there: more of the same would be as vain.
        if let Some((_, Some(bucket))) = self.dials.remove(&peer) {
            self.empty.insert(bucket, now.after(EMPTY_US / 2));
        }
        self.soon(now.after(LACK_US));
    }
}

impl Overlay {
    pub(super) fn on_linked(&mut self, link: LinkId, peer: PeerId, outbound: bool) {
        self.tending.dials.remove(&peer);
        self.strangers.insert(link, Stranger { peer, outbound, since: self.now });
        self.greet(link, outbound);
    }

    pub(super) fn on_unlinked(&mut self, link: LinkId) {
        self.strangers.remove(&link);
        self.gossip.remove(link);
        if self.table.remove(link).is_some() {
            let later = self.rng.below(SECOND);
            self.tending.soon(self.now.after(later));
        }
    }

    fn greet(&mut self, link: LinkId, wanted: bool) {
        let (nonce, role, age_s) = (self.me.nonce, self.role, self.age_s());
        self.send(link, &Message::Greet { nonce, role, age_s, wanted });
    }

    pub(super) fn on_greet(&mut self, link: LinkId, nonce: u32, role: Role, age_s: u32, wanted: bool) {
        if let Some(known) = self.table.get_mut(link) {
            let grew = known.role == Role::Leaf && role != Role::Leaf;
            (known.role, known.wanted_there) = (role, wanted);
            let later = if wanted { CALM_US } else { IDLE_US };
            self.tending.soon(self.now.after(later));
            if grew {
                self.on_router(link, age_s);
            }
            return;
        }
        let Some(Stranger { peer, outbound, .. }) = self.strangers.remove(&link) else { return };
        let contact = Contact { peer, nonce };
        let Some(point) = Point::of(&contact, self.settings.puzzle_bits) else { return self.cut(link) };
        let is_full = self.table.len() >= usize::from(self.settings.links_max);
        let is_welcome = !is_full && (outbound || self.has_room(point, role == Role::Leaf));
        if point == self.point || self.table.has(point) || !is_welcome {
            return self.cut(link);
        }
        let (since, wanted_there) = (self.now, wanted);
        let neighbour = Neighbour {
            contact,
            point,
            role,
            outbound,
            wanted: outbound,
            wanted_there,
            since,
            idle_since: None,
            quota: Quota::default(),
            said: Quota::said(),
        };
        self.table.insert(link, neighbour);
        self.tending.soon(self.now.after(SECOND / 10));
        if role != Role::Leaf {
            self.on_router(link, age_s);
        }
    }

    /// Whether somebody may link to us who stands at `point`: a question that a host asks before it answers an offer.
    #[must_use]
    pub fn has_room(&self, point: Point, is_leaf: bool) -> bool {
        let of_leaves = self.table.len() - self.table.routers().count();
        // Whoever has not greeted for long has no overlay.
        let is_new = |stranger: &&Stranger| self.now.passed(stranger.since) < DIAL_US;
        let coming = self.tending.dials.len() + self.strangers.values().filter(is_new).count();
        if self.table.len() + coming >= usize::from(self.settings.links_max) {
            return false;
        }
        if is_leaf {
            return of_leaves < usize::from(self.settings.leaves_max);
        }
        let near = self.table.nearest(self.point, 2 * usize::from(self.settings.siblings));
        let is_sibling = near.len() < 2 * usize::from(self.settings.siblings)
            || near
                .last()
                .and_then(|link| self.table.get(*link))
                .is_some_and(|last| point.to(self.point) < last.point.to(self.point));
        let (_, theirs) = self.table.in_bucket(self.point.bucket(point));
        is_sibling || theirs < usize::from(self.settings.inbound_max)
    }

    /// A router has come near, or a neighbour has become one.
    fn on_router(&mut self, link: LinkId, age_s: u32) {
        if self.role == Role::Leaf {
            return;
        }
        self.hand_over(link);
        let siblings = self.table.nearest(self.point, usize::from(self.settings.siblings));
        if !siblings.contains(&link) {
            // Perhaps it comes from a mesh that ours does not know.
            return self.seek(link, Purpose::Near, self.point);
        }
        self.ask_near(link);
        let is_news = age_s >= SETTLED_S
            && self.age_s() >= SETTLED_S
            && siblings.iter().take(2).any(|one| *one == link);
        if is_news
            && siblings.len() == usize::from(self.settings.siblings)
            && self.now >= self.tending.hint_at
        {
            self.tending.hint_at = self.now.after(HINT_US);
            let others: Vec<LinkId> =
                self.table.routers().map(|(other, _)| other).filter(|other| *other != link).collect();
            for other in others {
                self.send(other, &Message::Hint { label: link.0 });
            }
        }
    }

    /// A neighbour met somebody whom its mesh did not know: perhaps there is a mesh behind in which I have siblings.
    pub(super) fn on_hint(&mut self, link: LinkId, label: u32) {
        if self.role == Role::Leaf || self.now < self.tending.follow_at {
            return;
        }
        self.tending.follow_at = self.now.after(FOLLOW_US);
        let (query, key) = (self.question(Purpose::Near), self.point);
        self.routed(&Way { link, rest: alloc::vec![label] }, Body::Seek { query, key });
    }

    fn question(&mut self, purpose: Purpose) -> u32 {
        let query = self.query();
        self.tending.asks.insert(query, (purpose, self.now.after(ASK_US)));
        query
    }

    fn ask_near(&mut self, link: LinkId) {
        let (query, key) = (self.question(Purpose::Near), self.point);
        self.routed(&Way { link, rest: Vec::new() }, Body::Ask { query, key });
    }

    fn seek(&mut self, link: LinkId, purpose: Purpose, key: Point) {
        let query = self.question(purpose);
        self.send(link, &Message::Seek { query, key, ttl: TTL, back: Vec::new() });
    }

    /// Somebody answered who its neighbours are.
    pub(super) fn on_near(&mut self, way: &Way, query: u32, from: (Contact, Point), leads: &[(Lead, Point)]) {
        let Some((purpose, _)) = self.tending.asks.get(&query).copied() else { return };
        if let Purpose::Reach(contact, is_second) = purpose {
            return self.on_nearer(way, query, (contact, is_second), leads);
        }
        if purpose != Purpose::Near {
            self.tending.asks.remove(&query);
        }
        let mut found: Vec<(Contact, Point, Way)> = alloc::vec![(from.0, from.1, way.clone())];
        for (lead, point) in leads {
            found.push((lead.contact, *point, way.then(lead.label)));
        }
        found.retain(|(contact, point, _)| {
            *point != self.point && !self.table.has(*point) && !self.tending.dials.contains_key(&contact.peer)
        });
        match purpose {
            Purpose::Bucket(bucket) => {
                found.retain(|(_, point, _)| self.point.bucket(*point) == bucket);
                if found.is_empty() {
                    self.tending.empty.insert(bucket, self.now.after(EMPTY_US));
                }
                self.dial_one(&found, Some(bucket));
            }
            Purpose::Any => self.dial_some(found),
            Purpose::Near => self.dial_near(found),
            Purpose::Reach(..) => {}
        }
    }

    /// The application wants a way to somebody: a leaf is known to the routers near it, which are a step away from
    /// whoever answers for its place.
    pub(super) fn on_reach(&mut self, contact: Contact) {
        let Some(point) = Point::of(&contact, self.settings.puzzle_bits) else { return };
        let known = self.table.iter().find(|(_, neighbour)| neighbour.point == point);
        if let Some(link) = known.map(|(link, _)| link) {
            let way = Way { link, rest: Vec::new() };
            return self.out.push_back(Action::Notify(Event::Reached { contact, way }));
        }
        let query = self.question(Purpose::Reach(contact, false));
        for link in self.table.nearest(point, usize::from(self.settings.first_hops)) {
            self.send(link, &Message::Seek { query, key: point, ttl: TTL, back: Vec::new() });
        }
    }

    /// Somebody answered who is nearest to whom we want to reach.
    fn on_nearer(
        &mut self,
        way: &Way,
        query: u32,
        (contact, second): (Contact, bool),
        leads: &[(Lead, Point)],
    ) {
        if let Some((lead, _)) = leads.iter().find(|(lead, _)| lead.contact == contact) {
            self.tending.asks.remove(&query);
            let way = way.then(lead.label);
            return self.out.push_back(Action::Notify(Event::Reached { contact, way }));
        }
        if second {
            return;
        }
        let Some(key) = Point::of(&contact, self.settings.puzzle_bits) else { return };
        self.tending.asks.insert(query, (Purpose::Reach(contact, true), self.now.after(ASK_US)));
        for (lead, _) in leads {
            self.routed(&way.then(lead.label), Body::Ask { query, key });
        }
    }

    fn dial_one(&mut self, found: &[(Contact, Point, Way)], bucket: Option<u32>) {
        if let Some((contact, _, way)) = self.rng.pick(found).cloned() {
            self.dial(contact, way, bucket);
        }
    }

    /// A leaf chooses as many as it lacks.
    fn dial_some(&mut self, mut found: Vec<(Contact, Point, Way)>) {
        let has = self.table.routers().count() + self.tending.dials.len();
        self.rng.shuffle(&mut found);
        found.truncate(usize::from(self.settings.leaf_links).saturating_sub(has));
        for (contact, _, way) in found {
            self.dial(contact, way, None);
        }
    }

    fn dial_near(&mut self, mut found: Vec<(Contact, Point, Way)>) {
        let siblings = usize::from(self.settings.siblings);
        let near = self.table.nearest(self.point, siblings);
        let last = near.last().filter(|_| near.len() >= siblings).and_then(|link| self.table.get(*link));
        let reach = last.map_or(u128::MAX, |last| last.point.to(self.point));
        found.retain(|(_, point, _)| point.to(self.point) < reach);
        let order =
            crate::util::order(found.len(), &|a, b| found[a].1.to(self.point) < found[b].1.to(self.point));
        for at in order.into_iter().take(siblings) {
            self.dial(found[at].0, found[at].2.clone(), None);
        }
    }

    fn dial(&mut self, contact: Contact, way: Way, bucket: Option<u32>) {
        let room = usize::from(self.settings.links_max).saturating_sub(self.table.len());
        if self.tending.dials.len() < (2 * DIALS_MAX).min(room) {
            self.tending.dials.insert(contact.peer, (self.now.after(DIAL_US), bucket));
            self.out.push_back(Action::Dial { contact, way });
        }
    }

    pub(super) fn tend(&mut self) {
        if self.now < self.tending.next {
            return;
        }
        let now = self.now;
        self.tending.asks.retain(|_, (_, until)| *until > now);
        self.tending.dials.retain(|_, (until, _)| *until > now);
        self.tending.empty.retain(|_, until| *until > now);
        if now.passed(self.tending.swept_at) > NEAR_US {
            self.tending.swept_at = now;
            let unix_s = self.unix_now();
            self.store.sweep(now, unix_s);
            self.catalogue.sweep(unix_s);
        }
        self.is_needed |= self.is_short();
        let role = if self.is_needed { Role::Router } else { self.settings.role_at(self.age_s()) };
        if role != self.role {
            self.role = role;
            for (link, wanted) in self.links_wanted() {
                self.greet(link, wanted);
            }
        }
        self.want();
        self.tend_view();
        let lacks = if self.role == Role::Leaf { self.fill_leaf() } else { self.fill() };
        let idle = self.release();
        let pause = if lacks { LACK_US } else { CALM_US };
        let pause = if idle { pause.min(IDLE_US) } else { pause };
        self.tending.next = now.after(pause / 2 + self.rng.below(pause / 2));
        if self.table.is_empty() && self.strangers.is_empty() {
            if !self.tending.alone {
                self.out.push_back(Action::Notify(Event::Alone));
            }
            self.tending.alone = true;
        } else {
            self.tending.alone = false;
        }
    }

    /// Whether a leaf has looked for routers long enough.
    fn is_short(&self) -> bool {
        let routers = self.table.routers().count();
        let patience = if routers == 0 { self.settings.alone_after_s } else { self.settings.needed_after_s };
        self.role == Role::Leaf
            && self.settings.role.is_none()
            && !self.table.is_empty()
            && self.age_s() >= patience
            && routers < usize::from(self.settings.leaf_links)
    }

    fn links_wanted(&self) -> Vec<(LinkId, bool)> {
        self.table.iter().map(|(link, neighbour)| (link, neighbour.wanted)).collect()
    }

    /// Decides which links we want, and tells whom it concerns.
    fn want(&mut self) {
        let wanted = if self.role == Role::Leaf { self.wanted_by_leaf() } else { self.wanted_by_router() };
        for (link, was) in self.links_wanted() {
            let is = wanted.contains(&link);
            if is != was {
                if let Some(neighbour) = self.table.get_mut(link) {
                    neighbour.wanted = is;
                }
                self.greet(link, is);
            }
        }
    }

    fn wanted_by_leaf(&self) -> Vec<LinkId> {
        let mut routers: Vec<(Instant, LinkId)> = Vec::new();
        for (link, neighbour) in self.table.routers() {
            routers.push((neighbour.since, link));
        }
        let order = crate::util::order(routers.len(), &|a, b| routers[a] < routers[b]);
        order.into_iter().take(usize::from(self.settings.leaf_links)).map(|at| routers[at].1).collect()
    }

    fn wanted_by_router(&self) -> Vec<LinkId> {
        let mut wanted = self.table.nearest(self.point, usize::from(self.settings.siblings));
        // Whom we chose before who chose us (half of the links are ours, theory §4), and who is there longest.
        let mut others: Vec<(u32, bool, Instant, LinkId)> = Vec::new();
        for (link, neighbour) in self.table.routers() {
            let bucket = self.point.bucket(neighbour.point);
            others.push((bucket, !neighbour.outbound, neighbour.since, link));
        }
        let order = crate::util::order(others.len(), &|a, b| others[a] < others[b]);
        let (mut last, mut count) = (u32::MAX, 0);
        for (bucket, _, _, link) in order.into_iter().map(|at| others[at]) {
            count = if bucket == last { count + 1 } else { 1 };
            last = bucket;
            if count <= self.settings.per_bucket(bucket) {
                wanted.push(link);
            }
        }
        wanted
    }

    /// Buckets in which somebody is to be expected.
    fn buckets(&self) -> u32 {
        let estimate = self.table.estimate(usize::from(self.settings.siblings));
        (64 - estimate.leading_zeros()).min(64)
    }

    /// Looks for what is missing. Whether anything is.
    fn fill(&mut self) -> bool {
        let siblings = usize::from(self.settings.siblings);
        let near = self.table.nearest(self.point, siblings);
        let lacks_siblings = near.len() < siblings;
        if self.now >= self.tending.near_at || lacks_siblings {
            self.tending.near_at = self.now.after(NEAR_US / 2 + self.rng.below(NEAR_US / 2));
            for link in near.into_iter().take(2) {
                self.ask_near(link);
            }
            if lacks_siblings {
                // A leaf may know routers that these do not: it passes nothing on, but says who they are.
                let links: Vec<LinkId> = self.table.iter().map(|(link, _)| link).collect();
                if let Some(link) = self.rng.pick(&links).copied() {
                    self.seek(link, Purpose::Near, self.point);
                }
            }
        }
        let mut lacks = lacks_siblings;
        for bucket in 0..self.buckets() {
            let (ours, theirs) = self.table.in_bucket(bucket);
            let is_asked = self.tending.asks.values().any(|(purpose, _)| *purpose == Purpose::Bucket(bucket));
            if ours + theirs >= self.settings.per_bucket(bucket)
                || is_asked
                || self.tending.empty.contains_key(&bucket)
            {
                continue;
            }
            lacks = true;
            if self.tending.looking() + self.tending.dials.len() >= DIALS_MAX {
                break;
            }
            let noise = u128::from(self.rng.below(u64::MAX)) << 64;
            let key = self.point.in_bucket(bucket, noise);
            if let Some(link) = self.table.nearer(key, u128::MAX, None) {
                self.seek(link, Purpose::Bucket(bucket), key);
            }
        }
        lacks
    }

    fn fill_leaf(&mut self) -> bool {
        let mut links: Vec<LinkId> = self.table.routers().map(|(link, _)| link).collect();
        let lacks = links.len() < usize::from(self.settings.leaf_links);
        if links.is_empty() {
            // Other leaves pass nothing on, but they say who their routers are.
            links.extend(self.table.iter().map(|(link, _)| link));
        }
        if lacks
            && self.tending.looking() + self.tending.dials.len() < DIALS_MAX
            && let Some(link) = self.rng.pick(&links).copied()
        {
            // Who looks for us comes to those who stand near us.
            self.seek(link, Purpose::Any, self.point);
        }
        lacks
    }

    /// Lets go of links that nobody has wanted for a while, as far as there are more than enough: a spare link saves
    /// making one. Whether any are about to be.
    fn release(&mut self) -> bool {
        let now = self.now;
        let mut spare = self.table.len().saturating_sub(usize::from(self.settings.links_kept));
        let mut gone: Vec<LinkId> = Vec::new();
        let mut idle = false;
        // Who has not found its routers keeps whom it has: one of them may become one, or know one, and in a young mesh
        // such a link may be the only one between two halves.
        let is_leaf = self.role == Role::Leaf;
        let few = if is_leaf { self.settings.leaf_links } else { self.settings.siblings };
        let is_short = self.table.routers().count() < usize::from(few);
        for (link, neighbour) in self.table.iter_mut() {
            if is_short || neighbour.wanted || neighbour.wanted_there {
                neighbour.idle_since = None;
                continue;
            }
            let since = *neighbour.idle_since.get_or_insert(now);
            let may_go = is_leaf || neighbour.role == Role::Leaf || spare > 0;
            idle |= may_go;
            if may_go && now.passed(since) >= IDLE_US {
                spare = spare.saturating_sub(1);
                gone.push(link);
            }
        }
        for link in gone {
            self.cut(link);
        }
        idle
    }
}
