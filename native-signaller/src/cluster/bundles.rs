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
    use swarmlet_core::PeerId;
    use swarmlet_core::rng::Rng;
    use swarmlet_core::wire::bus::{BUS_BYTES_MAX, Word, Words};

    fn id(node: u8) -> NodeId {
        NodeId::from_bytes([node + 1; 8])
    }

    #[test]
    fn each_node_hears_its_words_in_order() {
        let mut rng = Rng::new([3; 32]);
        for _ in 0..200 {
            // To whom, and how many peers it names: some fill half of a message and more.
            let mut one = || {
                let most = if rng.below(4) == 0 { 200 } else { 4 };
                (rng.below(4) as u8, rng.below(most) as usize)
            };
            let said: Vec<(Option<NodeId>, usize)> =
                (0..100).map(|_| one()).map(|(to, peers)| ((to < 3).then(|| id(to)), peers)).collect();
            let word =
                |at: usize, peers| Word::Inside { peers: vec![(PeerId([at as u8; 32]), [0; 16]); peers] };
            let mut bundles = Bundles::new(id(9));
            for (at, (node, peers)) in said.iter().enumerate() {
                bundles.add(*node, &word(at, *peers).encode());
            }
            let messages = bundles.into_messages();
            assert!(
                messages.len() < said.len() && messages.iter().all(|(_, bytes)| bytes.len() <= BUS_BYTES_MAX)
            );
            for node in [id(0), id(1), id(2)] {
                let hears = |to: &Option<NodeId>| to.is_none_or(|to| to == node);
                let heard = messages.iter().filter(|(to, _)| hears(to)).flat_map(|(_, bytes)| {
                    let (from, words) = Words::open(bytes).unwrap();
                    assert_eq!(from, id(9));
                    words.map(Result::unwrap)
                });
                let meant = said.iter().enumerate().filter(|(_, (to, _))| hears(to));
                assert!(heard.eq(meant.map(|(at, (_, peers))| word(at, *peers))));
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
