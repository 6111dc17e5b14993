//! Pairing as a specification: messages in, an account of transactions out.

use dns_wire::{
    Slice,
    counters::Hook,
    locate::Flow,
    observe::Context,
    record::{self, LINE, Stamp},
};

use super::*;

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;
const TIMEOUT: u64 = 5 * SECOND;

/// A message of a test; what is not said is the same in all of them.
#[derive(Clone, Copy, Debug)]
struct Said {
    qr: Qr,
    at_ns: u64,
    id: u16,
    port: u16,
    name: &'static [u8],
    qtype: u8,
    transport: Transport,
    hash: u32,
    share_bits: u8,
    level: u8,
    paired: bool,
}

const QUERY: Said = Said {
    qr: Qr::Query,
    at_ns: 0,
    id: 1,
    port: 1024,
    name: b"\x07example\x00",
    qtype: 1,
    transport: Transport::Udp,
    hash: 0,
    share_bits: 0,
    level: 0,
    paired: true,
};

const fn query(at_ns: u64) -> Said {
    Said { at_ns, ..QUERY }
}

const fn response(at_ns: u64) -> Said {
    Said {
        qr: Qr::Response,
        ..query(at_ns)
    }
}

impl Said {
    fn message(&self) -> Message {
        let mut bytes = self.id.to_be_bytes().to_vec();
        let flags = if self.qr == Qr::Response { 0x80 } else { 0 };
        bytes.extend([flags, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend(self.name);
        bytes.extend([0, self.qtype, 0, 1]);
        dns_wire::message::parse(&Slice::new(&bytes), 0, bytes.len()).expect("a message")
    }

    fn context(&self) -> Context {
        let client = ([1, 0], self.port);
        let server = ([2, 0], 53);
        let (hook, source, destination) = match self.qr {
            Qr::Query => (Hook::Ingress, client, server),
            Qr::Response => (Hook::Egress, server, client),
        };
        Context {
            hook,
            role: Role::Server,
            flow: Flow {
                family: Family::Ipv4,
                transport: self.transport,
                hop_limit: 64,
                source: source.0,
                destination: destination.0,
                source_port: source.1,
                destination_port: destination.1,
            },
            sequence: 0,
        }
    }

    fn event(&self, hasher: &RandomState) -> Option<Event> {
        let stamp = Stamp {
            time_ns: self.at_ns,
            position: 0,
            level: self.level,
            share_bits: self.share_bits,
            paired: self.paired,
            hash: self.hash,
        };
        let message = self.message();
        let head = record::message_head(&self.context(), &message, &stamp);
        let mut bytes: Vec<u8> = head.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend(self.name);
        bytes.resize(record::lines(self.name.len()) * LINE, 0);
        let record = Record::parse(&bytes).expect("a record");
        Event::new(&record, &record.message(), record.payload(), hasher)
    }
}

struct Run {
    pairing: Pairing,
    hasher: RandomState,
}

impl Run {
    fn new(capacity: usize) -> Self {
        Self {
            pairing: Pairing::new(capacity, TIMEOUT),
            hasher: RandomState::default(),
        }
    }

    fn say(&mut self, said: &[Said]) {
        for message in said {
            if let Some(event) = message.event(&self.hasher) {
                self.pairing.event(&event);
            }
        }
    }

    /// Answered, unanswered, unsolicited; all transports together.
    fn ended(&self) -> [u64; 3] {
        let mut sums = [0; 3];
        for stats in self.pairing.stats().ended.iter().flatten() {
            sums[0] += stats.answered;
            sums[1] += stats.unanswered;
            sums[2] += stats.unsolicited;
        }
        sums
    }
}

#[test]
fn transactions_end() {
    let other_id = Said { id: 2, ..QUERY };
    let other_port = Said { port: 2, ..QUERY };
    let other_type = Said { qtype: 28, ..QUERY };
    let tcp = Said {
        transport: Transport::Tcp,
        ..QUERY
    };
    let other_name = Said {
        name: b"\x06sample\x00",
        ..QUERY
    };
    let upper = Said {
        name: b"\x07eXAMPLE\x00",
        ..response(MS)
    };
    let unchosen = |said| Said {
        paired: false,
        ..said
    };
    let cases: Vec<(&str, Vec<Said>, [u64; 3])> = vec![
        ("nothing", vec![], [0, 0, 0]),
        ("answered", vec![query(0), response(MS)], [1, 0, 0]),
        ("answered at once", vec![query(7), response(7)], [1, 0, 0]),
        (
            "read in the other order",
            vec![response(MS), query(0)],
            [1, 0, 0],
        ),
        ("never answered", vec![query(0)], [0, 1, 0]),
        ("never asked", vec![response(0)], [0, 0, 1]),
        (
            "asked after it was answered",
            vec![response(0), query(MS)],
            [0, 1, 1],
        ),
        (
            "asked after it was answered, read in the other order",
            vec![query(MS), response(0)],
            [0, 1, 1],
        ),
        (
            "answered twice",
            vec![query(0), response(1), response(2)],
            [1, 0, 1],
        ),
        (
            "asked twice, answered twice",
            vec![query(0), query(1), response(2), response(3)],
            [2, 0, 0],
        ),
        (
            "asked twice, answered once",
            vec![query(0), query(1), response(2)],
            [1, 1, 0],
        ),
        (
            "answered twice before it was asked",
            vec![response(0), response(1), query(2)],
            [0, 1, 2],
        ),
        (
            "answered before and after it was asked, the query read last",
            vec![response(0), response(2), query(1)],
            [1, 0, 1],
        ),
        (
            "the same again, later",
            vec![query(0), response(1), query(2), response(3)],
            [2, 0, 0],
        ),
        (
            "the name in other letters (RFC 1035, section 2.3.3)",
            vec![query(0), upper],
            [1, 0, 0],
        ),
        ("another name", vec![other_name, response(MS)], [0, 1, 1]),
        ("another type", vec![other_type, response(MS)], [0, 1, 1]),
        ("another ID", vec![other_id, response(MS)], [0, 1, 1]),
        ("another port", vec![other_port, response(MS)], [0, 1, 1]),
        ("another transport", vec![tcp, response(MS)], [0, 1, 1]),
        (
            "answered as time runs out",
            vec![query(0), response(TIMEOUT)],
            [1, 0, 0],
        ),
        (
            "answered too late",
            vec![query(0), response(TIMEOUT + 1)],
            [0, 1, 1],
        ),
        (
            "a response that waited too long for its query to be read",
            vec![response(SECOND), other_id_at(2 * SECOND + 1), query(SECOND)],
            [0, 2, 1],
        ),
        (
            "of a transaction that was not chosen",
            vec![unchosen(query(0)), unchosen(response(1))],
            [0, 0, 0],
        ),
    ];
    for (name, said, ended) in cases {
        let mut run = Run::new(100);
        run.say(&said);
        run.pairing.finish();
        assert_eq!(run.ended(), ended, "{name}");
        assert_eq!(run.pairing.stats().pending, 0, "{name}");
    }
}

const fn other_id_at(at_ns: u64) -> Said {
    Said {
        id: 2,
        ..query(at_ns)
    }
}

#[test]
fn ends_are_told_apart_by_transport() {
    let tcp = |said| Said {
        transport: Transport::Tcp,
        ..said
    };
    let mut run = Run::new(100);
    run.say(&[query(0), response(1), tcp(query(0))]);
    run.pairing.finish();
    let stats = run.pairing.stats();
    assert_eq!(stats.of(Role::Server, Transport::Udp).answered, 1);
    assert_eq!(stats.of(Role::Server, Transport::Tcp).unanswered, 1);
    assert_eq!(
        *stats.of(Role::Client, Transport::Udp),
        TransactionStats::default()
    );
}

#[test]
fn response_times_fall_into_buckets() {
    let mut run = Run::new(100);
    // Up to and including 10 us is the first bucket; above 5 s cannot be.
    for (id, time_ns) in [10_000, 10_001, 25_000, MS, TIMEOUT]
        .into_iter()
        .enumerate()
    {
        let id = id as u16;
        run.say(&[Said { id, ..query(0) }]);
        run.pairing.now_ns = 0;
        let answer = Said {
            id,
            ..response(time_ns)
        };
        let event = answer.event(&run.hasher).expect("an event");
        run.pairing.event(&event);
    }
    let stats = run.pairing.stats();
    let udp = stats.of(Role::Server, Transport::Udp);
    let mut buckets = [0; BUCKETS_NS.len() + 1];
    (buckets[0], buckets[1], buckets[6], buckets[19]) = (1, 2, 1, 1);
    assert_eq!(udp.buckets, buckets);
    assert_eq!(
        udp.sum_ns,
        u128::from(10_000 + 10_001 + 25_000 + MS + TIMEOUT)
    );
}

#[test]
fn a_repeated_query_is_answered_from_its_first_time() {
    let mut run = Run::new(100);
    run.say(&[query(0), query(3 * SECOND), response(4 * SECOND)]);
    let stats = run.pairing.stats();
    let udp = stats.of(Role::Server, Transport::Udp);
    assert_eq!(udp.sum_ns, u128::from(4 * SECOND));
    assert_eq!(stats.pending, 1);
}

#[test]
fn time_runs_out_without_traffic_of_the_same_transaction() {
    let mut run = Run::new(100);
    run.say(&[query(0)]);
    run.pairing.advance(TIMEOUT);
    assert_eq!((run.ended(), run.pairing.stats().pending), ([0, 0, 0], 1));
    run.pairing.advance(TIMEOUT + 1);
    assert_eq!((run.ended(), run.pairing.stats().pending), ([0, 1, 0], 0));
}

#[test]
fn a_query_repeated_for_ever_does_not_hold_up_the_others() {
    let mut run = Run::new(100);
    run.say(&[query(0), other_id_at(1)]);
    for second in 1..=6 {
        run.say(&[query(second * SECOND)]);
    }
    assert_eq!((run.ended(), run.pairing.stats().pending), ([0, 1, 0], 1));
}

#[test]
fn a_full_table_turns_new_transactions_away() {
    let mut run = Run::new(3);
    let said = |id: u16| Said { id, ..query(0) };
    run.say(&[said(1), said(2), said(3), said(4), said(5)]);
    let stats = run.pairing.stats();
    assert_eq!((stats.pending, stats.overflowed), (3, 2));
    // Those inside go on, and leave room.
    run.say(&[response(1), said(4)]);
    let stats = run.pairing.stats();
    assert_eq!((stats.pending, stats.overflowed), (3, 2));
    assert_eq!(run.ended(), [1, 0, 0]);
}

#[test]
fn memory_does_not_grow_with_traffic() {
    let mut run = Run::new(8);
    for id in 0..1000 {
        let at = u64::from(id);
        run.say(&[Said { id, ..query(at) }, Said { id, ..response(at) }]);
    }
    assert_eq!(run.ended(), [1000, 0, 0]);
    assert!(run.pairing.queries.len() <= 17, "queued uses");
    assert!(run.pairing.slots.len() <= 8, "slots");
}

#[test]
fn a_transaction_stands_for_its_share_and_level() {
    // One in 8 is paired, one in 4 of those kept: each stands for 32.
    let chosen = |said| Said {
        share_bits: 3,
        level: 2,
        ..said
    };
    let mut run = Run::new(100);
    run.say(&[
        chosen(query(0)),
        chosen(response(MS)),
        chosen(other_id_at(0)),
    ]);
    assert_eq!(run.pairing.stats().one_in, 32);
    run.pairing.finish();
    assert_eq!(run.ended(), [32, 32, 0]);
    let stats = run.pairing.stats();
    let udp = stats.of(Role::Server, Transport::Udp);
    assert_eq!(udp.sum_ns, u128::from(32 * MS));
    assert_eq!(udp.buckets[6], 32);
}

#[test]
fn a_narrower_choice_forgets_what_it_leaves_out() {
    let mut run = Run::new(100);
    // All are paired at first: one that a share of 1/2 keeps, one that it does not.
    let kept = Said {
        hash: 0,
        ..query(0)
    };
    let left_out = Said {
        id: 2,
        hash: 1,
        ..query(0)
    };
    run.say(&[kept, left_out]);
    assert_eq!(run.pairing.stats().pending, 2);
    let narrow = Said {
        id: 3,
        share_bits: 1,
        ..query(1)
    };
    run.say(&[narrow]);
    assert_eq!(run.pairing.stats().pending, 2);
    // Its response comes from a ring that still chooses all.
    let late = Said {
        id: 2,
        hash: 1,
        ..response(2)
    };
    run.say(&[late]);
    run.pairing.finish();
    assert_eq!(run.ended(), [0, 4, 0]);
}

#[test]
fn a_narrower_level_forgets_what_it_leaves_out() {
    let mut run = Run::new(100);
    // The level looks at the hash from bit 16 on.
    let left_out = Said {
        hash: 1 << 16,
        ..query(0)
    };
    let narrow = Said {
        id: 3,
        level: 1,
        ..query(1)
    };
    run.say(&[left_out, narrow]);
    run.pairing.finish();
    assert_eq!(run.ended(), [0, 2, 0]);
}

#[test]
fn a_wider_choice_counts_after_a_whole_period() {
    let mut run = Run::new(100);
    let at = |at_ns, share_bits| Said {
        id: (at_ns / MS) as u16,
        share_bits,
        ..query(at_ns)
    };
    run.say(&[at(TIMEOUT, 2), at(2 * TIMEOUT - 1, 0)]);
    assert_eq!(run.pairing.stats().one_in, 4);
    // The period in which there was a narrow record ends: one more to wait.
    run.say(&[at(2 * TIMEOUT, 0)]);
    assert_eq!(run.pairing.stats().one_in, 4);
    run.say(&[at(3 * TIMEOUT, 0)]);
    assert_eq!(run.pairing.stats().one_in, 1);
}

#[test]
fn time_can_begin_anew() {
    let day = 86_400 * SECOND;
    let mut run = Run::new(100);
    run.say(&[query(day)]);
    run.pairing.restart();
    run.say(&[query(0), other_id_at(SECOND), response(MS)]);
    run.pairing.finish();
    assert_eq!(run.ended(), [1, 2, 0]);
}

#[test]
fn every_message_is_accounted_for() {
    // Queries and responses of a few transactions in an order that is as good
    // as random (a linear congruential generator, Knuth's constants).
    let mut state = 1_u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut run = Run::new(1000);
    let (mut queries, mut responses) = (0, 0);
    for step in 0..20_000_u64 {
        let at_ns = (step * MS / 10).saturating_sub(next(3 * MS));
        let id = next(50) as u16;
        let said = if next(2) == 0 {
            query(at_ns)
        } else {
            response(at_ns)
        };
        match said.qr {
            Qr::Query => queries += 1,
            Qr::Response => responses += 1,
        }
        run.say(&[Said { id, ..said }]);
    }
    run.pairing.finish();
    let [answered, unanswered, unsolicited] = run.ended();
    assert_eq!(run.pairing.stats().overflowed, 0);
    assert_eq!(answered + unanswered, queries);
    assert_eq!(answered + unsolicited, responses);
}

#[test]
fn transactions_end_in_the_classes_of_dsc_too() {
    use response_time::ResponseTime::{DroppedQuery, MissingQuery, Timeout, Within};
    let id = |id, said| Said { id, ..said };
    let said = [
        id(1, query(0)),
        id(1, response(700_000)),
        id(2, query(0)),
        id(2, response(5 * MS)),
        id(3, query(MS)),
        id(4, response(MS)),
        // There is room for two.
        id(5, query(MS)),
    ];
    for (role, expected) in [(None, 1), (Some(Role::Server), 1), (Some(Role::Client), 0)] {
        let mut run = Run::new(2);
        run.pairing = run
            .pairing
            .with_times(response_time::Settings::default(), role);
        run.say(&said);
        run.pairing.finish();
        let times = run.pairing.take_times();
        let classes = [
            Within(100, 1000),
            Within(1000, 10_000),
            Timeout,
            MissingQuery,
            DroppedQuery,
        ];
        let counts = classes.map(|class| times.get(&class).copied().unwrap_or(0));
        assert_eq!(counts, [expected; 5], "{role:?}: {times:?}");
        assert!(run.pairing.take_times().is_empty());
    }
}
