//! What goes to the signaller before and after it lets us in.

use super::{Client, News};
use crate::action::{Action, Work};
use crate::config::Config;
use crate::id::{PeerId, Topic};
use crate::input::Outcome;
use crate::outbox::{Cx, Outbox};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::{ToClient, ToTracker, VERSION};
use std::vec::Vec;

const ME: PeerId = PeerId([1; 32]);

/// Messages of each frame that was sent.
fn said(cx: &mut Cx) -> Vec<Vec<ToTracker>> {
    let mut frames = Vec::new();
    while let Some(action) = cx.out.pop() {
        if let Action::Signal { bytes } = action {
            frames.push(ToTracker::read(&bytes).unwrap());
        }
    }
    frames
}

fn announce(topic: u8) -> ToTracker {
    ToTracker::Announce { topic: Topic([topic; 32]), complete: false, want: 12 }
}

fn new() -> (Client, Cx) {
    let config = Config { signaller: true, ..Config::default() };
    let client = Client::new(&config);
    let out = Outbox::new(config.channel_high_bytes);
    (client, Cx { now: Instant::ZERO, rng: Rng::new([1; 32]), config, out, is_up: false })
}

#[test]
fn swarms_are_joined_with_the_answer_to_the_challenge() {
    let (mut client, mut cx) = new();
    client.join(Topic([1; 32]), false, &mut cx);
    client.join(Topic([2; 32]), false, &mut cx);
    let Some(Action::Start { job, work: Work::OpenSignaller }) = cx.out.pop() else { panic!("no socket") };
    client.on_done(job, &Outcome::Ok, &ME, &mut cx);
    assert_eq!(client.on_message(&ToClient::Challenge { nonce: [2; 32] }, &mut cx), News::Accepted);
    client.on_challenge(Vec::new(), &mut cx);
    let Some(Action::Start { job, work: Work::Sign { .. } }) = cx.out.pop() else {
        panic!("nothing to sign")
    };
    client.on_done(job, &Outcome::Bytes(&[3; 64]), &ME, &mut cx);
    let frames = said(&mut cx);
    let [ToTracker::Hello { peer: ME, .. }, joins @ ..] = &frames[0][..] else { panic!("{frames:?}") };
    assert_eq!((frames.len(), joins), (1, &[announce(1), announce(2)][..]));
    // What comes up before the answer waits for it; what is left again is left.
    client.join(Topic([3; 32]), false, &mut cx);
    client.leave(&Topic([1; 32]), &mut cx);
    assert_eq!(said(&mut cx), [[ToTracker::Leave { topic: Topic([1; 32]) }]]);
    client.on_message(&ToClient::Welcome { version: VERSION, features: 0 }, &mut cx);
    assert_eq!(said(&mut cx), [[announce(3)]], "and nothing twice");
}

#[test]
fn who_has_lost_half_of_its_links_asks_at_once_and_ever_less_often() {
    let (mut client, mut cx) = new();
    let topic = Topic([1; 32]);
    client.join(topic, false, &mut cx);
    (client.state, cx.is_up) = (super::State::Up { since: cx.now }, true);
    client.announce_all(&mut cx);
    let due = |client: &Client, cx: &Cx| client.deadline().map(|at| at.passed(cx.now) / 1000);
    let asks = |client: &mut Client, cx: &mut Cx, links: usize| {
        client.on_links(&topic, links);
        client.ask_again(&topic, cx);
        let after = due(client, cx).unwrap();
        said(cx);
        cx.now = client.deadline().unwrap();
        client.on_timeout(cx);
        assert_eq!(said(cx), [[announce(1)]]);
        after
    };
    assert!((4000..12_000).contains(&asks(&mut client, &mut cx, 0)), "there never was a link");
    // It had enough for a while: nothing was asked then.
    assert!(!client.on_links(&topic, 12));
    client.ask_no_more(&topic);
    assert!(!client.on_links(&topic, 7), "more than half is left");
    client.ask_again(&topic, &mut cx);
    assert!((4000..12_000).contains(&due(&client, &cx).unwrap()));
    // What was to be asked later is asked now.
    assert!(client.on_links(&topic, 6));
    let mut least = 250;
    for _ in 0..10 {
        let after = asks(&mut client, &mut cx, 3);
        assert!((least..least * 3).contains(&after), "{after} of {least}");
        least = (least * 2).min(64_000);
    }
}
