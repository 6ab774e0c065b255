//! What one node was told, from its first moment on: enough to bring about the same again, for ever, whatever becomes
//! of the simulator. Random worlds write tapes, `tests/simulation/replay.rs` plays those that are kept.

use crate::spec::{PeerId, PeerSpec};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swarmlet_core::config::Incentive;
use swarmlet_core::content::{Magnet, Torrent};
use swarmlet_core::wire::{Candidate, Description};
use swarmlet_core::{
    Action, Channel, Command, Config, Failure, Hash, Input, Instant, JobId, LinkId, Node, Outcome, Root,
    time::micros,
};

/// Orders that a node may give after one input, before something is wrong with it: its links times its windows.
const ORDERS_MAX: usize = 20_000;

/// A node's life.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tape {
    /// The world's seed and the peer's number, to find the story again.
    pub from: (u64, u64),
    seed: [u8; 32],
    peer: [u8; 32],
    limits: (u32, u32, u32, Option<u64>),
    began: u64,
    /// What tapes did not carry at first comes behind them.
    #[serde(skip)]
    rules: Rules,
    /// When it was told what, in microseconds of its own clock.
    pub told: Vec<(u64, Told)>,
}

/// The rest of a node's configuration.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Rules {
    window_leaves_max: u32,
    channel_high_bytes: u32,
    /// Places of the classic rule; 0 and 1 are the others.
    incentive: u8,
}

impl Rules {
    fn of(config: &Config) -> Self {
        let incentive = match config.incentive {
            Incentive::Deficit => 0,
            Incentive::None => 1,
            Incentive::Classic { slots } => slots.max(2),
        };
        let (window_leaves_max, channel_high_bytes) = (config.window_leaves_max, config.channel_high_bytes);
        Self { window_leaves_max, channel_high_bytes, incentive }
    }

    fn apply(self, config: Config) -> Config {
        let incentive = match self.incentive {
            0 => Incentive::Deficit,
            1 => Incentive::None,
            slots => Incentive::Classic { slots },
        };
        let (window_leaves_max, channel_high_bytes) = (self.window_leaves_max, self.channel_high_bytes);
        Config { window_leaves_max, channel_high_bytes, incentive, ..config }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::of(&Config::default())
    }
}

/// One input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Told {
    /// `Command::Seed`: a `.torrent` and the leaf hashes by root.
    Seed(Vec<u8>, Vec<(Root, Vec<Hash>)>),
    /// `Command::Add`: a magnet link and perhaps a `.torrent`.
    Add(String, Option<Vec<u8>>),
    /// `Command::Close`.
    Close,
    /// Another command, which tapes do not carry.
    Other,
    /// `Input::Linked`.
    Linked(u32),
    /// `Input::Received`: link, whether in bulk, message.
    Received(u32, bool, Vec<u8>),
    /// `Input::Writable`: link, whether in bulk, bytes held.
    Writable(u32, bool, u32),
    /// `Input::Unlinked`.
    Unlinked(u32),
    /// `Input::Found`.
    Found(u32, Option<Candidate>),
    /// `Input::Signalled`.
    Signalled(Vec<u8>),
    /// `Input::SignallerLost`.
    SignallerLost,
    /// `Input::Done`.
    Done(u64, Ended),
    /// `Input::Timeout`.
    Timeout,
    /// `Command::Read`: number, file, first byte, bytes, and microseconds until they are needed.
    Read(u32, Root, u64, u32, u64),
    /// `Command::CancelRead`.
    CancelRead(u32),
}

/// One outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ended {
    /// `Outcome::Ok`.
    Ok,
    /// `Outcome::Missing`.
    Missing,
    /// `Outcome::Bytes`.
    Bytes(Vec<u8>),
    /// `Outcome::Described`.
    Described(Description),
    /// `Outcome::Failed`, with `Failure::Network`, `Full`, `Host` or a status.
    Failed(u16),
}

impl Told {
    fn of(input: &Input<'_>) -> Self {
        match input {
            Input::Command(Command::Seed { torrent, leaves }) => {
                Self::Seed(torrent.encode(), leaves.iter().map(|(root, row)| (*root, row.clone())).collect())
            }
            Input::Command(Command::Add { magnet, torrent, .. }) => {
                Self::Add(magnet.to_string(), torrent.as_ref().map(|torrent| torrent.encode()))
            }
            Input::Command(Command::Close) => Self::Close,
            Input::Command(Command::Read { read, root, start, length, within }) => {
                Self::Read(*read, *root, *start, *length, micros(*within))
            }
            Input::Command(Command::CancelRead(read)) => Self::CancelRead(*read),
            Input::Command(_) => Self::Other,
            Input::Linked { link } => Self::Linked(link.0),
            Input::Received { link, channel, bytes } => {
                Self::Received(link.0, *channel == Channel::Bulk, bytes.to_vec())
            }
            Input::Writable { link, channel, buffered } => {
                Self::Writable(link.0, *channel == Channel::Bulk, *buffered)
            }
            Input::Unlinked { link } => Self::Unlinked(link.0),
            Input::Found { link, candidate } => Self::Found(link.0, candidate.clone()),
            Input::Signalled { bytes } => Self::Signalled(bytes.to_vec()),
            Input::SignallerLost => Self::SignallerLost,
            Input::Done { job, outcome } => Self::Done(job.0, Ended::of(outcome)),
            Input::Timeout => Self::Timeout,
        }
    }

    /// The input again; `None` for what tapes do not carry.
    fn input(&self) -> Option<Input<'_>> {
        let channel = |bulk: bool| if bulk { Channel::Bulk } else { Channel::Control };
        Some(match self {
            Self::Seed(torrent, leaves) => {
                let torrent = Box::new(Torrent::parse(torrent).ok()?);
                Input::Command(Command::Seed { torrent, leaves: leaves.iter().cloned().collect() })
            }
            Self::Add(magnet, torrent) => {
                let magnet = Magnet::parse(magnet).ok()?;
                let torrent = torrent.as_ref().and_then(|bytes| Torrent::parse(bytes).ok()).map(Box::new);
                Input::Command(Command::Add { magnet, torrent, select: None, topic: None })
            }
            Self::Close => Input::Command(Command::Close),
            Self::Read(read, root, start, length, within) => {
                let (root, within) = (*root, Duration::from_micros(*within));
                Input::Command(Command::Read { read: *read, root, start: *start, length: *length, within })
            }
            Self::CancelRead(read) => Input::Command(Command::CancelRead(*read)),
            Self::Other => return None,
            Self::Linked(link) => Input::Linked { link: LinkId(*link) },
            Self::Received(link, bulk, bytes) => {
                Input::Received { link: LinkId(*link), channel: channel(*bulk), bytes }
            }
            Self::Writable(link, bulk, buffered) => {
                Input::Writable { link: LinkId(*link), channel: channel(*bulk), buffered: *buffered }
            }
            Self::Unlinked(link) => Input::Unlinked { link: LinkId(*link) },
            Self::Found(link, candidate) => {
                Input::Found { link: LinkId(*link), candidate: candidate.clone() }
            }
            Self::Signalled(bytes) => Input::Signalled { bytes },
            Self::SignallerLost => Input::SignallerLost,
            Self::Done(job, ended) => Input::Done { job: JobId(*job), outcome: ended.outcome() },
            Self::Timeout => Input::Timeout,
        })
    }
}

impl Ended {
    fn of(outcome: &Outcome<'_>) -> Self {
        match outcome {
            Outcome::Ok => Self::Ok,
            Outcome::Missing => Self::Missing,
            Outcome::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Outcome::Described(description) => Self::Described(description.clone()),
            Outcome::Failed(failure) => Self::Failed(match failure {
                Failure::Network => 0,
                Failure::Full => 1,
                Failure::Host => 2,
                Failure::Unsupported => 3,
                Failure::Status(status) => *status,
            }),
        }
    }

    fn outcome(&self) -> Outcome<'_> {
        match self {
            Self::Ok => Outcome::Ok,
            Self::Missing => Outcome::Missing,
            Self::Bytes(bytes) => Outcome::Bytes(bytes),
            Self::Described(description) => Outcome::Described(description.clone()),
            Self::Failed(0) => Outcome::Failed(Failure::Network),
            Self::Failed(1) => Outcome::Failed(Failure::Full),
            Self::Failed(2) => Outcome::Failed(Failure::Host),
            Self::Failed(3) => Outcome::Failed(Failure::Unsupported),
            Self::Failed(status) => Outcome::Failed(Failure::Status(*status)),
        }
    }
}

impl Tape {
    pub(crate) fn begin(
        from: (u64, PeerId),
        seed: [u8; 32],
        peer: [u8; 32],
        spec: &PeerSpec,
        now: Instant,
    ) -> Self {
        let config = &spec.config;
        let limits = (config.links_max, config.links_wanted, config.dials_max, config.upload_rate_max);
        let from = (from.0, from.1 as u64);
        let rules = Rules::of(config);
        Self { from, seed, peer, limits, began: now.micros(), rules, told: Vec::new() }
    }

    pub(crate) fn note(&mut self, now: Instant, input: &Input<'_>) {
        self.told.push((now.micros(), Told::of(input)));
    }

    /// As it is kept.
    ///
    /// # Panics
    /// Never: everything on it can be written.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(&(self, &self.rules)).expect("a tape has only what postcard writes")
    }

    /// Reads a kept one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut tape, rest) = postcard::take_from_bytes::<Self>(bytes).ok()?;
        if !rest.is_empty() {
            tape.rules = postcard::from_bytes(rest).ok()?;
        }
        Some(tape)
    }

    /// Tells a fresh node all of it; returns how many bytes the node sent.
    ///
    /// # Errors
    /// The first limit that the node broke.
    pub fn play(&self) -> Result<u64, String> {
        let (links_max, links_wanted, dials_max, upload_rate_max) = self.limits;
        let config = Config { links_max, links_wanted, dials_max, upload_rate_max, ..Config::default() };
        let config = self.rules.apply(config);
        let began = Instant::from_micros(self.began);
        let mut node = Node::new(config, self.seed, swarmlet_core::PeerId(self.peer), began);
        let mut sent = 0;
        for (number, (at, told)) in self.told.iter().enumerate() {
            let Some(input) = told.input() else { continue };
            node.handle(Instant::from_micros(*at), input);
            let mut orders = 0;
            while let Some(action) = node.poll_action() {
                orders += 1;
                if let Action::Send { bytes, .. } = action {
                    sent += bytes.len() as u64;
                }
            }
            if orders > ORDERS_MAX {
                return Err(format!("input {number}: {orders} orders"));
            }
            if let Some(wrong) = node.audit() {
                return Err(format!("input {number}: {wrong}"));
            }
        }
        Ok(sent)
    }
}

/// Writes down what a peer's nodes are told in the worlds that share it: the latest life of the first world that is over,
/// or of the first in which something went wrong.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Option<Arc<Mutex<Recording>>>);

#[derive(Debug, Default)]
struct Recording {
    peer: Option<PeerId>,
    last: Option<PeerId>,
    running: Option<Tape>,
    kept: Option<Tape>,
    sealed: bool,
}

impl Recorder {
    /// One for a peer; without one it only notes who was told something last.
    #[must_use]
    pub fn of(peer: Option<PeerId>) -> Self {
        Self(Some(Arc::new(Mutex::new(Recording { peer, ..Recording::default() }))))
    }

    /// A node's life begins.
    pub(crate) fn begin(&self, peer: PeerId, begin: impl FnOnce() -> Tape) {
        if let Some(mut recording) = self.open()
            && recording.peer == Some(peer)
        {
            recording.running = Some(begin());
        }
    }

    /// A node is about to be told something.
    pub(crate) fn note(&self, peer: PeerId, now: Instant, input: &Input<'_>) {
        let Some(mut recording) = self.open() else { return };
        recording.last = Some(peer);
        if recording.peer == Some(peer)
            && let Some(tape) = &mut recording.running
        {
            tape.note(now, input);
        }
    }

    /// Something went wrong: this is what is kept.
    pub(crate) fn seal(&self) {
        if let Some(mut recording) = self.open() {
            recording.sealed = true;
            recording.kept = recording.running.take();
        }
    }

    /// A world is over.
    pub(crate) fn end(&self) {
        if let Some(mut recording) = self.open() {
            let tape = recording.running.take();
            recording.kept = recording.kept.take().or(tape);
        }
    }

    /// What was written down; of a world that is not over where there is one, since it ended in a panic.
    #[must_use]
    pub fn take(&self) -> Option<Tape> {
        let mut recording = self.lock()?;
        recording.running.take().or_else(|| recording.kept.take())
    }

    /// Who was told something last before it went wrong.
    #[must_use]
    pub fn last(&self) -> Option<PeerId> {
        self.lock()?.last
    }

    fn open(&self) -> Option<MutexGuard<'_, Recording>> {
        self.lock().filter(|recording| !recording.sealed)
    }

    fn lock(&self) -> Option<MutexGuard<'_, Recording>> {
        self.0.as_ref().map(|recording| recording.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
