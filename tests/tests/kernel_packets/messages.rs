//! The DNS message in a datagram: its limits, and how it can be broken.

use dns_wire::{
    locate::{Family, Protocol},
    message::EdnsState,
    reject::Reject,
};
use integration_tests::packet::{self, Ipv4, RootRecord, Udp, frame, labels_of, name};

use crate::case::{Case, Dns, Opt, Way, rejected, udp4};

fn datagram(message: &[u8]) -> Vec<u8> {
    frame(&Ipv4::default().carry(&Udp::query().carry(message)))
}

fn answer(message: &packet::Dns) -> Vec<u8> {
    frame(&Ipv4::default().carry(&Udp::response().carry(&message.bytes())))
}

fn question(qname: &[u8], qtype: u16) -> Vec<u8> {
    datagram(&packet::Dns::query(qname, qtype).bytes())
}

fn www() -> packet::Dns {
    packet::Dns::query(&name("www.example.com"), 1)
}

/// A name of labels of the given lengths.
fn name_of(lengths: &[usize]) -> Vec<u8> {
    let labels: Vec<_> = lengths.iter().map(|len| "x".repeat(*len)).collect();
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    labels_of(&labels)
}

fn broken(name: &str, frame: Vec<u8>, reason: Reject) -> Case {
    Case::new(name, frame, rejected(Family::Ipv4, Protocol::Udp, reason))
}

pub(crate) fn names() -> Vec<Case> {
    let named = |text: &str, qname: &[u8]| {
        let dns = Dns {
            len: 12 + qname.len() + 4,
            qname: qname.to_vec(),
            ..Dns::default()
        };
        Case::new(text, question(qname, 1), udp4(dns))
    };
    vec![
        named("the root", &[0]),
        named("one label", &name("com")),
        named("label of 63 octets", &name_of(&[63, 3])),
        named("name of 255 octets", &name_of(&[63, 63, 63, 61])),
        named("name of 127 labels", &name_of(&[1; 127])),
        named(
            "dots and zeros within a label",
            b"\x03\0.\xff\x02\xc0\x0c\0",
        ),
        broken(
            "name of 256 octets",
            question(&name_of(&[63, 63, 63, 62]), 1),
            Reject::NameLength,
        ),
        broken(
            "name of 128 labels",
            question(&name_of(&[1; 128]), 1),
            Reject::NameLength,
        ),
        broken(
            "name that is a pointer",
            question(&[0xc0, 0x0c], 1),
            Reject::NamePointer,
        ),
        broken(
            "name that ends in a pointer",
            question(b"\x03www\xc0\x0c", 1),
            Reject::NamePointer,
        ),
        broken(
            "extended label",
            question(b"\x41\x08\0\0\0\0\0\0\0\0\0", 1),
            Reject::NameLabelType,
        ),
        broken(
            "label of type 10",
            question(b"\x80www\0", 1),
            Reject::NameLabelType,
        ),
        broken(
            "label of 64 octets",
            question(&name_of(&[64]), 1),
            Reject::NameLabelType,
        ),
    ]
}

/// A query with EDNS that ends before its end, with right lengths around it.
pub(crate) fn cut_everywhere() -> Vec<Case> {
    let whole = www().additional(&RootRecord::dnssec_ok()).bytes();
    assert_eq!(whole.len(), 44, "12 + 17 + 4 + 11");
    let cut = |len: usize| {
        let frame = datagram(&whole[..len]);
        let text = format!("query with EDNS, {len} of 44 octets");
        let message = Dns {
            len,
            counts: [1, 0, 0, 1],
            edns: EdnsState::Malformed,
            ..Dns::default()
        };
        match len {
            0..12 => broken(&text, frame, Reject::DnsHeader),
            12..29 => broken(&text, frame, Reject::NameTruncated),
            29..33 => broken(&text, frame, Reject::QuestionTruncated),
            33..44 => Case::new(&text, frame, udp4(message)),
            _ => Case::new(&text, frame, udp4(with_opt(44))),
        }
    };
    (0..=44).map(cut).collect()
}

/// The query with the OPT record of [`RootRecord::dnssec_ok`].
fn with_opt(len: usize) -> Dns {
    Dns {
        len,
        counts: [1, 0, 0, 1],
        bits: 0x21,
        edns: EdnsState::Present,
        opt: Opt {
            udp_size: 1232,
            flags: 0x8000,
            ..Opt::default()
        },
        ..Dns::default()
    }
}

pub(crate) fn edns() -> Vec<Case> {
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    let options = RootRecord {
        options: cookie.to_vec(),
        ..RootRecord::dnssec_ok()
    };
    let overlong = RootRecord {
        options_len: Some(13),
        ..options.clone()
    };
    let odd = RootRecord {
        udp_size: 65_535,
        extended_rcode: 0xfe,
        version: 255,
        flags: 0x7fff,
        ..RootRecord::default()
    };
    let other = RootRecord {
        kind: 250,
        ..RootRecord::default()
    };
    let case = |text: &str, message: &packet::Dns, dns: Dns| {
        Case::new(text, datagram(&message.bytes()), udp4(dns))
    };
    let mut with_options = with_opt(56);
    with_options.opt.options_len = 12;
    vec![
        case(
            "OPT with a cookie",
            &www().additional(&options),
            with_options.clone(),
        ),
        case(
            "OPT followed by octets that belong to nothing",
            &www().additional(&options).trailing(&[0; 5]),
            Dns {
                len: 61,
                ..with_options
            },
        ),
        case(
            "OPT whose options run past the message",
            &www().additional(&overlong),
            Dns {
                len: 56,
                counts: [1, 0, 0, 1],
                edns: EdnsState::Malformed,
                ..Dns::default()
            },
        ),
        case(
            "OPT of another version with all but DO",
            &www().additional(&odd),
            Dns {
                len: 44,
                counts: [1, 0, 0, 1],
                edns: EdnsState::Present,
                opt: Opt {
                    udp_size: 65_535,
                    extended_rcode: 0xfe,
                    version: 255,
                    flags: 0x7fff,
                    options_len: 0,
                },
                ..Dns::default()
            },
        ),
        case(
            "OPT and another record behind it",
            &www()
                .additional(&RootRecord::dnssec_ok())
                .additional(&other),
            Dns {
                counts: [1, 0, 0, 2],
                ..with_opt(55)
            },
        ),
        case(
            "one additional record that is no OPT",
            &www().additional(&other),
            Dns {
                len: 44,
                counts: [1, 0, 0, 1],
                ..Dns::default()
            },
        ),
        case(
            "OPT behind another record",
            &www()
                .additional(&other)
                .additional(&RootRecord::dnssec_ok()),
            Dns {
                len: 55,
                counts: [1, 0, 0, 2],
                edns: EdnsState::Unreached,
                ..Dns::default()
            },
        ),
        case(
            "OPT behind two questions",
            &www().question(&[0], 2).additional(&RootRecord::dnssec_ok()),
            Dns {
                len: 49,
                counts: [2, 0, 0, 1],
                edns: EdnsState::Unreached,
                ..Dns::default()
            },
        ),
    ]
}

/// No question, two of them, and the QTYPEs at the edges of the table.
pub(crate) fn questions() -> Vec<Case> {
    let none = |flags| packet::Dns::header(flags);
    let no_question = Dns {
        len: 12,
        counts: [0; 4],
        qname: Vec::new(),
        qtype: None,
        qtype_slot: 263,
        ..Dns::default()
    };
    let mut cases: Vec<_> = [
        (0, 0),
        (65, 65),
        (262, 262),
        (263, 264),
        (264, 264),
        (65_535, 264),
    ]
    .iter()
    .map(|(qtype, qtype_slot)| {
        let text = format!("QTYPE {qtype}");
        let dns = Dns {
            qtype: Some(*qtype),
            qtype_slot: *qtype_slot,
            ..Dns::default()
        };
        Case::new(&text, question(&name("www.example.com"), *qtype), udp4(dns))
    })
    .collect();
    cases.extend([
        Case::new(
            "header alone",
            datagram(&none(packet::Dns::QUERY).bytes()),
            udp4(no_question.clone()),
        ),
        Case::new(
            "no question but a cookie",
            datagram(
                &none(packet::Dns::QUERY)
                    .additional(&RootRecord::dnssec_ok())
                    .bytes(),
            ),
            udp4(Dns {
                qname: Vec::new(),
                qtype: None,
                qtype_slot: 263,
                counts: [0, 0, 0, 1],
                ..with_opt(23)
            }),
        ),
        Case::new(
            "two questions",
            datagram(&www().question(&[0], 2).bytes()),
            udp4(Dns {
                len: 38,
                counts: [2, 0, 0, 0],
                ..Dns::default()
            }),
        ),
        Case::new(
            "REFUSED without a question",
            answer(&none(0x8105)),
            udp4(Dns {
                response: true,
                way: Way::FromServer,
                flags: 0x8105,
                rcode: 5,
                ..no_question
            }),
        ),
    ]);
    cases
}

/// Sizes of queries at the edges of RSSAC002's bins.
pub(crate) fn query_sizes() -> Vec<Case> {
    [47, 48, 287, 288, 304, 1400]
        .map(|len| {
            let padding = vec![0; len - 33];
            let message = www().trailing(&padding).bytes();
            let text = format!("query of {len} octets");
            Case::new(
                &text,
                datagram(&message),
                udp4(Dns {
                    len,
                    ..Dns::default()
                }),
            )
        })
        .into()
}

pub(crate) fn responses() -> Vec<Case> {
    let www = || packet::Dns::response(&name("www.example.com"), 1);
    let response = Dns {
        way: Way::FromServer,
        response: true,
        flags: 0x8500,
        bits: 0xa0,
        ..Dns::default()
    };
    let opt = |extended_rcode| RootRecord {
        extended_rcode,
        ..RootRecord::default()
    };
    let case =
        |text: &str, message: &packet::Dns, dns: Dns| Case::new(text, answer(message), udp4(dns));
    let extended = |extended_rcode, rcode, flags| Dns {
        len: 44,
        flags,
        counts: [1, 0, 0, 1],
        rcode,
        edns: EdnsState::Present,
        opt: Opt {
            udp_size: 1232,
            extended_rcode,
            ..Opt::default()
        },
        ..response.clone()
    };
    vec![
        case(
            "answer of one record",
            &www().answer(),
            Dns {
                len: 49,
                counts: [1, 1, 0, 0],
                ..response.clone()
            },
        ),
        case(
            "answer with OPT behind the record",
            &www().answer().additional(&opt(0)),
            Dns {
                len: 60,
                counts: [1, 1, 0, 1],
                edns: EdnsState::Unreached,
                ..response.clone()
            },
        ),
        case(
            "NXDOMAIN",
            &www().flags(0x8503),
            Dns {
                flags: 0x8503,
                rcode: 3,
                ..response.clone()
            },
        ),
        case(
            "BADVERS",
            &www().additional(&opt(1)),
            extended(1, 16, 0x8500),
        ),
        case(
            "BADCOOKIE",
            &www().flags(0x8507).additional(&opt(1)),
            extended(1, 23, 0x8507),
        ),
        case(
            "RCODE 30",
            &www().flags(0x850e).additional(&opt(1)),
            extended(1, 30, 0x850e),
        ),
        case(
            "RCODE 4095 is counted with all from 31 on",
            &www().flags(0x850f).additional(&opt(255)),
            extended(255, 4095, 0x850f),
        ),
        case(
            "all bits of the header",
            &www().flags(0xffff),
            Dns {
                flags: 0xffff,
                opcode: 15,
                rcode: 15,
                bits: 0xfe,
                ..response.clone()
            },
        ),
        case(
            "truncated answer of a forwarder",
            &www().flags(0x8390),
            Dns {
                flags: 0x8390,
                bits: 0x72,
                ..response
            },
        ),
    ]
}

/// The kinds of query, by opcode and header bits.
pub(crate) fn kinds() -> Vec<Case> {
    let case = |text: &str, flags, opcode, bits| {
        let message = www().flags(flags).bytes();
        let dns = Dns {
            flags,
            opcode,
            bits,
            ..Dns::default()
        };
        Case::new(text, datagram(&message), udp4(dns))
    };
    vec![
        case("NOTIFY", 0x2400, 4, 0x80),
        case("UPDATE", 0x2800, 5, 0),
        case("DSO", 0x3000, 6, 0),
        case("opcode 15", 0x7800, 15, 0),
        case("AD and CD", 0x0030, 0, 0x06),
        case("Z", 0x0040, 0, 0x08),
    ]
}
