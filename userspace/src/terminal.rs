//! Texts on a terminal: names and values come from packets, tables and other
//! machines, and may do nothing to it but be read.

use std::io::{self, IsTerminal as _};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A text of which everything is seen: what controls a terminal, turns the
/// direction of writing, or takes no room, is written as its escape.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c.width() {
            Some(1..) => clean.push(c),
            Some(0) | None => clean.extend(c.escape_default()),
        }
    }
    clean
}

/// The same in so many columns, with `…` where it was cut, and spaces behind.
#[must_use]
pub fn fitted(text: &str, columns: usize) -> String {
    let mut fitted = clean(text);
    if fitted.width() > columns {
        let mut room = columns.saturating_sub(1);
        let end = fitted.char_indices().find(|(_, c)| {
            let width = c.width().unwrap_or(0);
            let fits = width <= room;
            room = room.saturating_sub(width);
            !fits
        });
        fitted.truncate(end.map_or(fitted.len(), |(end, _)| end));
        if columns > 0 {
            fitted.push('…');
        }
    }
    let rest = columns.saturating_sub(fitted.width());
    fitted.extend(std::iter::repeat_n(' ', rest));
    fitted
}

/// Whether standard output is a terminal on which colours are wanted
/// (no-color.org).
#[must_use]
pub fn has_colour() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !unwanted && !is_dumb()
}

/// Whether the terminal can but print.
#[must_use]
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text; clean; in eight columns.
    const TEXTS: [(&str, &str, &str, &str); 11] = [
        ("plain", "example", "example", "example "),
        ("exact", "abcdefgh", "abcdefgh", "abcdefgh"),
        ("long", "abcdefghi", "abcdefghi", "abcdefg…"),
        ("escape", "\x1b[2J", "\\u{1b}[2J", "\\u{1b}[…"),
        ("C1 control", "a\u{9b}m", "a\\u{9b}m", "a\\u{9b}m"),
        ("new line", "a\nb\tc", "a\\nb\\tc", "a\\nb\\tc "),
        ("turned", "a\u{202e}", "a\\u{202e}", "a\\u{202…"),
        ("isolated", "a\u{2066}b", "a\\u{2066}b", "a\\u{206…"),
        ("no room", "a\u{200b}", "a\\u{200b}", "a\\u{200…"),
        ("stacked", "e\u{301}", "e\\u{301}", "e\\u{301}"),
        ("wide", "日本語日本語", "日本語日本語", "日本語… "),
    ];

    #[test]
    fn everything_is_seen() {
        for (name, text, expected, _) in TEXTS {
            assert_eq!(clean(text), expected, "{name}");
        }
    }

    #[test]
    fn nothing_takes_more_room_or_less() {
        for (name, text, _, expected) in TEXTS {
            let fitted = fitted(text, 8);
            assert_eq!((fitted.as_str(), fitted.width()), (expected, 8), "{name}");
        }
        assert_eq!(fitted("日本", 1), "…");
        assert_eq!(fitted("a", 0), "");
    }
}
