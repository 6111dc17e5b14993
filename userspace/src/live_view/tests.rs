//! What is seen by whoever looks, of datasets made by hand.

use std::sync::Arc;

use crate::stats::{
    aggregate::{CellReport, Table},
    builtin,
};

type Cells<'a> = &'a [([&'a str; 2], u64)];

/// Built-in datasets with these cells, and nothing without a cell.
pub(super) fn tables(datasets: &[(&str, Cells<'_>)]) -> Arc<[Table]> {
    let datasets = datasets.iter();
    datasets.map(|(name, cells)| table(name, cells)).collect()
}

fn table(name: &str, cells: Cells<'_>) -> Table {
    let mut reports: Vec<_> = cells
        .iter()
        .map(|([first, second], count)| CellReport {
            values: [Arc::from(*first), Arc::from(*second)],
            count: *count,
        })
        .collect();
    reports.sort_by(|a, b| a.values.cmp(&b.values));
    Table {
        dataset: Arc::new(builtin::named(name).expect(name)),
        total: cells.iter().map(|(_, count)| count).sum(),
        cells: reports,
        other: 0,
        retired: 0,
        uncounted: 0,
        replaced: 0,
        expired: 0,
        overflow: 0,
        error_bound: 0.0,
    }
}
