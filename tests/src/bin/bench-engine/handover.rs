//! What it takes to bring together what threads have counted: the merge of the
//! shards of a machine of many, and the encoding of a scrape.

use std::{sync::Arc, time::Instant};

use anyhow::{Result, ensure};
use xdsc::{
    export::{prometheus::openmetrics, snapshot::Snapshot},
    stats::{
        aggregate::{Aggregate, Limits, Moment},
        builtin,
        plan::{Plan, Rules},
    },
};

use crate::{
    counting::{Counting, HandOver, SEED},
    messages::Messages,
};

/// Shards whose counts are merged.
pub(crate) const SHARDS: [usize; 4] = [1, 4, 16, 64];
/// Series of the scrape.
const SERIES: usize = 20_000;

/// Milliseconds that the merge of so many shards takes which have all seen this
/// traffic.
pub(crate) fn merge_ms(plan: &Arc<Plan>, messages: &Messages, shards: usize) -> Result<f64> {
    let mut counting = Counting::new(plan);
    counting.count(messages, HandOver::Once)?;
    let mut aggregate = Aggregate::new(Arc::clone(plan), Limits::default(), SEED);
    aggregate.merge(&counting.counts, Moment::default());
    let begun = Instant::now();
    for _ in 0..shards {
        aggregate.merge(&counting.counts, Moment::default());
    }
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// Milliseconds that the encoding of [`SERIES`] series takes: of the default datasets,
/// without bounds of their own.
pub(crate) fn encoding_ms(messages: &Messages) -> Result<f64> {
    let mut datasets = builtin::default();
    for dataset in &mut datasets {
        dataset.max_cells = None;
    }
    let plan = &Arc::new(Plan::new(datasets, Rules::default()));
    let limits = Limits {
        max_series: SERIES,
        max_cells: SERIES,
        ..Limits::default()
    };
    let mut counting = Counting::new(plan);
    let mut aggregate = Aggregate::new(Arc::clone(plan), limits, SEED);
    for unix_s in 0..10 {
        counting.count(messages, HandOver::Once)?;
        let now_ns = unix_s * 1_000_000_000;
        aggregate.merge(&counting.counts, Moment { now_ns, unix_s });
    }
    let statistics = aggregate.report();
    let snapshot = Snapshot {
        statistics: Some(statistics),
        ..Snapshot::default()
    };
    let begun = Instant::now();
    let text = openmetrics(snapshot, None)?;
    let spent = begun.elapsed();
    let lines = text.lines().filter(|line| !line.starts_with('#')).count();
    ensure!(lines >= SERIES * 3 / 4, "{lines} series only");
    Ok(spent.as_secs_f64() * 1e3 * SERIES as f64 / lines as f64)
}
