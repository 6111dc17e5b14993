//! Which addresses are looked up at all.
//!
//! Addresses of private and special use have no name that means anything in the
//! public reverse zones, and asking for them tells others what they are not
//! meant to know. So the ranges of IANA's special-purpose registries (RFC 6890)
//! are left out unless the configuration says otherwise.

use std::net::IpAddr;

use crate::config::IpPrefix;

// The tables follow the registries of 2024-10-22,
// <https://www.iana.org/assignments/iana-ipv4-special-registry/> and
// <https://www.iana.org/assignments/iana-ipv6-special-registry/>, and RFC 9780,
// which came later.

/// Ranges whose column "Globally Reachable" is not "True", and multicast, which
/// has registries of its own and is no client's address.
const UNREACHABLE: [&str; 36] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "::ffff:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64", // RFC 9780
    "2001::/23",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    // Within ranges above, named for their own sake.
    "192.0.0.0/29",
    "192.0.0.170/31",
    "255.255.255.255/32",
];

/// Ranges within those above whose column "Globally Reachable" is "True".
const REACHABLE: [&str; 8] = [
    "192.0.0.9/32",
    "192.0.0.10/32",
    "2001:1::1/128",
    "2001:1::2/127",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:20::/28",
    "2001:30::/28",
];

/// What is looked up and what is not.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    allowed: Ranges,
    denied: Ranges,
    unreachable: Ranges,
    reachable: Ranges,
}

impl Scope {
    /// Special-purpose ranges are denied, `deny` adds to them, and `allow` wins.
    pub(super) fn new(deny: &[IpPrefix], allow: &[IpPrefix]) -> Self {
        Self {
            allowed: Ranges::new(allow.iter().copied()),
            denied: Ranges::new(deny.iter().copied()),
            unreachable: Ranges::new(registered(&UNREACHABLE)),
            reachable: Ranges::new(registered(&REACHABLE)),
        }
    }

    /// Whether an address may be looked up.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        let address = position(address);
        if self.allowed.contain(address) {
            return true;
        }
        let special = self.unreachable.contain(address) && !self.reachable.contain(address);
        !special && !self.denied.contain(address)
    }
}

/// The table is part of the program: a test reads every line of it.
fn registered(table: &'static [&'static str]) -> impl Iterator<Item = IpPrefix> {
    table.iter().filter_map(|line| line.parse().ok())
}

/// An address as a number, those of IPv4 before those of IPv6.
type Position = (bool, u128);

/// Ranges of addresses, in order and apart.
#[derive(Clone, Debug)]
struct Ranges(Vec<(Position, Position)>);

impl Ranges {
    fn new(prefixes: impl Iterator<Item = IpPrefix>) -> Self {
        let mut ranges: Vec<_> = prefixes.map(range).collect();
        ranges.sort_unstable();
        let mut apart: Vec<(Position, Position)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match apart.last_mut() {
                Some((_, end)) if first <= *end => *end = last.max(*end),
                Some(_) | None => apart.push((first, last)),
            }
        }
        Self(apart)
    }

    fn contain(&self, address: Position) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= address);
        let before = behind.checked_sub(1).and_then(|at| self.0.get(at));
        before.is_some_and(|(_, last)| address <= *last)
    }
}

fn range(prefix: IpPrefix) -> (Position, Position) {
    let first = position(prefix.address());
    let (_, length) = prefix.as_mapped();
    let hosts = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
    (first, (first.0, first.1 | hosts))
}

fn position(address: IpAddr) -> Position {
    match address {
        IpAddr::V4(address) => (false, u128::from(address.to_bits())),
        IpAddr::V6(address) => (true, address.to_bits()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(texts: &[&str]) -> Vec<IpPrefix> {
        let parse = |text: &&str| text.parse().expect(text);
        texts.iter().map(parse).collect()
    }

    fn allows(scope: &Scope, address: &str) -> bool {
        scope.allows(address.parse().expect(address))
    }

    #[test]
    fn every_line_of_the_table_is_a_prefix() {
        assert_eq!(prefixes(&UNREACHABLE).len(), UNREACHABLE.len());
        assert_eq!(prefixes(&REACHABLE).len(), REACHABLE.len());
    }

    #[test]
    fn ranges_of_special_use_are_denied() {
        let scope = Scope::new(&[], &[]);
        let cases = [
            ("8.8.8.8", true),
            ("9.255.255.255", true),
            ("10.0.0.0", false),
            ("10.255.255.255", false),
            ("11.0.0.0", true),
            ("100.63.255.255", true),
            ("100.64.0.1", false),
            ("100.128.0.0", true),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("172.15.255.255", true),
            ("172.31.255.255", false),
            ("172.32.0.0", true),
            ("192.0.0.8", false),
            ("192.0.0.9", true),
            ("192.0.0.10", true),
            ("192.0.0.11", false),
            ("192.0.1.0", true),
            ("192.168.3.4", false),
            // AS112 (RFC 7534, RFC 7535) and AMT (RFC 7450) are reachable.
            ("192.31.196.1", true),
            ("192.52.193.1", true),
            ("192.175.48.1", true),
            ("198.19.255.255", false),
            ("223.255.255.255", true),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", false),
            ("::ffff:8.8.8.8", true),
            ("::ffff:10.1.1.1", false),
            ("64:ff9b::808:808", true),
            ("64:ff9b:1::1", false),
            ("100::1", false),
            ("100:0:0:1::1", false),
            ("100:0:0:2::1", true),
            ("2001::1", false),
            ("2001:1::1", true),
            ("2001:1::3", true),
            ("2001:1::4", false),
            ("2001:4:112::53", true),
            ("2001:1ff::1", false),
            ("2001:200::1", true),
            ("2001:db8::1", false),
            ("2001:4860:4860::8888", true),
            ("2620:4f:8000::1", true),
            ("3fff:fff::1", false),
            ("5f00::1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
        ];
        for (address, expected) in cases {
            let address: IpAddr = address.parse().expect(address);
            let seen = address.to_canonical();
            assert_eq!(scope.allows(seen), expected, "{address}");
        }
    }

    #[test]
    fn the_configuration_denies_more_and_allows_against_all() {
        let deny = prefixes(&["8.8.8.0/24", "8.8.8.0/25", "2a00::/12"]);
        let allow = prefixes(&["8.8.8.8", "10.1.0.0/16", "2001:db8::/32"]);
        let scope = Scope::new(&deny, &allow);
        let cases = [
            ("8.8.8.7", false),
            ("8.8.8.255", false),
            ("8.8.8.8", true),
            ("8.8.9.0", true),
            ("10.1.2.3", true),
            ("10.2.2.3", false),
            ("2a0f:ffff::1", false),
            ("2a10::1", true),
            ("2001:db8::1", true),
        ];
        for (address, expected) in cases {
            assert_eq!(allows(&scope, address), expected, "{address}");
        }
    }

    #[test]
    fn everything_can_be_allowed_and_everything_denied() {
        let all = prefixes(&["0.0.0.0/0", "::/0"]);
        for address in ["127.0.0.1", "255.255.255.255", "::", "fe80::1"] {
            assert!(allows(&Scope::new(&[], &all), address), "{address}");
        }
        for address in ["8.8.8.8", "2a00::1"] {
            assert!(!allows(&Scope::new(&all, &[]), address), "{address}");
        }
        let ipv6 = prefixes(&["::/0"]);
        assert!(allows(&Scope::new(&ipv6, &[]), "8.8.8.8"), "not of IPv6");
    }
}
