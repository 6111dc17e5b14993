//! What runs beside the drain to know more of clients and names.

use anyhow::Context as _;

use super::stream::EnrichedStream;

use crate::{
    config::Config,
    enrich::{
        reload::{ReloadThread, Reloader, States},
        tables::SharedTables,
    },
    export::snapshot::Snapshot,
    http::Tail,
};

/// The tables, and what keeps them up to date.
pub(super) struct Enrichment {
    tables: SharedTables,
    states: States,
    _reloading: ReloadThread,
    stream: EnrichedStream,
}

impl Enrichment {
    /// Loads what the configuration names.
    ///
    /// # Errors
    /// All files that cannot be used.
    pub(super) fn start(config: &Config) -> anyhow::Result<Self> {
        let reloader = Reloader::open(config)?;
        let stream = EnrichedStream::start(config, reloader.tables(), None)?;
        Ok(Self {
            tables: reloader.tables().clone(),
            states: reloader.states(),
            _reloading: (reloader.start()).context("cannot start a thread for the tables")?,
            stream,
        })
    }

    /// What is looked up while messages are counted.
    pub(super) const fn tables(&self) -> &SharedTables {
        &self.tables
    }

    /// The enriched stream.
    pub(super) const fn tail(&self) -> &Tail {
        self.stream.tail()
    }

    /// Adds what there is to tell to a snapshot.
    pub(super) fn tell(&self, snapshot: &mut Snapshot) {
        let tables = self.states.get();
        // Families without samples say nothing.
        if !tables.sources.is_empty() {
            snapshot.tables = Some(tables);
        }
        self.stream.tell(snapshot);
    }
}
