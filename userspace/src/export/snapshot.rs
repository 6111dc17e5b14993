//! Everything that is exported, as it was at one moment.

use dns_wire::{
    Slice,
    counters::{Counters, Hook, Role},
    locate::{Family, Transport},
    message,
};

use crate::enrich::{
    locator::Caches, reload::TablesState, reverse_dns::ReverseDnsStats,
    stream::StreamStats as EnrichedStats,
};
use crate::source::stream::StreamStats;
use crate::stats::{aggregate::Report, lag::LagReport, pairing::PairingStats};
use crate::view::Viewers;

/// The statistics of a source, and of the live one what it says of itself.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What each hook counted: ingress, egress.
    pub hooks: [HookCounts; 2],
    /// How transactions ended.
    pub pairing: PairingStats,
    /// What became of TCP segments.
    pub streams: StreamStats,
    /// What the datasets have counted, where there are any.
    pub statistics: Option<Report>,
    /// The live source's own state.
    pub live: Option<LiveState>,
    /// What a daemon writes beside.
    pub files: FileStates,
    /// How far a daemon's stages are behind; whoever has one adds it.
    pub stages: Vec<(Stage, LagReport)>,
    /// The tables that clients and names are looked up in, where there are any.
    pub tables: Option<TablesState>,
    /// Reverse DNS, where it is enabled.
    pub reverse_dns: Option<ReverseDnsStats>,
    /// The caches of what is known of addresses, where datasets ask for it.
    pub caches: Option<Caches>,
    /// The enriched stream, where there is one.
    pub stream: Option<EnrichedStats>,
    /// Those who look at the page, or at the events behind it, where there is one.
    pub viewers: Option<Viewers>,
}

/// What every event passes in a daemon, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From the rings into the threads that count.
    Drain,
    /// From there into the statistics that are shown.
    Aggregate,
    /// Through the enrichment of the stream.
    Enrich,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Drain, Self::Aggregate, Self::Enrich];

    /// The label's value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Aggregate => "aggregate",
            Self::Enrich => "enrich",
        }
    }

    /// What it is, for the documentation.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Drain => "From the rings into the threads that count.",
            Self::Aggregate => "From these threads into the datasets that a scrape shows.",
            Self::Enrich => "Through the enrichment of the stream, while that is wanted.",
        }
    }
}

/// The files that a daemon writes; none where it was not asked to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FileStates {
    /// The days of RSSAC002.
    pub rssac002: Option<FileState>,
    /// DSC's files.
    pub dsc: Option<FileState>,
}

/// How the writing goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FileState {
    /// When all was written last, in seconds since the Unix epoch; 0 before that.
    pub written_s: f64,
    /// Times that something could not be written.
    pub errors: u64,
    /// Messages that found no room, in files where there may be too many values.
    pub uncounted: u64,
}

impl FileStates {
    /// All of them.
    #[must_use]
    pub fn example() -> Self {
        Self {
            rssac002: Some(FileState::default()),
            dsc: Some(FileState::default()),
        }
    }
}

/// The counters of one hook: on the heap, since they would fill a thread's stack.
#[derive(Clone, Debug, Default)]
pub struct HookCounts {
    /// Packets, and the messages that were whole in one: exact.
    pub packets: Box<Counters>,
    /// Messages put together from TCP segments, and in captures from IP fragments.
    pub reassembled: Box<Counters>,
}

impl HookCounts {
    /// Both together: what messages there were.
    #[must_use]
    pub fn messages(&self) -> Box<Counters> {
        let mut sum = self.packets.clone();
        sum.merge(&self.reassembled);
        sum
    }
}

impl HookCounts {
    /// Counts a message about the root with these flags.
    fn count_example(&mut self, flags: u8) {
        let bytes = [0, 0, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];
        if let Ok(message) = message::parse(&Slice::new(&bytes), 0, bytes.len()) {
            self.packets
                .message(Role::Server, Family::Ipv4, Transport::Udp, &message);
        }
    }
}

impl Snapshot {
    /// A snapshot in which every family has a sample: the documentation of the
    /// metrics is made from it.
    #[must_use]
    pub fn example() -> Self {
        let mut snapshot = Self {
            live: Some(LiveState::example()),
            statistics: Some(Report::example()),
            files: FileStates::example(),
            tables: Some(TablesState::example()),
            stages: Stage::ALL.map(|stage| (stage, LagReport::default())).into(),
            reverse_dns: Some(ReverseDnsStats::example()),
            stream: Some(EnrichedStats::example()),
            caches: Some(Caches::default()),
            viewers: Some(Viewers::default()),
            ..Self::default()
        };
        for (hook, flags) in snapshot.hooks.iter_mut().zip([0x00, 0x80]) {
            hook.count_example(flags);
        }
        snapshot
    }

    /// The counters of a hook.
    #[must_use]
    pub const fn hook(&self, hook: Hook) -> &HookCounts {
        let [ingress, egress] = &self.hooks;
        match hook {
            Hook::Ingress => ingress,
            Hook::Egress => egress,
        }
    }

    /// The messages of both hooks.
    #[must_use]
    pub fn messages(&self) -> Box<Counters> {
        let [ingress, egress] = &self.hooks;
        let mut sum = ingress.messages();
        sum.merge(&egress.messages());
        sum
    }
}

/// What the live source says of itself.
#[derive(Clone, Debug, Default)]
pub struct LiveState {
    /// Name of the server.
    pub node: String,
    /// Name of its site.
    pub site: String,
    /// Where the programs are attached.
    pub attachments: Vec<AttachmentState>,
    /// The rings.
    pub rings: Vec<RingReport>,
    /// What the programs cost.
    pub programs: Vec<ProgramCost>,
    /// Records that contradicted the ring's protocol.
    pub damaged_records: u64,
    /// What the clock says, in seconds since the Unix epoch.
    pub time_s: f64,
}

impl LiveState {
    fn example() -> Self {
        Self {
            node: "ns1".to_owned(),
            site: "ams".to_owned(),
            attachments: vec![AttachmentState {
                interface: "eth0".to_owned(),
                hook: Hook::Ingress,
                mode: "xdp_native",
            }],
            rings: vec![RingReport {
                hook: Hook::Ingress,
                cpu: 0,
                lag: LagReport::default(),
                dropped: 0,
                fill: 0.0,
                one_in: 1,
                bytes: 1 << 22,
            }],
            programs: vec![ProgramCost {
                name: "xdsc_ingress",
                seconds: 0.0,
                runs: 0,
            }],
            ..Self::default()
        }
    }
}

/// A program's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentState {
    /// Name of the interface.
    pub interface: String,
    /// What it sees.
    pub hook: Hook,
    /// How: `xdp_native`, `xdp_generic`, `tcx`, `clsact`.
    pub mode: &'static str,
}

/// A ring's state.
#[derive(Clone, Debug, PartialEq)]
pub struct RingReport {
    /// The hook that fills it.
    pub hook: Hook,
    /// The CPU that fills it.
    pub cpu: u64,
    /// The records that the kernel put in, those taken out, and those found
    /// waiting when somebody came to look.
    pub lag: LagReport,
    /// Records that were lost before it.
    pub dropped: u64,
    /// Share of the ring in use.
    pub fill: f64,
    /// One record in so many is kept at the moment.
    pub one_in: u64,
    /// Size of its data in octets.
    pub bytes: u64,
}

/// What a program cost so far, by the kernel's statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramCost {
    /// Name of the program.
    pub name: &'static str,
    /// Time in it, in seconds.
    pub seconds: f64,
    /// Runs.
    pub runs: u64,
}
