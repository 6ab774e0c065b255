//! What the swarm looks like from outside.

use super::Swarm;
use super::share::Share;
use crate::id::{ContentId, LinkId, PeerId};
use crate::outbox::Outbox;
use crate::snapshot::{FileView, LinkView, ShareState, ShareView, Totals};
use crate::time::Instant;
use crate::util::order;
use alloc::vec::Vec;
use core::time::Duration;

impl Swarm {
    pub(crate) const fn totals(&self) -> Totals {
        self.totals
    }

    pub(crate) fn link_view(
        &self,
        link: LinkId,
        peer: PeerId,
        rtt: Option<Duration>,
        now: Instant,
        out: &Outbox,
    ) -> Option<LinkView> {
        let state = self.peers.get(&link)?;
        Some(LinkView {
            peer,
            received: state.received,
            sent: state.sent,
            down_rate: state.down.per_second(now),
            up_rate: out.up_rate(now, link),
            rtt_us: rtt.map_or(0, |rtt| u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX)),
            requested: state.asked_leaves(),
        })
    }

    pub(crate) fn share_views(&self, now: Instant) -> Vec<ShareView> {
        let shares: Vec<_> = self.shares.iter().collect();
        let order = order(shares.len(), &|a, b| shares[a].1.order < shares[b].1.order);
        order.into_iter().map(|at| self.share_view(*shares[at].0, shares[at].1, now)).collect()
    }

    fn share_view(&self, content: ContentId, share: &Share, now: Instant) -> ShareView {
        let files: Vec<FileView> = share
            .torrent
            .iter()
            .flat_map(|torrent| torrent.info.files.iter())
            .zip(0u32..)
            .map(|(entry, index)| FileView {
                path: entry.path.clone(),
                length: entry.length,
                root: entry.root,
                done: entry
                    .root
                    .and_then(|root| self.files.get(&root))
                    .map_or(0, |file| file.ledger.done_bytes()),
                wanted: share.wants(index),
            })
            .collect();
        let wanted = files.iter().filter(|file| file.wanted);
        let peers = self.peers.values().filter(|peer| peer.topics.contains(&share.topic)).count();
        let sources = share.origins.iter().filter(|origin| !origin.dropped).count();
        let moved = &share.moved;
        ShareView {
            content,
            name: share.name.clone(),
            state: self.state_of(share),
            wanted: wanted.clone().map(|file| file.length).sum(),
            done: wanted.map(|file| file.done).sum(),
            from_peers: moved.from_peers,
            from_http: moved.from_http,
            from_store: moved.from_store,
            sent: moved.sent,
            wasted: moved.wasted,
            down_rate: moved.down.per_second(now),
            up_rate: moved.up.per_second(now),
            peers: u32::try_from(peers).unwrap_or(u32::MAX),
            swarm_seeds: share.seeds,
            swarm_leeches: share.leeches,
            sources: u32::try_from(sources).unwrap_or(u32::MAX),
            unavailable: if sources > 0 { 0 } else { self.unavailable(share) },
            files,
        }
    }

    fn state_of(&self, share: &Share) -> ShareState {
        if share.failed.is_some() {
            return ShareState::Failed;
        }
        if share.paused {
            return ShareState::Paused;
        }
        if share.torrent.is_none() {
            return ShareState::Finding;
        }
        let mut files = share.wanted_roots().filter_map(|(_, root)| self.files.get(&root));
        if files.any(|file| file.recalling > 0 || file.ledger.is_checking()) {
            ShareState::Checking
        } else if share.done_told {
            ShareState::Seeding
        } else {
            ShareState::Fetching
        }
    }

    /// Missing pieces that no link has.
    fn unavailable(&self, share: &Share) -> u32 {
        let files = share.wanted_roots().filter_map(|(_, root)| self.files.get(&root));
        let missing = files.map(|file| {
            file.ledger.have().iter_missing().filter(|piece| file.rarity.of(*piece) == 0).count()
        });
        u32::try_from(missing.sum::<usize>()).unwrap_or(u32::MAX)
    }
}
