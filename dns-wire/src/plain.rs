//! The packet that most packets are: Ethernet without tags, IPv4 without options
//! or IPv6 without extension headers, in one piece, UDP, or TCP that is not DNS.
//!
//! [`locate`](crate::locate) finds the same in it. But here every offset is a
//! constant and one check covers all headers, so that a kernel program compiles
//! to half as many instructions. Whatever is not plain is left to `locate`.

use crate::{
    counters::{Count as _, Hook, Outcome},
    locate::{
        Family, Layers, Located, Payload, Protocol, Transport, ether, proto, unwatched, word4,
    },
    message::{HEADER_LEN, Header},
    observe::{Host, observe_datagram, observe_located},
    packet::{Front, Packet},
    settings::Settings,
};

/// Offset of the IP header.
const IP_AT: usize = 14;
/// Octets of the headers of UDP and, without options, of TCP.
const UDP: usize = 8;
const TCP: usize = 20;

/// Octets up to a DNS header and with it. No plain segment is shorter: a header
/// of TCP has as many octets as those of UDP and DNS.
const IPV4_FRONT: usize = IP_AT + 20 + UDP + HEADER_LEN;
const IPV6_FRONT: usize = IP_AT + 40 + UDP + HEADER_LEN;
const _: () = assert!(UDP + HEADER_LEN == TCP);

/// Sees a frame if it is plain.
#[inline(always)]
pub(crate) fn observe<P: Packet, H: Host>(
    packet: &P,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Option<Outcome> {
    let front = packet.front::<IPV4_FRONT>()?;
    match u16::from_be_bytes(front.get(IP_AT - 2)) {
        ether::IPV4 => {
            let ip = ipv4(&front)?;
            observe_ip(packet, &front, &ip, hook, settings, host)
        }
        ether::IPV6 => {
            let front = packet.front::<IPV6_FRONT>()?;
            let ip = ipv6(&front)?;
            observe_ip(packet, &front, &ip, hook, settings, host)
        }
        _ => None,
    }
}

/// A plain IP header, read.
struct Ip {
    family: Family,
    protocol: u8,
    hop_limit: u8,
    /// Octets behind it.
    len: usize,
    addresses_at: usize,
    /// Offset just behind it.
    at: usize,
}

#[inline(always)]
fn ipv4<F: Front>(front: &F) -> Option<Ip> {
    // RFC 791, section 3.1: version 4 and five words of header; neither an offset
    // nor More Fragments.
    const MASK: u64 = u64::from_ne_bytes([0xff, 0, 0, 0, 0, 0, 0x3f, 0xff]);
    const PLAIN: u64 = u64::from_ne_bytes([0x45, 0, 0, 0, 0, 0, 0, 0]);
    let word: [u8; 8] = front.get(IP_AT);
    if u64::from_ne_bytes(word) & MASK != PLAIN {
        return None;
    }
    let [_, _, high, low, ..] = word;
    let [hop_limit, protocol] = front.get(IP_AT + 8);
    Some(Ip {
        family: Family::Ipv4,
        protocol,
        hop_limit,
        len: usize::from(u16::from_be_bytes([high, low])).checked_sub(20)?,
        addresses_at: IP_AT + 12,
        at: IP_AT + 20,
    })
}

#[inline(always)]
fn ipv6<F: Front>(front: &F) -> Option<Ip> {
    let word: [u8; 8] = front.get(IP_AT);
    let [version, _, _, _, high, low, protocol, hop_limit] = word;
    if version >> 4 != 6 {
        return None;
    }
    Some(Ip {
        family: Family::Ipv6,
        protocol,
        hop_limit,
        len: usize::from(u16::from_be_bytes([high, low])),
        addresses_at: IP_AT + 8,
        at: IP_AT + 40,
    })
}

#[inline(always)]
fn observe_ip<P: Packet, F: Front, H: Host>(
    packet: &P,
    front: &F,
    ip: &Ip,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Option<Outcome> {
    let end = ip.at + ip.len;
    if ip.len < TCP || end > packet.wire_len() {
        return None;
    }
    let transport = match ip.protocol {
        proto::UDP => Transport::Udp,
        proto::TCP => Transport::Tcp,
        _ => return None,
    };
    let [a, b, c, d] = front.get(ip.at);
    let ports = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if settings.watches(ports.1) || settings.watches(ports.0) {
        return match transport {
            Transport::Udp => observe_udp(packet, front, ip, ports, hook, settings, host),
            Transport::Tcp => None,
        };
    }
    let layers = Layers {
        family: ip.family,
        protocol: transport.protocol(),
        end,
    };
    let found = Located::NotDns(unwatched(transport, ports), 0);
    Some(observe_located(
        packet,
        (layers, found),
        hook,
        settings,
        host,
    ))
}

#[inline(always)]
fn observe_udp<P: Packet, F: Front, H: Host>(
    packet: &P,
    front: &F,
    ip: &Ip,
    (source_port, destination_port): (u16, u16),
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Option<Outcome> {
    let len = usize::from(u16::from_be_bytes(front.get(ip.at + 4)));
    if len < UDP + HEADER_LEN || len > ip.len {
        return None;
    }
    let at = ip.at + UDP;
    let payload = Payload {
        family: ip.family,
        transport: Transport::Udp,
        hop_limit: ip.hop_limit,
        addresses_at: ip.addresses_at,
        source_port,
        destination_port,
        at,
        len: len - UDP,
        sequence: 0,
        tcp_flags: 0,
        first_fragment: false,
    };
    let layers = Layers {
        family: ip.family,
        protocol: Protocol::Udp,
        end: ip.at + ip.len,
    };
    host.counters().packet(layers, packet.wire_len());
    let flow = || {
        let (source, destination) = addresses(front, ip);
        payload.flow_between(source, destination)
    };
    let header = Header::of_words(front.get(at), front.get(at + 8));
    let finding = observe_datagram(packet, &payload, header, flow, hook, settings, host);
    if finding.is_raw() {
        host.raw(packet, &payload, finding, hook, settings);
    }
    Some(finding.outcome())
}

/// In memory order, IPv4 in the first four octets.
#[inline(always)]
fn addresses<F: Front>(front: &F, ip: &Ip) -> ([u64; 2], [u64; 2]) {
    let at = ip.addresses_at;
    match ip.family {
        Family::Ipv6 => (
            [word(front, at), word(front, at + 8)],
            [word(front, at + 16), word(front, at + 24)],
        ),
        Family::Ipv4 | Family::Other => ([word4(front.get(at)), 0], [word4(front.get(at + 4)), 0]),
    }
}

#[inline(always)]
fn word<F: Front>(front: &F, at: usize) -> u64 {
    u64::from_ne_bytes(front.get(at))
}
