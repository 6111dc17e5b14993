//! What is wrong with a configuration, and where.

use std::fmt;
use std::io;
use std::ops::Range;
use std::str::Utf8Error;

use toml_edit::TomlError;

use super::nearest::printable;

/// Why a value cannot be used: a predicate ("has no port") and the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {hint}")]
pub struct InvalidValue {
    /// What is wrong, as the predicate of a sentence about the value.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// One error in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}; {hint}")]
pub struct ConfigError {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The path of the key, such as `probe.ports[1]`; empty for syntax errors.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// All errors in one configuration, in the order of the text. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The name of the configuration, usually its path.
    pub name: String,
    /// The errors.
    pub errors: Vec<ConfigError>,
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{}:{error}", self.name)?;
        }
        Ok(())
    }
}

/// Why a configuration file was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read the configuration {name}: {cause}; check the path and its permissions")]
    Read {
        /// The path of the file.
        name: String,
        /// The system's answer, which the message has already.
        cause: io::Error,
    },
    /// The file was read and has errors.
    #[error(transparent)]
    Invalid(#[from] ConfigErrors),
}

/// A fault at a byte of the text, before it is given a line and a column.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) at: usize,
    pub(super) key: String,
    pub(super) message: String,
    pub(super) hint: String,
}

/// The text of a configuration, which turns offsets into places.
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text }
    }

    /// The value, unless there are problems.
    pub(super) fn judge<T>(&self, value: T, problems: Vec<Problem>) -> Result<T, ConfigErrors> {
        if problems.is_empty() {
            Ok(value)
        } else {
            Err(self.errors(problems))
        }
    }

    pub(super) fn syntax_error(&self, error: &TomlError) -> ConfigErrors {
        let at = error.span().map_or(0, |span| span.start);
        let line = &self.text[self.line_at(at)];
        self.errors(vec![Problem {
            at,
            key: String::new(),
            message: format!("not TOML: {}", error.message()),
            hint: format!("in the line `{}`", printable(line.trim())),
        }])
    }

    pub(super) fn not_utf8(&self, error: Utf8Error) -> ConfigErrors {
        self.errors(vec![Problem {
            at: error.valid_up_to(),
            key: String::new(),
            message: "not UTF-8".to_owned(),
            hint: "save the file in UTF-8".to_owned(),
        }])
    }

    fn errors(&self, mut problems: Vec<Problem>) -> ConfigErrors {
        problems.sort_by_key(|problem| problem.at);
        ConfigErrors {
            name: self.name.to_owned(),
            errors: problems.into_iter().map(|p| self.locate(p)).collect(),
        }
    }

    fn locate(&self, problem: Problem) -> ConfigError {
        let at = self.floor(problem.at);
        let start = self.line_at(at).start;
        ConfigError {
            line: self.text[..start].matches('\n').count() + 1,
            column: self.text[start..at].chars().count() + 1,
            key: problem.key,
            message: problem.message,
            hint: problem.hint,
        }
    }

    /// The bytes of the line that `at` is in, without its line break.
    fn line_at(&self, at: usize) -> Range<usize> {
        let at = self.floor(at);
        let start = self.text[..at].rfind('\n').map_or(0, |found| found + 1);
        let end = self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |found| at + found);
        start..end
    }

    /// Spans come from a library; a wrong one must not be a panic.
    fn floor(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }
}
