//! Why the server does not start. One line each.

use core::fmt;
use core::net::SocketAddr;
use std::io;
use std::path::PathBuf;

/// Why the server does not start.
#[derive(Debug)]
pub enum Error {
    /// A setting that is wrong.
    Config(String),
    /// The address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// A file or folder cannot be read.
    Read(PathBuf, io::Error),
    /// A file or folder that cannot be served or shared.
    Unfit(PathBuf, String),
    /// The machine does not let it.
    Start(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(text) => write!(f, "configuration: {}", text.trim_end().replace('\n', " ")),
            Self::Listen(addr, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{addr} is in use: stop what listens there, or choose another with --addr")
            }
            Self::Listen(addr, error) => write!(f, "cannot listen on {addr}: {error}"),
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Unfit(path, text) => write!(f, "{}: {text}", path.display()),
            Self::Start(text) => write!(f, "cannot start: {text}"),
        }
    }
}

impl core::error::Error for Error {}
