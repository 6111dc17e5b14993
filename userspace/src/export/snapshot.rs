//! Everything that is exported, as it was at one moment.

use dns_wire::{
    Slice,
    counters::{Counters, Hook, Role},
    locate::{Family, Transport},
    message,
};

use crate::source::stream::StreamStats;
use crate::stats::{aggregate::Report, pairing::PairingStats};

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
                .messages_like(Role::Server, Family::Ipv4, Transport::Udp, &message, 1);
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
    /// Seconds between an event and its passing of the drain.
    pub drain_lag_seconds: f64,
    /// Seconds since the statistics that are shown were handed over.
    pub aggregate_lag_seconds: f64,
    /// Records that contradicted the ring's protocol.
    pub damaged_records: u64,
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
                produced: 0,
                consumed: 0,
                dropped: 0,
                fill: 0.0,
                lag_seconds: 0.0,
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
    /// Records put in by the kernel.
    pub produced: u64,
    /// Records taken out.
    pub consumed: u64,
    /// Records that were lost before it.
    pub dropped: u64,
    /// Share of the ring in use.
    pub fill: f64,
    /// Age of the oldest record in it, in seconds; 0 when it is empty.
    pub lag_seconds: f64,
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
