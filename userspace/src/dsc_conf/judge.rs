//! Arguments of a statement, and what is wrong with them.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Ignored;
use super::statement::{Statement, Word};
use crate::config::{ConfigError, enumerated, excerpt, nearest};

/// Gives out arguments, and gathers errors and what has no effect. Where it
/// gives nothing, it has an error.
pub(super) struct Judge<'a> {
    folder: &'a Path,
    errors: Vec<ConfigError>,
    ignored: Vec<Ignored>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(folder: &'a Path, errors: Vec<ConfigError>) -> Self {
        Self {
            folder,
            errors,
            ignored: Vec::new(),
        }
    }

    /// What has no effect; or the errors, if there are any.
    pub(super) fn verdict(mut self) -> Result<Vec<Ignored>, Vec<ConfigError>> {
        if !self.errors.is_empty() {
            self.errors.sort_by_key(|error| (error.line, error.column));
            return Err(self.errors);
        }
        self.ignored.sort_by_key(|ignored| ignored.line);
        Ok(self.ignored)
    }

    /// The message is the predicate of a sentence about the word.
    pub(super) fn error(&mut self, word: Word<'_>, message: &str, hint: &str) {
        self.errors.push(ConfigError {
            line: word.line,
            column: word.column,
            key: String::new(),
            message: format!("{} {message}", excerpt(word.text)),
            hint: hint.to_owned(),
        });
    }

    /// The word is none of the known ones.
    pub(super) fn unknown<'k>(
        &mut self,
        word: Word<'_>,
        expected: &str,
        known: impl IntoIterator<Item = &'k str> + Clone,
    ) {
        let hint = match nearest(word.text, known.clone()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("there are {}", enumerated(known)),
        };
        self.error(word, &format!("is not {expected}"), &hint);
    }

    /// The whole statement has no effect.
    pub(super) fn futile(&mut self, statement: &Statement<'_>, why: &str) {
        self.ignore(statement.name, statement.name.text, why);
    }

    /// Something on the line of the word has no effect.
    pub(super) fn ignore(&mut self, place: Word<'_>, what: &str, why: &str) {
        self.ignored.push(Ignored {
            line: place.line,
            what: what.to_owned(),
            why: why.to_owned(),
        });
    }

    pub(super) fn only_argument<'w>(&mut self, statement: &Statement<'w>) -> Option<Word<'w>> {
        let name = statement.name;
        match statement.arguments.as_slice() {
            [] => {
                let hint = format!("write `{} VALUE;`", name.text);
                self.error(name, "has no argument", &hint);
                None
            }
            [value] => Some(*value),
            [_, extra, ..] => {
                let message = format!("is too much: `{}` takes one argument", name.text);
                let hint = "remove it, or write quotes around words that belong together";
                self.error(*extra, &message, hint);
                None
            }
        }
    }

    /// Whether the statement has no arguments, as it must.
    pub(super) fn is_bare(&mut self, statement: &Statement<'_>) -> bool {
        let Some(extra) = statement.arguments.first() else {
            return true;
        };
        let message = format!("is too much: `{}` takes no argument", statement.name.text);
        self.error(*extra, &message, "remove it");
        false
    }

    pub(super) fn text(&mut self, statement: &Statement<'_>) -> Option<String> {
        let word = self.only_argument(statement)?;
        if word.text.is_empty() || word.text.contains('\0') {
            self.error(word, "is not a name", "write one");
            return None;
        }
        Some(word.text.to_owned())
    }

    pub(super) fn path(&mut self, statement: &Statement<'_>) -> Option<PathBuf> {
        let path = self.text(statement)?;
        Some(self.folder.join(path))
    }

    pub(super) fn number<T>(
        &mut self,
        statement: &Statement<'_>,
        range: RangeInclusive<T>,
        target: &mut T,
    ) where
        T: FromStr + PartialOrd + Display,
    {
        let number = self
            .only_argument(statement)
            .and_then(|word| self.number_in(word, range));
        put(target, number);
    }

    pub(super) fn number_in<T>(&mut self, word: Word<'_>, range: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        let digits = word.text.bytes().all(|octet| octet.is_ascii_digit());
        let number = word.text.parse().ok().filter(|n| range.contains(n));
        if number.is_none() || !digits {
            let hint = format!("write one from {} to {}", range.start(), range.end());
            self.error(word, "is not a number that fits", &hint);
            return None;
        }
        number
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        statement: &Statement<'_>,
        all: &[T],
        label: fn(T) -> &'static str,
        target: &mut T,
    ) {
        let Some(word) = self.only_argument(statement) else {
            return;
        };
        let found = all.iter().copied().find(|one| label(*one) == word.text);
        if found.is_none() {
            let choices = enumerated(all.iter().map(|one| label(*one)));
            let hint = format!("write one of {choices}");
            self.error(word, "is not one of the choices", &hint);
        }
        put(target, found);
    }

    /// What the standard library can read.
    pub(super) fn parsed<T: FromStr>(
        &mut self,
        statement: &Statement<'_>,
        expected: &str,
        example: &str,
        target: &mut T,
    ) {
        let Some(word) = self.only_argument(statement) else {
            return;
        };
        let parsed = word.text.parse().ok();
        if parsed.is_none() {
            let hint = format!("write one such as `{example}`");
            self.error(word, &format!("is not {expected}"), &hint);
        }
        put(target, parsed);
    }
}

fn put<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}
