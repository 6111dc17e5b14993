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
    shard::Shard,
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

/// The places and what is collected from them.
#[derive(Debug)]
pub struct Collector {
    families: Places,
    aggregate: Mutex<Aggregate>,
    /// The clients since they were taken.
    sources: Option<Mutex<Clients>>,
    files: Option<Gathering>,
}

/// What files are written of, until it is taken.
#[derive(Debug)]
struct Gathering {
    places: Places,
    counts: Mutex<Box<Counts>>,
    plan: Arc<Plan>,
    cells: usize,
    seed: u64,
}

/// A place for each thread.
#[derive(Debug)]
struct Places(Vec<Mutex<Place>>);

/// Where one thread lays its counts.
#[derive(Debug, Default)]
struct Place {
    full: Option<Box<Counts>>,
    empty: Option<Box<Counts>>,
}

impl Places {
    fn new(plan: &Plan, cells: usize, threads: usize, seed: u64) -> Self {
        let place = |_| {
            Mutex::new(Place {
                full: None,
                empty: Some(Box::new(Counts::new(plan, cells, seed))),
            })
        };
        Self((0..threads).map(place).collect())
    }

    fn hand_over(&self, thread: usize, engine: &mut Engine) -> bool {
        let Some(place) = self.0.get(thread) else {
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

    fn collect(&self, mut take: impl FnMut(&Counts)) {
        for place in &self.0 {
            // Not under the lock, as the drain thread must not wait for that.
            let full = locked(place).full.take();
            if let Some(mut counts) = full {
                take(&counts);
                counts.clear();
                locked(place).empty = Some(counts);
            }
        }
    }
}

impl Collector {
    /// Places for so many threads.
    #[must_use]
    pub fn new(plan: &Arc<Plan>, options: &CollectOptions, threads: usize, seed: u64) -> Self {
        Self {
            families: Places::new(plan, options.cells, threads, seed),
            aggregate: Mutex::new(Aggregate::new(Arc::clone(plan), options.limits, seed)),
            sources: options.sources.then(Mutex::default),
            files: None,
        }
    }

    /// With the datasets of files, of so many cells each.
    #[must_use]
    pub fn with_files(mut self, plan: Option<&Arc<Plan>>, cells: usize, seed: u64) -> Self {
        let threads = self.families.0.len();
        self.files = plan.map(|plan| Gathering {
            places: Places::new(plan, cells, threads, seed),
            counts: Mutex::new(Box::new(Counts::new(plan, cells, seed))),
            plan: Arc::clone(plan),
            cells,
            seed,
        });
        self
    }

    /// Takes the counts of a thread, unless the last ones still lie there:
    /// whether it did. Does not wait.
    pub fn hand_over(&self, thread: usize, shard: &mut Shard) -> bool {
        let is_free = self.families.hand_over(thread, shard.engine());
        match self.files.as_ref().zip(shard.files()) {
            Some((files, engine)) => files.places.hand_over(thread, engine) && is_free,
            None => is_free,
        }
    }

    /// Adds up all that was handed over.
    pub fn collect(&self) {
        let mut aggregate = locked(&self.aggregate);
        aggregate.advance(moment());
        self.families.collect(|counts| {
            aggregate.merge(counts, moment());
            let seen = counts.sketches.clients.as_ref();
            if let Some((sources, seen)) = self.sources.as_ref().zip(seen) {
                // All shards have the plan's key.
                let _ = locked(sources).merge(seen);
            }
        });
        if let Some(files) = &self.files {
            let mut sum = locked(&files.counts);
            files.places.collect(|counts| sum.add(counts));
        }
    }

    /// What was collected for files since the last time; none where there are no
    /// such datasets.
    #[must_use]
    pub fn take_counts(&self) -> Option<Box<Counts>> {
        let files = self.files.as_ref()?;
        let empty = Box::new(Counts::new(&files.plan, files.cells, files.seed));
        Some(std::mem::replace(&mut *locked(&files.counts), empty))
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
    use foldhash::quality::RandomState;

    use super::*;
    use crate::{
        source::stream,
        stats::{builtin, plan::Rules},
    };

    #[test]
    fn a_full_place_is_left_alone_until_it_is_collected() {
        let plan = Arc::new(Plan::new(builtin::default(), Rules::default()));
        let options = CollectOptions {
            cells: 16,
            limits: Limits::default(),
            sources: false,
        };
        let collector = Collector::new(&plan, &options, 1, 1);
        let engine = Engine::new(Arc::clone(&plan), 16, 1);
        let files = Engine::new(Arc::clone(&plan), 16, 1);
        let limits = stream::Limits {
            streams: 1,
            memory: 1,
            idle_ns: 1,
        };
        let mut shard = Shard::new(limits, RandomState::default(), engine).with_files(Some(files));
        let collector = collector.with_files(Some(&plan), 16, 1);
        for _ in 0..3 {
            assert!(collector.hand_over(0, &mut shard));
            assert!(!collector.hand_over(0, &mut shard));
            collector.collect();
        }
        assert!(!collector.report().tables.is_empty());
        assert!(collector.take_counts().is_some());
    }
}
