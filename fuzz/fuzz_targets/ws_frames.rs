//! However the bytes of a client arrive, they mean the same.
#![no_main]
#[path = "../../native-signaller/src/ws/frame.rs"]
#[allow(dead_code, reason = "the server writes frames, too")]
mod frame;

/// As in the module that `frame` belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Close {
    code: u16,
    reason: &'static str,
}
const OVERSIZE: Close = Close { code: 1009, reason: "oversize" };
const BROKEN: Close = Close { code: 1002, reason: "malformed" };

fn heard(bytes: &[u8], step: usize) -> (Vec<String>, Option<Close>) {
    let (mut assembler, mut buffer, mut all) = (frame::Assembler::default(), Vec::new(), Vec::new());
    for piece in bytes.chunks(step) {
        buffer.extend_from_slice(piece);
        let fed = assembler.feed(&mut buffer, 300, |incoming| {
            all.push(format!("{incoming:?}"));
            true
        });
        match fed {
            Ok(used) => drop(buffer.drain(..used)),
            Err(close) => return (all, Some(close)),
        }
    }
    (all, None)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| assert_eq!(heard(data, 1), heard(data, data.len().max(1))));
