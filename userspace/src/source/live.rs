//! Packets from the kernel: load the programs, attach them, drain their rings.
//!
//! The only place in user space that knows the BPF library. [`Live`] holds it all
//! together: while it lives, the programs are attached.

pub mod attach;
pub mod clock;
pub mod collect;
pub mod cost;
pub mod drain;
mod driver;
mod governor;
mod pace;
pub mod probe;
pub mod ring;
pub mod test_run;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use dns_wire::{
    Settings,
    counters::{Counters, Hook},
    ring::{CHUNK_LINES, MAX_CHUNKS},
};
use tracing::{info, warn};

use self::{
    attach::{AttachError, Attachments},
    clock::now_ns,
    collect::CollectOptions,
    cost::CostMeter,
    drain::{DrainOptions, Drains, FilePlan, Report},
    probe::{LoadError, LoadOptions, Probe, Variant},
    ring::Ring,
};
use crate::{
    config::Config,
    enrich::{locator::Caches, stream, tables::SharedTables},
    export::snapshot::{HookCounts, LiveState, RingReport, Snapshot, Stage},
    source::stream::{Limits, StreamStats},
    statistics::{StatisticsErrors, limits, statistics},
    stats::{
        engine::Counts, lag::LagReport, pairing::Pairing, plan::Plan, response_time::ResponseTime,
        sketches::Clients,
    },
};

/// Why there is no live traffic.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The datasets cannot be counted as configured.
    #[error(transparent)]
    Statistics(#[from] StatisticsErrors),
    /// The programs are not in the kernel.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The programs are not at an interface.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// No threads.
    #[error("cannot start the threads that read the rings: {0}")]
    Threads(#[from] io::Error),
}

/// What runs beside, and the threads that count use or feed.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// What is looked up.
    pub tables: &'a SharedTables,
    /// The enriched stream.
    pub stream: &'a stream::Handle,
}

/// What messages there were.
#[derive(Debug)]
pub struct Messages {
    /// Since the start, at both hooks.
    pub counted: Box<Counters>,
    /// Clients since they were asked for last.
    pub sources: Clients,
}

/// The last numbers of all.
#[derive(Debug)]
pub struct Ended {
    /// Everything.
    pub snapshot: Snapshot,
    /// Clients since they were asked for last.
    pub sources: Clients,
    /// What is left for files.
    pub interval: Option<IntervalCounts>,
}

/// What is counted for files.
#[derive(Debug)]
pub struct IntervalCounts {
    /// The datasets, since they were asked for last.
    pub counts: Box<Counts>,
    /// How transactions ended since then.
    pub times: BTreeMap<ResponseTime, u64>,
    /// What each hook has counted since the start.
    pub hooks: [Box<Counters>; 2],
}

/// The attached programs and the threads that read from them.
pub struct Live {
    // In the order in which they are to go: first no more packets come in, then
    // the rings are emptied, then the maps go.
    attachments: Attachments,
    drains: Drains,
    probe: Mutex<Probe>,
    cost: CostMeter,
    node: String,
    site: String,
}

/// Whether a snapshot tells of datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Datasets {
    HandedOver,
    LeftOut,
}

impl Live {
    /// Loads, attaches and starts to read.
    ///
    /// # Errors
    /// [`LiveError`], each with its cure.
    pub fn start(
        config: &Config,
        variant: Variant,
        files: Option<&FilePlan>,
        beside: &Beside<'_>,
    ) -> Result<Self, LiveError> {
        // Before anything is loaded: a list that cannot be read costs no traffic.
        let plan = Arc::new(statistics(config, beside.tables)?);
        let mut probe = Probe::load(&load_options(config, variant, &plan, files))?;
        if variant == Variant::Trace {
            probe.log_packets();
        }
        let rings = Ring::all(&probe)?;
        let mut pairing = Pairing::new(
            config.pairing.capacity as usize,
            nanoseconds(config.pairing.timeout),
        );
        if let Some((times, role)) = files.and_then(|files| files.times) {
            pairing = pairing.with_times(times, role);
        }
        let drains = Drains::start(
            rings,
            pairing,
            drain_options(config),
            &plan,
            files,
            beside.stream,
        )?;
        let mut attachments = Attachments::default();
        for interface in &config.interfaces {
            let (ingress, egress) = (config.probe.xdp_mode, config.probe.egress);
            attachments.attach(&mut probe, interface, ingress, egress)?;
        }
        Ok(Self {
            attachments,
            drains,
            probe: Mutex::new(probe),
            cost: CostMeter::start(config.probe.run_time_stats)?,
            node: node_name(config),
            site: config.site.clone(),
        })
    }

    /// Everything as it is now. Waits for the drain threads, at most a second.
    ///
    /// # Errors
    /// When the kernel does not hand out its counters.
    pub fn snapshot(&self) -> Result<Snapshot, LoadError> {
        self.snapshot_of(Datasets::HandedOver)
    }

    /// The same without the datasets, which is much less to copy.
    ///
    /// # Errors
    /// When the kernel does not hand out its counters.
    pub fn counters(&self) -> Result<Snapshot, LoadError> {
        self.snapshot_of(Datasets::LeftOut)
    }

    fn snapshot_of(&self, datasets: Datasets) -> Result<Snapshot, LoadError> {
        // As they are found: what a scrape has them emptied of had waited.
        let found = self.drains.rings();
        // The rings are emptied first, so that the kernel's counters, read
        // after, are never behind what was taken out.
        let (reports, pairing) = match datasets {
            Datasets::HandedOver => self.drains.report(),
            Datasets::LeftOut => self.drains.glance(),
        };
        let emptied = self.drains.rings();
        let statistics = match datasets {
            Datasets::HandedOver => Some(self.drains.statistics()),
            Datasets::LeftOut => None,
        };
        let aggregate = self.drains.aggregate_lag();
        let (ingress, egress, programs) = {
            let probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
            (
                probe.counters_and_losses(Hook::Ingress)?,
                probe.counters_and_losses(Hook::Egress)?,
                probe.costs(),
            )
        };
        let (ingress, ingress_losses) = ingress;
        let (egress, egress_losses) = egress;
        let mut hooks = [ingress, egress].map(|packets| HookCounts {
            packets,
            ..HookCounts::default()
        });
        for report in &reports {
            for (hook, reassembled) in hooks.iter_mut().zip(&report.reassembled) {
                hook.reassembled.merge(reassembled);
            }
        }
        let streams = sum_streams(&reports);
        let caches = Caches::sum(reports.iter().filter_map(|report| report.caches));
        let damaged_records = reports.iter().map(|report| report.damaged).sum();
        let rings = ring_reports(found, &emptied, [&ingress_losses, &egress_losses]);
        let drain = LagReport::sum(rings.iter().map(|ring| &ring.lag));
        Ok(Snapshot {
            hooks,
            pairing,
            streams,
            statistics,
            caches,
            live: Some(LiveState {
                node: self.node.clone(),
                site: self.site.clone(),
                attachments: self.attachments.states.clone(),
                damaged_records,
                longest_pause: self.drains.longest_pause_ns() as f64 / 1e9,
                rings,
                programs,
                time_s: unix_seconds(),
            }),
            stages: vec![(Stage::Drain, drain), (Stage::Aggregate, aggregate)],
            ..Snapshot::default()
        })
    }

    /// All messages so far, and the clients since the last call. Waits for the
    /// drain threads, at most a second.
    ///
    /// # Errors
    /// When the kernel does not hand out its counters.
    pub fn messages(&self) -> Result<Messages, LoadError> {
        let (reports, _) = self.drains.report();
        let sources = self.drains.take_sources();
        let mut counted = Box::<Counters>::default();
        let probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
        for hook in Hook::ALL {
            counted.merge(&probe.counters_and_losses(*hook)?.0);
        }
        for report in &reports {
            for reassembled in &report.reassembled {
                counted.merge(reassembled);
            }
        }
        Ok(Messages { counted, sources })
    }

    /// All that was counted for files since the last call; none where nothing
    /// is. Waits for the drain threads, at most a second.
    ///
    /// # Errors
    /// When the kernel does not hand out its counters.
    pub fn interval(&self) -> Result<Option<IntervalCounts>, LoadError> {
        drop(self.drains.report());
        let hooks = {
            let probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
            let [ingress, egress] = [Hook::Ingress, Hook::Egress];
            [
                probe.counters_and_losses(ingress)?.0,
                probe.counters_and_losses(egress)?.0,
            ]
        };
        let taken = self.drains.take_interval();
        Ok(taken.map(|(counts, times)| IntervalCounts {
            counts,
            times,
            hooks,
        }))
    }

    /// Whether everything works: else what does not.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn check(&self) -> Result<(), String> {
        if self.drains.alive() {
            Ok(())
        } else {
            Err("a thread that reads the rings has died; restart xdsc".to_owned())
        }
    }

    /// Name of this server.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Interfaces, hooks and modes, for people.
    #[must_use]
    pub fn places(&self) -> String {
        let places = self.attachments.states.iter().map(|place| {
            format!(
                "{} {} ({})",
                place.interface,
                place.hook.label(),
                place.mode
            )
        });
        places.collect::<Vec<_>>().join(", ")
    }

    /// Detaches the programs, reads what is left in the rings, and tells the
    /// last numbers.
    ///
    /// # Errors
    /// When the kernel does not hand out its counters.
    pub fn stop(mut self) -> Result<Ended, LoadError> {
        self.cost.stop();
        let detached = {
            let mut probe = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
            probe.detach()
        };
        self.attachments.remove_qdiscs();
        if let Err(cause) = detached {
            warn!(cause, "could not detach a program; it goes when xdsc ends");
        }
        let snapshot = self.snapshot()?;
        self.drains.stop();
        info!("detached, and every record read");
        let taken = self.drains.take_interval();
        Ok(Ended {
            sources: self.drains.take_sources(),
            interval: taken.map(|(counts, times)| IntervalCounts {
                counts,
                times,
                hooks: snapshot.hooks.clone().map(|hook| hook.packets),
            }),
            snapshot,
        })
    }
}

fn load_options(
    config: &Config,
    variant: Variant,
    plan: &Plan,
    files: Option<&FilePlan>,
) -> LoadOptions {
    let whole =
        plan.needs_whole_messages() || files.is_some_and(|files| files.plan.needs_whole_messages());
    let chunk_bytes = CHUNK_LINES * dns_wire::record::LINE as u64;
    LoadOptions {
        variant,
        settings: Settings::new(&config.probe.ports)
            .with_decapsulation(config.probe.decapsulate)
            .with_whole_messages(whole)
            .with_seed(seed()),
        chunks: config
            .ring
            .bytes
            .map_or(0, |bytes| (bytes / chunk_bytes).clamp(1, MAX_CHUNKS)),
        service_addresses: config.probe.service_addresses.clone(),
    }
}

fn drain_options(config: &Config) -> DrainOptions {
    DrainOptions {
        // A thread reads some millions of records per second.
        threads: config.ring.drain_threads.unwrap_or(1),
        poll_min: config.ring.poll_min,
        poll_max: config.ring.poll_max,
        cpu_budget: config
            .ring
            .cpu_budget
            .map(|percent| f64::from(percent) / 100.0),
        limits: Limits {
            streams: config.tcp.streams as usize,
            memory: config.tcp.memory as usize,
            idle_ns: nanoseconds(config.tcp.idle_timeout),
        },
        share_bits: config.pairing.one_in.ilog2() as u8,
        full_below: config.pairing.full_below,
        collect: CollectOptions {
            cells: config.statistics.cells as usize,
            limits: limits(config),
            sources: !config.rssac002.directory.is_empty(),
        },
    }
}

/// Nobody outside can know which transactions it chooses.
fn seed() -> u64 {
    use std::hash::BuildHasher as _;
    std::hash::RandomState::new().hash_one(now_ns())
}

fn node_name(config: &Config) -> String {
    if !config.node.is_empty() {
        return config.node.clone();
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// A thread that panicked has told of it; its data is as good as it was.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A clock before the epoch counts as the epoch.
fn unix_seconds() -> f64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0.0, |since| since.as_secs_f64())
}

/// The rings as a scrape has found them, with what came of them after it had them
/// emptied, and what the kernel lost before each: by hook, by CPU.
fn ring_reports(
    found: Vec<RingReport>,
    emptied: &[RingReport],
    losses: [&[u64]; 2],
) -> Vec<RingReport> {
    let [ingress, egress] = losses;
    let mut rings = found;
    for (ring, emptied) in rings.iter_mut().zip(emptied) {
        let losses = match ring.hook {
            Hook::Ingress => ingress,
            Hook::Egress => egress,
        };
        ring.dropped = losses.get(ring.cpu as usize).copied().unwrap_or(0);
        ring.lag = LagReport {
            lag_seconds: ring.lag.lag_seconds,
            max_lag_seconds: emptied.lag.max_lag_seconds.max(ring.lag.lag_seconds),
            backlog: ring.lag.backlog,
            ..emptied.lag
        };
    }
    rings
}

fn sum_streams(reports: &[Report]) -> StreamStats {
    let mut sum = StreamStats::default();
    for report in reports {
        sum.merge(&report.streams);
    }
    sum
}
