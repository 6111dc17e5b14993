//! Files with one name per line: their reading, and what is wrong with them.
//!
//! The lists differ in what a line means; where it stands and how an error names
//! it does not.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::text::NameError;

/// Why a list was not read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file cannot be read.
    #[error("{}: {source}; name a file that exists and that this user may read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is no entry of the list.
    #[error("{name}:{line}: \"{}\" cannot be used: {problem}", text.escape_debug())]
    Line {
        /// The list, usually the path of its file.
        name: String,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        text: String,
        /// What is wrong, and what to write instead.
        problem: Problem,
    },
    /// There is no entry.
    #[error("{name}: it has no entry; write one name per line")]
    Empty {
        /// The list, usually the path of its file.
        name: String,
    },
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A wildcard elsewhere than in the first label, or without a name behind it.
    #[error("a wildcard is a whole label in front of a name, such as *.example")]
    Wildcard,
    /// An exception of nothing.
    #[error("an exception needs two labels or more, such as !www.example")]
    Exception,
    /// More than a single label.
    #[error("a top-level domain is one label, such as com; leave the rest out")]
    NotTopLevel,
}

/// The text of a file. Octets that are no UTF-8 become U+FFFD, which is no part
/// of any name in a list, so that the line is found.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<String, ListError> {
    let octets = fs::read(path).map_err(|source| ListError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

/// The entries of a list with the numbers of their lines: the first word of each
/// line, unless the line is empty or begins as a comment does.
pub fn entries<'a>(
    text: &'a str,
    comments: &'a [&'a str],
) -> impl Iterator<Item = (usize, &'a str)> {
    text.lines().enumerate().filter_map(move |(index, line)| {
        let entry = line.split_whitespace().next()?;
        let is_comment = comments.iter().any(|comment| entry.starts_with(comment));
        (!is_comment).then_some((index + 1, entry))
    })
}
