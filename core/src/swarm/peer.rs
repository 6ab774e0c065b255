//! What we know of the peer at the other end of a link: what it wants and has, what we asked it for, what it
//! asked us for. Plain state with small verbs; decisions are elsewhere.

use super::picker;
use super::score::Score;
use super::spread::Shown;
use crate::config::{BLOCK_LEAVES_MAX, LEAF_BYTES};
use crate::content::Bitfield;
use crate::flow::{Flow, Window};
use crate::id::{ContentId, LinkId, Root, Topic};
use crate::rate::Rate;
use crate::time::{Instant, SECOND};
use crate::util::{Map, Set};
use crate::wire::Span;
use alloc::vec::Vec;

/// Files that a peer may want at the same time.
pub(crate) const WANTS_MAX: usize = 20_000;
/// Requests that were given up or cancelled and may still be answered.
const LATE_MAX: usize = 1024;
/// A link over which nothing came for this long is of no use, for the time being.
const USELESS_AFTER: u64 = 8 * SECOND;
/// A source that owes us something and sends nothing for this long is snubbing us.
const SNUB_AFTER: u64 = 8 * SECOND;

/// A peer, as one swarm sees it.
pub(crate) struct Peer {
    /// The swarms that both of us are in.
    pub(crate) topics: Set<Topic>,
    /// When news of it are looked at again.
    pub(crate) news_at: Instant,
    /// What it wants to hear of.
    pub(crate) wants: Set<Root>,
    /// What we told it that we want.
    pub(crate) told: Set<Root>,
    /// What it has of files that we know.
    pub(crate) has: Map<Root, Bitfield>,
    /// What we asked it for and have not got, by first leaf: roots are compared only where these are the same.
    asked: Map<(u32, Root), Asked>,
    asked_leaves: u32,
    late: Set<(u32, Root)>,
    /// What it asked us for, in its order.
    pub(crate) queue: Vec<Wish>,
    pub(crate) queued_leaves: u32,
    /// Bytes that are being loaded for it.
    pub(crate) loading: u64,
    /// When it last gave us something verified, and when we last gave it something; at first when it came.
    pub(crate) fed: Instant,
    pub(crate) served: Instant,
    /// Verified bytes it gave us.
    pub(crate) received: u64,
    /// Bytes we gave it.
    pub(crate) sent: u64,
    pub(crate) down: Rate,
    /// When it last sent what we asked for, or when we began to ask.
    pub(crate) progress: Instant,
    /// Its rate at that time. A silent source's rate decays, and its deadline must not grow with its silence.
    pub(crate) pace: u64,
    pub(crate) snubs: u32,
    /// Until then it is asked only for what nobody else has.
    shunned_until: Instant,
    /// Leaves that may be asked of it at the same time.
    pub(crate) window: u32,
    /// What prompt answers have earned it, in leaves.
    earned: Window,
    /// Leaves it has sent, wanted or not, and how many of these it knows to have come.
    pub(crate) taken: u64,
    pub(crate) told_taken: u64,
    /// What we send it.
    pub(crate) flow: Flow,
    /// Pieces that it got from us first, while nobody else had them, and that nobody else has shown since.
    pub(crate) unspread: u32,
    /// Something that it got from us first was seen to be got from it.
    pub(crate) spread: bool,
    /// The piece after the one that it was last asked to begin.
    pub(crate) next: (Root, u32),
    /// What we showed it of files that are scarce.
    pub(crate) shown: Map<Root, Shown>,
    /// Its round trip in microseconds; 0 while unknown.
    pub(crate) rtt: u64,
    /// What it is worth to us.
    pub(crate) score: Score,
    /// There was nothing to ask it for, and nothing has changed since.
    pub(crate) idle: bool,
    /// It said that it does not have these.
    pub(crate) no_info: Set<ContentId>,
    /// It said that it does not have these hashes.
    pub(crate) no_hashes: Set<Root>,
}

/// A run of leaves that we asked for.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) count: u8,
    pub(crate) proof: bool,
    pub(crate) at: Instant,
    /// We would rather have it from somebody else, if it has not been sent: from a link that has nothing else for us,
    /// or from a web server.
    pub(crate) called_back: Option<Heir>,
    /// It was asked for before and cancelled, and there was no answer to that yet.
    recalled: bool,
}

/// For whom a run is called back; `None`: whoever comes first.
pub(crate) type Heir = Option<LinkId>;

/// A run of leaves that we were asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) root: Root,
    pub(crate) span: Span,
}

impl Peer {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            topics: Set::new(),
            news_at: Instant::ZERO,
            wants: Set::new(),
            told: Set::new(),
            has: Map::new(),
            asked: Map::new(),
            asked_leaves: 0,
            late: Set::new(),
            queue: Vec::new(),
            queued_leaves: 0,
            loading: 0,
            fed: now,
            served: now,
            received: 0,
            sent: 0,
            down: Rate::default(),
            progress: now,
            pace: 0,
            snubs: 0,
            shunned_until: now,
            window: 2 * BLOCK_LEAVES_MAX,
            earned: Window::new(0, 1024),
            taken: 0,
            told_taken: 0,
            flow: Flow::new(now),
            unspread: 0,
            spread: false,
            next: (Root([0; 32]), 0),
            shown: Map::new(),
            rtt: 0,
            score: Score::new(now),
            idle: false,
            no_info: Set::new(),
            no_hashes: Set::new(),
        }
    }

    /// It was silent: others are asked first, for longer each time. Not for ever, or nobody would be asked where
    /// everybody was silent once.
    pub(crate) fn snub(&mut self, now: Instant) {
        self.snubs += 1;
        self.score.broke(now);
        self.shunned_until = now.after(SNUB_AFTER << self.snubs.min(4));
    }

    /// Whether others are asked first.
    pub(crate) fn is_shunned(&self, now: Instant) -> bool {
        self.snubs > 0 && now < self.shunned_until
    }

    /// Whether it gave us anything of late or, when we are `complete`, took anything. A new one is given time.
    pub(crate) fn is_useful(&self, complete: bool, now: Instant) -> bool {
        let last = if complete { self.served } else { self.fed };
        now.passed(last) < USELESS_AFTER
    }

    /// Works out anew how much it may be asked for.
    pub(crate) fn widen(&mut self, most: u32) {
        let most = if self.snubs > 0 { BLOCK_LEAVES_MAX } else { most };
        let proven = self.received / u64::from(LEAF_BYTES);
        self.window = picker::window(self.pace, self.rtt, self.earned.size(), proven, most);
    }

    /// A run came after some time.
    pub(crate) fn see_answer(&mut self, asked: &Asked, now: Instant) {
        let full = (self.asked_leaves + u32::from(asked.count)) * 2 > self.window;
        let (took, prompt) = (now.passed(asked.at) / 1000, picker::ahead(self.rtt) / 1000);
        self.earned.see(u64::from(asked.count), took, prompt, full);
    }

    /// What it is to be told now of the leaves that have come, after each block, however small: there are moments in which the
    /// sender lets no more be under way.
    pub(crate) const fn acknowledge(&mut self) -> Option<u64> {
        if self.taken == self.told_taken {
            return None;
        }
        self.told_taken = self.taken;
        Some(self.taken)
    }

    pub(crate) const fn asked_leaves(&self) -> u32 {
        self.asked_leaves
    }

    /// Whether it has room for requests, and was not looked at in vain: a quarter of the window at a time makes for
    /// few messages, and the source never runs dry.
    pub(crate) const fn may_be_asked(&self) -> bool {
        let room = self.window.saturating_sub(self.asked_leaves);
        !self.idle && room > 0 && (room >= self.window / 4 || self.asked_leaves == 0)
    }

    /// Whether it was asked for the leaf hashes of this piece's run.
    pub(crate) fn asked_proof(&self, root: &Root, leaves: core::ops::Range<u32>) -> bool {
        for ((start, of), asked) in &self.asked {
            if asked.proof && *of == *root && leaves.contains(start) {
                return true;
            }
        }
        false
    }

    pub(crate) fn ask(&mut self, root: &Root, span: Span, now: Instant) {
        if self.asked.is_empty() {
            self.progress = now;
        }
        let recalled = self.late.remove(&(span.start, *root));
        self.asked_leaves += u32::from(span.count);
        self.asked.insert(
            (span.start, *root),
            Asked { count: span.count, proof: span.proof, at: now, called_back: None, recalled },
        );
    }

    /// An answer has come. `None`: it was never asked for. `Some(None)`: we gave up on it before.
    pub(crate) fn answered(&mut self, root: &Root, start: u32) -> Option<Option<Asked>> {
        if let Some(asked) = self.asked.remove(&(start, *root)) {
            self.asked_leaves -= u32::from(asked.count);
            return Some(Some(asked));
        }
        if self.late.remove(&(start, *root)) { Some(None) } else { None }
    }

    /// It will not send a run. `None`: that was not asked for, or it is the answer to a cancel of ours, after which we
    /// asked again.
    pub(crate) fn rejected(&mut self, root: &Root, start: u32) -> Option<Asked> {
        if let Some(asked) = self.asked.get_mut(&(start, *root))
            && core::mem::take(&mut asked.recalled)
        {
            return None;
        }
        self.answered(root, start)?
    }

    /// Gives up on one run. `true`: it was under way.
    pub(crate) fn give_up(&mut self, root: &Root, start: u32) -> Option<Asked> {
        let asked = self.asked.remove(&(start, *root))?;
        self.asked_leaves -= u32::from(asked.count);
        if self.late.len() < LATE_MAX {
            self.late.insert((start, *root));
        }
        Some(asked)
    }

    /// Notes that it was asked to give up a run.
    pub(crate) fn call_back(&mut self, root: &Root, start: u32, heir: Heir) {
        if let Some(asked) = self.asked.get_mut(&(start, *root)) {
            asked.called_back = Some(heir);
        }
    }

    /// The first limit that is broken, if one is.
    #[cfg(feature = "lab")]
    pub(crate) fn audit(&self, config: &crate::Config) -> Option<alloc::string::String> {
        let asked: u32 = self.asked.values().map(|asked| u32::from(asked.count)).sum();
        let queued: u32 = self.queue.iter().map(|wish| u32::from(wish.span.count)).sum();
        let window = config.window_leaves_max + u32::from(u8::MAX);
        let broken = [
            (asked != self.asked_leaves, "leaves asked are counted wrong"),
            (queued != self.queued_leaves, "leaves queued are counted wrong"),
            (asked > window, "more is asked than the window allows"),
            (queued > config.queue_leaves_max, "more is queued than the limit"),
            (self.late.len() > LATE_MAX, "too many late answers are remembered"),
            (self.wants.len() > WANTS_MAX, "it wants too many files"),
        ];
        broken.iter().find(|(is, _)| *is).map(|(_, what)| (*what).into())
    }

    /// All that it owes us.
    pub(crate) const fn owes(&self) -> &Map<(u32, Root), Asked> {
        &self.asked
    }

    /// Drops wishes, and counts anew what is left.
    pub(crate) fn retain_wishes(&mut self, keep: &dyn Fn(&Wish) -> bool) {
        self.queue.retain(|wish| keep(wish));
        self.queued_leaves = 0;
        for wish in &self.queue {
            self.queued_leaves += u32::from(wish.span.count);
        }
    }

    /// When its silence becomes a snub; `None` while it owes nothing.
    pub(crate) fn snub_at(&self) -> Option<Instant> {
        if self.asked.is_empty() {
            return None;
        }
        // At its own pace a block would take this long; four times that is silence.
        let block = 4 * 4 * u64::from(LEAF_BYTES) / self.pace.max(16 * 1024) * SECOND;
        Some(self.progress.after(SNUB_AFTER.max(block).max(self.rtt * 4)))
    }

    /// How many microseconds what it owes will take at its pace; without a pace, twice what it has taken so far.
    pub(crate) fn eta(&self, now: Instant) -> u64 {
        let bytes = u64::from(self.asked_leaves) * u64::from(LEAF_BYTES);
        match self.down.per_second(now) {
            0..1024 => now.passed(self.progress) * 2,
            rate => bytes * SECOND / rate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_one_leaf_is_acknowledged_while_more_is_asked_for() {
        let mut peer = Peer::new(Instant::ZERO);
        for start in [0, 1] {
            peer.ask(&Root([1; 32]), Span { start, count: 1, proof: false }, Instant::ZERO);
        }
        assert_eq!(peer.acknowledge(), None);
        peer.taken += 1;
        assert_eq!(peer.acknowledge(), Some(1));
        assert_eq!(peer.acknowledge(), None);
    }
}
