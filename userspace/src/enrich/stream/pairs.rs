//! The stream of capture files: the same pairing and enrichment, without a thread,
//! a share or subscribers.

use super::{Enricher, Raw, halves::Halves};
use crate::enrich::exchange::Exchange;

/// Makes exchanges of the messages of captures.
#[derive(Debug)]
pub struct FilePairs {
    halves: Halves,
    enricher: Enricher,
    timeout_ns: u64,
    latest_ns: u64,
}

impl FilePairs {
    /// At most `capacity` messages wait, each up to `timeout_ns`.
    #[must_use]
    pub fn new(capacity: usize, timeout_ns: u64, mut enricher: Enricher) -> Self {
        // Captures have the time of day.
        enricher.refresh(0);
        Self {
            halves: Halves::new(capacity, timeout_ns),
            enricher,
            timeout_ns,
            latest_ns: 0,
        }
    }

    /// Takes a message in; what came to its end by then.
    pub fn take(&mut self, raw: &Raw) -> Vec<Exchange> {
        let mut met = Vec::new();
        if raw.time_ns.saturating_add(self.timeout_ns) < self.latest_ns {
            // Another day's file: nothing that waits can be meant.
            self.halves.finish(&mut met);
            self.latest_ns = 0;
        }
        self.latest_ns = self.latest_ns.max(raw.time_ns);
        self.halves.advance(raw.time_ns, &mut met);
        self.halves.take(raw, &mut met);
        self.exchanges(&met)
    }

    /// There are no more messages.
    pub fn finish(&mut self) -> Vec<Exchange> {
        let mut met = Vec::new();
        self.halves.finish(&mut met);
        self.exchanges(&met)
    }

    /// Messages that could not wait, since too many did.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.halves.left().table_full
    }

    fn exchanges(&mut self, met: &[super::halves::Met]) -> Vec<Exchange> {
        let exchanges = met.iter().filter_map(|met| self.enricher.exchange(met));
        exchanges.collect()
    }
}
