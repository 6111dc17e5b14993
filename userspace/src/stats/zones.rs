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
    /// A file in a folder is not named after a zone.
    #[error("{} is not named after a zone; rename or move it, as every file of the folder counts, as in `example.com.zone`", file.display())]
    FileName {
        /// The file.
        file: PathBuf,
    },
    /// There is no zone.
    #[error("{} has no zones; write one name per line into a file, or name files in a folder after them", file.display())]
    Empty {
        /// The file or folder.
        file: PathBuf,
    },
}

impl Zones {
    /// Reads zones: a file with one name per line (`#` begins a comment), or a
    /// folder whose files are named after the zones, with or without `.zone`,
    /// `.db` and `.signed`. Hidden files, journals and what is no file are passed
    /// over.
    ///
    /// # Errors
    /// What cannot be read, or is no name; when there is no zone at all.
    pub fn read(path: &Path) -> Result<Self, ZonesError> {
        let metadata = fs::metadata(path).map_err(|cause| unreadable(path, cause))?;
        let zones = if metadata.is_dir() {
            Self::of_folder(path)?
        } else {
            Self::of_file(path)?
        };
        if zones.is_empty() {
            return Err(ZonesError::Empty {
                file: path.to_owned(),
            });
        }
        Ok(zones)
    }

    fn of_folder(folder: &Path) -> Result<Self, ZonesError> {
        let mut zones = Self::default();
        for entry in fs::read_dir(folder).map_err(|cause| unreadable(folder, cause))? {
            let entry = entry.map_err(|cause| unreadable(folder, cause))?;
            let (file, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if is_left_behind(&name) {
                continue;
            }
            let metadata = fs::metadata(&file).map_err(|cause| unreadable(&file, cause))?;
            if metadata.is_file() && zones.add(zone_of_file(&name)).is_none() {
                return Err(ZonesError::FileName { file });
            }
        }
        Ok(zones)
    }

    fn of_file(file: &Path) -> Result<Self, ZonesError> {
        let mut zones = Self::default();
        let text = fs::read_to_string(file).map_err(|cause| unreadable(file, cause))?;
        for (index, line) in text.lines().enumerate() {
            let name = line.split('#').next().unwrap_or("").trim();
            if !name.is_empty() && zones.add(name).is_none() {
                return Err(ZonesError::Name {
                    file: file.to_owned(),
                    line: index + 1,
                    text: name.to_owned(),
                });
            }
        }
        Ok(zones)
    }

    /// Nothing where it is no name.
    fn add(&mut self, name: &str) -> Option<()> {
        let wire = text::parse(name).ok()?;
        let mut qname = Qname::default();
        qname.set(&wire, super::plan::Compat::None);
        self.depth = self.depth.max(qname.labels());
        let next = self.names.len();
        if self.index.try_insert(qname.whole().to_vec(), next).is_ok() {
            let mut printed = String::new();
            text::push_text(qname.whole(), &mut printed);
            self.names.push(printed);
        }
        Some(())
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

fn unreadable(path: &Path, cause: io::Error) -> ZonesError {
    ZonesError::Read {
        file: path.to_owned(),
        cause,
    }
}

/// Whether a file is what editors and name servers leave beside those of zones.
fn is_left_behind(file_name: &str) -> bool {
    let endings = ["~", ".jnl", ".jbk"];
    file_name.starts_with('.') || endings.iter().any(|end| file_name.ends_with(end))
}

/// The zone that a file is named after.
fn zone_of_file(file_name: &str) -> &str {
    let endings = [".signed", ".zone", ".db", ".signed"];
    endings.into_iter().fold(file_name, |name, ending| {
        name.strip_suffix(ending).unwrap_or(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_folder_are_zones_and_what_lies_beside_them_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        for file in [
            "example.com.zone",
            "example.net.db",
            "example.org",
            "example.edu.zone.signed",
            "example.com.zone.jnl",
            ".example.info.swp",
            "example.info~",
        ] {
            fs::write(path.join(file), "").expect("a file");
        }
        fs::create_dir(path.join("keys")).expect("a folder");
        let zones = Zones::read(path).expect("four zones");
        let mut names = zones.names().to_vec();
        names.sort();
        let expected = ["example.com", "example.edu", "example.net", "example.org"];
        assert_eq!(names, expected);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let told = |path: &Path| Zones::read(path).expect_err("no zones").to_string();
        assert!(told(path).contains(" has no zones; write one name per line"));
        let file = path.join("a..b");
        for (text, expected) in [
            ("# nothing\n\n", " has no zones; write one name per line"),
            ("a\nb..c\n", "a..b:2: `b..c` is no domain name; write"),
        ] {
            fs::write(&file, text).expect("a file");
            let told = told(&file);
            assert!(told.contains(expected), "{told}");
        }
        let told = told(path);
        let expected = "a..b is not named after a zone; rename or move it";
        assert!(told.contains(expected), "{told}");
    }
}
