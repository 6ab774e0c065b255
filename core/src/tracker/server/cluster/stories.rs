//! Stories of three nodes: clients of both dialects, a bus that can be cut, slow or lost, and one clock.

mod torrents;

use crate::id::{Fingerprint, PeerId, Topic};
use crate::time::Instant;
use crate::tracker::challenge_bytes;
use crate::tracker::server::token::{Claims, Minter};
use crate::tracker::server::{BusNews, BusOrder, BusSnapshot, CloseReason, ConnId, Dialect, Rate};
use crate::tracker::server::{Server, ServerAction, ServerConfig, ServerInput};
use crate::wire::bus::{Bundle, Digest, NodeId, SwarmId, Word};
use crate::wire::webtorrent::InfoHash;
use crate::wire::{Address, Candidate, CandidateKind, Description, Refusal, Role, Signal, Signature};
use crate::wire::{ToClient, ToTracker, VERSION};
use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const TOPIC: Topic = Topic([1; 32]);
const SWARM: &str = "abcdefghijklmnopqrst";
const BINARY: Dialect = Dialect::Swarmlet;
const JSON: Dialect = Dialect::WebTorrent;
const SDP: &str = "v=0\\r\\no=- 1 2 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\\r\\n\
    a=candidate:1 1 udp 2113937151 192.168.1.7 51234 typ host\\r\\na=candidate:2 1 udp 1677729535 ADDRESS 51234 typ srflx\\r\\n\
    a=ice-ufrag:abcd\\r\\na=ice-pwd:abcdefghijklmnopqrstuv+/\\r\\na=fingerprint:sha-256 00:11\\r\\na=setup:actpass\\r\\n";

/// A client: of which node, under which number.
type At = (usize, u64);

/// Three nodes and what is between them.
struct Cloud {
    nodes: Vec<Option<Server>>,
    now: Instant,
    /// The bus passes nothing on while this is false.
    up: bool,
    kept: BTreeMap<(SwarmId, NodeId), (Instant, Vec<u8>)>,
    keeps: u32,
    mail: VecDeque<(usize, Mail)>,
    sent: BTreeMap<At, Vec<Vec<u8>>>,
    closed: BTreeMap<At, CloseReason>,
}

enum Mail {
    Heard(Vec<u8>),
    Found(SwarmId, u64, Vec<(NodeId, Vec<u8>)>),
}

fn node_id(node: usize) -> NodeId {
    NodeId::from_bytes([u8::try_from(node).unwrap() + 1; 8])
}

fn said(node: usize, word: &[u8]) -> Vec<u8> {
    Bundle::new(node_id(node), word).into_bytes()
}

fn cloud() -> Cloud {
    cloud_of(&ServerConfig::default())
}

fn cloud_of(config: &ServerConfig) -> Cloud {
    let server = |seed| Server::new(config.clone(), [seed; 32], Instant::ZERO);
    let mut cloud = Cloud {
        nodes: (0..3).map(server).map(Some).collect(),
        now: Instant::ZERO,
        up: true,
        kept: BTreeMap::new(),
        keeps: 0,
        mail: VecDeque::new(),
        sent: BTreeMap::new(),
        closed: BTreeMap::new(),
    };
    (0..3).for_each(|node| cloud.connect(node));
    cloud.settle();
    cloud
}

impl Cloud {
    fn connect(&mut self, node: usize) {
        let name = format!("n{node}");
        self.handle(node, ServerInput::Bus(BusNews::Up { node: node_id(node), name: &name }));
    }

    fn handle(&mut self, node: usize, input: ServerInput<'_>) {
        let Some(mut server) = self.nodes[node].take() else { return };
        server.handle(self.now, input);
        while let Some(action) = server.poll_action() {
            match action {
                ServerAction::Send { conn, bytes } => {
                    self.sent.entry((node, conn.0)).or_default().push(bytes);
                }
                ServerAction::Close { conn, reason } => {
                    assert_eq!(self.closed.insert((node, conn.0), reason), None, "closed twice");
                }
                ServerAction::Bus(order) => self.order(node, order),
            }
        }
        self.nodes[node] = Some(server);
    }

    fn order(&mut self, node: usize, order: BusOrder) {
        match order {
            _ if !self.up => {}
            BusOrder::Tell { node: whom, word } => {
                let bytes = said(node, &word);
                for to in (0..3).filter(|to| whom.is_none_or(|id| node_id(*to) == id)) {
                    self.mail.push_back((to, Mail::Heard(bytes.clone())));
                }
            }
            BusOrder::Keep { swarm, bytes, life } => {
                self.keeps += 1;
                self.kept.insert((swarm, node_id(node)), (self.now + life, bytes));
            }
            BusOrder::Forget { swarm } => drop(self.kept.remove(&(swarm, node_id(node)))),
            BusOrder::Find { swarm, question, nodes } => {
                let kept = |id: &NodeId| self.kept.get(&(swarm, *id)).filter(|(until, _)| *until > self.now);
                let found = nodes.iter().filter_map(|id| Some((*id, kept(id)?.1.clone()))).collect();
                self.mail.push_back((node, Mail::Found(swarm, question, found)));
            }
        }
    }

    /// Delivers what is on its way.
    fn settle(&mut self) {
        while let Some((node, mail)) = self.mail.pop_front() {
            let news = match &mail {
                Mail::Heard(bytes) => BusNews::Heard { bytes },
                Mail::Found(swarm, question, digests) => {
                    BusNews::Found { swarm: *swarm, question: *question, digests: digests.clone() }
                }
            };
            self.handle(node, ServerInput::Bus(news));
        }
    }

    /// Lets time pass.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let due = |server: &Option<Server>| server.as_ref().and_then(Server::poll_timeout);
            let next = self.nodes.iter().filter_map(due).min().filter(|at| *at <= end);
            let Some(at) = next else { break };
            assert!(at > self.now || self.now == end || next.is_some());
            self.now = self.now.max(at);
            (0..3).for_each(|node| self.handle(node, ServerInput::Timeout));
            self.settle();
        }
        self.now = end;
    }

    /// The bus is gone; each node notices at once.
    fn cut(&mut self) {
        self.up = false;
        self.mail.clear();
        self.kept.clear();
        (0..3).for_each(|node| self.handle(node, ServerInput::Bus(BusNews::Down)));
    }

    fn mend(&mut self) {
        self.up = true;
        (0..3).for_each(|node| self.connect(node));
        self.settle();
    }

    fn bus(&self, node: usize) -> BusSnapshot {
        self.nodes[node].as_ref().unwrap().snapshot().bus.unwrap()
    }

    fn open(&mut self, (node, number): At, address: &str, dialect: Dialect) {
        let address = address.parse().ok();
        self.handle(node, ServerInput::Opened { conn: ConnId(number), address, dialect, origin: None });
    }

    fn say(&mut self, (node, number): At, bytes: &[u8]) {
        self.handle(node, ServerInput::Received { conn: ConnId(number), bytes });
    }

    /// A proven client from an address of its own.
    fn client(&mut self, at: At) {
        let octet = at.1;
        self.client_from(at, &format!("8.8.{octet}.1"));
    }

    fn client_from(&mut self, at: At, address: &str) {
        self.open(at, address, BINARY);
        self.greet(at, at.1, "");
        assert!(matches!(self.take(at)[..], [ToClient::Welcome { .. }]));
    }

    /// Answers the challenge as somebody.
    fn greet(&mut self, at: At, who: u64, token: &str) {
        let [ToClient::Challenge { nonce }] = self.take(at)[..] else { panic!("no challenge") };
        let (key, peer, token) = (key(who), peer(who), token.to_string());
        let signature = key.sign(&challenge_bytes(&nonce, &peer));
        let signature = Signature(*signature.r_bytes(), *signature.s_bytes());
        let hello = ToTracker::Hello { version: VERSION, features: 0, peer, signature, token };
        self.say(at, &hello.encode());
    }

    fn take(&mut self, at: At) -> Vec<ToClient> {
        let sent = self.sent.remove(&at).unwrap_or_default();
        sent.iter().flat_map(|bytes| ToClient::read(bytes).unwrap()).collect()
    }

    fn announce(&mut self, at: At, topic: Topic, complete: bool) {
        self.say(at, &ToTracker::Announce { topic, complete, want: 12 }.encode());
    }

    /// Joins, waits for the bus, and gives back who was named.
    fn join(&mut self, at: At) -> (u32, u32, Vec<PeerId>) {
        self.announce(at, TOPIC, false);
        self.settle();
        self.peers(at)
    }

    fn peers(&mut self, at: At) -> (u32, u32, Vec<PeerId>) {
        match &self.take(at)[..] {
            [ToClient::Peers { seeds, leeches, peers, .. }] => {
                (*seeds, *leeches, peers.iter().map(|view| view.peer).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    fn relay(&mut self, at: At, to: u64, signal: Signal) {
        self.say(at, &ToTracker::Relay { to: peer(to), signals: vec![signal] }.encode());
        self.settle();
    }

    fn texts(&mut self, at: At) -> Vec<String> {
        let sent = self.sent.remove(&at).unwrap_or_default();
        sent.into_iter().map(|bytes| String::from_utf8(bytes).unwrap()).collect()
    }

    /// A WebTorrent client announces with offers.
    fn torrent(&mut self, at: At, left: u32, offers: u32) -> Vec<String> {
        let text = torrent_announce(at, left, offers);
        self.say(at, text.as_bytes());
        self.settle();
        self.texts(at)
    }
}

fn torrent_announce(at: At, left: u32, offers: u32) -> String {
    let sdp = sdp(at.1);
    let offer = |id| {
        format!("{{\"offer\":{{\"type\":\"offer\",\"sdp\":\"{sdp}\"}},\"offer_id\":\"{}\"}}", offer_id(id))
    };
    let offers = (0..offers).map(offer).collect::<Vec<_>>().join(",");
    format!(
        "{{\"left\":{left},\"event\":\"started\",\"action\":\"announce\",\"info_hash\":\"{SWARM}\",\
         \"peer_id\":\"{}\",\"offers\":[{offers}]}}",
        code(at.1)
    )
}

fn sdp(number: u64) -> String {
    SDP.replace("ADDRESS", &format!("8.8.{number}.1"))
}

fn offer_id(id: u32) -> String {
    format!("offer{id:015}")
}

fn code(number: u64) -> String {
    format!("-WW0302-peer{number:08}")
}

fn key(number: u64) -> SigningKey {
    SigningKey::from_bytes(&[u8::try_from(number).unwrap(); 32])
}

fn peer(number: u64) -> PeerId {
    PeerId(key(number).verifying_key().to_bytes())
}

fn knock() -> Signal {
    Signal::Knock { attempt: 1, topic: TOPIC }
}

fn offer() -> Signal {
    let (ufrag, pwd) = ("abcd".to_string(), "abcdefghijklmnopqrstuv".to_string());
    let description = Description { ufrag, pwd, fingerprint: Fingerprint([3; 32]), role: Role::Actpass };
    Signal::Offer { attempt: 1, topic: TOPIC, description }
}

fn candidate(address: [u8; 4]) -> Signal {
    let address = Address::V4(address);
    Signal::Candidate {
        attempt: 1,
        candidate: Candidate { address, port: 50_000, kind: CandidateKind::Host, priority: 1 },
    }
}

fn relayed(from: u64, signal: Signal) -> ToClient {
    ToClient::Relayed { from: peer(from), signals: vec![signal] }
}

#[test]
fn peers_of_different_nodes_are_named_to_each_other_and_signal() {
    let mut cloud = cloud();
    let (a, b, c) = ((0, 1), (1, 2), (2, 3));
    [a, b, c].into_iter().for_each(|at| cloud.client(at));
    assert_eq!(cloud.join(a), (0, 1, vec![]));
    assert_eq!(cloud.join(b), (0, 2, vec![peer(1)]));
    let (seeds, leeches, mut named) = cloud.join(c);
    named.sort();
    let mut both = vec![peer(1), peer(2)];
    both.sort();
    assert_eq!((seeds, leeches, named), (0, 3, both));

    cloud.relay(b, 1, knock());
    assert_eq!(cloud.take(a), [relayed(2, knock())]);
    cloud.relay(a, 2, offer());
    cloud.relay(a, 2, candidate([8, 8, 1, 1]));
    assert_eq!(cloud.take(b), [relayed(1, offer()), relayed(1, candidate([8, 8, 1, 1]))]);
    cloud.relay(b, 1, Signal::Decline { attempt: 1 });
    assert_eq!(cloud.take(a), [relayed(2, Signal::Decline { attempt: 1 })]);

    // Who left is not there for others any more.
    cloud.say(a, &ToTracker::Leave { topic: TOPIC }.encode());
    cloud.relay(b, 1, knock());
    assert_eq!(cloud.take(b), [ToClient::Absent { peer: peer(1) }]);
    assert_eq!(cloud.join(b), (0, 2, vec![peer(3)]));
    assert_eq!((cloud.bus(0).up, cloud.bus(0).nodes, cloud.bus(0).refused), (true, 2, 0));
}

#[test]
fn two_who_join_at_the_same_moment_meet() {
    let mut cloud = cloud();
    let (a, b) = ((0, 1), (1, 2));
    cloud.client(a);
    cloud.client(b);
    cloud.announce(a, TOPIC, false);
    cloud.announce(b, TOPIC, false);
    cloud.settle();
    let (first, second) = (cloud.peers(a).2, cloud.peers(b).2);
    assert!(first == [peer(2)] || second == [peer(1)], "{first:?} {second:?}");
}

#[test]
fn a_node_that_is_gone_is_named_no_more_after_eight_seconds() {
    let mut cloud = cloud();
    let (a, b) = ((0, 1), (1, 2));
    cloud.client(a);
    cloud.client(b);
    cloud.join(a);
    assert_eq!(cloud.join(b).2, [peer(1)]);
    cloud.nodes[0] = None;
    cloud.pass(Duration::from_secs(9));
    cloud.relay(b, 1, knock());
    assert_eq!(cloud.take(b), [ToClient::Absent { peer: peer(1) }]);
    assert_eq!(cloud.join(b), (0, 1, vec![]));
    // It comes back elsewhere, and is found there at once; so is who comes before the others notice.
    let (c, again) = ((2, 3), (1, 3));
    cloud.client(c);
    cloud.join(c);
    cloud.nodes[2] = None;
    cloud.client(again);
    cloud.announce(again, TOPIC, false);
    cloud.settle();
    let late = cloud.peers(again);
    assert!(late.2.contains(&peer(2)), "{late:?}");
    cloud.nodes[0] = Some(Server::new(ServerConfig::default(), [9; 32], cloud.now));
    cloud.connect(0);
    cloud.settle();
    cloud.client((0, 4));
    assert!(cloud.join((0, 4)).2.contains(&peer(3)));
    cloud.relay((0, 4), 3, knock());
    assert_eq!(cloud.take(again), [relayed(4, knock())], "not to the node that is gone");
    cloud.nodes[2] = Some(Server::new(ServerConfig::default(), [8; 32], cloud.now));
    cloud.connect(2);
    cloud.settle();
    let again = (2, 1);
    cloud.client(again);
    assert!(cloud.join(again).2.contains(&peer(2)));
    cloud.relay(again, 2, knock());
    assert_eq!(cloud.take(b).last(), Some(&relayed(1, knock())));
}

#[test]
fn without_a_bus_each_node_serves_its_own_and_when_it_is_back_they_find_each_other() {
    let mut cloud = cloud();
    cloud.cut();
    let (a, b, local) = ((0, 1), (1, 2), (0, 3));
    [a, b, local].into_iter().for_each(|at| cloud.client(at));
    assert_eq!(cloud.join(a), (0, 1, vec![]));
    assert_eq!(cloud.join(local), (0, 2, vec![peer(1)]), "at once");
    assert_eq!(cloud.join(b), (0, 1, vec![]));
    cloud.relay(local, 1, knock());
    assert_eq!(cloud.take(a), [relayed(3, knock())]);
    cloud.open((2, 4), "8.8.4.1", JSON);
    assert!(cloud.torrent((2, 4), 5, 0)[0].contains("\"interval\":30"), "back soon");
    cloud.pass(Duration::from_secs(60));
    assert!(!cloud.bus(0).up && cloud.bus(0).nodes == 0);
    assert_eq!(cloud.closed, BTreeMap::new(), "nobody is sent away");

    cloud.mend();
    cloud.pass(Duration::from_secs(20));
    assert!(cloud.peers(a).2.contains(&peer(2)), "without asking again");
    assert_eq!(cloud.peers(b).2.len(), 2);
    cloud.relay(b, 1, knock());
    assert_eq!(cloud.take(a), [relayed(2, knock())]);
    assert!(cloud.torrent((2, 4), 5, 0)[0].contains("\"interval\":120"));
    let before = cloud.bus(0).said;
    cloud.pass(Duration::from_secs(60));
    assert!(cloud.bus(0).said - before < 40, "signs of life only");
}

#[test]
fn a_bus_that_hangs_costs_a_quarter_of_a_second_and_then_nothing() {
    let mut cloud = cloud();
    let (a, b) = ((0, 1), (0, 2));
    cloud.client(a);
    cloud.client(b);
    cloud.settle();
    cloud.up = false;
    cloud.announce(a, TOPIC, false);
    assert_eq!(cloud.take(a), []);
    cloud.pass(Duration::from_millis(250));
    assert_eq!(cloud.peers(a), (0, 1, vec![]));
    assert_eq!(cloud.bus(0).late, 1);
    // After four beats that nobody has heard there is nobody to wait for.
    cloud.pass(Duration::from_secs(9));
    cloud.announce(b, TOPIC, false);
    assert_eq!(cloud.peers(b), (0, 2, vec![peer(1)]));
    // Who leaves while waiting is not answered, and nothing is left of it.
    cloud.up = true;
    cloud.pass(Duration::from_secs(3));
    let c = (0, 3);
    cloud.client(c);
    cloud.announce(c, Topic([9; 32]), false);
    cloud.handle(0, ServerInput::Closed { conn: ConnId(3) });
    cloud.settle();
    assert_eq!(cloud.take(c), []);
    assert_eq!(cloud.nodes[0].as_ref().unwrap().cluster.as_ref().unwrap().shelves.len(), 1);
}

#[test]
fn who_drains_is_named_to_nobody_and_says_goodbye() {
    let mut cloud = cloud();
    let (a, b) = ((0, 1), (1, 2));
    cloud.client(a);
    cloud.client(b);
    cloud.join(a);
    cloud.handle(0, ServerInput::Drain { spread: Duration::from_secs(8) });
    cloud.settle();
    assert!(matches!(cloud.take(a)[..], [ToClient::GoAway { .. }]));
    assert_eq!(cloud.join(b), (0, 1, vec![]));
    assert_eq!(cloud.bus(1).nodes, 2, "signals still reach it");
    cloud.handle(0, ServerInput::Closed { conn: ConnId(1) });
    cloud.settle();
    assert_eq!((cloud.bus(1).nodes, cloud.kept.len()), (1, 1));
    let again = (2, 1);
    cloud.client(again);
    assert_eq!(cloud.join(again), (0, 2, vec![peer(2)]));
}

#[test]
fn a_peer_that_comes_to_another_node_leaves_nothing_behind() {
    let mut cloud = cloud();
    let (old, new, other) = ((0, 1), (1, 1), (2, 2));
    cloud.client(old);
    cloud.client(other);
    cloud.join(old);
    cloud.join(other);
    cloud.relay(other, 1, knock());
    assert_eq!(cloud.take(old).len(), 1);
    cloud.client(new);
    cloud.settle();
    assert_eq!(cloud.closed.get(&old), Some(&CloseReason::Replaced));
    assert_eq!(cloud.join(new).1, 2);
    // It is found where it is now.
    cloud.relay(other, 1, knock());
    assert_eq!(cloud.take(new), [relayed(2, knock())]);
}

#[test]
fn who_was_let_in_is_let_in_elsewhere_although_the_token_has_expired() {
    const NOON: u64 = 1_700_000_000;
    const SECRET: &[u8] = b"a secret of sixteen";
    const SITE: &str = "https://site.example";
    let mut cloud = cloud();
    let mut config = ServerConfig::default();
    config.tokens.keys.secrets = vec![SECRET.to_vec()];
    let start = |cloud: &mut Cloud, node: usize, unix_s| {
        let server = Server::new(config.clone(), [u8::try_from(node).unwrap(); 32], cloud.now);
        cloud.nodes[node] = Some(server);
        cloud.handle(node, ServerInput::Clock { unix_s });
        cloud.connect(node);
        cloud.settle();
    };
    (0..3).for_each(|node| start(&mut cloud, node, NOON));
    let claims = Claims { site: SITE.to_string(), expires_s: NOON + 60, ..Claims::default() };
    let token = Minter::Secret(SECRET).mint(&claims);
    let enters = |cloud: &mut Cloud, at: At, who: u64| {
        let (conn, address, origin) = (ConnId(at.1), "8.8.1.1".parse().ok(), Some(SITE));
        cloud.handle(at.0, ServerInput::Opened { conn, address, dialect: BINARY, origin });
        cloud.greet(at, who, &token);
        cloud.settle();
        matches!(cloud.take(at)[..], [ToClient::Welcome { .. }])
    };
    let tell_time = |cloud: &mut Cloud, unix_s| {
        (0..3).for_each(|node| cloud.handle(node, ServerInput::Clock { unix_s }));
    };
    assert!(enters(&mut cloud, (0, 1), 1));
    tell_time(&mut cloud, NOON + 7200);
    assert!(!enters(&mut cloud, (1, 2), 2), "somebody else");
    // One node starts again and learns of it from the first, which then dies.
    start(&mut cloud, 2, NOON + 7200);
    cloud.nodes[0] = None;
    cloud.pass(Duration::from_secs(10));
    tell_time(&mut cloud, NOON + 7300);
    assert!(enters(&mut cloud, (2, 3), 1));
    // It leaves, and its hour begins everywhere.
    cloud.handle(2, ServerInput::Closed { conn: ConnId(3) });
    cloud.settle();
    tell_time(&mut cloud, NOON + 7300 + 3601);
    assert!(!enters(&mut cloud, (1, 4), 1), "too late");
}

#[test]
fn candidates_are_judged_by_both_nodes() {
    let mut cloud = cloud();
    let (a, stranger, neighbour) = ((0, 1), (1, 2), (2, 3));
    cloud.client_from(a, "8.8.1.1");
    cloud.client_from(stranger, "8.8.2.1");
    cloud.client_from(neighbour, "8.8.1.1");
    [a, stranger, neighbour].into_iter().for_each(|at| drop(cloud.join(at)));
    cloud.relay(stranger, 1, knock());
    cloud.relay(neighbour, 1, knock());
    for (to, at, local) in [(2, stranger, false), (3, neighbour, true)] {
        cloud.take(at);
        cloud.relay(a, to, candidate([8, 8, 1, 1]));
        cloud.relay(a, to, candidate([9, 9, 9, 9]));
        cloud.relay(a, to, candidate([192, 168, 1, 7]));
        cloud.relay(a, to, candidate([127, 0, 0, 1]));
        assert_eq!(cloud.take(at).len(), 1 + usize::from(local), "{to}");
    }
}

#[test]
fn each_client_is_limited_where_it_is_connected() {
    let mut cloud = cloud();
    let (a, b) = ((0, 1), (1, 2));
    cloud.client(a);
    cloud.client(b);
    cloud.join(a);
    cloud.join(b);
    let knocks = ServerConfig::default().knocks.burst;
    (0..knocks).for_each(|_| cloud.relay(b, 1, knock()));
    assert_eq!(cloud.take(a).len(), knocks as usize);
    cloud.relay(b, 1, knock());
    assert!(matches!(cloud.take(b)[..], [ToClient::Refused { reason: Refusal::Rate, .. }]));
    // Somebody who is in no swarm with it cannot reach it, whatever its node says.
    cloud.pass(Duration::from_secs(60));
    let word = |via| Word::Relay { from: peer(2), address: None, to: peer(1), via, signals: vec![knock()] };
    for (via, heard) in [(Topic([2; 32]), 0), (TOPIC, 1)] {
        let bytes = said(1, &word(via).encode());
        cloud.handle(0, ServerInput::Bus(BusNews::Heard { bytes: &bytes }));
        assert_eq!(cloud.take(a).len(), heard);
    }
}

#[test]
fn an_attempt_that_is_too_much_ends_on_both_nodes() {
    let one = Rate { per_minute: 60, burst: 1 };
    let mut cloud = cloud_of(&ServerConfig { introductions: one, offers: one, ..ServerConfig::default() });
    let (a, b, c) = ((0, 1), (1, 2), (2, 3));
    for at in [a, b, c] {
        cloud.client(at);
        cloud.join(at);
    }
    let declined =
        |from| [ToClient::Relayed { from: peer(from), signals: vec![Signal::Decline { attempt: 1 }] }];
    cloud.relay(b, 1, knock());
    assert_eq!(cloud.take(a).len(), 1);
    cloud.relay(c, 1, knock());
    assert_eq!((cloud.take(a), cloud.take(c)), (vec![], declined(1).to_vec()), "a target that others call");
    cloud.relay(a, 2, offer());
    assert!(matches!(&cloud.take(b)[..], [ToClient::Relayed { .. }]));
    cloud.relay(a, 2, offer());
    assert_eq!(
        (cloud.take(a), cloud.take(b)),
        (declined(2).to_vec(), declined(1).to_vec()),
        "an offer too many"
    );
}

#[test]
fn a_large_swarm_is_kept_once_a_second() {
    let mut cloud = cloud();
    let before = cloud.keeps;
    for number in 1..=200 {
        cloud.client((0, number));
        cloud.join((0, number));
    }
    let at_once = cloud.keeps - before;
    assert_eq!(at_once, 24, "as long as a digest names all");
    cloud.pass(Duration::from_secs(5));
    assert_eq!(cloud.keeps - before, at_once + 1, "once for all that have come since");
    // The others name some of them, and of their own all.
    cloud.client((1, 201));
    cloud.client((1, 202));
    assert_eq!(cloud.join((1, 201)).2.len(), 12);
    let (_, leeches, named) = cloud.join((1, 202));
    assert!(leeches == 202 && named.contains(&peer(201)) && named.len() == 12, "{leeches} {named:?}");
    assert_eq!(Digest::decode(&cloud.kept[&(SwarmId::Topic(TOPIC), node_id(0))].1).unwrap().sample.len(), 24);
}

proptest! {
    #[test]
    fn whatever_comes_over_the_bus_harms_nothing(
        noise in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..20),
    ) {
        let mut cloud = cloud();
        let a = (0, 1);
        cloud.client(a);
        cloud.join(a);
        for bytes in noise {
            let hash = InfoHash([bytes.first().copied().unwrap_or(0); 20]);
            for swarm in [SwarmId::Topic(TOPIC), SwarmId::InfoHash(hash)] {
                let digests = vec![(node_id(1), bytes.clone())];
                cloud.handle(0, ServerInput::Bus(BusNews::Found { swarm, question: 9, digests }));
            }
            // Sound up to what is said.
            let bytes = said(1, &bytes);
            cloud.handle(0, ServerInput::Bus(BusNews::Heard { bytes: &bytes }));
            cloud.settle();
        }
        cloud.pass(Duration::from_secs(60));
        prop_assert_eq!(cloud.closed, BTreeMap::new());
    }
}
