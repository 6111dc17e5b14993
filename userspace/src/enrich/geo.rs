//! Countries and autonomous systems, from MMDB files.
//!
//! A database is copied into sealed memory ([`image`]), looked at as a whole
//! before anybody asks it ([`survey`]), and then asked from any thread. What its
//! records mean is in [`record`]: vendors agree on the container, not on the
//! names in it. A set of databases never changes: a file that was replaced makes
//! a new set, which shares the other databases with the old one.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use maxminddb::Reader;

mod cache;
mod error;
mod image;
mod record;
mod survey;

pub use cache::RecordCache;
pub use error::{GeoError, Reason};

use image::Image;

/// The database type of a file that is told; what is longer is cut.
const MAX_TYPE_CHARACTERS: usize = 64;

/// Several databases, asked in their order: the first one that knows a value
/// tells it.
#[derive(Debug, Default)]
pub struct Databases {
    databases: Vec<Arc<Database>>,
    generation: u64,
}

/// What databases say of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// ISO 3166-1 alpha-2 code.
    pub country: Option<[u8; 2]>,
    /// Two letters: AF, AN, AS, EU, NA, OC, SA.
    pub continent: Option<[u8; 2]>,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
    /// The organisation that it belongs to.
    pub as_org: Option<Arc<str>>,
}

/// One MMDB file, in memory and verified.
#[derive(Debug)]
pub struct Database {
    reader: Reader<Image>,
    state: DatabaseState,
}

/// A database as metrics tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseState {
    /// Where it was read from.
    pub file: PathBuf,
    /// What the file calls itself, as in `GeoLite2-Country`; printable, at most
    /// 64 characters.
    pub database_type: String,
    /// When it was built, in seconds of the Unix epoch.
    pub build_epoch: u64,
    /// When it was read.
    pub loaded: SystemTime,
    /// Octets of the file, and of memory.
    pub size: u64,
    /// Different records that its networks share.
    pub records: u64,
    /// Whether any record tells a country.
    pub knows_country: bool,
    /// Whether any record tells an autonomous system.
    pub knows_asn: bool,
}

impl Databases {
    /// Reads and verifies files.
    ///
    /// # Errors
    /// All files that cannot be used.
    pub fn open(files: &[PathBuf]) -> Result<Self, Vec<GeoError>> {
        let mut databases = Vec::with_capacity(files.len());
        let mut errors = Vec::new();
        for file in files {
            match Database::open(file) {
                Ok(database) => databases.push(Arc::new(database)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(Self::of(databases))
        } else {
            Err(errors)
        }
    }

    /// The same databases, but for one file that is read anew.
    ///
    /// # Errors
    /// Where that file cannot be used, or is none of this set's.
    pub fn with_replaced(&self, file: &Path) -> Result<Self, GeoError> {
        if !self.databases.iter().any(|known| known.state.file == file) {
            return Err(GeoError::new(file, Reason::NotInUse));
        }
        let fresh = Arc::new(Database::open(file)?);
        let replace = |known: &Arc<Database>| {
            let of = if known.state.file == file {
                &fresh
            } else {
                known
            };
            Arc::clone(of)
        };
        Ok(Self::of(self.databases.iter().map(replace).collect()))
    }

    /// What is known of an address. Two values that go together come from
    /// databases that agree: the organisation is that of the system whose number
    /// is told.
    #[must_use]
    pub fn locate(&self, address: IpAddr, cache: &mut RecordCache) -> Location {
        let records = cache.of_generation(self.generation);
        let mut location = Location::default();
        for (index, database) in self.databases.iter().enumerate() {
            if let Some(offset) = database.offset(address) {
                let told = records.get_or_decode((index, offset), || database.decode(address));
                location.complete(told);
            }
            if location.is_complete() {
                break;
            }
        }
        location
    }

    /// Whether a database tells countries.
    #[must_use]
    pub fn knows_country(&self) -> bool {
        self.databases.iter().any(|known| known.state.knows_country)
    }

    /// Whether a database tells autonomous systems.
    #[must_use]
    pub fn knows_asn(&self) -> bool {
        self.databases.iter().any(|known| known.state.knows_asn)
    }

    /// The databases in their order.
    #[must_use]
    pub fn states(&self) -> Vec<DatabaseState> {
        let state = |database: &Arc<Database>| database.state.clone();
        self.databases.iter().map(state).collect()
    }

    fn of(databases: Vec<Arc<Database>>) -> Self {
        // Zero is the empty set's, of which nothing is ever kept.
        static GENERATIONS: AtomicU64 = AtomicU64::new(1);
        Self {
            databases,
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Location {
    /// Takes what is not known yet from a database that was asked later.
    fn complete(&mut self, later: &Self) {
        self.country = self.country.or(later.country);
        self.continent = self.continent.or(later.continent);
        // The name of another system than the one told would be a lie.
        let same_system = self.asn.is_none() || later.asn.is_none() || self.asn == later.asn;
        if self.as_org.is_none() && same_system {
            self.as_org.clone_from(&later.as_org);
        }
        self.asn = self.asn.or(later.asn);
    }

    const fn is_complete(&self) -> bool {
        self.country.is_some()
            && self.continent.is_some()
            && self.asn.is_some()
            && self.as_org.is_some()
    }
}

impl Database {
    /// Reads and verifies a file. Takes time in proportion to its size: about a
    /// second for a million networks.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged, or tells nothing that is of
    /// use here.
    pub fn open(file: &Path) -> Result<Self, GeoError> {
        Self::read(file).map_err(|reason| GeoError::new(file, reason))
    }

    /// What metrics tell of it.
    #[must_use]
    pub const fn state(&self) -> &DatabaseState {
        &self.state
    }

    fn read(file: &Path) -> Result<Self, Reason> {
        let image = Image::copy(file)?;
        let size = image.as_ref().len() as u64;
        let reader = Reader::from_source(image.clone())?;
        let found = survey::survey(&reader, image.as_ref())?;
        if !found.knows_country && !found.knows_asn {
            return Err(Reason::TellsNothing);
        }
        let metadata = reader.metadata();
        let state = DatabaseState {
            file: file.to_owned(),
            database_type: record::printable(&metadata.database_type, MAX_TYPE_CHARACTERS),
            build_epoch: metadata.build_epoch,
            loaded: SystemTime::now(),
            size,
            records: found.records,
            knows_country: found.knows_country,
            knows_asn: found.knows_asn,
        };
        Ok(Self { reader, state })
    }

    /// Where the record of an address is; none where there is no record.
    fn offset(&self, address: IpAddr) -> Option<usize> {
        self.reader.lookup(address).ok()?.offset()
    }

    /// The record of an address. It was decoded before, when the file was
    /// verified, and the file is sealed: an error here does not happen, and
    /// would mean that nothing is known.
    fn decode(&self, address: IpAddr) -> Location {
        let found = self.reader.lookup(address);
        let told = found.and_then(|found| record::location(&found));
        told.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
