//! What the tracker says to WebTorrent clients, and what it passes on.

use super::session::{Passing, Session};
use super::{InfoHash, OfferId, PeerCode};
use crate::wire::json::ascii_run;
use alloc::vec::Vec;

/// What the tracker says.
#[derive(Clone, Debug)]
pub enum Reply<'a> {
    /// To an announce: how many there are, and when to come again.
    Counts {
        /// The swarm.
        info_hash: InfoHash,
        /// Complete members.
        complete: u32,
        /// Other members.
        incomplete: u32,
        /// Seconds.
        interval: u32,
    },
    /// To a scrape: for each swarm complete members, other members, and how often it was completed.
    Scraped(&'a [(InfoHash, [u32; 3])]),
    /// No. Always with an action: clients drop the socket for minutes when there is none.
    Failure {
        /// Whether a scrape is answered.
        scrape: bool,
        /// The swarm, if it was named.
        info_hash: Option<InfoHash>,
        /// Why. Plain ASCII without quotes.
        reason: &'a str,
    },
}

impl Reply<'_> {
    /// Writes the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        match self {
            Self::Counts { info_hash, complete, incomplete, interval } => {
                push(&mut out, "{\"action\":\"announce\",\"info_hash\":");
                push_binary(&mut out, &info_hash.0);
                for (name, number) in
                    [("complete", complete), ("incomplete", incomplete), ("interval", interval)]
                {
                    push_count(&mut out, ",", name, *number);
                }
                push(&mut out, "}");
            }
            Self::Scraped(swarms) => {
                push(&mut out, "{\"action\":\"scrape\",\"files\":{");
                for (at, (info_hash, [complete, incomplete, downloaded])) in swarms.iter().enumerate() {
                    push(&mut out, if at > 0 { "," } else { "" });
                    push_binary(&mut out, &info_hash.0);
                    push_count(&mut out, ":{", "complete", *complete);
                    push_count(&mut out, ",", "incomplete", *incomplete);
                    push_count(&mut out, ",", "downloaded", *downloaded);
                    push(&mut out, "}");
                }
                push(&mut out, "}}");
            }
            Self::Failure { scrape, info_hash, reason } => {
                let action = if *scrape { "scrape" } else { "announce" };
                for part in ["{\"action\":\"", action, "\",\"failure reason\":\"", reason, "\""] {
                    push(&mut out, part);
                }
                if let Some(info_hash) = info_hash {
                    push(&mut out, ",\"info_hash\":");
                    push_binary(&mut out, &info_hash.0);
                }
                push(&mut out, "}");
            }
        }
        out
    }
}

/// What every forwarded description is wrapped in.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Who offers or answers.
    pub peer: PeerCode,
    /// What.
    pub id: OfferId,
    /// An answer, or an offer.
    pub answer: bool,
}

impl Envelope {
    /// Writes the message around a description, without the candidates that do not pass, to the end of `out`.
    #[must_use]
    pub fn encode(&self, session: &Session<'_>, passing: Passing, mut out: Vec<u8>) -> Vec<u8> {
        out.reserve(session.len() + 256);
        let kind = if self.answer { "answer" } else { "offer" };
        for part in ["{\"action\":\"announce\",\"", kind, "\":{\"type\":\"", kind, "\",\"sdp\":\""] {
            push(&mut out, part);
        }
        session.push(&mut out, passing);
        push(&mut out, "\"},\"offer_id\":");
        push_binary(&mut out, &self.id.0);
        push(&mut out, ",\"peer_id\":");
        push_binary(&mut out, &self.peer.0);
        push(&mut out, ",\"info_hash\":");
        push_binary(&mut out, &self.info_hash.0);
        push(&mut out, "}");
        out
    }
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn push_count(out: &mut Vec<u8>, before: &str, name: &str, number: u32) {
    for part in [before, "\"", name, "\":"] {
        push(out, part);
    }
    let (mut digits, mut at, mut rest) = ([0; 10], 10, number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// As `JSON.stringify` does.
fn push_binary(out: &mut Vec<u8>, bytes: &[u8; 20]) {
    out.push(b'"');
    if ascii_run(bytes) == bytes.len() {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    for byte in *bytes {
        let short = [8, 9, 10, 12, 13].iter().position(|control| *control == byte);
        if let Some(letter) = short.and_then(|at| b"btnfr".get(at)) {
            out.extend_from_slice(&[b'\\', *letter]);
            continue;
        }
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
            0x20..0x80 => out.push(byte),
            0x80.. => out.extend_from_slice(&[0xc0 | byte >> 6, 0x80 | byte & 0x3f]),
        }
    }
    out.push(b'"');
}
