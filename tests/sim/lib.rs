//! The simulator: the very machines that ship, under one virtual clock, one event queue and one seed.
//!
//! A [`World`] hosts any number of `swarmlet_core::Node`s and one `swarmlet_core::tracker::Server` at byte
//! level, and plays everything that is not protocol: data channels over access links, the signaller's
//! sockets, disks, HTTP origins, crashes and lies. The same seed gives the same run, byte for byte; every
//! run is compared with a lower bound ([`bounds`]) that no run may beat.
//!
//! Reading order: [`story`] (how to use it), [`world`], [`host`], [`net`], [`rtc`], [`check`], [`report`].
// A program for machines with an operating system: nothing is gained by naming `alloc`.
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core)]

pub mod body;
pub mod bounds;
pub mod chaos;
pub mod check;
pub mod conduct;
pub mod content;
mod describe;
pub mod disk;
pub mod files;
mod happening;
pub mod host;
mod life;
pub mod net;
pub mod origin;
pub mod overlay;
pub mod queue;
pub mod report;
pub mod rounds;
pub mod rtc;
pub mod signaller;
pub mod spec;
pub mod stories;
pub mod story;
pub mod tape;
#[cfg(target_family = "wasm")]
pub mod wasm;
mod work;
pub mod world;

pub use content::Content;
pub use report::Report;
pub use spec::{Clock, Conduct, Fault, Meddling, Nat, Options, PeerId, PeerSpec};
pub use story::FlashCrowd;
pub use world::World;
