//! The screen: a head with what matters, and below it lists, or what a key asked
//! for instead.
//!
//! Every text that is not ours goes through `terminal::fitted`, so that it takes
//! the room that it was given and does nothing else.

mod head;
mod health;
mod help;
mod lists;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::app::{App, Page};
use crate::{cli::TopSort, terminal::clean};

/// Colours, or what stands for them where they are not wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    has_colour: bool,
}

/// How something is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Plain,
    /// Of less weight.
    Dim,
    /// A heading.
    Strong,
    Good,
    Odd,
    Bad,
    /// What keys are for.
    Chosen,
}

impl Theme {
    /// With colours or without.
    pub(super) const fn new(has_colour: bool) -> Self {
        Self { has_colour }
    }

    fn style(self, tone: Tone) -> Style {
        let style = Style::new();
        let colour = |colour, instead: Modifier| match self.has_colour {
            true => style.fg(colour),
            false => style.add_modifier(instead),
        };
        match tone {
            Tone::Plain => style,
            Tone::Dim => style.add_modifier(Modifier::DIM),
            Tone::Strong => style.add_modifier(Modifier::BOLD),
            Tone::Good => colour(Color::Green, Modifier::empty()),
            Tone::Odd => colour(Color::Yellow, Modifier::BOLD),
            Tone::Bad => colour(Color::Red, Modifier::BOLD | Modifier::UNDERLINED),
            Tone::Chosen => style.add_modifier(Modifier::REVERSED),
        }
    }

    fn span<'a>(self, tone: Tone, text: impl Into<std::borrow::Cow<'a, str>>) -> Span<'a> {
        Span::styled(text, self.style(tone))
    }
}

/// How an RCODE is meant.
fn tone_of_rcode(rcode: &str) -> Tone {
    match rcode {
        "NOERROR" => Tone::Good,
        "NXDOMAIN" => Tone::Odd,
        "SERVFAIL" | "REFUSED" | "FORMERR" | "NOTIMP" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, theme: Theme) {
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(head::HEIGHT),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    head::draw(frame, head, app, theme);
    match app.page {
        Page::Lists => lists::draw(frame, body, app, theme),
        Page::Zoomed => lists::draw_pane(frame, body, app, theme, app.focus),
        Page::Health => health::draw(frame, body, app, theme),
        Page::Help => help::draw(frame, body, theme),
    }
    draw_foot(frame, foot, app, theme);
}

/// What is being typed, or what narrows the view, and the keys.
fn draw_foot(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let mut spans = Vec::new();
    if app.is_typing {
        let typed = format!(" find: {}▏", clean(&app.needle));
        spans.push(theme.span(Tone::Strong, typed));
        spans.push(theme.span(Tone::Dim, "  Enter keeps it, Esc forgets it"));
    } else {
        for (is, text) in [
            (app.is_paused, " PAUSED ".to_owned()),
            (
                app.request.filter.is_some(),
                format!(
                    " only {} ",
                    clean(app.request.filter.as_deref().unwrap_or(""))
                ),
            ),
            (
                !app.needle.is_empty(),
                format!(" with \"{}\" ", clean(&app.needle)),
            ),
        ] {
            if is {
                spans.push(theme.span(Tone::Chosen, text));
                spans.push(Span::raw(" "));
            }
        }
        let sort = match app.request.sort {
            TopSort::Rate => "rate",
            TopSort::Total => "total",
            TopSort::Name => "name",
        };
        let keys = format!(
            " q quit  ? help  s sort: {sort}  / find  Enter filter  p pause  z zoom  l losses"
        );
        spans.push(theme.span(Tone::Dim, keys));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}
