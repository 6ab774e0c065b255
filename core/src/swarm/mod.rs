//! The swarm: files and the peers that have or want them.
//!
//! Invariant: no byte is stored, counted, shown or forwarded before its leaf is proven against the file's root;
//! and a peer whose leaf does not fit is the one that is blamed.
//!
//! The leaves decide (`picker`, `upload`, `origin`), the ledger keeps the pieces in order, and this machine hands
//! their answers to one another: `shares` adds and removes, `tell` says what is here, `fetch` asks and takes in, `serve` gives,
//! `http` asks web seeds, `store` remembers and checks, `reads` answers the application, `view` shows.

#[cfg(feature = "lab")]
mod audit;
#[cfg(feature = "lab")]
mod classic;
mod fetch;
mod file;
mod http;
#[cfg(feature = "lab")]
pub(crate) mod lab;
mod late;
mod ledger;
mod origin;
mod peer;
mod picker;
mod reads;
mod score;
mod serve;
mod share;
mod shares;
mod spread;
mod store;
mod tell;
mod upload;
mod view;

use crate::config::Config;
use crate::content::Bitfield;
use crate::fault::Fault;
use crate::flow::Window;
use crate::id::{ContentId, JobId, LinkId, Root, Topic};
use crate::input::Outcome;
use crate::outbox::Cx;
use crate::rate::Rate;
use crate::snapshot::Totals;
use crate::time::{Instant, SECOND, earliest};
use crate::util::{Map, Set};
use crate::wire::{Frame, Message};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;
use file::File;
use peer::{Peer, Wish};
use reads::Read;
use share::{Moved, Share};
use upload::Throttle;

/// Haves are collected for this long before they are told: that somebody else has a common piece is old news.
const TELL_AFTER: u64 = SECOND / 5;
/// Rare is what so few links have.
const RARE: u16 = 2;
/// The record of stored pieces is written this long after a change, and never while the last one is being written.
/// What it misses after a crash is fetched again.
const WRITE_AFTER: Duration = Duration::from_millis(50);
/// Messages that nobody asked for, before a peer is cut off. Some cross a cancel honestly.
const STRAYS_MAX: u64 = 256;
/// The oldest links, which chance chose, stay whatever they are worth: who plays for points does not get all of our links
/// (theory §1.3, §4: at least four by chance of about twenty). Where few links are allowed, a quarter.
const KEPT: usize = 4;
/// A line that had so long less to send than it could has room for more takers.
const IDLE_AFTER: u64 = SECOND / 2;
/// How often those are looked for who keep us waiting: deadlines are kept to within this.
const TICK: u64 = SECOND / 4;
/// Silence in answer to a request for hashes or an info dictionary.
const ANSWER_DEADLINE: Duration = Duration::from_secs(8);

/// All shares, files and peers.
pub(crate) struct Swarm {
    shares: Map<ContentId, Share>,
    files: Map<Root, Box<File>>,
    /// Files of active shares that are wanted and not complete.
    wanted: Set<Root>,
    /// Of these, those whose piece hashes are not all known.
    lacking: Set<Root>,
    /// Files with open pieces.
    begun: Set<Root>,
    peers: Map<LinkId, Box<Peer>>,
    /// Links whose peers may have to be asked or told something: what came changed something about them.
    awake: Set<LinkId>,
    /// Links over which something is under way, or being loaded for.
    busy: Set<LinkId>,
    jobs: Map<JobId, Job>,
    reads: Map<u32, Read>,
    /// Pieces that peers have not been told of.
    untold: Map<Root, Vec<u32>>,
    tell_at: Option<Instant>,
    /// Files whose record of stored pieces is out of date.
    unwritten: Set<Root>,
    write_at: Option<Instant>,
    /// Records that are being written.
    writing: u32,
    /// Files with claimed pieces to look at.
    unchecked: Set<Root>,
    checks: u32,
    storing_bytes: u64,
    throttle: Throttle,
    #[cfg(feature = "lab")]
    classic: classic::Classic,
    /// What peers have taken from us.
    up: Rate,
    /// What may be under way to all of them, in bytes.
    ahead: Window,
    /// How many milliseconds it takes to hear that a block has come, but for what it waited.
    way: u64,
    serve_at: Option<Instant>,
    /// When there was last as much to send as our line takes.
    busy_at: Instant,
    /// Something has changed about who is to be served, or when.
    serves: bool,
    origin_at: Option<Instant>,
    /// When those are looked for who keep us waiting.
    tick_at: Option<Instant>,
    /// Some file is shown piece by piece.
    spreading: bool,
    /// What a peer gets of us before it is seen to pass anything on.
    spread_gift: u64,
    /// When an idle line may show peers more than they asked for.
    grow_at: Instant,
    facts: Vec<Fact>,
    totals: Totals,
    next_order: u64,
}

/// News for the machines beside this one.
#[derive(Debug, PartialEq)]
pub(crate) enum Fact {
    /// We are in this swarm.
    Joined { topic: Topic, complete: bool },
    /// We are no longer.
    Left(Topic),
    /// A peer did wrong.
    Fault(LinkId, Fault),
}

/// What host work was for.
enum Job {
    Info(ContentId),
    Have(Root),
    Written,
    Hashes(Root),
    Check { root: Root, piece: u32 },
    Store { root: Root, piece: u32, bytes: u64 },
    Serve { link: LinkId, wish: Wish, bytes: u64 },
    Read(u32),
    Fetch { content: ContentId, origin: usize, root: Root, first: u32, end: u32, since: Instant },
}

impl Swarm {
    pub(crate) fn new(config: &Config, now: Instant) -> Self {
        Self {
            throttle: Throttle::new(config.upload_rate_max, now),
            #[cfg(feature = "lab")]
            classic: classic::Classic::default(),
            shares: Map::new(),
            files: Map::new(),
            wanted: Set::new(),
            lacking: Set::new(),
            begun: Set::new(),
            peers: Map::new(),
            awake: Set::new(),
            busy: Set::new(),
            jobs: Map::new(),
            reads: Map::new(),
            untold: Map::new(),
            tell_at: None,
            unwritten: Set::new(),
            write_at: None,
            writing: 0,
            unchecked: Set::new(),
            checks: 0,
            storing_bytes: 0,
            up: Rate::default(),
            ahead: Window::new(upload::AHEAD_MIN, upload::AHEAD_MAX),
            way: 200,
            serve_at: None,
            busy_at: now,
            serves: true,
            origin_at: None,
            tick_at: None,
            spreading: false,
            spread_gift: 0,
            grow_at: now,
            facts: Vec::new(),
            totals: Totals::default(),
            next_order: 0,
        }
    }

    pub(crate) fn take_facts(&mut self) -> Vec<Fact> {
        core::mem::take(&mut self.facts)
    }

    /// A link is proven.
    pub(crate) fn on_peer(&mut self, link: LinkId, topics: &[Topic], topic: Topic, cx: &mut Cx) {
        self.peers.insert(link, Box::new(Peer::new(cx.now)));
        self.awake.insert(link);
        #[cfg(feature = "lab")]
        self.meet_classic(link, cx);
        for topic in topics {
            self.on_topic(link, *topic, cx);
        }
        self.on_topic(link, topic, cx);
    }

    /// A linked peer is in this swarm too.
    pub(crate) fn on_topic(&mut self, link: LinkId, topic: Topic, cx: &mut Cx) {
        if let Some(peer) = self.peers.get_mut(&link)
            && peer.topics.insert(topic)
        {
            self.tell_wants(link, cx);
            self.seek_infos(cx);
        }
    }

    /// A link is gone.
    pub(crate) fn on_peer_gone(&mut self, link: LinkId, cx: &mut Cx) {
        let Some(peer) = self.peers.remove(&link) else { return };
        self.serves = true;
        for ((start, root), asked) in peer.owes() {
            self.unask(root, *start, asked.count);
        }
        for (root, pieces) in &peer.has {
            if let Some(file) = self.files.get_mut(root) {
                file.lose_all(pieces);
            }
        }
        for (_, file) in &mut self.files {
            if file.hashes.is_some_and(|(from, _)| from == link) {
                file.hashes = None;
            }
        }
        for (_, share) in &mut self.shares {
            if share.info.from.is_some_and(|(from, _)| from == link) {
                share.info.from = None;
            }
        }
        self.forget_first(link);
        #[cfg(feature = "lab")]
        self.forget_classic(link);
        self.wake_all();
        self.seek_infos(cx);
        self.seek_hashes(cx);
    }

    pub(crate) fn on_rtt(&mut self, link: LinkId, rtt: u64) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.rtt = rtt;
        }
    }

    /// A proven peer says something.
    pub(crate) fn on_frame(&mut self, link: LinkId, frame: &Frame<'_>, cx: &mut Cx) -> Result<(), Fault> {
        let tail = frame.tail;
        self.awake.insert(link);
        // What others give us or have changes nothing about what we may give now.
        self.serves |= !matches!(
            frame.message,
            Message::Block { .. } | Message::Gained { .. } | Message::Have { .. } | Message::Hashes(_)
        );
        match &frame.message {
            Message::Want { roots } => self.on_want(link, roots, cx),
            Message::Unwant { roots } => self.on_unwant(link, roots),
            Message::Have { root, pieces } => self.on_have(link, root, pieces, cx),
            Message::Gained { root, pieces } => self.on_gained(link, root, pieces, cx),
            Message::Request { root, spans } => self.on_request(link, root, spans, cx),
            Message::Cancel { root, spans } => self.on_cancel(link, root, spans, cx),
            Message::Reject { root, spans } => self.on_reject(link, root, spans),
            Message::GetHashes(range) => self.on_get_hashes(link, range, cx),
            Message::Hashes(range) => self.on_hashes(link, range, tail, cx),
            Message::NoHashes(range) => self.on_no_hashes(link, range, cx),
            Message::GetInfo { content, offset } => self.on_get_info(link, content, *offset, cx),
            Message::Info { content, total, offset } => {
                self.on_info(link, content, *total, *offset, tail, cx)
            }
            Message::NoInfo { content } => self.on_no_info(link, content, cx),
            Message::Block { root, start } => self.on_block(link, root, *start, tail, cx),
            Message::Acked { leaves, clock } => self.on_acked(link, *leaves, *clock, cx),
            Message::News { topic } => self.on_news(link, topic, tail, cx),
            #[cfg(feature = "lab")]
            Message::Choke { on } => self.on_choke(link, *on),
            Message::Hello(_)
            | Message::Proof(_)
            | Message::Ping { .. }
            | Message::Pong { .. }
            | Message::Goodbye
            | Message::Card
            | Message::GetPeers { .. }
            | Message::Peers { .. }
            | Message::Parcel { .. }
            | Message::Unreached { .. }
            | Message::Overlay
            | Message::Anchor => Err(Fault::Unexpected),
        }
    }

    /// Host work ended. `false`: not ours.
    pub(crate) fn on_done(&mut self, job: JobId, outcome: &Outcome<'_>, cx: &mut Cx) -> bool {
        let Some(job) = self.jobs.remove(&job) else { return false };
        match job {
            Job::Info(content) => self.on_info_recalled(&content, outcome, cx),
            Job::Have(root) => self.on_have_recalled(&root, outcome, cx),
            Job::Written => self.on_written(cx),
            Job::Hashes(root) => self.on_hashes_recalled(&root, outcome, cx),
            Job::Check { root, piece } => self.on_checked(&root, piece, outcome, cx),
            Job::Store { root, piece, bytes } => self.on_stored(&root, piece, bytes, outcome, cx),
            Job::Serve { link, wish, bytes } => {
                self.serves = true;
                self.on_loaded(link, wish, bytes, outcome, cx);
            }
            Job::Read(read) => self.on_read_loaded(read, outcome, cx),
            Job::Fetch { content, origin, root, first, end, .. } => {
                self.on_fetched((&content, origin), &root, first..end, outcome, cx);
            }
        }
        true
    }

    /// Does all that there is room for. Called once after each input.
    pub(crate) fn pump(&mut self, cx: &mut Cx) {
        self.check_more(cx);
        for link in core::mem::take(&mut self.awake) {
            self.ask(link, cx);
            self.acknowledge(link, cx);
            if self.peers.get(&link).is_some_and(|peer| peer.may_be_asked()) {
                self.awake.insert(link);
            }
        }
        self.fetch_more(cx);
        // Whoever shows pieces looks at its line whatever happens.
        if core::mem::take(&mut self.serves) || self.spreading {
            self.serve(cx);
        }
        if self.tick_at.is_none() && self.is_waiting(cx.now) {
            self.tick_at = Some(cx.now.after(TICK));
        }
    }

    /// Whether somebody owes us anything, or waits to be shown more, or will be asked again for what others have, too: where
    /// all who have something were silent once, nothing else wakes them.
    fn is_waiting(&self, now: Instant) -> bool {
        let mut waiting = self.spreading || !self.lacking.is_empty();
        for (_, share) in &self.shares {
            waiting |= share.info.from.is_some() || share.origins.iter().any(|origin| origin.busy > 0);
        }
        for (_, peer) in &self.peers {
            waiting |= peer.asked_leaves() > 0 || peer.flow.under_way() > 0;
            waiting |= peer.is_shunned(now) && !self.wanted.is_empty();
        }
        waiting
    }

    /// A channel has room again.
    pub(crate) const fn on_room(&mut self) {
        self.serves = true;
    }

    pub(crate) fn on_timeout(&mut self, cx: &mut Cx) {
        self.serves = true;
        #[cfg(feature = "lab")]
        self.review_classic(cx);
        if self.tell_at.is_some_and(|at| at <= cx.now) {
            self.tell_gains(cx);
        }
        if self.write_at.is_some_and(|at| at <= cx.now) {
            self.write_records(cx);
        }
        for due in [&mut self.serve_at, &mut self.origin_at] {
            if due.is_some_and(|at| at <= cx.now) {
                *due = None;
            }
        }
        if self.tick_at.is_some_and(|at| at <= cx.now) {
            self.tick_at = None;
            self.review_reads(cx.now);
            self.drop_late_answers(cx);
            self.snub_silent(cx);
            self.leave_slow(cx);
            self.wake_all();
            self.review_spreads(cx);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let due = earliest(earliest(self.tell_at, self.write_at), earliest(self.serve_at, self.origin_at));
        #[cfg(feature = "lab")]
        let due = earliest(due, self.classic.deadline());
        earliest(due, self.tick_at)
    }

    /// Something may be asked for again: everybody is looked at anew.
    fn wake_all(&mut self) {
        for (link, peer) in &mut self.peers {
            peer.idle = false;
            self.awake.insert(*link);
        }
    }

    fn links(&self) -> Vec<LinkId> {
        let mut links = Vec::with_capacity(self.peers.len());
        for (link, _) in &self.peers {
            links.push(*link);
        }
        links
    }

    /// Who of a swarm we are linked with and would name to others, and whether it seems to have all of what we know of.
    pub(crate) fn members(&self, topic: &Topic, now: Instant) -> Vec<(LinkId, bool)> {
        let mut members = Vec::new();
        for (link, peer) in &self.peers {
            if peer.topics.contains(topic) && peer.score.at(now) >= 0 {
                let complete = !peer.has.is_empty() && peer.has.values().all(Bitfield::is_full);
                members.push((*link, complete));
            }
        }
        members
    }

    /// Whether a linked peer is in any swarm that we are in.
    pub(crate) fn shares_with(&self, link: LinkId) -> bool {
        let peer = self.peers.get(&link);
        self.shares.values().any(|share| peer.is_some_and(|peer| peer.topics.contains(&share.topic)))
    }

    /// Whether we have given, and those whom we know leave our line idle.
    pub(crate) fn has_line_to_spare(&self, now: Instant) -> bool {
        self.totals.sent > 0 && now.passed(self.busy_at) > IDLE_AFTER
    }

    /// Links with peers of a swarm.
    fn peers_in(&self, topic: &Topic) -> u32 {
        let mut count = 0;
        for (_, peer) in &self.peers {
            count += u32::from(peer.topics.contains(topic));
        }
        count
    }

    /// Links of a swarm that give us anything, or that we may give to when we are `complete`.
    fn useful_in(&self, topic: &Topic, complete: bool, now: Instant) -> usize {
        let mut count = 0;
        for (_, peer) in &self.peers {
            let useful = peer.is_useful(complete, now);
            #[cfg(feature = "lab")]
            let useful = useful || self.classic.is_on();
            count += usize::from(peer.topics.contains(topic) && useful);
        }
        count
    }

    /// The link with the lowest score of those that are of no use. `bad`: and with a score below zero.
    pub(crate) fn worst(&self, bad: bool, now: Instant) -> Option<LinkId> {
        let complete = self.wanted.is_empty();
        let mut worst: Option<(i64, LinkId)> = None;
        // Who waits for its turn is of use by and by.
        #[cfg(feature = "lab")]
        if self.classic.is_on() {
            return None;
        }
        for (link, peer) in self.peers.iter().skip(KEPT.min(self.peers.len() / 4)) {
            let score = peer.score.at(now);
            // A link of the overlay is the overlay's to end.
            let stays = peer.topics.contains(&Topic::OVERLAY) || peer.is_useful(complete, now);
            if stays || (bad && score >= 0) {
                continue;
            }
            if worst.is_none_or(|(other, _)| score < other) {
                worst = Some((score, *link));
            }
        }
        worst.map(|(_, link)| link)
    }

    /// What a neighbour is worth; nothing when there is no such.
    pub(crate) fn score(&self, link: LinkId, now: Instant) -> i64 {
        self.peers.get(&link).map_or(0, |peer| peer.score.at(now))
    }

    fn peer(&mut self, link: LinkId) -> Result<&mut Peer, Fault> {
        self.peers.get_mut(&link).map(Box::as_mut).ok_or(Fault::Unexpected)
    }

    /// A source will not send this run.
    fn unask(&mut self, root: &Root, start: u32, count: u8) {
        if let Some(file) = self.files.get_mut(root) {
            file.ledger.unask(start, count);
        }
    }

    /// What was moved for each share of a file.
    fn moved(&mut self, root: &Root, see: &mut dyn FnMut(&mut Moved)) {
        let Some(file) = self.files.get(root) else { return };
        for content in &file.shares {
            if let Some(share) = self.shares.get_mut(content) {
                see(&mut share.moved);
            }
        }
    }

    /// The shares of a file.
    fn shares_of(&self, root: &Root) -> Vec<ContentId> {
        let mut shares = Vec::new();
        if let Some(file) = self.files.get(root) {
            for content in &file.shares {
                shares.push(*content);
            }
        }
        shares
    }

    /// Counts what was thrown away, and cuts off who makes a habit of it.
    fn stray(&mut self, link: LinkId, bytes: usize) -> Result<(), Fault> {
        self.totals.wasted += bytes as u64;
        let peer = self.peer(link)?;
        if peer.score.strayed() > STRAYS_MAX { Err(Fault::Flooding) } else { Ok(()) }
    }

    /// Whether others are told of a file and given of it.
    fn is_served(&self, root: &Root) -> bool {
        !self.throttle.is_shut() && self.is_active(root)
    }

    fn is_active(&self, root: &Root) -> bool {
        let Some(file) = self.files.get(root) else { return false };
        for content in &file.shares {
            if self.shares.get(content).is_some_and(Share::is_active) {
                return true;
            }
        }
        false
    }
}
