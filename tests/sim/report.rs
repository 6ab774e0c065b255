//! What a run came to: a line for people, a line of JSON for tables, and a hash that names the whole run.

use crate::world::World;
use core::fmt;
use core::fmt::Write;
use core::time::Duration;

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Peers that wanted the content, and how many have it.
    pub peers: (usize, usize),
    /// Bytes of the content.
    pub bytes: u64,
    /// The bound in seconds, with the median set-up time.
    pub bound: f64,
    /// When half of the peers and when the last had it, in seconds.
    pub times: Option<(f64, f64)>,
    /// Payload bytes that the seeds sent, as copies of the content.
    pub seed_copies: f64,
    /// Bytes on data channels that were no payload, as a share of all.
    pub overhead: f64,
    /// Payload bytes thrown away, as a share of the payload.
    pub wasted: f64,
    /// Peers banned, all nodes together.
    pub banned: u32,
    /// Events.
    pub events: u64,
    /// Hash of all events.
    pub log: u64,
}

impl Report {
    /// The last peer's time as a ratio to the bound.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        self.times.map(|(_, last)| last / self.bound)
    }

    /// One line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let mut out = String::from("{");
        let (wanting, done) = self.peers;
        let _ = write!(out, r#""seed":{},"peers":{wanting},"done":{done},"bytes":{}"#, self.seed, self.bytes);
        let _ = write!(out, r#","bound_s":{:.3}"#, self.bound);
        if let (Some((median, last)), Some(ratio)) = (self.times, self.ratio()) {
            let _ = write!(out, r#","median_s":{median:.3},"last_s":{last:.3},"ratio":{ratio:.4}"#);
        }
        let _ = write!(out, r#","seed_copies":{:.4},"overhead":{:.4}"#, self.seed_copies, self.overhead);
        let _ = write!(out, r#","wasted":{:.4},"banned":{}"#, self.wasted, self.banned);
        let _ = write!(out, r#","events":{},"log":"{:016x}"}}"#, self.events, self.log);
        out
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wanting, done) = self.peers;
        write!(f, "seed {}: {done} of {wanting} peers have {} bytes", self.seed, self.bytes)?;
        if let (Some((median, last)), Some(ratio)) = (self.times, self.ratio()) {
            write!(f, "; median {median:.2} s, last {last:.2} s = {ratio:.3} × {:.2} s", self.bound)?;
        }
        write!(
            f,
            "; seeds sent {:.2} copies, overhead {:.2} %, wasted {:.2} %, {} bans, {} events, log {:016x}",
            self.seed_copies,
            self.overhead * 100.0,
            self.wasted * 100.0,
            self.banned,
            self.events,
            self.log
        )
    }
}

impl World {
    /// What the run came to so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let wanting: Vec<_> = self.peers.iter().filter(|peer| !peer.spec.seed).collect();
        let totals = |pick: fn(&swarmlet_core::snapshot::Totals) -> u64| {
            let nodes = self.peers.iter().filter_map(|peer| peer.node.as_ref());
            nodes.map(|node| pick(&node.snapshot().totals)).sum::<u64>()
        };
        let seeds = self.peers.iter().filter(|peer| peer.spec.seed);
        let seeds_sent: u64 =
            seeds.filter_map(|peer| peer.node.as_ref()).map(|node| node.snapshot().totals.sent).sum();
        let (payload, wasted) = (totals(|totals| totals.from_peers), totals(|totals| totals.wasted));
        let wire = totals(|totals| totals.wire_in);
        let seconds = |span: Duration| span.as_secs_f64();
        Report {
            seed: self.options.seed,
            peers: (wanting.len(), wanting.iter().filter(|peer| peer.done_at.is_some()).count()),
            bytes: self.content.bytes(),
            bound: self.bound(self.options.set_up.median()).total,
            times: self
                .done_times()
                .and_then(|times| Some((seconds(*times.get(times.len() / 2)?), seconds(*times.last()?)))),
            seed_copies: share(seeds_sent, self.content.bytes()),
            overhead: share(wire.saturating_sub(payload + wasted), wire),
            wasted: share(wasted, payload),
            banned: u32::try_from(totals(|totals| u64::from(totals.banned))).unwrap_or(u32::MAX),
            events: self.events,
            log: self.log.hash(),
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
