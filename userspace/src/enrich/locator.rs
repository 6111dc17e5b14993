//! Looks addresses up in the tables, through caches of one thread.
//!
//! A thread that counts asks for the same clients again and again: what is known
//! of each is kept, with a note that the asker makes of it once, so that nothing
//! is hashed or decoded for a client that is known. The notes of those who were
//! asked for of late lie side by side, a cache line each, and in front of the
//! `lru` cache, which is too big to be near the processor. When the tables are
//! replaced, the places of the old ones stay where they are and count as misses:
//! nothing has to be freed at once.

use std::{fmt, hash::BuildHasher as _, net::IpAddr, num::NonZeroUsize, sync::Arc};

use foldhash::fast::RandomState;
use lru::LruCache;

use super::{
    geo::RecordCache,
    tables::{SharedTables, Tables},
};

/// Notes of late, at most: 256 KiB, if a note has 40 octets.
const RECENT: usize = 4096;

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

/// What is made of a place when it is found.
type Noting<N> = Box<dyn Fn(&Tables, IpAddr, &Place) -> N + Send>;

/// The tables and the places found in them, of one thread.
pub struct Locator<N = ()> {
    shared: SharedTables,
    tables: Arc<Tables>,
    /// How often the tables have changed: places of before count as absent.
    generation: u32,
    /// Of those who were asked for of late, by a hash of their addresses.
    recent: Box<[Recent<N>]>,
    hasher: RandomState,
    places: LruCache<u128, Kept<N>, RandomState>,
    records: RecordCache,
    noting: Noting<N>,
    stats: CacheStats,
}

#[derive(Clone, Copy, Default)]
struct Recent<N> {
    address: u128,
    /// 0 where there is none.
    generation: u32,
    note: N,
}

struct Kept<N> {
    generation: u32,
    place: Arc<Place>,
    note: N,
}

/// How the caches of locators did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caches {
    /// Of what is known of addresses.
    pub places: CacheStats,
    /// Of records of databases, which many addresses share.
    pub records: CacheStats,
}

impl Caches {
    /// Those of several threads together; none of none.
    #[must_use]
    pub fn sum(caches: impl IntoIterator<Item = Self>) -> Option<Self> {
        caches.into_iter().reduce(|mut sum, caches| {
            sum.places.merge(&caches.places);
            sum.records.merge(&caches.records);
            sum
        })
    }
}

/// How a cache did.
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

impl CacheStats {
    /// Adds those of another thread's cache.
    const fn merge(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.evictions += other.evictions;
        self.entries += other.entries;
        self.capacity += other.capacity;
    }
}

impl Locator {
    /// A locator that keeps so many places, one at least.
    #[must_use]
    pub fn new(tables: SharedTables, capacity: usize) -> Self {
        Self::noting(tables, capacity, |_, _, _| ())
    }
}

impl<N: Copy + Default> Locator<N> {
    /// Likewise, with a note that is made of each place when it is found.
    #[must_use]
    pub fn noting(
        tables: SharedTables,
        capacity: usize,
        noting: impl Fn(&Tables, IpAddr, &Place) -> N + Send + 'static,
    ) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        let recent = capacity.get().next_power_of_two().min(RECENT);
        Self {
            tables: tables.load_full(),
            shared: tables,
            generation: 1,
            recent: vec![Recent::default(); recent].into_boxed_slice(),
            hasher: RandomState::default(),
            places: LruCache::with_hasher(capacity, RandomState::default()),
            records: RecordCache::default(),
            noting: Box::new(noting),
            stats: CacheStats::default(),
        }
    }

    /// The note of what is known of an address.
    ///
    /// Who is asked for all the time is not moved to the front of the `lru`
    /// cache each time, and so may leave it and be looked up once more.
    #[inline]
    pub fn note(&mut self, address: IpAddr) -> N {
        let key = key(address);
        let index = self.hasher.hash_one(key) as usize & (self.recent.len() - 1);
        if let Some(recent) = self.recent.get(index)
            && recent.address == key
            && recent.generation == self.generation
        {
            self.stats.hits += 1;
            return recent.note;
        }
        let note = self.kept(address).note;
        if let Some(recent) = self.recent.get_mut(index) {
            *recent = Recent {
                address: key,
                generation: self.generation,
                note,
            };
        }
        note
    }
}

impl<N> Locator<N> {
    /// Whether there are newer tables than those that are looked up.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        !Arc::ptr_eq(&self.tables, &self.shared.load())
    }

    /// Goes over to the tables of now: to be called between two batches.
    pub fn refresh(&mut self) {
        if self.is_behind() {
            self.tables = self.shared.load_full();
            self.generation = self.generation.checked_add(1).unwrap_or(1);
        }
    }

    /// The number of the tables that are looked up, which grows with each
    /// replacement.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The tables that are looked up.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// What is known of an address.
    pub fn locate(&mut self, address: IpAddr) -> &Arc<Place> {
        &self.kept(address).place
    }

    fn kept(&mut self, address: IpAddr) -> &Kept<N> {
        let Self {
            tables,
            generation,
            places,
            records,
            noting,
            stats,
            ..
        } = self;
        let mut find = || {
            let place = find(tables, address, records);
            Kept {
                generation: *generation,
                note: noting(tables, address, &place),
                place: Arc::new(place),
            }
        };
        let is_full = places.len() == places.cap().get();
        let mut is_new = false;
        let kept = places.get_or_insert_mut(key(address), || {
            is_new = true;
            find()
        });
        if is_new {
            stats.misses += 1;
            stats.evictions += u64::from(is_full);
        } else if kept.generation == *generation {
            stats.hits += 1;
        } else {
            stats.misses += 1;
            *kept = find();
        }
        kept
    }

    /// How the caches did.
    #[must_use]
    pub fn caches(&self) -> Caches {
        Caches {
            places: CacheStats {
                entries: self.places.len() as u64,
                capacity: self.places.cap().get() as u64,
                ..self.stats
            },
            records: self.records.stats(),
        }
    }
}

impl<N> fmt::Debug for Locator<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locator")
            .field("generation", &self.generation)
            .field("caches", &self.caches())
            .finish_non_exhaustive()
    }
}

/// An IPv4 address is the IPv6 address that it is mapped to (RFC 4291, section
/// 2.5.5.2): the tables know no difference.
fn key(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => 0xffff << 32 | u128::from(u32::from(address)),
        IpAddr::V6(address) => address.into(),
    }
}

#[cold]
fn find(tables: &Tables, address: IpAddr, records: &mut RecordCache) -> Place {
    let location = tables.geo.locate(address, records);
    Place {
        country: location.country,
        continent: location.continent,
        asn: location.asn,
        as_org: location.as_org,
        network: tables.networks.find(address).cloned(),
        customer: tables.customers.of_address(address).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicU64, Ordering},
    };

    use super::*;
    use crate::enrich::{customers::Customers, networks::Networks, tables::shared};

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    /// Tables of one network and one customer of these names.
    fn tables(network: &str, customer: &str) -> Tables {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("networks");
        fs::write(&file, format!("192.0.2.0/24,{network}\n")).expect("a file");
        let row = ("2001:db8::/32", customer);
        Tables {
            networks: Arc::new(Networks::read(&file).expect("a network")),
            customers: Arc::new(Customers::of_rows("a test", [row].into_iter()).expect("a row")),
            ..Tables::default()
        }
    }

    fn stats(hits: u64, misses: u64, evictions: u64, entries: u64) -> CacheStats {
        CacheStats {
            hits,
            misses,
            evictions,
            entries,
            capacity: 2,
        }
    }

    #[test]
    fn an_address_is_looked_up_once_and_noted_once() {
        let notes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&notes);
        let mut locator = Locator::noting(shared(tables("r", "c")), 2, move |_, _, place| {
            counted.fetch_add(1, Ordering::Relaxed);
            (place.network.is_some(), place.customer.is_some())
        });
        for _ in 0..3 {
            assert_eq!(locator.note(ip("192.0.2.1")), (true, false));
            assert_eq!(locator.note(ip("2001:db8::1")), (false, true));
        }
        assert_eq!(notes.load(Ordering::Relaxed), 2);
        assert_eq!(locator.caches().places, stats(4, 2, 0, 2));
        let place = locator.locate(ip("2001:db8::1"));
        assert_eq!(place.customer.as_deref(), Some("c"));
        let place = locator.locate(ip("::ffff:192.0.2.1"));
        assert_eq!(place.network.as_deref(), Some("r"));
        assert_eq!(locator.caches().places, stats(6, 2, 0, 2));
    }

    #[test]
    fn what_was_not_asked_for_the_longest_time_makes_room() {
        let mut locator = Locator::new(shared(tables("r", "c")), 2);
        for address in ["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"] {
            locator.locate(ip(address));
        }
        assert_eq!(locator.caches().places, stats(1, 3, 1, 2));
        locator.locate(ip("192.0.2.1"));
        assert_eq!(locator.caches().places, stats(2, 3, 1, 2));
        locator.locate(ip("192.0.2.2"));
        assert_eq!(locator.caches().places, stats(2, 4, 2, 2));
    }

    #[test]
    fn new_tables_are_looked_up_after_a_refresh_and_old_ones_let_go() {
        let shared = shared(tables("old", "c"));
        let is_old = |_: &_, _, place: &Place| place.network.as_deref() == Some("old");
        let mut locator = Locator::noting(Arc::clone(&shared), 2, is_old);
        let network = |locator: &mut Locator<bool>| {
            let network = locator.locate(ip("192.0.2.1")).network.clone();
            let is_old = network.as_deref() == Some("old");
            assert_eq!(locator.note(ip("192.0.2.1")), is_old);
            network
        };
        assert_eq!(network(&mut locator).as_deref(), Some("old"));
        let old = shared.swap(Arc::new(tables("new", "c")));
        assert!(locator.is_behind());
        assert_eq!(network(&mut locator).as_deref(), Some("old"));
        locator.refresh();
        assert!(!locator.is_behind());
        assert_eq!(network(&mut locator).as_deref(), Some("new"));
        assert_eq!(locator.caches().places, stats(4, 2, 0, 1));
        assert_eq!(Arc::strong_count(&old), 1);
    }
}
