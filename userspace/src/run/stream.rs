//! The enriched stream of the daemon, as configured.

use anyhow::Context as _;

use crate::{
    config::Config,
    enrich::{
        exchange::shown::Disclosure,
        stream::{Enricher, Options, ReverseLookup, Stream},
        tables::SharedTables,
    },
    export::snapshot::{Snapshot, Stage},
    http::Tail,
};

/// The stream, and what is shown of it.
pub(super) struct EnrichedStream {
    stream: Stream,
    tail: Tail,
}

impl EnrichedStream {
    /// Starts its thread; `lookup` tells names of clients, where they are wanted.
    ///
    /// # Errors
    /// When the secret of pseudonyms or the list of suffixes cannot be read, or
    /// there is no thread.
    pub(super) fn start(
        config: &Config,
        tables: &SharedTables,
        lookup: Option<ReverseLookup>,
    ) -> anyhow::Result<Self> {
        let disclosure = Disclosure::from_config(config)?;
        let options = options(config, lookup.is_some());
        let enricher = Enricher::from_config(config, tables);
        let enricher = match lookup {
            Some(lookup) => enricher.with_names(lookup, config.reverse_dns.min_seen),
            None => enricher,
        };
        let stream = Stream::start(&options, enricher);
        let stream = stream.context("cannot start the thread of the enriched stream")?;
        let tail = Tail {
            stream: stream.handle().clone(),
            disclosure,
            prefixes: (
                config.statistics.client_v4_prefix,
                config.statistics.client_v6_prefix,
            ),
        };
        Ok(Self { stream, tail })
    }

    /// What subscribers and taps need of it.
    pub(super) const fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Adds what there is to tell to a snapshot.
    pub(super) fn tell(&self, snapshot: &mut Snapshot) {
        let stats = self.stream.handle().stats();
        snapshot.stages.push((Stage::Enrich, stats.enrich));
        snapshot.stream = Some(stats);
    }
}

fn options(config: &Config, has_lookup: bool) -> Options {
    let settings = &config.stream;
    let timeout = config.pairing.timeout;
    // Twice what can come within the time that it waits.
    let pending = u64::from(settings.max_rate) * 2 * timeout.as_secs().max(1);
    Options {
        max_rate: settings.max_rate,
        queue: settings.queue as usize,
        taps: config.ring.drain_threads.unwrap_or(1),
        pending: pending.min(config.pairing.capacity.into()) as usize,
        timeout_ns: u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX),
        buffer: settings.buffer as usize,
        subscribers: settings.subscribers as usize,
        always: has_lookup,
    }
}
