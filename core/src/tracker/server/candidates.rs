//! Which candidates are passed on to whom, so that nobody can aim the connection checks of strangers at
//! machines that never asked for them (reliability T21).

use crate::wire::{Address, Candidate, CandidateKind};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that one household or office shows: one IPv4 address, or one IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Network {
    /// Whole.
    V4([u8; 4]),
    /// The first 64 bits.
    V6([u8; 8]),
}

impl Network {
    /// The network of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// How far an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// No use to anybody else, or not one machine.
    Unusable,
    /// This machine.
    Machine,
    /// A local network, also one that hides behind mDNS.
    Local,
    /// The internet.
    Public,
}

/// What is asked of public candidates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    /// They must be addresses of who sends them.
    pub(super) strict: bool,
    /// TURN servers.
    pub(super) relays: &'a [IpAddr],
}

impl Rules<'_> {
    /// Whether a candidate of a peer that connects from `source` is passed on to one that connects from `target`.
    /// `None` is a connection without an address (in process), which counts as this machine. `elsewhere` keeps the
    /// networks of the other family that the source has named.
    pub(super) fn pass(
        self,
        candidate: &Candidate,
        source: Option<IpAddr>,
        target: Option<IpAddr>,
        elsewhere: &mut [Option<Network>],
    ) -> bool {
        let scope_of = |peer: Option<IpAddr>| peer.map_or(Scope::Machine, scope);
        let (from, to) = (|| scope_of(source), || scope_of(target));
        match address_scope(candidate.address) {
            Scope::Unusable => false,
            Scope::Machine => from() == Scope::Machine && to() == Scope::Machine,
            // Beside a signaller on a local network the two may well share that network.
            Scope::Local => {
                let local = from() != Scope::Public || to() != Scope::Public;
                local || source.map(Network::of) == target.map(Network::of)
            }
            // Below 1024 live the services that a flood of checks would be aimed at.
            Scope::Public => candidate.port >= 1024 && self.is_own(candidate, source, elsewhere),
        }
    }

    /// Whether a public address may be the sender's, so that nobody else's is probed on its word. Who connects from
    /// a local network or this machine shows no public address to compare with.
    fn is_own(
        self,
        candidate: &Candidate,
        source: Option<IpAddr>,
        elsewhere: &mut [Option<Network>],
    ) -> bool {
        let source = source.filter(|source| self.strict && scope(*source) == Scope::Public);
        let (Some(source), Some(named)) = (source.map(Network::of), address(candidate.address)) else {
            return true;
        };
        if candidate.kind == CandidateKind::Relay {
            return self.relays.contains(&named);
        }
        let named = Network::of(named);
        if matches!((source, named), (Network::V4(_), Network::V4(_)) | (Network::V6(_), Network::V6(_))) {
            return source == named;
        }
        let free = |slot: &&mut Option<Network>| slot.is_none_or(|known| known == named);
        elsewhere.iter_mut().find(free).map(|slot| *slot = Some(named)).is_some()
    }
}

/// `None` for a name.
const fn address(address: Address) -> Option<IpAddr> {
    match address {
        Address::V4([a, b, c, d]) => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
        Address::V6(octets) => Some(IpAddr::V6(Ipv6Addr::from_octets(octets))),
        Address::Mdns(_) => None,
    }
}

fn address_scope(address: Address) -> Scope {
    match address {
        Address::V4(octets) => scope_v4(Ipv4Addr::from(octets)),
        Address::V6(octets) => scope_v6(Ipv6Addr::from(octets)),
        Address::Mdns(_) => Scope::Local,
    }
}

/// How far the address of a connection reaches.
pub(super) fn scope(address: IpAddr) -> Scope {
    match address.to_canonical() {
        IpAddr::V4(ip) => scope_v4(ip),
        IpAddr::V6(ip) => scope_v6(ip),
    }
}

/// The special blocks of RFC 6890 and of the IANA registry.
fn scope_v4(ip: Ipv4Addr) -> Scope {
    let [a, b, c, _] = ip.octets();
    match (a, b, c) {
        (127, ..) => Scope::Machine,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Scope::Local,
        (0 | 224..=255, ..) | (169, 254, _) | (192, 0, 0 | 2) | (192, 88, 99) => Scope::Unusable,
        (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => Scope::Unusable,
        _ => Scope::Public,
    }
}

/// Global unicast is 2000::/3; inside it are tunnels that carry an IPv4 address, and documentation.
fn scope_v6(ip: Ipv6Addr) -> Scope {
    let [a, b, ..] = ip.segments();
    match (a, b) {
        _ if ip == Ipv6Addr::LOCALHOST => Scope::Machine,
        (0xfc00..=0xfdff, _) => Scope::Local,
        (0x2002, _) | (0x2001, 0 | 0xdb8) | (0x3fff, 0..=0xfff) => Scope::Unusable,
        (0x2000..=0x3fff, _) => Scope::Public,
        _ => Scope::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::CandidateKind;

    fn candidate(address: &str, port: u16) -> Candidate {
        let address = match address.parse() {
            Ok(IpAddr::V4(ip)) => Address::V4(ip.octets()),
            Ok(IpAddr::V6(ip)) => Address::V6(ip.octets()),
            Err(_) => Address::Mdns([7; 16]),
        };
        Candidate { address, port, kind: CandidateKind::Host, priority: 1 }
    }

    fn rules(strict: bool) -> Rules<'static> {
        const RELAYS: &[IpAddr] = &[IpAddr::V4(Ipv4Addr::new(5, 5, 5, 5))];
        Rules { strict, relays: RELAYS }
    }

    fn passed(address: &str, source: &str, target: &str) -> bool {
        let ends = (source.parse().ok(), target.parse().ok());
        rules(false).pass(&candidate(address, 50_000), ends.0, ends.1, &mut [])
    }

    #[test]
    fn strangers_get_public_addresses_only() {
        let public =
            ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "192.0.1.1", "172.32.0.1", "100.128.0.1"];
        for address in public {
            assert!(passed(address, "8.8.8.8", "9.9.9.9"), "{address}");
        }
        let others = [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:93.184.216.34",
            "::93.184.216.34",
            "64:ff9b::5db8:d822",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:5db8:d822::1",
            "3fff:0:1::",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            "uuid.local",
        ];
        for address in others {
            assert!(!passed(address, "8.8.8.8", "9.9.9.9"), "{address}");
        }
    }

    #[test]
    fn neighbours_get_local_addresses() {
        for address in ["10.1.2.3", "192.168.1.1", "fd12:3456::1", "uuid.local"] {
            assert!(passed(address, "8.8.8.8", "8.8.8.8"), "one household: {address}");
            assert!(passed(address, "2606:4700::1", "2606:4700::2"), "one /64: {address}");
            assert!(!passed(address, "2606:4700::1", "2606:4700:0:1::1"), "two /64: {address}");
            assert!(passed(address, "192.168.1.7", "127.0.0.1"), "a local deployment: {address}");
            assert!(passed(address, "8.8.8.8", "192.168.1.7"), "half local: {address}");
            assert!(passed(address, "::ffff:8.8.8.8", "8.8.8.8"), "one address, two spellings: {address}");
        }
        for address in ["169.254.1.1", "fe80::1", "0.0.0.0", "224.0.0.1"] {
            assert!(!passed(address, "127.0.0.1", "127.0.0.1"), "{address}");
        }
    }

    #[test]
    fn loopback_stays_on_the_machine() {
        assert!(passed("127.0.0.1", "127.0.0.1", "::1"));
        assert!(passed("::1", "in process", "127.0.0.1"));
        assert!(!passed("127.0.0.1", "127.0.0.1", "192.168.1.2"));
        assert!(!passed("127.0.0.1", "8.8.8.8", "8.8.8.8"));
    }

    #[test]
    fn low_ports_of_strangers_are_not_probed() {
        let source = "8.8.8.8".parse().ok();
        let stranger = |port| rules(false).pass(&candidate("93.184.216.34", port), source, None, &mut []);
        assert!(stranger(1024) && !stranger(1023) && !stranger(53));
    }

    #[test]
    fn strictly_a_public_candidate_is_the_senders_own() {
        let mut elsewhere = [None; 2];
        let mut passed = |address: &str, kind, source: &str| {
            let candidate = Candidate { kind, ..candidate(address, 50_000) };
            rules(true).pass(&candidate, source.parse().ok(), "9.9.9.9".parse().ok(), &mut elsewhere)
        };
        for kind in [CandidateKind::Host, CandidateKind::ServerReflexive, CandidateKind::PeerReflexive] {
            assert!(passed("8.8.8.8", kind, "8.8.8.8") && passed("8.8.8.8", kind, "::ffff:8.8.8.8"));
            assert!(!passed("8.8.8.9", kind, "8.8.8.8"), "somebody else's: {kind:?}");
            assert!(passed("2606:4700::77", kind, "2606:4700::1"), "its own /64: {kind:?}");
            assert!(!passed("2606:4700:0:1::1", kind, "2606:4700::1"), "another /64: {kind:?}");
        }
        assert!(passed("93.184.216.34", CandidateKind::Host, "192.168.1.7"), "it shows no public address");
        assert!(passed("5.5.5.5", CandidateKind::Relay, "8.8.8.8"));
        assert!(!passed("5.5.5.6", CandidateKind::Relay, "8.8.8.8"), "a relay that is not ours");
        for (address, good) in [
            ("2606:4700::1", true),
            ("2606:4700::2", true),
            ("2606:4700:0:1::1", true),
            ("2606:4700:0:2::1", false),
            ("2606:4700::3", true),
        ] {
            assert_eq!(passed(address, CandidateKind::Host, "8.8.8.8"), good, "two networks: {address}");
        }
    }
}
