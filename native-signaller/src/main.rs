//! `swarmlet-signaller`: arguments to configuration, configuration to a running server.

use clap::Parser;
use std::process::ExitCode;
use swarmlet_signaller::cli::{Cli, Command, Options};
use swarmlet_signaller::{
    Config, Error, Inlets, load, log, metrics, mint, publish, run, seed, shutdown, verify,
};

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("swarmlet-signaller: {error}");
            ExitCode::from(2)
        }
    }
}

fn start(cli: Cli) -> Result<ExitCode, Error> {
    let Cli { command, options } = cli;
    let (config, warnings) = Config::load(&options, std::env::vars())?;
    match command.unwrap_or(Command::Serve) {
        Command::Config { print, check: _ } => {
            warnings.iter().for_each(|warning| eprintln!("swarmlet-signaller: {warning}"));
            verify(&config)?;
            if print {
                print!("{}", config.to_toml());
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Load(load) => {
            print!("{}", load::run(&load)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Publish(options) => publish::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Token(token) => {
            print!("{}", mint::run(&config, &token)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Seed(options) => {
            quiet(&config)?;
            block_on(async { seed::seed(&options, asked()?).await.map(|()| ExitCode::SUCCESS) })
        }
        Command::Get(options) => {
            quiet(&config)?;
            block_on(async { seed::get(&options, asked()?).await.map(|ended| ExitCode::from(ended as u8)) })
        }
        Command::Serve => {
            log::start(&config)?;
            metrics::count_panics();
            warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            block_on(async { serve(config, options).await.map(|()| ExitCode::SUCCESS) })
        }
    }
}

fn block_on<T>(task: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Start(error.to_string()))?;
    let ended = runtime.block_on(task);
    // Hashing a large share may still be at work; nobody waits for it any more.
    runtime.shutdown_background();
    ended
}

/// Commands at a terminal speak for themselves; logs are for who asks.
fn quiet(config: &Config) -> Result<(), Error> {
    let asked = config.log != Config::default().log;
    log::start(&Config { log: if asked { config.log.clone() } else { "error".to_owned() }, ..config.clone() })
}

fn asked() -> Result<impl Future<Output = ()>, Error> {
    shutdown::asked().map_err(|error| Error::Start(error.to_string()))
}

async fn serve(config: Config, options: Options) -> Result<(), Error> {
    let stop = asked()?;
    let reloads = shutdown::reloads(options).map_err(|error| Error::Start(error.to_string()))?;
    let inlets = Inlets::bind(&config, reloads).await?;
    run(config, inlets, stop).await
}
