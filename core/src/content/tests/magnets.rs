//! Magnet links: read, written, refused.

use crate::content::ContentError::{self, BadEscape, BadId, BadSelection, NotMagnet, TooLarge, VersionOne};
use crate::content::Magnet;
use crate::id::ContentId;
use proptest::prelude::*;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

const ID: &str = "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";
const OTHER: &str = "0000e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";
const V1: &str = "631a31dd0a46257d5078c0dee4e66e26f73e42ac";

fn id() -> ContentId {
    ContentId::from_hex(ID).unwrap()
}

#[test]
fn every_form_of_an_id() {
    for text in [
        ID.to_string(),
        ID.to_uppercase(),
        format!("  {ID}\n"),
        format!("urn:btmh:1220{ID}"),
        format!("URN:BTMH:1220{ID}"),
        format!("magnet:?xt=urn:btmh:1220{ID}"),
        format!("MAGNET:?xt.1=urn:btmh:1220{ID}"),
        format!("magnet:?xt=urn%3Abtmh%3A1220{ID}&unknown&=&x.pe=1.2.3.4:5"),
        format!("magnet:?xt=urn:btih:{V1}&xt=urn:btmh:1220{ID}"),
        format!("magnet:?xt=urn:btmh:1220{ID}&xt=urn:btmh:1220{ID}"),
    ] {
        assert_eq!(Magnet::parse(&text), Ok(Magnet::of(id())), "{text}");
    }
}

#[test]
fn hints_are_read() {
    let text = format!(
        "magnet:?xt=urn:btmh:1220{ID}&dn=a+b%20%C3%BC&ws=https%3A%2F%2Fh%2Fx%3Fa%3D1&as=http://h/y&ws=ftp://no\
         &tr=udp://t:1&tr.1=udp://t:2&tr=udp://t:1&xs=https://h/x.torrent&xs=urn:btpk:00&so=7,0,2,4-6,5"
    );
    let magnet = Magnet::parse(&text).unwrap();
    assert_eq!(magnet.name.as_deref(), Some("a b ü"));
    assert_eq!(magnet.web_seeds, ["https://h/x?a=1", "http://h/y"]);
    assert_eq!(magnet.trackers, ["udp://t:1", "udp://t:2"]);
    assert_eq!(magnet.sources, ["https://h/x.torrent"]);
    assert_eq!(magnet.select, Some(Vec::from([0, 2, 4, 5, 6, 7])));
    assert!(magnet.to_string().ends_with("&so=0,2,4-7"));
    assert_eq!(Magnet::parse(&magnet.to_string()), Ok(magnet));
    let odd = Magnet::parse(&format!("magnet:?xt=urn:btmh:1220{ID}&dn=a%2Fb")).unwrap();
    assert_eq!(odd.name, None);
}

#[test]
fn numbers_of_hints_are_bounded() {
    let mut text = format!("magnet:?xt=urn:btmh:1220{ID}");
    (0..500).for_each(|at| text += &format!("&ws=http://h/{at}"));
    assert_eq!(Magnet::parse(&text).unwrap().web_seeds.len(), 64);
    let overlaps = format!("magnet:?xt=urn:btmh:1220{ID}&so=0-99999");
    assert_eq!(Magnet::parse(&overlaps).unwrap().select.unwrap().len(), 100_000);
}

#[test]
fn refused_links() {
    let with = |rest: &str| format!("magnet:?xt=urn:btmh:1220{ID}&{rest}");
    let bad: Vec<(&str, String, ContentError)> = Vec::from([
        ("empty", String::new(), NotMagnet),
        ("words", "hello there".into(), NotMagnet),
        ("web address", "https://example.org/".into(), NotMagnet),
        ("63 digits", ID[1..].into(), NotMagnet),
        ("65 digits", format!("0{ID}"), NotMagnet),
        ("not hexadecimal", ID.replace('c', "g"), NotMagnet),
        ("a letter of two bytes", ID.replace("ca", "é"), NotMagnet),
        ("no question mark", format!("magnet:xt=urn:btmh:1220{ID}"), NotMagnet),
        ("scheme alone", "magnet:".into(), NotMagnet),
        ("nothing in it", "magnet:?".into(), BadId),
        ("name only", "magnet:?dn=x".into(), BadId),
        ("empty topic", "magnet:?xt=".into(), BadId),
        ("other urn", "magnet:?xt=urn:sha1:abc".into(), BadId),
        ("short id", format!("magnet:?xt=urn:btmh:1220{}", &ID[2..]), BadId),
        ("long id", format!("magnet:?xt=urn:btmh:1220{ID}00"), BadId),
        ("other hash function", format!("magnet:?xt=urn:btmh:1320{ID}"), BadId),
        ("other hash length", format!("magnet:?xt=urn:btmh:1221{ID}"), BadId),
        ("no multihash", format!("magnet:?xt=urn:btmh:{ID}"), BadId),
        ("two ids", format!("magnet:?xt=urn:btmh:1220{ID}&xt=urn:btmh:1220{OTHER}"), BadId),
        ("second id broken", with("xt=urn:btmh:1220ff"), BadId),
        ("urn with a short id", format!("urn:btmh:1220{}", &ID[2..]), BadId),
        ("v1 alone", V1.into(), VersionOne),
        ("v1 urn", format!("urn:btih:{V1}"), VersionOne),
        ("v1 magnet", format!("magnet:?xt=urn:btih:{V1}&dn=x"), VersionOne),
        ("v1 magnet, base 32", "magnet:?xt=urn:btih:MMNDDXIKIYSX2UDYYDPOJZTOE33T4QVM".into(), VersionOne),
        ("escape cut", with("dn=a%2"), BadEscape),
        ("escape of no digits", with("dn=%zz"), BadEscape),
        ("escape with a sign", with("dn=%+1"), BadEscape),
        ("not UTF-8", with("dn=%ff"), BadEscape),
        ("bad escape in a hint", with("ws=http://h/%"), BadEscape),
        ("bad escape in the topic", "magnet:?xt=%".into(), BadEscape),
        ("selection empty", with("so="), BadSelection),
        ("selection of words", with("so=a"), BadSelection),
        ("selection backwards", with("so=5-4"), BadSelection),
        ("selection open", with("so=5-"), BadSelection),
        ("selection signed", with("so=%2B1"), BadSelection),
        ("selection of three", with("so=1-2-3"), BadSelection),
        ("selection too large", with("so=0-100000"), BadSelection),
        ("selection huge", with("so=0-4294967295"), BadSelection),
        ("selection overflows", with("so=4294967296"), BadSelection),
        ("too long", with(&"a".repeat(70_000)), TooLarge),
    ]);
    for (name, text, error) in bad {
        assert_eq!(Magnet::parse(&text), Err(error), "{name}");
    }
}

fn name() -> impl Strategy<Value = String> {
    "[^/\\\\\\p{Cc}\\u{2028}\\u{2029}\\u{202a}-\\u{202e}\\u{2066}-\\u{2069}]{1,20}"
        .prop_filter("dots", |name| name != "." && name != "..")
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        id in any::<[u8; 32]>(),
        name in proptest::option::of(name()),
        web in proptest::collection::btree_set("https?://[!-~]{1,30}", 0..4),
        trackers in proptest::collection::btree_set("udp://[!-~]{1,30}", 0..4),
        sources in proptest::collection::btree_set("http://[!-~]{1,30}", 0..4),
        select in proptest::option::of(proptest::collection::btree_set(0..100_000u32, 1..20)),
    ) {
        let magnet = Magnet {
            content: ContentId(id),
            name,
            web_seeds: web.into_iter().collect(),
            trackers: trackers.into_iter().collect(),
            sources: sources.into_iter().collect(),
            select: select.map(|select| select.into_iter().collect()),
        };
        prop_assert_eq!(Magnet::parse(&magnet.to_string()), Ok(magnet));
    }

    #[test]
    fn no_text_breaks_it(text in "(magnet:\\?)?(xt=urn:btmh:1220|so=|dn=|&|%|\\PC){0,30}") {
        let _ = Magnet::parse(&text);
    }
}
