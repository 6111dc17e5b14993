//! Every way to add up the counters gives the same total.

use dns_wire::{
    Slice,
    counters::{Count, Counters, Delivery, FLAG_SETS, FLAGS, Qr, RCODES, Role, slot},
    iana::Qtype,
    locate::{Family, Layers, NotDns, Protocol, Transport},
    message::{self, EdnsState},
    reject::Reject,
    tally::Tally,
};
use proptest::{collection::vec, prelude::*, sample::select};

/// A message to count: its octets, who sent it how, and what it stands for.
type Counted = (Vec<u8>, Role, Family, Transport, u64);

fn counted() -> impl Strategy<Value = Counted> {
    let octets = (
        any::<[u8; 4]>(),
        any::<bool>(),
        any::<[u8; 4]>(),
        0_usize..5000,
    )
        .prop_map(|(start, question, fixed, padding)| {
            let mut octets = start.to_vec();
            octets.extend([0, u8::from(question), 0, 0, 0, 0, 0, 0]);
            if question {
                octets.push(0);
                octets.extend(fixed);
            }
            octets.resize(octets.len() + padding, 0);
            octets
        });
    (
        octets,
        select(Role::ALL),
        select(&[Family::Ipv4, Family::Ipv6][..]),
        select(Transport::ALL),
        1_u64..=256,
    )
}

fn cells(counters: &Counters, start: usize, len: usize) -> u64 {
    (start..start + len).map(|slot| counters.get(slot)).sum()
}

/// The sums over everything that a message of this kind is counted by.
fn marginals(counters: &Counters, role: Role, qr: Qr) -> Vec<(&'static str, u64)> {
    let kind = role.index() * Qr::COUNT + qr.index();
    let opcodes = (0..16).map(|opcode| counters.opcode(role, qr, opcode));
    let qtypes = (0..Qtype::SLOTS).map(|slot| counters.qtype(role, qr, slot));
    let edns = EdnsState::ALL
        .iter()
        .map(|state| counters.edns(role, qr, *state));
    let sizes = Transport::ALL
        .iter()
        .flat_map(|transport| counters.sizes(role, qr, *transport));
    let mut sums = vec![
        ("opcode", opcodes.sum()),
        ("qtype", qtypes.sum()),
        ("edns", edns.sum()),
        ("sizes", sizes.sum()),
        (
            "flags",
            cells(counters, slot::FLAGS + kind * FLAG_SETS, FLAG_SETS),
        ),
    ];
    if qr == Qr::Response {
        let rcodes = (0..RCODES).map(|slot| counters.rcode(role, slot));
        sums.push(("rcode", rcodes.sum()));
    }
    sums
}

proptest! {
    #[test]
    fn marginal_sums_are_the_number_of_messages(messages in vec(counted(), 1..20)) {
        let mut counters = Counters::default();
        let (mut number, mut size) = (0, 0);
        for (octets, role, family, transport, weight) in &messages {
            let message = message::parse(&Slice::new(octets), 0, octets.len())
                .expect("a message");
            counters.messages_like(*role, *family, *transport, &message, *weight);
            number += weight;
            size += weight * octets.len() as u64;
        }
        for role in Role::ALL {
            for qr in Qr::ALL {
                let total = counters.messages_of(*role, *qr);
                for (what, sum) in marginals(&counters, *role, *qr) {
                    prop_assert_eq!(sum, total, "{} of {:?} {:?}", what, role, qr);
                }
            }
        }
        prop_assert_eq!(cells(&counters, slot::MESSAGES, 16), number);
        prop_assert_eq!(cells(&counters, slot::MESSAGE_BYTES, 16), size);
    }
}

/// What a packet can end as, and what is counted of it.
#[derive(Clone, Debug)]
enum End {
    Message(Counted),
    NotDns(NotDns, u8),
    Control(u8),
    Rejected(Reject),
    Fragment,
    Segment,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => counted().prop_map(End::Message),
        1 => (select(NotDns::ALL), 0_u8..17).prop_map(|(kind, icmp)| End::NotDns(kind, icmp)),
        1 => (0_u8..64).prop_map(End::Control),
        1 => select(Reject::ALL).prop_map(End::Rejected),
        1 => Just(End::Fragment),
        1 => Just(End::Segment),
    ]
}

fn count(counts: &mut impl Count, end: &End, family: Family, len: usize, delivery: Delivery) {
    let protocol = match end {
        End::Message((.., transport, _)) => transport.protocol(),
        End::NotDns(kind, _) => kind.protocol(),
        End::Control(_) | End::Segment => Protocol::Tcp,
        End::Rejected(_) | End::Fragment => Protocol::Other,
    };
    let family = if let End::Message((_, _, family, ..)) = end {
        *family
    } else {
        family
    };
    let layers = Layers {
        family,
        protocol,
        end: 100,
    };
    counts.packet(layers, len);
    match end {
        End::Message((octets, role, family, transport, _)) => {
            let message = message::parse(&Slice::new(octets), 0, octets.len()).expect("a message");
            counts.message(*role, *family, *transport, &message);
            counts.delivery(delivery);
        }
        End::NotDns(kind, icmp) => {
            counts.not_dns(layers, *kind, *icmp);
        }
        End::Control(flags) => {
            counts.handshake(family, len as u64);
            counts.control(layers, *flags);
        }
        End::Rejected(reason) => {
            counts.rejected(layers, *reason);
        }
        End::Fragment => {
            counts.fragment(layers);
        }
        End::Segment => {
            counts.segment(layers);
            counts.delivery(delivery);
        }
    }
}

proptest! {
    #[test]
    fn a_tally_says_what_counters_say(
        packets in vec((end(), select(Family::ALL), 0_usize..5000, select(Delivery::ALL)), 1..30)
    ) {
        let (mut counters, mut tally) = (Counters::default(), Tally::default());
        for (end, family, len, delivery) in &packets {
            count(&mut counters, end, *family, *len, *delivery);
            count(&mut tally, end, *family, *len, *delivery);
        }
        let mut told = Counters::default();
        tally.add_to(&mut told);
        prop_assert!(told == counters);
    }
}

/// Flags of the OPT record by the bits of RFC 6891 and IANA's registry "EDNS
/// Header Flags": DO is the first, CO the second, DE the third.
#[test]
fn each_flag_of_the_opt_record_is_counted_by_itself() {
    for (high, expected) in [
        (0x80, ["DO"].as_slice()),
        (0x40, &["CO"]),
        (0x20, &["DE"]),
        (0xe0, &["DO", "CO", "DE"]),
        (0x1f, &[]),
    ] {
        let octets = [
            &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..],
            &[0, 0, 41, 4, 208, 0, 0, high, 0xff, 0, 0],
        ]
        .concat();
        let message = message::parse(&Slice::new(&octets), 0, octets.len()).expect("a message");
        let mut counters = Counters::default();
        counters.messages_like(Role::Server, Family::Ipv6, Transport::Udp, &message, 1);
        let set = FLAGS.iter().filter(|flag| {
            let count = counters.flag(Role::Server, Qr::Query, **flag);
            assert!(count <= 1);
            count == 1
        });
        let labels: Vec<_> = set.map(|flag| flag.label).collect();
        assert_eq!(labels, expected, "{high:#x}");
        let present = counters.edns(Role::Server, Qr::Query, EdnsState::Present);
        assert_eq!(present, 1);
    }
}
