#![no_main]
use swarmlet_core::wire::Code;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(code) = Code::decode(data) {
        assert_eq!(Code::decode(&code.encode()), Ok(code));
    }
});
