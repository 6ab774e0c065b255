//! Scripts as they are sent: without the lines that are comments, which are for who reads the sources. The lines themselves stay, so that
//! an error's line number is that of the source.

/// Whether comments may be taken out of that file: what others wrote is left as it came, with what they say of its licence.
pub(crate) fn is_ours(path: &str) -> bool {
    path.ends_with(".js") && !path.starts_with("vendor/")
}

/// The same without whole lines of comments. It knows no strings over several lines: ours have no line in them that begins as a comment
/// does, which `tests/browser/scripts.spec.mjs` checks.
pub(crate) fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        let begins = !inside && bare.starts_with("/*");
        let ends = (inside || begins) && bare.ends_with("*/");
        // What goes on behind a comment is kept with it.
        let whole = inside || bare.starts_with("//") || (begins && (ends || !bare.contains("*/")));
        inside = (inside || (begins && whole)) && !ends;
        if whole {
            out.extend(line.ends_with('\n').then_some('\n'));
        } else {
            out.push_str(line);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_comments_go_and_everything_else_stays_on_its_line() {
        let text = "// @ts-check\n/** A. */\n/**\n * B, /* and\n * @param {string} c\n */\nlet a = 1; // one\n  /** @type {X} */ let b = 'http://x';\n  // c\nlet d = /** @type {any} */ (a);\n/** E\n * f. */\nend()";
        let bare = "\n\n\n\n\n\nlet a = 1; // one\n  /** @type {X} */ let b = 'http://x';\n\nlet d = /** @type {any} */ (a);\n\n\nend()";
        assert_eq!(without_comments(text), bare);
        assert_eq!(without_comments(bare), bare);
        assert_eq!(without_comments(""), "");
    }

    #[test]
    fn what_others_wrote_is_left_alone() {
        assert!(is_ours("sw.js") && is_ours("embed/run.js") && is_ours("pkg/swarmlet_wasm.js"));
        assert!(!is_ours("vendor/lean-qr.js") && !is_ours("style.css") && !is_ours("pkg/swarmlet_wasm.d.ts"));
    }
}
