//! `sim`: runs a story with other numbers than the tests do, and prints what it came to; `sim report` runs all.
// A program for machines with an operating system: nothing is gained by naming `alloc`.
#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core)]

#[cfg(not(target_family = "wasm"))]
mod cli;

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    cli::main()
}

/// The library alone is compiled for the browser's machine, to compare runs.
#[cfg(target_family = "wasm")]
fn main() {}
