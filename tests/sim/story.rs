//! Ready-made worlds, so that a story is a few lines: who is there, what befalls them, what must hold.

use crate::content::Content;
use crate::queue::fork;
use crate::report::Report;
use crate::rtc::SetUp;
use crate::world::{Options, PeerId, PeerSpec, World};
use core::time::Duration;
use std::rc::Rc;

/// 5 Mbit/s: the upload of the goals in theory §1.4.
pub const UP: u64 = 625_000;

/// One or more seeds and many peers that all come at once.
#[derive(Clone, Debug)]
pub struct FlashCrowd {
    /// The seed of the run.
    pub seed: u64,
    /// Peers that want the content.
    pub peers: usize,
    /// Peers that have it.
    pub seeds: usize,
    /// Bytes of the content.
    pub bytes: usize,
    /// Each seed's upload as a multiple of a peer's.
    pub seed_ratio: u64,
    /// A peer's upload in bytes per second.
    pub up: u64,
    /// A peer's download in bytes per second.
    pub down: u64,
    /// How long connections take to come up.
    pub set_up: SetUp,
}

impl Default for FlashCrowd {
    fn default() -> Self {
        Self {
            seed: 1,
            peers: 20,
            seeds: 1,
            bytes: 8 << 20,
            seed_ratio: 1,
            up: UP,
            down: UP * 10,
            set_up: SetUp::Lognormal,
        }
    }
}

impl FlashCrowd {
    /// Builds the world; nothing has happened in it yet. Seeds come first, then the others.
    #[must_use]
    pub fn world(&self) -> World {
        self.world_of(Rc::new(Content::single(self.seed, self.bytes, &[])))
    }

    /// Builds the world around a share of the story's own.
    #[must_use]
    pub fn world_of(&self, content: Rc<Content>) -> World {
        let trace = std::env::var_os("SIM_TRACE").is_some();
        let options = Options { seed: self.seed, set_up: self.set_up, trace, ..Options::default() };
        let mut world = World::new(options, content);
        for index in 0..self.seeds + self.peers {
            let mut spec = self.spec(index);
            if index < self.seeds {
                spec.seed = true;
                spec.up *= self.seed_ratio;
            }
            world.add(spec);
        }
        world
    }

    /// A peer that wants the content, with a round trip of 20 to 150 ms to others.
    #[must_use]
    pub fn spec(&self, index: PeerId) -> PeerSpec {
        let micros = 5_000 + fork(self.seed, 7, index as u64).below(32_500);
        PeerSpec {
            up: self.up,
            down: self.down,
            latency: Duration::from_micros(micros),
            ..PeerSpec::default()
        }
    }

    /// Runs until everybody has everything or `limit` is over, checks, and reports.
    ///
    /// # Panics
    /// When an invariant is broken.
    #[must_use]
    pub fn run(&self, limit: Duration) -> Report {
        let mut world = self.world();
        world.run_until(limit, World::all_done);
        world.check();
        world.report()
    }
}
