//! Captures as days of RSSAC002.
//!
//! The packets go the way of everything else. Where the UTC day of their time
//! changes, what was counted since then is put down to the day before. RCODEs
//! come from a dataset, since the kernel's counters tell the usual ones only.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
    sync::Arc,
};

use dns_wire::{
    Settings,
    counters::{Counters, Hook},
};
use jiff::civil::Date;

use super::{Progress, Reading, link, seed};
use crate::{
    config::IpPrefix,
    rssac002::{Day, date_of},
    source::file::{CaptureError, Packet},
    stats::{
        dataset::{Dataset, Dimension, Filter, Indexer, Layer, Measure, Predicate},
        engine::Counts,
        plan::{Plan, Rules},
        sketches::ClientKey,
    },
};

/// A hundred megabytes of sketches.
const MAX_DAYS: usize = 1000;
/// There are 4096 RCODEs.
const CELLS: usize = 1 << 13;

/// Captures being read, one after the other.
#[derive(Debug)]
pub struct DayReading {
    reading: Reading,
    /// The day of the packet before.
    open: Option<Date>,
    /// What had been counted when it began.
    before: Box<Counters>,
    counts: Counts,
    days: BTreeMap<Date, Day>,
}

/// Why a capture's packets are not all in the days.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read, or not to its end.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Packets of link layers that the parser does not know.
    #[error("{file}: skipped {packets} packets of a link type that xdsc does not know")]
    LinkType {
        /// The file.
        file: String,
        /// How many.
        packets: u64,
    },
    /// Times that no capture of a server has.
    #[error("{file}: packets of more than {MAX_DAYS} days; read fewer captures at a time")]
    TooManyDays {
        /// The file.
        file: String,
    },
}

impl DayReading {
    /// Nothing read yet; `service_addresses` empty means every address.
    /// Sources are hashed with the `key`.
    #[must_use]
    pub fn new(settings: Settings, service_addresses: Vec<IpPrefix>, key: ClientKey) -> Self {
        let plan = Plan::new(vec![rcodes()], Rules::default());
        let plan = plan.with_distinct_counts().with_client_key(key);
        let counts = Counts::new(&plan, CELLS, seed());
        let reading = Reading::with_plan(settings, service_addresses, Arc::new(plan));
        Self {
            reading: reading.without_pairing(),
            open: None,
            before: Box::default(),
            counts,
            days: BTreeMap::new(),
        }
    }

    /// The same for whoever waits for it.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.reading.progress = progress;
        self
    }

    /// Reads a file to its end, or to where it breaks.
    ///
    /// # Errors
    /// What was wrong with it. What was read of it is counted.
    pub fn file(&mut self, path: &Path) -> Result<(), Error> {
        let name = || path.display().to_string();
        let mut capture = self.reading.progress.open(path)?;
        let mut skipped = 0;
        while let Some(packet) = capture.next_packet()? {
            if !self.packet(&packet) {
                return Err(Error::TooManyDays { file: name() });
            }
            skipped += u64::from(link(packet.link).is_none());
        }
        if skipped > 0 {
            return Err(Error::LinkType {
                file: name(),
                packets: skipped,
            });
        }
        Ok(())
    }

    /// There are no more files: the days in their order.
    #[must_use]
    pub fn finish(mut self) -> Vec<Day> {
        self.reading.finish_fragments();
        self.reading.shard.finish();
        self.end_day();
        self.days.into_values().collect()
    }

    /// Whether there was room for its day.
    fn packet(&mut self, packet: &Packet<'_>) -> bool {
        let Some(link) = link(packet.link) else {
            return true;
        };
        let date = date_of(packet.time_ns / 1_000_000_000);
        if self.open != Some(date) {
            self.end_day();
            if self.days.len() >= MAX_DAYS && !self.days.contains_key(&date) {
                self.open = None;
                return false;
            }
            self.open = Some(date);
        }
        self.reading.packet(packet, link);
        true
    }

    /// Puts what was counted down to the open day.
    fn end_day(&mut self) {
        let Some(date) = self.open else {
            return;
        };
        let day = match self.days.entry(date) {
            Entry::Occupied(day) => day.into_mut(),
            Entry::Vacant(place) => place.insert(Day::new(date)),
        };
        let now = counters(&self.reading);
        day.add_messages(&now.since(&self.before));
        self.before = now;
        self.reading.shard.engine().exchange(&mut self.counts);
        for dataset in &self.counts.datasets {
            for cell in dataset.cells.iter() {
                let [_, rcode] = cell.keys;
                day.add_rcode(u16::try_from(rcode).unwrap_or(u16::MAX), cell.count);
            }
        }
        if let Some(clients) = &self.counts.sketches.clients {
            // One reading has one key.
            let added = day.add_sources(clients);
            debug_assert!(added.is_ok());
        }
        self.counts.clear();
    }
}

/// All messages so far, of both hooks.
fn counters(reading: &Reading) -> Box<Counters> {
    let mut sum = Box::<Counters>::default();
    for hook in Hook::ALL {
        sum.merge_messages(reading.observer.counters(*hook));
        sum.merge_messages(reading.datagrams.counters(*hook));
        sum.merge_messages(reading.shard.reassembled(*hook));
    }
    sum
}

/// The RCODEs, of 12 bits, of the responses that the server has sent.
fn rcodes() -> Dataset {
    let dimension = |label: &str, indexer| Dimension {
        label: label.to_owned(),
        indexer,
    };
    Dataset {
        name: "rcode".to_owned(),
        layer: Layer::Dns,
        dimensions: [
            dimension("All", Indexer::Null),
            dimension("Rcode", Indexer::Rcode),
        ],
        filters: [Predicate::Replies, Predicate::Server]
            .map(Filter::Is)
            .to_vec(),
        measure: Measure::Messages,
        min_count: None,
        max_cells: None,
    }
}
