//! Bytes make a run: what a node is told, by whom and when. Whatever they say, nothing unproven is stored, shown or sent
//! on, no limit is broken, and nothing that it says is unreadable. Fuzzing and `make test` share this.

use alloc::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;
use swarmlet_core::content::{Builder, Built, Layout, Tree, content_id};
use swarmlet_core::wire::peer::HashRange;
use swarmlet_core::wire::{
    Code, Description, Frame, Hello, Message, Pieces, Proof, Role, Signal, Signature, Span, VERSION,
};
use swarmlet_core::{
    Action, Channel, Command, Config, ContentId, Event, Failure, Fingerprint, Input, Instant, JobId, LinkId,
    Node, Outcome, PeerId, Root, Work,
};

const LEAF: usize = 16 * 1024;
/// Five pieces, and a part of a leaf.
const LENGTH: usize = 5 * 4 * LEAF + 777;
/// What one input may make a node order.
const ORDERS_MAX: usize = 4096;

struct Share {
    bytes: Vec<u8>,
    built: Built,
    tree: Tree,
    root: Root,
    content: ContentId,
}

/// The share that all runs are about.
fn share() -> &'static Share {
    static SHARE: OnceLock<Share> = OnceLock::new();
    SHARE.get_or_init(|| {
        let bytes: Vec<u8> = (0..LENGTH).map(|at| (at * 7 + at / 251) as u8).collect();
        let mut builder = Builder::new("x", &[(vec!["x".into()], LENGTH as u64)], vec![]).expect("a name");
        builder.push(0, &bytes).expect("its length");
        let built = builder.finish().expect("all its bytes");
        let layout = Layout::of(LENGTH as u64).expect("not empty");
        let (root, leaves) = built.leaves.iter().next().expect("one file");
        let (root, tree) = (*root, Tree::from_leaves(layout, leaves.clone()));
        let content = content_id(built.torrent.info.bytes());
        Share { bytes, tree, root, content, built }
    })
}

/// The bytes of a run, from front to back; zeros when they are used up.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit.max(1)
    }

    fn some(&mut self) -> &'a [u8] {
        let length = (usize::from(self.byte()) * 4).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }
}

/// A node and its host, which does what the script says.
struct Run<'a> {
    script: Script<'a>,
    node: Node,
    now: Instant,
    jobs: VecDeque<(JobId, Work)>,
    reads: BTreeMap<u32, (usize, usize)>,
    calls: u32,
    /// Proven links, and what the node asked for there.
    links: Vec<(LinkId, VecDeque<(Span, bool)>)>,
    /// Links that the node has ordered for codes.
    codes: Vec<Vec<u8>>,
    peers: u8,
    disk: Vec<u8>,
}

/// Plays the run that `bytes` say, and panics where something is not as it must be.
pub(crate) fn run(bytes: &[u8]) {
    let share = share();
    let mut script = Script(bytes);
    let way = script.byte();
    let config = Config { signaller: way & 2 != 0, ..Config::default() };
    let now = Instant::from_micros(1_000_000);
    let mut run = Run {
        node: Node::new(config, [way; 32], PeerId([255; 32]), now),
        script,
        now,
        jobs: VecDeque::new(),
        reads: BTreeMap::new(),
        calls: 0,
        links: Vec::new(),
        codes: Vec::new(),
        peers: 0,
        disk: vec![0; LENGTH],
    };
    let torrent = Box::new(share.built.torrent.clone());
    let command = match way & 5 {
        0 => {
            run.disk.clone_from(&share.bytes);
            Command::Seed { torrent, leaves: share.built.leaves.clone() }
        }
        1 => Command::Add { magnet: torrent.magnet(), torrent: Some(torrent), select: None, topic: None },
        _ => Command::Add { magnet: torrent.magnet(), torrent: None, select: None, topic: None },
    };
    run.tell(Input::Command(command));
    for _ in 0..way >> 6 {
        run.link();
    }
    while !run.script.0.is_empty() {
        run.step();
    }
    // Whatever was begun comes to rest: time goes on even where nothing happens any more.
    for _ in 0..64 {
        let Some(due) = run.node.poll_timeout() else { break };
        run.now = run.now.max(due).after(1);
        run.tell(Input::Timeout);
    }
}

impl Run<'_> {
    fn step(&mut self) {
        match self.script.byte() % 32 {
            0 => {
                let bytes = self.script.some();
                self.said(bytes);
            }
            1 => {
                let bytes = self.script.some();
                self.tell(Input::Signalled { bytes });
            }
            2..=8 => self.answer(true),
            9 => self.answer(false),
            10..=12 => self.offer(),
            13..=16 => self.ask(),
            17..=21 => self.work(),
            22 => self.work_badly(),
            23..=25 => self.wait(20),
            26 => self.wait(27),
            27 | 28 => {
                let (link, channel) = (self.a_link(), self.channel());
                let buffered = u32::from(self.script.byte()) * 100;
                self.tell(Input::Writable { link, channel, buffered });
            }
            29 => self.link(),
            30 => self.command(),
            _ => self.end_something(),
        }
    }

    /// At most so many times doubled microseconds.
    fn wait(&mut self, doublings: u8) {
        self.now = self.now.after(1 << (self.script.byte() % doublings));
        self.tell(Input::Timeout);
    }

    fn a_link(&mut self) -> LinkId {
        let at = self.script.below(self.links.len() + 1);
        self.links.get(at).map_or(LinkId(7), |(link, _)| *link)
    }

    fn channel(&mut self) -> Channel {
        if self.script.byte() & 1 == 0 { Channel::Control } else { Channel::Bulk }
    }

    /// A peer says something.
    fn said(&mut self, bytes: &[u8]) {
        let (link, channel) = (self.a_link(), self.channel());
        self.tell(Input::Received { link, channel, bytes });
    }

    fn say(&mut self, link: LinkId, message: &Message, tail: &[u8]) {
        let bytes = message.encode(tail);
        let channel = if tail.is_empty() { Channel::Control } else { Channel::Bulk };
        self.tell(Input::Received { link, channel, bytes: &bytes });
    }

    /// A peer sends what it was asked for first, with the hashes it takes; or something that is not quite that.
    fn answer(&mut self, honest: bool) {
        let share = share();
        let at = self.script.below(self.links.len());
        let Some((link, asked)) = self.links.get_mut(at) else { return };
        let (link, Some((span, proof))) = (*link, asked.pop_front()) else { return };
        let level = share.tree.layout().piece_level();
        if proof {
            let index = span.start >> level;
            let range = HashRange { root: share.root, level: 0, height: level, index };
            if let Some(run) = share.tree.run(0, level, index) {
                let tail: Vec<u8> = run.iter().flat_map(|hash| *hash.bytes()).collect();
                self.say(link, &Message::Hashes(range), &tail);
            }
        }
        let start = (span.start as usize * LEAF).min(LENGTH);
        let end = (start + usize::from(span.count) * LEAF).min(LENGTH);
        let mut tail = share.bytes[start..end].to_vec();
        if !honest && !tail.is_empty() {
            let at = self.script.below(256) * tail.len() / 256;
            tail[at] ^= 1 << self.script.below(8);
        }
        self.say(link, &Message::Block { root: share.root, start: span.start }, &tail);
    }

    fn offer(&mut self) {
        let link = self.a_link();
        let bits = self.script.byte();
        let pieces = if bits == 0 { Pieces::All } else { Pieces::Bitmap(vec![bits & 0xfc]) };
        self.say(link, &Message::Have { root: share().root, pieces }, &[]);
    }

    /// A peer wants and asks.
    fn ask(&mut self) {
        let (link, root) = (self.a_link(), share().root);
        let span = Span {
            start: u32::from(self.script.byte() % 24),
            count: self.script.byte() % 5,
            proof: self.script.byte() & 1 == 1,
        };
        self.say(link, &Message::Want { roots: vec![root] }, &[]);
        let spans = vec![span; 1 + self.script.below(3)];
        let message = match self.script.byte() % 4 {
            0 => Message::Cancel { root, spans },
            1 => Message::Reject { root, spans },
            _ => Message::Request { root, spans },
        };
        self.say(link, &message, &[]);
    }

    /// The host ends some work, as it should.
    fn work(&mut self) {
        let at = self.script.below(self.jobs.len());
        if let Some((job, work)) = self.jobs.remove(at) {
            self.well(job, work);
        }
    }

    fn work_badly(&mut self) {
        let at = self.script.below(self.jobs.len());
        let Some((job, _)) = self.jobs.remove(at) else { return };
        let some = self.script.some();
        let outcomes = [
            Outcome::Failed(Failure::Host),
            Outcome::Failed(Failure::Full),
            Outcome::Missing,
            Outcome::Ok,
            Outcome::Bytes(some),
        ];
        let at = self.script.below(outcomes.len());
        for outcome in outcomes.into_iter().skip(at).take(1) {
            self.done(job, outcome);
        }
    }

    /// The host does what it was asked for.
    fn well(&mut self, job: JobId, work: Work) {
        match work {
            Work::Sign { .. } => self.done(job, Outcome::Bytes(&[1; 64])),
            Work::Exchange | Work::Agree { .. } => self.done(job, Outcome::Bytes(&[2; 32])),
            Work::Dial { .. } | Work::Accept { .. } => self.done(job, Outcome::Described(description())),
            Work::Load { start, length, .. } => {
                let start = (start as usize).min(LENGTH);
                let mut bytes = self.disk[start..(start + length as usize).min(LENGTH)].to_vec();
                // Disks rot.
                if self.script.byte() == 1 && !bytes.is_empty() {
                    bytes[0] ^= 1;
                }
                self.done(job, Outcome::Bytes(&bytes));
            }
            Work::Store { start, bytes, .. } => {
                self.disk[start as usize..start as usize + bytes.len()].copy_from_slice(&bytes);
                self.done(job, Outcome::Ok);
            }
            Work::Fetch { start, end, .. } => {
                let bytes = &share().bytes[start as usize..end as usize];
                self.done(job, Outcome::Bytes(bytes));
            }
            Work::Get { .. } => self.done(job, Outcome::Missing),
            _ => self.done(job, Outcome::Ok),
        }
    }

    fn done(&mut self, job: JobId, outcome: Outcome<'_>) {
        self.tell(Input::Done { job, outcome });
    }

    /// Does all work of a kind that waits, well.
    fn well_all(&mut self, kind: fn(&Work) -> bool) {
        while let Some(at) = self.jobs.iter().position(|(_, work)| kind(work)) {
            let Some((job, work)) = self.jobs.remove(at) else { return };
            self.well(job, work);
        }
    }

    /// One more peer comes by a code, and proves its key.
    fn link(&mut self) {
        self.peers = self.peers.wrapping_add(1);
        let peer = PeerId([self.peers; 32]);
        let topic = share().built.torrent.info.topic();
        let attempt = u32::from(self.peers);
        let signals = vec![Signal::Offer { attempt, topic, description: description() }];
        let code = Code { peer, signals }.encode();
        self.tell(Input::Command(Command::Meet { call: attempt, code }));
        let ordered = self.jobs.iter().find_map(|(_, work)| match work {
            Work::Accept { link, .. } => Some(*link),
            _ => None,
        });
        let Some(link) = ordered else { return };
        self.well_all(|work| matches!(work, Work::Accept { .. }));
        self.tell(Input::Found { link, candidate: None });
        self.tell(Input::Linked { link });
        let hello = Hello { version: VERSION, features: u32::MAX, peer, nonce: [3; 32] };
        self.say(link, &Message::Hello(hello), &[]);
        self.well_all(|work| matches!(work, Work::Sign { .. }));
        let signature = Signature([4; 32], [5; 32]);
        self.say(link, &Message::Proof(Proof { signature }), &[]);
        self.links.push((link, VecDeque::new()));
        let verify = |work: &Work| matches!(work, Work::Verify { .. });
        while let Some(at) = self.jobs.iter().position(|(_, work)| verify(work)) {
            let Some((job, _)) = self.jobs.remove(at) else { return };
            self.done(job, Outcome::Ok);
        }
    }

    fn end_something(&mut self) {
        match self.script.byte() % 3 {
            0 => self.tell(Input::SignallerLost),
            1 => {
                let link = self.a_link();
                self.tell(Input::Unlinked { link });
            }
            _ => {
                let (link, candidate) = (self.a_link(), None);
                self.tell(Input::Found { link, candidate });
            }
        }
    }

    fn command(&mut self) {
        let share = share();
        let (content, root) = (share.content, share.root);
        let number = u32::from(self.script.byte());
        let command = match self.script.byte() % 12 {
            0 => Command::Pause(content),
            1..=3 => Command::Resume(content),
            4 => Command::Select { content, files: (number & 1 == 0).then(Vec::new) },
            5 => Command::Remove { content, keep: number & 1 == 0 },
            6 | 7 => {
                let start = self.script.below(256) * LENGTH / 256;
                let length = (self.script.below(256) * 512).min(LENGTH - start);
                let within = core::time::Duration::from_millis(u64::from(self.script.byte()) * 20);
                self.calls += 1;
                self.reads.insert(self.calls, (start, length));
                Command::Read { read: self.calls, root, start: start as u64, length: length as u32, within }
            }
            8 => Command::CancelRead(self.calls.saturating_sub(number % 4)),
            9 => Command::Invite { call: number, content },
            10 => Command::Meet { call: number, code: self.codes.pop().unwrap_or_default() },
            _ if number & 1 == 0 => Command::Online,
            _ => Command::Offline,
        };
        self.tell(Input::Command(command));
    }

    /// Tells the node something, and looks at all that comes of it.
    fn tell(&mut self, input: Input<'_>) {
        self.node.handle(self.now, input);
        let mut orders = 0;
        while let Some(action) = self.node.poll_action() {
            orders += 1;
            assert!(orders <= ORDERS_MAX, "one input made more than {ORDERS_MAX} orders");
            self.look_at(action);
        }
        assert_eq!(self.node.audit(), None);
    }

    fn look_at(&mut self, action: Action) {
        match action {
            Action::Send { link, bytes, .. } => self.look_at_messages(link, &bytes),
            Action::Start { job, work } => {
                if let Work::Store { root, total, start, bytes } = &work {
                    assert_eq!((root, *total), (&share().root, LENGTH as u64));
                    is_true(*start as usize, bytes, "stored");
                }
                self.jobs.push_back((job, work));
            }
            Action::Abort { job } => self.jobs.retain(|(other, _)| *other != job),
            Action::Unlink { link } => self.links.retain(|(other, _)| *other != link),
            Action::Notify(Event::Bytes { read, bytes }) => {
                let (start, length) = self.reads.remove(&read).expect("it was asked for");
                assert_eq!(bytes.len(), length);
                is_true(start, &bytes, "shown");
            }
            Action::Notify(Event::Code { code, .. }) => self.codes.push(code),
            Action::Notify(_) | Action::Signal { .. } => {}
        }
    }

    fn look_at_messages(&mut self, link: LinkId, bytes: &[u8]) {
        let (frame, rest) = Frame::first(bytes).expect("what a node says can be read");
        self.look_at_message(link, frame);
        if !rest.is_empty() {
            self.look_at_messages(link, rest);
        }
    }

    fn look_at_message(&mut self, link: LinkId, Frame { message, tail }: Frame<'_>) {
        match message {
            Message::Block { root, start } => {
                assert_eq!(root, share().root);
                is_true(start as usize * LEAF, tail, "sent");
            }
            Message::Request { spans, .. } => {
                if let Some((_, asked)) = self.links.iter_mut().find(|(other, _)| *other == link) {
                    asked.extend(spans.iter().map(|span| (*span, span.proof)));
                }
            }
            _ => {}
        }
    }
}

fn is_true(start: usize, bytes: &[u8], what: &str) {
    let truth = share().bytes.get(start..start + bytes.len());
    assert!(truth == Some(bytes), "wrong bytes were {what} at {start}");
}

fn description() -> Description {
    Description {
        ufrag: "abcd".into(),
        pwd: "abcdefghijklmnopqrstuv".into(),
        fingerprint: Fingerprint([6; 32]),
        role: Role::Actpass,
    }
}
