//! What the kernel programs count into: as few additions per packet as tell all
//! that [`Counters`] hold.
//!
//! A message adds to five cells, a response to one more, and what it is counted by elsewhere is a sum of
//! them: each message is a packet and ended as one, and its size, type, flags and
//! state of EDNS each tell that it was there. They are sums only, never
//! differences, so that reading while the programs count cannot make a number
//! fall.

use crate::{
    counters::{
        Count, Counters, Delivery, EDNS_FLAG_SETS, FLAG_SETS, Outcome, QUERY_SIZES, Qr, RCODES,
        RESPONSE_SIZES, Role, SIZE_BIN, TcpEvent, slot,
    },
    handshake::{self, BUCKETS},
    iana::Qtype,
    icmp::IcmpType,
    locate::{Family, Layers, NotDns, Protocol, Transport, tcp_flag},
    message::{EdnsState, Message},
    reject::Reject,
};

/// Combinations of role and QR.
const KINDS: usize = Role::COUNT * Qr::COUNT;
/// Combinations of family (IPv4, IPv6) and transport.
const CARRIERS: usize = 2 * Transport::COUNT;
/// Combinations of what [`FLAG_SETS`] combines and the state of the OPT record.
const SETS: usize = FLAG_SETS * EdnsState::COUNT;

/// First cell of each range, and the order of the dimensions within.
pub mod cell {
    use super::*;
    use crate::counters::ranges;

    ranges! { 0;
        #[doc = " Octets of packets on the wire: family, protocol."]
        BYTES: Family::COUNT * Protocol::COUNT,
        #[doc = " Packets that are neither messages nor `not_dns`: family, protocol."]
        PACKETS: Family::COUNT * Protocol::COUNT,
        #[doc = " `not_dns` packets: family, protocol."]
        NOT_DNS: Family::COUNT * NotDns::COUNT,
        #[doc = " `segment` packets."]
        SEGMENT: 1,
        #[doc = " `fragment` packets."]
        FRAGMENT: 1,
        #[doc = " `rejected` packets: reason."]
        REJECTED: Reject::COUNT,
        #[doc = " `dns` and `segment` packets: delivery."]
        RECORDS: Delivery::COUNT,
        #[doc = " TCP segments without payload: event."]
        TCP_EVENT: TcpEvent::COUNT,
        #[doc = " Octets of messages: role, QR, family, transport."]
        MESSAGE_BYTES: KINDS * CARRIERS,
        #[doc = " Messages of other opcodes than QUERY: role, QR, opcode."]
        OPCODE: KINDS * 16,
        #[doc = " Responses: role, RCODE."]
        RCODE: Role::COUNT * RCODES,
        #[doc = " Messages with CO or DE: role, QR, combination of the two."]
        EDNS_FLAGS: KINDS * EDNS_FLAG_SETS,
        #[doc = " Messages: QUERY or another opcode, role, QR, QTYPE."]
        QTYPE: 2 * KINDS * Qtype::SLOTS,
        #[doc = " Messages: role, QR, state of the OPT record, header bits and DO."]
        FLAGS: KINDS * SETS,
        #[doc = " Queries: role, family, transport, size bin."]
        QUERY_SIZE: Role::COUNT * CARRIERS * QUERY_SIZES,
        #[doc = " Responses: role, family, transport, size bin."]
        RESPONSE_SIZE: Role::COUNT * CARRIERS * RESPONSE_SIZES,
        #[doc = " ICMP and ICMPv6 packets: protocol, type."]
        ICMP: 2 * IcmpType::COUNT,
        #[doc = " TCP handshakes: family (IPv4, IPv6), bucket of the round-trip time."]
        HANDSHAKE: 2 * BUCKETS,
        #[doc = " Nanoseconds of those times: family."]
        HANDSHAKE_NS: 2,
    }
}

/// Number of cells.
pub const CELLS: usize = cell::SLOTS;

/// One tally, as it lies in the kernel's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Tally {
    cells: [u64; CELLS],
}

impl Default for Tally {
    fn default() -> Self {
        Self { cells: [0; CELLS] }
    }
}

impl Tally {
    /// Adds to a cell. One that does not exist is ignored: in BPF the check is
    /// what convinces the verifier.
    #[inline(always)]
    fn add(&mut self, cell: usize, by: u64) {
        if let Some(cell) = self.cells.get_mut(cell) {
            *cell = cell.wrapping_add(by);
        }
    }

    /// Adds another tally to this one.
    pub fn merge(&mut self, other: &Self) {
        self.merge_cells(&other.cells);
    }

    /// Adds cells as a kernel map hands them out; surplus ones are ignored.
    pub fn merge_cells(&mut self, cells: &[u64]) {
        for (cell, more) in self.cells.iter_mut().zip(cells) {
            *cell = cell.wrapping_add(*more);
        }
    }

    /// Records by what became of them.
    #[must_use]
    pub fn records(&self, delivery: Delivery) -> u64 {
        self.get(cell::RECORDS + delivery.index())
    }

    fn get(&self, cell: usize) -> u64 {
        self.cells.get(cell).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn lone_packet(&mut self, layers: Layers) {
        self.add(cell::PACKETS + layer(layers.family, layers.protocol), 1);
    }
}

#[inline(always)]
const fn layer(family: Family, protocol: Protocol) -> usize {
    family.index() * Protocol::COUNT + protocol.index()
}

#[inline(always)]
const fn carrier(family: Family, transport: Transport) -> usize {
    (family.index() & 1) * Transport::COUNT + transport.index()
}

#[inline(always)]
const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

impl Count for Tally {
    #[inline(always)]
    fn packet(&mut self, layers: Layers, wire_len: usize) {
        let octets = if wire_len > layers.end {
            wire_len
        } else {
            layers.end
        };
        let cell = cell::BYTES + layer(layers.family, layers.protocol);
        self.add(cell, octets as u64);
    }

    #[inline(always)]
    fn not_dns(&mut self, layers: Layers, kind: NotDns, icmp: u8) -> Outcome {
        let cell = layers.family.index() * NotDns::COUNT + kind.index();
        self.add(cell::NOT_DNS + cell, 1);
        if let Some(protocol) = kind.icmp() {
            let cell = protocol * IcmpType::COUNT + usize::from(icmp);
            self.add(cell::ICMP + cell, 1);
        }
        Outcome::NotDns
    }

    #[inline(always)]
    fn control(&mut self, layers: Layers, tcp_flags: u8) -> Outcome {
        for (flag, event) in [
            (tcp_flag::SYN, TcpEvent::Syn),
            (tcp_flag::FIN, TcpEvent::Fin),
            (tcp_flag::RST, TcpEvent::Rst),
        ] {
            if tcp_flags & flag != 0 {
                self.add(cell::TCP_EVENT + event.index(), 1);
            }
        }
        self.not_dns(layers, NotDns::TcpControl, 0)
    }

    #[inline(always)]
    fn handshake(&mut self, family: Family, round_trip_ns: u64) {
        let family = family.index() & 1;
        let bucket = handshake::bucket(round_trip_ns);
        self.add(cell::HANDSHAKE + family * BUCKETS + bucket, 1);
        self.add(cell::HANDSHAKE_NS + family, round_trip_ns);
    }

    #[inline(always)]
    fn rejected(&mut self, layers: Layers, reason: Reject) -> Outcome {
        self.lone_packet(layers);
        self.add(cell::REJECTED + reason.index(), 1);
        Outcome::Rejected
    }

    #[inline(always)]
    fn fragment(&mut self, layers: Layers) -> Outcome {
        self.lone_packet(layers);
        self.add(cell::FRAGMENT, 1);
        Outcome::Fragment
    }

    #[inline(always)]
    fn segment(&mut self, layers: Layers) -> Outcome {
        self.lone_packet(layers);
        self.add(cell::SEGMENT, 1);
        Outcome::Segment
    }

    #[inline(always)]
    fn delivery(&mut self, delivery: Delivery) {
        self.add(cell::RECORDS + delivery.index(), 1);
    }

    #[inline(always)]
    fn message(&mut self, role: Role, family: Family, transport: Transport, message: &Message) {
        let header = &message.header;
        let response = header.is_response();
        let kind = role.index() * Qr::COUNT + usize::from(response);
        let carrier = carrier(family, transport);
        let octets = cell::MESSAGE_BYTES + kind * CARRIERS + carrier;
        self.add(octets, message.len as u64);
        let qtype = if message.has_question() {
            Qtype(message.question.qtype()).slot()
        } else {
            Qtype::NO_QUESTION_SLOT
        };
        let opcode = usize::from(header.opcode());
        let mut types = cell::QTYPE + kind * Qtype::SLOTS;
        if opcode != 0 {
            types += KINDS * Qtype::SLOTS;
            self.add(cell::OPCODE + kind * 16 + opcode, 1);
        }
        self.add(types + qtype, 1);
        let dnssec_ok = usize::from(message.opt.dnssec_ok());
        let set = message.edns.index() * FLAG_SETS
            + (usize::from(header.flags() >> 4 & 0x7f) << 1 | dnssec_ok);
        self.add(cell::FLAGS + kind * SETS + set, 1);
        let edns_flags = usize::from(message.opt.flags() >> 13) & (EDNS_FLAG_SETS - 1);
        if edns_flags != 0 {
            self.add(cell::EDNS_FLAGS + kind * EDNS_FLAG_SETS + edns_flags, 1);
        }
        let place = role.index() * CARRIERS + carrier;
        let bin = message.len / SIZE_BIN;
        if response {
            let bin = min(bin, RESPONSE_SIZES - 1);
            self.add(cell::RESPONSE_SIZE + place * RESPONSE_SIZES + bin, 1);
            let rcode = min(usize::from(message.rcode()), RCODES - 1);
            self.add(cell::RCODE + role.index() * RCODES + rcode, 1);
        } else {
            let bin = min(bin, QUERY_SIZES - 1);
            self.add(cell::QUERY_SIZE + place * QUERY_SIZES + bin, 1);
        }
    }
}

/// What the cells say, in full.
impl Tally {
    /// Adds it to counters.
    pub fn add_to(&self, counters: &mut Counters) {
        self.add_packets(counters);
        for role in Role::ALL {
            for qr in Qr::ALL {
                self.add_messages(counters, *role, *qr);
            }
        }
        self.copy(counters, cell::REJECTED, slot::REJECTED, Reject::COUNT);
        self.copy(counters, cell::RECORDS, slot::RECORDS, Delivery::COUNT);
        self.copy(counters, cell::TCP_EVENT, slot::TCP_EVENT, TcpEvent::COUNT);
        self.copy(counters, cell::RCODE, slot::RCODE, Role::COUNT * RCODES);
        self.copy(counters, cell::ICMP, slot::ICMP, 2 * IcmpType::COUNT);
        self.copy(counters, cell::HANDSHAKE, slot::HANDSHAKE, 2 * BUCKETS);
        self.copy(counters, cell::HANDSHAKE_NS, slot::HANDSHAKE_NS, 2);
    }

    fn copy(&self, counters: &mut Counters, from: usize, to: usize, len: usize) {
        for place in 0..len {
            counters.add(to + place, self.get(from + place));
        }
    }

    fn sum(&self, start: usize, len: usize) -> u64 {
        (start..start + len).map(|cell| self.get(cell)).sum()
    }

    /// Packets, and what they ended as, but for messages.
    fn add_packets(&self, counters: &mut Counters) {
        let layers = Family::COUNT * Protocol::COUNT;
        self.copy(counters, cell::BYTES, slot::BYTES, layers);
        self.copy(counters, cell::PACKETS, slot::PACKETS, layers);
        for family in Family::ALL {
            for kind in NotDns::ALL {
                let cell = family.index() * NotDns::COUNT + kind.index();
                let packets = self.get(cell::NOT_DNS + cell);
                counters.add(slot::PACKETS + layer(*family, kind.protocol()), packets);
                counters.add(slot::NOT_DNS + kind.index(), packets);
                counters.add(slot::OUTCOME + Outcome::NotDns.index(), packets);
            }
        }
        for (outcome, packets) in [
            (Outcome::Segment, self.get(cell::SEGMENT)),
            (Outcome::Fragment, self.get(cell::FRAGMENT)),
            (Outcome::Rejected, self.sum(cell::REJECTED, Reject::COUNT)),
        ] {
            counters.add(slot::OUTCOME + outcome.index(), packets);
        }
    }

    /// Messages of a kind, each of them a packet.
    fn add_messages(&self, counters: &mut Counters, role: Role, qr: Qr) {
        let kind = role.index() * Qr::COUNT + qr.index();
        let octets = kind * CARRIERS;
        self.copy(
            counters,
            cell::MESSAGE_BYTES + octets,
            slot::MESSAGE_BYTES + octets,
            CARRIERS,
        );
        for family in [Family::Ipv4, Family::Ipv6] {
            for transport in Transport::ALL {
                let messages = self.add_sizes(counters, role, qr, family, *transport);
                let carrier = carrier(family, *transport);
                counters.add(slot::MESSAGES + kind * CARRIERS + carrier, messages);
                let layer = layer(family, transport.protocol());
                counters.add(slot::PACKETS + layer, messages);
                counters.add(slot::OUTCOME + Outcome::Dns.index(), messages);
            }
        }
        self.add_qtypes(counters, kind);
        self.add_flags(counters, kind);
    }

    /// The sizes; how many messages they are of.
    fn add_sizes(
        &self,
        counters: &mut Counters,
        role: Role,
        qr: Qr,
        family: Family,
        transport: Transport,
    ) -> u64 {
        let from = role.index() * CARRIERS + carrier(family, transport);
        let to = role.index() * Transport::COUNT + transport.index();
        let (from, to, len) = match qr {
            Qr::Query => (
                cell::QUERY_SIZE + from * QUERY_SIZES,
                slot::QUERY_SIZE + to * QUERY_SIZES,
                QUERY_SIZES,
            ),
            Qr::Response => (
                cell::RESPONSE_SIZE + from * RESPONSE_SIZES,
                slot::RESPONSE_SIZE + to * RESPONSE_SIZES,
                RESPONSE_SIZES,
            ),
        };
        self.copy(counters, from, to, len);
        self.sum(from, len)
    }

    fn add_qtypes(&self, counters: &mut Counters, kind: usize) {
        let to = slot::QTYPE + kind * Qtype::SLOTS;
        let queries = cell::QTYPE + kind * Qtype::SLOTS;
        let others = queries + KINDS * Qtype::SLOTS;
        self.copy(counters, queries, to, Qtype::SLOTS);
        self.copy(counters, others, to, Qtype::SLOTS);
        let opcodes = kind * 16;
        counters.add(slot::OPCODE + opcodes, self.sum(queries, Qtype::SLOTS));
        self.copy(counters, cell::OPCODE + opcodes, slot::OPCODE + opcodes, 16);
    }

    fn add_flags(&self, counters: &mut Counters, kind: usize) {
        for state in EdnsState::ALL {
            let from = cell::FLAGS + kind * SETS + state.index() * FLAG_SETS;
            self.copy(counters, from, slot::FLAGS + kind * FLAG_SETS, FLAG_SETS);
            let to = slot::EDNS + kind * EdnsState::COUNT + state.index();
            counters.add(to, self.sum(from, FLAG_SETS));
        }
        let flags = kind * EDNS_FLAG_SETS;
        self.copy(
            counters,
            cell::EDNS_FLAGS + flags,
            slot::EDNS_FLAGS + flags,
            EDNS_FLAG_SETS,
        );
    }
}
