//! The signaller is gone, and still somebody comes: each knows one peer, by a code, and meets the others through it.

use super::outcome::nearest;
use super::setup::number;
use super::{Class, Outcome, Progress, Setup, Story, flash_crowd};
use crate::queue::fork;
use crate::spec::Fault;
use crate::world::{PeerId, World};
use core::time::Duration;
use swarmlet_core::{Command, Event, Fault as PeerFault, Instant};

/// The story.
pub(super) static STORY: Story = Story {
    name: "newcomers",
    about: "The signaller dies a few seconds after all came; others come then, and each connects to one peer by a code that people \
            carry (goals C4, C5). guest_links: those that a guest has 15 s after that one, at least. relayed_success: attempts through peers \
            that became links, of those that were not declined. carried_kib: what was passed on between guests and whomever they signalled to, \
            failed attempts too, for each link made so; carried_all_kib: the same of everybody. set_up_excess_s: 95th percentile of making a link through peers, over the one through the signaller.",
    size: (100, 32.0, 4.0),
    knobs: &[
        number("dies_at", 5.0, "when the signaller dies, s"),
        number("guests", 10.0, "who comes after that"),
        number("guests_every", 1.0, "time between two guests, s"),
    ],
    run,
};

/// From the first link on, a guest's links are counted after this time.
const SETTLED: Duration = Duration::from_secs(15);

fn run(setup: &Setup, progress: Progress<'_>) -> Outcome {
    let mut play = flash_crowd::crowd(setup);
    let dies_at = setup.seconds("dies_at");
    play.world.at(dies_at, Fault::SignallerDown);
    let mut rng = fork(setup.seed, 70, 0);
    let mut guests = Vec::new();
    for number in 0..setup.number("guests") as usize {
        let mut spec = setup.peer(play.next());
        spec.joins = dies_at + Duration::from_secs(2) + setup.seconds("guests_every") * number as u32;
        let host = setup.sources() + rng.below(setup.peers as u64) as usize;
        let peer = play.add(Class::Contributor, spec);
        guests.push(Guest { peer, host, call: 1 + 3 * number as u32, step: Step::Comes, links: None });
    }
    play.run(setup, progress, &mut |play| guests.iter_mut().for_each(|guest| guest.go_on(&mut play.world)));
    let end = play.world.now.since(Instant::ZERO) + SETTLED;
    while play.world.now.since(Instant::ZERO) < end {
        let next = play.world.now.since(Instant::ZERO) + play.step;
        play.world.run(next);
        guests.iter_mut().for_each(|guest| guest.go_on(&mut play.world));
    }
    let mut outcome = Outcome::of(&mut play);
    let linked = guests.iter().filter_map(|guest| guest.links);
    outcome.tell("guest_links", linked.min().unwrap_or(0) as f64);
    tell_signalling(&mut outcome, &play.world, &guests);
    tell_carried(&mut outcome, &play.world, &guests, dies_at);
    outcome
}

/// How attempts through peers went, beside those through the signaller.
fn tell_signalling(outcome: &mut Outcome, world: &World, guests: &[Guest]) {
    let (mut through, mut direct, mut lost) = (Vec::new(), Vec::new(), 0);
    for (number, peer) in world.peers.iter().enumerate() {
        let is_guest = guests.iter().any(|guest| guest.peer == number);
        // The first link of a guest is the one that people made.
        let mut ups = 0;
        for (_, event) in &peer.notes {
            match event {
                Event::LinkUp { took_ms, .. } => {
                    ups += 1;
                    let seconds = f64::from(*took_ms) / 1000.0;
                    if !is_guest {
                        direct.push(seconds);
                    } else if ups > 1 {
                        through.push(seconds);
                    }
                }
                Event::DialFailed { fault: PeerFault::Deadline, .. } if is_guest => lost += 1,
                _ => {}
            }
        }
    }
    for list in [&mut through, &mut direct] {
        list.sort_by(f64::total_cmp);
    }
    outcome.tell("relayed_links", through.len() as f64);
    outcome
        .tell("relayed_success", 1.0 - f64::from(lost) / (through.len() as f64 + f64::from(lost)).max(1.0));
    let slowest = |list: &[f64]| if list.is_empty() { 0.0 } else { nearest(list, 0.95) };
    outcome.tell("set_up_excess_s", slowest(&through) - slowest(&direct));
}

/// What was passed on for each link that came of it after the signaller died. A link has two ends, and both tell of it.
fn tell_carried(outcome: &mut Outcome, world: &World, guests: &[Guest], dies_at: Duration) {
    let is_guest = |key: &_| guests.iter().any(|guest| world.peers[guest.peer].key.peer_id() == *key);
    let (mut all_ends, mut guests_ends) = (0, 0);
    for peer in &world.peers {
        let me = peer.key.peer_id();
        for (at, event) in &peer.notes {
            let Event::LinkUp { peer, took_ms } = event else { continue };
            if at.since(Instant::ZERO) > dies_at + Duration::from_millis((*took_ms).into()) {
                all_ends += 1;
                guests_ends += u32::from(is_guest(&me) || is_guest(peer));
            }
        }
    }
    let (mut all, mut theirs) = (0, 0);
    for ([from, to], bytes) in &world.passed_on {
        all += bytes;
        theirs += if is_guest(from) || is_guest(to) { *bytes } else { 0 };
    }
    // Each guest's first link is the one that people made.
    let links = |ends: u32| f64::from(ends) / 2.0 - guests.len() as f64;
    outcome.tell("carried_kib", theirs as f64 / 1024.0 / links(guests_ends).max(1.0));
    outcome.tell("carried_all_kib", all as f64 / 1024.0 / links(all_ends).max(1.0));
}

/// Who comes late, and how far the two who carry codes have got.
struct Guest {
    peer: PeerId,
    host: PeerId,
    call: u32,
    step: Step,
    links: Option<usize>,
}

enum Step {
    Comes,
    Offering,
    Answering,
    Connecting,
    Linked(Instant),
    Settled,
}

impl Guest {
    fn go_on(&mut self, world: &mut World) {
        match self.step {
            Step::Comes if world.peers[self.peer].node.is_some() => {
                let content = world.content.id();
                world.command(self.host, Command::Invite { call: self.call, content });
                self.step = Step::Offering;
            }
            Step::Offering => {
                if let Some(code) = code_of(world, self.host, self.call) {
                    world.command(self.peer, Command::Meet { call: self.call + 1, code });
                    self.step = Step::Answering;
                }
            }
            Step::Answering => {
                if let Some(code) = code_of(world, self.peer, self.call + 1) {
                    world.command(self.host, Command::Meet { call: self.call + 2, code });
                    self.step = Step::Connecting;
                }
            }
            Step::Connecting if links(world, self.peer) > 0 => self.step = Step::Linked(world.now),
            Step::Linked(at) if world.now.since(at) >= SETTLED => {
                self.links = Some(links(world, self.peer));
                self.step = Step::Settled;
            }
            Step::Comes | Step::Connecting | Step::Linked(_) | Step::Settled => {}
        }
    }
}

fn links(world: &World, peer: PeerId) -> usize {
    world.peers[peer].node.as_ref().map_or(0, |node| node.snapshot().links.len())
}

fn code_of(world: &World, peer: PeerId, wanted: u32) -> Option<Vec<u8>> {
    world.peers[peer].notes.iter().find_map(|(_, event)| match event {
        Event::Code { call, code } if *call == wanted => Some(code.clone()),
        _ => None,
    })
}
