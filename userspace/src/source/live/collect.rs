//! From the drain threads to the aggregate.
//!
//! A thread lays what it has counted on a place of its own and goes on with the
//! empty counts that it finds there: two pointers change places, under a lock
//! that nobody holds for longer. Whoever collects - a thread of its own, once a
//! second, and every scrape - takes the counts up, adds them to the aggregate,
//! and puts them back empty. When a place is still full, the drain thread keeps
//! its counts and goes on counting.

use std::{
    sync::{Arc, Mutex, TryLockError},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{clock::now_ns, locked};
use crate::stats::{
    aggregate::{Aggregate, Limits, Moment, Report},
    engine::{Counts, Engine},
    plan::Plan,
    sketches::Clients,
};

/// How datasets are counted.
#[derive(Clone, Copy, Debug)]
pub struct CollectOptions {
    /// Cells of a dataset between two hand-overs.
    pub cells: usize,
    /// Bounds of what is exported.
    pub limits: Limits,
    /// Whether somebody takes the [sources](Collector::take_sources).
    pub sources: bool,
}

/// The places and the aggregate.
#[derive(Debug)]
pub struct Collector {
    places: Vec<Mutex<Place>>,
    aggregate: Mutex<Aggregate>,
    /// The clients since they were taken.
    sources: Option<Mutex<Clients>>,
}

/// Where one thread lays its counts.
#[derive(Debug, Default)]
struct Place {
    full: Option<Box<Counts>>,
    empty: Option<Box<Counts>>,
}

impl Collector {
    /// Places for so many threads.
    #[must_use]
    pub fn new(plan: &Arc<Plan>, options: &CollectOptions, threads: usize, seed: u64) -> Self {
        let place = |_| {
            Mutex::new(Place {
                full: None,
                empty: Some(Box::new(Counts::new(plan, options.cells, seed))),
            })
        };
        Self {
            places: (0..threads).map(place).collect(),
            aggregate: Mutex::new(Aggregate::new(Arc::clone(plan), options.limits, seed)),
            sources: options.sources.then(Mutex::default),
        }
    }

    /// Takes the counts of a thread, unless the last ones still lie there:
    /// whether it did. Does not wait.
    pub fn hand_over(&self, thread: usize, engine: &mut Engine) -> bool {
        let Some(place) = self.places.get(thread) else {
            return true;
        };
        let mut place = match place.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let Some(mut counts) = place.empty.take() else {
            return false;
        };
        engine.exchange(&mut counts);
        place.full = Some(counts);
        true
    }

    /// Adds up all that was handed over.
    pub fn collect(&self) {
        let mut aggregate = locked(&self.aggregate);
        aggregate.advance(moment());
        for place in &self.places {
            // Not under the lock, as the drain thread must not wait for that.
            let full = locked(place).full.take();
            if let Some(mut counts) = full {
                aggregate.merge(&counts, moment());
                if let Some((sources, seen)) =
                    self.sources.as_ref().zip(counts.sketches.clients.as_ref())
                {
                    locked(sources).merge(seen);
                }
                counts.clear();
                locked(place).empty = Some(counts);
            }
        }
    }

    /// The clients that were collected since the last time.
    #[must_use]
    pub fn take_sources(&self) -> Clients {
        self.sources
            .as_ref()
            .map(|sources| std::mem::take(&mut *locked(sources)))
            .unwrap_or_default()
    }

    /// What was collected.
    #[must_use]
    pub fn report(&self) -> Report {
        locked(&self.aggregate).report()
    }
}

fn moment() -> Moment {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    Moment {
        now_ns: now_ns(),
        unix_s: since_epoch.map_or(0, |since| since.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{builtin, plan::Rules};

    #[test]
    fn a_full_place_is_left_alone_until_it_is_collected() {
        let plan = Arc::new(Plan::new(builtin::default(), Rules::default()));
        let options = CollectOptions {
            cells: 16,
            limits: Limits::default(),
            sources: false,
        };
        let collector = Collector::new(&plan, &options, 1, 1);
        let mut engine = Engine::new(plan, 16, 1);
        for _ in 0..3 {
            assert!(collector.hand_over(0, &mut engine));
            assert!(!collector.hand_over(0, &mut engine));
            collector.collect();
        }
        assert!(!collector.report().tables.is_empty());
    }
}
