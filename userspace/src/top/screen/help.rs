//! What keys do, and what the words of the head mean.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use super::{Theme, Tone};
use crate::top::app::BINDINGS;

const WORDS: [(&str, &str); 2] = [
    ("lost", "records that found no room in a ring"),
    ("sampled", "records left out on purpose, as a ring fills"),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let line = |name: &str, does: &'static str| {
        Line::from(vec![
            theme.span(Tone::Strong, format!(" {name:11}")),
            Span::raw(does),
        ])
    };
    let keys = BINDINGS
        .iter()
        .map(|binding| line(binding.shown, binding.does));
    let words = WORDS.iter().map(|(word, means)| line(word, means));
    // The words may go where there is no room.
    let lines: Vec<_> = keys.chain(words).collect();
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(theme.style(Tone::Dim))
        .title(theme.span(Tone::Strong, " keys and words "));
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
