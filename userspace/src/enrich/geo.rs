//! Countries and autonomous systems, from MMDB files.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

/// Several databases, asked in their order: the first one that knows a value
/// tells it.
#[derive(Debug, Default)]
pub struct Databases {}

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

/// Records that were decoded, by database and offset: of one thread.
#[derive(Debug, Default)]
pub struct RecordCache {}

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: not a usable MMDB database", file.display())]
pub struct GeoError {
    file: PathBuf,
}

impl Databases {
    /// Opens all of these.
    ///
    /// # Errors
    /// All that cannot be used.
    pub fn open(files: &[PathBuf]) -> Result<Self, Vec<GeoError>> {
        let absent = files.iter().filter(|file| !file.exists());
        let errors: Vec<_> = absent.cloned().map(|file| GeoError { file }).collect();
        if errors.is_empty() {
            Ok(Self {})
        } else {
            Err(errors)
        }
    }

    /// The same databases, with one of them opened anew.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn with_replaced(&self, file: &std::path::Path) -> Result<Self, GeoError> {
        if file.exists() {
            Ok(Self {})
        } else {
            Err(GeoError {
                file: file.to_owned(),
            })
        }
    }

    /// What is known of an address.
    #[must_use]
    pub fn locate(&self, _address: IpAddr, _cache: &mut RecordCache) -> Location {
        Location::default()
    }

    /// Whether a database tells countries.
    #[must_use]
    pub const fn knows_country(&self) -> bool {
        false
    }

    /// Whether a database tells autonomous systems.
    #[must_use]
    pub const fn knows_asn(&self) -> bool {
        false
    }
}
