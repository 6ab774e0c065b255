//! The overlay beside a native peer's node, which stays: an anchor. It begins when there is need, as in the browser
//! (`www/worker/overlay.js`): the signaller is gone and somebody is linked, or a neighbour's overlay speaks.

use super::host::News;
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};
use swarmlet_core::keys::{self, Key};
use swarmlet_core::overlay::Settings;
use swarmlet_core::overlay::companion::{Action, Companion, Input};
use swarmlet_core::overlay::point::Puzzle;
use swarmlet_core::wire::Signature;
use swarmlet_core::wire::overlay::{Contact, Role};
use swarmlet_core::{ContentId, Event, Instant, PeerId};
use tokio::sync::mpsc;

/// What neighbours say while a place is looked for.
const EARLY_MAX: usize = 64;
/// Tries between two looks whether anybody waits for a place.
const TRIES: u32 = 100_000;

/// The overlay, once it has a place, and what it must know when it begins.
pub(super) struct Beside {
    companion: Option<Companion>,
    me: PeerId,
    seed: [u8; 32],
    news: mpsc::Sender<News>,
    is_looking: bool,
    is_alone: bool,
    links: BTreeSet<PeerId>,
    shares: BTreeSet<ContentId>,
    early: Vec<Vec<u8>>,
}

impl Beside {
    pub(super) const fn new(me: PeerId, seed: [u8; 32], news: mpsc::Sender<News>) -> Self {
        Self {
            companion: None,
            me,
            seed,
            news,
            is_looking: false,
            is_alone: false,
            links: BTreeSet::new(),
            shares: BTreeSet::new(),
            early: Vec::new(),
        }
    }

    /// Something that the node told its application.
    pub(super) fn note(&mut self, now: Instant, event: &Event) {
        match event {
            Event::LinkUp { peer, .. } => {
                self.links.insert(*peer);
                self.handle(now, Input::LinkUp(*peer));
            }
            Event::LinkDown { peer, .. } => {
                self.links.remove(peer);
                self.handle(now, Input::LinkDown(*peer));
            }
            Event::DialFailed { peer, .. } => self.handle(now, Input::DialFailed(*peer)),
            Event::Ready { content } => self.share(now, *content, true),
            Event::SignallerUp => self.is_alone = false,
            Event::SignallerDown { .. } => self.is_alone = true,
            _ => {}
        }
        if self.is_alone && !self.links.is_empty() {
            self.look_for_place();
        }
    }

    /// A share is there, or is not any more.
    pub(super) fn share(&mut self, now: Instant, content: ContentId, is_there: bool) {
        let is_new = if is_there { self.shares.insert(content) } else { self.shares.remove(&content) };
        if is_new {
            self.handle(now, if is_there { Input::Share(content) } else { Input::Unshare(content) });
        }
    }

    /// The node sends its neighbour, the overlay, a frame.
    pub(super) fn frame(&mut self, now: Instant, bytes: Vec<u8>) {
        if self.companion.is_some() {
            return self.handle(now, Input::Frame(&bytes));
        }
        if self.early.len() < EARLY_MAX {
            self.early.push(bytes);
        }
        self.look_for_place();
    }

    /// Pays for a place, on a thread of its own: a second of one core.
    fn look_for_place(&mut self) {
        if self.is_looking {
            return;
        }
        self.is_looking = true;
        let (mut puzzle, news) = (Puzzle::new(self.me, Settings::default().puzzle_bits), self.news.clone());
        tokio::task::spawn_blocking(move || {
            while !news.is_closed() {
                if let Some(contact) = puzzle.work(TRIES) {
                    let _ = news.blocking_send(News::Placed(contact));
                    return;
                }
            }
        });
    }

    /// Begins. The node is to be told of its neighbour then.
    pub(super) fn begin(&mut self, now: Instant, place: Contact) {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let settings = Settings { role: Some(Role::Anchor), ..Settings::default() };
        self.companion = Companion::new(settings, self.seed, place, now, unix_s);
        for peer in self.links.clone() {
            self.handle(now, Input::LinkUp(peer));
        }
        for content in self.shares.clone() {
            self.handle(now, Input::Share(content));
        }
        for bytes in core::mem::take(&mut self.early) {
            self.handle(now, Input::Frame(&bytes));
        }
    }

    pub(super) fn handle(&mut self, now: Instant, input: Input<'_>) {
        if let Some(companion) = &mut self.companion {
            companion.handle(now, input);
        }
    }

    /// Does what the overlay orders, and answers with the next frame for the node.
    pub(super) fn poll(&mut self, now: Instant, key: &Key) -> Option<Vec<u8>> {
        loop {
            match self.companion.as_mut()?.poll_action()? {
                Action::Frame(bytes) => return Some(bytes),
                Action::Sign { job, text } => {
                    if let Some(signature) = Signature::from_bytes(&key.sign(&text)) {
                        self.handle(now, Input::Signed { job, signature });
                    }
                }
                Action::Verify { job, peer, text, signature } => {
                    let good = keys::verify(&peer, &text, &signature);
                    self.handle(now, Input::Verified { job, good });
                }
                // Nobody searches here.
                Action::Notify(_) => {}
            }
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.companion.as_ref().and_then(Companion::poll_timeout)
    }
}
