//! A network on one machine: namespaces joined by lines that are as slow, long and lossy as they are told to be, for
//! kernels that cannot do that themselves. What it is made of comes as one JSON line, and what is wanted of it later
//! as others; `tests/net/bed.mjs` speaks to it.

#![allow(clippy::std_instead_of_alloc)]

#[cfg(target_os = "linux")]
mod bed;
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
mod line;
#[cfg(target_os = "linux")]
mod spaces;
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
mod star;
#[cfg(target_os = "linux")]
mod tun;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match bed::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("net: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("net: network namespaces are a thing of Linux");
    ExitCode::FAILURE
}
