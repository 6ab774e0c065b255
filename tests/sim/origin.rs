//! HTTP origins: files behind addresses, one outgoing line each; they may die or serve wrong bytes.

use crate::net::transfer_time;
use core::time::Duration;
use std::collections::BTreeMap;
use swarmlet_core::{Instant, Root};

/// One HTTP server.
#[derive(Debug)]
pub struct Origin {
    /// Address → file.
    pub files: BTreeMap<String, Root>,
    /// Bytes per second, all answers together.
    pub rate: u64,
    /// One way, on top of the peer's own.
    pub latency: Duration,
    /// Serves bytes that are not the content.
    pub wrong: bool,
    /// Does not answer any more.
    pub dead: bool,
    /// Body bytes sent.
    pub served: u64,
    free: Instant,
}

impl Origin {
    /// A server at `rate` bytes per second.
    #[must_use]
    pub const fn new(rate: u64) -> Self {
        Self {
            files: BTreeMap::new(),
            rate,
            latency: Duration::from_millis(20),
            wrong: false,
            dead: false,
            served: 0,
            free: Instant::ZERO,
        }
    }

    /// Sends `bytes` for a request that arrives at `at`; returns when the last byte has left.
    pub fn send(&mut self, at: Instant, bytes: u64) -> Instant {
        self.free = self.free.max(at) + transfer_time(bytes, self.rate);
        self.served += bytes;
        self.free
    }
}
