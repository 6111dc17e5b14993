//! The kernel programs on a bench: one frame in, everything that follows out.

use anyhow::{Context as _, Result};
use dns_wire::{
    counters::{Counters, Delivery, Hook, Outcome, Role, slot},
    locate::{Family, Flow, Protocol},
    message::Message,
    record::Record,
};
use xdsc::source::live::{
    clock::now_ns,
    probe::{LoadOptions, Probe},
    ring::Ring,
    test_run::Program,
};

/// The programs, loaded, with the readers of their rings.
pub struct Kernel {
    probe: Probe,
    rings: Vec<Ring>,
}

/// What one run left behind.
#[derive(Debug)]
pub struct Run {
    /// What the program returned.
    pub verdict: i32,
    /// The records, in order.
    pub records: Vec<Seen>,
}

/// A record without what differs from run to run: its time and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The hook that saw it.
    pub hook: Hook,
    /// The observed host's side.
    pub role: Role,
    /// Addresses and ports.
    pub flow: Flow,
    /// The message; `None` for raw octets.
    pub message: Option<Message>,
    /// Of raw octets: those before, those in all, and whether they are a whole
    /// message's.
    pub raw: Option<(u32, u32, bool)>,
    /// Octets of the message or of the segment.
    pub len: u16,
    /// The flags octet of the TCP header.
    pub tcp_flags: u8,
    /// TCP sequence number.
    pub sequence: u32,
    /// The transaction's hash.
    pub hash: u32,
    /// Sampling level.
    pub level: u8,
    /// The name, or the segment's octets.
    pub payload: Vec<u8>,
}

impl From<&Record<'_>> for Seen {
    fn from(record: &Record<'_>) -> Self {
        let raw = record.is_segment() || record.is_whole();
        Self {
            hook: record.hook(),
            role: record.role(),
            flow: record.flow(),
            message: (!raw).then(|| record.message()),
            raw: raw.then(|| (record.raw_offset(), record.raw_total(), record.is_whole())),
            len: record.len(),
            tcp_flags: record.tcp_flags(),
            sequence: record.sequence(),
            hash: record.hash(),
            level: record.level(),
            payload: record.payload().to_vec(),
        }
    }
}

impl Kernel {
    /// Loads the programs.
    ///
    /// # Errors
    /// When they cannot be loaded, or the rings not be mapped.
    pub fn load(options: &LoadOptions) -> Result<Self> {
        let probe = Probe::load(options)?;
        let rings = Ring::all(&probe)?;
        Ok(Self { probe, rings })
    }

    /// Runs a program on a frame, and takes what it put into the rings.
    ///
    /// # Errors
    /// When the kernel does not take the frame, or a ring holds nonsense.
    pub fn run(&mut self, program: Program, frame: &[u8]) -> Result<Run> {
        let verdict = self
            .probe
            .test_run(program, frame, 1)
            .with_context(|| format!("{} on {} octets", program.name(), frame.len()))?;
        let mut records = Vec::new();
        for ring in &mut self.rings {
            ring.look();
            ring.drain(now_ns(), |record| records.push(Seen::from(record)))?;
        }
        Ok(Run {
            verdict: verdict.code,
            records,
        })
    }

    /// The counters of a hook since the programs were loaded.
    ///
    /// # Errors
    /// When the kernel does not hand them out.
    pub fn counters(&self, hook: Hook) -> Result<Box<Counters>> {
        Ok(self.probe.counters(hook)?)
    }
}

/// The hook that a program stands at.
#[must_use]
pub const fn hook_of(program: Program) -> Hook {
    match program {
        Program::XdpIngress | Program::TcIngress => Hook::Ingress,
        Program::TcEgress => Hook::Egress,
    }
}

/// What was counted between two readings.
#[must_use]
pub fn difference(after: &Counters, before: &Counters) -> Counters {
    let mut difference = Counters::default();
    for (slot, (after, before)) in after.cells().iter().zip(before.cells()).enumerate() {
        difference.add(slot, after.wrapping_sub(*before));
    }
    difference
}

/// The counters that are not 0, as lines to be read when a test fails.
#[must_use]
pub fn described(counters: &Counters) -> Vec<String> {
    let cells = counters.cells().iter().enumerate();
    cells
        .filter(|(_, value)| **value != 0)
        .map(|(slot, value)| format!("{}: {value}", described_slot(slot)))
        .collect()
}

/// The range that a slot lies in, and its place there.
fn described_slot(slot: usize) -> String {
    const RANGES: [(usize, &str); 20] = [
        (slot::PACKETS, "packets"),
        (slot::BYTES, "bytes"),
        (slot::OUTCOME, "outcome"),
        (slot::NOT_DNS, "not_dns"),
        (slot::REJECTED, "rejected"),
        (slot::RECORDS, "records"),
        (slot::TCP_EVENT, "tcp_event"),
        (slot::MESSAGES, "messages"),
        (slot::MESSAGE_BYTES, "message_bytes"),
        (slot::OPCODE, "opcode"),
        (slot::RCODE, "rcode"),
        (slot::QTYPE, "qtype"),
        (slot::FLAGS, "flags"),
        (slot::EDNS, "edns"),
        (slot::EDNS_FLAGS, "edns_flags"),
        (slot::QUERY_SIZE, "query_size"),
        (slot::RESPONSE_SIZE, "response_size"),
        (slot::ICMP, "icmp"),
        (slot::HANDSHAKE, "handshake"),
        (slot::HANDSHAKE_NS, "handshake_ns"),
    ];
    let range = RANGES.iter().rev().find(|(start, _)| *start <= slot);
    let (start, name) = range.unwrap_or(&(0, "packets"));
    format!("{name}[{}]", slot - start)
}

/// Packets by outcome, and records by what became of them, must add up.
#[derive(Debug, PartialEq, Eq)]
pub struct Conservation {
    /// Packets.
    pub packets: u64,
    /// Sum of the outcomes.
    pub outcomes: u64,
    /// `dns` and `segment` packets.
    pub with_record: u64,
    /// Sum of the deliveries.
    pub records: u64,
}

impl Conservation {
    /// The sums of an array of counters.
    #[must_use]
    pub fn of(counters: &Counters) -> Self {
        let layers = Family::ALL
            .iter()
            .flat_map(|family| Protocol::ALL.iter().map(|protocol| (*family, *protocol)));
        let outcomes = Outcome::ALL.iter().map(|one| counters.outcomes(*one));
        let records = Delivery::ALL.iter().map(|one| counters.records(*one));
        Self {
            packets: layers
                .map(|(family, protocol)| counters.packets(family, protocol).0)
                .sum(),
            outcomes: outcomes.sum(),
            with_record: counters.outcomes(Outcome::Dns) + counters.outcomes(Outcome::Segment),
            records: records.sum(),
        }
    }

    /// Whether they add up.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.packets == self.outcomes && self.with_record == self.records
    }
}
