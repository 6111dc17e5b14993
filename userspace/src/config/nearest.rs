//! Words for hints: the known name that a wrong one resembles, and foreign
//! text made fit for one line of a terminal.

/// Names more alike than this are taken for a slip of the keyboard.
const LIKENESS: f64 = 0.85;

/// Longer texts are cut in messages.
const EXCERPT: usize = 80;

/// The known name that is most like the given one, when one is.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let given = excerpt_of(given);
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&given, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// The names, each in back quotes, separated by commas.
pub(crate) fn enumerated<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// The text in quotes, cut when it is long, control characters escaped.
pub(crate) fn excerpt(text: &str) -> String {
    format!("{:?}", excerpt_of(text))
}

/// The text without quotes, cut when it is long, control characters escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for c in excerpt_of(text).chars() {
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

fn excerpt_of(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
