//! A capture made here, of messages that hickory-proto writes: every count is
//! known beforehand, and every one must be exact.

use std::{
    collections::BTreeMap,
    io::Cursor,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use dns_wire::{
    Settings,
    counters::{Counters, FLAGS, Hook, Outcome, Qr, Role, SIZE_BIN},
    iana::Qtype,
    locate::{Family, Transport},
    message::EdnsState,
};
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
};
use xdsc::{
    read::{Reading, Report},
    source::file::Capture,
};

const TRANSACTIONS: u32 = 60_000;
const QUERY_NS: u64 = 100_000;
const RESPONSE_NS: u64 = 40_000;
const TYPES: [u16; 7] = [1, 28, 2, 15, 16, 65, 65_280];
const RCODES: [u16; 5] = [0, 3, 5, 2, 16];

/// One transaction, by its number; the periods have no common factor.
struct Transaction(u32);

impl Transaction {
    const fn qtype(&self) -> u16 {
        TYPES[self.0 as usize % TYPES.len()]
    }

    /// Upper bits need an OPT record.
    const fn rcode(&self) -> u16 {
        let rcode = RCODES[self.0 as usize % RCODES.len()];
        if rcode < 16 || self.has_edns() {
            rcode
        } else {
            0
        }
    }

    const fn has_edns(&self) -> bool {
        self.0.is_multiple_of(2)
    }

    const fn dnssec_ok(&self) -> bool {
        self.0.is_multiple_of(6)
    }

    const fn is_answered(&self) -> bool {
        !self.0.is_multiple_of(11)
    }

    const fn family(&self) -> Family {
        if self.0.is_multiple_of(3) {
            Family::Ipv6
        } else {
            Family::Ipv4
        }
    }

    const fn transport(&self) -> Transport {
        if self.0.is_multiple_of(13) {
            Transport::Tcp
        } else {
            Transport::Udp
        }
    }

    /// Whether the length comes in a segment of its own.
    const fn is_split(&self) -> bool {
        self.0.is_multiple_of(26)
    }

    fn message(&self, qr: Qr) -> Vec<u8> {
        let kind = match qr {
            Qr::Query => MessageType::Query,
            Qr::Response => MessageType::Response,
        };
        let label = "x".repeat(self.0 as usize % 60 + 1);
        let name: Name = format!("{label}.{}.example.", self.0)
            .parse()
            .expect("a name");
        let mut message = Message::new(self.0 as u16, kind, OpCode::Query);
        message.add_query(Query::query(name, RecordType::from(self.qtype())));
        message.metadata.recursion_desired = self.0.is_multiple_of(17);
        message.metadata.authoritative = qr == Qr::Response;
        let mut edns = Edns::new();
        edns.set_dnssec_ok(self.dnssec_ok());
        if qr == Qr::Response {
            message.metadata.response_code = ResponseCode::from(0, (self.rcode() & 0xf) as u8);
        }
        if self.has_edns() {
            message.set_edns(edns);
        }
        let mut bytes = message.to_vec().expect("a message");
        self.set_rcode(qr, &mut bytes);
        bytes
    }

    /// Sets the upper bits of the RCODE, for which the writer has a mind of its own.
    fn set_rcode(&self, qr: Qr, bytes: &mut [u8]) {
        if qr == Qr::Response && self.has_edns() {
            // Of the OPT record at the end: extended RCODE, version, flags, RDLEN.
            let at = bytes.len() - 6;
            bytes[at] = (self.rcode() >> 4) as u8;
        }
    }

    fn addresses(&self) -> [IpAddr; 2] {
        let client = self.0 + 1;
        match self.family() {
            Family::Ipv6 => [
                IpAddr::V6(Ipv6Addr::from(0x2001_0db8 << 96 | u128::from(client))),
                IpAddr::V6(Ipv6Addr::from(0x2001_0db8 << 96)),
            ],
            Family::Ipv4 | Family::Other => [
                IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | client)),
                IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)),
            ],
        }
    }

    fn ports(&self) -> [u16; 2] {
        [1024 + (self.0 % 60_000) as u16, 53]
    }

    /// The packets that carry a message.
    fn packets(&self, qr: Qr, message: &[u8]) -> Vec<Vec<u8>> {
        let (mut addresses, mut ports) = (self.addresses(), self.ports());
        if qr == Qr::Response {
            addresses.reverse();
            ports.reverse();
        }
        if self.transport() == Transport::Udp {
            return vec![ip(addresses, 17, &udp(ports, message))];
        }
        let framed = [&(message.len() as u16).to_be_bytes()[..], message].concat();
        let cuts = if self.is_split() { vec![0, 2] } else { vec![0] };
        let ends = cuts.iter().skip(1).copied().chain([framed.len()]);
        cuts.iter()
            .zip(ends)
            .map(|(from, to)| ip(addresses, 6, &tcp(ports, *from as u32, &framed[*from..to])))
            .collect()
    }
}

fn udp([source, destination]: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [source, destination, 8 + payload.len() as u16, 0] {
        bytes.extend(field.to_be_bytes());
    }
    bytes.extend(payload);
    bytes
}

fn tcp([source, destination]: [u16; 2], sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(source.to_be_bytes());
    bytes.extend(destination.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    // No acknowledgement; 5 words of header, PSH and ACK; window, checksum, urgent.
    bytes.extend([0, 0, 0, 0, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}

/// The IP packet, without a link layer.
fn ip(addresses: [IpAddr; 2], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if addresses[0].is_ipv4() {
        bytes.extend([0x45, 0]);
        bytes.extend((20 + payload.len() as u16).to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    } else {
        bytes.extend([0x60, 0, 0, 0]);
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes.extend([protocol, 64]);
    }
    for address in addresses {
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    bytes.extend(payload);
    bytes
}

/// A pcap file with nanoseconds and link type RAW, and what was put into it.
#[derive(Default)]
struct Writer {
    file: Vec<u8>,
    packets: u64,
    segments: u64,
    told: Told,
}

/// What the writer counts while it writes.
#[derive(Default)]
struct Told {
    messages: u64,
    carriers: BTreeMap<(Qr, Family, Transport), (u64, u64)>,
    qtypes: BTreeMap<(Qr, u16), u64>,
    rcodes: BTreeMap<u16, u64>,
    sizes: BTreeMap<(Qr, Transport, usize), u64>,
    recursion_desired: u64,
    dnssec_ok: u64,
    edns: u64,
}

impl Writer {
    fn new() -> Self {
        let mut writer = Self::default();
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 101] {
            writer.file.extend(word.to_le_bytes());
        }
        writer
    }

    fn message(&mut self, transaction: &Transaction, qr: Qr, time_ns: u64) {
        let message = transaction.message(qr);
        let packets = transaction.packets(qr, &message);
        if packets.len() > 1 {
            self.segments += packets.len() as u64;
        }
        for packet in packets {
            self.packet(&packet, time_ns);
        }
        self.told.message(transaction, qr, message.len());
    }

    fn packet(&mut self, packet: &[u8], time_ns: u64) {
        self.packets += 1;
        let (seconds, rest) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
        let len = packet.len() as u32;
        for word in [seconds as u32, rest as u32, len, len] {
            self.file.extend(word.to_le_bytes());
        }
        self.file.extend(packet);
    }
}

impl Told {
    fn message(&mut self, transaction: &Transaction, qr: Qr, len: usize) {
        let transport = transaction.transport();
        self.messages += 1;
        let carrier = (qr, transaction.family(), transport);
        let (messages, octets) = self.carriers.entry(carrier).or_default();
        *messages += 1;
        *octets += len as u64;
        *self.qtypes.entry((qr, transaction.qtype())).or_default() += 1;
        let bin = (qr, transport, len / SIZE_BIN);
        *self.sizes.entry(bin).or_default() += 1;
        if qr == Qr::Response {
            *self.rcodes.entry(transaction.rcode()).or_default() += 1;
        }
        self.recursion_desired += u64::from(transaction.0.is_multiple_of(17));
        self.dnssec_ok += u64::from(transaction.dnssec_ok());
        self.edns += u64::from(transaction.has_edns());
    }
}

fn write() -> Writer {
    let mut writer = Writer::new();
    for number in 0..TRANSACTIONS {
        let transaction = Transaction(number);
        let time_ns = 1_700_000_000_000_000_000 + u64::from(number) * QUERY_NS;
        writer.message(&transaction, Qr::Query, time_ns);
        if transaction.is_answered() {
            writer.message(&transaction, Qr::Response, time_ns + RESPONSE_NS);
        }
    }
    writer
}

fn read(file: Vec<u8>) -> Report {
    let reader = Box::new(Cursor::new(file));
    let capture = Capture::from_reader("generated".to_owned(), reader).expect("a capture");
    let mut reading = Reading::new(Settings::default(), Vec::new());
    let errors = reading.capture("generated".to_owned(), capture);
    assert!(errors.is_empty(), "{errors:?}");
    reading.finish()
}

#[test]
fn every_count_is_exact() {
    let Writer {
        file,
        packets,
        segments,
        told,
    } = write();
    let report = read(file);
    assert!(told.messages > 100_000);
    assert_eq!(report.files[0].packets, packets);
    let outcome = |outcome| {
        let hooks = report.snapshot.hooks.iter();
        hooks
            .map(|hook| hook.packets.outcomes(outcome))
            .sum::<u64>()
    };
    assert_eq!(outcome(Outcome::Segment), segments);
    assert_eq!(outcome(Outcome::Dns), packets - segments);
    let ingress = report.snapshot.hook(Hook::Ingress).messages();
    assert_eq!(
        ingress.messages_of(Role::Server, Qr::Query),
        u64::from(TRANSACTIONS)
    );
    compare(&report.snapshot.messages(), &told);
    transactions(&report);
}

fn compare(messages: &Counters, told: &Told) {
    for ((qr, family, transport), expected) in &told.carriers {
        let found = messages.messages(Role::Server, *qr, *family, *transport);
        assert_eq!(found, *expected, "{qr:?} {family:?} {transport:?}");
    }
    for ((qr, qtype), expected) in &told.qtypes {
        let found = messages.qtype(Role::Server, *qr, Qtype(*qtype).slot());
        assert_eq!(found, *expected, "{qr:?} {}", Qtype(*qtype));
    }
    for (rcode, expected) in &told.rcodes {
        let found = messages.rcode(Role::Server, usize::from(*rcode));
        assert_eq!(found, *expected, "RCODE {rcode}");
    }
    for qr in Qr::ALL {
        for transport in Transport::ALL {
            let bins = messages.sizes(Role::Server, *qr, *transport);
            for (bin, found) in bins.iter().enumerate() {
                let expected = told.sizes.get(&(*qr, *transport, bin)).unwrap_or(&0);
                assert_eq!(found, expected, "{qr:?} {transport:?} bin {bin}");
            }
        }
    }
    let both = |count: &dyn Fn(Qr) -> u64| count(Qr::Query) + count(Qr::Response);
    let flag = |label| {
        let flag = FLAGS.into_iter().find(|flag| flag.label == label);
        let flag = flag.expect("a flag");
        both(&|qr| messages.flag(Role::Server, qr, flag))
    };
    assert_eq!(flag("RD"), told.recursion_desired);
    assert_eq!(flag("DO"), told.dnssec_ok);
    assert_eq!(flag("AA"), told.rcodes.values().sum::<u64>());
    let present = both(&|qr| messages.edns(Role::Server, qr, EdnsState::Present));
    assert_eq!(present, told.edns);
}

fn transactions(report: &Report) {
    let mut expected = [[0_u64; 2]; Transport::COUNT];
    for number in 0..TRANSACTIONS {
        let transaction = Transaction(number);
        let [answered, unanswered] = &mut expected[transaction.transport().index()];
        if transaction.is_answered() {
            *answered += 1;
        } else {
            *unanswered += 1;
        }
    }
    for (transport, [answered, unanswered]) in Transport::ALL.iter().zip(expected) {
        let found = report.snapshot.pairing.of(Role::Server, *transport);
        assert_eq!((found.answered, found.unanswered), (answered, unanswered));
        assert_eq!(found.unsolicited, 0);
        assert_eq!(found.sum_ns, u128::from(answered * RESPONSE_NS));
    }
}
