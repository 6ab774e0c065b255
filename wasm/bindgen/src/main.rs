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
    refuse_env_imports(Path::new(directory))?;
    shorten_glue(Path::new(directory))
}

/// Takes comments and indentation out of the glue: a fifth of what a page downloads of it.
fn shorten_glue(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "js") {
            std::fs::write(&path, plain(&std::fs::read_to_string(&path)?))?;
        }
    }
    Ok(())
}

/// A script without its comment lines and indentation. The generator never begins a comment behind code, and writes
/// no text over several lines.
fn plain(script: &str) -> String {
    let mut out = String::with_capacity(script.len());
    let mut in_comment = false;
    for line in script.lines().map(str::trim) {
        in_comment |= line.starts_with("/*");
        if !in_comment && !line.is_empty() && !line.starts_with("//") {
            out.push_str(line);
            out.push('\n');
        }
        in_comment &= !line.ends_with("*/");
    }
    out
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

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn comments_and_indentation_go_and_code_stays() {
        let script =
            "/* one */\n\n/**\n * two\n */\nexport class A {\n    // three\n    b() { return '/*'; }\n}\n";
        assert_eq!(plain(script), "export class A {\nb() { return '/*'; }\n}\n");
    }
}
