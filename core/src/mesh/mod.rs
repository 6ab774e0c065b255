//! The mesh: what linked peers do for one another where there is no signaller. They name whom they are linked with, and
//! pass sealed signals on.
//!
//! Invariant: who passes a parcel on can drop it, delay it or bring it twice, and nothing more: only its receiver reads
//! it, only its sender can have written it, and none counts twice. Every neighbour's parcels are paid from its own purse.

mod contact;
mod purse;
mod routes;
mod seal;
#[cfg(test)]
mod stories;

use crate::Work;
use crate::fault::Fault;
use crate::id::{JobId, LinkId, PeerId, Topic};
use crate::input::Outcome;
use crate::outbox::Cx;
use crate::time::{Instant, SECOND, earliest};
use crate::wire::mesh::{CARD_BYTES, HOPS_MAX, MET_MAX};
use crate::wire::{Card, Frame, Message, Met, Signal};
use alloc::vec::Vec;
use contact::{Contact, Step};
use purse::Purse;
use routes::Routes;
use seal::Holder;

/// Peers that can be signalled to through others.
const CONTACTS_MAX: usize = 256;
/// A neighbour is asked about a swarm this often at most.
const ASK_EVERY: u64 = 30 * SECOND;
/// Between two questions, to whomever.
const ASK_NEXT: u64 = SECOND;

/// Neighbours, and whom they lead to.
pub(crate) struct Mesh {
    me: PeerId,
    mine: Mine,
    // Lists where elsewhere maps are: each kind of map is half a kilobyte, and these are short.
    neighbours: Vec<Neighbour>,
    contacts: Vec<Contact>,
    routes: Routes,
    /// Parcels sealed so far.
    number: u64,
    news: Vec<(PeerId, Option<Signal>)>,
}

/// Our own card.
enum Mine {
    None,
    /// The host makes the key.
    Making(JobId),
    /// The host signs for it.
    Signing(JobId, Vec<u8>),
    Made(Card),
}

/// A proven link.
struct Neighbour {
    link: LinkId,
    peer: PeerId,
    /// Its card; without one it understands nothing of this.
    card: Option<Card>,
    /// Swarms that it was asked about, when, and whether the answer is still to come.
    asked: Vec<(Topic, Instant, bool)>,
    purse: Purse,
}

impl Mesh {
    pub(crate) const fn new(me: PeerId) -> Self {
        Self {
            me,
            mine: Mine::None,
            neighbours: Vec::new(),
            contacts: Vec::new(),
            routes: Routes::new(),
            number: 0,
            news: Vec::new(),
        }
    }

    /// A link is proven.
    pub(crate) fn on_up(&mut self, link: LinkId, peer: PeerId, cx: &mut Cx) {
        let (asked, purse) = (Vec::new(), Purse::new(cx.now));
        // The overlay has no key of its own, and passes on with the keys of those whom it finds.
        let card = (link == LinkId::OVERLAY).then_some(Card([0; CARD_BYTES]));
        self.neighbours.push(Neighbour { link, peer, card, asked, purse });
        match &self.mine {
            Mine::None => self.mine = Mine::Making(cx.out.start(Work::Exchange)),
            Mine::Made(card) => cx.out.control_with(link, &Message::Card, &card.0),
            Mine::Making(_) | Mine::Signing(..) => {}
        }
    }

    /// A link is gone.
    pub(crate) fn on_down(&mut self, link: LinkId) {
        self.neighbours.retain(|other| other.link != link);
        self.routes.forget(link);
        for contact in &mut self.contacts {
            if contact.unlead(link) && contact.by.is_empty() {
                self.news.push((contact.peer, None));
            }
        }
    }

    /// Whether an overlay runs beside us.
    pub(crate) fn has_overlay(&self) -> bool {
        self.neighbours.iter().any(|neighbour| neighbour.link == LinkId::OVERLAY)
    }

    /// Whether a signal to `peer` would find a way.
    pub(crate) fn reaches(&self, peer: &PeerId) -> bool {
        self.contacts.iter().any(|contact| contact.peer == *peer && !contact.by.is_empty())
    }

    /// A neighbour names its key.
    pub(crate) fn on_card(&mut self, link: LinkId, bytes: &[u8]) -> Result<(), Fault> {
        let card = Card::from_bytes(bytes).ok_or(Fault::Malformed)?;
        let before = self.neighbour(link)?.card.replace(card);
        if before.is_some() { Err(Fault::Unexpected) } else { Ok(()) }
    }

    /// Asks one of the `members` of a swarm whom they know there, if it is time. Answers when to try again.
    pub(crate) fn ask(&mut self, topic: Topic, members: &[(LinkId, bool)], cx: &mut Cx) -> Option<Instant> {
        let mut due = None;
        for (link, _) in members {
            let Ok(neighbour) = self.neighbour(*link) else { continue };
            if neighbour.card.is_none() {
                continue;
            }
            let last = neighbour.asked.iter_mut().find(|(of, ..)| *of == topic);
            // Who is asked for all the world may have heard more meanwhile.
            let every = if *link == LinkId::OVERLAY { ASK_EVERY / 3 } else { ASK_EVERY };
            let at = last.as_ref().map_or(cx.now, |(_, asked, _)| asked.after(every));
            if at > cx.now {
                due = earliest(due, Some(at));
                continue;
            }
            match last {
                Some(last) => *last = (topic, cx.now, true),
                None => neighbour.asked.push((topic, cx.now, true)),
            }
            cx.out.control(*link, &Message::GetPeers { topic });
            return Some(cx.now.after(ASK_NEXT));
        }
        due
    }

    /// A neighbour asks whom we are linked with in a swarm: these are.
    pub(crate) fn on_get_peers(
        &mut self,
        link: LinkId,
        topic: Topic,
        members: &[(LinkId, bool)],
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let (mut rows, mut left) = (Vec::new(), MET_MAX);
        // Others the next time, where there are more.
        let first = cx.rng.below(members.len() as u64) as usize;
        for at in 0..members.len() {
            let (other, complete) = members[(first + at) % members.len()];
            if other != link
                && left > 0
                && let Ok(Neighbour { peer, card: Some(card), .. }) = self.neighbour(other)
            {
                Met { peer: *peer, complete, card: *card }.write(&mut rows);
                left -= 1;
            }
        }
        self.pay_and_send(link, link, &Message::Peers { topic }, &rows, cx)
    }

    /// A neighbour names peers of a swarm, since we asked: they are for [`Self::learn`].
    pub(crate) fn on_peers(&mut self, link: LinkId, topic: &Topic) -> Result<(), Fault> {
        let neighbour = self.neighbour(link)?;
        if link == LinkId::OVERLAY {
            return Ok(());
        }
        let asked = neighbour.asked.iter_mut().find(|(of, _, awaited)| of == topic && *awaited);
        let Some((_, _, awaited)) = asked else { return Err(Fault::Unexpected) };
        *awaited = false;
        Ok(())
    }

    /// Notes that `peer` can be signalled to by way of a neighbour, and what to seal with.
    pub(crate) fn learn(&mut self, peer: PeerId, card: Card, by: LinkId, now: Instant) {
        let contact = self.contact(peer, now);
        contact.card.get_or_insert(card);
        contact.lead(by);
    }

    /// A parcel comes by.
    pub(crate) fn on_parcel(&mut self, link: LinkId, frame: &Frame<'_>, cx: &mut Cx) -> Result<(), Fault> {
        let Message::Parcel { to, from, hops, card } = frame.message else { return Err(Fault::Unexpected) };
        if from == self.me {
            return Ok(());
        }
        if to != self.me {
            let Some(hops) = hops.checked_sub(1) else { return Ok(()) };
            let Some(next) = self.next(&to, link, cx.now) else {
                return self.pay_and_send(link, link, &Message::Unreached { peer: to }, &[], cx);
            };
            self.routes.learn(from, link, cx.now);
            let message = Message::Parcel { to, from, hops, card };
            return self.pay_and_send(link, next, &message, frame.tail, cx);
        }
        if self.pays(link, frame.tail.len(), cx.now)? {
            let (shown, sealed) = frame.tail.split_at(if card { CARD_BYTES } else { 0 });
            let contact = self.contact(from, cx.now);
            contact.card = contact.card.or_else(|| Card::from_bytes(shown));
            contact.take(link, sealed);
            self.advance(&from, cx);
        }
        Ok(())
    }

    /// Where a parcel for `peer` that came over the link `not` goes: over a link with it, where one of its own came from, or
    /// to a neighbour that named it.
    fn next(&self, peer: &PeerId, not: LinkId, now: Instant) -> Option<LinkId> {
        let linked = self.neighbours.iter().find(|neighbour| neighbour.peer == *peer);
        let named = || {
            let contact = self.contacts.iter().find(|contact| contact.peer == *peer)?;
            contact.by.iter().copied().find(|by| *by != not && *by != LinkId::OVERLAY)
        };
        let next = linked.map(|neighbour| neighbour.link).or_else(|| self.routes.find(peer, now));
        next.filter(|next| *next != not).or_else(named)
    }

    /// A neighbour knows no way to a peer.
    pub(crate) fn on_unreached(&mut self, link: LinkId, peer: PeerId) {
        self.routes.forget_way(&peer, link);
        for contact in &mut self.contacts {
            if contact.peer == peer && contact.unlead(link) {
                self.news.push((peer, None));
            }
        }
    }

    /// Sends a signal through neighbours.
    pub(crate) fn post(&mut self, peer: PeerId, signal: Signal, cx: &mut Cx) {
        let contact = self.contact(peer, cx.now);
        contact.used = cx.now;
        contact.give(signal);
        self.advance(&peer, cx);
    }

    /// Signals that came through neighbours; `None`: what was posted to this peer did not come there.
    pub(crate) fn take_news(&mut self) -> Vec<(PeerId, Option<Signal>)> {
        core::mem::take(&mut self.news)
    }

    /// The host made our key, signed, verified or agreed. `false`: not our job.
    pub(crate) fn on_done(&mut self, job: JobId, outcome: &Outcome<'_>, cx: &mut Cx) -> bool {
        let bytes = if let Outcome::Bytes(bytes) = outcome { *bytes } else { &[] };
        // A host that cannot has no mesh, until the next link asks it again.
        match core::mem::replace(&mut self.mine, Mine::None) {
            Mine::Making(ours) if ours == job => {
                if bytes.len() == 32 {
                    let message = Card::vow(&self.me, bytes);
                    self.mine = Mine::Signing(cx.out.start(Work::Sign { message }), bytes.to_vec());
                }
            }
            Mine::Signing(ours, key) if ours == job => {
                if let Some(card) = Card::from_bytes(&[&key, bytes].concat()) {
                    self.mine = Mine::Made(card);
                    for neighbour in &self.neighbours {
                        cx.out.control_with(neighbour.link, &Message::Card, &card.0);
                    }
                }
            }
            other => {
                self.mine = other;
                return self.on_agreed(job, outcome, cx);
            }
        }
        true
    }

    fn on_agreed(&mut self, job: JobId, outcome: &Outcome<'_>, cx: &mut Cx) -> bool {
        let Some(at) = self.contacts.iter().position(|contact| contact.awaits(job)) else { return false };
        let (peer, Mine::Made(card)) = (self.contacts[at].peer, &self.mine) else { return true };
        let me = Holder { peer: &self.me, key: &card.key() };
        if self.contacts[at].on_done(outcome, me, cx) {
            self.advance(&peer, cx);
        } else {
            self.contacts.remove(at);
            self.news.push((peer, None));
        }
        true
    }

    /// Does what can be done for a contact now: agree on a key, send, read.
    fn advance(&mut self, peer: &PeerId, cx: &mut Cx) {
        let Mine::Made(mine) = &self.mine else { return };
        let Some(contact) = self.contacts.iter_mut().find(|contact| contact.peer == *peer) else { return };
        match &contact.step {
            Step::New => contact.verify(cx),
            Step::Verifying(_) | Step::Agreeing(_) => {}
            Step::Agreed { .. } => {
                while let Some(signal) = contact.read() {
                    self.news.push((*peer, Some(signal)));
                }
                for signal in contact.take_out() {
                    self.number += 1;
                    let card = matches!(signal, Signal::Knock { .. });
                    let tail = contact.seal(self.number, &signal, card.then_some(mine));
                    if let Some(link) = contact.by.first() {
                        let message = Message::Parcel { to: *peer, from: self.me, hops: HOPS_MAX, card };
                        cx.out.control_with(*link, &message, &tail);
                    }
                }
            }
        }
    }

    /// The contact with `peer`; another that was not used for long makes room.
    fn contact(&mut self, peer: PeerId, now: Instant) -> &mut Contact {
        let known = self.contacts.iter().position(|contact| contact.peer == peer);
        let at = known.unwrap_or_else(|| {
            if self.contacts.len() >= CONTACTS_MAX {
                let mut oldest = 0;
                for at in 1..self.contacts.len() {
                    if self.contacts[at].used < self.contacts[oldest].used {
                        oldest = at;
                    }
                }
                self.contacts.remove(oldest);
            }
            self.contacts.push(Contact::new(peer, now));
            self.contacts.len() - 1
        });
        &mut self.contacts[at]
    }

    fn neighbour(&mut self, link: LinkId) -> Result<&mut Neighbour, Fault> {
        self.neighbours.iter_mut().find(|neighbour| neighbour.link == link).ok_or(Fault::Unexpected)
    }

    /// Whether a neighbour can pay for so many bytes.
    fn pays(&mut self, link: LinkId, bytes: usize, now: Instant) -> Result<bool, Fault> {
        Ok(self.neighbour(link)?.purse.pays(bytes, now))
    }

    /// Sends what `payer` caused, if it can pay for it. What it cannot is dropped.
    fn pay_and_send(
        &mut self,
        payer: LinkId,
        to: LinkId,
        message: &Message,
        tail: &[u8],
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        if self.pays(payer, tail.len() + 64, cx.now)? {
            cx.out.control_with(to, message, tail);
        }
        Ok(())
    }

    /// The first limit that is broken, if one is.
    #[cfg(feature = "lab")]
    pub(crate) fn audit(&self) -> Option<&'static str> {
        let broken = [
            (self.contacts.len() > CONTACTS_MAX, "too many contacts"),
            (!self.routes.is_bounded(), "too many routes"),
            (self.contacts.iter().any(|contact| !contact.is_bounded()), "too much waits for a contact"),
        ];
        broken.iter().find(|(is, _)| *is).map(|(_, what)| *what)
    }
}
