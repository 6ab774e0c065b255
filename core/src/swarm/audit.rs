//! Whether every collection that a peer can fill is within its limit, and every derived count what it was derived
//! from. For the simulator; not in what ships.

use super::fetch::HELD_BYTES_MAX;
use super::{STRAYS_MAX, Swarm};
use crate::config::{Config, LEAF_BYTES};
use alloc::format;
use alloc::string::String;

impl Swarm {
    /// The first limit that is broken, if one is.
    pub(crate) fn audit(&self, config: &Config) -> Option<String> {
        let mut open = self.storing_bytes;
        for (root, file) in &self.files {
            open += file.ledger.open_bytes();
            if let Some(wrong) = file.ledger.audit() {
                return Some(format!("{root:?}: {wrong}"));
            }
        }
        // What is begun while there is room may exceed it by one window of each link.
        let window = u64::from(config.window_leaves_max) * u64::from(LEAF_BYTES);
        if open > HELD_BYTES_MAX + window * u64::from(config.links_max) {
            return Some(format!("{open} bytes of pieces in memory"));
        }
        for (link, peer) in &self.peers {
            if let Some(wrong) = peer.audit(config) {
                return Some(format!("{link:?}: {wrong}"));
            }
            if peer.score.strays() > STRAYS_MAX {
                return Some(format!("{link:?}: {} strays", peer.score.strays()));
            }
        }
        let orphan = |root| !self.files.contains_key(root);
        if self.wanted.iter().any(orphan) || self.lacking.iter().any(orphan) || self.begun.iter().any(orphan)
        {
            return Some(String::from("a list names a file that is gone"));
        }
        None
    }
}
