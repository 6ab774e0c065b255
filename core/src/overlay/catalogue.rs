//! What others have listed for everybody: signed, each until its hour, found by the words of its title. A leaf.
//!
//! Bound: [`LISTINGS_MAX`] listings of some 300 bytes, [`PER_PEER_MAX`] of one publisher. When there are more than fit,
//! each peer keeps those that stand nearest to its own place, so that peers keep different ones.

use crate::id::{ContentId, Hash, PeerId};
use crate::util::Map;
use crate::wire::overlay::{Listing, Point, WORDS_BYTES_MAX};
use alloc::string::String;
use alloc::vec::Vec;

/// Listings in all: 300 KB.
pub const LISTINGS_MAX: usize = 1024;
/// Listings of one publisher.
pub const PER_PEER_MAX: usize = 16;
/// The longest that a listing says it holds, in seconds: it is renewed while its publisher is there.
pub const HOLDS_S: u64 = 3600;
/// How much further ahead a clock may be.
const AHEAD_S: u64 = 300;
/// Words of a question that count.
const WORDS_MAX: usize = 8;

/// What somebody looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// Letters and digits in a row are words; everything else stands between them.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        Self(words.take(WORDS_MAX).map(str::to_lowercase).collect())
    }

    /// Whether there is none: that fits nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each of them begins a word of the title.
    #[must_use]
    pub fn fit(&self, title: &str) -> bool {
        let title = title.to_lowercase();
        let begins = |word: &String| {
            title.split(|c: char| !c.is_alphanumeric()).any(|part| part.starts_with(word.as_str()))
        };
        !self.0.is_empty() && self.0.iter().all(begins)
    }
}

impl Words {
    /// As questions carry them.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = self.0.join(" ");
        while text.len() > WORDS_BYTES_MAX {
            text.pop();
        }
        text.into_bytes()
    }
}

/// What we know of.
#[derive(Debug)]
pub struct Catalogue {
    me: Point,
    most: usize,
    listings: Map<(ContentId, PeerId), Listing>,
}

impl Catalogue {
    /// The catalogue of who stands at `me`, with room for so many.
    #[must_use]
    pub const fn new(me: Point, most: usize) -> Self {
        Self { me, most, listings: Map::new() }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.listings.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.listings.is_empty()
    }

    /// Whether a listing says something that we do not know, and says it for now: worth a look at its signature.
    #[must_use]
    pub fn is_news(&self, listing: &Listing, unix_s: u64) -> bool {
        let holds = (unix_s + 1..=unix_s + HOLDS_S + AHEAD_S).contains(&u64::from(listing.until));
        let known = self.listings.get(&(listing.content, listing.by));
        holds && known.is_none_or(|known| known.sequence < listing.sequence)
    }

    /// Keeps a listing whose signature holds; one that withdraws itself makes room, and is remembered until its hour.
    pub fn put(&mut self, listing: Listing) {
        let id = (listing.content, listing.by);
        let is_new = !self.listings.contains_key(&id);
        let of_peer = self.listings.keys().filter(|(_, by)| *by == listing.by).count();
        if is_new && of_peer >= PER_PEER_MAX {
            return;
        }
        self.listings.insert(id, listing);
        if self.listings.len() > self.most {
            let far = |(content, _): &(ContentId, PeerId)| {
                let place = Hash::of(content.bytes());
                place.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)) ^ (self.me.0 >> 64) as u64
            };
            let farthest = self.listings.keys().max_by_key(|id| far(id)).copied();
            if let Some(farthest) = farthest {
                self.listings.remove(&farthest);
            }
        }
    }

    /// Listings that fit, `count` at most, from the one at `turn` on.
    #[must_use]
    pub fn matches(&self, words: &Words, count: usize, turn: usize) -> Vec<Listing> {
        let all: Vec<&Listing> = self
            .listings
            .values()
            .filter(|listing| !listing.is_withdrawal() && words.fit(&listing.title))
            .collect();
        let skip = if all.len() > count { turn % all.len() } else { 0 };
        all.iter().cycle().skip(skip).take(count.min(all.len())).map(|listing| (*listing).clone()).collect()
    }

    /// Forgets what is over.
    pub fn sweep(&mut self, unix_s: u64) {
        self.listings.retain(|_, listing| u64::from(listing.until) > unix_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Signature;
    use crate::wire::overlay::Kind;
    use proptest::prelude::*;
    use std::format;

    const NOW: u64 = 1_800_000_000;

    fn listing(content: u8, by: u8, sequence: u32, title: &str) -> Listing {
        Listing {
            content: ContentId([content; 32]),
            by: PeerId([by; 32]),
            sequence,
            until: (NOW + 100) as u32,
            size: 1,
            kind: Kind::Other,
            title: title.into(),
            signature: Signature([0; 32], [0; 32]),
        }
    }

    #[test]
    fn words_begin_words_of_the_title_whatever_their_case() {
        let fits = |words: &str, title: &str| Words::of(words).fit(title);
        assert!(fits("big buck", "Big Buck Bunny (2008).mp4"));
        assert!(fits("BUN 2008", "Big Buck Bunny (2008).mp4"));
        assert!(fits("straße", "Die STRAßE.ogg"));
        assert!(!fits("uck", "Big Buck Bunny"));
        assert!(!fits("buck bear", "Big Buck Bunny"));
        assert!(!fits("", "anything") && !fits(" .-", "anything"));
    }

    #[test]
    fn the_later_word_counts_and_a_withdrawal_is_not_shown() {
        let mut catalogue = Catalogue::new(Point(0), 10);
        catalogue.put(listing(1, 1, 5, "a song"));
        assert!(!catalogue.is_news(&listing(1, 1, 5, "a song"), NOW));
        assert!(!catalogue.is_news(&listing(1, 1, 4, "an older song"), NOW));
        assert!(catalogue.is_news(&listing(1, 1, 6, ""), NOW));
        let song = Words::of("song");
        assert_eq!(catalogue.matches(&song, 8, 0).len(), 1);
        catalogue.put(listing(1, 1, 6, ""));
        assert!(catalogue.matches(&song, 8, 0).is_empty());
        assert!(!catalogue.is_news(&listing(1, 1, 5, "a song"), NOW), "it does not come back");
        catalogue.sweep(NOW + 100);
        assert!(catalogue.is_empty());
    }

    #[test]
    fn what_holds_for_too_long_or_no_more_is_no_news() {
        let catalogue = Catalogue::new(Point(0), 10);
        let until = |until: u64| Listing { until: until as u32, ..listing(1, 1, 1, "a") };
        assert!(catalogue.is_news(&until(NOW + HOLDS_S), NOW));
        assert!(!catalogue.is_news(&until(NOW), NOW));
        assert!(!catalogue.is_news(&until(NOW + 2 * HOLDS_S), NOW));
    }

    proptest! {
        #[test]
        fn bounds_hold(steps in prop::collection::vec((any::<u8>(), 0u8..9, 0u32..4), 0..300), me: u128) {
            let mut catalogue = Catalogue::new(Point(me), 40);
            for (content, by, sequence) in steps {
                catalogue.put(listing(content, by, sequence, &format!("number {content}")));
                prop_assert!(catalogue.len() <= 40);
            }
            for by in 0..9 {
                let of = catalogue.listings.keys().filter(|(_, peer)| *peer == PeerId([by; 32])).count();
                prop_assert!(of <= PER_PEER_MAX);
            }
            let some = catalogue.matches(&Words::of("number"), 8, 3);
            prop_assert_eq!(some.len(), catalogue.len().min(8));
        }
    }
}
