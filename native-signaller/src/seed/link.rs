//! What people hand to the command line: paths, `.torrent` files, links of pages, magnet links, ids.

use crate::Error;
use percent_encoding::percent_decode_str;
use std::path::Path;
use swarmlet_core::config::TORRENT_BYTES_MAX;
use swarmlet_core::content::{Magnet, Torrent};

/// A share to fetch.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) magnet: Magnet,
    pub(super) torrent: Option<Torrent>,
    /// The page that the link is of: its server is the signaller.
    pub(super) page: Option<String>,
}

impl Target {
    /// Reads a link, or the `.torrent` file that is named.
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        let path = Path::new(text);
        if path.is_file() {
            return Self::from_file(path);
        }
        let refuse = |error: &dyn ToString| Error::Unfit(path.to_owned(), error.to_string());
        let (page, fragment) = split(text.trim());
        let magnet = Magnet::parse(&fragment).map_err(|error| refuse(&error))?;
        Ok(Self { magnet, torrent: None, page: page.map(str::to_owned) })
    }

    fn from_file(path: &Path) -> Result<Self, Error> {
        let unreadable = |error| Error::Read(path.to_owned(), error);
        let refuse = |error: &dyn ToString| Error::Unfit(path.to_owned(), error.to_string());
        let size = path.metadata().map_err(unreadable)?.len();
        if size > TORRENT_BYTES_MAX as u64 {
            return Err(refuse(&"this is too large for a .torrent file"));
        }
        let torrent =
            Torrent::parse(&std::fs::read(path).map_err(unreadable)?).map_err(|error| refuse(&error))?;
        Ok(Self { magnet: torrent.magnet(), torrent: Some(torrent), page: None })
    }
}

/// A page's address and what its fragment names; text that is no page's address is named whole.
fn split(text: &str) -> (Option<&str>, String) {
    let is_page = ["http://", "https://"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)));
    match text.split_once('#').filter(|_| is_page) {
        None => (None, text.to_owned()),
        Some((page, fragment)) => {
            let encoded = fragment.get(..9).is_some_and(|head| head.eq_ignore_ascii_case("magnet%3a"));
            let whole = percent_decode_str(fragment).decode_utf8().ok().filter(|_| encoded);
            (Some(page), whole.map_or_else(|| fragment.to_owned(), std::borrow::Cow::into_owned))
        }
    }
}

/// The WebSocket of a signaller that is named by its page, or by itself.
pub(super) fn signal_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.trim().split_once("://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => "ws",
        "https" | "wss" => "wss",
        _ => return None,
    };
    let rest = rest.split(['#', '?']).next().unwrap_or("");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() || host.contains(char::is_whitespace) {
        return None;
    }
    // A page is a folder or a file in one; the signaller is beside it.
    let path = if path.ends_with("signal") { path } else { "signal" };
    Some(format!("{scheme}://{host}/{path}"))
}

/// The link that opens a share in the page of a signaller.
pub(super) fn page_link(page: &str, magnet: &Magnet) -> Option<String> {
    let url = signal_url(page)?;
    let page = url.strip_suffix("signal")?;
    Some(format!("{}#{magnet}", page.replacen("ws", "http", 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn links_of_all_kinds_name_the_same() {
        let magnet = format!("magnet:?xt=urn:btmh:1220{ID}&dn=a");
        let encoded = magnet.replace(':', "%3A").replace('?', "%3F").replace('&', "%26").replace('=', "%3D");
        for (text, page) in [
            (ID.to_owned(), None),
            (magnet.clone(), None),
            (format!("https://swarm.example/#{magnet}"), Some("https://swarm.example/")),
            (format!(" HTTP://swarm.example:8787/a/b#{encoded} "), Some("HTTP://swarm.example:8787/a/b")),
        ] {
            let target = Target::read(&text).unwrap();
            assert_eq!(target.magnet.content.to_string(), ID, "{text}");
            assert_eq!(target.page.as_deref(), page, "{text}");
        }
        assert!(Target::read("https://swarm.example/").is_err());
        assert!(Target::read("no such file").is_err());
    }

    #[test]
    fn a_signaller_is_found_beside_its_page() {
        for (page, url) in [
            ("http://127.0.0.1:8787", "ws://127.0.0.1:8787/signal"),
            ("https://swarm.example/index.html#x", "wss://swarm.example/signal"),
            ("wss://swarm.example/deep/signal", "wss://swarm.example/deep/signal"),
            ("HTTPS://[::1]:1/?a", "wss://[::1]:1/signal"),
        ] {
            assert_eq!(signal_url(page).as_deref(), Some(url));
        }
        for bad in ["", "127.0.0.1:8787", "ftp://a", "http://", "http:///x"] {
            assert_eq!(signal_url(bad), None, "{bad}");
        }
        let link = page_link("wss://swarm.example/signal", &Magnet::parse(ID).unwrap()).unwrap();
        assert_eq!(link, format!("https://swarm.example/#magnet:?xt=urn:btmh:1220{ID}"));
    }
}
