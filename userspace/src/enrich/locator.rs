//! Looks addresses up in the tables, through a cache of one thread.

use std::{net::IpAddr, sync::Arc};

use super::tables::SharedTables;

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166-1 alpha-2 code.
    pub country: Option<[u8; 2]>,
    /// Two letters: AF, AN, AS, EU, NA, OC, SA.
    pub continent: Option<[u8; 2]>,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// The organisation that it belongs to.
    pub as_org: Option<Arc<str>>,
    /// The network that is known by name.
    pub network: Option<Arc<str>>,
    /// The customer with the network that it lies in.
    pub customer: Option<Arc<str>>,
}

/// The tables and the places found in them, of one thread.
#[derive(Debug)]
pub struct Locator {
    tables: SharedTables,
    place: Arc<Place>,
}

/// How the cache did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Lookups that found their value in it.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Values that went to make room.
    pub evictions: u64,
    /// Values in it.
    pub entries: u64,
    /// Most values that it takes.
    pub capacity: u64,
}

impl Locator {
    /// A locator that keeps so many places.
    #[must_use]
    pub fn new(tables: SharedTables, _capacity: usize) -> Self {
        Self {
            tables,
            place: Arc::default(),
        }
    }

    /// Goes over to the tables of now: to be called between two batches.
    pub fn refresh(&mut self) {
        let _ = self.tables.load();
    }

    /// What is known of an address.
    pub fn locate(&mut self, _address: IpAddr) -> &Arc<Place> {
        &self.place
    }
}
