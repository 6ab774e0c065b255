//! What the clients of both dialects say, ready to be sent.

use super::crowd::push;
use memchr::memmem;
use swarmlet_core::keys::Key;
use swarmlet_core::tracker::challenge_bytes;
use swarmlet_core::wire::{
    Address, Candidate, CandidateKind, Description, Role, Signal, Signature, ToTracker, VERSION,
};
use swarmlet_core::{Fingerprint, PeerId, Topic};

/// A description as Chromium writes one, 1,100 bytes as in JSON.
const SDP: &str = "v=0\\r\\no=- 4611731400430051336 2 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\na=group:BUNDLE 0\\r\\n\
    a=extmap-allow-mixed\\r\\na=msid-semantic: WMS\\r\\nm=application 51234 UDP/DTLS/SCTP webrtc-datachannel\\r\\n\
    c=IN IP4 192.168.1.77\\r\\n\
    a=candidate:3348148302 1 udp 2113937151 00112233-4455-6677-8899-aabbccddeeff.local 51234 typ host generation 0 network-cost 999\\r\\n\
    a=candidate:3348148303 1 udp 2113937150 192.168.1.77 51235 typ host generation 0 network-id 2 network-cost 50\\r\\n\
    a=candidate:842163049 1 udp 1677729535 192.168.1.77 51234 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999\\r\\n\
    a=candidate:842163050 1 udp 1677729534 192.168.1.77 51236 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999\\r\\n\
    a=ice-ufrag:abcd\\r\\na=ice-pwd:abcdefghijklmnopqrstuv12\\r\\na=ice-options:trickle\\r\\n\
    a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\\r\\n\
    a=setup:actpass\\r\\na=mid:0\\r\\na=sctp-port:5000\\r\\na=max-message-size:262144\\r\\n";

/// An announce that is the same every time but for the names of its offers.
pub(super) struct Announce {
    text: Vec<u8>,
    /// Where the names are.
    names: Vec<usize>,
}

/// A swarm's name.
pub(super) fn info_hash(swarm: usize) -> String {
    format!("load-swarm-{swarm:09}")
}

/// A client's name.
pub(super) fn peer(at: usize) -> String {
    format!("-LD0001-{at:012}")
}

/// Whether a name is that of a client from `first` on.
pub(super) fn is_named_from(first: usize, peer: &[u8]) -> bool {
    let digits = peer.get(8..).and_then(|digits| core::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse::<usize>().ok()).is_some_and(|number| number >= first)
}

impl Announce {
    /// Of client `at` in a swarm, with so many offers.
    pub(super) fn new(at: usize, swarm: usize, offers: usize, left: u32) -> Self {
        let mark = "#".repeat(20);
        let offer = format!("{{\"offer\":{{\"type\":\"offer\",\"sdp\":\"{SDP}\"}},\"offer_id\":\"{mark}\"}}");
        let text = format!(
            "{{\"numwant\":{offers},\"uploaded\":0,\"downloaded\":0,\"left\":{left},\"event\":\"started\",\
             \"action\":\"announce\",\"info_hash\":\"{}\",\"peer_id\":\"{}\",\"offers\":[{}]}}",
            info_hash(swarm),
            peer(at),
            vec![offer; offers].join(",")
        );
        let names = memmem::find_iter(text.as_bytes(), mark.as_bytes()).collect();
        Self { text: text.into_bytes(), names }
    }

    /// As it is sent, but for the names of its offers.
    pub(super) fn into_text(self) -> Vec<u8> {
        self.text
    }

    /// Appends it, with the time in the names of the offers.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, at: usize, micros: u64) {
        for (number, name) in self.names.iter().enumerate() {
            let id = format!("{micros:013}{at:06}{}", number % 10);
            self.text[*name..name + 20].copy_from_slice(id.as_bytes());
        }
        push(out, 1, &self.text);
    }
}

/// A message that a client of the WebTorrent dialect hears.
pub(super) enum Word<'a> {
    /// To be answered.
    Offer { id: &'a [u8], peer: &'a [u8], swarm: &'a [u8] },
    /// What came of an own offer.
    Answer,
    /// How many there are.
    Counts,
    /// A refusal, or nothing known.
    Other,
}

impl<'a> Word<'a> {
    /// Good enough for what trackers write; nobody is to be protected here.
    pub(super) fn read(text: &'a [u8]) -> Self {
        let has = |part: &str| memmem::find(text, part.as_bytes()).is_some();
        let value = |name: &str| {
            let from = memmem::find(text, name.as_bytes())? + name.len();
            text.get(from..from + 20)
        };
        if has("\"offer\":{") {
            let id = value("\"offer_id\":\"");
            return match (id, value("\"peer_id\":\""), value("\"info_hash\":\"")) {
                (Some(id), Some(peer), Some(swarm)) => Self::Offer { id, peer, swarm },
                _ => Self::Other,
            };
        }
        match (has("\"answer\":{"), has("\"complete\":")) {
            (true, _) => Self::Answer,
            (_, true) => Self::Counts,
            _ => Self::Other,
        }
    }
}

/// Appends the answer of client `at` to an offer.
pub(super) fn push_answer(out: &mut Vec<u8>, at: usize, id: &[u8], to: &[u8], swarm: &[u8]) {
    let mut text = Vec::with_capacity(SDP.len() + 256);
    let me = peer(at);
    for part in [
        b"{\"action\":\"announce\",\"info_hash\":\"".as_slice(),
        swarm,
        b"\",\"peer_id\":\"",
        me.as_bytes(),
        b"\",\"to_peer_id\":\"",
        to,
        b"\",\"answer\":{\"type\":\"answer\",\"sdp\":\"",
        SDP.as_bytes(),
        b"\"},\"offer_id\":\"",
        id,
        b"\"}",
    ] {
        text.extend_from_slice(part);
    }
    push(out, 1, &text);
}

/// How many there are in a swarm, by an answer that counts them.
pub(super) fn members(text: &[u8]) -> usize {
    let count = |name: &str| {
        let from = memmem::find(text, name.as_bytes())? + name.len();
        let mut digits = text.get(from..)?.iter().copied().take_while(u8::is_ascii_digit);
        digits.try_fold(0usize, |sum, digit| sum.checked_mul(10)?.checked_add(usize::from(digit - b'0')))
    };
    count("\"complete\":").unwrap_or(0) + count("\"incomplete\":").unwrap_or(0)
}

/// A key of its own for each client of our dialect.
pub(super) fn key(at: usize) -> Key {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&(at as u64).to_le_bytes());
    Key::from_seed(&seed)
}

/// Appends the answer to a challenge and an announce, in one frame as clients of our dialect do.
pub(super) fn push_join(out: &mut Vec<u8>, key: &Key, nonce: &[u8; 32], swarm: usize) {
    let peer = key.peer_id();
    let Some(signature) = Signature::from_bytes(&key.sign(&challenge_bytes(nonce, &peer))) else { return };
    let hello = ToTracker::Hello { version: VERSION, features: 0, peer, signature, token: String::new() };
    let mut topic = [3; 32];
    topic[..8].copy_from_slice(&(swarm as u64).to_be_bytes());
    let announce = ToTracker::Announce { topic: Topic(topic), complete: false, want: 12 };
    push(out, 2, &[hello.encode(), announce.encode()].concat());
}

/// Appends knocks at some peers, in one frame.
pub(super) fn push_knocks(
    out: &mut Vec<u8>,
    peers: impl Iterator<Item = PeerId>,
    attempt: u32,
    topic: Topic,
) {
    let knock = |to| ToTracker::Relay { to, signals: vec![Signal::Knock { attempt, topic }] }.encode();
    push(out, 2, &peers.flat_map(knock).collect::<Vec<u8>>());
}

/// Appends one side of a connection: its description, and what a browser finds out about its addresses in the moment that
/// it waits: one that mDNS hides, and the one that STUN has seen.
pub(super) fn push_side(out: &mut Vec<u8>, to: PeerId, description: Signal) {
    let attempt = description.attempt();
    let found = [
        (Address::Mdns([9; 16]), 51_234, CandidateKind::Host, 2_113_937_151),
        (Address::V4([93, 184, 216, 34]), 51_235, CandidateKind::ServerReflexive, 1_677_729_535),
    ];
    let found = found.map(|(address, port, kind, priority)| {
        let candidate = Candidate { address, port, kind, priority };
        Signal::Candidate { attempt, candidate }
    });
    let signals = [description].into_iter().chain(found).collect();
    push(out, 2, &ToTracker::Relay { to, signals }.encode());
}

/// What a browser says of its side, with the lengths that Chromium chooses.
fn description(role: Role) -> Description {
    Description {
        ufrag: "aB3+".to_owned(),
        pwd: "0123456789abcdefghijklmn".to_owned(),
        fingerprint: Fingerprint([5; 32]),
        role,
    }
}

/// The answer to a knock.
pub(super) fn offer(attempt: u32, topic: Topic) -> Signal {
    Signal::Offer { attempt, topic, description: description(Role::Actpass) }
}

/// The answer to an offer.
pub(super) fn answer(attempt: u32) -> Signal {
    Signal::Answer { attempt, description: description(Role::Active) }
}
