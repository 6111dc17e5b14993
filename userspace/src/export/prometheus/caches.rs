//! How the caches of what is known of addresses do, those of all drain threads
//! together.

use std::fmt;

use super::Families;
use crate::enrich::locator::{CacheStats, Caches};

impl Families<'_> {
    pub(super) fn caches(&mut self, caches: &Caches) -> fmt::Result {
        let Caches { places, records } = caches;
        let each: [(&str, &CacheStats); 2] = [("places", places), ("records", records)];
        let help = "Lookups in the caches of what is known of clients' addresses (places), and of the records of databases that addresses share (records)";
        self.counter("enrichment_cache_lookups", help, |samples| {
            each.iter().try_for_each(|(cache, stats)| {
                for (result, lookups) in [("hit", stats.hits), ("miss", stats.misses)] {
                    samples.counter([("cache", *cache), ("result", result)], lookups)?;
                }
                Ok(())
            })
        })?;
        let help = "Values that went from the caches of lookups to make room";
        self.counter("enrichment_cache_evictions", help, |samples| {
            each.iter().try_for_each(|(cache, stats)| {
                samples.counter([("cache", *cache)], stats.evictions)
            })
        })?;
        let help = "Values in the caches of lookups";
        self.gauge("enrichment_cache_entries", help, None, |samples| {
            each.iter().try_for_each(|(cache, stats)| {
                samples.gauge([("cache", *cache)], stats.entries as f64)
            })
        })?;
        let help = "Most values that the caches of lookups take";
        self.gauge("enrichment_cache_max_entries", help, None, |samples| {
            each.iter().try_for_each(|(cache, stats)| {
                samples.gauge([("cache", *cache)], stats.capacity as f64)
            })
        })
    }
}
