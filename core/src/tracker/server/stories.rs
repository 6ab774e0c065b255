//! Stories of the tracker, told in bytes: what clients send and what comes back, by the clock of the test.

mod crowds;

use super::token::{Claims, Minter};
use super::*;
use crate::config::SIGNAL_BYTES_MAX;
use crate::content::topic_of;
use crate::id::{ContentId, Fingerprint, Topic};
use crate::tracker::challenge_bytes;
use crate::wire::{
    Address, CandidateKind, Description, PeerView, Role, Signal, Signature, ToTracker, VERSION,
};
use alloc::collections::BTreeSet;
use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;
use std::format;
use std::string::{String, ToString};
use std::vec;

const T1: Topic = Topic([1; 32]);
/// The page of every client here.
const SITE: &str = "https://site.example";
const T2: Topic = Topic([2; 32]);

/// A server and what its clients have been sent.
struct World {
    server: Server,
    now: Instant,
    sent: BTreeMap<ConnId, Vec<ToClient>>,
    closed: BTreeMap<ConnId, CloseReason>,
}

fn world(change: impl FnOnce(&mut ServerConfig)) -> World {
    let mut config = ServerConfig::default();
    change(&mut config);
    let server = Server::new(config, [7; 32], Instant::ZERO);
    World { server, now: Instant::ZERO, sent: BTreeMap::new(), closed: BTreeMap::new() }
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn peer(number: u8) -> PeerId {
    PeerId(key(number).verifying_key().to_bytes())
}

fn hello(number: u8, nonce: &[u8; 32], token: &str) -> ToTracker {
    let peer = peer(number);
    let signature = key(number).sign(&challenge_bytes(nonce, &peer));
    let signature = Signature(*signature.r_bytes(), *signature.s_bytes());
    ToTracker::Hello { version: VERSION, features: 0, peer, signature, token: token.to_string() }
}

fn announce(topic: Topic, want: u8) -> ToTracker {
    ToTracker::Announce { topic, complete: false, want }
}

fn knock(to: PeerId, topic: Topic) -> ToTracker {
    ToTracker::Relay { to, signals: vec![Signal::Knock { attempt: 1, topic }] }
}

fn offer(topic: Topic) -> Signal {
    let (ufrag, pwd) = ("abcd".to_string(), "abcdefghijklmnopqrstuv".to_string());
    let description = Description { ufrag, pwd, fingerprint: Fingerprint([3; 32]), role: Role::Actpass };
    Signal::Offer { attempt: 1, topic, description }
}

fn candidate(octets: [u8; 4]) -> Signal {
    let address = Address::V4(octets);
    let candidate = Candidate { address, port: 50_000, kind: CandidateKind::Host, priority: 1 };
    Signal::Candidate { attempt: 1, candidate }
}

impl World {
    fn handle(&mut self, input: ServerInput<'_>) {
        self.server.handle(self.now, input);
        while let Some(action) = self.server.poll_action() {
            match action {
                ServerAction::Send { conn, bytes } => {
                    self.sent.entry(conn).or_default().extend(ToClient::read(&bytes).unwrap());
                }
                ServerAction::Bus(order) => panic!("there is no other node: {order:?}"),
                ServerAction::Close { conn, reason } => {
                    assert_eq!(self.closed.insert(conn, reason), None, "closed twice");
                }
            }
        }
    }

    fn open(&mut self, number: u64, address: &str) -> ConnId {
        let conn = ConnId(number);
        let (address, dialect) = (address.parse().ok(), Dialect::Swarmlet);
        self.handle(ServerInput::Opened { conn, address, dialect, origin: Some(SITE) });
        conn
    }

    fn say(&mut self, conn: ConnId, message: &ToTracker) -> Vec<ToClient> {
        self.bytes(conn, &message.encode())
    }

    fn bytes(&mut self, conn: ConnId, bytes: &[u8]) -> Vec<ToClient> {
        self.handle(ServerInput::Received { conn, bytes });
        self.take(conn)
    }

    fn take(&mut self, conn: ConnId) -> Vec<ToClient> {
        self.sent.remove(&conn).unwrap_or_default()
    }

    fn nonce(&mut self, conn: ConnId) -> [u8; 32] {
        match self.take(conn)[..] {
            [ToClient::Challenge { nonce }] => nonce,
            ref other => panic!("{other:?}"),
        }
    }

    /// Client `number`, welcomed, from a stranger's address.
    fn client(&mut self, number: u8) -> ConnId {
        self.client_at(number, &format!("8.8.{number}.1"))
    }

    fn client_at(&mut self, number: u8, address: &str) -> ConnId {
        let conn = self.open(u64::from(number), address);
        let nonce = self.nonce(conn);
        let answer = self.say(conn, &hello(number, &nonce, ""));
        assert_eq!(answer, [ToClient::Welcome { version: VERSION, features: 0 }]);
        conn
    }

    fn later(&mut self, span: Duration) {
        self.now = self.now + span;
    }
}

fn refused(reason: Refusal) -> ToClient {
    ToClient::Refused { reason, retry_ms: 0 }
}

#[test]
fn two_find_each_other_and_signal() {
    let mut w = world(|_| {});
    let (a, b) = (w.client(1), w.client(2));
    let peers = vec![];
    assert_eq!(w.say(a, &announce(T1, 12)), [ToClient::Peers { topic: T1, seeds: 0, leeches: 1, peers }]);
    let peers = vec![PeerView { peer: peer(1), complete: false }];
    assert_eq!(w.say(b, &announce(T1, 12)), [ToClient::Peers { topic: T1, seeds: 0, leeches: 2, peers }]);
    assert_eq!(w.take(a), [], "nobody is told of a newcomer");
    for signal in [Signal::Knock { attempt: 1, topic: T1 }, offer(T1), candidate([8, 8, 2, 1])] {
        assert_eq!(w.say(b, &ToTracker::Relay { to: peer(1), signals: vec![signal.clone()] }), []);
        assert_eq!(w.take(a), [ToClient::Relayed { from: peer(2), signals: vec![signal] }]);
    }
    let snapshot = w.server.snapshot();
    assert_eq!(
        (snapshot.connections, snapshot.peers, snapshot.memberships, snapshot.relays.iter().sum()),
        (2, 2, 2, 3_u64)
    );
}

#[test]
fn membership_ends_with_leave_and_with_the_connection() {
    let mut w = world(|_| {});
    let (a, b) = (w.client(1), w.client(2));
    w.say(a, &announce(T1, 0));
    w.say(a, &announce(T2, 0));
    w.say(b, &announce(T1, 0));
    assert_eq!(w.say(b, &ToTracker::Leave { topic: T1 }), []);
    assert_eq!(w.say(b, &ToTracker::Leave { topic: T2 }), [], "leaving what one is not in");
    assert_eq!(w.server.snapshot().memberships, 2);
    w.handle(ServerInput::Closed { conn: a });
    w.handle(ServerInput::Closed { conn: a });
    let snapshot = w.server.snapshot();
    assert_eq!((snapshot.connections, snapshot.peers, snapshot.swarms, snapshot.memberships), (1, 1, 0, 0));
    assert_eq!(w.say(b, &knock(peer(1), T1)), [ToClient::Absent { peer: peer(1) }]);
    assert_eq!(w.bytes(a, &announce(T1, 0).encode()), [], "late bytes of a dead connection");
}

#[test]
fn a_seed_is_told_of_no_seeds() {
    let mut w = world(|_| {});
    let (a, b, c) = (w.client(1), w.client(2), w.client(3));
    let seed = ToTracker::Announce { topic: T1, complete: true, want: 12 };
    w.say(a, &seed);
    w.say(c, &announce(T1, 12));
    let view = |number, complete| PeerView { peer: peer(number), complete };
    let answer = |seeds, leeches, peers| [ToClient::Peers { topic: T1, seeds, leeches, peers }];
    assert_eq!(w.say(b, &seed), answer(2, 1, vec![view(3, false)]));
    w.say(c, &seed);
    assert_eq!(w.say(b, &seed), answer(3, 0, vec![]));
    w.say(a, &announce(T1, 0));
    assert_eq!(w.say(b, &seed), answer(2, 1, vec![view(1, false)]));
}

#[test]
fn the_first_message_must_prove_the_key() {
    let wrong_key = |nonce: &[u8; 32]| match hello(1, nonce, "") {
        ToTracker::Hello { version, features, signature, token, .. } => {
            ToTracker::Hello { version, features, peer: peer(2), signature, token }
        }
        other => other,
    };
    let old_version = |nonce: &[u8; 32]| match hello(1, nonce, "") {
        ToTracker::Hello { features, peer, signature, token, .. } => {
            ToTracker::Hello { version: 2, features, peer, signature, token }
        }
        other => other,
    };
    type Forge<'a> = &'a dyn Fn(&[u8; 32]) -> ToTracker;
    let cases: [(Forge<'_>, Option<Refusal>, CloseReason); 4] = [
        (&wrong_key, Some(Refusal::Identity), CloseReason::Denied),
        (&|_| hello(1, &[0; 32], ""), Some(Refusal::Identity), CloseReason::Denied),
        (&old_version, Some(Refusal::Version), CloseReason::Protocol),
        (&|_| announce(T1, 1), None, CloseReason::Protocol),
    ];
    let mut w = world(|_| {});
    for (number, (message, refusal, reason)) in (0..).zip(cases) {
        let conn = w.open(number, "8.8.8.8");
        let nonce = w.nonce(conn);
        assert_eq!(w.say(conn, &message(&nonce)), Vec::from_iter(refusal.map(refused)));
        assert_eq!(w.closed[&conn], reason);
    }
    assert_eq!(w.server.snapshot().connections, 0);
    let conn = w.client(9);
    let again = hello(9, &[0; 32], "");
    assert_eq!(w.say(conn, &again), [], "a second hello");
    assert_eq!(w.closed[&conn], CloseReason::Protocol);
}

#[test]
fn a_weak_key_proves_nothing() {
    let mut w = world(|_| {});
    let conn = w.open(1, "8.8.8.8");
    w.take(conn);
    // The neutral element signs everything, unless the check is strict.
    let mut point = [0; 32];
    point[0] = 1;
    let (peer, signature) = (PeerId(point), Signature(point, [0; 32]));
    let token = String::new();
    let hello = ToTracker::Hello { version: VERSION, features: 0, peer, signature, token };
    assert_eq!(w.say(conn, &hello), [refused(Refusal::Identity)]);
}

const SECRET: &[u8] = b"a secret of thirty-two characters";
const NOON: u64 = 1_763_700_000;

fn token(expires_s: u64, contents: Vec<ContentId>) -> String {
    let claims = Claims { site: SITE.to_string(), expires_s, contents, ..Claims::default() };
    Minter::Secret(SECRET).mint(&claims)
}

/// A server that asks for tokens and knows the time.
fn guarded(change: impl FnOnce(&mut ServerConfig)) -> World {
    let mut w = world(|config| {
        config.tokens.keys.secrets = vec![SECRET.to_vec()];
        change(config);
    });
    w.handle(ServerInput::Clock { unix_s: NOON });
    w
}

/// What the server answers to a first message with this token, on a connection of its own.
fn tried(w: &mut World, number: u8, token: &str) -> ToClient {
    let conn = w.open(number.into(), "8.8.8.8");
    let nonce = w.nonce(conn);
    let answers = w.say(conn, &hello(number, &nonce, token));
    answers.into_iter().next().unwrap()
}

const WELCOME: ToClient = ToClient::Welcome { version: VERSION, features: 0 };

#[test]
fn tokens_where_they_are_asked_for() {
    let mut w = guarded(|_| {});
    let good = token(NOON + 600, Vec::new());
    for (number, (token, fault)) in (1..).zip([
        (String::new(), TokenFault::Missing),
        ("right".to_string(), TokenFault::Malformed),
        (good.replacen('h', "e", 1), TokenFault::Seal),
        (token(NOON - 61, Vec::new()), TokenFault::Expired),
        (token(NOON + 661, Vec::new()), TokenFault::Lifetime),
    ]) {
        assert_eq!(tried(&mut w, number, &token), refused(Refusal::Token), "{fault:?}");
        assert_eq!(w.closed[&ConnId(number.into())], CloseReason::Denied);
        assert_eq!(w.server.snapshot().token_faults[fault as usize], 1);
    }
    assert_eq!(tried(&mut w, 20, &good), WELCOME);
    // The clock of the engine carries the wall clock on.
    w.now = w.now + Duration::from_secs(661);
    assert_eq!(tried(&mut w, 21, &good), refused(Refusal::Token));
    // The host's word counts more than that: clocks are set.
    w.handle(ServerInput::Clock { unix_s: NOON });
    assert_eq!(tried(&mut w, 22, &good), WELCOME);
}

#[test]
fn a_token_is_good_for_so_many_uses_and_no_more() {
    let mut w = guarded(|config| config.tokens.uses_max = 2);
    let (one, other) = (token(NOON + 60, Vec::new()), token(NOON + 61, Vec::new()));
    for (number, token, answer) in
        [(1, &one, WELCOME), (2, &one, WELCOME), (3, &one, refused(Refusal::Token)), (4, &other, WELCOME)]
    {
        assert_eq!(tried(&mut w, number, token), answer, "{number}");
    }
    assert_eq!(w.server.snapshot().token_faults[TokenFault::Spent as usize], 1);
}

#[test]
fn who_was_in_comes_back_with_a_token_that_has_expired_meanwhile() {
    let mut w = guarded(|config| config.tokens.uses_max = 1);
    let (ours, other) = (token(NOON + 60, Vec::new()), token(NOON + 61, Vec::new()));
    assert_eq!(tried(&mut w, 1, &ours), WELCOME);
    w.handle(ServerInput::Clock { unix_s: NOON + 7200 });
    w.handle(ServerInput::Closed { conn: ConnId(1) });
    assert_eq!(tried(&mut w, 2, &ours), refused(Refusal::Token), "another peer");
    let back = |w: &mut World, conn: u64, token: &str| {
        let conn = w.open(conn, "8.8.8.8");
        let nonce = w.nonce(conn);
        w.say(conn, &hello(1, &nonce, token)).into_iter().next().unwrap()
    };
    assert_eq!(back(&mut w, 10, &other), refused(Refusal::Token), "another token");
    assert_eq!(back(&mut w, 11, &ours), WELCOME);
    assert_eq!(back(&mut w, 12, &ours), WELCOME, "in place of itself");
    w.handle(ServerInput::Clock { unix_s: NOON + 20_000 });
    w.handle(ServerInput::Closed { conn: ConnId(12) });
    w.handle(ServerInput::Clock { unix_s: NOON + 20_000 + 3600 });
    assert_eq!(back(&mut w, 13, &ours), WELCOME, "an hour later");
    w.handle(ServerInput::Closed { conn: ConnId(13) });
    w.handle(ServerInput::Clock { unix_s: NOON + 20_000 + 7201 });
    assert_eq!(back(&mut w, 14, &ours), refused(Refusal::Token), "too late");
}

#[test]
fn without_a_clock_no_token_is_good() {
    let mut w = world(|config| config.tokens.keys.secrets = vec![SECRET.to_vec()]);
    assert_eq!(tried(&mut w, 1, &token(NOON, Vec::new())), refused(Refusal::Token));
    assert_eq!(w.server.snapshot().token_faults[TokenFault::Clock as usize], 1);
}

#[test]
fn swarms_that_are_not_served_are_refused() {
    let (ours, foreign) = (ContentId([1; 32]), ContentId([2; 32]));
    let (ours_topic, foreign_topic) = (topic_of(&ours), topic_of(&foreign));
    let mut w = guarded(|_| {});
    let conn = w.open(1, "8.8.8.8");
    let nonce = w.nonce(conn);
    assert_eq!(w.say(conn, &hello(1, &nonce, &token(NOON, vec![ours]))), [WELCOME]);
    assert!(matches!(w.say(conn, &announce(ours_topic, 0))[..], [ToClient::Peers { .. }]));
    assert_eq!(w.say(conn, &announce(foreign_topic, 0)), [refused(Refusal::Content)], "by the token");
    // A list comes in: who is in a swarm that is not on it, is not any more.
    let topics = BTreeSet::from([foreign_topic]);
    let served = Served::Only { topics, info_hashes: BTreeSet::new() };
    w.handle(ServerInput::Configure(Box::new(ServerConfig { served, ..ServerConfig::default() })));
    assert_eq!(w.sent.remove(&conn).unwrap(), [refused(Refusal::Content)]);
    assert_eq!(w.server.snapshot().memberships, 0);
    assert_eq!(w.say(conn, &announce(ours_topic, 0)), [refused(Refusal::Content)], "by the list");
}

#[test]
fn silence_is_closed_and_who_spoke_stays() {
    let mut w = world(|_| {});
    let silent = w.open(1, "8.8.8.8");
    w.later(Duration::from_secs(1));
    w.client(2);
    let gone = w.open(3, "8.8.8.8");
    w.handle(ServerInput::Closed { conn: gone });
    assert_eq!(w.server.poll_timeout(), Some(Instant::from_micros(15_000_000)));
    w.later(Duration::from_millis(13_999));
    w.handle(ServerInput::Timeout);
    assert_eq!(w.closed, BTreeMap::new());
    w.later(Duration::from_millis(1));
    w.handle(ServerInput::Timeout);
    assert_eq!(w.closed, BTreeMap::from([(silent, CloseReason::Deadline)]));
    assert_eq!(w.server.poll_timeout(), None);
}

#[test]
fn the_same_key_again_replaces_the_connection() {
    let mut w = world(|_| {});
    let old = w.client(1);
    w.say(old, &announce(T1, 0));
    let new = w.open(100, "8.8.8.8");
    let nonce = w.nonce(new);
    assert_eq!(w.say(new, &hello(1, &nonce, "")), [ToClient::Welcome { version: VERSION, features: 0 }]);
    assert_eq!((w.take(old), w.closed[&old]), (vec![refused(Refusal::Replaced)], CloseReason::Replaced));
    w.handle(ServerInput::Closed { conn: old });
    let snapshot = w.server.snapshot();
    assert_eq!((snapshot.connections, snapshot.peers, snapshot.swarms), (1, 1, 0));
}

#[test]
fn signals_pass_inside_a_swarm_only() {
    let mut w = world(|_| {});
    let (a, b, c) = (w.client(1), w.client(2), w.client(3));
    w.say(a, &announce(T1, 0));
    w.say(a, &announce(T2, 0));
    w.say(b, &announce(T1, 0));
    let decline = ToTracker::Relay { to: peer(1), signals: vec![Signal::Decline { attempt: 1 }] };
    let absent = |number| [ToClient::Absent { peer: peer(number) }];
    assert_eq!(w.say(c, &decline), absent(1), "no swarm in common");
    assert_eq!(w.say(b, &knock(peer(1), T2)), absent(1), "not in the swarm that is named");
    assert_eq!(w.say(b, &ToTracker::Relay { to: peer(1), signals: vec![offer(T2)] }), absent(1));
    assert_eq!(w.say(a, &knock(peer(2), T2)), absent(2), "the other is not in it");
    assert_eq!(w.say(a, &knock(peer(1), T1)), [refused(Refusal::Relay)], "to oneself");
    assert_eq!(w.say(a, &knock(peer(9), T1)), absent(9));
    assert_eq!(w.server.snapshot().refusals[Refusal::Relay as usize], 5);
    assert_eq!((w.take(a), w.take(b)), (vec![], vec![]));
    assert_eq!(w.say(b, &decline), []);
    assert_eq!(w.take(a).len(), 1);
}

#[test]
fn what_is_said_together_goes_together() {
    let mut w = world(|config| config.messages = Rate { per_minute: 60, burst: 5 });
    let (a, b) = (w.client(1), w.open(2, "9.9.9.9"));
    w.say(a, &announce(T1, 0));
    let nonce = w.nonce(b);
    let frame = [hello(2, &nonce, "").encode(), announce(T1, 12).encode()].concat();
    let sent = w.server.snapshot().messages_out;
    w.server.handle(w.now, ServerInput::Received { conn: b, bytes: &frame });
    let Some(ServerAction::Send { conn, bytes }) = w.server.poll_action() else { panic!("no answer") };
    assert!(matches!(
        ToClient::read(&bytes).unwrap()[..],
        [ToClient::Welcome { .. }, ToClient::Peers { .. }]
    ));
    assert_eq!((conn, w.server.poll_action(), w.server.snapshot().messages_out), (b, None, sent + 2));
    let own = |octets| vec![offer(T1), candidate(octets), candidate([9, 9, 9, 9])];
    let relay = |signals| ToTracker::Relay { to: peer(1), signals };
    assert_eq!(w.say(b, &relay(own([10, 0, 0, 1]))), []);
    let passed = vec![offer(T1), candidate([9, 9, 9, 9])];
    assert_eq!(w.take(a), [ToClient::Relayed { from: peer(2), signals: passed }], "all but a stranger's");
    assert_eq!(w.say(b, &relay(vec![candidate([10, 0, 0, 1])])), []);
    let absent = ToClient::Absent { peer: peer(1) };
    assert_eq!(w.say(b, &relay(vec![offer(T1), offer(T2)])), [absent], "all or nothing");
    assert_eq!(w.take(a), []);
    // Five were said at once or one by one: the sixth is one too many, and so is what is behind it.
    let knocks = [knock(peer(1), T1), knock(peer(1), T1)].map(|knock| knock.encode()).concat();
    let refusal = ToClient::Refused { reason: Refusal::Rate, retry_ms: 1000 };
    assert_eq!((w.bytes(b, &knocks), w.take(a)), (vec![refusal], vec![]));
}

#[test]
fn candidates_of_strangers_are_filtered() {
    let mut w = world(|_| {});
    let (a, _b) = (w.client_at(1, "8.8.8.8"), w.client_at(2, "9.9.9.9"));
    let (home, local) = (w.client_at(3, "8.8.8.8"), w.client_at(4, "192.168.1.4"));
    for conn in [a, ConnId(2), home, local] {
        w.say(conn, &announce(T1, 0));
    }
    let relay = |to, octets| ToTracker::Relay { to, signals: vec![candidate(octets)] };
    for (to, octets, passed) in [
        (2, [10, 0, 0, 1], false),
        (2, [127, 0, 0, 1], false),
        (2, [8, 8, 8, 8], true),
        (2, [1, 1, 1, 1], false),
        (3, [10, 0, 0, 1], true),
        (3, [127, 0, 0, 1], false),
        (4, [10, 0, 0, 1], true),
    ] {
        assert_eq!(w.say(a, &relay(peer(to), octets)), [], "dropped in silence or passed");
        assert_eq!(w.take(ConnId(u64::from(to))).len(), usize::from(passed), "{to} {octets:?}");
    }
    assert_eq!(w.server.snapshot().candidates_dropped, 4);
}

#[test]
fn too_many_messages_are_refused_then_closed() {
    let mut w = world(|config| config.messages = Rate { per_minute: 60, burst: 5 });
    let conn = w.client(1);
    for _ in 0..4 {
        assert!(matches!(w.say(conn, &announce(T1, 0))[..], [ToClient::Peers { .. }]));
    }
    for _ in 0..5 {
        let answer = w.say(conn, &announce(T1, 0));
        assert_eq!(answer, [ToClient::Refused { reason: Refusal::Rate, retry_ms: 1000 }]);
    }
    w.later(Duration::from_secs(1));
    assert!(matches!(w.say(conn, &announce(T1, 0))[..], [ToClient::Peers { .. }]), "who waits is served");
    w.say(conn, &announce(T1, 0));
    w.say(conn, &announce(T1, 0));
    assert_eq!(w.closed[&conn], CloseReason::Rate);
}

#[test]
fn a_hundred_cannot_flood_one() {
    let mut w = world(|_| {});
    let victim = w.client(200);
    w.say(victim, &announce(T1, 0));
    let mut declined = 0;
    for number in 1..=100 {
        let conn = w.client(number);
        w.say(conn, &announce(T1, 0));
        for _ in 0..3 {
            let answers = w.say(conn, &knock(peer(200), T1));
            assert!(answers.iter().all(|answer| *answer
                == ToClient::Relayed { from: peer(200), signals: vec![Signal::Decline { attempt: 1 }] }));
            declined += answers.len();
        }
    }
    assert_eq!((w.take(victim).len(), declined), (60, 240));
    // Whom it calls itself may answer, once.
    w.say(victim, &knock(peer(1), T1));
    w.take(ConnId(1));
    for _ in 0..2 {
        w.say(ConnId(1), &ToTracker::Relay { to: peer(200), signals: vec![offer(T1)] });
    }
    let offered = ToClient::Relayed { from: peer(1), signals: vec![offer(T1)] };
    assert_eq!(w.take(victim), [offered]);
    w.later(Duration::from_secs(10));
    for number in 1..=100 {
        w.say(ConnId(number), &knock(peer(200), T1));
    }
    assert_eq!(w.take(victim).len(), 10);
}

#[test]
fn one_cannot_knock_everywhere() {
    let mut w = world(|_| {});
    let conn = w.client(200);
    w.say(conn, &announce(T1, 0));
    for number in 1..=40 {
        let other = w.client(number);
        w.say(other, &announce(T1, 0));
        let refused = w.say(conn, &knock(peer(number), T1)).len();
        assert_eq!((w.take(other).len(), refused), if number <= 30 { (1, 0) } else { (0, 1) });
    }
}

#[test]
fn every_table_is_bounded() {
    let mut w = world(|config| {
        config.connections_max = 3;
        config.swarms_max = 3;
        config.memberships_max = 4;
        config.swarms_per_connection_max = 2;
    });
    let (a, b, c) = (w.client(1), w.client(2), w.client(3));
    let full = ToClient::Refused { reason: Refusal::Full, retry_ms: 30_000 };
    let d = w.open(4, "8.8.4.4");
    assert_eq!((w.take(d), w.closed[&d]), (vec![full], CloseReason::Full));
    let topic = |number| Topic([number; 32]);
    w.say(a, &announce(topic(1), 0));
    w.say(a, &announce(topic(2), 0));
    assert_eq!(w.say(a, &announce(topic(3), 0)), [refused(Refusal::Swarms)]);
    assert!(matches!(w.say(a, &announce(topic(1), 0))[..], [ToClient::Peers { .. }]), "an update is no join");
    w.say(b, &announce(topic(3), 0));
    let full = ToClient::Refused { reason: Refusal::Full, retry_ms: 60_000 };
    assert_eq!(w.say(b, &announce(topic(4), 0)), core::slice::from_ref(&full), "swarms");
    w.say(b, &announce(topic(1), 0));
    assert_eq!(w.say(c, &announce(topic(1), 0)), [full], "memberships");
    assert_eq!(w.server.snapshot().memberships, 4);
    w.handle(ServerInput::Closed { conn: b });
    assert!(matches!(w.say(c, &announce(topic(4), 0))[..], [ToClient::Peers { .. }]), "room again");
}

#[test]
fn connections_of_one_network_are_bounded() {
    let mut w = world(|config| config.connections_per_network_max = 2);
    let addresses = ["8.8.8.8", "::ffff:8.8.8.8", "8.8.8.8", "8.8.8.9", "2600::1", "2600::2", "2600::3"];
    for (number, address) in (0..).zip(addresses) {
        w.open(number, address);
    }
    for number in 20..40 {
        w.open(number, "127.0.0.1");
    }
    assert_eq!(w.closed.keys().map(|conn| conn.0).collect::<Vec<_>>(), [2, 6]);
    w.handle(ServerInput::Closed { conn: ConnId(0) });
    w.open(50, "8.8.8.8");
    assert!(!w.closed.contains_key(&ConnId(50)));
}

#[test]
fn malformed_bytes_close_their_sender_only() {
    let mut w = world(|_| {});
    let good = w.client(100);
    let mut extra = announce(T1, 1).encode();
    extra.push(0);
    let many = ToTracker::Announce { topic: T1, complete: false, want: 13 }.encode();
    let cases = [vec![], vec![9], vec![1, 1], many, vec![0xff; 100]];
    for (number, bytes) in (1..).zip(cases) {
        let conn = w.client(number);
        assert_eq!(w.bytes(conn, &bytes), [], "{bytes:?}");
        assert_eq!(w.closed[&conn], CloseReason::Malformed);
    }
    let conn = w.client(49);
    assert!(matches!(w.bytes(conn, &extra)[..], [ToClient::Peers { .. }]), "what is before it counts");
    assert_eq!(w.closed[&conn], CloseReason::Malformed);
    let conn = w.client(50);
    w.bytes(conn, &vec![0; SIGNAL_BYTES_MAX + 1]);
    assert_eq!(w.closed[&conn], CloseReason::Oversize);
    assert!(matches!(w.say(good, &announce(T1, 0))[..], [ToClient::Peers { .. }]));
}

#[test]
fn draining_says_so_waits_and_closes() {
    let mut w = world(|_| {});
    let (a, b) = (w.client(1), w.open(2, "8.8.8.8"));
    w.take(b);
    w.handle(ServerInput::Drain { spread: Duration::from_secs(3) });
    for conn in [a, b] {
        assert_eq!(w.take(conn), [ToClient::GoAway { spread_ms: 3000 }]);
    }
    let late = w.open(3, "8.8.8.8");
    assert_eq!((w.take(late), w.closed[&late]), (vec![], CloseReason::Draining));
    w.say(a, &announce(T1, 0));
    w.handle(ServerInput::Closed { conn: b });
    w.later(Duration::from_secs(3));
    assert_eq!(w.server.poll_timeout(), Some(w.now));
    w.handle(ServerInput::Timeout);
    assert_eq!(w.closed[&a], CloseReason::Draining);
    assert_eq!((w.server.snapshot().connections, w.server.poll_timeout()), (0, None));
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let run = || {
        let mut w = world(|_| {});
        (1..60)
            .map(|number| (w.client(number), w.say(ConnId(u64::from(number)), &announce(T1, 12))))
            .collect()
    };
    let (first, second): (Vec<_>, Vec<_>) = (run(), run());
    assert_eq!(first, second);
}

/// What an attacker may say, in forms that get past the decoder.
fn anything() -> impl Strategy<Value = ToTracker> {
    let topic = (0u8..4).prop_map(|number| Topic([number; 32]));
    let to = (1u8..8).prop_map(peer);
    let signal = prop_oneof![
        topic.clone().prop_map(|topic| Signal::Knock { attempt: 0, topic }),
        topic.clone().prop_map(offer),
        any::<[u8; 4]>().prop_map(candidate),
        Just(Signal::Decline { attempt: 0 }),
    ];
    prop_oneof![
        (topic.clone(), any::<bool>(), 0u8..=12).prop_map(|(topic, complete, want)| ToTracker::Announce {
            topic,
            complete,
            want
        }),
        topic.prop_map(|topic| ToTracker::Leave { topic }),
        (to, proptest::collection::vec(signal, 1..4))
            .prop_map(|(to, signals)| ToTracker::Relay { to, signals }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever says whatever: others get no more messages than were sent to us, and few more bytes.
    #[test]
    fn nothing_is_amplified(script in proptest::collection::vec((1u8..8, anything(), 0u64..200_000), 1..200)) {
        let mut w = world(|_| {});
        let conns: Vec<ConnId> = (1..8).map(|number| w.client(number)).collect();
        let (mut bytes_in, mut bytes_out) = (0, 0);
        for (who, message, pause) in script {
            w.later(Duration::from_micros(pause));
            let (conn, bytes) = (ConnId(u64::from(who)), message.encode());
            bytes_in += bytes.len();
            w.bytes(conn, &bytes);
            let others: Vec<ToClient> = conns.iter().flat_map(|conn| w.take(*conn)).collect();
            prop_assert!(others.len() <= 1);
            bytes_out += others.iter().map(|message| message.encode().len()).sum::<usize>();
        }
        prop_assert!(bytes_out <= bytes_in, "{bytes_out} of {bytes_in}");
        for conn in conns {
            w.handle(ServerInput::Closed { conn });
        }
        let end = w.server.snapshot();
        prop_assert_eq!((end.connections, end.peers, end.swarms, end.memberships), (0, 0, 0, 0));
        prop_assert!(w.server.networks.is_empty());
    }

    /// Random bytes are survived.
    #[test]
    fn noise_is_harmless(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut w = world(|_| {});
        let (raw, member) = (w.open(1, "8.8.8.8"), w.client(2));
        w.bytes(raw, &noise);
        w.bytes(member, &noise);
    }
}
