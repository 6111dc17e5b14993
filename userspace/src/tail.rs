//! `xdsc tail`: queries with their responses, one per line, as they come or from
//! capture files.
//!
//! Both ways end in the same view of an exchange ([`Shown`]): live, the daemon has
//! made it (`live` reads it over HTTP); of files, it is made here, by the pairing
//! and enrichment of the daemon (`file`). `text` lays it out for people.

mod file;
mod live;
#[cfg(test)]
mod tests;
mod text;

use std::{
    io::{self, Write},
    ops::ControlFlow,
    process::ExitCode,
};

use crate::{
    cli::{TailArgs, TailFormat},
    enrich::exchange::shown::Shown,
    terminal::has_colour,
};

/// Shows what is asked for; what goes wrong is told to `complaints`, and makes the
/// status 1.
///
/// # Errors
/// When `out` or `complaints` cannot be written to.
pub fn run(
    args: &TailArgs,
    out: &mut impl Write,
    complaints: &mut impl Write,
) -> io::Result<ExitCode> {
    let mut printer = Printer {
        out,
        layout: match args.format {
            TailFormat::Text => Layout::Text(text::Palette::new(has_colour())),
            TailFormat::Json => Layout::Json,
        },
        left: args.count.map_or(u64::MAX, Into::into),
    };
    let shown = if args.files.is_empty() {
        live::show(args, &mut printer, complaints)
    } else {
        file::show(args, &mut printer, complaints)
    };
    match shown {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Stopped::Output(error)) => Err(error),
        Err(Stopped::Told(reason)) => {
            writeln!(complaints, "xdsc: {reason}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("{0}")]
    Told(String),
    #[error(transparent)]
    Output(#[from] io::Error),
}

impl Stopped {
    fn told(reason: impl ToString) -> Self {
        Self::Told(reason.to_string())
    }
}

/// Prints lines, as many as are wanted.
struct Printer<'a, W> {
    out: &'a mut W,
    layout: Layout,
    left: u64,
}

enum Layout {
    Text(text::Palette),
    Json,
}

impl<W: Write> Printer<'_, W> {
    /// What stands above the lines.
    fn head(&mut self) -> io::Result<()> {
        match self.layout {
            Layout::Text(_) => writeln!(self.out, "{}", text::HEAD)?,
            Layout::Json => {}
        }
        self.out.flush()
    }

    /// A line; whether more are wanted.
    fn exchange(&mut self, shown: &Shown) -> io::Result<ControlFlow<()>> {
        match &self.layout {
            Layout::Text(palette) => writeln!(self.out, "{}", text::line(shown, palette))?,
            Layout::Json => self.json(shown)?,
        }
        self.left -= 1;
        Ok(match self.left {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    }

    fn json(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut *self.out, line)?;
        writeln!(self.out)
    }
}
