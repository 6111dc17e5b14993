//! From the octets of a dsc.conf to its statements.
//!
//! A statement is one line of words, ended by `;` or by a comment. A word in
//! quotes may hold blanks, `;` and `#`; there are no escapes. Comments may hold
//! anything, so only words must be UTF-8.

use crate::config::ConfigError;

/// A line with words in it. There is at least one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    /// From 1.
    pub(super) line: usize,
    pub(super) name: Word<'a>,
    pub(super) arguments: Vec<Word<'a>>,
    /// What stands behind the `;` and is no comment.
    pub(super) rest: Option<Word<'a>>,
}

/// A word and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// From 1.
    pub(super) line: usize,
    /// The octet in the line, from 1.
    pub(super) column: usize,
    pub(super) text: &'a str,
}

impl<'a> Word<'a> {
    /// A part of it, which begins so many octets after it.
    pub(super) fn part(self, offset: usize, text: &'a str) -> Self {
        Self {
            column: self.column + offset,
            text,
            ..self
        }
    }
}

/// All statements, and what is wrong with lines that are none.
pub(super) fn statements(text: &[u8]) -> (Vec<Statement<'_>>, Vec<ConfigError>) {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let mut statements = Vec::new();
    let mut errors = Vec::new();
    for (index, line) in text.split(|octet| *octet == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match Line::new(line, index + 1).statement() {
            Ok(found) => statements.extend(found),
            Err(error) => errors.push(error),
        }
    }
    (statements, errors)
}

/// A place in a line.
struct Line<'a> {
    octets: &'a [u8],
    number: usize,
    at: usize,
}

impl<'a> Line<'a> {
    fn new(octets: &'a [u8], number: usize) -> Self {
        Self {
            octets,
            number,
            at: 0,
        }
    }

    fn statement(mut self) -> Result<Option<Statement<'a>>, ConfigError> {
        let mut words = Vec::new();
        let rest = loop {
            self.skip_blanks();
            match self.peek() {
                None if words.is_empty() => return Ok(None),
                None => return Err(self.unended()),
                Some(b'#') => break None,
                Some(b';') if words.is_empty() => return Err(self.nameless()),
                Some(b';') => break self.rest()?,
                Some(_) => words.push(self.word()?),
            }
        };
        let mut words = words.into_iter();
        Ok(words.next().map(|name| Statement {
            line: self.number,
            name,
            arguments: words.collect(),
            rest,
        }))
    }

    fn peek(&self) -> Option<u8> {
        self.octets.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    fn word(&mut self) -> Result<Word<'a>, ConfigError> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let start = self.at;
        let ends = |octet: u8| is_blank(octet) || octet == b';';
        while self.peek().is_some_and(|octet| !ends(octet)) {
            self.at += 1;
        }
        self.cut(start, self.at)
    }

    fn quoted(&mut self) -> Result<Word<'a>, ConfigError> {
        let quote = self.at;
        let start = quote + 1;
        let inside = self.octets.get(start..).unwrap_or_default();
        let Some(length) = inside.iter().position(|octet| *octet == b'"') else {
            return Err(self.error(
                quote,
                "a quote without an end",
                "close it with `\"` on the same line",
            ));
        };
        self.at = start + length + 1;
        if self
            .peek()
            .is_some_and(|octet| !is_blank(octet) && octet != b';')
        {
            return Err(self.error(
                self.at,
                "text right behind a quoted word",
                "write a blank or `;` between them; quotes cannot be escaped",
            ));
        }
        self.cut(start, start + length)
    }

    fn rest(&mut self) -> Result<Option<Word<'a>>, ConfigError> {
        self.at += 1;
        self.skip_blanks();
        match self.peek() {
            None | Some(b'#') => Ok(None),
            Some(_) => self.cut(self.at, self.octets.len()).map(Some),
        }
    }

    fn cut(&self, start: usize, end: usize) -> Result<Word<'a>, ConfigError> {
        let octets = self.octets.get(start..end).unwrap_or_default();
        let text = str::from_utf8(octets).map_err(|error| {
            self.error(
                start + error.valid_up_to(),
                "not UTF-8",
                "save the file in UTF-8",
            )
        })?;
        Ok(Word {
            line: self.number,
            column: start + 1,
            text,
        })
    }

    fn unended(&self) -> ConfigError {
        self.error(
            self.at,
            "a statement without an end",
            "end it with `;`: a statement is one line",
        )
    }

    fn nameless(&self) -> ConfigError {
        self.error(self.at, "a `;` without a statement", "remove it")
    }

    fn error(&self, at: usize, message: &str, hint: &str) -> ConfigError {
        ConfigError {
            line: self.number,
            column: at + 1,
            key: String::new(),
            message: message.to_owned(),
            hint: hint.to_owned(),
        }
    }
}

fn is_blank(octet: u8) -> bool {
    octet == b' ' || octet == b'\t'
}
