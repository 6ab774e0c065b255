//! Links: one task for each owns its connection and its two channels. Here is the owner's side: orders out,
//! and the count of what each channel still holds.

use super::Settings;
use super::host::{Ended, News};
use super::metrics::Counters;
use super::pipe::{self, Opening, Order};
use super::stack::Stack;
use core::sync::atomic::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use swarmlet_core::wire::{Candidate, Description, sdp};
use swarmlet_core::{Channel, JobId, LinkId};
use tokio::sync::mpsc;

/// Bytes that have left a channel since it opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room(pub(super) u64);

/// Every link that the node has not let go of.
pub(super) struct Links {
    links: HashMap<LinkId, Link>,
    stack: Stack,
    news: mpsc::Sender<News>,
    counters: Arc<Counters>,
}

struct Link {
    /// Unbounded, and bounded by the node: it sends only what it has room for.
    orders: mpsc::UnboundedSender<Order>,
    handed: [u64; 2],
    opened: bool,
}

/// Which of the two a channel is: its index here, its id in the protocol.
pub(super) const fn slot(channel: Channel) -> usize {
    match channel {
        Channel::Control => 0,
        Channel::Bulk => 1,
    }
}

impl Links {
    pub(super) fn new(
        settings: &Settings,
        news: mpsc::Sender<News>,
        counters: Arc<Counters>,
    ) -> Result<Self, crate::Error> {
        let stack = Stack::start(settings, Arc::clone(&counters))?;
        Ok(Self { links: HashMap::new(), stack, news, counters })
    }

    /// How many there are, open or not.
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    /// Makes a connection that offers.
    pub(super) fn dial(&mut self, job: JobId, link: LinkId) {
        self.open(link, Opening { job, offer: None });
    }

    /// Makes a connection that answers. `false`: that is no offer.
    pub(super) fn accept(&mut self, job: JobId, link: LinkId, remote: Description) -> bool {
        let Some(text) = sdp::build(&remote) else { return false };
        self.open(link, Opening { job, offer: Some((text, remote.ufrag)) });
        true
    }

    fn open(&mut self, link: LinkId, opening: Opening) {
        let (orders, inbox) = mpsc::unbounded_channel();
        self.counters.connections_made.fetch_add(1, Ordering::Relaxed);
        self.stack.spawn(|shared| pipe::run(link, opening, inbox, self.news.clone(), shared));
        self.links.insert(link, Link { orders, handed: [0; 2], opened: false });
    }

    /// Hands the answer to a connection that offered. `false`: there is none, or that is no answer.
    pub(super) fn complete(&self, job: JobId, link: LinkId, remote: Description) -> bool {
        let Some(text) = sdp::build(&remote) else { return false };
        self.order(link, Order::Complete { job, sdp: text, ufrag: remote.ufrag, role: remote.role })
    }

    /// Hands over one of the other side's candidates. `false`: there is no such connection.
    pub(super) fn candidate(&self, job: JobId, link: LinkId, candidate: Candidate) -> bool {
        self.order(link, Order::Candidate { job, candidate })
    }

    fn order(&self, link: LinkId, order: Order) -> bool {
        self.links.get(&link).is_some_and(|entry| entry.orders.send(order).is_ok())
    }

    /// Both channels of a link are open.
    pub(super) fn opened(&mut self, link: LinkId) {
        if let Some(entry) = self.links.get_mut(&link)
            && !core::mem::replace(&mut entry.opened, true)
        {
            self.counters.links.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends one message. A link that just ended reports that itself.
    pub(super) fn send(&mut self, link: LinkId, channel: Channel, bytes: Vec<u8>) {
        let Some(entry) = self.links.get_mut(&link) else { return };
        entry.handed[slot(channel)] += bytes.len() as u64;
        let _ = entry.orders.send(Order::Send { channel, bytes });
    }

    /// What a channel holds, when its task says how much has left. `None`: the link is gone.
    pub(super) fn buffered(&self, link: LinkId, channel: Channel, room: Room) -> Option<u32> {
        let handed = self.links.get(&link)?.handed[slot(channel)];
        Some(u32::try_from(handed.saturating_sub(room.0)).unwrap_or(u32::MAX))
    }

    /// Closes a connection and forgets it. Whether there was one.
    pub(super) fn close(&mut self, link: LinkId) -> bool {
        let Some(entry) = self.links.remove(&link) else { return false };
        if entry.opened {
            self.counters.links.fetch_sub(1, Ordering::Relaxed);
        }
        true
    }

    /// Throws away the stack with all that runs on it and starts another. The links that were cut.
    pub(super) fn recycle(&mut self) -> Vec<LinkId> {
        self.counters.recycles.fetch_add(1, Ordering::Relaxed);
        let cut: Vec<_> = self.links.keys().copied().collect();
        for link in &cut {
            self.close(*link);
        }
        self.stack.renew();
        cut
    }

    /// Closes every connection; those that can say goodbye do.
    pub(super) async fn end(&mut self) {
        let all: Vec<_> = self.links.keys().copied().collect();
        for link in all {
            self.close(link);
        }
        self.stack.end().await;
    }
}

/// Ends a job.
pub(super) async fn done(news: &mpsc::Sender<News>, job: JobId, ended: Ended) {
    // The owner is gone only when nobody waits any more.
    let _ = news.send(News::Done { job, ended }).await;
}
