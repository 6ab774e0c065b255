//! The mesh beyond the tracker: who is linked with whom, who has what, and what everybody should hear.
//!
//! One machine with the same three methods as [`crate::Node`], beside it and not in it: its host carries messages over
//! links that exist, makes a link when told to, signs and verifies. Everything else is decided here.
//!
//! Invariant: a search makes no link. Messages go over links that exist, greedily (`route`) or along named steps
//! ([`lookup`]); a link is made to keep the mesh (`tend`) or because somebody was found.
//!
//! Reading order: [`point`], [`table`], [`lookup`], [`store`], then the parts of the machine: `route`, `tend`, `find`,
//! `publish`, [`gossip`].

pub mod anchors;
pub mod catalogue;
pub mod companion;
mod find;
pub mod gossip;
mod input;
pub mod lookup;
pub mod point;
mod publish;
pub mod quota;
mod route;
pub mod search;
mod settings;
pub mod store;
#[cfg(test)]
mod stories;
pub mod table;
mod tend;

pub use input::{Action, Command, Event, Input, Snapshot};
pub use settings::Settings;

use crate::id::{LinkId, PeerId, Topic};
use crate::rng::Rng;
use crate::time::{Instant, SECOND, earliest};
use crate::util::Map;
use crate::wire::Signature;
use crate::wire::overlay::{Contact, Listing, Overlay as Message, Point, Provider, Role};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use find::Find;
use lookup::Way;
use publish::Own;
use store::Store;
use table::Table;

/// Signatures under way.
const JOBS_MAX: usize = 512;

/// A link that has not greeted yet.
#[derive(Clone, Copy, Debug)]
struct Stranger {
    peer: PeerId,
    outbound: bool,
    since: Instant,
}

/// Why a signature is waited for.
#[derive(Clone, Debug)]
enum Job {
    /// A record for others to keep.
    Own { topic: Topic, provider: Provider },
    /// Somebody wants it kept, and by which link that came.
    Keep { provider: Provider, from: LinkId },
    /// Somebody found it.
    Found { query: u32, provider: Provider, hops: u8, fast: bool },
    /// A listing for everybody.
    List { listing: Listing },
    /// Somebody's listing: the answer to a question, with the links that it crossed; or a rumour, with whom it came by.
    Listing { listing: Listing, question: Option<(u32, u8)>, rumour: Option<(LinkId, u8)> },
}

/// A peer's part of the mesh.
pub struct Overlay {
    me: Contact,
    point: Point,
    role: Role,
    /// There were not enough routers: this is one before its time.
    is_needed: bool,
    settings: Settings,
    now: Instant,
    born: Instant,
    /// Unix time at the origin of `now`, in seconds.
    unix_s: u64,
    rng: Rng,
    strangers: Map<LinkId, Stranger>,
    table: Table,
    store: Store,
    own: Map<Topic, Own>,
    finds: Map<u32, Find>,
    tending: tend::Tending,
    gossip: gossip::Gossip,
    catalogue: catalogue::Catalogue,
    searching: search::Searching,
    jobs: Map<u32, Job>,
    next_job: u32,
    next_query: u32,
    out: VecDeque<Action>,
    sent_bytes: u64,
    sent_messages: u64,
}

impl Overlay {
    /// A peer with no links. `seed` must be no other's. `unix_s`: Unix time at `now`, by which hours are told apart.
    ///
    /// Returns `None` when the contact's puzzle is not solved.
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32], me: Contact, now: Instant, unix_s: u64) -> Option<Self> {
        let point = Point::of(&me, settings.puzzle_bits)?;
        Some(Self {
            me,
            point,
            role: settings.role_at(0),
            is_needed: false,
            now,
            born: now,
            unix_s: unix_s.saturating_sub(now.micros() / SECOND),
            rng: Rng::new(seed),
            strangers: Map::new(),
            table: Table::new(point),
            store: Store::default(),
            own: Map::new(),
            finds: Map::new(),
            tending: tend::Tending::new(now),
            gossip: gossip::Gossip::default(),
            catalogue: catalogue::Catalogue::new(point, usize::from(settings.listings_max)),
            searching: search::Searching::default(),
            jobs: Map::new(),
            next_job: 0,
            next_query: 0,
            out: VecDeque::new(),
            settings,
            sent_bytes: 0,
            sent_messages: 0,
        })
    }

    /// Takes in one thing that happened. Time never runs backwards: an earlier `now` counts as the last one.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = self.now.max(now);
        match input {
            Input::Linked { link, peer, outbound } => self.on_linked(link, peer, outbound),
            Input::Unlinked { link } => self.on_unlinked(link),
            Input::Received { link, bytes } => self.on_received(link, bytes),
            Input::Undialled { peer } => self.tending.undialled(peer, self.now),
            Input::Seal { way, bytes } => self.on_seal(way, bytes),
            Input::Signed { job, signature } => self.on_signed(job, signature),
            Input::Verified { job, good } => self.on_verified(job, good),
            Input::Command(command) => self.on_command(command),
            Input::Timeout => {}
        }
        self.on_time();
    }

    /// The next order to the host.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let mut next = earliest(Some(self.tending.next_at()), self.gossip.next_at());
        next = earliest(next, self.searching.next_at());
        for find in self.finds.values() {
            next = earliest(next, Some(find.deadline()));
        }
        for own in self.own.values() {
            next = earliest(next, Some(own.next_at));
        }
        next
    }

    /// Who this is.
    #[must_use]
    pub const fn contact(&self) -> Contact {
        self.me
    }

    /// Where this stands.
    #[must_use]
    pub const fn point(&self) -> Point {
        self.point
    }

    /// What this looks like from outside.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            role: self.role,
            links: self.table.len(),
            routers: self.table.routers().count(),
            records: self.store.len(),
            listings: self.catalogue.len(),
            estimate: self.table.estimate(usize::from(self.settings.siblings)),
            sent_bytes: self.sent_bytes,
            sent_messages: self.sent_messages,
            rumours_came: self.gossip.came,
            rumours_new: self.gossip.news,
        }
    }

    /// Whether we keep providers of a key.
    #[must_use]
    pub fn keeps(&self, key: Point) -> bool {
        self.store.of(key).next().is_some()
    }

    /// Unix time in seconds.
    fn unix_now(&self) -> u64 {
        self.unix_s.saturating_add(self.now.micros() / SECOND)
    }

    /// How long we have been here, in seconds.
    fn age_s(&self) -> u32 {
        u32::try_from(self.now.passed(self.born) / SECOND).unwrap_or(u32::MAX)
    }

    fn on_time(&mut self) {
        self.tend();
        self.on_find_time();
        self.on_publish_time();
        self.on_gossip_time();
        self.on_search_time();
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Find { query, topic } => self.on_find(query, &topic),
            Command::Publish { topic } => self.on_publish(topic),
            Command::Withdraw { topic } => {
                self.own.remove(&topic);
            }
            Command::Reach { contact } => self.on_reach(contact),
            Command::List { content, size, kind, title } => self.on_list(content, size, kind, &title),
            Command::Unlist { content } => self.on_unlist(content),
            Command::Search { query, text } => self.on_search(query, &text),
        }
    }

    fn on_received(&mut self, link: LinkId, bytes: &[u8]) {
        let Ok(message) = Message::decode(bytes) else { return self.cut(link) };
        if let Message::Greet { nonce, role, age_s, wanted } = message {
            return self.on_greet(link, nonce, role, age_s, wanted);
        }
        // Who has not greeted is nobody yet; who says too much is not listened to.
        let now = self.now;
        if !self.table.get_mut(link).is_some_and(|neighbour| neighbour.said.take(now, bytes.len())) {
            return;
        }
        match message {
            Message::Greet { .. } => {}
            Message::Seek { query, key, ttl, back } => self.on_seek(link, query, key, ttl, back),
            Message::Routed { route, back, body } => self.on_routed(link, route, back, body, bytes.len()),
            Message::Hint { label } => self.on_hint(link, label),
            Message::Join { urgent } => self.on_join(link, urgent),
            Message::Part => self.gossip.remove(link),
            Message::Rumour { hops, bytes } => self.on_rumour(link, hops, &bytes),
            Message::Heard { rumours } => self.on_heard(link, &rumours),
            Message::Graft { rumour } => self.on_graft(link, rumour),
            Message::Prune => self.on_prune(link),
            Message::Search { query, ttl, back, words } => {
                self.on_search_passing(link, query, ttl, back, words);
            }
        }
    }

    /// A peer broke the rules.
    fn cut(&mut self, link: LinkId) {
        self.out.push_back(Action::Unlink { link });
        self.on_unlinked(link);
    }

    fn send(&mut self, link: LinkId, message: &Message) {
        let bytes = message.encode();
        self.sent_bytes += bytes.len() as u64;
        self.sent_messages += 1;
        self.out.push_back(Action::Send { link, bytes });
    }

    fn query(&mut self) -> u32 {
        self.next_query = self.next_query.wrapping_add(1);
        // Questions of the application have the upper bit clear.
        self.next_query | 1 << 31
    }

    /// Starts a signature; `false`: too many are under way.
    fn job(&mut self, job: Job, make: impl FnOnce(u32) -> Action) -> bool {
        if self.jobs.len() >= JOBS_MAX {
            return false;
        }
        let id = self.next_job;
        self.next_job = self.next_job.wrapping_add(1);
        self.jobs.insert(id, job);
        self.out.push_back(make(id));
        true
    }

    fn verify(&mut self, provider: Provider, job: Job) -> bool {
        let (peer, signature) = (provider.contact.peer, provider.signature);
        self.job(job, |job| Action::Verify { job, peer, text: publish::text(&provider), signature })
    }

    fn on_signed(&mut self, job: u32, signature: Signature) {
        match self.jobs.remove(&job) {
            Some(Job::Own { topic, provider }) => self.on_own(&topic, Provider { signature, ..provider }),
            Some(Job::List { listing }) => self.on_listing_signed(Listing { signature, ..listing }),
            _ => {}
        }
    }

    fn on_verified(&mut self, job: u32, good: bool) {
        match self.jobs.remove(&job) {
            Some(Job::Keep { provider, from }) if good => self.keep(provider, from),
            Some(Job::Found { query, provider, hops, fast }) => {
                if good {
                    self.on_found(query, provider, hops, fast);
                }
                self.on_looked_at(query);
            }
            Some(Job::Listing { listing, question, rumour }) => {
                self.gossip.judged(&listing);
                match rumour {
                    // Who passes it on has looked at it, if it is honest.
                    Some((from, _)) if !good => self.cut(from),
                    _ if good => self.on_listing(listing, question, rumour),
                    _ => {}
                }
            }
            Some(Job::Keep { .. } | Job::Own { .. } | Job::List { .. }) | None => {}
        }
    }

    fn on_seal(&mut self, way: &Way, bytes: Vec<u8>) {
        self.routed(way, crate::wire::overlay::Body::Sealed { bytes });
    }
}

impl core::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Overlay").field("me", &self.me.peer).finish_non_exhaustive()
    }
}
