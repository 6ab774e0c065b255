//! Torrents that are refused, each by name and with its reason; and that no bytes do worse than that.

use super::share;
use crate::content::ContentError::{
    self, BadLayers, BadRoot, Duplicate, FileTooLarge, FileTree, LayersMissing, Malformed, MissingField,
    Name, NameTooLong, NoFiles, PieceLength, TooDeep, TooLarge, TooManyFiles, TotalTooLarge, Version,
    VersionOne, WrongType,
};
use crate::content::{Info, Torrent};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

const ROOT: &str = "11:pieces root32:rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr";

fn string(text: &str) -> String {
    format!("{}:{text}", text.len())
}

/// A file of one byte under that name.
fn file(name: &str) -> String {
    format!("{}d0:d6:lengthi1e{ROOT}ee", string(name))
}

/// An info dictionary whose file tree holds what is given.
fn tree(entries: &str) -> String {
    format!("d9:file treed{entries}e12:meta versioni2e4:name1:n12:piece lengthi65536ee")
}

/// One whose only file has the fields that are given.
fn fields(fields: &str) -> String {
    tree(&format!("1:ad0:d{fields}ee"))
}

/// One with the keys after the file tree that are given.
fn keys(keys: &str) -> String {
    format!("d9:file treed{}e{keys}e", file("a"))
}

fn nested(depth: usize) -> String {
    tree(&format!("{}{}{}", "1:xd".repeat(depth - 1), file("a"), "e".repeat(depth - 1)))
}

fn bad_infos() -> Vec<(&'static str, String, ContentError)> {
    Vec::from([
        ("nothing", String::new(), Malformed),
        ("text", "hello".into(), Malformed),
        ("a list", "le".into(), WrongType),
        ("a number", "i1e".into(), WrongType),
        ("empty dictionary", "de".into(), MissingField),
        ("byte after the end", tree(&file("a")) + "x", Malformed),
        ("last byte missing", tree(&file("a"))[..100].into(), Malformed),
        ("keys out of order", "d4:name1:n9:file treedee".into(), Malformed),
        ("key twice", keys("12:meta versioni2e4:name1:n4:name1:n12:piece lengthi65536e"), Malformed),
        ("number with a leading zero", keys("12:meta versioni02e4:name1:n12:piece lengthi65536e"), Malformed),
        ("minus zero", keys("12:meta versioni-0e4:name1:n12:piece lengthi65536e"), Malformed),
        ("string longer than the bytes", "d9:file tree99999999:".into(), Malformed),
        ("nested too deep for any torrent", format!("d1:a{}{}e", "l".repeat(90), "e".repeat(90)), Malformed),
        (
            "version 1",
            "d6:lengthi1e4:name1:n12:piece lengthi65536e6:pieces20:aaaaaaaaaaaaaaaaaaaae".into(),
            VersionOne,
        ),
        ("no version", keys("4:name1:n12:piece lengthi65536e"), MissingField),
        ("version 0", keys("12:meta versioni0e4:name1:n12:piece lengthi65536e"), Version),
        ("version 3", keys("12:meta versioni3e4:name1:n12:piece lengthi65536e"), Version),
        ("version as text", keys("12:meta version1:24:name1:n12:piece lengthi65536e"), WrongType),
        ("version 3 comes before other faults", "d9:file treei1e12:meta versioni3ee".into(), Version),
        ("no name", keys("12:meta versioni2e12:piece lengthi65536e"), MissingField),
        ("name as number", keys("12:meta versioni2e4:namei1e12:piece lengthi65536e"), WrongType),
        ("name empty", keys("12:meta versioni2e4:name0:12:piece lengthi65536e"), Name),
        ("name of dots", keys("12:meta versioni2e4:name2:..12:piece lengthi65536e"), Name),
        ("no piece length", keys("12:meta versioni2e4:name1:n"), MissingField),
        ("piece length 0", keys("12:meta versioni2e4:name1:n12:piece lengthi0e"), PieceLength),
        ("piece length negative", keys("12:meta versioni2e4:name1:n12:piece lengthi-65536e"), PieceLength),
        ("piece length 8 KiB", keys("12:meta versioni2e4:name1:n12:piece lengthi8192e"), PieceLength),
        (
            "piece length no power of two",
            keys("12:meta versioni2e4:name1:n12:piece lengthi65537e"),
            PieceLength,
        ),
        ("piece length 2 GiB", keys("12:meta versioni2e4:name1:n12:piece lengthi2147483648e"), PieceLength),
        ("piece length as text", keys("12:meta versioni2e4:name1:n12:piece length1:x"), WrongType),
        ("no file tree", "d12:meta versioni2e4:name1:n12:piece lengthi65536ee".into(), MissingField),
        (
            "file tree a list",
            "d9:file treele12:meta versioni2e4:name1:n12:piece lengthi65536ee".into(),
            WrongType,
        ),
        ("no files", tree(""), NoFiles),
        ("folder without files", tree("1:ade"), FileTree),
        ("root is a file", tree(&format!("0:d6:lengthi1e{ROOT}e")), FileTree),
        ("file and folder in one", tree(&format!("1:ad0:d6:lengthi1e{ROOT}e{}e", file("b"))), FileTree),
        ("folder is a number", tree("1:ai1e"), WrongType),
        ("file is a list", tree("1:ad0:lee"), WrongType),
        ("no length", fields(ROOT), MissingField),
        ("length as text", fields(&format!("6:length1:1{ROOT}")), WrongType),
        ("length negative", fields(&format!("6:lengthi-1e{ROOT}")), FileTooLarge),
        ("length 2^63-1", fields(&format!("6:lengthi9223372036854775807e{ROOT}")), FileTooLarge),
        ("length 2^63", fields(&format!("6:lengthi9223372036854775808e{ROOT}")), Malformed),
        ("length 512 GiB and a byte", fields(&format!("6:lengthi549755813889e{ROOT}")), FileTooLarge),
        ("no root", fields("6:lengthi1e"), BadRoot),
        ("root of 31 bytes", fields("6:lengthi1e11:pieces root31:rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"), BadRoot),
        ("root of 20 bytes", fields("6:lengthi1e11:pieces root20:rrrrrrrrrrrrrrrrrrrr"), BadRoot),
        ("root of an empty file", fields(&format!("6:lengthi0e{ROOT}")), BadRoot),
        ("root as number", fields("6:lengthi1e11:pieces rooti1e"), WrongType),
        ("33 folders deep", nested(33), TooDeep),
        ("60 folders deep", nested(60), TooDeep),
    ])
}

fn bad_names() -> Vec<(&'static str, String, ContentError)> {
    let names = [
        ("dot", "."),
        ("dots", ".."),
        ("slash", "a/b"),
        ("absolute", "/etc"),
        ("climbing", "../a"),
        ("backslash", "a\\b"),
        ("drive", "C:\\a"),
        ("nul", "a\0"),
        ("line feed", "a\nb"),
        ("escape character", "\u{1b}[2J"),
        ("delete character", "a\u{7f}"),
        ("C1 control", "a\u{85}"),
        ("line separator", "a\u{2028}b"),
        ("paragraph separator", "a\u{2029}b"),
        ("right-to-left override", "photo\u{202e}gpj.exe"),
        ("left-to-right embedding", "a\u{202a}"),
        ("right-to-left isolate", "a\u{2067}"),
        ("pop isolate", "a\u{2069}"),
    ];
    names.into_iter().map(|(name, text)| (name, tree(&file(text)), Name)).collect()
}

fn bad_sets() -> Vec<(&'static str, String, ContentError)> {
    let many =
        |count: usize| (0..count).map(|at| format!("{}d0:d6:lengthi0eee", string(&format!("{at:06}"))));
    let large = |at: u32| format!("{}d0:d6:lengthi549755813888e{ROOT}ee", string(&format!("{at:06}")));
    Vec::from([
        ("name of 256 bytes", tree(&file(&"x".repeat(256))), NameTooLong),
        ("name of 128 letters of two bytes", tree(&file(&"ä".repeat(128))), NameTooLong),
        ("same but for case", tree(&(file("A") + &file("a"))), Duplicate),
        ("file and folder but for case", tree(&format!("1:Ad{}e{}", file("x"), file("a"))), Duplicate),
        (
            "files but for the case of folders",
            tree(&format!("1:Ad{}e1:ad{}e", file("x"), file("x"))),
            Duplicate,
        ),
        ("same name twice", tree(&(file("a") + &file("a"))), Malformed),
        ("100,001 files", tree(&many(100_001).collect::<String>()), TooManyFiles),
        ("more than 8 PiB", tree(&(0..16_385).map(large).collect::<String>()), TotalTooLarge),
        ("larger than any info", tree(&file(&"x".repeat(5 << 20))), TooLarge),
    ])
}

#[test]
fn bad_info_dictionaries() {
    let cases: Vec<_> = [bad_infos(), bad_names(), bad_sets()].into_iter().flatten().collect();
    assert!(cases.len() >= 75);
    assert_eq!(cases.iter().map(|case| case.0).collect::<BTreeSet<_>>().len(), cases.len());
    for (name, text, error) in cases {
        assert_eq!(Info::parse(text.as_bytes()).map(drop), Err(error), "{name}");
    }
    let not_text = tree(&file("??")).into_bytes();
    let not_text: Vec<u8> = not_text.into_iter().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
    assert_eq!(Info::parse(&not_text).map(drop), Err(Name));
}

#[test]
fn odd_but_harmless_ones_are_read() {
    for name in
        ["a.", " a ", "con", "COM1", "~", "-rf", "Ω≈ç√", "日本語", "👩‍👧", "\u{200f}עברית", "a:b", "x*?"]
    {
        let info = Info::parse(tree(&file(name)).as_bytes()).unwrap();
        assert_eq!(info.files[0].path, [name.to_string()]);
    }
    assert!(Info::parse(nested(32).as_bytes()).is_ok());
    let extra = "d4:attr1:x9:file treed1:ad0:d4:attr1:x6:lengthi0eeee12:meta versioni2e4:name1:n\
                 12:piece lengthi16384e7:privatei1e1:zdee";
    assert_eq!(Info::parse(extra.as_bytes()).unwrap().files[0].length, 0);
}

/// A torrent of that info dictionary, with what stands after it.
fn torrent(info: &str, rest: &str) -> Vec<u8> {
    format!("d4:info{info}{rest}e").into_bytes()
}

#[test]
fn bad_torrents() {
    let info = &tree(&file("a"));
    let of = |info: &str, rest: &str| torrent(info, rest);
    let large = &fields(&format!("6:lengthi65537e{ROOT}"));
    let layer =
        |hashes: usize| format!("12:piece layersd32:{}{}e", "r".repeat(32), string(&"h".repeat(hashes * 32)));
    let cases: Vec<(&str, Vec<u8>, ContentError)> = Vec::from([
        ("nothing", Vec::new(), Malformed),
        ("a page instead", b"<!doctype html>".to_vec(), Malformed),
        ("no info", b"d12:piece layersdee".to_vec(), MissingField),
        ("info a list", of("le", "12:piece layersde"), WrongType),
        ("no layers", of(info, ""), LayersMissing),
        ("layers a list", of(info, "12:piece layersle"), WrongType),
        ("layer of a small file", of(info, &layer(1)), BadLayers),
        ("layer of a large file missing", of(large, "12:piece layersde"), LayersMissing),
        ("layer too short", of(large, &layer(1)), BadLayers),
        ("layer too long", of(large, &layer(3)), BadLayers),
        ("layer empty", of(large, &layer(0)), BadLayers),
        ("layer that proves nothing", of(large, &layer(2)), BadLayers),
        (
            "layer of 33 bytes",
            of(large, &format!("12:piece layersd32:{}33:{}e", "r".repeat(32), "h".repeat(33))),
            BadLayers,
        ),
        ("layer is a number", of(large, &format!("12:piece layersd32:{}i1ee", "r".repeat(32))), WrongType),
        ("layer key of 20 bytes", of(info, &format!("12:piece layersd20:{}0:e", "r".repeat(20))), BadLayers),
        ("web seeds a number", of(info, "12:piece layersde8:url-listi1e"), WrongType),
        ("web seeds of numbers", of(info, "12:piece layersde8:url-listli1ee"), WrongType),
        ("tracker a number", format!("d8:announcei1e4:info{info}12:piece layersdee").into_bytes(), WrongType),
        ("byte after the end", [of(info, "12:piece layersde"), b"\n".to_vec()].concat(), Malformed),
        ("keys out of order", format!("d12:piece layersde4:info{info}e").into_bytes(), Malformed),
        ("fault inside the info", of(&tree(&file("..")), "12:piece layersde"), Name),
        (
            "version 1",
            of("d6:lengthi1e4:name1:n12:piece lengthi65536e6:pieces20:aaaaaaaaaaaaaaaaaaaae", ""),
            VersionOne,
        ),
        ("larger than any torrent", std::vec![b'd'; (32 << 20) + 1], TooLarge),
    ]);
    for (name, bytes, error) in cases {
        assert_eq!(Torrent::parse(&bytes).map(drop), Err(error), "{name}");
    }
    let good = Torrent::parse(&of(info, "12:piece layersde8:url-list10:http://h/x")).unwrap();
    assert_eq!(good.web_seeds, ["http://h/x"]);
}

#[test]
fn a_small_file_may_not_borrow_the_root_of_a_large_one() {
    // Both claim one root; the small one has no layer, and asking for its tree must not go wrong.
    let built = share("n", &[("b", 70_000)]).torrent;
    let entries = [("a", 5), ("b", 70_000)].map(|(name, length)| crate::content::FileEntry {
        path: Vec::from([name.to_string()]),
        length,
        root: built.info.files[0].root,
    });
    let both = Info::write("n", 65_536, &entries.each_ref());
    let torrent = Torrent { info: Info::parse(&both).unwrap(), ..built };
    let torrent = Torrent::parse(&torrent.encode()).unwrap();
    assert!(torrent.seed_tree(0).is_some() && torrent.seed_tree(1).is_some());
}

#[test]
fn reasons_have_names_and_sentences() {
    let names: BTreeSet<_> = ContentError::ALL.iter().map(|error| error.name()).collect();
    assert_eq!(names.len(), ContentError::ALL.len());
    assert!(ContentError::ALL.iter().all(|error| error.to_string().ends_with('.')));
}

proptest! {
    #[test]
    fn no_change_of_a_torrent_does_harm(at in any::<proptest::sample::Index>(), kind in 0..3, byte in any::<u8>()) {
        let torrent = share("f", &[("b", 70_000), ("a/z", 3), ("c", 200_000), ("empty", 0)]).torrent;
        let mut bytes = torrent.encode();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
        if let Ok(read) = Torrent::parse(&bytes) {
            prop_assert_eq!(Torrent::parse(&read.encode()), Ok(read.clone()));
            (0..read.info.files.len()).for_each(|file| drop(read.seed_tree(file)));
            if bytes != torrent.encode() {
                // Names may differ, hashes of content that are proven may not.
                prop_assert!(read.info.content != torrent.info.content || read == torrent);
            }
        }
    }

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Torrent::parse(&bytes).is_err());
        prop_assert!(Info::parse(&bytes).is_err());
    }
}
