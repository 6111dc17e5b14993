//! The walk over an interval, which both formats share: which arrays there are,
//! which cells are left out, and how values are escaped.

use std::borrow::Cow;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::stats::dataset::Dataset;
use crate::stats::table::{CaptureCounts, Cell, Interval, Row, Skipped, Table};

/// Stand for the cells that are left out: their number, and their messages.
const SKIPPED: &[u8] = b"-:SKIPPED:-";
const SKIPPED_SUM: &[u8] = b"-:SKIPPED_SUM:-";

/// What is told of an array before its rows.
pub(super) struct Heading<'a> {
    pub(super) name: Cow<'a, str>,
    /// Of the rows, of the columns.
    pub(super) labels: [Cow<'a, str>; 2],
    pub(super) start: i64,
    pub(super) stop: i64,
}

/// A value that needs no more escaping in either format.
pub(super) struct Value<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) is_base64: bool,
}

/// Prints what the walk comes across.
pub(super) trait Print {
    fn begin(&mut self) -> io::Result<()>;
    fn begin_array(&mut self, heading: &Heading<'_>) -> io::Result<()>;
    fn begin_row(&mut self, heading: &Heading<'_>, value: &Value<'_>) -> io::Result<()>;
    fn cell(&mut self, heading: &Heading<'_>, value: &Value<'_>, count: u64) -> io::Result<()>;
    fn end_row(&mut self, heading: &Heading<'_>) -> io::Result<()>;
    fn end_array(&mut self) -> io::Result<()>;
    fn end(&mut self) -> io::Result<()>;
}

/// Prints the interval in DSC's order.
pub(super) fn print(interval: &Interval, printer: &mut impl Print) -> io::Result<()> {
    printer.begin()?;
    captures(interval, printer)?;
    for table in interval.tables.iter().rev() {
        array(interval, table, printer)?;
    }
    printer.end()
}

fn captures(interval: &Interval, printer: &mut impl Print) -> io::Result<()> {
    let heading = Heading {
        name: "pcap_stats".into(),
        labels: ["ifname".into(), "pcap_stat".into()],
        start: interval.start,
        stop: interval.stop,
    };
    printer.begin_array(&heading)?;
    for capture in &interval.captures {
        row(&heading, &capture_row(capture), Limits::NONE, printer)?;
    }
    printer.end_array()
}

fn capture_row(capture: &CaptureCounts) -> Row {
    let mut cells: Vec<_> = [
        ("pkts_captured", capture.captured),
        ("filter_received", capture.received),
        ("kernel_dropped", capture.dropped),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(name, count)| Cell {
        value: name.into(),
        count,
    })
    .collect();
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.count));
    Row {
        value: capture.name.clone().into_bytes(),
        cells,
        ..Row::default()
    }
}

fn array(interval: &Interval, table: &Table, printer: &mut impl Print) -> io::Result<()> {
    let dataset = &table.dataset;
    let [first, second] = &dataset.dimensions;
    let heading = Heading {
        name: word(&dataset.name),
        labels: [word(&first.label), word(&second.label)],
        start: interval.start,
        stop: interval.stop,
    };
    printer.begin_array(&heading)?;
    for row in &table.rows {
        self::row(&heading, row, Limits::of(dataset), printer)?;
    }
    printer.end_array()
}

/// What bounds the cells of a row.
#[derive(Clone, Copy)]
struct Limits {
    min_count: u64,
    max_cells: usize,
}

impl Limits {
    const NONE: Self = Self {
        min_count: 0,
        max_cells: usize::MAX,
    };

    fn of(dataset: &Dataset) -> Self {
        let max_cells = dataset.max_cells.map(|cells| usize::try_from(cells.get()));
        Self {
            min_count: dataset.min_count.map_or(0, u64::from),
            max_cells: max_cells.map_or(usize::MAX, |cells| cells.unwrap_or(usize::MAX)),
        }
    }
}

/// Cells come with the most frequent first, so those that count too little are
/// the last.
fn row(
    heading: &Heading<'_>,
    row: &Row,
    limits: Limits,
    printer: &mut impl Print,
) -> io::Result<()> {
    printer.begin_row(heading, &value(&row.value))?;
    let sufficient = row.cells.iter().take(limits.max_cells);
    let written = sufficient.take_while(|cell| cell.count >= limits.min_count);
    let mut number = 0;
    for cell in written {
        printer.cell(heading, &value(&cell.value), cell.count)?;
        number += 1;
    }
    let rest = row.cells.get(number..).unwrap_or_default();
    let skipped = rest.iter().fold(row.skipped, |skipped, cell| Skipped {
        cells: skipped.cells.saturating_add(1),
        messages: skipped.messages.saturating_add(cell.count),
    });
    if skipped.cells > 0 {
        printer.cell(heading, &value(SKIPPED), skipped.cells)?;
        printer.cell(heading, &value(SKIPPED_SUM), skipped.messages)?;
    }
    printer.end_row(heading)
}

/// The value as it is, or in base64 when it has an octet beyond letters,
/// digits, `.`, `_`, `-` and `:`.
fn value(octets: &[u8]) -> Value<'_> {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"._-:".contains(octet);
    match str::from_utf8(octets) {
        Ok(text) if octets.iter().all(plain) => Value {
            text: text.into(),
            is_base64: false,
        },
        Ok(_) | Err(_) => Value {
            text: STANDARD.encode(octets).into(),
            is_base64: true,
        },
    }
}

/// A name that is an XML element and a JSON key; `_` stands for what cannot be.
fn word(name: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.chars().all(fits) {
        return name.into();
    }
    name.replace(|c| !fits(c), "_").into()
}
