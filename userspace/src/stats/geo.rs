//! Countries and autonomous systems, from MMDB files.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use maxminddb::{Reader, geoip2};

/// The databases that the indexers `country` and `asn` ask.
#[derive(Debug, Default)]
pub struct Geo {
    country: Option<Reader<Vec<u8>>>,
    asn: Option<Reader<Vec<u8>>>,
}

/// A database that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: not a usable MMDB database: {cause}", file.display())]
pub struct GeoError {
    file: PathBuf,
    cause: maxminddb::MaxMindDbError,
}

impl Geo {
    /// Reads the databases.
    ///
    /// # Errors
    /// Where a file is no MMDB database.
    pub fn open(country: Option<&Path>, asn: Option<&Path>) -> Result<Self, GeoError> {
        let open = |file: &Path| {
            Reader::open_readfile(file).map_err(|cause| GeoError {
                file: file.to_owned(),
                cause,
            })
        };
        Ok(Self {
            country: country.map(open).transpose()?,
            asn: asn.map(open).transpose()?,
        })
    }

    /// ISO 3166-1 alpha-2 code, `??` where the database has none, and DSC's
    /// `?4` or `?6` without a database.
    #[must_use]
    pub fn country(&self, address: IpAddr) -> [u8; 2] {
        let Some(reader) = &self.country else {
            return unknown(address);
        };
        let found = reader.lookup(address).ok();
        let country = found.and_then(|found| found.decode::<geoip2::Country<'_>>().ok().flatten());
        let code = country.and_then(|country| country.country.iso_code);
        match code.map(str::as_bytes) {
            Some([a, b]) => [*a, *b],
            Some(_) | None => *b"??",
        }
    }

    /// Number of the autonomous system; none where it is unknown.
    #[must_use]
    pub fn asn(&self, address: IpAddr) -> Option<u32> {
        let found = self.asn.as_ref()?.lookup(address).ok()?;
        let asn = found.decode::<geoip2::Asn<'_>>().ok().flatten()?;
        asn.autonomous_system_number
    }

    /// Whether there is a database of autonomous systems.
    #[must_use]
    pub const fn knows_asn(&self) -> bool {
        self.asn.is_some()
    }
}

const fn unknown(address: IpAddr) -> [u8; 2] {
    match address {
        IpAddr::V4(_) => *b"?4",
        IpAddr::V6(_) => *b"?6",
    }
}
