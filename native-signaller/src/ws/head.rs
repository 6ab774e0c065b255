//! The request that opens a WebSocket, and the answer to it.

use super::frame::Kind;
use base64ct::{Base64, Encoding};
use sha1::{Digest, Sha1};
use swarmlet_core::tracker::server::Dialect;

/// The path of the signaller.
pub(crate) const PATH: &str = "/signal";
/// The sub-protocol of our own dialect. WebTorrent clients name none.
const PROTOCOL: &str = "swarmlet.1";
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why no WebSocket is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not a request for a WebSocket, or not of version 13.
    NoUpgrade,
    /// A sub-protocol that nobody here speaks.
    Protocol,
    /// A page that is not on the list.
    Origin,
    /// Too many connections of one network.
    Network,
    /// Too many connections, or too many new ones; seconds before another try makes sense.
    Busy(u64),
}

impl Refusal {
    /// Status, reason phrase and a line for people.
    pub(crate) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NoUpgrade => ("426 Upgrade Required", "a WebSocket of version 13 is required\n"),
            Self::Protocol => ("400 Bad Request", "sub-protocols: swarmlet.1, or none\n"),
            Self::Origin => ("403 Forbidden", "this origin is not served here\n"),
            Self::Network => ("429 Too Many Requests", "too many connections from your network\n"),
            Self::Busy(_) => ("503 Service Unavailable", "busy; come back later\n"),
        }
    }

    /// Headers beside those of every answer.
    pub(crate) fn headers(self) -> Vec<(&'static str, String)> {
        match self {
            Self::NoUpgrade => {
                vec![("upgrade", "websocket".to_owned()), ("sec-websocket-version", "13".to_owned())]
            }
            Self::Busy(seconds) => vec![("retry-after", seconds.to_string())],
            Self::Protocol | Self::Origin | Self::Network => Vec::new(),
        }
    }

    /// The whole answer.
    pub(crate) fn response(self) -> Vec<u8> {
        let ((status, text), mut head) = (self.words(), String::from("HTTP/1.1 "));
        head.push_str(status);
        head.push_str("\r\nconnection: close\r\ncontent-type: text/plain\r\ncache-control: no-store\r\n");
        for (name, value) in self.headers() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n{text}", text.len()));
        head.into_bytes()
    }
}

/// What matters of a request for a WebSocket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request<'a> {
    pub(crate) get: bool,
    pub(crate) upgrade: bool,
    pub(crate) connection: bool,
    pub(crate) version: bool,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) origin: Option<&'a [u8]>,
    /// All that it names, one header after the other.
    pub(crate) protocols: Vec<&'a [u8]>,
    /// Addresses that proxies have added, one header after the other.
    pub(crate) forwarded: Vec<&'a [u8]>,
}

/// A WebSocket that may be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upgrade {
    /// What will be spoken.
    pub(crate) dialect: Dialect,
    accept: String,
}

/// What begins a connection.
#[derive(Debug)]
pub(crate) enum Head<'a> {
    /// Not all of it is there.
    Partial,
    /// Somebody wants `/signal`; so many bytes of it.
    Signal(Request<'a>, usize),
    /// Anything else.
    Other,
}

impl<'a> Head<'a> {
    /// Looks at the first bytes of a connection. Anything that is not clearly for the signaller is `Other`: the HTTP
    /// server has better words for what is wrong with it.
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        let wanted = b"GET /signal";
        if !bytes.starts_with(wanted.get(..bytes.len().min(wanted.len())).unwrap_or(wanted)) {
            return Self::Other;
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Partial) => return Self::Partial,
            Ok(httparse::Status::Complete(length)) => length,
            Err(_) => return Self::Other,
        };
        let path = parsed.path.unwrap_or("");
        if path.split('?').next() != Some(PATH) || parsed.version != Some(1) {
            return Self::Other;
        }
        let mut request = Request { get: parsed.method == Some("GET"), ..Request::default() };
        for header in parsed.headers {
            request.header(header.name, header.value);
        }
        Self::Signal(request, length)
    }
}

impl<'a> Request<'a> {
    /// Takes a header of any name.
    pub(crate) fn header(&mut self, name: &str, value: &'a [u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("upgrade") {
            self.upgrade |= has_word(value, b"websocket");
        } else if is("connection") {
            self.connection |= has_word(value, b"upgrade");
        } else if is("sec-websocket-version") {
            self.version |= value == b"13";
        } else if is("sec-websocket-key") {
            self.key = Some(value);
        } else if is("origin") {
            self.origin = Some(value);
        } else if is("sec-websocket-protocol") {
            self.protocols.push(value);
        } else if is("x-forwarded-for") {
            self.forwarded.push(value);
        }
    }

    /// Whether a WebSocket may be opened, as far as the request tells. `origins`: the pages that are served, all of
    /// them if there is none. `tokens`: they are asked for, and so programs that are no pages, and name none, may come.
    pub(crate) fn check(&self, origins: &[String], tokens: bool) -> Result<Upgrade, Refusal> {
        let key = self.key.filter(|key| key.len() == 24);
        let (Some(key), true) = (key, self.get && self.upgrade && self.connection && self.version) else {
            return Err(Refusal::NoUpgrade);
        };
        let dialect = match &self.protocols[..] {
            [] => Dialect::WebTorrent,
            named if named.iter().any(|value| has_word(value, PROTOCOL.as_bytes())) => Dialect::Swarmlet,
            _ => return Err(Refusal::Protocol),
        };
        let is_listed = |origin| origins.iter().any(|listed| Some(listed.as_bytes()) == origin);
        let is_program = tokens && self.origin.is_none();
        if !origins.is_empty() && !is_program && !is_listed(self.origin) {
            return Err(Refusal::Origin);
        }
        let accept = Base64::encode_string(&Sha1::new().chain_update(key).chain_update(GUID).finalize());
        Ok(Upgrade { dialect, accept })
    }
}

impl Upgrade {
    /// Headers of the answer, but for the status line.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let protocol = (self.dialect == Dialect::Swarmlet).then_some(("sec-websocket-protocol", PROTOCOL));
        let fixed =
            [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-accept", &self.accept)];
        fixed.into_iter().chain(protocol)
    }

    /// Appends the whole answer.
    pub(crate) fn push_response(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in self.headers() {
            for part in [name, ": ", value, "\r\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// How messages of a dialect are framed.
pub(crate) const fn kind(dialect: Dialect) -> Kind {
    match dialect {
        Dialect::Swarmlet => Kind::Binary,
        Dialect::WebTorrent => Kind::Text,
    }
}

/// Whether a list with commas has a word, whatever its case.
fn has_word(list: &[u8], word: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &str) -> String {
        format!(
            "GET /signal HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
        )
    }

    fn check(text: &str, origins: &[String]) -> Result<Upgrade, Refusal> {
        match Head::read(text.as_bytes()) {
            Head::Signal(request, length) => {
                assert_eq!(length, text.len());
                request.check(origins, false)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_answer_is_that_of_the_standard() {
        let mut out = Vec::new();
        check(&request(""), &[]).unwrap().push_response(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{text}");
        assert!(!text.contains("protocol") && text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn the_sub_protocol_chooses_the_dialect() {
        let dialect = |lines: &str| check(&request(lines), &[]).map(|upgrade| upgrade.dialect);
        assert_eq!(dialect(""), Ok(Dialect::WebTorrent));
        assert_eq!(dialect("Sec-WebSocket-Protocol: swarmlet.1\r\n"), Ok(Dialect::Swarmlet));
        assert_eq!(dialect("Sec-WebSocket-Protocol: x, swarmlet.1\r\n"), Ok(Dialect::Swarmlet));
        for other in ["swarmlet.2", "json", "", "swarmlet"] {
            let lines = format!("Sec-WebSocket-Protocol: {other}\r\n");
            assert_eq!(dialect(&lines), Err(Refusal::Protocol), "{other}");
        }
    }

    #[test]
    fn origins_count_letter_by_letter() {
        let origins = ["https://a.example".to_owned()];
        let origin = |text: &str| check(&request(&format!("Origin: {text}\r\n")), &origins).map(drop);
        assert_eq!(origin("https://a.example"), Ok(()));
        for other in
            ["null", "https://a.example.", "https://A.example", "http://a.example", "https://a.example:443"]
        {
            assert_eq!(origin(other), Err(Refusal::Origin), "{other}");
        }
        assert_eq!(check(&request(""), &origins).map(drop), Err(Refusal::Origin), "none");
        for (lines, verdict) in [("", Ok(())), ("Origin: null\r\n", Err(Refusal::Origin))] {
            let text = request(lines);
            let Head::Signal(request, _) = Head::read(text.as_bytes()) else { panic!("{lines}") };
            assert_eq!(request.check(&origins, true).map(drop), verdict, "with tokens: {lines}");
        }
    }

    #[test]
    fn what_is_no_upgrade_is_told_so() {
        for (from, to) in [
            ("Upgrade: websocket", "Upgrade: h2c"),
            ("keep-alive, Upgrade", "keep-alive"),
            ("Version: 13", "Version: 8"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        ] {
            assert_eq!(check(&request("").replacen(from, to, 1), &[]), Err(Refusal::NoUpgrade), "{to}");
        }
    }

    #[test]
    fn everything_else_is_for_the_http_server() {
        for bytes in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET /signals HTTP/1.1\r\n\r\n",
            "GET /signal HTTP/1.0\r\n\r\n",
            "POST /signal HTTP/1.1\r\n\r\n",
            "GET /signal\0 HTTP/1.1\r\n\r\n",
            "\u{16}\u{3}\u{1}",
            "x",
        ] {
            assert!(matches!(Head::read(bytes.as_bytes()), Head::Other), "{bytes:?}");
        }
        let whole = request("");
        for length in 0..whole.len() {
            assert!(matches!(Head::read(&whole.as_bytes()[..length]), Head::Partial), "{length}");
        }
        assert!(matches!(Head::read(b"GET /signal?x=1 HTTP/1.1\r\n\r\n"), Head::Signal(..)));
    }
}
