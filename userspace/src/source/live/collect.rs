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
    lag::{Batch, LagReport, StageLag},
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
    /// What each thread has read, against what of it is in the aggregate.
    lags: Vec<StageLag>,
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
    full: Option<(Box<Counts>, Batch)>,
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

    /// Takes a thread's counts, and the records that they were `counted` of.
    fn hand_over(&self, thread: usize, engine: &mut Engine, counted: &mut Batch) -> bool {
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
        engine.hand_over(&mut counts);
        place.full = Some((counts, std::mem::take(counted)));
        true
    }

    fn collect(&self, mut take: impl FnMut(usize, &Counts, &Batch)) {
        for (thread, place) in self.0.iter().enumerate() {
            // Not under the lock, as the drain thread must not wait for that.
            let full = locked(place).full.take();
            if let Some((mut counts, counted)) = full {
                counts.settle();
                take(thread, &counts, &counted);
                counts.begin_anew();
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
            lags: (0..threads).map(|_| StageLag::default()).collect(),
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

    /// A thread has read so many records more.
    pub fn counted(&self, thread: usize, batch: &Batch) {
        if let Some(lag) = self.lags.get(thread) {
            lag.produced(batch);
        }
    }

    /// Takes the counts of a thread, with what they were `counted` of since the
    /// last time, unless the last ones still lie there: whether it did. Does not
    /// wait.
    pub fn hand_over(&self, thread: usize, shard: &mut Shard, counted: &mut Batch) -> bool {
        let is_free = self.families.hand_over(thread, shard.engine(), counted);
        match self.files.as_ref().zip(shard.files()) {
            Some((files, engine)) => {
                let places = &files.places;
                places.hand_over(thread, engine, &mut Batch::default()) && is_free
            }
            None => is_free,
        }
    }

    /// Adds up all that was handed over.
    pub fn collect(&self) {
        let mut aggregate = locked(&self.aggregate);
        aggregate.advance(moment());
        self.families.collect(|thread, counts, counted| {
            let moment = moment();
            aggregate.merge(counts, moment);
            if let Some(lag) = self.lags.get(thread) {
                lag.consumed(counted, moment.now_ns);
            }
            let seen = counts.sketches.clients.as_ref();
            if let Some((sources, seen)) = self.sources.as_ref().zip(seen) {
                // All shards have the plan's key.
                let _ = locked(sources).merge(seen);
            }
        });
        if let Some(files) = &self.files {
            let mut sum = locked(&files.counts);
            files.places.collect(|_, counts, _| sum.add(counts));
        }
    }

    /// How far the aggregate is behind what the threads have read.
    #[must_use]
    pub fn lag(&self, now_ns: u64) -> LagReport {
        let reports: Vec<_> = self.lags.iter().map(|lag| lag.report(now_ns)).collect();
        LagReport::sum(&reports)
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

/// Now, by both clocks.
pub(super) fn moment() -> Moment {
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
        let now = now_ns();
        for round in 1..=3 {
            let mut counted = Batch::new(2, now, now);
            collector.counted(0, &counted);
            assert!(collector.hand_over(0, &mut shard, &mut counted));
            assert_eq!(counted, Batch::default());
            counted = Batch::one(now);
            collector.counted(0, &counted);
            assert!(!collector.hand_over(0, &mut shard, &mut counted));
            assert_eq!(counted.count(), 1, "still to be handed over");
            let lag = collector.lag(now + 1_000_000_000);
            assert_eq!((lag.lag_seconds, lag.backlog), (1.0, round - 1 + 3));
            collector.collect();
            let lag = collector.lag(now);
            assert_eq!(lag.consumed, 2 * round, "what was handed over");
            assert_eq!(lag.produced, 3 * round);
        }
        assert!(!collector.report().tables.is_empty());
        assert!(collector.take_counts().is_some());
    }
}
