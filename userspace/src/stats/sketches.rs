//! How many different clients there were, and different names in each zone.
//!
//! A shard adds to sketches of its own; whoever collects them merges them into
//! those of a minute and of a day.

use std::net::IpAddr;

use hashbrown::HashMap;

use super::{
    cells::Key,
    distinct::{Distinct, spread},
};

/// Sketches of names have 1024 registers, an octet each: an error of 3.25 %.
pub const NAMES_PRECISION: u32 = 10;
/// Zones of which the names are counted at a time: 4 MiB.
pub const ZONES: usize = 4096;

/// What a shard has seen since the last hand-over.
#[derive(Clone, Debug, Default)]
pub struct Sketches {
    /// The clients.
    pub clients: Option<Clients>,
    /// Names, by the number of their zone.
    pub names: HashMap<u64, Distinct>,
}

/// Different addresses of clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    /// IPv4 addresses.
    pub ipv4: Distinct,
    /// IPv6 addresses.
    pub ipv6: Distinct,
    /// IPv6 networks of 64 bits.
    pub ipv6_networks: Distinct,
}

impl Sketches {
    /// Empty ones; of clients only where they are `wanted`.
    #[must_use]
    pub fn new(wanted: bool) -> Self {
        Self {
            clients: wanted.then(Clients::default),
            names: HashMap::default(),
        }
    }

    /// Adds a client.
    #[inline]
    pub(super) fn client(&mut self, address: IpAddr) {
        if let Some(clients) = &mut self.clients {
            clients.add(address);
        }
    }

    /// Adds a name, by its hash, to a zone.
    #[inline]
    pub(super) fn name(&mut self, zone: Key, name: Key) {
        if let Some(names) = self.names.get_mut(&zone) {
            names.add_hash(spread(name));
        } else if self.names.len() < ZONES {
            let mut names = Distinct::with_precision(NAMES_PRECISION);
            names.add_hash(spread(name));
            self.names.insert(zone, names);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        if let Some(clients) = &mut self.clients {
            clients.clear();
        }
        self.names.clear();
    }
}

impl Clients {
    /// Adds an address. The hash is the same everywhere, so that the sketches of
    /// several servers can be merged.
    #[inline]
    pub fn add(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.ipv4.add_hash(spread(u32::from(address).into())),
            IpAddr::V6(address) => {
                let [network, host] = [64, 0].map(|bits| (u128::from(address) >> bits) as u64);
                let network = spread(network);
                self.ipv6_networks.add_hash(network);
                self.ipv6.add_hash(spread(network ^ spread(!host)));
            }
        }
    }

    /// Adds the clients that another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.ipv4.merge(&other.ipv4);
        self.ipv6.merge(&other.ipv6);
        self.ipv6_networks.merge(&other.ipv6_networks);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.ipv4.clear();
        self.ipv6.clear();
        self.ipv6_networks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_counted_by_themselves() {
        let mut clients = Clients::default();
        for n in 0..1000_u128 {
            let host = u128::from(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
            // 1000 hosts in 100 networks, and 500 IPv4 addresses twice.
            clients.add(std::net::Ipv6Addr::from(host + ((n % 100) << 64) + (n << 8)).into());
            clients.add(std::net::Ipv4Addr::from(0xc000_0200 + (n % 500) as u32).into());
        }
        for (sketch, count) in [
            (&clients.ipv4, 500.0),
            (&clients.ipv6, 1000.0),
            (&clients.ipv6_networks, 100.0),
        ] {
            let estimate = sketch.estimate();
            assert!((estimate - count).abs() < 0.03 * count, "{estimate}");
        }
    }

    #[test]
    fn zones_are_bounded() {
        let mut sketches = Sketches::new(false);
        for zone in 0..10_000 {
            sketches.name(zone, 1);
        }
        assert_eq!(sketches.names.len(), ZONES);
    }
}
