//! The exact counters: one flat array per CPU and hook, and the table of what
//! each of its slots means.
//!
//! The capture reader counts into it, and so do the daemon's reassembled
//! messages. The kernel programs count into a [`Tally`](crate::tally::Tally),
//! of which the same numbers are sums.
//!
//! Header bits are counted as combinations: one addition per message instead of
//! one per bit, and the marginal sums fall out on the reading side.

use crate::{
    handshake::{self, BUCKETS},
    iana::Qtype,
    icmp::IcmpType,
    locate::{Family, Layers, NotDns, Protocol, Transport, tcp_flag},
    message::{EdnsState, Message},
    reject::Reject,
};

table! {
    /// Where a packet is seen.
    pub enum Hook {
        /// What arrives: XDP, or TC ingress.
        Ingress = "ingress",
        /// What leaves: TC egress.
        Egress = "egress",
    }
}

table! {
    /// What a packet ended as; every packet as exactly one.
    pub enum Outcome {
        /// One whole DNS message.
        Dns = "dns",
        /// A TCP segment on a watched port that is not exactly one whole message.
        Segment = "segment",
        /// No DNS, by protocol.
        NotDns = "not_dns",
        /// Unreadable, by reason.
        Rejected = "rejected",
        /// A fragment other than the first, or a first one too short for a question; in captures, where fragments are put together, any.
        Fragment = "fragment",
    }
}

table! {
    /// What became of the record of a `dns` or `segment` packet.
    pub enum Delivery {
        /// It is in the ring.
        Delivered = "delivered",
        /// Left out by sampling; records that were delivered stand for it.
        SampledOut = "sampled_out",
        /// Lost: the ring was full at the highest sampling level.
        RingFull = "ring_full",
        /// Lost: the program ran while another run on the same CPU held the ring.
        Reentered = "reentered",
        /// Not wanted: the probe was told to count only.
        CountOnly = "count_only",
        /// A segment whose bytes the capture does not hold.
        Unreadable = "unreadable",
    }
}

table! {
    /// Which side of an exchange the observed host is on.
    pub enum Role {
        /// It is asked: queries arrive, responses leave.
        Server = "server",
        /// It asks, or merely forwards.
        Client = "client",
    }
}

table! {
    /// QR: query or response.
    pub enum Qr {
        /// QR = 0.
        Query = "query",
        /// QR = 1.
        Response = "response",
    }
}

table! {
    /// TCP segments on watched ports that open or end a connection.
    pub enum TcpEvent {
        /// SYN.
        Syn = "syn",
        /// FIN.
        Fin = "fin",
        /// RST.
        Rst = "rst",
    }
}

/// RCODE slots: 0 to 30 by value, the last for all above.
pub const RCODES: usize = 32;
/// Size bins of queries: 16 octets wide, the last `288-` (RSSAC002).
pub const QUERY_SIZES: usize = 19;
/// Size bins of responses: 16 octets wide, the last `4096-` (RSSAC002).
pub const RESPONSE_SIZES: usize = 257;
/// Width of a size bin in octets.
pub const SIZE_BIN: usize = 16;
/// Combinations of AA, TC, RD, RA, Z, AD, CD (bits 7 to 1) and DO (bit 0).
pub const FLAG_SETS: usize = 256;

/// Combinations of CO (bit 1) and DE (bit 0) of the OPT record.
pub const EDNS_FLAG_SETS: usize = 4;

/// Declares consecutive slot ranges.
macro_rules! ranges {
    ($start:expr; ) => {
        /// Number of slots.
        pub const SLOTS: usize = $start;
    };
    ($start:expr; #[doc = $doc:literal] $name:ident: $len:expr, $($rest:tt)*) => {
        #[doc = $doc]
        pub const $name: usize = $start;
        $crate::counters::ranges!{ $start + ($len); $($rest)* }
    };
}
pub(crate) use ranges;

/// First slot of each range, and the order of the dimensions within.
pub mod slot {
    use super::*;

    /// Combinations of role and QR.
    pub(super) const KINDS: usize = Role::COUNT * Qr::COUNT;

    ranges! { 0;
        #[doc = " Packets: family, protocol."]
        PACKETS: Family::COUNT * Protocol::COUNT,
        #[doc = " Octets of packets on the wire: family, protocol."]
        BYTES: Family::COUNT * Protocol::COUNT,
        #[doc = " Packets: outcome."]
        OUTCOME: Outcome::COUNT,
        #[doc = " `not_dns` packets: protocol."]
        NOT_DNS: NotDns::COUNT,
        #[doc = " `rejected` packets: reason."]
        REJECTED: Reject::COUNT,
        #[doc = " `dns` and `segment` packets: delivery."]
        RECORDS: Delivery::COUNT,
        #[doc = " TCP segments without payload: event."]
        TCP_EVENT: TcpEvent::COUNT,
        #[doc = " Messages: role, QR, family (IPv4, IPv6), transport."]
        MESSAGES: KINDS * 4,
        #[doc = " Octets of messages: role, QR, family, transport."]
        MESSAGE_BYTES: KINDS * 4,
        #[doc = " Messages: role, QR, opcode."]
        OPCODE: KINDS * 16,
        #[doc = " Responses: role, RCODE."]
        RCODE: Role::COUNT * RCODES,
        #[doc = " Messages: role, QR, QTYPE by [`Qtype::slot`](crate::iana::Qtype::slot)."]
        QTYPE: KINDS * Qtype::SLOTS,
        #[doc = " Messages: role, QR, combination of header bits and DO."]
        FLAGS: KINDS * FLAG_SETS,
        #[doc = " Messages: role, QR, state of the OPT record."]
        EDNS: KINDS * EdnsState::COUNT,
        #[doc = " Messages with CO or DE: role, QR, combination of the two."]
        EDNS_FLAGS: KINDS * EDNS_FLAG_SETS,
        #[doc = " Queries: role, transport, size bin."]
        QUERY_SIZE: Role::COUNT * Transport::COUNT * QUERY_SIZES,
        #[doc = " Responses: role, transport, size bin."]
        RESPONSE_SIZE: Role::COUNT * Transport::COUNT * RESPONSE_SIZES,
        #[doc = " ICMP and ICMPv6 packets: protocol, type."]
        ICMP: 2 * IcmpType::COUNT,
        #[doc = " TCP handshakes: family (IPv4, IPv6), bucket of the round-trip time."]
        HANDSHAKE: 2 * BUCKETS,
        #[doc = " Nanoseconds of those times: family."]
        HANDSHAKE_NS: 2,
    }
}

pub use slot::SLOTS;

/// One array of counters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Counters {
    cells: [u64; SLOTS],
}

impl Default for Counters {
    fn default() -> Self {
        Self { cells: [0; SLOTS] }
    }
}

impl Counters {
    /// Adds to a slot. A slot that does not exist is ignored.
    pub fn add(&mut self, slot: usize, by: u64) {
        if let Some(cell) = self.cells.get_mut(slot) {
            *cell = cell.wrapping_add(by);
        }
    }

    /// The value of a slot; 0 for one that does not exist.
    #[must_use]
    pub fn get(&self, slot: usize) -> u64 {
        self.cells.get(slot).copied().unwrap_or(0)
    }

    /// All cells.
    #[must_use]
    pub const fn cells(&self) -> &[u64; SLOTS] {
        &self.cells
    }

    /// Adds another array to this one, slot by slot.
    pub fn merge(&mut self, other: &Self) {
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            *cell = cell.wrapping_add(*more);
        }
    }

    /// Adds what another array says of messages, and nothing of its packets.
    pub fn merge_messages(&mut self, other: &Self) {
        let cells = self.cells.iter_mut().zip(&other.cells);
        let of_messages = cells.take(slot::ICMP).skip(slot::MESSAGES);
        for (cell, more) in of_messages {
            *cell = cell.wrapping_add(*more);
        }
    }

    /// What was counted after `earlier`, when these counters were those.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut difference = self.clone();
        for (cell, before) in difference.cells.iter_mut().zip(&earlier.cells) {
            *cell = cell.saturating_sub(*before);
        }
        difference
    }

    fn outcome(&mut self, outcome: Outcome) -> Outcome {
        self.add(slot::OUTCOME + outcome.index(), 1);
        outcome
    }

    /// Counts a DNS message that stands for `weight` of its kind.
    #[inline(always)]
    pub fn messages_like(
        &mut self,
        role: Role,
        family: Family,
        transport: Transport,
        message: &Message,
        weight: u64,
    ) {
        let response = message.header.is_response();
        let kind = role.index() * Qr::COUNT + usize::from(response);
        let carrier = (family.index() & 1) * Transport::COUNT + transport.index();
        self.add(slot::MESSAGES + kind * 4 + carrier, weight);
        self.add(
            slot::MESSAGE_BYTES + kind * 4 + carrier,
            message.len as u64 * weight,
        );
        let opcode = usize::from(message.header.opcode());
        self.add(slot::OPCODE + kind * 16 + opcode, weight);
        let qtype = if message.has_question() {
            Qtype(message.question.qtype()).slot()
        } else {
            Qtype::NO_QUESTION_SLOT
        };
        self.add(slot::QTYPE + kind * Qtype::SLOTS + qtype, weight);
        let edns = kind * EdnsState::COUNT + message.edns.index();
        self.add(slot::EDNS + edns, weight);
        let edns_flags = usize::from(message.opt.flags() >> 13) & (EDNS_FLAG_SETS - 1);
        if edns_flags != 0 {
            self.add(
                slot::EDNS_FLAGS + kind * EDNS_FLAG_SETS + edns_flags,
                weight,
            );
        }
        let dnssec_ok = usize::from(message.opt.dnssec_ok());
        let flags = usize::from(message.header.flags() >> 4 & 0x7f) << 1 | dnssec_ok;
        self.add(slot::FLAGS + kind * FLAG_SETS + flags, weight);
        let carrier = role.index() * Transport::COUNT + transport.index();
        let bin = message.len / SIZE_BIN;
        if response {
            let bin = min(bin, RESPONSE_SIZES - 1);
            self.add(slot::RESPONSE_SIZE + carrier * RESPONSE_SIZES + bin, weight);
            let rcode = min(usize::from(message.rcode()), RCODES - 1);
            self.add(slot::RCODE + role.index() * RCODES + rcode, weight);
        } else {
            let bin = min(bin, QUERY_SIZES - 1);
            self.add(slot::QUERY_SIZE + carrier * QUERY_SIZES + bin, weight);
        }
    }
}

/// Where packets are counted while they are looked at: once as they come, once
/// as what they end as.
pub trait Count {
    /// Counts the packet as such.
    fn packet(&mut self, layers: Layers, wire_len: usize);

    /// Counts it as not DNS; `icmp` is the index of its type.
    fn not_dns(&mut self, layers: Layers, kind: NotDns, icmp: u8) -> Outcome;

    /// Counts it as a TCP segment without payload on a watched port.
    fn control(&mut self, layers: Layers, tcp_flags: u8) -> Outcome;

    /// Counts a TCP handshake of the observed server.
    fn handshake(&mut self, family: Family, round_trip_ns: u64);

    /// Counts it as rejected.
    fn rejected(&mut self, layers: Layers, reason: Reject) -> Outcome;

    /// Counts it as a fragment.
    fn fragment(&mut self, layers: Layers) -> Outcome;

    /// Counts it as a TCP segment that is not exactly one message.
    fn segment(&mut self, layers: Layers) -> Outcome;

    /// Counts it as a message.
    fn message(&mut self, role: Role, family: Family, transport: Transport, message: &Message);

    /// Counts what became of a record.
    fn delivery(&mut self, delivery: Delivery);
}

impl Count for Counters {
    fn packet(&mut self, layers: Layers, wire_len: usize) {
        let cell = layers.family.index() * Protocol::COUNT + layers.protocol.index();
        self.add(slot::PACKETS + cell, 1);
        self.add(slot::BYTES + cell, max(wire_len, layers.end) as u64);
    }

    fn not_dns(&mut self, _: Layers, kind: NotDns, icmp: u8) -> Outcome {
        self.add(slot::NOT_DNS + kind.index(), 1);
        if let Some(protocol) = kind.icmp() {
            let cell = protocol * IcmpType::COUNT + usize::from(icmp);
            self.add(slot::ICMP + cell, 1);
        }
        self.outcome(Outcome::NotDns)
    }

    fn control(&mut self, layers: Layers, tcp_flags: u8) -> Outcome {
        for (flag, event) in [
            (tcp_flag::SYN, TcpEvent::Syn),
            (tcp_flag::FIN, TcpEvent::Fin),
            (tcp_flag::RST, TcpEvent::Rst),
        ] {
            if tcp_flags & flag != 0 {
                self.add(slot::TCP_EVENT + event.index(), 1);
            }
        }
        self.not_dns(layers, NotDns::TcpControl, 0)
    }

    fn handshake(&mut self, family: Family, round_trip_ns: u64) {
        let family = family.index() & 1;
        let bucket = handshake::bucket(round_trip_ns);
        self.add(slot::HANDSHAKE + family * BUCKETS + bucket, 1);
        self.add(slot::HANDSHAKE_NS + family, round_trip_ns);
    }

    fn rejected(&mut self, _: Layers, reason: Reject) -> Outcome {
        self.add(slot::REJECTED + reason.index(), 1);
        self.outcome(Outcome::Rejected)
    }

    fn fragment(&mut self, _: Layers) -> Outcome {
        self.outcome(Outcome::Fragment)
    }

    fn segment(&mut self, _: Layers) -> Outcome {
        self.outcome(Outcome::Segment)
    }

    fn message(&mut self, role: Role, family: Family, transport: Transport, message: &Message) {
        self.messages_like(role, family, transport, message, 1);
        self.outcome(Outcome::Dns);
    }

    fn delivery(&mut self, delivery: Delivery) {
        self.add(slot::RECORDS + delivery.index(), 1);
    }
}

#[inline(always)]
const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

#[inline(always)]
const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// A bit of the DNS header or of the OPT record, as counted in [`slot::FLAGS`],
/// or, above those, in [`slot::EDNS_FLAGS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its mnemonic.
    pub label: &'static str,
    /// Its bit in the combination's number.
    pub bit: usize,
}

/// All flags (IANA registry "DNS Header Flags" and "EDNS Header Flags").
pub const FLAGS: [Flag; 10] = [
    Flag {
        label: "AA",
        bit: 0x80,
    },
    Flag {
        label: "TC",
        bit: 0x40,
    },
    Flag {
        label: "RD",
        bit: 0x20,
    },
    Flag {
        label: "RA",
        bit: 0x10,
    },
    Flag {
        label: "Z",
        bit: 0x08,
    },
    Flag {
        label: "AD",
        bit: 0x04,
    },
    Flag {
        label: "CD",
        bit: 0x02,
    },
    Flag {
        label: "DO",
        bit: 0x01,
    },
    Flag {
        label: "CO",
        bit: 0x200,
    },
    Flag {
        label: "DE",
        bit: 0x100,
    },
];

/// Reads counters by meaning.
impl Counters {
    /// Packets and their octets.
    #[must_use]
    pub fn packets(&self, family: Family, protocol: Protocol) -> (u64, u64) {
        let cell = family.index() * Protocol::COUNT + protocol.index();
        (self.get(slot::PACKETS + cell), self.get(slot::BYTES + cell))
    }

    /// Packets by outcome.
    #[must_use]
    pub fn outcomes(&self, outcome: Outcome) -> u64 {
        self.get(slot::OUTCOME + outcome.index())
    }

    /// `not_dns` packets.
    #[must_use]
    pub fn not_dns_packets(&self, kind: NotDns) -> u64 {
        self.get(slot::NOT_DNS + kind.index())
    }

    /// `rejected` packets.
    #[must_use]
    pub fn rejected_packets(&self, reason: Reject) -> u64 {
        self.get(slot::REJECTED + reason.index())
    }

    /// Records by what became of them.
    #[must_use]
    pub fn records(&self, delivery: Delivery) -> u64 {
        self.get(slot::RECORDS + delivery.index())
    }

    /// TCP segments that open or end a connection.
    #[must_use]
    pub fn tcp_events(&self, event: TcpEvent) -> u64 {
        self.get(slot::TCP_EVENT + event.index())
    }

    /// Messages and their octets. `family` is `Ipv4` or `Ipv6`.
    #[must_use]
    pub fn messages(&self, role: Role, qr: Qr, family: Family, transport: Transport) -> (u64, u64) {
        let cell = kind(role, qr) * 4 + (family.index() & 1) * Transport::COUNT + transport.index();
        (
            self.get(slot::MESSAGES + cell),
            self.get(slot::MESSAGE_BYTES + cell),
        )
    }

    /// Messages of a role and direction, over all families and transports.
    #[must_use]
    pub fn messages_of(&self, role: Role, qr: Qr) -> u64 {
        let start = slot::MESSAGES + kind(role, qr) * 4;
        (start..start + 4).map(|slot| self.get(slot)).sum()
    }

    /// Messages by opcode.
    #[must_use]
    pub fn opcode(&self, role: Role, qr: Qr, opcode: u8) -> u64 {
        self.get(slot::OPCODE + kind(role, qr) * 16 + usize::from(opcode & 0x0f))
    }

    /// Responses by RCODE slot.
    #[must_use]
    pub fn rcode(&self, role: Role, slot: usize) -> u64 {
        self.get(slot::RCODE + role.index() * RCODES + slot.min(RCODES - 1))
    }

    /// Messages by QTYPE slot.
    #[must_use]
    pub fn qtype(&self, role: Role, qr: Qr, slot: usize) -> u64 {
        self.get(slot::QTYPE + kind(role, qr) * Qtype::SLOTS + slot.min(Qtype::SLOTS - 1))
    }

    /// Messages with a flag set.
    #[must_use]
    pub fn flag(&self, role: Role, qr: Qr, flag: Flag) -> u64 {
        let (start, len, bit) = if flag.bit < FLAG_SETS {
            (slot::FLAGS, FLAG_SETS, flag.bit)
        } else {
            (slot::EDNS_FLAGS, EDNS_FLAG_SETS, flag.bit / FLAG_SETS)
        };
        let start = start + kind(role, qr) * len;
        (0..len)
            .filter(|set| set & bit != 0)
            .map(|set| self.get(start + set))
            .sum()
    }

    /// ICMP or ICMPv6 packets by type; 0 for other kinds of packets.
    #[must_use]
    pub fn icmp(&self, protocol: NotDns, kind: IcmpType) -> u64 {
        let cell = protocol
            .icmp()
            .map(|place| place * IcmpType::COUNT + kind.index());
        cell.map_or(0, |cell| self.get(slot::ICMP + cell))
    }

    /// TCP handshakes by bucket of [`handshake::bucket`]. `family` is `Ipv4` or
    /// `Ipv6`.
    #[must_use]
    pub fn handshakes(&self, family: Family) -> &[u64] {
        let start = slot::HANDSHAKE + (family.index() & 1) * BUCKETS;
        self.cells.get(start..start + BUCKETS).unwrap_or(&[])
    }

    /// Nanoseconds that those handshakes took.
    #[must_use]
    pub fn handshake_ns(&self, family: Family) -> u64 {
        self.get(slot::HANDSHAKE_NS + (family.index() & 1))
    }

    /// Messages by what is known of their OPT record.
    #[must_use]
    pub fn edns(&self, role: Role, qr: Qr, state: EdnsState) -> u64 {
        self.get(slot::EDNS + kind(role, qr) * EdnsState::COUNT + state.index())
    }

    /// The size bins of queries or responses.
    #[must_use]
    pub fn sizes(&self, role: Role, qr: Qr, transport: Transport) -> &[u64] {
        let carrier = role.index() * Transport::COUNT + transport.index();
        let (start, len) = match qr {
            Qr::Query => (slot::QUERY_SIZE + carrier * QUERY_SIZES, QUERY_SIZES),
            Qr::Response => (
                slot::RESPONSE_SIZE + carrier * RESPONSE_SIZES,
                RESPONSE_SIZES,
            ),
        };
        self.cells.get(start..start + len).unwrap_or(&[])
    }
}

const fn kind(role: Role, qr: Qr) -> usize {
    role.index() * Qr::COUNT + qr.index()
}
