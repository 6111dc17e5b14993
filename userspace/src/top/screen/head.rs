//! The head: who it is, what is wrong, rates, and the last ten minutes.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Paragraph, Sparkline},
};

use super::{Theme, Tone, tone_of_rcode};
use crate::{
    terminal::{clean, fitted},
    top::{
        app::App,
        trail::Moment,
        units::{bits, rate, seconds, share, uptime},
    },
    view::{Point, Severity, Summary},
};

/// Lines of the head.
pub(super) const HEIGHT: u16 = 7;
/// The numbers' share of a narrow screen; what is left is the sparklines'.
const NUMBERS: u16 = 62;
/// RCODEs that are told, the most frequent first.
const RCODES: usize = 3;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let [title, health, rest] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(title_line(app, theme, title.width)), title);
    frame.render_widget(Paragraph::new(health_line(app, theme)), health);
    let [numbers, sparklines] =
        Layout::horizontal([Constraint::Length(NUMBERS), Constraint::Min(0)]).areas(rest);
    let lines = number_lines(app.summary(), theme);
    frame.render_widget(Paragraph::new(lines), numbers);
    draw_sparklines(frame, sparklines, app, theme);
}

fn title_line(app: &App, theme: Theme, width: u16) -> Line<'static> {
    let instance = &app.summary().instance;
    let mut facts = vec![clean(&app.origin)];
    if !instance.site.is_empty() {
        facts.push(format!("site {}", clean(&instance.site)));
    }
    facts.extend(instance.attachments.iter().map(|place| {
        let (interface, mode) = (clean(&place.interface), clean(&place.mode));
        format!("{interface} {mode}")
    }));
    facts.push(format!("up {}", uptime(instance.uptime_seconds)));
    let node = format!(" {} ", clean(&instance.node));
    let room = usize::from(width).saturating_sub(node.chars().count() + 1);
    Line::from(vec![
        theme.span(Tone::Chosen, node),
        Span::raw(" "),
        theme.span(Tone::Dim, fitted(&facts.join(" · "), room)),
    ])
}

/// In words: what keeps us from knowing, else the worst of what is wrong.
fn health_line(app: &App, theme: Theme) -> Line<'static> {
    if let Some(trouble) = &app.trouble {
        let text = format!(" STALE: {}", clean(trouble));
        return Line::from(theme.span(Tone::Bad, text));
    }
    let summary = app.summary();
    let (tone, text) = match summary.findings.split_first() {
        None if summary.now.is_none() => (Tone::Dim, " waiting for the first second".to_owned()),
        None => (Tone::Good, " all is well".to_owned()),
        Some((worst, others)) => {
            let more = match others.len() {
                0 => String::new(),
                more => format!("  (and {more} more: l)"),
            };
            (
                tone_of(worst.severity),
                format!(" {}{more}", clean(&worst.message)),
            )
        }
    };
    Line::from(theme.span(tone, text))
}

/// How a finding is meant.
pub(super) const fn tone_of(severity: Severity) -> Tone {
    match severity {
        Severity::Notice => Tone::Plain,
        Severity::Warning => Tone::Odd,
        Severity::Critical => Tone::Bad,
    }
}

fn number_lines(summary: &Summary, theme: Theme) -> Vec<Line<'static>> {
    let nothing = Point::default();
    let now = summary.now.as_ref().unwrap_or(&nothing);
    let line = |name: &str, value: String, rest: Vec<Span<'static>>| {
        let mut spans = vec![
            theme.span(Tone::Dim, format!(" {name:10} ")),
            theme.span(Tone::Strong, format!("{value:>10}  ")),
        ];
        spans.extend(rest);
        Line::from(spans)
    };
    vec![
        line("queries", rate(now.queries), of_queries(now)),
        line("responses", rate(now.responses), of_responses(now, theme)),
        line("unanswered", rate(now.unanswered), without_answer(now)),
        line(
            "answered",
            time(now.response_time_p50),
            vec![Span::raw(format!(
                "median  90 % {}  99 % {}",
                time(now.response_time_p90),
                time(now.response_time_p99)
            ))],
        ),
        line("lost", rate(now.lost), of_records(now, theme)),
    ]
}

fn of_queries(now: &Point) -> Vec<Span<'static>> {
    let of = |part| share(part, now.queries).unwrap_or_else(|| "-".to_owned());
    let text = format!(
        "TCP {}  IPv6 {}  {}",
        of(now.tcp_queries),
        of(now.ipv6_queries),
        bits(now.query_bytes)
    );
    vec![Span::raw(text)]
}

fn of_responses(now: &Point, theme: Theme) -> Vec<Span<'static>> {
    let mut rcodes: Vec<_> = now.rcode.iter().filter(|(_, rate)| **rate > 0.0).collect();
    rcodes.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let mut spans = Vec::new();
    for (rcode, rate) in rcodes.into_iter().take(RCODES) {
        let share = share(*rate, now.responses).unwrap_or_default();
        spans.push(theme.span(tone_of_rcode(rcode), clean(rcode)));
        spans.push(Span::raw(format!(" {share}  ")));
    }
    spans
}

fn without_answer(now: &Point) -> Vec<Span<'static>> {
    let of = |part, whole| share(part, whole).unwrap_or_else(|| "-".to_owned());
    let text = format!(
        "truncated {}  unreadable {}",
        of(now.truncated, now.responses),
        of(now.rejected, now.packets)
    );
    vec![Span::raw(text)]
}

fn of_records(now: &Point, theme: Theme) -> Vec<Span<'static>> {
    let sampling = if now.sampling_interval > 1.0 {
        theme.span(Tone::Odd, format!("sampled 1 in {}", now.sampling_interval))
    } else if now.sampled_out > 0.0 {
        theme.span(Tone::Odd, format!("sampled out {}", rate(now.sampled_out)))
    } else {
        Span::raw("not sampled")
    };
    vec![
        sampling,
        Span::raw(format!("  behind {}", seconds(now.lag_seconds))),
    ]
}

fn time(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), seconds)
}

/// Queries large, response time and lag below.
fn draw_sparklines(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let [caption, queries, times, lags] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(area);
    let known = columns(app, queries.width, |moment| Some(moment.queries));
    let peak = known.iter().flatten().copied().fold(0.0, f64::max);
    let text = format!("peak {}", rate(peak));
    frame.render_widget(Paragraph::new(theme.span(Tone::Dim, text)), caption);
    spark(frame, queries, &known, theme, Tone::Good);
    for (area, name, tone, value) in [
        (
            times,
            "90 %",
            Tone::Plain,
            (|moment: &Moment| moment.response_time) as fn(&Moment) -> Option<f64>,
        ),
        (lags, "lag", Tone::Odd, |moment| Some(moment.lag)),
    ] {
        let [label, line] =
            Layout::horizontal([Constraint::Length(5), Constraint::Min(0)]).areas(area);
        frame.render_widget(Paragraph::new(theme.span(Tone::Dim, name)), label);
        spark(frame, line, &columns(app, line.width, value), theme, tone);
    }
}

fn columns(app: &App, width: u16, value: impl Fn(&Moment) -> Option<f64>) -> Vec<Option<f64>> {
    app.trail.columns(app.summary().time, width.into(), value)
}

fn spark(frame: &mut Frame<'_>, area: Rect, values: &[Option<f64>], theme: Theme, tone: Tone) {
    // Fine enough for any unit, and far from the largest number.
    const FINE: f64 = 1e6;
    let bars = values
        .iter()
        .map(|value| value.map(|value| (value * FINE) as u64));
    let line = Sparkline::default().data(bars).style(theme.style(tone));
    frame.render_widget(line, area);
}
