//! A range of addresses, as in `203.0.113.0/24`.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// All addresses that share their first bits. A bare address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

/// Not an address with an optional number of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPrefix;

impl Prefix {
    /// Whether an address is in it. An IPv4 address in IPv6 spelling is an IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                same(ours.to_bits().into(), theirs.to_bits().into(), 32 - self.bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => same(ours.to_bits(), theirs.to_bits(), 128 - self.bits),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Whether two numbers are the same above their last `free` bits.
fn same(ours: u128, theirs: u128, free: u8) -> bool {
    (ours ^ theirs).checked_shr(free.into()).unwrap_or(0) == 0
}

impl FromStr for Prefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NotAPrefix)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let is_number = |bits: &str| !bits.is_empty() && bits.bytes().all(|c| c.is_ascii_digit());
        let bits = match bits {
            None => most,
            Some(bits) if is_number(bits) => bits.parse().map_err(|_| NotAPrefix)?,
            Some(_) => return Err(NotAPrefix),
        };
        if bits > most { Err(NotAPrefix) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == whole { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.bits) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn addresses_are_in_or_out() {
        for (prefix, inside, outside) in [
            ("203.0.113.0/24", "203.0.113.255", "203.0.112.255"),
            ("203.0.113.7", "203.0.113.7", "203.0.113.6"),
            ("203.0.113.7/32", "::ffff:203.0.113.7", "::ffff:203.0.113.8"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("::/0", "2001:db8::1", "8.8.8.8"),
            ("127.0.0.0/8", "127.1.2.3", "128.0.0.1"),
        ] {
            let read: Prefix = prefix.parse().expect(prefix);
            assert!(read.contains(inside.parse().unwrap()), "{prefix} {inside}");
            assert!(!read.contains(outside.parse().unwrap()), "{prefix} {outside}");
            assert_eq!(read.to_string().parse(), Ok(read));
        }
    }

    #[test]
    fn rubbish_is_no_prefix() {
        for text in
            ["", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0/8", "::/129", "a/8", "10.0.0.0/256"]
        {
            assert_eq!(text.parse::<Prefix>(), Err(NotAPrefix), "{text}");
        }
    }
}
