//! WebTorrent clients at different nodes.

use super::*;

#[test]
fn offers_answers_and_counts_of_webtorrent_go_from_node_to_node() {
    let mut cloud = cloud();
    let (a, b, c) = ((0, 1), (1, 2), (2, 3));
    for (at, address) in [(a, "8.8.1.1"), (b, "8.8.2.1"), (c, "8.8.3.1")] {
        cloud.open(at, address, JSON);
    }
    assert!(cloud.torrent(a, 0, 0)[0].contains("\"complete\":1,\"incomplete\":0"));
    let told = cloud.torrent(b, 5, 5);
    assert!(told.len() == 1 && told[0].contains("\"complete\":1,\"incomplete\":1"), "{told:?}");
    // The seed gets one offer, whose private candidate stays with its sender's node, or the taker's.
    let offers = cloud.texts(a);
    assert_eq!(offers.len(), 1, "as many as it has members");
    assert!(offers[0].contains(&code(2)) && offers[0].contains("8.8.2.1") && !offers[0].contains("192.168"));
    let id = (0..5).find(|id| offers[0].contains(&offer_id(*id))).unwrap_or(u32::MAX);
    let answer = |to: u64| {
        format!(
            "{{\"action\":\"announce\",\"info_hash\":\"{SWARM}\",\"peer_id\":\"{}\",\"to_peer_id\":\"{}\",\
             \"answer\":{{\"type\":\"answer\",\"sdp\":\"{}\"}},\"offer_id\":\"{}\"}}",
            code(1),
            code(to),
            sdp(1),
            offer_id(id)
        )
    };
    for _ in 0..2 {
        cloud.say(a, answer(2).as_bytes());
        cloud.settle();
    }
    let answers = cloud.texts(b);
    assert_eq!(answers.len(), 1, "an offer is answered once");
    assert!(
        answers[0].contains("\"answer\"")
            && answers[0].contains("8.8.1.1")
            && !answers[0].contains("192.168")
    );
    // Counts at a node that has no member.
    let scrape = format!("{{\"action\":\"scrape\",\"info_hash\":\"{SWARM}\"}}");
    cloud.say(c, scrape.as_bytes());
    cloud.settle();
    assert!(cloud.texts(c)[0].contains("\"complete\":1,\"incomplete\":1"));
    let cluster = cloud.nodes[2].as_ref().and_then(|node| node.cluster.as_ref());
    assert!(cluster.is_some_and(|cluster| cluster.shelves.is_empty()));
    // A seed is not offered to a seed.
    assert!(cloud.torrent(c, 0, 5)[0].contains("\"complete\":2"));
    assert_eq!((cloud.texts(a).len(), cloud.texts(b).len()), (0, 1));
}

#[test]
fn two_of_different_nodes_do_not_offer_to_each_other_at_once() {
    let mut cloud = cloud();
    let (a, b, c, d, e) = ((0, 1), (1, 2), (0, 3), (0, 4), (2, 5));
    for at in [a, b, c, d, e] {
        cloud.open(at, &format!("8.8.{}.1", at.1), JSON);
    }
    cloud.torrent(a, 5, 0);
    cloud.torrent(b, 5, 0);
    // Both offers are under way when they are made.
    cloud.say(a, torrent_announce(a, 5, 1).as_bytes());
    cloud.say(b, torrent_announce(b, 5, 1).as_bytes());
    cloud.settle();
    let is_offered = |texts: Vec<String>| texts.concat().contains("\"offer\"");
    assert_eq!(
        (is_offered(cloud.texts(a)), is_offered(cloud.texts(b))),
        (false, true),
        "the name of a is less"
    );
    // The other comes later: who has the offer makes none to who made it, though to others.
    cloud.pass(Duration::from_secs(1));
    cloud.torrent(b, 5, 5);
    assert!(!is_offered(cloud.texts(a)), "b has an offer of that one to answer");
    cloud.torrent(c, 5, 0);
    cloud.torrent(b, 5, 5);
    assert_eq!((is_offered(cloud.texts(a)), is_offered(cloud.texts(c))), (false, true));
    // Offers keep nobody away whom they cannot cross: who is at another node, and whoever comes later.
    cloud.torrent(d, 5, 5);
    assert!(!is_offered(cloud.texts(b)), "its own may be on their way to d");
    cloud.torrent(e, 5, 5);
    assert!(is_offered(cloud.texts(b)));
    cloud.pass(Duration::from_secs(1));
    cloud.torrent(d, 5, 5);
    assert!(is_offered(cloud.texts(b)));
}
