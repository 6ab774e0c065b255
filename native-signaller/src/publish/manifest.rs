//! What is written: the manifest and its signature, the torrent, the policy; and what the owner is told.

use super::walk::Found;
use super::{PublishOptions, kind, replace};
use crate::Error;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use swarmlet_core::Root;
use swarmlet_core::content::{Built, site_topic, topic_of};

/// What pages read.
pub(crate) const MANIFEST: &str = "swarmlet.json";
/// What the swarm reads.
const TORRENT: &str = "swarmlet.torrent";
/// What pages are to do now.
pub(super) const POLICY: &str = "swarmlet-policy.json";
/// Beside a file: its signature.
pub(crate) const SIGNATURE: &str = "swarmlet.json.sig";
const POLICY_SIGNATURE: &str = "swarmlet-policy.json.sig";
/// Never part of what is published.
pub(super) const OWN: [&str; 7] =
    [MANIFEST, TORRENT, POLICY, SIGNATURE, POLICY_SIGNATURE, super::live::BULLETIN, "swarmlet-sw.js"];
/// Signatures for one purpose are good for no other.
const SITE_CONTEXT: &[u8] = b"swarmlet site manifest\n";
const POLICY_CONTEXT: &[u8] = b"swarmlet site policy\n";

/// The address of a site's folder, with a slash at its end.
pub(super) fn base(url: &str) -> Result<String, Error> {
    let http = url.starts_with("https://") || url.starts_with("http://");
    let plain = http
        && !url.contains(['?', '#', '"', '<', ' '])
        && url.split('/').nth(2).is_some_and(|host| !host.is_empty());
    if !plain {
        return Err(Error::Config(format!("--base-url {url} is no address such as https://shop.example/")));
    }
    Ok(if url.ends_with('/') { url.to_owned() } else { format!("{url}/") })
}

/// Writes manifest, signature and torrent. `made`: when, in seconds since 1970. Returns the manifest's text.
pub(super) fn write(
    folder: &Path,
    built: &Built,
    found: &[Found],
    base: Option<&str>,
    made: u64,
    key: Option<&SigningKey>,
) -> Result<String, Error> {
    let info = &built.torrent.info;
    let mut files = Vec::new();
    for (at, entry) in built.order.iter().zip(&info.files) {
        let (Some(file), Some(root)) = (found.get(*at), entry.root) else { continue };
        files.push(json!([
            file.path,
            file.size,
            root.to_string(),
            kind::of(&file.path, first_byte(&folder.join(&file.path)))
        ]));
    }
    let text = text(Some(built), &files, base, made, key, TORRENT);
    // The torrent first: who reads the new manifest finds it.
    replace(&folder.join(TORRENT), &built.torrent.encode())?;
    sign(folder, SIGNATURE, SITE_CONTEXT, &text, key)?;
    replace(&folder.join(MANIFEST), text.as_bytes())?;
    Ok(text)
}

/// A manifest's text. `built`: what the swarm has of it; `files`: as pages read them; `torrent`: where it is, from there.
pub(crate) fn text(
    built: Option<&Built>,
    files: &[Value],
    base: Option<&str>,
    made: u64,
    key: Option<&SigningKey>,
    torrent: &str,
) -> String {
    let content = built.map(|built| built.torrent.info.content);
    // With a key visitors of all deploys meet; without one there is nothing else that deploys have in common.
    let topic = match (key, content) {
        (Some(key), _) => site_topic(&key.verifying_key().to_bytes()).to_string(),
        (None, content) => content.map(|content| topic_of(&content).to_string()).unwrap_or_default(),
    };
    let text = json!({
        "version": 1,
        "content": content.map(|content| content.to_string()).unwrap_or_default(),
        "topic": topic,
        "made": made,
        "base": base,
        "torrent": torrent,
        "files": files,
    });
    format!("{text}\n")
}

/// The signature of a manifest, as pages read it.
pub(crate) fn seal(text: &str, key: &SigningKey) -> String {
    signature(SITE_CONTEXT, text, key)
}

fn signature(context: &[u8], text: &str, key: &SigningKey) -> String {
    let signature = key.sign(&[context, text.as_bytes()].concat()).to_bytes();
    let mut hex = String::new();
    signature.iter().for_each(|byte| hex.push_str(&format!("{byte:02x}")));
    hex.push('\n');
    hex
}

/// What pages are told to do now, if anything.
pub(super) fn policy(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(POLICY)).ok()?;
    let policy: serde_json::Value = serde_json::from_str(&text).ok()?;
    policy["mode"].as_str().map(str::to_owned)
}

/// Writes what pages are to do now.
pub(super) fn write_policy(folder: &Path, mode: &str, key: Option<&SigningKey>) -> Result<(), Error> {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let made = now.map_or(0, |since| since.as_millis() as u64);
    let text = format!("{}\n", json!({ "version": 1, "made": made, "mode": mode }));
    sign(folder, POLICY_SIGNATURE, POLICY_CONTEXT, &text, key)?;
    replace(&folder.join(POLICY), text.as_bytes())
}

/// Signs a text; without a key, an old signature goes away.
fn sign(
    folder: &Path,
    name: &str,
    context: &[u8],
    text: &str,
    key: Option<&SigningKey>,
) -> Result<(), Error> {
    let path = folder.join(name);
    let Some(key) = key else {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::Read(path, error)),
            Ok(()) | Err(_) => Ok(()),
        };
    };
    replace(&path, signature(context, text, key).as_bytes())
}

/// What a file begins with.
pub(super) fn first_byte(path: &Path) -> Option<u8> {
    let mut byte = [0];
    File::open(path).and_then(|mut file| file.read_exact(&mut byte)).ok()?;
    Some(byte[0])
}

/// What the owner pastes into pages, and where.
pub(super) fn instructions(
    options: &PublishOptions,
    text: &str,
    key: Option<&SigningKey>,
    mode: &str,
) -> String {
    let signaller = options.signaller.trim_end_matches('/');
    let pin = match key {
        Some(key) => format!("data-key=\"{}\"", Root(key.verifying_key().to_bytes())),
        None => format!("data-id=\"{}\"", Root(Sha256::digest(text.as_bytes()).into())),
    };
    let folder = path_of(options);
    format!(
        "\nIn every page:\n  <script async src=\"{signaller}/swarmlet/embed.js\" data-manifest=\"{folder}{MANIFEST}\" {pin} data-mode=\"{mode}\"></script>\n\
        \nIn a file /swarmlet-sw.js:\n  importScripts('{signaller}/swarmlet/sw.js');\n  swarmlet({{ only: true }});\n\
        \nOr, where the site has a service worker, at its top (and data-worker=\"/…\" in the tag):\n  importScripts('{signaller}/swarmlet/sw.js');\n  swarmlet();\n"
    )
}

/// What the owner of a live stream pastes into its page.
pub(super) fn live_instructions(options: &PublishOptions, key: &SigningKey) -> String {
    let (signaller, folder) = (options.signaller.trim_end_matches('/'), path_of(options));
    let (key, bulletin) = (Root(key.verifying_key().to_bytes()), super::live::BULLETIN);
    format!(
        "\nIn the page of the stream (with data-manifest=\"none\" where nothing else is shared):\n  <script async src=\"{signaller}/swarmlet/embed.js\" data-live=\"{folder}{bulletin}\" data-key=\"{key}\" data-mode=\"shadow\"></script>\n"
    )
}

/// The path of the folder on the web, with a slash at its end.
fn path_of(options: &PublishOptions) -> String {
    let url = options.base_url.as_deref().and_then(|url| url.split_once("://"));
    let path = url.map_or("/", |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    if path.ends_with('/') { path.to_owned() } else { format!("{path}/") }
}
