//! What can be set of the mesh; every default with its reason.

use crate::wire::overlay::Role;

/// The mesh's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Leading zeros that the price of a place has: 20, about two million hashes, a second in a browser.
    pub puzzle_bits: u8,
    /// Nearest routers that are kept as neighbours: 4 (theory §3.3).
    pub siblings: u8,
    /// Buckets, from the farthest on, with two links each, whoever chose them; nearer ones have one: 6. Two in every bucket
    /// are 33 links at ten thousand peers, more than the goal of 30; one and two in turn are 26, and among liars a search
    /// ends where a far bucket has no honest link.
    pub double_buckets: u8,
    /// Links of a bucket that others may choose: 3. Theory §3.3 says 2 with one link of our own; here there are two.
    pub inbound_max: u8,
    /// Links in all: 45 (theory C2).
    pub links_max: u16,
    /// Links that are kept even if nobody needs them: 29, so that most of what churn takes is there already.
    pub links_kept: u16,
    /// Links of leaves among them.
    pub leaves_max: u16,
    /// Links that a leaf keeps: 4 (theory §3.3).
    pub leaf_links: u8,
    /// Neighbours that a question goes to at once: 2 (theory §3.3).
    pub first_hops: u8,
    /// Lanes of the safe path that share no peer: 2, measured against half of all being liars. With three each gets less
    /// far on 45 questions (0.955 found for 0.976, 20 replicas), with four (theory §3.3) less still; one alone finds as
    /// much, and takes twice as long.
    pub lanes: u8,
    /// Routers that a record is kept by, and that are looked at near a key: 30. Theory §3.3 says 20 (region store), of
    /// which half may be liars: 0.976 found. With 30 it is 0.983, with 40 0.978, since a publication has 135 questions.
    pub replicas: u8,
    /// Questions of a search, those of the fast path included: 45 (theory C3).
    pub budget: u8,
    /// Listings that are kept.
    pub listings_max: u16,
    /// Seconds after which a leaf becomes a router: 300 (theory §3.3).
    pub router_after_s: u32,
    /// Seconds after which a leaf that finds fewer routers than it keeps links to becomes one itself: a young mesh has
    /// nobody else. A guess: some looks of two seconds.
    pub needed_after_s: u32,
    /// The same for one that finds none at all: its neighbours would have named theirs within a second, and until there
    /// is one nothing is found.
    pub alone_after_s: u32,
    /// What this peer always is; `None`: a leaf first, a router later. Phones and hidden tabs are leaves, native peers
    /// anchors.
    pub role: Option<Role>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            puzzle_bits: 20,
            siblings: 4,
            double_buckets: 6,
            inbound_max: 3,
            links_max: 45,
            links_kept: 29,
            leaves_max: 12,
            leaf_links: 4,
            first_hops: 2,
            lanes: 2,
            replicas: 30,
            budget: 45,
            listings_max: super::catalogue::LISTINGS_MAX as u16,
            router_after_s: 300,
            needed_after_s: 6,
            alone_after_s: 2,
            role: None,
        }
    }
}

impl Settings {
    /// Links that there should be into a bucket.
    #[must_use]
    pub const fn per_bucket(&self, bucket: u32) -> usize {
        if bucket < self.double_buckets as u32 { 2 } else { 1 }
    }

    /// What a peer of this age is.
    #[must_use]
    pub fn role_at(&self, age_s: u32) -> Role {
        let grown = if age_s >= self.router_after_s { Role::Router } else { Role::Leaf };
        self.role.unwrap_or(grown)
    }
}
