//! Words on their way out: those for the same ears become one message, as far as they fit.

use swarmlet_core::wire::bus::{Bundle, NodeId};

/// Collects them. Everybody hears what concerns them in the order in which it was said.
pub(super) struct Bundles {
    me: NodeId,
    /// To whom, `None` for all; in order.
    done: Vec<(Option<NodeId>, Vec<u8>)>,
    /// Either one for all, or one for each of some nodes: never more than there are nodes.
    open: Vec<(Option<NodeId>, Bundle)>,
}

impl Bundles {
    pub(super) fn new(me: NodeId) -> Self {
        Self { me, done: Vec::new(), open: Vec::new() }
    }

    /// Adds a word for one node, or for all.
    pub(super) fn add(&mut self, node: Option<NodeId>, word: &[u8]) {
        if self.open.first().is_some_and(|(other, _)| other.is_none() != node.is_none()) {
            self.close();
        }
        let Some((_, bundle)) = self.open.iter_mut().find(|(other, _)| *other == node) else {
            return self.open.push((node, Bundle::new(self.me, word)));
        };
        if !bundle.add(word) {
            let full = core::mem::replace(bundle, Bundle::new(self.me, word));
            self.done.push((node, full.into_bytes()));
        }
    }

    fn close(&mut self) {
        self.done.extend(self.open.drain(..).map(|(node, bundle)| (node, bundle.into_bytes())));
    }

    /// The messages.
    pub(super) fn into_messages(mut self) -> Vec<(Option<NodeId>, Vec<u8>)> {
        self.close();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use swarmlet_core::PeerId;
    use swarmlet_core::wire::bus::{BUS_BYTES_MAX, Word, Words};

    fn id(node: u8) -> NodeId {
        NodeId::from_bytes([node + 1; 8])
    }

    proptest! {
        #[test]
        fn each_node_hears_its_words_in_order(
            said in proptest::collection::vec((proptest::option::of(0..3u8), 0..30_000usize), 0..200),
        ) {
            let mut bundles = Bundles::new(id(9));
            let word = |at: usize, length: usize| Word::Inside {
                peers: vec![(PeerId([at as u8; 32]), [0; 16]); length / 120],
            };
            for (at, (node, length)) in said.iter().enumerate() {
                bundles.add(node.map(id), &word(at, *length).encode());
            }
            let messages = bundles.into_messages();
            prop_assert!(messages.iter().all(|(_, bytes)| bytes.len() <= BUS_BYTES_MAX));
            for node in 0..3 {
                let hears = |to: Option<NodeId>| to.is_none_or(|to| to == id(node));
                let heard: Vec<Word<'_>> = messages.iter().filter(|(to, _)| hears(*to)).flat_map(|(_, bytes)| {
                    let (from, words) = Words::open(bytes).unwrap();
                    assert_eq!(from, id(9));
                    words.map(Result::unwrap)
                }).collect();
                let meant = said.iter().enumerate().filter(|(_, (to, _))| hears(to.map(id)));
                prop_assert_eq!(heard, meant.map(|(at, (_, length))| word(at, *length)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_one_round_says_to_one_node_is_one_message() {
        let mut bundles = Bundles::new(id(9));
        for at in 0..20 {
            bundles.add(Some(id(at % 2)), &Word::Here { peer: PeerId([at; 32]) }.encode());
        }
        bundles.add(None, &Word::Bye.encode());
        let messages = bundles.into_messages();
        assert_eq!(messages.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [Some(id(0)), Some(id(1)), None]);
    }
}
