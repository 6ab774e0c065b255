#![no_main]
use swarmlet_core::wire::webtorrent::{Envelope, Passing, Request, Session};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(Request::Announce(announce)) = Request::read(data) else { return };
    for offer in &announce.offers {
        let Ok(session) = Session::read(offer.sdp) else { continue };
        let (info_hash, peer) = (announce.info_hash, announce.peer);
        let envelope = Envelope { info_hash, peer, id: offer.id, answer: false };
        let passed = envelope.encode(&session, Passing::when(|at| at % 2 == 0));
        assert!(Request::read(&passed).is_ok(), "what is passed on is a message again");
    }
});
