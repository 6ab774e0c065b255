//! Stories of too many: who gives way when everything is full, and how many peers one token is good for.

use super::*;

/// A client of a network, in the given swarms.
fn member(w: &mut World, number: u8, address: &str, topics: core::ops::Range<u8>) -> ConnId {
    let conn = w.client_at(number, address);
    for topic in topics {
        w.say(conn, &announce(Topic([topic; 32]), 0));
    }
    conn
}

#[test]
fn the_network_with_the_most_connections_gives_way() {
    let mut w = world(|config| config.connections_max = 20);
    for number in 0..16 {
        w.client_at(number, "8.8.8.8");
    }
    let others = [w.client_at(20, "9.9.9.1"), w.client_at(21, "9.9.9.2"), w.client_at(22, "127.0.0.1")];
    w.client_at(23, "8.8.8.8");
    assert_eq!(w.closed.len(), 0);
    let newcomer = w.open(50, "9.9.9.3");
    assert_eq!(w.closed.len(), 8, "half of the seventeen");
    assert!(w.closed.values().all(|reason| *reason == CloseReason::Full));
    assert!(w.closed.contains_key(&ConnId(23)) && !w.closed.contains_key(&ConnId(0)), "the newest first");
    assert!(!w.closed.contains_key(&newcomer) && others.iter().all(|conn| !w.closed.contains_key(conn)));
    assert_eq!((w.server.snapshot().evictions, w.server.snapshot().connections), (8, 13));
}

#[test]
fn nobody_gives_way_to_one_who_has_as_much_or_more_than_once_a_second() {
    let mut w = world(|config| config.connections_max = 16);
    for number in 0..16 {
        w.client_at(number, "8.8.8.8");
    }
    w.open(50, "8.8.8.8");
    assert_eq!(w.closed[&ConnId(50)], CloseReason::Full, "its own network is the heavy one");
    w.later(Duration::from_millis(999));
    w.open(51, "9.9.9.9");
    assert_eq!(w.closed[&ConnId(51)], CloseReason::Full, "one search a second");
    w.later(Duration::from_millis(1));
    w.open(52, "9.9.9.9");
    assert!(!w.closed.contains_key(&ConnId(52)) && w.server.snapshot().evictions == 8);
}

#[test]
fn many_small_ones_are_nobodys_fault() {
    let mut w = world(|config| config.connections_max = 14);
    for number in 0..14 {
        w.client_at(number, &format!("8.8.{}.1", number / 2));
    }
    w.open(50, "9.9.9.9");
    assert_eq!((w.closed.len(), w.closed[&ConnId(50)]), (1, CloseReason::Full));
}

#[test]
fn who_is_in_the_most_swarms_gives_way_when_memberships_are_full() {
    let mut w = world(|config| config.memberships_max = 30);
    let (heavy, light) = (member(&mut w, 1, "8.8.8.8", 0..20), member(&mut w, 2, "8.8.8.8", 0..5));
    let other = member(&mut w, 3, "9.9.9.1", 0..5);
    let newcomer = member(&mut w, 4, "9.9.9.2", 0..1);
    assert_eq!(w.closed.get(&heavy), Some(&CloseReason::Full));
    assert!([light, other, newcomer].iter().all(|conn| !w.closed.contains_key(conn)));
    assert_eq!(w.server.snapshot().memberships, 11, "the newcomer's, too");
}

#[test]
fn a_token_is_good_for_so_many_different_peers_in_an_hour() {
    let mut w = guarded(|config| {
        config.tokens.uses_max = 100;
        config.tokens.peers_per_hour_max = 20;
    });
    let (everybody, mine) = (token(NOON + 600, Vec::new()), token(NOON + 601, Vec::new()));
    let join = |w: &mut World, number: u8, token: &str| {
        let conn = w.open(number.into(), &format!("8.8.{number}.1"));
        let nonce = w.nonce(conn);
        assert_eq!(w.say(conn, &hello(number, &nonce, token)), [WELCOME]);
        conn
    };
    for number in 0..60 {
        let conn = join(&mut w, number, &everybody);
        w.say(conn, &announce(T1, 0));
    }
    // Two connections, one bearer; nobody is named twice in the count.
    let (one, two) = (join(&mut w, 100, &mine), join(&mut w, 101, &mine));
    let mut named = BTreeSet::new();
    for _ in 0..30 {
        for conn in [one, two] {
            let answers = w.say(conn, &announce(T1, 12));
            let [ToClient::Peers { leeches, peers, .. }] = &answers[..] else { panic!("{answers:?}") };
            assert!(*leeches >= 61, "how many there are is no secret");
            named.extend(peers.iter().map(|view| view.peer));
        }
        w.later(Duration::from_secs(30));
    }
    assert_eq!(named.len(), 20);
    assert!(w.server.snapshot().unnamed > 0);
    w.later(Duration::from_secs(3600));
    let answers = w.say(one, &announce(T1, 12));
    let [ToClient::Peers { peers, .. }] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(peers.len(), 12, "the next hour");
}

#[test]
fn whom_a_crowd_calls_can_decline_and_offer_at_once() {
    let mut w = world(|_| {});
    let seed = w.client(200);
    w.say(seed, &announce(T1, 0));
    for number in 1..=60 {
        let conn = w.client(number);
        w.say(conn, &announce(T1, 0));
        assert_eq!(w.say(conn, &knock(peer(200), T1)), []);
    }
    assert_eq!(w.take(seed).len(), 60);
    for number in 1..=60 {
        let signal = if number <= 54 { Signal::Decline { attempt: 1 } } else { offer(T1) };
        let refusals = w.say(seed, &ToTracker::Relay { to: peer(number), signals: vec![signal.clone()] });
        assert_eq!(refusals, [], "{number}");
        let relayed = ToClient::Relayed { from: peer(200), signals: vec![signal] };
        assert_eq!(w.take(ConnId(number.into())), [relayed]);
    }
}

/// Both used to wait for a link of which nothing came, since a refusal does not say what it refuses.
#[test]
fn an_offer_too_many_ends_the_attempt_on_both_sides() {
    let mut w = world(|config| config.offers = Rate { per_minute: 60, burst: 1 });
    let (a, b) = (w.client(1), w.client(2));
    w.say(a, &announce(T1, 0));
    w.say(b, &announce(T1, 0));
    let offered = ToTracker::Relay { to: peer(2), signals: vec![offer(T1), candidate([8, 8, 1, 1])] };
    assert_eq!((w.say(a, &offered), w.take(b).len()), (vec![], 1));
    let declined = |from| ToClient::Relayed { from, signals: vec![Signal::Decline { attempt: 1 }] };
    assert_eq!((w.say(a, &offered), w.take(b)), (vec![declined(peer(2))], vec![declined(peer(1))]));
    assert_eq!(w.server.snapshot().refusals[Refusal::Rate as usize], 1);
    w.later(Duration::from_secs(1));
    assert_eq!((w.say(a, &offered), w.take(b).len()), (vec![], 1), "who waits may offer again");
}
