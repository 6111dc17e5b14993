//! The parser against hickory-proto, which reads whole messages and shares no
//! code with it.

use dns_wire::{
    Slice,
    locate::{Link, locate},
    message::{self, EdnsState, Message, Opt},
    opt::{self, Options},
    record::Record,
    reject::Reject,
    settings::Settings,
};
use hickory_proto::{
    op::{self, Edns, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record as ResourceRecord, RecordType,
        rdata::{
            A,
            opt::{EdnsCode, EdnsOption},
        },
    },
};
use proptest::{collection::vec, option, prelude::*};

/// The octets of a name as hickory-proto knows it, uncompressed.
fn wire(name: &Name) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.iter() {
        octets.push(label.len() as u8);
        octets.extend(label);
    }
    octets.push(0);
    octets
}

/// Names of any octets, as long as names can be.
fn names() -> impl Strategy<Value = Name> {
    let label = vec(any::<u8>(), 1..=63);
    vec(label, 0..=127).prop_map(|mut labels| {
        let mut len = 1;
        labels.retain(|label| {
            len += 1 + label.len();
            len <= 255
        });
        Name::from_labels(labels).expect("labels of 1 to 63 octets, 255 in all")
    })
}

fn records(at_most: usize) -> impl Strategy<Value = Vec<ResourceRecord>> {
    let record = (names(), any::<u32>(), any::<[u8; 4]>())
        .prop_map(|(name, ttl, a)| ResourceRecord::from_rdata(name, ttl, RData::A(A(a.into()))));
    vec(record, 0..=at_most)
}

fn edns() -> impl Strategy<Value = Edns> {
    let options = vec((65_001_u16..65_535, vec(any::<u8>(), 0..40)), 0..4);
    (
        512_u16..,
        any::<u8>(),
        any::<u8>(),
        any::<bool>(),
        0_u16..0x8000,
        options,
    )
        .prop_map(|(udp_size, rcode_high, version, dnssec_ok, z, options)| {
            let mut edns = Edns::new();
            edns.set_max_payload(udp_size)
                .set_rcode_high(rcode_high)
                .set_version(version)
                .set_dnssec_ok(dnssec_ok);
            edns.flags_mut().z = z;
            for (code, octets) in options {
                edns.options_mut().insert(EdnsOption::Unknown(code, octets));
            }
            edns
        })
}

/// The header's first 32 bits, but for the RCODE: ID and the flags octets.
fn metadata(message: &mut op::Message, id: u16, flags: u16) {
    let bit = |bit| flags & bit != 0;
    let metadata = &mut message.metadata;
    metadata.id = id;
    metadata.message_type = if bit(0x8000) {
        op::MessageType::Response
    } else {
        op::MessageType::Query
    };
    metadata.op_code = OpCode::from_u8((flags >> 11) as u8 & 0x0f);
    metadata.authoritative = bit(0x0400);
    metadata.truncation = bit(0x0200);
    metadata.recursion_desired = bit(0x0100);
    metadata.recursion_available = bit(0x0080);
    metadata.authentic_data = bit(0x0020);
    metadata.checking_disabled = bit(0x0010);
}

prop_compose! {
    fn questions()(name in names(), qtype: u16, qclass: u16) -> Query {
        let mut query = Query::query(name, RecordType::from(qtype));
        query.set_query_class(DNSClass::from(qclass));
        query
    }
}

prop_compose! {
    /// Messages of every shape.
    fn messages()(
        id: u16,
        flags: u16,
        rcode: u8,
        questions in vec(questions(), 0..=2),
        answers in records(2),
        authorities in records(2),
        edns in option::of(edns()),
        plain in any::<bool>(),
    ) -> op::Message {
        let mut message = op::Message::query();
        metadata(&mut message, id, flags);
        let high = edns.as_ref().map_or(0, Edns::rcode_high);
        message.metadata.response_code = ResponseCode::from(high, rcode & 0x0f);
        message.add_queries(questions);
        // Half of them without records, where the OPT record can be reached.
        if !plain {
            message.add_answers(answers);
            message.add_authorities(authorities);
        }
        message.edns = edns;
        message
    }
}

fn parse(octets: &[u8]) -> Result<Message, Reject> {
    message::parse(&Slice::new(octets), 0, octets.len())
}

/// Header and first question must be the same.
fn agree_on_fixed_part(ours: &Message, theirs: &op::Message, octets: &[u8]) {
    let header = &ours.header;
    let metadata = &theirs.metadata;
    let flags = header.flags();
    assert_eq!(header.id(), metadata.id);
    let response = metadata.message_type == op::MessageType::Response;
    assert_eq!(header.is_response(), response);
    assert_eq!(header.opcode(), u8::from(metadata.op_code));
    for (bit, set) in [
        (0x0400, metadata.authoritative),
        (0x0200, metadata.truncation),
        (0x0100, metadata.recursion_desired),
        (0x0080, metadata.recursion_available),
        (0x0020, metadata.authentic_data),
        (0x0010, metadata.checking_disabled),
    ] {
        assert_eq!(flags & bit != 0, set, "bit {bit:#06x}");
    }
    assert_eq!(flags & 0x000f, u16::from(metadata.response_code) & 0x000f);
    assert_eq!(usize::from(header.questions()), theirs.queries.len());
    assert_eq!(usize::from(header.answers()), theirs.answers.len());
    assert_eq!(usize::from(header.authorities()), theirs.authorities.len());
    assert_eq!(ours.len, octets.len());
    assert_eq!(ours.has_question(), !theirs.queries.is_empty());
    if let Some(query) = theirs.queries.first() {
        let question = &ours.question;
        let qname = octets.get(question.name_at..question.name_at + question.name_len);
        assert_eq!(qname, Some(wire(&query.name).as_slice()));
        assert_eq!(question.qtype(), u16::from(query.query_type));
        assert_eq!(question.qclass(), u16::from(query.query_class));
    }
}

/// An OPT record that was read must be the same.
fn agree_on_opt(ours: &Message, theirs: &op::Message) {
    agree_on_fixed_part_of_opt(&ours.opt, theirs);
    assert_eq!(ours.rcode(), u16::from(theirs.metadata.response_code));
}

fn agree_on_fixed_part_of_opt(ours: &Opt, theirs: &op::Message) {
    let edns = theirs.edns.as_ref().expect("an OPT record");
    // RFC 6891, section 6.2.3: "values lower than 512 MUST be treated as equal
    // to 512"; hickory-proto does so when it reads.
    assert_eq!(ours.udp_size().max(512), edns.max_payload());
    assert_eq!(ours.extended_rcode(), edns.rcode_high());
    assert_eq!(ours.version(), edns.version());
    assert_eq!(ours.dnssec_ok(), edns.flags().dnssec_ok);
    assert_eq!(ours.flags() & 0x7fff, edns.flags().z);
}

/// The OPT record behind all others, and its options, as they were meant.
fn agree_on_whole(octets: &[u8], meant: &op::Message) {
    let found = opt::find(octets).expect("a valid message");
    assert_eq!(found.is_some(), meant.edns.is_some());
    let (Some(found), Some(edns)) = (found, &meant.edns) else {
        return;
    };
    agree_on_fixed_part_of_opt(&found.opt, meant);
    let mut options = Options::new(found.options);
    let read: Vec<_> = options
        .by_ref()
        .map(|(code, octets)| (code.0, octets.to_vec()))
        .collect();
    let written: Vec<_> = edns.options().as_ref().iter().map(option).collect();
    assert_eq!(read, written);
    assert!(!options.is_broken());
}

fn option((code, option): &(EdnsCode, EdnsOption)) -> (u16, Vec<u8>) {
    let octets = Vec::<u8>::try_from(option).expect("it was written");
    (u16::from(*code), octets)
}

proptest! {
    #[test]
    fn generated_messages_are_read_as_they_were_meant(meant in messages()) {
        let octets = meant.to_vec().expect("it fits");
        let ours = parse(&octets).expect("a valid message");
        agree_on_fixed_part(&ours, &meant, &octets);
        agree_on_whole(&octets, &meant);
        let reachable = meant.queries.len() < 2
            && meant.answers.is_empty()
            && meant.authorities.is_empty();
        let expected = match (&meant.edns, reachable) {
            (None, _) => EdnsState::Absent,
            (Some(_), true) => EdnsState::Present,
            (Some(_), false) => EdnsState::Unreached,
        };
        prop_assert_eq!(ours.edns, expected);
        if expected == EdnsState::Present {
            agree_on_opt(&ours, &meant);
        }
    }

    #[test]
    fn what_hickory_reads_is_read_alike(
        meant in messages(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        len in option::of(any::<prop::sample::Index>()),
    ) {
        let mut octets = meant.to_vec().expect("it fits");
        for (at, octet) in damage {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        if let Some(len) = len {
            octets.truncate(len.index(octets.len()));
        }
        let Ok(theirs) = op::Message::from_vec(&octets) else {
            return Ok(());
        };
        match parse(&octets) {
            Ok(ours) => {
                agree_on_fixed_part(&ours, &theirs, &octets);
                match ours.edns {
                    EdnsState::Present => agree_on_opt(&ours, &theirs),
                    EdnsState::Malformed => prop_assert!(false, "{theirs:?}"),
                    EdnsState::Absent | EdnsState::Unreached => {}
                }
            }
            // A first question can point at nothing but the header, which
            // holds no names; hickory-proto follows nevertheless.
            Err(reason) => prop_assert_eq!(reason, Reject::NamePointer),
        }
    }

    #[test]
    fn random_octets_are_read_without_panic(
        octets in vec(any::<u8>(), 0..400),
        at in 0_usize..70_000,
        len in 0_usize..70_000,
    ) {
        let packet = Slice::new(&octets);
        let settings = Settings::default().with_decapsulation(true);
        for link in [Link::Ethernet, Link::Raw, Link::Sll, Link::Sll2, Link::Null, Link::Ppp] {
            let (layers, _) = locate(&packet, link, &settings);
            prop_assert!(layers.end <= octets.len());
        }
        if let Ok(message) = message::parse(&packet, at, len) {
            prop_assert!(message.question.name_len <= message::MAX_NAME);
        }
        if let Ok(record) = Record::parse(&octets) {
            prop_assert!(record.payload().len() <= octets.len());
        }
    }
}
