//! A packet with a name, and what must follow from it.

use std::net::IpAddr;

use dns_wire::{
    counters::{
        Counters, Delivery, FLAG_SETS, Hook, Outcome, QUERY_SIZES, RCODES, RESPONSE_SIZES, Role,
        TcpEvent, slot,
    },
    iana::Qtype,
    icmp::IcmpType,
    locate::{Family, NotDns, Protocol, Transport},
    message::EdnsState,
    record::{MAX_SEGMENT, ip_addr},
    reject::Reject,
};
use integration_tests::{
    kernel::Seen,
    packet::{CLIENT_PORT, DNS_PORT, Ipv4, Ipv6, name},
};

/// A line of the specification.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) frame: Vec<u8>,
    pub(crate) expected: Expected,
}

impl Case {
    pub(crate) fn new(name: &str, frame: Vec<u8>, expected: Expected) -> Self {
        Self {
            name: name.to_owned(),
            frame,
            expected,
        }
    }
}

/// The innermost layers that could be read, and what the packet ends as.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) family: Family,
    pub(crate) protocol: Protocol,
    pub(crate) end: End,
}

#[derive(Clone, Debug)]
pub(crate) enum End {
    Dns(Dns),
    Segment(Segment),
    NotDns(NotDns, &'static [TcpEvent]),
    Icmp(NotDns, IcmpType),
    Rejected(Reject),
    Fragment,
}

/// By the ports: from 40000 to 53, or the other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    FromServer,
}

/// A message as it must be counted and recorded.
#[derive(Clone, Debug)]
pub(crate) struct Dns {
    pub(crate) transport: Transport,
    pub(crate) way: Way,
    pub(crate) response: bool,
    pub(crate) len: usize,
    /// The second 16 bits of the header.
    pub(crate) flags: u16,
    /// QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT.
    pub(crate) counts: [u16; 4],
    pub(crate) qname: Vec<u8>,
    /// QTYPE; `None` without a question.
    pub(crate) qtype: Option<u16>,
    pub(crate) qtype_slot: usize,
    pub(crate) opcode: usize,
    /// Of responses, the OPT record's part included.
    pub(crate) rcode: usize,
    /// AA 0x80, TC 0x40, RD 0x20, RA 0x10, Z 0x08, AD 0x04, CD 0x02, DO 0x01.
    pub(crate) bits: usize,
    pub(crate) edns: EdnsState,
    pub(crate) opt: Opt,
    pub(crate) sequence: u32,
}

/// The OPT record; all zero without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opt {
    pub(crate) udp_size: u16,
    pub(crate) extended_rcode: u8,
    pub(crate) version: u8,
    pub(crate) flags: u16,
    pub(crate) options_len: u16,
}

impl Default for Dns {
    /// `www.example.com. IN A`, RD set, no EDNS, over UDP: 33 octets.
    fn default() -> Self {
        Self {
            transport: Transport::Udp,
            way: Way::ToServer,
            response: false,
            len: 33,
            flags: 0x0100,
            counts: [1, 0, 0, 0],
            qname: name("www.example.com"),
            qtype: Some(1),
            qtype_slot: 1,
            opcode: 0,
            rcode: 0,
            bits: 0x20,
            edns: EdnsState::Absent,
            opt: Opt::default(),
            sequence: 0,
        }
    }
}

/// A segment as it must be recorded.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) way: Way,
    /// Of the first octet of data.
    pub(crate) sequence: u32,
    pub(crate) flags: u8,
    pub(crate) data: Vec<u8>,
}

/// A UDP message over IPv4.
pub(crate) fn udp4(dns: Dns) -> Expected {
    Expected {
        family: Family::Ipv4,
        protocol: Protocol::Udp,
        end: End::Dns(dns),
    }
}

/// A UDP message over IPv6.
pub(crate) fn udp6(dns: Dns) -> Expected {
    Expected {
        family: Family::Ipv6,
        ..udp4(dns)
    }
}

/// A whole message in a TCP segment over IPv4.
pub(crate) fn tcp4(dns: Dns) -> Expected {
    Expected {
        family: Family::Ipv4,
        protocol: Protocol::Tcp,
        end: End::Dns(Dns {
            transport: Transport::Tcp,
            ..dns
        }),
    }
}

/// A TCP segment over IPv4.
pub(crate) fn segment4(segment: Segment) -> Expected {
    Expected {
        family: Family::Ipv4,
        protocol: Protocol::Tcp,
        end: End::Segment(segment),
    }
}

pub(crate) fn rejected(family: Family, protocol: Protocol, reason: Reject) -> Expected {
    Expected {
        family,
        protocol,
        end: End::Rejected(reason),
    }
}

pub(crate) fn not_dns(
    family: Family,
    protocol: Protocol,
    kind: NotDns,
    events: &'static [TcpEvent],
) -> Expected {
    Expected {
        family,
        protocol,
        end: End::NotDns(kind, events),
    }
}

pub(crate) fn fragment(family: Family) -> Expected {
    Expected {
        family,
        protocol: Protocol::Udp,
        end: End::Fragment,
    }
}

/// Queries arrive at a server and leave a client.
const fn role(way: Way, hook: Hook) -> Role {
    match (way, hook) {
        (Way::ToServer, Hook::Ingress) | (Way::FromServer, Hook::Egress) => Role::Server,
        (Way::ToServer, Hook::Egress) | (Way::FromServer, Hook::Ingress) => Role::Client,
    }
}

impl Expected {
    /// Everything that one such packet of `frame_len` octets adds.
    pub(crate) fn counters(&self, hook: Hook, frame_len: usize) -> Counters {
        let mut counters = Counters::default();
        let layers = self.family.index() * 5 + self.protocol.index();
        counters.add(slot::PACKETS + layers, 1);
        counters.add(slot::BYTES + layers, frame_len as u64);
        let outcome = match &self.end {
            End::Dns(dns) => {
                self.count_message(dns, role(dns.way, hook), &mut counters);
                Outcome::Dns
            }
            End::Segment(_) => Outcome::Segment,
            End::NotDns(kind, events) => {
                counters.add(slot::NOT_DNS + kind.index(), 1);
                for event in *events {
                    counters.add(slot::TCP_EVENT + event.index(), 1);
                }
                Outcome::NotDns
            }
            End::Icmp(kind, icmp) => {
                counters.add(slot::NOT_DNS + kind.index(), 1);
                let protocol = usize::from(*kind == NotDns::Icmpv6);
                let cell = protocol * IcmpType::COUNT + icmp.index();
                counters.add(slot::ICMP + cell, 1);
                Outcome::NotDns
            }
            End::Rejected(reason) => {
                counters.add(slot::REJECTED + reason.index(), 1);
                Outcome::Rejected
            }
            End::Fragment => Outcome::Fragment,
        };
        counters.add(slot::OUTCOME + outcome.index(), 1);
        if matches!(outcome, Outcome::Dns | Outcome::Segment) {
            counters.add(slot::RECORDS + Delivery::Delivered.index(), 1);
        }
        counters
    }

    fn count_message(&self, dns: &Dns, role: Role, counters: &mut Counters) {
        let kind = role.index() * 2 + usize::from(dns.response);
        let family = usize::from(self.family == Family::Ipv6);
        let carrier = kind * 4 + family * 2 + dns.transport.index();
        counters.add(slot::MESSAGES + carrier, 1);
        counters.add(slot::MESSAGE_BYTES + carrier, dns.len as u64);
        counters.add(slot::OPCODE + kind * 16 + dns.opcode, 1);
        counters.add(slot::QTYPE + kind * Qtype::SLOTS + dns.qtype_slot, 1);
        counters.add(slot::FLAGS + kind * FLAG_SETS + dns.bits, 1);
        counters.add(slot::EDNS + kind * EdnsState::COUNT + dns.edns.index(), 1);
        // CO 0x4000, DE 0x2000.
        let edns_flags = usize::from(dns.opt.flags >> 13 & 3);
        if edns_flags != 0 {
            counters.add(slot::EDNS_FLAGS + kind * 4 + edns_flags, 1);
        }
        let carrier = role.index() * 2 + dns.transport.index();
        let bin = dns.len / 16;
        if dns.response {
            counters.add(slot::RCODE + role.index() * RCODES + dns.rcode.min(31), 1);
            let bin = slot::RESPONSE_SIZE + carrier * RESPONSE_SIZES + bin.min(256);
            counters.add(bin, 1);
        } else {
            let bin = slot::QUERY_SIZE + carrier * QUERY_SIZES + bin.min(18);
            counters.add(bin, 1);
        }
    }

    /// What is wrong with the records; nothing when they are as they must be.
    pub(crate) fn complaints(&self, hook: Hook, records: &[Seen]) -> Vec<String> {
        match &self.end {
            End::Dns(dns) => match records {
                [record] => self.message_complaints(dns, hook, record),
                _ => vec![format!("{} records instead of one", records.len())],
            },
            End::Segment(segment) => self.segment_complaints(segment, hook, records),
            End::NotDns(..) | End::Icmp(..) | End::Rejected(_) | End::Fragment => match records {
                [] => Vec::new(),
                _ => vec![format!("{} records instead of none", records.len())],
            },
        }
    }

    fn message_complaints(&self, dns: &Dns, hook: Hook, record: &Seen) -> Vec<String> {
        let mut check = Check::default();
        self.check_flow(&mut check, dns.way, dns.transport, hook, record);
        check.equal("payload", &record.payload, &dns.qname);
        check.equal("length", usize::from(record.len), dns.len);
        check.equal("sequence", record.sequence, dns.sequence);
        check.equal("TCP flags", record.tcp_flags, 0);
        let Some(message) = &record.message else {
            return vec!["a segment instead of a message".to_owned()];
        };
        let header = &message.header;
        check.equal("ID", header.id(), 0x1234);
        check.equal("flags", header.flags(), dns.flags);
        let counts = [
            header.questions(),
            header.answers(),
            header.authorities(),
            header.additionals(),
        ];
        check.equal("counts", counts, dns.counts);
        check.equal("has question", message.has_question(), dns.qtype.is_some());
        check.equal("QTYPE", message.question.qtype(), dns.qtype.unwrap_or(0));
        let qclass = u16::from(dns.qtype.is_some());
        check.equal("QCLASS", message.question.qclass(), qclass);
        check.equal("EDNS", message.edns, dns.edns);
        let opt = Opt {
            udp_size: message.opt.udp_size(),
            extended_rcode: message.opt.extended_rcode(),
            version: message.opt.version(),
            flags: message.opt.flags(),
            options_len: message.opt.options_len(),
        };
        check.equal("OPT", opt, dns.opt);
        if dns.response {
            check.equal("RCODE", usize::from(message.rcode()), dns.rcode);
        }
        check.complaints
    }

    fn segment_complaints(&self, segment: &Segment, hook: Hook, records: &[Seen]) -> Vec<String> {
        let mut check = Check::default();
        let parts = segment.data.chunks(MAX_SEGMENT);
        check.equal("records", records.len(), parts.len());
        for (place, (record, part)) in records.iter().zip(parts).enumerate() {
            self.check_flow(&mut check, segment.way, Transport::Tcp, hook, record);
            check.equal("is a message", record.message.is_some(), false);
            check.equal("octets", record.payload.as_slice(), part);
            check.equal("length", usize::from(record.len), part.len());
            check.equal("TCP flags", record.tcp_flags, segment.flags);
            let offset = (place * MAX_SEGMENT) as u32;
            let sequence = segment.sequence.wrapping_add(offset);
            check.equal("sequence", record.sequence, sequence);
        }
        check.complaints
    }

    fn check_flow(
        &self,
        check: &mut Check,
        way: Way,
        transport: Transport,
        hook: Hook,
        record: &Seen,
    ) {
        let (source, destination, hop_limit) = addresses(self.family);
        let ports = match way {
            Way::ToServer => (CLIENT_PORT, DNS_PORT),
            Way::FromServer => (DNS_PORT, CLIENT_PORT),
        };
        let flow = &record.flow;
        check.equal("hook", record.hook, hook);
        check.equal("role", record.role, role(way, hook));
        check.equal("family", flow.family, self.family);
        check.equal("transport", flow.transport, transport);
        check.equal("source", ip_addr(flow.family, flow.source), source);
        let found = ip_addr(flow.family, flow.destination);
        check.equal("destination", found, destination);
        check.equal("hop limit", flow.hop_limit, hop_limit);
        check.equal("ports", (flow.source_port, flow.destination_port), ports);
        check.equal("level", record.level, 0);
    }
}

/// Source, destination and hop limit of the builders' packets.
fn addresses(family: Family) -> (IpAddr, IpAddr, u8) {
    match family {
        Family::Ipv6 => {
            let ip = Ipv6::default();
            (ip.source.into(), ip.destination.into(), ip.hop_limit)
        }
        Family::Ipv4 | Family::Other => {
            let ip = Ipv4::default();
            (ip.source.into(), ip.destination.into(), ip.ttl)
        }
    }
}

/// Collects what differs.
#[derive(Default)]
struct Check {
    complaints: Vec<String>,
}

impl Check {
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.complaints
                .push(format!("{what} is {found:?} instead of {expected:?}"));
        }
    }
}
