//! What one node was told, from its first moment on: enough to bring about the same again, for ever, whatever becomes
//! of the simulator. Random worlds write tapes, `tests/simulation/replay.rs` plays those that are kept.

use crate::spec::{PeerId, PeerSpec};
use crate::world::World;
use serde::{Deserialize, Serialize};
use swarmlet_core::content::{Magnet, Torrent};
use swarmlet_core::wire::{Candidate, Description};
use swarmlet_core::{
    Action, Channel, Command, Config, Failure, Hash, Input, Instant, JobId, LinkId, Node, Outcome, Root,
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
    /// When it was told what, in microseconds of its own clock.
    pub told: Vec<(u64, Told)>,
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
                Input::Command(Command::Add { magnet, torrent, select: None })
            }
            Self::Close => Input::Command(Command::Close),
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
        Self { from, seed, peer, limits, began: now.micros(), told: Vec::new() }
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
        postcard::to_allocvec(self).expect("a tape has only what postcard writes")
    }

    /// Reads a kept one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }

    /// Tells a fresh node all of it; returns how many bytes the node sent.
    ///
    /// # Errors
    /// The first limit that the node broke.
    pub fn play(&self) -> Result<u64, String> {
        let (links_max, links_wanted, dials_max, upload_rate_max) = self.limits;
        let config = Config { links_max, links_wanted, dials_max, upload_rate_max, ..Config::default() };
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

impl World {
    /// Writes down from now on what a peer's nodes are told; the tape is of its latest life.
    pub fn tape(&mut self, peer: PeerId) {
        self.taped = Some(peer);
    }
}
