//! The page, its assets and shares over HTTP.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Answer, Server, folder, within};
use std::io::Read;
use swarmlet_core::content::{Torrent, web_url};
use swarmlet_signaller::Config;

fn script() -> Vec<u8> {
    "export const word = 'swarm';\n".repeat(400).into_bytes()
}

/// A server with a page, in a folder of its own: tests run at the same time.
async fn page(folder_name: &str) -> Server {
    let files: [(&str, &[u8]); 6] = [
        ("index.html", b"<!doctype html><title>page</title>"),
        ("app.js", &script()),
        ("sw.js", b"// listens"),
        ("pkg/x_bg.wasm", b"\0asm\x01\0\0\0"),
        ("a b/\u{fc}ml\u{e4}ut.txt", b"text"),
        (".hidden", b"secret"),
    ];
    Server::start(Config { www: folder(folder_name, &files), ..Config::default() }).await
}

#[tokio::test]
async fn pages_have_their_types_and_headers() {
    let server = page("types").await;
    let index = server.get("/", &[]).await;
    assert_eq!((index.status, index.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(index.header("cache-control"), "no-cache");
    assert_eq!(index.header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(index.header("x-content-type-options"), "nosniff");
    assert!(index.header("content-security-policy").contains("'wasm-unsafe-eval'"));
    assert!(!index.header("content-security-policy").contains("unsafe-inline"));
    assert_eq!(index.header("access-control-allow-origin"), "");
    for (path, mime) in [
        ("/swarmlet/app.js", "text/javascript; charset=utf-8"),
        ("/swarmlet/pkg/x_bg.wasm", "application/wasm"),
        ("/swarmlet/index.html", "text/html; charset=utf-8"),
        ("/swarmlet/a%20b/%C3%BCml%C3%A4ut.txt", "text/plain; charset=utf-8"),
    ] {
        let answer = server.get(path, &[]).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, mime), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
    }
    assert_eq!(server.get("/swarmlet/sw.js", &[]).await.header("service-worker-allowed"), "/");
    let head = server.request("HEAD", "/swarmlet/app.js", &[]).await;
    let length = script().len().to_string();
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, length.as_str(), 0));
    assert_eq!(server.request("POST", "/swarmlet/app.js", &[]).await.status, 405);
}

#[tokio::test]
async fn etags_save_the_body() {
    let server = page("etags").await;
    let first = server.get("/swarmlet/app.js", &[]).await;
    let tag = first.header("etag");
    for known in [tag, &format!("\"other\", W/{tag}"), "*"] {
        let again = server.get("/swarmlet/app.js", &[("if-none-match", known)]).await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag));
    }
    let other = server.get("/swarmlet/app.js", &[("if-none-match", "\"other\"")]).await;
    assert_eq!((other.status, other.body), (200, script()));
}

#[tokio::test]
async fn text_is_compressed_for_who_takes_it() {
    let server = page("compression").await;
    for encoding in ["br", "gzip"] {
        let compressed = within("compression, done in the background", async {
            loop {
                let answer = server.get("/swarmlet/app.js", &[("accept-encoding", encoding)]).await;
                if answer.header("content-encoding") == encoding {
                    return answer;
                }
            }
        })
        .await;
        let mut plain = Vec::new();
        match encoding {
            "br" => brotli::BrotliDecompress(&mut compressed.body.as_slice(), &mut plain).unwrap(),
            _ => drop(
                flate2::read::GzDecoder::new(compressed.body.as_slice()).read_to_end(&mut plain).unwrap(),
            ),
        }
        assert!(plain == script() && compressed.body.len() < plain.len() / 10);
        assert_eq!(compressed.header("vary"), "accept-encoding");
        let known = [("accept-encoding", encoding), ("if-none-match", compressed.header("etag"))];
        assert_eq!(server.get("/swarmlet/app.js", &known).await.status, 304);
        let part = [("accept-encoding", encoding), ("range", "bytes=7-11")];
        let part = server.get("/swarmlet/app.js", &part).await;
        assert_eq!(
            (part.status, part.body.as_slice(), part.header("content-encoding")),
            (206, b"const".as_slice(), "")
        );
    }
}

#[tokio::test]
async fn nothing_outside_the_folder_is_found() {
    let server = page("traversal").await;
    let mut paths = vec![
        "/swarmlet/.hidden".to_owned(),
        "/swarmlet//app.js".to_owned(),
        "/swarmlet/pkg".to_owned(),
        "/swarmlet/pkg/".to_owned(),
        "/swarmlet/".to_owned(),
        "/swarmlet".to_owned(),
        "/app.js".to_owned(),
        "/swarmlet/app.js%00".to_owned(),
        "/swarmlet/%FF".to_owned(),
        "/swarmlet/C:%5Capp.js".to_owned(),
        "/index.html".to_owned(),
        "/metrics".to_owned(),
        "/share/".to_owned(),
    ];
    for up in
        ["..", "%2e%2e", "%2E.", ".%2e", "..%2f..", "..%5c", "....//", "%252e%252e", "..;", "%c0%ae%c0%ae"]
    {
        for target in ["app.js", "index.html", "etc/passwd", "Cargo.toml", "www/app.js"] {
            for prefix in ["/swarmlet/", "/swarmlet/pkg/", "/share/", "/share/x/", "/"] {
                paths.push(format!("{prefix}{up}/{target}"));
                paths.push(format!("{prefix}{up}%2f{target}"));
            }
        }
    }
    assert!(paths.len() > 300);
    for path in paths {
        let answer = server.get(&path, &[]).await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, "no-store"), "{path}");
    }
}

#[tokio::test]
async fn a_share_is_a_web_seed() {
    let song: Vec<u8> = (0u8..=255).cycle().take(200_000).collect();
    let files: [(&str, &[u8]); 4] = [
        ("song.mp3", &song),
        ("sub/\u{43f}\u{438}\u{441}\u{44c}\u{43c}\u{43e} 1.txt", b"hello"),
        ("empty.bin", b""),
        (".hidden", b"secret"),
    ];
    let share = vec![folder("a sample", &files)];
    let server = Server::start(Config { share, ..Config::default() }).await;
    let base = format!("http://{}", server.addr);

    let index = server.get("/share/index.json", &[]).await;
    let index: serde_json::Value = serde_json::from_slice(&index.body).unwrap();
    assert_eq!(
        (&index[0]["name"], &index[0]["size"], &index[0]["files"]),
        (&"a sample".into(), &200_005.into(), &3.into())
    );
    let torrent = server.get(index[0]["torrent"].as_str().unwrap(), &[]).await;
    assert_eq!((torrent.status, torrent.header("access-control-allow-origin")), (200, "*"));
    let torrent = Torrent::parse(&torrent.body).unwrap();
    assert_eq!(index[0]["magnet"], torrent.magnet().to_string());
    assert_eq!(torrent.web_seeds, [format!("{base}/share/")]);
    assert_eq!(server.get("/share/a%20sample/.hidden", &[]).await.status, 404);

    for (number, entry) in torrent.info.files.iter().enumerate() {
        let url = web_url(&torrent.info, &torrent.web_seeds[0], number).unwrap();
        let path = url.strip_prefix(&base).unwrap();
        let whole = server.get(path, &[]).await;
        assert_eq!((whole.status, whole.body.len() as u64), (200, entry.length), "{path}");
        assert_eq!(whole.header("content-security-policy"), "default-src 'none'; sandbox");
        assert!(whole.header("access-control-expose-headers").contains("content-range"));
        let known = server.get(path, &[("if-none-match", whole.header("etag"))]).await;
        assert_eq!((known.status, known.body.len()), (304, 0));
    }

    let path = "/share/a%20sample/song.mp3";
    let head = server.request("HEAD", path, &[]).await;
    assert_eq!(
        (head.header("content-length"), head.header("accept-ranges"), head.body.len()),
        ("200000", "bytes", 0)
    );
    let part = |answer: &Answer| (answer.status, answer.header("content-range").to_owned());
    for (range, status, content_range, bytes) in [
        ("bytes=0-0", 206, "bytes 0-0/200000", &song[..1]),
        ("bytes=65536-131071", 206, "bytes 65536-131071/200000", &song[65536..131_072]),
        ("bytes=199999-", 206, "bytes 199999-199999/200000", &song[199_999..]),
        ("bytes=-5", 206, "bytes 199995-199999/200000", &song[199_995..]),
        ("bytes=199000-999999", 206, "bytes 199000-199999/200000", &song[199_000..]),
        ("bytes=200000-", 416, "bytes */200000", &[]),
        ("bytes=0-1,4-5", 200, "", &song[..]),
        ("bytes=x", 200, "", &song[..]),
    ] {
        let answer = server.get(path, &[("range", range)]).await;
        assert_eq!(part(&answer), (status, content_range.to_owned()), "{range}");
        assert!(answer.body == bytes, "{range}");
    }
    let stale = server.get(path, &[("range", "bytes=0-0"), ("if-range", "\"old\"")]).await;
    assert_eq!((stale.status, stale.body.len()), (200, 200_000));
    let preflight = server.request("OPTIONS", path, &[("origin", "https://other.example")]).await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, "*"));
    assert!(preflight.header("access-control-allow-headers").contains("range"));
}

#[tokio::test]
async fn a_changed_file_is_gone_not_wrong() {
    let root = folder("changing", &[("a.txt", b"first"), ("b.txt", b"other")]);
    let server = Server::start(Config { share: vec![root.clone()], ..Config::default() }).await;
    assert_eq!(server.get("/share/changing/a.txt", &[]).await.status, 200);
    std::fs::write(root.join("a.txt"), b"longer than before").unwrap();
    assert_eq!(server.get("/share/changing/a.txt", &[]).await.status, 410);
    assert_eq!(server.get("/share/changing/b.txt", &[]).await.body, b"other");
}

#[tokio::test]
async fn visitors_of_a_site_are_counted() {
    let server = page("gate").await;
    let topic = "ab".repeat(32);
    let ask = async |visit: &str| {
        let answer = server.get(&format!("/swarmlet/gate/{topic}?v={visit}"), &[]).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("cache-control"), "no-store");
        (answer.status, String::from_utf8(answer.body).unwrap())
    };
    assert_eq!(ask("1f").await, (200, "{\"visitors\":1}\n".to_owned()));
    assert_eq!(ask("1f").await, (200, "{\"visitors\":1}\n".to_owned()));
    assert_eq!(ask("2f").await, (200, "{\"visitors\":2}\n".to_owned()));
    assert_eq!(ask("nobody").await.0, 400);
    assert_eq!(server.get("/swarmlet/gate/short?v=1", &[]).await.status, 400);
}
