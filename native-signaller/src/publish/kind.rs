//! The media type of a file, by its name. Pages answer requests with it, so it is a matter of safety: what is not
//! known is a download.

use crate::files::mime;

/// What an MPEG transport stream begins with, at every 188th byte.
pub(super) const TRANSPORT_SYNC: u8 = 0x47;

/// The type of a file by its name; `first`: its first byte, since `.ts` is TypeScript or television.
pub(crate) fn of(path: &str, first: Option<u8>) -> &'static str {
    let extension = path.rsplit('.').next().unwrap_or("").to_ascii_lowercase();
    match extension.as_str() {
        "m3u8" => "application/vnd.apple.mpegurl",
        "mpd" => "application/dash+xml",
        "ts" if first == Some(TRANSPORT_SYNC) => "video/mp2t",
        "m4s" | "cmfv" => "video/iso.segment",
        "aac" => "audio/aac",
        "vtt" => "text/vtt; charset=utf-8",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "csv" => "text/csv; charset=utf-8",
        "xml" => "application/xml",
        "htm" | "xhtml" => "text/html; charset=utf-8",
        _ => mime(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_by_name_and_television_is_no_typescript() {
        assert_eq!(of("a/seg1.TS", Some(0x47)), "video/mp2t");
        assert_eq!(of("a/main.ts", Some(b'i')), "text/plain; charset=utf-8");
        assert_eq!(of("list.m3u8", None), "application/vnd.apple.mpegurl");
        assert_eq!(of("a.b/README", None), "application/octet-stream");
        assert_eq!(of("image.png.exe", None), "application/octet-stream");
    }
}
