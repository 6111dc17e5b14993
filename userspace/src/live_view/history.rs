//! Ten minutes, a sample per second, in memory that does not grow.
//!
//! Kept whether anybody looks or not: an operator comes when something has already
//! happened. Each sample has the counts of one second as 32-bit numbers, all types
//! and codes included, so that the most frequent ones of the whole time can be
//! chosen when somebody asks.

use std::collections::{BTreeMap, VecDeque};

use dns_wire::{counters::RCODES, iana::Qtype};

use super::counted::Counted;
use crate::{
    export::prometheus::{qtype_label, rcode_label},
    view::{self, Point, Totals},
};

/// Samples that are kept.
pub(super) const SAMPLES: usize = 600;
/// Seconds between two of them.
pub(super) const STEP_SECONDS: f64 = 1.0;
/// Types, and codes, that have a column of their own.
const SHOWN: usize = 8;
/// The column of all others.
const OTHER: &str = "other";

/// The samples, the oldest first.
#[derive(Debug)]
pub(super) struct History {
    samples: VecDeque<Sample>,
    /// Of all samples, by slot: what has a column is chosen by them.
    qtype: Box<[u64]>,
    rcode: Box<[u64]>,
}

/// What there was in about a second.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Its end, in seconds since the Unix epoch.
    time: f64,
    seconds: f64,
    totals: Totals,
    qtype: Box<[u32]>,
    rcode: Box<[u32]>,
    response_time: [Option<f64>; 3],
    state: State,
}

/// What is so at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct State {
    /// One record in so many is kept.
    pub(super) sampling_interval: u64,
    /// How far the slowest stage is behind.
    pub(super) lag_seconds: f64,
}

type Rate = fn(&Totals) -> u64;

/// The columns that are rates, by their names in [`Point`].
const RATES: [(&str, Rate); 12] = [
    ("queries", |t| t.queries),
    ("responses", |t| t.responses),
    ("query_bytes", |t| t.query_bytes),
    ("response_bytes", |t| t.response_bytes),
    ("truncated", |t| t.truncated),
    ("tcp_queries", |t| t.tcp_queries),
    ("ipv6_queries", |t| t.ipv6_queries),
    ("unanswered", |t| t.unanswered),
    ("packets", |t| t.packets),
    ("rejected", |t| t.rejected),
    ("sampled_out", |t| t.sampled_out),
    ("lost", |t| t.lost),
];

type Value = fn(&Sample) -> Option<f64>;

/// The columns that are none.
const VALUES: [(&str, Value); 5] = [
    ("sampling_interval", |sample| {
        Some(sample.state.sampling_interval as f64)
    }),
    ("lag_seconds", |sample| Some(sample.state.lag_seconds)),
    ("response_time_p50", |sample| sample.response_time[0]),
    ("response_time_p90", |sample| sample.response_time[1]),
    ("response_time_p99", |sample| sample.response_time[2]),
];

impl Default for History {
    fn default() -> Self {
        Self {
            samples: VecDeque::with_capacity(SAMPLES),
            qtype: vec![0; Qtype::SLOTS].into(),
            rcode: vec![0; RCODES].into(),
        }
    }
}

impl Sample {
    /// Of what was counted in so many seconds up to a time.
    pub(super) fn new(time: f64, seconds: f64, counted: &Counted, state: State) -> Self {
        let narrow = |counts: &[u64]| {
            let counts = counts.iter();
            counts
                .map(|count| u32::try_from(*count).unwrap_or(u32::MAX))
                .collect()
        };
        Self {
            time,
            seconds,
            totals: counted.totals,
            qtype: narrow(&counted.qtype),
            rcode: narrow(&counted.rcode),
            response_time: [0.5, 0.9, 0.99].map(|share| counted.response_time(share)),
            state,
        }
    }

    fn rate(&self, count: u64) -> f64 {
        rounded(count as f64 / self.seconds)
    }
}

impl History {
    pub(super) fn push(&mut self, sample: Sample) {
        if self.samples.len() == SAMPLES
            && let Some(oldest) = self.samples.pop_front()
        {
            subtract(&mut self.qtype, &oldest.qtype);
            subtract(&mut self.rcode, &oldest.rcode);
        }
        add(&mut self.qtype, &sample.qtype);
        add(&mut self.rcode, &sample.rcode);
        self.samples.push_back(sample);
    }

    /// The newest point.
    pub(super) fn point(&self) -> Option<Point> {
        let sample = self.samples.back()?;
        let totals = &sample.totals;
        Some(Point {
            time: sample.time,
            queries: sample.rate(totals.queries),
            responses: sample.rate(totals.responses),
            query_bytes: sample.rate(totals.query_bytes),
            response_bytes: sample.rate(totals.response_bytes),
            truncated: sample.rate(totals.truncated),
            tcp_queries: sample.rate(totals.tcp_queries),
            ipv6_queries: sample.rate(totals.ipv6_queries),
            unanswered: sample.rate(totals.unanswered),
            packets: sample.rate(totals.packets),
            rejected: sample.rate(totals.rejected),
            sampled_out: sample.rate(totals.sampled_out),
            lost: sample.rate(totals.lost),
            sampling_interval: sample.state.sampling_interval as f64,
            lag_seconds: sample.state.lag_seconds,
            response_time_p50: sample.response_time[0],
            response_time_p90: sample.response_time[1],
            response_time_p99: sample.response_time[2],
            qtype: newest(self.qtypes(sample.seconds, [sample])),
            rcode: newest(self.rcodes(sample.seconds, [sample])),
        })
    }

    /// The last so many samples, by columns.
    pub(super) fn columns(&self, samples: usize) -> view::History {
        let from = self.samples.len().saturating_sub(samples);
        let samples = || self.samples.range(from..);
        let rates = RATES.iter().map(|(name, count)| {
            let rate = |sample: &Sample| Some(sample.rate(count(&sample.totals)));
            ((*name).to_owned(), samples().map(rate).collect())
        });
        let values = VALUES
            .iter()
            .map(|(name, value)| ((*name).to_owned(), samples().map(value).collect()));
        view::History {
            step_seconds: STEP_SECONDS,
            time: samples().map(|sample| sample.time).collect(),
            series: rates.chain(values).collect(),
            qtype: self.qtypes(STEP_SECONDS, samples()),
            rcode: self.rcodes(STEP_SECONDS, samples()),
        }
    }

    /// What the last so many samples have together.
    pub(super) fn sum(&self, samples: usize) -> Lately {
        let from = self.samples.len().saturating_sub(samples);
        let mut sum = Lately {
            seconds: 0.0,
            totals: Totals::default(),
            qtype: vec![0; Qtype::SLOTS].into(),
            rcode: vec![0; RCODES].into(),
        };
        for sample in self.samples.range(from..) {
            sum.seconds += sample.seconds;
            sum.totals = plus(&sum.totals, &sample.totals);
            add(&mut sum.qtype, &sample.qtype);
            add(&mut sum.rcode, &sample.rcode);
        }
        sum
    }

    fn qtypes<'a>(
        &self,
        seconds: f64,
        samples: impl IntoIterator<Item = &'a Sample>,
    ) -> BTreeMap<String, Vec<f64>> {
        columns(&self.qtype, seconds, qtype_label, samples, |s| &s.qtype)
    }

    fn rcodes<'a>(
        &self,
        seconds: f64,
        samples: impl IntoIterator<Item = &'a Sample>,
    ) -> BTreeMap<String, Vec<f64>> {
        let label = |slot| rcode_label(slot).0;
        columns(&self.rcode, seconds, label, samples, |s| &s.rcode)
    }
}

/// Several samples added up.
#[derive(Clone, Debug)]
pub(super) struct Lately {
    pub(super) seconds: f64,
    pub(super) totals: Totals,
    pub(super) qtype: Box<[u64]>,
    pub(super) rcode: Box<[u64]>,
}

/// A column for each of the slots that have the most, and one for all others.
fn columns<'a>(
    sums: &[u64],
    step: f64,
    label: impl Fn(usize) -> String,
    samples: impl IntoIterator<Item = &'a Sample>,
    counts: fn(&Sample) -> &[u32],
) -> BTreeMap<String, Vec<f64>> {
    let shown = most(sums);
    let mut columns: Vec<(String, Vec<f64>)> = shown
        .iter()
        .map(|slot| (label(*slot), Vec::new()))
        .collect();
    let mut other = Vec::new();
    for sample in samples {
        let seconds = if sample.seconds > 0.0 {
            sample.seconds
        } else {
            step
        };
        let counts = counts(sample);
        let of = |slot: &usize| u64::from(counts.get(*slot).copied().unwrap_or(0));
        let all: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        let mut rest = all;
        for (slot, (_, column)) in shown.iter().zip(&mut columns) {
            let count = of(slot);
            rest = rest.saturating_sub(count);
            column.push(rounded(count as f64 / seconds));
        }
        other.push(rounded(rest as f64 / seconds));
    }
    let mut columns: BTreeMap<_, _> = columns.into_iter().collect();
    // The kernel has a slot of that name, too, which may be among the first.
    match columns.get_mut(OTHER) {
        Some(column) => {
            for (sum, rest) in column.iter_mut().zip(other) {
                *sum = rounded(*sum + rest);
            }
        }
        None => drop(columns.insert(OTHER.to_owned(), other)),
    }
    columns
}

/// The slots that have the most, of those that have something.
fn most(sums: &[u64]) -> Vec<usize> {
    let mut slots: Vec<usize> = (0..sums.len()).collect();
    let sum = |slot: &usize| sums.get(*slot).copied().unwrap_or(0);
    slots.retain(|slot| sum(slot) > 0);
    slots.sort_by_key(|slot| (std::cmp::Reverse(sum(slot)), *slot));
    slots.truncate(SHOWN);
    slots
}

fn newest(columns: BTreeMap<String, Vec<f64>>) -> BTreeMap<String, f64> {
    let newest = |(name, column): (String, Vec<f64>)| Some((name, *column.last()?));
    columns.into_iter().filter_map(newest).collect()
}

fn add(sums: &mut [u64], counts: &[u32]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += u64::from(*count);
    }
}

fn subtract(sums: &mut [u64], counts: &[u32]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum = sum.saturating_sub(u64::from(*count));
    }
}

fn plus(a: &Totals, b: &Totals) -> Totals {
    let sum = |count: Rate| count(a) + count(b);
    Totals {
        queries: sum(|t| t.queries),
        responses: sum(|t| t.responses),
        query_bytes: sum(|t| t.query_bytes),
        response_bytes: sum(|t| t.response_bytes),
        truncated: sum(|t| t.truncated),
        tcp_queries: sum(|t| t.tcp_queries),
        ipv6_queries: sum(|t| t.ipv6_queries),
        unanswered: sum(|t| t.unanswered),
        packets: sum(|t| t.packets),
        rejected: sum(|t| t.rejected),
        sampled_out: sum(|t| t.sampled_out),
        lost: sum(|t| t.lost),
        own_queries: sum(|t| t.own_queries),
    }
}

/// Enough digits to look at, and not many octets.
pub(super) fn rounded(rate: f64) -> f64 {
    (rate * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live_view::counted::tests::queries;

    fn sample(second: usize, qtype: Qtype, count: u64) -> Sample {
        let state = State {
            sampling_interval: 1,
            lag_seconds: 0.25,
        };
        Sample::new(second as f64, 0.5, &queries(qtype, count), state)
    }

    #[test]
    fn ten_minutes_are_kept_and_no_more() {
        let mut history = History::default();
        assert!(history.point().is_none(), "nothing was counted yet");
        for second in 0..SAMPLES + 7 {
            history.push(sample(second, Qtype::A, 5));
        }
        let columns = history.columns(usize::MAX);
        assert_eq!(columns.time.len(), SAMPLES);
        assert_eq!(columns.time[0], 7.0);
        assert_eq!(columns.qtype["A"].len(), SAMPLES);
        assert_eq!(history.columns(60).time.len(), 60);
        assert_eq!(history.columns(60).series["queries"].len(), 60);
    }

    #[test]
    fn rates_are_by_the_time_that_they_took() {
        let mut history = History::default();
        history.push(sample(1, Qtype::A, 5));
        let point = history.point().expect("a point");
        assert_eq!((point.queries, point.qtype["A"]), (10.0, 10.0));
        assert_eq!((point.sampling_interval, point.lag_seconds), (1.0, 0.25));
        assert_eq!(point.response_time_p50, None);
        let lately = history.sum(10);
        assert_eq!((lately.seconds, lately.totals.queries), (0.5, 5));
    }

    #[test]
    fn the_most_frequent_types_have_columns_and_the_others_one() {
        let mut history = History::default();
        // Ten types: the two rarest are `other`, and those without a slot, too.
        for (n, number) in (1..=10).enumerate() {
            history.push(sample(n, Qtype(number), 100 - u64::from(number)));
        }
        history.push(sample(10, Qtype(65_280), 95));
        let columns = history.columns(SAMPLES).qtype;
        assert_eq!(columns.len(), 8, "{columns:?}");
        let of = |second: usize| columns[OTHER][second];
        assert_eq!([of(0), of(8), of(9), of(10)], [0.0, 182.0, 180.0, 190.0]);
        let all: f64 = columns.values().flatten().sum();
        let expected: u64 = (1..=10).map(|n| 2 * (100 - n)).sum::<u64>() + 190;
        assert_eq!(all, expected as f64, "nothing is missing");
    }

    #[test]
    fn every_rate_of_a_point_has_a_column_of_its_name() {
        let point = serde_json::to_value(Point::default()).expect("JSON");
        let mut fields: Vec<_> = point.as_object().expect("an object").keys().collect();
        fields.retain(|name| !["time", "qtype", "rcode"].contains(&name.as_str()));
        let columns = History::default().columns(1).series;
        let mut columns: Vec<_> = columns.keys().collect();
        columns.sort();
        fields.sort();
        assert_eq!(columns, fields);
    }
}
