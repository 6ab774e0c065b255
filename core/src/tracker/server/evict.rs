//! What happens when everything is full: the network that holds the most has to give way to who has less. Otherwise
//! whoever came first with many connections would keep all others out for good (reliability §6.1).

use super::candidates::Network;
use super::{CloseReason, ConnId, Server, Stage, limited_network};
use crate::time::Instant;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// A search looks at every connection, so there is one a second at most. Who comes in between is refused.
const SEARCH_EVERY: Duration = Duration::from_secs(1);
/// Who holds less than this is not the one that fills a server.
const HEAVY_MIN: u32 = 8;

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scarce {
    /// Places for connections.
    Connections,
    /// Memberships, or swarms for them.
    Memberships,
}

/// What one network holds.
#[derive(Default)]
struct Holding {
    weight: u32,
    conns: Vec<(u32, ConnId)>,
}

impl Server {
    /// Closes half of what the heaviest network holds, if that is more than twice of what the asker's would. Whether
    /// there may be room now.
    pub(super) fn make_room(&mut self, now: Instant, asker: Option<IpAddr>, scarce: Scarce) -> bool {
        if self.searched_at.is_some_and(|at| now.since(at) < SEARCH_EVERY) {
            return false;
        }
        self.searched_at = Some(now);
        let mut holdings = self.holdings(scarce);
        let own = limited_network(asker).and_then(|network| holdings.remove(&network));
        let own = own.map_or(0, |holding| holding.weight).saturating_add(1);
        let heaviest = holdings.into_values().max_by_key(|holding| holding.weight);
        let Some(mut holding) = heaviest.filter(|h| h.weight >= HEAVY_MIN && h.weight / 2 > own) else {
            return false;
        };
        // The heaviest first, of equals the newest.
        holding.conns.sort_unstable();
        let mut left = holding.weight / 2;
        for (weight, conn) in holding.conns.into_iter().rev() {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(weight);
            self.counts.evictions += 1;
            self.close(conn, CloseReason::Full);
        }
        true
    }

    /// Of each network that is counted. Loopback stands for everybody behind a proxy, and is not.
    fn holdings(&self, scarce: Scarce) -> BTreeMap<Network, Holding> {
        let mut holdings: BTreeMap<Network, Holding> = BTreeMap::new();
        for (id, conn) in self.conns.iter() {
            let Some(network) = limited_network(conn.address) else { continue };
            let weight = match scarce {
                Scarce::Connections => 1,
                Scarce::Memberships => conn.stage.memberships(),
            };
            let holding = holdings.entry(network).or_default();
            holding.weight = holding.weight.saturating_add(weight);
            holding.conns.push((weight, id));
        }
        holdings
    }
}

impl Stage {
    fn memberships(&self) -> u32 {
        let count = match self {
            Self::Challenged { .. } => 0,
            Self::Member(member) => member.topics(),
            Self::WebTorrent(client) => client.swarms(),
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}
