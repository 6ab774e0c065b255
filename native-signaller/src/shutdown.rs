//! What the system's signals ask for: to stop, or to read the configuration again.

use crate::Config;
use crate::cli::Options;
use std::io;
use tokio::sync::mpsc;

/// Resolves at the first SIGTERM or SIGINT. A second one ends the process at once. Signals are listened for
/// from the call on, not from the first poll, so that none is missed while the server starts.
///
/// # Errors
/// When the system does not let us listen.
pub fn asked() -> io::Result<impl Future<Output = ()>> {
    let mut signals = Signals::listen()?;
    Ok(async move {
        signals.next().await;
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(130);
        });
    })
}

/// A configuration for each SIGHUP, read as the first one was. One that is wrong is logged and has no effect.
///
/// # Errors
/// When the system does not let us listen.
#[cfg(unix)]
pub fn reloads(options: Options) -> io::Result<mpsc::Receiver<Config>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup())?;
    let (give, take) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            match Config::load(&options, std::env::vars()) {
                Ok((config, _)) => drop(give.send(config).await),
                Err(error) => tracing::error!(event = "reload", "nothing changed: {error}"),
            }
        }
    });
    Ok(take)
}

/// There is no such signal here: restart to configure anew.
///
/// # Errors
/// None.
#[cfg(windows)]
pub fn reloads(_options: Options) -> io::Result<mpsc::Receiver<Config>> {
    Ok(mpsc::channel(1).1)
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
