#![no_main]
use swarmlet_core::wire::ToTracker;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(messages) = ToTracker::read(data) {
        let again: Vec<u8> = messages.iter().flat_map(ToTracker::encode).collect();
        assert_eq!(ToTracker::read(&again), Ok(messages));
    }
});
