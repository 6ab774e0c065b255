//! How many different peers each bearer of a token has been told of. Without a bound one token would be enough to
//! write down, hour by hour, everybody who uses a site (reliability T17).

use super::token::TokenId;
use crate::time::Instant;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

/// Bearers that are counted at the same time. Who comes beyond is not: to be one takes a good token, and a site that
/// has so many visitors in an hour needs them served. At 60 peers each about 20 MB.
const BEARERS_MAX: usize = 1 << 16;
/// A bearer's count begins anew after this.
const SPAN: Duration = Duration::from_secs(3600);

/// The memory.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeMap<TokenId, Told>);

/// Peers that a bearer knows, by a short mark: two with the same one count as one, which is to the bearer's advantage.
#[derive(Debug)]
struct Told {
    since: Instant,
    /// In order; at most as many as are allowed.
    marks: Vec<u32>,
}

impl Named {
    /// Whether a bearer may be told of a peer. One that it was told of before costs nothing.
    pub(super) fn allows(&mut self, now: Instant, bearer: &TokenId, mark: u32, most: u32) -> bool {
        if !self.0.contains_key(bearer) && self.0.len() >= BEARERS_MAX {
            return true;
        }
        let told = self.0.entry(*bearer).or_insert_with(|| Told { since: now, marks: Vec::new() });
        if now.since(told.since) >= SPAN {
            *told = Told { since: now, marks: Vec::new() };
        }
        match told.marks.binary_search(&mark) {
            Ok(_) => true,
            Err(_) if told.marks.len() >= most as usize => false,
            Err(at) => {
                told.marks.insert(at, mark);
                true
            }
        }
    }

    /// Forgets what is over.
    pub(super) fn prune(&mut self, now: Instant) {
        self.0.retain(|_, told| now.since(told.since) < SPAN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_an_hour_and_those_again_for_nothing() {
        let (mut named, start) = (Named::default(), Instant::from_micros(5));
        let (ours, other) = ([1; 16], [2; 16]);
        let told = |named: &mut Named, now, bearer: &TokenId, marks: core::ops::Range<u32>| {
            marks.filter(|mark| named.allows(now, bearer, mark.wrapping_mul(77_777), 60)).count()
        };
        assert_eq!(told(&mut named, start, &ours, 0..100), 60);
        assert_eq!(told(&mut named, start + SPAN / 2, &ours, 0..60), 60, "those again");
        assert_eq!(told(&mut named, start + SPAN / 2, &ours, 60..100), 0);
        assert_eq!(told(&mut named, start, &other, 60..100), 40, "everybody has a count of their own");
        assert_eq!(told(&mut named, start + SPAN, &ours, 60..100), 40, "an hour later");
        named.prune(start + SPAN);
        assert_eq!(named.0.len(), 1);
    }
}
