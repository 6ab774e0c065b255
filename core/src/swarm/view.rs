//! What the swarm looks like from outside.

use super::Swarm;
use super::share::Share;
use crate::id::{ContentId, LinkId, PeerId};
use crate::outbox::Cx;
use crate::snapshot::{FileView, LinkView, ShareState, ShareView, Totals};
use crate::time::Instant;
use crate::util::order;
use alloc::vec::Vec;

impl Swarm {
    pub(crate) const fn totals(&self) -> Totals {
        self.totals
    }

    pub(crate) fn link_view(&self, link: LinkId, peer: PeerId, cx: &Cx) -> Option<LinkView> {
        let state = self.peers.get(&link)?;
        Some(LinkView {
            peer,
            received: state.received,
            sent: state.sent,
            down_rate: state.down.per_second(cx.now),
            up_rate: cx.out.up_rate(cx.now, link),
            rtt_us: state.rtt as u32,
            requested: state.asked_leaves(),
        })
    }

    /// All shares, in the order they were added.
    pub(crate) fn share_views(&self, now: Instant) -> Vec<ShareView> {
        let mut shares = Vec::with_capacity(self.shares.len());
        for (content, share) in &self.shares {
            shares.push((content, share));
        }
        let mut views = Vec::with_capacity(shares.len());
        for at in order(shares.len(), &|a, b| shares[a].1.order < shares[b].1.order) {
            let (content, share) = shares[at];
            views.push(self.share_view(content, share, now));
        }
        views
    }

    fn share_view(&self, content: &ContentId, share: &Share, now: Instant) -> ShareView {
        let moved = &share.moved;
        let mut view = ShareView {
            content: *content,
            name: share.name.clone(),
            state: self.state_of(share),
            wanted: 0,
            done: 0,
            from_peers: moved.from_peers,
            from_http: moved.from_http,
            from_store: moved.from_store,
            sent: moved.sent,
            wasted: moved.wasted,
            down_rate: moved.down.per_second(now),
            up_rate: moved.up.per_second(now),
            peers: self.peers_in(&share.topic),
            swarm_seeds: share.seeds,
            swarm_leeches: share.leeches,
            sources: share.sources(),
            unavailable: 0,
            files: Vec::with_capacity(share.files().len()),
        };
        for (index, entry) in share.files().iter().enumerate() {
            let file = entry.root.and_then(|root| self.files.get(&root));
            let done = file.map_or(0, |file| file.ledger.done_bytes());
            let wanted = share.wants(index as u32);
            if wanted {
                view.wanted += entry.length;
                view.done += done;
                if view.sources == 0
                    && let Some(file) = file
                {
                    view.unavailable += file.unavailable();
                }
            }
            let (path, length, root) = (entry.path.clone(), entry.length, entry.root);
            view.files.push(FileView { path, length, root, done, wanted });
        }
        view
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
        for index in 0..share.files().len() {
            if let Some(root) = share.wanted(index)
                && let Some(file) = self.files.get(&root)
                && (file.recalling > 0 || file.ledger.is_checking())
            {
                return ShareState::Checking;
            }
        }
        if share.done_told { ShareState::Seeding } else { ShareState::Fetching }
    }
}
