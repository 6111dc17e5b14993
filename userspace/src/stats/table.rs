//! What a dataset has counted, ready to be written: values as text, the biggest
//! cells first.

use std::{cmp::Reverse, sync::Arc};

use super::{
    cells::{self, Cells, Key},
    dataset::{Dataset, Indexer},
    label::Style,
    plan::Compat,
};

/// A period of time and what was counted in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Its beginning, in seconds since the Unix epoch.
    pub start: i64,
    /// Its end; what was seen at this second belongs to the next interval.
    pub stop: i64,
    /// The datasets, in the order of the configuration.
    pub tables: Vec<Table>,
    /// What became of packets, by interface or file.
    pub captures: Vec<CaptureCounts>,
}

/// DSC's `pcap_stats` of one interface or file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    /// The interface, or the file's path.
    pub name: String,
    /// Packets seen.
    pub captured: u64,
    /// Packets that reached the interface's filter; not told of files.
    pub received: u64,
    /// Packets that were lost before they could be seen.
    pub dropped: u64,
}

/// What one dataset has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which it is.
    pub dataset: Arc<Dataset>,
    /// Messages that passed the filters.
    pub total: u64,
    /// Messages of values that found no room in memory.
    pub uncounted: u64,
    /// One per value of the first dimension, in no particular order.
    pub rows: Vec<Row>,
}

/// The cells of one value of the first dimension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The value as it is printed: not always UTF-8.
    pub value: Vec<u8>,
    /// Values of the second dimension, the most frequent first.
    pub cells: Vec<Cell>,
    /// Those that are left out, being beyond what the dataset shows.
    pub skipped: Skipped,
}

/// Cells that are not told one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many there are.
    pub cells: u64,
    /// The messages in them.
    pub messages: u64,
}

/// A value and how many messages had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The value as it is printed: not always UTF-8.
    pub value: Vec<u8>,
    /// Messages; never 0.
    pub count: u64,
}

/// DSC's files tell so many cells of each row. Where DSC is followed, names that
/// it prints alike are to be added up first.
pub(super) fn limit(dataset: &Dataset, style: Style, compat: Compat) -> usize {
    match (style, compat) {
        (Style::Dsc, Compat::None) => dataset
            .max_cells
            .map_or(usize::MAX, |cells| cells.get() as usize),
        (Style::Dsc, Compat::Dsc) | (Style::Named, _) => usize::MAX,
    }
}

/// The cells of a dataset, with values as they are `printed`; without those that
/// never are. At most `limit` cells of each row are told one by one.
pub(super) fn rows(
    dataset: &Dataset,
    cells: &Cells,
    limit: usize,
    printed: impl Fn(Indexer, Key, &[u8]) -> Option<Vec<u8>>,
) -> Vec<Row> {
    let [first, second] = &dataset.dimensions;
    let mut counted: Vec<_> = cells.iter().collect();
    counted.sort_unstable_by_key(|cell| cell.keys[0]);
    let rows = counted.chunk_by_mut(|one, other| one.keys[0] == other.keys[0]);
    let rows = rows.filter_map(|row| {
        let one = row.first()?;
        let value = printed(first.indexer, one.keys[0], cells.texts(one.number)[0])?;
        let skipped = leave_out(row, limit);
        let shown = row.len() - skipped.cells as usize;
        let shown = row.get(..shown).unwrap_or(&[]).iter();
        let shown = shown.filter_map(|cell| {
            let value = printed(second.indexer, cell.keys[1], cells.texts(cell.number)[1])?;
            let count = cell.count;
            Some(Cell { value, count })
        });
        let cells = shown.collect();
        Some(Row {
            value,
            cells,
            skipped,
        })
    });
    in_order(rows.collect())
}

/// Brings the biggest cells to the front; what is behind the limit.
fn leave_out(cells: &mut [cells::Cell], limit: usize) -> Skipped {
    if cells.len() <= limit {
        return Skipped::default();
    }
    cells.select_nth_unstable_by_key(limit, |cell| (Reverse(cell.count), cell.keys[1]));
    let rest = cells.get(limit..).unwrap_or(&[]);
    Skipped {
        cells: rest.len() as u64,
        messages: rest.iter().map(|cell| cell.count).sum(),
    }
}

/// Rows in the order of their values, their most frequent cells first; among
/// equals, those in the order of their values, too. What is printed alike, as
/// different names are by DSC, becomes one.
pub(super) fn in_order(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by(|a, b| a.value.cmp(&b.value));
    rows.dedup_by(|later, row| {
        let same = later.value == row.value;
        if same {
            row.cells.append(&mut later.cells);
            row.skipped.cells += later.skipped.cells;
            row.skipped.messages += later.skipped.messages;
        }
        same
    });
    for row in &mut rows {
        row.cells.sort_by(|a, b| a.value.cmp(&b.value));
        row.cells.dedup_by(|later, cell| {
            let same = later.value == cell.value;
            if same {
                cell.count += later.count;
            }
            same
        });
        // Equals stay in their order.
        row.cells.sort_by_key(|cell| Reverse(cell.count));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_tell_the_biggest_cells_and_add_up_the_rest() {
        let cell = |number| cells::Cell {
            keys: [0, u64::from(number)],
            count: 1 + u64::from(number) % 10,
            number,
        };
        let mut cells: Vec<_> = (0..100).map(cell).collect();
        let skipped = leave_out(&mut cells, 10);
        assert!(cells[..10].iter().all(|cell| cell.count == 10));
        // A hundred cells count 550, the ten biggest of them 100.
        assert_eq!((skipped.cells, skipped.messages), (90, 450));
        assert_eq!(leave_out(&mut cells, 100), Skipped::default());
    }
}
