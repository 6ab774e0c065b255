#![no_main]
use swarmlet_core::wire::ToClient;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(message) = ToClient::decode(data) {
        assert_eq!(ToClient::decode(&message.encode()), Ok(message));
    }
});
