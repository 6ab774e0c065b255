//! The node: the switchboard between the application, the network, host work and the machines.
//!
//! Nothing is decided here that a machine can decide; a machine's result is handed to the next one here and
//! nowhere else.

use crate::config::Config;
use crate::content::Torrent;
use crate::fault::Fault;
use crate::id::{ContentId, JobId, LinkId, PeerId, Topic};
use crate::input::{Command, Input, Outcome};
use crate::link::dial::{Dialer, Say};
use crate::link::proof::Identity;
use crate::link::{Links, Proven};
use crate::outbox::{Cx, Outbox};
use crate::rng::Rng;
use crate::snapshot::Snapshot;
use crate::swarm::{Fact, Swarm};
use crate::time::{Instant, earliest};
use crate::tracker::client::{Client, Heard};
use crate::util::{Map, Set};
use crate::wire::{Frame, Message, PeerView, Signal};
use crate::{Action, Event};
use alloc::vec::Vec;

/// Peers that are shut out, remembered.
const BANNED_MAX: usize = 4096;

/// A peer's whole protocol behaviour.
pub struct Node {
    me: Identity,
    config: Config,
    now: Instant,
    rng: Rng,
    out: Outbox,
    client: Client,
    dialer: Dialer,
    links: Links,
    swarm: Swarm,
    /// Swarms that a link being made is for.
    greeting: Map<LinkId, Topic>,
    banned: Set<PeerId>,
    redial_at: Option<Instant>,
    wire_in: u64,
    closed: bool,
}

impl Node {
    /// A node at rest. `seed` must come from a cryptographic source: the peer's key is drawn from it.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = Rng::new(seed);
        let me = Identity::new(&rng.bytes32());
        Self {
            me,
            now,
            rng,
            out: Outbox::new(config.channel_high_bytes),
            client: Client::new(&config),
            dialer: Dialer::new(),
            links: Links::default(),
            swarm: Swarm::new(config.clone(), now),
            config,
            greeting: Map::new(),
            banned: Set::new(),
            redial_at: None,
            wire_in: 0,
            closed: false,
        }
    }

    /// Who this node is.
    #[must_use]
    pub const fn peer_id(&self) -> PeerId {
        self.me.peer()
    }

    /// Takes in one thing that happened. Time never runs backwards: an earlier `now` counts as the last one.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.now = self.now.max(now);
        match input {
            Input::Command(command) => self.on_command(command),
            Input::Linked { link } => self.on_linked(link),
            Input::Received { link, bytes, .. } => self.on_received(link, bytes),
            Input::Writable { link, channel, buffered } => self.out.on_writable(link, channel, buffered),
            Input::Unlinked { link } => self.on_unlinked(link),
            Input::Found { link, candidate } => {
                let say = candidate.and_then(|candidate| self.dialer.on_found(link, candidate));
                self.say(say);
            }
            Input::Signalled { bytes } => self.on_signalled(bytes),
            Input::SignallerLost => self.with(|node, cx| node.client.on_lost(cx), Self::on_heard),
            Input::Done { job, outcome } => self.on_done(job, &outcome),
            Input::Timeout => self.on_timeout(),
        }
        self.settle();
    }

    /// The next order to the host.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.pop()
    }

    /// When `Input::Timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        [
            self.client.deadline(),
            self.dialer.deadline(),
            self.links.deadline(&self.config),
            self.swarm.deadline(),
            self.redial_at,
        ]
        .into_iter()
        .fold(None, earliest)
    }

    /// What it looks like from outside.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut totals = self.swarm.totals();
        totals.wire_in = self.wire_in;
        totals.wire_out = self.out.wire_out();
        totals.banned = u32::try_from(self.banned.len()).unwrap_or(u32::MAX);
        let links = self.links.proven();
        Snapshot {
            signaller: self.client.is_up(),
            links: links
                .filter_map(|(link, peer)| {
                    self.swarm.link_view(link, peer, self.links.rtt(link), self.now, &self.out)
                })
                .collect(),
            dialling: u32::try_from(self.dialer.len()).unwrap_or(u32::MAX),
            connections_made: self.dialer.made(),
            shares: self.swarm.share_views(self.now),
            totals,
        }
    }

    /// The `.torrent` of a share, where all that it must contain is known.
    #[must_use]
    pub fn torrent(&self, content: &ContentId) -> Option<Torrent> {
        self.swarm.torrent(content)
    }

    /// Runs one machine, and hands its result on.
    fn with<T>(
        &mut self,
        run: impl FnOnce(&mut Parts<'_>, &mut Cx<'_>) -> T,
        then: impl FnOnce(&mut Self, T),
    ) {
        let mut cx = Cx { now: self.now, rng: &mut self.rng, out: &mut self.out };
        let mut parts = Parts {
            client: &mut self.client,
            dialer: &mut self.dialer,
            links: &mut self.links,
            swarm: &mut self.swarm,
            me: &self.me,
            config: &self.config,
        };
        let result = run(&mut parts, &mut cx);
        then(self, result);
    }

    fn on_command(&mut self, command: Command) {
        self.closed |= matches!(command, Command::Close);
        self.with(
            |node, cx| match command {
                Command::Seed { torrent, leaves } => node.swarm.seed(*torrent, leaves, cx),
                Command::Add { magnet, torrent, select } => {
                    node.swarm.add(&magnet, torrent.map(|torrent| *torrent), select, cx);
                }
                Command::Select { content, files } => node.swarm.select(content, files, cx),
                Command::Pause(content) => node.swarm.pause(content, cx),
                Command::Resume(content) => node.swarm.resume(content, cx),
                Command::Remove { content, keep } => node.swarm.remove(content, keep, cx),
                Command::Read { read, root, start, length } => node.swarm.read(read, root, start, length, cx),
                Command::CancelRead(read) => node.swarm.cancel_read(read),
                Command::Online => node.client.set_online(true, cx),
                Command::Offline => node.client.set_online(false, cx),
                Command::Close => {
                    for link in node.links.ids() {
                        cx.out.control(link, &Message::Goodbye);
                        cx.out.unlink(link);
                    }
                    node.client.set_online(false, cx);
                }
            },
            |_, ()| {},
        );
    }

    fn on_linked(&mut self, link: LinkId) {
        self.with(
            |node, cx| {
                let (opened, topic) = node.dialer.on_linked(link)?;
                node.links.open(opened, node.me, cx);
                Some(topic)
            },
            |node, topic| {
                if let Some(topic) = topic {
                    node.greeting.insert(link, topic);
                }
            },
        );
    }

    fn on_received(&mut self, link: LinkId, bytes: &[u8]) {
        if !self.links.contains(link) {
            return;
        }
        self.wire_in += bytes.len() as u64;
        self.links.on_heard(link, self.now);
        let result = match Frame::decode(bytes) {
            Ok(frame) => self.on_frame(link, frame),
            Err(_) => Err(Fault::Malformed),
        };
        if let Err(fault) = result {
            self.unlink(link, Some(fault));
        }
    }

    fn on_frame(&mut self, link: LinkId, frame: Frame<'_>) -> Result<(), Fault> {
        let mut cx = Cx { now: self.now, rng: &mut self.rng, out: &mut self.out };
        match &frame.message {
            Message::Hello(hello) => self.links.on_hello(link, hello, &self.me, &mut cx),
            Message::Proof(proof) => {
                let proven = self.links.on_proof(link, proof, &self.me, self.now)?;
                self.on_proven(link, &proven);
                Ok(())
            }
            Message::Ping { nonce } => self.links.on_ping(link, *nonce, &mut cx),
            Message::Pong { nonce } => {
                self.links.on_pong(link, *nonce, self.now)?;
                if let Some(rtt) = self.links.rtt(link) {
                    self.swarm.on_rtt(link, rtt);
                }
                Ok(())
            }
            Message::Goodbye => {
                self.unlink(link, None);
                Ok(())
            }
            _ if !self.links.is_proven(link) => Err(Fault::Unexpected),
            _ => self.swarm.on_frame(link, frame, &mut cx),
        }
    }

    fn on_proven(&mut self, link: LinkId, proven: &Proven) {
        let peer = proven.peer;
        let took_ms = u32::try_from(proven.took.as_millis()).unwrap_or(u32::MAX);
        self.out.notify(Event::LinkUp { peer, took_ms });
        let mut topics: Vec<Topic> = self.dialer.topics_of(&peer).to_vec();
        topics.extend(self.greeting.remove(&link));
        self.with(
            |node, cx| {
                node.links.measure(link, cx);
                node.swarm.on_peer(link, &topics, cx);
            },
            |_, ()| {},
        );
    }

    fn on_unlinked(&mut self, link: LinkId) {
        if self.links.contains(link) {
            return self.unlink(link, None);
        }
        self.with(|node, cx| node.dialer.on_unlinked(link, cx), Self::say);
    }

    /// Ends a link, whoever's fault it is.
    fn unlink(&mut self, link: LinkId, fault: Option<Fault>) {
        let Some((peer, proven)) = self.links.close(link) else { return };
        self.out.unlink(link);
        self.greeting.remove(&link);
        self.with(
            |node, cx| {
                node.dialer.on_lost(&peer, cx);
                node.swarm.on_peer_gone(link, cx);
            },
            |_, ()| {},
        );
        let event = match (proven, fault) {
            (true, fault) => Event::LinkDown { peer, fault },
            (false, fault) => Event::DialFailed { peer, fault: fault.unwrap_or(Fault::Deadline) },
        };
        self.out.notify(event);
        if let Some(fault) = fault.filter(|fault| fault.bans()) {
            if self.banned.len() < BANNED_MAX {
                self.banned.insert(peer);
            }
            self.with(|node, cx| node.dialer.ban(&peer, cx), |_, ()| {});
            self.out.notify(Event::Banned { peer, fault });
        }
    }

    fn on_signalled(&mut self, bytes: &[u8]) {
        self.with(|node, cx| node.client.on_message(bytes, cx), Self::on_heard);
    }

    fn on_heard(&mut self, heard: Heard) {
        match heard {
            Heard::Up => self.out.notify(Event::SignallerUp),
            Heard::Challenge(nonce) => {
                let signature = self.me.sign(&crate::tracker::challenge_bytes(&nonce, &self.me.peer()));
                self.with(
                    |node, cx| node.client.hello(node.me.peer(), signature, node.config, cx),
                    |_, ()| {},
                );
            }
            Heard::Peers { topic, seeds, leeches, peers } => self.on_peers(topic, seeds, leeches, &peers),
            Heard::Signal(peer, signal) => self.on_signal(peer, signal),
            Heard::Absent(peer) => self.with(|node, cx| node.dialer.absent(&peer, cx), Self::say),
            Heard::Refused(reason) => self.out.notify(Event::SignallerRefused { reason: reason.name() }),
            Heard::Broken => {
                let retry_ms = self.client.retry_ms(self.now);
                self.out.notify(Event::SignallerDown { retry_ms });
                self.with(
                    |node, cx| node.dialer.on_signaller_lost(cx),
                    |node, says| says.into_iter().for_each(|say| node.say(Some(say))),
                );
            }
            Heard::Nothing => {}
        }
    }

    fn on_peers(&mut self, topic: Topic, seeds: u32, leeches: u32, peers: &[PeerView]) {
        self.swarm.on_counts(&topic, seeds, leeches);
        for view in peers {
            if view.peer == self.me.peer() || self.banned.contains(&view.peer) {
                continue;
            }
            self.dialer.learn(view.peer, topic, view.complete);
            if let Some(link) = self.links.with(&view.peer).filter(|link| self.links.is_proven(*link)) {
                self.with(|node, cx| node.swarm.on_topic(link, topic, cx), |_, ()| {});
            }
        }
    }

    fn on_signal(&mut self, peer: PeerId, signal: Signal) {
        let mut welcome = !self.banned.contains(&peer) && !self.closed;
        if let Signal::Knock { topic, .. } = &signal {
            welcome &= self.swarm.is_in(topic);
            // Who knocks has no link with us, whatever we believe.
            if let Some(stale) = self.links.with(&peer).filter(|_| welcome) {
                self.unlink(stale, None);
            }
        }
        let links = self.links.len();
        self.with(
            |node, cx| node.dialer.on_signal(&node.me.peer(), peer, signal, welcome, links, node.config, cx),
            Self::say,
        );
    }

    fn say(&mut self, say: Option<Say>) {
        match say {
            Some(Say::Signal(peer, signal)) => {
                self.with(|node, cx| node.client.relay(peer, signal, cx), |_, ()| {});
            }
            Some(Say::Failed(peer, fault)) => self.out.notify(Event::DialFailed { peer, fault }),
            None => {}
        }
    }

    fn on_done(&mut self, job: JobId, outcome: &Outcome<'_>) {
        let opened = matches!(outcome, Outcome::Ok);
        let mut heard = None;
        let mut says = None;
        self.with(
            |node, cx| {
                heard = node.client.on_done(job, opened, cx);
                if heard.is_none() {
                    says = node.dialer.on_done(job, outcome, cx);
                }
                if heard.is_none() && says.is_none() {
                    node.swarm.on_done(job, outcome, cx);
                }
            },
            |_, ()| {},
        );
        if let Some(heard) = heard {
            self.on_heard(heard);
        }
        says.into_iter().flatten().for_each(|say| self.say(Some(say)));
    }

    fn on_timeout(&mut self) {
        self.redial_at = self.redial_at.filter(|at| *at > self.now);
        self.with(|node, cx| node.client.on_timeout(cx), Self::on_heard);
        self.with(
            |node, cx| node.dialer.on_timeout(cx),
            |node, says| says.into_iter().for_each(|say| node.say(Some(say))),
        );
        self.with(
            |node, cx| node.links.on_timeout(node.config, cx),
            |node, dead| dead.into_iter().for_each(|(link, fault)| node.unlink(link, Some(fault))),
        );
        self.with(|node, cx| node.swarm.on_timeout(cx), |_, ()| {});
        for link in self.out.clogged().collect::<Vec<_>>() {
            self.unlink(link, Some(Fault::Stalled));
        }
    }

    /// After each input: facts are handed on, and all that there is room for is done.
    fn settle(&mut self) {
        self.with(|node, cx| node.swarm.pump(cx), |_, ()| {});
        loop {
            let facts = self.swarm.take_facts();
            if facts.is_empty() {
                break;
            }
            facts.into_iter().for_each(|fact| self.on_fact(fact));
        }
        self.find_peers();
    }

    fn on_fact(&mut self, fact: Fact) {
        match fact {
            Fact::Joined { topic, complete } => {
                self.with(|node, cx| node.client.join(topic, complete, cx), |_, ()| {});
            }
            Fact::Left(topic) => {
                self.with(
                    |node, cx| {
                        node.client.leave(&topic, cx);
                        node.dialer.forget_topic(&topic, cx);
                    },
                    |_, ()| {},
                );
            }
            Fact::Fault(link, fault) => self.unlink(link, Some(fault)),
        }
    }

    /// Knocks at known peers of swarms where links are wanted, and asks for more peers where none are known.
    fn find_peers(&mut self) {
        if self.closed || !self.client.is_up() {
            return;
        }
        let mut cx = Cx { now: self.now, rng: &mut self.rng, out: &mut self.out };
        for (topic, complete, links) in self.swarm.topics() {
            let mut have = links + self.dialer.dialling(&topic);
            while have < self.config.links_wanted as usize
                && self.dialer.may_knock(&self.config, self.links.len())
            {
                let busy = |peer: &PeerId| self.links.with(peer).is_some();
                let Some(peer) = self.dialer.choose(&topic, complete, busy, &mut cx) else { break };
                let Say::Signal(peer, signal) = self.dialer.knock(peer, topic, &self.config, &mut cx) else {
                    break;
                };
                self.client.relay(peer, signal, &mut cx);
                have += 1;
            }
            if complete || have >= self.config.links_wanted as usize / 2 {
                self.client.ask_no_more(&topic);
            } else {
                self.client.ask_again(&topic, &mut cx);
            }
        }
        self.redial_at = self.dialer.retry_at(self.now);
    }
}

/// What a step may touch, borrowed apart.
struct Parts<'a> {
    client: &'a mut Client,
    dialer: &'a mut Dialer,
    links: &'a mut Links,
    swarm: &'a mut Swarm,
    me: &'a Identity,
    config: &'a Config,
}
