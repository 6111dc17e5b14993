//! DSC JSON.

use std::io::{self, Write};

use super::layout::{Heading, Print, Value};

/// Prints DSC JSON, to the blank as DSC does.
pub(super) struct Printer<'a, W> {
    output: &'a mut W,
    /// Whether something stands before, at each level.
    arrays: bool,
    rows: bool,
    cells: bool,
}

impl<'a, W: Write> Printer<'a, W> {
    pub(super) fn new(output: &'a mut W) -> Self {
        Self {
            output,
            arrays: false,
            rows: false,
            cells: false,
        }
    }
}

impl<W: Write> Print for Printer<'_, W> {
    fn begin(&mut self) -> io::Result<()> {
        self.output.write_all(b"[\n")
    }

    fn begin_array(&mut self, heading: &Heading<'_>) -> io::Result<()> {
        let Heading {
            name,
            labels: [first, second],
            start,
            stop,
        } = heading;
        let comma = if self.arrays { ",\n" } else { "" };
        self.arrays = true;
        self.rows = false;
        write!(
            self.output,
            "{comma}{{\n  \"name\": \"{name}\",\n  \"start_time\": {start},\n  \
             \"stop_time\": {stop},\n  \"dimensions\": [ \"{first}\", \"{second}\" ],\n  \
             \"data\": [\n"
        )
    }

    fn begin_row(&mut self, heading: &Heading<'_>, value: &Value<'_>) -> io::Result<()> {
        let [first, second] = &heading.labels;
        let comma = if self.rows { ",\n" } else { "" };
        self.rows = true;
        self.cells = false;
        let mark = if value.is_base64 {
            "      \"base64\": true,\n"
        } else {
            ""
        };
        write!(
            self.output,
            "{comma}    {{\n      \"{first}\": \"{}\",\n{mark}      \"{second}\": [",
            value.text
        )
    }

    fn cell(&mut self, _: &Heading<'_>, value: &Value<'_>, count: u64) -> io::Result<()> {
        let comma = if self.cells { "," } else { "" };
        self.cells = true;
        let mark = if value.is_base64 {
            ", \"base64\": true"
        } else {
            ""
        };
        write!(
            self.output,
            "{comma}\n        {{ \"val\": \"{}\"{mark}, \"count\": {count} }}",
            value.text
        )
    }

    fn end_row(&mut self, _: &Heading<'_>) -> io::Result<()> {
        let break_before = if self.cells { "\n      " } else { "" };
        write!(self.output, "{break_before}]\n    }}")
    }

    fn end_array(&mut self) -> io::Result<()> {
        let break_before = if self.rows { "\n" } else { "" };
        write!(self.output, "{break_before}  ]\n}}")
    }

    fn end(&mut self) -> io::Result<()> {
        self.output.write_all(b"\n]\n")
    }
}
