#![no_main]
use swarmlet_core::content::Torrent;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(torrent) = Torrent::parse(data) {
        assert!(Torrent::parse(&torrent.encode()).is_ok());
    }
});
