//! STUN (RFC 8489): tells who asks from which address it came. Binding requests only, nothing is allocated, nothing
//! is relayed.
//!
//! An answer is 12 bytes longer than the shortest request (24 with IPv6), since that is what it has to say: 60 bytes
//! for 48 on the wire. It carries nothing else, and an address gets only so many, so that a forged sender gains a
//! quarter for a moment and nothing after.

use crate::State;
use crate::metrics::Stun;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter, is_stun_message};
use rtc_stun::xoraddr::XorMappedAddress;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Browsers send 20 bytes, ICE checks about 100. What is above is cut, and so no message.
const REQUEST_BYTES_MAX: usize = 548;
/// Answers are counted in spans of this.
const WINDOW: Duration = Duration::from_secs(10);
/// Networks that are counted in one span; above, newcomers wait for the next. 2 MB.
const NETWORKS_MAX: usize = 1 << 16;

/// Answers until `ending`.
pub(crate) async fn run(state: Arc<State>, socket: UdpSocket, ending: CancellationToken) {
    let mut bytes = [0; REQUEST_BYTES_MAX];
    let mut window = Window { began: Instant::now(), counts: HashMap::new() };
    loop {
        let received = tokio::select! {
            () = ending.cancelled() => return,
            received = socket.recv_from(&mut bytes) => received,
        };
        // Errors are news of earlier answers (port unreachable) and no reason to stop.
        let Ok((len, from)) = received else { continue };
        let Some(answer) = bytes.get(..len).and_then(|request| answer(request, from)) else {
            state.metrics.stun(Stun::Ignored);
            continue;
        };
        let answers = state.config().stun.answers;
        let most = answers.burst.max(answers.per_minute / 6);
        if window.admits(from.ip(), most, Instant::now()) {
            // An answer that finds no room is lost, as any packet may be.
            let _ = socket.try_send_to(&answer, from);
            state.metrics.stun(Stun::Answered);
        } else {
            state.metrics.stun(Stun::Limited);
        }
    }
}

/// The answer to a binding request; `None` for everything else, errors included: an error answered is a packet sent.
fn answer(request: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    if !is_stun_message(request) {
        return None;
    }
    let mut read = Message::new();
    read.write(request).ok()?;
    if read.typ != BINDING_REQUEST {
        return None;
    }
    let mut answer = Message::new();
    answer.transaction_id = read.transaction_id;
    answer.set_type(BINDING_SUCCESS);
    answer.write_header();
    let mapped = XorMappedAddress { ip: from.ip().to_canonical(), port: from.port() };
    mapped.add_to(&mut answer).ok()?;
    Some(answer.raw)
}

/// How many answers each network has got in this span.
struct Window {
    began: Instant,
    counts: HashMap<[u8; 8], u32>,
}

impl Window {
    fn admits(&mut self, address: IpAddr, most: u32, now: Instant) -> bool {
        if now.duration_since(self.began) >= WINDOW {
            (self.began, self.counts) = (now, HashMap::new());
        }
        let mut network = [0; 8];
        match address.to_canonical() {
            IpAddr::V4(ip) => network[..4].copy_from_slice(&ip.octets()),
            // A first byte of 0 is no global IPv6 address, so the two kinds are never mixed up.
            IpAddr::V6(ip) => network.copy_from_slice(&ip.octets()[..8]),
        }
        if !self.counts.contains_key(&network) && self.counts.len() >= NETWORKS_MAX {
            return false;
        }
        let count = self.counts.entry(network).or_default();
        *count = count.saturating_add(1);
        *count <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8489 §5: type, length, cookie, transaction.
    const REQUEST: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

    #[test]
    fn the_address_and_nothing_else() {
        let got = answer(&REQUEST, "192.0.2.1:32853".parse().unwrap()).unwrap();
        // The address of RFC 5769 §2.2: its port and bytes are XORed with the cookie.
        let mapped = [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        assert_eq!(got[..4], [1, 1, 0, 12]);
        assert_eq!((&got[4..20], &got[20..]), (&REQUEST[4..], &mapped[..]));
        let long = answer(&REQUEST, "[2001:db8::1]:1".parse().unwrap()).unwrap();
        assert_eq!(long.len(), REQUEST.len() + 24);
        let spelled = answer(&REQUEST, "[::ffff:192.0.2.1]:32853".parse().unwrap()).unwrap();
        assert_eq!(spelled, got, "IPv4 in IPv6 spelling is IPv4");
    }

    #[test]
    fn what_is_no_binding_request_gets_no_answer() {
        let from = "192.0.2.1:1".parse().unwrap();
        for kind in [[0, 0x11], [1, 1], [1, 0x11], [0, 3], [0, 4]] {
            let mut other = REQUEST;
            other[..2].copy_from_slice(&kind);
            assert_eq!(answer(&other, from), None, "{kind:?}");
        }
        for len in 0..REQUEST.len() {
            assert_eq!(answer(&REQUEST[..len], from), None);
        }
        let mut cookie = REQUEST;
        cookie[4] = 0;
        assert_eq!(answer(&cookie, from), None);
        let mut length = REQUEST;
        length[3] = 4;
        assert_eq!(answer(&length, from), None, "says more than there is");
    }

    #[test]
    fn a_network_gets_so_many_answers_in_a_span() {
        let start = Instant::now();
        let mut window = Window { began: start, counts: HashMap::new() };
        let (a, b) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert_eq!((0..9).filter(|_| window.admits(a, 3, start)).count(), 3);
        assert!(window.admits(b, 3, start));
        let six: [IpAddr; 2] = ["2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap()];
        assert_eq!(six.iter().cycle().take(9).filter(|ip| window.admits(**ip, 3, start)).count(), 3);
        assert!(window.admits(a, 3, start + WINDOW));
    }
}
