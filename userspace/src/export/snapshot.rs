//! Everything that is exported, as it was at one moment.

use dns_wire::counters::{Counters, Hook};

use crate::source::stream::StreamStats;
use crate::stats::pairing::PairingStats;

/// The statistics of a source, and of the live one what it says of itself.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What each hook counted: ingress, egress.
    pub hooks: [HookCounts; 2],
    /// How transactions ended.
    pub pairing: PairingStats,
    /// What became of TCP segments.
    pub streams: StreamStats,
    /// The live source's own state.
    pub live: Option<LiveState>,
}

/// The counters of one hook: on the heap, since they would fill a thread's stack.
#[derive(Clone, Debug, Default)]
pub struct HookCounts {
    /// Packets, and the messages that were whole in one: exact.
    pub packets: Box<Counters>,
    /// Messages put together from TCP segments.
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

impl Snapshot {
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
