//! Shares come and go: commands, the list of files, selection, completion.

use super::file::File;
use super::origin::Origin;
use super::share::Share;
use super::{ANSWER_DEADLINE, Fact, Job, Swarm, TICK};
use crate::action::{Event, ShareFailure, Work};
use crate::config::INFO_BYTES_MAX;
use crate::content::{FileEntry, Info, Layout, Magnet, Torrent, Tree, content_id, topic_of};
use crate::fault::Fault;
use crate::id::{ContentId, Hash, LinkId, Root, Topic};
use crate::input::Outcome;
use crate::outbox::Cx;
use crate::time::{Instant, earliest};
use crate::util::{Map, Set, order};
use crate::wire::{Message, peer as limits};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

impl Swarm {
    /// Offers a share of the application's own files.
    pub(crate) fn seed(&mut self, torrent: Torrent, mut leaves: Map<Root, Vec<Hash>>, cx: &mut Cx) {
        let content = torrent.info.content;
        if !self.shares.contains_key(&content)
            && !self.make_room(&content, torrent.info.name.clone(), None, cx)
        {
            return;
        }
        let files = &torrent.info.files;
        for index in by_root(files) {
            let entry = &files[index];
            let (Some(root), Some(layout)) = (entry.root, Layout::of(entry.length)) else { continue };
            let Some(leaves) = leaves.remove(&root) else { continue };
            let tree = Tree::from_leaves(layout, leaves);
            if tree.root() != root {
                return self.fail(&content, ShareFailure::BadInfo, cx);
            }
            if !self.files.contains_key(&root) {
                self.files.insert(root, Box::new(File::new(layout, Tree::new(root, layout))));
            }
            let Some(file) = self.files.get_mut(&root) else { continue };
            file.tree = tree;
            file.ledger.fill();
            file.is_source = true;
            file.recalling = 0;
            self.unchecked.remove(&root);
        }
        self.ready(&content, torrent, cx);
    }

    /// Begins to fetch a share.
    pub(crate) fn add(
        &mut self,
        magnet: &Magnet,
        torrent: Option<Box<Torrent>>,
        (select, topic): (Option<Vec<u32>>, Option<Topic>),
        cx: &mut Cx,
    ) {
        let content = magnet.content;
        if !self.shares.contains_key(&content)
            && !self.make_room(&content, magnet.name.clone().unwrap_or_default(), topic, cx)
        {
            return;
        }
        let Some(share) = self.shares.get_mut(&content) else { return };
        if let Some(select) = select.or_else(|| magnet.select.clone()) {
            share.select = Some(set(&select));
        }
        add_origins(share, &magnet.web_seeds);
        let topic = share.topic;
        if share.torrent.is_some() {
            return self.refresh(cx);
        }
        if let Some(torrent) = torrent.filter(|torrent| torrent.info.content == content) {
            return self.ready(&content, *torrent, cx);
        }
        self.facts.push(Fact::Joined { topic, complete: false });
        let job = cx.out.start(Work::Get { key: Share::record_key(&content) });
        self.jobs.insert(job, Job::Info(content));
        if let Some(share) = self.shares.get_mut(&content) {
            share.info.recall = Some(job);
        }
    }

    fn make_room(&mut self, content: &ContentId, name: String, topic: Option<Topic>, cx: &mut Cx) -> bool {
        if self.shares.len() >= cx.config.shares_max as usize {
            cx.out.notify(Event::Failed { content: *content, reason: ShareFailure::TooMany });
            return false;
        }
        self.next_order += 1;
        let topic = topic.unwrap_or_else(|| topic_of(content));
        self.shares.insert(*content, Share::new(topic, name, self.next_order));
        true
    }

    pub(crate) fn on_info_recalled(&mut self, content: &ContentId, outcome: &Outcome<'_>, cx: &mut Cx) {
        let Some(share) = self.shares.get_mut(content) else { return };
        share.info.recall = None;
        if let Outcome::Bytes(bytes) = outcome
            && let Ok(torrent) = Torrent::parse(bytes)
            && torrent.info.content == *content
        {
            return self.ready(content, torrent, cx);
        }
        self.seek_infos(cx);
    }

    /// Asks somebody for each list of files that is missing.
    pub(crate) fn seek_infos(&mut self, cx: &mut Cx) {
        for (content, share) in &mut self.shares {
            if share.torrent.is_some()
                || share.info.from.is_some()
                || share.info.recall.is_some()
                || !share.is_active()
            {
                continue;
            }
            let mut able = Vec::new();
            for (link, peer) in &self.peers {
                if peer.topics.contains(&share.topic) && !peer.no_info.contains(content) {
                    able.push(*link);
                }
            }
            let Some(link) = cx.rng.pick(&able).copied() else {
                // Who did not have it may have learnt it since.
                for (_, peer) in &mut self.peers {
                    peer.no_info.remove(content);
                }
                continue;
            };
            share.info.bytes.clear();
            share.info.from = Some((link, cx.now + ANSWER_DEADLINE));
            cx.out.control(link, &Message::GetInfo { content: *content, offset: 0 });
        }
    }

    pub(crate) fn on_get_info(
        &self,
        link: LinkId,
        content: &ContentId,
        offset: u32,
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let share = self.shares.get(content).filter(|share| share.is_active());
        let Some(bytes) = share.and_then(|share| share.torrent.as_ref()).map(|torrent| torrent.info.bytes())
        else {
            cx.out.control(link, &Message::NoInfo { content: *content });
            return Ok(());
        };
        let rest = bytes.get(offset as usize..).filter(|rest| !rest.is_empty()).ok_or(Fault::Malformed)?;
        let part = &rest[..rest.len().min(limits::INFO_CHUNK_BYTES as usize)];
        let total = u32::try_from(bytes.len()).map_err(|_| Fault::Unexpected)?;
        cx.out.bulk(cx.now, link, &Message::Info { content: *content, total, offset }, part);
        Ok(())
    }

    pub(crate) fn on_info(
        &mut self,
        link: LinkId,
        content: &ContentId,
        total: u32,
        offset: u32,
        tail: &[u8],
        cx: &mut Cx,
    ) -> Result<(), Fault> {
        let share = self
            .shares
            .get_mut(content)
            .filter(|share| share.info.from.is_some_and(|(from, _)| from == link));
        let Some(share) = share else { return self.stray(link, tail.len()) };
        if offset as usize != share.info.bytes.len() || total as usize > INFO_BYTES_MAX {
            return Err(Fault::Malformed);
        }
        share.info.bytes.extend_from_slice(tail);
        let got = share.info.bytes.len();
        if got < total as usize {
            share.info.from = Some((link, cx.now + ANSWER_DEADLINE));
            let offset = u32::try_from(got).map_err(|_| Fault::Malformed)?;
            cx.out.control(link, &Message::GetInfo { content: *content, offset });
            return Ok(());
        }
        share.info.from = None;
        let bytes = core::mem::take(&mut share.info.bytes);
        if content_id(&bytes) != *content {
            return Err(Fault::BadData);
        }
        let Ok(info) = Info::parse(&bytes) else {
            self.fail(content, ShareFailure::BadInfo, cx);
            return Ok(());
        };
        let torrent = Torrent { info, layers: Map::new(), web_seeds: Vec::new(), trackers: Vec::new() };
        self.ready(content, torrent, cx);
        Ok(())
    }

    pub(crate) fn on_no_info(&mut self, link: LinkId, content: &ContentId, cx: &Cx) -> Result<(), Fault> {
        let peer = self.peers.get_mut(&link).ok_or(Fault::Unexpected)?;
        let Some(share) = self.shares.get_mut(content) else { return Ok(()) };
        peer.no_info.insert(*content);
        if share.info.from.is_some_and(|(from, _)| from == link) {
            share.info.from = None;
        }
        self.tick_at = earliest(self.tick_at, Some(cx.now.after(TICK)));
        Ok(())
    }

    /// The list of files is known.
    fn ready(&mut self, content: &ContentId, torrent: Torrent, cx: &mut Cx) {
        let Some(share) = self.shares.get_mut(content) else { return };
        share.name.clone_from(&torrent.info.name);
        share.info = super::share::InfoFetch::default();
        add_origins(share, &torrent.web_seeds);
        let mut news = Vec::new();
        let mut sourced = true;
        let files = &torrent.info.files;
        for index in by_root(files) {
            let entry = &files[index];
            let (Some(root), Some(layout)) = (entry.root, Layout::of(entry.length)) else { continue };
            if !self.files.contains_key(&root) {
                news.push(root);
                let tree = torrent.seed_tree(index).unwrap_or_else(|| Tree::new(root, layout));
                self.files.insert(root, Box::new(File::new(layout, tree)));
            }
            let Some(file) = self.files.get_mut(&root) else { continue };
            if file.layout != layout {
                return self.fail(content, ShareFailure::BadInfo, cx);
            }
            file.shares.insert(*content);
            sourced &= file.is_source;
        }
        share.torrent = Some(torrent);
        if !sourced {
            self.write_info(content, cx);
        }
        for root in news {
            self.recall(&root, cx);
        }
        cx.out.notify(Event::Ready { content: *content });
        self.refresh(cx);
    }

    /// Works out anew which files are wanted, tells everybody, and reports what is complete.
    pub(crate) fn refresh(&mut self, cx: &mut Cx) {
        for (_, share) in &self.shares {
            for index in 0..share.files().len() {
                if let Some(root) = share.wanted(index)
                    && let Some(file) = self.files.get_mut(&root)
                {
                    file.wanted |= share.is_active();
                }
            }
        }
        (self.wanted, self.lacking) = (Set::new(), Set::new());
        for (root, file) in &mut self.files {
            if core::mem::take(&mut file.wanted) && !file.ledger.is_complete() {
                self.wanted.insert(*root);
                if file.tree.missing_layer().is_some() {
                    self.lacking.insert(*root);
                }
            }
        }
        self.wake_all();
        self.tell_wants_to_all(cx);
        for link in self.links() {
            let mut roots = Vec::new();
            if let Some(peer) = self.peers.get(&link) {
                for root in &peer.wants {
                    if self.is_served(root) && !peer.shown.contains_key(root) {
                        roots.push(*root);
                    }
                }
            }
            for root in roots {
                self.tell_have(link, &root, cx);
            }
        }
        let mut ids = Vec::new();
        for (content, _) in &self.shares {
            ids.push(*content);
        }
        for content in ids {
            self.report(&content, cx);
        }
        self.seek_infos(cx);
        self.seek_hashes(cx);
    }

    /// Tells the application and the tracker where a share stands.
    pub(crate) fn report(&mut self, content: &ContentId, cx: &mut Cx) {
        let Some(share) = self.shares.get_mut(content) else { return };
        if !share.is_active() {
            return;
        }
        // Who has chosen nothing yet looks for peers: it is about to choose.
        let chosen = share.select.as_ref().is_none_or(|select| !select.is_empty());
        let mut done = share.torrent.is_some() && chosen;
        for index in 0..share.files().len() {
            if let Some(root) = share.wanted(index) {
                done &= self.files.get(&root).is_some_and(|file| file.ledger.is_complete());
            }
            if !done {
                break;
            }
        }
        if done && !share.done_told {
            cx.out.notify(Event::Done { content: *content });
        }
        share.done_told = done;
        let topic = share.topic;
        let complete = self.is_complete_in(&topic);
        // Who has everything and gives nothing is of no use to a swarm.
        let leaves = complete && self.throttle.is_shut();
        self.facts.push(if leaves { Fact::Left(topic) } else { Fact::Joined { topic, complete } });
    }

    /// Whether all that is wanted in a swarm is here: several shares may meet in one.
    fn is_complete_in(&self, topic: &Topic) -> bool {
        for (_, share) in &self.shares {
            if share.topic == *topic && share.is_active() && !share.done_told {
                return false;
            }
        }
        true
    }

    /// A file is whole.
    pub(crate) fn on_file_complete(&mut self, root: &Root, cx: &mut Cx) {
        self.wanted.remove(root);
        for content in self.shares_of(root) {
            let Some(share) = self.shares.get(&content) else { continue };
            for (index, entry) in share.files().iter().enumerate() {
                if entry.root == Some(*root) {
                    cx.out.notify(Event::FileDone { content, file: index as u32 });
                }
            }
            self.report(&content, cx);
        }
        for (link, peer) in &mut self.peers {
            if peer.told.remove(root) {
                cx.out.control(*link, &Message::Unwant { roots: alloc::vec![*root] });
            }
        }
    }

    pub(crate) fn select(&mut self, content: &ContentId, files: Option<Vec<u32>>, cx: &mut Cx) {
        let Some(share) = self.shares.get_mut(content) else {
            return cx.out.notify(Event::Failed { content: *content, reason: ShareFailure::Unknown });
        };
        share.select = files.map(|files| set(&files));
        share.done_told = false;
        self.refresh(cx);
    }

    pub(crate) fn pause(&mut self, content: &ContentId, cx: &mut Cx) {
        let Some(share) = self.shares.get_mut(content) else { return };
        share.paused = true;
        self.stand_down(content, cx);
    }

    pub(crate) fn resume(&mut self, content: &ContentId, cx: &mut Cx) {
        let Some(share) = self.shares.get_mut(content) else { return };
        share.paused = false;
        share.failed = None;
        let (topic, name) = (share.topic, share.torrent.is_none());
        for origin in &mut share.origins {
            *origin = Origin::new(core::mem::take(&mut origin.base));
        }
        if name {
            self.facts.push(Fact::Joined { topic, complete: false });
        }
        self.refresh(cx);
    }

    /// A share cannot go on: it is stopped and the application is told.
    pub(crate) fn fail(&mut self, content: &ContentId, reason: ShareFailure, cx: &mut Cx) {
        let Some(share) = self.shares.get_mut(content) else { return };
        if share.failed.replace(reason).is_none() {
            cx.out.notify(Event::Failed { content: *content, reason });
            self.stand_down(content, cx);
        }
    }

    /// Stops asking and serving for a share.
    fn stand_down(&mut self, content: &ContentId, cx: &mut Cx) {
        let Some(share) = self.shares.get_mut(content) else { return };
        share.info.from = None;
        let topic = share.topic;
        if !self.is_in(&topic) {
            self.facts.push(Fact::Left(topic));
        }
        self.abort_fetches(content, cx);
        let Some(share) = self.shares.get(content) else { return };
        let mut idle = Vec::new();
        for entry in share.files() {
            idle.extend(entry.root.filter(|root| !self.is_active(root)));
        }
        for root in idle {
            for link in self.links() {
                self.take_back(link, Some(root), &|_| true, cx);
            }
            self.reject_all(&root, cx);
        }
        self.refresh(cx);
    }

    pub(crate) fn remove(&mut self, content: &ContentId, keep: bool, cx: &mut Cx) {
        if !self.shares.contains_key(content) {
            return;
        }
        self.pause(content, cx);
        let Some(share) = self.shares.remove(content) else { return };
        for entry in share.files() {
            let Some(root) = entry.root else { continue };
            let Some(file) = self.files.get_mut(&root) else { continue };
            file.shares.remove(content);
            if !file.shares.is_empty() {
                continue;
            }
            let (is_source, _) = (file.is_source, self.files.remove(&root));
            self.begun.remove(&root);
            self.untold.remove(&root);
            self.unwritten.remove(&root);
            self.unchecked.remove(&root);
            for (_, peer) in &mut self.peers {
                peer.has.remove(&root);
            }
            if !keep && !is_source {
                cx.out.start(Work::Discard { root });
                cx.out.start(Work::Forget { key: File::have_key(&root) });
                cx.out.start(Work::Forget { key: File::tree_key(&root) });
            }
        }
        self.fail_reads_without_file(cx);
        if !keep {
            cx.out.start(Work::Forget { key: Share::record_key(content) });
        }
    }

    /// The tracker counts the members of a swarm.
    pub(crate) fn on_counts(&mut self, topic: &Topic, seeds: u32, leeches: u32) {
        for (_, share) in &mut self.shares {
            if share.topic == *topic {
                (share.seeds, share.leeches) = (seeds, leeches);
            }
        }
    }

    /// Swarms that we are in, whether we are complete in them, and how many links of use we have there.
    pub(crate) fn topics(&self, now: Instant) -> Vec<(Topic, bool, usize)> {
        let mut topics: Vec<(Topic, bool, usize)> = Vec::new();
        for (_, share) in &self.shares {
            if share.is_active() && !topics.iter().any(|(topic, _, _)| *topic == share.topic) {
                let complete = self.is_complete_in(&share.topic);
                if complete && self.throttle.is_shut() {
                    continue;
                }
                topics.push((share.topic, complete, self.useful_in(&share.topic, complete, now)));
            }
        }
        topics
    }

    /// The swarm of a share that we are in.
    pub(crate) fn topic_of(&self, content: &ContentId) -> Option<Topic> {
        self.shares.get(content).filter(|share| share.is_active()).map(|share| share.topic)
    }

    /// Whether we are in a swarm.
    pub(crate) fn is_in(&self, topic: &Topic) -> bool {
        for (_, share) in &self.shares {
            if share.topic == *topic && share.is_active() {
                return true;
            }
        }
        false
    }

    /// The `.torrent` of a share, where all that it must contain is known.
    pub(crate) fn torrent(&self, content: &ContentId) -> Option<Torrent> {
        let share = self.shares.get(content)?;
        let mut torrent = share.torrent.clone()?;
        let level = u8::try_from((torrent.info.piece_length / crate::config::LEAF_BYTES).ilog2()).ok()?;
        for entry in &torrent.info.files {
            let root = entry.root.filter(|_| entry.length > u64::from(torrent.info.piece_length));
            let Some(root) = root else { continue };
            if torrent.layers.contains_key(&root) {
                continue;
            }
            let count = u32::try_from(entry.length.div_ceil(u64::from(torrent.info.piece_length))).ok()?;
            let tree = &self.files.get(&root)?.tree;
            let mut layer = Vec::with_capacity(count as usize);
            for at in 0..count {
                layer.push(tree.node(level, at)?);
            }
            torrent.layers.insert(root, layer);
        }
        torrent.web_seeds.clear();
        for origin in &share.origins {
            torrent.web_seeds.push(origin.base.clone());
        }
        Some(torrent)
    }
}

/// Files in the order of their roots, in which each is appended to those that are there.
fn by_root(files: &[FileEntry]) -> Vec<usize> {
    order(files.len(), &|a, b| files[a].root < files[b].root)
}

/// HTTP sources of one share.
const ORIGINS_MAX: usize = 16;

fn add_origins(share: &mut Share, bases: &[String]) {
    'bases: for base in bases {
        let is_web = base.starts_with("http://") || base.starts_with("https://");
        if !is_web || share.origins.len() >= ORIGINS_MAX {
            continue;
        }
        for origin in &share.origins {
            if origin.base == *base {
                continue 'bases;
            }
        }
        share.origins.push(Origin::new(base.clone()));
    }
}

fn set(indices: &[u32]) -> Set<u32> {
    let mut set = Set::new();
    for index in indices {
        set.insert(*index);
    }
    set
}
