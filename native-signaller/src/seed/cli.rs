//! The command line of `seed` and `get`.

use super::{Line, Settings, Signaller, link};
use clap::Args;
use core::net::IpAddr;
use core::time::Duration;
use std::path::PathBuf;

/// What both commands take.
#[derive(Clone, Debug, Default, Args)]
pub struct PeerOptions {
    /// Where peers find each other [default: the server of the link, else http://127.0.0.1:8787]
    #[arg(long, value_name = "URL")]
    pub signaller: Option<String>,
    /// An authority (PEM) that is believed beside the public ones, for a signaller with a certificate of its own; may
    /// be repeated
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
    /// For a signaller that lets in only who has one
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    pub token: String,
    /// Bytes per second to give at most: 500k, 2M
    #[arg(long, value_name = "RATE", value_parser = size)]
    pub upload_limit: Option<u64>,
    /// Bytes per second to take at most
    #[arg(long, value_name = "RATE", value_parser = size)]
    pub download_limit: Option<u64>,
    /// Links at the same time
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub links_max: u32,
    /// Bytes of disk that fetched content may take: 20G
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub quota: Option<u64>,
    /// A STUN server, as stun:host:port, to be reached through a NAT; may be repeated
    #[arg(long, value_name = "URL")]
    pub stun: Vec<String>,
    /// The address by which this machine is known on the internet, where it is not its own; may be repeated
    #[arg(long, value_name = "IP")]
    pub external_ip: Vec<IpAddr>,
    /// An address of this machine to use [default: all]; may be repeated
    #[arg(long, value_name = "IP")]
    pub bind: Vec<IpAddr>,
    /// A slower line than there is, as RATE or RATE,MILLISECONDS: for measurements
    #[arg(long, value_name = "LINE", value_parser = line, hide = true)]
    pub line: Option<Line>,
    /// One JSON object for each line instead of text
    #[arg(long)]
    pub json: bool,
}

/// What to seed.
#[derive(Clone, Debug, Args)]
pub struct SeedOptions {
    /// Files, folders, `.torrent` files, share links, magnet links: each becomes a share
    #[arg(required_unless_present = "watch", value_name = "PATH|LINK")]
    pub what: Vec<String>,
    /// Share whatever is put into this folder, for as long as it is there
    #[arg(long, value_name = "DIR")]
    pub watch: Option<PathBuf>,
    /// Where to keep what is fetched for links
    #[arg(long, value_name = "DIR", default_value = "swarmlet-data")]
    pub data: PathBuf,
    /// Another HTTP source of the files, written into links; may be repeated
    #[arg(long, value_name = "URL")]
    pub web_seed: Vec<String>,
    /// The rest.
    #[command(flatten)]
    pub peer: PeerOptions,
}

/// What to get.
#[derive(Clone, Debug, Args)]
pub struct GetOptions {
    /// A share link, a magnet link, a content id or a `.torrent` file
    #[arg(value_name = "LINK")]
    pub link: String,
    /// Where to put it; `.swarmlet` in it remembers what is there already
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// Write over other files of the same names
    #[arg(long)]
    pub force: bool,
    /// Give up when nothing new came for so long
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// The rest.
    #[command(flatten)]
    pub peer: PeerOptions,
}

impl PeerOptions {
    /// Settings of a peer; `near` is where the link came from.
    pub(super) fn settings(&self, data: PathBuf, near: Option<&str>) -> Result<Settings, crate::Error> {
        let page = self.page(near);
        let signaller = link::signal_url(page)
            .ok_or_else(|| crate::Error::Config(format!("{page} is no address of a signaller")))?;
        let mut settings = Settings {
            signaller: Signaller::At(signaller),
            authorities: self.ca.clone(),
            data: Some(data),
            quota: self.quota,
            download_rate_max: self.download_limit,
            bind: self.bind.clone(),
            external: self.external_ip.clone(),
            stun: self.stun.clone(),
            line: self.line.clone(),
            ..Settings::default()
        };
        settings.node.token.clone_from(&self.token);
        settings.node.upload_rate_max = self.upload_limit;
        settings.node.links_max = self.links_max.max(1);
        Ok(settings)
    }

    /// The address of the signaller, as given.
    pub(super) fn page<'a>(&'a self, near: Option<&'a str>) -> &'a str {
        self.signaller.as_deref().or(near).unwrap_or("http://127.0.0.1:8787")
    }
}

/// Reads `500k`, `2M`, `1.5G`: powers of ten, as networks and disks are sold.
fn size(text: &str) -> Result<u64, String> {
    let text = text.trim().trim_end_matches(['b', 'B']);
    let (digits, factor) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        Some((at, 'g' | 'G')) => (&text[..at], 1e9),
        Some((at, 't' | 'T')) => (&text[..at], 1e12),
        _ => (text, 1.0),
    };
    let number: f64 =
        digits.parse().map_err(|_| "a number, perhaps with k, M, G or T, is wanted".to_owned())?;
    let bytes = number * factor;
    if (1.0..=9e15).contains(&bytes) { Ok(bytes as u64) } else { Err("this is out of range".to_owned()) }
}

/// Reads `250k,15`.
fn line(text: &str) -> Result<Line, String> {
    let (rate, way) = text.split_once(',').unwrap_or((text, "0"));
    let way = way.trim().parse().ok().filter(|ms: &u64| *ms <= 60_000);
    let way = way.ok_or_else(|| "the way takes a number of milliseconds, at most a minute".to_owned())?;
    Ok(Line::new(size(rate)?, Duration::from_millis(way)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_a_rate_and_a_way() {
        assert!(line("250k").is_ok() && line("2M,15").is_ok());
        for bad in ["", "x", "2M,", "2M,-1", "2M,100000", "0,1"] {
            assert!(line(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(size("500k"), Ok(500_000));
        assert_eq!(size("2M"), Ok(2_000_000));
        assert_eq!(size("1.5GB"), Ok(1_500_000_000));
        assert_eq!(size("7"), Ok(7));
        for bad in ["", "k", "-1", "0", "1x", "nan", "1e99"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
