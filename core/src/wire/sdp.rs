//! SDP text ⇄ [`Description`], candidate lines ⇄ [`Candidate`]. SDP never travels: each host builds it from
//! this template and reads back what its browser or crate wrote (RFC 8839, RFC 8841).

use super::{Address, Candidate, CandidateKind, Description, Role};
use crate::id::Fingerprint;
use crate::util::text;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The longest SDP and candidate line that is read.
const SDP_BYTES_MAX: usize = 16 * 1024;

/// Reads what a browser or crate wrote about its own side.
#[must_use]
pub fn parse(sdp: &str) -> Option<Description> {
    if sdp.len() > SDP_BYTES_MAX {
        return None;
    }
    let value =
        |name: &str| text::parts(sdp, b'\n').find_map(|line| line.strip_prefix(name)).map(str::trim_ascii);
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
    let mut sdp = String::from(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=msid-semantic: WMS\r\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:",
    );
    sdp.push_str(&description.ufrag);
    sdp.push_str("\r\na=ice-pwd:");
    sdp.push_str(&description.pwd);
    sdp.push_str("\r\na=ice-options:trickle\r\na=fingerprint:sha-256");
    let mut print = String::with_capacity(96);
    for (at, byte) in description.fingerprint.bytes().iter().enumerate() {
        print.push(if at == 0 { ' ' } else { ':' });
        text::push_hex(&mut print, &[*byte]);
    }
    print.make_ascii_uppercase();
    sdp.push_str(&print);
    sdp.push_str("\r\na=setup:");
    sdp.push_str(role);
    sdp.push_str("\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n");
    Some(sdp)
}

/// Reads a `candidate:…` line. `None` for what we do not use: TCP, other components, unknown forms.
#[must_use]
pub fn parse_candidate(line: &str) -> Option<Candidate> {
    read_candidate(line.as_bytes())
}

/// See [`parse_candidate`].
pub(super) fn read_candidate(line: &[u8]) -> Option<Candidate> {
    if line.len() > 512 {
        return None;
    }
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"a=").unwrap_or(line).strip_prefix(b"candidate:")?;
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (_foundation, component, transport) = (words.next()?, words.next()?, words.next()?);
    if component != b"1" || !transport.eq_ignore_ascii_case(b"udp") {
        return None;
    }
    let priority = text::number(words.next()?, u32::MAX.into())? as u32;
    let address = parse_address(words.next()?)?;
    let port = text::number(words.next()?, u16::MAX.into())? as u16;
    if port == 0 || words.next()? != b"typ" {
        return None;
    }
    let kind = match words.next()? {
        b"host" => CandidateKind::Host,
        b"srflx" => CandidateKind::ServerReflexive,
        b"prflx" => CandidateKind::PeerReflexive,
        b"relay" => CandidateKind::Relay,
        _ => return None,
    };
    Some(Candidate { address, port, kind, priority })
}

/// Writes a `candidate:…` line for `addIceCandidate`.
#[must_use]
pub fn build_candidate(candidate: &Candidate, ufrag: &str) -> String {
    let (kind, related) = match candidate.kind {
        CandidateKind::Host => ("host", ""),
        CandidateKind::ServerReflexive => ("srflx", " raddr 0.0.0.0 rport 0"),
        CandidateKind::PeerReflexive => ("prflx", " raddr 0.0.0.0 rport 0"),
        CandidateKind::Relay => ("relay", " raddr 0.0.0.0 rport 0"),
    };
    let mut line = String::from("candidate:1 1 udp ");
    text::push_number(&mut line, priority(candidate).into());
    line.push(' ');
    push_address(&mut line, candidate.address);
    line.push(' ');
    text::push_number(&mut line, candidate.port.into());
    for part in [" typ ", kind, related, " generation 0 ufrag ", ufrag] {
        line.push_str(part);
    }
    line
}

/// What browsers built on libwebrtc call an IPv4 address among those of one adapter, and the most of any other (RFC 6724's precedences).
const IPV4: u32 = 30;
const PRECEDENCE_MAX: u32 = 60;

/// By IPv4 before by IPv6, of what needs no address translation: a packet of a socket that is bound to no address, as those of most
/// pages are, costs the kernel less.
const fn priority(candidate: &Candidate) -> u32 {
    let precedence = candidate.priority >> 8 & 0xff;
    if matches!(candidate.kind, CandidateKind::Host) && precedence > IPV4 && precedence <= PRECEDENCE_MAX {
        return candidate.priority - ((precedence - IPV4) << 9);
    }
    candidate.priority
}

fn push_address(line: &mut String, address: Address) {
    match address {
        Address::V4(octets) => {
            for (at, octet) in octets.into_iter().enumerate() {
                line.push_str(if at > 0 { "." } else { "" });
                text::push_number(line, octet.into());
            }
        }
        Address::V6(octets) => {
            for (at, octet) in octets.into_iter().enumerate() {
                line.push_str(if at > 0 && at % 2 == 0 { ":" } else { "" });
                text::push_hex(line, &[octet]);
            }
        }
        Address::Mdns(uuid) => {
            for (at, byte) in uuid.into_iter().enumerate() {
                line.push_str(if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" });
                text::push_hex(line, &[byte]);
            }
            line.push_str(".local");
        }
    }
}

/// Reads an address as RFC 4291 and mDNS candidates write it.
pub(super) fn parse_address(text: &[u8]) -> Option<Address> {
    if let Some(name) = text.strip_suffix(b".local") {
        return parse_uuid(name).map(Address::Mdns);
    }
    if let Some(octets) = parse_v4(text) {
        return Some(Address::V4(octets));
    }
    // Two colons stand for as many zeros as are missing, two bytes at least.
    let gap = text.windows(2).position(|pair| pair == b"::");
    let (head, tail, missing) = match gap.and_then(|at| text.split_at_checked(at)) {
        None => (parse_groups(text, true)?, Vec::new(), 0..=0),
        Some((head, tail)) => (parse_groups(head, false)?, parse_groups(tail.get(2..)?, true)?, 2..=16),
    };
    if !missing.contains(&16usize.checked_sub(head.len() + tail.len())?) {
        return None;
    }
    let mut out = [0; 16];
    out[..head.len()].copy_from_slice(&head);
    out[16 - tail.len()..].copy_from_slice(&tail);
    Some(Address::V6(out))
}

fn parse_v4(text: &[u8]) -> Option<[u8; 4]> {
    let mut out = [0; 4];
    let mut parts = text.split(|byte| *byte == b'.');
    for octet in &mut out {
        // A leading zero would mean octal to some.
        let part = parts.next().filter(|part| part.len() == 1 || !part.starts_with(b"0"))?;
        *octet = text::number(part, 255)? as u8;
    }
    parts.next().is_none().then_some(out)
}

/// Groups of 16 bits between colons, the last two perhaps as an IPv4 address.
fn parse_groups(text: &[u8], may_end_in_v4: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if text.is_empty() {
        return Some(out);
    }
    let mut parts = text.split(|byte| *byte == b':').peekable();
    while let Some(part) = parts.next() {
        if may_end_in_v4
            && parts.peek().is_none()
            && let Some(octets) = parse_v4(part)
        {
            out.extend_from_slice(&octets);
            break;
        }
        if !(1..=4).contains(&part.len()) {
            return None;
        }
        let mut group = 0;
        for digit in part {
            group = group << 4 | u16::from(text::nibble(*digit)?);
        }
        out.extend_from_slice(&group.to_be_bytes());
    }
    Some(out)
}

fn parse_fingerprint(text: &str) -> Option<Fingerprint> {
    let (algorithm, digits) = text::cut(text, b' ')?;
    if !algorithm.eq_ignore_ascii_case("sha-256") {
        return None;
    }
    let mut out = [0; 32];
    let mut parts = text::parts(digits.trim_ascii(), b':');
    for byte in &mut out {
        text::hex(parts.next()?.as_bytes(), core::slice::from_mut(byte))?;
    }
    parts.next().is_none().then_some(Fingerprint(out))
}

fn parse_uuid(text: &[u8]) -> Option<[u8; 16]> {
    let mut out = [0; 16];
    let (mut groups, mut at) = (text.split(|byte| *byte == b'-'), 0);
    for length in [4, 2, 2, 2, 6] {
        text::hex(groups.next()?, &mut out[at..at + length])?;
        at += length;
    }
    groups.next().is_none().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_comes_first_among_what_is_in_the_same_network() {
        let priority = |kind, priority| {
            let candidate = Candidate { address: Address::V4([192, 0, 2, 1]), port: 5000, kind, priority };
            parse_candidate(&build_candidate(&candidate, "abcd")).map(|read| read.priority)
        };
        // Of Chromium without leave to see addresses: IPv4, IPv6, unique local IPv6; and of the first of two adapters.
        let [four, six, local, first] = [2_113_937_151, 2_113_939_711, 2_113_942_271, 2_122_262_783]
            .map(|number| priority(CandidateKind::Host, number));
        assert_eq!(four, Some(2_113_937_151));
        assert!(four > six && six > local && first > four, "{four:?} {six:?} {local:?} {first:?}");
        // Of Firefox, and one that a server has seen.
        assert_eq!(priority(CandidateKind::Host, 2_122_252_543), Some(2_122_252_543));
        assert_eq!(priority(CandidateKind::ServerReflexive, 1_685_987_071), Some(1_685_987_071));
    }
}
