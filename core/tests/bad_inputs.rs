//! Bad inputs by name, in both dialects: what each of them gets, and that nobody else notices.
#![allow(missing_docs, clippy::unwrap_used, clippy::std_instead_of_alloc, clippy::std_instead_of_core)]

use std::collections::BTreeMap;
use swarmlet_core::keys::Key;
use swarmlet_core::tracker::server::{CloseReason, ConnId, Dialect, ServerAction, ServerConfig, ServerInput};
use swarmlet_core::tracker::{Server, challenge_bytes};
use swarmlet_core::wire::{
    Address, Candidate, CandidateKind, Description, Role, Signal, Signature, ToClient, ToTracker, VERSION,
};
use swarmlet_core::{Fingerprint, Instant, PeerId, Topic};

/// What comes of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// The connection is closed.
    Closed(CloseReason),
    /// A refusal with this word, and the connection stays.
    Refused(&'static str),
    /// No answer, and the connection stays.
    Ignored,
}

use End::{Closed, Ignored, Refused};

struct Case {
    name: String,
    dialect: Dialect,
    bytes: Vec<u8>,
    end: End,
}

fn case(name: impl Into<String>, dialect: Dialect, bytes: impl Into<Vec<u8>>, end: End) -> Case {
    Case { name: name.into(), dialect, bytes: bytes.into(), end }
}

const SWARM: &str = "swarm_of_this_test_1";
const PEER: &str = "-WW0302-abcdefghijkl";
const OTHER: &str = "-WW0302-otheroneelse";
const OFFER: &str = "offer_01234567890123";
const SDP: &str = "v=0\\r\\no=- 1 2 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\\r\\n\
    c=IN IP4 0.0.0.0\\r\\na=ice-ufrag:abcd\\r\\na=ice-pwd:abcdefghijklmnopqrstuv\\r\\n\
    a=fingerprint:sha-256 00:11\\r\\na=setup:actpass\\r\\na=mid:0\\r\\na=sctp-port:5000\\r\\n";
const TOPIC: Topic = Topic([5; 32]);

/// Fields of an announce, as JSON.
fn announce() -> Vec<(&'static str, String)> {
    vec![
        ("action", "\"announce\"".to_owned()),
        ("info_hash", format!("\"{SWARM}\"")),
        ("peer_id", format!("\"{PEER}\"")),
        ("left", "1".to_owned()),
        ("event", "\"started\"".to_owned()),
        ("offers", format!("[{}]", offer(SDP))),
    ]
}

fn answer() -> Vec<(&'static str, String)> {
    vec![
        ("action", "\"announce\"".to_owned()),
        ("info_hash", format!("\"{SWARM}\"")),
        ("peer_id", format!("\"{PEER}\"")),
        ("to_peer_id", format!("\"{OTHER}\"")),
        ("offer_id", format!("\"{OFFER}\"")),
        ("answer", format!("{{\"type\":\"answer\",\"sdp\":\"{SDP}\"}}")),
    ]
}

fn offer(sdp: &str) -> String {
    format!("{{\"offer\":{{\"type\":\"offer\",\"sdp\":\"{sdp}\"}},\"offer_id\":\"{OFFER}\"}}")
}

fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn with(mut fields: Vec<(&'static str, String)>, key: &str, value: &str) -> String {
    fields.iter_mut().filter(|(name, _)| *name == key).for_each(|(_, old)| value.clone_into(old));
    object(&fields)
}

fn without(mut fields: Vec<(&'static str, String)>, key: &str) -> String {
    fields.retain(|(name, _)| *name != key);
    object(&fields)
}

fn twice(mut fields: Vec<(&'static str, String)>, key: &str) -> String {
    let again: Vec<_> = fields.iter().filter(|(name, _)| *name == key).cloned().collect();
    fields.extend(again);
    object(&fields)
}

/// Values that no binary string of 20 may have.
fn not_ids() -> Vec<(&'static str, String)> {
    vec![
        ("null", "null".to_owned()),
        ("a number", "12345678901234567890".to_owned()),
        ("an object", "{}".to_owned()),
        ("true", "true".to_owned()),
        ("empty", "\"\"".to_owned()),
        ("19 characters", format!("\"{}\"", "x".repeat(19))),
        ("21 characters", format!("\"{}\"", "x".repeat(21))),
        ("40 digits", format!("\"{}\"", "ab".repeat(20))),
        ("a wide character", format!("\"Ā{}\"", "x".repeat(19))),
        ("a wide escape", format!("\"\\u0100{}\"", "x".repeat(19))),
        ("half a pair", format!("\"\\ud800{}\"", "x".repeat(19))),
        ("an unsound escape", format!("\"\\x{}\"", "x".repeat(19))),
        ("a raw control", format!("\"\u{1}{}\"", "x".repeat(19))),
    ]
}

fn json() -> Vec<Case> {
    let webtorrent = Dialect::WebTorrent;
    let mut cases = Vec::new();
    let mut malformed = |name: String, text: String| {
        cases.push(case(name, webtorrent, text, Refused("malformed")));
    };
    for (name, text) in [
        ("nothing", ""),
        ("blanks", "   "),
        ("a list", "[]"),
        ("a word", "null"),
        ("a number", "7"),
        ("open object", "{"),
        ("no value", "{\"action\"}"),
        ("trailing comma", "{\"action\":\"scrape\",}"),
        ("two objects", "{}{}"),
        ("single quotes", "{'action':'scrape'}"),
        ("bare key", "{action:\"scrape\"}"),
        ("a comment", "{}//"),
        ("byte order mark", "\u{feff}{}"),
        ("NaN", "{\"left\":NaN}"),
        ("infinity", "{\"left\":Infinity}"),
        ("leading zero", "{\"left\":01}"),
        ("plus", "{\"left\":+1}"),
        ("hexadecimal", "{\"left\":0x1}"),
        ("empty object", "{}"),
        ("scrape of all", "{\"action\":\"scrape\"}"),
        ("scrape of none", "{\"action\":\"scrape\",\"info_hash\":[]}"),
        ("scrape of a number", "{\"action\":\"scrape\",\"info_hash\":[1]}"),
    ] {
        malformed(format!("JSON: {name}"), text.to_owned());
    }
    for key in ["action", "info_hash", "peer_id"] {
        malformed(format!("announce without {key}"), without(announce(), key));
    }
    for key in ["action", "peer_id", "event", "info_hash"] {
        malformed(format!("announce with {key} twice"), twice(announce(), key));
    }
    for key in ["to_peer_id", "offer_id", "peer_id", "info_hash"] {
        malformed(format!("answer without {key}"), without(answer(), key));
    }
    for (kind, value) in not_ids() {
        for key in ["info_hash", "peer_id"] {
            malformed(format!("announce: {key} is {kind}"), with(announce(), key, &value));
        }
        for key in ["to_peer_id", "offer_id"] {
            malformed(format!("answer: {key} is {kind}"), with(answer(), key, &value));
        }
        let offers = format!("[{}]", offer(SDP).replace(&format!("\"{OFFER}\""), &value));
        malformed(format!("offer: offer_id is {kind}"), with(announce(), "offers", &offers));
    }
    for (kind, value) in [
        ("a number", "[1]"),
        ("empty", "[{}]"),
        ("without a description", "[{\"offer_id\":\"offer_01234567890123\"}]"),
        ("an empty description", "[{\"offer\":{},\"offer_id\":\"offer_01234567890123\"}]"),
        ("null", "[null]"),
        ("a list", "[[]]"),
    ] {
        malformed(format!("offer is {kind}"), with(announce(), "offers", value));
    }
    malformed(
        "offer of type answer".to_owned(),
        object(&announce()).replace("\"type\":\"offer\"", "\"type\":\"answer\""),
    );
    malformed("offer without type".to_owned(), object(&announce()).replace("\"type\":\"offer\",", ""));
    malformed(
        "answer of type offer".to_owned(),
        object(&answer()).replace("\"type\":\"answer\"", "\"type\":\"offer\""),
    );
    malformed("answer is a text".to_owned(), with(answer(), "answer", "\"sdp\""));
    for value in ["\"launched\"", "\"STARTED\"", "\"start\""] {
        malformed(format!("event {value}"), with(announce(), "event", value));
    }
    for value in ["\"Announce\"", "\"connect\"", "\"\"", "null", "1"] {
        malformed(format!("action {value}"), with(announce(), "action", value));
    }
    cases.push(case("bytes that are no UTF-8", webtorrent, vec![b'{', 0xff, b'}'], Refused("malformed")));
    cases.push(case(
        "deep lists",
        webtorrent,
        format!("{{\"x\":{}}}", "[".repeat(5000)),
        Refused("too much"),
    ));
    let many = vec![format!("\"{SWARM}\""); 51].join(",");
    let many = format!("{{\"action\":\"scrape\",\"info_hash\":[{many}]}}");
    cases.push(case("scrape of 51", webtorrent, many, Refused("too much")));
    cases.push(case("40 KB", webtorrent, " ".repeat(40_000), Closed(CloseReason::Oversize)));
    let long = format!("[{}]", offer(&"x".repeat(8193)));
    cases.push(case(
        "a description of 8 KB",
        webtorrent,
        with(announce(), "offers", &long),
        Refused("too much"),
    ));
    let stranger = with(announce(), "peer_id", &format!("\"{OTHER}\""));
    cases.push(case("another name in the same swarm", webtorrent, stranger, Refused("one peer_id")));
    cases.push(case("an answer to no offer", webtorrent, object(&answer()), Ignored));
    cases
}

fn descriptions() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut bad = |name: String, sdp: String| {
        let text = with(announce(), "offers", &format!("[{}]", offer(&sdp)));
        cases.push(case(name, Dialect::WebTorrent, text, Refused("description")));
    };
    for start in ["v=", "m=", "a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"] {
        let lines: Vec<&str> = SDP.split("\\r\\n").filter(|line| !line.starts_with(start)).collect();
        bad(format!("SDP without {start}"), lines.join("\\r\\n"));
        if start != "v=" {
            let again = SDP.split("\\r\\n").find(|line| line.starts_with(start)).unwrap();
            bad(format!("SDP with {start} twice"), format!("{SDP}{again}\\r\\n"));
        }
    }
    for (name, from, to) in [
        ("audio", "m=application", "m=audio"),
        ("a second medium", "a=mid:0", "m=video 9 UDP/TLS/RTP/SAVPF 96"),
        ("no SCTP", "UDP/DTLS/SCTP", "UDP/TLS/RTP"),
        ("a short ufrag", "ufrag:abcd", "ufrag:abc"),
        ("a long ufrag", "ufrag:abcd", "ufrag:abcdefghijklmnopqrstuvwxyz0123456"),
        ("a blank in the ufrag", "ufrag:abcd", "ufrag:ab cd"),
        ("a line in the ufrag", "ufrag:abcd", "ufrag:ab\\ncd"),
        ("a return in the ufrag", "ufrag:abcd", "ufrag:ab\\rcd"),
        ("a quote in the ufrag", "ufrag:abcd", "ufrag:ab\\\"cd"),
        ("a backslash in the ufrag", "ufrag:abcd", "ufrag:ab\\\\cd"),
        ("a null in the ufrag", "ufrag:abcd", "ufrag:ab\\u0000cd"),
        ("a letter that is no ASCII", "ufrag:abcd", "ufrag:äbcd"),
        ("an escaped letter that is no ASCII", "ufrag:abcd", "ufrag:\\u00e4bcd"),
        ("a line separator", "ufrag:abcd", "ufrag:ab\\u2028cd"),
        ("a short pwd", "abcdefghijklmnopqrstuv", "abcdefghijklmnopqrstu"),
        ("a semicolon in the pwd", "abcdefghijklmnopqrstuv", "abcdefghijklmnopqrstu;"),
        ("another role", "setup:actpass", "setup:passive-aggressive"),
        ("no role", "setup:actpass", "setup:"),
        ("a tab", "s=-", "s=\\t"),
        ("a delete", "s=-", "s=\\u007f"),
        ("another version", "v=0", "v=1"),
    ] {
        bad(format!("SDP with {name}"), SDP.replacen(from, to, 1));
    }
    bad("SDP that is empty".to_owned(), String::new());
    bad("SDP that is encrypted".to_owned(), "QmFzZTY0".repeat(20));
    let many = "a=candidate:1 1 udp 1 8.8.8.8 9999 typ host\\r\\n".repeat(21);
    bad("SDP with 21 candidates".to_owned(), format!("{SDP}{many}"));
    cases
}

/// Of the own dialect, from a member.
fn binary() -> Vec<Case> {
    let own = Dialect::Swarmlet;
    let mut cases = Vec::new();
    let description = Description {
        ufrag: "abcd".to_owned(),
        pwd: "abcdefghijklmnopqrstuv".to_owned(),
        fingerprint: Fingerprint([1; 32]),
        role: Role::Actpass,
    };
    let candidate =
        |port| Candidate { address: Address::V4([8, 8, 8, 8]), port, kind: CandidateKind::Host, priority: 1 };
    let relay = |signal| ToTracker::Relay { to: PeerId([9; 32]), signals: vec![signal] }.encode();
    let relays = |count| {
        let signals = vec![Signal::Decline { attempt: 1 }; count];
        ToTracker::Relay { to: PeerId([9; 32]), signals }.encode()
    };
    let good = [
        ("announce", ToTracker::Announce { topic: TOPIC, complete: false, want: 12 }.encode()),
        ("leave", ToTracker::Leave { topic: TOPIC }.encode()),
        ("knock", relay(Signal::Knock { attempt: 1, topic: TOPIC })),
        ("offer", relay(Signal::Offer { attempt: 1, topic: TOPIC, description: description.clone() })),
        ("candidate", relay(Signal::Candidate { attempt: 1, candidate: candidate(9999) })),
    ];
    for (name, bytes) in &good {
        for length in (0..bytes.len()).step_by(4) {
            let cut = &bytes[..length];
            cases.push(case(format!("{name} cut to {length}"), own, cut, Closed(CloseReason::Malformed)));
        }
        let more = [bytes.as_slice(), &[0]].concat();
        cases.push(case(format!("{name} and a byte"), own, more, Closed(CloseReason::Malformed)));
    }
    for variant in 4..=20 {
        let unknown = [&[variant], &[0; 40][..]].concat();
        cases.push(case(format!("message {variant}"), own, unknown, Closed(CloseReason::Malformed)));
    }
    for (name, bytes) in [
        ("want 13", ToTracker::Announce { topic: TOPIC, complete: false, want: 13 }.encode()),
        ("port 0", relay(Signal::Candidate { attempt: 1, candidate: candidate(0) })),
        (
            "a short ufrag",
            relay(Signal::Offer {
                attempt: 1,
                topic: TOPIC,
                description: Description { ufrag: "abc".to_owned(), ..description.clone() },
            }),
        ),
        (
            "a line in the pwd",
            relay(Signal::Answer {
                attempt: 1,
                description: Description { pwd: "abcdefghijklmnopqrstu\n".to_owned(), ..description },
            }),
        ),
        ("no signals", relays(0)),
        ("a signal too many", relays(22)),
        ("true that is 2", [&[1][..], &[5; 32], &[2, 12]].concat()),
        ("a number without end", vec![0xff; 20]),
        (
            "a number of six bytes",
            [&[3][..], &[9; 32], &[1, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0], &[5; 32]].concat(),
        ),
    ] {
        cases.push(case(name, own, bytes, Closed(CloseReason::Malformed)));
    }
    let again = hello(&[0; 32], "");
    cases.push(case("a second hello", own, again, Closed(CloseReason::Protocol)));
    cases.push(case("a long token", own, hello(&[0; 32], &"x".repeat(1025)), Closed(CloseReason::Malformed)));
    cases.push(case("16 KiB and a byte", own, vec![1; 16 * 1024 + 1], Closed(CloseReason::Oversize)));
    cases.push(case("JSON", own, object(&announce()), Closed(CloseReason::Malformed)));
    cases
}

fn hello(nonce: &[u8; 32], token: &str) -> Vec<u8> {
    let key = Key::from_seed(&[3; 32]);
    let peer = key.peer_id();
    let signature = Signature::from_bytes(&key.sign(&challenge_bytes(nonce, &peer))).unwrap();
    let token = token.to_owned();
    ToTracker::Hello { version: VERSION, features: 0, peer, signature, token }.encode()
}

struct World {
    server: Server,
    sent: BTreeMap<ConnId, Vec<Vec<u8>>>,
    closed: BTreeMap<ConnId, CloseReason>,
    next: u64,
}

impl World {
    fn handle(&mut self, input: ServerInput<'_>) {
        self.server.handle(Instant::ZERO, input);
        while let Some(action) = self.server.poll_action() {
            match action {
                ServerAction::Send { conn, bytes } => self.sent.entry(conn).or_default().push(bytes),
                ServerAction::Close { conn, reason } => assert_eq!(self.closed.insert(conn, reason), None),
                ServerAction::Bus(order) => panic!("there is no other node: {order:?}"),
            }
        }
    }

    fn say(&mut self, conn: ConnId, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.handle(ServerInput::Received { conn, bytes });
        self.sent.remove(&conn).unwrap_or_default()
    }

    /// One that has said who it is and is in a swarm.
    fn member(&mut self, dialect: Dialect, peer: &str) -> ConnId {
        self.next += 1;
        let conn = ConnId(self.next);
        let address = format!("8.8.{}.{}", self.next / 256, self.next % 256).parse().ok();
        self.handle(ServerInput::Opened { conn, address, dialect, origin: None });
        let greeting = self.sent.remove(&conn).unwrap_or_default();
        match dialect {
            Dialect::Swarmlet => {
                let Ok((ToClient::Challenge { nonce }, [])) = ToClient::take(&greeting[0]) else {
                    panic!("{greeting:?}")
                };
                self.say(conn, &hello(&nonce, ""));
                let join = ToTracker::Announce { topic: TOPIC, complete: false, want: 0 }.encode();
                assert_eq!(self.say(conn, &join).len(), 1);
            }
            Dialect::WebTorrent => {
                let mut join = announce();
                join.retain(|(key, _)| *key != "offers");
                assert_eq!(self.say(conn, with(join, "peer_id", &format!("\"{peer}\"")).as_bytes()).len(), 1);
            }
        }
        conn
    }
}

#[test]
fn each_gets_what_it_deserves_and_nobody_else_notices() {
    let server = Server::new(ServerConfig::default(), [1; 32], Instant::ZERO);
    let mut w = World { server, sent: BTreeMap::new(), closed: BTreeMap::new(), next: 0 };
    let witness = w.member(Dialect::WebTorrent, "-WW0302-the__witness");
    let cases: Vec<Case> = [json(), descriptions(), binary()].into_iter().flatten().collect();
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert!(
        names.len() == cases.len() && names.len() >= 200,
        "{} names for {} cases",
        names.len(),
        cases.len()
    );
    for Case { name, dialect, bytes, end } in cases {
        let conn = w.member(dialect, PEER);
        let replies: Vec<String> =
            w.say(conn, &bytes).iter().map(|reply| String::from_utf8_lossy(reply).into_owned()).collect();
        let found = match (w.closed.remove(&conn), &replies[..]) {
            (Some(reason), _) => Closed(reason),
            (None, []) => Ignored,
            (None, [.., last]) => match &end {
                Refused(word) if last.contains("failure reason") && last.contains(word) => Refused(word),
                _ => panic!("{name}: {replies:?}"),
            },
        };
        assert_eq!(found, end, "{name}: {replies:?}");
        assert_eq!(w.sent, BTreeMap::new(), "{name}: somebody else was told");
        w.handle(ServerInput::Closed { conn });
    }
    assert_eq!(
        (w.server.snapshot().connections, w.server.snapshot().memberships),
        (1, 1),
        "only the witness is left"
    );
    assert!(!w.closed.contains_key(&witness));
}
