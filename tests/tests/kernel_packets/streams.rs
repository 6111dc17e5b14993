//! TCP segments with data: whole messages, and everything else.

use dns_wire::{locate::Family, message::EdnsState};
use integration_tests::packet::{self, Ipv4, Ipv6, RootRecord, Tcp, flag, frame, name, prefixed};

use crate::{
    case::{Case, Dns, End, Expected, Opt, Segment, Way, segment4, tcp4},
    layers::query,
};

/// Where the builders' stream begins.
const START: u32 = 0x1000_0000;

fn segment(tcp: &Tcp, data: &[u8]) -> Vec<u8> {
    frame(&Ipv4::default().carry(&tcp.carry(data)))
}

/// A segment that is handed on as it is.
fn raw(text: &str, tcp: &Tcp, data: &[u8]) -> Case {
    let expected = Segment {
        way: Way::ToServer,
        sequence: tcp.sequence,
        flags: tcp.flags & 0x3f,
        data: data.to_vec(),
    };
    Case::new(text, segment(tcp, data), segment4(expected))
}

fn octets(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place % 251) as u8).collect()
}

pub(crate) fn whole() -> Vec<Case> {
    let message = prefixed(&query());
    let at_start = Dns {
        sequence: START,
        ..Dns::default()
    };
    let edns = packet::Dns::query(&name("www.example.com"), 1)
        .additional(&RootRecord::dnssec_ok())
        .bytes();
    let bare = Tcp {
        options: Vec::new(),
        ..Tcp::default()
    };
    let full = Tcp {
        options: vec![1; 40],
        ..Tcp::default()
    };
    let mut cases: Vec<_> = [
        ("", Tcp::default()),
        (" without options", bare),
        (" with ten words of options", full),
    ]
    .iter()
    .map(|(with, tcp)| {
        let text = format!("whole message in a segment{with}");
        Case::new(&text, segment(tcp, &message), tcp4(at_start.clone()))
    })
    .collect();
    cases.extend([
        Case::new(
            "whole message with EDNS in the segment that ends the stream",
            segment(
                &Tcp::flagged(flag::FIN | flag::PSH | flag::ACK),
                &prefixed(&edns),
            ),
            tcp4(Dns {
                len: 44,
                counts: [1, 0, 0, 1],
                bits: 0x21,
                edns: EdnsState::Present,
                opt: Opt {
                    udp_size: 1232,
                    flags: 0x8000,
                    ..Opt::default()
                },
                ..at_start.clone()
            }),
        ),
        Case::new(
            "whole message on the SYN, which takes a sequence number",
            segment(&Tcp::flagged(flag::SYN), &message),
            tcp4(Dns {
                sequence: START + 1,
                ..at_start.clone()
            }),
        ),
        Case::new(
            "header alone in a segment",
            segment(
                &Tcp::default(),
                &prefixed(&packet::Dns::header(0x0100).bytes()),
            ),
            tcp4(Dns {
                len: 12,
                counts: [0; 4],
                qname: Vec::new(),
                qtype: None,
                qtype_slot: 263,
                ..at_start.clone()
            }),
        ),
        Case::new(
            "whole message over IPv6",
            frame(&Ipv6::default().carry(&Tcp::default().carry(&message))),
            Expected {
                family: Family::Ipv6,
                ..tcp4(at_start)
            },
        ),
    ]);
    cases
}

pub(crate) fn raw_segments() -> Vec<Case> {
    let message = prefixed(&query());
    let pointer = prefixed(&packet::Dns::query(&[0xc0, 0x0c], 1).bytes());
    let two = [message.clone(), message.clone()].concat();
    let plain = Tcp::default();
    let wrapping = Tcp {
        sequence: 0xffff_fff0,
        ..Tcp::default()
    };
    let mut on_syn = raw("data on the SYN", &Tcp::flagged(flag::SYN), &message[..9]);
    if let End::Segment(segment) = &mut on_syn.expected.end {
        segment.sequence = START + 1;
    }
    let mut cases = vec![
        on_syn,
        raw("one octet", &plain, &message[..1]),
        raw("length prefix alone", &plain, &message[..2]),
        raw("message without its last octet", &plain, &message[..34]),
        raw("message without its prefix", &plain, &message[2..]),
        raw("message and an octet of the next", &plain, &two[..36]),
        raw("two messages", &plain, &two),
        raw("message that is broken", &plain, &pointer),
        raw("message of 11 octets", &plain, &prefixed(&[0; 11])),
        raw(
            "data on the RST",
            &Tcp::flagged(flag::RST | flag::ACK),
            b"gone",
        ),
        raw(
            "congestion flags are left out",
            &Tcp::flagged(flag::CWR | flag::ECE | flag::ACK),
            &message[..9],
        ),
        raw(
            "sequence number that wraps between two records",
            &wrapping,
            &octets(2000),
        ),
    ];
    cases.extend(
        [1447, 1448, 1449, 2896, 2897, 3400]
            .map(|len| raw(&format!("segment of {len} octets"), &plain, &octets(len))),
    );
    cases
}

/// Frames of more than one buffer, as XDP sees them where the card receives
/// several segments as one; a run of TC takes none of more than a page.
pub(crate) fn in_several_buffers() -> Vec<Case> {
    let plain = Tcp::default();
    let mut cases: Vec<_> = [4000, 9000, 30_000, 60_000, 65_483]
        .map(|len| raw(&format!("segment of {len} octets"), &plain, &octets(len)))
        .into();
    let transfer = packet::Dns::response(&name("example.com"), 252)
        .answer()
        .trailing(&octets(60_000 - 45))
        .bytes();
    assert_eq!(transfer.len(), 60_000, "12 + 13 + 4 + 16, and the rest");
    cases.push(Case::new(
        "response of 60000 octets in one segment",
        segment(&Tcp::between(53, 40_000), &prefixed(&transfer)),
        tcp4(Dns {
            way: Way::FromServer,
            response: true,
            len: 60_000,
            flags: 0x8500,
            counts: [1, 1, 0, 0],
            qname: name("example.com"),
            qtype: Some(252),
            qtype_slot: 252,
            bits: 0xa0,
            sequence: START,
            ..Dns::default()
        }),
    ));
    cases
}
