//! Records of raw messages in, messages out.

use dns_wire::{
    Settings,
    counters::{Delivery, Hook},
    locate::Link,
    record::{LINE, MAX_SEGMENT},
};

use super::*;
use crate::source::observer::Observer;

/// A query for `a.` with a cookie, and so many octets behind it.
fn message(more: usize) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    message.extend([1, b'a', 0, 0, 1, 0, 1]);
    message.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12]);
    message.extend([0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    message.resize(message.len() + more, 0x35);
    message
}

/// An IPv4 packet from port 40000 to port 53; its UDP or TCP header is given.
fn packet(protocol: u8, header: &[u8], payload: &[u8]) -> Vec<u8> {
    let len = (20 + header.len() + payload.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    packet.extend([192, 0, 2, 1, 198, 51, 100, 53]);
    packet.extend(header);
    packet.extend(payload);
    packet
}

fn udp(message: &[u8]) -> Vec<u8> {
    let [high, low] = (8 + message.len() as u16).to_be_bytes();
    packet(17, &[0x9c, 0x40, 0, 53, high, low, 0, 0], message)
}

fn tcp(message: &[u8]) -> Vec<u8> {
    let mut header = vec![0x9c, 0x40, 0, 53, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x18];
    header.extend([0xff, 0xff, 0, 0, 0, 0]);
    let mut octets = (message.len() as u16).to_be_bytes().to_vec();
    octets.extend(message);
    packet(6, &header, &octets)
}

fn observer() -> Observer {
    Observer::new(Settings::default().with_whole_messages(true), Vec::new())
}

/// The records of a packet, each with its lines.
fn records(packet: &[u8]) -> Vec<Vec<u8>> {
    let mut observer = observer();
    let mut records = Vec::new();
    observer.observe(Slice::new(packet), Link::Raw, Hook::Ingress, 9, |record| {
        assert!(record.is_whole());
        records.push(lines(record));
    });
    records
}

/// The record as it lies in a ring.
fn lines(record: &Record<'_>) -> Vec<u8> {
    let mut bytes: Vec<u8> = record
        .words()
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    bytes.extend(record.payload());
    bytes.resize(bytes.len().next_multiple_of(LINE), 0);
    bytes
}

/// The messages that come of records, and how many are broken.
fn assembled(records: &[Vec<u8>]) -> (Vec<Vec<u8>>, u64) {
    let mut assembler = Assembler::default();
    let mut messages = Vec::new();
    for bytes in records {
        let record = Record::parse(bytes).expect("a record");
        if let Some(whole) = assembler.take(&record) {
            messages.push(whole.octets.to_vec());
        }
    }
    assembler.finish();
    (messages, assembler.broken())
}

#[test]
fn message_of_any_length_comes_out_as_it_was() {
    for more in [0, 1405, 1406, 1407, 3000, 65_000] {
        let message = message(more);
        for packet in [udp(&message), tcp(&message)] {
            let found = assembled(&records(&packet));
            assert_eq!(found, (vec![message.clone()], 0), "{more} octets more");
        }
    }
}

#[test]
fn record_is_that_of_the_message() {
    for (packet, sequence) in [(udp(&message(2000)), 0), (tcp(&message(2000)), 7)] {
        let records = records(&packet);
        assert_eq!(records.len(), 2);
        let mut assembler = Assembler::default();
        let [first, last] = [0, 1].map(|place| Record::parse(&records[place]).expect("a record"));
        assert!(assembler.take(&first).is_none());
        let whole = assembler.take(&last).expect("a message");
        assert_eq!(whole.record.payload(), b"\x01a\0");
        assert_eq!(whole.record.len(), 2042);
        assert_eq!(whole.record.sequence(), sequence);
        assert_eq!(whole.record.time_ns(), 9);
        assert_eq!(whole.record.message().opt, whole.message.opt);
        assert_eq!(whole.message.opt.options_len(), 12);
        assert_eq!(whole.message.header.id(), 0x1234);
        assert!(!whole.record.is_whole() && !whole.record.is_segment());
    }
}

#[test]
fn lost_parts_cost_their_message_only() {
    let long = records(&udp(&message(4000)));
    let short = records(&udp(&message(0)));
    let [a, b, c] = [0, 1, 2].map(|part| long[part].clone());
    let next = short[0].clone();
    let (long, short) = (message(4000), message(0));
    for (name, given, messages, broken) in [
        ("all", vec![&a, &b, &c, &next], vec![&long, &short], 0),
        ("first lost", vec![&b, &c, &next], vec![&short], 0),
        ("middle lost", vec![&a, &c, &next], vec![&short], 1),
        ("last lost", vec![&a, &b, &next], vec![&short], 1),
        ("twice", vec![&a, &b, &b, &c, &next], vec![&short], 1),
        ("end", vec![&next, &a, &b], vec![&short], 1),
    ] {
        let given: Vec<_> = given.into_iter().cloned().collect();
        let messages: Vec<_> = messages.into_iter().cloned().collect();
        assert_eq!(assembled(&given), (messages, broken), "{name}");
    }
}

#[test]
fn parts_have_at_most_the_octets_of_a_record() {
    let records = records(&udp(&message(2 * MAX_SEGMENT)));
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record.len() % LINE == 0));
}

/// A capture that cut the packet gives the record of what is there.
#[test]
fn cut_packets_are_not_handed_on_raw() {
    let packet = udp(&message(1000));
    let mut observer = observer();
    let mut names = Vec::new();
    let cut = Slice::captured(&packet[..200], packet.len());
    observer.observe(cut, Link::Raw, Hook::Ingress, 0, |record| {
        assert!(!record.is_whole());
        names.push(record.payload().to_vec());
    });
    assert_eq!(names, [b"\x01a\0"]);
    let counters = observer.counters(Hook::Ingress);
    assert_eq!(counters.records(Delivery::Delivered), 1);
}
