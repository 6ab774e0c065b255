//! Native peers around a server, and content that is the same in every run.

use super::{Server, within};
use std::fs;
use std::path::{Path, PathBuf};
use swarmlet_core::content::Magnet;
use swarmlet_core::{ContentId, Event};
use swarmlet_signaller::seed::{Made, Peer, Settings, Signaller};
use tokio::sync::broadcast;

pub const MIB: usize = 1024 * 1024;

/// Settings of a peer that keeps what it fetches in a folder of that name, made new.
pub fn settings(server: &Server, name: &str) -> Settings {
    let data = fresh(name);
    Settings {
        signaller: Signaller::At(format!("ws://{}/signal", server.addr)),
        data: Some(data),
        ..Settings::default()
    }
}

/// An empty folder.
pub fn fresh(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Bytes that do not repeat, from a number (splitmix64).
pub fn noise(mut state: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A file of noise.
pub fn noisy(folder: &str, name: &str, length: usize) -> PathBuf {
    let path = fresh(folder).join(name);
    fs::write(&path, noise(length as u64, length)).unwrap();
    path
}

/// A peer that offers a path.
pub async fn seeder(settings: &Settings, path: &Path) -> (Peer, Magnet) {
    let peer = Peer::start(settings).unwrap();
    let made = Made::of(path, Vec::new()).unwrap();
    let magnet = made.torrent().magnet();
    peer.seed(made).await;
    (peer, magnet)
}

/// Waits for the end of a share.
pub async fn done(events: &mut broadcast::Receiver<Event>, content: ContentId) {
    within("the share", async {
        loop {
            match events.recv().await.unwrap() {
                Event::Done { content: of } if of == content => return,
                Event::Failed { content: of, reason } if of == content => panic!("failed: {reason:?}"),
                _ => {}
            }
        }
    })
    .await;
}
