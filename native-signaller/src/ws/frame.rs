//! Frames: bytes of a client to messages, messages to bytes. Knows no sockets.

use super::{BROKEN, Close, OVERSIZE};
use core::ops::Range;

/// What a client said with one frame, or with the last of several.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming<'a> {
    /// A whole message.
    Message {
        /// Whether it came as text. Whether it is UTF-8 is for its reader to find out.
        text: bool,
        /// What it says.
        bytes: &'a [u8],
    },
    /// To be answered with a pong of the same bytes.
    Ping(&'a [u8]),
    /// A sign of life.
    Pong,
    /// The end, with the code that it gave.
    Close(Option<u16>),
}

/// Puts messages together. Owns memory only between the first and the last frame of a message in several.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    parts: Option<Box<Parts>>,
}

#[derive(Debug)]
struct Parts {
    text: bool,
    bytes: Vec<u8>,
}

/// A frame in a buffer.
struct Frame {
    opcode: u8,
    last: bool,
    payload: Range<usize>,
}

impl Assembler {
    /// Whether a message is begun.
    pub(crate) const fn is_within(&self) -> bool {
        self.parts.is_some()
    }

    /// Takes frames from the beginning of `buffer`, which is unmasked on the way, and hands each message on until
    /// `take` says no. Gives back how many bytes are used up.
    pub(crate) fn feed(
        &mut self,
        buffer: &mut [u8],
        bytes_max: usize,
        mut take: impl FnMut(Incoming<'_>) -> bool,
    ) -> Result<usize, Close> {
        let mut used = 0;
        while let Some(rest) = buffer.get_mut(used..) {
            let Some(frame) = unmasked(rest, bytes_max)? else { break };
            used += frame.payload.end;
            let payload = rest.get(frame.payload.clone()).unwrap_or(&[]);
            let go_on = match frame.opcode {
                0..=2 => self.data(&frame, payload, bytes_max, &mut take)?,
                8 => take(Incoming::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code)))),
                9 => take(Incoming::Ping(payload)),
                _ => take(Incoming::Pong),
            };
            if !go_on {
                break;
            }
        }
        Ok(used)
    }

    fn data(
        &mut self,
        frame: &Frame,
        payload: &[u8],
        bytes_max: usize,
        take: &mut impl FnMut(Incoming<'_>) -> bool,
    ) -> Result<bool, Close> {
        match (&mut self.parts, frame.opcode, frame.last) {
            (None, 1 | 2, true) => Ok(take(Incoming::Message { text: frame.opcode == 1, bytes: payload })),
            (None, 1 | 2, false) => {
                self.parts = Some(Box::new(Parts { text: frame.opcode == 1, bytes: payload.to_vec() }));
                Ok(true)
            }
            (Some(parts), 0, last) => {
                if parts.bytes.len() + payload.len() > bytes_max {
                    return Err(OVERSIZE);
                }
                parts.bytes.extend_from_slice(payload);
                if !last {
                    return Ok(true);
                }
                let whole = self.parts.take();
                Ok(whole
                    .is_none_or(|parts| take(Incoming::Message { text: parts.text, bytes: &parts.bytes })))
            }
            _ => Err(BROKEN),
        }
    }
}

/// The frame at the beginning of a buffer, its payload unmasked; `None` if it is not whole yet.
fn unmasked(buffer: &mut [u8], bytes_max: usize) -> Result<Option<Frame>, Close> {
    let [first, second, ..] = *buffer else { return Ok(None) };
    let (opcode, last, short) = (first & 0x0f, first & 0x80 != 0, usize::from(second & 0x7f));
    let is_control = opcode >= 8;
    // Reserved bits belong to extensions, and there are none. A client masks everything.
    let reserved = first & 0x70 != 0 || !matches!(opcode, 0..=2 | 8..=10);
    if reserved || second & 0x80 == 0 || (is_control && (!last || short > 125)) {
        return Err(BROKEN);
    }
    let (length, head) = match short {
        126 => match buffer.get(2..4).and_then(<[u8]>::first_chunk) {
            Some(bytes) => (usize::from(u16::from_be_bytes(*bytes)), 4),
            None => return Ok(None),
        },
        127 => match buffer.get(2..10).and_then(<[u8]>::first_chunk) {
            Some(bytes) => (usize::try_from(u64::from_be_bytes(*bytes)).unwrap_or(usize::MAX), 10),
            None => return Ok(None),
        },
        short => (short, 2),
    };
    if length > bytes_max {
        return Err(OVERSIZE);
    }
    let payload = head + 4..head + 4 + length;
    let Some(mask) = buffer.get(head..).and_then(<[u8]>::first_chunk).copied() else { return Ok(None) };
    let Some(bytes) = buffer.get_mut(payload.clone()) else { return Ok(None) };
    unmask(bytes, mask);
    Ok(Some(Frame { opcode, last, payload }))
}

/// Eight bytes at a time; the compiler makes it more.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// What a frame of the server carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message of text.
    Text = 1,
    /// A message of bytes.
    Binary = 2,
    /// The end.
    Close = 8,
    /// Is anybody there?
    Ping = 9,
    /// Yes.
    Pong = 10,
}

/// Appends one whole frame.
pub(crate) fn push(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    out.push(0x80 | kind as u8);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => out.push(length),
        (_, Ok(length)) => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Appends a close frame.
pub(crate) fn push_close(out: &mut Vec<u8>, close: Close) {
    let mut payload = close.code.to_be_bytes().to_vec();
    payload.extend_from_slice(close.reason.as_bytes());
    push(out, Kind::Close, &payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            length @ 0..=125 => out.push(0x80 | length as u8),
            length @ 126..=0xffff => {
                out.push(0xfe);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                out.push(0xff);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(&mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }

    const MASK: [u8; 4] = [1, 2, 3, 250];

    /// What comes of bytes that arrive in pieces of `step`.
    fn run(bytes: &[u8], step: usize, bytes_max: usize) -> Result<Vec<String>, Close> {
        let (mut assembler, mut buffer, mut seen) = (Assembler::default(), Vec::new(), Vec::new());
        for piece in bytes.chunks(step) {
            buffer.extend_from_slice(piece);
            let used = assembler.feed(&mut buffer, bytes_max, |incoming| {
                seen.push(match incoming {
                    Incoming::Message { text, bytes } => format!("{text} {}", String::from_utf8_lossy(bytes)),
                    other => format!("{other:?}"),
                });
                true
            })?;
            buffer.drain(..used);
        }
        assert!(buffer.is_empty(), "everything was whole");
        Ok(seen)
    }

    #[test]
    fn messages_are_the_same_however_they_arrive() {
        let long = "x".repeat(300);
        let bytes = [
            masked(0x81, b"hello", MASK),
            masked(0x01, b"one ", MASK),
            masked(0x89, b"ping", MASK),
            masked(0x00, b"two ", MASK),
            masked(0x80, b"three", MASK),
            masked(0x82, long.as_bytes(), MASK),
            masked(0x8a, b"", MASK),
            masked(0x82, b"", [0; 4]),
            masked(0x88, &[3, 233, b'!'], MASK),
        ]
        .concat();
        let expected = [
            "true hello".to_owned(),
            "Ping([112, 105, 110, 103])".to_owned(),
            "true one two three".to_owned(),
            format!("false {long}"),
            "Pong".to_owned(),
            "false ".to_owned(),
            "Close(Some(1001))".to_owned(),
        ];
        for step in [1, 2, 3, 7, 64, bytes.len()] {
            assert_eq!(run(&bytes, step, 300).unwrap(), expected, "{step}");
        }
    }

    #[test]
    fn what_no_client_may_send_is_refused() {
        let mut unmasked = Vec::new();
        push(&mut unmasked, Kind::Text, b"hi");
        let long_ping = masked(0x89, &[0; 126], MASK);
        let cases = [
            ("unmasked", unmasked, BROKEN),
            ("reserved bit", masked(0xc1, b"x", MASK), BROKEN),
            ("reserved opcode", masked(0x83, b"x", MASK), BROKEN),
            ("reserved control", masked(0x8b, b"x", MASK), BROKEN),
            ("control in parts", masked(0x09, b"x", MASK), BROKEN),
            ("long control", long_ping, BROKEN),
            ("nothing to go on with", masked(0x80, b"x", MASK), BROKEN),
            ("new while within", [masked(0x01, b"x", MASK), masked(0x81, b"x", MASK)].concat(), BROKEN),
            ("long", masked(0x82, &[0; 301], MASK), OVERSIZE),
            (
                "long in parts",
                [masked(0x02, &[0; 200], MASK), masked(0x80, &[0; 101], MASK)].concat(),
                OVERSIZE,
            ),
            ("huge", vec![0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], OVERSIZE),
        ];
        for (name, bytes, close) in cases {
            assert_eq!(run(&bytes, 1000, 300), Err(close), "{name}");
            assert_eq!(run(&bytes, 1, 300), Err(close), "{name}, byte by byte");
        }
    }

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        for (length, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            push(&mut out, Kind::Binary, &vec![7; length]);
            assert_eq!((out.len(), out[0]), (head + length, 0x82));
        }
        let mut out = Vec::new();
        push_close(&mut out, OVERSIZE);
        assert_eq!(out, [&[0x88, 10, 3, 241][..], b"oversize"].concat());
    }

    #[test]
    fn memory_is_owned_within_a_message_only() {
        let mut assembler = Assembler::default();
        let mut begun = masked(0x01, b"one", MASK);
        assert_eq!(assembler.feed(&mut begun, 300, |_| panic!("not whole")), Ok(begun.len()));
        assert!(assembler.is_within());
        let mut ended = masked(0x80, b"two", MASK);
        assert_eq!(assembler.feed(&mut ended, 300, |_| true), Ok(ended.len()));
        assert!(!assembler.is_within());
    }

    #[test]
    fn who_has_heard_enough_hears_no_more() {
        let mut bytes = [masked(0x81, b"one", MASK), masked(0x81, b"two", MASK)].concat();
        let mut heard = 0;
        let used = Assembler::default().feed(&mut bytes, 300, |_| {
            heard += 1;
            false
        });
        assert_eq!((used, heard), (Ok(9), 1));
    }
}
