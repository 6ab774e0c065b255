//! Many WebSocket clients in one thread. As lean as the server has to be, so that the server is what is measured.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read, Write};

/// What happened to a client.
pub(super) enum Heard<'a> {
    /// Its WebSocket is open.
    Open,
    /// A message.
    Message(&'a [u8]),
}

/// One client. Dropped: its connection is closed.
struct Client {
    stream: TcpStream,
    open: bool,
    /// Sends what it is told to, and asks for no WebSocket.
    raw: bool,
    /// Reads nothing once its WebSocket is open.
    deaf: bool,
    unread: Vec<u8>,
    out: Vec<u8>,
    written: usize,
}

/// The clients.
pub(super) struct Crowd {
    poll: Poll,
    events: Events,
    /// Each has its part of the clients, in turn.
    addresses: Vec<SocketAddr>,
    request: Vec<u8>,
    /// Clients name addresses from here on, so many the same one.
    proxied: Option<(Ipv4Addr, usize)>,
    clients: Vec<Option<Client>>,
    scratch: Vec<u8>,
    /// Clients whose WebSocket is open.
    pub(super) open: usize,
    /// Connections that the other side ended.
    pub(super) lost: u64,
    /// Why the last of them was.
    pub(super) loss: Option<io::Error>,
}

impl Crowd {
    /// Nobody yet. `protocol`: the sub-protocol that all name.
    pub(super) fn new(addresses: &[SocketAddr], path: &str, protocol: Option<&str>) -> io::Result<Self> {
        let [address, ..] = addresses else { return Err(io::ErrorKind::InvalidInput.into()) };
        let protocol = protocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Origin: http://load.example\r\n{protocol}"
        );
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            addresses: addresses.to_vec(),
            request: request.into_bytes(),
            proxied: None,
            clients: Vec::new(),
            scratch: vec![0; 256 * 1024],
            open: 0,
            lost: 0,
            loss: None,
        })
    }

    /// The same, whose clients seem to come through a proxy: each `each` of them from another address.
    pub(super) fn behind_a_proxy(self, first: Ipv4Addr, each: usize) -> Self {
        Self { proxied: Some((first, each)), ..self }
    }

    /// How many there are, open or not.
    pub(super) fn len(&self) -> usize {
        self.clients.iter().flatten().count()
    }

    /// Begins a connection at a place, in place of the one that is there.
    pub(super) fn connect(&mut self, at: usize) -> io::Result<()> {
        let mut request = self.request.clone();
        if let Some((first, each)) = self.proxied {
            let address = Ipv4Addr::from_bits(first.to_bits().wrapping_add((at / each) as u32));
            request.extend_from_slice(format!("X-Forwarded-For: {address}\r\n").as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        self.begin(at, request)
    }

    /// The same, with one that will not read what is sent to it.
    pub(super) fn connect_deaf(&mut self, at: usize) -> io::Result<()> {
        self.connect(at)?;
        if let Some(client) = &mut self.clients[at] {
            client.deaf = true;
        }
        Ok(())
    }

    /// The same, with one that says nothing by itself.
    pub(super) fn connect_raw(&mut self, at: usize) -> io::Result<()> {
        self.begin(at, Vec::new())?;
        if let Some(client) = &mut self.clients[at] {
            client.raw = true;
        }
        Ok(())
    }

    fn begin(&mut self, at: usize, out: Vec<u8>) -> io::Result<()> {
        self.hang_up(at);
        if self.clients.len() <= at {
            self.clients.resize_with(at + 1, || None);
        }
        let mut stream = TcpStream::connect(self.addresses[at % self.addresses.len()])?;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(at), both)?;
        let _ = stream.set_nodelay(true);
        let (open, raw, deaf) = (false, false, false);
        self.clients[at] = Some(Client { stream, open, raw, deaf, unread: Vec::new(), out, written: 0 });
        Ok(())
    }

    /// Whether there is a connection at a place, open or not.
    pub(super) fn is_connected(&self, at: usize) -> bool {
        self.clients.get(at).is_some_and(Option::is_some)
    }

    /// Whether its WebSocket is open.
    pub(super) fn is_open(&self, at: usize) -> bool {
        self.clients.get(at).and_then(Option::as_ref).is_some_and(|client| client.open)
    }

    /// Whether its WebSocket is open, and all that it was to send has left.
    pub(super) fn has_room(&self, at: usize) -> bool {
        self.clients
            .get(at)
            .and_then(Option::as_ref)
            .is_some_and(|client| client.open && client.out.is_empty())
    }

    /// Sends bytes as they are, frames or not.
    pub(super) fn send_raw(&mut self, at: usize, bytes: &[u8]) {
        self.send(at, |out| out.extend_from_slice(bytes));
    }

    /// Opens what is being opened and notices what was ended, without waiting.
    pub(super) fn turn_deaf(&mut self) -> io::Result<()> {
        self.turn(Duration::ZERO, |_, _, _| {})
    }

    /// Ends a connection.
    pub(super) fn hang_up(&mut self, at: usize) {
        if let Some(client) = self.clients.get_mut(at).and_then(Option::take) {
            self.open -= usize::from(client.open);
        }
    }

    /// Ends all.
    pub(super) fn hang_up_all(&mut self) {
        self.clients.clear();
        self.open = 0;
    }

    /// Sends bytes of frames; what is not open yet sends them behind its request.
    pub(super) fn send(&mut self, at: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else { return };
        write(&mut client.out);
        if (client.open || client.raw)
            && let Err(error) = client.flush()
        {
            self.lose(at, error);
        }
    }

    fn lose(&mut self, at: usize, error: io::Error) {
        self.lost += 1;
        self.loss = Some(error);
        self.hang_up(at);
    }

    /// Waits for events and hands on what was heard. What `on` appends is sent to the same client.
    pub(super) fn turn(
        &mut self,
        patience: Duration,
        mut on: impl FnMut(usize, Heard<'_>, &mut Vec<u8>),
    ) -> io::Result<()> {
        let mut events = core::mem::replace(&mut self.events, Events::with_capacity(0));
        let polled = match self.poll.poll(&mut events, Some(patience)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other,
        };
        for event in &events {
            let at = event.token().0;
            let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else { continue };
            let was_open = client.open;
            let alive = client.advance(&mut self.scratch, |heard, out| on(at, heard, out));
            self.open += usize::from(client.open && !was_open);
            if let Err(error) = alive {
                self.lose(at, error);
            }
        }
        self.events = events;
        polled
    }
}

impl Client {
    fn advance(&mut self, scratch: &mut [u8], mut on: impl FnMut(Heard<'_>, &mut Vec<u8>)) -> io::Result<()> {
        self.flush()?;
        if self.deaf && self.open {
            return Ok(());
        }
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Not connected yet.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => break,
                Err(error) => return Err(error),
            };
            let is_all = count < scratch.len();
            if self.unread.is_empty() {
                let used = self.take(&scratch[..count], &mut on)?;
                self.unread = scratch[used..count].to_vec();
            } else {
                let mut joined = core::mem::take(&mut self.unread);
                joined.extend_from_slice(&scratch[..count]);
                let used = self.take(&joined, &mut on)?;
                self.unread = joined.split_off(used);
            }
            if is_all {
                break;
            }
        }
        self.flush()
    }

    fn take(&mut self, bytes: &[u8], on: &mut impl FnMut(Heard<'_>, &mut Vec<u8>)) -> io::Result<usize> {
        let mut used = 0;
        if !self.open {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(0) };
            if !bytes.starts_with(b"HTTP/1.1 101") {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            (self.open, used) = (true, end + 4);
            on(Heard::Open, &mut self.out);
        }
        while let Some((opcode, payload)) = frame(&bytes[used..]) {
            let whole = used + payload.end;
            let payload = &bytes[used..][payload];
            match opcode {
                1 | 2 => on(Heard::Message(payload), &mut self.out),
                8 => return Err(io::ErrorKind::ConnectionAborted.into()),
                9 => push(&mut self.out, 10, payload),
                _ => {}
            }
            used = whole;
        }
        Ok(used)
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        if self.out.capacity() > 64 * 1024 {
            self.out = Vec::new();
        }
        Ok(())
    }
}

/// A whole frame of a server: its opcode and where its payload is.
fn frame(bytes: &[u8]) -> Option<(u8, core::ops::Range<usize>)> {
    let (head, length) = match bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..4)?.first_chunk()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(*bytes.get(2..10)?.first_chunk()?)).ok()?),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= head + length).then_some((bytes[0] & 0x0f, head..head + length))
}

/// Appends a frame as clients send it. The mask is all zeros: it saves the generator the work, not the server.
pub(super) fn push(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match u16::try_from(payload.len()) {
        Ok(length @ 0..=125) => out.push(0x80 | length.to_be_bytes()[1]),
        Ok(length) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}
