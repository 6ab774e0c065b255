//! A session description that is passed on between strangers: what must be in it, what may be, and what is left out.
//! Unlike Swarmlet's own peers, WebTorrent clients exchange SDP text, so it is gone through line by line; only
//! known lines of one data channel get through, and each candidate is known by its address.

use super::{SESSION_BYTES_MAX, Sdp};
use crate::wire::{Candidate, Error, json, sdp};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// Candidates of one description.
const CANDIDATES_MAX: usize = 20;
/// How line ends are written inside a JSON text.
const LINE_END: &[u8] = b"\\r\\n";

/// How a word of an `a=` line is treated.
enum Attribute {
    Candidate,
    Ufrag,
    Pwd,
    Fingerprint,
    Setup,
    /// Data channels need it, or browsers add it to every description.
    Known,
    Unknown,
}

impl Attribute {
    /// Lengths first, then bytes: a search through a list would compare each name with several.
    const fn of(name: &[u8]) -> Self {
        match name {
            b"candidate" => Self::Candidate,
            b"ice-ufrag" => Self::Ufrag,
            b"ice-pwd" => Self::Pwd,
            b"fingerprint" => Self::Fingerprint,
            b"setup" => Self::Setup,
            b"end-of-candidates" | b"extmap-allow-mixed" | b"group" | b"ice-lite" | b"ice-options" => {
                Self::Known
            }
            b"max-message-size" | b"mid" | b"msid-semantic" | b"sctp-port" | b"sctpmap" => Self::Known,
            b"sendrecv" | b"tls-id" => Self::Known,
            _ => Self::Unknown,
        }
    }
}

/// A description, and where in it are the lines that do not just get through.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    /// Inside a JSON text.
    raw: Cow<'a, str>,
    cuts: Vec<Cut>,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    from: u32,
    to: u32,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// Left out.
    Dropped,
    /// `c=`: the default address, which nobody needs where there are candidates.
    Connection,
    /// Depends on who gets it.
    Candidate(usize),
}

/// Which candidates of a description get through: one bit for each of the `CANDIDATES_MAX`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passing(u32);

impl Passing {
    /// Those of which the place says so.
    #[must_use]
    pub fn when(passes: impl Fn(usize) -> bool) -> Self {
        let mut passing = Self::default();
        (0..CANDIDATES_MAX).filter(|at| passes(*at)).for_each(|at| passing.add(at));
        passing
    }

    /// Lets one more through.
    pub const fn add(&mut self, at: usize) {
        self.0 |= 1 << (at % 32);
    }

    /// Whether one gets through.
    #[must_use]
    pub const fn has(self, at: usize) -> bool {
        at < 32 && self.0 >> at & 1 == 1
    }
}

/// What a description must have, each once.
#[derive(Default)]
struct Found {
    media: u32,
    ufrag: u32,
    pwd: u32,
    fingerprint: u32,
    setup: u32,
}

impl<'a> Session<'a> {
    /// Takes a description as it is, whatever it says.
    #[must_use]
    pub const fn opaque(sdp: Sdp<'a>) -> Self {
        Self { raw: Cow::Borrowed(sdp.0.raw()), cuts: Vec::new(), candidates: Vec::new() }
    }

    /// Goes through a description.
    ///
    /// # Errors
    /// When it is not one of a single data channel, or has too many candidates.
    pub fn read(sdp: Sdp<'a>) -> Result<Self, Error> {
        let raw = sdp.0.raw();
        // All that browsers write is plain; the rest is made so.
        match Self::scan(Cow::Borrowed(raw))? {
            Some(session) => Ok(session),
            None => Self::scan(Cow::Owned(rewritten(sdp)?))?.ok_or(Error::Malformed),
        }
    }

    /// `None` when a text is not plain: printable ASCII with no escapes but those of line ends.
    fn scan(raw: Cow<'a, str>) -> Result<Option<Self>, Error> {
        let (mut cuts, mut candidates, mut found) = (Vec::with_capacity(8), Vec::new(), Found::default());
        let mut from = 0;
        while let Some(rest) = raw.as_bytes().get(from..).filter(|rest| !rest.is_empty()) {
            let length = json::ascii_run(rest);
            let (line, end) = rest.split_at(length);
            if !end.is_empty() && !end.starts_with(LINE_END) {
                return Ok(None);
            }
            let to = (from + length + LINE_END.len()).min(raw.len());
            let what = found.line(line, &mut candidates)?;
            if let Some(what) = what {
                cuts.push(Cut { from: from as u32, to: to as u32, what });
            }
            from = to;
        }
        if !raw.starts_with("v=0\\r") {
            return Err(Error::Malformed);
        }
        if candidates.len() > CANDIDATES_MAX {
            return Err(Error::Limit);
        }
        let once = [found.media, found.ufrag, found.pwd, found.fingerprint, found.setup];
        if once == [1; 5] { Ok(Some(Self { raw, cuts, candidates })) } else { Err(Error::Malformed) }
    }

    /// The ways to reach who wrote it, UDP only.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Bytes of it at most.
    pub(super) fn len(&self) -> usize {
        self.raw.len() + 32
    }

    /// It as a JSON text with its quotes, with those candidates that pass.
    #[must_use]
    pub fn quoted(&self, passing: Passing) -> String {
        let mut out = Vec::with_capacity(self.len() + 2);
        out.push(b'"');
        self.push(&mut out, passing);
        out.push(b'"');
        // Whole characters only are left out.
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends it, inside a JSON text, with those candidates that pass.
    pub(super) fn push(&self, out: &mut Vec<u8>, passing: Passing) {
        let (raw, mut done) = (self.raw.as_bytes(), 0);
        for cut in &self.cuts {
            let instead = match cut.what {
                What::Candidate(at) if passing.has(at) => continue,
                What::Candidate(_) | What::Dropped => "",
                What::Connection => "c=IN IP4 0.0.0.0\\r\\n",
            };
            out.extend_from_slice(raw.get(done..cut.from as usize).unwrap_or(&[]));
            out.extend_from_slice(instead.as_bytes());
            done = cut.to as usize;
        }
        out.extend_from_slice(raw.get(done..).unwrap_or(&[]));
    }
}

impl Found {
    /// What becomes of a line; `None`: it gets through.
    fn line(&mut self, line: &[u8], candidates: &mut Vec<Candidate>) -> Result<Option<What>, Error> {
        let [kind, b'=', value @ ..] = line else { return Ok(Some(What::Dropped)) };
        match kind {
            b'v' | b'o' | b's' | b't' => Ok(None),
            b'c' => Ok(Some(What::Connection)),
            b'm' => {
                self.media += 1;
                let is_data =
                    value.starts_with(b"application ") && value.windows(4).any(|word| word == b"SCTP");
                if is_data { Ok(None) } else { Err(Error::Malformed) }
            }
            b'a' => self.attribute(line, value, candidates),
            _ => Ok(Some(What::Dropped)),
        }
    }

    fn attribute(
        &mut self,
        line: &[u8],
        value: &[u8],
        candidates: &mut Vec<Candidate>,
    ) -> Result<Option<What>, Error> {
        // Names are short: a search made for long texts would only begin.
        let colon = value.iter().position(|byte| *byte == b':').unwrap_or(value.len());
        let (name, value) = (value.get(..colon).unwrap_or(&[]), value.get(colon + 1..).unwrap_or(&[]));
        let is_ice = |least: usize, most: usize| {
            let ice_char = |c: &u8| c.is_ascii_alphanumeric() || *c == b'+' || *c == b'/';
            (least..=most).contains(&value.len()) && value.iter().all(ice_char)
        };
        let good = match Attribute::of(name) {
            Attribute::Candidate => {
                let Some(candidate) = sdp::read_candidate(line) else { return Ok(Some(What::Dropped)) };
                candidates.push(candidate);
                return Ok(Some(What::Candidate(candidates.len() - 1)));
            }
            Attribute::Ufrag => {
                self.ufrag += 1;
                is_ice(4, crate::wire::signal::UFRAG_MAX)
            }
            Attribute::Pwd => {
                self.pwd += 1;
                is_ice(22, crate::wire::signal::PWD_MAX)
            }
            Attribute::Fingerprint => {
                self.fingerprint += 1;
                value.len() <= 256
            }
            Attribute::Setup => {
                self.setup += 1;
                matches!(value, b"actpass" | b"active" | b"passive")
            }
            Attribute::Known => true,
            Attribute::Unknown => return Ok(Some(What::Dropped)),
        };
        if good { Ok(None) } else { Err(Error::Malformed) }
    }
}

/// The same with plain line ends. What could end a JSON text, or a line in the middle, is refused.
fn rewritten(sdp: Sdp<'_>) -> Result<String, Error> {
    let plain = sdp.0.unescaped();
    let mut out = String::with_capacity(plain.len() + 64);
    for line in plain.lines() {
        let printable = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
        if !line.bytes().all(printable) {
            return Err(Error::Malformed);
        }
        out.push_str(line);
        out.push_str("\\r\\n");
    }
    if out.len() > SESSION_BYTES_MAX { Err(Error::Limit) } else { Ok(out) }
}
