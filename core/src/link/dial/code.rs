//! Attempts whose signals people carry: all that one side has to say is one code, so it waits for its candidates.

use super::{Dial, Dialer, Step};
use crate::action::{Event, Work};
use crate::id::{PeerId, Topic};
use crate::outbox::{Cx, Way};
use crate::time::SECOND;
use crate::wire::Signal;
use alloc::vec::Vec;

/// A code is made with what was found in this time. STUN servers answer within a second, or not at all.
pub(super) const GATHERING: u64 = 3 * SECOND;
/// Attempts that wait for people at the same time.
const CARRIED_MAX: usize = 3;
/// People take their time.
const CARRYING: u64 = 15 * 60 * SECOND;

impl Dialer {
    /// Makes an offer for somebody whom nobody knows yet.
    pub(crate) fn invite(&mut self, call: u32, topic: Topic, links: usize, cx: &mut Cx) {
        if !self.may_carry(links, cx) {
            return cx.out.notify(Event::NoCode { call });
        }
        let link = self.mint();
        let job = cx.out.start(Work::Dial { link });
        let attempt = cx.rng.below(1 << 32) as u32;
        // Until the answer says who it is, the attempt goes under a name that is nobody's.
        let nobody = PeerId(cx.rng.bytes32());
        let mut dial = Dial::new(attempt, topic, Way::Code(call), Step::Offering(job), cx);
        dial.link = Some(link);
        dial.deadline = cx.now.after(CARRYING);
        self.dials.insert(nobody, dial);
    }

    /// Answers an offer, or goes on with the answer to ours. `false`: it is of no use.
    pub(crate) fn meet(
        &mut self,
        call: u32,
        peer: PeerId,
        signals: Vec<Signal>,
        links: usize,
        cx: &mut Cx,
    ) -> bool {
        // What people carry is surer than what is being tried.
        if self.dials.get(&peer).is_some_and(|dial| dial.step == Step::Connecting) {
            return false;
        }
        self.drop_dial(&peer, cx);
        for signal in signals {
            match signal {
                Signal::Offer { attempt, topic, description } => {
                    if !self.may_carry(links, cx) {
                        return false;
                    }
                    let dial = Dial::new(attempt, topic, Way::Code(call), Step::Knocked, cx);
                    self.dials.insert(peer, dial);
                    self.on_offer(peer, attempt, description, cx);
                    if let Some(dial) = self.dials.get_mut(&peer) {
                        dial.deadline = cx.now.after(CARRYING);
                    }
                }
                Signal::Answer { attempt, description } => {
                    let ours = |dial: &Dial| {
                        dial.attempt == attempt
                            && dial.step == Step::Offered
                            && matches!(dial.way, Way::Code(_))
                    };
                    let Some(mut dial) = self.first(&ours).and_then(|nobody| self.dials.remove(&nobody))
                    else {
                        return false;
                    };
                    dial.deadline = cx.now + cx.config.dial_deadline;
                    self.dials.insert(peer, dial);
                    self.on_answer(peer, attempt, description, cx);
                    cx.out.notify(Event::Code { call, code: Vec::new() });
                }
                Signal::Candidate { attempt, candidate } => self.on_candidate(&peer, attempt, candidate, cx),
                Signal::Knock { .. } | Signal::Decline { .. } => {}
            }
        }
        true
    }

    /// Whether one more attempt may wait for people.
    fn may_carry(&self, links: usize, cx: &Cx) -> bool {
        let mut carried = 0;
        for (_, dial) in &self.dials {
            carried += usize::from(matches!(dial.way, Way::Code(_)));
        }
        carried < CARRIED_MAX && self.may_knock(links, &cx.config)
    }
}
