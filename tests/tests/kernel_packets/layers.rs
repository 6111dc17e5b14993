//! Ways through link layer, IP and tunnels.

use dns_wire::{
    counters::TcpEvent,
    icmp::IcmpType,
    locate::{Family, NotDns, Protocol},
    reject::Reject,
};
use integration_tests::packet::{
    self, Ethernet, Extension, Gre, Ipv4, Ipv6, Network, Payload, Tcp, Udp, ether, flag, frame,
    name, prefixed, proto,
};

use crate::case::{Case, Dns, End, Expected, fragment, not_dns, rejected, udp4, udp6};

/// The message behind [`Dns::default`].
pub(crate) fn query() -> Vec<u8> {
    packet::Dns::query(&name("www.example.com"), 1).bytes()
}

fn query4() -> Network {
    Ipv4::default().carry(&Udp::query().carry(&query()))
}

fn query6() -> Network {
    Ipv6::default().carry(&Udp::query().carry(&query()))
}

fn tagged(tags: &[u16], network: &Network) -> Vec<u8> {
    Ethernet {
        tags: tags.to_vec(),
    }
    .carry(network)
}

pub(crate) fn link() -> Vec<Case> {
    let arp = Network {
        ether_type: ether::ARP,
        bytes: vec![0; 28],
    };
    let non_ip = not_dns(Family::Other, Protocol::Other, NotDns::NonIp, &[]);
    let link_error = |reason| rejected(Family::Other, Protocol::Other, reason);
    vec![
        Case::new("IPv4, untagged", frame(&query4()), udp4(Dns::default())),
        Case::new("IPv6, untagged", frame(&query6()), udp6(Dns::default())),
        Case::new(
            "IPv4 behind a tag 0x8100",
            tagged(&[ether::VLAN], &query4()),
            udp4(Dns::default()),
        ),
        Case::new(
            "IPv6 behind a tag 0x88a8",
            tagged(&[ether::QINQ], &query6()),
            udp6(Dns::default()),
        ),
        Case::new(
            "IPv4 behind tags 0x88a8 and 0x8100",
            tagged(&[ether::QINQ, ether::VLAN], &query4()),
            udp4(Dns::default()),
        ),
        Case::new(
            "IPv6 behind two tags 0x8100",
            tagged(&[ether::VLAN, ether::VLAN], &query6()),
            udp6(Dns::default()),
        ),
        Case::new(
            "three tags",
            tagged(&[ether::QINQ, ether::VLAN, ether::VLAN], &query4()),
            link_error(Reject::VlanDepth),
        ),
        Case::new(
            "frame that ends within its tag",
            tagged(&[ether::VLAN], &query4())[..17].to_vec(),
            link_error(Reject::LinkHeader),
        ),
        Case::new("ARP", frame(&arp), non_ip.clone()),
        Case::new("ARP behind a tag", tagged(&[ether::VLAN], &arp), non_ip),
        Case::new(
            "padding behind the IP packet is no part of it",
            [frame(&query4()), vec![0xff; 9]].concat(),
            udp4(Dns::default()),
        ),
    ]
}

pub(crate) fn ipv4() -> Vec<Case> {
    let udp = Udp::query().carry(&query());
    let with = |ip: Ipv4| frame(&ip.carry(&udp));
    let options = |len: usize| Ipv4 {
        options: vec![1; len],
        ..Ipv4::default()
    };
    let header_error = rejected(Family::Other, Protocol::Other, Reject::Ipv4Header);
    let length_error = rejected(Family::Other, Protocol::Other, Reject::IpLength);
    vec![
        Case::new(
            "IPv4 with one word of options",
            with(options(4)),
            udp4(Dns::default()),
        ),
        Case::new(
            "IPv4 with ten words of options",
            with(options(40)),
            udp4(Dns::default()),
        ),
        Case::new(
            "IPv4 of version 5",
            with(Ipv4 {
                version: Some(5),
                ..Ipv4::default()
            }),
            header_error.clone(),
        ),
        Case::new(
            "IPv4 header of four words",
            with(Ipv4 {
                header_words: Some(4),
                ..Ipv4::default()
            }),
            header_error,
        ),
        Case::new(
            "IPv4 total length smaller than the header",
            with(Ipv4 {
                total_len: Some(19),
                ..Ipv4::default()
            }),
            length_error.clone(),
        ),
        Case::new(
            "IPv4 total length larger than the frame",
            with(Ipv4 {
                total_len: Some(20 + 8 + 33 + 1),
                ..Ipv4::default()
            }),
            length_error,
        ),
    ]
}

/// Frames that a run of TC does not take: of IP it wants a whole header.
pub(crate) fn cut_within_ip() -> Vec<Case> {
    let error = |reason| rejected(Family::Other, Protocol::Other, reason);
    let cut = |network: &Network, len: usize| frame(network)[..14 + len].to_vec();
    vec![
        Case::new(
            "frame that ends within the IPv4 header",
            cut(&query4(), 9),
            error(Reject::Ipv4Header),
        ),
        Case::new(
            "frame that ends behind the IPv4 header's length",
            cut(&query4(), 19),
            error(Reject::IpLength),
        ),
        Case::new(
            "frame that ends within the IPv6 header",
            cut(&query6(), 7),
            error(Reject::Ipv6Header),
        ),
        Case::new(
            "frame that ends within the IPv6 addresses",
            cut(&query6(), 39),
            error(Reject::IpLength),
        ),
    ]
}

pub(crate) fn ipv6() -> Vec<Case> {
    let udp = Udp::query().carry(&query());
    let with = |extensions: &[Extension]| frame(&Ipv6::with(extensions).carry(&udp));
    let kinds = [
        (
            "hop-by-hop options",
            Extension::padded(proto::HOP_BY_HOP, 1),
        ),
        ("a routing header", Extension::padded(proto::ROUTING, 3)),
        (
            "destination options of 2048 octets",
            Extension::padded(proto::DESTINATION, 255),
        ),
        ("an authentication header", Extension::authentication(12)),
        ("an atomic fragment", Extension::fragment(0, false)),
    ];
    let mut cases: Vec<_> = kinds
        .iter()
        .map(|(kind, extension)| {
            let name = format!("IPv6 with {kind}");
            Case::new(
                &name,
                with(std::slice::from_ref(extension)),
                udp6(Dns::default()),
            )
        })
        .collect();
    cases.push(Case::new(
        "IPv6 with seven extension headers",
        with(&vec![Extension::padded(proto::DESTINATION, 1); 7]),
        udp6(Dns::default()),
    ));
    cases.extend(ipv6_broken(&udp));
    cases
}

fn ipv6_broken(udp: &Payload) -> Vec<Case> {
    let with = |ip: Ipv6| frame(&ip.carry(udp));
    let header_error = rejected(Family::Other, Protocol::Other, Reject::Ipv6Header);
    let chain_error = rejected(Family::Other, Protocol::Other, Reject::Ipv6Extensions);
    let mut overlong = Extension::padded(proto::ROUTING, 1);
    overlong.rest[0] = 6;
    vec![
        Case::new(
            "IPv6 with eight extension headers",
            with(Ipv6::with(&vec![
                Extension::padded(proto::DESTINATION, 1);
                8
            ])),
            chain_error.clone(),
        ),
        Case::new(
            "IPv6 extension header that runs past the packet",
            with(Ipv6::with(&[overlong])),
            chain_error.clone(),
        ),
        Case::new(
            "IPv6 extension header of which seven octets are there",
            frame(
                &Ipv6::default().carry(&Payload::new(proto::DESTINATION, &[17, 0, 1, 4, 0, 0, 0])),
            ),
            chain_error,
        ),
        Case::new(
            "IPv6 of version 4",
            with(Ipv6 {
                version: Some(4),
                ..Ipv6::default()
            }),
            header_error,
        ),
        Case::new(
            "IPv6 payload length larger than the frame",
            with(Ipv6 {
                payload_len: Some(8 + 33 + 1),
                ..Ipv6::default()
            }),
            rejected(Family::Other, Protocol::Other, Reject::IpLength),
        ),
    ]
}

pub(crate) fn fragments() -> Vec<Case> {
    // A message of 1200 octets, 800 octets of the datagram in the first fragment.
    let padding = vec![0; 1200 - 33];
    let message = packet::Dns::query(&name("www.example.com"), 1)
        .trailing(&padding)
        .bytes();
    let first = Udp::query().carry(&message).cut(800);
    let whole = Dns {
        len: 1200,
        ..Dns::default()
    };
    // RFC 1858, section 3: tiny fragments hide what they carry. Behind this one the
    // padding of a short Ethernet frame would pass for a question.
    let tiny = Udp::query().carry(&message).cut(16);
    let later = Payload::new(proto::UDP, &[0x35; 64]);
    let first4 = Ipv4 {
        more_fragments: true,
        ..Ipv4::default()
    };
    let last4 = Ipv4 {
        offset: 100,
        ..Ipv4::default()
    };
    let middle4 = Ipv4 {
        offset: 100,
        more_fragments: true,
        ..Ipv4::default()
    };
    let first6 = Ipv6::with(&[Extension::fragment(0, true)]);
    let last6 = Ipv6::with(&[Extension::fragment(100, false)]);
    vec![
        Case::new(
            "first fragment over IPv4 has the length of the whole message",
            frame(&first4.carry(&first)),
            udp4(whole.clone()),
        ),
        Case::new(
            "first fragment over IPv6 has the length of the whole message",
            frame(&first6.carry(&first)),
            udp6(whole),
        ),
        Case::new(
            "first fragment over IPv4 that is too short for a question",
            frame(&first4.carry(&tiny)),
            fragment(Family::Ipv4),
        ),
        Case::new(
            "first fragment over IPv6 that is too short for a question",
            frame(&first6.carry(&tiny)),
            fragment(Family::Ipv6),
        ),
        Case::new(
            "middle fragment over IPv4",
            frame(&middle4.carry(&later)),
            fragment(Family::Ipv4),
        ),
        Case::new(
            "last fragment over IPv4",
            frame(&last4.carry(&later)),
            fragment(Family::Ipv4),
        ),
        Case::new(
            "last fragment over IPv6",
            frame(&last6.carry(&later)),
            fragment(Family::Ipv6),
        ),
    ]
}

/// What is above IP, on watched ports and elsewhere.
pub(crate) fn transports() -> Vec<Case> {
    let over4 = |payload: &Payload| frame(&Ipv4::default().carry(payload));
    let udp = |source, destination| over4(&Udp::between(source, destination).carry(&query()));
    let tcp =
        |source, destination| over4(&Tcp::between(source, destination).carry(&prefixed(&query())));
    let other4 = |protocol, kind| not_dns(Family::Ipv4, protocol, kind, &[]);
    vec![
        Case::new(
            "UDP elsewhere",
            udp(40_000, 123),
            other4(Protocol::Udp, NotDns::Udp),
        ),
        Case::new(
            "UDP to 443",
            udp(40_000, 443),
            other4(Protocol::Udp, NotDns::Udp443),
        ),
        Case::new(
            "UDP from 443",
            udp(443, 40_000),
            other4(Protocol::Udp, NotDns::Udp443),
        ),
        Case::new(
            "UDP to 853",
            udp(40_000, 853),
            other4(Protocol::Udp, NotDns::Udp853),
        ),
        Case::new(
            "UDP from 853",
            udp(853, 40_000),
            other4(Protocol::Udp, NotDns::Udp853),
        ),
        Case::new(
            "TCP elsewhere",
            tcp(40_000, 22),
            other4(Protocol::Tcp, NotDns::Tcp),
        ),
        Case::new(
            "TCP to 443",
            tcp(40_000, 443),
            other4(Protocol::Tcp, NotDns::Tcp443),
        ),
        Case::new(
            "TCP from 443",
            tcp(443, 40_000),
            other4(Protocol::Tcp, NotDns::Tcp443),
        ),
        Case::new(
            "TCP to 853",
            tcp(40_000, 853),
            other4(Protocol::Tcp, NotDns::Tcp853),
        ),
        Case::new(
            "TCP from 853",
            tcp(853, 40_000),
            other4(Protocol::Tcp, NotDns::Tcp853),
        ),
        Case::new(
            "SYN elsewhere is no event",
            over4(
                &Tcp {
                    source: 40_000,
                    destination: 22,
                    ..Tcp::flagged(flag::SYN)
                }
                .carry(&[]),
            ),
            other4(Protocol::Tcp, NotDns::Tcp),
        ),
        Case::new(
            "ESP",
            over4(&Payload::new(proto::ESP, &[0; 32])),
            other4(Protocol::Other, NotDns::OtherIp),
        ),
    ]
}

/// ICMP and ICMPv6 by type; the numbers are those of IANA's registries.
pub(crate) fn icmp() -> Vec<Case> {
    use IcmpType::*;
    let types4: [(u8, u8, IcmpType); 24] = [
        (0, 0, EchoReply),
        (3, 0, NetUnreachable),
        (3, 1, HostUnreachable),
        (3, 2, OtherUnreachable),
        (3, 3, PortUnreachable),
        (3, 4, PacketTooBig),
        (3, 5, OtherUnreachable),
        (3, 6, NetUnreachable),
        (3, 7, HostUnreachable),
        (3, 9, Prohibited),
        (3, 10, Prohibited),
        (3, 13, Prohibited),
        (3, 15, OtherUnreachable),
        (3, 16, OtherUnreachable),
        (3, 255, OtherUnreachable),
        (4, 0, SourceQuench),
        (5, 1, Redirect),
        (8, 0, EchoRequest),
        (9, 0, RouterAdvertisement),
        (10, 0, RouterSolicitation),
        (11, 0, TimeExceeded),
        (12, 0, ParameterProblem),
        (13, 0, Other),
        (255, 0, Other),
    ];
    let types6: [(u8, u8, IcmpType); 20] = [
        (0, 0, Other),
        (1, 0, NetUnreachable),
        (1, 1, Prohibited),
        (1, 2, OtherUnreachable),
        (1, 3, HostUnreachable),
        (1, 4, PortUnreachable),
        (1, 5, Prohibited),
        (1, 6, Prohibited),
        (1, 255, OtherUnreachable),
        (2, 0, PacketTooBig),
        (3, 0, TimeExceeded),
        (4, 1, ParameterProblem),
        (128, 0, EchoRequest),
        (129, 0, EchoReply),
        (133, 0, RouterSolicitation),
        (134, 0, RouterAdvertisement),
        (135, 0, NeighborSolicitation),
        (136, 0, NeighborAdvertisement),
        (137, 0, Redirect),
        (143, 0, Other),
    ];
    let over4 = |bytes: &[u8]| frame(&Ipv4::default().carry(&Payload::new(proto::ICMP, bytes)));
    let over6 = |bytes: &[u8]| frame(&Ipv6::default().carry(&Payload::new(proto::ICMPV6, bytes)));
    let expected4 = |kind| Expected {
        family: Family::Ipv4,
        protocol: Protocol::Icmp,
        end: End::Icmp(NotDns::Icmp, kind),
    };
    let expected6 = |kind| Expected {
        family: Family::Ipv6,
        protocol: Protocol::Icmpv6,
        end: End::Icmp(NotDns::Icmpv6, kind),
    };
    let mut cases: Vec<_> = types4
        .into_iter()
        .map(|(kind, code, expected)| {
            let text = format!("ICMP type {kind} code {code}");
            let bytes = [kind, code, 0, 0, 0, 0, 0, 0];
            Case::new(&text, over4(&bytes), expected4(expected))
        })
        .collect();
    cases.extend(types6.into_iter().map(|(kind, code, expected)| {
        let text = format!("ICMPv6 type {kind} code {code}");
        let bytes = [kind, code, 0, 0, 0, 0, 0, 0];
        Case::new(&text, over6(&bytes), expected6(expected))
    }));
    // Behind the packet stands padding, which must not pass for its type.
    for (text, octets) in [("ICMP without type", 0), ("ICMP without code", 1)] {
        let mut cut = over4(&[8, 0][..octets]);
        cut.extend([8, 0, 8, 0]);
        cases.push(Case::new(text, cut, expected4(Other)));
    }
    cases
}

/// Segments without data on a watched port.
pub(crate) fn control() -> Vec<Case> {
    let events: [(&str, u8, &[TcpEvent]); 6] = [
        ("SYN", flag::SYN, &[TcpEvent::Syn]),
        ("SYN and ACK", flag::SYN | flag::ACK, &[TcpEvent::Syn]),
        ("ACK", flag::ACK, &[]),
        ("FIN and ACK", flag::FIN | flag::ACK, &[TcpEvent::Fin]),
        ("RST", flag::RST, &[TcpEvent::Rst]),
        (
            "everything at once",
            0xff,
            &[TcpEvent::Syn, TcpEvent::Fin, TcpEvent::Rst],
        ),
    ];
    let case = |(name, flags, events)| {
        Case::new(
            name,
            frame(&Ipv4::default().carry(&Tcp::flagged(flags).carry(&[]))),
            not_dns(Family::Ipv4, Protocol::Tcp, NotDns::TcpControl, events),
        )
    };
    events.map(case).into()
}

pub(crate) fn broken_transports() -> Vec<Case> {
    let over4 = |payload: &Payload| frame(&Ipv4::default().carry(payload));
    let udp_of_len = |len| {
        let udp = Udp {
            len: Some(len),
            ..Udp::query()
        };
        over4(&udp.carry(&query()))
    };
    let tcp_of_words = |words| {
        let tcp = Tcp {
            offset_words: Some(words),
            ..Tcp::default()
        };
        over4(&tcp.carry(&[]))
    };
    let udp_error = |reason| rejected(Family::Ipv4, Protocol::Udp, reason);
    let tcp_error = rejected(Family::Ipv4, Protocol::Tcp, Reject::TcpHeader);
    vec![
        Case::new(
            "UDP header of seven octets",
            over4(&Udp::query().carry(&[]).cut(7)),
            udp_error(Reject::UdpHeader),
        ),
        Case::new(
            "UDP length of seven",
            udp_of_len(7),
            udp_error(Reject::UdpLength),
        ),
        Case::new(
            "UDP length larger than the packet",
            udp_of_len(8 + 33 + 1),
            udp_error(Reject::UdpLength),
        ),
        Case::new(
            "UDP length smaller than the packet cuts the message",
            udp_of_len(8 + 32),
            udp_error(Reject::QuestionTruncated),
        ),
        Case::new(
            "TCP header of 19 octets",
            over4(&Tcp::default().carry(&[]).cut(19)),
            tcp_error.clone(),
        ),
        Case::new(
            "TCP data offset of four words",
            tcp_of_words(4),
            tcp_error.clone(),
        ),
        Case::new(
            "TCP data offset past the segment",
            tcp_of_words(9),
            tcp_error,
        ),
    ]
}

/// A packet in a tunnel, and what it is to those who look into it and to those
/// who do not.
pub(crate) struct Tunnelled {
    pub(crate) frame: Vec<u8>,
    pub(crate) name: &'static str,
    pub(crate) looking: Expected,
    pub(crate) passing: Expected,
}

/// The addresses of a tunnel are none of those that records may show.
fn outer4() -> Ipv4 {
    Ipv4 {
        source: [203, 0, 113, 1].into(),
        destination: [203, 0, 113, 2].into(),
        ttl: 250,
        ..Ipv4::default()
    }
}

fn outer6() -> Ipv6 {
    Ipv6 {
        source: "2001:db8:ffff::1".parse().expect("an address"),
        destination: "2001:db8:ffff::2".parse().expect("an address"),
        hop_limit: 250,
        ..Ipv6::default()
    }
}

fn through4(name: &'static str, tunnel: &Payload, looking: Expected) -> Tunnelled {
    Tunnelled {
        name,
        frame: frame(&outer4().carry(tunnel)),
        looking,
        passing: not_dns(Family::Ipv4, Protocol::Other, NotDns::OtherIp, &[]),
    }
}

fn through6(name: &'static str, tunnel: &Payload, looking: Expected) -> Tunnelled {
    Tunnelled {
        name,
        frame: frame(&outer6().carry(tunnel)),
        looking,
        passing: not_dns(Family::Ipv6, Protocol::Other, NotDns::OtherIp, &[]),
    }
}

pub(crate) fn tunnels() -> Vec<Tunnelled> {
    let all = Gre {
        checksum: true,
        key: Some(7),
        sequence: Some(8),
        other_bits: 0,
    };
    let key = Gre {
        key: Some(0xffff_ffff),
        ..Gre::default()
    };
    let checksum = Gre {
        checksum: true,
        ..Gre::default()
    };
    let sequence = Gre {
        sequence: Some(1),
        ..Gre::default()
    };
    let plain = Gre::default();
    let in4 = || udp4(Dns::default());
    let in6 = || udp6(Dns::default());
    vec![
        through4("IPv4 in IPv4", &query4().in_ip(), in4()),
        through4("IPv6 in IPv4 (6in4)", &query6().in_ip(), in6()),
        through6("IPv4 in IPv6", &query4().in_ip(), in4()),
        through6("IPv6 in IPv6", &query6().in_ip(), in6()),
        through4("plain GRE", &plain.carry(&query4()), in4()),
        through6("plain GRE over IPv6", &plain.carry(&query4()), in4()),
        through4("GRE with key", &key.carry(&query6()), in6()),
        through4("GRE with checksum", &checksum.carry(&query4()), in4()),
        through4("GRE with sequence", &sequence.carry(&query4()), in4()),
        through4("GRE with everything", &all.carry(&query6()), in6()),
    ]
}

pub(crate) fn broken_tunnels() -> Vec<Tunnelled> {
    let error4 = |reason| rejected(Family::Ipv4, Protocol::Other, reason);
    let gre = |other_bits| Gre {
        other_bits,
        ..Gre::default()
    };
    let ether = Network {
        ether_type: 0x6558,
        bytes: vec![0; 60],
    };
    let later = Ipv4 {
        offset: 100,
        ..Ipv4::default()
    };
    let longer = Ipv4 {
        total_len: Some(20 + 8 + 33),
        ..Ipv4::default()
    };
    let cut = longer.carry(&Udp::query().carry(&query()).cut(30)).in_ip();
    let mut tunnels = vec![
        through4(
            "GRE of version 1",
            &gre(1).carry(&query4()),
            error4(Reject::TunnelHeader),
        ),
        through4(
            "GRE with routing",
            &gre(0x4000).carry(&query4()),
            error4(Reject::TunnelHeader),
        ),
        through4(
            "GRE of three octets",
            &gre(0).carry(&query4()).cut(3),
            error4(Reject::TunnelHeader),
        ),
        through4(
            "GRE that ends within its key",
            &gre(0x2000).carry(&Network {
                ether_type: ether::IPV4,
                bytes: vec![0; 3],
            }),
            error4(Reject::TunnelHeader),
        ),
        through4(
            "GRE in IPv4 in IPv4",
            &Ipv4::default().carry(&gre(0).carry(&query4())).in_ip(),
            error4(Reject::TunnelDepth),
        ),
        through4(
            "IPv6 in IPv4 in GRE",
            &gre(0).carry(&Ipv4::default().carry(&query6().in_ip())),
            error4(Reject::TunnelDepth),
        ),
        through4(
            "Ethernet in GRE",
            &gre(0).carry(&ether),
            not_dns(Family::Ipv4, Protocol::Other, NotDns::OtherIp, &[]),
        ),
        through4(
            "later fragment in IPv4",
            &later.carry(&Payload::new(proto::UDP, &[0; 64])).in_ip(),
            fragment(Family::Ipv4),
        ),
    ];
    // The inner packet reaches into the padding behind the outer one.
    let mut padded = through4(
        "inner packet longer than the outer",
        &cut,
        rejected(Family::Ipv4, Protocol::Udp, Reject::IpLength),
    );
    padded.frame.extend([0; 40]);
    tunnels.push(padded);
    tunnels
}
