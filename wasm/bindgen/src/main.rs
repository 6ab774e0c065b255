//! Turns the compiled wasm module into the two files that the page loads: `swarmlet_wasm.js` and
//! `swarmlet_wasm_bg.wasm`.
//!
//! It is wasm-bindgen's own generator as a library, so that its version comes from this workspace's lockfile and a
//! fresh machine needs nothing but Rust.

use anyhow::{Context, Result, bail};
use std::path::Path;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, directory] = arguments.as_slice() else {
        bail!("usage: swarmlet-bindgen MODULE.wasm DIRECTORY");
    };
    Bindgen::new()
        .input_path(input)
        .web(true)?
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(directory)
        .with_context(|| format!("cannot generate the glue of {input} in {directory}"))?;
    refuse_env_imports(Path::new(directory))
}

/// Fails when the module still asks its host for C symbols: no browser provides them, and the page would only say so
/// when it loads.
fn refuse_env_imports(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "js") {
            let glue = std::fs::read_to_string(&path)?;
            if glue.contains("from \"env\"") || glue.contains("from 'env'") {
                bail!("{} imports \"env\": the module was linked against C symbols", path.display());
            }
        }
    }
    Ok(())
}
