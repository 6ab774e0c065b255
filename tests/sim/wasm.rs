//! The simulator as a wasm module: one function, so that its runs can be compared with those of the native build.

/// The hash of a random world's run (see [`crate::chaos::trace`]), for a host that is not Rust.
// Its name is all that the host knows of it; nothing else in the module has that name.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn trace(seed: u32) -> u64 {
    crate::chaos::trace(u64::from(seed))
}
