//! What real peers came to: parts that benches keep with `RECORD=1` (tests/browser/record.mjs), at the end of `RESULTS.md`.

use std::path::Path;

const TITLE: &str = "\n## Real peers\n";

/// The end of the file: all parts, in the order of their names; nothing where there are none.
pub(crate) fn part(folder: &Path) -> Result<String, String> {
    let parts = folder.join("measured");
    if !parts.is_dir() {
        return Ok(String::new());
    }
    let failed = |error: std::io::Error| format!("{}: {error}", parts.display());
    let listed = std::fs::read_dir(&parts).map_err(failed)?;
    let mut paths =
        listed.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<Vec<_>, String>>()?;
    paths.sort();
    let mut out = format!(
        "{TITLE}\nWritten by the benches themselves (`RECORD=1`), each by the command and of the commit that it names. Unlike the \
         figures above these are of a machine and its day.\n"
    );
    for path in paths {
        out += "\n";
        out += &std::fs::read_to_string(&path).map_err(failed)?;
    }
    Ok(out)
}

/// Puts the parts into a file that is there already, in place of those that it has.
pub(crate) fn renew(folder: &str) -> Result<(), String> {
    let (folder, path) = (Path::new(folder), Path::new(folder).join("RESULTS.md"));
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let before = std::fs::read_to_string(&path).map_err(failed)?;
    let kept = before.split(TITLE).next().unwrap_or(&before);
    std::fs::write(&path, format!("{kept}{}", part(folder)?)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_ends_with_what_the_benches_kept() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let results = std::fs::read_to_string(docs.join("RESULTS.md")).unwrap();
        assert!(results.ends_with(&part(&docs).unwrap()), "`make measured` puts it there");
    }

    #[test]
    fn parts_take_the_place_of_those_before() {
        let folder = std::env::temp_dir().join(format!("swarmlet-measured-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("measured")).unwrap();
        std::fs::write(folder.join("RESULTS.md"), "# Results\n").unwrap();
        for (name, text) in [("b", "### B\n"), ("a", "### A\n"), ("b", "### C\n")] {
            std::fs::write(folder.join(format!("measured/{name}.md")), text).unwrap();
            renew(folder.to_str().unwrap()).unwrap();
        }
        let text = std::fs::read_to_string(folder.join("RESULTS.md")).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(
            text.starts_with("# Results\n\n## Real peers\n") && text.ends_with("\n### A\n\n### C\n"),
            "{text}"
        );
        assert_eq!(text.matches("## Real peers").count(), 1);
    }
}
