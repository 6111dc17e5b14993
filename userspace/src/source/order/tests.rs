//! Records of several rings, and the order in which they come out.

use dns_wire::{
    counters::{Hook, Role},
    locate::{Family, Flow, Payload, Transport},
    observe::{Context, Finding},
    record::{self, LINE, Stamp},
};

use super::*;

const ROOM: usize = 1 << 16;

/// A segment of the connection from a port, with its time for a payload.
fn segment(port: u16, time_ns: u64) -> Vec<u8> {
    let octets = time_ns.to_be_bytes();
    let flow = Flow {
        family: Family::Ipv4,
        transport: Transport::Tcp,
        hop_limit: 64,
        source: [1, 0],
        destination: [2, 0],
        source_port: port,
        destination_port: 53,
    };
    let context = Context {
        hook: Hook::Ingress,
        role: Role::Server,
        flow,
        sequence: 0,
    };
    let payload = Payload {
        family: flow.family,
        transport: flow.transport,
        hop_limit: flow.hop_limit,
        addresses_at: 0,
        source_port: flow.source_port,
        destination_port: flow.destination_port,
        at: 0,
        len: octets.len(),
        tcp_flags: 0,
        first_fragment: false,
        sequence: 0,
    };
    let stamp = Stamp {
        time_ns,
        position: 0,
        level: 0,
        share_bits: 0,
        paired: false,
        hash: 0,
    };
    let mut head = record::raw_head(&context, &payload, Finding::SEGMENT, &stamp);
    record::complete_raw_head(&mut head, 0, octets.len(), 0);
    let mut bytes: Vec<u8> = head.iter().flat_map(|word| word.to_ne_bytes()).collect();
    bytes.extend(octets);
    bytes.resize(record::lines(octets.len()) * LINE, 0);
    bytes
}

fn put(sorter: &mut Sorter, port: u16, times: &[u64]) {
    for time_ns in times {
        let bytes = segment(port, *time_ns);
        let put = sorter.put(&Record::parse(&bytes).expect("a record"));
        assert_eq!(put, Put::Waits);
    }
}

/// The times in a record's head and in its payload, which must agree.
fn time(record: &Record<'_>) -> u64 {
    let payload = record.payload().try_into().expect("eight octets");
    assert_eq!(u64::from_be_bytes(payload), record.time_ns());
    record.time_ns()
}

fn taken(sorter: &mut Sorter) -> Vec<u64> {
    let mut times = Vec::new();
    sorter.take(|record| times.push(time(record)));
    times
}

/// Two threads; of the ports, the first has its streams at thread 0, the second
/// at thread 1.
fn two(room: usize) -> ([Sorter; 2], [u16; 2]) {
    let sorters = Sorter::for_threads(2, room);
    let port_of = |owner| {
        let owns = |port: &u16| {
            let bytes = segment(*port, 0);
            let record = Record::parse(&bytes).expect("a record");
            sorters[0].places.owner(&record) == owner
        };
        (1024..).find(owns).expect("a port")
    };
    let ports = [port_of(0), port_of(1)];
    (sorters.try_into().expect("two"), ports)
}

#[test]
fn rings_of_one_thread_are_merged_up_to_the_time_of_the_look() {
    let mut sorters = Sorter::for_threads(1, ROOM);
    let sorter = &mut sorters[0];
    put(sorter, 1024, &[10, 30, 50]);
    put(sorter, 1024, &[20, 40, 60]);
    sorter.reach(50);
    assert_eq!(taken(sorter), [10, 20, 30, 40, 50]);
    put(sorter, 1024, &[70]);
    put(sorter, 1024, &[55]);
    sorter.reach(100);
    assert_eq!(taken(sorter), [55, 60, 70], "60 was after the first look");
    assert!(taken(sorter).is_empty());
}

#[test]
fn records_of_one_time_stay_as_their_ring_had_them() {
    let mut sorters = Sorter::for_threads(1, ROOM);
    let sorter = &mut sorters[0];
    for port in [3, 1, 2] {
        put(sorter, port, &[7]);
    }
    sorter.reach(7);
    let mut ports = Vec::new();
    sorter.take(|record| ports.push(record.flow().source_port));
    assert_eq!(ports, [3, 1, 2]);
}

#[test]
fn streams_are_put_in_order_by_the_thread_that_has_them() {
    let ([mut first, mut second], [port, other]) = two(ROOM);
    put(&mut first, port, &[10, 30]);
    put(&mut first, other, &[15]);
    first.reach(100);
    assert!(
        taken(&mut first).is_empty(),
        "the other may have older ones"
    );
    put(&mut second, port, &[20, 40]);
    second.reach(35);
    assert_eq!(taken(&mut first), [10, 20, 30]);
    assert_eq!(taken(&mut second), [15]);
    second.reach(100);
    assert_eq!(taken(&mut first), [40]);
}

#[test]
fn a_thread_that_hangs_keeps_no_more_back_than_there_is_room_for() {
    let each = size_of::<Entry>() + 8;
    let fit = (LEAST / each) as u64;
    let ([mut first, mut second], [port, _]) = two(LEAST);
    let times: Vec<_> = (0..fit).collect();
    put(&mut first, port, &times);
    let bytes = segment(port, fit);
    let record = Record::parse(&bytes).expect("a record");
    assert_eq!(first.put(&record), Put::AtOnce);
    first.reach(fit);
    assert_eq!(taken(&mut first), times, "though the other has not read");
    put(&mut first, port, &[fit + 1]);
    assert!(taken(&mut first).is_empty(), "there is room again");
    assert_eq!((first.unordered(), first.lost()), (1, 0));
    // The other way round: what is on the way to the first takes up its room.
    put(&mut second, port, &times);
    assert_eq!(second.put(&record), Put::Lost);
    second.reach(0);
    assert_eq!(second.lost(), 1);
    put(&mut second, port, &[1, 2]);
    second.reach(0);
    assert_eq!((second.lost(), second.unordered()), (3, 0));
}

#[test]
fn a_thread_that_has_ended_keeps_nobody_waiting() {
    let ([mut first, second], [port, _]) = two(ROOM);
    put(&mut first, port, &[10]);
    first.reach(100);
    assert!(taken(&mut first).is_empty());
    drop(second);
    assert_eq!(taken(&mut first), [10]);
}

#[test]
fn at_the_end_everything_is_handed_on() {
    let ([mut first, mut second], [port, _]) = two(ROOM);
    put(&mut first, port, &[10, 30]);
    put(&mut second, port, &[20]);
    second.reach(u64::MAX);
    let mut times = Vec::new();
    first.finish(|record| times.push(time(record)));
    assert_eq!(times, [10, 20, 30]);
}

#[test]
fn room_that_a_flood_took_is_given_back() {
    let mut sorters = Sorter::for_threads(1, 64 << 20);
    let sorter = &mut sorters[0];
    let many = (4 * KEPT / size_of::<Entry>()) as u64;
    let times: Vec<_> = (0..many).collect();
    put(sorter, 1024, &times);
    sorter.reach(many);
    assert_eq!(taken(sorter).len() as u64, many);
    for now in many..many + 4 {
        put(sorter, 1024, &[now]);
        sorter.reach(now);
        assert_eq!(taken(sorter), [now]);
    }
    for queue in [&sorter.waiting, &sorter.spare] {
        assert!(queue.entries.capacity() * size_of::<Entry>() <= KEPT);
    }
}
