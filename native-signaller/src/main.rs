//! `swarmlet-signaller`: arguments to configuration, configuration to a running server.

use clap::Parser;
use std::process::ExitCode;
use swarmlet_signaller::cli::{Cli, Command};
use swarmlet_signaller::{Config, Error, log, run, shutdown};
use tokio::net::TcpListener;

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("swarmlet-signaller: {error}");
            ExitCode::from(2)
        }
    }
}

fn start(cli: Cli) -> Result<(), Error> {
    let (config, warnings) = Config::load(&cli.options, std::env::vars())?;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Config { print, check: _ } => {
            warnings.iter().for_each(|warning| eprintln!("swarmlet-signaller: {warning}"));
            if print {
                print!("{}", config.to_toml());
            }
            Ok(())
        }
        Command::Serve => {
            log::start(&config)?;
            warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            let runtime = runtime.map_err(|error| Error::Start(error.to_string()))?;
            let ended = runtime.block_on(serve(config));
            // Hashing a large share may still be at work; nobody waits for it any more.
            runtime.shutdown_background();
            ended
        }
    }
}

async fn serve(config: Config) -> Result<(), Error> {
    let stop = shutdown::asked().map_err(|error| Error::Start(error.to_string()))?;
    let addr = config.addr;
    let listener = TcpListener::bind(addr).await.map_err(|error| Error::Listen(addr, error))?;
    run(config, listener, stop).await
}
