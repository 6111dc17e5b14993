//! `xdsc read`: the statistics of capture files.
//!
//! A packet of a file goes the way of a live one: the parser, the counters, the
//! shard, the pairing. [`Reading`] leads it there and ends with a [`Report`],
//! `summary` puts that into words and numbers, `text` lays those out for people.

mod command;
mod configured;
mod datasets;
mod days;
mod progress;
mod summary;
mod tables;
mod text;

use std::{
    fmt,
    io::{self, Write},
    ops::ControlFlow,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use dns_wire::{
    Settings, Slice,
    counters::{Hook, Outcome},
    locate::{Link, ip_packet},
    record::Record,
};
use foldhash::quality::RandomState;

use crate::{
    cli::{ReadArgs, ReadFormat},
    config::{Config, IpPrefix},
    enrich::stream::{Raw, tap::Tap},
    export::{
        exposition,
        prometheus::openmetrics,
        snapshot::{HookCounts, Snapshot},
    },
    source::{
        file::{Capture, CaptureError, LinkType, Packet},
        fragments::{self, Datagram, FragmentStats, Fragments},
        observer::{Observer, Sink},
        stream::Limits,
    },
    stats::{
        aggregate::{self, Aggregate, Moment},
        builtin,
        engine::{Counts, Engine},
        observed::Observed,
        pairing::Pairing,
        plan::{Plan, Rules},
        shard::Shard,
    },
};

pub use datasets::{DatasetReading, Error as DatasetError, Options as DatasetOptions};
pub use days::{DayReading, Error as DayError};
pub use progress::Progress;
pub use summary::Summary;

/// Files have as many transactions under way as they like; so many fit into a
/// hundred megabytes or so, at 5 s and 200,000 queries/s.
const PENDING: usize = 1 << 20;
/// Cells of a dataset in an interval: 250 octets each, with what is printed.
const CELLS: usize = 1 << 20;
/// Bounds of the TCP reassembly: those of a big server.
const STREAMS: usize = 1 << 16;
const STREAM_MEMORY: usize = 1 << 28;

/// Reads the files and prints their statistics to `out`; what is wrong with a
/// file goes to `complaints`, and makes the status 1.
///
/// # Errors
/// When `out` or `complaints` cannot be written to.
pub fn run(
    args: &ReadArgs,
    out: &mut impl Write,
    complaints: &mut impl Write,
) -> io::Result<ExitCode> {
    if args.wants_datasets() {
        return command::run(args, out, complaints);
    }
    let settings = Settings::new(&args.ports.0).with_decapsulation(args.decapsulate);
    let datasets = match args.format {
        // What a daemon would show.
        ReadFormat::Prometheus => builtin::default(),
        ReadFormat::Text | ReadFormat::Json | ReadFormat::DscXml | ReadFormat::DscJson => {
            Vec::new()
        }
    };
    let plan = Arc::new(Plan::new(datasets, Rules::default()));
    let reading = Reading::with_plan(settings, args.service_addresses.clone(), plan);
    read_and_print(reading, args, out, complaints)
}

fn read_and_print(
    mut reading: Reading,
    args: &ReadArgs,
    out: &mut impl Write,
    complaints: &mut impl Write,
) -> io::Result<ExitCode> {
    reading.progress = Progress::on_stderr(&args.files);
    for path in &args.files {
        for error in reading.file(path) {
            reading
                .progress
                .aside(|| writeln!(complaints, "xdsc: {error}"))?;
        }
    }
    let report = reading.finish();
    print(&report, args.format, out)?;
    out.flush()?;
    let clean = report.files.iter().all(|file| file.errors.is_empty());
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print(report: &Report, format: ReadFormat, out: &mut impl Write) -> io::Result<()> {
    match format {
        ReadFormat::Text => text::write(&Summary::new(report), out),
        ReadFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &Summary::new(report))?;
            writeln!(out)
        }
        ReadFormat::Prometheus => {
            let metrics = openmetrics(report.snapshot.clone(), None).map_err(io::Error::other)?;
            out.write_all(exposition::to_classic_text(&metrics).as_bytes())
        }
        // These formats are of datasets, which `command` prints.
        ReadFormat::DscXml | ReadFormat::DscJson => Ok(()),
    }
}

/// Why a file's packets are not all in the statistics.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The capture cannot be read, or not to its end.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Packets of link layers that the parser does not know.
    #[error(
        "{file}: skipped {packets} packets of link type {links}, as xdsc knows {KNOWN_LINKS} only; \
         capture on another interface (of a WLAN, without monitor mode)"
    )]
    LinkType {
        /// The file.
        file: String,
        /// How many were skipped.
        packets: u64,
        /// Their link types.
        links: LinkTypes,
    },
}

const KNOWN_LINKS: &str = "ETHERNET, RAW, IPV4, IPV6, LINUX_SLL, LINUX_SLL2, NULL, LOOP and PPP";

/// Link types in the order of their appearance.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LinkTypes(pub Vec<LinkType>);

impl fmt::Display for LinkTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, link) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{link}")?;
        }
        Ok(())
    }
}

/// Captures being read, one after the other.
#[derive(Debug)]
pub struct Reading {
    observer: Observer,
    fragments: Fragments,
    /// Sees what comes of fragments; of its packets nothing is counted, as all of
    /// them were seen as fragments.
    datagrams: Observer,
    shard: Shard,
    /// None where nobody asks for transactions.
    pairing: Option<Pairing>,
    /// Whether any dataset counts packets that are no DNS messages.
    counts_packets: bool,
    timeout: Duration,
    /// Time of the packet before.
    now_ns: u64,
    span: Option<Span>,
    files: Vec<FileReport>,
    progress: Progress,
}

/// All that was read.
#[derive(Debug)]
pub struct Report {
    /// The statistics.
    pub snapshot: Snapshot,
    /// The files in the order of reading.
    pub files: Vec<FileReport>,
    /// The time that the packets cover; none without a packet that has one.
    pub span: Option<Span>,
    /// What became of IP fragments.
    pub fragments: FragmentStats,
}

/// What was read of one file.
#[derive(Debug)]
pub struct FileReport {
    /// Its path, or what stands for it.
    pub file: String,
    /// Packets in it, as far as it could be read.
    pub packets: u64,
    /// Those of them that were skipped for their link type.
    pub skipped: u64,
    /// What was wrong with it.
    pub errors: Vec<String>,
}

/// From the earliest packet to the latest, in ns since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The earliest.
    pub first_ns: u64,
    /// The latest.
    pub last_ns: u64,
}

impl Reading {
    /// Nothing read yet; `service_addresses` empty means every address.
    #[must_use]
    pub fn new(settings: Settings, service_addresses: Vec<IpPrefix>) -> Self {
        let plan = Plan::new(Vec::new(), Rules::default());
        Self::with_plan(settings, service_addresses, Arc::new(plan))
    }

    /// Likewise, with datasets.
    #[must_use]
    pub fn with_plan(
        settings: Settings,
        service_addresses: Vec<IpPrefix>,
        plan: Arc<Plan>,
    ) -> Self {
        let defaults = Config::default();
        let limits = Limits {
            streams: STREAMS,
            memory: STREAM_MEMORY,
            idle_ns: nanoseconds(defaults.tcp.idle_timeout),
        };
        let timeout = defaults.pairing.timeout;
        let settings = settings.with_whole_messages(plan.needs_whole_messages());
        let counts_packets = plan.counts_packets();
        let engine = Engine::in_order(plan, CELLS, seed());
        Self {
            observer: Observer::new(settings, service_addresses.clone()),
            fragments: Fragments::new(fragments::Limits::default()),
            datagrams: Observer::new(settings, service_addresses),
            shard: Shard::new(limits, RandomState::default(), engine),
            pairing: Some(Pairing::new(PENDING, nanoseconds(timeout))),
            counts_packets,
            timeout,
            now_ns: 0,
            span: None,
            files: Vec::new(),
            progress: Progress::hidden(),
        }
    }

    /// The same for whoever wants the messages themselves, too: each call of
    /// [`take_raws`](Self::take_raws) tells them.
    #[must_use]
    pub fn with_tap(mut self) -> Self {
        self.shard = self.shard.with_tap(Tap::keeping());
        self
    }

    /// The messages since the last call, in the order in which they were complete.
    pub fn take_raws(&mut self) -> Vec<Raw> {
        self.shard.take_raws()
    }

    /// The same for whoever does not ask for transactions.
    #[must_use]
    fn without_pairing(mut self) -> Self {
        self.pairing = None;
        self
    }

    /// Reads a file to its end, or to where it breaks; what was wrong with it.
    pub fn file(&mut self, path: &Path) -> Vec<ReadError> {
        self.file_while(path, |_| ControlFlow::Continue(()))
    }

    /// Reads a file likewise, and calls `after` behind each packet, which may end
    /// it.
    pub fn file_while(
        &mut self,
        path: &Path,
        after: impl FnMut(&mut Self) -> ControlFlow<()>,
    ) -> Vec<ReadError> {
        let name = path.display().to_string();
        match self.progress.open(path) {
            Ok(capture) => self.capture_while(name, capture, after),
            Err(error) => self.end_file(name, 0, Skipped::default(), Some(error)),
        }
    }

    /// Reads an open capture likewise; `name` stands for it in errors.
    pub fn capture(&mut self, name: String, capture: Capture) -> Vec<ReadError> {
        self.capture_while(name, capture, |_| ControlFlow::Continue(()))
    }

    fn capture_while(
        &mut self,
        name: String,
        mut capture: Capture,
        mut after: impl FnMut(&mut Self) -> ControlFlow<()>,
    ) -> Vec<ReadError> {
        let mut skipped = Skipped::default();
        let error = loop {
            match capture.next_packet() {
                Ok(Some(packet)) => match link(packet.link) {
                    Some(link) => self.packet(&packet, link),
                    None => skipped.count(packet.link),
                },
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
            if after(self).is_break() {
                break None;
            }
        };
        self.end_file(name, capture.packets_read(), skipped, error)
    }

    /// There are no more files.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.finish_fragments();
        self.shard.finish();
        if let Some(pairing) = &mut self.pairing {
            pairing.finish();
        }
        let hooks = [Hook::Ingress, Hook::Egress].map(|hook| {
            let mut reassembled = Box::new(self.shard.reassembled(hook).clone());
            reassembled.merge_messages(self.datagrams.counters(hook));
            HookCounts {
                packets: Box::new(self.observer.counters(hook).clone()),
                reassembled,
            }
        });
        let statistics = families(self.shard.engine());
        let snapshot = Snapshot {
            hooks,
            pairing: self
                .pairing
                .map(|pairing| pairing.stats())
                .unwrap_or_default(),
            streams: self.shard.stream_stats(),
            statistics,
            ..Snapshot::default()
        };
        Report {
            snapshot,
            files: self.files,
            span: self.span,
            fragments: self.fragments.stats(),
        }
    }

    fn packet(&mut self, packet: &Packet<'_>, link: Link) {
        self.clock(packet.time_ns);
        let frame = Slice::captured(packet.bytes, packet.wire_len as usize).with_fragments_aside();
        if self.counts_packets
            && let Ok(Some(packet)) = ip_packet(&frame, link)
        {
            self.shard.engine().packet(&packet);
        }
        let mut sink = ShardSink {
            shard: &mut self.shard,
            pairs: self.pairing.is_some(),
        };
        let outcome = self
            .observer
            .observe_captured(frame, link, packet.time_ns, &mut sink);
        if outcome == Outcome::Fragment {
            self.fragment(&frame, link, packet.time_ns);
        }
        self.pair();
    }

    fn pair(&mut self) {
        for event in self.shard.take_events() {
            if let Some(pairing) = &mut self.pairing {
                pairing.event(&event);
            }
        }
    }

    fn fragment(&mut self, frame: &Slice<'_>, link: Link, time_ns: u64) {
        let Some(place) = self.observer.fragment(frame, link) else {
            return;
        };
        let captured = place.end.min(frame.bytes().len());
        let octets = frame.bytes().get(place.start..captured).unwrap_or(&[]);
        if let Some(datagram) = self.fragments.take(octets, place.len(), time_ns) {
            self.datagram(&datagram);
        }
    }

    fn datagram(&mut self, datagram: &Datagram) {
        let frame = Slice::captured(&datagram.octets, datagram.wire_len);
        let hook = self.datagrams.hook_of(&frame, Link::Raw);
        let shard = &mut self.shard;
        self.datagrams
            .observe(frame, Link::Raw, hook, datagram.time_ns, |record| {
                shard.record(record);
            });
    }

    /// Takes in what fragments are left without an end.
    pub fn finish_fragments(&mut self) {
        while let Some(datagram) = self.fragments.finish() {
            self.datagram(&datagram);
        }
        self.pair();
    }

    /// Takes note of a packet's time. Where it lies far back, as in a file of an
    /// earlier day, nothing that waits can be meant by what follows.
    fn clock(&mut self, time_ns: u64) {
        if time_ns.saturating_add(nanoseconds(self.timeout)) < self.now_ns {
            self.finish_fragments();
            if let Some(pairing) = &mut self.pairing {
                pairing.restart();
            }
        }
        self.now_ns = time_ns;
        while let Some(datagram) = self.fragments.due(time_ns) {
            self.datagram(&datagram);
        }
        self.shard.advance(time_ns);
        if time_ns != 0 {
            let span = self.span.get_or_insert(Span {
                first_ns: time_ns,
                last_ns: time_ns,
            });
            span.first_ns = span.first_ns.min(time_ns);
            span.last_ns = span.last_ns.max(time_ns);
        }
    }

    fn end_file(
        &mut self,
        file: String,
        packets: u64,
        skipped: Skipped,
        error: Option<CaptureError>,
    ) -> Vec<ReadError> {
        let mut errors: Vec<_> = error.map(ReadError::from).into_iter().collect();
        let count = skipped.packets;
        if count > 0 {
            errors.push(ReadError::LinkType {
                file: file.clone(),
                packets: count,
                links: skipped.links,
            });
        }
        self.files.push(FileReport {
            file,
            packets,
            skipped: count,
            errors: errors.iter().map(ToString::to_string).collect(),
        });
        errors
    }
}

/// Hands what was seen to the shard: messages as they are where nothing else
/// wants them.
struct ShardSink<'a> {
    shard: &'a mut Shard,
    /// Whether transactions are paired, for which it takes records.
    pairs: bool,
}

impl Sink for ShardSink<'_> {
    fn record(&mut self, record: &Record<'_>) {
        self.shard.record(record);
    }

    fn message(&mut self, observed: &Observed<'_>) -> bool {
        if !self.pairs {
            self.shard.engine().message(observed);
        }
        !self.pairs
    }
}

/// What the datasets have counted, as the families of a daemon; none without
/// datasets.
fn families(engine: &mut Engine) -> Option<aggregate::Report> {
    let plan = Arc::clone(engine.plan());
    if plan.datasets().is_empty() {
        return None;
    }
    let mut counts = Counts::new(&plan, CELLS, seed());
    engine.exchange(&mut counts);
    let mut aggregate = Aggregate::new(plan, aggregate::Limits::default(), seed());
    aggregate.merge(&counts, Moment::default());
    Some(aggregate.report())
}

/// Packets of unknown link types.
#[derive(Default)]
struct Skipped {
    packets: u64,
    links: LinkTypes,
}

impl Skipped {
    fn count(&mut self, link: LinkType) {
        self.packets += 1;
        if !self.links.0.contains(&link) {
            self.links.0.push(link);
        }
    }
}

/// The parser's name for a link type.
const fn link(link: LinkType) -> Option<Link> {
    match link {
        LinkType::ETHERNET => Some(Link::Ethernet),
        LinkType::RAW
        | LinkType::RAW_BSD
        | LinkType::RAW_OPENBSD
        | LinkType::IPV4
        | LinkType::IPV6 => Some(Link::Raw),
        LinkType::LINUX_SLL => Some(Link::Sll),
        LinkType::LINUX_SLL2 => Some(Link::Sll2),
        LinkType::NULL | LinkType::LOOP => Some(Link::Null),
        LinkType::PPP => Some(Link::Ppp),
        _ => None,
    }
}

/// Nobody who makes a capture can know which of its names collide.
fn seed() -> u64 {
    use std::hash::BuildHasher as _;
    std::hash::RandomState::new().hash_one(0)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
