//! What is counted of reverse DNS.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::breaker::BreakerState;
use crate::enrich::locator::CacheStats;

/// Declares an enum of label values.
macro_rules! labels {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident { $( $(#[doc = $value_doc:literal])* $value:ident = $label:literal, )* }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[doc = $value_doc])* $value, )* }

        impl $name {
            /// All of them, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$value),*];

            /// The value of a label.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $( Self::$value => $label, )* }
            }
        }
    };
}

labels! {
    /// How a request for a name was answered, which is at once.
    pub enum Request {
        /// By a name that was known.
        Name = "name",
        /// By the knowledge that there is none.
        NoName = "no_name",
        /// It was put into the queue.
        Queued = "queued",
        /// It is in the queue or being asked for already.
        Pending = "pending",
        /// It is never asked for.
        Denied = "denied",
        /// It failed of late.
        FailedLately = "failed_lately",
        /// The queue has no room.
        QueueFull = "queue_full",
        /// The resolver is left alone for a while.
        BreakerOpen = "breaker_open",
    }
}

labels! {
    /// How a query that was sent ended.
    pub enum QueryResult {
        /// With records.
        Answer = "answer",
        /// Without any of the type.
        NoData = "nodata",
        /// The name does not exist.
        NxDomain = "nxdomain",
        /// RCODE SERVFAIL.
        ServFail = "servfail",
        /// RCODE REFUSED.
        Refused = "refused",
        /// The response had no room for all and is asked for by TCP.
        Truncated = "truncated",
        /// Nobody answered in time.
        Timeout = "timeout",
        /// Any other RCODE, a response that cannot be read, a network that fails.
        Error = "error",
    }
}

labels! {
    /// How the shared cache did.
    pub enum SharedResult {
        /// It knew.
        Hit = "hit",
        /// It did not.
        Miss = "miss",
        /// It failed.
        Error = "error",
        /// It was not asked, since it failed of late.
        Skipped = "skipped",
    }
}

/// Upper bounds of the histograms, in seconds.
pub const BOUNDS_S: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Durations by size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Durations up to each bound and above the one before; the last are above
    /// all of them.
    pub buckets: [u64; BOUNDS_S.len() + 1],
    /// Their sum, in seconds.
    pub sum_s: f64,
}

impl Histogram {
    /// Durations in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// What the file that keeps names over restarts is told by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FileStats {
    /// Names and their absences read from it.
    pub loaded: u64,
    /// Lines that had expired.
    pub expired: u64,
    /// Lines that could not be read, were too many, or are not to be asked for.
    pub dropped: u64,
    /// When it was written last, in seconds since the Unix epoch; 0 before that.
    pub written_s: f64,
    /// Times that it could not be written.
    pub errors: u64,
}

/// What the shared cache is told by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SharedStats {
    /// Addresses looked for, by [`SharedResult`].
    pub reads: [u64; SharedResult::ALL.len()],
    /// Names written into it.
    pub written: u64,
    /// Names that could not be written into it.
    pub unwritten: u64,
    /// Whether it is asked at the moment.
    pub breaker: BreakerState,
}

/// What reverse DNS did so far, and how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReverseDnsStats {
    /// Requests, by [`Request`].
    pub requests: [u64; Request::ALL.len()],
    /// Queries sent to resolvers, each message counted.
    pub queries_sent: u64,
    /// Queries that have ended, by [`QueryResult`].
    pub results: [u64; QueryResult::ALL.len()],
    /// Queries that had to wait for the limiter.
    pub limited: u64,
    /// How long they waited in all, in seconds.
    pub limited_s: f64,
    /// From a query to its answer, of those that were answered.
    pub latency: Histogram,
    /// From a request to the moment that its address is asked for.
    pub waits: Histogram,
    /// Addresses that wait to be asked for.
    pub queue_length: u64,
    /// Addresses that wait at most.
    pub queue_capacity: u64,
    /// Addresses that are being asked for.
    pub in_flight: u64,
    /// Whether resolvers are asked.
    pub breaker: BreakerState,
    /// Times that the breaker opened.
    pub breaker_opened: u64,
    /// Addresses that left the queue unasked, since the breaker opened.
    pub dropped: u64,
    /// The names in memory.
    pub cache: CacheStats,
    /// Names that did not lead back to the address.
    pub unconfirmed: u64,
    /// Names beside the one that is taken of an address with several.
    pub surplus_names: u64,
    /// Names that are no use as text, being too long.
    pub unusable_names: u64,
    /// The shared cache, where there is one.
    pub shared: Option<SharedStats>,
    /// The file, where there is one.
    pub file: Option<FileStats>,
}

impl ReverseDnsStats {
    /// With all that there can be.
    #[must_use]
    pub fn example() -> Self {
        Self {
            shared: Some(SharedStats::default()),
            file: Some(FileStats::default()),
            ..Self::default()
        }
    }

    /// Requests that ended so.
    #[must_use]
    pub const fn requests(&self, request: Request) -> u64 {
        self.requests[request as usize]
    }

    /// Queries that ended so.
    #[must_use]
    pub const fn results(&self, result: QueryResult) -> u64 {
        self.results[result as usize]
    }
}

/// A counter that any thread adds to.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(super) fn subtract(&self, count: u64) {
        self.0.fetch_sub(count, Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A histogram that any thread adds to.
#[derive(Debug, Default)]
pub(super) struct Durations {
    buckets: [Count; BOUNDS_S.len() + 1],
    sum_us: Count,
}

impl Durations {
    pub(super) fn add(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = BOUNDS_S.partition_point(|bound| *bound < seconds);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.add(1);
        }
        self.sum_us.add(duration.as_micros() as u64);
    }

    pub(super) fn get(&self) -> Histogram {
        Histogram {
            buckets: each(&self.buckets),
            sum_s: self.sum_us.get() as f64 / 1e6,
        }
    }
}

/// The counters that tasks and threads share.
#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: [Count; Request::ALL.len()],
    results: [Count; QueryResult::ALL.len()],
    reads: [Count; SharedResult::ALL.len()],
    pub(super) queries_sent: Count,
    pub(super) limited: Count,
    pub(super) limited_us: Count,
    pub(super) latency: Durations,
    pub(super) waits: Durations,
    pub(super) in_flight: Count,
    pub(super) dropped: Count,
    pub(super) unconfirmed: Count,
    pub(super) surplus_names: Count,
    pub(super) unusable_names: Count,
    pub(super) shared_written: Count,
    pub(super) shared_unwritten: Count,
    pub(super) file_loaded: Count,
    pub(super) file_expired: Count,
    pub(super) file_dropped: Count,
    pub(super) file_written_ms: Count,
    pub(super) file_errors: Count,
}

impl Counters {
    pub(super) fn request(&self, request: Request) {
        self.requests[request as usize].add(1);
    }

    pub(super) fn result(&self, result: QueryResult) {
        self.results[result as usize].add(1);
    }

    pub(super) fn read(&self, result: SharedResult, count: u64) {
        self.reads[result as usize].add(count);
    }

    /// All that is counted here; the rest is to be filled in.
    pub(super) fn get(&self) -> ReverseDnsStats {
        ReverseDnsStats {
            requests: each(&self.requests),
            queries_sent: self.queries_sent.get(),
            results: each(&self.results),
            limited: self.limited.get(),
            limited_s: self.limited_us.get() as f64 / 1e6,
            latency: self.latency.get(),
            waits: self.waits.get(),
            in_flight: self.in_flight.get(),
            dropped: self.dropped.get(),
            unconfirmed: self.unconfirmed.get(),
            surplus_names: self.surplus_names.get(),
            unusable_names: self.unusable_names.get(),
            ..ReverseDnsStats::default()
        }
    }

    pub(super) fn shared(&self) -> SharedStats {
        SharedStats {
            reads: each(&self.reads),
            written: self.shared_written.get(),
            unwritten: self.shared_unwritten.get(),
            ..SharedStats::default()
        }
    }

    pub(super) fn file(&self) -> FileStats {
        FileStats {
            loaded: self.file_loaded.get(),
            expired: self.file_expired.get(),
            dropped: self.file_dropped.get(),
            written_s: self.file_written_ms.get() as f64 / 1e3,
            errors: self.file_errors.get(),
        }
    }
}

fn each<const N: usize>(counts: &[Count; N]) -> [u64; N] {
    counts.each_ref().map(Count::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_into_the_bucket_that_ends_above_them() {
        let durations = Durations::default();
        for (micros, times) in [
            (0, 1),
            (1000, 1),
            (1001, 3),
            (30_000_000, 2),
            (31_000_000, 4),
        ] {
            (0..times).for_each(|_| durations.add(Duration::from_micros(micros)));
        }
        let histogram = durations.get();
        assert_eq!(histogram.buckets[..3], [2, 3, 0]);
        assert_eq!(histogram.buckets[13..], [2, 4]);
        assert_eq!(histogram.count(), 11);
        let sum = 0.001 + 3.0 * 0.001_001 + 2.0 * 30.0 + 4.0 * 31.0;
        assert!((histogram.sum_s - sum).abs() < 1e-6, "{}", histogram.sum_s);
    }
}
