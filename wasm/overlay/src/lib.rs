//! The overlay beside a page's node, as a module of its own: converts types, decides nothing. `www/worker/overlay.js` loads
//! it and carries its orders out. What goes in and out are bytes, since types that the glue knows are more to download.

use swarmlet_core::overlay::anchors;
use swarmlet_core::overlay::companion::{Action, Companion, Input};
use swarmlet_core::overlay::point::Puzzle;
use swarmlet_core::overlay::{Command, Event, Settings};
use swarmlet_core::wire::Signature;
use swarmlet_core::wire::overlay::{Contact, Kind, Role};
use swarmlet_core::{ContentId, Instant, PeerId};
use wasm_bindgen::prelude::wasm_bindgen;

/// One thread, so no lock.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// An overlay that has no place yet, or one that has.
#[wasm_bindgen]
pub struct Overlay {
    puzzle: Puzzle,
    settings: Settings,
    seed: [u8; 32],
    beside: Option<Companion>,
}

#[wasm_bindgen]
impl Overlay {
    /// For the peer with this public key. `seed`: 32 bytes of chance. `leaf`: it never passes anything on.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(me: &[u8], seed: &[u8], leaf: bool) -> Self {
        let settings = Settings { role: leaf.then_some(Role::Leaf), ..Settings::default() };
        let me = PeerId(me.try_into().expect("a public key has 32 bytes"));
        let seed = seed.try_into().expect("overlay.js makes seeds of 32 bytes");
        Self { puzzle: Puzzle::new(me, settings.puzzle_bits), settings, seed, beside: None }
    }

    /// Looks for a place, so many tries. `now`: milliseconds of a clock that does not jump; `unix`: seconds since 1970.
    /// Answers whether there is one.
    pub fn work(&mut self, tries: u32, now: f64, unix: f64) -> bool {
        if let Some(me) = self.puzzle.work(tries) {
            self.begin(me, now, unix);
        }
        self.beside.is_some()
    }

    fn begin(&mut self, me: Contact, now: f64, unix: f64) {
        self.beside = Companion::new(self.settings, self.seed, me, instant(now), unix as u64);
    }

    /// Something happened. `kind`: 0 the node sends a frame, 1 link up, 2 link down, 3 no link came of it (32 bytes: the
    /// peer), 4 share, 5 unshare, 6 unlist (32 bytes: the content), 7 signed (job, 64 bytes), 8 verified (job, whether
    /// it is good), 9 only time has passed. Jobs are four bytes, least significant first.
    pub fn hear(&mut self, now: f64, kind: u8, bytes: &[u8]) {
        let id = || bytes.try_into().ok();
        let input = match kind {
            0 => Some(Input::Frame(bytes)),
            1 => id().map(|id| Input::LinkUp(PeerId(id))),
            2 => id().map(|id| Input::LinkDown(PeerId(id))),
            3 => id().map(|id| Input::DialFailed(PeerId(id))),
            4 => id().map(|id| Input::Share(ContentId(id))),
            5 => id().map(|id| Input::Unshare(ContentId(id))),
            6 => id().map(|id| Input::Command(Command::Unlist { content: ContentId(id) })),
            7 => job(bytes)
                .and_then(|(job, rest)| Some(Input::Signed { job, signature: Signature::from_bytes(rest)? })),
            8 => job(bytes).map(|(job, rest)| Input::Verified { job, good: rest == [1] }),
            _ => Some(Input::Timeout),
        };
        if let (Some(beside), Some(input)) = (&mut self.beside, input) {
            beside.handle(instant(now), input);
        }
    }

    /// Lets everybody find a share.
    pub fn list(&mut self, now: f64, content: &[u8], size: f64, kind: u8, title: String) {
        let kind =
            [Kind::Other, Kind::Audio, Kind::Video, Kind::Image, Kind::Text].get(usize::from(kind)).copied();
        let (Ok(content), Some(beside)) = (content.try_into(), &mut self.beside) else { return };
        let (content, kind) = (ContentId(content), kind.unwrap_or(Kind::Other));
        let list = Command::List { content, size: size as u64, kind, title };
        beside.handle(instant(now), Input::Command(list));
    }

    /// Looks for what others have listed.
    pub fn search(&mut self, now: f64, query: u32, text: String) {
        if let Some(beside) = &mut self.beside {
            beside.handle(instant(now), Input::Command(Command::Search { query, text }));
        }
    }

    /// The next order: one byte says which. 0 tell the node this frame; 1 sign (job, text); 2 verify (job, peer, signature,
    /// text); 3 a listing was found (query, content, publisher, eight bytes of size, kind, title); 4 a search is over
    /// (query).
    pub fn poll(&mut self) -> Option<Vec<u8>> {
        let action = self.beside.as_mut()?.poll_action()?;
        Some(match action {
            Action::Frame(bytes) => [&[0], bytes.as_slice()].concat(),
            Action::Sign { job, text } => [&[1], job.to_le_bytes().as_slice(), &text].concat(),
            Action::Verify { job, peer, text, signature } => {
                let job = job.to_le_bytes();
                [&[2], job.as_slice(), peer.bytes(), &signature.0, &signature.1, &text].concat()
            }
            Action::Notify(Event::Matched { query, listing, .. }) => {
                let (query, size) = (query.to_le_bytes(), listing.size.to_le_bytes());
                let (content, by) = (listing.content.bytes(), listing.by.bytes());
                let (kind, title) = ([listing.kind as u8], listing.title.as_bytes());
                [&[3], query.as_slice(), content, by, &size, &kind, title].concat()
            }
            Action::Notify(Event::Searched { query, .. }) => [&[4], query.to_le_bytes().as_slice()].concat(),
            Action::Notify(_) => vec![u8::MAX],
        })
    }

    /// When something is to be done though nothing happens, in milliseconds.
    #[must_use]
    pub fn due(&self) -> Option<f64> {
        self.beside.as_ref()?.poll_timeout().map(|due| due.micros() as f64 / 1000.0)
    }

    /// Role (0 leaf, 1 router, 2 anchor), neighbours, those of them that pass on, records kept, listings known.
    #[must_use]
    pub fn view(&self) -> Vec<u32> {
        let Some(view) = self.beside.as_ref().map(Companion::snapshot) else { return Vec::new() };
        let counts = [view.links, view.routers, view.records, view.listings];
        core::iter::once(view.role as u32).chain(counts.map(|count| count as u32)).collect()
    }
}

/// Where to go while the signaller is gone.
#[wasm_bindgen]
pub struct Anchors(anchors::Anchors);

#[wasm_bindgen]
impl Anchors {
    /// `list`: the addresses that are remembered, newest first, one a line. `since`: when the signaller went.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(list: &str, home: &str, seed: &[u8], since: f64) -> Self {
        let seed = seed.try_into().expect("anchors.js makes seeds of 32 bytes");
        Self(anchors::Anchors::new(list.lines(), home, seed, instant(since)))
    }

    /// Something happened. `kind`: 0 these shares are there (32 bytes each), 1 up, 2 down, 3 only time has passed.
    pub fn hear(&mut self, now: f64, kind: u8, bytes: &[u8]) {
        let input = match kind {
            0 => anchors::Input::Shares(bytes.as_chunks().0.iter().map(|id| ContentId(*id)).collect()),
            1 => anchors::Input::Up,
            2 => anchors::Input::Down,
            _ => anchors::Input::Timeout,
        };
        self.0.handle(instant(now), input);
    }

    /// The next order: `+` and the address to use, or nothing for the signaller's own; `-` and one to forget.
    pub fn poll(&mut self) -> Option<String> {
        Some(match self.0.poll_action()? {
            anchors::Action::Use(address) => format!("+{}", address.unwrap_or_default()),
            anchors::Action::Forget(address) => format!("-{address}"),
        })
    }

    /// When something is to be done though nothing happens, in milliseconds.
    #[must_use]
    pub fn due(&self) -> Option<f64> {
        self.0.poll_timeout().map(|due| due.micros() as f64 / 1000.0)
    }
}

fn instant(ms: f64) -> Instant {
    Instant::from_micros((ms * 1000.0) as u64)
}

fn job(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (job, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*job), rest))
}
