//! Messages in IP fragments, from the capture to the counters: each packet is a
//! fragment, each message counts once.

use std::io::Cursor;

use dns_wire::{
    Settings,
    counters::{Counters, Outcome, Qr, Role},
    locate::{Family, Transport},
    message::EdnsState,
};
use xdsc::{
    read::{Reading, Report, Summary},
    source::file::Capture,
};

/// A response of `len` octets to `a. IN A`, and the UDP header before it.
fn datagram(len: usize) -> Vec<u8> {
    let mut datagram = vec![0, 53, 0x9c, 0x40];
    datagram.extend((8 + len as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend([0x12, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    datagram.extend([1, b'a', 0, 0, 1, 0, 1]);
    datagram.resize(8 + len, 0x35);
    datagram
}

/// The IPv4 fragment of a datagram from one octet to another.
fn fragment(datagram: &[u8], from: usize, to: usize) -> Vec<u8> {
    let data = &datagram[from..to];
    let more = to < datagram.len();
    let mut packet = vec![0x45, 0];
    packet.extend((20 + data.len() as u16).to_be_bytes());
    packet.extend([0, 7]);
    packet.extend((u16::from(more) << 13 | (from / 8) as u16).to_be_bytes());
    packet.extend([64, 17, 0, 0, 198, 51, 100, 53, 192, 0, 2, 1]);
    packet.extend(data);
    packet
}

/// A query that the response answers.
fn query() -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 47, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend([192, 0, 2, 1, 198, 51, 100, 53]);
    packet.extend([0x9c, 0x40, 0, 53, 0, 27, 0, 0]);
    packet.extend([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    packet.extend([1, b'a', 0, 0, 1, 0, 1]);
    packet
}

/// A capture of link type RAW; of each packet at most `snaplen` octets.
fn capture(packets: &[(u32, Vec<u8>)], snaplen: usize) -> Vec<u8> {
    let mut file = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0]);
    file.extend(101_u32.to_le_bytes());
    for (seconds, packet) in packets {
        let captured = packet.len().min(snaplen);
        for word in [
            1_700_000_000 + seconds,
            0,
            captured as u32,
            packet.len() as u32,
        ] {
            file.extend(word.to_le_bytes());
        }
        file.extend(&packet[..captured]);
    }
    file
}

fn read(file: Vec<u8>) -> Report {
    let mut reading = Reading::new(Settings::default(), Vec::new());
    let reader = Box::new(Cursor::new(file));
    let capture = Capture::from_reader("generated".to_owned(), reader).expect("a capture");
    let errors = reading.capture("generated".to_owned(), capture);
    assert!(errors.is_empty(), "{errors:?}");
    reading.finish()
}

/// Packets of both hooks by outcome.
fn outcomes(report: &Report, outcome: Outcome) -> u64 {
    let hooks = report.snapshot.hooks.iter();
    hooks.map(|hook| hook.packets.outcomes(outcome)).sum()
}

/// Responses of the server and their octets.
fn responses(counters: &Counters) -> (u64, u64) {
    counters.messages(Role::Server, Qr::Response, Family::Ipv4, Transport::Udp)
}

#[test]
fn fragmented_response_counts_once_whatever_comes_first() {
    let response = datagram(3000);
    let [a, b, c] =
        [(0, 1400), (1400, 2800), (2800, 3008)].map(|(from, to)| fragment(&response, from, to));
    for order in [
        [&a, &b, &c],
        [&a, &c, &b],
        [&b, &a, &c],
        [&b, &c, &a],
        [&c, &a, &b],
        [&c, &b, &a],
    ] {
        let mut packets = vec![(0, query())];
        packets.extend(order.map(|packet| (1, packet.clone())));
        // Once more, as a mirror port may.
        packets.push((1, a.clone()));
        let report = read(capture(&packets, 65_535));
        let messages = report.snapshot.messages();
        assert_eq!(responses(&messages), (1, 3000));
        assert_eq!(outcomes(&report, Outcome::Fragment), 4);
        assert_eq!(outcomes(&report, Outcome::Dns), 1);
        let pairing = report.snapshot.pairing.of(Role::Server, Transport::Udp);
        assert_eq!((pairing.answered, pairing.unsolicited), (1, 0));
        let fragments = Summary::new(&report).fragments;
        assert_eq!((fragments.datagrams, fragments.duplicates), (1, 1));
        assert_eq!(fragments.first_only + fragments.incomplete, 0);
    }
}

/// As a capture filter for a port leaves it.
#[test]
fn first_fragment_alone_counts_with_the_length_of_the_whole() {
    let response = datagram(3000);
    let first = fragment(&response, 0, 1400);
    for (name, packets) in [
        ("at the end", vec![(0, query()), (1, first.clone())]),
        ("on the way", vec![(0, query()), (1, first), (3, query())]),
    ] {
        let report = read(capture(&packets, 65_535));
        let messages = report.snapshot.messages();
        assert_eq!(responses(&messages), (1, 3000), "{name}");
        assert_eq!(outcomes(&report, Outcome::Fragment), 1, "{name}");
        let pairing = report.snapshot.pairing.of(Role::Server, Transport::Udp);
        assert_eq!(pairing.answered, 1, "{name}");
        assert_eq!(report.fragments.first_only, 1, "{name}");
    }
}

#[test]
fn rest_without_first_fragment_is_no_message() {
    let response = datagram(3000);
    let rest = fragment(&response, 1400, 3008);
    let report = read(capture(&[(0, rest)], 65_535));
    assert_eq!(responses(&report.snapshot.messages()), (0, 0));
    assert_eq!(outcomes(&report, Outcome::Fragment), 1);
    assert_eq!(report.fragments.incomplete, 1);
}

/// A question in two pieces: only together they are one.
#[test]
fn tiny_fragments_are_put_together() {
    let response = datagram(40);
    let packets =
        [(0, 16), (16, 24), (24, 48)].map(|(from, to)| (0, fragment(&response, from, to)));
    let report = read(capture(&packets, 65_535));
    let messages = report.snapshot.messages();
    assert_eq!(responses(&messages), (1, 40));
    let absent = messages.edns(Role::Server, Qr::Response, EdnsState::Absent);
    assert_eq!(absent, 1);
    assert_eq!(outcomes(&report, Outcome::Fragment), 3);
}

#[test]
fn cut_fragments_tell_what_the_first_one_holds() {
    let response = datagram(3000);
    let packets = [(0, 1400), (1400, 3008)].map(|(from, to)| (0, fragment(&response, from, to)));
    let report = read(capture(&packets, 96));
    assert_eq!(responses(&report.snapshot.messages()), (1, 3000));
    assert_eq!(report.fragments.first_only, 1);
}

/// Segments in fragments go the way of segments.
#[test]
fn fragmented_tcp_segment_is_one_message() {
    let message = &datagram(1000)[8..];
    let mut segment = vec![0, 53, 0x9c, 0x40, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18];
    segment.extend([0xff, 0xff, 0, 0, 0, 0]);
    segment.extend((message.len() as u16).to_be_bytes());
    segment.extend(message);
    let packets = [(496, segment.len()), (0, 496)].map(|(from, to)| {
        let mut packet = fragment(&segment, from, to);
        packet[9] = 6;
        (0, packet)
    });
    let report = read(capture(&packets, 65_535));
    let messages = report.snapshot.messages();
    let tcp = messages.messages(Role::Server, Qr::Response, Family::Ipv4, Transport::Tcp);
    assert_eq!(tcp, (1, 1000));
    assert_eq!(outcomes(&report, Outcome::Segment), 0);
    assert_eq!(outcomes(&report, Outcome::Fragment), 2);
}
