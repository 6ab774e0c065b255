//! The loop around the node, as in the browser's worker: take in one piece of news, carry out its orders, set
//! the alarm, wait. One task owns the node; whatever else runs tells it what happened through one bounded
//! queue and is told what to do through queues of its own.

use super::beside::Beside;
use super::disk::Disk;
use super::fetch::Fetcher;
use super::metrics::Counters;
use super::rtc::{Links, Room};
use super::socket::Socket;
use super::store::Store;
use super::{NEWS_MAX, Settings, Signaller, trust};
use core::time::Duration;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use swarmlet_core::content::Torrent;
use swarmlet_core::keys::{self, Exchange, Key};
use swarmlet_core::overlay::companion;
use swarmlet_core::wire::overlay::Contact;
use swarmlet_core::wire::{Candidate, Description};
use swarmlet_core::{
    Action, Channel, Command, ContentId, Event, Failure, Hash, Input, Instant, JobId, LinkId, Node, Outcome,
    Root, Snapshot, Work,
};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time;
use tokio_tungstenite::Connector;

/// News that are taken in before the clock is looked at again.
const BATCH: usize = 64;

/// What happened: an [`Input`] that owns its bytes, or a question of the application's.
#[derive(Debug)]
pub(super) enum News {
    Command(Command),
    Linked(LinkId),
    Received {
        link: LinkId,
        channel: Channel,
        bytes: Vec<u8>,
    },
    Writable {
        link: LinkId,
        channel: Channel,
        room: Room,
    },
    Unlinked(LinkId),
    Found {
        link: LinkId,
        candidate: Option<Candidate>,
    },
    SocketOpen(JobId),
    Signalled {
        socket: JobId,
        bytes: Vec<u8>,
    },
    SocketClosed(JobId),
    Done {
        job: JobId,
        ended: Ended,
    },
    /// From now on these files are read where they are.
    Sources(Vec<(Root, PathBuf)>),
    /// A place in the overlay was found.
    Placed(Contact),
    /// Every link is cut and everything below it is made anew.
    Recycle(&'static str),
    Ask(oneshot::Sender<Snapshot>),
    AskTorrent {
        content: ContentId,
        answer: oneshot::Sender<Option<Torrent>>,
    },
    Close(oneshot::Sender<()>),
}

/// An [`Outcome`] that owns its bytes.
#[derive(Debug)]
pub(super) enum Ended {
    Ok,
    Missing,
    Bytes(Vec<u8>),
    Described(Description),
    Failed(Failure),
}

/// The one who owns the node.
pub(super) struct Host {
    node: Node,
    beside: Beside,
    key: Key,
    exchange: Exchange,
    origin: time::Instant,
    inbox: mpsc::Receiver<News>,
    news: mpsc::Sender<News>,
    events: broadcast::Sender<Event>,
    links: Links,
    store: Store,
    fetcher: Fetcher,
    fetches: HashMap<JobId, AbortHandle>,
    /// The socket to the signaller, by the job that opened it, and whether it is open.
    socket: Option<(JobId, Socket, bool)>,
    signaller: Signaller,
    tls: Option<Connector>,
    counters: Arc<Counters>,
    closing: Option<oneshot::Sender<()>>,
}

impl Host {
    /// Everything at rest. Both seeds must come from a cryptographic source: the key is made of one, all chance
    /// of the other.
    pub(super) fn new(
        settings: &Settings,
        [key, seed]: [[u8; 32]; 2],
        events: broadcast::Sender<Event>,
        counters: Arc<Counters>,
    ) -> Result<(Self, mpsc::Sender<News>), crate::Error> {
        let (news, inbox) = mpsc::channel(NEWS_MAX);
        let exchange = Exchange::from_seed(Hash::of(&[b"swarmlet exchange".as_slice(), &key].concat()).0);
        let key = Key::from_seed(&key);
        let mut config = settings.node.clone();
        config.signaller = !matches!(settings.signaller, Signaller::None);
        let of_overlay = Hash::of(&[b"swarmlet overlay".as_slice(), &seed].concat()).0;
        let host = Self {
            beside: Beside::new(key.peer_id(), of_overlay, news.clone()),
            node: Node::new(config, seed, key.peer_id(), Instant::ZERO),
            key,
            exchange,
            origin: time::Instant::now(),
            inbox,
            events,
            links: Links::new(settings, news.clone(), Arc::clone(&counters))?,
            store: Store::open(settings, news.clone(), Arc::clone(&counters))?,
            fetcher: Fetcher::new(settings)?,
            fetches: HashMap::new(),
            socket: None,
            signaller: settings.signaller.clone(),
            tls: trust::config(&settings.authorities)?.map(Connector::Rustls),
            news: news.clone(),
            counters,
            closing: None,
        };
        Ok((host, news))
    }

    /// Who this peer is.
    pub(super) fn peer_id(&self) -> swarmlet_core::PeerId {
        self.node.peer_id()
    }

    /// Its files.
    pub(super) fn disk(&self) -> Arc<Disk> {
        self.store.disk()
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.origin.elapsed()
    }

    /// Works until the application closes it, or nobody could talk to it any more.
    pub(super) async fn run(mut self) {
        loop {
            let news = self.next().await;
            let Some(news) = news else { break };
            self.take_in(news);
            self.obey();
            for _ in 1..BATCH {
                let Ok(news) = self.inbox.try_recv() else { break };
                self.take_in(news);
                self.obey();
            }
            if self.closing.is_some() {
                break;
            }
        }
        self.end().await;
    }

    /// The next piece of news; `None` in it means that the alarm rang.
    async fn next(&mut self) -> Option<Option<News>> {
        let due = [self.node.poll_timeout(), self.beside.due()].into_iter().flatten().min();
        let due = due.map(|due| self.origin + due.since(Instant::ZERO));
        let Some(due) = due else { return self.inbox.recv().await.map(Some) };
        tokio::select! {
            biased;
            news = self.inbox.recv() => news.map(Some),
            () = time::sleep_until(due) => Some(None),
        }
    }

    fn take_in(&mut self, news: impl Into<Option<News>>) {
        let now = self.now();
        let node = &mut self.node;
        let Some(news) = news.into() else {
            node.handle(now, Input::Timeout);
            return self.beside.handle(now, companion::Input::Timeout);
        };
        match news {
            News::Command(command) => {
                match &command {
                    Command::Remove { content, .. } | Command::Pause(content) => {
                        self.beside.share(now, *content, false);
                    }
                    Command::Resume(content) => self.beside.share(now, *content, true),
                    _ => {}
                }
                node.handle(now, Input::Command(command));
            }
            News::Placed(place) => {
                self.beside.begin(now, place);
                node.handle(now, Input::Linked { link: LinkId::OVERLAY });
            }
            News::Linked(link) => {
                self.links.opened(link);
                node.handle(now, Input::Linked { link });
            }
            News::Received { link, channel, bytes } => {
                node.handle(now, Input::Received { link, channel, bytes: &bytes });
            }
            News::Writable { link, channel, room } => {
                if let Some(buffered) = self.links.buffered(link, channel, room) {
                    node.handle(now, Input::Writable { link, channel, buffered });
                }
            }
            News::Unlinked(link) => {
                if self.links.close(link) {
                    node.handle(now, Input::Unlinked { link });
                }
            }
            News::Found { link, candidate } => node.handle(now, Input::Found { link, candidate }),
            News::SocketOpen(job) => self.on_socket_open(job),
            News::Signalled { socket, bytes } => {
                if self.socket.as_ref().is_some_and(|(job, ..)| *job == socket) {
                    node.handle(now, Input::Signalled { bytes: &bytes });
                }
            }
            News::SocketClosed(job) => self.on_socket_closed(job),
            News::Done { job, ended } => self.on_done(job, &ended),
            News::Sources(sources) => self.store.add_sources(sources),
            News::Recycle(why) => self.recycle(why),
            News::Ask(answer) => drop(answer.send(node.snapshot())),
            News::AskTorrent { content, answer } => drop(answer.send(node.torrent(&content))),
            News::Close(done) => {
                node.handle(now, Input::Command(Command::Close));
                self.closing = Some(done);
            }
        }
    }

    fn on_done(&mut self, job: JobId, ended: &Ended) {
        self.fetches.remove(&job);
        let outcome = match ended {
            Ended::Ok => Outcome::Ok,
            Ended::Missing => Outcome::Missing,
            Ended::Bytes(bytes) => Outcome::Bytes(bytes),
            Ended::Described(description) => Outcome::Described(description.clone()),
            Ended::Failed(failure) => Outcome::Failed(*failure),
        };
        let now = self.now();
        self.node.handle(now, Input::Done { job, outcome });
    }

    fn on_socket_open(&mut self, job: JobId) {
        if let Some((of, _, open)) = &mut self.socket
            && *of == job
        {
            *open = true;
            self.on_done(job, &Ended::Ok);
        }
    }

    fn on_socket_closed(&mut self, job: JobId) {
        if let Some((_, _, open)) = self.socket.take_if(|(of, ..)| *of == job) {
            if open {
                let now = self.now();
                self.node.handle(now, Input::SignallerLost);
            } else {
                self.on_done(job, &Ended::Failed(Failure::Network));
            }
        }
    }

    /// Cuts every link; the node hears of each, and makes new ones on the new stack.
    fn recycle(&mut self, why: &'static str) {
        tracing::warn!(event = "recycle", why, links = self.links.len(), "the connections are made anew");
        for link in self.links.recycle() {
            let now = self.now();
            self.node.handle(now, Input::Unlinked { link });
        }
    }

    fn obey(&mut self) {
        loop {
            while let Some(action) = self.node.poll_action() {
                self.carry_out(action);
            }
            let now = self.now();
            let Some(bytes) = self.beside.poll(now, &self.key) else { break };
            let (link, channel) = (LinkId::OVERLAY, Channel::Control);
            self.node.handle(now, Input::Received { link, channel, bytes: &bytes });
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Notify(event) => {
                self.beside.note(self.now(), &event);
                self.counters.note(&event);
                // Nobody may be listening.
                let _ = self.events.send(event);
            }
            Action::Send { link: LinkId::OVERLAY, bytes, .. } => self.beside.frame(self.now(), bytes),
            Action::Send { link, channel, bytes } => self.links.send(link, channel, bytes),
            Action::Unlink { link } => {
                self.links.close(link);
            }
            Action::Signal { bytes } => {
                if let Some((job, socket, _)) = &self.socket
                    && !socket.send(bytes)
                {
                    self.on_socket_closed(*job);
                }
            }
            Action::Start { job, work } => self.start(job, work),
            Action::Abort { job } => {
                if let Some(task) = self.fetches.remove(&job) {
                    task.abort();
                }
            }
        }
    }

    fn start(&mut self, job: JobId, work: Work) {
        match work {
            Work::OpenSignaller => {
                let socket = Socket::open(job, &self.signaller, self.tls.clone(), self.news.clone());
                self.socket = Some((job, socket, false));
            }
            Work::CloseSignaller => {
                self.socket = None;
                self.on_done(job, &Ended::Ok);
            }
            // Some 50 µs each, once or twice for each link: not worth a thread.
            Work::Sign { message } => self.on_done(job, &Ended::Bytes(self.key.sign(&message).to_vec())),
            Work::Verify { peer, message, signature } => {
                let good = keys::verify(&peer, &message, &signature);
                self.on_done(job, if good { &Ended::Ok } else { &Ended::Missing });
            }
            Work::Exchange => self.on_done(job, &Ended::Bytes(self.exchange.public().to_vec())),
            Work::Agree { key } => self.on_done(job, &Ended::Bytes(self.exchange.agree(&key).to_vec())),
            Work::Dial { link } => self.links.dial(job, link),
            Work::Accept { link, remote } => {
                if !self.links.accept(job, link, remote) {
                    self.on_done(job, &Ended::Failed(Failure::Unsupported));
                }
            }
            Work::Complete { link, remote } => {
                if !self.links.complete(job, link, remote) {
                    self.on_done(job, &Ended::Failed(Failure::Unsupported));
                }
            }
            Work::Candidate { link, candidate } => {
                if !self.links.candidate(job, link, candidate) {
                    self.on_done(job, &Ended::Failed(Failure::Host));
                }
            }
            Work::Fetch { url, start, end, total } => {
                let task = self.fetcher.begin(job, url, start..end, total, self.news.clone());
                self.fetches.insert(job, task);
            }
            Work::Load { .. }
            | Work::Store { .. }
            | Work::Get { .. }
            | Work::Put { .. }
            | Work::Discard { .. }
            | Work::Forget { .. } => self.store.begin(job, work),
        }
    }

    /// Ends everything that holds a resource, in the order in which it is still of use.
    async fn end(mut self) {
        self.obey();
        if let Some((_, socket, _)) = self.socket.take() {
            socket.close().await;
        }
        for (_, task) in self.fetches.drain() {
            task.abort();
        }
        // What the store was told to keep is written before anything else happens.
        let stored = self.store.close();
        let _ = time::timeout(Duration::from_secs(10), tokio::task::spawn_blocking(stored)).await;
        self.links.end().await;
        if let Some(done) = self.closing.take() {
            let _ = done.send(());
        }
    }
}
