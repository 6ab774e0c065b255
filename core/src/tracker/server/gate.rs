//! Who is let in: tokens judged by the wall clock, each for a bounded number of uses.

use super::token::{Keys, TokenFault, TokenId};
use crate::id::ContentId;
use crate::time::Instant;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Tokens whose uses are counted at the same time. At about 50 bytes each, 3 MB.
const COUNTED_MAX: usize = 1 << 16;

/// Which tokens are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// Made by whom. None: nobody needs a token.
    pub keys: Keys,
    /// How far ahead a token may expire: a stolen one is of use for so long (reliability §6.1).
    pub lifetime_s: u32,
    /// How far the clocks of site and signaller may be apart.
    pub skew_s: u32,
    /// How often one token lets somebody in. More than one: pages reconnect, and have several tabs.
    pub uses_max: u32,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self { keys: Keys::default(), lifetime_s: 600, skew_s: 60, uses_max: 32 }
    }
}

/// The wall clock and the memory of tokens.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Seconds since 1970 at an instant of ours.
    clock: Option<(Instant, u64)>,
    /// At most `COUNTED_MAX`: until when to remember, and how often used.
    spent: BTreeMap<TokenId, (u64, u32)>,
}

impl Gate {
    /// Takes the wall clock, and forgets what has expired by it.
    pub(super) fn tell(&mut self, now: Instant, unix_s: u64) {
        self.clock = Some((now, unix_s));
        self.spent.retain(|_, (until, _)| *until >= unix_s);
    }

    /// Lets the bearer in, for everything (empty) or for some contents.
    pub(super) fn admit(
        &mut self,
        rules: &TokenRules,
        now: Instant,
        token: &str,
        address: Option<IpAddr>,
        origin: Option<&str>,
    ) -> Result<Vec<ContentId>, TokenFault> {
        // Who has no address runs in this very process.
        if rules.keys.is_empty() || address.is_none() {
            return Ok(Vec::new());
        }
        let (claims, id) = rules.keys.read(token)?;
        let (at, unix_s) = self.clock.ok_or(TokenFault::Clock)?;
        let now_s = unix_s.saturating_add(now.since(at).as_secs());
        claims.check(now_s, (rules.lifetime_s, rules.skew_s), address, origin)?;
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
        Ok(claims.contents)
    }
}
