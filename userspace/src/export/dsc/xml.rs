//! DSC XML.

use std::io::{self, Write};

use super::layout::{Heading, Print, Value};

/// Prints DSC XML, to the blank as DSC does.
pub(super) struct Printer<'a, W>(&'a mut W);

impl<'a, W: Write> Printer<'a, W> {
    pub(super) fn new(output: &'a mut W) -> Self {
        Self(output)
    }
}

impl<W: Write> Print for Printer<'_, W> {
    fn begin(&mut self) -> io::Result<()> {
        self.0.write_all(b"<dscdata>\n")
    }

    fn begin_array(&mut self, heading: &Heading<'_>) -> io::Result<()> {
        let Heading {
            name,
            labels: [first, second],
            start,
            stop,
        } = heading;
        write!(
            self.0,
            "<array name=\"{name}\" dimensions=\"2\" start_time=\"{start}\" \
             stop_time=\"{stop}\">\n  \
             <dimension number=\"1\" type=\"{first}\"/>\n  \
             <dimension number=\"2\" type=\"{second}\"/>\n  \
             <data>\n"
        )
    }

    fn begin_row(&mut self, heading: &Heading<'_>, value: &Value<'_>) -> io::Result<()> {
        let attributes = Attributes(value);
        writeln!(self.0, "    <{}{attributes}>", heading.labels[0])
    }

    fn cell(&mut self, heading: &Heading<'_>, value: &Value<'_>, count: u64) -> io::Result<()> {
        let attributes = Attributes(value);
        writeln!(
            self.0,
            "      <{}{attributes} count=\"{count}\"/>",
            heading.labels[1]
        )
    }

    fn end_row(&mut self, heading: &Heading<'_>) -> io::Result<()> {
        writeln!(self.0, "    </{}>", heading.labels[0])
    }

    fn end_array(&mut self) -> io::Result<()> {
        self.0.write_all(b"  </data>\n</array>\n")
    }

    fn end(&mut self) -> io::Result<()> {
        self.0.write_all(b"</dscdata>\n")
    }
}

struct Attributes<'a>(&'a Value<'a>);

impl std::fmt::Display for Attributes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.0.is_base64 {
            " base64=\"1\""
        } else {
            ""
        };
        write!(f, " val=\"{}\"{mark}", self.0.text)
    }
}
