//! How peers are found and signalled to: through the signaller, through linked peers, by hand.

use super::Node;
use crate::Event;
use crate::fault::Fault;
use crate::id::{ContentId, LinkId, PeerId, Topic};
use crate::outbox::Way;
use crate::time::earliest;
use crate::tracker::client::News;
use crate::wire::{Code, FEATURE_OVERLAY, Message, Met, PeerView, Signal, ToClient};

impl Node {
    /// Takes a frame of the signaller.
    pub(super) fn on_signalled(&mut self, mut frame: &[u8]) {
        loop {
            let Ok((message, rest)) = ToClient::take(frame) else {
                let news = self.client.give_up(&mut self.cx);
                return self.on_news(news);
            };
            match self.client.on_message(&message, &mut self.cx) {
                News::Accepted => self.on_accepted(message),
                news => return self.on_news(news),
            }
            if rest.is_empty() {
                return;
            }
            frame = rest;
        }
    }

    fn on_accepted(&mut self, message: ToClient) {
        match message {
            ToClient::Challenge { nonce } => {
                self.client.on_challenge(crate::tracker::challenge_bytes(&nonce, &self.me), &mut self.cx);
            }
            ToClient::Peers { topic, seeds, leeches, peers } => self.on_peers(topic, seeds, leeches, &peers),
            ToClient::Relayed { from, signals } => {
                for signal in signals {
                    self.on_signal(from, Way::Signaller, signal);
                }
            }
            ToClient::Absent { peer } => self.dialer.absent(&peer, Way::Signaller, false, &mut self.cx),
            ToClient::Refused { reason, .. } => {
                self.cx.out.notify(Event::SignallerRefused { reason: reason.name() });
            }
            ToClient::Welcome { .. } => self.cx.out.notify(Event::SignallerUp),
            ToClient::GoAway { .. } => {}
        }
    }

    pub(super) fn on_news(&mut self, news: News) {
        if news == News::Broken {
            let retry_ms = self.client.retry_ms(self.cx.now);
            self.cx.out.notify(Event::SignallerDown { retry_ms });
            self.dialer.on_signaller_lost(&mut self.cx);
        }
    }

    fn on_peers(&mut self, topic: Topic, seeds: u32, leeches: u32, peers: &[PeerView]) {
        self.swarm.on_counts(&topic, seeds, leeches);
        for view in peers {
            self.on_member(view.peer, topic, view.complete, Way::Signaller);
        }
    }

    /// Somebody says that a peer is in a swarm. Answers whether we may want a link with it.
    fn on_member(&mut self, peer: PeerId, topic: Topic, complete: bool, way: Way) -> bool {
        if peer == self.me || self.banned.contains(&peer) {
            return false;
        }
        let told = way == Way::Signaller;
        self.dialer.known.learn(peer, topic, complete, told);
        if told && self.links.len() == 0 {
            self.dialer.known.hurry_to(&peer);
        }
        if let Some(link) = self.links.with(&peer)
            && self.links.is_proven(link)
        {
            self.swarm.on_topic(link, topic, &mut self.cx);
        }
        true
    }

    /// A neighbour names peers that it is linked with.
    pub(super) fn on_met(&mut self, link: LinkId, topic: Topic, peers: &[Met]) -> Result<(), Fault> {
        self.mesh.on_peers(link, &topic)?;
        // Who breaks its promises may know others like it.
        if self.swarm.score(link, self.cx.now) < 0 {
            return Ok(());
        }
        for met in peers {
            if self.on_member(met.peer, topic, met.complete, Way::Peers) {
                self.mesh.learn(met.peer, met.card, link, self.cx.now);
                // Of others' links each is made for a swarm that we are in; of the overlay's, when it says so.
                if link == LinkId::OVERLAY
                    && topic == Topic::OVERLAY
                    && self.links.with(&met.peer).is_none()
                    && self.dialer.may_knock_at(&met.peer, self.links.len(), &self.cx.config)
                {
                    self.dialer.knock(met.peer, topic, &mut self.cx);
                }
            }
        }
        self.stirred = true;
        Ok(())
    }

    /// Whether links are made for this.
    pub(crate) fn is_welcome(&self, topic: &Topic) -> bool {
        *topic == Topic::OVERLAY && self.mesh.has_overlay() || self.swarm.is_in(topic)
    }

    fn on_signal(&mut self, peer: PeerId, way: Way, signal: Signal) {
        let mut welcome = !self.banned.contains(&peer) && !self.closed;
        if let Signal::Knock { topic, .. } = &signal {
            welcome &= self.is_welcome(topic);
            if welcome && let Some(stale) = self.links.with(&peer) {
                if way == Way::Peers {
                    // It may have been under way for long.
                    return;
                }
                // Who knocks has no link with us, whatever we believe.
                self.unlink(stale, None);
            }
            if welcome && !self.dialer.known.is_shunned(&peer, self.cx.now) {
                self.make_room(true);
            }
        }
        self.dialer.on_signal(peer, way, signal, welcome, self.links.len(), &mut self.cx);
    }

    /// What overlays say to each other goes between our links and the one beside us, which names whose they are.
    pub(super) fn on_overlay(&mut self, link: LinkId, tail: &[u8]) -> Result<(), Fault> {
        if link != LinkId::OVERLAY {
            let from = self.links.peer_of(link).ok_or(Fault::Unexpected)?;
            let tail = [from.bytes(), tail].concat();
            self.cx.out.control_with(LinkId::OVERLAY, &Message::Overlay, &tail);
            return Ok(());
        }
        let Some((peer, bytes)) = tail.split_first_chunk() else { return Err(Fault::Malformed) };
        if let Some(link) = self.links.proven().get(&PeerId(*peer)).copied() {
            if self.links.understands(link, FEATURE_OVERLAY) {
                self.cx.out.control_with(link, &Message::Overlay, bytes);
            }
            if bytes.is_empty() && !self.swarm.shares_with(link) {
                self.unlink(link, None);
            }
        }
        Ok(())
    }

    /// Hands signals to the mesh, and those that came through it to the dialer.
    pub(super) fn carry(&mut self) {
        loop {
            for (peer, signal) in self.cx.out.take_posts() {
                self.mesh.post(peer, signal, &mut self.cx);
            }
            let news = self.mesh.take_news();
            if news.is_empty() {
                break;
            }
            for (peer, signal) in news {
                match signal {
                    Some(signal) => self.on_signal(peer, Way::Peers, signal),
                    None => {
                        let reaches = self.mesh.reaches(&peer);
                        self.dialer.absent(&peer, Way::Peers, reaches, &mut self.cx);
                    }
                }
            }
        }
    }

    pub(super) fn on_invite(&mut self, call: u32, content: &ContentId) {
        let Some(topic) = self.swarm.topic_of(content) else {
            return self.cx.out.notify(Event::NoCode { call });
        };
        self.dialer.invite(call, topic, self.links.len(), &mut self.cx);
    }

    pub(super) fn on_meet(&mut self, call: u32, code: &[u8]) {
        if let Ok(Code { peer, signals }) = Code::decode(code) {
            let wanted = match signals.first() {
                Some(Signal::Offer { topic, .. }) => self.swarm.is_in(topic),
                _ => true,
            };
            let free = peer != self.me && !self.banned.contains(&peer) && self.links.with(&peer).is_none();
            if wanted && free && self.dialer.meet(call, peer, signals, self.links.len(), &mut self.cx) {
                return;
            }
        }
        self.cx.out.notify(Event::NoCode { call });
    }

    /// Knocks at known peers of swarms where links are wanted, and asks for more peers where none are known.
    pub(super) fn find_peers(&mut self) {
        if self.closed {
            return;
        }
        let least = self.cx.config.links_wanted as usize / 2;
        // Who has line to spare looks for more whom it can give to: so strong lines meet (theory §1.3: 20 links).
        let spare = self.swarm.has_line_to_spare(self.cx.now);
        let wanted = least * if spare { 4 } else { 2 };
        let mut ask_at = None;
        for (topic, complete, links) in self.swarm.topics(self.cx.now) {
            let lost = self.client.on_links(&topic, links);
            let mut have = links + self.dialer.dialling(&topic);
            while have < wanted
                && self.dialer.may_knock(self.links.len(), &self.cx.config)
                && !self.dialer.rests(self.links.len(), self.cx.now)
            {
                let reaches = |peer: &PeerId| self.mesh.reaches(peer);
                let Some(peer) = self.dialer.choose(&topic, complete, &self.links, &reaches, &mut self.cx)
                else {
                    break;
                };
                self.dialer.knock(peer, topic, &mut self.cx);
                have += 1;
            }
            if have < least {
                self.make_room(false);
            }
            // With a signaller, half of what is wanted is enough to be part of the swarm.
            if !complete && have < if self.cx.is_up && !spare { least } else { wanted } {
                let mut members = self.swarm.members(&topic, self.cx.now);
                members.push((LinkId::OVERLAY, false));
                ask_at = earliest(ask_at, self.mesh.ask(topic, &members, &mut self.cx));
            }
            // Where others go, whoever is called may be gone, too.
            if complete || (if lost { links } else { have } >= least && links > 0) || !self.cx.is_up {
                self.client.ask_no_more(&topic);
            } else {
                self.client.ask_again(&topic, &mut self.cx);
            }
        }
        self.redial_at = earliest(self.dialer.retry_at(self.cx.now), ask_at);
    }
}
