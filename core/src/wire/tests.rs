//! Properties that hold for every message, and the texts that hosts hand in.

mod several;

use super::mesh::{
    ANCHOR_BYTES_MAX, CARD_BYTES, CODE_CANDIDATES_MAX, HOPS_MAX, MET_BYTES, MET_MAX, SEAL_BYTES, SEALED_MAX,
};
use super::peer::{BITMAP_BYTES_MAX, GAINED_MAX, HASHES_HEIGHT_MAX, NEWS_BYTES_MAX, ROOTS_MAX, SPANS_MAX};
use super::tracker::{PEERS_MAX, SIGNALS_MAX, TOKEN_MAX};
use super::*;
use crate::config::{INFO_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::id::{ContentId, Fingerprint, PeerId, Root, Topic};
use crate::rng::Rng;
use alloc::string::{String, ToString};
use alloc::{format, vec};
use proptest::prelude::*;

const ROOT: Root = Root([0x11; 32]);
const CONTENT: ContentId = ContentId([0x22; 32]);
const TOPIC: Topic = Topic([0x33; 32]);
const PEER: PeerId = PeerId([0x44; 32]);

fn description() -> Description {
    Description {
        ufrag: "aB3+".to_string(),
        pwd: "0123456789abcdefghijkl".to_string(),
        fingerprint: Fingerprint([0x55; 32]),
        role: Role::Actpass,
    }
}

fn candidate() -> Candidate {
    Candidate { address: Address::V4([192, 0, 2, 1]), port: 5000, kind: CandidateKind::Host, priority: 77 }
}

const fn parcel(hops: u8, card: bool) -> Message {
    Message::Parcel { to: PEER, from: PEER, hops, card }
}

fn code(candidates: usize) -> Code {
    let attempt = 5;
    let mut signals = vec![Signal::Offer { attempt, topic: TOPIC, description: description() }];
    signals.extend(vec![Signal::Candidate { attempt, candidate: candidate() }; candidates]);
    Code { peer: PEER, signals }
}

/// One of each peer message, with a fitting tail.
fn frames() -> Vec<(Message, Vec<u8>)> {
    let span = Span { start: 300, count: 4, proof: true };
    let range = HashRange { root: ROOT, level: 2, height: 1, index: 7 };
    let bare = |message| (message, Vec::new());
    vec![
        bare(Message::Hello(Hello { version: 1, features: 0, peer: PEER, nonce: [0x66; 32] })),
        bare(Message::Proof(Proof { signature: Signature([1; 32], [2; 32]) })),
        bare(Message::Want { roots: vec![ROOT, ROOT] }),
        bare(Message::Unwant { roots: vec![] }),
        bare(Message::Have { root: ROOT, pieces: Pieces::All }),
        bare(Message::Have { root: ROOT, pieces: Pieces::Bitmap(vec![0xf0, 1]) }),
        bare(Message::Gained { root: ROOT, pieces: vec![0, 127, 128, u32::MAX] }),
        bare(Message::Request { root: ROOT, spans: vec![span] }),
        bare(Message::Cancel { root: ROOT, spans: vec![span, span] }),
        bare(Message::Reject { root: ROOT, spans: vec![span] }),
        bare(Message::GetHashes(range)),
        (Message::Hashes(range), vec![9; 64]),
        bare(Message::NoHashes(range)),
        bare(Message::GetInfo { content: CONTENT, offset: 32_768 }),
        (Message::Info { content: CONTENT, total: 40_000, offset: 32_768 }, vec![7; 100]),
        bare(Message::NoInfo { content: CONTENT }),
        (Message::Block { root: ROOT, start: 12 }, vec![8; 65_536]),
        bare(Message::Ping { nonce: 1 << 31 }),
        bare(Message::Pong { nonce: 0 }),
        bare(Message::Goodbye),
        bare(Message::Acked { leaves: 300, clock: 5 }),
        (Message::Card, vec![7; CARD_BYTES]),
        bare(Message::GetPeers { topic: TOPIC }),
        (Message::Peers { topic: TOPIC }, vec![7; 2 * MET_BYTES]),
        (parcel(HOPS_MAX, true), vec![7; 200]),
        bare(Message::Unreached { peer: PEER }),
        (Message::News { topic: TOPIC }, vec![7; NEWS_BYTES_MAX]),
        (Message::Overlay, vec![7; 100]),
        (Message::Anchor, vec![7; ANCHOR_BYTES_MAX]),
    ]
}

fn signals() -> Vec<Signal> {
    let at = |address, kind| Candidate { address, kind, ..candidate() };
    let candidates = [
        at(Address::V4([192, 0, 2, 1]), CandidateKind::Host),
        at(Address::V6([0x20; 16]), CandidateKind::ServerReflexive),
        at(Address::Mdns([0xab; 16]), CandidateKind::PeerReflexive),
        at(Address::V4([198, 51, 100, 7]), CandidateKind::Relay),
    ];
    let mut all = vec![
        Signal::Knock { attempt: 1, topic: TOPIC },
        Signal::Offer { attempt: 2, topic: TOPIC, description: description() },
        Signal::Answer { attempt: 3, description: Description { role: Role::Active, ..description() } },
        Signal::Answer { attempt: 3, description: Description { role: Role::Passive, ..description() } },
        Signal::Decline { attempt: u32::MAX },
    ];
    all.extend(candidates.map(|candidate| Signal::Candidate { attempt: 4, candidate }));
    all
}

/// As many as one message may have.
fn together() -> Vec<Signal> {
    let candidate = Signal::Candidate { attempt: 3, candidate: candidate() };
    let mut signals = vec![candidate; SIGNALS_MAX];
    signals[0] =
        Signal::Answer { attempt: 3, description: Description { role: Role::Active, ..description() } };
    signals
}

/// Both directions read a frame in the same way; here it has one message.
fn alone<M>(messages: Result<Vec<M>, Error>) -> Result<M, Error> {
    messages.map(|mut messages| {
        assert_eq!(messages.len(), 1);
        messages.remove(0)
    })
}

fn said(bytes: &[u8]) -> Result<ToTracker, Error> {
    alone(ToTracker::read(bytes))
}

fn heard(bytes: &[u8]) -> Result<ToClient, Error> {
    alone(ToClient::read(bytes))
}

fn to_tracker() -> Vec<ToTracker> {
    let signature = Signature([3; 32], [4; 32]);
    let mut all = vec![
        ToTracker::Hello { version: 1, features: 0, peer: PEER, signature, token: "pass".to_string() },
        ToTracker::Announce { topic: TOPIC, complete: false, want: 12 },
        ToTracker::Leave { topic: TOPIC },
    ];
    all.extend(signals().into_iter().map(|signal| ToTracker::Relay { to: PEER, signals: vec![signal] }));
    all.push(ToTracker::Relay { to: PEER, signals: together() });
    all
}

fn to_client() -> Vec<ToClient> {
    let view = PeerView { peer: PEER, complete: true };
    let mut all = vec![
        ToClient::Challenge { nonce: [5; 32] },
        ToClient::Welcome { version: 1, features: 0 },
        ToClient::Peers { topic: TOPIC, seeds: 1, leeches: 300, peers: vec![view; PEERS_MAX] },
        ToClient::Absent { peer: PEER },
        ToClient::GoAway { spread_ms: 30_000 },
    ];
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
    all.extend(reasons.map(|reason| ToClient::Refused { reason, retry_ms: 1000 }));
    all.extend(signals().into_iter().map(|signal| ToClient::Relayed { from: PEER, signals: vec![signal] }));
    all.push(ToClient::Relayed { from: PEER, signals: together() });
    all
}

/// Checks one encoded message against `decode`: it comes back, and nothing shorter or longer does.
fn comes_back_whole_only<T>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, Error>) {
    assert!(decode(bytes).is_ok(), "{bytes:02x?}");
    for end in 0..bytes.len() {
        assert!(decode(&bytes[..end]).is_err(), "a prefix of {end} bytes of {bytes:02x?}");
    }
    for extra in 0..=u8::MAX {
        let longer = [bytes, &[extra]].concat();
        assert!(decode(&longer).is_err(), "{extra:02x} after {bytes:02x?}");
    }
}

#[test]
fn every_peer_message_comes_back() {
    for (message, tail) in frames() {
        let bytes = message.encode(&tail);
        let frame = Frame::decode(&bytes).unwrap();
        assert_eq!((&frame.message, frame.tail), (&message, tail.as_slice()));
    }
}

#[test]
fn what_peers_pass_on_keeps_to_its_bounds() {
    let refused = |message: Message, tail: usize| {
        assert_eq!(Frame::decode(&message.encode(&vec![0; tail])), Err(Error::Malformed), "{message:?}");
    };
    for tail in [0, CARD_BYTES - 1, CARD_BYTES + 1] {
        refused(Message::Card, tail);
    }
    for tail in [0, NEWS_BYTES_MAX + 1] {
        refused(Message::News { topic: TOPIC }, tail);
    }
    for tail in [1, MET_BYTES - 1, (MET_MAX + 1) * MET_BYTES] {
        refused(Message::Peers { topic: TOPIC }, tail);
    }
    refused(parcel(HOPS_MAX + 1, false), SEAL_BYTES);
    for (card, least) in [(false, SEAL_BYTES), (true, SEAL_BYTES + CARD_BYTES)] {
        refused(parcel(0, card), least - 1);
        refused(parcel(0, card), least + SEALED_MAX + 1);
    }
    for signal in signals() {
        let bytes = signal.encode();
        assert!(bytes.len() <= SEALED_MAX);
        let whole = |bytes: &[u8]| match Signal::take(bytes) {
            Some((signal, [])) => Ok(signal),
            _ => Err(Error::Malformed),
        };
        comes_back_whole_only(&bytes, whole);
    }
}

#[test]
fn truncated_and_appended_peer_messages_are_refused() {
    // A block and a part of an info dictionary may be of several lengths: the next test.
    let fixed = |(message, _): &(Message, _)| {
        !matches!(
            message,
            Message::Block { .. }
                | Message::Info { .. }
                | Message::Peers { .. }
                | Message::Parcel { .. }
                | Message::News { .. }
                | Message::Overlay
                | Message::Anchor
        )
    };
    for (message, tail) in frames().into_iter().filter(fixed) {
        comes_back_whole_only(&message.encode(&tail), |bytes| Frame::decode(bytes).map(drop));
    }
}

#[test]
fn tails_of_free_length_keep_to_their_bounds() {
    let block = |length: usize| Message::Block { root: ROOT, start: 1 }.encode(&vec![0; length]);
    assert_eq!(Frame::decode(&block(0)), Err(Error::Malformed));
    assert!(Frame::decode(&block(1)).is_ok());
    assert!(Frame::decode(&block(65_536)).is_ok());
    assert_eq!(Frame::decode(&block(65_537)), Err(Error::Malformed));
    let info = |total: usize, offset: u32, length: usize| {
        let total = u32::try_from(total).unwrap();
        Message::Info { content: CONTENT, total, offset }.encode(&vec![0; length])
    };
    for (bytes, good) in [
        (info(100, 0, 100), true),
        (info(100, 0, 101), false),
        (info(100, 1, 100), false),
        (info(100, 0, 0), false),
        (info(100, u32::MAX, 1), false),
        (info(INFO_BYTES_MAX, 0, 1), true),
        (info(INFO_BYTES_MAX + 1, 0, 1), false),
    ] {
        assert_eq!(Frame::decode(&bytes).is_ok(), good);
    }
    let head = Message::Block { root: ROOT, start: 1 }.encode(&[]);
    for end in 0..head.len() {
        assert!(Frame::decode(&head[..end]).is_err());
    }
}

#[test]
fn truncated_and_appended_signaller_messages_are_refused() {
    for message in to_tracker() {
        assert_eq!(said(&message.encode()), Ok(message.clone()));
        comes_back_whole_only(&message.encode(), said);
    }
    for message in to_client() {
        assert_eq!(heard(&message.encode()), Ok(message.clone()));
        comes_back_whole_only(&message.encode(), heard);
    }
}

#[test]
fn counts_above_their_limits_are_refused() {
    let span = Span { start: 0, count: 1, proof: false };
    let good = [
        Message::Want { roots: vec![ROOT; ROOTS_MAX] },
        Message::Gained { root: ROOT, pieces: vec![0; GAINED_MAX] },
        Message::Have { root: ROOT, pieces: Pieces::Bitmap(vec![0; BITMAP_BYTES_MAX]) },
        Message::Request { root: ROOT, spans: vec![span; SPANS_MAX] },
        Message::GetHashes(HashRange { root: ROOT, level: 47, height: HASHES_HEIGHT_MAX, index: 0 }),
    ];
    for message in good {
        assert!(Frame::decode(&message.encode(&[])).is_ok(), "{message:?}");
    }
    let spanned = |start, count| vec![Span { start, count, proof: false }];
    let bad = [
        Message::Want { roots: vec![ROOT; ROOTS_MAX + 1] },
        Message::Unwant { roots: vec![ROOT; ROOTS_MAX + 1] },
        Message::Gained { root: ROOT, pieces: vec![0; GAINED_MAX + 1] },
        Message::Have { root: ROOT, pieces: Pieces::Bitmap(vec![0; BITMAP_BYTES_MAX + 1]) },
        Message::Request { root: ROOT, spans: vec![span; SPANS_MAX + 1] },
        Message::Cancel { root: ROOT, spans: spanned(0, 0) },
        Message::Reject { root: ROOT, spans: spanned(0, 5) },
        Message::Request { root: ROOT, spans: spanned(u32::MAX, 1) },
        Message::GetHashes(HashRange { root: ROOT, level: 48, height: 0, index: 0 }),
        Message::NoHashes(HashRange { root: ROOT, level: 0, height: HASHES_HEIGHT_MAX + 1, index: 0 }),
    ];
    for message in bad {
        assert_eq!(Frame::decode(&message.encode(&[])), Err(Error::Limit), "{message:?}");
    }
    let token = |length| ToTracker::Hello {
        version: 1,
        features: 0,
        peer: PEER,
        signature: Signature([0; 32], [0; 32]),
        token: "t".repeat(length),
    };
    assert!(said(&token(TOKEN_MAX).encode()).is_ok());
    assert_eq!(said(&token(TOKEN_MAX + 1).encode()), Err(Error::Limit));
    let announce = ToTracker::Announce { topic: TOPIC, complete: true, want: 13 };
    assert_eq!(said(&announce.encode()), Err(Error::Limit));
    let view = PeerView { peer: PEER, complete: false };
    let peers = ToClient::Peers { topic: TOPIC, seeds: 0, leeches: 0, peers: vec![view; PEERS_MAX + 1] };
    assert_eq!(heard(&peers.encode()), Err(Error::Limit));
}

#[test]
fn oversize_is_refused_before_anything_is_read() {
    // All ones would be malformed: that Oversize comes back shows which question was asked first.
    assert_eq!(Frame::decode(&vec![0xff; MESSAGE_BYTES_MAX + 1]), Err(Error::Oversize));
    assert_eq!(Frame::decode(&vec![0xff; MESSAGE_BYTES_MAX]), Err(Error::Malformed));
    assert_eq!(said(&vec![0xff; SIGNAL_BYTES_MAX + 1]), Err(Error::Oversize));
    assert_eq!(heard(&vec![0xff; SIGNAL_BYTES_MAX + 1]), Err(Error::Oversize));
}

#[test]
fn lengths_that_lie_are_refused() {
    // A vector of 2^64 - 1 roots, pieces, spans, peers or characters in a message of a few bytes.
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let root = [0x11; 32];
    for (index, keyed) in [(2, false), (3, false), (5, true), (6, true), (7, true), (8, true)] {
        let head: &[u8] = if keyed { &root } else { &[] };
        assert_eq!(Frame::decode(&[&[index], head, &huge].concat()), Err(Error::Malformed));
    }
    assert_eq!(heard(&[&[2][..], &root, &[0, 0], &huge].concat()), Err(Error::Malformed));
    assert_eq!(said(&[&[0, 1, 0][..], &root, &root, &root, &huge].concat()), Err(Error::Malformed));
}

#[test]
fn unknown_variants_are_refused() {
    // 26 may stand alone.
    for index in (19..26).chain(27..=u8::MAX) {
        assert!(Frame::decode(&[index]).is_err());
    }
    assert!((4..=u8::MAX).all(|index| said(&[index]).is_err()));
    assert!((7..=u8::MAX).all(|index| heard(&[index]).is_err()));
}

#[test]
fn signals_with_smuggled_text_are_refused_on_both_ways() {
    for text in INJECTIONS {
        let smuggled = Description { ufrag: (*text).to_string(), ..description() };
        let offer = Signal::Offer { attempt: 1, topic: TOPIC, description: smuggled };
        let up = ToTracker::Relay { to: PEER, signals: vec![offer.clone()] };
        let down = ToClient::Relayed { from: PEER, signals: vec![offer] };
        assert_eq!(said(&up.encode()), Err(Error::Limit), "{text:?}");
        assert_eq!(heard(&down.encode()), Err(Error::Limit), "{text:?}");
    }
    let candidate = Candidate { port: 0, ..candidate() };
    let signal = Signal::Candidate { attempt: 1, candidate };
    assert_eq!(said(&ToTracker::Relay { to: PEER, signals: vec![signal] }.encode()), Err(Error::Limit));
}

#[test]
fn a_hundred_thousand_random_messages_do_no_harm() {
    let mut rng = Rng::new([42; 32]);
    let samples: Vec<Vec<u8>> = frames()
        .into_iter()
        .map(|(message, tail)| message.encode(&tail[..tail.len().min(64)]))
        .chain(to_tracker().iter().map(ToTracker::encode))
        .chain(to_client().iter().map(ToClient::encode))
        .collect();
    for round in 0..100_000_u32 {
        let mut bytes = if round % 2 == 0 {
            let length = usize::try_from(rng.below(96)).unwrap();
            (0..length).map(|_| u8::try_from(rng.below(256)).unwrap()).collect()
        } else {
            rng.pick(&samples).cloned().unwrap()
        };
        // Half of them begin as real messages, with some bytes changed.
        for _ in 0..rng.below(4) {
            let at = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = u8::try_from(rng.below(256)).unwrap();
            }
        }
        if let Ok(frame) = Frame::decode(&bytes) {
            let again = frame.message.encode(frame.tail);
            assert_eq!(Frame::decode(&again).as_ref(), Ok(&frame));
        }
        if let Ok(messages) = ToTracker::read(&bytes) {
            let again: Vec<u8> = messages.iter().flat_map(ToTracker::encode).collect();
            assert_eq!(ToTracker::read(&again), Ok(messages));
        }
        if let Ok(messages) = ToClient::read(&bytes) {
            let again: Vec<u8> = messages.iter().flat_map(ToClient::encode).collect();
            assert_eq!(ToClient::read(&again), Ok(messages));
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,400}") {
        let _ = sdp::parse(&text);
        let _ = sdp::parse_candidate(&text);
        let _ = sdp::parse_candidate(&format!("candidate:1 1 udp {text}"));
    }

    #[test]
    fn sane_descriptions_survive_the_way_through_sdp(
        ufrag in "[A-Za-z0-9+/]{4,32}",
        pwd in "[A-Za-z0-9+/]{22,64}",
        print in any::<[u8; 32]>(),
        role in prop_oneof![Just(Role::Actpass), Just(Role::Active), Just(Role::Passive)],
    ) {
        let description = Description { ufrag, pwd, fingerprint: Fingerprint(print), role };
        let text = sdp::build(&description).unwrap();
        prop_assert_eq!(sdp::parse(&text), Some(description));
    }

    #[test]
    fn candidates_survive_the_way_through_their_line(
        v4 in any::<[u8; 4]>(),
        uuid in any::<[u8; 16]>(),
        v6 in any::<[u8; 16]>(),
        which in 0..3,
        port in 1_u16..,
        priority in any::<u32>(),
    ) {
        let address = [Address::V4(v4), Address::Mdns(uuid), Address::V6(v6)][usize::try_from(which).unwrap()];
        let candidate = Candidate { address, port, kind: CandidateKind::ServerReflexive, priority };
        let line = sdp::build_candidate(&candidate, "abcd");
        prop_assert_eq!(sdp::parse_candidate(&line), Some(candidate));
    }
}

#[test]
fn addresses_are_read_as_the_standard_library_reads_them() {
    let mut texts: Vec<String> = [
        "::",
        "::1",
        "1::",
        "2001:db8::1",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4::5:6:7:8",
        "1::2::3",
        "1:::2",
        ":::",
        ":1::",
        ":1:2:3:4:5:6:7:8",
        "12345::",
        "g::",
        "::ffff:192.0.2.1",
        "1:2:3:4:5:6:192.0.2.1",
        "1:2:3:4:5:6:7:192.0.2.1",
        "192.0.2.1::",
        "::192.0.2.1:1",
        "fe80::1%eth0",
        "[::1]",
        "192.0.2.1",
        "0.0.0.0",
        "255.255.255.255",
        "256.0.0.1",
        "192.0.2",
        "192.0.2.1.5",
        "192.0.02.1",
        "192.0.2.",
        ".192.0.2",
        "",
        "a",
        "+1.2.3.4",
        "1.2.3.4:5",
        "::+1",
        "::1.2.3",
        "FE80::aB",
    ]
    .map(ToString::to_string)
    .into();
    let mut rng = Rng::new([9; 32]);
    for _ in 0..20_000 {
        let length = rng.below(12);
        texts.push(
            (0..length).map(|_| *rng.pick(&["::", ":", "1", "ff", "0", "1.2.3.4", "."]).unwrap()).collect(),
        );
    }
    for text in texts {
        let theirs = text.parse().ok().map(|ip| match ip {
            core::net::IpAddr::V4(ip) => Address::V4(ip.octets()),
            core::net::IpAddr::V6(ip) => Address::V6(ip.octets()),
        });
        assert_eq!(sdp::parse_address(text.as_bytes()), theirs, "{text:?}");
    }
}

/// What Chromium 156 says as an offerer, with a data channel only.
const CHROMIUM: &str = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
    a=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n\
    m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:Xk3T\r\n\
    a=ice-pwd:2pb1gDzMpJkVYAqmBpT2iRrE\r\na=ice-options:trickle\r\n\
    a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:\
    D0:A1:2C:19:08\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";

/// What Firefox says as an answerer: the fingerprint stands above the section, attributes in another order.
const FIREFOX: &str = "v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 5267435386291246291 0 IN IP4 0.0.0.0\r\ns=-\r\n\
    t=0 0\r\na=sendrecv\r\na=fingerprint:sha-256 1C:2D:44:0A:B1:00:FF:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:\
    1A:24:C2:43:F0:A1:58:D0:A1:2C:19:09\r\na=group:BUNDLE 0\r\na=ice-options:trickle\r\n\
    a=msid-semantic:WMS *\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
    a=sendrecv\r\na=ice-pwd:0f4a8cf6a0d9a8a9a8f3e1d6d0b0a5c7\r\na=ice-ufrag:7b1e9f2c\r\na=mid:0\r\n\
    a=setup:active\r\na=sctp-port:5000\r\na=max-message-size:1073741823\r\n";

#[test]
fn what_browsers_write_is_read() {
    let chromium = sdp::parse(CHROMIUM).unwrap();
    assert_eq!((chromium.ufrag.as_str(), chromium.role), ("Xk3T", Role::Actpass));
    assert_eq!(chromium.pwd, "2pb1gDzMpJkVYAqmBpT2iRrE");
    assert_eq!(chromium.fingerprint.bytes()[..2], [0x7b, 0x8b]);
    let firefox = sdp::parse(FIREFOX).unwrap();
    assert_eq!((firefox.ufrag.as_str(), firefox.role), ("7b1e9f2c", Role::Active));
    assert_eq!(firefox.fingerprint.bytes()[30..], [0x19, 0x09]);
    for description in [chromium, firefox] {
        let text = sdp::build(&description).unwrap();
        assert_eq!(sdp::parse(&text), Some(description));
    }
}

#[test]
fn candidate_lines_of_browsers_are_read() {
    let read = |line: &str| sdp::parse_candidate(line);
    let mdns = "candidate:1467250027 1 udp 2122260223 0f2b2c7e-9b3a-4a70-9d2b-5e5a3b1c9d10.local 46243 typ host \
                generation 0 ufrag Xk3T network-id 1 network-cost 50";
    let expected = Address::Mdns([
        0x0f, 0x2b, 0x2c, 0x7e, 0x9b, 0x3a, 0x4a, 0x70, 0x9d, 0x2b, 0x5e, 0x5a, 0x3b, 0x1c, 0x9d, 0x10,
    ]);
    assert_eq!(
        read(mdns),
        Some(Candidate {
            address: expected,
            port: 46_243,
            kind: CandidateKind::Host,
            priority: 2_122_260_223
        })
    );
    let srflx = "a=candidate:3 1 UDP 1686052863 203.0.113.9 61234 typ srflx raddr 0.0.0.0 rport 0";
    assert_eq!(read(srflx).map(|candidate| candidate.kind), Some(CandidateKind::ServerReflexive));
    let v6 = "candidate:2 1 udp 2113937151 2001:db8::1 50000 typ host";
    assert_eq!(read(v6).map(|candidate| candidate.port), Some(50_000));
    for unused in [
        "candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
        "candidate:1 2 udp 2113937151 192.0.2.1 50000 typ host",
        "candidate:1 1 udp 2113937151 192.0.2.1 0 typ host",
        "candidate:1 1 udp 2113937151 192.0.2.1 65536 typ host",
        "candidate:1 1 udp -1 192.0.2.1 50000 typ host",
        "candidate:1 1 udp 2113937151 example.org 50000 typ host",
        "candidate:1 1 udp 2113937151 evil.local 50000 typ host",
        "candidate:1 1 udp 2113937151 192.0.2.1 50000 typ other",
        "candidate:1 1 udp 2113937151 192.0.2.1 50000",
        "candidate:",
        "",
    ] {
        assert_eq!(read(unused), None, "{unused}");
    }
}

#[test]
fn sdp_that_lacks_or_bends_a_field_is_refused() {
    for (from, to) in [
        ("a=ice-ufrag:Xk3T", "a=ice-ufrag:Xk"),
        ("a=ice-ufrag:Xk3T", "b=ice-ufrag:Xk3T"),
        ("a=ice-pwd:2pb1gDzMpJkVYAqmBpT2iRrE", "a=ice-pwd:short"),
        ("a=setup:actpass", "a=setup:holdconn"),
        ("a=setup:actpass", ""),
        ("sha-256 7B", "sha-1 7B"),
        ("sha-256 7B:8B", "sha-256 7B8B"),
        ("sha-256 7B", "sha-256 +7"),
        ("sha-256 7B", "sha-256 7G"),
        (":19:08", ":19"),
        (":19:08", ":19:08:00"),
    ] {
        let bent = CHROMIUM.replacen(from, to, 1);
        assert_ne!(bent, CHROMIUM);
        assert_eq!(sdp::parse(&bent), None, "{from} → {to}");
    }
    assert_eq!(sdp::parse(&format!("{CHROMIUM}{}", "x".repeat(16 * 1024))), None);
}

/// Texts that would say something of their own if they got into an SDP or a candidate line.
const INJECTIONS: &[&str] = &[
    "",
    "abc",
    "abc ",
    " abcd",
    "ab cd",
    "abcd\r",
    "abcd\n",
    "abcd\r\n",
    "abcd\r\na=setup:active",
    "abcd\na=setup:active",
    "abcd\ra=setup:active",
    "abcd\r\nm=audio 9 RTP/AVP 0",
    "abcd\r\na=candidate:1 1 udp 1 192.0.2.1 53 typ host",
    "abcd\r\na=fingerprint:sha-256 00",
    "abcd\r\na=ice-lite",
    "abcd\r\na=sctp-port:1",
    "abcd\r\na=max-message-size:0",
    "abcd\u{0}",
    "\u{0}abcd",
    "abcd\u{b}",
    "abcd\u{c}",
    "abcd\t",
    "abcd\u{85}",
    "abcd\u{2028}",
    "abcd\u{2029}",
    "abcd\u{a0}",
    "abcd\u{feff}",
    "abcd\u{202e}",
    "abcd\u{200b}",
    "äbcd",
    "аbcd",
    "ａｂｃｄ",
    "abcd=",
    "abcd:",
    "abcd;",
    "abcd,",
    "abcd-",
    "abcd_",
    "abcd.",
    "abcd\\",
    "abcd\"",
    "abcd'",
    "abcd`",
    "abcd<",
    "abcd>",
    "abcd&",
    "abcd%0d%0a",
    "abcd\\r\\n",
    "abcd#",
    "abcd?",
    "abcd*",
    "abcd$(x)",
    "abcd{}",
    "abcd|",
    "abcd~",
    "😀😀",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

#[test]
fn no_text_gets_into_an_sdp_unseen() {
    assert!(INJECTIONS.len() >= 50);
    for text in INJECTIONS {
        let ufrag = Description { ufrag: (*text).to_string(), ..description() };
        assert_eq!(sdp::build(&ufrag), None, "{text:?} as ufrag");
        let long: String = format!("0123456789012345678901{text}");
        let pwd = Description { pwd: long.clone(), ..description() };
        let harmless = text.bytes().all(|c| c.is_ascii_alphanumeric());
        assert_eq!(sdp::build(&pwd).is_some(), harmless, "{long:?} as pwd");
    }
}
