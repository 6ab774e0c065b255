//! SDP text ⇄ [`Description`], candidate lines ⇄ [`Candidate`]. SDP never travels: each host builds it from
//! this template and reads back what its browser or crate wrote (RFC 8839, RFC 8841).

use super::{Address, Candidate, CandidateKind, Description, Role};
use crate::id::Fingerprint;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest SDP and candidate line that is read.
const SDP_BYTES_MAX: usize = 16 * 1024;

/// Reads what a browser or crate wrote about its own side.
#[must_use]
pub fn parse(sdp: &str) -> Option<Description> {
    if sdp.len() > SDP_BYTES_MAX {
        return None;
    }
    let value = |name: &str| sdp.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let role = match value("a=setup:")? {
        "actpass" => Role::Actpass,
        "active" => Role::Active,
        "passive" => Role::Passive,
        _ => return None,
    };
    let description = Description {
        ufrag: value("a=ice-ufrag:")?.to_string(),
        pwd: value("a=ice-pwd:")?.to_string(),
        fingerprint: parse_fingerprint(value("a=fingerprint:")?)?,
        role,
    };
    description.is_sane().then_some(description)
}

/// Writes the SDP for the other side of a connection. `None` when the description is not sane.
#[must_use]
pub fn build(description: &Description) -> Option<String> {
    if !description.is_sane() {
        return None;
    }
    let role = match description.role {
        Role::Actpass => "actpass",
        Role::Active => "active",
        Role::Passive => "passive",
    };
    let mut print = String::with_capacity(96);
    for (at, byte) in description.fingerprint.bytes().iter().enumerate() {
        let separator = if at == 0 { "" } else { ":" };
        let _ = write!(print, "{separator}{byte:02X}");
    }
    Some(format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=msid-semantic: WMS\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {print}\r\na=setup:{role}\r\na=mid:0\r\n\
         a=sctp-port:5000\r\na=max-message-size:262144\r\n",
        description.ufrag, description.pwd
    ))
}

/// Reads a `candidate:…` line. `None` for what we do not use: TCP, other components, unknown forms.
#[must_use]
pub fn parse_candidate(line: &str) -> Option<Candidate> {
    if line.len() > 512 {
        return None;
    }
    let line = line.trim();
    let line = line.strip_prefix("a=").unwrap_or(line).strip_prefix("candidate:")?;
    let mut words = line.split_ascii_whitespace();
    let (_foundation, component, transport) = (words.next()?, words.next()?, words.next()?);
    if component != "1" || !transport.eq_ignore_ascii_case("udp") {
        return None;
    }
    let priority = words.next()?.parse().ok()?;
    let address = parse_address(words.next()?)?;
    let port = words.next()?.parse().ok().filter(|port| *port != 0)?;
    if words.next()? != "typ" {
        return None;
    }
    let kind = match words.next()? {
        "host" => CandidateKind::Host,
        "srflx" => CandidateKind::ServerReflexive,
        "prflx" => CandidateKind::PeerReflexive,
        "relay" => CandidateKind::Relay,
        _ => return None,
    };
    Some(Candidate { address, port, kind, priority })
}

/// Writes a `candidate:…` line for `addIceCandidate`.
#[must_use]
pub fn build_candidate(candidate: &Candidate, ufrag: &str) -> String {
    let address = match candidate.address {
        Address::V4(octets) => Ipv4Addr::from(octets).to_string(),
        Address::V6(octets) => Ipv6Addr::from(octets).to_string(),
        Address::Mdns(uuid) => format!("{}.local", Uuid(uuid)),
    };
    let (kind, related) = match candidate.kind {
        CandidateKind::Host => ("host", ""),
        CandidateKind::ServerReflexive => ("srflx", " raddr 0.0.0.0 rport 0"),
        CandidateKind::PeerReflexive => ("prflx", " raddr 0.0.0.0 rport 0"),
        CandidateKind::Relay => ("relay", " raddr 0.0.0.0 rport 0"),
    };
    format!(
        "candidate:1 1 udp {} {address} {} typ {kind}{related} generation 0 ufrag {ufrag}",
        candidate.priority, candidate.port
    )
}

fn parse_address(text: &str) -> Option<Address> {
    if let Some(name) = text.strip_suffix(".local") {
        return parse_uuid(name).map(Address::Mdns);
    }
    match text.parse::<IpAddr>().ok()? {
        IpAddr::V4(ip) => Some(Address::V4(ip.octets())),
        IpAddr::V6(ip) => Some(Address::V6(ip.octets())),
    }
}

fn parse_fingerprint(text: &str) -> Option<Fingerprint> {
    let (algorithm, digits) = text.split_once(' ')?;
    if !algorithm.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut out = [0; 32];
    let mut parts = digits.trim().split(':');
    for byte in &mut out {
        // from_str_radix alone would take a sign.
        let pair = |part: &&str| part.len() == 2 && part.bytes().all(|c| c.is_ascii_hexdigit());
        *byte = parts.next().filter(pair).and_then(|part| u8::from_str_radix(part, 16).ok())?;
    }
    parts.next().is_none().then_some(Fingerprint(out))
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let groups_fit = text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    if !groups_fit {
        return None;
    }
    let mut digits = text.bytes().filter(|c| *c != b'-').map(|c| char::from(c).to_digit(16));
    let mut out = [0; 16];
    for byte in &mut out {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(out)
}

struct Uuid([u8; 16]);

impl core::fmt::Display for Uuid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
