#![no_main]
use swarmlet_core::wire::Frame;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    while let Ok((frame, behind)) = Frame::first(rest) {
        let again = frame.message.encode(frame.tail);
        assert_eq!(Frame::decode(&again), Ok(frame));
        if behind.is_empty() {
            break;
        }
        rest = behind;
    }
});
