//! `swarmlet-signaller publish`: a web site's folder becomes a manifest that its visitors' browsers share it by.
//!
//! Two files beside the site: `swarmlet.json`, what a page needs to know (address → type, size, root), and
//! `swarmlet.torrent` (BEP 52), what the swarm needs. A key signs the first, and the first names the second, so a page that
//! knows the key, or the first one's hash, believes no other.

pub(crate) mod board;
pub(crate) mod bulletin;
pub(crate) mod cache;
pub(crate) mod caching;
pub(crate) mod crowd;
pub(crate) mod kind;
mod live;
pub(crate) mod manifest;
pub(crate) mod tally;
pub(crate) mod walk;

use crate::seed::{count, hash_file};
use crate::{Error, mint};
use cache::Cache;
use clap::Args;
use core::time::Duration;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use swarmlet_core::content::{Builder, Built};
use walk::Found;

/// Between two looks at the folder. What looks the same twice is at rest.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a page does until its owner says otherwise.
const FIRST_MODE: &str = "shadow";
/// What the policy says until its owner says otherwise: do what the page's tag says.
const NO_POLICY: &str = "page";

/// What to publish, and how.
#[derive(Clone, Debug, Args)]
pub struct PublishOptions {
    /// The folder that the web server serves
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Where the folder is on the web, for example `https://shop.example/` [default: where a page finds the manifest]
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// Sign with the Ed25519 key in this file, as `token --new-key` printed it
    #[arg(long, value_name = "FILE")]
    pub sign: Option<PathBuf>,
    /// Stay, and publish again whenever something in the folder changes
    #[arg(long)]
    pub watch: bool,
    /// The folder is a live stream: stay, sign each new HLS segment as it appears, and tell viewers through the
    /// signaller
    #[arg(long, requires = "sign", conflicts_with_all = ["watch", "policy"])]
    pub live: bool,
    /// The signaller that visitors meet at
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8787")]
    pub signaller: String,
    /// Leave out files of fewer bytes: they cost more to ask for than to send
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024)]
    pub min_size: u64,
    /// Leave out files whose path fits, for example `private/*` or `*.html`; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Ask the web server at `--base-url` for the headers of each file, and leave out what is not for everybody
    /// (`private`, `no-store`, `Set-Cookie`, `Vary: Cookie`) or not there
    #[arg(long, requires = "base_url", conflicts_with_all = ["watch", "live"])]
    pub check: bool,
    /// Read every file again, whatever its size and time say
    #[arg(long)]
    pub rehash: bool,
    /// Write what every visitor's page is to do now, `off`, `shadow`, `on` or `page` (what its tag says), and nothing
    /// else: the switch to stop it all
    #[arg(long, value_name = "MODE", value_parser = ["off", "shadow", "on", "page"])]
    pub policy: Option<String>,
}

/// Publishes once, or for as long as the folder is watched.
///
/// # Errors
/// When the folder cannot be read or written to, or holds what cannot be shared.
pub fn run(options: &PublishOptions) -> Result<(), Error> {
    let key = options.sign.as_deref().map(mint::read).transpose()?;
    check_key(options)?;
    let base = options.base_url.as_deref().map(manifest::base).transpose()?;
    if let Some(mode) = &options.policy {
        manifest::write_policy(&options.folder, mode, key.as_ref())?;
        println!("{} says: {mode}", options.folder.join(manifest::POLICY).display());
        return Ok(());
    }
    if let Some(key) = key.as_ref().filter(|_| options.live) {
        return live::run(options, base.as_deref(), key);
    }
    let mut found = find(options)?;
    if let Some(base) = base.as_deref().filter(|_| options.check) {
        found = caching::keep_public(base, found)?;
    }
    let made = publish(options, base.as_deref(), key.as_ref(), &found)?;
    println!("{}", manifest::instructions(options, &made, key.as_ref(), FIRST_MODE));
    if !options.watch {
        return Ok(());
    }
    loop {
        found = next(options, &found);
        if let Err(error) = publish(options, base.as_deref(), key.as_ref(), &found) {
            eprintln!("swarmlet-signaller: {error}");
        }
    }
}

/// Refuses what would end sharing, or the site's safety, without a word: no key where pages want a signature, so that not even
/// the switch to stop it all would be heard; and a key that the web server would give to everybody.
fn check_key(options: &PublishOptions) -> Result<(), Error> {
    let folder = &options.folder;
    let Some(key) = &options.sign else {
        let seal = folder.join(manifest::SIGNATURE);
        let text = "this site is signed, and its pages believe nothing else: say --sign, or remove this file to begin anew";
        return if seal.exists() { Err(Error::Unfit(seal, text.to_owned())) } else { Ok(()) };
    };
    let inside = folder
        .canonicalize()
        .ok()
        .zip(key.canonicalize().ok())
        .is_some_and(|(folder, key)| key.starts_with(folder));
    if inside {
        return Err(Error::Unfit(key.clone(), "a private key in the folder that the web server serves: move it out, and make a new one if it was there for long".to_owned()));
    }
    Ok(())
}

fn find(options: &PublishOptions) -> Result<Vec<Found>, Error> {
    walk::find(&options.folder, &options.exclude, options.min_size)
}

/// Waits until the folder is at rest and is not what was published.
fn next(options: &PublishOptions, published: &[Found]) -> Vec<Found> {
    let mut last = None;
    loop {
        std::thread::sleep(LOOK_EVERY);
        let now = find(options).ok();
        if let Some(found) = now.as_ref().filter(|found| now == last && found.as_slice() != published) {
            return found.clone();
        }
        last = now;
    }
}

/// Hashes what is new, writes the files, says what was done. Returns the manifest's text.
fn publish(
    options: &PublishOptions,
    base: Option<&str>,
    key: Option<&ed25519_dalek::SigningKey>,
    found: &[Found],
) -> Result<String, Error> {
    let unfit = |text: &dyn ToString| Error::Unfit(options.folder.clone(), text.to_string());
    if found.is_empty() {
        return Err(unfit(&"there is nothing to publish here"));
    }
    let cache_path = options.folder.join(cache::NAME);
    let cache = if options.rehash { Cache::default() } else { Cache::read(&cache_path) };
    let (built, known) = hash(&options.folder, found, &cache, base)?;
    let mut next = Cache::default();
    for (at, entry) in built.order.iter().zip(&built.torrent.info.files) {
        let leaves = entry.root.and_then(|root| built.leaves.get(&root));
        if let (Some(file), Some(leaves)) = (found.get(*at), leaves) {
            next.put(file, leaves.clone());
        }
    }
    let made = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let text = manifest::write(&options.folder, &built, found, base, made, key)?;
    let policy = manifest::policy(&options.folder).unwrap_or_else(|| NO_POLICY.to_owned());
    manifest::write_policy(&options.folder, &policy, key)?;
    // Without it the next time takes longer, and that is all.
    if let Err(error) = next.write(&cache_path) {
        eprintln!("{}: {error}; the next time will hash everything again", cache_path.display());
    }
    let bytes: u64 = found.iter().map(|file| file.size).sum();
    let id = built.torrent.info.content;
    println!("{id}: {}, {bytes} bytes, {} unchanged", count(found.len(), "file"), count(known, "file"));
    Ok(text)
}

/// Hashes the files that are not in the cache. Says how many were.
fn hash(folder: &Path, found: &[Found], cache: &Cache, base: Option<&str>) -> Result<(Built, usize), Error> {
    let unfit = |text: &dyn ToString| Error::Unfit(folder.to_owned(), text.to_string());
    let listed: Vec<_> = found.iter().map(|file| (file.names(), file.size)).collect();
    let seeds = base.map(|base| format!("{base}#")).into_iter().collect();
    let mut builder = Builder::new(&name(folder, base), &listed, seeds).map_err(|error| unfit(&error))?;
    let new: u64 = found.iter().filter(|file| cache.get(file).is_none()).map(|file| file.size).sum();
    let bar = bar(new);
    let mut known = 0;
    for (at, file) in found.iter().enumerate() {
        match cache.get(file) {
            Some(leaves) => {
                known += 1;
                builder.know(at, leaves.to_vec()).map_err(|error| unfit(&error))?;
            }
            None => {
                let (start, before) = (bar.position(), builder.hashed());
                hash_file(&mut builder, at, &folder.join(&file.path), &mut |hashed| {
                    bar.set_position(start + hashed - before);
                    true
                })?;
            }
        }
    }
    bar.finish_and_clear();
    let built = builder.finish();
    Ok((built.map_err(|error| unfit(&format!("{error}: a file changed while it was read")))?, known))
}

fn bar(bytes: u64) -> ProgressBar {
    if bytes == 0 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("hashing {bar:30} {percent:>3} %  {bytes_per_sec}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// A name for the share: the site's host, else the folder's name. It is no part of any address.
fn name(folder: &Path, base: Option<&str>) -> String {
    let host = base.and_then(|base| base.split("://").nth(1)).and_then(|rest| rest.split('/').next());
    let host = host.map(|host| host.replace(':', "-")).filter(|host| !host.is_empty());
    let whole = folder.canonicalize().ok();
    let own = whole.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()).map(str::to_owned);
    host.or(own).unwrap_or_else(|| "site".to_owned())
}

/// Replaces a file in one step: a page never reads half of one.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let unwritable = |error| Error::Read(path.to_owned(), error);
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    fs::write(&part, bytes).map_err(unwritable)?;
    fs::rename(&part, path).map_err(unwritable)
}

#[cfg(test)]
mod tests;
