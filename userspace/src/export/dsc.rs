//! DSC's files, for the presenters that read them.
//!
//! An interval becomes one file per format, with the layout, the order and the
//! escaping of DSC: `pcap_stats` first, then the datasets from the last that
//! was configured to the first. `layout` walks over an interval, `xml` and
//! `json` print what it comes across. Nothing is built up in memory.
//!
//! Unlike DSC, a file that could not be written is an error, and so is a full
//! file system.

mod json;
mod layout;
#[cfg(test)]
mod tests;
mod xml;

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use nix::unistd::{Gid, Group, Uid, User};
use tempfile::NamedTempFile;

use crate::stats::table::Interval;

dns_wire::table! {
    /// The formats of DSC's files; the label is the end of their names.
    pub enum Format {
        /// DSC XML.
        Xml = "xml",
        /// DSC JSON.
        Json = "json",
    }
}

/// To whom the files belong, and who may read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// The number of the user, unless it is ours.
    pub user: Option<u32>,
    /// The number of the group, unless it is ours.
    pub group: Option<u32>,
    /// The mode.
    pub mode: u32,
}

/// Writes the files of intervals into a folder.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The folder, which exists.
    pub directory: PathBuf,
    /// One file is written in each.
    pub formats: Vec<Format>,
    /// Of the files.
    pub ownership: Ownership,
    /// Octets that must be free before anything is written.
    pub min_free: u64,
}

/// Why an interval was not written, or not in all formats.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too little room.
    #[error(
        "{directory} has {free} octets left and must keep {wanted}: the interval up to {stop} \
         is lost; make room, or ask for less to be kept"
    )]
    Full {
        /// The folder.
        directory: PathBuf,
        /// Octets that are free.
        free: u64,
        /// Octets that must be.
        wanted: u64,
        /// The end of the interval, in seconds since the Unix epoch.
        stop: i64,
    },
    /// The system refused.
    #[error("cannot write {path}: {cause}; check that the folder exists and may be written to")]
    Io {
        /// The file, or the folder that it belongs in.
        path: PathBuf,
        /// The system's answer, which the message has already.
        cause: io::Error,
    },
    /// There is no such user.
    #[error("there is no user {name}; create it, or name another")]
    UnknownUser {
        /// The name.
        name: String,
    },
    /// There is no such group.
    #[error("there is no group {name}; create it, or name another")]
    UnknownGroup {
        /// The name.
        name: String,
    },
}

impl Format {
    /// The interval as the contents of a file.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write(self, interval: &Interval, output: &mut impl io::Write) -> io::Result<()> {
        match self {
            Self::Xml => layout::print(interval, &mut xml::Printer::new(output)),
            Self::Json => layout::print(interval, &mut json::Printer::new(output)),
        }
    }

    fn text(self, interval: &Interval) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to memory cannot fail.
        let _ = self.write(interval, &mut text);
        text
    }
}

/// The interval as DSC XML.
#[must_use]
pub fn to_xml(interval: &Interval) -> Vec<u8> {
    Format::Xml.text(interval)
}

/// The interval as DSC JSON.
#[must_use]
pub fn to_json(interval: &Interval) -> Vec<u8> {
    Format::Json.text(interval)
}

impl Ownership {
    /// Looks the user and the group up; both may be numbers.
    ///
    /// # Errors
    /// When there is no such user or group.
    pub fn resolve(user: Option<&str>, group: Option<&str>, mode: u32) -> Result<Self, Error> {
        Ok(Self {
            user: user.map(user_number).transpose()?,
            group: group.map(group_number).transpose()?,
            mode,
        })
    }
}

impl Default for Ownership {
    /// Ours, with the mode that DSC gives.
    fn default() -> Self {
        Self {
            user: None,
            group: None,
            mode: 0o664,
        }
    }
}

impl Writer {
    /// Writes the interval, `STOP.dscdata.xml` or `.json`. A file appears under
    /// its name when it is complete, and takes the place of one that is there.
    ///
    /// # Errors
    /// When there is too little room, or the system refuses. Of several formats
    /// those before the refused one have been written.
    pub fn write(&self, interval: &Interval) -> Result<Vec<PathBuf>, Error> {
        self.require_room(interval)?;
        self.formats
            .iter()
            .map(|format| self.write_as(*format, interval))
            .collect()
    }

    /// Whether there is a file of an interval that ends at this second.
    #[must_use]
    pub fn has_written(&self, stop: i64) -> bool {
        let mut formats = self.formats.iter();
        formats.any(|format| self.path(*format, stop).exists())
    }

    fn path(&self, format: Format, stop: i64) -> PathBuf {
        self.directory.join(file_name(format, stop))
    }

    fn write_as(&self, format: Format, interval: &Interval) -> Result<PathBuf, Error> {
        let name = file_name(format, interval.stop);
        let path = self.path(format, interval.stop);
        let written = self.write_file(format, interval, &name, &path);
        written.map_err(|cause| Error::Io {
            path: path.clone(),
            cause,
        })?;
        Ok(path)
    }

    fn write_file(
        &self,
        format: Format,
        interval: &Interval,
        name: &str,
        path: &Path,
    ) -> io::Result<()> {
        // Whoever collects files by the end of their names must not see it.
        let file = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .make_in(&self.directory, create_private)?;
        let mut output = BufWriter::new(file);
        format.write(interval, &mut output)?;
        output.flush()?;
        let file = output
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        self.give_away(&file)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    fn give_away(&self, file: &NamedTempFile) -> io::Result<()> {
        let Ownership { user, group, mode } = self.ownership;
        if user.is_some() || group.is_some() {
            fchown(file.as_file(), user, group)?;
        }
        file.as_file().set_permissions(Permissions::from_mode(mode))
    }

    fn require_room(&self, interval: &Interval) -> Result<(), Error> {
        let free = free_octets(&self.directory).map_err(|cause| Error::Io {
            path: self.directory.clone(),
            cause,
        })?;
        if free >= self.min_free {
            return Ok(());
        }
        Err(Error::Full {
            directory: self.directory.clone(),
            free,
            wanted: self.min_free,
            stop: interval.stop,
        })
    }
}

fn file_name(format: Format, stop: i64) -> String {
    format!("{stop}.dscdata.{}", format.label())
}

/// Octets that whoever is not root may still use.
fn free_octets(directory: &Path) -> io::Result<u64> {
    let found = statvfs(directory)?;
    Ok(found
        .blocks_available()
        .saturating_mul(found.fragment_size()))
}

/// Ours until it is given away. The crate would do the same, but add the path to
/// errors, which bear one already.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600).open(path)
}

fn user_number(name: &str) -> Result<u32, Error> {
    let found = User::from_name(name).ok().flatten();
    let number = found
        .map(|user| user.uid)
        .or_else(|| Some(Uid::from_raw(name.parse().ok()?)));
    number.map(Uid::as_raw).ok_or_else(|| Error::UnknownUser {
        name: name.to_owned(),
    })
}

fn group_number(name: &str) -> Result<u32, Error> {
    let found = Group::from_name(name).ok().flatten();
    let number = found
        .map(|group| group.gid)
        .or_else(|| Some(Gid::from_raw(name.parse().ok()?)));
    number.map(Gid::as_raw).ok_or_else(|| Error::UnknownGroup {
        name: name.to_owned(),
    })
}
