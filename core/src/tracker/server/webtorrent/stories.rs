//! Stories of the WebTorrent dialect: messages as clients write them, and what comes back, byte by byte.

use super::*;
use crate::tracker::server::token::{Claims, Minter};
use crate::tracker::server::{Dialect, Rate, Served, ServerInput};
use crate::wire::webtorrent::{Envelope, Passing};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec;

/// Bytes 0xe0 to 0xf3: each takes two bytes of UTF-8.
const SWARM: &str = "àáâãäåæçèéêëìíîïðñòó";
const OTHER: &str = "OTHER_SWARM_________";
/// What Chromium 156 writes for a data channel, with candidates of every kind; `\r\n` as JSON has it.
const SDP: &str = "v=0\\r\\no=- 4611731400430051336 2 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\na=group:BUNDLE 0\\r\\n\
    a=extmap-allow-mixed\\r\\na=msid-semantic: WMS\\r\\nm=application 51234 UDP/DTLS/SCTP webrtc-datachannel\\r\\n\
    CONNECTIONa=candidate:1 1 udp 2113937151 00112233-4455-6677-8899-aabbccddeeff.local 51234 typ host generation 0\\r\\n\
    a=candidate:2 1 udp 1677729535 ADDRESS 51234 typ srflx raddr 0.0.0.0 rport 0 generation 0\\r\\n\
    TCPa=ice-ufrag:abcd\\r\\na=ice-pwd:abcdefghijklmnopqrstuv+/\\r\\na=ice-options:trickle\\r\\n\
    a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\\r\\n\
    a=setup:actpass\\r\\na=mid:0\\r\\na=sctp-port:5000\\r\\na=max-message-size:262144\\r\\n";

/// What a client writes, and what strangers get of it.
fn sdp(address: &str) -> (String, String) {
    let written = SDP.replace("ADDRESS", address).replace("CONNECTION", &format!("c=IN IP4 {address}\\r\\n"));
    let written =
        written.replace("TCP", "a=candidate:3 1 tcp 1518280447 10.0.0.5 9 typ host tcptype active\\r\\n");
    let passed =
        SDP.replace("ADDRESS", address).replace("CONNECTION", "c=IN IP4 0.0.0.0\\r\\n").replace("TCP", "");
    let start = passed.find("a=candidate:1").unwrap();
    let end = passed.find("a=candidate:2").unwrap();
    (written, format!("{}{}", &passed[..start], &passed[end..]))
}

fn peer(number: u8) -> String {
    format!("-WW0302-peer{number:08}")
}

fn offer_id(number: u8) -> String {
    format!("offer{number:015}")
}

struct World {
    server: Server,
    now: Instant,
    sent: BTreeMap<ConnId, Vec<String>>,
    closed: BTreeMap<ConnId, CloseReason>,
}

fn world(change: impl FnOnce(&mut ServerConfig)) -> World {
    let mut config = ServerConfig::default();
    change(&mut config);
    let server = Server::new(config, [7; 32], Instant::ZERO);
    World { server, now: Instant::ZERO, sent: BTreeMap::new(), closed: BTreeMap::new() }
}

impl World {
    fn handle(&mut self, input: ServerInput<'_>) {
        self.server.handle(self.now, input);
        while let Some(action) = self.server.poll_action() {
            match action {
                ServerAction::Send { conn, bytes } => {
                    self.sent.entry(conn).or_default().push(String::from_utf8(bytes).unwrap());
                }
                ServerAction::Bus(order) => panic!("there is no other node: {order:?}"),
                ServerAction::Close { conn, reason } => assert_eq!(self.closed.insert(conn, reason), None),
            }
        }
    }

    /// Client `number`, from an address of its own.
    fn open(&mut self, number: u8) -> ConnId {
        let conn = ConnId(number.into());
        let address = format!("8.8.{number}.1").parse().ok();
        self.handle(ServerInput::Opened { conn, address, dialect: Dialect::WebTorrent, origin: None });
        assert_eq!(self.take(conn), Vec::<String>::new(), "clients speak first");
        conn
    }

    fn say(&mut self, conn: ConnId, message: &str) -> Vec<String> {
        self.handle(ServerInput::Received { conn, bytes: message.as_bytes() });
        self.take(conn)
    }

    fn take(&mut self, conn: ConnId) -> Vec<String> {
        self.sent.remove(&conn).unwrap_or_default()
    }

    fn joined(&mut self, number: u8, left: &str) -> ConnId {
        let conn = self.open(number);
        assert_eq!(self.say(conn, &announce(number, left, &[])).len(), 1);
        conn
    }

    fn later(&mut self, span: Duration) {
        self.now = self.now + span;
    }
}

/// As `bittorrent-tracker` 11 writes it.
fn announce(number: u8, left: &str, offers: &[(u8, &str)]) -> String {
    let offer = |(id, sdp): &(u8, &str)| {
        format!("{{\"offer\":{{\"type\":\"offer\",\"sdp\":\"{sdp}\"}},\"offer_id\":\"{}\"}}", offer_id(*id))
    };
    let offers: Vec<String> = offers.iter().map(offer).collect();
    format!(
        "{{\"numwant\":{},\"uploaded\":0,\"downloaded\":0,\"left\":{left},\"event\":\"started\",\"action\":\"announce\",\
         \"info_hash\":\"{SWARM}\",\"peer_id\":\"{}\",\"offers\":[{}]}}",
        offers.len(),
        peer(number),
        offers.join(",")
    )
}

fn event(number: u8, event: &str) -> String {
    format!(
        "{{\"numwant\":50,\"uploaded\":0,\"downloaded\":0,\"event\":\"{event}\",\"action\":\"announce\",\
         \"info_hash\":\"{SWARM}\",\"peer_id\":\"{}\"}}",
        peer(number)
    )
}

fn answer(from: u8, to: u8, id: u8, sdp: &str) -> String {
    format!(
        "{{\"action\":\"announce\",\"info_hash\":\"{SWARM}\",\"peer_id\":\"{}\",\"to_peer_id\":\"{}\",\
         \"answer\":{{\"type\":\"answer\",\"sdp\":\"{sdp}\"}},\"offer_id\":\"{}\"}}",
        peer(from),
        peer(to),
        offer_id(id)
    )
}

fn counts(complete: u32, incomplete: u32) -> String {
    format!(
        "{{\"action\":\"announce\",\"info_hash\":\"{SWARM}\",\"complete\":{complete},\"incomplete\":{incomplete},\
         \"interval\":120}}"
    )
}

fn forwarded(kind: &str, sdp: &str, id: u8, from: u8) -> String {
    format!(
        "{{\"action\":\"announce\",\"{kind}\":{{\"type\":\"{kind}\",\"sdp\":\"{sdp}\"}},\"offer_id\":\"{}\",\
         \"peer_id\":\"{}\",\"info_hash\":\"{SWARM}\"}}",
        offer_id(id),
        peer(from)
    )
}

fn failure(reason: &str, info_hash: Option<&str>) -> String {
    let swarm = info_hash.map(|hash| format!(",\"info_hash\":\"{hash}\"")).unwrap_or_default();
    format!("{{\"action\":\"announce\",\"failure reason\":\"{reason}\"{swarm}}}")
}

#[test]
fn an_offer_finds_a_member_and_its_answer_comes_back() {
    let mut w = world(|_| {});
    let a = w.open(1);
    let (written, passed) = sdp("8.8.1.1");
    assert_eq!(w.say(a, &announce(1, "100", &[(1, &written)])), [counts(0, 1)], "nobody to offer to");
    let b = w.open(2);
    assert_eq!(w.say(b, &announce(2, "null", &[])), [counts(0, 2)]);
    assert_eq!(w.take(a), Vec::<String>::new(), "without offers nobody hears of it");
    assert_eq!(w.say(a, &announce(1, "100", &[(2, &written), (3, &written)])), [counts(0, 2)]);
    assert_eq!(w.take(b), [forwarded("offer", &passed, 2, 1)], "one offer for each member");
    let (written, passed) = sdp("8.8.2.1");
    assert_eq!(w.say(b, &answer(2, 1, 2, &written)), Vec::<String>::new(), "an answer is not answered");
    assert_eq!(w.take(a), [forwarded("answer", &passed, 2, 2)]);
    assert_eq!(w.say(b, &answer(2, 1, 2, &written)), Vec::<String>::new());
    assert_eq!(w.take(a), Vec::<String>::new(), "once");
    assert_eq!((w.server.snapshot().relays.iter().sum::<u64>(), w.server.snapshot().memberships), (2, 2));
}

#[test]
fn an_answer_is_passed_only_from_whom_got_the_offer() {
    let mut w = world(|_| {});
    let (a, b, c) = (w.joined(1, "1"), w.joined(2, "1"), w.joined(3, "1"));
    let (written, _) = sdp("8.8.1.1");
    w.say(a, &announce(1, "1", &[(5, &written)]));
    let (taker, other) = if w.sent.contains_key(&b) { ((b, 2), (c, 3)) } else { ((c, 3), (b, 2)) };
    w.take(taker.0);
    let (fits, _) = sdp(&format!("8.8.{}.1", other.1));
    w.say(other.0, &answer(other.1, 1, 5, &fits));
    assert_eq!(w.take(a), Vec::<String>::new(), "not to whom the offer was given");
    let (fits, _) = sdp(&format!("8.8.{}.1", taker.1));
    w.say(taker.0, &answer(taker.1, other.1, 5, &fits));
    assert_eq!((w.take(a).len(), w.take(other.0).len()), (0, 0), "not who made it");
    w.say(a, &announce(1, "1", &[(6, &written), (7, &written)]));
    w.take(other.0);
    let got = w.take(taker.0).concat();
    let id = if got.contains(&offer_id(6)) { 6 } else { 7 };
    w.later(OFFER_LIFE);
    w.handle(ServerInput::Timeout);
    w.say(taker.0, &answer(taker.1, 1, id, &fits));
    assert_eq!(w.take(a), Vec::<String>::new(), "too late");
    assert_eq!(w.server.poll_timeout(), None, "nothing is left to forget");
}

#[test]
fn two_do_not_offer_to_each_other_at_once() {
    let mut w = world(|_| {});
    let (a, b) = (w.joined(1, "1"), w.joined(2, "1"));
    let (written, _) = sdp("8.8.1.1");
    w.say(a, &announce(1, "1", &[(1, &written)]));
    assert_eq!(w.take(b).len(), 1);
    let (back, passed) = sdp("8.8.2.1");
    assert_eq!(w.say(b, &announce(2, "1", &[(2, &back)])), [counts(0, 2)]);
    assert_eq!(w.take(a), Vec::<String>::new(), "it has an offer of that one to answer");
    let c = w.joined(3, "1");
    w.say(b, &announce(2, "1", &[(3, &back), (4, &back)]));
    assert_eq!((w.take(a).len(), w.take(c).len()), (0, 1), "others are offered to");
    w.say(b, &answer(2, 1, 1, &back));
    assert_eq!(w.take(a).len(), 1);
    w.say(b, &announce(2, "1", &[(5, &back), (6, &back)]));
    let came = w.take(a).concat();
    assert!(came.contains(&passed), "answered, it may make one of its own: {came}");
}

#[test]
fn who_is_complete_stays_so_and_is_not_matched_with_its_like() {
    let mut w = world(|_| {});
    let seed = w.open(1);
    assert_eq!(w.say(seed, &event(1, "completed")), [counts(1, 0)], "seeders say so before they start");
    let (written, _) = sdp("8.8.1.1");
    w.say(seed, &announce(1, "null", &[]));
    let other = w.joined(2, "0");
    assert_eq!(w.say(seed, &announce(1, "0", &[(1, &written)])), [counts(2, 0)]);
    assert_eq!(w.take(other), Vec::<String>::new(), "seeders have nothing for each other");
    let leech = w.joined(3, "5");
    let (theirs, _) = sdp("8.8.3.1");
    w.say(leech, &announce(3, "5", &[(1, &theirs), (2, &theirs)]));
    assert_eq!((w.take(seed).len(), w.take(other).len()), (1, 1));
    for id in [1, 2] {
        w.say(seed, &answer(1, 3, id, &written));
    }
    assert_eq!(w.take(leech).len(), 1);
    let scrape = format!("{{\"action\":\"scrape\",\"info_hash\":[\"{SWARM}\",\"{OTHER}\"]}}");
    let files = "{\"complete\":2,\"incomplete\":1,\"downloaded\":0}";
    let none = "{\"complete\":0,\"incomplete\":0,\"downloaded\":0}";
    let reply = format!("{{\"action\":\"scrape\",\"files\":{{\"{SWARM}\":{files},\"{OTHER}\":{none}}}}}");
    assert_eq!(w.say(leech, &scrape), [reply], "an answer demotes nobody");
    assert_eq!(w.say(leech, &event(3, "completed")), [counts(3, 0)]);
    assert_eq!(w.say(leech, &event(3, "stopped")), [counts(2, 0)]);
    assert_eq!(w.say(leech, &event(3, "stopped")), [counts(2, 0)], "again");
    let one = w.say(leech, &format!("{{\"action\":\"scrape\",\"info_hash\":\"{SWARM}\"}}"));
    assert!(one[0].contains("\"downloaded\":1"), "{one:?}");
}

#[test]
fn membership_ends_with_the_connection() {
    let mut w = world(|_| {});
    let conns: Vec<ConnId> =
        (1..=20).map(|number| w.joined(number, if number % 3 == 0 { "0" } else { "9" })).collect();
    assert_eq!(w.server.snapshot().memberships, 20);
    for conn in conns {
        w.handle(ServerInput::Closed { conn });
    }
    let end = w.server.snapshot();
    assert_eq!((end.connections, end.swarms, end.memberships), (0, 0, 0));
}

#[test]
fn mistakes_are_answered_with_action_and_swarm() {
    let mut w = world(|_| {});
    let conn = w.joined(1, "1");
    let name = format!("\"info_hash\":\"{SWARM}\"");
    let cases = [
        ("{".to_string(), failure("malformed", None)),
        ("null".to_string(), failure("malformed", None)),
        (format!("{{{name}}}"), failure("malformed", Some(SWARM))),
        (format!("{{\"action\":\"announce\",{name}}}"), failure("malformed", Some(SWARM))),
        (
            format!("{{\"action\":\"steal\",{name},\"peer_id\":\"{}\"}}", peer(1)),
            failure("malformed", Some(SWARM)),
        ),
        (announce(2, "1", &[]), failure("one peer_id in a swarm", Some(SWARM))),
        (
            "{\"action\":\"scrape\"}".to_string(),
            "{\"action\":\"scrape\",\"failure reason\":\"malformed\"}".to_string(),
        ),
    ];
    for (message, reply) in cases {
        assert_eq!(w.say(conn, &message), [reply], "{message}");
    }
    w.joined(3, "1");
    let reply = w.say(conn, &announce(1, "1", &[(1, "v=0")]));
    assert_eq!(reply, [counts(0, 2), failure("description", Some(SWARM))]);
    assert_eq!(w.closed, BTreeMap::new());
    let fresh = w.open(9);
    assert_eq!(w.say(fresh, "hello"), Vec::<String>::new());
    assert_eq!(w.closed, BTreeMap::from([(fresh, CloseReason::Malformed)]), "not a client at all");
}

#[test]
fn silence_is_closed() {
    let mut w = world(|_| {});
    let silent = w.open(1);
    let spoken = w.joined(2, "1");
    w.later(Duration::from_secs(8));
    w.handle(ServerInput::Timeout);
    assert_eq!(w.closed, BTreeMap::new(), "clients may gather candidates for 5 s first");
    w.later(Duration::from_secs(7));
    w.handle(ServerInput::Timeout);
    assert_eq!(w.closed, BTreeMap::from([(silent, CloseReason::Deadline)]));
    assert_eq!(w.say(spoken, &event(2, "update")), [counts(0, 1)]);
}

#[test]
fn only_what_is_served_and_only_with_a_token_where_there_are_some() {
    let mut only = BTreeSet::new();
    only.insert(InfoHash([1; 20]));
    let mut w = world(|config| config.served = Served::Only { topics: BTreeSet::new(), info_hashes: only });
    let conn = w.open(1);
    assert_eq!(w.say(conn, &announce(1, "1", &[])), [failure("content", Some(SWARM))]);
    let listed = announce(1, "1", &[]).replace(SWARM, &"\\u0001".repeat(20));
    assert!(w.say(conn, &listed)[0].contains("\"incomplete\":1"));
    let secret = b"a secret of its own";
    let claims = Claims { site: "https://a.example".to_string(), expires_s: 600, ..Claims::default() };
    let right = Minter::Secret(secret).mint(&claims);
    let mut w = world(|config| config.tokens.keys.secrets = vec![secret.to_vec()]);
    w.handle(ServerInput::Clock { unix_s: 1 });
    let conn = w.open(1);
    assert_eq!(w.say(conn, &announce(1, "1", &[])), [failure("token", Some(SWARM))]);
    assert_eq!(w.closed[&conn], CloseReason::Denied);
    let conn = w.open(2);
    let with = announce(2, "1", &[]).replace("{\"numwant\"", &format!("{{\"token\":\"{right}\",\"numwant\""));
    assert_eq!(w.say(conn, &with), [counts(0, 1)]);
    assert_eq!(w.say(conn, &announce(2, "1", &[])), [counts(0, 1)], "once for a connection");
    let conn = w.open(3);
    w.say(conn, &format!("{{\"action\":\"scrape\",\"info_hash\":\"{SWARM}\"}}"));
    assert_eq!(w.closed[&conn], CloseReason::Denied, "nor is it told");
}

#[test]
fn a_hundred_cannot_flood_one_and_one_not_a_hundred() {
    let mut w = world(|_| {});
    let victim = w.joined(200, "1");
    for number in 1..=100 {
        let conn = w.open(number);
        let (written, _) = sdp(&format!("8.8.{number}.1"));
        w.say(conn, &announce(number, "0", &[(1, &written)]));
    }
    assert_eq!(w.take(victim).len(), 60);
    let mut w = world(|config| config.lists = Rate { per_minute: 6000, burst: 6000 });
    let conns: Vec<ConnId> = (1..=100).map(|number| w.joined(number, "1")).collect();
    let (written, _) = sdp("8.8.1.1");
    for _ in 0..40 {
        let offers: Vec<(u8, &str)> = (0..10).map(|id| (id, written.as_str())).collect();
        w.say(conns[0], &announce(1, "1", &offers));
    }
    let got: usize = conns.iter().map(|conn| w.take(*conn).len()).sum();
    assert_eq!(got, 60, "offers of one");
}

#[test]
fn who_asks_often_is_matched_seldom() {
    let mut w = world(|_| {});
    let (a, b) = (w.joined(1, "1"), w.joined(2, "1"));
    let (written, _) = sdp("8.8.1.1");
    for id in 0..10 {
        assert_eq!(w.say(a, &announce(1, "1", &[(id, &written)])), [counts(0, 2)]);
    }
    assert_eq!(w.take(b).len(), 4);
    w.later(Duration::from_secs(10));
    w.say(a, &announce(1, "1", &[(99, &written)]));
    assert_eq!(w.take(b).len(), 1);
}

#[test]
fn descriptions_get_through_clean_or_not_at_all() {
    let base = sdp("8.8.1.1").0;
    let read = |sdp: &str| {
        let message = announce(1, "1", &[(1, sdp)]);
        let Ok(Request::Announce(announce)) = Request::read(message.as_bytes()) else { panic!("{sdp}") };
        let session = Session::read(announce.offers[0].sdp)?;
        let (id, peer) = (OfferId([b'o'; 20]), PeerCode([b'p'; 20]));
        let envelope = Envelope { info_hash: InfoHash([b'i'; 20]), peer, id, answer: false };
        Ok::<_, Error>(
            String::from_utf8(envelope.encode(&session, Passing::when(|_| true), Vec::new())).unwrap(),
        )
    };
    let whole = read(&base).unwrap();
    for (put_in, kept) in [
        ("b=AS:30\\r\\n", false),
        ("a=x-google-flag:conference\\r\\n", false),
        ("i=hello\\r\\n", false),
        ("nonsense\\r\\n", false),
        ("a=tls-id:abc\\r\\n", true),
        ("a=candidate:9 1 udp 1 1.2.3.4 99999 typ host\\r\\n", false),
        ("a=candidate:9 1 udp 1 0x7f.1 9999 typ host\\r\\n", false),
        ("a=candidate:9 2 udp 1 1.2.3.4 9999 typ host\\r\\n", false),
    ] {
        let passed = read(&format!("{base}{put_in}")).unwrap();
        assert_eq!(passed.contains(put_in), kept, "{put_in}");
        assert!(passed.len() <= whole.len() + if kept { put_in.len() } else { 0 });
    }
    let line = |start: &str| {
        let from = base.find(start).unwrap();
        let to = from + base[from..].find("\\r\\n").unwrap() + 4;
        &base[from..to]
    };
    for start in ["v=0", "m=application", "a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"] {
        assert_eq!(read(&base.replacen(line(start), "", 1)).err(), Some(Error::Malformed), "without {start}");
        if start != "v=0" {
            let twice = format!("{base}{}", line(start));
            assert_eq!(read(&twice).err(), Some(Error::Malformed), "twice {start}");
        }
    }
    for (from, to) in [
        ("m=application", "m=audio"),
        ("ufrag:abcd", "ufrag:a\\\"cd"),
        ("ufrag:abcd", "ufrag:a cd"),
        ("ufrag:abcd", "ufrag:a\\u000acd"),
        ("ufrag:abcd", "ufrag:é bcd"),
        ("setup:actpass", "setup:holdconn"),
        ("s=-", "s=\\u0000"),
        ("s=-", "s=\\\\"),
    ] {
        assert_eq!(read(&base.replacen(from, to, 1)).err(), Some(Error::Malformed), "{to}");
    }
    let many = format!("{base}{}", "a=candidate:9 1 udp 1 8.8.1.1 9999 typ host\\r\\n".repeat(19));
    assert_eq!(read(&many).err(), Some(Error::Limit));
    let slashes = base.replace('/', "\\/");
    assert_eq!(read(&slashes), Ok(whole.clone()), "escapes that need not be");
    assert_eq!(read(&base.replace("\\r\\n", "\\n")), Ok(whole), "bare line feeds");
}

/// What an attacker may say.
fn anything() -> impl Strategy<Value = (u8, String)> {
    let who = 1u8..8;
    (who, 0u8..8, 1u8..8, proptest::collection::vec(0u8..20, 0..6), 0usize..3).prop_map(
        |(who, kind, to, ids, length)| {
            let (written, _) = sdp(&format!("8.8.{who}.1"));
            let short = "v=0\\r\\nm=application 9 SCTP\\r\\na=ice-ufrag:abcd\\r\\na=ice-pwd:abcdefghijklmnopqrstuv\\r\\n\
                a=fingerprint:x\\r\\na=setup:active";
            let sdp = [short, &written, "v=0"][length];
            let offers: Vec<(u8, &str)> = ids.iter().map(|id| (*id, sdp)).collect();
            let message = match kind {
                0..=3 => announce(who, "1", &offers),
                4 | 5 => answer(who, to, ids.first().copied().unwrap_or(0), sdp),
                6 => event(who, "stopped"),
                _ => event(who, "completed"),
            };
            (who, message)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever says whatever: what others get is at most a tenth more than what was sent to us.
    #[test]
    fn nothing_is_amplified(script in proptest::collection::vec((anything(), 0u64..2_000_000), 1..150)) {
        let mut w = world(|_| {});
        let conns: Vec<ConnId> = (1..8).map(|number| w.joined(number, "1")).collect();
        let (mut bytes_in, mut bytes_out) = (0, 0);
        for ((who, message), pause) in script {
            w.later(Duration::from_micros(pause));
            bytes_in += message.len();
            w.say(ConnId(who.into()), &message);
            bytes_out += conns.iter().flat_map(|conn| w.take(*conn)).map(|text| text.len()).sum::<usize>();
        }
        prop_assert!(bytes_out * 10 <= bytes_in * 11, "{bytes_out} of {bytes_in}");
        for conn in conns {
            w.handle(ServerInput::Closed { conn });
        }
        let end = w.server.snapshot();
        prop_assert_eq!((end.connections, end.peers, end.swarms, end.memberships), (0, 0, 0, 0));
    }

    /// Random bytes are survived, and so is a good message with bytes changed in it.
    #[test]
    fn noise_is_harmless(at in 0usize..2000, byte in any::<u8>(), noise in proptest::collection::vec(any::<u8>(), 0..99)) {
        let mut w = world(|_| {});
        w.joined(2, "1");
        let conn = w.joined(1, "1");
        let mut message = announce(1, "1", &[(1, &sdp("8.8.1.1").0)]).into_bytes();
        let at = at % message.len();
        message[at] = byte;
        for bytes in [message, noise] {
            w.handle(ServerInput::Received { conn, bytes: &bytes });
        }
    }
}
