//! What runs beside the drain to know more of clients and names.

use std::sync::Arc;

use crate::{
    config::Config,
    enrich::tables::{SharedTables, Tables, shared},
    export::snapshot::Snapshot,
};

/// The tables, and what keeps them up to date.
pub(super) struct Enrichment {
    tables: SharedTables,
}

impl Enrichment {
    /// Loads what the configuration names.
    ///
    /// # Errors
    /// All files that cannot be used.
    #[expect(clippy::unnecessary_wraps, reason = "files are yet to be read")]
    pub(super) fn start(_config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            tables: shared(Tables::default()),
        })
    }

    /// What is looked up while messages are counted.
    pub(super) const fn tables(&self) -> &SharedTables {
        &self.tables
    }

    /// Adds what there is to tell to a snapshot.
    pub(super) fn tell(&self, _snapshot: &mut Snapshot) {
        let _ = Arc::strong_count(&self.tables);
    }
}
