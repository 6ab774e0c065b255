//! What nodes order their hosts to do: connections, files, records, HTTP.

use crate::happening::{Happening, News};
use crate::net::transfer_time;
use crate::rtc::OwnedOutcome;
use crate::spec::PeerId;
use crate::world::World;
use core::time::Duration;
use swarmlet_core::keys;
use swarmlet_core::wire::{Description, Signature, sdp};
use swarmlet_core::{Failure, Input, Instant, JobId, Outcome, Root, Work};

/// What a disk needs for anything at all.
const DISK_SEEK: Duration = Duration::from_micros(500);
/// Signing or verifying in a browser.
const KEY_WORK: Duration = Duration::from_micros(200);
/// Bytes per second of a disk.
const DISK_RATE: u64 = 300_000_000;

impl World {
    pub(crate) fn start_work(&mut self, peer: PeerId, job: JobId, work: Work) {
        let soon = self.now + Duration::from_millis(1);
        match work {
            Work::OpenSignaller => self.open_socket(peer, job),
            Work::CloseSignaller => {
                self.close_socket(peer);
                self.finish(peer, job, soon, OwnedOutcome::Ok);
            }
            Work::Sign { message } => self.sign(peer, job, message),
            Work::Verify { peer: signer, message, signature } => {
                let good = self.is_signed(signer, &message, &signature);
                let outcome = if good { OwnedOutcome::Ok } else { OwnedOutcome::Missing };
                self.finish(peer, job, self.now + KEY_WORK, outcome);
            }
            Work::Exchange => {
                let key = self.peers[peer].exchange.public();
                self.finish(peer, job, self.now + KEY_WORK, OwnedOutcome::Bytes(key.to_vec()));
            }
            Work::Agree { key } => {
                let secret = self.peers[peer].exchange.agree(&key);
                self.finish(peer, job, self.now + KEY_WORK, OwnedOutcome::Bytes(secret.to_vec()));
            }
            Work::Dial { link } if self.peers[peer].has_room() => self.create_end(peer, job, link, None),
            Work::Dial { .. } => self.finish(peer, job, soon, OwnedOutcome::Failed(Failure::Host)),
            Work::Accept { link, remote } => {
                if self.host_takes(&remote) && self.peers[peer].has_room() {
                    self.create_end(peer, job, link, Some(&remote));
                } else {
                    self.finish(peer, job, soon, OwnedOutcome::Failed(Failure::Host));
                }
            }
            Work::Complete { link, remote } => {
                let taken = self.host_takes(&remote) && self.complete_end(peer, link, &remote);
                self.finish(peer, job, soon, ok_or_failed(taken));
            }
            Work::Candidate { link, .. } => {
                let taken = self.add_candidate(peer, link);
                self.finish(peer, job, soon, ok_or_failed(taken));
            }
            Work::Fetch { url, start, end, .. } => self.fetch(peer, job, &url, start, end),
            Work::Load { root, start, length } => {
                let at = self.disk_done(u64::from(length));
                self.tell(peer, self.peers[peer].life, at, News::Loaded { job, root, start, length });
            }
            Work::Store { root, start, bytes, .. } => self.store(peer, job, root, start, &bytes),
            Work::Get { key } => {
                let value = self.peers[peer].disk.get(&key).cloned();
                self.finish(peer, job, soon, value.map_or(OwnedOutcome::Missing, OwnedOutcome::Bytes));
            }
            Work::Put { key, value } => {
                self.peers[peer].disk.put(self.now, key, value);
                self.finish(peer, job, soon, OwnedOutcome::Ok);
            }
            Work::Discard { root } => {
                self.peers[peer].disk.discard(&root);
                self.finish(peer, job, soon, OwnedOutcome::Ok);
            }
            Work::Forget { key } => {
                self.peers[peer].disk.forget(&key);
                self.finish(peer, job, soon, OwnedOutcome::Ok);
            }
        }
    }

    fn sign(&mut self, peer: PeerId, job: JobId, message: Vec<u8>) {
        let key = &self.peers[peer].key;
        let (signer, signature) = (key.peer_id(), key.sign(&message));
        if let Some(whole) = Signature::from_bytes(&signature) {
            self.signed.insert(whole.0, (whole, signer, message));
        }
        self.finish(peer, job, self.now + KEY_WORK, OwnedOutcome::Bytes(signature.to_vec()));
    }

    /// What somebody here has signed needs no arithmetic to be known as good: once, for whom it was meant.
    fn is_signed(&mut self, signer: swarmlet_core::PeerId, message: &[u8], signature: &Signature) -> bool {
        let told = self.signed.remove(&signature.0);
        let known =
            told.is_some_and(|(whole, by, over)| whole == *signature && by == signer && over == message);
        known || keys::verify(&signer, message, signature)
    }

    fn disk_done(&self, bytes: u64) -> Instant {
        self.now + DISK_SEEK + transfer_time(bytes, DISK_RATE)
    }

    /// What a node wants to store is compared with the truth at once, and need not be kept.
    fn store(&mut self, peer: PeerId, job: JobId, root: Root, start: u64, bytes: &[u8]) {
        let length = bytes.len() as u32;
        if self.files.run_of(&root, start, length) == Some(bytes) {
            let at = self.disk_done(u64::from(length));
            return self.tell(peer, self.peers[peer].life, at, News::Stored { job, root, start, length });
        }
        self.corrupt += u64::from(length);
        self.violate(format_args!("peer {peer} stored wrong bytes of {root:?} at {start}"));
        self.finish(peer, job, self.now, OwnedOutcome::Failed(Failure::Host));
    }

    pub(crate) fn on_stored(&mut self, peer: PeerId, job: JobId, root: Root, start: u64, length: u32) {
        let this = &mut self.peers[peer];
        let outcome = if this.disk.store(self.now, root, start, length) {
            this.stored += u64::from(length);
            OwnedOutcome::Ok
        } else {
            OwnedOutcome::Failed(Failure::Full)
        };
        self.done(peer, job, &outcome);
    }

    pub(crate) fn on_loaded(&mut self, peer: PeerId, job: JobId, root: Root, start: u64, length: u32) {
        if !self.peers[peer].jobs.remove(job) {
            return;
        }
        let files = self.files.clone();
        let loaded = self.peers[peer].disk.load(&files, &root, start, length);
        let outcome = loaded.as_deref().map_or(Outcome::Missing, Outcome::Bytes);
        self.handle(peer, Input::Done { job, outcome });
    }

    /// A browser takes only what makes a valid SDP.
    fn host_takes(&mut self, remote: &Description) -> bool {
        let parsed = sdp::build(remote).and_then(|text| sdp::parse(&text));
        if parsed.as_ref() != Some(remote) {
            self.violate("a description that does not survive the way through SDP");
        }
        parsed.is_some()
    }

    fn fetch(&mut self, peer: PeerId, job: JobId, url: &str, start: u64, end: u64) {
        let way = self.peers[peer].access.latency;
        let found = self.origins.iter().position(|origin| origin.files.contains_key(url));
        let Some(index) = found.filter(|index| !self.origins[*index].dead) else {
            let at = self.now + way * 2;
            let outcome = match found {
                Some(_) => OwnedOutcome::Failed(Failure::Network),
                None => OwnedOutcome::Missing,
            };
            return self.finish(peer, job, at, outcome);
        };
        let origin = &mut self.origins[index];
        let length = u32::try_from(end.saturating_sub(start)).unwrap_or(u32::MAX);
        let file = self.files.index(&origin.files[url]);
        let Some(file) = file.filter(|file| self.files.run(*file, start, length).is_some()) else {
            let at = self.now + (way + origin.latency) * 2;
            return self.finish(peer, job, at, OwnedOutcome::Failed(Failure::Status(416)));
        };
        let left = origin.send(self.now + way + origin.latency, u64::from(length));
        let (at, wrong) = (left + way + origin.latency, origin.wrong);
        let life = self.peers[peer].life;
        self.queue.push(at, Happening::Answered { peer, life, job, file, start, length, wrong });
    }

    /// An HTTP answer goes through the peer's line.
    pub(crate) fn on_answered(
        &mut self,
        (peer, life): (PeerId, u32),
        job: JobId,
        (file, start, length): (u32, u64, u32),
        wrong: bool,
    ) {
        if self.peers[peer].life != life {
            return;
        }
        self.peers[peer].fetched += u64::from(length);
        let at = self.peers[peer].access.take_in(self.now, u64::from(length));
        self.tell(peer, life, at, News::Fetched { job, file, start, length, wrong });
    }

    pub(crate) fn on_fetched(
        &mut self,
        peer: PeerId,
        job: JobId,
        (file, start, length): (u32, u64, u32),
        wrong: bool,
    ) {
        if !self.peers[peer].jobs.remove(job) {
            return;
        }
        let files = self.files.clone();
        let mut bytes = std::borrow::Cow::Borrowed(files.run(file, start, length).unwrap_or_default());
        if wrong {
            bytes.to_mut().iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        self.handle(peer, Input::Done { job, outcome: Outcome::Bytes(&bytes) });
    }
}

const fn ok_or_failed(ok: bool) -> OwnedOutcome {
    if ok { OwnedOutcome::Ok } else { OwnedOutcome::Failed(Failure::Host) }
}
