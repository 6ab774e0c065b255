//! Cheaters: what their hosts do to the messages of an honest engine.

use crate::body::Body;
use crate::happening::Happening;
use crate::rtc::EndId;
use crate::spec::{Conduct, Meddling};
use crate::world::World;
use core::time::Duration;
use swarmlet_core::Channel;
use swarmlet_core::wire::{Frame, Message};

/// The longest that a parcel is held back, in microseconds: longer than an attempt waits for an offer.
const HELD_MAX: u64 = 8_000_000;

impl World {
    /// What leaves the host of messages that a node wants to send; `None`: nothing does.
    pub(crate) fn twist(&mut self, end: EndId, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let conduct = self.peers[self.ends[end].peer].spec.conduct;
        if conduct == Conduct::Honest {
            return Some(bytes);
        }
        let (mut left, mut rest) = (Vec::new(), bytes.as_slice());
        while let Ok((Frame { message, .. }, behind)) = Frame::first(rest) {
            let one = rest[..rest.len() - behind.len()].to_vec();
            left.extend(self.twist_one(end, conduct, message, one).unwrap_or_default());
            rest = behind;
        }
        (!left.is_empty()).then_some(left)
    }

    fn twist_one(
        &mut self,
        end: EndId,
        conduct: Conduct,
        message: Message,
        bytes: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let peer = self.ends[end].peer;
        match (conduct, message) {
            (Conduct::FreeRider, Message::Have { .. } | Message::Gained { .. } | Message::Block { .. })
            | (Conduct::Withholder, Message::Block { .. }) => None,
            (Conduct::Idle, message) => is_small_talk(&message).then_some(bytes),
            (Conduct::Poisoner { honest_max }, Message::Block { .. }) => {
                Some(self.spoil(end, honest_max, bytes))
            }
            (Conduct::Relay(how), Message::Parcel { from, .. }) if from != self.peers[peer].key.peer_id() => {
                self.meddle(end, how, bytes)
            }
            _ => Some(bytes),
        }
    }

    /// What a bad neighbour makes of somebody else's parcel.
    fn meddle(&mut self, end: EndId, how: Meddling, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        match how {
            Meddling::Drops => None,
            Meddling::Alters => {
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
                Some(bytes)
            }
            Meddling::Repeats => Some(self.ends[end].kept.get_or_insert(bytes).clone()),
            Meddling::Delays => {
                let peer = self.ends[end].peer;
                let held = Duration::from_micros(self.peers[peer].rng.below(HELD_MAX));
                self.queue.push(self.now + held, Happening::LetGo { end, parcel: bytes });
                None
            }
        }
    }

    /// A parcel that was held back goes on its way, if there still is one.
    pub(crate) fn let_go(&mut self, end: EndId, parcel: Vec<u8>) {
        if self.ends[end].is_open() {
            let body = Body::of(parcel, Channel::Control, &self.files);
            self.enqueue(end, Channel::Control, body);
        }
    }

    /// Flips the last bit of a block, once the link's honest ones are used up.
    fn spoil(&mut self, end: EndId, honest_max: u32, mut bytes: Vec<u8>) -> Vec<u8> {
        let peer = self.ends[end].peer;
        let rng = &mut self.peers[peer].rng;
        let honest = self.ends[end].honest.get_or_insert_with(|| rng.below(u64::from(honest_max) + 1));
        if *honest > 0 {
            *honest -= 1;
        } else if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        bytes
    }
}

/// What keeps a link up and commits to nothing.
const fn is_small_talk(message: &Message) -> bool {
    matches!(
        message,
        Message::Hello(_)
            | Message::Proof(_)
            | Message::Ping { .. }
            | Message::Pong { .. }
            | Message::Goodbye
            | Message::NoInfo { .. }
            | Message::NoHashes(_)
    )
}
