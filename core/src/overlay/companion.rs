//! The overlay beside a node: to the node a neighbour that leads to many ([`LinkId::OVERLAY`]), to the overlay its host.
//!
//! The node hands its links' overlay messages over and asks for peers of a swarm; whoever the overlay finds is hailed
//! over it, shows its card, and is named to the node, which then signals to it by parcels as through any neighbour. So
//! links are made, proven and ended by the node alone, and what is said on the way is sealed end to end.
//!
//! Bound: `WAYS_MAX` ways, `SEEKS_MAX` questions; one entry for each link of the node.

use super::lookup::Way;
use super::{Command, Event, Overlay, Settings, Snapshot};
use crate::content::topic_of;
use crate::id::{ContentId, LinkId, PeerId, Topic};
use crate::time::{Instant, SECOND, earliest};
use crate::util::{Map, Set};
use crate::wire::mesh::CARD_BYTES;
use crate::wire::overlay::{Contact, Envelope, Point, Role};
use crate::wire::{Card, Frame, Message, Met, Signature};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Peers that signals go to or come from along ways.
const WAYS_MAX: usize = 128;
/// Questions of the node under way.
const SEEKS_MAX: usize = 32;
/// Peers of a swarm that are hailed for one question: twice what a share wants at once.
const HAILS_MAX: u8 = 12;
/// A question and what came of it are forgotten: the node asks again in this time.
const SOUGHT_US: u64 = 30 * SECOND;
/// Where nobody was found it is asked again after so long, and twice as long each further time: in a young mesh who has
/// something finds somebody to tell about as soon as who asks.
const AGAIN_US: u64 = SECOND;
/// The first byte of a greeting: only that begins anew with who was let go.
const GREET: u8 = 0;

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The node sends this over [`LinkId::OVERLAY`].
    Frame(&'a [u8]),
    /// The node has a proven link with a peer.
    LinkUp(PeerId),
    /// It has not any more.
    LinkDown(PeerId),
    /// It could not make one.
    DialFailed(PeerId),
    /// The node has this share and is in its swarm.
    Share(ContentId),
    /// Not any more.
    Unshare(ContentId),
    /// Let everybody find this share, until it is unlisted; or look for what others have listed. Other commands are the
    /// node's.
    Command(Command),
    /// A text was signed.
    Signed {
        /// From [`Action::Sign`].
        job: u32,
        /// By our key.
        signature: Signature,
    },
    /// A signature was looked at.
    Verified {
        /// From [`Action::Verify`].
        job: u32,
        /// Whether it holds.
        good: bool,
    },
    /// The time of [`Companion::poll_timeout`] has come.
    Timeout,
}

/// An order to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell the node that this came over [`LinkId::OVERLAY`].
    Frame(Vec<u8>),
    /// Tell the application: [`Event::Matched`] or [`Event::Searched`].
    Notify(Event),
    /// Sign a text with the node's key.
    Sign {
        /// Comes back in [`Input::Signed`].
        job: u32,
        /// What.
        text: Vec<u8>,
    },
    /// See whether a signature holds.
    Verify {
        /// Comes back in [`Input::Verified`].
        job: u32,
        /// Whose key.
        peer: PeerId,
        /// What was signed.
        text: Vec<u8>,
        /// The signature.
        signature: Signature,
    },
}

/// How somebody is reached, and what for.
#[derive(Debug)]
struct Reached {
    way: Way,
    used: Instant,
    /// Swarms for which the node wants to hear of it.
    wanted: Vec<Topic>,
}

/// A question of the node's.
#[derive(Debug)]
struct Seek {
    topic: Topic,
    at: Instant,
    hailed: u8,
    /// How often nobody was found, and when it is asked again.
    vain: u32,
    again_at: Option<Instant>,
}

/// An overlay and how it stands beside a node.
#[derive(Debug)]
pub struct Companion {
    overlay: Overlay,
    now: Instant,
    card: Option<Card>,
    /// The node's links, and what the overlay calls those that it knows.
    links: Map<PeerId, Option<LinkId>>,
    peers: Map<LinkId, PeerId>,
    next_link: u32,
    dialled: Set<PeerId>,
    ways: Map<PeerId, Reached>,
    seeks: Map<u32, Seek>,
    /// Who was found and is to be reached, for which swarm, since when; [`HAILS_MAX`] for each question.
    sought: Map<PeerId, (Topic, Instant)>,
    next_query: u32,
    out: VecDeque<Action>,
}

impl Companion {
    /// An overlay without links. The host tells it of those that the node has, and tells the node `Input::Linked` of
    /// [`LinkId::OVERLAY`]. `seed` must be no other's. `unix_s`: Unix time at `now`.
    ///
    /// Returns `None` when the contact's puzzle is not solved ([`super::point::Puzzle`]).
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32], me: Contact, now: Instant, unix_s: u64) -> Option<Self> {
        Some(Self {
            overlay: Overlay::new(settings, seed, me, now, unix_s)?,
            now,
            card: None,
            links: Map::new(),
            peers: Map::new(),
            next_link: 0,
            dialled: Set::new(),
            ways: Map::new(),
            seeks: Map::new(),
            sought: Map::new(),
            next_query: 0,
            out: VecDeque::new(),
        })
    }

    /// Takes in one thing that happened. Time never runs backwards: an earlier `now` counts as the last one.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = self.now.max(now);
        match input {
            Input::Frame(bytes) => self.on_frame(bytes),
            Input::LinkUp(peer) => {
                self.links.insert(peer, None);
                let outbound = self.dialled.remove(&peer);
                self.link(peer, outbound);
            }
            Input::LinkDown(peer) => {
                self.unlink(peer);
                self.links.remove(&peer);
            }
            Input::DialFailed(peer) => self.on_dial_failed(peer),
            Input::Share(content) => {
                self.command(Command::Publish { topic: topic_of(&content) });
            }
            Input::Unshare(content) => {
                self.command(Command::Withdraw { topic: topic_of(&content) });
            }
            Input::Command(command) => self.command(command),
            Input::Signed { job, signature } => {
                self.overlay.handle(self.now, super::Input::Signed { job, signature });
            }
            Input::Verified { job, good } => {
                self.overlay.handle(self.now, super::Input::Verified { job, good });
            }
            Input::Timeout => self.overlay.handle(self.now, super::Input::Timeout),
        }
        self.ask_again();
        self.drain();
    }

    /// The next order to the host.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.seeks.values().fold(self.overlay.poll_timeout(), |due, seek| earliest(due, seek.again_at))
    }

    /// What the overlay looks like from outside.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.overlay.snapshot()
    }

    fn command(&mut self, command: Command) {
        self.overlay.handle(self.now, super::Input::Command(command));
    }

    /// Tells the node something.
    fn tell(&mut self, message: &Message, tail: &[u8]) {
        self.out.push_back(Action::Frame(message.encode(tail)));
    }

    /// The overlay hears of a link.
    fn link(&mut self, peer: PeerId, outbound: bool) {
        self.next_link = self.next_link.wrapping_add(1);
        let link = LinkId(self.next_link);
        self.links.insert(peer, Some(link));
        self.peers.insert(link, peer);
        self.overlay.handle(self.now, super::Input::Linked { link, peer, outbound });
    }

    /// The overlay has lost a link, whether the node keeps it or not.
    fn unlink(&mut self, peer: PeerId) {
        let Some(name) = self.links.get_mut(&peer) else { return };
        if let Some(link) = name.take() {
            self.peers.remove(&link);
            self.overlay.handle(self.now, super::Input::Unlinked { link });
        }
    }

    fn on_frame(&mut self, bytes: &[u8]) {
        let Ok(Frame { message, tail }) = Frame::decode(bytes) else { return };
        match message {
            Message::Card => self.card = Card::from_bytes(tail),
            Message::GetPeers { topic } => self.on_get_peers(topic),
            Message::Parcel { to, card, .. } => self.on_parcel(to, card, tail),
            Message::Overlay => {
                if let Some((peer, bytes)) = tail.split_first_chunk() {
                    self.on_heard(PeerId(*peer), bytes);
                }
            }
            // Nothing else is said to an overlay.
            _ => {}
        }
    }

    /// A neighbour's overlay says something.
    fn on_heard(&mut self, peer: PeerId, bytes: &[u8]) {
        if bytes.is_empty() {
            return self.unlink(peer);
        }
        if self.links.get(&peer) == Some(&None) && bytes.first() == Some(&GREET) {
            self.link(peer, false);
        }
        if let Some(Some(link)) = self.links.get(&peer) {
            self.overlay.handle(self.now, super::Input::Received { link: *link, bytes });
        }
    }

    /// The node looks for peers of a swarm.
    fn on_get_peers(&mut self, topic: Topic) {
        let now = self.now;
        self.seeks.retain(|_, seek| {
            now.passed(seek.at) < SOUGHT_US && !(seek.topic == topic && seek.again_at.is_some())
        });
        self.sought.retain(|_, (_, at)| now.passed(*at) < SOUGHT_US);
        if self.seeks.len() >= SEEKS_MAX {
            return;
        }
        // The overlay's own questions have the upper bit set.
        self.next_query = (self.next_query + 1) & (u32::MAX >> 1);
        let query = self.next_query;
        self.seeks.insert(query, Seek { topic, at: now, hailed: 0, vain: 0, again_at: None });
        self.command(Command::Find { query, topic });
    }

    /// Asks anew what nobody could answer a moment ago.
    fn ask_again(&mut self) {
        let mut due = Vec::new();
        for (query, seek) in &mut self.seeks {
            if seek.again_at.is_some_and(|at| at <= self.now) {
                seek.again_at = None;
                due.push((*query, seek.topic));
            }
        }
        for (query, topic) in due {
            self.command(Command::Find { query, topic });
        }
    }

    /// Nobody was found.
    fn on_lost(&mut self, query: u32) {
        let Some(seek) = self.seeks.get_mut(&query) else { return };
        let again_at = self.now.after(AGAIN_US << seek.vain.min(8));
        if seek.hailed > 0 || again_at.passed(seek.at) >= SOUGHT_US {
            self.seeks.remove(&query);
            return;
        }
        (seek.vain, seek.again_at) = (seek.vain + 1, Some(again_at));
    }

    /// The node has a signal for somebody.
    fn on_parcel(&mut self, to: PeerId, card: bool, tail: &[u8]) {
        let now = self.now;
        let Some(reached) = self.ways.get_mut(&to) else {
            return self.tell(&Message::Unreached { peer: to }, &[]);
        };
        reached.used = now;
        let way = reached.way.clone();
        let from = self.overlay.contact().peer;
        self.post(&way, &Envelope::Parcel { from, card, tail: tail.to_vec() });
    }

    fn on_dial_failed(&mut self, peer: PeerId) {
        self.dialled.remove(&peer);
        self.overlay.handle(self.now, super::Input::Undialled { peer });
    }

    fn post(&mut self, way: &Way, envelope: &Envelope) {
        self.overlay.handle(self.now, super::Input::Seal { way, bytes: envelope.encode() });
    }

    /// Does what the overlay orders.
    fn drain(&mut self) {
        while let Some(action) = self.overlay.poll_action() {
            match action {
                super::Action::Send { link, bytes } => {
                    if let Some(peer) = self.peers.get(&link) {
                        let tail = [peer.bytes().as_slice(), &bytes].concat();
                        self.tell(&Message::Overlay, &tail);
                    }
                }
                super::Action::Dial { contact, way } => self.on_dial(contact, way),
                super::Action::Unlink { link } => self.let_go(link),
                super::Action::Sign { job, text } => self.out.push_back(Action::Sign { job, text }),
                super::Action::Verify { job, peer, text, signature } => {
                    self.out.push_back(Action::Verify { job, peer, text, signature });
                }
                super::Action::Sealed { way, bytes } => self.on_sealed(way, &bytes),
                super::Action::Notify(event) => self.on_event(event),
            }
        }
    }

    /// The overlay wants a link.
    fn on_dial(&mut self, contact: Contact, way: Way) {
        match self.links.get(&contact.peer) {
            Some(None) => self.link(contact.peer, true),
            Some(Some(_)) => {}
            None => {
                self.dialled.insert(contact.peer);
                self.hail(contact.peer, way, Topic::OVERLAY);
            }
        }
    }

    /// The overlay does not want a link any more. The node keeps it if a swarm does.
    fn let_go(&mut self, link: LinkId) {
        let Some(peer) = self.peers.remove(&link) else { return };
        if let Some(name) = self.links.get_mut(&peer) {
            *name = None;
        }
        self.tell(&Message::Overlay, peer.bytes());
    }

    /// Asks somebody for its card.
    fn hail(&mut self, peer: PeerId, way: Way, topic: Topic) {
        let Some(card) = self.card else { return };
        let role = (topic == Topic::OVERLAY).then(|| self.overlay.snapshot().role);
        let reached = self.remember(peer, way.clone());
        if !reached.wanted.contains(&topic) && reached.wanted.len() < HAILS_MAX.into() {
            reached.wanted.push(topic);
        }
        let from = self.overlay.contact();
        self.post(&way, &Envelope::Hail { from, role, card: card.0.to_vec() });
    }

    fn remember(&mut self, peer: PeerId, way: Way) -> &mut Reached {
        if self.ways.len() >= WAYS_MAX && !self.ways.contains_key(&peer) {
            let oldest = self.ways.iter().min_by_key(|(_, reached)| reached.used).map(|(peer, _)| *peer);
            if let Some(oldest) = oldest {
                self.ways.remove(&oldest);
            }
        }
        let used = self.now;
        let reached =
            self.ways.entry(peer).or_insert_with(|| Reached { way: way.clone(), used, wanted: Vec::new() });
        (reached.way, reached.used) = (way, used);
        reached
    }

    fn on_sealed(&mut self, way: Way, bytes: &[u8]) {
        let Ok(envelope) = Envelope::decode(bytes) else { return };
        match envelope {
            Envelope::Hail { from, role, card } => self.on_hail(way, from, role, &card),
            Envelope::Card { from, card } => self.on_card(from, &card),
            Envelope::Full { from } => {
                if self.ways.get(&from).is_some_and(|reached| reached.wanted.contains(&Topic::OVERLAY)) {
                    self.on_dial_failed(from);
                }
            }
            Envelope::Parcel { from, card, tail } => {
                // Only who has hailed or was hailed: the rest costs the node nothing.
                if self.ways.contains_key(&from) {
                    self.remember(from, way);
                    let to = self.overlay.contact().peer;
                    self.tell(&Message::Parcel { to, from, hops: 0, card }, &tail);
                }
            }
        }
    }

    /// Somebody wants to signal to us.
    fn on_hail(&mut self, way: Way, from: Contact, role: Option<Role>, card: &[u8]) {
        let Some(point) = Point::of(&from, self.overlay.settings.puzzle_bits) else { return };
        let (Some(mine), CARD_BYTES) = (self.card, card.len()) else { return };
        let me = self.overlay.contact().peer;
        if role.is_some_and(|role| !self.overlay.has_room(point, role == Role::Leaf)) {
            return self.post(&way, &Envelope::Full { from: me });
        }
        self.remember(from.peer, way.clone());
        self.post(&way, &Envelope::Card { from: me, card: mine.0.to_vec() });
    }

    /// Somebody whom we hailed shows its card.
    fn on_card(&mut self, from: PeerId, card: &[u8]) {
        let (Some(reached), Some(card)) = (self.ways.get_mut(&from), Card::from_bytes(card)) else { return };
        for topic in core::mem::take(&mut reached.wanted) {
            let mut row = Vec::new();
            Met { peer: from, complete: false, card }.write(&mut row);
            self.tell(&Message::Peers { topic }, &row);
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Found { query, contact, .. } => {
                let Some(seek) = self.seeks.get_mut(&query) else { return };
                if seek.hailed < HAILS_MAX && contact.peer != self.overlay.contact().peer {
                    seek.hailed += 1;
                    self.sought.insert(contact.peer, (seek.topic, self.now));
                    self.command(Command::Reach { contact });
                }
            }
            Event::Lost { query, .. } => self.on_lost(query),
            Event::Reached { contact, way } => {
                if let Some((topic, _)) = self.sought.remove(&contact.peer) {
                    self.hail(contact.peer, way, topic);
                }
            }
            Event::Matched { .. } | Event::Searched { .. } => self.out.push_back(Action::Notify(event)),
            Event::Listed { .. } | Event::Alone => {}
        }
    }
}
