//! The newest bulletin of each live stream: who signs for a site puts it up, pages wait for the next.
//!
//! A bulletin proves itself: it is signed, and its channel is that of the key. So nobody can put up another's, and what is
//! older than what hangs there is refused. Everything is bounded; viewers beyond the bounds have their neighbours and the
//! site's own server.

use super::bulletin::Bulletin;
use crate::seed::Measure;
use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use swarmlet_core::Topic;
use tokio::sync::watch;

/// Streams at the same time, at most 16 KiB each.
const STREAMS_MAX: usize = 256;
/// Who waits, all together: a connection each.
const WAITING_MAX: usize = 8192;
/// Who waits, of one address: an office shares one.
const WAITING_PER_ADDRESS_MAX: usize = 256;
/// A stream may say so often that there is something new. HLS segments take a second or more; there are renditions.
const EVERY: Duration = Duration::from_millis(50);
/// A stream without news for so long, and without anybody who waits, gives its place to others.
const STALE: Duration = Duration::from_secs(600);

/// All streams.
#[derive(Default)]
pub(crate) struct Board {
    streams: Mutex<BTreeMap<Topic, Stream>>,
    waiting: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

struct Stream {
    seen: (u64, u64),
    at: Option<Instant>,
    newest: watch::Sender<Arc<str>>,
}

/// Why a bulletin is not put up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is one as new, or newer.
    Old,
    /// The last one came just now.
    Often,
    /// No room for another stream.
    Full,
}

/// Somebody who waits for bulletins.
pub(crate) struct Waiting {
    newest: watch::Receiver<Arc<str>>,
    begun: bool,
    address: IpAddr,
    all: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

impl Board {
    /// Puts up a bulletin that has proven itself.
    pub(crate) fn put(&self, bulletin: &Bulletin, now: Instant) -> Result<(), Refused> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = place(&mut streams, bulletin.channel, now).ok_or(Refused::Full)?;
        if bulletin.order() <= stream.seen {
            return Err(Refused::Old);
        }
        if stream.at.is_some_and(|at| now.duration_since(at) < EVERY) {
            return Err(Refused::Often);
        }
        (stream.seen, stream.at) = (bulletin.order(), Some(now));
        stream.newest.send_replace(Arc::from(bulletin.text.as_str()));
        Ok(())
    }

    /// Lets somebody wait. `None`: too many do.
    pub(crate) fn wait(&self, channel: Topic, address: IpAddr, now: Instant) -> Option<Waiting> {
        let newest = {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            place(&mut streams, channel, now)?.newest.subscribe()
        };
        let mut all = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.get(&address).copied().unwrap_or(0);
        if count >= WAITING_PER_ADDRESS_MAX || all.values().sum::<usize>() >= WAITING_MAX {
            return None;
        }
        all.insert(address, count + 1);
        drop(all);
        Some(Waiting { newest, begun: false, address, all: Arc::clone(&self.waiting) })
    }

    /// Ends all waiting: the server is about to stop.
    pub(crate) fn close(&self) {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Streams, and who waits.
    fn counts(&self) -> [usize; 2] {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner).len();
        [streams, self.waiting.lock().unwrap_or_else(PoisonError::into_inner).values().sum()]
    }

    /// The same for the metrics.
    pub(crate) fn measures(&self) -> Vec<Measure> {
        let [streams, waiting] = self.counts().map(|count| count as u64);
        let gauge = |name, help, value| Measure { name, help, value, grows: false };
        vec![
            gauge("streams", "Live streams that are told of here", streams),
            gauge("streams_waiting", "Pages that wait for news of one", waiting),
        ]
    }
}

/// The stream of a channel, a new one if there is room.
fn place(streams: &mut BTreeMap<Topic, Stream>, channel: Topic, now: Instant) -> Option<&mut Stream> {
    if !streams.contains_key(&channel) && streams.len() >= STREAMS_MAX {
        streams.retain(|_, stream| {
            stream.newest.receiver_count() > 0 || stream.at.is_some_and(|at| now.duration_since(at) < STALE)
        });
        if streams.len() >= STREAMS_MAX {
            return None;
        }
    }
    Some(streams.entry(channel).or_insert_with(|| Stream {
        seen: (0, 0),
        at: None,
        newest: watch::Sender::new(Arc::from("")),
    }))
}

impl Waiting {
    /// The newest bulletin, then each time the next. `None`: there will be none.
    pub(crate) async fn next(&mut self) -> Option<Arc<str>> {
        loop {
            if core::mem::replace(&mut self.begun, true) {
                self.newest.changed().await.ok()?;
            }
            let text = Arc::clone(&self.newest.borrow_and_update());
            if !text.is_empty() {
                return Some(text);
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn bulletin(channel: u8, stream: u64, seq: u64) -> Bulletin {
        Bulletin { channel: Topic([channel; 32]), key: [0; 32], stream, seq, text: format!("{stream}.{seq}") }
    }

    #[tokio::test]
    async fn who_waits_gets_the_newest_and_what_is_old_is_refused() {
        let (board, mut now) = (Board::default(), Instant::now());
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut early = board.wait(Topic([1; 32]), here, now).unwrap();
        let mut put = |bulletin: &Bulletin| {
            now += EVERY;
            board.put(bulletin, now)
        };
        put(&bulletin(1, 5, 10)).unwrap();
        assert_eq!(early.next().await.as_deref(), Some("5.10"));
        assert_eq!(put(&bulletin(1, 5, 10)), Err(Refused::Old));
        assert_eq!(put(&bulletin(1, 4, 99)), Err(Refused::Old), "an older stream");
        put(&bulletin(1, 5, 11)).unwrap();
        put(&bulletin(1, 6, 1)).unwrap();
        assert_eq!(early.next().await.as_deref(), Some("6.1"), "only the newest counts");
        put(&bulletin(2, 1, 1)).unwrap();
        let mut late = board.wait(Topic([1; 32]), here, Instant::now()).unwrap();
        assert_eq!(late.next().await.as_deref(), Some("6.1"));
        assert_eq!(board.counts(), [2, 2]);
        board.close();
        assert_eq!(late.next().await, None);
        drop((early, late));
        assert_eq!(board.counts(), [0, 0]);
    }

    #[test]
    fn nobody_can_fill_it() {
        let (board, now) = (Board::default(), Instant::now());
        let waits = |at: u32| {
            let address = IpAddr::V4(Ipv4Addr::from_bits(at));
            board.wait(Topic([0; 32]), address, now)
        };
        let office: Vec<_> = (0..WAITING_PER_ADDRESS_MAX + 1).map(|_| waits(1)).collect();
        assert!(office.last().unwrap().is_none() && waits(2).is_some());
        for channel in 1..STREAMS_MAX as u16 + 9 {
            let mut bulletin = bulletin(0, 1, 1);
            bulletin.channel.0[..2].copy_from_slice(&channel.to_le_bytes());
            let put = board.put(&bulletin, now);
            assert_eq!(put.is_ok(), usize::from(channel) < STREAMS_MAX, "{channel}");
        }
        assert_eq!(board.put(&bulletin(9, 1, 1), now + STALE), Ok(()), "old ones made room");
    }

    #[test]
    fn a_stream_that_says_too_much_is_told_so() {
        let (board, now) = (Board::default(), Instant::now());
        board.put(&bulletin(1, 1, 1), now).unwrap();
        assert_eq!(board.put(&bulletin(1, 1, 2), now + EVERY / 2), Err(Refused::Often));
        assert_eq!(board.put(&bulletin(1, 1, 2), now + EVERY), Ok(()));
    }
}
