//! Peers that lie together: each knows all others at once, and whoever asks one of them learns of them alone.

use super::world::{Conduct, World};
use swarmlet_core::wire::overlay::{Body, Contact, LEADS_MAX, Lead, Overlay as Message, Point};

/// The labels by which a liar names other liars: no host counts so far.
const COVERT: u32 = 1 << 31;

/// Whether a liar deals with a message itself, rather than as an honest peer would.
pub(super) fn takes(world: &mut World, peer: usize, end: u32, bytes: &[u8]) -> bool {
    let Ok(message) = Message::decode(bytes) else { return false };
    match message {
        Message::Seek { query, key, back, .. } => {
            let from = world.peers[peer].contact;
            lie(world, peer, end, back, (query, key, from));
            true
        }
        Message::Routed { route, back, body } => routed(world, peer, end, &route, back, &body),
        // Words end with a liar.
        Message::Search { .. } => true,
        Message::Greet { .. }
        | Message::Hint { .. }
        | Message::Join { .. }
        | Message::Part
        | Message::Rumour { .. }
        | Message::Heard { .. }
        | Message::Graft { .. }
        | Message::Prune => false,
    }
}

fn routed(world: &mut World, peer: usize, end: u32, route: &[u32], back: Vec<u32>, body: &Body) -> bool {
    // The last step names the liar that is meant; who stands before it is in the same hand.
    let named = route.first().filter(|label| **label & COVERT != 0).map(|label| (label & !COVERT) as usize);
    if !route.is_empty() && named.is_none() {
        return true;
    }
    let from = world.peers.get(named.unwrap_or(peer)).map_or(world.peers[peer].contact, |peer| peer.contact);
    match body {
        Body::Ask { query, key } | Body::Seek { query, key } => {
            lie(world, peer, end, back, (*query, *key, from));
            true
        }
        Body::Store { .. } => true,
        // What a liar is answered itself, and links that are offered to it, are welcome.
        Body::Answer { .. } | Body::Sealed { .. } | Body::Matches { .. } => named.is_some(),
    }
}

/// Answers with the liars nearest to a place.
fn lie(world: &mut World, peer: usize, end: u32, back: Vec<u32>, (query, key, from): (u32, Point, Contact)) {
    if world.peers[peer].conduct == Conduct::Drops {
        return;
    }
    let leads = nearest(world, key);
    let body = Body::Answer { query, from, providers: Vec::new(), leads };
    let message = Message::Routed { route: back, back: Vec::new(), body };
    world.send(end, message.encode());
}

fn nearest(world: &World, key: Point) -> Vec<Lead> {
    // Who is nearest stands beside in the order of places, give or take some.
    let at = world.liars.partition_point(|(point, _)| *point < key);
    let (from, to) = (at.saturating_sub(4 * LEADS_MAX), (at + 4 * LEADS_MAX).min(world.liars.len()));
    let mut near: Vec<(Point, u32)> = world.liars[from..to].to_vec();
    near.sort_unstable_by_key(|(point, _)| point.to(key));
    near.truncate(LEADS_MAX);
    let lead = |(_, index): (Point, u32)| Lead {
        contact: world.peers[index as usize].contact,
        label: COVERT | index,
    };
    near.into_iter().map(lead).collect()
}
