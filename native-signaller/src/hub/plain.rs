//! Plain connections: from the first byte to the last.

use super::owner::{ELSEWHERE, FIRST, Owner, SCRATCH_BYTES, id};
use super::wire::{Pool, Stage, Wire};
use super::{Arrival, Place};
use crate::ws::frame::{Incoming, Kind};
use crate::ws::head::{Head, Request};
use crate::ws::{Close, DRIP, IDLE, NOT_BINARY, message_bytes_max};
use crate::{caller, memory};
use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use mio::net::TcpStream;
use mio::{Interest, Token};
use std::io::{self, Read};
use swarmlet_core::tracker::server::{Dialect, ServerInput};

/// The head of a request; beyond, the HTTP server says what is wrong with it.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// A frame that was begun must be whole within this.
const PARTIAL_SECONDS: u32 = 10;
/// How long the other side gets to close, too.
const CLOSING_SECONDS: u32 = 2;

impl Owner {
    pub(super) fn accept(&mut self) {
        self.full = false;
        loop {
            let Some(listener) = &self.listener else { return };
            if self.taken.load(Ordering::Relaxed) >= self.config.socket.connections_max {
                self.full = true;
                return;
            }
            match listener.accept() {
                Ok((stream, address)) => self.welcome(stream, address),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(event = "accept", %error);
                    // Out of descriptors, mostly: accepting again at once would only spin.
                    self.full = true;
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, mut stream: TcpStream, address: SocketAddr) {
        let ip = address.ip().to_canonical();
        if !self.gate.lets_begin(ip) {
            return;
        }
        // Signals are small and somebody waits for each.
        let _ = stream.set_nodelay(true);
        let now = self.second();
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let entry = self.wires.vacant_entry();
        let (at, both) = (entry.key(), Interest::READABLE | Interest::WRITABLE);
        if self.poll.registry().register(&mut stream, Token(at + FIRST), both).is_err() {
            return self.gate.half_open.left(ip);
        }
        let conn = id(serial, u32::try_from(at).unwrap_or(ELSEWHERE));
        entry.insert(Box::new(Wire::new(stream, ip, conn, now)));
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads once; what is left waits for the next round. `to_the_end`: a read that brings little may still be followed by
    /// the end.
    pub(super) fn on_readable(&mut self, at: usize, to_the_end: bool) {
        let mut scratch = core::mem::take(&mut self.scratch);
        let Some(wire) = self.wires.get_mut(at) else { return self.scratch = scratch };
        let more = match wire.stream.read(&mut scratch) {
            Ok(0) => {
                self.gone(at);
                false
            }
            Ok(count) => {
                self.on_bytes(at, scratch.get_mut(..count).unwrap_or(&mut []));
                count == SCRATCH_BYTES || to_the_end
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(_) => {
                self.gone(at);
                false
            }
        };
        if more && self.wires.contains(at) {
            self.again.push(at);
        }
        self.scratch = scratch;
    }

    fn on_bytes(&mut self, at: usize, bytes: &mut [u8]) {
        let now = self.second();
        let Some(wire) = self.wires.get_mut(at) else { return };
        (wire.heard, wire.pinged) = (now, false);
        match wire.stage {
            Stage::Closing => {}
            _ if wire.unread.is_empty() => self.take(at, bytes),
            _ => {
                let mut joined = core::mem::take(&mut wire.unread);
                joined.extend_from_slice(bytes);
                self.take(at, &mut joined);
            }
        }
    }

    /// Takes all that is there of a connection; what is not whole is kept.
    fn take(&mut self, at: usize, bytes: &mut [u8]) {
        let Some(wire) = self.wires.get(at) else { return };
        match wire.stage {
            Stage::Head => self.on_head(at, bytes),
            Stage::Open(dialect) => self.on_frames(at, dialect, bytes),
            Stage::Closing => {}
        }
    }

    fn on_head(&mut self, at: usize, bytes: &mut [u8]) {
        match Head::read(bytes) {
            Head::Partial if bytes.len() < HEAD_BYTES_MAX => {
                if let Some(wire) = self.wires.get_mut(at) {
                    wire.unread = bytes.to_vec();
                }
            }
            Head::Signal(request, length) => {
                if self.on_request(at, &request) {
                    let rest = bytes.get_mut(length..).unwrap_or(&mut []);
                    self.take(at, rest);
                }
            }
            Head::Partial | Head::Other => self.hand_over(at, bytes),
        }
    }

    /// Whether it is a WebSocket now.
    fn on_request(&mut self, at: usize, request: &Request<'_>) -> bool {
        let (now, second) = (self.now(), self.second());
        let Some(wire) = self.wires.get_mut(at) else { return false };
        self.gate.half_open.left(wire.address);
        wire.address = caller::forwarded_for(wire.address, &request.forwarded, &self.config.proxies);
        let address = Some(wire.address);
        let verdict = request.check(&self.config.origins, !self.config.tokens.is_empty());
        let verdict =
            verdict.and_then(|upgrade| self.gate.admits(now, address, &self.server).map(|()| upgrade));
        let origin = request.origin.and_then(|origin| core::str::from_utf8(origin).ok());
        let opened = match verdict {
            Ok(upgrade) => {
                upgrade.push_response(wire.out(&mut self.pool));
                (wire.stage, wire.since) = (Stage::Open(upgrade.dialect), second);
                Some((wire.conn, upgrade.dialect))
            }
            Err(refusal) => {
                wire.out(&mut self.pool).extend_from_slice(&refusal.response());
                wire.close(None, second, &mut self.pool);
                None
            }
        };
        self.mark(at);
        let Some((conn, dialect)) = opened else { return false };
        self.handle(ServerInput::Opened { conn, address, dialect, origin });
        true
    }

    fn hand_over(&mut self, at: usize, bytes: &[u8]) {
        let Some(mut wire) = self.wires.try_remove(at) else { return };
        self.gate.half_open.left(wire.address);
        let _ = self.poll.registry().deregister(&mut wire.stream);
        let stream: std::net::TcpStream = wire.stream.into();
        let place = Place::take(&self.taken);
        self.taken.fetch_sub(1, Ordering::Relaxed);
        let Ok(address) = stream.peer_addr() else { return };
        // The HTTP server is behind by a whole queue: who comes now is better off elsewhere.
        let _ = self.arrivals.try_send(Arrival { stream, bytes: bytes.to_vec(), address, place });
    }

    fn on_frames(&mut self, at: usize, dialect: Dialect, bytes: &mut [u8]) {
        let (now, second) = (self.now(), self.second());
        let Some(wire) = self.wires.get_mut(at) else { return };
        let (server, conn) = (&mut self.server, wire.conn);
        let (mut pong, mut end) = (None, None);
        let fed = wire.assembler.feed(bytes, message_bytes_max(dialect), |incoming| match incoming {
            Incoming::Message { text: true, .. } if dialect == Dialect::Swarmlet => {
                end = Some(NOT_BINARY);
                false
            }
            Incoming::Message { bytes, .. } => {
                server.handle(now, ServerInput::Received { conn, bytes });
                true
            }
            Incoming::Ping(bytes) => {
                // The last one of many is enough (RFC 6455 §5.5.3).
                pong = Some(bytes.to_vec());
                true
            }
            Incoming::Pong => true,
            Incoming::Close(code) => {
                end = Some(Close { code: code.filter(|code| *code >= 1000).unwrap_or(1000), reason: "" });
                false
            }
        });
        if let Some(pong) = pong {
            wire.control(Kind::Pong, &pong, &mut self.pool);
        }
        let end = end.map_or(fed, Err);
        match end {
            Ok(used) => {
                wire.unread = bytes.get(used..).unwrap_or(&[]).to_vec();
                let is_partial = !wire.unread.is_empty() || wire.assembler.is_within();
                wire.partial = if is_partial { wire.partial.or(Some(second)) } else { None };
            }
            Err(close) => {
                // What was said before counts, unless the tracker has closed already.
                self.act();
                self.end(at, close);
                self.server.handle(now, ServerInput::Closed { conn });
            }
        }
        self.mark(at);
        self.act();
    }

    /// Begins the end of a connection.
    pub(super) fn end(&mut self, at: usize, close: Close) {
        let now = self.second();
        let Some(wire) = self.wires.get_mut(at) else { return };
        if matches!(wire.stage, Stage::Open(_)) {
            wire.close(Some(close), now, &mut self.pool);
            self.mark(at);
        }
    }

    /// A connection is no more.
    pub(super) fn gone(&mut self, at: usize) {
        let Some(wire) = self.wires.try_remove(at) else { return };
        self.taken.fetch_sub(1, Ordering::Relaxed);
        match wire.stage {
            Stage::Head => self.gate.half_open.left(wire.address),
            Stage::Open(_) => self.handle(ServerInput::Closed { conn: wire.conn }),
            Stage::Closing => {}
        }
        if self.full {
            self.accept();
        }
    }

    /// Looks at the deadlines of all connections.
    pub(super) fn tick(&mut self) {
        let now = self.second();
        let socket = &self.config.socket;
        let (header, ping, idle) = (socket.header_seconds, socket.ping_seconds, socket.idle_seconds);
        let (mut over, mut late) = (Vec::new(), Vec::new());
        for (at, wire) in &mut self.wires {
            let silent = now.saturating_sub(wire.heard);
            let aged = now.saturating_sub(wire.since);
            match wire.stage {
                Stage::Head if aged > header => over.push(at),
                Stage::Closing if aged > CLOSING_SECONDS => over.push(at),
                Stage::Open(_) if silent >= idle => late.push((at, IDLE)),
                Stage::Open(_) if wire.partial.is_some_and(|since| now - since >= PARTIAL_SECONDS) => {
                    late.push((at, DRIP));
                }
                Stage::Open(_) if silent >= ping && !wire.pinged => {
                    wire.pinged = true;
                    wire.control(Kind::Ping, &[], &mut self.pool);
                    if !wire.dirty {
                        wire.dirty = true;
                        self.dirty.push(at);
                    }
                }
                Stage::Head | Stage::Open(_) | Stage::Closing => {}
            }
        }
        over.into_iter().for_each(|at| self.gone(at));
        for (at, close) in late {
            let Some(conn) = self.wires.get(at).map(|wire| wire.conn) else { continue };
            self.end(at, close);
            self.handle(ServerInput::Closed { conn });
        }
        if self.full {
            self.accept();
        }
        if self.tide.has_ebbed(self.taken.load(Ordering::Relaxed) as usize) {
            self.give_back();
        }
        self.gate.prune(self.now());
        self.ticked = std::time::Instant::now();
    }

    /// Gives back what a crowd has needed. Who has something to read or to write still does.
    fn give_back(&mut self) {
        self.wires.shrink_to_fit();
        self.pool = Pool::default();
        self.dirty.shrink_to_fit();
        self.again.shrink_to_fit();
        memory::give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use prometheus_client::metrics::histogram::Histogram;
    use swarmlet_core::tracker::server::ServerConfig;
    use tokio::sync::mpsc;

    /// Those who came in the moment in which a crowd had left waited for ever for what they had asked for.
    #[test]
    fn who_is_to_be_written_to_when_a_crowd_has_left_still_is() {
        let (queues, histogram) = ((mpsc::channel(1).1, mpsc::channel(1).0), Histogram::new([1.0]));
        let owner = Owner::new(&Config::default(), ServerConfig::default(), [7; 32], None, queues, histogram);
        let (mut owner, _) = owner.expect("an owner of nothing");
        (owner.dirty, owner.again) = (vec![5, 3], vec![4]);
        owner.give_back();
        assert_eq!((owner.dirty, owner.again), (vec![5, 3], vec![4]));
    }
}
