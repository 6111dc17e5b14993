//! Records that one thread has decoded.
//!
//! Thousands of networks share a record, so what a lookup in the tree costs is
//! paid for each new address, and what decoding costs for each record only.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::Location;
use crate::enrich::locator::CacheStats;

/// As many as there are autonomous systems of some weight, with room.
const DEFAULT_CAPACITY: usize = 16_384;

/// Records that were decoded, by database and offset: of one thread.
#[derive(Debug)]
pub struct RecordCache {
    generation: u64,
    records: LruCache<(usize, usize), Location>,
    hits: u64,
    misses: u64,
    evictions: u64,
}

impl RecordCache {
    /// A cache of so many records, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
        Self {
            generation: 0,
            records: LruCache::new(capacity),
            hits: 0,
            misses: 0,
            evictions: 0,
        }
    }

    /// How it did since it was made.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.hits,
            misses: self.misses,
            evictions: self.evictions,
            entries: self.records.len() as u64,
            capacity: self.records.cap().get() as u64,
        }
    }

    /// The cache, without the records of another set of databases: an offset
    /// means something in its own file only.
    pub(super) fn of_generation(&mut self, generation: u64) -> &mut Self {
        if self.generation != generation {
            self.records.clear();
            self.generation = generation;
        }
        self
    }

    /// The record of a database at an offset.
    pub(super) fn get_or_decode(
        &mut self,
        place: (usize, usize),
        decode: impl FnOnce() -> Location,
    ) -> &Location {
        let full = self.records.len() == self.records.cap().get();
        let mut missed = false;
        let record = self.records.get_or_insert(place, || {
            missed = true;
            decode()
        });
        self.hits += u64::from(!missed);
        self.misses += u64::from(missed);
        self.evictions += u64::from(missed && full);
        record
    }
}

impl Default for RecordCache {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: (usize, usize) = (0, 100);
    const SECOND: (usize, usize) = (1, 100);

    fn of(country: [u8; 2]) -> Location {
        Location {
            country: Some(country),
            ..Location::default()
        }
    }

    fn known() -> Location {
        unreachable!("it was decoded before")
    }

    #[test]
    fn decodes_a_record_once() {
        let mut cache = RecordCache::new(2);
        assert_eq!(cache.get_or_decode(FIRST, || of(*b"DE")), &of(*b"DE"));
        assert_eq!(cache.get_or_decode(FIRST, known), &of(*b"DE"));
        assert_eq!(
            cache.stats(),
            CacheStats {
                hits: 1,
                misses: 1,
                evictions: 0,
                entries: 1,
                capacity: 2,
            }
        );
    }

    #[test]
    fn the_same_offset_of_two_databases_is_two_records() {
        let mut cache = RecordCache::new(2);
        cache.get_or_decode(FIRST, || of(*b"DE"));
        assert_eq!(cache.get_or_decode(SECOND, || of(*b"FR")), &of(*b"FR"));
    }

    #[test]
    fn the_longest_unused_record_makes_room() {
        let mut cache = RecordCache::new(1);
        cache.get_or_decode(FIRST, || of(*b"DE"));
        cache.get_or_decode(SECOND, || of(*b"FR"));
        assert_eq!(cache.get_or_decode(SECOND, known), &of(*b"FR"));
        assert_eq!(cache.stats().evictions, 1);
        assert_eq!(cache.stats().entries, 1);
    }

    #[test]
    fn another_generation_finds_nothing_of_the_one_before() {
        let mut cache = RecordCache::new(8);
        cache.of_generation(1).get_or_decode(FIRST, || of(*b"DE"));
        let found = cache.of_generation(2).get_or_decode(FIRST, || of(*b"FR"));
        assert_eq!(found, &of(*b"FR"));
    }

    #[test]
    fn no_room_at_all_is_room_for_one() {
        assert_eq!(RecordCache::new(0).stats().capacity, 1);
    }
}
