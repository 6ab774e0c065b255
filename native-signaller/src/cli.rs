//! The command line. Each flag is a key of the configuration; nothing is decided here.

use crate::config::{Content, Network};
use crate::load::LoadOptions;
use crate::publish::PublishOptions;
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
    /// Make a web site's folder one that its visitors share: a manifest beside it, and the tag to paste
    Publish(PublishOptions),
    /// Check the configuration
    Config {
        /// Print what file, environment and flags add up to
        #[arg(long)]
        print: bool,
        /// Only say whether it is good (exit code 0 or 2)
        #[arg(long)]
        check: bool,
    },
    /// Send a bounded crowd to a signaller or WebTorrent tracker, and print how it fares as JSON
    Load(LoadOptions),
    /// Make a join token, or a key to make them with
    Token(TokenOptions),
}

/// What the token is to say. Without a key, the first of `tokens.secrets` makes it.
#[derive(Debug, Args)]
pub struct TokenOptions {
    /// The origin of the pages that it is for, for example `https://shop.example`
    #[arg(long, value_name = "ORIGIN", required_unless_present_any = ["new_secret", "new_key"])]
    pub site: Option<String>,
    /// How long it is good for [default: tokens.lifetime_seconds]
    #[arg(long, value_name = "SECONDS")]
    pub expires: Option<u32>,
    /// An address or network that its bearer must connect from; may be repeated
    #[arg(long, value_name = "NETWORK")]
    pub net: Vec<Network>,
    /// A content id or magnet link that it is for; may be repeated
    #[arg(long, value_name = "CONTENT")]
    pub content: Vec<Content>,
    /// Sign with the Ed25519 key in this file, as --new-key printed it
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Print a secret for `tokens.secrets` instead
    #[arg(long, exclusive = true)]
    pub new_secret: bool,
    /// Print a private key for --key and its public half for `tokens.public_keys` instead
    #[arg(long, exclusive = true)]
    pub new_key: bool,
}

/// Flags, stronger than the environment (`SWARMLET_ADDR`, `SWARMLET_LIMITS__SWARMS_MAX`), which is stronger
/// than the file.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options of every command: the server's configuration")]
pub struct Options {
    /// A TOML file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8787]
    #[arg(long, global = true, value_name = "IP:PORT")]
    pub addr: Option<SocketAddr>,
    /// Where metrics, health and the status page are, for example 127.0.0.1:8789 [default: nowhere]
    #[arg(long, global = true, value_name = "IP:PORT")]
    pub admin_addr: Option<SocketAddr>,
    /// The Redis that this server shares with others, for example redis://127.0.0.1:6379 [default: it is alone]
    #[arg(long, global = true, value_name = "URL")]
    pub cluster: Option<String>,
    /// Serve everybody, although others can reach this server and nothing else limits who comes
    #[arg(long, global = true)]
    pub open: bool,
    /// The folder of the page [default: the one in the program]
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
    /// The signaller that this server is an anchor for, for example `wss://swarm.example/signal`
    #[arg(long, global = true, value_name = "URL")]
    pub anchor_of: Option<String>,
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
