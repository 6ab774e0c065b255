//! Listings for everybody, and questions for them: a question goes to some neighbours, and from each on to one chosen
//! by chance, until its steps are used up; whoever has listings that fit sends them back the way it came. What we list
//! ourselves is told to everybody (`gossip`), again and again while it holds.

use super::catalogue::{HOLDS_S, Words};
use super::lookup::Way;
use super::{Action, Event, Job, Overlay};
use crate::id::{ContentId, LinkId};
use crate::time::{Instant, SECOND, earliest};
use crate::util::Map;
use crate::wire::overlay::{
    Body, Kind, LISTINGS_IN_ANSWER, Listing, Overlay as Message, Point, Role, TITLE_BYTES_MAX,
};
use crate::wire::{Signature, pack};
use alloc::string::String;
use alloc::vec::Vec;

/// Walks of the first round: 48 peers are asked, which brings what one in twenty keeps in nine of ten cases.
pub const WALKS: usize = 8;
/// Steps after the first of each.
pub const STEPS: u8 = 5;
/// Walks of the second round, which comes where the first brought little: 192 peers (theory §3.2: 16 walkers).
pub const WALKS_MORE: usize = 16;
/// Steps after the first of each.
pub const STEPS_MORE: u8 = 11;
/// When the second round begins: six links there and back at 80 ms are 0.5 s. And when a question is over.
const ROUND_US: u64 = SECOND;
const OVER_US: u64 = 3 * SECOND;
/// Listings that are enough.
const ENOUGH: u8 = 8;
/// Signatures that one question may have looked at.
const VERIFIED_MAX: u8 = 64;
/// Questions and listings of ours at the same time.
const SEARCHES_MAX: usize = 8;
const OWN_MAX: usize = 16;
/// How often a listing of ours is told anew, a fifth more or less; and where nobody is who would hear it.
const AGAIN_US: u64 = 15 * 60 * SECOND;
const ALONE_US: u64 = SECOND;

/// A question under way.
#[derive(Debug)]
struct Search {
    words: Words,
    round_at: Option<Instant>,
    over_at: Instant,
    found: u8,
    verified: u8,
    messages: u32,
}

/// Something that we list.
#[derive(Debug)]
struct Own {
    size: u64,
    kind: Kind,
    title: String,
    next_at: Instant,
    /// Who asks us finds it, though we may have told nobody yet.
    is_kept: bool,
}

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Searching {
    searches: Map<u32, Search>,
    own: Map<ContentId, Own>,
    sequence: u32,
}

impl Searching {
    pub(super) fn next_at(&self) -> Option<Instant> {
        let mut next = None;
        for search in self.searches.values() {
            next = earliest(next, earliest(search.round_at, Some(search.over_at)));
        }
        for own in self.own.values() {
            next = earliest(next, Some(own.next_at));
        }
        next
    }
}

/// What a publisher signs.
pub(super) fn text(listing: &Listing) -> Vec<u8> {
    let unsigned = Listing { signature: Signature([0; 32], [0; 32]), ..listing.clone() };
    [b"swarmlet overlay listing".to_vec(), pack(&unsigned)].concat()
}

/// A title as others take it: one line, not too long.
fn tidy(title: &str) -> String {
    let mut tidy = String::new();
    for c in title.chars().filter(|c| !c.is_control()) {
        if tidy.len() + c.len_utf8() > TITLE_BYTES_MAX {
            break;
        }
        tidy.push(c);
    }
    tidy
}

impl Overlay {
    pub(super) fn on_list(&mut self, content: ContentId, size: u64, kind: Kind, title: &str) {
        if self.searching.own.len() < OWN_MAX || self.searching.own.contains_key(&content) {
            let own = Own { size, kind, title: tidy(title), next_at: self.now, is_kept: false };
            self.searching.own.insert(content, own);
        }
    }

    pub(super) fn on_unlist(&mut self, content: ContentId) {
        if self.searching.own.remove(&content).is_some() {
            self.sign_listing(content, 0, Kind::Other, String::new());
        }
    }

    fn sign_listing(&mut self, content: ContentId, size: u64, kind: Kind, title: String) {
        let unix_s = self.unix_now();
        // Later than all before, in this life and in earlier ones.
        self.searching.sequence =
            (self.searching.sequence + 1).max(u32::try_from(unix_s).unwrap_or(u32::MAX));
        let listing = Listing {
            content,
            by: self.me.peer,
            sequence: self.searching.sequence,
            until: u32::try_from(unix_s + HOLDS_S).unwrap_or(u32::MAX),
            size,
            kind,
            title,
            signature: Signature([0; 32], [0; 32]),
        };
        let text = text(&listing);
        self.job(Job::List { listing }, |job| Action::Sign { job, text });
    }

    /// A listing of ours is signed.
    pub(super) fn on_listing_signed(&mut self, listing: Listing) {
        let bytes = listing.encode();
        self.catalogue.put(listing);
        self.spread_rumour(None, 0, bytes);
    }

    pub(super) fn on_search(&mut self, query: u32, text: &str) {
        let words = Words::of(text);
        if words.is_empty() || self.searching.searches.len() >= SEARCHES_MAX {
            return self.out.push_back(Action::Notify(Event::Searched { query, found: 0, messages: 0 }));
        }
        let here = self.catalogue.matches(&words, usize::from(ENOUGH), 0);
        let search = Search {
            words,
            round_at: Some(self.now.after(ROUND_US)),
            over_at: self.now.after(OVER_US),
            found: here.len() as u8,
            verified: 0,
            messages: 0,
        };
        self.searching.searches.insert(query, search);
        for listing in here {
            self.out.push_back(Action::Notify(Event::Matched { query, listing, hops: 0 }));
        }
        self.walk(query, WALKS, STEPS);
    }

    /// Sends a question out.
    fn walk(&mut self, query: u32, walks: usize, steps: u8) {
        let mut links: Vec<LinkId> = self.table.routers().map(|(link, _)| link).collect();
        self.rng.shuffle(&mut links);
        links.truncate(walks);
        let Some(search) = self.searching.searches.get_mut(&query) else { return };
        let words = search.words.bytes();
        search.messages += links.len() as u32 * (u32::from(steps) + 1);
        for link in links {
            let words = words.clone();
            self.send(link, &Message::Search { query, ttl: steps, back: Vec::new(), words });
        }
    }

    /// Somebody's question comes by.
    pub(super) fn on_search_passing(
        &mut self,
        link: LinkId,
        query: u32,
        ttl: u8,
        mut back: Vec<u32>,
        words: Vec<u8>,
    ) {
        let Ok(text) = core::str::from_utf8(&words) else { return self.cut(link) };
        let turn = self.rng.below(1 << 16) as usize;
        let listings = self.catalogue.matches(&Words::of(text), LISTINGS_IN_ANSWER, turn);
        if !listings.is_empty() {
            let way = Way { link, rest: back.clone() };
            self.routed(&way, Body::Matches { query, listings });
        }
        if ttl == 0 || self.role == Role::Leaf {
            return;
        }
        // Most links lead nearby, and who stands together keeps the same: so towards a place chosen by chance, which is
        // far away every other time.
        let place = Point(u128::from(self.rng.below(u64::MAX)) << 64);
        if let Some(next) = self.table.nearer(place, u128::MAX, Some(link)) {
            back.push(link.0);
            self.pass_on(link, next, &Message::Search { query, ttl: ttl - 1, back, words });
        }
    }

    /// Somebody answers a question of ours.
    pub(super) fn on_matches(&mut self, query: u32, listings: Vec<Listing>, hops: u8) {
        let unix_s = self.unix_now();
        for listing in listings {
            let Some(search) = self.searching.searches.get_mut(&query) else { return };
            // What does not fit, or is known already, is not looked at.
            let fits = search.words.fit(&listing.title) && search.verified < VERIFIED_MAX;
            if !fits || listing.is_withdrawal() || !self.catalogue.is_news(&listing, unix_s) {
                continue;
            }
            search.verified += 1;
            self.verify_listing(listing, Some((query, hops)), None);
        }
    }

    /// Has a signature looked at, if the host has time for it, of an answer to a question or of a rumour.
    pub(super) fn verify_listing(
        &mut self,
        listing: Listing,
        question: Option<(u32, u8)>,
        rumour: Option<(LinkId, u8)>,
    ) -> bool {
        let (peer, signature, text) = (listing.by, listing.signature, text(&listing));
        self.job(Job::Listing { listing, question, rumour }, |job| Action::Verify {
            job,
            peer,
            text,
            signature,
        })
    }

    /// The signature of a listing holds.
    pub(super) fn on_listing(
        &mut self,
        listing: Listing,
        question: Option<(u32, u8)>,
        rumour: Option<(LinkId, u8)>,
    ) {
        if !self.catalogue.is_news(&listing, self.unix_now()) {
            return;
        }
        self.catalogue.put(listing.clone());
        if let Some((from, hops)) = rumour {
            self.spread_rumour(Some(from), hops, listing.encode());
            self.out.push_back(Action::Notify(Event::Listed { listing: listing.clone(), hops }));
        }
        if let Some((query, hops)) = question
            && let Some(search) = self.searching.searches.get_mut(&query)
        {
            search.found = search.found.saturating_add(1);
            self.out.push_back(Action::Notify(Event::Matched { query, listing, hops }));
        }
    }

    pub(super) fn on_search_time(&mut self) {
        let now = self.now;
        let due: Vec<u32> = self.searching.searches.keys().copied().collect();
        for query in due {
            let Some(search) = self.searching.searches.get_mut(&query) else { continue };
            if search.over_at <= now {
                let (found, messages) = (search.found, search.messages);
                self.searching.searches.remove(&query);
                self.out.push_back(Action::Notify(Event::Searched { query, found, messages }));
            } else if search.round_at.is_some_and(|at| at <= now) {
                search.round_at = None;
                if search.found < ENOUGH {
                    self.walk(query, WALKS_MORE, STEPS_MORE);
                }
            }
        }
        let due: Vec<ContentId> = self
            .searching
            .own
            .iter()
            .filter(|(_, own)| own.next_at <= now)
            .map(|(content, _)| *content)
            .collect();
        let is_alone = !self.gossip.has_view();
        for content in due {
            let pause = if is_alone { ALONE_US } else { AGAIN_US };
            let next_at = now.after(pause - pause / 5 + self.rng.below(pause * 2 / 5));
            let Some(own) = self.searching.own.get_mut(&content) else { continue };
            own.next_at = next_at;
            let (size, kind, title) = (own.size, own.kind, own.title.clone());
            if !core::mem::replace(&mut own.is_kept, true) || !is_alone {
                self.sign_listing(content, size, kind, title);
            }
        }
    }
}
