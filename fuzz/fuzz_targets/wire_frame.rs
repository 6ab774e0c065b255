#![no_main]
use swarmlet_core::wire::Frame;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(frame) = Frame::decode(data) {
        let again = frame.message.encode(frame.tail);
        assert_eq!(Frame::decode(&again), Ok(frame));
    }
});
