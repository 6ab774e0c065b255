//! What a membership, one peer in one swarm, costs the tracker's memory: `cargo test -p swarmlet-core --test entry_bytes --
//! --nocapture` prints it.

#![cfg(target_os = "linux")]
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use core::net::Ipv4Addr;
use core::time::Duration;
use swarmlet_core::Instant;
use swarmlet_core::keys::Key;
use swarmlet_core::tracker::challenge_bytes;
use swarmlet_core::tracker::server::{
    ConnId, Dialect, Rate, Server, ServerAction, ServerConfig, ServerInput,
};
use swarmlet_core::wire::{Signature, ToClient, ToTracker, VERSION};
use swarmlet_core::{PeerId, Topic};

/// Peers, each in as many swarms as it may be.
const PEERS: u64 = 1500;
const SWARMS_EACH: u64 = 32;
/// The limit of the signaller's issue: bytes for each entry.
const GOAL: u64 = 256;

/// Bytes of this process in memory. The unit of `statm` is a page of 4 KiB.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn server() -> Server {
    let plenty = Rate { per_minute: 1_000_000, burst: 1_000_000 };
    let config = ServerConfig { messages: plenty, ..ServerConfig::default() };
    Server::new(config, [1; 32], Instant::ZERO)
}

fn handle(server: &mut Server, input: ServerInput<'_>) -> Vec<Vec<u8>> {
    server.handle(Instant::ZERO + Duration::from_secs(1), input);
    let sent = core::iter::from_fn(|| server.poll_action()).map(|action| match action {
        ServerAction::Send { bytes, .. } => bytes,
        other => panic!("{other:?}"),
    });
    sent.collect()
}

fn open(server: &mut Server, number: u64, dialect: Dialect) -> Vec<Vec<u8>> {
    // From an address of its own.
    let address = Some(Ipv4Addr::from_bits(0x0800_0000 + u32::try_from(number).unwrap()).into());
    handle(server, ServerInput::Opened { conn: ConnId(number), address, dialect, origin: None })
}

fn greet(server: &mut Server, number: u64) {
    let greeting = open(server, number, Dialect::Swarmlet);
    let Ok((ToClient::Challenge { nonce }, [])) = ToClient::take(&greeting[0]) else {
        panic!("{greeting:?}")
    };
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    let key = Key::from_seed(&seed);
    let peer: PeerId = key.peer_id();
    let signature = Signature::from_bytes(&key.sign(&challenge_bytes(&nonce, &peer))).unwrap();
    let hello = ToTracker::Hello { version: VERSION, features: 0, peer, signature, token: String::new() };
    handle(server, ServerInput::Received { conn: ConnId(number), bytes: &hello.encode() });
}

/// A swarm of twenty, about: neither alone nor crowded.
fn swarm_of(number: u64, which: u64) -> u64 {
    (number * SWARMS_EACH + which) % (PEERS * SWARMS_EACH / 20)
}

fn measured(server: &mut Server, dialect: &str, announce: impl Fn(u64, u64) -> Vec<u8>) {
    let before = resident();
    for number in 0..PEERS {
        for which in 0..SWARMS_EACH {
            let bytes = announce(number, swarm_of(number, which));
            let heard = handle(server, ServerInput::Received { conn: ConnId(number), bytes: &bytes });
            assert_eq!(heard.len(), 1);
        }
    }
    let entries = u64::from(server.snapshot().memberships);
    assert_eq!(entries, PEERS * SWARMS_EACH);
    let each = resident().saturating_sub(before) / entries;
    println!(
        "{dialect}: {each} bytes for each of {entries} memberships in {} swarms",
        server.snapshot().swarms
    );
    assert!(each <= GOAL, "{dialect}: {each} bytes");
}

// One test: memory of one at a time.
#[test]
fn a_membership_costs_little_in_either_dialect() {
    let mut own = server();
    (0..PEERS).for_each(|number| greet(&mut own, number));
    measured(&mut own, "swarmlet", |_, swarm| {
        let mut topic = [0; 32];
        topic[..8].copy_from_slice(&swarm.to_be_bytes());
        ToTracker::Announce { topic: Topic(topic), complete: false, want: 0 }.encode()
    });
    let mut other = server();
    for number in 0..PEERS {
        assert!(open(&mut other, number, Dialect::WebTorrent).is_empty());
    }
    measured(&mut other, "webtorrent", |number, swarm| {
        let text = format!(
            "{{\"action\":\"announce\",\"info_hash\":\"swarm{swarm:015}\",\"peer_id\":\"-LD0001-{number:012}\",\"left\":1}}"
        );
        text.into_bytes()
    });
}
