//! The node: the switchboard between the application, the network, host work and the machines.
//!
//! Nothing is decided here that a machine can decide; a machine's result is handed to the next one here and
//! nowhere else. What becomes of signals stands in `node/signals.rs`.

mod signals;

use crate::config::Config;
use crate::content::Torrent;
use crate::fault::Fault;
use crate::id::{ContentId, JobId, LinkId, PeerId};
use crate::input::{Command, Input, Outcome};
use crate::link::dial::Dialer;
use crate::link::{Links, Proven};
use crate::mesh::Mesh;
use crate::outbox::{Cx, Outbox};
use crate::rng::Rng;
use crate::snapshot::Snapshot;
use crate::swarm::{Fact, Swarm};
use crate::time::{Instant, SECOND, earliest};
use crate::tracker::client::Client;
use crate::util::Set;
use crate::wire::{FEATURE_ANCHOR, FEATURE_GATHERED, FEATURE_NEWS, Frame, Message, Met};
use crate::{Action, Event};
use alloc::vec::Vec;

/// Peers that are shut out, remembered.
const BANNED_MAX: usize = 4096;

/// How often peers are looked for while nothing but data comes in.
const LOOK_EVERY: u64 = SECOND / 4;
/// How often a useless link gives way to another (theory §1.3: neighbour replacement).
const REPLACE_EVERY: u64 = 5 * SECOND;

/// A peer's whole protocol behaviour.
pub struct Node {
    me: PeerId,
    cx: Cx,
    client: Client,
    dialer: Dialer,
    links: Links,
    mesh: Mesh,
    swarm: Swarm,
    banned: Set<PeerId>,
    redial_at: Option<Instant>,
    /// When peers are looked for at the latest, if anything happens; sooner when `stirred`.
    look_at: Instant,
    stirred: bool,
    replaced_at: Instant,
    wire_in: u64,
    closed: bool,
}

impl Node {
    /// A node at rest. `seed` must come from a cryptographic source and be no other's: nonces are drawn from it.
    /// `me` is the public key that the host signs with ([`crate::Work::Sign`]).
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], me: PeerId, now: Instant) -> Self {
        let rng = Rng::new(seed);
        Self {
            client: Client::new(&config),
            dialer: Dialer::new(me),
            me,
            links: Links::default(),
            mesh: Mesh::new(me),
            swarm: Swarm::new(&config, now),
            cx: Cx { now, rng, out: Outbox::new(config.channel_high_bytes), config, is_up: false },
            banned: Set::new(),
            redial_at: None,
            look_at: now,
            stirred: false,
            replaced_at: now,
            wire_in: 0,
            closed: false,
        }
    }

    /// Who this node is.
    #[must_use]
    pub const fn peer_id(&self) -> PeerId {
        self.me
    }

    /// Takes in one thing that happened. Time never runs backwards: an earlier `now` counts as the last one.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.cx.now = self.cx.now.max(now);
        self.cx.out.tick(self.cx.now);
        self.stirred |=
            !matches!(input, Input::Received { .. } | Input::Writable { .. } | Input::Done { .. });
        match input {
            Input::Command(command) => self.on_command(command),
            Input::Linked { link: LinkId::OVERLAY } => {
                self.mesh.on_up(LinkId::OVERLAY, self.me, &mut self.cx);
            }
            Input::Linked { link } => {
                if let Some(opened) = self.dialer.on_linked(link) {
                    self.links.open(opened, self.me, &mut self.cx);
                }
            }
            Input::Received { link, bytes, .. } => self.on_received(link, bytes),
            Input::Writable { link, channel, buffered } => {
                self.cx.out.on_writable(link, channel, buffered);
                self.swarm.on_room();
            }
            Input::Unlinked { link } => {
                if link == LinkId::OVERLAY {
                    self.mesh.on_down(link);
                } else if self.links.contains(link) {
                    self.unlink(link, None);
                } else {
                    self.dialer.on_unlinked(link, &mut self.cx);
                }
            }
            Input::Found { link, candidate } => {
                self.dialer.on_found(link, candidate, &mut self.cx);
            }
            Input::Signalled { bytes } => self.on_signalled(bytes),
            Input::SignallerLost => {
                let news = self.client.on_lost(&mut self.cx);
                self.on_news(news);
            }
            Input::Done { job, outcome } => self.on_done(job, &outcome),
            Input::Timeout => self.on_timeout(),
        }
        self.settle();
    }

    /// The next order to the host.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.cx.out.pop()
    }

    /// When `Input::Timeout` is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let mut due = earliest(self.client.deadline(), self.dialer.deadline());
        due = earliest(due, self.links.deadline());
        due = earliest(due, self.swarm.deadline());
        due = earliest(due, self.cx.out.deadline());
        earliest(due, self.redial_at)
    }

    /// What it looks like from outside.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut totals = self.swarm.totals();
        totals.wire_in = self.wire_in;
        totals.wire_out = self.cx.out.wire_out();
        totals.banned = self.banned.len() as u32;
        let mut links = Vec::new();
        for (peer, link) in self.links.proven() {
            links.extend(self.swarm.link_view(*link, *peer, &self.cx));
        }
        Snapshot {
            signaller: self.cx.is_up,
            links,
            dialling: self.dialer.len() as u32,
            connections_made: self.dialer.made(),
            shares: self.swarm.share_views(self.cx.now),
            totals,
        }
    }

    /// The first limit or count that is broken, if one is: what no peer's doing may bring about.
    #[cfg(feature = "lab")]
    #[must_use]
    pub fn audit(&self) -> Option<alloc::string::String> {
        let config = &self.cx.config;
        if self.links.len() > config.links_max as usize {
            return Some(alloc::format!("{} links, {} allowed", self.links.len(), config.links_max));
        }
        if self.banned.len() > BANNED_MAX {
            return Some(alloc::format!("{} peers are remembered as banned", self.banned.len()));
        }
        let broken = self.dialer.audit(config).or_else(|| self.mesh.audit());
        broken.map(Into::into).or_else(|| self.swarm.audit(config))
    }

    /// The `.torrent` of a share, where all that it must contain is known.
    #[must_use]
    pub fn torrent(&self, content: &ContentId) -> Option<Torrent> {
        self.swarm.torrent(content)
    }

    fn on_command(&mut self, command: Command) {
        let (swarm, cx) = (&mut self.swarm, &mut self.cx);
        match command {
            Command::Seed { torrent, leaves } => swarm.seed(*torrent, leaves, cx),
            Command::Add { magnet, torrent, select, topic } => {
                swarm.add(&magnet, torrent, (select, topic), cx);
            }
            Command::Tell { topic, news } => {
                let understands = |link| self.links.understands(link, FEATURE_NEWS);
                swarm.tell_news(&topic, &news, &understands, cx);
            }
            Command::Select { content, files } => swarm.select(&content, files, cx),
            Command::Pause(content) => swarm.pause(&content, cx),
            Command::Resume(content) => swarm.resume(&content, cx),
            Command::Remove { content, keep } => swarm.remove(&content, keep, cx),
            Command::Read { read, root, start, length, within } => {
                swarm.read(read, &root, start, length, within, cx);
            }
            Command::Upload(rate) => swarm.limit_upload(rate, cx.now),
            Command::Drop(root) => swarm.drop_stored(&root, cx),
            Command::Invite { call, content } => self.on_invite(call, &content),
            Command::Meet { call, code } => self.on_meet(call, &code),
            Command::CancelRead(read) => swarm.cancel_read(read, cx.now),
            Command::Online => self.client.set_online(true, cx),
            Command::Offline => self.client.set_online(false, cx),
            Command::Token(token) => cx.config.token = token,
            Command::Close => {
                self.closed = true;
                self.dialer.decline_all(cx);
                self.carry();
                let cx = &mut self.cx;
                for link in self.links.ids() {
                    cx.out.control(link, &Message::Goodbye);
                    cx.out.unlink(link);
                }
                self.client.set_online(false, cx);
            }
        }
    }

    fn on_received(&mut self, link: LinkId, bytes: &[u8]) {
        if link == LinkId::OVERLAY {
            return self.on_message(link, bytes);
        }
        if !self.links.contains(link) {
            return;
        }
        self.wire_in += bytes.len() as u64;
        self.links.on_heard(link, self.cx.now);
        match self.links.hold(link, bytes) {
            Ok(true) => {}
            Ok(false) => self.on_message(link, bytes),
            Err(fault) => self.unlink(link, Some(fault)),
        }
    }

    fn on_message(&mut self, link: LinkId, mut bytes: &[u8]) {
        loop {
            let result = match Frame::first(bytes) {
                Ok((frame, rest)) => {
                    bytes = rest;
                    self.on_frame(link, &frame)
                }
                Err(_) => Err(Fault::Malformed),
            };
            if let Err(fault) = result {
                return self.unlink(link, Some(fault));
            }
            if bytes.is_empty() || !self.links.contains(link) {
                return;
            }
        }
    }

    fn on_frame(&mut self, link: LinkId, frame: &Frame<'_>) -> Result<(), Fault> {
        match &frame.message {
            Message::Hello(hello) => self.links.on_hello(link, hello, &self.me, &mut self.cx),
            Message::Proof(proof) => self.links.on_proof(link, proof, &self.me, &mut self.cx),
            Message::Ping { nonce } => self.links.on_ping(link, *nonce, &mut self.cx),
            Message::Pong { nonce } => {
                let rtt = self.links.on_pong(link, *nonce, &self.cx)?;
                self.swarm.on_rtt(link, rtt);
                Ok(())
            }
            Message::Goodbye => {
                self.unlink(link, None);
                Ok(())
            }
            _ if link != LinkId::OVERLAY && !self.links.is_proven(link) => Err(Fault::Unexpected),
            Message::Overlay => self.on_overlay(link, frame.tail),
            Message::Anchor => {
                self.cx.out.notify(Event::Anchor { address: frame.tail.to_vec() });
                Ok(())
            }
            Message::Card => self.mesh.on_card(link, frame.tail),
            Message::GetPeers { topic } => {
                let members = self.swarm.members(topic, self.cx.now);
                self.mesh.on_get_peers(link, *topic, &members, &mut self.cx)
            }
            Message::Peers { topic } => self.on_met(link, *topic, &Met::list(frame.tail)),
            Message::Parcel { .. } => self.mesh.on_parcel(link, frame, &mut self.cx),
            Message::Unreached { peer } => {
                self.mesh.on_unreached(link, *peer);
                Ok(())
            }
            _ => self.swarm.on_frame(link, frame, &mut self.cx),
        }
    }

    /// The host has signed or verified something of a link.
    fn on_vouched(&mut self, link: LinkId, result: Result<Option<Proven>, Fault>) {
        match result {
            Ok(Some(proven)) => self.on_proven(link, &proven),
            Ok(None) => {}
            Err(fault) => self.unlink(link, Some(fault)),
        }
        while let Some(bytes) = self.links.release(link) {
            self.on_message(link, &bytes);
        }
    }

    fn on_proven(&mut self, link: LinkId, proven: &Proven) {
        let took_ms = (proven.took / 1000) as u32;
        self.cx.out.notify(Event::LinkUp { peer: proven.peer, took_ms });
        if self.links.understands(link, FEATURE_GATHERED) {
            self.cx.out.gather(link);
        }
        self.links.measure(link, &mut self.cx);
        self.mesh.on_up(link, proven.peer, &mut self.cx);
        if !self.cx.config.anchor.is_empty() && self.links.understands(link, FEATURE_ANCHOR) {
            self.cx.out.control_with(link, &Message::Anchor, self.cx.config.anchor.as_bytes());
        }
        self.swarm.on_peer(link, self.dialer.known.topics_of(&proven.peer), proven.topic, &mut self.cx);
    }

    /// Ends a link, whoever's fault it is.
    fn unlink(&mut self, link: LinkId, fault: Option<Fault>) {
        let Some((peer, proven)) = self.links.close(link) else { return };
        self.cx.out.unlink(link);
        let bad = self.swarm.score(link, self.cx.now) < 0;
        if self.links.len() == 0 {
            self.dialer.known.hurry();
        }
        self.dialer.on_lost(&peer, bad, &mut self.cx);
        self.mesh.on_down(link);
        self.swarm.on_peer_gone(link, &mut self.cx);
        self.cx.out.notify(if proven {
            Event::LinkDown { peer, fault }
        } else {
            Event::DialFailed { peer, fault: fault.unwrap_or(Fault::Deadline) }
        });
        if let Some(fault) = fault
            && fault.bans()
        {
            if self.banned.len() < BANNED_MAX {
                self.banned.insert(peer);
            }
            self.dialer.ban(&peer, &mut self.cx);
            self.cx.out.notify(Event::Banned { peer, fault });
        }
    }

    fn on_done(&mut self, job: JobId, outcome: &Outcome<'_>) {
        if let Some(news) = self.client.on_done(job, outcome, &self.me, &mut self.cx) {
            self.on_news(news);
        } else if let Some((link, result)) = self.links.on_done(job, outcome, &mut self.cx) {
            self.on_vouched(link, result);
        } else if !self.dialer.on_done(job, outcome, &mut self.cx)
            && !self.mesh.on_done(job, outcome, &mut self.cx)
        {
            self.swarm.on_done(job, outcome, &mut self.cx);
        }
    }

    fn on_timeout(&mut self) {
        if self.redial_at.is_some_and(|at| at <= self.cx.now) {
            self.redial_at = None;
        }
        let news = self.client.on_timeout(&mut self.cx);
        self.on_news(news);
        self.dialer.on_timeout(&mut self.cx);
        for (link, fault) in self.links.on_timeout(&mut self.cx) {
            self.unlink(link, Some(fault));
        }
        self.swarm.on_timeout(&mut self.cx);
        for link in self.cx.out.clogged() {
            self.unlink(link, Some(Fault::Stalled));
        }
    }

    /// After each input: facts are handed on, and all that there is room for is done.
    fn settle(&mut self) {
        self.swarm.pump(&mut self.cx);
        loop {
            let facts = self.swarm.take_facts();
            if facts.is_empty() {
                break;
            }
            for fact in facts {
                self.on_fact(fact);
            }
        }
        if self.stirred || self.look_at <= self.cx.now {
            self.stirred = false;
            self.look_at = self.cx.now.after(LOOK_EVERY);
            self.find_peers();
        }
        self.carry();
        self.cx.out.flush();
    }

    fn on_fact(&mut self, fact: Fact) {
        match fact {
            Fact::Joined { topic, complete } => self.client.join(topic, complete, &mut self.cx),
            Fact::Left(topic) => {
                self.client.leave(&topic, &mut self.cx);
                self.dialer.forget_topic(&topic, &mut self.cx);
            }
            Fact::Fault(link, fault) => self.unlink(link, Some(fault)),
        }
    }

    /// Makes room for others where all links are taken: the worst of those that are of no use gives way. `bad`: only one
    /// that is worth less than nothing.
    fn make_room(&mut self, bad: bool) {
        let due = self.replaced_at.after(REPLACE_EVERY) <= self.cx.now;
        if due
            && self.links.len() >= self.cx.config.links_max as usize
            && let Some(link) = self.swarm.worst(bad, self.cx.now)
        {
            self.replaced_at = self.cx.now;
            self.unlink(link, None);
        }
    }
}
