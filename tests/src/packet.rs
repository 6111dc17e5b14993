//! Frames to test with, built layer by layer from the inside out.
//!
//! A layer is a plain struct: its public fields are what a test may want to
//! set, `Default` gives the rest, and an `Option` overrides what would be
//! right. `carry` puts a layer around what is above it. A [`Payload`] is what
//! IP carries, a [`Network`] what Ethernet and GRE carry. Checksums are zero:
//! xdsc looks at none.

use std::net::{Ipv4Addr, Ipv6Addr};

/// EtherType values (IEEE 802 numbers).
pub mod ether {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// Customer VLAN tag (802.1Q).
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// Service VLAN tag (802.1ad).
    pub const QINQ: u16 = 0x88a8;
}

/// Assigned Internet protocol numbers.
pub mod proto {
    /// IPv6 hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// IPv4 in IP (RFC 2003).
    pub const IPV4: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP (RFC 4213).
    pub const IPV6: u8 = 41;
    /// IPv6 routing header.
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header.
    pub const FRAGMENT: u8 = 44;
    /// GRE.
    pub const GRE: u8 = 47;
    /// Encapsulating security payload.
    pub const ESP: u8 = 50;
    /// Authentication header.
    pub const AH: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6 destination options.
    pub const DESTINATION: u8 = 60;
}

/// TCP flags (RFC 9293, section 3.1; RFC 3168).
pub mod flag {
    /// No more data.
    pub const FIN: u8 = 0x01;
    /// Synchronise.
    pub const SYN: u8 = 0x02;
    /// Reset.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// Acknowledgement.
    pub const ACK: u8 = 0x10;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

/// Port of a client.
pub const CLIENT_PORT: u16 = 40_000;
/// Port of DNS.
pub const DNS_PORT: u16 = 53;

/// What IP carries.
#[derive(Clone, Debug)]
pub struct Payload {
    /// Its protocol number.
    pub protocol: u8,
    /// Its octets, header first.
    pub bytes: Vec<u8>,
}

impl Payload {
    /// Any protocol with any octets.
    #[must_use]
    pub fn new(protocol: u8, bytes: &[u8]) -> Self {
        Self {
            protocol,
            bytes: bytes.to_vec(),
        }
    }

    /// Only its first `len` octets.
    #[must_use]
    pub fn cut(mut self, len: usize) -> Self {
        self.bytes.truncate(len);
        self
    }
}

/// What Ethernet and GRE carry.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its EtherType.
    pub ether_type: u16,
    /// Its octets, header first.
    pub bytes: Vec<u8>,
}

impl Network {
    /// Within another IP packet: IP-in-IP or 6in4.
    #[must_use]
    pub fn in_ip(self) -> Payload {
        let protocol = if self.ether_type == ether::IPV6 {
            proto::IPV6
        } else {
            proto::IPV4
        };
        Payload {
            protocol,
            bytes: self.bytes,
        }
    }
}

/// An Ethernet header with VLAN tags.
#[derive(Clone, Debug, Default)]
pub struct Ethernet {
    /// EtherTypes of the tags, the outer one first.
    pub tags: Vec<u16>,
}

impl Ethernet {
    /// The frame around a packet.
    #[must_use]
    pub fn carry(&self, network: &Network) -> Vec<u8> {
        let mut frame = vec![0x02, 0, 0, 0, 0, 0x35, 0x02, 0, 0, 0, 0, 0x01];
        for (place, tag) in self.tags.iter().enumerate() {
            frame.extend(tag.to_be_bytes());
            frame.extend([0x20, place as u8 + 1]);
        }
        frame.extend(network.ether_type.to_be_bytes());
        frame.extend(&network.bytes);
        frame
    }
}

/// An untagged frame.
#[must_use]
pub fn frame(network: &Network) -> Vec<u8> {
    Ethernet::default().carry(network)
}

/// An IPv4 header (RFC 791).
#[derive(Clone, Debug)]
pub struct Ipv4 {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// Options, a multiple of four octets.
    pub options: Vec<u8>,
    /// Fragment offset in units of eight octets.
    pub offset: u16,
    /// Whether fragments follow.
    pub more_fragments: bool,
    /// Version, where not 4.
    pub version: Option<u8>,
    /// Header length in words of four octets, where not the right one.
    pub header_words: Option<u8>,
    /// Total length, where not the right one.
    pub total_len: Option<u16>,
}

impl Default for Ipv4 {
    fn default() -> Self {
        Self {
            source: Ipv4Addr::new(192, 0, 2, 1),
            destination: Ipv4Addr::new(198, 51, 100, 53),
            ttl: 57,
            options: Vec::new(),
            offset: 0,
            more_fragments: false,
            version: None,
            header_words: None,
            total_len: None,
        }
    }
}

impl Ipv4 {
    /// The packet around a payload.
    #[must_use]
    pub fn carry(&self, payload: &Payload) -> Network {
        let header_len = 20 + self.options.len();
        let total_len = (header_len + payload.bytes.len()) as u16;
        let version = self.version.unwrap_or(4);
        let words = self.header_words.unwrap_or((header_len / 4) as u8);
        let fragment = u16::from(self.more_fragments) << 13 | self.offset;
        let mut bytes = vec![version << 4 | words, 0];
        bytes.extend(self.total_len.unwrap_or(total_len).to_be_bytes());
        bytes.extend([0xbe, 0xef]);
        bytes.extend(fragment.to_be_bytes());
        bytes.extend([self.ttl, payload.protocol, 0, 0]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(&self.options);
        bytes.extend(&payload.bytes);
        Network {
            ether_type: ether::IPV4,
            bytes,
        }
    }
}

/// An IPv6 extension header: its number, and its octets behind the first one,
/// which is the number of the next.
#[derive(Clone, Debug)]
pub struct Extension {
    /// Its protocol number.
    pub kind: u8,
    /// From its second octet on.
    pub rest: Vec<u8>,
}

impl Extension {
    /// A header of `units` units of eight octets whose length field counts
    /// those behind the first, filled with PadN.
    #[must_use]
    pub fn padded(kind: u8, units: u8) -> Self {
        let mut rest = vec![0; usize::from(units) * 8 - 1];
        rest[0] = units - 1;
        rest[1] = 1;
        rest[2] = units.wrapping_mul(8).wrapping_sub(4);
        Self { kind, rest }
    }

    /// A fragment header; `offset` in units of eight octets (RFC 8200, section 4.5).
    #[must_use]
    pub fn fragment(offset: u16, more_fragments: bool) -> Self {
        let mut rest = vec![0];
        rest.extend((offset << 3 | u16::from(more_fragments)).to_be_bytes());
        rest.extend([0, 0, 0xbe, 0xef]);
        Self {
            kind: proto::FRAGMENT,
            rest,
        }
    }

    /// An authentication header with `icv` octets of check value, a multiple of
    /// four (RFC 4302, section 2).
    #[must_use]
    pub fn authentication(icv: u8) -> Self {
        let mut rest = vec![0; 11 + usize::from(icv)];
        rest[0] = (12 + icv) / 4 - 2;
        Self {
            kind: proto::AH,
            rest,
        }
    }
}

/// An IPv6 header with its extension headers (RFC 8200).
#[derive(Clone, Debug)]
pub struct Ipv6 {
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// Hop limit.
    pub hop_limit: u8,
    /// Extension headers, in order.
    pub extensions: Vec<Extension>,
    /// Version, where not 6.
    pub version: Option<u8>,
    /// Payload length, where not the right one.
    pub payload_len: Option<u16>,
}

impl Default for Ipv6 {
    fn default() -> Self {
        Self {
            source: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
            destination: Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 0x35),
            hop_limit: 61,
            extensions: Vec::new(),
            version: None,
            payload_len: None,
        }
    }
}

impl Ipv6 {
    /// With the given extension headers.
    #[must_use]
    pub fn with(extensions: &[Extension]) -> Self {
        Self {
            extensions: extensions.to_vec(),
            ..Self::default()
        }
    }

    /// The packet around a payload.
    #[must_use]
    pub fn carry(&self, payload: &Payload) -> Network {
        let (first, chain) = self.chain(payload);
        let mut bytes = vec![self.version.unwrap_or(6) << 4, 0, 0, 0];
        let len = self.payload_len.unwrap_or(chain.len() as u16);
        bytes.extend(len.to_be_bytes());
        bytes.extend([first, self.hop_limit]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(chain);
        Network {
            ether_type: ether::IPV6,
            bytes,
        }
    }

    /// The number of the first header, and all from there on.
    fn chain(&self, payload: &Payload) -> (u8, Vec<u8>) {
        let whole = (payload.protocol, payload.bytes.clone());
        let inside_out = self.extensions.iter().rev();
        inside_out.fold(whole, |(next_header, after), extension| {
            let mut bytes = vec![next_header];
            bytes.extend(&extension.rest);
            bytes.extend(after);
            (extension.kind, bytes)
        })
    }
}

/// A GRE header (RFC 2784, RFC 2890).
#[derive(Clone, Copy, Debug, Default)]
pub struct Gre {
    /// With a checksum and its reserved half.
    pub checksum: bool,
    /// With a key.
    pub key: Option<u32>,
    /// With a sequence number.
    pub sequence: Option<u32>,
    /// More of the first 16 bits: the version, bits that were withdrawn.
    pub other_bits: u16,
}

impl Gre {
    /// The tunnel around a packet.
    #[must_use]
    pub fn carry(&self, network: &Network) -> Payload {
        let bits = u16::from(self.checksum) << 15
            | u16::from(self.key.is_some()) << 13
            | u16::from(self.sequence.is_some()) << 12
            | self.other_bits;
        let mut bytes = bits.to_be_bytes().to_vec();
        bytes.extend(network.ether_type.to_be_bytes());
        if self.checksum {
            bytes.extend([0; 4]);
        }
        for word in [self.key, self.sequence].into_iter().flatten() {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(&network.bytes);
        Payload {
            protocol: proto::GRE,
            bytes,
        }
    }
}

/// A UDP header (RFC 768).
#[derive(Clone, Copy, Debug)]
pub struct Udp {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Length, where not the right one.
    pub len: Option<u16>,
}

impl Udp {
    /// Between two ports.
    #[must_use]
    pub const fn between(source: u16, destination: u16) -> Self {
        Self {
            source,
            destination,
            len: None,
        }
    }

    /// From a client to a server.
    #[must_use]
    pub const fn query() -> Self {
        Self::between(CLIENT_PORT, DNS_PORT)
    }

    /// From a server to a client.
    #[must_use]
    pub const fn response() -> Self {
        Self::between(DNS_PORT, CLIENT_PORT)
    }

    /// The datagram around a message.
    #[must_use]
    pub fn carry(&self, message: &[u8]) -> Payload {
        let len = self.len.unwrap_or(8 + message.len() as u16);
        let mut bytes = Vec::new();
        for word in [self.source, self.destination, len, 0] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(message);
        Payload {
            protocol: proto::UDP,
            bytes,
        }
    }
}

/// A TCP header (RFC 9293).
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// The flags octet.
    pub flags: u8,
    /// Options, a multiple of four octets.
    pub options: Vec<u8>,
    /// Data offset in words of four octets, where not the right one.
    pub offset_words: Option<u8>,
}

impl Default for Tcp {
    /// Data from a client to a server, with the usual timestamp option.
    fn default() -> Self {
        Self {
            source: CLIENT_PORT,
            destination: DNS_PORT,
            sequence: 0x1000_0000,
            acknowledgement: 9,
            flags: flag::PSH | flag::ACK,
            options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
            offset_words: None,
        }
    }
}

impl Tcp {
    /// With the given flags.
    #[must_use]
    pub fn flagged(flags: u8) -> Self {
        Self {
            flags,
            ..Self::default()
        }
    }

    /// Between two ports.
    #[must_use]
    pub fn between(source: u16, destination: u16) -> Self {
        Self {
            source,
            destination,
            ..Self::default()
        }
    }

    /// The segment around a piece of the stream.
    #[must_use]
    pub fn carry(&self, data: &[u8]) -> Payload {
        let words = (20 + self.options.len()) / 4;
        let mut bytes = Vec::new();
        bytes.extend(self.source.to_be_bytes());
        bytes.extend(self.destination.to_be_bytes());
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.acknowledgement.to_be_bytes());
        bytes.extend([
            self.offset_words.unwrap_or(words as u8) << 4,
            self.flags,
            0xff,
            0xff,
        ]);
        bytes.extend([0; 4]);
        bytes.extend(&self.options);
        bytes.extend(data);
        Payload {
            protocol: proto::TCP,
            bytes,
        }
    }
}

/// A message with the length that precedes it on a stream (RFC 7766, section 8).
#[must_use]
pub fn prefixed(message: &[u8]) -> Vec<u8> {
    let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
    bytes.extend(message);
    bytes
}

/// A name in wire format; labels end at dots, and "." is the root.
#[must_use]
pub fn name(text: &str) -> Vec<u8> {
    let labels: Vec<_> = text.split('.').filter(|label| !label.is_empty()).collect();
    labels_of(&labels)
}

/// A name of the given labels in wire format.
#[must_use]
pub fn labels_of(labels: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in labels {
        bytes.push(label.len() as u8);
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

/// A DNS message (RFC 1035, section 4).
#[derive(Clone, Debug)]
pub struct Dns {
    /// ID.
    pub id: u16,
    /// The second 16 bits of the header.
    pub flags: u16,
    /// QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT.
    pub counts: [u16; 4],
    /// What follows the header.
    pub sections: Vec<u8>,
}

impl Dns {
    /// RD set, and nothing else.
    pub const QUERY: u16 = 0x0100;
    /// QR, AA and RD set.
    pub const RESPONSE: u16 = 0x8500;

    /// A message of nothing but the header.
    #[must_use]
    pub const fn header(flags: u16) -> Self {
        Self {
            id: 0x1234,
            flags,
            counts: [0; 4],
            sections: Vec::new(),
        }
    }

    /// A query with RD set.
    #[must_use]
    pub fn query(qname: &[u8], qtype: u16) -> Self {
        Self::header(Self::QUERY).question(qname, qtype)
    }

    /// A response with AA and RD set; answers are to be added.
    #[must_use]
    pub fn response(qname: &[u8], qtype: u16) -> Self {
        Self::header(Self::RESPONSE).question(qname, qtype)
    }

    /// With another second 16 bits of the header.
    #[must_use]
    pub const fn flags(mut self, flags: u16) -> Self {
        self.flags = flags;
        self
    }

    /// With a further question in class IN.
    #[must_use]
    pub fn question(mut self, qname: &[u8], qtype: u16) -> Self {
        self.counts[0] += 1;
        self.sections.extend(qname);
        self.sections.extend(qtype.to_be_bytes());
        self.sections.extend(1_u16.to_be_bytes());
        self
    }

    /// With an A record for the question's name in the answer section.
    #[must_use]
    pub fn answer(mut self) -> Self {
        self.counts[1] += 1;
        self.sections.extend([0xc0, 0x0c, 0, 1, 0, 1]);
        self.sections.extend(300_u32.to_be_bytes());
        self.sections.extend([0, 4, 203, 0, 113, 80]);
        self
    }

    /// With a record of the root in the additional section.
    #[must_use]
    pub fn additional(mut self, record: &RootRecord) -> Self {
        self.counts[3] += 1;
        self.sections.extend(record.bytes());
        self
    }

    /// With octets behind everything else, counted nowhere.
    #[must_use]
    pub fn trailing(mut self, octets: &[u8]) -> Self {
        self.sections.extend(octets);
        self
    }

    /// The message in wire format.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(self.counts.iter().flat_map(|count| count.to_be_bytes()));
        bytes.extend(&self.sections);
        bytes
    }
}

/// A record whose owner is the root: by default an OPT record (RFC 6891).
#[derive(Clone, Debug)]
pub struct RootRecord {
    /// TYPE.
    pub kind: u16,
    /// The requestor's UDP payload size; CLASS in other records.
    pub udp_size: u16,
    /// Upper eight bits of the RCODE.
    pub extended_rcode: u8,
    /// EDNS version.
    pub version: u8,
    /// DO and its neighbours.
    pub flags: u16,
    /// RDATA.
    pub options: Vec<u8>,
    /// RDLEN, where not the right one.
    pub options_len: Option<u16>,
}

impl Default for RootRecord {
    fn default() -> Self {
        Self {
            kind: 41,
            udp_size: 1232,
            extended_rcode: 0,
            version: 0,
            flags: 0,
            options: Vec::new(),
            options_len: None,
        }
    }
}

impl RootRecord {
    /// An OPT record with DO set.
    #[must_use]
    pub fn dnssec_ok() -> Self {
        Self {
            flags: 0x8000,
            ..Self::default()
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let len = self.options_len.unwrap_or(self.options.len() as u16);
        let mut bytes = vec![0];
        bytes.extend(self.kind.to_be_bytes());
        bytes.extend(self.udp_size.to_be_bytes());
        bytes.extend([self.extended_rcode, self.version]);
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(len.to_be_bytes());
        bytes.extend(&self.options);
        bytes
    }
}
