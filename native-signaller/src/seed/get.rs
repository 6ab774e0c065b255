//! `get LINK`: fetch a share into a folder, show how far it is, and be ready to go on after any end.

use super::cli::GetOptions;
use super::link::Target;
use super::show::{Show, amount, duration};
use super::{Peer, Settings};
use crate::Error;
use core::time::Duration;
use serde_json::json;
use std::path::{Path, PathBuf};
use swarmlet_core::action::ShareFailure;
use swarmlet_core::config::LEAF_BYTES;
use swarmlet_core::snapshot::{FileView, ShareView};
use swarmlet_core::{ContentId, Event, Failure};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{self, Instant};

/// Between two looks at the numbers.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What is remembered, inside the output folder.
const MEMORY: &str = ".swarmlet";

/// How `get` ended; the exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything is there.
    Complete = 0,
    /// The share cannot be had, or not be stored.
    Failed = 1,
    /// Nothing new came for as long as was to be waited.
    TimedOut = 3,
    /// It was interrupted; the next run goes on.
    Interrupted = 130,
}

/// Fetches until all is there, `stop` resolves, or it cannot go on.
///
/// # Errors
/// When the link is none, or the folder cannot be used.
pub async fn get(options: &GetOptions, stop: impl Future<Output = ()>) -> Result<Ended, Error> {
    let target = Target::read(&options.link)?;
    let settings = options.peer.settings(options.output.join(MEMORY), target.page.as_deref())?;
    let mut getter = Getter::start(options, &settings, target).await?;
    let ended = tokio::select! {
        ended = getter.run() => ended,
        () = stop => Ended::Interrupted,
    };
    getter.peer.close().await;
    getter.show.end();
    getter.tell(ended);
    Ok(ended)
}

struct Getter<'a> {
    options: &'a GetOptions,
    peer: Peer,
    events: tokio::sync::broadcast::Receiver<Event>,
    content: ContentId,
    show: Show,
    began: Instant,
    last: Option<ShareView>,
    name: String,
    files: Vec<FileView>,
    /// Bytes that were there when something new came last, and when that was.
    moved: (u64, Instant),
}

impl<'a> Getter<'a> {
    async fn start(options: &'a GetOptions, settings: &Settings, target: Target) -> Result<Self, Error> {
        let peer = Peer::start(settings)?;
        let events = peer.events();
        let content = target.magnet.content;
        let mut show = Show::new(options.peer.json);
        show.begin(target.magnet.name.as_deref().unwrap_or("…"), 1);
        peer.add(target.magnet, target.torrent).await;
        let began = Instant::now();
        let moved = (0, began);
        Ok(Self {
            options,
            peer,
            events,
            content,
            show,
            began,
            last: None,
            name: String::new(),
            files: Vec::new(),
            moved,
        })
    }

    async fn run(&mut self) -> Ended {
        let mut looks = time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            let ended = tokio::select! {
                event = self.events.recv() => match event {
                    Ok(event) => self.on_event(&event).await,
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => Some(Ended::Failed),
                },
                _ = looks.tick() => self.look().await,
            };
            if let Some(ended) = ended {
                return ended;
            }
        }
    }

    async fn on_event(&mut self, event: &Event) -> Option<Ended> {
        match event {
            Event::Ready { content } if *content == self.content => self.on_ready().await,
            Event::FileDone { content, file } if *content == self.content => {
                let entry = self.files.get(*file as usize)?;
                self.place(entry).await
            }
            Event::Done { content } if *content == self.content => Some(self.finish().await),
            Event::Failed { content, reason } if *content == self.content => {
                self.fail(&because(*reason));
                Some(Ended::Failed)
            }
            Event::SignallerRefused { reason } => {
                let text = format!("the signaller refuses: {reason}");
                self.show.say(&text, &json!({ "event": "refused", "reason": reason }));
                None
            }
            _ => None,
        }
    }

    async fn on_ready(&mut self) -> Option<Ended> {
        let view = self.share().await?;
        let bytes = view.files.iter().map(|file| file.length).sum::<u64>();
        let value = json!({ "event": "ready", "name": view.name, "bytes": bytes, "files": view.files.len() });
        self.show.say("", &value);
        self.show.begin(&view.name, bytes);
        (self.name, self.files) = (view.name, view.files);
        self.refuse_others()
    }

    /// Looks whether a file of somebody else's is in the way, before anything is fetched.
    fn refuse_others(&self) -> Option<Ended> {
        let other = self.files.iter().find_map(|entry| {
            let path = self.path_of(entry);
            let ours = entry.root.is_none_or(|root| self.peer.place_of(&root).is_some());
            (path.exists() && !ours && !self.options.force).then_some(path)
        });
        other.map(|path| {
            self.fail(&format!("{} is there already; --force writes over it", path.display()));
            Ended::Failed
        })
    }

    fn path_of(&self, entry: &FileView) -> PathBuf {
        let base = &self.options.output;
        let single = self.files.len() == 1 && entry.path == [self.name.as_str()];
        let folder = if single { base.clone() } else { base.join(&self.name) };
        entry.path.iter().fold(folder, |path, name| path.join(name))
    }

    async fn place(&self, entry: &FileView) -> Option<Ended> {
        let path = self.path_of(entry);
        let placed = match entry.root {
            Some(root) => self.peer.place(root, &path).await,
            None => empty(&path),
        };
        let Err(error) = placed else {
            let value = json!({ "event": "file", "path": path, "bytes": entry.length });
            self.show.say("", &value);
            return None;
        };
        self.fail(&format!("{}: {error}", path.display()));
        Some(Ended::Failed)
    }

    /// Puts what has no event of its own into its place, and says that all is there.
    async fn finish(&mut self) -> Ended {
        self.last = self.share().await;
        for entry in &self.files {
            let there = self.path_of(entry).is_file();
            let wanted = entry.wanted || entry.root.is_none();
            if wanted
                && !there
                && let Some(ended) = self.place(entry).await
            {
                return ended;
            }
        }
        Ended::Complete
    }

    async fn look(&mut self) -> Option<Ended> {
        let snapshot = self.peer.snapshot().await?;
        let asked: u64 = snapshot.links.iter().map(|link| u64::from(link.requested)).sum();
        let view = snapshot.shares.into_iter().find(|share| share.content == self.content)?;
        self.show.progress(&view, asked * u64::from(LEAF_BYTES), self.began.elapsed());
        if view.done > self.moved.0 {
            self.moved = (view.done, Instant::now());
        }
        self.last = Some(view);
        let patience = Duration::from_secs(self.options.timeout?);
        (self.moved.1.elapsed() > patience).then_some(Ended::TimedOut)
    }

    async fn share(&self) -> Option<ShareView> {
        let view = self.peer.snapshot().await?;
        view.shares.into_iter().find(|share| share.content == self.content)
    }

    fn fail(&self, reason: &str) {
        self.show.say(&format!("failed: {reason}"), &json!({ "event": "failed", "reason": reason }));
    }

    fn tell(&self, ended: Ended) {
        let Some(view) = &self.last else { return };
        let took = self.began.elapsed();
        let value = json!({ "event": format!("{ended:?}").to_lowercase(), "done": view.done, "wanted": view.wanted,
            "from_peers": view.from_peers, "from_http": view.from_http, "from_store": view.from_store,
            "sent": view.sent, "seconds": took.as_secs_f64() });
        let from = [(view.from_peers, "peers"), (view.from_http, "servers"), (view.from_store, "this disk")];
        let parts = from.iter().filter(|(bytes, _)| *bytes > 0);
        let parts: Vec<_> = parts.map(|(bytes, who)| format!("{} from {who}", amount(*bytes))).collect();
        let text = match ended {
            Ended::Complete => format!(
                "{} complete in {}: {}",
                self.options.output.join(&view.name).display(),
                duration(took.as_secs()),
                parts.join(", ")
            ),
            Ended::Failed => String::new(),
            Ended::TimedOut => format!(
                "gave up: nothing new came; {} of {} are kept",
                amount(view.done),
                amount(view.wanted)
            ),
            Ended::Interrupted => {
                format!(
                    "stopped at {} of {}; the same command goes on",
                    amount(view.done),
                    amount(view.wanted)
                )
            }
        };
        self.show.say(&text, &value);
    }
}

fn empty(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::File::create(path).map(drop)
}

/// Why a share cannot go on, in words.
pub(super) fn because(reason: ShareFailure) -> String {
    match reason {
        ShareFailure::BadInfo => "its list of files breaks the rules".to_owned(),
        ShareFailure::Storage(Failure::Full) => {
            "there is no room left on the disk, or in the quota".to_owned()
        }
        ShareFailure::Storage(failure) => format!("it cannot be stored ({})", failure.name()),
        ShareFailure::TooMany => "there are too many shares".to_owned(),
        ShareFailure::Unknown => "there is no such share or file".to_owned(),
        ShareFailure::SourceGone => "its files were changed, moved or deleted".to_owned(),
    }
}
