//! Stories of the greeting: what passes while the host signs and verifies, and in which order.

use super::*;
use crate::Action;
use crate::input::Failure;
use crate::keys::{self, Key};
use crate::outbox::Outbox;
use crate::rng::Rng;
use crate::wire::Frame;
use std::vec;

const LINK: LinkId = LinkId(7);

/// One end of a link whose host signs and verifies when the story says so.
struct End {
    key: Key,
    links: Links,
    cx: Cx,
    jobs: VecDeque<(JobId, Work)>,
}

/// The two ends of a link, and what each was sent but has not read.
fn ends() -> [End; 2] {
    let key = |number| Key::from_seed(&[number; 32]);
    let print = |number| Fingerprint([number; 32]);
    [(1, 2), (2, 1)].map(|(us, them)| {
        let config = Config::default();
        let out = Outbox::new(config.channel_high_bytes);
        let cx = Cx { now: Instant::ZERO, rng: Rng::new([us; 32]), config, out, is_up: true };
        let mut end = End { key: key(us), links: Links::default(), cx, jobs: VecDeque::new() };
        let opened = Opened {
            link: LINK,
            peer: key(them).peer_id(),
            local: print(us),
            remote: print(them),
            began: Instant::ZERO,
            topic: Topic([0; 32]),
        };
        end.links.open(opened, end.key.peer_id(), &mut end.cx);
        end
    })
}

impl End {
    /// What it sends; orders to its host wait.
    fn sends(&mut self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        while let Some(action) = self.cx.out.pop() {
            match action {
                Action::Send { bytes, .. } => sent.push(bytes),
                Action::Start { job, work } => self.jobs.push_back((job, work)),
                other => panic!("a greeting orders no {other:?}"),
            }
        }
        sent
    }

    /// As the node does with a message. What has no place in a greeting is answered with a fault.
    fn take_in(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.links.hold(LINK, bytes)? { Ok(()) } else { self.read(bytes) }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let me = self.key.peer_id();
        match Frame::decode(bytes).unwrap().message {
            Message::Hello(hello) => self.links.on_hello(LINK, &hello, &me, &mut self.cx),
            Message::Proof(proof) => self.links.on_proof(LINK, &proof, &me, &mut self.cx),
            Message::Ping { nonce } => self.links.on_ping(LINK, nonce, &mut self.cx),
            _ => Err(Fault::Unexpected),
        }
    }

    /// The host ends its oldest job. Answers whether the link is proven now.
    fn host_works(&mut self) -> Result<bool, Fault> {
        drop(self.sends());
        let (job, work) = self.jobs.pop_front().expect("the story waits for a job");
        match work {
            Work::Sign { message } => self.ends(job, &Outcome::Bytes(&self.key.sign(&message))),
            Work::Verify { peer, message, signature } => {
                let good = keys::verify(&peer, &message, &signature);
                self.ends(job, if good { &Outcome::Ok } else { &Outcome::Missing })
            }
            other => panic!("a greeting orders no {other:?}"),
        }
    }

    fn ends(&mut self, job: JobId, outcome: &Outcome<'_>) -> Result<bool, Fault> {
        let (link, result) = self.links.on_done(job, outcome, &mut self.cx).expect("the job is a link's");
        let proven = result?;
        if proven.is_some() {
            self.links.measure(link, &mut self.cx);
        }
        while let Some(bytes) = self.links.release(link) {
            self.read(&bytes)?;
        }
        Ok(proven.is_some())
    }
}

/// Both have each other's `Hello`, and wait for their hosts to sign.
fn greeted() -> [End; 2] {
    let [mut a, mut b] = ends();
    let (from_a, from_b) = (a.sends(), b.sends());
    a.take_in(&from_b[0]).unwrap();
    b.take_in(&from_a[0]).unwrap();
    assert!(a.sends().is_empty() && b.sends().is_empty(), "the proof waits for the host");
    [a, b]
}

/// The signature is made, and what was sent with it.
fn signed(end: &mut End) -> Vec<u8> {
    assert_eq!(end.host_works(), Ok(false));
    end.sends().remove(0)
}

#[test]
fn two_who_prove_their_keys_are_linked() {
    let [mut a, mut b] = greeted();
    let (proof_a, proof_b) = (signed(&mut a), signed(&mut b));
    a.take_in(&proof_b).unwrap();
    b.take_in(&proof_a).unwrap();
    assert!(!a.links.is_proven(LINK), "nothing is proven before the host says so");
    assert_eq!(a.host_works(), Ok(true));
    assert_eq!(b.host_works(), Ok(true));
    assert!(a.links.is_proven(LINK) && b.links.is_proven(LINK));
}

#[test]
fn what_came_after_version_1_is_understood_by_whose_hello_says_so() {
    let [a, _] = greeted();
    let added = [wire::FEATURE_NEWS, wire::FEATURE_OVERLAY, wire::FEATURE_ANCHOR];
    assert!(added.iter().all(|bit| a.links.understands(LINK, *bit)));
    let [mut a, b] = ends();
    let older = Hello { version: wire::VERSION, features: 1 << 7, peer: b.key.peer_id(), nonce: [1; 32] };
    a.take_in(&Message::Hello(older).encode(&[])).unwrap();
    assert!(!added.iter().any(|bit| a.links.understands(LINK, *bit)));
}

#[test]
fn a_proof_that_comes_before_ours_is_ready_waits_for_it() {
    let [mut a, mut b] = greeted();
    let proof_a = signed(&mut a);
    b.take_in(&proof_a).unwrap();
    assert_eq!(b.jobs.len(), 1, "it still signs");
    let proof_b = signed(&mut b);
    // Only now does it verify, so that nothing can overtake its own proof.
    assert_eq!(b.host_works(), Ok(true));
    a.take_in(&proof_b).unwrap();
    assert_eq!(a.host_works(), Ok(true));
}

#[test]
fn what_comes_while_the_host_verifies_is_read_afterwards_in_order() {
    let [mut a, mut b] = greeted();
    let (proof_a, proof_b) = (signed(&mut a), signed(&mut b));
    a.take_in(&proof_b).unwrap();
    assert_eq!(a.host_works(), Ok(true));
    let ping = a.sends().remove(0);
    b.take_in(&proof_a).unwrap();
    b.take_in(&ping).unwrap();
    b.take_in(&Message::Ping { nonce: 1 }.encode(&[])).unwrap();
    assert_eq!(b.host_works(), Ok(true));
    let sent = b.sends();
    let messages: Vec<_> = sent.iter().map(|bytes| Frame::decode(bytes).unwrap().message).collect();
    assert!(matches!(messages[0], Message::Ping { .. }), "its own measure");
    assert!(matches!(messages[1..], [Message::Pong { .. }, Message::Pong { nonce: 1 }]));
}

#[test]
fn a_proof_that_does_not_verify_is_a_lie_and_a_host_that_cannot_is_none() {
    let [mut a, _] = greeted();
    drop(signed(&mut a));
    let forged = Message::Proof(Proof { signature: Signature([1; 32], [2; 32]) }).encode(&[]);
    a.take_in(&forged).unwrap();
    assert_eq!(a.host_works(), Err(Fault::Identity));
    for job_of in [0, 1] {
        let [mut a, _] = greeted();
        if job_of == 1 {
            drop(signed(&mut a));
            a.take_in(&forged).unwrap();
            drop(a.sends());
        }
        let (job, _) = a.jobs.pop_front().unwrap();
        assert_eq!(a.ends(job, &Outcome::Failed(Failure::Unsupported)), Err(Fault::Refused));
    }
}

#[test]
fn before_the_proof_nothing_passes_and_little_waits() {
    let [mut a, _] = greeted();
    let ping = Message::Ping { nonce: 1 }.encode(&[]);
    a.take_in(&ping).unwrap();
    assert_eq!(a.host_works(), Err(Fault::Unexpected), "no proof came before it");

    let [mut a, _] = greeted();
    let message = vec![0; 64 * 1024];
    for _ in 0..16 {
        a.take_in(&message).unwrap();
    }
    assert_eq!(a.take_in(&message), Err(Fault::Flooding));
}

#[test]
fn a_job_whose_link_is_gone_is_nobodys() {
    let [mut a, _] = greeted();
    let (job, _) = a.jobs.pop_front().unwrap();
    a.links.close(LINK).unwrap();
    assert!(a.links.on_done(job, &Outcome::Ok, &mut a.cx).is_none());
}
