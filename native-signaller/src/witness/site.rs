//! What is vouched for of one site, and the one task that asks its server.

use super::fetch::{Fetcher, Got};
use super::wishes::Wishes;
use crate::Error;
use crate::config::Witness;
use crate::publish::{kind, manifest};
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use ed25519_dalek::SigningKey;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};
use swarmlet_core::Hash;
use swarmlet_core::content::{Builder, Built, ContentError};
use swarmlet_core::tracker::server::Network;
use swarmlet_core::tracker::server::{Bucket, Rate};
use tokio::sync::Notify;

/// Bytes of a path.
const PATH_BYTES_MAX: usize = 1024;
/// Smaller ones cost more to ask for than to send: `publish` leaves them out too.
const BYTES_MIN: u64 = 16 * 1024;
/// With nothing to forget.
const LONG: Duration = Duration::from_secs(3600);

/// One site.
pub(crate) struct Site {
    base: String,
    key: SigningKey,
    demand: u32,
    wishes: Mutex<Wishes>,
    /// There is something to ask for.
    wanted: Notify,
    objects: Mutex<BTreeMap<String, Object>>,
    /// The newest, and the one before: who has just read that manifest asks for its torrent.
    editions: Mutex<[Arc<Edition>; 2]>,
    pub(super) counts: Counts,
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) fetches: AtomicU64,
    pub(super) fetched_bytes: AtomicU64,
    pub(super) refusals: AtomicU64,
}

/// What a server sent.
#[derive(Clone, Debug)]
struct Object {
    leaves: Vec<Hash>,
    size: u64,
    kind: &'static str,
    etag: Option<String>,
    /// Until when it is vouched for. After that it is remembered, so that its server need not send it again.
    until: Instant,
}

/// What pages read.
pub(super) struct Edition {
    pub(super) manifest: String,
    pub(super) seal: String,
    torrent: Option<(String, Vec<u8>)>,
}

/// Asks the site's server for what is wished for, one after the other.
pub(crate) struct Worker {
    site: Arc<Site>,
    fetcher: Fetcher,
    rate: Rate,
    object_bytes_max: u64,
    objects_max: usize,
    bytes_max: u64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Site {
    pub(super) fn new(config: &Witness, base: String, key: SigningKey) -> Result<(Arc<Self>, Worker), Error> {
        let fetcher = Fetcher::new(config, &base)?;
        let empty = Arc::new(Edition::new(&base, &key, None, &[]));
        let site = Arc::new(Self {
            base,
            key,
            demand: config.demand,
            wishes: Mutex::default(),
            wanted: Notify::new(),
            objects: Mutex::default(),
            editions: Mutex::new([Arc::clone(&empty), empty]),
            counts: Counts::default(),
        });
        let worker = Worker {
            site: Arc::clone(&site),
            fetcher,
            rate: config.fetches.into(),
            object_bytes_max: config.object_bytes_max,
            objects_max: config.objects_max as usize,
            bytes_max: config.bytes_max,
        };
        Ok((site, worker))
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Somebody loaded what is there.
    pub(super) fn wish(&self, path: &str, network: Network, now: Instant) {
        if !is_sane(path) || locked(&self.objects).get(path).is_some_and(|object| object.until > now) {
            return;
        }
        if locked(&self.wishes).add(path, network, self.demand, now) {
            self.wanted.notify_one();
        }
    }

    pub(super) fn edition(&self) -> Arc<Edition> {
        Arc::clone(&locked(&self.editions)[0])
    }

    /// A torrent by its name.
    pub(super) fn torrent(&self, name: &str) -> Option<Vec<u8>> {
        let editions = locked(&self.editions).clone();
        editions
            .iter()
            .filter_map(|edition| edition.torrent.clone())
            .find(|(known, _)| known == name)
            .map(|(_, bytes)| bytes)
    }

    /// Objects that are vouched for, and their bytes.
    pub(super) fn vouched(&self) -> (u64, u64) {
        let (objects, now) = (locked(&self.objects), Instant::now());
        let good = objects.values().filter(|object| object.until > now);
        good.fold((0, 0), |(count, bytes), object| (count + 1, bytes + object.size))
    }

    /// Signs what is vouched for now.
    fn publish(&self, now: Instant) -> Result<(), ContentError> {
        let good: Vec<(String, Object)> = {
            let objects = locked(&self.objects);
            let good = objects.iter().filter(|(_, object)| object.until > now);
            good.map(|(path, object)| (path.clone(), object.clone())).collect()
        };
        let built = if good.is_empty() { None } else { Some(build(&self.base, &good)?) };
        let edition = Arc::new(Edition::new(&self.base, &self.key, built.as_ref(), &good));
        let mut editions = locked(&self.editions);
        editions.swap(0, 1);
        editions[0] = edition;
        Ok(())
    }
}

/// A path that can be a file's, as its owner writes it.
fn is_sane(path: &str) -> bool {
    let odd = |c: char| c.is_control() || matches!(c, '?' | '#' | '\\');
    let fits = !path.is_empty() && path.len() <= PATH_BYTES_MAX && !path.contains(odd);
    fits && path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}

fn build(base: &str, objects: &[(String, Object)]) -> Result<Built, ContentError> {
    let host = base.split('/').nth(2).unwrap_or("site").replace(':', "-");
    let names = |path: &str| path.split('/').map(str::to_owned).collect();
    let listed: Vec<_> = objects.iter().map(|(path, object)| (names(path), object.size)).collect();
    let mut builder = Builder::new(&host, &listed, vec![format!("{base}#")])?;
    for (at, (_, object)) in objects.iter().enumerate() {
        builder.know(at, object.leaves.clone())?;
    }
    builder.finish()
}

impl Edition {
    fn new(base: &str, key: &SigningKey, built: Option<&Built>, objects: &[(String, Object)]) -> Self {
        let mut files = Vec::new();
        for (at, entry) in built.iter().flat_map(|built| built.order.iter().zip(&built.torrent.info.files)) {
            let (Some((path, object)), Some(root)) = (objects.get(*at), entry.root) else { continue };
            files.push(json!([path, object.size, root.to_string(), object.kind]));
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let made = since.map_or(0, |since| since.as_secs());
        let torrent =
            built.map(|built| (format!("{}.torrent", built.torrent.info.content), built.torrent.encode()));
        let name = torrent.as_ref().map_or("none.torrent", |(name, _)| name.as_str());
        let manifest = manifest::text(built, &files, Some(base), made, Some(key), name);
        let seal = manifest::seal(&manifest, key);
        Self { manifest, seal, torrent }
    }
}

impl Worker {
    /// Works until it is dropped.
    pub(crate) async fn run(self) {
        let began = tokio::time::Instant::now();
        let now = || {
            swarmlet_core::Instant::from_micros(
                u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            )
        };
        let mut bucket = Bucket::new(self.rate, now());
        loop {
            // First the permission, then the choice: what is wanted most by then.
            while let Err(wait) = bucket.take(self.rate, now()) {
                tokio::time::sleep(wait).await;
            }
            let path = self.next().await;
            self.visit(path).await;
        }
    }

    /// Waits for something to ask for; what is no longer vouched for meanwhile is taken out of the manifest.
    async fn next(&self) -> String {
        loop {
            let path = locked(&self.site.wishes).next(self.site.demand, Instant::now());
            if let Some(path) = path {
                return path;
            }
            let until = tokio::time::Instant::from_std(self.next_expiry());
            tokio::select! {
                () = self.site.wanted.notified() => {}
                () = tokio::time::sleep_until(until) => self.publish(None),
            }
        }
    }

    /// When something that is vouched for no longer is.
    fn next_expiry(&self) -> Instant {
        let (objects, now) = (locked(&self.site.objects), Instant::now());
        let coming = objects.values().map(|object| object.until).filter(|until| *until > now);
        coming.min().unwrap_or(now + LONG)
    }

    async fn visit(&self, path: String) {
        let counts = &self.site.counts;
        counts.fetches.fetch_add(1, Ordering::Relaxed);
        match self.take(&path).await {
            Ok(()) => self.publish(Some(path)),
            Err(why) => {
                counts.refusals.fetch_add(1, Ordering::Relaxed);
                locked(&self.site.objects).remove(&path);
                tracing::info!(event = "witness", site = self.site.base, path, "not vouched for: {why}");
            }
        }
    }

    /// Asks for an object and remembers it.
    async fn take(&self, path: &str) -> Result<(), String> {
        let room = self.room(path)?;
        let known = locked(&self.site.objects).get(path).cloned();
        let etag = known.as_ref().and_then(|known| known.etag.as_deref());
        let got = self.fetcher.get(path, etag, room).await?;
        let object = match (got, known) {
            (Got::Same { fresh }, Some(known)) => Object { until: Instant::now() + fresh, ..known },
            (Got::Same { .. }, None) => return Err("not modified".into()),
            (Got::Whole { size, .. }, _) if size < BYTES_MIN => return Err("it is too small".into()),
            (Got::Whole { leaves, size, first, etag, fresh }, _) => {
                self.site.counts.fetched_bytes.fetch_add(size, Ordering::Relaxed);
                let kind = kind::of(path, first);
                Object { leaves, size, kind, etag, until: Instant::now() + fresh }
            }
        };
        locked(&self.site.objects).insert(path.to_owned(), object);
        Ok(())
    }

    /// Bytes that there is room for: what is no longer vouched for gives way.
    fn room(&self, path: &str) -> Result<u64, String> {
        let (mut objects, now) = (locked(&self.site.objects), Instant::now());
        loop {
            let others = objects.iter().filter(|(name, _)| *name != path);
            let (count, bytes) =
                others.clone().fold((0, 0), |(count, sum), (_, object)| (count + 1, sum + object.size));
            let left = self.bytes_max.saturating_sub(bytes);
            if count < self.objects_max && left >= self.object_bytes_max {
                return Ok(self.object_bytes_max);
            }
            let oldest =
                others.filter(|(_, object)| object.until <= now).min_by_key(|(_, object)| object.until);
            match oldest.map(|(name, _)| name.clone()) {
                Some(oldest) => drop(objects.remove(&oldest)),
                None if count >= self.objects_max || left < BYTES_MIN => {
                    return Err("there is no room".into());
                }
                None => return Ok(left),
            }
        }
    }

    /// Signs anew. What was added last is left out if it does not go with the others: names that differ in capitals only.
    fn publish(&self, added: Option<String>) {
        let now = Instant::now();
        if let Err(error) = self.site.publish(now) {
            tracing::info!(
                event = "witness",
                site = self.site.base,
                path = added,
                "not vouched for: {error}"
            );
            self.site.counts.refusals.fetch_add(1, Ordering::Relaxed);
            if let Some(path) = added {
                locked(&self.site.objects).remove(&path);
            }
        }
        let objects = locked(&self.site.objects);
        let mut wishes = locked(&self.site.wishes);
        for (path, object) in objects.iter() {
            if object.until <= now {
                wishes.forget(path);
            }
        }
    }
}
