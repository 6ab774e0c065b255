//! Wire bytes are pinned: each annotated vector decodes to the value it is named after, and that value
//! encodes to the same bytes. A variant without a vector does not compile or does not pass.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

mod overlay;

use std::collections::BTreeMap;
use swarmlet_core::wire::{
    Address, Candidate, CandidateKind, Code, Description, Frame, HashRange, Hello, Message, PeerView, Pieces,
    Proof, Refusal, Role, Signal, Signature, Span, ToClient, ToTracker,
};
use swarmlet_core::{ContentId, Fingerprint, PeerId, Root, Topic};

const ROOT: Root = Root([0x11; 32]);
const CONTENT: ContentId = ContentId([0x22; 32]);
const TOPIC: Topic = Topic([0x33; 32]);
const PEER: PeerId = PeerId([0x44; 32]);
const SIGNATURE: Signature = Signature([0x0a; 32], [0x0b; 32]);

/// Reads `[name]` sections of hexadecimal digits with comments.
fn read(text: &str) -> BTreeMap<String, Vec<u8>> {
    let mut vectors = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        let code = line.split('#').next().unwrap().trim();
        if let Some(title) = code.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name = title.to_owned();
            assert!(vectors.insert(name.clone(), Vec::new()).is_none(), "{name} stands there twice");
        } else if !code.is_empty() {
            let digits: String = code.split_whitespace().collect();
            assert!(digits.len().is_multiple_of(2), "half a byte in {name}");
            let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
            vectors.get_mut(&name).expect("a section first").extend(bytes.map(Result::unwrap));
        }
    }
    vectors
}

/// Compares all vectors of a file with what is expected, by name, both ways.
fn compare<T: PartialEq + core::fmt::Debug>(
    text: &str,
    expected: Vec<(String, T)>,
    decode: impl Fn(&[u8]) -> T,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    let vectors = read(text);
    let names: Vec<&String> = vectors.keys().collect();
    let mut expected_names: Vec<&String> = expected.iter().map(|(name, _)| name).collect();
    expected_names.sort();
    assert_eq!(names, expected_names);
    for (name, value) in &expected {
        assert_eq!(&decode(&vectors[name]), value, "{name}");
        assert_eq!(encode(value), vectors[name], "{name}");
    }
}

fn peer_messages() -> Vec<(String, (Message, Vec<u8>))> {
    let range = HashRange { root: ROOT, level: 2, height: 1, index: 300 };
    let span = |start, count, proof| Span { start, count, proof };
    let other = Root([0x12; 32]);
    let bitmap = Pieces::Bitmap(vec![0xa0, 0x40]);
    let hashes = [[0x77; 32], [0x78; 32]].concat();
    let card = [[0x99; 32], [0x0a; 32], [0x0b; 32]].concat();
    let sealed = [[44, 1, 0, 0, 0, 0, 0, 0].as_slice(), &[0x88; 16], &[0xf1, 0xf2, 0xf3]].concat();
    let parcel = |hops, card| Message::Parcel { to: PEER, from: PeerId([0x45; 32]), hops, card };
    let list: Vec<(&str, Message, Vec<u8>)> = vec![
        ("hello", Message::Hello(Hello { version: 1, features: 143, peer: PEER, nonce: [0x66; 32] }), vec![]),
        ("proof", Message::Proof(Proof { signature: SIGNATURE }), vec![]),
        ("want", Message::Want { roots: vec![ROOT, other] }, vec![]),
        ("unwant", Message::Unwant { roots: vec![ROOT] }, vec![]),
        ("have-all", Message::Have { root: ROOT, pieces: Pieces::All }, vec![]),
        ("have-bitmap", Message::Have { root: ROOT, pieces: bitmap }, vec![]),
        ("gained", Message::Gained { root: ROOT, pieces: vec![5, 300] }, vec![]),
        (
            "request",
            Message::Request { root: ROOT, spans: vec![span(0, 4, true), span(16384, 1, false)] },
            vec![],
        ),
        ("cancel", Message::Cancel { root: ROOT, spans: vec![span(4, 4, false)] }, vec![]),
        ("reject", Message::Reject { root: ROOT, spans: vec![span(8, 1, true)] }, vec![]),
        ("get-hashes", Message::GetHashes(range), vec![]),
        ("hashes", Message::Hashes(range), hashes),
        ("no-hashes", Message::NoHashes(range), vec![]),
        ("get-info", Message::GetInfo { content: CONTENT, offset: 32_768 }, vec![]),
        ("info", Message::Info { content: CONTENT, total: 32_773, offset: 32_768 }, b"abcde".to_vec()),
        ("no-info", Message::NoInfo { content: CONTENT }, vec![]),
        ("block", Message::Block { root: ROOT, start: 7 }, b"swarmlet".to_vec()),
        ("ping", Message::Ping { nonce: u32::MAX }, vec![]),
        ("pong", Message::Pong { nonce: u32::MAX }, vec![]),
        ("goodbye", Message::Goodbye, vec![]),
        ("acked", Message::Acked { leaves: 300, clock: 5 }, vec![]),
        ("card", Message::Card, card.clone()),
        ("get-peers", Message::GetPeers { topic: TOPIC }, vec![]),
        (
            "peers",
            Message::Peers { topic: TOPIC },
            [PEER.bytes().as_slice(), &[1], &card, other.bytes(), &[0], &card].concat(),
        ),
        ("parcel", parcel(12, true), [card.as_slice(), &sealed].concat()),
        ("parcel-on", parcel(11, false), sealed),
        ("unreached", Message::Unreached { peer: PEER }, vec![]),
        ("news", Message::News { topic: TOPIC }, b"signed".to_vec()),
        ("overlay", Message::Overlay, vec![0x09]),
        ("anchor", Message::Anchor, b"wss://a.example/signal".to_vec()),
    ];
    list.into_iter().map(|(name, message, tail)| (name.to_owned(), (message, tail))).collect()
}

fn description(role: Role) -> Description {
    Description {
        ufrag: "aB3+".to_owned(),
        pwd: "0123456789abcdefghijkl".to_owned(),
        fingerprint: Fingerprint([0x55; 32]),
        role,
    }
}

fn signals(prefix: &str) -> Vec<(String, Signal)> {
    let attempt = 200;
    let candidate = |address, port, kind, priority| Signal::Candidate {
        attempt,
        candidate: Candidate { address, port, kind, priority },
    };
    let v6 = Address::V6([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let mdns = Address::Mdns([
        0x0f, 0x2b, 0x2c, 0x7e, 0x9b, 0x3a, 0x4a, 0x70, 0x9d, 0x2b, 0x5e, 0x5a, 0x3b, 0x1c, 0x9d, 0x10,
    ]);
    let list = vec![
        ("knock", Signal::Knock { attempt: 1, topic: TOPIC }),
        ("offer", Signal::Offer { attempt, topic: TOPIC, description: description(Role::Actpass) }),
        ("answer", Signal::Answer { attempt, description: description(Role::Active) }),
        ("answer-passive", Signal::Answer { attempt, description: description(Role::Passive) }),
        ("candidate-v4", candidate(Address::V4([192, 0, 2, 1]), 50_000, CandidateKind::Host, 2_130_706_431)),
        ("candidate-v6", candidate(v6, 1024, CandidateKind::ServerReflexive, 1_686_052_863)),
        ("candidate-mdns", candidate(mdns, u16::MAX, CandidateKind::PeerReflexive, 0)),
        (
            "candidate-relay",
            candidate(Address::V4([198, 51, 100, 7]), 3478, CandidateKind::Relay, 41_885_439),
        ),
        ("decline", Signal::Decline { attempt: u32::MAX }),
    ];
    list.into_iter().map(|(name, signal)| (format!("{prefix}-{name}"), signal)).collect()
}

/// A description and its first candidates, as they are found within a moment.
fn together() -> Vec<Signal> {
    let mut signals = signals("");
    let mut take = |name: &str| {
        let at = signals.iter().position(|(other, _)| other == name).unwrap();
        signals.swap_remove(at).1
    };
    vec![take("-answer"), take("-candidate-mdns"), take("-candidate-v6")]
}

/// The only message of a frame.
fn alone<M>(messages: Result<Vec<M>, swarmlet_core::wire::Error>) -> M {
    let mut messages = messages.unwrap();
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

fn tracker_messages() -> Vec<(String, ToTracker)> {
    let token = "token".to_owned();
    let hello = ToTracker::Hello { version: 1, features: 0, peer: PEER, signature: SIGNATURE, token };
    let mut all = vec![
        ("hello".to_owned(), hello),
        ("announce".to_owned(), ToTracker::Announce { topic: TOPIC, complete: false, want: 12 }),
        ("leave".to_owned(), ToTracker::Leave { topic: TOPIC }),
    ];
    let relay = |(name, signal)| (name, ToTracker::Relay { to: PEER, signals: vec![signal] });
    all.extend(signals("relay").into_iter().map(relay));
    all.push(("relay-together".to_owned(), ToTracker::Relay { to: PEER, signals: together() }));
    all
}

fn client_messages() -> Vec<(String, ToClient)> {
    let peers =
        vec![PeerView { peer: PEER, complete: true }, PeerView { peer: PeerId([0x45; 32]), complete: false }];
    let mut all = vec![
        ("challenge".to_owned(), ToClient::Challenge { nonce: [0x66; 32] }),
        ("welcome".to_owned(), ToClient::Welcome { version: 1, features: 0 }),
        ("peers".to_owned(), ToClient::Peers { topic: TOPIC, seeds: 1, leeches: 300, peers }),
        ("absent".to_owned(), ToClient::Absent { peer: PEER }),
        ("go-away".to_owned(), ToClient::GoAway { spread_ms: 30_000 }),
    ];
    let relayed = |(name, signal)| (name, ToClient::Relayed { from: PEER, signals: vec![signal] });
    all.extend(signals("relayed").into_iter().map(relayed));
    all.push(("relayed-together".to_owned(), ToClient::Relayed { from: PEER, signals: together() }));
    let reasons = [
        Refusal::Version,
        Refusal::Identity,
        Refusal::Token,
        Refusal::Rate,
        Refusal::Swarms,
        Refusal::Full,
        Refusal::Relay,
        Refusal::Replaced,
        Refusal::Content,
    ];
    let refused = |reason: Refusal| {
        (format!("refused-{}", reason.name()), ToClient::Refused { reason, retry_ms: 1000 })
    };
    all.extend(reasons.map(refused));
    all
}

#[test]
fn peer_messages_are_pinned() {
    compare(
        include_str!("peer.hex"),
        peer_messages(),
        |bytes| {
            let frame = Frame::decode(bytes).unwrap();
            (frame.message, frame.tail.to_vec())
        },
        |(message, tail)| message.encode(tail),
    );
}

#[test]
fn messages_that_go_as_one_are_pinned() {
    let span = Span { start: 32, count: 4, proof: false };
    let gathered = vec![
        Message::Acked { leaves: 300, clock: 5 },
        Message::Gained { root: ROOT, pieces: vec![7] },
        Message::Request { root: ROOT, spans: vec![span] },
    ];
    let decode = |mut bytes: &[u8]| {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let (frame, rest) = Frame::first(bytes).unwrap();
            all.push(frame.message);
            bytes = rest;
        }
        all
    };
    compare(include_str!("gathered.hex"), vec![("gathered".to_owned(), gathered)], decode, |all| {
        all.iter().flat_map(|message| message.encode(&[])).collect()
    });
}

#[test]
fn codes_are_pinned() {
    let attempt = 200;
    let address = Address::V4([192, 0, 2, 1]);
    let candidate = Candidate { address, port: 50_000, kind: CandidateKind::Host, priority: 2_130_706_431 };
    let offer = vec![
        Signal::Offer { attempt, topic: TOPIC, description: description(Role::Actpass) },
        Signal::Candidate { attempt, candidate },
    ];
    let answer = vec![Signal::Answer { attempt, description: description(Role::Active) }];
    let expected = [("offer", offer), ("answer", answer)];
    let expected = expected.map(|(name, signals)| (name.to_owned(), Code { peer: PEER, signals })).to_vec();
    compare(include_str!("code.hex"), expected, |bytes| Code::decode(bytes).unwrap(), Code::encode);
}

#[test]
fn messages_to_the_signaller_are_pinned() {
    let decode = |bytes: &[u8]| alone(ToTracker::read(bytes));
    compare(include_str!("to-tracker.hex"), tracker_messages(), decode, ToTracker::encode);
}

#[test]
fn messages_from_the_signaller_are_pinned() {
    let decode = |bytes: &[u8]| alone(ToClient::read(bytes));
    compare(include_str!("to-client.hex"), client_messages(), decode, ToClient::encode);
}

/// The first byte of a message is its variant: every one from 0 to the last is there, and no other decodes.
#[test]
fn every_variant_has_a_vector() {
    let variants = |text| {
        let mut all: Vec<u8> = read(text).values().map(|bytes| bytes[0]).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    assert_eq!(variants(include_str!("peer.hex")), (0..=27).collect::<Vec<_>>());
    assert_eq!(variants(include_str!("to-tracker.hex")), (0..=3).collect::<Vec<_>>());
    assert_eq!(variants(include_str!("to-client.hex")), (0..=6).collect::<Vec<_>>());
    // A variant that is added without a vector makes these matches incomplete.
    let _ = |message: &Message| match message {
        Message::Hello(_)
        | Message::Proof(_)
        | Message::Want { .. }
        | Message::Unwant { .. }
        | Message::Have { .. }
        | Message::Gained { .. }
        | Message::Request { .. }
        | Message::Cancel { .. }
        | Message::Reject { .. }
        | Message::GetHashes(_)
        | Message::Hashes(_)
        | Message::NoHashes(_)
        | Message::GetInfo { .. }
        | Message::Info { .. }
        | Message::NoInfo { .. }
        | Message::Block { .. }
        | Message::Ping { .. }
        | Message::Pong { .. }
        | Message::Goodbye
        | Message::Acked { .. }
        | Message::Card
        | Message::GetPeers { .. }
        | Message::Peers { .. }
        | Message::Parcel { .. }
        | Message::Unreached { .. }
        | Message::News { .. }
        | Message::Overlay
        | Message::Anchor
        // The simulator's alone, without a number.
        | Message::Choke { .. } => (),
    };
    let _ = |message: &ToTracker| match message {
        ToTracker::Hello { .. }
        | ToTracker::Announce { .. }
        | ToTracker::Leave { .. }
        | ToTracker::Relay { .. } => (),
    };
    let _ = |message: &ToClient| match message {
        ToClient::Challenge { .. }
        | ToClient::Welcome { .. }
        | ToClient::Peers { .. }
        | ToClient::Relayed { .. }
        | ToClient::Absent { .. }
        | ToClient::Refused { .. }
        | ToClient::GoAway { .. } => (),
    };
}

#[test]
fn a_vector_that_says_something_else_is_noticed() {
    let changed = include_str!("peer.hex").replace("version 1", "version 1\n00");
    assert!(Frame::decode(&read(&changed)["hello"]).is_err());
}
