//! What runs beside the drain to know more of clients and names.

use anyhow::Context as _;
use tokio::runtime::Handle;

use super::stream::EnrichedStream;

use crate::{
    config::Config,
    enrich::{
        reload::{ReloadThread, Reloader, States},
        reverse_dns::{Answer, ReverseDns, Watched},
        stream::ReverseLookup,
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
    reverse_dns: Option<ReverseDns>,
    stream: EnrichedStream,
}

impl Enrichment {
    /// Loads what the configuration names, and starts what it enables.
    ///
    /// # Errors
    /// All files that cannot be used, resolvers that must not be asked.
    pub(super) fn start(config: &Config, runtime: &Handle) -> anyhow::Result<Self> {
        let reloader = Reloader::open(config)?;
        let reverse_dns = reverse_dns(config, runtime)?;
        let lookup = reverse_dns.clone().map(lookup);
        let stream = EnrichedStream::start(config, reloader.tables(), lookup)?;
        Ok(Self {
            tables: reloader.tables().clone(),
            states: reloader.states(),
            reverse_dns,
            stream,
            _reloading: (reloader.start()).context("cannot start a thread for the tables")?,
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
        snapshot.reverse_dns = self.reverse_dns.as_ref().map(ReverseDns::stats);
        self.stream.tell(snapshot);
    }

    /// Ends what runs, and keeps what is worth keeping.
    pub(super) fn stop(&self) {
        if let Some(reverse_dns) = &self.reverse_dns {
            reverse_dns.stop();
        }
    }
}

fn reverse_dns(config: &Config, runtime: &Handle) -> anyhow::Result<Option<ReverseDns>> {
    let settings = &config.reverse_dns;
    if !settings.enabled {
        return Ok(None);
    }
    let watched = Watched::of(config).context("cannot read the local addresses")?;
    Ok(Some(ReverseDns::start(settings, &watched, runtime)?))
}

/// The names that are known by now.
fn lookup(reverse_dns: ReverseDns) -> ReverseLookup {
    Box::new(move |address| match reverse_dns.lookup(address) {
        Answer::Name(name) => Some(name),
        Answer::NoName | Answer::Pending | Answer::Never | Answer::Refused => None,
    })
}
