//! Stories of nodes with overlays beside them: whole hosts in memory, whose connections come up at once.

use super::companion::{self, Companion};
use super::point::Puzzle;
use super::{Settings, Snapshot};
use crate::content::{Builder, Built, Magnet};
use crate::id::{ContentId, Fingerprint, JobId, LinkId, PeerId, Topic};
use crate::keys::{self, Exchange, Key};
use crate::time::{Instant, SECOND};
use crate::wire::overlay::Kind;
use crate::wire::{Description, Frame, Hello, Message, Role, Signature};
use crate::{Action, Command, Config, Event, Input, Node, Outcome, Work};
use std::collections::{BTreeMap, VecDeque};
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

/// What a message takes from one peer to the other.
const LATENCY: u64 = SECOND / 50;
/// A price of a place that a test pays in no time.
const PUZZLE_BITS: u8 = 4;
/// An hour of the clock in these stories.
const UNIX_S: u64 = 1_800_000_000;

/// A peer and its host.
struct End {
    key: Key,
    exchange: Exchange,
    node: Node,
    overlay: Option<Companion>,
    ends: BTreeMap<LinkId, (usize, LinkId)>,
    events: Vec<Event>,
    told: Vec<super::Event>,
    made: usize,
}

/// Peers, and what is on its way between them.
pub(super) struct Net {
    now: Instant,
    peers: Vec<End>,
    /// Whose side of a connection has this fingerprint.
    prints: BTreeMap<Fingerprint, (usize, LinkId)>,
    /// Messages: when they come, to whom, over which of its links.
    flying: VecDeque<(Instant, usize, LinkId, Vec<u8>)>,
    /// A peer of an older version, whose `Hello` says of nothing that came later.
    older: Option<usize>,
    /// First bytes of all messages, which say what they are, and to whom they went.
    sent: Vec<(usize, u8)>,
}

/// What a peer needs to know of a share to look for it.
fn magnet(of: u8) -> Magnet {
    Magnet::parse(&format!("magnet:?xt=urn:btmh:1220{}", ContentId([of; 32]))).unwrap()
}

/// A share of one small file.
fn built(name: &str) -> Built {
    let bytes = name.repeat(9);
    let files = [(vec![String::from(name)], bytes.len() as u64)];
    let mut builder = Builder::new(name, &files, vec![]).unwrap();
    builder.push(0, bytes.as_bytes()).unwrap();
    builder.finish().unwrap()
}

/// Where all meet who are to be linked by hand.
const LOBBY: u8 = 7;

impl Net {
    /// Peers in the lobby's swarm who look for nobody there.
    pub(super) fn new(peers: usize) -> Self {
        let now = Instant::from_micros(SECOND);
        let mut net = Self {
            now,
            peers: vec![],
            prints: BTreeMap::new(),
            flying: VecDeque::new(),
            older: None,
            sent: vec![],
        };
        for _ in 0..peers {
            net.add(0);
        }
        net
    }

    /// One more; it looks for so many links for each share.
    fn add(&mut self, links_wanted: u32) -> usize {
        let number = self.peers.len();
        let seed = [number as u8 + 1; 32];
        let key = Key::from_seed(&seed);
        let config = Config { signaller: false, links_wanted, ..Config::default() };
        let node = Node::new(config, seed, key.peer_id(), self.now);
        let exchange = Exchange::from_seed([number as u8 + 101; 32]);
        let (ends, events) = (BTreeMap::new(), vec![]);
        self.peers.push(End { key, exchange, node, overlay: None, ends, events, told: vec![], made: 0 });
        self.command(
            number,
            Command::Add { magnet: magnet(LOBBY), torrent: None, select: None, topic: None },
        );
        number
    }

    fn id(&self, of: usize) -> PeerId {
        self.peers[of].key.peer_id()
    }

    /// Loads the overlay beside a peer's node.
    fn begin_overlay(&mut self, of: usize) {
        let id = self.id(of);
        let me = Puzzle::new(id, PUZZLE_BITS).work(1 << 16).expect("a small puzzle");
        let settings = Settings { puzzle_bits: PUZZLE_BITS, ..Settings::default() };
        let mut overlay = Companion::new(settings, [of as u8 + 51; 32], me, self.now, UNIX_S).unwrap();
        for link in self.peers[of].node.snapshot().links {
            overlay.handle(self.now, companion::Input::LinkUp(link.peer));
        }
        self.peers[of].overlay = Some(overlay);
        self.handle(of, Input::Linked { link: LinkId::OVERLAY });
    }

    fn command(&mut self, of: usize, command: Command) {
        self.handle(of, Input::Command(command));
    }

    fn handle(&mut self, of: usize, input: Input<'_>) {
        self.peers[of].node.handle(self.now, input);
        self.settle(of);
    }

    fn beside(&mut self, of: usize, input: companion::Input<'_>) {
        let Some(overlay) = &mut self.peers[of].overlay else { return };
        overlay.handle(self.now, input);
        self.settle(of);
    }

    /// Carries out all orders of one peer.
    fn settle(&mut self, of: usize) {
        loop {
            if let Some(action) = self.peers[of].node.poll_action() {
                self.carry_out(of, action);
            } else if let Some(action) = self.peers[of].overlay.as_mut().and_then(Companion::poll_action) {
                self.carry_out_beside(of, action);
            } else {
                return;
            }
        }
    }

    fn carry_out(&mut self, of: usize, action: Action) {
        match action {
            Action::Send { link: LinkId::OVERLAY, bytes, .. } => {
                self.beside(of, companion::Input::Frame(&bytes));
            }
            Action::Send { link, mut bytes, .. } => {
                if let (true, Ok(Message::Hello(hello))) =
                    (self.older == Some(of), Frame::decode(&bytes).map(|frame| frame.message))
                {
                    bytes = Message::Hello(Hello { features: 0, ..hello }).encode(&[]);
                }
                if let Some((to, there)) = self.peers[of].ends.get(&link).copied() {
                    self.sent.push((to, bytes[0]));
                    self.flying.push_back((self.now.after(LATENCY), to, there, bytes));
                }
            }
            Action::Unlink { link } => {
                if let Some((to, there)) = self.peers[of].ends.remove(&link) {
                    self.peers[to].ends.remove(&there);
                    self.handle(to, Input::Unlinked { link: there });
                }
            }
            Action::Start { job, work } => self.work(of, job, work),
            Action::Notify(event) => {
                match &event {
                    Event::LinkUp { peer, .. } => self.beside(of, companion::Input::LinkUp(*peer)),
                    Event::LinkDown { peer, .. } => self.beside(of, companion::Input::LinkDown(*peer)),
                    Event::DialFailed { peer, .. } => self.beside(of, companion::Input::DialFailed(*peer)),
                    _ => {}
                }
                self.peers[of].events.push(event);
            }
            Action::Signal { .. } => panic!("there is no signaller"),
            Action::Abort { .. } => {}
        }
    }

    fn carry_out_beside(&mut self, of: usize, action: companion::Action) {
        match action {
            companion::Action::Frame(bytes) => {
                let channel = crate::Channel::Control;
                self.handle(of, Input::Received { link: LinkId::OVERLAY, channel, bytes: &bytes });
            }
            companion::Action::Notify(event) => self.peers[of].told.push(event),
            companion::Action::Sign { job, text } => {
                let signature = Signature::from_bytes(&self.peers[of].key.sign(&text)).unwrap();
                self.beside(of, companion::Input::Signed { job, signature });
            }
            companion::Action::Verify { job, peer, text, signature } => {
                let good = keys::verify(&peer, &text, &signature);
                self.beside(of, companion::Input::Verified { job, good });
            }
        }
    }

    fn work(&mut self, of: usize, job: JobId, work: Work) {
        let end = &self.peers[of];
        let outcome = match work {
            Work::Sign { message } => return self.done(of, job, &Outcome::Bytes(&end.key.sign(&message))),
            Work::Exchange => return self.done(of, job, &Outcome::Bytes(&end.exchange.public())),
            Work::Agree { key } => return self.done(of, job, &Outcome::Bytes(&end.exchange.agree(&key))),
            Work::Verify { peer, message, signature } => {
                if keys::verify(&peer, &message, &signature) {
                    Outcome::Ok
                } else {
                    Outcome::Missing
                }
            }
            Work::Dial { link } => return self.describe(of, job, link, Role::Actpass),
            Work::Accept { link, remote } => {
                if let Some((to, there)) = self.prints.get(&remote.fingerprint).copied() {
                    self.peers[of].ends.insert(link, (to, there));
                    self.peers[to].ends.insert(there, (of, link));
                }
                return self.describe(of, job, link, Role::Active);
            }
            Work::Complete { link, .. } => {
                self.done(of, job, &Outcome::Ok);
                if let Some((to, there)) = self.peers[of].ends.get(&link).copied() {
                    self.handle(of, Input::Linked { link });
                    self.handle(to, Input::Linked { link: there });
                }
                return;
            }
            Work::Load { .. } | Work::Get { .. } => Outcome::Missing,
            _ => Outcome::Ok,
        };
        self.done(of, job, &outcome);
    }

    fn describe(&mut self, of: usize, job: JobId, link: LinkId, role: Role) {
        self.peers[of].made += 1;
        let fingerprint = Fingerprint(crate::Hash::of(&[of as u8, link.0 as u8, (link.0 >> 8) as u8]).0);
        self.prints.insert(fingerprint, (of, link));
        let (ufrag, pwd) = (String::from("frag"), String::from("apasswordof24letterslong"));
        let description = Description { ufrag, pwd, fingerprint, role };
        self.done(of, job, &Outcome::Described(description));
        self.handle(of, Input::Found { link, candidate: None });
    }

    fn done(&mut self, of: usize, job: JobId, outcome: &Outcome<'_>) {
        let outcome = match outcome {
            Outcome::Ok => Outcome::Ok,
            Outcome::Missing => Outcome::Missing,
            Outcome::Bytes(bytes) => Outcome::Bytes(bytes),
            Outcome::Described(description) => Outcome::Described(description.clone()),
            Outcome::Failed(failure) => Outcome::Failed(*failure),
        };
        self.handle(of, Input::Done { job, outcome });
    }

    /// Lets time pass until something holds, for so many seconds at most.
    fn run_until(&mut self, seconds: u64, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now.after(seconds * SECOND);
        while !holds(self) {
            let timers = self.peers.iter().enumerate().flat_map(|(of, end)| {
                let beside = end.overlay.as_ref().and_then(Companion::poll_timeout);
                [(end.node.poll_timeout(), of), (beside, of)]
            });
            let timer = timers.filter_map(|(at, of)| Some((at?, of))).min();
            let message = self.flying.front().map(|(at, ..)| *at);
            let next = [timer.map(|(at, _)| at), message].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if message.is_some_and(|at| at <= next) {
                let Some((_, to, link, bytes)) = self.flying.pop_front() else { break };
                if self.peers[to].ends.contains_key(&link) {
                    let channel = crate::Channel::Control;
                    self.handle(to, Input::Received { link, channel, bytes: &bytes });
                }
            } else if let Some((_, of)) = timer {
                self.handle(of, Input::Timeout);
                self.beside(of, companion::Input::Timeout);
            }
        }
        self.now = if holds(self) { self.now } else { self.now.max(end) };
        holds(self)
    }

    fn run(&mut self, seconds: u64) {
        self.run_until(seconds, |_| false);
    }

    /// The code that a peer's application got last.
    fn code(&self, of: usize) -> Vec<u8> {
        let codes = self.peers[of].events.iter().rev();
        codes
            .filter_map(|event| if let Event::Code { code, .. } = event { Some(code.clone()) } else { None })
            .next()
            .unwrap_or_else(|| panic!("no code: {:?}", self.peers[of].events))
    }

    /// Two people in the lobby link their peers.
    fn connect(&mut self, one: usize, other: usize) {
        let content = ContentId([LOBBY; 32]);
        self.command(one, Command::Invite { call: 1, content });
        let code = self.code(one);
        self.command(other, Command::Meet { call: 2, code });
        let code = self.code(other);
        self.command(one, Command::Meet { call: 3, code });
        let (a, b) = (self.id(one), self.id(other));
        assert!(self.run_until(5, |net| net.linked(one, &b) && net.linked(other, &a)), "{one} and {other}");
    }

    fn leave_lobby(&mut self, of: usize) {
        self.command(of, Command::Remove { content: ContentId([LOBBY; 32]), keep: false });
    }

    fn linked(&self, of: usize, peer: &PeerId) -> bool {
        self.peers[of].node.snapshot().links.iter().any(|link| link.peer == *peer)
    }

    fn view(&self, of: usize) -> Snapshot {
        self.peers[of].overlay.as_ref().map(Companion::snapshot).expect("an overlay was begun")
    }

    /// A row of peers, each linked with the next by hand, all of them with overlays.
    fn row(peers: usize) -> Self {
        let mut net = Self::new(peers);
        for one in 1..peers {
            net.connect(one - 1, one);
        }
        for one in 0..peers {
            net.leave_lobby(one);
            net.begin_overlay(one);
        }
        net
    }

    /// Somebody new who is linked with one of the row, and has an overlay.
    fn newcomer(&mut self, next_to: usize) -> usize {
        let number = self.add(12);
        self.command(
            next_to,
            Command::Add { magnet: magnet(LOBBY), torrent: None, select: None, topic: None },
        );
        self.connect(next_to, number);
        self.leave_lobby(next_to);
        self.leave_lobby(number);
        self.begin_overlay(number);
        number
    }
}

#[test]
fn a_row_of_peers_becomes_a_mesh_by_itself() {
    let mut net = Net::row(9);
    assert!(
        net.run_until(120, |net| (0..9).all(|of| net.view(of).routers >= 4)),
        "{:?}",
        (0..9).map(|of| net.view(of)).collect::<Vec<_>>()
    );
    net.run(120);
    let made: usize = net.peers.iter().map(|end| end.made).sum();
    assert!(made <= 9 * 8, "{made} ends of links: no pair is linked twice");
}

#[test]
fn a_share_is_found_over_the_overlay_by_who_knows_nobody_that_has_it() {
    let mut net = Net::row(9);
    net.run(60);
    let (giver, taker) = (net.newcomer(0), net.newcomer(8));
    let share = built("found over the overlay");
    let content = share.torrent.info.content;
    let magnet = share.torrent.magnet();
    net.command(giver, Command::Seed { torrent: share.torrent.into(), leaves: share.leaves });
    net.beside(giver, companion::Input::Share(content));
    net.run(30);
    let a = net.id(giver);
    assert!(!net.linked(taker, &a), "they are at both ends of a row");
    net.command(taker, Command::Add { magnet, torrent: None, select: None, topic: None });
    let ready = |net: &Net| net.peers[taker].events.contains(&Event::Ready { content });
    assert!(net.run_until(60, ready), "{:?}\n{:?}", net.view(taker), net.view(giver));
    assert!(net.linked(taker, &a));
}

#[test]
fn what_somebody_lists_is_found_by_its_words_until_it_is_withdrawn() {
    let mut net = Net::row(9);
    net.run(60);
    let content = ContentId([5; 32]);
    let title = String::from("A song of two\u{202e} cities");
    let list = super::Command::List { content, size: 7, kind: Kind::Audio, title: title.clone() };
    net.beside(0, companion::Input::Command(list));
    net.run(5);
    let late = net.newcomer(8);
    net.run(10);
    let asks = |net: &mut Net, of: usize, text: &str| {
        net.peers[of].told.clear();
        net.beside(of, companion::Input::Command(super::Command::Search { query: 9, text: text.into() }));
        net.run(4);
        let told = core::mem::take(&mut net.peers[of].told);
        assert!(matches!(told.last(), Some(super::Event::Searched { query: 9, .. })), "{told:?}");
        let mut found: Vec<String> = told
            .into_iter()
            .filter_map(|event| match event {
                super::Event::Matched { listing, .. } => Some(listing.title),
                _ => None,
            })
            .collect();
        found.dedup();
        found
    };
    assert_eq!(net.view(8).listings, 1, "everybody has heard of it");
    assert_eq!(net.view(late).listings, 0, "but who came later");
    assert_eq!(asks(&mut net, late, "SONG cit"), core::slice::from_ref(&title));
    assert_eq!(asks(&mut net, 8, "song"), [title]);
    assert!(asks(&mut net, late, "a song of nothing").is_empty());
    assert!(asks(&mut net, late, "").is_empty());
    net.beside(0, companion::Input::Command(super::Command::Unlist { content }));
    net.run(5);
    for of in [1, 8, late] {
        assert!(asks(&mut net, of, "song").is_empty(), "{of}");
    }
}

#[test]
fn who_lets_a_link_go_leaves_it_to_the_swarm_that_needs_it() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    for of in 0..2 {
        net.begin_overlay(of);
    }
    net.run(10);
    assert_eq!((net.view(0).links, net.view(1).links), (1, 1));
    let (a, b) = (net.id(0), net.id(1));
    // The overlay's farewell, as if it had come from the one beside node 0.
    let farewell = crate::wire::Message::Overlay.encode(b.bytes());
    let channel = crate::Channel::Control;
    net.handle(0, Input::Received { link: LinkId::OVERLAY, channel, bytes: &farewell });
    net.run(1);
    assert!(net.linked(0, &b) && net.linked(1, &a), "both are in the lobby");
    assert_eq!(net.view(1).links, 0, "its overlay is told");
    net.leave_lobby(0);
    net.handle(0, Input::Received { link: LinkId::OVERLAY, channel, bytes: &farewell });
    net.run(1);
    assert!(!net.linked(0, &b) && !net.linked(1, &a), "nobody needs it");
}

#[test]
fn knocks_for_the_overlay_are_for_those_who_have_one() {
    let mut net = Net::new(1);
    assert!(!net.peers[0].node.is_welcome(&Topic::OVERLAY));
    net.begin_overlay(0);
    assert!(net.peers[0].node.is_welcome(&Topic::OVERLAY));
}

#[test]
fn an_older_peer_is_sent_nothing_that_ends_its_link() {
    const NEWS: u8 = 25;
    const OVERLAY: u8 = 26;
    let mut net = Net::new(3);
    net.older = Some(1);
    for other in [1, 2] {
        net.connect(0, other);
    }
    net.run(1);
    let topic = crate::content::topic_of(&ContentId([LOBBY; 32]));
    net.command(0, Command::Tell { topic, news: b"there is more".to_vec() });
    net.begin_overlay(0);
    net.run(20);
    let got = |to, what| net.sent.contains(&(to, what));
    assert!(got(2, NEWS) && got(2, OVERLAY), "who says that it takes them gets them");
    assert!(!got(1, NEWS) && !got(1, OVERLAY));
    let older = net.id(1);
    assert!(net.linked(0, &older));
}
