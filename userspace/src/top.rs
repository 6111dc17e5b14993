//! `xdsc top`: what a running xdsc sees, second by second, in the terminal.
//!
//! All of it comes from the events of the JSON API (`feed` reads them), also where
//! xdsc watches an interface itself (`own`), so that there is one way to be right.
//! `app` is what is on the screen and what keys do to it, `screen` draws that,
//! `terminal` holds the two together. Where there is no terminal, `plain` prints.

mod app;
mod feed;
mod own;
mod plain;
mod screen;
mod session;
#[cfg(test)]
mod tests;
mod trail;
mod units;

use std::{
    io::{self, IsTerminal as _, Write},
    process::ExitCode,
    time::Duration,
};

use crate::{
    cli::{TopArgs, TopFormat},
    interrupt,
    remote::{Remote, RemoteError},
    terminal,
};

use feed::{Request, Stream};
use own::Own;

/// An event comes every second: it has gone when none did for so long.
const SILENCE: Duration = Duration::from_secs(10);

/// Shows what is asked for; what goes wrong is told to `complaints`, and makes the
/// status 1.
///
/// # Errors
/// When `out` or `complaints` cannot be written to.
pub fn run(
    args: &TopArgs,
    out: &mut impl Write,
    complaints: &mut impl Write,
) -> io::Result<ExitCode> {
    let shown = match args.interfaces.is_empty() {
        true => show(args, &args.url, out),
        false => watch(args, out),
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

impl From<RemoteError> for Stopped {
    fn from(error: RemoteError) -> Self {
        Self::Told(error.to_string())
    }
}

/// Attaches to the interfaces for as long as it is looked at.
fn watch(args: &TopArgs, out: &mut impl Write) -> Result<(), Stopped> {
    let told = |error| Stopped::Told(format!("{error:#}"));
    let own = Own::start(args).map_err(told)?;
    let shown = show(args, own.url(), out);
    let is_interrupted = own.is_interrupted();
    own.stop().map_err(told)?;
    match shown {
        // That the events are over is what was wanted.
        Err(Stopped::Told(_)) if is_interrupted => Ok(()),
        shown => shown,
    }
}

fn show(args: &TopArgs, url: &str, out: &mut impl Write) -> Result<(), Stopped> {
    let remote = Remote::new(url, SILENCE)?;
    let request = Request::new(args);
    match format(args) {
        TopFormat::Screen => session::run(args, remote, request),
        plain @ (TopFormat::Text | TopFormat::Json) => {
            if args.interfaces.is_empty() {
                interrupt::end_with(|| ())?;
            }
            let events = Stream::open(&remote, &request)?;
            plain::print(args, plain, events, out)
        }
    }
}

/// What was asked for, else what goes with where it is shown.
fn format(args: &TopArgs) -> TopFormat {
    let has_screen = io::stdout().is_terminal() && io::stdin().is_terminal();
    args.format.unwrap_or({
        if has_screen && args.count.is_none() && !terminal::is_dumb() {
            TopFormat::Screen
        } else {
            TopFormat::Text
        }
    })
}
