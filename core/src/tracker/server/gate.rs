//! Who is let in: tokens judged by the wall clock, each for a bounded number of uses.

use super::token::{Keys, TokenFault, TokenId};
use crate::id::{ContentId, PeerId};
use crate::time::Instant;
use crate::wire::bus::NodeId;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Tokens whose uses are counted at the same time. At about 50 bytes each, 3 MB.
const COUNTED_MAX: usize = 1 << 16;
/// Of them, those that other nodes may take up.
const ELSEWHERE_MAX: usize = COUNTED_MAX / 4 * 3;

/// Which tokens are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// Made by whom. None: nobody needs a token.
    pub keys: Keys,
    /// How far ahead a token may expire: a stolen one is of use for so long (reliability §6.1).
    pub lifetime_s: u32,
    /// How far the clocks of site and signaller may be apart.
    pub skew_s: u32,
    /// How long a peer that is gone may come back with its token, although that has expired meanwhile.
    pub resume_s: u32,
    /// How often one token lets somebody in. More than one: pages reconnect, and have several tabs.
    pub uses_max: u32,
    /// Different peers that the bearers of one token are told of in an hour (reliability G25).
    pub peers_per_hour_max: u32,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            keys: Keys::default(),
            lifetime_s: 600,
            skew_s: 60,
            resume_s: 3600,
            uses_max: 32,
            peers_per_hour_max: 60,
        }
    }
}

/// The wall clock and the memory of tokens.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Seconds since 1970 at an instant of ours.
    clock: Option<(Instant, u64)>,
    /// At most `COUNTED_MAX`: until when to remember, and how often used.
    spent: BTreeMap<TokenId, (u64, u32)>,
    /// At most `COUNTED_MAX`: with which token a peer was let in, and until when it may come back with it.
    known: BTreeMap<PeerId, Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    token: TokenId,
    until: u64,
    /// Where the peer is, if that is another node of this cluster.
    node: Option<NodeId>,
}

impl Gate {
    /// Takes the wall clock, and forgets what has expired by it.
    pub(super) fn tell(&mut self, now: Instant, unix_s: u64) {
        self.clock = Some((now, unix_s));
        self.spent.retain(|_, (until, _)| *until >= unix_s);
        self.known.retain(|_, known| known.until >= unix_s);
    }

    /// A peer is here, so its time to come back does not run.
    pub(super) fn entered(&mut self, peer: &PeerId) {
        if let Some(known) = self.known.get_mut(peer) {
            (known.until, known.node) = (u64::MAX, None);
        }
    }

    /// With what a peer that is here was let in.
    pub(super) fn token_of(&self, peer: &PeerId) -> Option<TokenId> {
        self.known.get(peer).filter(|known| known.node.is_none()).map(|known| known.token)
    }

    /// A peer is at another node, which has judged its token.
    pub(super) fn entered_at(&mut self, node: NodeId, peer: PeerId, token: TokenId) {
        if self.known.len() < ELSEWHERE_MAX || self.known.contains_key(&peer) {
            self.known.insert(peer, Known { token, until: u64::MAX, node: Some(node) });
        }
    }

    /// A peer is gone from another node, or, without a peer, the node is.
    pub(super) fn left_at(&mut self, rules: &TokenRules, node: NodeId, peer: Option<&PeerId>) {
        let until = self.comes_back_until(rules);
        let of_node = |known: &&mut Known| known.node == Some(node);
        let end = |known: &mut Known| (known.until, known.node) = (until, None);
        match peer {
            Some(peer) => drop(self.known.get_mut(peer).filter(of_node).map(end)),
            None => self.known.values_mut().filter(of_node).for_each(end),
        }
    }

    /// A peer is gone: its time to come back begins, by the last word of the clock.
    pub(super) fn left(&mut self, rules: &TokenRules, peer: &PeerId) {
        let until = self.comes_back_until(rules);
        if let Some(known) = self.known.get_mut(peer) {
            known.until = until;
        }
    }

    fn comes_back_until(&self, rules: &TokenRules) -> u64 {
        let now_s = self.clock.map_or(0, |(_, unix_s)| unix_s);
        now_s.saturating_add(rules.resume_s.into())
    }

    fn now_s(&self, now: Instant) -> Option<u64> {
        self.clock.map(|(at, unix_s)| unix_s.saturating_add(now.since(at).as_secs()))
    }

    /// Lets the bearer in, for everything (empty) or for some contents, and tells which token it was.
    pub(super) fn admit(
        &mut self,
        rules: &TokenRules,
        now: Instant,
        token: &str,
        (address, origin, peer): (Option<IpAddr>, Option<&str>, Option<PeerId>),
    ) -> Result<(Vec<ContentId>, Option<TokenId>), TokenFault> {
        // Who has no address runs in this very process.
        if rules.keys.is_empty() || address.is_none() {
            return Ok((Vec::new(), None));
        }
        let (claims, id) = rules.keys.read(token)?;
        let now_s = self.now_s(now).ok_or(TokenFault::Clock)?;
        let checked = claims.check(now_s, (rules.lifetime_s, rules.skew_s), address, origin);
        let is_back =
            |peer| self.known.get(&peer).is_some_and(|known| known.token == id && known.until >= now_s);
        if checked == Err(TokenFault::Expired) && peer.is_some_and(is_back) {
            return Ok((claims.contents, Some(id)));
        }
        checked?;
        if !self.spent.contains_key(&id) && self.spent.len() >= COUNTED_MAX {
            self.spent.retain(|_, (until, _)| *until >= now_s);
            if self.spent.len() >= COUNTED_MAX {
                return Err(TokenFault::Spent);
            }
        }
        let until = claims.expires_s.saturating_add(rules.skew_s.into());
        let (_, uses) = self.spent.entry(id).or_insert((until, 0));
        if *uses >= rules.uses_max {
            return Err(TokenFault::Spent);
        }
        *uses += 1;
        if let Some(peer) = peer
            && self.known.len() < COUNTED_MAX
        {
            self.known.insert(peer, Known { token: id, until: u64::MAX, node: None });
        }
        Ok((claims.contents, Some(id)))
    }
}
