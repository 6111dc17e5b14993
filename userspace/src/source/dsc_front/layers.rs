//! Link layer, IP and GRE as DSC walks them.

use dns_wire::locate::{Family, Flow, Transport};

use super::UnsupportedLink;
use crate::source::file::LinkType;

/// An IP packet without its headers.
pub(super) struct Datagram<'a> {
    pub(super) family: Family,
    pub(super) hop_limit: u8,
    pub(super) source: [u64; 2],
    pub(super) destination: [u64; 2],
    /// Protocol number of `payload`.
    pub(super) protocol: u8,
    /// What was captured of it.
    pub(super) payload: &'a [u8],
    /// Of IPv4 only: DSC drops those of IPv6.
    pub(super) fragment: Option<Fragment>,
}

/// A piece of an IPv4 datagram.
pub(super) struct Fragment {
    pub(super) id: u16,
    /// Where it belongs, in octets.
    pub(super) offset: usize,
    /// More fragments: it is not the last.
    pub(super) more: bool,
    /// Octets by the header: the capture may hold less.
    pub(super) len: usize,
}

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const GRE: u8 = 47;

impl<'a> Datagram<'a> {
    /// Its flow; both transports begin with source and destination port.
    pub(super) fn flow(&self, transport: Transport, header: &[u8]) -> Flow {
        Flow {
            family: self.family,
            transport,
            hop_limit: self.hop_limit,
            source: self.source,
            destination: self.destination,
            source_port: be16(header, 0).unwrap_or_default(),
            destination_port: be16(header, 2).unwrap_or_default(),
        }
    }

    /// The IP packet in its GRE packet, if it is one.
    ///
    /// DSC looks for checksum, key and sequence number in bits of the version.
    pub(super) fn in_gre(&self) -> Option<&'a [u8]> {
        if self.protocol != GRE || self.fragment.is_some() {
            return None;
        }
        let flags = be16(self.payload, 0)?;
        let fields = [0x0001, 0x0004, 0x0008].map(|bit| usize::from(flags & bit != 0));
        let header = 4 + 4 * fields.iter().sum::<usize>();
        let inner = self.payload.get(header..)?;
        is_ip(be16(self.payload, 2)?).then_some(inner)
    }
}

/// The IP packet of a frame.
pub(super) fn ip_in_frame<'a>(
    link: LinkType,
    frame: &'a [u8],
    vlans: &[u16],
) -> Result<Option<&'a [u8]>, UnsupportedLink> {
    let reader: fn(&'a [u8], &[u16]) -> Option<&'a [u8]> = match link {
        LinkType::ETHERNET => ethernet,
        LinkType::RAW | LinkType::RAW_BSD => |frame, _| Some(frame),
        LinkType::LINUX_SLL => |frame, _| behind_type(frame, 14, be16),
        LinkType::NULL | LinkType::LOOP => |frame, _| loopback(frame),
        LinkType::PPP => |frame, _| ppp(frame),
        _ => return Err(UnsupportedLink(link)),
    };
    if frame.len() < ETHERNET_HEADER {
        return Ok(None);
    }
    Ok(reader(frame, vlans))
}

/// Octets of an Ethernet header, which DSC wants of any frame.
const ETHERNET_HEADER: usize = 14;

fn ethernet<'a>(frame: &'a [u8], vlans: &[u16]) -> Option<&'a [u8]> {
    if be16(frame, 12)? != 0x8100 {
        return behind_type(frame, 12, be16);
    }
    let tag = be16(frame, 14)?;
    let is_let_through = vlans.is_empty() || vlans.contains(&tag);
    is_let_through.then(|| behind_type(frame, 16, be16))?
}

/// What stands behind an Ethertype at `at`, if it says IP.
fn behind_type(
    frame: &[u8],
    at: usize,
    ethertype: fn(&[u8], usize) -> Option<u16>,
) -> Option<&[u8]> {
    is_ip(ethertype(frame, at)?).then(|| frame.get(at + 2..))?
}

const fn is_ip(ethertype: u16) -> bool {
    matches!(ethertype, 0x0800 | 0x86dd)
}

/// DSC takes the family in network order, and AF_INET6 is Linux's.
fn loopback(frame: &[u8]) -> Option<&[u8]> {
    let (family, ip) = frame.split_first_chunk()?;
    matches!(u32::from_be_bytes(*family), 2 | 10).then_some(ip)
}

/// RFC 1661: address, control and the first octet of the protocol may be left out.
fn ppp(frame: &[u8]) -> Option<&[u8]> {
    let frame = frame.strip_prefix(&[0xff, 0x03]).unwrap_or(frame);
    match frame {
        [0x21, ip @ ..] | [0x00, 0x21, ip @ ..] => Some(ip),
        _ => None,
    }
}

/// The IP packet at the beginning of these octets.
pub(super) fn datagram(ip: &[u8]) -> Option<Datagram<'_>> {
    match ip.first()? >> 4 {
        4 => ipv4(ip),
        6 => ipv6(ip),
        _ => None,
    }
}

fn ipv4(ip: &[u8]) -> Option<Datagram<'_>> {
    let header: &[u8; 20] = ip.first_chunk()?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let len = usize::from(be16(header, 2)?);
    let flags = be16(header, 6)?;
    let fragment = if flags & 0x3fff == 0 {
        None
    } else {
        Some(Fragment {
            id: be16(header, 4)?,
            offset: usize::from(flags & 0x1fff) * 8,
            more: flags & 0x2000 != 0,
            len: len.checked_sub(header_len)?,
        })
    };
    Some(Datagram {
        family: Family::Ipv4,
        hop_limit: header[8],
        source: [word4(header, 12)?, 0],
        destination: [word4(header, 16)?, 0],
        protocol: header[9],
        payload: ip.get(header_len..len.min(ip.len()))?,
        fragment,
    })
}

fn ipv6(ip: &[u8]) -> Option<Datagram<'_>> {
    let header: &[u8; 40] = ip.first_chunk()?;
    let mut protocol = header[6];
    let mut payload_len = usize::from(be16(header, 4)?);
    let mut at = header.len();
    while is_extension(protocol) {
        // DSC wants eight octets of each.
        let extension = ip.get(at..at + 8)?;
        if protocol == FRAGMENT {
            return None;
        }
        protocol = extension[0];
        // RFC 8200, section 4.3: "in 8-octet units, not including the first 8".
        // AH counts in other units, and ESP not at all, which DSC does not know.
        let len = 8 * (usize::from(extension[1]) + 1);
        payload_len = payload_len.checked_sub(len)?;
        at += len;
    }
    if payload_len == 0 || payload_len > MAX_IPV6_PAYLOAD {
        return None;
    }
    Some(Datagram {
        family: Family::Ipv6,
        hop_limit: header[7],
        source: [word8(header, 8)?, word8(header, 16)?],
        destination: [word8(header, 24)?, word8(header, 32)?],
        protocol,
        payload: ip.get(at..at + payload_len)?,
        fragment: None,
    })
}

/// The snapshot length that DSC's parser was made for, in octets.
const MAX_IPV6_PAYLOAD: usize = 1460;
const FRAGMENT: u8 = 44;

/// Hop-by-hop options, routing, fragment, ESP, AH, destination options.
const fn is_extension(protocol: u8) -> bool {
    matches!(protocol, 0 | 43 | FRAGMENT | 50 | 51 | 60)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let octets = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*octets))
}

/// An IPv4 address in memory order, at the place where [`Flow`] has it.
fn word4(bytes: &[u8], at: usize) -> Option<u64> {
    let [a, b, c, d] = *bytes.get(at..)?.first_chunk()?;
    Some(u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]))
}

fn word8(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
