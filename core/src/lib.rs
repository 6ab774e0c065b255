//! Swarmlet's protocol, whole: every decision that a peer or a tracker takes, and no input or output.
//!
//! | | in: [`Input`] | out: [`Action`] |
//! |---|---|---|
//! | application | `Command` | `Notify` |
//! | network | `Linked` `Received` `Writable` `Unlinked` `Found` `Signalled` `SignallerLost` | `Send` `Unlink` `Signal` |
//! | host work | `Done` | `Start` `Abort` |
//! | time | `now` in every call; `Timeout` | [`Node::poll_timeout`] |
//!
//! A host, in any language, is this loop:
//!
//! ```text
//! node.handle(now, input);
//! while let Some(action) = node.poll_action() { carry it out }
//! arm one timer at node.poll_timeout(), then wait for the next input
//! ```
//!
//! [`tracker::Server`] is the second machine: what a signaller runs, in the same three steps.
//!
//! Reading order: [`input`], [`action`], [`node`], [`keys`], then `link`, `swarm`, [`content`], [`wire`], [`tracker`].
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::std_instead_of_core, clippy::std_instead_of_alloc))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod action;
pub mod config;
pub mod content;
pub mod fault;
mod flow;
pub mod id;
pub mod input;
pub mod keys;
mod link;
mod mesh;
pub mod node;
mod outbox;
#[cfg(feature = "overlay")]
pub mod overlay;
mod rate;
pub mod rng;
pub mod snapshot;
mod swarm;
pub mod time;
pub mod tracker;
pub mod util;
pub mod wire;

/// Insides for the benchmarks; no part of the interface.
#[cfg(feature = "lab")]
#[doc(hidden)]
pub mod lab {
    pub use crate::swarm::lab::Picker;
}

pub use action::{Action, Event, Work};
pub use config::{Config, Incentive};
pub use fault::Fault;
pub use id::{ContentId, Fingerprint, Hash, JobId, LinkId, PeerId, Root, Topic};
pub use input::{Channel, Command, Failure, Input, Outcome};
pub use node::Node;
pub use snapshot::Snapshot;
pub use time::Instant;
