#![no_main]
use swarmlet_core::content::Magnet;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(magnet) = Magnet::parse(text) {
        assert_eq!(Magnet::parse(&magnet.to_string()), Ok(magnet));
    }
});
