//! `seed PATH|LINK...`: have shares, for as long as the process runs.

use super::cli::SeedOptions;
use super::get::because;
use super::known;
use super::link::{self, Target};
use super::share::Made;
use super::show::{Show, amount, count};
use super::watch::{Change, Watch};
use super::{Peer, Settings};
use crate::Error;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use serde_json::json;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swarmlet_core::content::Torrent;
use swarmlet_core::{Command, ContentId, Event};
use tokio::sync::broadcast::error::RecvError;
use tokio::time;

/// Between two looks at how far hashing is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Between two reports of what was given, for programs.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Seeds until `stop` resolves.
///
/// # Errors
/// When a path cannot be read, a link is none, or a folder cannot be used.
pub async fn seed(options: &SeedOptions, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let (mut paths, mut targets) = (Vec::new(), Vec::new());
    for what in &options.what {
        let path = Path::new(what);
        let is_torrent = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("torrent"));
        if path.exists() && !is_torrent {
            paths.push(path.to_owned());
        } else {
            targets.push(Target::read(what)?);
        }
    }
    let near = targets.iter().find_map(|target| target.page.clone());
    let mut settings = options.peer.settings(options.data.clone(), near.as_deref())?;
    if targets.is_empty() {
        settings.data = None;
    }
    settings.node.shares_max =
        settings.node.shares_max.max(u32::try_from(options.what.len()).unwrap_or(u32::MAX));
    let page = options.peer.page(near.as_deref()).to_owned();
    let mut tender = Tender::start(options, &settings, page)?;
    tokio::select! {
        ended = tender.run(paths, targets) => ended?,
        () = stop => {}
    }
    tender.peer.close().await;
    Ok(())
}

struct Tender<'a> {
    options: &'a SeedOptions,
    peer: Peer,
    show: Show,
    /// Where the links lead.
    page: String,
    names: HashMap<ContentId, String>,
    watched: HashMap<PathBuf, ContentId>,
}

impl<'a> Tender<'a> {
    fn start(options: &'a SeedOptions, settings: &Settings, page: String) -> Result<Self, Error> {
        let (peer, show) = (Peer::start(settings)?, Show::new(options.peer.json));
        Ok(Self { options, peer, show, page, names: HashMap::new(), watched: HashMap::new() })
    }

    async fn run(&mut self, paths: Vec<PathBuf>, targets: Vec<Target>) -> Result<(), Error> {
        let mut events = self.peer.events();
        for path in paths {
            self.add(&path).await?;
        }
        for target in targets {
            self.peer.add(target.magnet, target.torrent).await;
        }
        let mut watch = self.options.watch.clone().map(Watch::new);
        let mut reports = time::interval(REPORT_EVERY);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => self.on_event(&event).await,
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                },
                change = next_change(&mut watch) => self.on_change(change).await,
                _ = reports.tick() => self.report().await,
            }
        }
    }

    /// Hashes a path and offers it.
    async fn add(&mut self, path: &Path) -> Result<ContentId, Error> {
        let made = self.hash(path).await?;
        self.tell(made.torrent());
        Ok(self.peer.seed(made).await)
    }

    async fn hash(&mut self, path: &Path) -> Result<Made, Error> {
        let hashed = Arc::new(AtomicU64::new(0));
        let total = Arc::new(AtomicU64::new(1));
        let (path, web_seeds) = (path.to_owned(), self.options.web_seed.clone());
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut hashing = tokio::task::spawn_blocking({
            let (hashed, total) = (Arc::clone(&hashed), Arc::clone(&total));
            move || {
                Made::watched(&path, web_seeds, known::folder().as_deref(), &mut |done, all| {
                    hashed.store(done, Ordering::Relaxed);
                    total.store(all, Ordering::Relaxed);
                    // The last one who would want the result is gone.
                    Arc::strong_count(&hashed) > 1
                })
            }
        });
        self.show.begin(&format!("hashing {name}"), 1);
        let mut looks = time::interval(LOOK_EVERY);
        let made = loop {
            tokio::select! {
                made = &mut hashing => break made.map_err(|error| Error::Start(error.to_string()))?,
                _ = looks.tick() => self.show.advance(hashed.load(Ordering::Relaxed), total.load(Ordering::Relaxed)),
            }
        };
        self.show.end();
        made
    }

    fn tell(&mut self, torrent: &Torrent) {
        self.names.insert(torrent.info.content, torrent.info.name.clone());
        let link =
            link::page_link(&self.page, &torrent.magnet()).unwrap_or_else(|| torrent.magnet().to_string());
        self.show.share(torrent, &link);
    }

    async fn on_event(&mut self, event: &Event) {
        let name =
            |content: &ContentId| self.names.get(content).cloned().unwrap_or_else(|| content.to_string());
        match event {
            Event::Done { content } if !self.names.contains_key(content) => {
                if let Some(torrent) = self.peer.torrent(*content).await {
                    self.tell(&torrent);
                }
            }
            Event::Failed { content, reason } => {
                let (name, reason) = (name(content), because(*reason));
                let value = json!({ "event": "failed", "name": name, "content": content.to_string(), "reason": reason });
                self.show.say(&format!("{name}: failed: {reason}"), &value);
            }
            Event::SignallerUp => self.show.say("", &json!({ "event": "signaller", "up": true })),
            Event::SignallerDown { retry_ms } => {
                let value = json!({ "event": "signaller", "up": false, "retry_ms": retry_ms });
                self.show.say(&format!("no signaller at {}; trying again", self.page), &value);
            }
            Event::SignallerRefused { reason } => {
                let value = json!({ "event": "refused", "reason": reason });
                self.show.say(&format!("the signaller refuses: {reason}"), &value);
            }
            _ => {}
        }
    }

    async fn on_change(&mut self, change: Change) {
        match change {
            Change::Put(path) => {
                self.withdraw(&path).await;
                match self.add(&path).await {
                    Ok(content) => drop(self.watched.insert(path, content)),
                    Err(error) => {
                        let value = json!({ "event": "failed", "path": path, "reason": error.to_string() });
                        self.show.say(&error.to_string(), &value);
                    }
                }
            }
            Change::Gone(path) => self.withdraw(&path).await,
        }
    }

    async fn withdraw(&mut self, path: &Path) {
        let Some(content) = self.watched.remove(path) else { return };
        self.names.remove(&content);
        self.peer.command(Command::Remove { content, keep: true }).await;
        let value = json!({ "event": "withdrawn", "path": path, "content": content.to_string() });
        self.show.say(&format!("{} is not shared any more", path.display()), &value);
    }

    async fn report(&self) {
        let Some(view) = self.peer.snapshot().await else { return };
        let value = json!({ "event": "status", "signaller": view.signaller, "links": view.links.len(),
            "sent": view.totals.sent, "received": view.totals.from_peers + view.totals.from_http,
            "up_rate": view.links.iter().map(|link| link.up_rate).sum::<u64>(),
            "wire_sent": self.peer.counters().wire_out.load(Ordering::Relaxed),
            "wire_received": self.peer.counters().wire_in.load(Ordering::Relaxed),
            "wasted": view.totals.wasted, "dials_failed": self.peer.counters().dials_failed.load(Ordering::Relaxed),
            "stuck": self.peer.counters().stuck.load(Ordering::Relaxed), "shares": view.shares.len() });
        let up: u64 = view.links.iter().map(|link| link.up_rate).sum();
        if up > 0 || self.options.peer.json {
            let text = format!(
                "{}/s to {}, {} given",
                amount(up),
                count(view.links.len(), "peer"),
                amount(view.totals.sent)
            );
            self.show.say(&text, &value);
        }
    }
}

async fn next_change(watch: &mut Option<Watch>) -> Change {
    match watch {
        Some(watch) => watch.next().await,
        None => core::future::pending().await,
    }
}
