//! The packets: as small as they come, with correct lengths and no checksums,
//! which nobody looks at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dns_wire::{
    locate::{Family, Flow, Transport},
    record,
};

/// How many packets, of which one is paired, make a case of DNS.
pub(crate) const SHARE: u32 = 1 << SHARE_BITS;
/// One transaction in 2^3 is paired, as the daemon has it by default.
pub(crate) const SHARE_BITS: u32 = 3;
/// The seed of the transaction hash.
pub(crate) const SEED: u64 = 0x0123_4567_89ab_cdef;

/// `www.performance.example.com.`: 28 octets.
const NAME: &[u8] = b"\x03www\x0bperformance\x07example\x03com\0";
const TYPE_A_CLASS_IN: [u8; 4] = [0, 1, 0, 1];
/// OPT of a UDP size of 1232, with DO.
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0];
/// The answer: pointer to the name, A, IN, 300 s, 192.0.2.80.
const ANSWER: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 80];

const CLIENT4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
const SERVER4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));
const CLIENT6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6));
const SERVER6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 0x53));

const DNS_PORT: u16 = 53;
const CLIENT_PORT: u16 = 40_053;

/// Who sends to whom.
#[derive(Clone, Copy)]
struct Path {
    from: (IpAddr, u16),
    to: (IpAddr, u16),
}

const QUERY4: Path = Path {
    from: (CLIENT4, CLIENT_PORT),
    to: (SERVER4, DNS_PORT),
};
const QUERY6: Path = Path {
    from: (CLIENT6, CLIENT_PORT),
    to: (SERVER6, DNS_PORT),
};
const RESPONSE4: Path = Path {
    from: QUERY4.to,
    to: QUERY4.from,
};
/// On ports that nobody watches.
const OTHER4: Path = Path {
    from: (CLIENT4, CLIENT_PORT),
    to: (SERVER4, 8080),
};

/// Queries over IPv4, one of [`SHARE`] paired.
pub(crate) fn ipv4_queries() -> Vec<Vec<u8>> {
    transactions(QUERY4, query)
}

/// The same over IPv6.
pub(crate) fn ipv6_queries() -> Vec<Vec<u8>> {
    transactions(QUERY6, query)
}

/// The responses to the IPv4 queries.
pub(crate) fn responses() -> Vec<Vec<u8>> {
    transactions(RESPONSE4, response)
}

/// A datagram that is not DNS.
pub(crate) fn other_udp() -> Vec<Vec<u8>> {
    vec![udp(OTHER4, &[0; 100])]
}

/// A segment that is not DNS.
pub(crate) fn other_tcp() -> Vec<Vec<u8>> {
    vec![tcp(OTHER4, &[0; 100])]
}

/// A message for each of the IDs.
fn transactions(path: Path, message: fn(u16) -> Vec<u8>) -> Vec<Vec<u8>> {
    ids(path)
        .into_iter()
        .map(|id| udp(path, &message(id)))
        .collect()
}

/// One ID whose transaction is paired, the rest of the share without.
fn ids(path: Path) -> Vec<u16> {
    let flow = path.flow();
    let (paired, unpaired): (Vec<u16>, Vec<u16>) =
        (1..=u16::MAX).partition(|id| record::is_paired(flow.hash(*id, SEED), SHARE_BITS));
    let one = paired.into_iter().take(1);
    one.chain(unpaired.into_iter().take(SHARE as usize - 1))
        .collect()
}

impl Path {
    fn flow(self) -> Flow {
        Flow {
            family: if self.from.0.is_ipv4() {
                Family::Ipv4
            } else {
                Family::Ipv6
            },
            transport: Transport::Udp,
            hop_limit: 64,
            source: words(self.from.0),
            destination: words(self.to.0),
            source_port: self.from.1,
            destination_port: self.to.1,
        }
    }
}

/// An address in memory order.
fn words(address: IpAddr) -> [u64; 2] {
    let mut octets = [0; 16];
    match address {
        IpAddr::V4(address) => octets[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => octets = address.octets(),
    }
    let (words, _) = octets.as_chunks();
    [words[0], words[1]].map(u64::from_ne_bytes)
}

fn query(id: u16) -> Vec<u8> {
    let mut message = header(id, 0x0100, 0);
    message.extend(OPT);
    message
}

fn response(id: u16) -> Vec<u8> {
    let mut message = header(id, 0x8500, 1);
    message.extend(ANSWER);
    message.extend(OPT);
    message
}

/// Header and question; an additional record follows.
fn header(id: u16, flags: u16, answers: u16) -> Vec<u8> {
    let mut message = Vec::new();
    for word in [id, flags, 1, answers, 0, 1] {
        message.extend(word.to_be_bytes());
    }
    message.extend(NAME);
    message.extend(TYPE_A_CLASS_IN);
    message
}

fn udp(path: Path, payload: &[u8]) -> Vec<u8> {
    let mut datagram = ports(path);
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    ethernet(path, 17, &datagram)
}

fn tcp(path: Path, payload: &[u8]) -> Vec<u8> {
    let mut segment = ports(path);
    segment.extend([0, 0, 0, 1, 0, 0, 0, 1]);
    // Five words of header; PSH and ACK; window, checksum, urgent pointer.
    segment.extend([0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(payload);
    ethernet(path, 6, &segment)
}

fn ports(path: Path) -> Vec<u8> {
    [path.from.1.to_be_bytes(), path.to.1.to_be_bytes()].concat()
}

fn ethernet(path: Path, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    match (path.from.0, path.to.0) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((20 + payload.len() as u16).to_be_bytes());
            frame.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
            frame.extend(from.octets());
            frame.extend(to.octets());
        }
        (from, to) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((payload.len() as u16).to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend(octets6(from));
            frame.extend(octets6(to));
        }
    }
    frame.extend(payload);
    frame
}

fn octets6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
