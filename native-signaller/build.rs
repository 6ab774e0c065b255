//! Puts the page into the program: a table of names and bytes for `files.rs`. What is not there when the program is
//! built (the module, before `make wasm`) is not in it.

use core::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

/// What only developers need, and the sample, which is content.
const SKIPPED: [&str; 6] = ["demo", "node_modules", "package-lock.json", "sample", "tests", "tsconfig.json"];

fn main() -> io::Result<()> {
    let here = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let www = Path::new(&here).join("../www").canonicalize()?;
    println!("cargo::rerun-if-changed={}", www.display());
    let mut table = String::from("pub(super) static FILES: &[(&str, &[u8])] = &[\n");
    list(&www, "", &mut table)?;
    table.push_str("];\n");
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("page.rs"), table)
}

fn list(folder: &Path, prefix: &str, table: &mut String) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        let (path, key) = (entry.path(), format!("{prefix}{name}"));
        if entry.file_type()?.is_dir() {
            list(&path, &format!("{key}/"), table)?;
        } else {
            let _ = writeln!(table, "    ({key:?}, include_bytes!({:?})),", path.display().to_string());
        }
    }
    Ok(())
}
