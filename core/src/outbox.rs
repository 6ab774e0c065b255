//! Where machines put their orders, and how full each link's channels are.
//!
//! Sending is granted, not hoped: an outlet counts what the host still holds, `Writable` corrects the count,
//! and the swarm serves only while there is room. Control messages are few and always accepted; a peer that
//! lets them pile up is cut off.

use crate::action::{Action, Event, Work};
use crate::config::{CHANNEL_LOW_BYTES, Config, SIGNAL_BYTES_MAX};
use crate::id::{JobId, LinkId, PeerId};
use crate::input::Channel;
use crate::rate::Rate;
use crate::rng::Rng;
use crate::time::Instant;
use crate::util::Map;
use crate::wire::{Message, Signal, ToTracker};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Control bytes that may wait for a peer that does not read.
pub(crate) const CONTROL_BYTES_MAX: u64 = 1024 * 1024;
/// A channel always has room for two blocks.
const BUFFER_MIN: u64 = 128 * 1024;
/// A channel holds this much of what the link carries in a second: enough to keep it busy between two
/// reports, little enough that a cancel still helps (theory §1.3).
const BUFFER_SHARE: u64 = 10;

/// How the signals of an attempt travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The signaller relays them.
    Signaller,
    /// Linked peers pass them on.
    Peers,
    /// People carry them, all at once. The application's number for it.
    Code(u32),
}

/// What every machine is lent for one input: the time, the dice, the settings and the outbox.
pub(crate) struct Cx {
    pub(crate) now: Instant,
    pub(crate) rng: Rng,
    pub(crate) config: Config,
    pub(crate) out: Outbox,
    /// The signaller has let us in.
    pub(crate) is_up: bool,
}

impl Cx {
    /// Sends a peer signals, all at once where there is a signaller.
    pub(crate) fn relay(&mut self, way: Way, to: PeerId, signals: Vec<Signal>) {
        match way {
            Way::Signaller if self.is_up => self.out.signal(&ToTracker::Relay { to, signals }),
            Way::Peers => {
                for signal in signals {
                    self.out.posts.push((to, signal));
                }
            }
            Way::Signaller | Way::Code(_) => {}
        }
    }
}

/// Orders to the host, and the room on each link.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Action>,
    next_job: u64,
    outlets: Map<LinkId, Outlet>,
    high_bytes: u32,
    posts: Vec<(PeerId, Signal)>,
    wire_out: u64,
}

#[derive(Debug, Default)]
struct Outlet {
    control: u64,
    bulk: u64,
    sent: Rate,
}

impl Outbox {
    pub(crate) fn new(high_bytes: u32) -> Self {
        Self { high_bytes, ..Self::default() }
    }

    pub(crate) fn pop(&mut self) -> Option<Action> {
        self.queue.pop_front()
    }

    /// Says something to the signaller: what is said at the same time goes in one frame.
    pub(crate) fn signal(&mut self, message: &ToTracker) {
        let message = message.encode();
        if let Some(Action::Signal { bytes }) = self.queue.back_mut()
            && bytes.len() + message.len() <= SIGNAL_BYTES_MAX
        {
            bytes.extend_from_slice(&message);
        } else {
            self.put(Action::Signal { bytes: message });
        }
    }

    pub(crate) fn notify(&mut self, event: Event) {
        self.put(Action::Notify(event));
    }

    pub(crate) fn start(&mut self, work: Work) -> JobId {
        let job = JobId(self.next_job);
        self.next_job += 1;
        self.put(Action::Start { job, work });
        job
    }

    pub(crate) fn abort(&mut self, job: JobId) {
        self.put(Action::Abort { job });
    }

    /// The channels of a link are open.
    pub(crate) fn open(&mut self, link: LinkId) {
        self.outlets.insert(link, Outlet::default());
    }

    /// Ends a connection, whatever state it is in.
    pub(crate) fn unlink(&mut self, link: LinkId) {
        self.outlets.remove(&link);
        self.put(Action::Unlink { link });
    }

    /// Sends a control message.
    pub(crate) fn control(&mut self, link: LinkId, message: &Message) {
        self.control_with(link, message, &[]);
    }

    /// Sends a control message with a tail.
    pub(crate) fn control_with(&mut self, link: LinkId, message: &Message, tail: &[u8]) {
        self.push(link, Channel::Control, message.encode(tail));
    }

    /// Signals that neighbours are to pass on.
    pub(crate) fn take_posts(&mut self) -> Vec<(PeerId, Signal)> {
        core::mem::take(&mut self.posts)
    }

    /// Sends a message with a tail on the bulk channel.
    pub(crate) fn bulk(&mut self, now: Instant, link: LinkId, message: &Message, tail: &[u8]) {
        if let Some(outlet) = self.outlets.get_mut(&link) {
            outlet.sent.add(now, tail.len() as u64);
        }
        self.push(link, Channel::Bulk, message.encode(tail));
    }

    fn put(&mut self, action: Action) {
        self.queue.push_back(action);
    }

    fn push(&mut self, link: LinkId, channel: Channel, bytes: Vec<u8>) {
        if link != LinkId::OVERLAY {
            let Some(outlet) = self.outlets.get_mut(&link) else { return };
            let length = bytes.len() as u64;
            match channel {
                Channel::Control => outlet.control += length,
                Channel::Bulk => outlet.bulk += length,
            }
            self.wire_out += length;
        }
        self.put(Action::Send { link, channel, bytes });
    }

    /// The host reports what it still holds for a channel.
    pub(crate) fn on_writable(&mut self, link: LinkId, channel: Channel, buffered: u32) {
        let Some(outlet) = self.outlets.get_mut(&link) else { return };
        match channel {
            Channel::Control => outlet.control = u64::from(buffered),
            Channel::Bulk => outlet.bulk = u64::from(buffered),
        }
    }

    /// Bytes that may be put on the bulk channel now.
    pub(crate) fn room(&self, now: Instant, link: LinkId) -> u64 {
        let Some(outlet) = self.outlets.get(&link) else { return 0 };
        let high = (outlet.sent.per_second(now) / BUFFER_SHARE).clamp(BUFFER_MIN, u64::from(self.high_bytes));
        high.saturating_sub(outlet.bulk)
    }

    /// Bytes on a bulk channel that have not left yet; none when it is about to be empty, as far as we know.
    pub(crate) fn waiting(&self, link: LinkId) -> u64 {
        let bulk = self.outlets.get(&link).map_or(0, |outlet| outlet.bulk);
        if bulk > u64::from(CHANNEL_LOW_BYTES) { bulk } else { 0 }
    }

    /// Sent payload bytes per second.
    pub(crate) fn up_rate(&self, now: Instant, link: LinkId) -> u64 {
        self.outlets.get(&link).map_or(0, |outlet| outlet.sent.per_second(now))
    }

    /// Links whose peers do not read what they are told.
    pub(crate) fn clogged(&self) -> Vec<LinkId> {
        let mut links = Vec::new();
        for (link, outlet) in &self.outlets {
            if outlet.control > CONTROL_BYTES_MAX {
                links.push(*link);
            }
        }
        links
    }

    /// All bytes sent on data channels since the start.
    pub(crate) const fn wire_out(&self) -> u64 {
        self.wire_out
    }
}
