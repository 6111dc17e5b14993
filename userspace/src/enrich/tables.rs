//! All tables together, as they are at one moment.
//!
//! A set of tables never changes: whoever reloads one puts a new set in the place
//! of the old one, and each reader goes over to it between two messages.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{customers::Customers, geo::Databases, networks::Networks};

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
