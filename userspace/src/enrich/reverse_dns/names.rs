//! The names that were found, in memory.
//!
//! What an answer said is kept for its TTL, clamped by the configuration; what
//! failed is kept for a moment too, only so that it is not tried at once again.

use std::{net::IpAddr, sync::Arc, time::Duration};

use foldhash::fast::RandomState;
use lru::LruCache;
use tokio::time::Instant;

use crate::{config, enrich::locator::CacheStats};

/// What failed is not tried again so soon.
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// What is known of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Its name.
    Name(Arc<str>),
    /// That it has none.
    NoName,
    /// That nobody could tell.
    Failed,
}

/// Bounds of the time that something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetimes {
    name: (Duration, Duration),
    no_name: (Duration, Duration),
}

impl Lifetimes {
    pub(super) fn new(settings: &config::ReverseDns) -> Self {
        // Bounds in the wrong order: the longer time is the bound of both.
        let bounds = |min: Duration, max: Duration| (min, max.max(min));
        Self {
            name: bounds(settings.ttl_min, settings.ttl_max),
            no_name: bounds(settings.negative_ttl_min, settings.negative_ttl_max),
        }
    }

    /// How long something with such a TTL is kept.
    pub(super) fn clamp(&self, known: &Known, ttl: Duration) -> Duration {
        match known {
            Known::Name(_) => ttl.clamp(self.name.0, self.name.1),
            Known::NoName => ttl.clamp(self.no_name.0, self.no_name.1),
            Known::Failed => AFTER_FAILURE,
        }
    }

    /// How long something is kept at most: what comes from other caches has been
    /// kept for a while, so that it may be less than the minimum.
    pub(super) fn at_most(&self, known: &Known, ttl: Duration) -> Duration {
        match known {
            Known::Name(_) => ttl.min(self.name.1),
            Known::NoName => ttl.min(self.no_name.1),
            Known::Failed => AFTER_FAILURE,
        }
    }
}

/// Something known, and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) known: Known,
    pub(super) expires: Instant,
}

/// The names of the addresses that were asked for last.
#[derive(Debug)]
pub(super) struct Names {
    entries: LruCache<IpAddr, Entry, RandomState>,
    stats: CacheStats,
}

impl Names {
    /// Room for so many names.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            // Bounded by `insert`: a bound given here is room that is taken at once.
            entries: LruCache::unbounded_with_hasher(RandomState::default()),
            stats: CacheStats {
                capacity: capacity.max(1) as u64,
                ..CacheStats::default()
            },
        }
    }

    /// What is known of an address.
    pub(super) fn find(&mut self, address: IpAddr, now: Instant) -> Option<&Known> {
        let entry = self.entries.get(&address).filter(|e| now < e.expires);
        match entry {
            Some(_) => self.stats.hits += 1,
            None => self.stats.misses += 1,
        }
        entry.map(|entry| &entry.known)
    }

    /// Keeps what is known of an address; the one that was asked for least
    /// recently makes room.
    pub(super) fn insert(&mut self, address: IpAddr, entry: Entry) {
        self.entries.put(address, entry);
        if self.entries.len() as u64 > self.stats.capacity {
            self.entries.pop_lru();
            self.stats.evictions += 1;
        }
    }

    /// So many of the names that are worth keeping, those asked for last first.
    pub(super) fn latest(&self, most: usize, now: Instant) -> Vec<(IpAddr, Entry)> {
        let worth = |entry: &Entry| now < entry.expires && entry.known != Known::Failed;
        (self.entries.iter())
            .filter(|(_, entry)| worth(entry))
            .take(most)
            .map(|(address, entry)| (*address, entry.clone()))
            .collect()
    }

    pub(super) fn stats(&self) -> CacheStats {
        CacheStats {
            entries: self.entries.len() as u64,
            ..self.stats
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(number: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, number).into()
    }

    fn named(name: &str, expires: Instant) -> Entry {
        Entry {
            known: Known::Name(name.into()),
            expires,
        }
    }

    #[test]
    fn times_are_clamped_by_what_they_are_of() {
        let lifetimes = Lifetimes {
            name: (300 * SECOND, 86_400 * SECOND),
            no_name: (60 * SECOND, 3600 * SECOND),
        };
        let name = Known::Name("a.example".into());
        let cases = [
            (&name, 0, 300, 0),
            (&name, 299, 300, 299),
            (&name, 301, 301, 301),
            (&name, 604_800, 86_400, 86_400),
            (&Known::NoName, 0, 60, 0),
            (&Known::NoName, 900, 900, 900),
            (&Known::NoName, 7200, 3600, 3600),
            (&Known::Failed, 0, 30, 30),
            (&Known::Failed, 7200, 30, 30),
        ];
        for (known, ttl, clamped, at_most) in cases {
            let ttl = Duration::from_secs(ttl);
            assert_eq!(lifetimes.clamp(known, ttl), clamped * SECOND, "{known:?}");
            assert_eq!(lifetimes.at_most(known, ttl), at_most * SECOND, "{known:?}");
        }
    }

    #[test]
    fn what_is_kept_is_found_until_it_expires() {
        let now = Instant::now();
        let mut names = Names::new(8);
        names.insert(address(1), named("a.example", now + SECOND));
        let found = names.find(address(1), now).cloned();
        assert_eq!(found, Some(Known::Name("a.example".into())));
        assert_eq!(names.find(address(1), now + SECOND), None);
        assert_eq!(names.find(address(2), now), None);
        let stats = names.stats();
        assert_eq!((stats.hits, stats.misses, stats.entries), (1, 2, 1));
    }

    #[test]
    fn who_was_asked_for_least_recently_makes_room() {
        let now = Instant::now();
        let mut names = Names::new(2);
        names.insert(address(1), named("a.example", now + SECOND));
        names.insert(address(2), named("b.example", now + SECOND));
        assert!(names.find(address(1), now).is_some());
        names.insert(address(3), named("c.example", now + SECOND));
        assert!(names.find(address(2), now).is_none());
        assert!(names.find(address(1), now).is_some());
        assert!(names.find(address(3), now).is_some());
        assert_eq!((names.stats().evictions, names.stats().entries), (1, 2));
    }

    #[test]
    fn the_latest_are_those_that_are_worth_keeping() {
        let now = Instant::now();
        let mut names = Names::new(8);
        names.insert(address(1), named("a.example", now + SECOND));
        names.insert(address(2), named("gone.example", now));
        let failed = Entry {
            known: Known::Failed,
            expires: now + SECOND,
        };
        names.insert(address(3), failed);
        names.insert(address(4), named("d.example", now + SECOND));
        let of = |most| -> Vec<_> {
            let latest = names.latest(most, now).into_iter();
            latest.map(|(address, _)| address).collect()
        };
        assert_eq!(of(9), [address(4), address(1)]);
        assert_eq!(of(1), [address(4)]);
    }
}
