//! DSC's indexer `response_time`: the time between query and response, in classes,
//! and what became of queries without a response.
//!
//! A query has no value of its own, it is only kept; its response has. `pairing`
//! does the like for xdsc's own families, with other rules: DSC compares neither
//! name nor type, and a query that is asked again has timed out.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _},
};

use dns_wire::locate::Flow;
use foldhash::fast::RandomState;
use lru::LruCache;

use super::observed::Observed;

/// The directives `response_time_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `response_time_mode`.
    pub mode: Mode,
    /// `response_time_max_queries`: queries kept at most.
    pub max_queries: u32,
    /// `response_time_full_mode`.
    pub full_mode: FullMode,
    /// `response_time_max_seconds`: who waits as long has timed out.
    pub max_seconds: u32,
    /// `response_time_max_sec_mode`.
    pub max_sec_mode: MaxSecMode,
    /// `response_time_bucket_size`: microseconds of a class, of [`Mode::Bucket`];
    /// 0 is taken for 1.
    pub bucket_size: u32,
    /// What 0 microseconds are in the logarithmic modes.
    pub zero: Zero,
}

dns_wire::table! {
    /// How times are put into classes.
    pub enum Mode {
        /// By powers of 10.
        Log10 = "log10",
        /// By powers of 2.
        Log2 = "log2",
        /// By the size of the bucket.
        Bucket = "bucket",
    }
}

dns_wire::table! {
    /// Which query is dropped where there is no room.
    pub enum FullMode {
        /// The new one.
        DropQuery = "drop_query",
        /// The oldest.
        DropOldest = "drop_oldest",
    }
}

dns_wire::table! {
    /// What a response is that comes too late.
    pub enum MaxSecMode {
        /// As if it had come in the last moment.
        Ceil = "ceil",
        /// A timeout.
        TimedOut = "timed_out",
    }
}

/// What 0 microseconds are in the logarithmic modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// A class of its own.
    Class,
    /// An internal error, as for DSC.
    Error,
}

impl Default for Settings {
    /// DSC's, but for `zero`.
    fn default() -> Self {
        Self {
            mode: Mode::Log10,
            max_queries: 1_000_000,
            full_mode: FullMode::DropQuery,
            max_seconds: 5,
            max_sec_mode: MaxSecMode::Ceil,
            bucket_size: 100,
            zero: Zero::Class,
        }
    }
}

impl Settings {
    /// The class of a time in microseconds.
    #[must_use]
    pub fn class(&self, us: u64) -> ResponseTime {
        let powers = |base: u64, power: u32| {
            let from = base.saturating_pow(power);
            ResponseTime::Within(from, from.saturating_mul(base))
        };
        let class = match self.mode {
            Mode::Bucket => {
                let size = u64::from(self.bucket_size.max(1));
                let from = us / size * size;
                return ResponseTime::Within(from, from + size);
            }
            Mode::Log10 => us.checked_ilog10().map(|power| powers(10, power)),
            Mode::Log2 => us.checked_ilog2().map(|power| powers(2, power)),
        };
        class.unwrap_or(match self.zero {
            Zero::Class => ResponseTime::Within(0, 1),
            Zero::Error => ResponseTime::InternalError,
        })
    }
}

/// The value of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResponseTime {
    /// A query without response.
    Timeout,
    /// A response without query.
    MissingQuery,
    /// A query that found no room, or had to make room.
    DroppedQuery,
    /// A response before its query.
    InternalError,
    /// Microseconds from the first to below the second.
    Within(u64, u64),
}

impl ResponseTime {
    /// The value as DSC prints it.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::Timeout => "timeouts".to_owned(),
            Self::MissingQuery => "missing_queries".to_owned(),
            Self::DroppedQuery => "dropped_queries".to_owned(),
            Self::InternalError => "internal_errors".to_owned(),
            Self::Within(from, below) => format!("{from}-{below}"),
        }
    }
}

/// Pairs queries and responses as DSC does, and counts.
///
/// `Row` is what a dataset of two dimensions must know of a query that times out:
/// its value in the first dimension.
pub struct ResponseTimes<Row = ()> {
    settings: Settings,
    /// The oldest query last.
    queries: LruCache<Key, Query<Row>, RandomState>,
    hasher: RandomState,
    counts: BTreeMap<ResponseTime, u64>,
}

/// A hash of the transaction, of 64 bits and seeded.
type Key = u64;
/// Address, in memory order, and port.
type End = ([u64; 2], u16);

struct Query<Row> {
    time_us: u64,
    row: Row,
}

impl<Row> ResponseTimes<Row> {
    /// No query seen yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            queries: LruCache::unbounded_with_hasher(RandomState::default()),
            hasher: RandomState::default(),
            counts: BTreeMap::new(),
        }
    }

    /// Counts a message, and gives its value; a query that is kept has none.
    pub fn observe(&mut self, observed: &Observed<'_>, row: Row) -> Option<ResponseTime> {
        let now_us = observed.time_ns / 1000;
        let (id, flow) = (observed.message.header.id(), &observed.flow);
        let value = if observed.message.header.is_response() {
            let client = (flow.destination, flow.destination_port);
            let key = self.key(id, flow, client, (flow.source, flow.source_port));
            Some(self.response(key, now_us))
        } else {
            let client = (flow.source, flow.source_port);
            let key = self.key(id, flow, client, (flow.destination, flow.destination_port));
            self.query(key, now_us, row)
        };
        if let Some(value) = value {
            self.count(value);
        }
        value
    }

    /// Ends the interval at the time of the last packet, in ns: queries that are
    /// too old have timed out, and `timeout` is told their rows. Younger ones stay.
    pub fn end_interval(&mut self, now_ns: u64, mut timeout: impl FnMut(Row)) {
        while let Some((_, oldest)) = self.queries.peek_lru()
            && self.is_too_old(oldest, now_ns / 1000)
        {
            self.count(ResponseTime::Timeout);
            if let Some((_, query)) = self.queries.pop_lru() {
                timeout(query.row);
            }
        }
    }

    /// The rows of queries that wait.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.queries.iter().map(|(_, query)| &query.row)
    }

    /// The interval's counts, with the labels that DSC prints; they begin anew.
    pub fn take_counts(&mut self) -> Vec<(String, u64)> {
        let counts = std::mem::take(&mut self.counts);
        let labelled = counts.into_iter();
        labelled
            .map(|(value, count)| (value.label(), count))
            .collect()
    }

    /// What DSC compares: ID, IP version, protocol, addresses and ports.
    fn key(&self, id: u16, flow: &Flow, client: End, server: End) -> Key {
        let kind = (flow.family.index() as u64) << 8 | flow.transport.index() as u64;
        let ports = u64::from(client.1) << 16 | u64::from(server.1);
        let mut hasher = self.hasher.build_hasher();
        for word in [client.0, server.0].into_iter().flatten() {
            hasher.write_u64(word);
        }
        hasher.write_u64(kind << 48 | u64::from(id) << 32 | ports);
        hasher.finish()
    }

    fn count(&mut self, value: ResponseTime) {
        *self.counts.entry(value).or_default() += 1;
    }

    fn query(&mut self, key: Key, now_us: u64, row: Row) -> Option<ResponseTime> {
        if let Some(asked_before) = self.queries.get_mut(&key) {
            asked_before.time_us = now_us;
            return Some(ResponseTime::Timeout);
        }
        let mut value = None;
        if self.queries.len() >= self.settings.max_queries as usize {
            value = Some(self.make_room(now_us));
            if self.queries.len() >= self.settings.max_queries as usize {
                return value;
            }
        }
        let time_us = now_us;
        self.queries.put(key, Query { time_us, row });
        value
    }

    /// Drops the oldest query if it is too old, or if the settings say so.
    fn make_room(&mut self, now_us: u64) -> ResponseTime {
        let Some((_, oldest)) = self.queries.peek_lru() else {
            return ResponseTime::DroppedQuery;
        };
        let too_old = self.is_too_old(oldest, now_us);
        if too_old || self.settings.full_mode == FullMode::DropOldest {
            self.queries.pop_lru();
        }
        if too_old {
            ResponseTime::Timeout
        } else {
            ResponseTime::DroppedQuery
        }
    }

    /// DSC compares whole seconds.
    fn is_too_old(&self, query: &Query<Row>, now_us: u64) -> bool {
        let (asked_s, now_s) = (query.time_us / SECOND, now_us / SECOND);
        now_s >= asked_s + u64::from(self.settings.max_seconds)
    }

    fn response(&mut self, key: Key, now_us: u64) -> ResponseTime {
        let Some(query) = self.queries.pop(&key) else {
            return ResponseTime::MissingQuery;
        };
        let Some(waited_us) = now_us.checked_sub(query.time_us) else {
            return ResponseTime::InternalError;
        };
        let max_us = u64::from(self.settings.max_seconds) * SECOND;
        if waited_us < max_us {
            return self.settings.class(waited_us);
        }
        match self.settings.max_sec_mode {
            MaxSecMode::Ceil => self.settings.class(max_us),
            MaxSecMode::TimedOut => ResponseTime::Timeout,
        }
    }
}

/// Microseconds.
const SECOND: u64 = 1_000_000;
