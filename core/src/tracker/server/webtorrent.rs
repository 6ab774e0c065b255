//! The dialect of WebTorrent trackers. Offers come unasked with an announce and are handed to members that the
//! tracker chooses; an answer passes only from the member that got the offer to the one that made it. Membership
//! lives as long as the connection, so an announce that is late ends nothing.

mod offers;
#[cfg(test)]
mod stories;

use super::bucket::Bucket;
use super::cluster::Request as Asked;
use super::conns::Conns;
use super::door::{MESSAGE_ANNOUNCE, MESSAGE_ANSWER, MESSAGE_OTHER, MESSAGE_SCRAPE};
use super::evict::Scarce;
use super::limits::ServerConfig;
use super::{CloseReason, ConnId, Server, ServerAction, Stage};
use crate::time::{Instant, earliest};
use crate::wire::bus::{NodeId, SwarmId};
use crate::wire::webtorrent::{
    Announce, Event, InfoHash, OfferId, PeerCode, Refused, Reply, Request, Session,
};
use crate::wire::{Error, Refusal};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

/// How long an offer may be answered. Clients give up after 50 s.
const OFFER_LIFE: Duration = Duration::from_secs(60);
/// When clients are to come again while there is no way to other nodes, to meet those soon who are there.
const INTERVAL_ALONE: Duration = Duration::from_secs(30);
/// Offers that wait for one client's answer; one more, and the oldest is forgotten.
const PENDING_MAX: usize = 64;

/// A connection of this dialect.
#[derive(Debug)]
pub(super) struct Client {
    /// Brought a good token, or none is needed.
    admitted: bool,
    /// What its token is for; empty: everything.
    allowed: Box<[InfoHash]>,
    /// At most `swarms_per_connection_max`.
    swarms: Vec<Joined>,
    /// Offers that it got and has not answered; at most [`PENDING_MAX`], the oldest first.
    pending: Vec<Pending>,
    /// Nodes that offers of its own may be on their way to, of which swarm and until when.
    crossing: Vec<(NodeId, InfoHash, Instant)>,
    /// That it may make.
    offers: Bucket,
    /// That it may get.
    introductions: Bucket,
}

/// A swarm that a client is in.
#[derive(Debug)]
struct Joined {
    info_hash: InfoHash,
    /// One page may run several clients over one connection, so the name is that of this swarm only.
    peer: PeerCode,
    complete: bool,
    /// Its place in the swarm.
    at: u32,
    lists: Bucket,
}

/// An offer that was handed to a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// The node of who made it, if that is another.
    node: Option<NodeId>,
    from: ConnId,
    info_hash: InfoHash,
    id: OfferId,
    until: Instant,
}

impl Pending {
    /// An offer that is handed out now.
    pub(super) fn new(
        node: Option<NodeId>,
        from: ConnId,
        info_hash: InfoHash,
        id: OfferId,
        now: Instant,
    ) -> Self {
        Self { node, from, info_hash, id, until: now + OFFER_LIFE }
    }
}

impl Client {
    /// One that has said nothing.
    pub(super) fn new(limits: &ServerConfig, now: Instant) -> Self {
        Self {
            admitted: false,
            allowed: Box::default(),
            swarms: Vec::new(),
            pending: Vec::new(),
            crossing: Vec::new(),
            offers: Bucket::new(limits.offers, now),
            introductions: Bucket::new(limits.introductions, now),
        }
    }

    /// Whether it has sent something good.
    pub(super) const fn has_spoken(&self) -> bool {
        self.admitted
    }

    pub(super) const fn swarms(&self) -> usize {
        self.swarms.len()
    }

    fn joined(&self, info_hash: &InfoHash) -> Option<&Joined> {
        self.swarms.iter().find(|joined| joined.info_hash == *info_hash)
    }

    fn joined_mut(&mut self, info_hash: &InfoHash) -> Option<&mut Joined> {
        self.swarms.iter_mut().find(|joined| joined.info_hash == *info_hash)
    }

    /// Members of a swarm, here or at another node, whose offers it has not answered, newest first.
    fn is_asked_by(
        &self,
        now: Instant,
        node: Option<NodeId>,
        info_hash: &InfoHash,
    ) -> impl Iterator<Item = ConnId> {
        let there = move |offer: &&Pending| offer.node == node && offer.info_hash == *info_hash;
        let asked = self.pending.iter().rev().filter(there);
        asked.filter(move |offer| offer.until > now).map(|offer| offer.from)
    }

    fn remember(&mut self, offer: Pending, now: Instant) {
        if self.pending.len() >= PENDING_MAX {
            self.pending.retain(|old| old.until > now);
        }
        if self.pending.len() >= PENDING_MAX {
            self.pending.remove(0);
        }
        self.pending.push(offer);
    }
}

impl Server {
    /// Takes a message of this dialect.
    pub(super) fn on_webtorrent(&mut self, now: Instant, id: ConnId, bytes: &[u8]) {
        let request = Request::read(bytes);
        self.counts.messages[match &request {
            Ok(Request::Announce(_)) => MESSAGE_ANNOUNCE,
            Ok(Request::Answer(_)) => MESSAGE_ANSWER,
            Ok(Request::Scrape(_)) => MESSAGE_SCRAPE,
            Err(_) => MESSAGE_OTHER,
        }] += 1;
        match request {
            Ok(Request::Announce(announce)) => self.on_update(now, id, &announce, bytes),
            Ok(Request::Answer(answer)) => self.on_answer(id, &answer),
            Ok(Request::Scrape(hashes)) => self.on_scrape(now, id, hashes),
            Err(Refused { error: Error::Oversize, .. }) => self.close(id, CloseReason::Oversize),
            Err(refused) => self.on_nonsense(now, id, refused),
        }
    }

    /// Clients reconnect only minutes after a close, so a mistake is answered, and only many end the connection.
    fn on_nonsense(&mut self, now: Instant, id: ConnId, refused: Refused) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let reason = match refused.error {
            Error::Oversize | Error::Limit => "too much",
            Error::Malformed => "malformed",
        };
        if conn.stage.is_waiting() || conn.patience.take(self.config.messages, now).is_err() {
            return self.close(id, CloseReason::Malformed);
        }
        self.counts.refusals[Refusal::Relay as usize] += 1;
        let Refused { scrape, info_hash, .. } = refused;
        self.reply(id, &Reply::Failure { scrape, info_hash, reason });
    }

    fn on_update(&mut self, now: Instant, id: ConnId, announce: &Announce<'_>, bytes: &[u8]) {
        let info_hash = announce.info_hash;
        if let Err(reason) = self.admit(now, id, announce) {
            self.count_refusal(reason);
            self.reply(id, &Reply::Failure { scrape: false, info_hash: Some(info_hash), reason });
            if self.is_waiting(id) {
                self.close(id, CloseReason::Denied);
            }
            return;
        }
        self.counts.announces += 1;
        if announce.event == Event::Stopped {
            self.leave(id, &info_hash);
            return self.count(id, info_hash);
        }
        let complete = self.enter(now, id, announce);
        if self.is_alone() {
            return self.welcome(now, id, announce, complete, bytes.len());
        }
        self.answer_after(now, id, Asked::Round { info_hash, bytes: bytes.to_vec() });
    }

    /// Answers an announce that has waited, unless its sender has left meanwhile.
    pub(super) fn answer_round(&mut self, now: Instant, id: ConnId, info_hash: InfoHash, bytes: &[u8]) {
        let Ok(Request::Announce(announce)) = Request::read(bytes) else { return };
        let joined = client_mut(&mut self.conns, id).and_then(|client| client.joined(&info_hash));
        if let Some(joined) = joined.filter(|joined| joined.peer == announce.peer) {
            let complete = joined.complete;
            self.welcome(now, id, &announce, complete, bytes.len());
        }
    }

    fn welcome(&mut self, now: Instant, id: ConnId, announce: &Announce<'_>, complete: bool, bytes: usize) {
        self.count(id, announce.info_hash);
        if !announce.offers.is_empty() {
            self.hand_out(now, id, announce, complete, bytes + bytes / 10);
        }
    }

    /// Whether an announce is taken; else what its sender is told.
    fn admit(&mut self, now: Instant, id: ConnId, announce: &Announce<'_>) -> Result<(), &'static str> {
        let memberships = self.swarms.memberships() + self.flocks.memberships();
        let swarms = self.swarms.len() + self.flocks.len();
        let Some(client) = client_mut(&mut self.conns, id) else { return Err("closed") };
        if !client.admitted {
            let contents =
                self.admit_bearer(now, id, announce.token.unwrap_or(""), None).map_err(|_| "token")?;
            let Some(client) = client_mut(&mut self.conns, id) else { return Err("closed") };
            client.allowed = contents.iter().map(InfoHash::of).collect();
            client.admitted = true;
        }
        let Some(client) = client_mut(&mut self.conns, id) else { return Err("closed") };
        if let Some(joined) = client.joined(&announce.info_hash) {
            return if joined.peer == announce.peer { Ok(()) } else { Err("one peer_id in a swarm") };
        }
        if announce.event == Event::Stopped {
            return Ok(());
        }
        let is_allowed = client.allowed.is_empty() || client.allowed.contains(&announce.info_hash);
        if !is_allowed || !self.config.served.has_info_hash(&announce.info_hash) {
            return Err("content");
        }
        if client.swarms.len() >= self.config.swarms_per_connection_max as usize {
            return Err("swarms");
        }
        let is_new = !self.flocks.contains(&announce.info_hash);
        if !self.config.is_full(swarms, is_new, memberships) {
            return Ok(());
        }
        let address = self.conns.get(id).and_then(|conn| conn.address);
        // Once: room is not made again for a while.
        if self.make_room(now, address, Scarce::Memberships) {
            self.admit(now, id, announce)
        } else {
            Err("full")
        }
    }

    /// Makes it a member, or updates it; gives back whether it is complete. Who does not say what is left stays
    /// what it is: answers and updates without metadata must not make a seed anything else.
    fn enter(&mut self, now: Instant, id: ConnId, announce: &Announce<'_>) -> bool {
        let (info_hash, peer) = (announce.info_hash, announce.peer);
        let says = match (announce.event, announce.left) {
            (Event::Completed, _) => Some(true),
            (Event::Update | Event::Stopped, left) => left.map(|left| left == 0),
        };
        let lists = self.config.lists;
        let Some(client) = client_mut(&mut self.conns, id) else { return false };
        let known = client.joined(&info_hash).map(|joined| (joined.complete, joined.at, joined.lists));
        let was = known.map(|(was, ..)| was);
        let complete = says.or(was).unwrap_or(false);
        if announce.event == Event::Completed && was == Some(false) {
            self.flocks.complete(&info_hash);
        }
        if was == Some(complete) {
            return complete;
        }
        self.leave(id, &info_hash);
        let at = self.flocks.join(info_hash, id, complete);
        let lists = known.map_or_else(|| Bucket::new(lists, now), |(_, _, lists)| lists);
        if let Some(client) = client_mut(&mut self.conns, id) {
            client.swarms.reserve_exact(1);
            client.swarms.push(Joined { info_hash, peer, complete, at, lists });
        }
        self.changed(SwarmId::InfoHash(info_hash));
        complete
    }

    fn leave(&mut self, id: ConnId, info_hash: &InfoHash) {
        let Some(client) = client_mut(&mut self.conns, id) else { return };
        let Some(at) = client.swarms.iter().position(|joined| joined.info_hash == *info_hash) else { return };
        let joined = client.swarms.swap_remove(at);
        self.vacate(&joined);
    }

    /// Takes a member out of its swarm. Who moves to its place is told.
    fn vacate(&mut self, joined: &Joined) {
        let moved = self.flocks.leave(&joined.info_hash, joined.complete, joined.at);
        self.changed(SwarmId::InfoHash(joined.info_hash));
        let Some(moved) = moved else { return };
        if let Some(other) = client_mut(&mut self.conns, moved).and_then(|c| c.joined_mut(&joined.info_hash))
        {
            other.at = joined.at;
        }
    }

    /// Takes a client out of the swarms that are not served.
    pub(super) fn expel_client(&mut self, id: ConnId) {
        let served = &self.config.served;
        let Some(client) = client_mut(&mut self.conns, id) else { return };
        let ended: Vec<Joined> =
            client.swarms.extract_if(.., |joined| !served.has_info_hash(&joined.info_hash)).collect();
        for joined in &ended {
            self.vacate(joined);
            let info_hash = Some(joined.info_hash);
            self.reply(id, &Reply::Failure { scrape: false, info_hash, reason: "content" });
        }
    }

    /// What is left of a client whose connection is gone.
    pub(super) fn forget_client(&mut self, client: Client) {
        for joined in &client.swarms {
            self.vacate(joined);
        }
    }

    fn on_scrape(&mut self, now: Instant, id: ConnId, hashes: Vec<InfoHash>) {
        let open = self.config.tokens.keys.is_empty();
        let Some(client) = client_mut(&mut self.conns, id) else { return };
        client.admitted |= open;
        if !client.admitted {
            self.count_refusal("token");
            let (scrape, info_hash) = (true, hashes.first().copied());
            self.reply(id, &Reply::Failure { scrape, info_hash, reason: "token" });
            return self.close(id, CloseReason::Denied);
        }
        self.answer_after(now, id, Asked::Scrape { hashes });
    }

    /// Answers a scrape, if its sender is still there.
    pub(super) fn answer_scrape(&mut self, id: ConnId, hashes: &[InfoHash]) {
        if client_mut(&mut self.conns, id).is_some() {
            let count = |info_hash: &InfoHash| (*info_hash, self.everywhere(SwarmId::InfoHash(*info_hash)));
            let counts: Vec<_> = hashes.iter().map(count).collect();
            self.reply(id, &Reply::Scraped(&counts));
        }
    }

    pub(super) fn session<'a>(&self, sdp: crate::wire::webtorrent::Sdp<'a>) -> Result<Session<'a>, Error> {
        if self.config.strict_candidates { Session::read(sdp) } else { Ok(Session::opaque(sdp)) }
    }

    fn count(&mut self, id: ConnId, info_hash: InfoHash) {
        let [complete, incomplete, _] = self.everywhere(SwarmId::InfoHash(info_hash));
        let mut interval = self.config.webtorrent_interval;
        if self.is_cut_off() {
            interval = interval.min(INTERVAL_ALONE);
        }
        let interval = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
        self.reply(id, &Reply::Counts { info_hash, complete, incomplete, interval });
    }

    /// The words are those of the other dialect where it has one.
    fn count_refusal(&mut self, reason: &str) {
        let known = Refusal::ALL.into_iter().find(|refusal| refusal.name() == reason);
        self.counts.refusals[known.unwrap_or(Refusal::Identity) as usize] += 1;
    }

    /// Tells a client why something was refused, outside of any swarm.
    pub(super) fn fail(&mut self, id: ConnId, reason: &'static str) {
        self.reply(id, &Reply::Failure { scrape: false, info_hash: None, reason });
    }

    fn reply(&mut self, conn: ConnId, reply: &Reply<'_>) {
        self.actions.push_back(ServerAction::Send { conn, bytes: reply.encode() });
    }

    /// Forgets offers that nobody will answer any more, and the memory of crowds.
    pub(super) fn sweep(&mut self, now: Instant) {
        let mut next = None;
        for conn in self.conns.iter_mut() {
            let Stage::WebTorrent(client) = &mut conn.stage else { continue };
            client.pending.retain(|offer| offer.until > now);
            if client.pending.is_empty() {
                client.pending = Vec::new();
            }
            next = earliest(next, client.pending.first().map(|offer| offer.until));
        }
        // Not for each of them: a sweep looks at everybody.
        self.sweep_at = next.map(|at| at.max(now + OFFER_LIFE / 4));
    }
}

fn client_mut(conns: &mut Conns, id: ConnId) -> Option<&mut Client> {
    match &mut conns.get_mut(id)?.stage {
        Stage::WebTorrent(client) => Some(client),
        Stage::Challenged { .. } | Stage::Member(_) => None,
    }
}
