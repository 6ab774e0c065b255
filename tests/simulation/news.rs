//! What is said in a swarm, shares that meet in one, and what a peer gives up.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use core::time::Duration;
use swarmlet_core::{Command, ContentId, Event, Topic, content};
use swarmlet_tests::{FlashCrowd, PeerId, World};

/// A crowd that has met, and its topic.
fn crowd(peers: usize) -> (World, Topic) {
    let mut world = FlashCrowd { peers, bytes: 1 << 20, ..FlashCrowd::default() }.world();
    world.run(Duration::from_secs(20));
    let topic = content::topic_of(&world.content.magnet().content);
    (world, topic)
}

fn wait(world: &mut World, millis: u64) {
    world.run(Duration::from_micros(world.now.micros()) + Duration::from_millis(millis));
}

fn heard(world: &World, peer: PeerId, said: &[u8]) -> usize {
    let is_it = |event: &Event| matches!(event, Event::News { news, .. } if news == said);
    world.peers[peer].notes.iter().filter(|(_, event)| is_it(event)).count()
}

#[test]
fn news_reach_four_neighbours_and_who_says_too_much_is_not_listened_to() {
    let (mut world, topic) = crowd(8);
    world.command(0, Command::Tell { topic, news: b"first".to_vec() });
    wait(&mut world, 2000);
    let ears = |world: &World, said: &[u8]| {
        (0..world.peers.len()).map(|peer| heard(world, peer, said)).sum::<usize>()
    };
    assert_eq!(ears(&world, b"first"), 4);
    // Each hears one of a neighbour in 250 ms: of nine things said at once each listener hears one at most.
    for at in 0..9_u8 {
        world.command(0, Command::Tell { topic, news: vec![b'x', at] });
    }
    wait(&mut world, 2000);
    let told: Vec<usize> = (1..world.peers.len())
        .map(|peer| (0..9_u8).map(|at| heard(&world, peer, &[b'x', at])).sum())
        .collect();
    assert!(told.iter().all(|heard| *heard <= 1) && told.iter().sum::<usize>() >= 4, "{told:?}");
    // Of a swarm that nobody is in nobody hears.
    world.command(0, Command::Tell { topic: Topic([9; 32]), news: b"elsewhere".to_vec() });
    wait(&mut world, 2000);
    assert_eq!(ears(&world, b"elsewhere"), 0);
    world.check();
}

#[test]
fn shares_of_one_topic_are_one_membership() {
    let (mut world, topic) = crowd(4);
    let mut magnet = world.content.magnet();
    magnet.content = ContentId([7; 32]);
    let links = |world: &World| world.peers[1].node.as_ref().unwrap().snapshot().links.len();
    let before = links(&world);
    assert!(before > 0);
    world.command(1, Command::Add { magnet, torrent: None, select: None, topic: Some(topic) });
    wait(&mut world, 3000);
    let shares = world.peers[1].node.as_ref().unwrap().snapshot().shares;
    let other = shares.iter().find(|share| share.content == ContentId([7; 32])).unwrap();
    assert_eq!(other.peers as usize, before, "its members are those of the topic");
    world.command(1, Command::Remove { content: ContentId([7; 32]), keep: false });
    wait(&mut world, 3000);
    // Who comes now meets it there: it has not left.
    let mut late = FlashCrowd { peers: 4, bytes: 1 << 20, ..FlashCrowd::default() }.spec(5);
    late.joins = Duration::from_micros(world.now.micros()) + Duration::from_millis(100);
    let late = world.add(late);
    let limit = Duration::from_micros(world.now.micros()) + Duration::from_secs(60);
    assert!(world.run_until(limit, World::all_done));
    let one = world.peers[1].node.as_ref().unwrap().peer_id();
    let met = world.peers[late].heard(|event| matches!(event, Event::LinkUp { peer, .. } if *peer == one));
    assert!(met, "it is still in the swarm");
    world.check();
}

#[test]
fn what_is_given_up_is_not_relied_on_and_can_be_fetched_again() {
    let mut world = FlashCrowd { peers: 4, bytes: 1 << 20, ..FlashCrowd::default() }.world();
    assert!(world.run_until(Duration::from_secs(100), World::all_done));
    let content = world.content.magnet().content;
    let file = |world: &World| world.peers[1].node.as_ref().unwrap().snapshot().shares[0].files[0].clone();
    let (root, length) = (file(&world).root.unwrap(), file(&world).length);
    assert_eq!(file(&world).done, length);
    world.command(1, Command::Select { content, files: Some(vec![]) });
    world.command(1, Command::Drop(root));
    wait(&mut world, 1000);
    assert_eq!(file(&world).done, 0);
    // Who comes now is not sent to it in vain.
    let mut late = FlashCrowd { peers: 4, bytes: 1 << 20, ..FlashCrowd::default() }.spec(5);
    late.joins = Duration::from_micros(world.now.micros()) + Duration::from_millis(100);
    let late = world.add(late);
    let limit = Duration::from_micros(world.now.micros()) + Duration::from_secs(60);
    assert!(
        world.run_until(limit, |world| world.peers[late].heard(|event| matches!(event, Event::Done { .. })))
    );
    world.command(1, Command::Select { content, files: None });
    let limit = Duration::from_micros(world.now.micros()) + Duration::from_secs(60);
    assert!(world.run_until(limit, |world| file(world).done == length), "it has it again");
    // And one that gives nothing from now on: the others do without it.
    world.command(0, Command::Upload(Some(0)));
    world.check();
}
