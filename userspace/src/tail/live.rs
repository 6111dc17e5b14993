//! Exchanges from a running xdsc, over its HTTP interface.

use std::{
    io::{self, BufRead, BufReader, Read as _, Write},
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::ValueEnum as _;
use serde::Deserialize;
use serde_json::Value;
use ureq::{Body, http::Response};

use super::{Layout, Printer, Stopped};
use crate::{cli::TailArgs, enrich::exchange::shown::Shown, interrupt, remote::Remote};

/// Where the stream is.
const PATH: &str = "/api/v1/tail";
/// The stream says something every 15 s at least: it has gone when it did not for
/// three times as long.
const SILENCE: Duration = Duration::from_secs(45);
/// No line is longer: a server that sends one is none of ours.
const LONGEST: u64 = 64 * 1024;

/// A line that tells what is missing.
#[derive(Deserialize)]
struct Dropped {
    dropped: u64,
}

/// Shows what comes until the stream or the count is over.
pub(super) fn show(
    args: &TailArgs,
    printer: &mut Printer<'_, impl Write>,
    complaints: &mut impl Write,
) -> Result<(), Stopped> {
    let response = ask(args)?;
    let dropped = Arc::new(AtomicU64::new(0));
    let last = Arc::clone(&dropped);
    interrupt::end_with(move || {
        // There is nobody left to tell when this fails, too.
        drop(tell_dropped(
            &mut io::stderr(),
            last.load(Ordering::Relaxed),
        ));
    })?;
    let lines = BufReader::new(response.into_body().into_reader());
    let shown = show_lines(lines, printer, &dropped);
    tell_dropped(complaints, dropped.load(Ordering::Relaxed))?;
    match shown? {
        End::Count => Ok(()),
        End::Stream => {
            writeln!(
                complaints,
                "xdsc: the stream has ended: xdsc has stopped there"
            )?;
            Ok(())
        }
    }
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As many as were wanted.
    Count,
    /// There is no more.
    Stream,
}

/// Shows lines as they come.
pub(super) fn show_lines(
    mut lines: BufReader<impl io::Read>,
    printer: &mut Printer<'_, impl Write>,
    dropped: &AtomicU64,
) -> Result<End, Stopped> {
    printer.head()?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        let read = read.map_err(|error| Stopped::Told(format!("the stream broke off: {error}")))?;
        if read == 0 {
            return Ok(End::Stream);
        }
        let flow = show_line(line.trim_ascii(), printer, dropped)?;
        // Whoever looks on sees a line at once, and a burst of them quickly.
        if flow.is_break() || lines.buffer().is_empty() {
            printer.out.flush()?;
        }
        if flow.is_break() {
            return Ok(End::Count);
        }
    }
}

fn show_line(
    line: &[u8],
    printer: &mut Printer<'_, impl Write>,
    dropped: &AtomicU64,
) -> Result<ControlFlow<()>, Stopped> {
    if line.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    let foreign = |_| Stopped::told("what came is no stream of xdsc; see whose address --url is");
    if let Ok(missed) = serde_json::from_slice::<Dropped>(line) {
        dropped.fetch_add(missed.dropped, Ordering::Relaxed);
        if let Layout::Json = printer.layout {
            printer.json(&serde_json::json!({ "dropped": missed.dropped }))?;
        }
        return Ok(ControlFlow::Continue(()));
    }
    match printer.layout {
        Layout::Text(_) => {
            let shown: Shown = serde_json::from_slice(line).map_err(foreign)?;
            Ok(printer.exchange(&shown)?)
        }
        // As it is, whatever a newer xdsc adds to it; read, so that nothing but
        // JSON is passed on.
        Layout::Json => {
            let value: Value = serde_json::from_slice(line).map_err(foreign)?;
            Ok(printer.value(&value)?)
        }
    }
}

impl<W: Write> Printer<'_, W> {
    fn value(&mut self, value: &Value) -> io::Result<ControlFlow<()>> {
        self.json(value)?;
        self.left -= 1;
        Ok(match self.left {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    }
}

fn tell_dropped(complaints: &mut impl Write, dropped: u64) -> io::Result<()> {
    if dropped == 0 {
        return Ok(());
    }
    writeln!(
        complaints,
        "xdsc: {dropped} exchanges were dropped, as they were not read in time; a filter, or a \
         lower `max_rate` in [stream], makes them fewer"
    )
}

fn ask(args: &TailArgs) -> Result<Response<Body>, Stopped> {
    let remote = Remote::new(&args.url, SILENCE).map_err(Stopped::told)?;
    remote.get(&path(args), "a stream").map_err(Stopped::told)
}

fn path(args: &TailArgs) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(count) = args.count {
        query.append_pair("count", &count.to_string());
    }
    if let Some(clients) = args.clients.and_then(|clients| clients.to_possible_value()) {
        query.append_pair("clients", clients.get_name());
    }
    for (condition, value) in args.conditions() {
        query.append_pair(condition.name(), value);
    }
    format!("{PATH}?{}", query.finish())
}
