//! Stored content and small records on disk. A file for each root, written in place and sparse; records are
//! replaced whole. What is read here is a claim that the node proves again.
//!
//! Three kinds of threads, since disks are slow and do not wait for each other: one writes content in the order
//! in which it came, one does records, which must not wait behind content, and some read.
//!
//! What is durable: a record that was reported as written survives a loss of power (`fsync`, then `rename`).
//! Content that a record speaks of may not have reached the disk then; it is found missing by its hashes.

use super::disk::Disk;
use super::host::{Ended, News};
use super::metrics::Counters;
use super::{Settings, disk};
use crate::Error;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};
use swarmlet_core::{JobId, Root, Work};
use tokio::sync::mpsc::Sender;

/// Threads that read content.
const READERS: usize = 2;

type Queue = mpsc::Sender<(JobId, Work)>;

/// Where content is kept.
pub(super) struct Store {
    disk: Arc<Disk>,
    /// Gone once it is closed.
    queues: Option<Queues>,
    threads: Vec<JoinHandle<()>>,
}

struct Queues {
    content: Queue,
    records: Queue,
    reads: Queue,
}

impl Store {
    /// A store in the folder of the settings; without one nothing is kept, and only seeded files can be read.
    pub(super) fn open(
        settings: &Settings,
        news: Sender<News>,
        counters: Arc<Counters>,
    ) -> Result<Self, Error> {
        let disk = Arc::new(Disk::open(settings, counters)?);
        let mut threads = Vec::new();
        let mut start = |name: &str, jobs: &Arc<Mutex<mpsc::Receiver<(JobId, Work)>>>| {
            let (disk, jobs, news) = (Arc::clone(&disk), Arc::clone(jobs), news.clone());
            let work = move || work(&disk, &jobs, &news);
            let thread = Builder::new().name(name.to_owned()).spawn(work);
            thread.map(|thread| threads.push(thread)).map_err(|error| Error::Start(error.to_string()))
        };
        let queue = || {
            let (queue, jobs) = mpsc::channel();
            (queue, Arc::new(Mutex::new(jobs)))
        };
        let ((content, writes), (records, small), (reads, loads)) = (queue(), queue(), queue());
        start("store", &writes)?;
        start("records", &small)?;
        for _ in 0..READERS {
            start("loads", &loads)?;
        }
        Ok(Self { disk, queues: Some(Queues { content, records, reads }), threads })
    }

    /// Its files.
    pub(super) fn disk(&self) -> Arc<Disk> {
        Arc::clone(&self.disk)
    }

    /// From now on these files are read where they are.
    pub(super) fn add_sources(&self, sources: Vec<(Root, PathBuf)>) {
        self.disk.add_sources(sources);
    }

    /// Begins one storage job.
    pub(super) fn begin(&self, job: JobId, work: Work) {
        let Some(queues) = &self.queues else { return };
        let queue = match &work {
            Work::Load { .. } => &queues.reads,
            Work::Get { .. } | Work::Put { .. } | Work::Forget { .. } => &queues.records,
            _ => &queues.content,
        };
        // The threads end with their queue only.
        let _ = queue.send((job, work));
    }

    /// Takes no more; what is given back waits until everything that was begun is done.
    pub(super) fn close(&mut self) -> impl FnOnce() + Send + 'static {
        self.queues = None;
        let threads = core::mem::take(&mut self.threads);
        let disk = Arc::clone(&self.disk);
        move || {
            for thread in threads {
                let _ = thread.join();
            }
            disk.flush();
        }
    }
}

fn work(disk: &Disk, jobs: &Mutex<mpsc::Receiver<(JobId, Work)>>, news: &Sender<News>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((job, work)) = next else { return };
        let ended = disk.carry_out(work).unwrap_or_else(|error| Ended::Failed(disk::failure(&error)));
        // Nobody listens at the very end, and then nothing hangs on it.
        let _ = news.try_send(News::Done { job, ended }).or_else(|refused| match refused {
            tokio::sync::mpsc::error::TrySendError::Full(news_item) => {
                news.blocking_send(news_item).map_err(drop)
            }
            tokio::sync::mpsc::error::TrySendError::Closed(_) => Err(()),
        });
    }
}
