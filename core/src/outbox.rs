//! Where machines put their orders, and how full each link's channels are.
//!
//! Sending is granted, not hoped: an outlet counts what the host still holds, `Writable` corrects the count,
//! and the swarm serves only while there is room. Control messages are few and always accepted; a peer that
//! lets them pile up is cut off. What is said to a peer at one time goes as one message of its channel, and what can wait for a
//! moment goes with what is said next: each message is an event and a wake-up at both ends.

use crate::action::{Action, Event, Work};
use crate::config::{CHANNEL_LOW_BYTES, Config, SIGNAL_BYTES_MAX};
use crate::id::{JobId, LinkId, PeerId};
use crate::input::Channel;
use crate::rate::Rate;
use crate::rng::Rng;
use crate::time::{Instant, earliest};
use crate::util::Map;
use crate::wire::{Message, Signal, ToTracker, peer::GATHERED_BYTES_MAX};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Control bytes that may wait for a peer that does not read.
pub(crate) const CONTROL_BYTES_MAX: u64 = 1024 * 1024;
/// A channel always has room for two blocks.
const BUFFER_MIN: u64 = 128 * 1024;
/// A channel holds this much of what the link carries in a second: enough to keep it busy between two
/// reports, little enough that a cancel still helps (theory §1.3).
const BUFFER_SHARE: u64 = 10;

/// Microseconds from one message of a control channel to the next with what may wait: what is told of pieces, or asked for while there
/// is no hurry. What is told of blocks that came does not wait: native peers that heard of them in bursts of 8 ms sent half as fast.
pub(crate) const CALMLY: u64 = 25_000;

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
    now: Instant,
    /// When something that was gathered leaves.
    due: Option<Instant>,
}

#[derive(Debug, Default)]
struct Outlet {
    control: u64,
    bulk: u64,
    sent: Rate,
    /// The peer takes several messages as one.
    gathers: bool,
    gathered: Vec<u8>,
    /// When that leaves, and when something left before.
    due: Instant,
    told: Instant,
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

    /// From now on several messages may go as one.
    pub(crate) fn gather(&mut self, link: LinkId) {
        if let Some(outlet) = self.outlets.get_mut(&link) {
            outlet.gathers = true;
        }
    }

    /// Ends a connection, whatever state it is in.
    pub(crate) fn unlink(&mut self, link: LinkId) {
        self.let_go(link);
        self.outlets.remove(&link);
        self.put(Action::Unlink { link });
    }

    /// Sends a control message.
    pub(crate) fn control(&mut self, link: LinkId, message: &Message) {
        self.control_with(link, message, &[]);
    }

    /// Sends a control message with a tail.
    pub(crate) fn control_with(&mut self, link: LinkId, message: &Message, tail: &[u8]) {
        self.say(link, message.encode(tail), self.now);
        if message.is_last() {
            self.let_go(link);
        }
    }

    /// Sends a control message that may wait for a moment, where another one left only now.
    pub(crate) fn control_within(&mut self, wait: u64, link: LinkId, message: &Message) {
        let told = self.outlets.get(&link).map_or(Instant::ZERO, |outlet| outlet.told);
        self.say(link, message.encode(&[]), told.after(wait));
    }

    fn say(&mut self, link: LinkId, bytes: Vec<u8>, due: Instant) {
        if self.outlets.get(&link).is_none_or(|outlet| !outlet.gathers) {
            return self.push(link, Channel::Control, bytes);
        }
        let fits = |outlet: &&mut Outlet| outlet.gathered.len() + bytes.len() <= GATHERED_BYTES_MAX;
        if self.outlets.get_mut(&link).filter(fits).is_none() {
            self.let_go(link);
        }
        let Some(outlet) = self.outlets.get_mut(&link) else { return };
        outlet.due = if outlet.gathered.is_empty() { due } else { outlet.due.min(due) };
        outlet.gathered.extend_from_slice(&bytes);
        self.due = earliest(self.due, Some(outlet.due));
    }

    /// Sends what was gathered for a peer.
    fn let_go(&mut self, link: LinkId) {
        if let Some(outlet) = self.outlets.get_mut(&link)
            && !outlet.gathered.is_empty()
        {
            outlet.told = self.now;
            let bytes = core::mem::take(&mut outlet.gathered);
            self.push(link, Channel::Control, bytes);
        }
    }

    /// Something is about to happen at this time.
    pub(crate) const fn tick(&mut self, now: Instant) {
        self.now = now;
    }

    /// When [`Self::flush`] has something to do.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Sends what was gathered and waits no longer.
    pub(crate) fn flush(&mut self) {
        if self.due.is_none_or(|due| due > self.now) {
            return;
        }
        let (mut ready, mut due) = (Vec::new(), None);
        for (link, outlet) in &self.outlets {
            if outlet.gathered.is_empty() {
            } else if outlet.due <= self.now {
                ready.push(*link);
            } else {
                due = earliest(due, Some(outlet.due));
            }
        }
        self.due = due;
        for link in ready {
            self.let_go(link);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const LINK: LinkId = LinkId(1);
    /// Something that waits less long.
    const WAIT: u64 = 8000;

    fn sent(out: &mut Outbox, micros: u64) -> Vec<Vec<u8>> {
        out.tick(Instant::from_micros(micros));
        out.flush();
        core::iter::from_fn(|| out.pop())
            .map(|action| match action {
                Action::Send { bytes, .. } => bytes,
                _ => unreachable!(),
            })
            .collect()
    }

    fn acked(leaves: u64) -> Message {
        Message::Acked { leaves, clock: 0 }
    }

    #[test]
    fn what_can_wait_goes_with_what_follows_but_only_to_who_takes_that() {
        let mut out = Outbox::new(1 << 18);
        out.open(LINK);
        out.control_within(CALMLY, LINK, &acked(1));
        out.control(LINK, &Message::Goodbye);
        assert_eq!(sent(&mut out, 1_000_000).len(), 2);

        out.gather(LINK);
        // The first after a silence does not wait; the next does, for as long as it may since the last.
        out.control_within(CALMLY, LINK, &acked(2));
        assert_eq!(sent(&mut out, 1_000_000), vec![acked(2).encode(&[])]);
        out.control_within(CALMLY, LINK, &Message::Pong { nonce: 3 });
        assert_eq!(out.deadline(), Some(Instant::from_micros(1_000_000 + CALMLY)));
        out.control_within(WAIT, LINK, &acked(4));
        assert_eq!(out.deadline(), Some(Instant::from_micros(1_000_000 + WAIT)));
        assert!(sent(&mut out, 1_000_000 + WAIT - 1).is_empty());
        let both = [Message::Pong { nonce: 3 }.encode(&[]), acked(4).encode(&[])].concat();
        assert_eq!(sent(&mut out, 1_000_000 + WAIT), vec![both]);
        assert_eq!(out.deadline(), None);

        // What is urgent takes it along, and a tail ends it.
        out.control_within(WAIT, LINK, &acked(5));
        out.control_with(LINK, &Message::Anchor, b"wss://a.example");
        out.control(LINK, &Message::Goodbye);
        let anchor = Message::Anchor.encode(b"wss://a.example");
        let together = [acked(5).encode(&[]), anchor].concat();
        assert_eq!(sent(&mut out, 1_010_000), vec![together, Message::Goodbye.encode(&[])]);

        // A link that ends says first what it had to say.
        out.control_within(WAIT, LINK, &acked(6));
        out.unlink(LINK);
        assert!(matches!(out.pop(), Some(Action::Send { bytes, .. }) if bytes == acked(6).encode(&[])));
        assert!(matches!(out.pop(), Some(Action::Unlink { .. })));
    }

    #[test]
    fn no_more_goes_together_than_a_receiver_takes() {
        let mut out = Outbox::new(1 << 18);
        out.open(LINK);
        out.gather(LINK);
        for piece in 0..400 {
            out.control_within(
                CALMLY,
                LINK,
                &Message::Gained { root: crate::id::Root([1; 32]), pieces: vec![piece] },
            );
        }
        let mut seen = 0;
        for bytes in sent(&mut out, 1_000_000) {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                rest = crate::wire::Frame::first(rest).unwrap().1;
                seen += 1;
            }
        }
        assert_eq!(seen, 400);
    }
}
