//! Why a database cannot be used, in words for who put it there.

use std::{
    io,
    path::{Path, PathBuf},
};

use maxminddb::MaxMindDbError;

use super::image::MAX_SIZE;

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub struct GeoError {
    file: PathBuf,
    #[source]
    reason: Reason,
}

/// What is wrong with it, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Absent, or not permitted.
    #[error("cannot be read: {0}; see to its path and its permissions")]
    Unreadable(#[source] io::Error),
    /// A folder, a pipe, a device.
    #[error("is not a regular file; name an MMDB file")]
    NotAFile,
    /// Larger than what is taken into memory.
    #[error("has {0} octets, and at most {MAX_SIZE} are taken; use a smaller edition of it")]
    TooLarge(u64),
    /// Somebody wrote while it was read.
    #[error(
        "changed while it was read; put a new database in place by renaming it, and it is read \
         again"
    )]
    Changed,
    /// No memory, or none of the kind that is needed.
    #[error("cannot be copied into memory: {0}; give xdsc as much memory as the file has octets")]
    Memory(#[source] io::Error),
    /// Not an MMDB file, or a damaged one.
    #[error("is not a usable MMDB database: {0}; fetch it anew, and unpack it if it is packed")]
    Broken(#[from] MaxMindDbError),
    /// Well formed for a reader, but not what any honest writer makes.
    #[error("is a damaged MMDB database: {0}; fetch it anew")]
    Damaged(&'static str),
    /// Nothing in it that is asked for.
    #[error(
        "tells neither countries nor autonomous systems; use a database of countries, cities, \
         ASNs or ISPs"
    )]
    TellsNothing,
    /// A file was to be replaced that was never loaded.
    #[error("is none of the databases in use; name it in [geoip] databases")]
    NotInUse,
}

impl GeoError {
    pub(super) fn new(file: &Path, reason: Reason) -> Self {
        Self {
            file: file.to_owned(),
            reason,
        }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What is wrong with it.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }
}
