//! Messages of all kinds, out of few values of each field, so that many have much
//! in common.

use std::net::IpAddr;

use dns_wire::{
    counters::{Hook, Role},
    locate::{Family, Flow, Transport},
    message::{EdnsState, Header, Message, Opt, Question},
};
use proptest::{prelude::*, sample::select};

use crate::stats::observed::Observed;

/// Names of every class and shape.
const NAMES: [&[u8]; 16] = [
    b"",
    b"\0",
    b"\x03com\0",
    b"\x07example\x03com\0",
    b"\x07EXAMPLE\x03Com\0",
    b"\x03www\x07example\x03com\0",
    b"\x01a\x07example\x02nl\0",
    b"\x08xn--p1ai\0",
    b"\x03www\x08XN--p1ai\x03www\x04home\0",
    b"\x09LOCALHOST\0",
    b"\x01a\x0croot-servers\x03net\0",
    b"\x03192\x010\x012\x011\0",
    b"\x011\x012\x03168\x03192\x07in-addr\x04arpa\0",
    b"\x011\x012\x010\x0210\x07in-addr\x04ARPA\0",
    b"\x07version\x04bind\0",
    b"\x1fabcdefghijklmnopqrstuvwxyzabcde\x1fabcdefghijklmnopqrstuvwxyzabcde\x07example\x03org\0",
];

/// RDATA of OPT records: none, a cookie, NSID, a client subnet, an extended error.
const OPTIONS: [&[u8]; 5] = [
    b"",
    b"\0\x0a\0\x08abcdefgh",
    b"\0\x03\0\x02ns",
    b"\0\x08\0\x07\0\x01\x18\0\xc0\0\x02",
    b"\0\x0f\0\x06\0\x12text",
];

/// The fields of a message.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    name: &'static [u8],
    options: &'static [u8],
    flags: u16,
    qtype: u16,
    qclass: u16,
    edns: EdnsState,
    opt: Opt,
    len: usize,
    role: Role,
    hook: Hook,
    transport: Transport,
    /// The client and the server.
    hosts: [IpAddr; 2],
    port: u16,
    hop_limit: u8,
    level: u8,
}

impl Seen {
    pub(super) fn observed(&self, time_ns: u64) -> Observed<'_> {
        let [a, b] = self.flags.to_be_bytes();
        let [client, server] = self.hosts.map(words);
        let (source, destination) = match self.flags & 0x8000 {
            0 => (client, server),
            _ => (server, client),
        };
        let family = if self.hosts[0].is_ipv4() {
            Family::Ipv4
        } else {
            Family::Ipv6
        };
        Observed {
            time_ns,
            hook: self.hook,
            role: self.role,
            flow: Flow {
                family,
                transport: self.transport,
                hop_limit: self.hop_limit,
                source,
                destination,
                source_port: self.port,
                destination_port: 53,
            },
            message: Message {
                header: Header::new([9, 9, a, b, 0, 1, 0, 0, 0, 0, 0, 1]),
                question: match self.name.len() {
                    0 => Question::default(),
                    len => Question::new(12, len, self.qtype, self.qclass),
                },
                edns: self.edns,
                opt: match self.edns {
                    EdnsState::Present => self.opt,
                    EdnsState::Absent | EdnsState::Unreached | EdnsState::Malformed => {
                        Opt::default()
                    }
                },
                len: self.len,
            },
            name: self.name,
            options: self.options,
            weight: 1 << self.level,
        }
    }
}

fn words(address: IpAddr) -> [u64; 2] {
    let mut octets = [0; 16];
    match address {
        IpAddr::V4(address) => octets[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => octets = address.octets(),
    }
    [0, 8].map(|at| u64::from_ne_bytes(octets[at..at + 8].try_into().expect("8 octets")))
}

fn hosts() -> impl Strategy<Value = [IpAddr; 2]> {
    let pairs = [
        ["192.0.2.1", "192.0.2.53"],
        ["192.0.2.77", "192.0.2.53"],
        ["192.0.2.53", "198.51.100.7"],
        ["198.51.100.7", "192.0.2.54"],
        ["203.0.113.9", "192.0.2.53"],
        ["2001:db8::1", "2001:db8:53::53"],
        ["2001:db8:0:1::1", "2001:db8:53::53"],
        ["2001:db8:ffff::1", "2001:db8:53::54"],
        // The octets of 192.0.2.1 and zeros.
        ["c000:201::", "2001:db8:53::53"],
    ];
    let ip = |text: &str| text.parse().expect("an address");
    select(pairs.to_vec()).prop_map(move |pair| pair.map(ip))
}

/// Any message.
pub(super) fn any_seen() -> impl Strategy<Value = Seen> {
    let bits = [0_u16, 0, 0x0100, 0x0400, 0x0200, 0x0080, 0x0030, 0x2800];
    let flags = (
        any::<bool>(),
        select(bits.to_vec()),
        select(vec![0_u16, 2, 3, 5]),
    )
        .prop_map(|(response, bits, rcode)| u16::from(response) << 15 | bits | rcode);
    let opt = (
        select(vec![512_u16, 1232, 4096]),
        select(vec![0_u8, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128]),
        select(vec![0_u8, 0, 1]),
        select(vec![0_u16, 0x8000, 0x4000, 0x2000]),
    )
        .prop_map(|(size, rcode, version, flags)| Opt::new(size, rcode, version, flags, 4));
    let message = (
        select(NAMES.to_vec()),
        select(OPTIONS.to_vec()),
        flags,
        select(vec![1_u16, 2, 12, 28, 38, 255, 9999]),
        select(vec![1_u16, 1, 1, 3, 77]),
        select(EdnsState::ALL.to_vec()),
        opt,
        select(vec![12_usize, 100, 1400]),
    );
    let beside = (
        select(Role::ALL.to_vec()),
        select(Hook::ALL.to_vec()),
        select(Transport::ALL.to_vec()),
        hosts(),
        select(vec![0_u16, 53, 1024, 40_000, 40_001]),
        select(vec![57_u8, 64]),
        select(vec![0_u8, 0, 3]),
    );
    (message, beside).prop_map(|(message, beside)| {
        let (name, options, flags, qtype, qclass, edns, opt, len) = message;
        let (role, hook, transport, hosts, port, hop_limit, level) = beside;
        Seen {
            name,
            options,
            flags,
            qtype,
            qclass,
            edns,
            opt,
            len,
            role,
            hook,
            transport,
            hosts,
            port,
            hop_limit,
            level,
        }
    })
}

/// One field of a message becomes that of another one.
pub(super) const CHANGES: [fn(&mut Seen, &Seen); 14] = [
    |one, other| one.name = other.name,
    |one, other| one.options = other.options,
    |one, other| one.flags = one.flags & 0x8000 | other.flags & 0x7fff,
    |one, other| one.qtype = other.qtype,
    |one, other| one.qclass = other.qclass,
    |one, other| one.edns = other.edns,
    |one, other| one.opt = other.opt,
    |one, other| one.len = other.len,
    |one, other| one.role = other.role,
    |one, other| one.hook = other.hook,
    |one, other| one.transport = other.transport,
    |one, other| one.hosts = other.hosts,
    |one, other| one.port = other.port,
    |one, other| one.hop_limit = other.hop_limit,
];
