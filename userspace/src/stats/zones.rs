//! The zones that are served here: which of them a name lies in.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use foldhash::quality::RandomState;
use hashbrown::HashMap;

use crate::names::text;

use super::qname::Qname;

/// The zones, by their name on the wire.
#[derive(Debug, Default)]
pub struct Zones {
    index: HashMap<Vec<u8>, usize, RandomState>,
    names: Vec<String>,
    /// Most labels of any of them.
    depth: usize,
}

/// A list of zones that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ZonesError {
    /// A file or folder cannot be read.
    #[error("cannot read the zones of {}: {cause}", file.display())]
    Read {
        /// The file or folder.
        file: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A line is no name.
    #[error("{}:{line}: `{text}` is no domain name; write one name per line, as in `example.com`", file.display())]
    Name {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// What stands there.
        text: String,
    },
}

impl Zones {
    /// Reads zones: a file with one name per line (`#` begins a comment), or a
    /// folder whose files are named after the zones, with or without `.zone`.
    ///
    /// # Errors
    /// What cannot be read, or is no name.
    pub fn read(path: &Path) -> Result<Self, ZonesError> {
        let cause = |cause| ZonesError::Read {
            file: path.to_owned(),
            cause,
        };
        let mut zones = Self::default();
        if fs::metadata(path).map_err(cause)?.is_dir() {
            for entry in fs::read_dir(path).map_err(cause)? {
                let name = entry.map_err(cause)?.file_name();
                let name = name.to_string_lossy();
                let zone = name.strip_suffix(".zone").unwrap_or(&name);
                zones.add(zone, path, 0)?;
            }
        } else {
            let text = fs::read_to_string(path).map_err(cause)?;
            for (index, line) in text.lines().enumerate() {
                let name = line.split('#').next().unwrap_or("").trim();
                if !name.is_empty() {
                    zones.add(name, path, index + 1)?;
                }
            }
        }
        Ok(zones)
    }

    fn add(&mut self, name: &str, file: &Path, line: usize) -> Result<(), ZonesError> {
        let wire = text::parse(name).map_err(|_| ZonesError::Name {
            file: file.to_owned(),
            line,
            text: name.to_owned(),
        })?;
        let mut qname = Qname::default();
        qname.set(&wire, super::plan::Compat::None);
        self.depth = self.depth.max(qname.labels());
        let next = self.names.len();
        if self.index.try_insert(qname.whole().to_vec(), next).is_ok() {
            let mut printed = String::new();
            text::push_text(qname.whole(), &mut printed);
            self.names.push(printed);
        }
        Ok(())
    }

    /// The zone of a name: the longest one that it ends with.
    #[must_use]
    pub fn find(&self, name: &Qname) -> Option<usize> {
        self.locate(name).map(|(zone, _)| zone)
    }

    /// How many labels that zone has.
    #[must_use]
    pub fn find_labels(&self, name: &Qname) -> Option<usize> {
        self.locate(name).map(|(_, labels)| labels)
    }

    fn locate(&self, name: &Qname) -> Option<(usize, usize)> {
        if self.names.is_empty() || name.whole().is_empty() {
            return None;
        }
        let longest = self.depth.min(name.labels());
        let mut candidates = (0..=longest).rev();
        candidates.find_map(|labels| {
            let suffix = if labels == 0 {
                &[0][..]
            } else {
                name.last(labels)
            };
            self.index.get(suffix).map(|zone| (*zone, labels))
        })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names, by their numbers.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}
