//! One link: a connection of the `webrtc` crate, its two pre-negotiated channels, and the task that owns them
//! from the first description to the end.
//!
//! Who speaks first: the crate loses a message that comes in the same moment as the end of the SCTP handshake, before
//! its channels are there. That moment is the SCTP client's, which is the DTLS client. So we are the server wherever
//! we can choose, and a server listens first.
//!
//! Invariant: of what was given to a channel, the node is told how much has left whenever little is left, also
//! after a batch that never rose above the mark (docs/ARCHITECTURE.md, "What has come, and when, is said"). The crate knows what was
//! acknowledged, not what has left, see `FLIGHT_BYTES`.

use super::connection::{Connection, Pulse};
use super::host::{Ended, News};
use super::rtc::{Room, done, slot};
use super::stack::Shared;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;
use swarmlet_core::config::CHANNEL_LOW_BYTES;
use swarmlet_core::wire::{Candidate, Role, sdp};
use swarmlet_core::{Channel, Failure, JobId, LinkId};
use tokio::sync::mpsc;
use tokio::time::{self, Instant};
use webrtc::data_channel::DataChannelEvent;

/// Between two looks at a channel that holds more than the mark: the crate tells of the moment too, but only
/// of the bytes that it has cut into packets.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The same while it holds less: only to see whether that leaves at all.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long a channel may hold bytes of which none leaves: a window that stays shut for ever was seen in the
/// field (webrtc-rs PR 887), and the crate sends nothing again, for ever, when the sixth try in a row was lost.
const STUCK_AFTER: Duration = Duration::from_secs(30);
/// Of what is not acknowledged yet, this much has left, as far as anybody can tell: 100 Mbit/s for 80 ms. The node takes
/// what waits in a channel for its own line's; answers that are slow to come (the other side's line is full, or long)
/// would hold up a line that is idle. Measured with eleven peers of 2 Mbit/s: a seed of 8 Mbit/s used 55 % of its line
/// where all that was not acknowledged counted, and 97 % so (docs/NETWORK.md).
const FLIGHT_BYTES: u64 = 1024 * 1024;
/// How long a server listens before it speaks: a client that is there has spoken by then.
const LISTEN: Duration = Duration::from_millis(150);
/// How long what was said last may take to leave when a link is closed.
const FAREWELL: Duration = Duration::from_millis(500);

const CHANNELS: [Channel; 2] = [Channel::Control, Channel::Bulk];

/// How a connection begins.
pub(super) struct Opening {
    pub(super) job: JobId,
    /// The other side's offer and the user fragment in it; without one, ours is made.
    pub(super) offer: Option<(String, String)>,
}

/// What the owner wants of a link. When nobody can order any more, the link is closed.
pub(super) enum Order {
    Complete { job: JobId, sdp: String, ufrag: String, role: Role },
    Candidate { job: JobId, candidate: Candidate },
    Send { channel: Channel, bytes: Vec<u8> },
}

/// Why the task ends.
enum End {
    /// The owner let go of it.
    Closed,
    /// The connection failed, or the other side closed it.
    Lost,
}

/// A link's whole life.
pub(super) async fn run(
    link: LinkId,
    opening: Opening,
    orders: mpsc::UnboundedReceiver<Order>,
    news: mpsc::Sender<News>,
    shared: Arc<Shared>,
) {
    let counters = Arc::clone(&shared.counters);
    let Opening { job, offer } = opening;
    let ufrag = offer.as_ref().map(|(_, ufrag)| ufrag.clone());
    let made = Connection::open(link, offer.map(|(text, _)| text), &shared).await;
    let (connection, description) = match made {
        Ok(made) => made,
        Err(error) => {
            tracing::debug!(event = "connection", link = link.0, %error, "cannot be made");
            return done(&news, job, Ended::Failed(Failure::Host)).await;
        }
    };
    counters.connections.fetch_add(1, Ordering::Relaxed);
    let is_client = description.role == Role::Active;
    done(&news, job, Ended::Described(description)).await;
    let mut pipe = Pipe {
        link,
        is_client,
        speak_at: None,
        connection,
        orders,
        news,
        shared,
        ufrag,
        open: [false; 2],
        tallies: [Tally::default(), Tally::default()],
        held: VecDeque::new(),
        wait_until: None,
    };
    match pipe.drive().await {
        End::Closed => pipe.farewell().await,
        End::Lost => drop(pipe.news.send(News::Unlinked(link)).await),
    }
    pipe.connection.close().await;
    counters.connections.fetch_sub(1, Ordering::Relaxed);
}

struct Pipe {
    link: LinkId,
    connection: Connection,
    orders: mpsc::UnboundedReceiver<Order>,
    news: mpsc::Sender<News>,
    shared: Arc<Shared>,
    /// Of the other side, once it is known.
    ufrag: Option<String>,
    open: [bool; 2],
    /// Of the DTLS session, as the descriptions say.
    is_client: bool,
    /// Both channels are open, and the node is not told yet.
    speak_at: Option<Instant>,
    tallies: [Tally; 2],
    /// What a slower line than there is would still hold, and until when.
    held: VecDeque<(Instant, Channel, Vec<u8>)>,
    /// The download limit: nothing is read from the bulk channel before.
    wait_until: Option<Instant>,
}

/// What went through a channel.
#[derive(Default)]
struct Tally {
    given: u64,
    acked: u64,
    /// What has left, as the owner was told.
    told: u64,
    /// It held more than the mark when it was last looked at.
    above: bool,
    /// Since when nothing has been acknowledged although something is there.
    stuck: Option<Instant>,
}

/// What a look at a channel shows.
#[derive(Debug, PartialEq)]
enum Seen {
    Nothing,
    /// So much has left, and the owner should know.
    Left(u64),
    /// Nothing will ever leave again.
    Stuck,
}

impl Tally {
    /// So many bytes are not acknowledged.
    fn see(&mut self, now: Instant, holds: u64) -> Seen {
        let acked = self.given.saturating_sub(holds);
        if acked > self.acked || holds == 0 {
            self.acked = acked;
            self.stuck = None;
        } else if now - *self.stuck.get_or_insert(now) > STUCK_AFTER {
            return Seen::Stuck;
        }
        let waits = holds.saturating_sub(FLIGHT_BYTES);
        let left = self.given.saturating_sub(waits);
        self.above = waits > u64::from(CHANNEL_LOW_BYTES);
        if self.above || left <= self.told {
            return Seen::Nothing;
        }
        self.told = left;
        Seen::Left(left)
    }
}

impl Pipe {
    async fn drive(&mut self) -> End {
        let mut looks = time::interval(LOOK_EVERY);
        let mut checks = time::interval(CHECK_EVERY);
        for interval in [&mut looks, &mut checks] {
            interval.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        }
        loop {
            let linked = self.open == [true; 2];
            // What comes on one channel before the other is open waits in the crate: the node knows no half links.
            let listen = |channel| linked || !self.open[slot(channel)];
            let above = self.tallies.iter().any(|tally| tally.above);
            let waits = linked && self.tallies.iter().any(|tally| tally.given > tally.acked);
            let line = self.held.front().map(|(due, ..)| *due);
            let reading = self.wait_until.is_none();
            let end = tokio::select! {
                order = self.orders.recv() => match order {
                    None => Some(End::Closed),
                    Some(order) => self.obey(order).await,
                },
                event = self.connection.control.poll(), if listen(Channel::Control) => {
                    self.hear(Channel::Control, event).await
                }
                event = self.connection.bulk.poll(), if listen(Channel::Bulk) && reading => {
                    self.hear(Channel::Bulk, event).await
                }
                pulse = self.connection.pulse.recv() => match pulse {
                    Some(Pulse::Found(candidate)) => {
                        let found = News::Found { link: self.link, candidate };
                        self.news.send(found).await.is_err().then_some(End::Closed)
                    }
                    Some(Pulse::Lost) | None => Some(End::Lost),
                },
                () = sleep_until(self.speak_at), if self.speak_at.is_some() => self.speak().await,
                () = sleep_until(line), if line.is_some() => self.send_held().await,
                () = sleep_until(self.wait_until), if !reading => {
                    self.wait_until = None;
                    None
                }
                _ = looks.tick(), if above => self.look().await,
                _ = checks.tick(), if waits => self.look().await,
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn obey(&mut self, order: Order) -> Option<End> {
        match order {
            Order::Complete { job, sdp, ufrag, role } => {
                self.is_client = role == Role::Passive;
                let taken = self.connection.complete(sdp).await;
                self.ufrag = Some(ufrag);
                self.finish(job, taken).await;
                None
            }
            Order::Candidate { job, candidate } => {
                let taken = match &self.ufrag {
                    Some(ufrag) => self.connection.add(sdp::build_candidate(&candidate, ufrag)).await,
                    None => false,
                };
                self.finish(job, taken).await;
                None
            }
            Order::Send { channel, bytes } => self.send(channel, bytes).await,
        }
    }

    async fn finish(&self, job: JobId, taken: bool) {
        let ended = if taken { Ended::Ok } else { Ended::Failed(Failure::Host) };
        done(&self.news, job, ended).await;
    }

    async fn send(&mut self, channel: Channel, bytes: Vec<u8>) -> Option<End> {
        let Some(line) = &self.shared.line else { return self.give(channel, bytes).await };
        let due = line.take(bytes.len());
        // Messages of a channel keep their order: the line's own time only grows.
        self.held.push_back((due, channel, bytes));
        None
    }

    async fn send_held(&mut self) -> Option<End> {
        let (_, channel, bytes) = self.held.pop_front()?;
        self.give(channel, bytes).await
    }

    /// Gives a message to its channel, and looks at what that holds when no other waits behind it.
    async fn give(&mut self, channel: Channel, bytes: Vec<u8>) -> Option<End> {
        let length = bytes.len() as u64;
        if self.connection.send(channel, bytes).await.is_err() {
            return Some(End::Lost);
        }
        self.tallies[slot(channel)].given += length;
        self.shared.counters.wire_out.fetch_add(length, Ordering::Relaxed);
        if self.orders.is_empty() {
            return self.look().await;
        }
        self.tallies[slot(channel)].above = true;
        None
    }

    /// Looks at what both channels hold, and tells the owner of those that hold little.
    async fn look(&mut self) -> Option<End> {
        let now = Instant::now();
        for channel in CHANNELS {
            let Some(holds) = self.connection.outstanding(channel).await else { return Some(End::Lost) };
            match self.tallies[slot(channel)].see(now, holds) {
                Seen::Nothing => {}
                Seen::Left(left) => {
                    let news = News::Writable { link: self.link, channel, room: Room(left) };
                    if self.news.send(news).await.is_err() {
                        return Some(End::Closed);
                    }
                }
                Seen::Stuck => {
                    self.shared.counters.stuck.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(event = "stuck", link = self.link.0, holds);
                    return Some(End::Lost);
                }
            }
        }
        None
    }

    async fn hear(&mut self, channel: Channel, event: Option<DataChannelEvent>) -> Option<End> {
        match event {
            Some(DataChannelEvent::OnMessage(message)) => {
                if let Some(end) = self.speak().await {
                    return Some(end);
                }
                let bytes = if message.is_string { Vec::new() } else { Vec::from(message.data) };
                self.shared.counters.wire_in.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                if let (Channel::Bulk, Some(limit)) = (channel, &self.shared.download) {
                    self.wait_until = Some(limit.take(bytes.len()));
                }
                let news = News::Received { link: self.link, channel, bytes };
                self.news.send(news).await.is_err().then_some(End::Closed)
            }
            Some(DataChannelEvent::OnOpen) => {
                self.open[slot(channel)] = true;
                if self.open != [true; 2] {
                    return None;
                }
                self.speak_at = Some(Instant::now() + if self.is_client { Duration::ZERO } else { LISTEN });
                None
            }
            Some(DataChannelEvent::OnBufferedAmountLow) => self.look().await,
            Some(DataChannelEvent::OnClose | DataChannelEvent::OnClosing) | None => Some(End::Lost),
            Some(_) => None,
        }
    }

    /// Tells the node that both channels are open, if it does not know.
    async fn speak(&mut self) -> Option<End> {
        self.speak_at.take()?;
        self.news.send(News::Linked(self.link)).await.is_err().then_some(End::Closed)
    }

    /// Lets what was said last go out.
    async fn farewell(&mut self) {
        while let Some((_, channel, bytes)) = self.held.pop_front() {
            let _ = self.connection.send(channel, bytes).await;
        }
        let gone = async {
            while self.connection.outstanding(Channel::Control).await.is_some_and(|holds| holds > 0) {
                time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = time::timeout(FAREWELL, gone).await;
    }
}

/// Sleeps for ever where there is nothing to wait for; such an arm is switched off anyway.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => time::sleep_until(due).await,
        None => core::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_hears_of_what_has_left_and_not_of_what_waits() {
        let (mut tally, now) = (Tally::default(), Instant::now());
        assert_eq!(tally.see(now, 0), Seen::Nothing, "nothing was given");
        tally.given = 65_536;
        assert_eq!(tally.see(now, 65_536), Seen::Left(65_536), "it is on its way");
        assert_eq!(tally.see(now, 1_000), Seen::Nothing, "which was said");
        tally.given = 65_536 + FLIGHT_BYTES + 65_536;
        assert_eq!(tally.see(now, FLIGHT_BYTES + 65_536), Seen::Nothing);
        assert!(tally.above, "a block waits");
        assert_eq!(tally.see(now, FLIGHT_BYTES + 10_000), Seen::Left(tally.given - 10_000), "little does");
        assert!(!tally.above);
        assert_eq!(tally.see(now, 0), Seen::Left(tally.given));
    }

    /// As the crate does after its sixth try in a row: with one byte or many, the link is given up.
    #[test]
    fn what_is_never_acknowledged_ends_the_link_however_little_it_is() {
        for holds in [1, 65_536, 2 * FLIGHT_BYTES] {
            let (mut tally, began) = (Tally { given: 4 * FLIGHT_BYTES, ..Tally::default() }, Instant::now());
            tally.see(began, holds + 1);
            let at = |seconds| began + Duration::from_secs(seconds);
            tally.see(at(20), holds);
            assert_ne!(tally.see(at(31), holds), Seen::Stuck, "something was acknowledged since");
            assert_ne!(tally.see(at(61), holds), Seen::Stuck);
            assert_eq!(tally.see(at(62), holds), Seen::Stuck, "{holds}");
        }
    }
}
