//! What runs beside the drain to know more of clients and names.

use anyhow::Context as _;

use crate::{
    config::Config,
    enrich::{
        reload::{ReloadThread, Reloader, States},
        tables::SharedTables,
    },
    export::snapshot::Snapshot,
};

/// The tables, and what keeps them up to date.
pub(super) struct Enrichment {
    tables: SharedTables,
    states: States,
    _reloading: ReloadThread,
}

impl Enrichment {
    /// Loads what the configuration names.
    ///
    /// # Errors
    /// All files that cannot be used.
    pub(super) fn start(config: &Config) -> anyhow::Result<Self> {
        let reloader = Reloader::open(config)?;
        Ok(Self {
            tables: reloader.tables().clone(),
            states: reloader.states(),
            _reloading: (reloader.start()).context("cannot start a thread for the tables")?,
        })
    }

    /// What is looked up while messages are counted.
    pub(super) const fn tables(&self) -> &SharedTables {
        &self.tables
    }

    /// Adds what there is to tell to a snapshot.
    pub(super) fn tell(&self, snapshot: &mut Snapshot) {
        let tables = self.states.get();
        // Families without samples say nothing.
        if !tables.sources.is_empty() {
            snapshot.tables = Some(tables);
        }
    }
}
