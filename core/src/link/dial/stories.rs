//! What is said together, and when.

use super::attempt::{BETWEEN, TOGETHER};
use super::{CANDIDATES_MAX, Dialer};
use crate::action::{Action, Work};
use crate::config::Config;
use crate::id::{Fingerprint, JobId, LinkId, PeerId, Topic};
use crate::input::Outcome;
use crate::link::Links;
use crate::outbox::{Cx, Outbox, Way};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::{Address, Candidate, CandidateKind, Description, Role, Signal, ToTracker};
use std::string::ToString;
use std::vec;
use std::vec::Vec;

const TOPIC: Topic = Topic([7; 32]);
const OTHER: PeerId = PeerId([9; 32]);
const ATTEMPT: u32 = 3;

/// A peer that was knocked at and has been described by its host.
struct Offerer {
    dialer: Dialer,
    cx: Cx,
    link: LinkId,
}

fn description() -> Description {
    let (ufrag, pwd) = ("abcd".to_string(), "abcdefghijklmnopqrstuv".to_string());
    Description { ufrag, pwd, fingerprint: Fingerprint([1; 32]), role: Role::Actpass }
}

fn candidate(port: u16) -> Candidate {
    Candidate { address: Address::V4([8, 8, 8, 8]), port, kind: CandidateKind::Host, priority: 1 }
}

fn offer() -> Signal {
    Signal::Offer { attempt: ATTEMPT, topic: TOPIC, description: description() }
}

fn found(port: u16) -> Signal {
    Signal::Candidate { attempt: ATTEMPT, candidate: candidate(port) }
}

impl Offerer {
    fn new() -> Self {
        let config = Config::default();
        let out = Outbox::new(config.channel_high_bytes);
        let mut cx = Cx { now: Instant::ZERO, rng: Rng::new([1; 32]), config, out, is_up: true };
        let mut dialer = Dialer::new(PeerId([1; 32]));
        let knock = Signal::Knock { attempt: ATTEMPT, topic: TOPIC };
        dialer.on_signal(OTHER, Way::Signaller, knock, true, 0, &mut cx);
        let Some(Action::Start { job, work: Work::Dial { link } }) = cx.out.pop() else { panic!("no dial") };
        let mut end = Self { dialer, cx, link };
        end.described(job);
        end
    }

    fn described(&mut self, job: JobId) {
        assert!(self.dialer.on_done(job, &Outcome::Described(description()), &mut self.cx));
    }

    fn finds(&mut self, port: Option<u16>) {
        self.dialer.on_found(self.link, port.map(candidate), &mut self.cx);
    }

    /// Waits for its timer.
    fn rings(&mut self) -> u64 {
        let (before, at) = (self.cx.now, self.dialer.deadline().unwrap());
        self.cx.now = at;
        self.dialer.on_timeout(&mut self.cx);
        at.passed(before)
    }

    /// The signals of each message that it has sent.
    fn says(&mut self) -> Vec<Vec<Signal>> {
        let mut said = Vec::new();
        while let Some(Action::Signal { bytes }) = self.cx.out.pop() {
            said.extend(ToTracker::read(&bytes).unwrap().into_iter().map(|message| match message {
                ToTracker::Relay { to: OTHER, signals } => signals,
                other => panic!("{other:?}"),
            }));
        }
        said
    }
}

#[test]
fn a_description_goes_with_the_candidates_of_its_moment() {
    let mut end = Offerer::new();
    end.finds(Some(1));
    end.cx.now = end.cx.now.after(BETWEEN - 1);
    end.finds(Some(2));
    assert_eq!(end.says(), Vec::<Vec<Signal>>::new(), "more may come");
    assert_eq!(end.rings(), BETWEEN);
    assert_eq!(end.says(), [vec![offer(), found(1), found(2)]]);
    end.finds(Some(3));
    assert_eq!((end.rings(), end.says()), (BETWEEN, vec![vec![found(3)]]));
}

#[test]
fn a_description_waits_for_a_first_candidate_but_not_for_long() {
    let mut end = Offerer::new();
    assert_eq!((end.rings(), end.says()), (TOGETHER, vec![vec![offer()]]));
}

#[test]
fn nobody_waits_when_all_is_found() {
    let mut end = Offerer::new();
    end.finds(Some(1));
    end.finds(None);
    assert_eq!(end.says(), [vec![offer(), found(1)]]);
    end.finds(None);
    assert_eq!(end.says(), Vec::<Vec<Signal>>::new());
    assert!(end.rings() > TOGETHER, "what is left is the deadline of the attempt");
}

#[test]
fn candidates_are_bounded() {
    let mut end = Offerer::new();
    (0..100).for_each(|port| end.finds(Some(port + 1)));
    end.finds(None);
    assert_eq!(end.says()[0].len(), 1 + CANDIDATES_MAX);
    end.finds(Some(1));
    end.finds(None);
    assert_eq!(end.says(), Vec::<Vec<Signal>>::new());
}

/// What was posted through neighbours.
fn posted(cx: &mut Cx) -> Vec<Signal> {
    cx.out.take_posts().into_iter().map(|(_, signal)| signal).collect()
}

#[test]
fn a_knock_that_one_neighbour_could_not_bring_goes_by_another_for_as_long_as_there_is_one() {
    let mut end = Offerer::new();
    let peer = PeerId([4; 32]);
    end.dialer.known.learn(peer, TOPIC, false, false);
    end.dialer.knock(peer, TOPIC, &mut end.cx);
    let knocked = posted(&mut end.cx);
    assert!(matches!(knocked[..], [Signal::Knock { .. }]));
    end.dialer.absent(&peer, Way::Peers, true, &mut end.cx);
    assert_eq!(posted(&mut end.cx), knocked, "the same attempt");
    end.dialer.absent(&peer, Way::Peers, false, &mut end.cx);
    assert_eq!(posted(&mut end.cx), []);
    assert_eq!(end.dialer.dialling(&TOPIC), 1, "only the attempt that the other began is left");
}

#[test]
fn offers_that_nobody_waits_for_cost_no_connections() {
    let mut end = Offerer::new();
    let peer = PeerId([4; 32]);
    end.dialer.knock(peer, TOPIC, &mut end.cx);
    let made = end.dialer.made();
    for attempt in 0..1000 {
        let offer = Signal::Offer { attempt, topic: TOPIC, description: description() };
        end.dialer.on_signal(peer, Way::Peers, offer, true, 0, &mut end.cx);
    }
    assert_eq!(end.dialer.made(), made);
}

#[test]
fn a_knock_that_two_neighbours_bring_is_answered_once() {
    let mut end = Offerer::new();
    let knock = Signal::Knock { attempt: ATTEMPT, topic: TOPIC };
    end.dialer.on_signal(OTHER, Way::Signaller, knock.clone(), true, 0, &mut end.cx);
    end.finds(None);
    assert_eq!(end.says(), [vec![offer()]]);
    end.dialer.on_signal(OTHER, Way::Signaller, knock, true, 0, &mut end.cx);
    assert_eq!(end.says(), Vec::<Vec<Signal>>::new());
    assert_eq!(end.dialer.made(), 1);
}

#[test]
fn who_is_alone_calls_whom_the_signaller_names_whatever_back_off_says() {
    let mut end = Offerer::new();
    let peer = PeerId([4; 32]);
    end.dialer.known.learn(peer, TOPIC, true, true);
    end.dialer.knock(peer, TOPIC, &mut end.cx);
    end.dialer.absent(&peer, Way::Signaller, false, &mut end.cx);
    let choice = |end: &mut Offerer, alone| {
        end.dialer.known.learn(peer, TOPIC, true, true);
        if alone {
            end.dialer.known.hurry_to(&peer);
        }
        end.dialer.choose(&TOPIC, false, &Links::default(), &|_| false, &mut end.cx)
    };
    assert_eq!(choice(&mut end, false), None);
    assert_eq!(choice(&mut end, true), Some(peer));
}
