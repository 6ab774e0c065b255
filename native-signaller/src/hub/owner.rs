//! The loop of the hub: wait, take what came, let the tracker decide, write what it said.

use super::gate::Gate;
use super::wire::{Pool, Queue, Stage, Wire};
use super::{Arrival, Counts, Event, Line, Said};
use crate::Config;
use crate::cluster::Orders;
use crate::memory::Tide;
use crate::ws::{Close, SLOW};
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use mio::event::Event as Readiness;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use prometheus_client::metrics::histogram::Histogram;
use slab::Slab;
use std::collections::HashMap;
use std::sync::Arc;
use std::{io, time};
use swarmlet_core::Instant;
use swarmlet_core::tracker::server::{BusOrder, ConnId, Server, ServerAction, ServerConfig, ServerInput};
use tokio::sync::{mpsc, oneshot};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
/// Tokens of connections begin here.
pub(super) const FIRST: usize = 2;

/// What one look at the system may bring. Small, so that answers leave soon.
const EVENTS_EACH: usize = 256;
/// What one read may bring, and so what one connection may say in one round. One of the longest messages: those who flood
/// fill their socket's buffer each time, and all others wait for as long as that takes.
pub(super) const SCRATCH_BYTES: usize = 32 * 1024;
/// Deadlines of connections are looked at this often.
const TICK: Duration = Duration::from_secs(1);
/// Between two looks at the wall clock, by which tokens are judged.
const CLOCK_EVERY: Duration = Duration::from_secs(60);
/// The lower half of a [`ConnId`] is the place of a connection; this one stands for those that are elsewhere.
pub(super) const ELSEWHERE: u32 = u32::MAX;

/// The id of a socket that is elsewhere.
pub(super) const fn line_id(serial: u32) -> ConnId {
    id(serial, ELSEWHERE)
}

pub(super) const fn id(serial: u32, place: u32) -> ConnId {
    ConnId((serial as u64) << 32 | place as u64)
}

const fn place(conn: ConnId) -> u32 {
    (conn.0 & 0xffff_ffff) as u32
}

/// What the thread owns.
pub(super) struct Owner {
    pub(super) server: Server,
    origin: time::Instant,
    pub(super) poll: Poll,
    pub(super) listener: Option<TcpListener>,
    /// New connections wait, because there is no room or because the system refused.
    pub(super) full: bool,
    inbox: mpsc::Receiver<Event>,
    pub(super) arrivals: mpsc::Sender<Arrival>,
    pub(super) gate: Gate,
    pub(super) wires: Slab<Box<Wire>>,
    pub(super) serial: u32,
    /// Of all connections, whoever has them.
    pub(super) taken: Arc<AtomicU32>,
    /// One for each socket elsewhere that the tracker knows.
    lines: HashMap<ConnId, Line>,
    /// Takes orders for other nodes, while there is a way to them.
    pub(super) bus: Option<Orders>,
    /// Those of this round.
    pub(super) orders: Vec<BusOrder>,
    drained: Vec<oneshot::Sender<()>>,
    pub(super) dirty: Vec<usize>,
    /// Have more to read than they were allowed at once.
    pub(super) again: Vec<usize>,
    /// When this round began: all that it has read was read then or later.
    round: time::Instant,
    transit: Histogram,
    pub(super) ticked: time::Instant,
    /// When the tracker was last told the time of day.
    told: time::Instant,
    pub(super) scratch: Vec<u8>,
    pub(super) pool: Pool,
    pub(super) tide: Tide,
    queue: Queue,
    pub(super) config: Config,
    stopped: bool,
    /// The last field: dropping it is the news that all others are gone.
    ended: Option<oneshot::Sender<()>>,
}

impl Owner {
    pub(super) fn new(
        config: &Config,
        rules: ServerConfig,
        seed: [u8; 32],
        listener: Option<std::net::TcpListener>,
        (inbox, arrivals): (mpsc::Receiver<Event>, mpsc::Sender<Arrival>),
        transit: Histogram,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let mut listener = listener.map(TcpListener::from_std);
        if let Some(listener) = &mut listener {
            poll.registry().register(listener, LISTENER, Interest::READABLE)?;
        }
        let (socket, now) = (&config.socket, time::Instant::now());
        let owner = Self {
            server: Server::new(rules, seed, Instant::ZERO),
            origin: now,
            poll,
            listener,
            full: false,
            inbox,
            arrivals,
            gate: Gate::new(socket, seed.map(|byte| !byte)),
            wires: Slab::new(),
            serial: 0,
            taken: Arc::new(AtomicU32::new(0)),
            lines: HashMap::new(),
            bus: None,
            orders: Vec::new(),
            drained: Vec::new(),
            dirty: Vec::new(),
            again: Vec::new(),
            round: now,
            transit,
            ticked: now,
            told: now,
            scratch: vec![0; SCRATCH_BYTES],
            pool: Pool::default(),
            tide: Tide::default(),
            queue: Queue { messages: socket.queue_messages, bytes: socket.queue_bytes as usize },
            config: config.clone(),
            stopped: false,
            ended: None,
        };
        Ok((owner, waker))
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_EACH);
        self.tell_time();
        while !self.stopped {
            match self.poll.poll(&mut events, self.patience()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return tracing::error!(event = "hub", %error),
            }
            self.round = time::Instant::now();
            for event in &events {
                self.on_ready(event);
            }
            for at in core::mem::take(&mut self.again) {
                self.on_readable(at, true);
            }
            if self.server.poll_timeout().is_some_and(|at| at <= self.now()) {
                self.handle(ServerInput::Timeout);
            }
            if self.ticked.elapsed() >= TICK {
                self.tick();
            }
            if self.told.elapsed() >= CLOCK_EVERY {
                self.tell_time();
            }
            self.give_orders();
            self.flush();
            let is_quiet = || self.wires.iter().all(|(_, wire)| wire.stage == Stage::Head);
            if !self.drained.is_empty() && self.lines.is_empty() && is_quiet() {
                // Dropping the other end is the news.
                self.drained.clear();
            }
        }
    }

    /// How long nothing needs to be done.
    fn patience(&self) -> Option<Duration> {
        if !self.again.is_empty() || !self.dirty.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = self.server.poll_timeout().map(|at| at.since(self.now()) + Duration::from_millis(1));
        let is_ticking = !self.wires.is_empty() || self.full || self.tide.is_high();
        let tick = is_ticking.then(|| TICK.saturating_sub(self.ticked.elapsed()));
        let clock = CLOCK_EVERY.saturating_sub(self.told.elapsed());
        due.into_iter().chain(tick).chain([clock]).min()
    }

    pub(super) fn now(&self) -> Instant {
        let micros = self.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// As of the beginning of this round.
    pub(super) fn second(&self) -> u32 {
        u32::try_from(self.round.saturating_duration_since(self.origin).as_secs()).unwrap_or(u32::MAX)
    }

    fn on_ready(&mut self, event: &Readiness) {
        match event.token() {
            LISTENER => self.accept(),
            WAKER => self.on_waked(),
            Token(token) => {
                let at = token - FIRST;
                if event.is_writable() {
                    self.mark(at);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.on_readable(at, event.is_read_closed() || event.is_error());
                }
            }
        }
    }

    fn on_waked(&mut self) {
        loop {
            match self.inbox.try_recv() {
                Ok(event) => self.on_event(event),
                Err(mpsc::error::TryRecvError::Empty) => return,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.stopped = true;
                    return;
                }
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Admit { address, answer } => {
                let verdict = self.gate.admits(self.now(), address, &self.server);
                let _ = answer.send(verdict);
            }
            Event::Opened { conn, address, dialect, origin, line } => {
                self.lines.insert(conn, line);
                self.handle(ServerInput::Opened { conn, address, dialect, origin: origin.as_deref() });
            }
            Event::Received { conn, bytes } => self.handle(ServerInput::Received { conn, bytes: &bytes }),
            Event::Closed { conn } => {
                self.lines.remove(&conn);
                self.handle(ServerInput::Closed { conn });
            }
            Event::Drain { spread, done } => {
                self.drained.push(done);
                self.handle(ServerInput::Drain { spread });
            }
            Event::Configure(both) => {
                let (config, rules) = *both;
                self.gate.configure(&config.socket);
                self.queue = Queue {
                    messages: config.socket.queue_messages,
                    bytes: config.socket.queue_bytes as usize,
                };
                self.config = config;
                self.handle(ServerInput::Configure(Box::new(rules)));
                self.tell_time();
            }
            Event::Bus(news) => self.on_bus(news),
            Event::Count { answer } => drop(answer.send(self.counts())),
            Event::Stop { done } => {
                self.stopped = true;
                self.ended = Some(done);
            }
        }
    }

    fn counts(&self) -> Counts {
        let plain = self.wires.iter().map(|(_, wire)| wire.waiting() as u64);
        let elsewhere = self.lines.values().map(|line| line.waiting.load(Ordering::Relaxed) as u64);
        Counts {
            tracker: self.server.snapshot(),
            queue_bytes: plain.chain(elsewhere).sum(),
            turned_away: self.gate.turned_away,
        }
    }

    /// Clocks are set, and machines sleep.
    fn tell_time(&mut self) {
        self.told = time::Instant::now();
        if let Ok(since) = time::SystemTime::now().duration_since(time::UNIX_EPOCH) {
            self.handle(ServerInput::Clock { unix_s: since.as_secs() });
        }
    }

    /// Gives an input to the tracker and carries out what it says.
    pub(super) fn handle(&mut self, input: ServerInput<'_>) {
        self.server.handle(self.now(), input);
        self.act();
    }

    pub(super) fn act(&mut self) {
        while let Some(action) = self.server.poll_action() {
            match action {
                ServerAction::Send { conn, bytes } => {
                    if !self.send(conn, bytes) {
                        self.close(conn, SLOW);
                        self.server.handle(self.now(), ServerInput::Closed { conn });
                    }
                }
                ServerAction::Close { conn, reason } => self.close(conn, reason.into()),
                ServerAction::Bus(order) => self.orders.push(order),
            }
        }
    }

    /// Whether there was room.
    fn send(&mut self, conn: ConnId, bytes: Vec<u8>) -> bool {
        if let Some(at) = self.find(conn) {
            let Some(wire) = self.wires.get_mut(at) else { return true };
            let has_room = wire.push(&bytes, self.round, self.queue, &mut self.pool);
            self.server.recycle(bytes);
            self.mark(at);
            return has_room;
        }
        let Some(line) = self.lines.get(&conn) else { return true };
        let len = bytes.len();
        if line.waiting.fetch_add(len, Ordering::Relaxed) + len > self.queue.bytes {
            return false;
        }
        let said = Said { bytes: bytes.into(), asked: self.round };
        !matches!(line.messages.try_send(said), Err(mpsc::error::TrySendError::Full(_)))
    }

    fn close(&mut self, conn: ConnId, close: Close) {
        tracing::debug!(event = "close", conn = conn.0, code = close.code, reason = close.reason);
        if let Some(at) = self.find(conn) {
            self.end(at, close);
        } else if let Some(line) = self.lines.remove(&conn) {
            let _ = line.close.send(close);
        }
    }

    /// The place of a plain connection.
    fn find(&self, conn: ConnId) -> Option<usize> {
        let at = usize::try_from(place(conn)).ok()?;
        self.wires.get(at).is_some_and(|wire| wire.conn == conn).then_some(at)
    }

    /// Notes that a connection has something to write.
    pub(super) fn mark(&mut self, at: usize) {
        let Some(wire) = self.wires.get_mut(at) else { return };
        if !wire.dirty {
            wire.dirty = true;
            self.dirty.push(at);
        }
    }

    fn flush(&mut self) {
        let mut dirty = core::mem::take(&mut self.dirty);
        for at in dirty.drain(..) {
            match self.wires.get_mut(at).map(|wire| wire.flush(&mut self.pool)) {
                Some(Ok(Some(asked))) => self.transit.observe(asked.elapsed().as_secs_f64()),
                Some(Ok(None)) | None => {}
                Some(Err(_)) => self.gone(at),
            }
        }
        // What `gone` has marked is for the next round, which follows at once.
        core::mem::swap(&mut self.dirty, &mut dirty);
        self.dirty.append(&mut dirty);
    }
}
