//! One attempt: what is known of both sides, and what is to be said together.

use super::code;
use crate::id::{Fingerprint, JobId, LinkId, Topic};
use crate::outbox::{Cx, Way};
use crate::time::{Instant, SECOND};
use crate::wire::Signal;
use alloc::vec::Vec;

/// A description waits at most this long for a first candidate of its side.
pub(super) const TOGETHER: u64 = SECOND / 50;
/// And a candidate this long for others, or until its host has found all (Chromium says so 0.12 s after the last one). A host's own
/// addresses are found within a millisecond or two of each other; what STUN has to say takes a trip, for which nobody waits.
pub(super) const BETWEEN: u64 = SECOND / 250;

pub(super) struct Dial {
    pub(super) attempt: u32,
    pub(super) topic: Topic,
    pub(super) way: Way,
    pub(super) step: Step,
    pub(super) link: Option<LinkId>,
    pub(super) began: Instant,
    pub(super) deadline: Instant,
    pub(super) local: Option<Fingerprint>,
    pub(super) remote: Option<Fingerprint>,
    /// To be said together: our description, first of all, and candidates.
    pub(super) say: Vec<Signal>,
    /// When, where that is known.
    pub(super) say_at: Option<Instant>,
    /// Candidates of ours.
    pub(super) found: usize,
    pub(super) added: usize,
}

#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// We knocked; an offer should come.
    Knocked,
    /// The host makes our offer.
    Offering(JobId),
    /// Our offer is out.
    Offered,
    /// The host makes our answer.
    Answering(JobId),
    /// Both descriptions are known: the connection is being made.
    Connecting,
}

impl Dial {
    pub(super) fn new(attempt: u32, topic: Topic, way: Way, step: Step, cx: &Cx) -> Self {
        Self {
            attempt,
            topic,
            way,
            step,
            link: None,
            began: cx.now,
            deadline: cx.now + cx.config.dial_deadline,
            local: None,
            remote: None,
            say: Vec::new(),
            say_at: None,
            found: 0,
            added: 0,
        }
    }

    /// Waits a moment for what belongs together.
    pub(super) fn say_later(&mut self, now: Instant) {
        let span = if matches!(self.way, Way::Code(_)) { code::GATHERING } else { TOGETHER };
        self.say_at = Some(now.after(span));
    }
}
