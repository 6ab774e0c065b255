#![no_main]
use swarmlet_core::wire::ToTracker;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(message) = ToTracker::decode(data) {
        assert_eq!(ToTracker::decode(&message.encode()), Ok(message));
    }
});
