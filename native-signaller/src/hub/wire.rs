//! One plain TCP connection: what was read and not used, what is to be written, and how far it has come.

use crate::ws::frame::{self, Assembler, Kind};
use crate::ws::{Close, head};
use core::net::IpAddr;
use mio::net::TcpStream;
use std::io::{self, Write};
use std::net::Shutdown;
use std::time::Instant;
use swarmlet_core::tracker::server::{ConnId, Dialect};

/// Buffers that are kept for the next writer; more are given back to the system.
const POOL_MAX: usize = 256;
/// Buffers above this are not kept.
const POOLED_BYTES_MAX: usize = 16 * 1024;
/// What a new buffer holds.
const BUFFER_BYTES: usize = 2 * 1024;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its request is not whole.
    Head,
    /// A WebSocket.
    Open(Dialect),
    /// What is left to write is written, and nothing read counts any more.
    Closing,
}

/// A connection. All times are whole seconds of the hub's clock.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    /// Where it comes from, or where its proxy says so.
    pub(super) address: IpAddr,
    pub(super) conn: ConnId,
    pub(super) stage: Stage,
    /// When the stage began.
    pub(super) since: u32,
    /// When something last came.
    pub(super) heard: u32,
    /// Since when a frame is not whole.
    pub(super) partial: Option<u32>,
    /// Asked whether it is there, and not heard since.
    pub(super) pinged: bool,
    /// To be flushed.
    pub(super) dirty: bool,
    pub(super) assembler: Assembler,
    /// Read and not used. Empty while nothing is under way, without memory of its own.
    pub(super) unread: Vec<u8>,
    out: Vec<u8>,
    written: u32,
    messages: u32,
    /// When what the first of them follows from was read.
    asked: Option<Instant>,
}

/// Empty buffers.
#[derive(Default)]
pub(super) struct Pool(Vec<Vec<u8>>);

impl Pool {
    fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        if self.0.len() < POOL_MAX && buffer.capacity() <= POOLED_BYTES_MAX {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// How much may wait for a slow reader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) messages: u32,
    pub(super) bytes: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, address: IpAddr, conn: ConnId, now: u32) -> Self {
        Self {
            stream,
            address,
            conn,
            stage: Stage::Head,
            since: now,
            heard: now,
            partial: None,
            pinged: false,
            dirty: false,
            assembler: Assembler::default(),
            unread: Vec::new(),
            out: Vec::new(),
            written: 0,
            messages: 0,
            asked: None,
        }
    }

    /// What waits to be written, to be appended to.
    pub(super) fn out(&mut self, pool: &mut Pool) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = pool.take();
        }
        &mut self.out
    }

    /// Bytes that are not written.
    pub(super) fn waiting(&self) -> usize {
        self.out.len() - self.written as usize
    }

    /// Appends a message that follows from what was `asked` then. Whether there was room for it.
    pub(super) fn push(&mut self, bytes: &[u8], asked: Instant, queue: Queue, pool: &mut Pool) -> bool {
        let Stage::Open(dialect) = self.stage else { return true };
        if self.messages >= queue.messages || self.waiting() + bytes.len() > queue.bytes {
            return false;
        }
        self.messages += 1;
        self.asked = self.asked.or(Some(asked));
        frame::push(self.out(pool), head::kind(dialect), bytes);
        true
    }

    /// Appends a ping or a pong.
    pub(super) fn control(&mut self, kind: Kind, payload: &[u8], pool: &mut Pool) {
        if self.out.len() < BUFFER_BYTES {
            frame::push(self.out(pool), kind, payload);
        }
    }

    /// Appends the end.
    pub(super) fn close(&mut self, close: Option<Close>, now: u32, pool: &mut Pool) {
        if let Some(close) = close {
            frame::push_close(self.out(pool), close);
        }
        (self.stage, self.since) = (Stage::Closing, now);
        (self.unread, self.assembler) = (Vec::new(), Assembler::default());
    }

    /// Writes what can be written. When all of it is, gives back when the first message was asked for.
    pub(super) fn flush(&mut self, pool: &mut Pool) -> io::Result<Option<Instant>> {
        self.dirty = false;
        while let Some(rest) = self.out.get(self.written as usize..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += u32::try_from(count).unwrap_or(0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.out.capacity() > 0 {
            pool.give(core::mem::take(&mut self.out));
        }
        (self.written, self.messages) = (0, 0);
        if self.stage == Stage::Closing {
            // The other side may still be sending; to end the connection now would reset it, and the reset may
            // overtake the close frame.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        Ok(self.asked.take())
    }
}
