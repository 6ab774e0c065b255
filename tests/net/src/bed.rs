//! The loop: packets from all devices to the lines, what has arrived to the devices, and what is wanted of the bed,
//! line by line on its standard input; it ends when that does.

use crate::line::Micros;
use crate::spaces::Spaces;
use crate::star::{Access, Star, address};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

/// Packets that are taken from one device before the others have their turn.
const TURN: usize = 32;
/// The longest packet on a device, and some more.
const PACKET_BYTES_MAX: usize = 2048;
/// What may be wanted in one line.
const WISH_BYTES_MAX: usize = 64 * 1024;

/// What a bed is made of: the first line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    /// The same losses for the same seed and the same packets.
    #[serde(default)]
    seed: u64,
    nodes: Vec<Access>,
}

/// What is wanted later.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Wish {
    /// Cuts lines for some milliseconds.
    Cut { nodes: Vec<String>, ms: u64 },
    /// Asks for what went through.
    Count {},
}

struct Bed {
    nodes: Vec<Access>,
    star: Star,
    devices: Vec<File>,
    began: Instant,
}

/// Makes the bed that is asked for, and drives it until nobody wants it any more.
///
/// # Errors
/// When a plan or wish makes no sense, or the system does not let us.
pub(crate) fn run() -> io::Result<()> {
    let mut wishes = Wishes::default();
    let Some(plan) = wishes.first()? else { return Ok(()) };
    let plan: Plan = serde_json::from_str(&plan)?;
    let (spaces, devices) = Spaces::make(&plan.nodes)?;
    let star = Star::new(&plan.nodes, plan.seed);
    let mut bed = Bed { nodes: plan.nodes, star, devices, began: Instant::now() };
    let nodes = bed.nodes.iter().enumerate().zip(&spaces.names).map(
        |((number, node), space)| json!({ "name": node.name, "space": space, "address": address(number) }),
    );
    let ready: Vec<_> = nodes.collect();
    say(&json!({ "ready": ready }))?;
    bed.drive(&mut wishes)
}

fn say(value: &serde_json::Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}

impl Bed {
    fn now(&self) -> Micros {
        self.began.elapsed().as_micros() as u64
    }

    fn drive(&mut self, wishes: &mut Wishes) -> io::Result<()> {
        loop {
            let (heard, readable) = self.wait()?;
            self.deliver()?;
            for from in readable {
                self.take_from(from)?;
            }
            self.deliver()?;
            if heard {
                let Some(lines) = wishes.next()? else { return Ok(()) };
                for line in lines {
                    self.grant(&serde_json::from_str(&line)?)?;
                }
            }
        }
    }

    /// Waits for packets, wishes, or the time of the next flight. Whether there are wishes, and where packets are.
    fn wait(&self) -> io::Result<(bool, Vec<usize>)> {
        let stdin = io::stdin();
        let mut fds = vec![PollFd::new(&stdin, PollFlags::IN)];
        fds.extend(self.devices.iter().map(|device| PollFd::new(device, PollFlags::IN)));
        let left = self.star.due().map(|due| {
            let micros = due.saturating_sub(self.now());
            Timespec {
                tv_sec: i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX),
                tv_nsec: (micros % 1_000_000 * 1_000) as i64,
            }
        });
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let heard = ready.next().unwrap_or(false);
        Ok((heard, ready.enumerate().filter(|(_, ready)| *ready).map(|(at, _)| at).collect()))
    }

    fn take_from(&mut self, from: usize) -> io::Result<()> {
        let mut buffer = [0; PACKET_BYTES_MAX];
        for _ in 0..TURN {
            match (&self.devices[from]).read(&mut buffer) {
                Ok(length) => self.star.send(self.now(), from, buffer[..length].to_vec()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn deliver(&mut self) -> io::Result<()> {
        let now = self.now();
        while let Some((to, packet)) = self.star.arrived(now) {
            match (&self.devices[to]).write(&packet) {
                Ok(_) => {}
                // Its namespace takes no more, as a machine does that is too busy.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Other) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn grant(&mut self, wish: &Wish) -> io::Result<()> {
        match wish {
            Wish::Cut { nodes, ms } => {
                let until = self.now() + ms * 1_000;
                for (at, node) in self.nodes.iter().enumerate() {
                    if nodes.contains(&node.name) {
                        self.star.cut(at, until);
                    }
                }
                say(&json!({ "cut": nodes }))
            }
            Wish::Count {} => {
                let counts = self.nodes.iter().zip(self.star.tallies());
                let counts: serde_json::Map<_, _> =
                    counts.map(|(node, tally)| (node.name.clone(), json!(tally))).collect();
                say(&json!({ "micros": self.now(), "count": counts }))
            }
        }
    }
}

/// Lines of the standard input.
#[derive(Default)]
struct Wishes {
    buffer: Vec<u8>,
}

impl Wishes {
    /// Waits for a line.
    fn first(&mut self) -> io::Result<Option<String>> {
        loop {
            match self.next()? {
                None => return Ok(None),
                Some(lines) if lines.is_empty() => {}
                Some(mut lines) => return Ok(Some(lines.swap_remove(0))),
            }
        }
    }

    /// Reads what is there: whole lines, or none yet. `None`: that was all.
    fn next(&mut self) -> io::Result<Option<Vec<String>>> {
        let mut bytes = [0; 4096];
        let read = rustix::io::read(io::stdin(), &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        self.buffer.extend_from_slice(&bytes[..read]);
        let mut lines = Vec::new();
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let rest = self.buffer.split_off(end + 1);
            let line = core::mem::replace(&mut self.buffer, rest);
            lines.push(String::from_utf8_lossy(&line).trim().to_owned());
        }
        if self.buffer.len() > WISH_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(Some(lines))
    }
}
