//! A table of networks: the longest one that an address lies in tells its value.
//!
//! An IPv4-mapped address (RFC 4291, section 2.5.5.2) is the IPv4 address that it
//! maps, in tables as in lookups: both spellings are one host.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use prefix_trie::joint::JointPrefixMap;

use crate::config::IpPrefix;

/// The bits in front of an IPv4-mapped address.
const MAPPED: u8 = 96;

/// Values by network.
#[derive(Clone)]
pub struct PrefixTable<T> {
    values: JointPrefixMap<IpNet, T>,
}

impl<T> Default for PrefixTable<T> {
    fn default() -> Self {
        Self {
            values: JointPrefixMap::new(),
        }
    }
}

impl<T> std::fmt::Debug for PrefixTable<T> {
    /// A table is too long to be printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrefixTable({} networks)", self.len())
    }
}

impl<T> PrefixTable<T> {
    /// The value of the longest network that the address lies in.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<&T> {
        let host = IpNet::from(address.to_canonical());
        self.values.get_lpm(&host).map(|(_, value)| value)
    }

    /// Sets the value of a network; the one that it had before.
    pub fn insert(&mut self, network: IpPrefix, value: T) -> Option<T> {
        self.values.insert(canonical(network), value)
    }

    /// Adds the networks of another table; those that are in both keep their
    /// values.
    pub(super) fn merge(&mut self, other: &Self)
    where
        T: Clone,
    {
        for (network, value) in other.values.iter() {
            self.values.entry(network).or_insert_with(|| value.clone());
        }
    }

    /// The networks and their values, in no order to rely on.
    pub(super) fn iter(&self) -> impl Iterator<Item = (IpNet, &T)> {
        self.values.iter()
    }

    /// The value of exactly this network.
    pub(super) fn get(&self, network: &IpNet) -> Option<&T> {
        self.values.get(network)
    }

    /// How many networks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

fn canonical(network: IpPrefix) -> IpNet {
    let (address, length) = (network.address(), network.length());
    match (address, address.to_canonical()) {
        (IpAddr::V6(_), IpAddr::V4(mapped)) if length >= MAPPED => {
            Ipv4Net::new_assert(mapped, length - MAPPED).into()
        }
        _ => IpNet::new_assert(address, length),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn table(networks: &[&'static str]) -> PrefixTable<&'static str> {
        let mut table = PrefixTable::default();
        for network in networks {
            let parsed = network.parse().expect(network);
            assert_eq!(table.insert(parsed, *network), None);
        }
        table
    }

    #[test]
    fn the_longest_network_counts() {
        let table = table(&[
            "192.0.2.0/24",
            "192.0.2.64/26",
            "192.0.2.70",
            "2001:db8::/32",
            "2001:db8:1::/48",
        ]);
        for (asked, expected) in [
            ("192.0.2.1", Some("192.0.2.0/24")),
            ("192.0.2.127", Some("192.0.2.64/26")),
            ("192.0.2.70", Some("192.0.2.70")),
            ("192.0.3.0", None),
            ("2001:db8:1:ffff::", Some("2001:db8:1::/48")),
            ("2001:db8:2::", Some("2001:db8::/32")),
            ("2001:db9::", None),
        ] {
            assert_eq!(table.find(address(asked)).copied(), expected, "{asked}");
        }
        assert_eq!(table.len(), 5);
    }

    #[test]
    fn mapped_addresses_are_those_of_ipv4() {
        let table = table(&["192.0.2.0/24", "::ffff:198.51.100.0/120", "::/0"]);
        for (asked, expected) in [
            ("::ffff:192.0.2.1", "192.0.2.0/24"),
            ("198.51.100.1", "::ffff:198.51.100.0/120"),
            ("::ffff:198.51.100.1", "::ffff:198.51.100.0/120"),
            ("2001:db8::1", "::/0"),
        ] {
            assert_eq!(table.find(address(asked)), Some(&expected), "{asked}");
        }
        assert_eq!(table.find(address("203.0.113.1")), None, "not of IPv6");
        assert_eq!(table.find(address("::ffff:203.0.113.1")), None);
    }

    #[test]
    fn all_of_ipv4_may_be_written_as_mapped() {
        let table = table(&["::ffff:0:0/96"]);
        let found = table.find(address("203.0.113.1"));
        assert_eq!(found, Some(&"::ffff:0:0/96"));
    }

    #[test]
    fn a_network_has_one_value() {
        let mut both = table(&["192.0.2.0/24", "::/0"]);
        let network = "::ffff:192.0.2.0/120".parse().expect("a network");
        assert_eq!(both.insert(network, "new"), Some("192.0.2.0/24"));
        let mut kept = table(&["192.0.2.0/24"]);
        kept.merge(&both);
        assert_eq!(kept.find(address("192.0.2.1")), Some(&"192.0.2.0/24"));
        assert_eq!(kept.find(address("::1")), Some(&"::/0"));
    }

    /// Few different bits, so that networks lie within each other.
    fn networks() -> impl Strategy<Value = IpPrefix> {
        let near = prop_oneof![Just(0_u32), Just(1), Just(0x8000_0000), any::<u32>()];
        (near, 0..=32_u8, any::<bool>()).prop_map(|(bits, length, wide)| {
            if wide {
                let bits = u128::from(bits) << 96 | u128::from(bits);
                let length = length * 4;
                let mask = u128::MAX.checked_shl(128 - u32::from(length));
                let network = Ipv6Addr::from_bits(bits & mask.unwrap_or(0));
                IpPrefix::new(network.into(), length).expect("no host bits")
            } else {
                let mask = u32::MAX.checked_shl(32 - u32::from(length));
                let network = Ipv4Addr::from_bits(bits & mask.unwrap_or(0));
                IpPrefix::new(network.into(), length).expect("no host bits")
            }
        })
    }

    proptest! {
        #[test]
        fn a_scan_of_all_networks_finds_the_same(
            networks in vec(networks(), 0..40),
            asked in vec(networks().prop_map(IpPrefix::address), 1..20),
        ) {
            let mut table = PrefixTable::default();
            for network in &networks {
                table.insert(*network, *network);
            }
            for address in asked {
                let address = address.to_canonical();
                let around = networks.iter().filter(|network| network.contains(address));
                let expected = around.max_by_key(|network| network.length());
                prop_assert_eq!(table.find(address), expected);
            }
        }
    }
}
