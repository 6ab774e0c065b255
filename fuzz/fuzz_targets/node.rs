//! Whatever it is told, a node keeps its word.
#![no_main]
extern crate alloc;

#[path = "../../tests/hostile/run.rs"]
mod run;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::run(data));
