//! What a dataset has counted, ready to be written: values as text, the biggest
//! cells first.

use std::sync::Arc;

use super::dataset::Dataset;

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
