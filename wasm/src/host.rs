//! The loop around the node: take in one piece of news, carry out its orders, set the alarm, wait.
//!
//! News that come while orders are carried out wait in the inbox, so the node is never entered twice.

use crate::clock::{Alarm, now};
use crate::convert::{self, Plain};
use crate::fetch;
use crate::rtc::Links;
use crate::socket::Socket;
use crate::store::Store;
use crate::table::Table;
use crate::task::spawn;
use alloc::collections::VecDeque;
use core::cell::{Cell, OnceCell, RefCell};
use js_sys::{Array, Function, Uint8Array};
use swarmlet_core::wire::{Candidate, Description};
use swarmlet_core::{
    Action, Channel, Command, Config, Event, Failure, Input, JobId, LinkId, Node, Outcome, PeerId, Work,
};
use wasm_bindgen::JsValue;
use web_sys::AbortController;

/// An [`Input`] that owns its bytes.
pub(crate) enum News {
    Command(Command),
    Linked(LinkId),
    Received { link: LinkId, channel: Channel, bytes: Vec<u8> },
    Writable { link: LinkId, channel: Channel, buffered: u32 },
    Unlinked(LinkId),
    Found { link: LinkId, candidate: Option<Candidate> },
    Signalled(Vec<u8>),
    SignallerLost,
    Done { job: JobId, ended: Ended },
    Timeout,
}

/// An [`Outcome`] that owns its bytes.
pub(crate) enum Ended {
    Ok,
    Missing,
    Bytes(Vec<u8>),
    Described(Description),
    Failed(Failure),
}

/// Lives as long as its worker, so that whatever waits for the browser may know it without counting: that is less to download.
pub(crate) struct Host {
    node: RefCell<Node>,
    inbox: RefCell<VecDeque<News>>,
    running: Cell<bool>,
    alarm: OnceCell<Alarm>,
    pub(crate) links: Links,
    pub(crate) store: Store,
    socket: RefCell<Option<Socket>>,
    socket_open: Cell<bool>,
    pub(crate) signaller_url: RefCell<String>,
    fetches: RefCell<Table<JobId, AbortController>>,
    /// `(message, list of objects to give away)`: to the page.
    post: Function,
    /// Whether anything happened since the last look.
    changed: Cell<bool>,
}

impl Host {
    pub(crate) fn new(
        config: Config,
        (seed, me): ([u8; 32], PeerId),
        signaller_url: String,
        store: Store,
        post: Function,
    ) -> &'static Self {
        Box::leak(Box::new(Self {
            node: RefCell::new(Node::new(config, seed, me, now())),
            inbox: RefCell::default(),
            running: Cell::new(false),
            alarm: OnceCell::new(),
            links: Links::default(),
            store,
            socket: RefCell::default(),
            socket_open: Cell::new(false),
            signaller_url: RefCell::new(signaller_url),
            fetches: RefCell::default(),
            post,
            changed: Cell::new(false),
        }))
    }

    fn alarm(&'static self) -> &'static Alarm {
        self.alarm.get_or_init(|| {
            Alarm::new(|| {
                self.alarm().rang();
                self.news(News::Timeout);
            })
        })
    }

    /// Looks at the node between two pieces of news.
    pub(crate) fn with_node<T>(&self, look: impl FnOnce(&Node) -> T) -> T {
        look(&self.node.borrow())
    }

    /// Whether anything but time has passed since the last call.
    pub(crate) fn take_changed(&self) -> bool {
        self.changed.replace(false)
    }

    /// Takes in one piece of news and everything that follows from it at once.
    pub(crate) fn news(&'static self, news: News) {
        self.push(news);
        self.run();
    }

    /// Leaves a piece of news for the next [`Self::run`].
    pub(crate) fn push(&self, news: News) {
        self.inbox.borrow_mut().push_back(news);
    }

    /// Works until nothing is left to do now, then sets the alarm.
    pub(crate) fn run(&'static self) {
        if self.running.replace(true) {
            return;
        }
        loop {
            let next = self.inbox.borrow_mut().pop_front();
            let Some(news) = next else { break };
            self.take_in(news);
            loop {
                // The borrow ends here: carrying out may look at the node.
                let action = self.node.borrow_mut().poll_action();
                let Some(action) = action else { break };
                self.carry_out(action);
            }
            if self.inbox.borrow().is_empty() {
                self.links.report_room(self);
            }
        }
        let now = now();
        self.alarm().set(self.node.borrow().poll_timeout(), now);
        self.alarm().set(Store::look(self, now), now);
        self.running.set(false);
    }

    fn take_in(&self, news: News) {
        if !matches!(news, News::Timeout) {
            self.changed.set(true);
        }
        let mut node = self.node.borrow_mut();
        let mut handle = |input: Input<'_>| node.handle(now(), input);
        match news {
            News::Command(command) => handle(Input::Command(command)),
            News::Linked(link) => handle(Input::Linked { link }),
            News::Received { link, channel, bytes } => {
                handle(Input::Received { link, channel, bytes: &bytes });
            }
            News::Writable { link, channel, buffered } => handle(Input::Writable { link, channel, buffered }),
            News::Unlinked(link) => handle(Input::Unlinked { link }),
            News::Found { link, candidate } => handle(Input::Found { link, candidate }),
            News::Signalled(bytes) => handle(Input::Signalled { bytes: &bytes }),
            News::SignallerLost => handle(Input::SignallerLost),
            News::Done { job, ended } => {
                let outcome = match &ended {
                    Ended::Ok => Outcome::Ok,
                    Ended::Missing => Outcome::Missing,
                    Ended::Bytes(bytes) => Outcome::Bytes(bytes),
                    Ended::Described(description) => Outcome::Described(description.clone()),
                    Ended::Failed(failure) => Outcome::Failed(*failure),
                };
                handle(Input::Done { job, outcome });
            }
            News::Timeout => handle(Input::Timeout),
        }
    }

    fn carry_out(&'static self, action: Action) {
        match action {
            Action::Notify(event) => self.notify(&event),
            Action::Send { link: LinkId::OVERLAY, bytes, .. } => {
                self.tell(Plain::of("overlay").set("bytes", Uint8Array::from(bytes.as_slice())).done());
            }
            Action::Send { link, channel, bytes } => {
                if !self.links.send(self, link, channel, &bytes) {
                    self.unlinked(link);
                }
            }
            Action::Unlink { link } => {
                self.links.close(self, link);
            }
            Action::Signal { bytes } => {
                if let Some(socket) = self.socket.borrow().as_ref() {
                    socket.send(&bytes);
                }
            }
            Action::Start { job, work } => self.start(job, work),
            Action::Abort { job } => {
                if let Some(controller) = self.fetches.borrow_mut().remove(&job) {
                    controller.abort();
                }
            }
        }
    }

    fn start(&'static self, job: JobId, work: Work) {
        match work {
            Work::OpenSignaller => {
                self.socket_open.set(false);
                let socket = Socket::open(self, job, &self.signaller_url.borrow());
                self.socket.replace(socket);
            }
            Work::CloseSignaller => {
                self.socket.replace(None);
                self.push(News::Done { job, ended: Ended::Ok });
            }
            Work::Sign { message } => self.vouch(job, &message, &[], &[]),
            Work::Verify { peer, message, signature } => {
                self.vouch(job, &message, peer.bytes(), &[signature.0, signature.1].concat());
            }
            Work::Exchange => self.vouch(job, &[], &[], &[]),
            Work::Agree { key } => self.vouch(job, &[], &key, &[]),
            Work::Dial { link } => self.links.dial(self, job, link),
            Work::Accept { link, remote } => self.links.accept(self, job, link, &remote),
            Work::Complete { link, remote } => self.links.complete(self, job, link, &remote),
            Work::Candidate { link, candidate } => self.links.candidate(self, job, link, candidate),
            Work::Fetch { url, start, end, total } => self.fetch(job, url, start, end, total),
            Work::Load { .. }
            | Work::Store { .. }
            | Work::Get { .. }
            | Work::Put { .. }
            | Work::Discard { .. }
            | Work::Forget { .. } => Store::begin(self, job, work),
        }
    }

    /// Has the worker do what takes a key: by what is there it sees what is wanted (`www/worker.js`).
    fn vouch(&self, job: JobId, message: &[u8], peer: &[u8], signature: &[u8]) {
        let mut order = Plain::of("key").number("job", job.0);
        for (name, bytes) in [("message", message), ("peer", peer), ("signature", signature)] {
            if !bytes.is_empty() {
                order = order.set(name, Uint8Array::from(bytes));
            }
        }
        self.tell(order.done());
    }

    fn fetch(&'static self, job: JobId, url: String, start: u64, end: u64, total: u64) {
        let Ok(controller) = AbortController::new() else {
            self.push(News::Done { job, ended: Ended::Failed(Failure::Unsupported) });
            return;
        };
        let signal = controller.signal();
        self.fetches.borrow_mut().insert(job, controller);
        let host = self;
        spawn(async move {
            let ended = fetch::range(url, start, end, total, signal).await;
            // An aborted fetch is not in the list any more, and nobody waits for it.
            if host.fetches.borrow_mut().remove(&job).is_some() {
                host.news(News::Done { job, ended });
            }
        });
    }

    /// The socket to the signaller is open.
    pub(crate) fn signaller_open(&'static self, job: JobId) {
        self.socket_open.set(true);
        self.news(News::Done { job, ended: Ended::Ok });
    }

    /// The socket to the signaller closed, or never opened.
    pub(crate) fn signaller_closed(&'static self, job: JobId) {
        self.socket.replace(None);
        if self.socket_open.replace(false) {
            self.news(News::SignallerLost);
        } else {
            self.news(News::Done { job, ended: Ended::Failed(Failure::Network) });
        }
    }

    /// A link ended by itself: it is put away here and in the page, and the node hears of it once.
    pub(crate) fn unlinked(&'static self, link: LinkId) {
        if self.links.close(self, link) {
            self.news(News::Unlinked(link));
        }
    }

    fn notify(&self, event: &Event) {
        match event {
            Event::Bytes { read, bytes } => {
                let data = Uint8Array::from(bytes.as_slice()).buffer();
                let answer = Plain::of("reply").set("id", *read).set("value", &data).done();
                self.tell_giving(&answer, &Array::of1(&data));
            }
            Event::Code { call, code } => {
                let code = Uint8Array::from(code.as_slice());
                self.tell(Plain::of("reply").set("id", *call).set("value", code).done());
            }
            Event::ReadFailed { read } => self.refuse(*read, "read-failed"),
            Event::NoCode { call } => self.refuse(*call, "bad-code"),
            _ => {
                // Numbers first: who hears of an end finds them up to date.
                if matches!(event, Event::Ready { .. } | Event::Done { .. } | Event::Failed { .. }) {
                    self.tell_snapshot();
                }
                let mut message = convert::event(event);
                if let Event::Ready { content } = event {
                    let view = self.with_node(Node::snapshot);
                    message = message.set("list", convert::files(&view, *content));
                }
                self.tell(message.done());
            }
        }
    }

    /// Answers a call of the page's that came to nothing.
    fn refuse(&self, call: u32, code: &str) {
        let error = convert::refusal(code, None);
        self.tell(Plain::of("reply").set("id", call).set("error", error).done());
    }

    /// Sends the page the numbers of now.
    pub(crate) fn tell_snapshot(&self) {
        let view = self.node.borrow().snapshot();
        self.tell(convert::snapshot(&view));
    }

    /// Sends the page a message.
    pub(crate) fn tell(&self, message: JsValue) {
        self.tell_giving(&message, &Array::new());
    }

    /// Sends the page a message and the objects that go with it.
    pub(crate) fn tell_giving(&self, message: &JsValue, given: &Array) {
        // Fails only when the page is gone, and then so are we.
        let _ = self.post.call2(&JsValue::UNDEFINED, message, given);
    }

    /// Ends everything that holds a resource of the browser's.
    pub(crate) fn close(&self) {
        self.socket.replace(None);
        for controller in self.fetches.borrow_mut().drain() {
            controller.abort();
        }
        self.store.close();
    }
}
