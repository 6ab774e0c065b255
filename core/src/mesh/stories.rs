//! Stories of the mesh: what neighbours can do to signals that are not theirs, and what they cannot.

use super::routes::ROUTE_LIFE;
use super::*;
use crate::Action;
use crate::config::Config;
use crate::keys::{self, Exchange, Key};
use crate::outbox::Outbox;
use crate::rng::Rng;
use crate::wire::mesh::{MET_BYTES, SEAL_BYTES};
use core::time::Duration;
use std::vec;

const TOPIC: Topic = Topic([9; 32]);

/// One peer and its host.
struct End {
    key: Key,
    exchange: Exchange,
    mesh: Mesh,
    cx: Cx,
    faults: Vec<Fault>,
}

/// Peers, and links between some of them. A link bears the number of the peer at its other end, and one more: none is
/// the overlay's.
struct Net(Vec<End>);

/// What is done to the bytes of a parcel.
type Alter = dyn Fn(&mut Vec<u8>);
/// What becomes of a message on its way `from, to`.
type Meddle<'a> = dyn FnMut(usize, usize, Said) -> Vec<Said> + 'a;
/// A message and its tail.
type Said = (Message, Vec<u8>);

fn link(to: usize) -> LinkId {
    LinkId(to as u32 + 1)
}

fn knock(attempt: u32) -> Signal {
    Signal::Knock { attempt, topic: TOPIC }
}

impl Net {
    fn new(peers: usize, links: &[(usize, usize)]) -> Self {
        let ends = (0..peers).map(|number| {
            let seed = [number as u8 + 1; 32];
            let config = Config::default();
            let out = Outbox::new(config.channel_high_bytes);
            let now = Instant::from_micros(SECOND);
            let cx = Cx { now, rng: Rng::new(seed), config, out, is_up: false };
            let key = Key::from_seed(&seed);
            let mesh = Mesh::new(key.peer_id());
            End { key, exchange: Exchange::from_seed([number as u8 + 101; 32]), mesh, cx, faults: vec![] }
        });
        let mut net = Self(ends.collect());
        for (a, b) in links {
            net.connect(*a, *b);
        }
        net.run();
        net
    }

    fn connect(&mut self, a: usize, b: usize) {
        for (here, there) in [(a, b), (b, a)] {
            let peer = self.id(there);
            let end = &mut self.0[here];
            end.cx.out.open(link(there));
            end.mesh.on_up(link(there), peer, &mut end.cx);
        }
    }

    fn id(&self, of: usize) -> PeerId {
        self.0[of].key.peer_id()
    }

    fn run(&mut self) {
        self.run_with(&mut |_, _, message| vec![message]);
    }

    /// Until nobody has anything more to do.
    fn run_with(&mut self, meddle: &mut Meddle<'_>) {
        loop {
            let mut quiet = true;
            for from in 0..self.0.len() {
                while let Some(action) = self.0[from].cx.out.pop() {
                    quiet = false;
                    match action {
                        Action::Send { link: LinkId(to), bytes, .. } => {
                            let Frame { message, tail } =
                                Frame::decode(&bytes).expect("we write what can be read");
                            let to = to as usize - 1;
                            for message in meddle(from, to, (message, tail.to_vec())) {
                                self.0[to].take_in(from, &message);
                            }
                        }
                        Action::Start { job, work } => self.0[from].work(job, work),
                        other => panic!("a mesh orders no {other:?}"),
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// `of` asks everybody it is linked with.
    fn ask(&mut self, of: usize, whom: usize) {
        let end = &mut self.0[of];
        end.cx.now = end.cx.now.after(ASK_EVERY);
        end.mesh.ask(TOPIC, &[(link(whom), false)], &mut end.cx).unwrap();
        self.run();
    }

    fn post(&mut self, from: usize, to: usize, signal: Signal) {
        let to = self.id(to);
        let end = &mut self.0[from];
        end.mesh.post(to, signal, &mut end.cx);
    }

    fn read(&mut self, of: usize) -> Vec<(PeerId, Signal)> {
        let news = self.0[of].mesh.take_news();
        news.into_iter().map(|(peer, signal)| (peer, signal.expect("it came"))).collect()
    }
}

impl End {
    fn take_in(&mut self, from: usize, (message, tail): &Said) {
        let (mesh, cx, by) = (&mut self.mesh, &mut self.cx, link(from));
        let result = match message {
            Message::Card => mesh.on_card(by, tail),
            Message::GetPeers { topic } => {
                // All its neighbours are in the swarm.
                let members: Vec<_> = mesh.neighbours.iter().map(|other| (other.link, false)).collect();
                mesh.on_get_peers(by, *topic, &members, cx)
            }
            Message::Peers { topic } => mesh.on_peers(by, topic).map(|()| {
                for met in Met::list(tail) {
                    mesh.learn(met.peer, met.card, by, cx.now);
                }
            }),
            Message::Parcel { .. } => mesh.on_parcel(by, &Frame { message: message.clone(), tail }, cx),
            Message::Unreached { peer } => {
                mesh.on_unreached(by, *peer);
                Ok(())
            }
            other => panic!("{other:?} is none of the mesh's"),
        };
        self.faults.extend(result.err());
    }

    fn work(&mut self, job: JobId, work: Work) {
        let bytes = match work {
            Work::Sign { message } => self.key.sign(&message).to_vec(),
            Work::Exchange => self.exchange.public().to_vec(),
            Work::Agree { key } => self.exchange.agree(&key).to_vec(),
            Work::Verify { peer, message, signature } => {
                let good = keys::verify(&peer, &message, &signature);
                let outcome = if good { Outcome::Ok } else { Outcome::Missing };
                // Nobody's any more, where the contact has made room.
                self.mesh.on_done(job, &outcome, &mut self.cx);
                return;
            }
            other => panic!("a mesh orders no {other:?}"),
        };
        assert!(self.mesh.on_done(job, &Outcome::Bytes(&bytes), &mut self.cx));
    }
}

/// 0 is linked with 1, and 1 with 2; 0 knows of 2 from 1.
fn three() -> Net {
    let mut net = Net::new(3, &[(0, 1), (1, 2)]);
    net.ask(0, 1);
    net
}

#[test]
fn a_signal_goes_through_a_neighbour_and_the_answer_comes_back() {
    let mut net = three();
    let (a, c) = (net.id(0), net.id(2));
    assert!(net.0[0].mesh.reaches(&c) && !net.0[2].mesh.reaches(&a));
    net.post(0, 2, knock(7));
    net.run();
    assert_eq!(net.read(2), [(a, knock(7))]);
    assert!(net.0[2].mesh.reaches(&a), "it knows the way back");
    net.post(2, 0, Signal::Decline { attempt: 7 });
    net.post(2, 0, knock(8));
    net.run();
    assert_eq!(net.read(0), [(c, Signal::Decline { attempt: 7 }), (c, knock(8))]);
    assert!(net.read(1).is_empty(), "who passes it on reads nothing");
    assert!(net.0.iter().all(|end| end.faults.is_empty()));
}

#[test]
fn what_is_passed_on_says_nothing_of_what_is_inside() {
    let mut net = three();
    net.post(0, 2, knock(7));
    let plain = knock(7).encode();
    let mut seen = 0;
    net.run_with(&mut |_, _, message| {
        if let (Message::Parcel { card: true, .. }, tail) = &message {
            seen += 1;
            assert_eq!(tail.len(), CARD_BYTES + SEAL_BYTES + plain.len());
            assert!(tail.windows(8).all(|part| !plain.windows(8).any(|other| other == part)));
        }
        vec![message]
    });
    assert_eq!(seen, 2);
}

#[test]
fn a_parcel_that_comes_twice_is_read_once() {
    let mut net = three();
    let mut kept = Vec::new();
    for attempt in [7, 8] {
        net.post(0, 2, knock(attempt));
        net.run_with(&mut |from, _, message| {
            if from == 1 && matches!(message.0, Message::Parcel { .. }) {
                kept.push(message.clone());
                return vec![message.clone(), message];
            }
            vec![message]
        });
        assert_eq!(net.read(2).len(), 1);
    }
    for message in kept {
        net.0[2].take_in(1, &message);
    }
    net.run();
    assert!(net.read(2).is_empty(), "however late it is brought again");
}

#[test]
fn a_parcel_that_was_altered_is_dropped() {
    let alterations: [&Alter; 4] = [
        &|tail| tail[CARD_BYTES] ^= 1,
        &|tail| tail[CARD_BYTES + 8] ^= 1,
        &|tail| tail[CARD_BYTES + SEAL_BYTES] ^= 1,
        &|tail| tail.truncate(CARD_BYTES + SEAL_BYTES + 5),
    ];
    for alter in alterations {
        let mut net = three();
        net.post(0, 2, knock(7));
        net.run_with(&mut |from, _, mut message| {
            if let (1, (Message::Parcel { .. }, tail)) = (from, &mut message) {
                alter(tail);
            }
            vec![message]
        });
        assert!(net.read(2).is_empty());
        // What comes as it was sent is read.
        net.post(0, 2, knock(8));
        net.run();
        assert_eq!(net.read(2).len(), 1);
    }
}

#[test]
fn nobody_speaks_for_another() {
    // 3 is a neighbour of 2's as well, and says that it is 0.
    let mut net = Net::new(4, &[(0, 1), (1, 2), (3, 2)]);
    net.ask(0, 1);
    net.ask(3, 2);
    let a = net.id(0);
    net.post(0, 2, knock(7));
    net.run();
    net.read(2);
    net.connect(3, 1);
    net.run();
    net.ask(3, 1);
    net.post(3, 2, knock(9));
    net.run_with(&mut |from, _, mut message| {
        if let (3, (Message::Parcel { from, .. }, _)) = (from, &mut message) {
            *from = a;
        }
        vec![message]
    });
    assert!(net.read(2).is_empty());
}

#[test]
fn a_neighbour_that_names_a_false_key_is_found_out_before_anything_is_said() {
    let mut net = Net::new(3, &[(0, 1), (1, 2)]);
    let c = net.id(2);
    let false_key = net.0[1].exchange.public();
    let end = &mut net.0[0];
    end.mesh.ask(TOPIC, &[(link(1), false)], &mut end.cx);
    net.run_with(&mut |_, _, mut message| {
        if let (Message::Peers { .. }, rows) = &mut message {
            rows.chunks_mut(MET_BYTES).for_each(|row| row[33..65].copy_from_slice(&false_key));
        }
        vec![message]
    });
    net.post(0, 2, knock(7));
    net.run_with(&mut |_, _, message| {
        assert!(!matches!(message.0, Message::Parcel { .. }));
        vec![message]
    });
    assert_eq!(net.0[0].mesh.take_news(), [(c, None)]);
    // The truth, from whomever, is as good as ever.
    net.ask(0, 1);
    net.post(0, 2, knock(8));
    net.run();
    assert_eq!(net.read(2).len(), 1);
}

#[test]
fn who_knows_no_way_says_so() {
    let mut net = three();
    let c = net.id(2);
    net.0[1].mesh.on_down(link(2));
    net.post(0, 2, knock(7));
    net.run();
    assert_eq!(net.0[0].mesh.take_news(), [(c, None)]);
    assert!(!net.0[0].mesh.reaches(&c));
}

#[test]
fn a_parcel_finds_its_way_back_over_many() {
    let mut net = Net::new(4, &[(0, 1), (1, 2), (2, 3)]);
    let (a, d) = (net.id(0), net.id(3));
    let Mine::Made(card) = &net.0[3].mesh.mine else { panic!("it has links") };
    let card = *card;
    let now = net.0[0].cx.now;
    net.0[0].mesh.learn(d, card, link(1), now);
    net.0[1].mesh.routes.learn(d, link(2), now);
    net.post(0, 3, knock(7));
    net.run();
    assert_eq!(net.read(3), [(a, knock(7))]);
    net.post(3, 0, Signal::Decline { attempt: 7 });
    net.run();
    assert_eq!(net.read(0), [(d, Signal::Decline { attempt: 7 })]);
    // Who came first is believed for a while: nobody takes over the way to another.
    net.0[1].mesh.routes.learn(d, link(0), now);
    assert_eq!(net.0[1].mesh.next(&d, link(0), now), Some(link(2)));
    assert_eq!(net.0[1].mesh.next(&d, link(0), now.after(ROUTE_LIFE)), None);
}

#[test]
fn a_parcel_goes_on_to_whom_named_its_receiver_where_the_link_with_it_is_gone() {
    // 1 and 3 are both linked with 2, and with each other.
    let mut net = Net::new(4, &[(0, 1), (1, 2), (1, 3), (3, 2)]);
    net.ask(0, 1);
    net.ask(1, 3);
    let (a, c) = (net.id(0), net.id(2));
    net.0[1].mesh.on_down(link(2));
    net.post(0, 2, knock(7));
    net.run();
    assert_eq!(net.read(2), [(a, knock(7))]);
    net.post(2, 0, Signal::Decline { attempt: 7 });
    net.run();
    assert_eq!(net.read(0), [(c, Signal::Decline { attempt: 7 })], "the answer comes back the same way");
    let now = net.0[1].cx.now;
    assert_eq!(net.0[1].mesh.next(&c, link(3), now), None, "nothing goes back to whom it came from");
}

#[test]
fn a_parcel_does_not_go_in_circles() {
    let mut net = Net::new(3, &[(0, 1), (1, 2), (2, 0)]);
    let nobody = PeerId([0xee; 32]);
    let now = net.0[0].cx.now;
    for (at, next) in [(0, 1), (1, 2), (2, 0)] {
        net.0[at].mesh.routes.learn(nobody, link(next), now);
    }
    let stray = Message::Parcel { to: nobody, from: PeerId([0xdd; 32]), hops: HOPS_MAX, card: false };
    net.0[0].take_in(2, &(stray, vec![0; SEAL_BYTES]));
    let mut passed = 0;
    net.run_with(&mut |_, _, message| {
        passed += usize::from(matches!(message.0, Message::Parcel { .. }));
        vec![message]
    });
    assert!(passed <= usize::from(HOPS_MAX));
}

#[test]
fn each_neighbour_pays_for_what_it_has_others_do() {
    let mut net = three();
    let mut passed = 0;
    for attempt in 0..2000 {
        net.post(0, 2, knock(attempt));
        net.run_with(&mut |from, _, message| {
            passed += usize::from(from == 1 && matches!(message.0, Message::Parcel { .. }));
            vec![message]
        });
    }
    assert!((40..200).contains(&passed), "{passed} knocks were passed on");
    net.read(2);
    // Another neighbour's purse is its own, and a minute fills the first one again.
    net.0[1].cx.now = net.0[1].cx.now + Duration::from_secs(60);
    net.0[2].cx.now = net.0[1].cx.now;
    net.post(0, 2, knock(3000));
    net.run();
    assert_eq!(net.read(2).len(), 1);
}

#[test]
fn what_nobody_asked_for_is_a_fault() {
    let mut net = three();
    net.0[0].take_in(1, &(Message::Peers { topic: TOPIC }, vec![]));
    assert_eq!(net.0[0].faults, [Fault::Unexpected], "one answer for each question");
    let Mine::Made(card) = &net.0[1].mesh.mine else { panic!("it has links") };
    let card = card.0.to_vec();
    net.0[0].take_in(1, &(Message::Card, card));
    assert_eq!(net.0[0].faults.len(), 2, "a key is named once");
}

#[test]
fn nobody_can_make_us_remember_without_end() {
    let mut net = Net::new(2, &[(0, 1)]);
    let to = net.id(0);
    let Mine::Made(card) = &net.0[1].mesh.mine else { panic!("it has links") };
    let tail = [card.0.as_slice(), &[0; SEAL_BYTES]].concat();
    for number in 0..4000u32 {
        let mut from = [0; 32];
        from[..4].copy_from_slice(&number.to_le_bytes());
        let from = PeerId(from);
        let end = &mut net.0[0];
        end.take_in(1, &(Message::Parcel { to, from, hops: 0, card: true }, tail.clone()));
        end.take_in(1, &(Message::Parcel { to: from, from: to, hops: 0, card: true }, tail.clone()));
        end.mesh.routes.learn(from, link(1), end.cx.now);
        end.cx.now = end.cx.now.after(SECOND);
    }
    let mesh = &net.0[0].mesh;
    assert!(mesh.contacts.len() <= CONTACTS_MAX && mesh.routes.is_bounded());
    net.run();
    assert!(net.0[0].mesh.take_news().iter().all(|(_, signal)| signal.is_none()));
    assert_eq!(net.0[0].mesh.contacts.len(), 0, "a card that is not its peer's is forgotten");
}
