//! From the first octet of a frame to the DNS payload in it: link layer, VLAN
//! tags, IP with options or extension headers, tunnels, UDP and TCP.

use crate::{
    icmp,
    packet::Packet,
    reject::Reject,
    settings::{Settings, is_either},
};

table! {
    /// Address family of a packet.
    pub enum Family {
        /// IPv4.
        Ipv4 = "ipv4",
        /// IPv6.
        Ipv6 = "ipv6",
        /// Neither, or its IP header could not be read.
        Other = "other",
    }
}

table! {
    /// What an IP packet carries.
    pub enum Protocol {
        /// UDP.
        Udp = "udp",
        /// TCP.
        Tcp = "tcp",
        /// ICMP.
        Icmp = "icmp",
        /// ICMPv6.
        Icmpv6 = "icmpv6",
        /// Anything else.
        Other = "other",
    }
}

table! {
    /// Transport of a DNS message.
    pub enum Transport {
        /// DNS over UDP (RFC 1035, section 4.2.1).
        Udp = "udp",
        /// DNS over TCP (RFC 7766).
        Tcp = "tcp",
    }
}

table! {
    /// What a packet is that carries no DNS that xdsc could read.
    pub enum NotDns {
        /// UDP on a port that is not watched.
        Udp = "udp",
        /// TCP on a port that is not watched.
        Tcp = "tcp",
        /// TCP on a watched port without payload: handshake, acknowledgement, end.
        TcpControl = "tcp_control",
        /// UDP port 443: DNS over HTTP/3, among all other QUIC.
        Udp443 = "udp_443",
        /// TCP port 443: DNS over HTTPS, among all other HTTPS.
        Tcp443 = "tcp_443",
        /// UDP port 853: DNS over QUIC (RFC 9250).
        Udp853 = "udp_853",
        /// TCP port 853: DNS over TLS (RFC 7858).
        Tcp853 = "tcp_853",
        /// ICMP.
        Icmp = "icmp",
        /// ICMPv6.
        Icmpv6 = "icmpv6",
        /// Another IP protocol.
        OtherIp = "other_ip",
        /// Not IP: ARP and the like.
        NonIp = "non_ip",
    }
}

impl NotDns {
    /// The protocol above IP.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Udp | Self::Udp443 | Self::Udp853 => Protocol::Udp,
            Self::Tcp | Self::TcpControl | Self::Tcp443 | Self::Tcp853 => Protocol::Tcp,
            Self::Icmp => Protocol::Icmp,
            Self::Icmpv6 => Protocol::Icmpv6,
            Self::OtherIp | Self::NonIp => Protocol::Other,
        }
    }

    /// The place of ICMP and ICMPv6 where both are counted.
    #[inline(always)]
    pub(crate) const fn icmp(self) -> Option<usize> {
        match self {
            Self::Icmp => Some(0),
            Self::Icmpv6 => Some(1),
            Self::Udp
            | Self::Tcp
            | Self::TcpControl
            | Self::Udp443
            | Self::Tcp443
            | Self::Udp853
            | Self::Tcp853
            | Self::OtherIp
            | Self::NonIp => None,
        }
    }
}

impl Transport {
    /// The protocol above IP.
    #[inline(always)]
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Udp => Protocol::Udp,
            Self::Tcp => Protocol::Tcp,
        }
    }
}

/// The link layer of a frame. The kernel programs know Ethernet only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// IEEE 802.3 with up to two VLAN tags.
    Ethernet,
    /// An IP packet without link layer.
    Raw,
    /// Linux cooked capture, version 1.
    Sll,
    /// Linux cooked capture, version 2.
    Sll2,
    /// BSD loopback: four octets of address family.
    Null,
    /// PPP with HDLC-like framing (RFC 1662).
    Ppp,
}

/// Addresses and ports of a datagram or segment, and its time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// `Ipv4` or `Ipv6`.
    pub family: Family,
    /// UDP or TCP.
    pub transport: Transport,
    /// TTL or hop limit as it arrived.
    pub hop_limit: u8,
    /// Source address in memory order; IPv4 in the first four octets.
    pub source: [u64; 2],
    /// Destination address, likewise.
    pub destination: [u64; 2],
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

impl Flow {
    /// A number that is the same for both directions of an exchange.
    ///
    /// UDP gives one number per transaction (`id` is the message's), TCP one per
    /// connection (`id` is 0), so that a connection is sampled as a whole.
    #[inline(always)]
    #[must_use]
    pub const fn hash(&self, id: u16, seed: u64) -> u32 {
        (self.mixed(id, seed) >> 32) as u32
    }

    /// The same for a connection, in more bits.
    #[inline(always)]
    #[must_use]
    pub const fn connection(&self, seed: u64) -> u64 {
        self.mixed(0, seed)
    }

    #[inline(always)]
    const fn mixed(&self, id: u16, seed: u64) -> u64 {
        let high = self.source[0] ^ self.destination[0];
        let low = self.source[1] ^ self.destination[1];
        let ports = ((self.source_port ^ self.destination_port) as u64) << 16 | id as u64;
        let mixed = (high ^ ports.rotate_left(32) ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 29)) ^ low).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }
}

/// Source and destination address in memory order, IPv4 in the first four octets.
pub(crate) type Addresses = ([u64; 2], [u64; 2]);

/// Payload on a watched port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// `Ipv4` or `Ipv6`.
    pub family: Family,
    /// UDP or TCP.
    pub transport: Transport,
    /// TTL or hop limit as it arrived.
    pub hop_limit: u8,
    /// Offset of the source address; the destination's follows. It is below
    /// 32 KiB: the parser never gets farther.
    pub addresses_at: usize,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Offset of the first octet of the UDP or TCP payload in the frame.
    pub at: usize,
    /// Its length in octets by the headers. In a first fragment the rest of it
    /// is not in this frame.
    pub len: usize,
    /// Sequence number of its first octet (TCP).
    pub sequence: u32,
    /// The flags octet of the TCP header, without those of congestion.
    pub tcp_flags: u8,
    /// Whether the IP packet goes on in other frames.
    pub first_fragment: bool,
}

impl Payload {
    /// The payload in two words, as the kernel program hands it to the function
    /// that parses it: the verifier checks that function once, by itself.
    #[inline(always)]
    #[must_use]
    pub const fn pack(&self) -> [u64; 2] {
        let where_ = self.at as u64 & 0xffff
            | (self.len as u64 & 0xffff) << 16
            | (self.source_port as u64) << 32
            | (self.destination_port as u64) << 48;
        let what = self.sequence as u64
            | (self.addresses_at as u64 & 0x7fff) << 32
            | (self.first_fragment as u64) << 47
            | (self.hop_limit as u64) << 48
            | ((self.tcp_flags & tcp_flag::ALL) as u64) << 56
            | (self.family as u64 & 1) << 62
            | (self.transport as u64 & 1) << 63;
        [where_, what]
    }

    /// The payload of such words.
    #[inline(always)]
    #[must_use]
    pub const fn unpack([where_, what]: [u64; 2]) -> Self {
        Self {
            family: if what >> 62 & 1 == 0 {
                Family::Ipv4
            } else {
                Family::Ipv6
            },
            transport: if what >> 63 == 0 {
                Transport::Udp
            } else {
                Transport::Tcp
            },
            hop_limit: (what >> 48) as u8,
            addresses_at: (what >> 32) as usize & 0x7fff,
            source_port: (where_ >> 32) as u16,
            destination_port: (where_ >> 48) as u16,
            at: where_ as usize & 0xffff,
            len: (where_ >> 16) as usize & 0xffff,
            sequence: what as u32,
            tcp_flags: (what >> 56) as u8 & tcp_flag::ALL,
            first_fragment: what >> 47 & 1 != 0,
        }
    }

    /// Source and destination port.
    #[inline(always)]
    pub(crate) const fn ports(&self) -> (u16, u16) {
        (self.source_port, self.destination_port)
    }

    /// The layers that lead to it; where they end is not told again.
    #[inline(always)]
    #[must_use]
    pub const fn layers(&self) -> Layers {
        Layers {
            family: self.family,
            protocol: self.transport.protocol(),
            end: 0,
        }
    }

    /// Addresses and ports.
    ///
    /// # Errors
    /// [`Reject::Snapped`] where the frame does not hold them.
    #[inline(always)]
    pub fn flow<P: Packet>(&self, packet: &P) -> Result<Flow, Reject> {
        let (source, destination) = addresses(packet, self.family, self.addresses_at)?;
        Ok(self.flow_between(source, destination))
    }

    /// The same of a message that was read; zeros cannot be, since the addresses
    /// stand before it.
    #[inline(always)]
    pub(crate) fn flow_of_message<P: Packet>(&self, packet: &P) -> Flow {
        let found = addresses(packet, self.family, self.addresses_at);
        let (source, destination) = found.unwrap_or_default();
        self.flow_between(source, destination)
    }

    /// The same with addresses that were read.
    #[inline(always)]
    pub(crate) const fn flow_between(&self, source: [u64; 2], destination: [u64; 2]) -> Flow {
        Flow {
            family: self.family,
            transport: self.transport,
            hop_limit: self.hop_limit,
            source,
            destination,
            source_port: self.source_port,
            destination_port: self.destination_port,
        }
    }
}

/// TCP flags (RFC 9293, section 3.1).
pub mod tcp_flag {
    /// No more data from sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
    /// All flags but those of congestion (CWR, ECE), for which a packed payload
    /// has no room.
    pub const ALL: u8 = 0x3f;
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Located {
    /// UDP or TCP payload on a watched port.
    Payload(Payload),
    /// TCP on a watched port without payload: `at` is the offset of its header.
    Control(Payload),
    /// Something else; for `Icmp` and `Icmpv6` with the index of its
    /// [`IcmpType`](icmp::IcmpType).
    NotDns(NotDns, u8),
    /// A fragment other than the first: it has no ports to tell by. Or a first
    /// one that is too short to hold a question.
    Fragment,
    /// It could not be read.
    Rejected(Reject),
}

/// The layers met on the way, whatever the outcome: the innermost ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// Address family.
    pub family: Family,
    /// Protocol above IP.
    pub protocol: Protocol,
    /// Offset just behind the IP packet; 0 when there is none.
    pub end: usize,
}

/// What [`locate`] finds, in three words, as a kernel program's function hands it
/// out: that function is checked once, by itself.
///
/// Word 0 holds, from the lowest bit: what it is (4 bits), family (4), protocol
/// (8), kind or reason (8), type of ICMP (8), end of the IP packet (32). Words 1
/// and 2 are those of the payload.
#[inline(always)]
#[must_use]
pub const fn pack(layers: &Layers, located: &Located) -> [u64; 3] {
    let (what, kind, icmp, [where_, of]) = match located {
        Located::Payload(payload) => (PAYLOAD, 0, 0, payload.pack()),
        Located::Control(payload) => (CONTROL, 0, 0, payload.pack()),
        Located::NotDns(kind, icmp) => (NOT_DNS, kind.index(), *icmp, [0; 2]),
        Located::Fragment => (FRAGMENT, 0, 0, [0; 2]),
        Located::Rejected(reason) => (REJECTED, reason.index(), 0, [0; 2]),
    };
    let first = what
        | (layers.family.index() as u64) << 4
        | (layers.protocol.index() as u64) << 8
        | (kind as u64) << 16
        | (icmp as u64) << 24
        | (layers.end as u64) << 32;
    [first, where_, of]
}

const PAYLOAD: u64 = 0;
const CONTROL: u64 = 1;
const NOT_DNS: u64 = 2;
const FRAGMENT: u64 = 3;
const REJECTED: u64 = 4;

/// What such words say. What does not stand for anything is a rejected frame.
#[inline(always)]
#[must_use]
pub fn unpack([first, where_, of]: [u64; 3]) -> (Layers, Located) {
    let layers = Layers {
        family: Family::from_index(first as usize >> 4 & 0xf).unwrap_or(Family::Other),
        protocol: Protocol::from_index(first as usize >> 8 & 0xff).unwrap_or(Protocol::Other),
        end: (first >> 32) as usize,
    };
    let kind = (first >> 16) as usize & 0xff;
    let located = match first & 0xf {
        PAYLOAD => Located::Payload(Payload::unpack([where_, of])),
        CONTROL => Located::Control(Payload::unpack([where_, of])),
        NOT_DNS => {
            let kind = NotDns::from_index(kind).unwrap_or(NotDns::NonIp);
            Located::NotDns(kind, (first >> 24) as u8)
        }
        FRAGMENT => Located::Fragment,
        _ => Located::Rejected(Reject::from_index(kind).unwrap_or(Reject::Snapped)),
    };
    (layers, located)
}

/// Finds the DNS payload of a frame.
#[inline(always)]
pub fn locate<P: Packet>(packet: &P, link: Link, settings: &Settings) -> (Layers, Located) {
    let mut layers = Layers {
        family: Family::Other,
        protocol: Protocol::Other,
        end: 0,
    };
    let located = match frame(packet, link, settings, &mut layers) {
        Ok(located) => located,
        Err(reason) => Located::Rejected(reason),
    };
    (layers, located)
}

/// The outermost IP packet of a frame: its family, the number of the protocol
/// above it, and where its addresses are.
///
/// # Errors
/// Why there is none.
pub fn ip_packet<P: Packet>(packet: &P, link: Link) -> Result<Option<IpPacket>, Reject> {
    let (ether_type, at) = link_header(packet, link)?;
    let mut layers = Layers {
        family: Family::Other,
        protocol: Protocol::Other,
        end: 0,
    };
    let Some(ip) = ip(packet, ether_type, at, &mut layers)? else {
        return Ok(None);
    };
    let (source, destination) = addresses(packet, ip.family, ip.addresses_at)?;
    Ok(Some(IpPacket {
        family: ip.family,
        protocol: ip.protocol,
        source,
        destination,
    }))
}

/// An IP packet, whatever it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpPacket {
    /// `Ipv4` or `Ipv6`.
    pub family: Family,
    /// Assigned Internet Protocol Number, behind extension headers.
    pub protocol: u8,
    /// Source address in memory order; IPv4 in the first four octets.
    pub source: [u64; 2],
    /// Destination address, likewise.
    pub destination: [u64; 2],
}

#[inline(always)]
fn frame<P: Packet>(
    packet: &P,
    link: Link,
    settings: &Settings,
    layers: &mut Layers,
) -> Result<Located, Reject> {
    let (ether_type, at) = link_header(packet, link)?;
    let Some(outer) = ip(packet, ether_type, at, layers)? else {
        return Ok(Located::NotDns(NotDns::NonIp, 0));
    };
    if outer.is_fragment(packet) {
        return Ok(Located::Fragment);
    }
    if !settings.decapsulates() {
        return transport(packet, &outer, settings, layers);
    }
    let Some((ether_type, at)) = tunnel(packet, &outer)? else {
        return transport(packet, &outer, settings, layers);
    };
    let Some(inner) = ip(packet, ether_type, at, layers)? else {
        return Ok(Located::NotDns(NotDns::OtherIp, 0));
    };
    if inner.end > outer.end {
        return Err(Reject::IpLength);
    }
    if inner.is_fragment(packet) {
        return Ok(Located::Fragment);
    }
    if matches!(inner.protocol, proto::IPV4 | proto::IPV6 | proto::GRE) {
        return Err(Reject::TunnelDepth);
    }
    transport(packet, &inner, settings, layers)
}

/// EtherType values (IEEE 802 numbers).
pub(crate) mod ether {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const IPV6: u16 = 0x86dd;
    pub(crate) const VLAN: u16 = 0x8100;
    pub(crate) const QINQ: u16 = 0x88a8;
}

/// Assigned Internet protocol numbers.
pub(crate) mod proto {
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const IPV4: u8 = 4;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const IPV6: u8 = 41;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const GRE: u8 = 47;
    pub(crate) const AH: u8 = 51;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const DESTINATION: u8 = 60;
}

/// EtherType and the offset of what follows.
#[inline(always)]
fn link_header<P: Packet>(packet: &P, link: Link) -> Result<(u16, usize), Reject> {
    match link {
        Link::Ethernet => vlan(packet, 12),
        Link::Sll => vlan(packet, 14),
        Link::Sll2 => {
            let ether_type = be16(packet, 0, Reject::LinkHeader)?;
            Ok((ether_type, 20))
        }
        Link::Raw => raw_ip(packet, 0),
        Link::Null => raw_ip(packet, 4),
        Link::Ppp => ppp(packet),
    }
}

/// The EtherType at `at`, behind up to two VLAN tags.
#[inline(always)]
fn vlan<P: Packet>(packet: &P, at: usize) -> Result<(u16, usize), Reject> {
    let outer = be16(packet, at, Reject::LinkHeader)?;
    if !is_vlan(outer) {
        return Ok((outer, at + 2));
    }
    let inner = be16(packet, at + 4, Reject::LinkHeader)?;
    if !is_vlan(inner) {
        return Ok((inner, at + 6));
    }
    let innermost = be16(packet, at + 8, Reject::LinkHeader)?;
    if is_vlan(innermost) {
        return Err(Reject::VlanDepth);
    }
    Ok((innermost, at + 10))
}

#[inline(always)]
fn is_vlan(ether_type: u16) -> bool {
    ether_type == ether::VLAN || ether_type == ether::QINQ
}

/// Without an EtherType the version field tells.
#[inline(always)]
fn raw_ip<P: Packet>(packet: &P, at: usize) -> Result<(u16, usize), Reject> {
    let [first] = packet.read(at).ok_or(Reject::LinkHeader)?;
    let ether_type = match first >> 4 {
        4 => ether::IPV4,
        6 => ether::IPV6,
        _ => 0,
    };
    Ok((ether_type, at))
}

#[inline(always)]
fn ppp<P: Packet>(packet: &P) -> Result<(u16, usize), Reject> {
    // RFC 1662, section 3.1: address 0xff and control 0x03 may be left out.
    let framed = packet.read(0) == Some([0xff, 0x03]);
    let at = if framed { 2 } else { 0 };
    let ether_type = match be16(packet, at, Reject::LinkHeader)? {
        0x0021 => ether::IPV4,
        0x0057 => ether::IPV6,
        _ => 0,
    };
    Ok((ether_type, at + 2))
}

/// One IP header, read.
pub(crate) struct Ip {
    pub(crate) family: Family,
    /// The protocol above, and where it starts.
    pub(crate) protocol: u8,
    pub(crate) at: usize,
    /// Offset just behind the packet, by its length field.
    pub(crate) end: usize,
    pub(crate) hop_limit: u8,
    pub(crate) addresses_at: usize,
    pub(crate) first_fragment: bool,
    pub(crate) later_fragment: bool,
}

impl Ip {
    /// Whether it is one that is not looked into.
    #[inline(always)]
    fn is_fragment<P: Packet>(&self, packet: &P) -> bool {
        self.later_fragment || (packet.sets_fragments_aside() && self.first_fragment)
    }
}

/// The fragment that a frame is: the offset of its IP header, and the one just
/// behind the packet by its length field.
pub fn fragment<P: Packet>(
    packet: &P,
    link: Link,
    settings: &Settings,
) -> Option<core::ops::Range<usize>> {
    let mut layers = Layers {
        family: Family::Other,
        protocol: Protocol::Other,
        end: 0,
    };
    let (ether_type, at) = link_header(packet, link).ok()?;
    let outer = ip(packet, ether_type, at, &mut layers).ok()??;
    if outer.first_fragment || outer.later_fragment {
        return Some(at..outer.end);
    }
    if !settings.decapsulates() {
        return None;
    }
    let (ether_type, at) = tunnel(packet, &outer).ok()??;
    let inner = ip(packet, ether_type, at, &mut layers).ok()??;
    let fits = inner.end <= outer.end;
    (fits && (inner.first_fragment || inner.later_fragment)).then_some(at..inner.end)
}

/// The IP header at `at`; `None` when the EtherType is not IP.
#[inline(always)]
fn ip<P: Packet>(
    packet: &P,
    ether_type: u16,
    at: usize,
    layers: &mut Layers,
) -> Result<Option<Ip>, Reject> {
    let ip = match ether_type {
        ether::IPV4 => ipv4(packet, at)?,
        ether::IPV6 => ipv6(packet, at)?,
        _ => return Ok(None),
    };
    layers.family = ip.family;
    layers.end = ip.end;
    layers.protocol = match ip.protocol {
        proto::UDP => Protocol::Udp,
        proto::TCP => Protocol::Tcp,
        proto::ICMP => Protocol::Icmp,
        proto::ICMPV6 => Protocol::Icmpv6,
        _ => Protocol::Other,
    };
    Ok(Some(ip))
}

#[inline(always)]
fn ipv4<P: Packet>(packet: &P, at: usize) -> Result<Ip, Reject> {
    let [version_ihl, _, high, low] = packet.read(at).ok_or(Reject::Ipv4Header)?;
    let [fragment_high, fragment_low] = packet.read(at + 6).ok_or(Reject::Ipv4Header)?;
    let [hop_limit, protocol] = packet.read(at + 8).ok_or(Reject::Ipv4Header)?;
    // RFC 791, section 3.1: "the minimum value for a correct header is 5".
    let header_len = usize::from(version_ihl & 0x0f) * 4;
    if version_ihl >> 4 != 4 || header_len < 20 {
        return Err(Reject::Ipv4Header);
    }
    let total_len = usize::from(u16::from_be_bytes([high, low]));
    let end = at + total_len;
    if total_len < header_len || !packet.reaches(end) {
        return Err(Reject::IpLength);
    }
    // RFC 791, section 3.1: flags in the upper three bits, the offset below.
    let fragment = u16::from_be_bytes([fragment_high, fragment_low]);
    let offset = fragment & 0x1fff;
    Ok(Ip {
        family: Family::Ipv4,
        protocol,
        at: at + header_len,
        end,
        hop_limit,
        addresses_at: at + 12,
        first_fragment: offset == 0 && fragment & 0x2000 != 0,
        later_fragment: offset != 0,
    })
}

/// How many IPv6 extension headers are followed: each of the six kinds once
/// (RFC 8200, section 4.1), destination options twice.
const MAX_EXTENSIONS: usize = 7;

#[inline(always)]
fn ipv6<P: Packet>(packet: &P, at: usize) -> Result<Ip, Reject> {
    let [version] = packet.read(at).ok_or(Reject::Ipv6Header)?;
    let [high, low, next_header, hop_limit] = packet.read(at + 4).ok_or(Reject::Ipv6Header)?;
    if version >> 4 != 6 {
        return Err(Reject::Ipv6Header);
    }
    let end = at + 40 + usize::from(u16::from_be_bytes([high, low]));
    if !packet.reaches(end) {
        return Err(Reject::IpLength);
    }
    let mut ip = Ip {
        family: Family::Ipv6,
        protocol: next_header,
        at: at + 40,
        end,
        hop_limit,
        addresses_at: at + 8,
        first_fragment: false,
        later_fragment: false,
    };
    if is_extension(next_header) {
        let chain = packet.extensions(next_header, at + 40, end)?;
        ip.protocol = chain.protocol;
        ip.at = chain.at;
        ip.first_fragment = chain.first_fragment;
        ip.later_fragment = chain.later_fragment;
    }
    Ok(ip)
}

/// Source and destination address at `at`.
#[inline(always)]
fn addresses<P: Packet>(packet: &P, family: Family, at: usize) -> Result<Addresses, Reject> {
    match family {
        Family::Ipv6 => Ok((address(packet, at)?, address(packet, at + 16)?)),
        Family::Ipv4 | Family::Other => {
            let [a, b, c, d, e, f, g, h] = packet.read(at).ok_or(Reject::Snapped)?;
            let (source, destination) = ([a, b, c, d], [e, f, g, h]);
            Ok(([word4(source), 0], [word4(destination), 0]))
        }
    }
}

#[inline(always)]
fn address<P: Packet>(packet: &P, at: usize) -> Result<[u64; 2], Reject> {
    let high: [u8; 8] = packet.read(at).ok_or(Reject::Snapped)?;
    let low: [u8; 8] = packet.read(at + 8).ok_or(Reject::Snapped)?;
    Ok([u64::from_ne_bytes(high), u64::from_ne_bytes(low)])
}

#[inline(always)]
const fn is_extension(next_header: u8) -> bool {
    matches!(
        next_header,
        proto::HOP_BY_HOP | proto::ROUTING | proto::FRAGMENT | proto::AH | proto::DESTINATION
    )
}

/// Where a chain of extension headers leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The protocol above, and the offset where it starts.
    pub protocol: u8,
    /// Offset of its header.
    pub at: usize,
    /// It starts in this packet, and goes on in others.
    pub first_fragment: bool,
    /// It started in another packet.
    pub later_fragment: bool,
}

impl Chain {
    /// The chain in a word, as a kernel program's function returns it.
    #[inline(always)]
    #[must_use]
    pub const fn pack(&self) -> u64 {
        self.at as u64 & 0xffff
            | (self.protocol as u64) << 16
            | (self.first_fragment as u64) << 24
            | (self.later_fragment as u64) << 25
    }

    /// The chain of such a word.
    #[inline(always)]
    #[must_use]
    pub const fn unpack(word: u64) -> Self {
        Self {
            protocol: (word >> 16) as u8,
            at: word as usize & 0xffff,
            first_fragment: word >> 24 & 1 != 0,
            later_fragment: word >> 25 & 1 != 0,
        }
    }
}

/// Follows the chain from the extension header `protocol` at offset `at` of an
/// IP packet that ends at `end`: to the upper-layer header, or to a later
/// fragment's data.
///
/// # Errors
/// [`Reject::Ipv6Extensions`], or [`Reject::Snapped`].
#[inline(always)]
pub fn extensions<P: Packet + ?Sized>(
    packet: &P,
    protocol: u8,
    at: usize,
    end: usize,
) -> Result<Chain, Reject> {
    let mut chain = Chain {
        protocol,
        at,
        first_fragment: false,
        later_fragment: false,
    };
    for _ in 0..MAX_EXTENSIONS {
        if chain.at + 8 > end {
            return Err(Reject::Ipv6Extensions);
        }
        let [next_header, len, high, low] = packet.read(chain.at).ok_or(Reject::Snapped)?;
        let octets = match chain.protocol {
            // RFC 8200, section 4.5: the offset is in the upper 13 bits, the M
            // flag in the lowest.
            proto::FRAGMENT => {
                let fragment = u16::from_be_bytes([high, low]);
                chain.later_fragment = fragment & 0xfff8 != 0;
                chain.first_fragment = !chain.later_fragment && fragment & 1 != 0;
                8
            }
            // RFC 4302, section 2.2: "the length of this Authentication Header
            // in 4-octet units, minus 2".
            proto::AH => (usize::from(len) + 2) * 4,
            // RFC 8200, section 4.3: "in 8-octet units, not including the
            // first 8 octets".
            _ => (usize::from(len) + 1) * 8,
        };
        chain.protocol = next_header;
        chain.at += octets;
        if chain.at > end {
            return Err(Reject::Ipv6Extensions);
        }
        if chain.later_fragment || !is_extension(next_header) {
            return Ok(chain);
        }
    }
    Err(Reject::Ipv6Extensions)
}

/// EtherType and offset of the packet in a tunnel, `None` when it is none.
#[inline(always)]
fn tunnel<P: Packet>(packet: &P, outer: &Ip) -> Result<Option<(u16, usize)>, Reject> {
    match outer.protocol {
        proto::IPV4 => Ok(Some((ether::IPV4, outer.at))),
        proto::IPV6 => Ok(Some((ether::IPV6, outer.at))),
        proto::GRE => gre(packet, outer),
        _ => Ok(None),
    }
}

#[inline(always)]
fn gre<P: Packet>(packet: &P, outer: &Ip) -> Result<Option<(u16, usize)>, Reject> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const VERSION: u16 = 0x0007;
    if outer.at + 4 > outer.end {
        return Err(Reject::TunnelHeader);
    }
    let flags = be16(packet, outer.at, Reject::Snapped)?;
    let ether_type = be16(packet, outer.at + 2, Reject::Snapped)?;
    // Version 1 is PPTP (RFC 2637); source routing was withdrawn by RFC 2784.
    if flags & (VERSION | ROUTING) != 0 {
        return Err(Reject::TunnelHeader);
    }
    let mut at = outer.at + 4;
    for option in [CHECKSUM, KEY, SEQUENCE] {
        if flags & option != 0 {
            at += 4;
        }
    }
    if at > outer.end {
        return Err(Reject::TunnelHeader);
    }
    Ok(Some((ether_type, at)))
}

/// Octets from the start of a message that hold all that is read of it: header,
/// the longest question, the fixed part of an OPT record.
const FRONT: usize = 12 + 255 + 4 + 11;

#[inline(always)]
const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

/// What is above IP.
#[inline(always)]
fn transport<P: Packet>(
    packet: &P,
    ip: &Ip,
    settings: &Settings,
    layers: &mut Layers,
) -> Result<Located, Reject> {
    match layers.protocol {
        Protocol::Udp => udp(packet, ip, settings),
        Protocol::Tcp => tcp(packet, ip, settings),
        Protocol::Icmp => Ok(Located::NotDns(
            NotDns::Icmp,
            icmp::icmp(packet, ip.at, ip.end),
        )),
        Protocol::Icmpv6 => Ok(Located::NotDns(
            NotDns::Icmpv6,
            icmp::icmpv6(packet, ip.at, ip.end),
        )),
        Protocol::Other => Ok(Located::NotDns(NotDns::OtherIp, 0)),
    }
}

#[inline(always)]
fn udp<P: Packet>(packet: &P, ip: &Ip, settings: &Settings) -> Result<Located, Reject> {
    if ip.at + 8 > ip.end {
        return Err(Reject::UdpHeader);
    }
    let (source_port, destination_port) = ports(packet, ip.at)?;
    if !(settings.watches(destination_port) || settings.watches(source_port)) {
        let kind = unwatched(Transport::Udp, (source_port, destination_port));
        return Ok(Located::NotDns(kind, 0));
    }
    let len = usize::from(be16(packet, ip.at + 4, Reject::Snapped)?);
    // RFC 768: "the length in octets of this user datagram including this
    // header"; in a first fragment it is that of the whole datagram. Such a
    // fragment is read only if nothing behind it could be taken for its content.
    if ip.first_fragment && ip.at + 8 + min(len, FRONT) > ip.end {
        return Ok(Located::Fragment);
    }
    if len < 8 || (ip.at + len > ip.end && !ip.first_fragment) {
        return Err(Reject::UdpLength);
    }
    Ok(Located::Payload(Payload {
        family: ip.family,
        transport: Transport::Udp,
        hop_limit: ip.hop_limit,
        addresses_at: ip.addresses_at,
        source_port,
        destination_port,
        at: ip.at + 8,
        len: len - 8,
        sequence: 0,
        tcp_flags: 0,
        first_fragment: ip.first_fragment,
    }))
}

#[inline(always)]
fn tcp<P: Packet>(packet: &P, ip: &Ip, settings: &Settings) -> Result<Located, Reject> {
    if ip.at + 20 > ip.end {
        return Err(Reject::TcpHeader);
    }
    let (source_port, destination_port) = ports(packet, ip.at)?;
    if !(settings.watches(destination_port) || settings.watches(source_port)) {
        let kind = unwatched(Transport::Tcp, (source_port, destination_port));
        return Ok(Located::NotDns(kind, 0));
    }
    let sequence: [u8; 4] = packet.read(ip.at + 4).ok_or(Reject::Snapped)?;
    let offset_and_flags = packet.read(ip.at + 12).ok_or(Reject::Snapped)?;
    segment(
        ip,
        (source_port, destination_port),
        sequence,
        offset_and_flags,
    )
}

/// The segment on a watched port, of these fields of its header.
#[inline(always)]
pub(crate) fn segment(
    ip: &Ip,
    (source_port, destination_port): (u16, u16),
    sequence: [u8; 4],
    [offset, tcp_flags]: [u8; 2],
) -> Result<Located, Reject> {
    let header_len = usize::from(offset >> 4) * 4;
    let at = ip.at + header_len;
    if header_len < 20 || at > ip.end {
        return Err(Reject::TcpHeader);
    }
    let len = ip.end - at;
    // RFC 9293, section 3.4: SYN takes the first sequence number.
    let syn = u32::from(tcp_flags & tcp_flag::SYN != 0);
    let payload = Payload {
        family: ip.family,
        transport: Transport::Tcp,
        hop_limit: ip.hop_limit,
        addresses_at: ip.addresses_at,
        source_port,
        destination_port,
        at: if len == 0 { ip.at } else { at },
        len,
        sequence: u32::from_be_bytes(sequence).wrapping_add(syn),
        tcp_flags: tcp_flags & tcp_flag::ALL,
        first_fragment: ip.first_fragment,
    };
    Ok(if len == 0 {
        Located::Control(payload)
    } else {
        Located::Payload(payload)
    })
}

/// What is on ports, source and destination, that are not watched.
#[inline(always)]
pub(crate) const fn unwatched(transport: Transport, ports: (u16, u16)) -> NotDns {
    let [other, on_443, on_853] = match transport {
        Transport::Udp => [NotDns::Udp, NotDns::Udp443, NotDns::Udp853],
        Transport::Tcp => [NotDns::Tcp, NotDns::Tcp443, NotDns::Tcp853],
    };
    if is_either(443, ports) {
        on_443
    } else if is_either(853, ports) {
        on_853
    } else {
        other
    }
}

#[inline(always)]
fn ports<P: Packet>(packet: &P, at: usize) -> Result<(u16, u16), Reject> {
    let [a, b, c, d] = packet.read(at).ok_or(Reject::Snapped)?;
    Ok((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

#[inline(always)]
fn be16<P: Packet>(packet: &P, at: usize, reason: Reject) -> Result<u16, Reject> {
    packet.read(at).map(u16::from_be_bytes).ok_or(reason)
}

/// Four octets as the first ones of a word in memory order.
#[inline(always)]
pub(crate) fn word4(octets: [u8; 4]) -> u64 {
    if cfg!(target_endian = "little") {
        u64::from(u32::from_ne_bytes(octets))
    } else {
        u64::from(u32::from_ne_bytes(octets)) << 32
    }
}
