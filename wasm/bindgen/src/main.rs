//! Turns a compiled wasm module into the two files that the page loads: its glue and `…_bg.wasm`.
//!
//! It is wasm-bindgen's own generator as a library, so that its version comes from this workspace's lockfile and a
//! fresh machine needs nothing but Rust.

mod locals;
mod order;
mod places;
mod unused;

use anyhow::{Context, Result, bail};
use std::path::Path;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, directory] = arguments.as_slice() else {
        bail!("usage: swarmlet-bindgen MODULE.wasm DIRECTORY");
    };
    let mut output = Bindgen::new()
        .input_path(input)
        .web(true)?
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate_output()
        .with_context(|| format!("cannot generate the glue of {input}"))?;
    unused::remove(output.wasm_mut())?;
    places::shorten(output.wasm_mut());
    let names = shorten_names(output.wasm_mut());
    output.emit(directory).with_context(|| format!("cannot write the glue to {directory}"))?;
    let stem = Path::new(input).file_stem().and_then(|stem| stem.to_str()).context("a module has a name")?;
    let (glue, module) = (format!("{directory}/{stem}.js"), format!("{directory}/{stem}_bg.wasm"));
    std::fs::write(&module, order::by_likeness(&locals::by_use(&std::fs::read(&module)?)?)?)?;
    let script = std::fs::read_to_string(&glue)?;
    refuse_env_imports(&script, &glue)?;
    let script = with_our_loader(&shorten_glue(&script, &names))?;
    std::fs::write(&glue, shorten_helpers(&script))?;
    let types = format!("{directory}/{stem}.d.ts");
    Ok(std::fs::write(
        &types,
        std::fs::read_to_string(&types)?.replace(LASTING_TYPES, "export class Engine {\n"),
    )?)
}

/// What starts a module, in place of the generator's way: that one takes six kinds of arguments and has words for servers
/// that say the wrong type. Ours takes what the types of the generator call `{ module_or_path }`, an address or a
/// compiled module, and is tried again after it failed.
const LOADER: &str = "\
let starting;
async function start(module) {
const imports = __wbg_get_imports();
if (!(module instanceof WebAssembly.Module)) {
module = await fetch(module);
if (!module.ok) throw new Error(`${module.status} for ${module.url}`);
module = await (module.headers.get('Content-Type') === 'application/wasm'
? WebAssembly.compileStreaming(module) : WebAssembly.compile(await module.arrayBuffer()));
}
wasm = (await WebAssembly.instantiate(module, imports)).exports;
wasm.__wbindgen_start();
return wasm;
}
export default ({ module_or_path }) => starting ??= start(module_or_path).catch((error) => {
starting = undefined;
throw error;
});
";

/// Puts [`LOADER`] in the place of the generator's.
fn with_our_loader(script: &str) -> Result<String> {
    let begin = script.find("let wasmModule, wasmInstance, wasm;").context("the glue has a loader")?;
    let (head, loader) = script.split_at(begin);
    if !loader.contains("__wbg_finalize_init") || !loader.trim_end().ends_with("as default };") {
        bail!("the glue's loader is not where it was");
    }
    Ok(format!("{head}let wasm;\n{LOADER}"))
}

/// Gives short names to what module and glue share under a name with a hash, since random digits do not compress, and to
/// what nobody else calls.
fn shorten_names(module: &mut walrus::Module) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for import in module.imports.iter_mut() {
        names.push((core::mem::replace(&mut import.module, "_".into()), "_".into()));
    }
    names.dedup();
    let imports = module.imports.iter_mut().map(|import| &mut import.name);
    let exports = module.exports.iter_mut().map(|export| &mut export.name);
    let hashed = imports.chain(exports).filter(|name| has_hash(name) || is_helper(name));
    for (at, name) in hashed.enumerate() {
        names.push((core::mem::replace(name, format!("_{at}")), format!("_{at}")));
    }
    names
}

/// The generator's own. The loader calls the last by its name.
fn is_helper(name: &str) -> bool {
    (name.starts_with("__wbindgen_") || name.starts_with("__externref_")) && name != "__wbindgen_start"
}

fn has_hash(name: &str) -> bool {
    let hash = name.trim_end_matches(|c: char| c.is_ascii_hexdigit()).len();
    name.len() - hash >= 16
}

/// Takes comments, indentation and long names out of the glue: a third of what a page downloads of it.
fn shorten_glue(script: &str, names: &[(String, String)]) -> String {
    let mut script = plain(script);
    for (long, short) in names {
        script = script.replace(long, short);
    }
    for (from, to, with) in OLD_BROWSERS.iter().chain(&LASTING) {
        while let Some(begin) = script.find(from)
            && let Some(length) = script[begin..].find(to)
        {
            script.replace_range(begin..begin + length + to.len(), with);
        }
    }
    say_shortly(&script)
}

/// Functions of the table of imports as methods, which return what they would give a name to return it.
fn say_shortly(script: &str) -> String {
    let mut out = String::with_capacity(script.len());
    for line in script.replace(": function(", "(").lines() {
        match (line, out.rfind("const ret = ")) {
            ("return ret;", Some(begin))
                if out[begin..].ends_with(";\n") && out[begin..].lines().count() == 1 =>
            {
                out.replace_range(begin..begin + "const ret =".len(), "return");
            }
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

/// Gives short names to the generator's own functions and to what they remember: they are told by being long, and no
/// other name begins as theirs will.
fn shorten_helpers(script: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for line in script.lines() {
        for begin in ["function ", "async function ", "let ", "const "] {
            let rest = line.strip_prefix(begin).unwrap_or_default();
            let name = rest.split(|c: char| !is_of_name(c)).next().unwrap_or_default();
            if name.len() > 10 && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let mut out = String::with_capacity(script.len());
    let mut rest = script;
    while let Some(begin) = rest.find(is_of_name) {
        let length = rest[begin..].find(|c: char| !is_of_name(c)).unwrap_or(rest.len() - begin);
        let (before, word) = (&rest[..begin], &rest[begin..begin + length]);
        out.push_str(before);
        match names.iter().position(|name| *name == word && !before.ends_with('.')) {
            Some(at) => out.push_str(&format!("${at}")),
            None => out.push_str(word),
        }
        rest = &rest[begin + length..];
    }
    out + rest
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// What the generator writes for browsers that have no data channels in workers anyway, or for two gigabytes of text.
const OLD_BROWSERS: [(&str, &str, &str); 4] = [
    ("if (!('encodeInto' in cachedTextEncoder)) {", "};\n};\n}\n", ""),
    ("(typeof FinalizationRegistry === 'undefined')\n", ": new", "new"),
    (
        "let cachedTextDecoder = ",
        "decodeText(bytes) {\n",
        "const cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });\nfunction decodeText(bytes) {\n",
    ),
    ("numBytesDecoded += bytes.length;\n", "numBytesDecoded = bytes.length;\n}\n", ""),
];

/// What the generator writes so that a class can be freed: the engine lives as long as its worker.
const LASTING: [(&str, &str, &str); 4] = [
    ("export class Engine {\n__destroy_into_raw() {\n", "_free(ptr, 0);\n}\n", "export class Engine {\n"),
    ("if (Symbol.dispose) Engine.", "\n", ""),
    ("const EngineFinalization = ", ";\n", ""),
    ("EngineFinalization.register(", "\n", ""),
];
const LASTING_TYPES: &str = "export class Engine {\n    free(): void;\n    [Symbol.dispose](): void;\n";

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
fn refuse_env_imports(glue: &str, path: &str) -> Result<()> {
    if glue.contains("from \"env\"") || glue.contains("from 'env'") {
        bail!("{path} imports \"env\": the module was linked against C symbols");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{plain, say_shortly, shorten_helpers};

    #[test]
    fn what_is_returned_needs_no_name_unless_it_is_looked_at() {
        let script = "_1: function(arg0) {\nconst ret = arg0 + 1;\nreturn ret;\n},\n_2: function(arg0) {\nconst ret = \
                      arg0;\nreturn isLikeNone(ret) ? 0 : ret;\n},\nconst ret = f(\n1);\nreturn ret;\n";
        let short = "_1(arg0) {\nreturn arg0 + 1;\n},\n_2(arg0) {\nconst ret = \
                     arg0;\nreturn isLikeNone(ret) ? 0 : ret;\n},\nconst ret = f(\n1);\nreturn ret;\n";
        assert_eq!(say_shortly(script), short);
    }

    #[test]
    fn helpers_get_short_names_where_they_are_meant() {
        let script = "let cachedThing = null;\nfunction getCachedThing0(arg) {\nreturn arg.cachedThing ?? cachedThing;\n}\n";
        let short = "let $0 = null;\nfunction $1(arg) {\nreturn arg.cachedThing ?? $0;\n}\n";
        assert_eq!(shorten_helpers(script), short);
    }

    #[test]
    fn comments_and_indentation_go_and_code_stays() {
        let script =
            "/* one */\n\n/**\n * two\n */\nexport class A {\n    // three\n    b() { return '/*'; }\n}\n";
        assert_eq!(plain(script), "export class A {\nb() { return '/*'; }\n}\n");
    }
}
