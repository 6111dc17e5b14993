//! How many different clients there were, and different names in each zone.
//!
//! A shard adds to sketches of its own; whoever collects them merges them into
//! those of a minute and of a day.

use std::net::IpAddr;

use hashbrown::HashMap;

use siphasher::{sip::SipHasher13, sip128};

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

/// What addresses are hashed with. Whoever knows it can choose addresses that
/// make a sketch tell any number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClientKey {
    words: [u64; 2],
    id: u64,
}

/// Addresses that were hashed with different keys cannot be counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the addresses were hashed with another key")]
pub struct OtherKey;

/// Different addresses of clients. Those that were made without a key take that
/// of the first ones that are merged into them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    key: Option<ClientKey>,
    key_id: Option<u64>,
    /// IPv4 addresses.
    pub ipv4: Distinct,
    /// IPv6 addresses.
    pub ipv6: Distinct,
    /// IPv6 networks of 64 bits.
    pub ipv6_networks: Distinct,
}

impl Sketches {
    /// Empty ones; of clients only where there is a key.
    #[must_use]
    pub fn new(key: Option<ClientKey>) -> Self {
        Self {
            clients: key.map(Clients::new),
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

impl ClientKey {
    /// One that nobody knows: for sketches that stay in this process.
    #[must_use]
    pub fn random() -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        Self::new([0, 1].map(|n| RandomState::new().hash_one(n)))
    }

    /// That of a service, the same on all of its nodes. Everybody can find it
    /// out unless there is a secret; without one it is empty.
    #[must_use]
    pub fn of_service(service: &str, secret: &[u8]) -> Self {
        let service = service.to_ascii_lowercase();
        let octets = [service.as_bytes(), &[0], secret].concat();
        let hash = sip128::SipHasher24::new_with_keys(0, 0).hash(&octets);
        Self::new([hash.h1, hash.h2])
    }

    /// What it is told by; it does not give the key away.
    #[must_use]
    pub const fn id(self) -> u64 {
        self.id
    }

    fn new(words: [u64; 2]) -> Self {
        let mut key = Self { words, id: 0 };
        key.id = key.hash(b"xdsc client key");
        key
    }

    #[inline]
    fn hash(&self, octets: &[u8]) -> u64 {
        let [first, second] = self.words;
        SipHasher13::new_with_keys(first, second).hash(octets)
    }
}

/// Without the key itself.
impl std::fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientKey({:016x})", self.id)
    }
}

impl Clients {
    /// None yet, that are hashed with this key.
    #[must_use]
    pub fn new(key: ClientKey) -> Self {
        Self {
            key: Some(key),
            key_id: Some(key.id()),
            ..Self::default()
        }
    }

    /// Sketches from elsewhere, by the key with this id.
    #[must_use]
    pub fn of_sketches(key_id: Option<u64>, [ipv4, ipv6, ipv6_networks]: [Distinct; 3]) -> Self {
        Self {
            key: None,
            key_id,
            ipv4,
            ipv6,
            ipv6_networks,
        }
    }

    /// What the key is told by; none as long as there is none.
    #[must_use]
    pub const fn key_id(&self) -> Option<u64> {
        self.key_id
    }

    /// Adds an address. Only those can that have a key.
    #[inline]
    pub fn add(&mut self, address: IpAddr) {
        let Some(key) = &self.key else {
            debug_assert!(false, "clients without a key");
            return;
        };
        match address {
            IpAddr::V4(address) => self.ipv4.add_hash(key.hash(&address.octets())),
            IpAddr::V6(address) => {
                let octets = address.octets();
                let (network, _) = octets.split_at(8);
                self.ipv6_networks.add_hash(key.hash(network));
                self.ipv6.add_hash(key.hash(&octets));
            }
        }
    }

    /// Adds the clients that another has seen.
    ///
    /// # Errors
    /// When they were hashed with another key; then nothing was added.
    pub fn merge(&mut self, other: &Self) -> Result<(), OtherKey> {
        if other.key_id.is_none() {
            return Ok(());
        }
        if self.key_id.is_some() && self.key_id != other.key_id {
            return Err(OtherKey);
        }
        self.key_id = other.key_id;
        self.key = self.key.or(other.key);
        self.ipv4.merge(&other.ipv4);
        self.ipv6.merge(&other.ipv6);
        self.ipv6_networks.merge(&other.ipv6_networks);
        Ok(())
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
    use crate::stats::distinct::PRECISION;

    #[test]
    fn addresses_and_networks_are_counted_by_themselves() {
        let mut clients = Clients::new(ClientKey::random());
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
    fn addresses_that_are_chosen_for_one_key_are_any_addresses_for_another() {
        let [theirs, ours] =
            ["a.example", "b.example"].map(|name| ClientKey::of_service(name, b""));
        let mut clients = [theirs, ours].map(Clients::new);
        // Of a million addresses the one with the most zeros for each register:
        // these few tell as much as all.
        let mut chosen = vec![(0, 0); 1 << PRECISION];
        for address in 0..1_u32 << 20 {
            let hash = theirs.hash(&address.to_be_bytes());
            let register = &mut chosen[(hash >> (64 - PRECISION)) as usize];
            *register = (*register).max(((hash << PRECISION).leading_zeros(), address));
        }
        for (_, address) in &chosen {
            for clients in &mut clients {
                clients.add(std::net::Ipv4Addr::from(*address).into());
            }
        }
        let [fooled, right] = clients.map(|clients| clients.ipv4.estimate());
        let count = f64::from(1 << PRECISION);
        assert!((right - count).abs() < 0.03 * count, "{right}");
        assert!(fooled > 20.0 * count, "{fooled}");
    }

    #[test]
    fn a_service_has_one_key_and_a_secret_makes_it_another() {
        let key = |service, secret: &str| ClientKey::of_service(service, secret.as_bytes());
        assert_eq!(key("a.example", "x"), key("A.Example", "x"));
        let keys = [
            key("a.example", ""),
            key("b.example", ""),
            key("a.example", "x"),
            key("a.example", "y"),
            ClientKey::random(),
            ClientKey::random(),
        ];
        let ids: std::collections::HashSet<_> = keys.iter().map(|key| key.id()).collect();
        assert_eq!(ids.len(), keys.len());
        assert!(!format!("{keys:?}").contains(&format!("{:x}", keys[0].words[0])));
    }

    #[test]
    fn clients_of_different_keys_are_not_merged() {
        let [one, other] = ["one", "other"].map(|name| ClientKey::of_service(name, b""));
        let mut clients = Clients::default();
        assert_eq!(clients.merge(&Clients::new(one)), Ok(()));
        assert_eq!(clients.merge(&Clients::new(one)), Ok(()));
        assert_eq!(clients.merge(&Clients::default()), Ok(()));
        assert_eq!(clients.merge(&Clients::new(other)), Err(OtherKey));
        clients.add(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(clients.ipv4.estimate().round(), 1.0);
    }

    #[test]
    fn zones_are_bounded() {
        let mut sketches = Sketches::new(None);
        for zone in 0..10_000 {
            sketches.name(zone, 1);
        }
        assert_eq!(sketches.names.len(), ZONES);
    }
}
