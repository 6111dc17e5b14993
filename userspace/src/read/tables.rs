//! Datasets as people and programs read them.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::{Serialize, Serializer as _, ser::SerializeSeq as _};

use super::datasets::Sink;
use crate::stats::{
    dataset::Measure,
    table::{Cell, Interval, Row, Table},
};

/// Columns of a row that has no bound of its own; the rest is added up.
const TOP: usize = 20;

/// One table per dataset, the most frequent values first.
pub(super) fn text(interval: &Interval, out: &mut impl Write) -> io::Result<()> {
    let (start, stop) = (time(interval.start), time(interval.stop));
    writeln!(out, "Interval  {start} to {stop}")?;
    for table in &interval.tables {
        writeln!(out)?;
        text_table(table, out)?;
    }
    Ok(())
}

fn text_table(table: &Table, out: &mut impl Write) -> io::Result<()> {
    let [rows, columns] = &table.dataset.dimensions;
    let name = &table.dataset.name;
    let by = if table.dataset.is_flat() {
        columns.label.clone()
    } else {
        format!("{} and {}", rows.label, columns.label)
    };
    writeln!(out, "{name}, by {by}: {} {}", table.total, unit(table))?;
    for row in &table.rows {
        let value = printable(&row.value);
        let row_name = if table.dataset.is_flat() { "" } else { &value };
        text_row(row_name, row, table, out)?;
    }
    if table.uncounted > 0 {
        text_cell("", "(no room in memory)", table.uncounted, table.total, out)?;
    }
    Ok(())
}

/// As JSON names it, too.
fn unit(table: &Table) -> &'static str {
    table.dataset.measure.label()
}

fn text_row(name: &str, row: &Row, table: &Table, out: &mut impl Write) -> io::Result<()> {
    let bound = table
        .dataset
        .max_cells
        .map_or(TOP, |cells| cells.get() as usize);
    let (shown, rest) = row.cells.split_at(bound.min(row.cells.len()));
    for cell in shown {
        text_cell(name, &printable(&cell.value), cell.count, table.total, out)?;
    }
    if !rest.is_empty() {
        let more = format!("({} more)", rest.len());
        let count = rest.iter().map(|cell| cell.count).sum();
        text_cell(name, &more, count, table.total, out)?;
    }
    Ok(())
}

fn text_cell(
    row: &str,
    value: &str,
    count: u64,
    total: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let share = 100.0 * count as f64 / total.max(1) as f64;
    if row.is_empty() {
        return writeln!(out, "  {value:<64} {count:>12} {share:>6.1} %");
    }
    writeln!(out, "  {row:<18} {value:<45} {count:>12} {share:>6.1} %")
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// For a terminal: what is not printable ASCII is `\DDD`, as in RFC 1035, section
/// 5.1. Names come escaped already, but for those as DSC prints them; texts of
/// EDNS options do not.
fn printable(value: &[u8]) -> String {
    let mut printed = String::with_capacity(value.len());
    for octet in value {
        match octet {
            b' '..=b'~' => printed.push(char::from(*octet)),
            _ => printed.push_str(&format!("\\{octet:03}")),
        }
    }
    printed
}

/// The document of `--format json`: an array of the intervals that `give` puts
/// into its sink, each written at once. What `give` returns is handed on.
pub(super) fn json<T>(
    out: &mut impl Write,
    give: impl FnOnce(&mut Sink<'_>) -> io::Result<T>,
) -> io::Result<T> {
    let mut serializer = serde_json::Serializer::pretty(&mut *out);
    let mut array = serializer.serialize_seq(None)?;
    let given = give(&mut |interval| {
        array.serialize_element(&JsonInterval::new(&interval))?;
        Ok(())
    })?;
    array.end()?;
    writeln!(out)?;
    Ok(given)
}

/// What was counted in an interval. Its keys are part of what users rely on.
#[derive(Serialize)]
struct JsonInterval<'a> {
    /// Seconds since the Unix epoch.
    start: i64,
    /// Seconds since the Unix epoch.
    stop: i64,
    datasets: Vec<JsonTable<'a>>,
}

#[derive(Serialize)]
struct JsonTable<'a> {
    name: &'a str,
    dimensions: [&'a str; 2],
    /// Messages that passed the filters, or octets of them.
    #[serde(flatten)]
    total: JsonAmount,
    /// Those of them that are in no cell.
    uncounted: u64,
    cells: Vec<JsonCell>,
}

#[derive(Serialize)]
struct JsonCell {
    values: [String; 2],
    #[serde(flatten)]
    count: JsonAmount,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum JsonAmount {
    Messages(u64),
    Bytes(u64),
}

impl JsonAmount {
    const fn new(amount: u64, measure: Measure) -> Self {
        match measure {
            Measure::Messages => Self::Messages(amount),
            Measure::Bytes => Self::Bytes(amount),
        }
    }
}

impl<'a> JsonInterval<'a> {
    fn new(interval: &'a Interval) -> Self {
        Self {
            start: interval.start,
            stop: interval.stop,
            datasets: interval.tables.iter().map(JsonTable::new).collect(),
        }
    }
}

impl<'a> JsonTable<'a> {
    fn new(table: &'a Table) -> Self {
        let [rows, columns] = &table.dataset.dimensions;
        Self {
            name: &table.dataset.name,
            dimensions: [&rows.label, &columns.label],
            total: JsonAmount::new(table.total, table.dataset.measure),
            uncounted: table.uncounted,
            cells: (table.rows.iter())
                .flat_map(|row| json_cells(row, table.dataset.measure))
                .collect(),
        }
    }
}

fn json_cells(row: &Row, measure: Measure) -> impl Iterator<Item = JsonCell> {
    let value = utf8(&row.value);
    let cell = move |cell: &Cell| JsonCell {
        values: [value.clone(), utf8(&cell.value)],
        count: JsonAmount::new(cell.count, measure),
    };
    row.cells.iter().map(cell)
}

/// Values are UTF-8 but for names as DSC prints them, and texts of EDNS options.
fn utf8(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_written_as_they_end() {
        let interval = |start| Interval {
            start,
            stop: start + 60,
            ..Interval::default()
        };
        let written = |starts: &[i64]| {
            let mut out = Vec::new();
            json(&mut out, |sink| {
                starts.iter().try_for_each(|start| sink(interval(*start)))
            })
            .expect("memory takes all");
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(written(&[]), "[]\n");
        let document: serde_json::Value = serde_json::from_str(&written(&[0, 60])).expect("JSON");
        assert_eq!(
            document,
            serde_json::json!([
                { "start": 0, "stop": 60, "datasets": [] },
                { "start": 60, "stop": 120, "datasets": [] },
            ])
        );

        let mut text = Vec::new();
        json(&mut text, |sink| {
            sink(interval(0))?;
            Err::<(), _>(io::Error::other("the capture's end"))
        })
        .expect_err("it is passed on");
        let text = String::from_utf8(text).expect("UTF-8");
        assert!(text.contains("\"start\": 0"), "{text}");
    }

    #[test]
    fn nothing_in_a_packet_reaches_a_terminal_as_a_command() {
        for (value, expected) in [
            (&b"www.example"[..], "www.example"),
            (b"\x1b[31m red \x07", r"\027[31m red \007"),
            (b"\x7f\xc2\x9b2J\xff", r"\127\194\1552J\255"),
            (br"a\.b", r"a\.b"),
            (b"a\nb\tc", r"a\010b\009c"),
        ] {
            assert_eq!(printable(value), expected);
        }
    }
}
