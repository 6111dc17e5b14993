//! Streams as a specification: segments in, messages and an account out.

use dns_wire::{
    counters::{Hook, Role},
    locate::{Family, Payload, Transport},
    observe::{Context, Finding},
    record::{self, HEAD_WORDS, LINE, Stamp},
};

use super::*;

/// Octets of [`framed`] messages.
const LEN: u32 = 21;
const SECOND: u64 = 1_000_000_000;
const LIMITS: Limits = Limits {
    streams: 4,
    memory: 1 << 20,
    idle_ns: 30 * SECOND,
};

/// A query for `a.`, class IN, with its length before it.
fn framed(id: u16) -> Vec<u8> {
    let mut bytes = vec![0, 19];
    bytes.extend(id.to_be_bytes());
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    bytes.extend([1, b'a', 0, 0, 1, 0, 1]);
    bytes
}

/// Messages 1 to 4, one behind the other.
fn four() -> Vec<u8> {
    (1..=4).flat_map(framed).collect()
}

fn flow(source_port: u16) -> Flow {
    Flow {
        family: Family::Ipv4,
        transport: Transport::Tcp,
        hop_limit: 64,
        source: [1, 0],
        destination: [2, 0],
        source_port,
        destination_port: 53,
    }
}

fn stamp(time_ns: u64) -> Stamp {
    Stamp {
        time_ns,
        position: 0,
        level: 0,
        share_bits: 0,
        paired: true,
        hash: 0,
    }
}

fn context(flow: Flow, sequence: u32) -> Context {
    Context {
        hook: Hook::Ingress,
        role: Role::Server,
        flow,
        sequence,
    }
}

fn record_of(head: &[u64; HEAD_WORDS], payload: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = head.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(payload);
    bytes.resize(record::lines(payload.len()) * LINE, 0);
    bytes
}

/// What a test lets happen.
enum Step {
    /// Data at a sequence number.
    Data(u32, Vec<u8>),
    /// The same with FIN.
    Fin(u32, Vec<u8>),
    /// A segment at a sequence number that is message `id`, and was parsed as such.
    Whole(u32, u16),
}

use Step::{Data, Fin, Whole};

struct Run {
    streams: Streams,
    ids: Vec<u16>,
    time_ns: u64,
    port: u16,
}

impl Run {
    fn new(limits: Limits) -> Self {
        Self {
            streams: Streams::new(limits),
            ids: Vec::new(),
            time_ns: 0,
            port: 1024,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Data(sequence, bytes) => self.segment(*sequence, bytes, 0),
            Fin(sequence, bytes) => self.segment(*sequence, bytes, tcp_flag::FIN),
            Whole(sequence, id) => self.whole(*sequence, *id),
        }
    }

    fn segment(&mut self, sequence: u32, bytes: &[u8], tcp_flags: u8) {
        let flow = flow(self.port);
        let payload = Payload {
            family: flow.family,
            transport: flow.transport,
            hop_limit: flow.hop_limit,
            addresses_at: 0,
            source_port: flow.source_port,
            destination_port: flow.destination_port,
            at: 0,
            len: bytes.len(),
            sequence,
            tcp_flags,
            first_fragment: false,
        };
        let context = context(flow, sequence);
        let mut head = record::raw_head(&context, &payload, Finding::SEGMENT, &stamp(self.time_ns));
        record::complete_raw_head(&mut head, 0, bytes.len(), 0);
        let bytes = record_of(&head, bytes);
        let record = Record::parse(&bytes).expect("a record");
        let ids = &mut self.ids;
        self.streams
            .segment(&record, |message, _, _| ids.push(message.header.id()));
    }

    fn whole(&mut self, sequence: u32, id: u16) {
        let bytes = framed(id);
        let message =
            dns_wire::message::parse(&Slice::new(&bytes[PREFIX..]), 0, bytes.len() - PREFIX)
                .expect("a message");
        let context = context(flow(self.port), sequence);
        let head = record::message_head(&context, &message, &stamp(self.time_ns));
        let bytes = record_of(&head, &[1, b'a', 0]);
        let record = Record::parse(&bytes).expect("a record");
        let ids = &mut self.ids;
        self.streams
            .skip(&record, |message, _, _| ids.push(message.header.id()));
    }
}

fn piece(bytes: &[u8], from: u32, to: u32) -> Step {
    Data(100 + from, bytes[from as usize..to as usize].to_vec())
}

/// The account of so many messages and nothing wrong.
fn messages(messages: u64) -> StreamStats {
    StreamStats {
        messages,
        ..StreamStats::default()
    }
}

#[test]
fn streams_give_their_messages() {
    let all = four();
    let end = all.len() as u32;
    let cases: Vec<(&str, Vec<Step>, &[u16], StreamStats)> = vec![
        (
            "several messages in a segment",
            vec![Data(100, all.clone())],
            &[1, 2, 3, 4],
            messages(4),
        ),
        (
            "a length by itself, then its message",
            vec![piece(&all, 0, 2), piece(&all, 2, LEN)],
            &[1],
            messages(1),
        ),
        (
            "a length in two segments",
            vec![piece(&all, 0, 1), piece(&all, 1, LEN)],
            &[1],
            messages(1),
        ),
        (
            "an octet at a time",
            (0..end).map(|at| piece(&all, at, at + 1)).collect(),
            &[1, 2, 3, 4],
            messages(4),
        ),
        (
            "a message and a half, then the rest",
            vec![piece(&all, 0, 30), piece(&all, 30, end)],
            &[1, 2, 3, 4],
            messages(4),
        ),
        (
            "out of order",
            vec![
                piece(&all, 0, 10),
                piece(&all, 50, end),
                piece(&all, 30, 50),
                piece(&all, 10, 30),
            ],
            &[1, 2, 3, 4],
            messages(4),
        ),
        (
            "retransmitted",
            vec![
                piece(&all, 0, 30),
                piece(&all, 0, 30),
                piece(&all, 30, end),
                piece(&all, 30, end),
            ],
            &[1, 2, 3, 4],
            messages(4),
        ),
        (
            "overlapping",
            vec![
                piece(&all, 0, 30),
                piece(&all, 20, 50),
                piece(&all, 10, end),
            ],
            &[1, 2, 3, 4],
            messages(4),
        ),
        (
            "retransmitted while it waits",
            vec![
                piece(&all, 0, 10),
                piece(&all, 30, end),
                piece(&all, 30, end),
                piece(&all, 10, 30),
            ],
            &[1, 2, 3, 4],
            messages(4),
        ),
        (
            "met in the middle of a message",
            vec![piece(&all, 10, LEN), piece(&all, LEN, end)],
            &[2, 3, 4],
            StreamStats {
                out_of_step: 1,
                ..messages(3)
            },
        ),
        (
            "a keep-alive probe",
            vec![piece(&all, 0, 30), Data(129, vec![0]), piece(&all, 30, end)],
            &[1, 2, 3, 4],
            messages(4),
        ),
        (
            "whole messages between halves",
            vec![
                piece(&all, 0, 10),
                piece(&all, 10, LEN),
                Whole(100 + LEN, 2),
                piece(&all, 2 * LEN, 50),
                piece(&all, 50, end),
            ],
            &[1, 3, 4],
            messages(3),
        ),
        (
            "a whole message too early",
            vec![
                piece(&all, 0, 10),
                Whole(100 + LEN, 2),
                piece(&all, 10, LEN),
                piece(&all, 2 * LEN, end),
            ],
            &[1, 3, 4],
            messages(3),
        ),
        (
            "a whole message that others wait for",
            vec![
                piece(&all, 0, 10),
                piece(&all, 10, LEN),
                piece(&all, 2 * LEN, end),
                Whole(100 + LEN, 2),
            ],
            &[1, 3, 4],
            messages(3),
        ),
        (
            "a whole message twice",
            vec![
                piece(&all, 0, 10),
                piece(&all, 10, LEN),
                Whole(100 + LEN, 2),
                Whole(100 + LEN, 2),
                piece(&all, 2 * LEN, end),
            ],
            &[1, 3, 4],
            messages(3),
        ),
        (
            "messages, a whole one, messages, all behind a gap",
            vec![
                piece(&all, 0, 10),
                piece(&all, LEN, 2 * LEN),
                Whole(100 + 2 * LEN, 3),
                piece(&all, 3 * LEN, end),
                piece(&all, 10, LEN),
            ],
            &[2, 4, 1],
            messages(3),
        ),
        (
            "the beginning last",
            vec![
                piece(&all, 2 * LEN, end),
                piece(&all, 0, LEN),
                piece(&all, LEN, 2 * LEN),
                piece(&all, 0, LEN),
            ],
            &[3, 4, 1, 2],
            messages(4),
        ),
        (
            "the beginning last, cut within messages",
            vec![
                piece(&all, 3 * LEN, end),
                piece(&all, 0, 30),
                piece(&all, 30, 3 * LEN),
                piece(&all, 30, 3 * LEN),
            ],
            &[4, 1, 2, 3],
            messages(4),
        ),
        (
            "half a message from before the beginning",
            vec![piece(&all, LEN, end), piece(&all, 10, LEN)],
            &[2, 3, 4],
            StreamStats {
                out_of_step: 1,
                ..messages(3)
            },
        ),
        (
            "whole messages behind a gap, twice",
            vec![
                piece(&all, 0, LEN),
                piece(&all, 2 * LEN, end),
                piece(&all, 2 * LEN, end),
            ],
            &[1, 3, 4],
            messages(3),
        ),
        (
            "a whole message of a stream that is not followed",
            vec![Whole(100, 1)],
            &[],
            messages(0),
        ),
        (
            "sequence numbers past their end",
            vec![
                Data(u32::MAX - 9, all[..20].to_vec()),
                Data(30, all[40..].to_vec()),
                Data(10, all[20..40].to_vec()),
            ],
            &[1, 2, 3, 4],
            messages(4),
        ),
        (
            "the ports taken by another connection",
            vec![piece(&all, 0, 30), Data(1 << 30, all.clone())],
            &[1, 1, 2, 3, 4],
            StreamStats {
                unfinished: 1,
                ..messages(5)
            },
        ),
        (
            "a stray segment of another connection before the first message",
            vec![
                Data(3 << 30, vec![0xff; 8]),
                piece(&all, 0, 30),
                piece(&all, 30, end),
            ],
            &[1, 2, 3, 4],
            StreamStats {
                out_of_step: 1,
                ..messages(4)
            },
        ),
        (
            "a length that no message has",
            vec![Data(100, [framed(1), vec![0, 11, 0, 0]].concat())],
            &[1],
            StreamStats {
                out_of_step: 1,
                ..messages(1)
            },
        ),
    ];
    for (name, steps, ids, mut stats) in cases {
        let mut run = Run::new(LIMITS);
        for step in &steps {
            run.step(step);
        }
        run.streams.finish();
        stats.streams = 0;
        assert_eq!(run.ids, ids, "{name}");
        assert_eq!(run.streams.stats(), stats, "{name}");
    }
}

#[test]
fn unreadable_messages_are_counted_and_passed_over() {
    let mut broken = framed(2);
    broken[14] = 0xc0;
    let mut run = Run::new(LIMITS);
    run.step(&Data(100, [framed(1), broken, framed(3)].concat()));
    assert_eq!(run.ids, [1, 3]);
    let rejected = run.streams.stats().rejected;
    assert_eq!(rejected[Reject::NamePointer.index()], 1);
    assert_eq!(rejected.iter().sum::<u64>(), 1);
}

#[test]
fn a_gap_that_never_closes_is_given_up() {
    let all = four();
    let mut run = Run::new(LIMITS);
    run.step(&piece(&all, 0, 10));
    // Octets 10 to 20 never come; each later segment is two messages.
    let segments = MAX_WAITING as u32 + 1;
    for number in 0..segments {
        let id = 100 + 2 * number as u16;
        let bytes = [framed(id), framed(id + 1)].concat();
        run.step(&Data(121 + number * 2 * LEN, bytes));
    }
    let ids: Vec<u16> = (100..100 + 2 * segments as u16).collect();
    assert_eq!(run.ids, ids);
    let expected = StreamStats {
        streams: 1,
        unfinished: 1,
        ..messages(2 * u64::from(segments))
    };
    assert_eq!(run.streams.stats(), expected);
}

#[test]
fn what_waits_in_a_gap_at_the_end_is_counted() {
    let all = four();
    let mut run = Run::new(LIMITS);
    run.step(&piece(&all, 0, 10));
    run.step(&piece(&all, LEN, 30));
    run.step(&piece(&all, 30, 84));
    run.streams.finish();
    let expected = StreamStats {
        out_of_step: 2,
        unfinished: 1,
        ..messages(0)
    };
    assert_eq!(run.streams.stats(), expected);
}

#[test]
fn a_stream_ends_with_fin() {
    let all = four();
    for (name, last, streams) in [
        ("its messages are complete", Fin(130, all[30..].to_vec()), 0),
        ("one is not", Fin(130, all[30..80].to_vec()), 1),
    ] {
        let mut run = Run::new(LIMITS);
        run.step(&piece(&all, 0, 30));
        run.step(&last);
        assert_eq!(run.streams.stats().streams, streams, "{name}");
    }
}

#[test]
fn idle_streams_are_forgotten() {
    let mut run = Run::new(LIMITS);
    run.step(&Data(100, framed(1)[..10].to_vec()));
    run.port += 1;
    run.time_ns = SECOND;
    run.step(&Data(100, framed(1)[..10].to_vec()));
    let streams_at = |run: &mut Run, now_ns| {
        run.streams.advance(now_ns);
        run.streams.stats().streams
    };
    assert_eq!(streams_at(&mut run, 30 * SECOND - 1), 2);
    assert_eq!(streams_at(&mut run, 30 * SECOND), 1);
    assert_eq!(streams_at(&mut run, 31 * SECOND), 0);
    let expected = StreamStats {
        unfinished: 2,
        ..messages(0)
    };
    assert_eq!(run.streams.stats(), expected);
}

#[test]
fn streams_are_bounded_in_number() {
    let mut run = Run::new(LIMITS);
    for _ in 0..10 {
        run.port += 1;
        run.step(&Data(100, framed(1)[..10].to_vec()));
    }
    let expected = StreamStats {
        streams: 4,
        memory: 40,
        unfinished: 6,
        evicted: 6,
        ..messages(0)
    };
    assert_eq!(run.streams.stats(), expected);
}

#[test]
fn the_longest_unheard_stream_goes_first() {
    let message = framed(7);
    let mut run = Run::new(LIMITS);
    for port in [1, 2, 3, 4, 1, 5] {
        run.port = port;
        let (sequence, bytes) = match run.streams.streams.contains(&stream_key_of(port)) {
            true => (110, message[10..15].to_vec()),
            false => (100, message[..10].to_vec()),
        };
        run.step(&Data(sequence, bytes));
    }
    run.port = 1;
    run.step(&Data(115, message[15..].to_vec()));
    assert_eq!(run.ids, [7]);
    assert!(!run.streams.streams.contains(&stream_key_of(2)));
}

fn stream_key_of(port: u16) -> Flow {
    Flow {
        hop_limit: 0,
        ..flow(port)
    }
}

#[test]
fn streams_are_bounded_in_memory() {
    let limits = Limits {
        memory: 2500,
        ..LIMITS
    };
    let mut run = Run::new(limits);
    let mut start = vec![0xff, 0xff];
    start.extend(&framed(1)[PREFIX..]);
    start.resize(1000, 0);
    for port in 1..=3 {
        run.port = port;
        run.step(&Data(100, start.clone()));
    }
    let expected = StreamStats {
        streams: 2,
        memory: 2000,
        unfinished: 1,
        evicted: 1,
        ..messages(0)
    };
    assert_eq!(run.streams.stats(), expected);
    // What waits counts like what is in order.
    run.step(&Data(10_000, vec![0; 600]));
    assert_eq!(run.streams.stats().memory, 1600);
    run.streams.finish();
    assert_eq!(run.streams.stats().memory, 0);
}
