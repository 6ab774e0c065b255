//! What the commands say: text for people, or one JSON object for each line.

use core::time::Duration;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write, stdout};
use swarmlet_core::content::Torrent;
use swarmlet_core::snapshot::ShareView;

/// Where the words go.
pub(super) struct Show {
    json: bool,
    terminal: bool,
    bar: ProgressBar,
}

impl Show {
    pub(super) fn new(json: bool) -> Self {
        let bar = ProgressBar::hidden();
        Self { json, terminal: stdout().is_terminal(), bar }
    }

    /// Says something: `text` to people, `value` to programs.
    pub(super) fn say(&self, text: &str, value: &Value) {
        if self.json {
            put(&value.to_string());
        } else if !text.is_empty() {
            self.bar.suspend(|| put(text));
        }
    }

    /// A share that others can open now.
    pub(super) fn share(&self, torrent: &Torrent, link: &str) {
        let info = &torrent.info;
        let bytes: u64 = info.files.iter().map(|file| file.length).sum();
        let files = count(info.files.len(), "file");
        let mut text = format!("{}  {}, {files}\n{link}\n", info.name, amount(bytes));
        if self.terminal && !self.json {
            text += &qr(link).unwrap_or_default();
        }
        let value = json!({ "event": "share", "name": info.name, "bytes": bytes, "files": info.files.len(),
            "content": info.content.to_string(), "magnet": torrent.magnet().to_string(), "link": link });
        self.say(text.trim_end(), &value);
    }

    /// Begins a bar of so many bytes.
    pub(super) fn begin(&mut self, what: &str, bytes: u64) {
        if self.json || !self.terminal {
            return;
        }
        let style = "{prefix:.bold} {bar:30} {percent:>3} %  {msg}";
        self.bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        self.bar
            .set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_prefix(what.to_owned());
    }

    /// How far a share is; `in_flight`: bytes asked for that have not come yet.
    pub(super) fn progress(&self, view: &ShareView, in_flight: u64, took: Duration) {
        let left = seconds_left(view);
        if self.json {
            let value = json!({ "event": "progress", "state": format!("{:?}", view.state).to_lowercase(),
                "done": view.done, "wanted": view.wanted, "down_rate": view.down_rate, "up_rate": view.up_rate,
                "peers": view.peers, "sources": view.sources, "from_peers": view.from_peers,
                "from_http": view.from_http, "from_store": view.from_store, "in_flight": in_flight,
                "seconds": took.as_secs_f64(),
                "seconds_left": left });
            return put(&value.to_string());
        }
        self.bar.set_length(view.wanted.max(1));
        self.bar.set_position(view.done);
        let who = match view.peers {
            0 if view.sources > 0 => "over HTTP".to_owned(),
            peers => count(peers as usize, "peer"),
        };
        let left = left.map_or_else(String::new, |left| format!(", {} left", duration(left)));
        self.bar.set_message(format!("{}/s from {who}{left}", amount(view.down_rate)));
    }

    /// How far something else is.
    pub(super) fn advance(&self, done: u64, all: u64) {
        self.bar.set_length(all.max(1));
        self.bar.set_position(done);
    }

    /// Ends the bar.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn put(line: &str) {
    // A reader that went away is no reason to stop.
    let _ = writeln!(stdout(), "{line}").and_then(|()| stdout().flush());
}

fn seconds_left(view: &ShareView) -> Option<u64> {
    let missing = view.wanted.saturating_sub(view.done);
    if missing == 0 { Some(0) } else { missing.checked_div(view.down_rate) }
}

/// Bytes for people, in powers of ten.
pub(super) fn amount(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            let digits = usize::from(value < 9.95 && unit != "B");
            return format!("{value:.digits$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// So many of something, for people.
pub(crate) fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

/// Seconds for people.
pub(super) fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

fn qr(link: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(link, EcLevel::L).ok()?;
    // Light modules are drawn, since terminals are dark; readers take both.
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_960, "10 kB"), (999_600, "1.0 MB")]
        {
            assert_eq!(amount(bytes), text);
        }
        assert_eq!(amount(1_234_000_000_000), "1.2 TB");
        assert_eq!([0, 1, 2].map(|number| count(number, "file")), ["0 files", "1 file", "2 files"]);
        assert_eq!([duration(59), duration(61), duration(7261)], ["59 s", "1 min 1 s", "2 h 1 min"]);
    }
}
