//! Between the tracker and the way to other nodes.

use super::owner::Owner;
use super::{Event, Hub};
use crate::cluster::Orders;
use swarmlet_core::tracker::server::{BusNews, ServerInput};
use swarmlet_core::wire::bus::{NodeId, SwarmId};

/// What happened there.
#[derive(Debug)]
pub(super) enum News {
    Up { node: NodeId, name: String, orders: Orders },
    Down,
    Heard(Vec<u8>),
    Found(Vec<Found>),
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Of which swarm.
    pub(crate) swarm: SwarmId,
    /// As asked.
    pub(crate) question: u64,
    /// By the node that keeps it.
    pub(crate) digests: Vec<(NodeId, Vec<u8>)>,
}

impl Hub {
    /// There is a way to other nodes, which takes orders.
    pub(crate) async fn bus_up(&self, node: NodeId, name: String, orders: Orders) {
        let _ = self.tell(Event::Bus(News::Up { node, name, orders })).await;
    }

    /// There is none.
    pub(crate) async fn bus_down(&self) {
        let _ = self.tell(Event::Bus(News::Down)).await;
    }

    /// A node has said something.
    pub(crate) async fn bus_heard(&self, bytes: Vec<u8>) {
        let _ = self.tell(Event::Bus(News::Heard(bytes))).await;
    }

    /// Questions are answered.
    pub(crate) async fn bus_found(&self, found: Vec<Found>) {
        let _ = self.tell(Event::Bus(News::Found(found))).await;
    }

    /// Resolves when the hub has stopped.
    pub(crate) async fn ended(&self) {
        self.events.closed().await;
    }
}

impl Owner {
    pub(super) fn on_bus(&mut self, news: News) {
        match news {
            News::Up { node, name, orders } => {
                self.bus = Some(orders);
                self.orders.clear();
                self.handle(ServerInput::Bus(BusNews::Up { node, name: &name }));
            }
            News::Down => {
                self.bus = None;
                self.orders.clear();
                self.handle(ServerInput::Bus(BusNews::Down));
            }
            News::Heard(bytes) => self.handle(ServerInput::Bus(BusNews::Heard { bytes: &bytes })),
            News::Found(found) => {
                for Found { swarm, question, digests } in found {
                    self.handle(ServerInput::Bus(BusNews::Found { swarm, question, digests }));
                }
            }
        }
    }

    /// Passes on what this round has ordered, if there is a way.
    pub(super) fn give_orders(&mut self) {
        for order in self.orders.drain(..) {
            if let Some(orders) = &self.bus {
                orders.give(order);
            }
        }
    }
}
