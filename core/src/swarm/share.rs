//! One share: a name for some files, who is in it, and what was moved for it.

use super::origin::{Lot, Origin};
use crate::action::ShareFailure;
use crate::content::{FileEntry, Torrent};
use crate::id::{ContentId, JobId, LinkId, Root, Topic};
use crate::rate::Rate;
use crate::time::{Instant, earliest};
use crate::util::Set;
use alloc::string::String;
use alloc::vec::Vec;

/// A share.
pub(crate) struct Share {
    pub(crate) topic: Topic,
    pub(crate) name: String,
    /// Its list of files, once known.
    pub(crate) torrent: Option<Torrent>,
    /// Wanted files by index; `None`: all.
    pub(crate) select: Option<Set<u32>>,
    pub(crate) paused: bool,
    pub(crate) failed: Option<ShareFailure>,
    pub(crate) info: InfoFetch,
    pub(crate) origins: Vec<Origin>,
    /// Since when they could have been used.
    pub(crate) sourced: Option<Instant>,
    /// What is ours to fetch of what no peer has, and until when.
    pub(crate) lot: Lot,
    pub(crate) lot_at: Option<Instant>,
    pub(crate) done_told: bool,
    pub(crate) first_leaf: bool,
    pub(crate) seeds: u32,
    pub(crate) leeches: u32,
    pub(crate) moved: Moved,
    /// In the order of adding.
    pub(crate) order: u64,
}

/// What was moved for a share.
#[derive(Default)]
pub(crate) struct Moved {
    pub(crate) from_peers: u64,
    pub(crate) from_http: u64,
    pub(crate) from_store: u64,
    pub(crate) sent: u64,
    pub(crate) wasted: u64,
    pub(crate) down: Rate,
    pub(crate) up: Rate,
}

/// How the list of files is being found.
#[derive(Default)]
pub(crate) struct InfoFetch {
    /// The record of an earlier visit is being read.
    pub(crate) recall: Option<JobId>,
    /// Who sends it, and until when to wait for the next part.
    pub(crate) from: Option<(LinkId, Instant)>,
    pub(crate) bytes: Vec<u8>,
}

impl Share {
    pub(crate) fn new(topic: Topic, name: String, order: u64) -> Self {
        Self {
            topic,
            name,
            torrent: None,
            select: None,
            paused: false,
            failed: None,
            info: InfoFetch::default(),
            origins: Vec::new(),
            sourced: None,
            lot: Lot::default(),
            lot_at: None,
            done_told: false,
            first_leaf: false,
            seeds: 0,
            leeches: 0,
            moved: Moved::default(),
            order,
        }
    }

    /// Whether it fetches and serves.
    pub(crate) const fn is_active(&self) -> bool {
        !self.paused && self.failed.is_none()
    }

    pub(crate) fn wants(&self, index: u32) -> bool {
        match &self.select {
            Some(select) => select.contains(&index),
            None => true,
        }
    }

    /// HTTP sources in use.
    pub(crate) fn sources(&self) -> u32 {
        let mut count = 0;
        for origin in &self.origins {
            count += u32::from(origin.is_up());
        }
        count
    }

    /// When the first of its HTTP sources may be asked; `None`: never.
    pub(crate) fn source_at(&self) -> Option<Instant> {
        let mut first = None;
        for origin in &self.origins {
            if !origin.dropped {
                first = earliest(first, Some(origin.not_before));
            }
        }
        first
    }

    /// Its files; none while they are unknown.
    pub(crate) fn files(&self) -> &[FileEntry] {
        match &self.torrent {
            Some(torrent) => &torrent.info.files,
            None => &[],
        }
    }

    /// The root of a file, if it is wanted and not empty.
    pub(crate) fn wanted(&self, index: usize) -> Option<Root> {
        if self.wants(index as u32) { self.files().get(index)?.root } else { None }
    }

    /// The name of the record that keeps its `.torrent`.
    pub(crate) fn record_key(content: &ContentId) -> String {
        content.named("info-")
    }
}
