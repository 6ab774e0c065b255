//! Logs: one line for each event, text or JSON. Never tokens, signals or whole addresses.

use crate::{Config, Error};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

/// Starts logging to standard error.
///
/// # Errors
/// When the filter is not one.
pub fn start(config: &Config) -> Result<(), Error> {
    let filter = filter(&config.log).map_err(|error| Error::Config(format!("log: {error}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    let done = if config.log_json { lines.json().try_init() } else { lines.with_target(false).try_init() };
    done.map_err(|error| Error::Start(error.to_string()))
}

/// A level is for our own words. Of libraries errors are logged, and of the WebRTC stack nothing: it warns of what is usual
/// (names that it cannot resolve, checks that come late) and names whole addresses of visitors. A filter that names targets
/// is taken as it is.
fn filter(wanted: &str) -> Result<EnvFilter, ParseError> {
    match wanted.parse::<LevelFilter>() {
        Ok(level) => EnvFilter::try_new(format!(
            "{},rtc=off,webrtc=off,swarmlet={level}",
            level.min(LevelFilter::ERROR)
        )),
        Err(_) => EnvFilter::try_new(wanted),
    }
}

/// An address as logs show it: the /24 or /48 that it is in.
#[derive(Clone, Copy, Debug)]
pub struct Near(pub IpAddr);

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                write!(f, "{}/24", Ipv4Addr::new(a, b, c, 0))
            }
            IpAddr::V6(ip) => {
                let [a, b, c, ..] = ip.segments();
                write!(f, "{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// What is written of four events when `log` is so.
    fn written(log: &str) -> String {
        #[derive(Clone, Default)]
        struct Page(Arc<Mutex<Vec<u8>>>);
        impl Write for Page {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().expect("nobody panicked").write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let page = Page::default();
        let copy = page.clone();
        let lines = tracing_subscriber::fmt().with_env_filter(filter(log).expect("a filter"));
        let lines = lines.with_ansi(false).without_time().with_target(false);
        tracing::subscriber::with_default(lines.with_writer(move || copy.clone()).finish(), || {
            tracing::info!("ours");
            tracing::info!(target: "hyper::proto", "theirs");
            tracing::error!(target: "hyper::proto", "broken");
            tracing::error!(target: "rtc_ice::agent", "192.0.2.2:36608");
        });
        let bytes = page.0.lock().expect("nobody panicked").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_level_is_for_our_own_words() {
        assert_eq!(written("info"), " INFO ours\nERROR broken\n");
        assert_eq!(written("warn"), "ERROR broken\n");
        assert_eq!(written("off"), "");
        assert_eq!(written("warn,rtc=error"), "ERROR broken\nERROR 192.0.2.2:36608\n");
    }

    #[test]
    fn addresses_are_cut() {
        for (whole, near) in [
            ("93.184.216.34", "93.184.216.0/24"),
            ("::ffff:93.184.216.34", "93.184.216.0/24"),
            ("2606:4700:1:2:3::4", "2606:4700:1::/48"),
        ] {
            assert_eq!(Near(whole.parse().expect("an address")).to_string(), near);
        }
    }
}
