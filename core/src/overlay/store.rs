//! Records that others gave us to keep, each until its hour. A leaf.
//!
//! Bound: [`RECORDS_MAX`] records of about 160 bytes, and [`PER_KEY_MAX`] of one key.

use crate::id::PeerId;
use crate::time::Instant;
use crate::util::Map;
use crate::wire::overlay::{PROVIDERS_MAX, Point, Provider};
use alloc::vec::Vec;

/// Records in all: 160 KB.
pub const RECORDS_MAX: usize = 1024;
/// Records of one key: four answers' worth, of which each answer names some by chance.
pub const PER_KEY_MAX: usize = 32;
/// The longest that a record is kept without being renewed, in microseconds (theory §3.3).
pub const KEPT_US: u64 = 30 * 60 * 1_000_000;

/// What we keep.
#[derive(Debug, Default)]
pub struct Store {
    records: Map<(Point, PeerId), (Provider, Instant)>,
}

impl Store {
    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Keeps a record that was verified. `false`: there is no room for it.
    pub fn put(&mut self, provider: Provider, now: Instant) -> bool {
        let id = (provider.key, provider.contact.peer);
        let is_new = !self.records.contains_key(&id);
        if is_new && (self.records.len() >= RECORDS_MAX || self.of(provider.key).count() >= PER_KEY_MAX) {
            return false;
        }
        self.records.insert(id, (provider, now.after(KEPT_US)));
        true
    }

    /// Whether the same promise is kept already.
    #[must_use]
    pub fn has(&self, provider: &Provider) -> bool {
        let known = self.records.get(&(provider.key, provider.contact.peer));
        known.is_some_and(|(known, _)| known.until >= provider.until)
    }

    /// All records of a key.
    pub fn of(&self, key: Point) -> impl Iterator<Item = &Provider> {
        let all = (key, PeerId([0; 32]))..=(key, PeerId([0xff; 32]));
        self.records.range(all).map(|(_, (provider, _))| provider)
    }

    /// As many records of a key as an answer takes, from the one at `turn` on.
    #[must_use]
    pub fn some(&self, key: Point, turn: usize) -> Vec<Provider> {
        let count = self.of(key).count();
        let skip = if count > PROVIDERS_MAX { turn % count } else { 0 };
        self.of(key).chain(self.of(key)).skip(skip).take(count.min(PROVIDERS_MAX)).copied().collect()
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.records.values().map(|(provider, _)| provider)
    }

    /// Forgets what is over.
    pub fn sweep(&mut self, now: Instant, unix_s: u64) {
        self.records.retain(|_, (provider, until)| *until > now && u64::from(provider.until) > unix_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Signature, overlay::Contact};
    use proptest::prelude::*;

    fn record(key: u128, peer: u8, until: u32) -> Provider {
        let contact = Contact { peer: PeerId([peer; 32]), nonce: 0 };
        Provider { key: Point(key), contact, until, signature: Signature([0; 32], [0; 32]) }
    }

    proptest! {
        #[test]
        fn bounds_hold_and_what_is_over_goes(steps in prop::collection::vec((0u128..3, any::<u8>(), 0u32..100), 0..400)) {
            let mut store = Store::default();
            for (key, peer, until) in steps {
                let kept = store.put(record(key, peer, until), Instant::ZERO);
                prop_assert_eq!(kept, store.has(&record(key, peer, until)));
                let some = store.some(Point(key), usize::from(peer));
                prop_assert_eq!(some.len(), store.of(Point(key)).count().min(PROVIDERS_MAX));
                prop_assert!(some.iter().all(|record| record.key == Point(key)));
            }
            prop_assert!((0..3).all(|key| store.of(Point(key)).count() <= PER_KEY_MAX));
            store.sweep(Instant::ZERO, 50);
            prop_assert!(store.iter().all(|record| record.until > 50));
            store.sweep(Instant::ZERO.after(KEPT_US), 0);
            prop_assert!(store.is_empty());
        }
    }
}
