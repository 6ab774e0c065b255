//! What others want and have, and what they are told of ours.

use super::Swarm;
use super::peer::WANTS_MAX;
use crate::action::Event;
use crate::content::Bitfield;
use crate::fault::Fault;
use crate::id::{LinkId, Root, Topic};
use crate::outbox::{CALMLY, Cx};
use crate::time::SECOND;
use crate::util::{Set, order};
use crate::wire::{Message, Pieces, peer as limits};
use alloc::vec::Vec;

/// That a rare piece is here is told to so few at once.
const FEW: usize = 3;
/// News go on to so many: who passes on to four reaches all but 2 % of a crowd (1 - s = e^-4s), and there are other ways.
const NEWS_TO: usize = 4;
/// News of a neighbour that come sooner after the last are not looked at.
const NEWS_EVERY: u64 = SECOND / 4;

impl Swarm {
    pub(super) fn on_want(&mut self, link: LinkId, roots: &[Root], cx: &mut Cx) -> Result<(), Fault> {
        for root in roots {
            let peer = self.peer(link)?;
            if peer.wants.len() >= WANTS_MAX {
                return Err(Fault::Flooding);
            }
            peer.wants.insert(*root);
            if self.is_served(root) {
                self.tell_have(link, root, cx);
            }
        }
        self.review_spreads(cx);
        // Who wants files knows what is in the share.
        self.peer(link)?.no_info = Set::new();
        self.seek_infos(cx);
        Ok(())
    }

    pub(super) fn on_unwant(&mut self, link: LinkId, roots: &[Root]) -> Result<(), Fault> {
        let peer = self.peer(link)?;
        for root in roots {
            peer.wants.remove(root);
        }
        Ok(())
    }

    pub(super) fn on_have(
        &mut self,
        link: LinkId,
        root: &Root,
        pieces: &Pieces,
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let peer = self.peers.get_mut(&link).ok_or(Fault::Unexpected)?;
        let Some(file) = self.files.get_mut(root) else { return Ok(()) };
        let count = file.layout.pieces();
        let pieces = match pieces {
            Pieces::All => Bitfield::full(count),
            Pieces::Bitmap(bytes) => Bitfield::from_bytes(bytes, count).ok_or(Fault::Malformed)?,
        };
        file.gain_all(&pieces);
        if let Some(before) = peer.has.insert(*root, pieces) {
            file.lose_all(&before);
        }
        peer.idle = false;
        peer.no_hashes.remove(root);
        if file.spread.is_some()
            && let Some(has) = peer.has.get(root)
        {
            let seen: Vec<u32> = has.iter().collect();
            self.on_seen(link, root, &seen, cx);
        }
        self.seek_hashes(cx);
        Ok(())
    }

    pub(super) fn on_gained(
        &mut self,
        link: LinkId,
        root: &Root,
        gained: &[u32],
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let peer = self.peers.get_mut(&link).ok_or(Fault::Unexpected)?;
        let Some(file) = self.files.get_mut(root) else { return Ok(()) };
        let count = file.layout.pieces();
        if !peer.has.contains_key(root) {
            peer.has.insert(*root, Bitfield::new(count));
        }
        let Some(has) = peer.has.get_mut(root) else { return Ok(()) };
        for piece in gained {
            if *piece >= count {
                return Err(Fault::Malformed);
            }
            if has.set(*piece) {
                file.ledger.ranks.gain(*piece);
            }
        }
        peer.idle = false;
        // Who has a piece has the hashes that prove it.
        if self.lacking.contains(root) {
            self.seek_hashes(cx);
        }
        self.on_seen(link, root, gained, cx);
        Ok(())
    }

    /// Tells a peer what we have of a file, which says too that we know the hashes of its pieces.
    pub(super) fn tell_have(&mut self, link: LinkId, root: &Root, cx: &mut Cx) {
        if self.files.get(root).is_none_or(|file| file.tree.missing_layer().is_some()) {
            return;
        }
        let shown = self.show(link, root);
        let Some(file) = self.files.get(root) else { return };
        let have = file.ledger.have();
        let pieces = match shown {
            Some(shown) => shown,
            None if have.is_full() => Pieces::All,
            None => Pieces::Bitmap(have.to_bytes()),
        };
        cx.out.control(link, &Message::Have { root: *root, pieces });
        self.show_more(link, root, cx);
    }

    /// Tells a rare piece to those first who wait for nothing else from us, so that not everybody asks for the same.
    pub(super) fn tell_few(&self, root: &Root, piece: u32, cx: &mut Cx) {
        let mut able = Vec::new();
        for (link, peer) in &self.peers {
            if peer.wants.contains(root) && !peer.has.get(root).is_some_and(|has| has.get(piece)) {
                able.push((peer.queued_leaves, cx.rng.below(1 << 16), *link));
            }
        }
        for at in order(able.len(), &|a, b| able[a] < able[b]).into_iter().take(FEW) {
            cx.out.control_within(
                CALMLY,
                able[at].2,
                &Message::Gained { root: *root, pieces: alloc::vec![piece] },
            );
        }
    }

    /// Tells everybody who wants to know which pieces we have got.
    pub(super) fn tell_gains(&mut self, cx: &mut Cx) {
        self.tell_at = None;
        for (root, pieces) in core::mem::take(&mut self.untold) {
            for (link, peer) in &self.peers {
                if !peer.wants.contains(&root) {
                    continue;
                }
                let has = peer.has.get(&root);
                let mut news = pieces.clone();
                // A source that wants to hear of a file and takes nothing looks where its pieces go.
                if peer.sent > 0 || peer.received == 0 {
                    news.retain(|piece| !has.is_some_and(|has| has.get(*piece)));
                }
                for part in news.chunks(limits::GAINED_MAX) {
                    cx.out.control_within(CALMLY, *link, &Message::Gained { root, pieces: part.to_vec() });
                }
            }
        }
    }

    /// Passes news on to a few neighbours in a swarm, of those that know what news are.
    pub(crate) fn tell_news(
        &self,
        topic: &Topic,
        news: &[u8],
        understands: &dyn Fn(LinkId) -> bool,
        cx: &mut Cx,
    ) {
        let mut members = self.members(topic, cx.now);
        members.retain(|(link, _)| understands(*link));
        for _ in 0..NEWS_TO.min(members.len()) {
            let (link, _) = members.swap_remove(cx.rng.below(members.len() as u64) as usize);
            cx.out.control_with(link, &Message::News { topic: *topic }, news);
        }
    }

    pub(super) fn on_news(
        &mut self,
        link: LinkId,
        topic: &Topic,
        news: &[u8],
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let wanted = self.is_in(topic);
        let peer = self.peer(link)?;
        if !wanted || peer.news_at > cx.now {
            return self.stray(link, news.len());
        }
        peer.news_at = cx.now.after(NEWS_EVERY);
        cx.out.notify(Event::News { topic: *topic, news: news.to_vec() });
        Ok(())
    }

    /// Brings up to date what a peer knows of our wants.
    pub(super) fn tell_wants(&mut self, link: LinkId, cx: &mut Cx) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let mut wanted = Set::new();
        for root in &self.wanted {
            let Some(file) = self.files.get(root) else { continue };
            for content in &file.shares {
                if let Some(share) = self.shares.get(content)
                    && share.is_active()
                    && peer.topics.contains(&share.topic)
                {
                    wanted.insert(*root);
                }
            }
        }
        for root in &peer.wants {
            // Where pieces have gone decides what is shown next.
            if self.files.get(root).is_some_and(|file| file.spread.is_some()) {
                wanted.insert(*root);
            }
        }
        for roots in missing_from(&peer.told, &wanted).chunks(limits::ROOTS_MAX) {
            cx.out.control(link, &Message::Want { roots: roots.to_vec() });
        }
        for roots in missing_from(&wanted, &peer.told).chunks(limits::ROOTS_MAX) {
            cx.out.control(link, &Message::Unwant { roots: roots.to_vec() });
        }
        peer.told = wanted;
    }

    pub(super) fn tell_wants_to_all(&mut self, cx: &mut Cx) {
        for link in self.links() {
            self.tell_wants(link, cx);
        }
    }
}

/// What is in `other` and not in `set`.
fn missing_from(set: &Set<Root>, other: &Set<Root>) -> Vec<Root> {
    let mut missing = Vec::new();
    for root in other {
        if !set.contains(root) {
            missing.push(*root);
        }
    }
    missing
}
