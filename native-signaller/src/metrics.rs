//! Prometheus metrics. Names and labels are a closed set: no label has a value that a client chooses.
//!
//! Nothing here is counted on the way of a message: the tracker counts for itself, and a scrape asks it.

use crate::State;
use crate::hub::{Counts, TURNED_AWAY};
use crate::publish::tally::{Group, Sums};
use crate::seed::Measure;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::SystemTime;
use swarmlet_core::tracker::server::{CloseReason, MESSAGE_KINDS, SIGNAL_KINDS, ServerSnapshot, TokenFault};
use swarmlet_core::wire::Refusal;

/// Of the text that a scrape gets.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Seconds of a handshake: from one trip on a local network to the deadline.
const HANDSHAKE_SECONDS: [f64; 10] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Counters without an example beside them.
type None0 = [(&'static str, &'static str); 0];

/// Of the whole process, since a panic knows no server.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Counts panics from now on; what was done about them before is still done.
pub fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(panic);
    }));
}

/// What the host counts itself.
pub(crate) struct Metrics {
    handshake_seconds: Histogram,
    handshakes_failed: AtomicU64,
    stun: [AtomicU64; 3],
}

/// What became of a STUN packet.
#[derive(Clone, Copy)]
pub(crate) enum Stun {
    /// Answered.
    Answered,
    /// Its address has asked too often.
    Limited,
    /// No binding request.
    Ignored,
}

impl Default for Metrics {
    fn default() -> Self {
        let handshake_seconds = Histogram::new(HANDSHAKE_SECONDS);
        Self { handshake_seconds, handshakes_failed: AtomicU64::default(), stun: Default::default() }
    }
}

impl Metrics {
    /// A TLS handshake has ended.
    pub(crate) fn handshake(&self, seconds: f64, good: bool) {
        self.handshake_seconds.observe(seconds);
        self.handshakes_failed.fetch_add(u64::from(!good), Ordering::Relaxed);
    }

    /// A STUN packet was dealt with.
    pub(crate) fn stun(&self, what: Stun) {
        self.stun[what as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// The text for a scrape.
pub(crate) async fn text(state: &State) -> Option<String> {
    let counts = tokio::time::timeout(Duration::from_secs(1), state.hub.count()).await.ok()??;
    let mut text = String::new();
    let mut registry = Registry::with_prefix("swarm");
    let seconds = state.metrics.handshake_seconds.clone();
    registry.register("ws_handshake_seconds", "TLS handshakes, good or not", seconds);
    let help = "From the read that brought a message to the write of what it brought about";
    registry.register("relay_seconds", help, state.hub.transit());
    registry.register_collector(Box::new(Scrape::new(state, counts)));
    if let Some(peer) = &state.peer {
        registry.sub_registry_with_prefix("peer").register_collector(Box::new(Inside(peer.measures().await)));
    }
    registry.sub_registry_with_prefix("site").register_collector(Box::new(Sites(state.tally.sums())));
    registry.sub_registry_with_prefix("site").register_collector(Box::new(Inside(state.board.measures())));
    registry
        .sub_registry_with_prefix("site")
        .register_collector(Box::new(Inside(state.witnesses.measures())));
    encode(&mut text, &registry).ok()?;
    let mut process = Registry::with_prefix("process");
    process.register_collector(Box::new(Process));
    // One end for both.
    text.truncate(text.trim_end_matches("# EOF\n").len());
    encode(&mut text, &process).ok()?;
    Some(text)
}

/// Seconds until the certificate ends, where there is one.
pub(crate) fn certificate_seconds(state: &State) -> Option<i64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    state.certificate.as_ref().map(|shown| shown.expires_s().saturating_sub(now))
}

/// Everything at one moment.
#[derive(Debug)]
struct Scrape {
    counts: ServerSnapshot,
    hub: Counts,
    certificate_seconds: Option<i64>,
    handshakes_failed: u64,
    stun: [u64; 3],
    /// What the host could not carry to other nodes, and connections made for it.
    bus: [u64; 2],
}

impl Scrape {
    fn new(state: &State, hub: Counts) -> Self {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let [answered, limited, ignored] = &state.metrics.stun;
        Self {
            counts: hub.tracker,
            hub,
            certificate_seconds: certificate_seconds(state),
            handshakes_failed: load(&state.metrics.handshakes_failed),
            stun: [load(answered), load(limited), load(ignored)],
            bus: state.bus.as_ref().map_or([0; 2], |bus| [bus.dropped(), bus.connects()]),
        }
    }
}

/// One metric after the other.
struct Lines<'a>(DescriptorEncoder<'a>);

impl Lines<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<None0, u64, f64>(&value, None)
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = ([(&'static str, &'static str); N], u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_counter::<None0, u64, f64>(&value, None)?;
        }
        Ok(())
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut lines = Lines(encoder);
        self.sockets(&mut lines)?;
        self.tracker(&mut lines)?;
        self.bus(&mut lines)?;
        self.host(&mut lines)
    }
}

impl Scrape {
    fn sockets(&self, lines: &mut Lines<'_>) -> fmt::Result {
        let c = &self.counts;
        lines.gauge("ws_connections", "WebSockets", c.connections.into())?;
        let refused = c.closes[CloseReason::Full as usize];
        let accepts =
            [([("result", "ok")], c.opened.saturating_sub(refused)), ([("result", "full")], refused)];
        let away = TURNED_AWAY.iter().zip(self.hub.turned_away).map(|(why, n)| ([("result", *why)], n));
        lines.counters("ws_accepts", "WebSockets that came", accepts.into_iter().chain(away))?;
        #[expect(clippy::cast_precision_loss, reason = "what waits fits in memory")]
        lines.gauge("ws_outbound_queue_bytes", "What waits for slow readers", self.hub.queue_bytes as f64)?;
        let lost = ([("code_class", "client"), ("reason", "gone")], c.lost);
        let closes = CloseReason::ALL.into_iter().map(|reason| {
            let class = if reason == CloseReason::Replaced { "4xxx" } else { "1xxx" };
            ([("code_class", class), ("reason", reason.name())], c.closes[reason as usize])
        });
        lines.counters("ws_closes", "WebSockets that ended", closes.chain([lost]))?;
        let read =
            MESSAGE_KINDS.iter().zip(c.messages).map(|(kind, n)| ([("dir", "in"), ("type", *kind)], n));
        let sent = ([("dir", "out"), ("type", "all")], c.messages_out);
        lines.counters("ws_messages", "Messages", read.chain([sent]))?;
        let bytes = [([("dir", "in")], c.bytes_in), ([("dir", "out")], c.bytes_out)];
        lines.counters("ws_bytes", "Bytes of messages", bytes.into_iter())?;
        let errors = [([("type", "message")], c.messages[MESSAGE_KINDS.len() - 1])];
        lines.counters("decode_errors", "Messages that were none, or too many", errors.into_iter())
    }

    fn tracker(&self, lines: &mut Lines<'_>) -> fmt::Result {
        let c = &self.counts;
        lines.gauge("tracker_swarms", "Swarms with a member", c.swarms.into())?;
        let mut peers = lines.0.encode_descriptor("tracker_peers", "Peers", None, MetricType::Gauge)?;
        for (state, value) in [("proven", c.peers), ("member", c.memberships)] {
            peers.encode_family(&[("state", state)])?.encode_gauge(&f64::from(value))?;
        }
        let passed = SIGNAL_KINDS.iter().zip(c.relays);
        let passed = passed.map(|(kind, n)| ([("kind", *kind), ("result", "passed")], n));
        let refused = ([("kind", "any"), ("result", "refused")], c.refusals[Refusal::Relay as usize]);
        lines.counters("relay", "Signals", passed.chain([refused]))?;
        let dropped = [([("reason", "address")], c.candidates_dropped)];
        lines.counters("candidates_dropped", "Candidates not passed on", dropped.into_iter())?;
        let limits = Refusal::ALL.into_iter().map(|r| ([("limit", r.name())], c.refusals[r as usize]));
        let limits = limits.chain([([("limit", "peers")], c.unnamed)]);
        lines.counters("limit_hits", "Requests refused", limits)?;
        let faults =
            TokenFault::ALL.into_iter().map(|f| ([("reason", f.name())], c.token_faults[f as usize]));
        lines.counters("auth_failures", "Tokens that were not good", faults)?;
        let evictions = [([("reason", "network")], c.evictions)];
        lines.counters("tracker_evictions", "Closed to make room for others", evictions.into_iter())?;
        let [half_open, _, opens] = self.hub.turned_away;
        let full = c.closes[CloseReason::Full as usize];
        let shed = [("connection", full), ("half_open", half_open), ("opens", opens)];
        let shed = shed.map(|(class, n)| ([("class", class)], n));
        lines.counters("shed", "Turned away for want of room", shed.into_iter())
    }

    /// Between nodes, where this is one of several.
    fn bus(&self, lines: &mut Lines<'_>) -> fmt::Result {
        let Some(bus) = self.counts.bus else { return Ok(()) };
        let [dropped, connects] = self.bus;
        lines.gauge("bus_up", "1: other nodes can be reached", f64::from(u8::from(bus.up)))?;
        lines.gauge("bus_nodes", "Other nodes that live", bus.nodes.into())?;
        #[expect(clippy::cast_precision_loss, reason = "a span of seconds fits")]
        let lag = bus.lag_us as f64 / 1e6;
        lines.gauge("bus_lag_seconds", "From this node and back to it", lag)?;
        let messages = [
            ([("dir", "out"), ("result", "ok")], bus.said),
            ([("dir", "in"), ("result", "ok")], bus.heard.saturating_sub(bus.refused)),
            ([("dir", "in"), ("result", "refused")], bus.refused),
        ];
        lines.counters("bus_messages", "Messages and digests of nodes", messages.into_iter())?;
        lines.counter("bus_dropped", "Messages and digests that found no room", dropped)?;
        lines.counter("bus_late", "Answers given before other nodes were heard", bus.late)?;
        lines.counter("bus_connects", "Connections made to the bus", connects)
    }

    fn host(&self, lines: &mut Lines<'_>) -> fmt::Result {
        let commit = option_env!("SWARMLET_COMMIT").unwrap_or("unknown");
        let version = [("version", env!("CARGO_PKG_VERSION")), ("commit", commit)];
        let mut build = lines.0.encode_descriptor("build_info", "This program", None, MetricType::Gauge)?;
        build.encode_family(&version)?.encode_gauge(&1.0)?;
        lines.gauge("draining", "1: about to stop", f64::from(u8::from(self.counts.draining)))?;
        lines.counter("task_panics", "Panics", PANICS.load(Ordering::Relaxed))?;
        lines.counter("tls_failures", "TLS handshakes that failed", self.handshakes_failed)?;
        let stun = ["answered", "limited", "ignored"].into_iter().zip(self.stun);
        lines.counters("stun_packets", "STUN packets", stun.map(|(result, n)| ([("result", result)], n)))?;
        #[expect(clippy::cast_precision_loss, reason = "a span of years fits")]
        match self.certificate_seconds {
            Some(left) => lines.gauge("tls_cert_expiry_seconds", "Until the certificate ends", left as f64),
            None => Ok(()),
        }
    }
}

/// What the peer inside the server counts.
#[derive(Debug)]
struct Inside(Vec<Measure>);

impl Collector for Inside {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut lines = Lines(encoder);
        for Measure { name, help, value, grows } in &self.0 {
            #[expect(clippy::cast_precision_loss, reason = "rounded above 2^53 bytes")]
            match grows {
                true => lines.counter(name, help, *value)?,
                false => lines.gauge(name, help, *value as f64)?,
            }
        }
        Ok(())
    }
}

/// What visitors' pages said.
#[derive(Debug)]
struct Sites(([Sums; 3], u64));

impl Collector for Sites {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut lines = Lines(encoder);
        let (groups, dropped) = &self.0;
        let groups = || Group::ALL.into_iter().zip(groups).map(|((_, name), sums)| (name, sums));
        let of = |what: fn(&Sums) -> u64| groups().map(move |(name, sums)| ([("group", name)], what(sums)));
        lines.counters("visits", "Visits that were told of", of(|sums| sums.visits))?;
        lines.counters("load_milliseconds", "Until their pages were loaded", of(|sums| sums.load_ms))?;
        lines.counters("given_bytes", "Bytes that visitors gave", of(|sums| sums.sent))?;
        lines.counters("stalls", "Films that stood still", of(|sums| sums.stalls))?;
        lines.counters("stall_milliseconds", "For how long", of(|sums| sums.stall_ms))?;
        let sources = ["peers", "origin", "store"];
        let bytes = groups().flat_map(|(name, sums)| {
            let labels = sources.map(|source| [("group", name), ("source", source)]);
            labels.into_iter().zip(sums.bytes)
        });
        lines.counters("bytes", "Bytes that visitors took", bytes)?;
        let results = ["up", "failed"];
        let links = groups().flat_map(|(name, sums)| {
            let labels = results.map(|result| [("group", name), ("result", result)]);
            labels.into_iter().zip(sums.links)
        });
        lines.counters("links", "Links between visitors", links)?;
        lines.counter("reports_dropped", "Reports that were not counted", *dropped)
    }
}

/// What the system knows of this process, where it tells.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut lines = Lines(encoder);
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let status = read("status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        if let Some(kib) = field("VmRSS:") {
            lines.gauge("resident_memory_bytes", "Memory in use", kib * 1024.0)?;
        }
        if let Some(threads) = field("Threads:") {
            lines.gauge("threads", "Threads", threads)?;
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            let open = u32::try_from(open.count()).unwrap_or(u32::MAX);
            lines.gauge("open_fds", "Open files and sockets", open.into())?;
        }
        let limits = read("limits");
        let most = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        if let Some(most) = most.and_then(|line| line.split_whitespace().next()?.parse().ok()) {
            lines.gauge("max_fds", "Files and sockets that may be open", most)?;
        }
        let Some(seconds) = cpu_seconds(&read("stat")) else { return Ok(()) };
        let mut metric =
            lines.0.encode_descriptor("cpu_seconds", "Time at work", None, MetricType::Counter)?;
        metric.encode_counter::<None0, f64, f64>(&seconds, None)
    }
}

/// User and system time. Linux counts them in hundredths of a second (`USER_HZ`).
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name of the program is in brackets and may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
