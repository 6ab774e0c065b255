//! Logs: one line for each event, text or JSON. Never tokens, signals or whole addresses.

use crate::{Config, Error};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error.
///
/// # Errors
/// When the filter is not one.
pub fn start(config: &Config) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&config.log).map_err(|error| Error::Config(format!("log: {error}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    let done = if config.log_json { lines.json().try_init() } else { lines.with_target(false).try_init() };
    done.map_err(|error| Error::Start(error.to_string()))
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
