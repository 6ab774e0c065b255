#![no_main]
use swarmlet_core::wire::ToClient;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(messages) = ToClient::read(data) {
        let again: Vec<u8> = messages.iter().flat_map(ToClient::encode).collect();
        assert_eq!(ToClient::read(&again), Ok(messages));
    }
});
