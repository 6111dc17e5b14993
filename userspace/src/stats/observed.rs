//! A DNS message as the datasets see it, wherever it came from: a ring's record,
//! a reassembled stream, a capture file.

use dns_wire::{
    counters::{Hook, Role},
    locate::Flow,
    message::Message,
};

/// A message and what stands beside it.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// When it was seen, in ns: of `CLOCK_MONOTONIC` live, since the Unix epoch
    /// in files.
    pub time_ns: u64,
    /// Where it was seen.
    pub hook: Hook,
    /// The observed host's side of the exchange.
    pub role: Role,
    /// Addresses, ports, transport.
    pub flow: Flow,
    /// Header, question, OPT record.
    pub message: Message,
    /// QNAME on the wire: labels and root label, not compressed; empty without
    /// a question. Up to 255 octets, but DSC takes longer ones, too.
    pub name: &'a [u8],
    /// RDATA of the OPT record; empty where there is none, or where the record
    /// does not hold it.
    pub options: &'a [u8],
    /// Messages that it stands for: 2 to the sampling level.
    pub weight: u64,
}
