//! A peer's lives: its page opens, closes, crashes, stands still, is hidden; and how news reaches its node.

use crate::happening::{Happening, News};
use crate::queue::fork_seed;
use crate::rtc::OwnedOutcome;
use crate::spec::PeerId;
use crate::world::World;
use swarmlet_core::{Command, Input, JobId};

impl World {
    pub(crate) fn start_peer(&mut self, peer: PeerId) {
        let this = &mut self.peers[peer];
        if this.node.is_some() {
            return;
        }
        this.life += 1;
        let seed = fork_seed(self.options.seed, 2 + u64::from(this.life), peer as u64);
        self.new_node(peer, seed);
        let (content, spec) = (self.content.clone(), &self.peers[peer].spec);
        let command = if spec.seed {
            Command::Seed { torrent: Box::new(content.torrent.clone()), leaves: content.leaves.clone() }
        } else {
            let torrent = spec.has_torrent.then(|| Box::new(content.torrent.clone()));
            Command::Add { magnet: content.magnet(), torrent, select: None, topic: None }
        };
        // Node::new may have orders of its own; the first input drains them too.
        self.command(peer, command);
    }

    pub(crate) fn close_peer(&mut self, peer: PeerId) {
        self.command(peer, Command::Close);
        self.end_life(peer);
    }

    pub(crate) fn kill_peer(&mut self, peer: PeerId) {
        for (_, end) in self.peers[peer].links.all() {
            self.abandon(end);
        }
        self.end_life(peer);
    }

    /// A crash that takes with it what the disk had not yet written for good.
    pub(crate) fn crash_peer(&mut self, peer: PeerId) {
        self.kill_peer(peer);
        let this = &mut self.peers[peer];
        this.disk.crash(self.now, &mut this.rng);
    }

    fn end_life(&mut self, peer: PeerId) {
        for (link, _) in self.peers[peer].links.all() {
            self.unlink(peer, link);
        }
        self.close_socket(peer);
        let this = &mut self.peers[peer];
        this.node = None;
        this.jobs.clear();
        this.held.clear();
        this.armed = None;
        this.frozen = false;
        this.access.silence();
    }

    pub(crate) fn close_socket(&mut self, peer: PeerId) {
        if let Some(connection) = self.peers[peer].socket.take() {
            let at = self.signal_up(peer, connection, 0);
            self.queue.push(at, Happening::SocketClosed { connection });
        }
    }

    pub(crate) fn thaw_peer(&mut self, peer: PeerId) {
        self.peers[peer].frozen = false;
        let life = self.peers[peer].life;
        while let Some(news) = self.peers[peer].held.pop_front() {
            self.on_told(peer, life, news);
        }
    }

    pub(crate) fn hide_peer(&mut self, peer: PeerId) {
        self.peers[peer].hidden.get_or_insert(self.now);
        self.rearm(peer);
    }

    pub(crate) fn show_peer(&mut self, peer: PeerId) {
        self.peers[peer].hidden = None;
        self.rearm(peer);
    }

    fn rearm(&mut self, peer: PeerId) {
        self.peers[peer].armed = None;
        self.arm(peer);
    }

    /// The one way by which news reaches a node.
    pub(crate) fn on_told(&mut self, peer: PeerId, life: u32, news: News) {
        let this = &mut self.peers[peer];
        if this.life != life || this.node.is_none() {
            return;
        }
        if this.frozen {
            this.held.push_back(news);
            return;
        }
        match news {
            News::Linked { link } => self.handle(peer, Input::Linked { link }),
            News::Received { link, channel, body } => {
                let (files, mut scratch) = (self.files.clone(), core::mem::take(&mut self.scratch));
                let bytes = body.bytes(&files, &mut scratch);
                self.log.message(bytes.len(), body.head());
                self.handle(peer, Input::Received { link, channel, bytes });
                self.scratch = scratch;
            }
            News::Writable { link, channel, buffered } => {
                if self.end_of(peer, link).is_some() {
                    self.handle(peer, Input::Writable { link, channel, buffered });
                }
            }
            News::Unlinked { link } => self.handle(peer, Input::Unlinked { link }),
            News::Found { link, candidate } => {
                if self.end_of(peer, link).is_some() {
                    self.handle(peer, Input::Found { link, candidate });
                }
            }
            News::Signalled { connection, bytes } => {
                if this.socket == Some(connection) {
                    self.handle(peer, Input::Signalled { bytes: &bytes });
                }
            }
            News::SignallerLost { connection } => {
                if this.socket == Some(connection) {
                    this.socket = None;
                    self.handle(peer, Input::SignallerLost);
                }
            }
            News::Done { job, outcome } => self.done(peer, job, &outcome),
            News::Loaded { job, root, start, length } => self.on_loaded(peer, job, root, start, length),
            News::Stored { job, root, start, length } => self.on_stored(peer, job, root, start, length),
            News::Fetched { job, file, start, length, wrong } => {
                self.on_fetched(peer, job, (file, start, length), wrong);
            }
            News::Timeout => self.on_timer(peer),
        }
    }

    pub(crate) fn done(&mut self, peer: PeerId, job: JobId, outcome: &OwnedOutcome) {
        if self.peers[peer].jobs.remove(job) {
            self.handle(peer, Input::Done { job, outcome: outcome.lend() });
        }
    }
}
