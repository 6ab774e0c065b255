//! Inputs that no good client sends, by name: broken requests, broken frames, and messages of both dialects that are none.
//! They are made of good ones, so that each breaks one thing only.

use super::crowd::push;
use super::words::{self, Announce};
use swarmlet_core::wire::{Signal, ToTracker};
use swarmlet_core::{PeerId, Topic};

/// One of them: its name, and the bytes behind an open WebSocket.
pub(super) type Bad = (String, Vec<u8>);

/// Collects them.
struct Makers(Vec<Bad>);

impl Makers {
    fn raw(&mut self, name: impl Into<String>, bytes: Vec<u8>) {
        self.0.push((name.into(), bytes));
    }

    fn message(&mut self, name: impl Into<String>, opcode: u8, payload: &[u8]) {
        let mut bytes = Vec::new();
        push(&mut bytes, opcode, payload);
        self.raw(name, bytes);
    }
}

/// For clients of WebTorrent's dialect.
pub(super) fn webtorrent() -> Vec<Bad> {
    let mut makers = Makers(Vec::new());
    makers.frames(1);
    makers.texts();
    let good = String::from_utf8_lossy(&Announce::new(NAME, NAME, 1, 1).into_text()).into_owned();
    for part in [
        "\"action\"",
        "\"info_hash\"",
        "\"peer_id\"",
        "\"offers\"",
        "\"sdp\"",
        "\"offer_id\"",
        "\"left\"",
        "\"type\"",
    ] {
        for (kind, instead) in [
            ("missing", "\"x\""),
            ("in capitals", &part.to_uppercase()),
            ("twice", &format!("{part}:0,{part}")),
            ("escaped", &part.replacen('"', "\"\\u0041", 1)),
            ("without quotes", part.trim_matches('"')),
        ] {
            makers.message(format!("{part} {kind}"), 1, good.replacen(part, instead, 1).as_bytes());
        }
    }
    for (name, value) in values() {
        for id in [words::info_hash(NAME), words::peer(NAME), "#".repeat(20)] {
            let text = good.replacen(&format!("\"{id}\""), &value, 1);
            makers.message(format!("{id} as {name}"), 1, text.as_bytes());
        }
    }
    for length in (0..good.len()).step_by(good.len() / 40) {
        makers.message(format!("an announce cut to {length}"), 1, &good.as_bytes()[..length]);
    }
    for line in ["v=0", "m=application", "a=ice-ufrag:abcd", "a=ice-pwd", "a=fingerprint", "a=setup:actpass"]
    {
        for (name, instead) in [
            ("gone", "x=".to_owned()),
            ("twice", format!("{line}\\r\\n{line}")),
            ("with a null", format!("{line}\\u0000")),
        ] {
            makers.message(format!("{line} {name}"), 1, good.replacen(line, &instead, 1).as_bytes());
        }
    }
    makers.message("21 candidates", 1, good.replacen("a=mid:0", &CANDIDATE.repeat(21), 1).as_bytes());
    makers.0
}

/// Nobody else has this name, nor a swarm of it.
const NAME: usize = 999_999;
const CANDIDATE: &str = "a=candidate:1 1 udp 1 8.8.8.8 9999 typ host\\r\\n";

/// Values that no name of 20 characters may have.
fn values() -> Vec<(&'static str, String)> {
    let tail = "x".repeat(19);
    vec![
        ("null", "null".to_owned()),
        ("a number", "12345678901234567890".to_owned()),
        ("an object", "{}".to_owned()),
        ("a list of lists", "[[]]".to_owned()),
        ("nothing", "\"\"".to_owned()),
        ("19 characters", format!("\"{tail}\"")),
        ("21 characters", format!("\"{tail}xx\"")),
        ("a wide character", format!("\"Ā{tail}\"")),
        ("half a pair", format!("\"\\ud800{tail}\"")),
        ("an unsound escape", format!("\"\\x{tail}\"")),
        ("a raw control", format!("\"\u{1}{tail}\"")),
    ]
}

/// For clients of our dialect.
pub(super) fn swarmlet() -> Vec<Bad> {
    let mut makers = Makers(Vec::new());
    makers.frames(2);
    let topic = Topic([3; 32]);
    let relay = |signal| ToTracker::Relay { to: PeerId([9; 32]), signals: vec![signal] }.encode();
    let good = [
        ("announce", ToTracker::Announce { topic, complete: false, want: 12 }.encode()),
        ("leave", ToTracker::Leave { topic }.encode()),
        ("knock", relay(Signal::Knock { attempt: 1, topic })),
        ("offer", relay(words::offer(1, topic))),
        ("answer", relay(words::answer(1))),
    ];
    for (name, bytes) in &good {
        for length in (0..bytes.len()).step_by(7) {
            makers.message(format!("{name} cut to {length}"), 2, &bytes[..length]);
        }
        makers.message(format!("{name} and a byte"), 2, &[bytes.as_slice(), &[0]].concat());
        makers.message(format!("{name} as text"), 1, bytes);
    }
    for variant in 4..=40u8 {
        makers.message(format!("message {variant}"), 2, &[&[variant], &[0; 40][..]].concat());
    }
    makers.message("a number without end", 2, &[0xff; 20]);
    makers.message("want 13", 2, &ToTracker::Announce { topic, complete: false, want: 13 }.encode());
    makers.0
}

impl Makers {
    /// What is no frame of a client, or one too large.
    fn frames(&mut self, opcode: u8) {
        for reserved in (3..=7).chain(11..=15) {
            self.message(format!("frame of opcode {reserved}"), reserved, b"x");
        }
        for bit in [0x10, 0x20, 0x40, 0x70] {
            let mut bytes = Vec::new();
            push(&mut bytes, opcode, b"x");
            bytes[0] |= bit;
            self.raw(format!("frame with reserved bits {bit:x}"), bytes);
        }
        self.raw("frame without a mask", vec![0x80 | opcode, 1, b'x']);
        self.raw("frame that announces 2^63 bytes", [&[0x80 | opcode, 0xff], &[0xff; 8][..]].concat());
        self.raw("frame that announces 40,000 bytes", vec![0x80 | opcode, 0xfe, 0x9c, 0x40]);
        self.raw("ping in parts", vec![0x09, 0x80, 0, 0, 0, 0]);
        self.raw("long ping", [&[0x89, 0xfe, 0, 126, 0, 0, 0, 0], &[0; 126][..]].concat());
        self.raw("nothing to go on with", vec![0x80, 0x80, 0, 0, 0, 0]);
        self.raw(
            "a new message within another",
            [[opcode, 0x80, 0, 0, 0, 0], [0x80 | opcode, 0x80, 0, 0, 0, 0]].concat(),
        );
        self.raw("an HTTP request", b"GET /signal HTTP/1.1\r\n\r\n".to_vec());
        self.message("40,000 bytes", opcode, &vec![b' '; 40_000]);
        self.message("nothing", opcode, b"");
        for byte in [0, 0x20, 0x7f, 0x80, 0xff] {
            self.message(format!("a hundred of {byte:02x}"), opcode, &[byte; 100]);
        }
    }

    /// What is no JSON, or not what anybody asked for.
    fn texts(&mut self) {
        for text in [
            "[]",
            "null",
            "7",
            "{",
            "}",
            "{}{}",
            "{\"action\"}",
            "{\"action\":\"scrape\",}",
            "{'action':'scrape'}",
            "{action:\"scrape\"}",
            "{}//",
            "{\"left\":NaN}",
            "{\"left\":01}",
            "{\"left\":1e}",
            "{\"action\":\"scrape\"}",
            "{\"action\":\"scrape\",\"info_hash\":[]}",
            "{\"action\":\"connect\"}",
            "{\"action\":\"announce\"}",
        ] {
            self.message(text, 1, text.as_bytes());
        }
        for depth in [10, 1000, 10_000] {
            self.message(
                format!("lists {depth} deep"),
                1,
                format!("{{\"x\":{}}}", "[".repeat(depth)).as_bytes(),
            );
        }
        self.message("bytes that are no UTF-8", 1, &[b'{', 0xff, b'}']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_more_than_two_hundred_each_with_a_name_of_its_own() {
        let mut all = 0;
        for list in [webtorrent(), swarmlet()] {
            let mut names: Vec<&str> = list.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), list.len());
            all += list.len();
        }
        assert!(all >= 200, "{all}");
    }
}
