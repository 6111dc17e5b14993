//! The packet that most packets are: Ethernet without tags, IPv4 without options
//! or IPv6 without extension headers, in one piece, UDP or TCP.
//!
//! [`locate`](crate::locate) finds the same in it. But here every offset is a
//! constant and one check covers all headers, so that a kernel program compiles
//! to half as many instructions. Whatever is not plain is left to `locate`.

use crate::{
    counters::{Count as _, Hook, Outcome},
    locate::{
        Family, Flow, Ip, Layers, Payload, Transport, ether, proto, segment, unwatched, word4,
    },
    message::{HEADER_LEN, Header},
    observe::{Host, Seen, observe_datagram, observe_located},
    packet::{Packet, Part},
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
    let front = packet.part::<IPV4_FRONT>(0)?;
    match u16::from_be_bytes(front.get(IP_AT - 2)) {
        ether::IPV4 => {
            let ip = ipv4(&front)?;
            observe_ip(packet, &front, &ip, hook, settings, host)
        }
        ether::IPV6 => {
            let front = packet.part::<IPV6_FRONT>(0)?;
            let ip = ipv6(&front)?;
            observe_ip(packet, &front, &ip, hook, settings, host)
        }
        _ => None,
    }
}

#[inline(always)]
fn ipv4<F: Part>(front: &F) -> Option<Ip> {
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
        addresses_at: IP_AT + 12,
        at: IP_AT + 20,
        end: IP_AT + usize::from(u16::from_be_bytes([high, low])),
        first_fragment: false,
        later_fragment: false,
    })
}

#[inline(always)]
fn ipv6<F: Part>(front: &F) -> Option<Ip> {
    let word: [u8; 8] = front.get(IP_AT);
    let [version, _, _, _, high, low, protocol, hop_limit] = word;
    if version >> 4 != 6 {
        return None;
    }
    Some(Ip {
        family: Family::Ipv6,
        protocol,
        hop_limit,
        addresses_at: IP_AT + 8,
        at: IP_AT + 40,
        end: IP_AT + 40 + usize::from(u16::from_be_bytes([high, low])),
        first_fragment: false,
        later_fragment: false,
    })
}

#[inline(always)]
fn observe_ip<P: Packet, F: Part, H: Host>(
    packet: &P,
    front: &F,
    ip: &Ip,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Option<Outcome> {
    if ip.at + TCP > ip.end || ip.end > packet.wire_len() {
        return None;
    }
    // A branch of its own for each, in which the transport is a constant.
    match ip.protocol {
        proto::UDP => observe_udp(packet, front, ip, hook, settings, host),
        proto::TCP => observe_tcp(packet, front, ip, hook, settings, host),
        _ => None,
    }
}

#[inline(always)]
fn observe_udp<P: Packet, F: Part, H: Host>(
    packet: &P,
    front: &F,
    ip: &Ip,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Option<Outcome> {
    let ports = ports(front, ip);
    let watched = settings.watched(ports);
    if !watched.is_either() {
        return Some(not_dns(packet, ip, Transport::Udp, ports, host));
    }
    let payload = datagram(front, ip, ports)?;
    let seen = Seen {
        hook,
        settings,
        payload: || payload,
        watched: Some(watched),
    };
    let counters = host.counters();
    counters.packet(layers(ip, Transport::Udp), packet.wire_len());
    let header = Header::of_words(front.get(payload.at), front.get(payload.at + 8));
    let flow = || flow(front, ip, &payload);
    let finding = observe_datagram(packet, &seen, header, flow, host);
    if finding.is_raw() {
        host.raw(packet, &payload, finding, hook, settings);
    }
    Some(finding.outcome())
}

#[inline(always)]
fn observe_tcp<P: Packet, F: Part, H: Host>(
    packet: &P,
    front: &F,
    ip: &Ip,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Option<Outcome> {
    let ports = ports(front, ip);
    if !settings.watched(ports).is_either() {
        return Some(not_dns(packet, ip, Transport::Tcp, ports, host));
    }
    let found = segment(ip, ports, front.get(ip.at + 4), front.get(ip.at + 12)).ok()?;
    let found = (layers(ip, Transport::Tcp), found);
    Some(observe_located(packet, found, hook, settings, host))
}

/// Source and destination.
#[inline(always)]
fn ports<F: Part>(front: &F, ip: &Ip) -> (u16, u16) {
    let source = u16::from_be_bytes(front.get(ip.at));
    (source, u16::from_be_bytes(front.get(ip.at + 2)))
}

#[inline(always)]
fn not_dns<P: Packet, H: Host>(
    packet: &P,
    ip: &Ip,
    transport: Transport,
    ports: (u16, u16),
    host: &mut H,
) -> Outcome {
    let layers = layers(ip, transport);
    let counters = host.counters();
    counters.packet(layers, packet.wire_len());
    counters.not_dns(layers, unwatched(transport, ports), 0)
}

#[inline(always)]
const fn layers(ip: &Ip, transport: Transport) -> Layers {
    Layers {
        family: ip.family,
        protocol: transport.protocol(),
        end: ip.end,
    }
}

/// The payload of a datagram on a watched port.
#[inline(always)]
fn datagram<F: Part>(front: &F, ip: &Ip, ports: (u16, u16)) -> Option<Payload> {
    let len = usize::from(u16::from_be_bytes(front.get(ip.at + 4)));
    if len < UDP + HEADER_LEN || ip.at + len > ip.end {
        return None;
    }
    Some(Payload {
        family: ip.family,
        transport: Transport::Udp,
        hop_limit: ip.hop_limit,
        addresses_at: ip.addresses_at,
        source_port: ports.0,
        destination_port: ports.1,
        at: ip.at + UDP,
        len: len - UDP,
        sequence: 0,
        tcp_flags: 0,
        first_fragment: false,
    })
}

/// Addresses and ports of a datagram with this payload.
#[inline(always)]
fn flow<F: Part>(front: &F, ip: &Ip, payload: &Payload) -> Flow {
    let at = ip.addresses_at;
    let (source, destination) = match ip.family {
        Family::Ipv6 => (
            [word(front, at), word(front, at + 8)],
            [word(front, at + 16), word(front, at + 24)],
        ),
        Family::Ipv4 | Family::Other => ([word4(front.get(at)), 0], [word4(front.get(at + 4)), 0]),
    };
    payload.flow_between(source, destination)
}

#[inline(always)]
fn word<F: Part>(front: &F, at: usize) -> u64 {
    u64::from_ne_bytes(front.get(at))
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    reason = "a test that reads beyond what it wrote shall fail"
)]
mod tests {
    use std::{vec, vec::Vec};

    use proptest::{collection::vec as vec_of, prelude::*, sample::Index};

    use super::*;
    use crate::{
        counters::{Counters, Delivery},
        locate::{Link, locate},
        message::Message,
        observe::{Context, Finding},
        packet::{NAME_AT, NameArea, Slice},
    };

    /// Takes down all that it is told.
    #[derive(Default, Debug, PartialEq)]
    struct Log {
        counters: Counters,
        messages: Vec<(Context, Message, Vec<u8>)>,
        raw: Vec<(Payload, Finding)>,
    }

    impl Host for Log {
        type Counts = Counters;
        type Window = Slice<'static>;

        fn counters(&mut self) -> &mut Counters {
            &mut self.counters
        }

        fn is_service_address(&mut self, _: Family, address: [u64; 2]) -> bool {
            address[0].is_multiple_of(2)
        }

        fn handshake_begins(&mut self, _: u64, _: u32) {}

        fn handshake_ends(&mut self, _: u64, _: u32) -> Option<u64> {
            None
        }

        fn window(&mut self, _: &Payload) -> Option<Slice<'static>> {
            None
        }

        fn message<P: Packet>(
            &mut self,
            packet: &P,
            context: impl Fn() -> Context,
            message: &Message,
        ) -> Delivery {
            let mut area: NameArea = [0; size_of::<NameArea>()];
            let question = &message.question;
            packet.copy_name(question.name_at, question.name_len, &mut area);
            let name = area[NAME_AT..NAME_AT + question.name_len].to_vec();
            self.messages.push((context(), *message, name));
            Delivery::Delivered
        }

        fn raw<P: Packet>(
            &mut self,
            _: &P,
            payload: &Payload,
            finding: Finding,
            _: Hook,
            _: &Settings,
        ) {
            self.raw.push((*payload, finding));
        }
    }

    /// A question for `example.com.`, with an OPT record.
    const QUERY: [u8; 40] = *b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\
        \x07example\x03com\0\0\x01\0\x01\
        \0\0\x29\x04\xd0\0\0\x80\0\0\0";

    fn frame(family: Family, protocol: u8, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
        let mut above = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
        if protocol == proto::UDP {
            above.extend((8 + payload.len() as u16).to_be_bytes());
            above.extend([0, 0]);
        } else {
            above.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0, 0, 0, 0, 0, 0]);
        }
        above.extend(payload);
        let len = above.len() as u16;
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        if family == Family::Ipv4 {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((20 + len).to_be_bytes());
            frame.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
            frame.extend([198, 51, 100, 7, 192, 0, 2, 53]);
        } else {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(len.to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend([0x20; 16]);
            frame.extend([0x21; 16]);
        }
        frame.extend(above);
        frame
    }

    fn is_plain(frame: &[u8]) -> bool {
        let settings = Settings::default();
        observe(
            &Slice::new(frame),
            Hook::Ingress,
            &settings,
            &mut Log::default(),
        )
        .is_some()
    }

    #[test]
    fn what_most_packets_are_is_plain() {
        for family in [Family::Ipv4, Family::Ipv6] {
            for (protocol, ports, payload, plain) in [
                (proto::UDP, (40_000, 53), &QUERY[..], true),
                (proto::UDP, (53, 40_000), &QUERY, true),
                (proto::UDP, (40_000, 443), &QUERY, true),
                (proto::TCP, (40_000, 443), &[], true),
                (proto::UDP, (40_000, 53), &QUERY[..11], false),
                (proto::TCP, (40_000, 53), &QUERY, true),
                (proto::TCP, (40_000, 53), &[], true),
                (proto::ICMP, (40_000, 53), &QUERY, false),
            ] {
                let frame = frame(family, protocol, ports, payload);
                assert_eq!(is_plain(&frame), plain, "{family:?} {protocol} {ports:?}");
            }
        }
    }

    #[test]
    fn options_fragments_tags_and_extension_headers_are_not_plain() {
        let ipv4 = frame(Family::Ipv4, proto::UDP, (40_000, 53), &QUERY);
        let ipv6 = frame(Family::Ipv6, proto::UDP, (40_000, 53), &QUERY);
        for (name, frame, at, octet) in [
            ("options", &ipv4, 14, 0x46),
            ("version 5", &ipv4, 14, 0x55),
            ("more fragments", &ipv4, 20, 0x20),
            ("a later fragment", &ipv4, 21, 1),
            ("a VLAN tag", &ipv4, 12, 0x81),
            ("longer than the frame", &ipv4, 17, 255),
            ("a datagram longer than the packet", &ipv4, 39, 255),
            ("version 7", &ipv6, 14, 0x70),
            ("a fragment header", &ipv6, 20, 44),
            ("longer than the frame", &ipv6, 19, 255),
        ] {
            let mut frame = frame.clone();
            frame[at] = octet;
            assert!(!is_plain(&frame), "{name}");
        }
    }

    fn settings() -> impl Strategy<Value = Settings> {
        (any::<[bool; 3]>(), any::<bool>()).prop_map(|([tunnels, services, whole], ports)| {
            Settings::new(if ports { &[53, 40_000] } else { &[53] })
                .with_decapsulation(tunnels)
                .with_service_addresses(services)
                .with_whole_messages(whole)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_plain_packet_is_seen_as_any_other(
            ipv4: bool,
            udp: bool,
            ports in prop_oneof![Just((40_000, 53)), Just((53, 40_000)), Just((853, 40_000))],
            damage in vec_of((any::<Index>(), any::<u8>()), 0..4),
            cut in 0_usize..4,
            settings in settings(),
            egress: bool,
        ) {
            let family = if ipv4 { Family::Ipv4 } else { Family::Ipv6 };
            let protocol = if udp { proto::UDP } else { proto::TCP };
            let mut frame = frame(family, protocol, ports, &QUERY);
            for (at, octet) in damage {
                *at.get_mut(&mut frame[12..]) = octet;
            }
            let captured = frame.len() - cut * 7;
            let packet = Slice::captured(&frame[..captured], frame.len());
            let hook = if egress { Hook::Egress } else { Hook::Ingress };
            let (mut log, mut expected) = (Log::default(), Log::default());
            if let Some(outcome) = observe(&packet, hook, &settings, &mut log) {
                let found = locate(&packet, Link::Ethernet, &settings);
                let other = observe_located(&packet, found, hook, &settings, &mut expected);
                prop_assert_eq!(outcome, other);
                prop_assert_eq!(log, expected);
            }
        }
    }
}
