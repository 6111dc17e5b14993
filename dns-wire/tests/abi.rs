//! What the kernel side writes, the user side reads: records, packed words.

use dns_wire::{
    Slice,
    counters::{Hook, Outcome, Role},
    locate::{Chain, Family, Flow, Payload, Transport},
    message::{self, Message},
    observe::{Context, Finding},
    record::{
        self, HEAD, HEAD_WORDS, LINE, MAX_LEVEL, MAX_SEGMENT, Malformed, Record, Stamp,
        complete_raw_head, message_head, raw_head,
    },
};
use proptest::{collection::vec, prelude::*, sample::select};

prop_compose! {
    fn contexts()(
        hook in select(Hook::ALL),
        role in select(Role::ALL),
        family in select(&[Family::Ipv4, Family::Ipv6][..]),
        transport in select(Transport::ALL),
        hop_limit: u8,
        source: [u64; 2],
        destination: [u64; 2],
        source_port: u16,
        destination_port: u16,
        sequence: u32,
    ) -> Context {
        let flow = Flow {
            family, transport, hop_limit, source, destination, source_port, destination_port,
        };
        Context { hook, role, flow, sequence }
    }
}

prop_compose! {
    fn stamps()(
        time_ns: u64,
        position: u32,
        level in 0..=MAX_LEVEL,
        share_bits in 0_u8..=10,
        paired: bool,
        hash: u32,
    ) -> Stamp {
        Stamp { time_ns, position, level, share_bits, paired, hash }
    }
}

prop_compose! {
    fn payloads()(
        family in select(&[Family::Ipv4, Family::Ipv6][..]),
        transport in select(Transport::ALL),
        hop_limit: u8,
        addresses_at in 0_usize..32_768,
        source_port: u16,
        destination_port: u16,
        at in 0_usize..65_536,
        len in 0_usize..65_536,
        sequence: u32,
        tcp_flags in 0_u8..0x40,
        first_fragment: bool,
    ) -> Payload {
        Payload {
            family, transport, hop_limit, addresses_at, source_port, destination_port,
            at, len, sequence, tcp_flags, first_fragment,
        }
    }
}

/// Octets of a message that parses: any header but for the counts, and a name.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let labels = vec(vec(any::<u8>(), 1..=40), 0..=6);
    (
        any::<[u8; 4]>(),
        any::<[u8; 4]>(),
        labels,
        any::<[u8; 4]>(),
        any::<bool>(),
    )
        .prop_map(|(start, counts, labels, fixed, question)| {
            let mut octets = start.to_vec();
            octets.extend([0, u8::from(question)]);
            octets.extend(counts);
            octets.extend([0, 0]);
            if question {
                for label in labels {
                    octets.push(label.len() as u8);
                    octets.extend(label);
                }
                octets.push(0);
                octets.extend(fixed);
            }
            octets
        })
}

/// A record as it lies in a ring: whole lines, and behind them the next one.
fn laid_out(head: &[u64; HEAD_WORDS], payload: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = head.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(LINE), 0xee);
    bytes.extend([0xdd; LINE]);
    bytes
}

fn same_stamp(record: &Record<'_>, stamp: &Stamp) {
    let read = Stamp {
        time_ns: record.time_ns(),
        position: record.position(),
        level: record.level(),
        share_bits: record.share_bits(),
        paired: record.is_paired(),
        hash: record.hash(),
    };
    assert_eq!(&read, stamp);
}

fn same_context(record: &Record<'_>, context: &Context) {
    let read = Context {
        hook: record.hook(),
        role: record.role(),
        flow: record.flow(),
        sequence: record.sequence(),
    };
    assert_eq!(&read, context);
}

proptest! {
    #[test]
    fn message_comes_out_of_its_record(
        octets in messages(),
        context in contexts(),
        stamp in stamps(),
    ) {
        let message = message::parse(&Slice::new(&octets), 0, octets.len())
            .expect("a message with a name");
        let name_at = message.question.name_at;
        let name = &octets[name_at..name_at + message.question.name_len];
        let bytes = laid_out(&message_head(&context, &message, &stamp), name);
        let record = Record::parse(&bytes).expect("a record");
        same_stamp(&record, &stamp);
        same_context(&record, &context);
        prop_assert!(!record.is_segment());
        prop_assert_eq!(record.payload(), name);
        prop_assert_eq!(record.lines(), record::lines(name.len()));
        let mut expected: Message = message;
        expected.question.name_at = 0;
        prop_assert_eq!(record.message(), expected);
    }

    #[test]
    fn segment_comes_out_of_its_record(
        octets in vec(any::<u8>(), 1..=MAX_SEGMENT),
        offset in 0_usize..65_536,
        payload in payloads(),
        context in contexts(),
        stamp in stamps(),
    ) {
        // What hands a segment on gives both the same number.
        let context = Context { sequence: payload.sequence, ..context };
        let mut head = raw_head(&context, &payload, Finding::SEGMENT, &stamp);
        complete_raw_head(&mut head, offset, octets.len(), stamp.position);
        let bytes = laid_out(&head, &octets);
        let record = Record::parse(&bytes).expect("a record");
        same_stamp(&record, &stamp);
        let sequence = payload.sequence.wrapping_add(offset as u32);
        same_context(&record, &Context { sequence, ..context });
        prop_assert!(record.is_segment());
        prop_assert!(!record.is_whole());
        prop_assert_eq!(record.raw_offset() as usize, offset);
        prop_assert_eq!(record.raw_total() as usize, payload.len);
        prop_assert_eq!(record.payload(), octets.as_slice());
        prop_assert_eq!(usize::from(record.len()), octets.len());
        prop_assert_eq!(record.tcp_flags(), payload.tcp_flags);
    }

    #[test]
    fn whole_message_gives_the_record_that_it_would_have_had(
        octets in messages(),
        payload in payloads(),
        context in contexts(),
        stamp in stamps(),
    ) {
        let context = Context { sequence: payload.sequence, ..context };
        let message = message::parse(&Slice::new(&octets), 0, octets.len())
            .expect("a message with a name");
        let finding = Finding::whole(&message.header);
        prop_assert_eq!(finding.id(), message.header.id());
        prop_assert_eq!(finding.is_response(), message.header.is_response());
        prop_assert_eq!(finding.outcome(), Outcome::Dns);
        prop_assert!(finding.is_whole() && finding.is_raw());
        prop_assert_eq!(Finding::unpack(finding.pack()), finding);
        let mut head = raw_head(&context, &payload, finding, &stamp);
        complete_raw_head(&mut head, 0, octets.len(), stamp.position);
        let bytes = laid_out(&head, &octets);
        let record = Record::parse(&bytes).expect("a record");
        prop_assert!(record.is_whole() && !record.is_segment());
        let question = &message.question;
        let name = &octets[question.name_at..question.name_at + question.name_len];
        let message_bytes = laid_out(&message_head(&context, &message, &stamp), name);
        let expected = Record::parse(&message_bytes).expect("a record");
        let found = record.of_message(&message, name);
        prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }

    #[test]
    fn record_that_is_cut_is_no_record(
        octets in messages(),
        context in contexts(),
        stamp in stamps(),
        len in any::<prop::sample::Index>(),
    ) {
        let message = message::parse(&Slice::new(&octets), 0, octets.len())
            .expect("a message with a name");
        let question = &message.question;
        let name = &octets[question.name_at..question.name_at + question.name_len];
        let bytes = laid_out(&message_head(&context, &message, &stamp), name);
        let len = len.index(HEAD + name.len());
        prop_assert_eq!(Record::parse(&bytes[..len]).map(|_| ()), Err(Malformed));
    }

    #[test]
    fn payload_survives_the_call(payload in payloads()) {
        prop_assert_eq!(Payload::unpack(payload.pack()), payload);
    }

    #[test]
    fn chain_survives_the_call(
        protocol: u8,
        at in 0_usize..65_536,
        first_fragment: bool,
        later_fragment: bool,
    ) {
        let chain = Chain { protocol, at, first_fragment, later_fragment };
        prop_assert_eq!(Chain::unpack(chain.pack()), chain);
    }
}

#[test]
fn findings_survive_the_call() {
    for (finding, outcome, raw) in [
        (Finding::PARSED, Outcome::Dns, false),
        (Finding::SEGMENT, Outcome::Segment, true),
        (Finding::REJECTED, Outcome::Rejected, false),
    ] {
        let finding = Finding::unpack(finding.pack());
        assert_eq!(finding.outcome(), outcome);
        assert_eq!(finding.is_raw(), raw, "{outcome:?}");
        assert!(!finding.is_whole() && !finding.is_response());
        assert_eq!(finding.id(), 0);
    }
}

/// Where everything stands, so that a record written by one release of the
/// programs is not read by another of the daemon in a different sense.
#[test]
fn every_field_has_its_place() {
    // ID 0x0102, flags 0x8304, one question for the root, ARCOUNT 1, and an OPT.
    let octets = [
        &[1, 2, 0x83, 4, 0, 1, 0, 0, 0, 0, 0, 1][..],
        &[0, 0x11, 0x12, 0x13, 0x14],
        &[0, 0, 41, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0, 0],
    ]
    .concat();
    let message = message::parse(&Slice::new(&octets), 0, octets.len()).expect("a message");
    let context = Context {
        hook: Hook::Egress,
        role: Role::Client,
        flow: Flow {
            family: Family::Ipv6,
            transport: Transport::Tcp,
            hop_limit: 0x31,
            source: [0x41, 0x42],
            destination: [0x43, 0x44],
            source_port: 0x5152,
            destination_port: 0x5354,
        },
        sequence: 0x6162_6364,
    };
    let stamp = Stamp {
        time_ns: 0x7172_7374_7576_7778,
        position: 0x8182_8384,
        level: 8,
        share_bits: 10,
        paired: true,
        hash: 0x9192_9394,
    };
    let head = message_head(&context, &message, &stamp);
    // Flags: EDNS present (1) in bits 8 and 9; client, egress, TCP, IPv6 and
    // paired in bits 5 to 1; no segment in bit 0.
    let expected = [
        0x7172_7374_7576_7778,
        0x013e_a802_8182_8384,
        0x41,
        0x42,
        0x43,
        0x44,
        0x0031_001c_5354_5152,
        u64::from_ne_bytes([1, 2, 0x83, 4, 0, 1, 0, 0]),
        u64::from_ne_bytes([0, 0, 0, 1, 0x11, 0x12, 0x13, 0x14]),
        u64::from_ne_bytes([0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0, 0]),
        0x6162_6364_9192_9394,
    ];
    assert_eq!(head, expected, "{head:#018x?}");
    assert_eq!((HEAD, LINE, MAX_SEGMENT), (88, 64, 1448));
}
