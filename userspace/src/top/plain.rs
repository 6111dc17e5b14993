//! The same as lines, for pipes, logs and terminals that can but print.

use std::io::Write;

use super::{
    Stopped,
    app::{App, PANES},
    feed::{self, News, Request, Stream},
    units::{rate, seconds, share},
};
use crate::{
    cli::{TopArgs, TopFormat},
    terminal::clean,
    view::{Point, Summary, View},
};

/// Rows of a list that have room in a line.
const ROWS: usize = 5;

/// Who has just begun to look waits for rates so many events at most.
const FIRST: u8 = 3;

/// Prints events until they are over, or as many as are wanted.
pub(super) fn print(
    args: &TopArgs,
    format: TopFormat,
    mut events: Stream,
    out: &mut impl Write,
) -> Result<(), Stopped> {
    let mut left = args.count.map_or(u64::MAX, Into::into);
    let mut skipped = 0;
    while left > 0 {
        let Some(json) = events.next().map_err(Stopped::Told)? else {
            return Err(Stopped::Told("xdsc has stopped there".to_owned()));
        };
        let view: View = feed::parse(&json).map_err(Stopped::Told)?;
        if skipped < FIRST && !has_rates(&view) {
            skipped += 1;
            continue;
        }
        match format {
            // As it is, whatever a newer xdsc adds to it.
            TopFormat::Json => writeln!(out, "{json}")?,
            TopFormat::Text | TopFormat::Screen => block(args, view, out)?,
        }
        out.flush()?;
        left -= 1;
    }
    Ok(())
}

/// Lists are counted only while somebody looks, and compared with what was before.
fn has_rates(view: &View) -> bool {
    let mut lists = view.top.iter().filter(|top| top.available);
    lists.all(|top| top.window_seconds > 0.0)
}

/// A second.
fn block(args: &TopArgs, view: View, out: &mut impl Write) -> Result<(), Stopped> {
    let mut app = App::new(String::new(), Request::new(args));
    app.learn(News::View(Box::new(view)));
    writeln!(out, "{}", first_line(app.summary()))?;
    for finding in &app.summary().findings {
        writeln!(out, "  ! {}", clean(&finding.message))?;
    }
    for (number, pane) in PANES.iter().enumerate() {
        writeln!(out, "  {:13} {}", pane.of, list(&app, number))?;
    }
    Ok(())
}

fn first_line(summary: &Summary) -> String {
    let nothing = Point::default();
    let now = summary.now.as_ref().unwrap_or(&nothing);
    format!(
        "{} {}  queries {}  responses {}  unanswered {}  median {}  lost {}  sampled out {}  behind {}",
        time(summary.time),
        clean(&summary.instance.node),
        rate(now.queries),
        rate(now.responses),
        rate(now.unanswered),
        now.response_time_p50.map_or("-".to_owned(), seconds),
        rate(now.lost),
        rate(now.sampled_out),
        seconds(now.lag_seconds),
    )
}

/// To the second, as logs have it.
fn time(seconds: f64) -> String {
    match jiff::Timestamp::from_second(seconds as i64) {
        Ok(time) => time.to_string(),
        Err(_) => "-".to_owned(),
    }
}

fn list(app: &App, pane: usize) -> String {
    let Some(top) = app.list(pane) else {
        return "-".to_owned();
    };
    let rows = app.rows(pane).into_iter().take(ROWS).map(|row| {
        let share = share(app.measure(&row.amount), app.measure(&top.sum));
        format!("{} {}", clean(&row.value), share.as_deref().unwrap_or("-"))
    });
    let rows: Vec<_> = rows.collect();
    match rows.is_empty() {
        true if top.note.is_empty() => "-".to_owned(),
        true => clean(&top.note),
        false => rows.join("  "),
    }
}
