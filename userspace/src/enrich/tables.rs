//! All tables together, as they are at one moment.
//!
//! A set of tables never changes: whoever reloads one puts a new set in the place
//! of the old one, and each reader goes over to it between two messages.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;

use super::{
    customers::{
        Customers,
        postgres::{PostgresError, Source},
    },
    geo::{Databases, GeoError},
    networks::Networks,
    table_file::TableError,
};
use crate::config::Config;

/// What can be looked up.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Countries and autonomous systems.
    pub geo: Arc<Databases>,
    /// Networks known by name.
    pub networks: Arc<Networks>,
    /// Customers.
    pub customers: Arc<Customers>,
}

/// Tables that can be replaced while they are read.
pub type SharedTables = Arc<ArcSwap<Tables>>;

/// Tables in which nothing is known.
#[must_use]
pub fn nothing_known() -> SharedTables {
    shared(Tables::default())
}

/// Tables that others can replace.
#[must_use]
pub fn shared(tables: Tables) -> SharedTables {
    Arc::new(ArcSwap::from_pointee(tables))
}

/// A table that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// A database.
    #[error("geoip.databases: {0}")]
    Geo(#[from] GeoError),
    /// A database that is named twice.
    #[error("geoip.databases: {} stands there twice; leave one of them out", .0.display())]
    Twice(PathBuf),
    /// The table of networks.
    #[error("{}", keyed("networks.file", .0))]
    Networks(TableError),
    /// The table of customers.
    #[error("{}", keyed("customers.file", .0))]
    Customers(TableError),
    /// Customers in PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// All tables that cannot be used. Never empty.
#[derive(Debug)]
pub struct TablesErrors(pub Vec<TablesError>);

impl std::error::Error for TablesErrors {}

impl fmt::Display for TablesErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(f, "{line_break}{error}")?;
        }
        Ok(())
    }
}

/// The tables in the files that a configuration names, and where the rows of
/// customers come from beside, which nobody has asked yet.
///
/// # Errors
/// All that cannot be used.
pub fn from_files(config: &Config) -> Result<(Tables, Option<Source>), TablesErrors> {
    let mut errors = Vec::new();
    let databases = database_paths(config);
    for (index, file) in databases.iter().enumerate() {
        if databases[..index].contains(file) {
            errors.push(TablesError::Twice(file.clone()));
        }
    }
    let geo = Databases::open(&databases).unwrap_or_else(|wrong| {
        errors.extend(wrong.into_iter().map(TablesError::Geo));
        Databases::default()
    });
    let networks = path(&config.networks.file).map(Networks::read);
    let customers = path(&config.customers.file).map(Customers::read);
    let tables = Tables {
        geo: Arc::new(geo),
        networks: Arc::new(kept(networks, TablesError::Networks, &mut errors)),
        customers: Arc::new(kept(customers, TablesError::Customers, &mut errors)),
    };
    let settings = &config.customers;
    let postgres = match settings.postgres.as_str() {
        "" => None,
        connection => match Source::new(connection, &settings.query) {
            Ok(source) => Some(source),
            Err(error) => {
                errors.push(error.into());
                None
            }
        },
    };
    if errors.is_empty() {
        Ok((tables, postgres))
    } else {
        Err(TablesErrors(errors))
    }
}

/// All tables that a configuration names, read once, for those who do not stay.
/// There is no later time at which a database that is away could return, so that
/// is an error here.
///
/// # Errors
/// All that cannot be used.
pub fn tables_of(config: &Config) -> Result<Tables, TablesErrors> {
    let (mut tables, postgres) = from_files(config)?;
    if let Some(source) = postgres {
        let rows = source.fetch_now();
        let rows = rows.map_err(|error| TablesErrors(vec![error.into()]))?;
        tables.customers = Arc::new(tables.customers.with(&rows));
    }
    Ok(tables)
}

/// An error with the key that names the file; where it names lines of it, these
/// stand in front.
fn keyed(key: &str, error: &TableError) -> String {
    match error {
        TableError::Read { .. } | TableError::Empty { .. } => format!("{key}: {error}"),
        TableError::Rows(rows) => rows.to_string(),
    }
}

/// The databases that a configuration names.
pub(super) fn database_paths(config: &Config) -> Vec<PathBuf> {
    let databases = config.geoip.databases.iter();
    databases.map(PathBuf::from).collect()
}

/// An empty path is none.
pub(super) fn path(text: &str) -> Option<&Path> {
    (!text.is_empty()).then(|| Path::new(text))
}

/// A table that was read; an empty one where there is none, or it is wrong.
fn kept<T: Default>(
    read: Option<Result<T, TableError>>,
    wrong: impl FnOnce(TableError) -> TablesError,
    errors: &mut Vec<TablesError>,
) -> T {
    match read.transpose() {
        Ok(table) => table.unwrap_or_default(),
        Err(error) => {
            errors.push(wrong(error));
            T::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nothing_is_known_where_nothing_is_named() {
        let tables = tables_of(&Config::default()).expect("no tables");
        assert!(tables.networks.is_empty() && tables.customers.is_empty());
        assert!(!tables.geo.knows_country() && !tables.geo.knows_asn());
    }

    #[test]
    fn files_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let [networks, customers] = ["networks", "customers"].map(|name| folder.path().join(name));
        fs::write(&networks, "192.0.2.0/24,resolver\n").expect("a file");
        fs::write(&customers, "example.com,Example\n").expect("a file");
        let mut config = Config::default();
        config.networks.file = networks.display().to_string();
        config.customers.file = customers.display().to_string();
        let tables = tables_of(&config).expect("two tables");
        assert_eq!((tables.networks.len(), tables.customers.zones()), (1, 1));
    }

    #[test]
    fn all_tables_that_cannot_be_used_are_told() {
        let mut config = Config::default();
        config.geoip.databases = vec!["/absent/a.mmdb".to_owned(); 2];
        config.networks.file = "/absent/networks.csv".to_owned();
        config.customers.file = "/absent/customers.csv".to_owned();
        config.customers.postgres = "dbname=billing".to_owned();
        let told = from_files(&config).map(drop).expect_err("nothing there");
        let told = told.to_string();
        for expected in [
            "geoip.databases: /absent/a.mmdb stands there twice; leave one of them out\n",
            "geoip.databases: ",
            "networks.file: cannot read /absent/networks.csv: ",
            "customers.file: cannot read /absent/customers.csv: ",
            "customers.postgres: it names no host; ",
        ] {
            assert!(told.contains(expected), "{told}");
        }
    }
}
