//! `load`: a bounded crowd of clients against a signaller, ours or any WebTorrent tracker, and one JSON object that says
//! how it went.
//!
//! It is one thread, to be pinned to a core of its own. Nothing here protects anybody: it talks to a server of whoever
//! runs it, and refuses more than `CONNECTIONS_MAX` connections.

mod bad;
mod crowd;
mod hostile;
mod joins;
mod mob;
mod process;
mod report;
mod scenes;
mod words;

use crate::Error;
use clap::{Args, ValueEnum};
use core::net::SocketAddr;
use report::Report;

/// More than one process may have files open for, nearly everywhere.
const CONNECTIONS_MAX: usize = 100_000;

/// What the crowd does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scene {
    /// Announce as soon as the last one is answered, and answer every offer
    Announces,
    /// Announce at a rate, and time each offer from who makes it to who gets it
    Latency,
    /// Join a swarm and say no more; the server's memory before and after
    Idle,
    /// Connect, join, be introduced to others, and hang up, again and again
    Joins,
    /// Connect and hang up, again and again
    Accepts,
    /// Join, all lose their connection at once, and come back
    Storm,
    /// Clients at a rate, first alone, then among five times as many hostile ones: drips, deaf readers, floods, nonsense
    Hostile,
}

/// The two ways to speak to a signaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Speech {
    /// JSON, as WebTorrent trackers understand it
    Webtorrent,
    /// Binary messages
    Swarmlet,
}

/// What to do to whom.
#[derive(Clone, Debug, Args)]
pub struct LoadOptions {
    /// What the crowd does
    #[arg(value_enum)]
    pub scene: Scene,
    /// The server, or several that are one to their clients, who come to each in turn
    #[arg(long, value_name = "IP:PORT,…", value_delimiter = ',', default_value = "127.0.0.1:8787")]
    pub target: Vec<SocketAddr>,
    /// The path of its WebSocket
    #[arg(long, default_value = "/signal")]
    pub path: String,
    /// What is spoken
    #[arg(long, value_enum, default_value = "webtorrent")]
    pub speech: Speech,
    /// How many clients
    #[arg(long, default_value_t = 1000)]
    pub connections: usize,
    /// How many swarms they are in, the first ones larger (Zipf)
    #[arg(long, default_value_t = 100)]
    pub swarms: usize,
    /// Offers of each announce; in our dialect, knocks of each newcomer
    #[arg(long, default_value_t = 5)]
    pub offers: usize,
    /// How long to measure
    #[arg(long, default_value_t = 10)]
    pub seconds: u32,
    /// Announces each second, where the scene has a rate
    #[arg(long, default_value_t = 2000)]
    pub rate: u32,
    /// The server answers answers, too (as aquatic does)
    #[arg(long)]
    pub answers_answers: bool,
    /// Each client seems to come from an address of its own, as a proxy would say (`X-Forwarded-For`), hostile ones from
    /// one for each 32: the server must believe it (`proxies`)
    #[arg(long)]
    pub networks: bool,
    /// The process of the server, to see its memory and processor time; of several, their sum
    #[arg(long, value_name = "PID,…", value_delimiter = ',')]
    pub pid: Vec<u32>,
}

impl Speech {
    const fn protocol(self) -> Option<&'static str> {
        match self {
            Self::Webtorrent => None,
            Self::Swarmlet => Some("swarmlet.1"),
        }
    }
}

/// Runs a scene; gives back one line of JSON.
///
/// # Errors
/// When the server cannot be reached, or what is asked for is too much.
pub fn run(options: &LoadOptions) -> Result<String, Error> {
    let (most, offers_most) = (CONNECTIONS_MAX, swarmlet_core::wire::webtorrent::OFFERS_MAX);
    if options.connections == 0
        || options.connections > most
        || options.swarms == 0
        || options.offers > offers_most
    {
        return Err(Error::Config(format!(
            "1 to {most} connections, 1 or more swarms, at most {offers_most} offers"
        )));
    }
    let failed = |error: std::io::Error| Error::Start(format!("{:?}: {error}", options.target));
    let report = match options.scene {
        Scene::Announces => scenes::announces(options),
        Scene::Latency => scenes::latency(options),
        Scene::Idle => scenes::idle(options),
        Scene::Joins => joins::run(options),
        Scene::Accepts => scenes::accepts(options),
        Scene::Storm => scenes::storm(options),
        Scene::Hostile => hostile::run(options),
    };
    report.map(Report::into_line).map_err(failed)
}
