//! Files of two columns, as spreadsheets write them (RFC 4180): what an address or
//! a name is matched with, and the name that it gets.
//!
//! A row is a line. Lines are taken one by one, so that each error names its own,
//! and a quote that is never closed does not swallow the lines behind it. What a
//! first column may be is the matter of each table.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::{InvalidValue, printable},
    names::text::NameError,
};

/// The most rows of a table.
pub const MAX_ROWS: u64 = 1_000_000;
/// The most errors that are told.
const MAX_ERRORS: usize = 20;
/// The most octets of a name.
const MAX_NAME: usize = 128;
/// The most octets of a line: more than a domain name and a name can take.
const MAX_LINE: u64 = 4096;
/// Names that say something else where they are labels of metrics.
const RESERVED: [&str; 4] = ["unassigned", "none", "other", "retired"];
/// What a first line may say instead of a row.
const HEADINGS: [&[&str]; 2] = [
    &["match", "prefix", "network", "zone"],
    &["customer", "network", "name"],
];

/// A table that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be read.
    #[error("cannot read {}: {cause}; name a file that exists and that this user may read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Rows that are wrong.
    #[error(transparent)]
    Rows(#[from] RowErrors),
    /// No row, as in a file that was cut to nothing.
    #[error("{} has no row; write one, as in `192.0.2.0/24,Example`, or name no file", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

/// The rows of a table that are wrong: the first ones, and how many more. Never
/// empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowErrors {
    /// What stands in front of a row's number.
    origin: String,
    errors: Vec<(u64, RowError)>,
    more: u64,
}

impl std::error::Error for RowErrors {}

impl fmt::Display for RowErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (row, error)) in self.errors.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{}{row}: {error}", self.origin)?;
        }
        if self.more > 0 {
            write!(
                f,
                "\n{}: and {} more",
                self.origin.trim_end_matches(':'),
                self.more
            )?;
        }
        Ok(())
    }
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Not two columns.
    #[error(
        "has {0} columns; write two, as in `192.0.2.0/24,Example`, and a name with a comma in quotes"
    )]
    Columns(usize),
    /// Octets that are no text.
    #[error("is not UTF-8; save the file as UTF-8")]
    Encoding,
    /// A line that no row can fill.
    #[error("has more than {MAX_LINE} octets; is this a table of two columns?")]
    Length,
    /// A quote without a second one, or with something behind it.
    #[error(
        "has a quote that is not closed at the end of its column; write a quote within quotes twice"
    )]
    Quote,
    /// Neither an address nor a prefix.
    #[error("`{}` {cause}", printable(text))]
    Prefix {
        /// What stands there.
        text: String,
        /// Why not, and the cure.
        cause: InvalidValue,
    },
    /// No zone.
    #[error("`{}` is no zone: {cause}", printable(text))]
    Zone {
        /// What stands there.
        text: String,
        /// Why not, and the cure.
        cause: NameError,
    },
    /// A wildcard.
    #[error("`{}` is a wildcard; write the name behind `*.`, which stands for all below it", printable(.0))]
    Wildcard(String),
    /// No name.
    #[error("has no name in its second column; write one")]
    NoName,
    /// A long name.
    #[error("has a name of {0} octets; write one of at most {MAX_NAME}")]
    NameLength(usize),
    /// A name that would not be seen.
    #[error("has a control character in its name; leave it out")]
    NameControl,
    /// A name with a meaning.
    #[error("has the name `{0}`, which says something else in the metrics; write another")]
    NameReserved(String),
    /// A match that is there already.
    #[error(
        "`{}` stands in row {first} already; leave one of them out",
        printable(text)
    )]
    Twice {
        /// What stands there.
        text: String,
        /// Where it stands, too.
        first: u64,
    },
    /// Too many rows.
    #[error("is one too many; a table has at most {MAX_ROWS} rows")]
    Rows,
}

/// A name, and the row that has it.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// Names that are the same are one.
    pub(super) name: Arc<str>,
    /// From 1.
    pub(super) row: u32,
}

impl Named {
    /// The error of a row that matches with the same as this one.
    pub(super) fn again(&self, text: &str) -> RowError {
        RowError::Twice {
            text: text.to_owned(),
            first: self.row.into(),
        }
    }
}

/// Takes the rows of a table in: their names, and what is wrong with them.
#[derive(Debug)]
pub(super) struct Intake {
    names: HashSet<Arc<str>>,
    errors: RowErrors,
    rows: u64,
}

impl Intake {
    /// Rows of a file, whose errors are told as `FILE:LINE`.
    pub(super) fn of_file(file: &Path) -> Self {
        Self::new(format!("{}:", file.display()))
    }

    /// Rows that come from elsewhere, whose errors are told behind `origin`.
    pub(super) fn new(origin: String) -> Self {
        Self {
            names: HashSet::new(),
            errors: RowErrors {
                origin,
                errors: Vec::new(),
                more: 0,
            },
            rows: 0,
        }
    }

    /// Takes a row, which `put` puts into the table; whether there may be another.
    pub(super) fn row(
        &mut self,
        number: u64,
        (key, name): (&str, &str),
        put: impl FnOnce(&str, Named) -> Result<(), RowError>,
    ) -> bool {
        self.rows += 1;
        if self.rows > MAX_ROWS {
            self.refuse(number, RowError::Rows);
            return false;
        }
        let row = u32::try_from(number).unwrap_or(u32::MAX);
        let named = self.name(name.trim()).map(|name| Named { name, row });
        // Both columns may be wrong; the first one is told.
        let put = match named {
            Ok(named) => put(key.trim(), named),
            Err(error) => Err(error),
        };
        if let Err(error) = put {
            self.refuse(number, error);
        }
        true
    }

    /// Notes that a row is wrong.
    pub(super) fn refuse(&mut self, row: u64, error: RowError) {
        if self.errors.errors.len() < MAX_ERRORS {
            self.errors.errors.push((row, error));
        } else {
            self.errors.more += 1;
        }
    }

    /// All is taken in: how many rows.
    ///
    /// # Errors
    /// The rows that are wrong.
    pub(super) fn end(self) -> Result<u64, RowErrors> {
        if self.errors.errors.is_empty() {
            Ok(self.rows)
        } else {
            Err(self.errors)
        }
    }

    fn name(&mut self, name: &str) -> Result<Arc<str>, RowError> {
        if let Some(known) = self.names.get(name) {
            return Ok(Arc::clone(known));
        }
        if name.is_empty() {
            return Err(RowError::NoName);
        }
        if name.len() > MAX_NAME {
            return Err(RowError::NameLength(name.len()));
        }
        if name.chars().any(char::is_control) {
            return Err(RowError::NameControl);
        }
        if RESERVED.contains(&name) {
            return Err(RowError::NameReserved(name.to_owned()));
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        Ok(name)
    }
}

/// Reads a file, whose rows `put` puts into a table.
///
/// # Errors
/// When it cannot be read, or all rows that are wrong.
pub(super) fn read(
    file: &Path,
    mut put: impl FnMut(&str, Named) -> Result<(), RowError>,
) -> Result<(), TableError> {
    let unreadable = |cause| TableError::Read {
        file: file.to_owned(),
        cause,
    };
    let mut lines = open(file).map_err(unreadable)?;
    let mut intake = Intake::of_file(file);
    let mut line = Vec::new();
    let mut may_be_heading = true;
    for number in 1.. {
        line.clear();
        let mut bounded = lines.by_ref().take(MAX_LINE + 1);
        let read = bounded.read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        let goes_on = match row(&line, number) {
            Ok(None) => continue,
            Ok(Some((key, name))) if may_be_heading && is_heading(&key, &name) => true,
            Ok(Some((key, name))) => intake.row(number, (&key, &name), &mut put),
            Err(error) => {
                // What follows half a line is none.
                let is_line = error != RowError::Length;
                intake.refuse(number, error);
                is_line
            }
        };
        may_be_heading = false;
        if !goes_on {
            break;
        }
    }
    let rows = intake.end()?;
    if rows == 0 {
        let file = file.to_owned();
        return Err(TableError::Empty { file });
    }
    Ok(())
}

/// A pipe would keep us waiting for its other end.
fn open(file: &Path) -> io::Result<BufReader<File>> {
    if !fs::metadata(file)?.is_file() {
        let told = "it is no regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, told));
    }
    Ok(BufReader::new(File::open(file)?))
}

type Columns<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The columns of a line; none where it is empty or a comment.
fn row(line: &[u8], number: u64) -> Result<Option<Columns<'_>>, RowError> {
    if line.len() as u64 > MAX_LINE {
        return Err(RowError::Length);
    }
    let text = std::str::from_utf8(line).map_err(|_| RowError::Encoding)?;
    // The mark of an encoding that has no other.
    let text = match number {
        1 => text.strip_prefix('\u{feff}').unwrap_or(text),
        _ => text,
    };
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    split(text).map(Some)
}

fn split(line: &str) -> Result<Columns<'_>, RowError> {
    let mut rest = Some(line);
    let mut cells = Vec::with_capacity(2);
    while let Some(text) = rest {
        let (cell, after) = first_cell(text)?;
        cells.push(cell);
        rest = after;
    }
    let number = cells.len();
    let mut cells = cells.into_iter();
    match (cells.next(), cells.next(), cells.next()) {
        (Some(key), Some(name), None) => Ok((key, name)),
        _ => Err(RowError::Columns(number)),
    }
}

/// The first column, and what is behind its comma.
fn first_cell(text: &str) -> Result<(Cow<'_, str>, Option<&str>), RowError> {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        return Ok(match text.split_once(',') {
            Some((cell, after)) => (cell.trim_end().into(), Some(after)),
            None => (text.into(), None),
        });
    };
    let (cell, behind) = unquoted(quoted).ok_or(RowError::Quote)?;
    let behind = behind.trim_start();
    match behind.strip_prefix(',') {
        Some(after) => Ok((cell, Some(after))),
        None if behind.is_empty() => Ok((cell, None)),
        None => Err(RowError::Quote),
    }
}

/// What stands before the closing quote, where two are one, and what is behind it.
fn unquoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut from = 0;
    loop {
        let quote = from + text.get(from..)?.find('"')?;
        let (cell, behind) = (text.get(..quote)?, text.get(quote + 1..)?);
        if behind.starts_with('"') {
            from = quote + 2;
        } else if from == 0 {
            return Some((cell.into(), behind));
        } else {
            return Some((cell.replace("\"\"", "\"").into(), behind));
        }
    }
}

fn is_heading(key: &str, name: &str) -> bool {
    let texts = [key, name].into_iter();
    texts.zip(HEADINGS).all(|(text, known)| {
        known
            .iter()
            .any(|heading| text.eq_ignore_ascii_case(heading))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken in, as `LINE KEY=NAME`, or the errors.
    fn rows(octets: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("t.csv");
        fs::write(&file, octets).expect("a file");
        let mut rows = Vec::new();
        let read = read(&file, |key, named| {
            rows.push(format!("{} {key}={}", named.row, named.name));
            Ok(())
        });
        let folder = format!("{}/", folder.path().display());
        match read {
            Ok(()) => Ok(rows),
            Err(error) => Err(error.to_string().replace(&folder, "")),
        }
    }

    #[test]
    fn a_file_may_come_from_anywhere() {
        for (case, text, expected) in [
            ("plain", "a,b\nc,d\n", &["1 a=b", "2 c=d"][..]),
            ("no end of the last line", "a,b\nc,d", &["1 a=b", "2 c=d"]),
            ("ends as of DOS", "a,b\r\n\r\nc,d\r\n", &["1 a=b", "3 c=d"]),
            ("a mark of the encoding", "\u{feff}a,b\n", &["1 a=b"]),
            ("a mark and a comment", "\u{feff}# a\na,b", &["2 a=b"]),
            ("blanks", "  a ,\t b c \n", &["1 a=b c"]),
            ("comments", "# x,\"y\n  # x\n\n \na,b\n#\n", &["5 a=b"]),
            ("a sharp in a name", "a,b # c", &["1 a=b # c"]),
            ("quotes", "\"a\",\"b, c\"\n", &["1 a=b, c"]),
            ("quotes behind blanks", "a, \"b, c\" \n", &["1 a=b, c"]),
            (
                "quotes within quotes",
                "a,\"\"\"b\"\" c\"\n",
                &["1 a=\"b\" c"],
            ),
            ("quotes within a name", "a,b \"c\"\n", &["1 a=b \"c\""]),
            ("a heading", "match,customer\na,b\n", &["2 a=b"]),
            (
                "another",
                "\u{feff}\"Prefix\",\"Network\"\r\na,b",
                &["2 a=b"],
            ),
            (
                "no heading",
                "a,b\nmatch,customer\n",
                &["1 a=b", "2 match=customer"],
            ),
            ("other letters", "ä,東京\n", &["1 ä=東京"]),
        ] {
            assert_eq!(rows(text).expect(case), expected, "{case}");
        }
    }

    #[test]
    fn lines_that_are_wrong_say_why() {
        let long = "x".repeat(129);
        for (text, expected) in [
            ("a", "1: has 1 columns; write two, as in `192.0.2.0/24,Example`, and a name with a comma in quotes".to_owned()),
            ("a,b,c", "1: has 3 columns; write two, as in `192.0.2.0/24,Example`, and a name with a comma in quotes".to_owned()),
            ("a,", "1: has no name in its second column; write one".to_owned()),
            ("a,\" \"", "1: has no name in its second column; write one".to_owned()),
            ("\n\na,\"b\nc,d", "3: has a quote that is not closed at the end of its column; write a quote within quotes twice".to_owned()),
            ("a,\"b\"c", "1: has a quote that is not closed at the end of its column; write a quote within quotes twice".to_owned()),
            ("a,other", "1: has the name `other`, which says something else in the metrics; write another".to_owned()),
            ("a,b\u{7}c", "1: has a control character in its name; leave it out".to_owned()),
            (&*format!("a,{long}"), "1: has a name of 129 octets; write one of at most 128".to_owned()),
        ] {
            assert_eq!(rows(text), Err(format!("t.csv:{expected}")), "{text}");
        }
        assert_eq!(
            rows(format!("a,{}", &long[1..])).map(|rows| rows.len()),
            Ok(1)
        );
        for name in ["unassigned", "none", "other", "retired"] {
            let told = rows(format!("a,{name}")).expect_err(name);
            assert!(told.contains("says something else"), "{told}");
        }
    }

    #[test]
    fn what_is_no_text_is_told() {
        assert_eq!(
            rows(b"a,b\nc,\xff\n").expect_err("no UTF-8"),
            "t.csv:2: is not UTF-8; save the file as UTF-8"
        );
        let told = rows([0_u8; 100_000]).expect_err("a long line");
        assert_eq!(
            told,
            "t.csv:1: has more than 4096 octets; is this a table of two columns?"
        );
    }

    #[test]
    fn twenty_errors_are_told_and_the_others_counted() {
        let told = rows("a\n".repeat(123)).expect_err("errors");
        assert_eq!(told.lines().count(), 21);
        assert!(told.ends_with("\nt.csv: and 103 more"), "{told}");
        assert!(told.contains("\nt.csv:20: has 1 columns"), "{told}");
    }

    #[test]
    fn a_table_has_a_bound() {
        let most = "a,b\n".repeat(1_000_000);
        assert_eq!(rows(&most).map(|rows| rows.len()), Ok(1_000_000));
        assert_eq!(
            rows(most + "a,b\na,b\n").expect_err("one too many"),
            "t.csv:1000001: is one too many; a table has at most 1000000 rows"
        );
    }

    #[test]
    fn a_file_that_was_cut_to_nothing_is_no_table() {
        for text in ["", "\n# nothing\n", "match,customer\n"] {
            assert_eq!(
                rows(text).expect_err("no row"),
                "t.csv has no row; write one, as in `192.0.2.0/24,Example`, or name no file"
            );
        }
    }

    #[test]
    fn what_is_no_file_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        for file in [folder.path().to_owned(), folder.path().join("absent")] {
            let told = read(&file, |_, _| Ok(())).expect_err("no file").to_string();
            assert!(told.starts_with("cannot read "), "{told}");
            assert!(told.ends_with("name a file that exists and that this user may read"));
        }
    }

    #[test]
    fn names_that_are_the_same_are_one() {
        let mut intake = Intake::new("row ".to_owned());
        let mut names = Vec::new();
        for row in 1..=2 {
            intake.row(row, ("a", " b "), |_, named| {
                names.push(named.name);
                Ok(())
            });
        }
        assert!(Arc::ptr_eq(&names[0], &names[1]));
    }
}
