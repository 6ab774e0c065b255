//! The house rules that a machine can check: sizes, import direction, banned words. Reads what git tracks.

#![allow(clippy::std_instead_of_alloc, clippy::std_instead_of_core, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

const FILE_LINES_MAX: usize = 700;
const FILE_LINES_SOFT: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that may be longer, since they are one dispatch `match` that only names (STYLE §4.4).
const DISPATCHERS: &[(&str, &str)] = &[];

/// What of core may import what: a module may use those of its own rank's list and no other.
const BASE: &[&str] = &[
    "id",
    "keys",
    "time",
    "util",
    "rng",
    "config",
    "fault",
    "action",
    "input",
    "outbox",
    "rate",
    "flow",
    "snapshot",
    "Instant",
    "Config",
    "Event",
    "Fault",
    "Action",
    "Work",
    "Input",
    "Command",
    "Channel",
    "Failure",
    "Outcome",
    "ContentId",
    "Fingerprint",
    "Hash",
    "JobId",
    "LinkId",
    "PeerId",
    "Root",
    "Topic",
    "Snapshot",
];

/// What is tracked, and what is about to be.
const LISTED: [&str; 5] = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A source file: its path in the repository, and its text.
struct Source {
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let listed = Command::new("git").arg("-C").arg(root()).args(LISTED).output().unwrap();
    assert!(listed.status.success(), "git ls-files must work: {}", String::from_utf8_lossy(&listed.stderr));
    let paths = String::from_utf8(listed.stdout).unwrap();
    let named = paths.split('\0').filter(|path| is_source(path) && root().join(path).is_file());
    named
        .map(|path| Source {
            path: path.to_owned(),
            text: std::fs::read_to_string(root().join(path)).unwrap(),
        })
        .collect()
}

fn is_source(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str()).unwrap_or("");
    matches!(extension, "rs" | "js" | "mjs") && !path.contains("/vendor/") && !path.contains("/pkg/")
}

/// Whether a file consists of tests.
fn is_test(path: &str) -> bool {
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
    let in_tests = path.split('/').any(|part| part == "tests" || part == "benches");
    let simulator = path.starts_with("tests/sim/");
    (in_tests && !simulator) || matches!(stem, "tests" | "stories") || path.contains(".spec.")
}

/// The lines before the unit tests at the end of a file.
fn product_lines(source: &Source) -> Vec<&str> {
    let tests_from = |line: &&str| *line == "#[cfg(test)]";
    let lines: Vec<&str> = source.text.lines().collect();
    let inline = lines.iter().zip(lines.iter().skip(1));
    let end =
        inline.take_while(|(line, next)| !(tests_from(line) && next.starts_with("mod tests {"))).count();
    if end + 1 >= lines.len() { lines } else { lines[..end].to_vec() }
}

/// What a line says without its comment. Good enough: a `//` in a string only hides the end of a line.
fn code(line: &str) -> &str {
    let line = line.trim_start();
    if line.starts_with("//") || line.starts_with("/*") || line.starts_with('*') {
        return "";
    }
    line.split(" //").next().unwrap_or(line)
}

fn file_too_long(source: &Source) -> Option<String> {
    let lines = product_lines(source).len();
    if lines > FILE_LINES_SOFT && lines <= FILE_LINES_MAX {
        println!("{}: {lines} lines; split it before it reaches {FILE_LINES_MAX}", source.path);
    }
    (lines > FILE_LINES_MAX).then(|| format!("{}: {lines} lines, {FILE_LINES_MAX} at most", source.path))
}

/// Long functions: from a line that begins one to the closing brace at its indentation.
fn long_functions(source: &Source) -> Vec<String> {
    let lines = product_lines(source);
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indentation = &line[..line.len() - line.trim_start().len()];
        let is_end = |line: &&str| line.strip_prefix(indentation).is_some_and(|rest| rest.starts_with('}'));
        let length = lines[at..].iter().position(is_end).map_or(0, |end| end + 1);
        let one_line = line.trim_end().ends_with(['}', ';']);
        if !one_line && length > FUNCTION_LINES_MAX && !DISPATCHERS.contains(&(source.path.as_str(), name)) {
            let place = format!("{}:{}", source.path, at + 1);
            found.push(format!("{place}: {name} has {length} lines, {FUNCTION_LINES_MAX} at most"));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let words = [
        "pub ",
        "pub(crate) ",
        "pub(super) ",
        "const ",
        "async ",
        "unsafe ",
        "export ",
        "default ",
        "static ",
    ];
    let mut rest = rest;
    while let Some(shorter) = words.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = shorter;
    }
    let rest = rest.strip_prefix("fn ").or_else(|| rest.strip_prefix("function "))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}

/// The module of each `crate::…` path of a text, with its line.
fn imports(lines: &[&str]) -> Vec<(usize, String)> {
    let text = lines.iter().map(|line| code(line)).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (at, word) in text.match_indices("crate::") {
        let line = text[..at].matches('\n').count() + 1;
        let rest = &text[at + word.len()..];
        found.extend(first_names(rest).into_iter().map(|name| (line, name)));
    }
    found
}

/// `a` of `a::b`; `a` and `c` of `{a::{b, d}, c}`.
fn first_names(path: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let Some(list) = path.strip_prefix('{') else {
        return vec![path.chars().take_while(|c| is_name(*c)).collect()];
    };
    let (mut names, mut name, mut depth) = (Vec::new(), String::new(), 1);
    for c in list.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 || (depth == 1 && c == ',') {
            names.push(core::mem::take(&mut name));
        } else {
            name.push(c);
        }
        if depth == 0 {
            break;
        }
    }
    let first = |name: &String| name.trim().chars().take_while(|c| is_name(*c)).collect::<String>();
    names.iter().map(first).filter(|name| !name.is_empty()).collect()
}

/// STYLE §2.1: node → {swarm, link, tracker} → {content, wire} → the rest; siblings never import each other.
fn wrong_imports(source: &Source) -> Vec<String> {
    let Some(inner) = source.path.strip_prefix("core/src/") else { return Vec::new() };
    let module = inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs");
    let above: &[&str] = match module {
        "lib" | "node" | "fuzz" => return Vec::new(),
        "swarm" | "link" | "mesh" | "tracker" | "overlay" => &["content", "wire"],
        // What nodes and hosts exchange names values of both.
        "action" | "input" | "outbox" | "snapshot" | "keys" => &["content", "wire"],
        "content" | "wire" => &[],
        _ => &[],
    };
    let mut found = Vec::new();
    for (line, name) in imports(&product_lines(source)) {
        let name = name.as_str();
        if name != module && !BASE.contains(&name) && !above.contains(&name) {
            found.push(format!("{}:{line}: {module} imports {name}", source.path));
        }
    }
    found
}

/// Calls that core must not know: it has no clock, no dice and no system of its own.
const BANNED_IN_CORE: &[&str] = &[
    "std::",
    "Instant::now",
    "SystemTime",
    "HashMap",
    "HashSet",
    "println!",
    "eprintln!",
    ".unwrap()",
    "thread_rng",
    "todo!(",
    "unimplemented!(",
    "dbg!(",
];

fn banned_words(source: &Source) -> Vec<String> {
    let in_core = source.path.starts_with("core/src/") && !is_test(&source.path);
    let in_page = source.path.starts_with("www/");
    let mut found = Vec::new();
    let mut complain = |at: usize, word: &str| found.push(format!("{}:{}: {word}", source.path, at + 1));
    for (at, line) in product_lines(source).iter().enumerate() {
        if in_core {
            let word = BANNED_IN_CORE.iter().find(|word| says(code(line), word));
            word.into_iter().for_each(|word| complain(at, word));
        }
        if in_page && code(line).contains("innerHTML") {
            complain(at, "innerHTML: use textContent");
        }
    }
    for (at, line) in source.text.lines().enumerate() {
        // Put together here so that this file does not find itself.
        for word in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")] {
            if line.split(|c: char| !c.is_alphanumeric()).any(|part| part == word) {
                complain(at, word);
            }
        }
        for path in
            [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/tm", "p/")]
        {
            if line.contains(path) {
                complain(at, path);
            }
        }
    }
    found
}

/// Whether code contains a word that does not merely end a longer one, as `std::` ends `no_std::`.
fn says(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        word.starts_with('.') || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn files_are_short() {
    let long: Vec<_> =
        sources().iter().filter(|source| !is_test(&source.path)).filter_map(file_too_long).collect();
    assert_none(&long);
}

#[test]
fn functions_are_short() {
    let all = sources();
    let product = all.iter().filter(|source| !is_test(&source.path));
    assert_none(&product.flat_map(long_functions).collect::<Vec<_>>());
}

#[test]
fn imports_point_down() {
    let all = sources();
    let product = all.iter().filter(|source| !is_test(&source.path));
    assert_none(&product.flat_map(wrong_imports).collect::<Vec<_>>());
}

#[test]
fn banned_words_do_not_occur() {
    assert_none(&sources().iter().flat_map(banned_words).collect::<Vec<_>>());
}

mod rules_can_fail {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let long = "let x = 1;\n".repeat(FILE_LINES_MAX + 1);
        assert!(file_too_long(&source("core/src/a.rs", &long)).is_some());
        let tested = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert!(file_too_long(&source("core/src/a.rs", &tested)).is_none());
    }

    #[test]
    fn a_long_function_is_found_in_both_languages() {
        let body = "    x();\n".repeat(FUNCTION_LINES_MAX);
        for head in ["pub(crate) const fn f() {", "export async function f() {"] {
            let text = format!("{head}\n{body}}}\n");
            assert_eq!(long_functions(&source("a.rs", &text)).len(), 1, "{head}");
        }
        let short = format!("fn f() {{\n{}}}\n", "    x();\n".repeat(FUNCTION_LINES_MAX - 2));
        assert!(long_functions(&source("a.rs", &short)).is_empty());
    }

    #[test]
    fn an_import_that_points_up_or_aside_is_found() {
        let bad = [
            ("core/src/link/mod.rs", "use crate::swarm::Swarm;"),
            ("core/src/swarm/mod.rs", "use crate::{wire, tracker::Client};"),
            ("core/src/wire/peer.rs", "use crate::content::Layout;"),
            ("core/src/content/tree.rs", "use crate::wire::Frame;"),
            ("core/src/time.rs", "fn f(node: crate::node::Node) {}"),
            ("core/src/link/dial.rs", "use crate::{\n    wire::{Frame, Hello},\n    swarm,\n};"),
        ];
        for (path, text) in bad {
            assert_eq!(wrong_imports(&source(path, text)).len(), 1, "{path}: {text}");
        }
        let good = [
            ("core/src/link/mod.rs", "use crate::link::dial;"),
            ("core/src/swarm/mod.rs", "use crate::{content::Tree, wire, Root};"),
            ("core/src/node.rs", "use crate::{link, swarm, tracker};"),
            ("core/src/wire/peer.rs", "use crate::id::{ContentId, Root}; // not crate::content"),
        ];
        for (path, text) in good {
            assert!(wrong_imports(&source(path, text)).is_empty(), "{path}: {text}");
        }
    }

    #[test]
    fn each_banned_word_is_found() {
        for word in BANNED_IN_CORE {
            let text = format!("    let x = y{}{word}z;", if word.starts_with('.') { "" } else { " + " });
            assert_eq!(banned_words(&source("core/src/a.rs", &text)).len(), 1, "{word}");
            assert!(banned_words(&source("core/src/a/tests.rs", &text)).is_empty(), "{word}");
        }
        assert!(banned_words(&source("core/src/a.rs", "#![no_std] // not std::vec")).is_empty());
        let marks = [concat!("// TO", "DO: later"), concat!("// FIX", "ME"), concat!("\"/ho", "me/x\"")];
        for mark in marks {
            assert_eq!(banned_words(&source("wasm/src/a.rs", mark)).len(), 1, "{mark}");
        }
        assert_eq!(banned_words(&source("www/app.js", "el.innerHTML = name")).len(), 1);
    }
}
