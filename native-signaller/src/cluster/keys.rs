//! Names in Redis. All begin with a prefix, so that several clusters, and other programs, may share one.

use swarmlet_core::wire::bus::{NodeId, SwarmId};

/// Makes them.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The channel of one node, or of all.
    pub(super) fn channel(&self, node: Option<NodeId>) -> String {
        match node {
            Some(node) => format!("{}:node:{node}", self.prefix),
            None => format!("{}:nodes", self.prefix),
        }
    }

    /// Where a node keeps what it has of a swarm.
    pub(super) fn digest(&self, swarm: SwarmId, node: NodeId) -> String {
        format!("{}:{swarm}:{node}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarmlet_core::Topic;
    use swarmlet_core::wire::webtorrent::InfoHash;

    #[test]
    fn names_tell_prefix_swarm_and_node() {
        let (keys, node) = (Keys::new("test"), NodeId::from_bytes([0, 0, 0, 0, 0, 0, 0, 8]));
        assert_eq!(keys.channel(None), "test:nodes");
        assert_eq!(keys.channel(Some(node)), "test:node:0000000000000005");
        let topic = SwarmId::Topic(Topic([0xab; 32]));
        assert_eq!(keys.digest(topic, node), format!("test:s{}:0000000000000005", "ab".repeat(32)));
        let info_hash = SwarmId::InfoHash(InfoHash([0xcd; 20]));
        assert_eq!(keys.digest(info_hash, node), format!("test:w{}:0000000000000005", "cd".repeat(20)));
    }
}
