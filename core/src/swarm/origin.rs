//! HTTP sources of a share (BEP 19): when to use one, and when to drop it. Pure but for the source's own state.

use crate::action::SourceFailure;
use crate::input::Failure;
use crate::rng::Rng;
use crate::time::{Instant, SECOND};
use alloc::string::String;

/// Failures in a row after which a source counts as unreachable. It is tried on all the same, seldom: servers come back, and
/// there may be nobody else.
const FAILURES_MAX: u32 = 5;
/// The pause after a failure is twice this; doubles up to 512 times.
const BACKOFF: u64 = SECOND / 2;
/// Peers get this long to appear before everything is fetched over HTTP.
const GRACE: u64 = 2 * SECOND;
/// What is needed this soon is fetched over HTTP if no peer was asked for it.
pub(crate) const HEDGE: u64 = 2 * SECOND;
/// What waits at a peer is called back this soon before it is needed: what has not been sent is free for another source.
pub(crate) const RECALL: u64 = HEDGE + SECOND / 2;
/// And what is needed this soon is fetched over HTTP even if it is on its way.
pub(crate) const LATE: u64 = SECOND * 3 / 4;
/// Peers of a swarm that fetch at the same time what no peer has.
pub(crate) const FEW: u64 = 4;
/// How long they do, before lots are drawn anew.
pub(crate) const DUTY: u64 = SECOND;
/// How often is looked whether there is something to fetch.
pub(crate) const LOOK: u64 = SECOND / 10;

/// An answer that has not come after this time, and a second more for so many bytes, is left to peers that have what it is for.
pub(crate) const PATIENCE: u64 = 30 * SECOND;
pub(crate) const SLOW: u64 = 32 * 1024;

/// One base address of a share.
pub(crate) struct Origin {
    pub(crate) base: String,
    pub(crate) busy: u32,
    pub(crate) not_before: Instant,
    failures: u32,
    pub(crate) dropped: bool,
}

/// What decides how much is fetched over HTTP that nobody waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Links to peers of this share.
    pub(crate) peers: u32,
    /// Others can be found.
    pub(crate) searching: bool,
    /// Microseconds since there were sources.
    pub(crate) waited: u64,
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// As much as the configuration allows: there is nobody else.
    Freely,
    /// A few peers fetch what no peer has, a piece at a time, by chance, so that they are different ones to be shared.
    Few,
    /// Nothing.
    Not,
}

/// An HTTP server has a price: its owner pays for every byte.
pub(crate) const fn usage(view: View) -> Usage {
    if view.waited < GRACE && view.searching {
        return Usage::Not;
    }
    if view.peers == 0 { Usage::Freely } else { Usage::Few }
}

/// Who fetches what no peer has: lots decide, so that nobody has to be asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lot {
    /// Ours for good.
    salt: u32,
    /// One in so many.
    crowd: u32,
    /// For now it is ours to fetch anything.
    pub(crate) on_duty: bool,
}

impl Lot {
    /// Draws anew, in a swarm of about so many.
    pub(crate) fn draw(&mut self, crowd: u32, rng: &mut Rng) {
        self.crowd = crowd.max(1);
        if self.salt == 0 {
            self.salt = rng.below(1 << 32) as u32 | 1;
        }
        self.on_duty = rng.below(u64::from(self.crowd)) < FEW;
    }

    /// Whether a certain piece is ours: of all peers it is that of a few.
    pub(crate) const fn falls_on(&self, piece: u32) -> bool {
        // Fibonacci hashing of piece and salt: nobody gains by choosing them.
        let mixed = (piece ^ self.salt).wrapping_mul(0x9E37_79B1);
        let mixed = (mixed ^ (mixed >> 15) ^ self.salt).wrapping_mul(0x85EB_CA6B);
        ((mixed >> 8) as u64 * self.crowd as u64) >> 24 < FEW
    }
}

impl Origin {
    pub(crate) const fn new(base: String) -> Self {
        Self { base, busy: 0, not_before: Instant::ZERO, failures: 0, dropped: false }
    }

    pub(crate) const fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Whether it has answered of late, or has not been asked.
    pub(crate) const fn is_up(&self) -> bool {
        !self.dropped && self.failures < FAILURES_MAX
    }

    /// Notes a failure; `Some` when the source counts as dropped from now on, be it for a while.
    pub(crate) fn failed(&mut self, failure: Failure, now: Instant) -> Option<SourceFailure> {
        let busy = matches!(failure, Failure::Network | Failure::Status(429 | 500..=599));
        // Requests that were under way together are one failure.
        if busy && self.not_before > now {
            return None;
        }
        self.failures += 1;
        self.not_before = now.after(BACKOFF << self.failures.min(9));
        let verdict = match failure {
            _ if busy && self.failures != FAILURES_MAX => return None,
            Failure::Status(status) => SourceFailure::Status(status),
            Failure::Network | Failure::Full | Failure::Unsupported | Failure::Host => {
                SourceFailure::Unreachable
            }
        };
        self.dropped = !busy;
        Some(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_alone_is_used_to_the_full_and_peers_are_given_the_chance_to_share() {
        let alone = View { peers: 0, searching: false, waited: 0 };
        assert_eq!(usage(alone), Usage::Freely);
        let searching = View { searching: true, ..alone };
        assert_eq!(usage(searching), Usage::Not);
        assert_eq!(usage(View { waited: GRACE, ..searching }), Usage::Freely);
        assert_eq!(usage(View { waited: GRACE, peers: 1, ..searching }), Usage::Few);
    }

    #[test]
    fn each_piece_is_the_lot_of_a_few() {
        let mut rng = Rng::new([9; 32]);
        let mut lots = alloc::vec![Lot::default(); 1000];
        lots.iter_mut().for_each(|lot| lot.draw(1000, &mut rng));
        let fetchers = |piece| lots.iter().filter(|lot| lot.falls_on(piece)).count();
        let mean = (0..500).map(fetchers).sum::<usize>() as f64 / 500.0;
        assert!((mean - FEW as f64).abs() < 0.5, "{mean}");
        assert!((0..500).filter(|piece| fetchers(*piece) == 0).count() < 40);
        let mut alone = Lot::default();
        alone.draw(2, &mut rng);
        assert!(alone.on_duty && (0..100).all(|piece| alone.falls_on(piece)));
    }

    #[test]
    fn a_missing_file_drops_the_source_at_once_and_a_busy_server_gets_time() {
        let now = Instant::ZERO;
        let mut origin = Origin::new(String::new());
        assert_eq!(origin.failed(Failure::Status(503), now), None);
        assert!(origin.not_before > now);
        assert_eq!(origin.failed(Failure::Status(404), now), Some(SourceFailure::Status(404)));
        assert!(origin.dropped);
    }

    #[test]
    fn a_server_that_is_away_counts_as_dropped_once_and_is_asked_on_till_it_is_back() {
        let (mut now, mut told) = (Instant::ZERO, 0);
        let mut origin = Origin::new(String::new());
        for failures in 1..30 {
            told += u32::from(origin.failed(Failure::Network, now).is_some());
            assert_eq!(origin.is_up(), failures < FAILURES_MAX);
            assert_eq!(origin.failed(Failure::Network, now), None, "under way at the same time");
            assert!(!origin.dropped && origin.not_before <= now.after(256 * SECOND));
            now = origin.not_before;
        }
        assert_eq!(told, 1);
        origin.succeeded();
        assert!(origin.is_up());
    }
}
