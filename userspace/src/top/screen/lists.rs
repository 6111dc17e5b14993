//! The lists of what is most frequent.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph, Wrap},
};

use super::{Theme, Tone, tone_of_rcode};
use crate::{
    cli::TopSort,
    terminal::{clean, fitted},
    top::{
        app::{ACROSS, App, PANES},
        units::{count, rate, share},
    },
    view::{Amount, Counted, Row, Top},
};

/// Types are short, and networks of IPv6 long.
const WIDTHS: [Constraint; ACROSS] = [
    Constraint::Fill(4),
    Constraint::Fill(5),
    Constraint::Fill(6),
];
/// Columns of the number and of its share.
const NUMBER: usize = 10;
const SHARE: usize = 8;
/// So wide, a list says what it counts.
const WIDE: u16 = 40;
/// The share is told where this much is left for the value.
const SHORTEST_VALUE: usize = 14;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let rows = Layout::vertical([Constraint::Fill(1); PANES.len() / ACROSS]).split(area);
    for (row, area) in rows.iter().enumerate() {
        let panes = Layout::horizontal(WIDTHS).spacing(2).split(*area);
        for (column, area) in panes.iter().enumerate() {
            draw_pane(frame, *area, app, theme, row * ACROSS + column);
        }
    }
}

/// One list, in the room that there is.
pub(super) fn draw_pane(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme, pane: usize) {
    let tone = match pane == app.focus {
        true => Tone::Chosen,
        false => Tone::Strong,
    };
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(theme.style(Tone::Dim))
        .title(theme.span(tone, title(app, pane, area.width)));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let Some(top) = app.list(pane) else {
        return;
    };
    let rows = app.rows(pane);
    if rows.is_empty() {
        let why = Paragraph::new(theme.span(Tone::Dim, nothing(app, top)));
        frame.render_widget(why.wrap(Wrap { trim: true }), inner);
        return;
    }
    let choice = app.choice(pane);
    let height = usize::from(inner.height);
    let first = choice.map_or(0, |choice| (choice + 1).saturating_sub(height));
    let width = usize::from(inner.width);
    let lines = rows.iter().enumerate().skip(first).take(height);
    let lines = lines.map(|(number, row)| {
        let is_chosen = choice == Some(number) && pane == app.focus;
        line(app, top, row, width, theme, is_chosen)
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}

fn title(app: &App, pane: usize, width: u16) -> String {
    let counts = match app.list(pane).map(|top| top.counts) {
        Some(Counted::Queries) => ", queries",
        Some(Counted::Responses) => ", responses",
        Some(Counted::Bytes) => ", octets",
        Some(Counted::Packets) => ", packets",
        Some(Counted::Messages) | None => "",
    };
    let counts = if width < WIDE { "" } else { counts };
    format!(" {}{counts} ", PANES[pane].title)
}

/// Why a list is empty.
fn nothing(app: &App, top: &Top) -> String {
    if !top.note.is_empty() {
        clean(&top.note)
    } else if !top.rows.is_empty() {
        format!("nothing here has \"{}\" in it", clean(&app.needle))
    } else if top.available {
        "nothing yet".to_owned()
    } else {
        "not counted".to_owned()
    }
}

fn line(
    app: &App,
    top: &Top,
    row: &Row,
    width: usize,
    theme: Theme,
    is_chosen: bool,
) -> Line<'static> {
    let has_share = width >= SHORTEST_VALUE + NUMBER + SHARE;
    let numbers = NUMBER + if has_share { SHARE } else { 0 };
    let text = match &row.detail {
        Some(detail) => format!("{} {detail}", row.value),
        None => row.value.clone(),
    };
    let tone = match (is_chosen, top.of.as_str()) {
        (true, _) => Tone::Chosen,
        (false, "rcode") => tone_of_rcode(&row.value),
        (false, _) => Tone::Plain,
    };
    let mut spans = vec![
        theme.span(tone, fitted(&text, width.saturating_sub(numbers))),
        Span::raw(format!("{:>NUMBER$}", measured(app, &row.amount))),
    ];
    if has_share {
        let share = share(app.measure(&row.amount), app.measure(&top.sum));
        let text = format!("{:>SHARE$}", share.unwrap_or_default());
        spans.push(theme.span(Tone::Dim, text));
    }
    Line::from(spans)
}

fn measured(app: &App, of: &Amount) -> String {
    match (app.request.sort, of.rate) {
        (TopSort::Total, _) => count(of.total),
        (TopSort::Rate | TopSort::Name, Some(value)) => rate(value),
        (TopSort::Rate | TopSort::Name, None) => "-".to_owned(),
    }
}
