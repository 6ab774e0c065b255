#![no_main]
use swarmlet_core::wire::sdp;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = sdp::parse_candidate(text);
    if let Some(description) = sdp::parse(text) {
        assert_eq!(sdp::build(&description).and_then(|built| sdp::parse(&built)), Some(description));
    }
});
