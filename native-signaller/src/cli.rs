//! The command line. Each flag is a key of the configuration; nothing is decided here.

use crate::seed::cli::{GetOptions, SeedOptions};
use clap::{Args, Parser, Subcommand};
use core::net::SocketAddr;
use std::path::PathBuf;

/// Swarmlet's server: the page, signalling between browsers, and sample shares.
#[derive(Debug, Parser)]
#[command(name = "swarmlet-signaller", version)]
pub struct Cli {
    /// What to do; `serve` without one.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of every command.
    #[command(flatten)]
    pub options: Options,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM or SIGINT (the default)
    Serve,
    /// Offer files, folders or other people's shares, for as long as this runs
    Seed(SeedOptions),
    /// Fetch a share. Exit codes: 0 complete, 1 failed, 2 bad arguments, 3 timed out, 130 interrupted
    Get(GetOptions),
    /// Check the configuration
    Config {
        /// Print what file, environment and flags add up to
        #[arg(long)]
        print: bool,
        /// Only say whether it is good (exit code 0 or 2)
        #[arg(long)]
        check: bool,
    },
}

/// Flags, stronger than the environment (`SWARMLET_ADDR`, `SWARMLET_LIMITS__SWARMS_MAX`), which is stronger
/// than the file.
#[derive(Debug, Default, Args)]
pub struct Options {
    /// A TOML file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8787]
    #[arg(long, global = true, value_name = "IP:PORT")]
    pub addr: Option<SocketAddr>,
    /// The folder of the page [default: www]
    #[arg(long, global = true, value_name = "DIR")]
    pub www: Option<PathBuf>,
    /// A folder to offer as a share; may be repeated
    #[arg(long, global = true, value_name = "DIR")]
    pub share: Vec<PathBuf>,
    /// A folder or file to offer as a share, served by a peer inside the server; may be repeated
    #[arg(long, global = true, value_name = "PATH")]
    pub seed: Vec<PathBuf>,
    /// How others reach this server, for example `https://swarm.example` [default: from each request]
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// Seconds that clients get to leave after SIGTERM [default: 10]
    #[arg(long, global = true, value_name = "N")]
    pub drain_seconds: Option<u32>,
    /// error, warn, info, debug or trace, or a filter such as `info,hyper=debug` [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log: Option<String>,
    /// Log one JSON object for each line
    #[arg(long, global = true)]
    pub log_json: bool,
}
