//! Fragments in, datagrams out.

use proptest::{collection::vec, prelude::*};

use super::*;

const SECOND: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V4,
    /// With so many octets of hop-by-hop options before the Fragment header.
    V6(usize),
}

const VERSIONS: [Version; 3] = [Version::V4, Version::V6(0), Version::V6(16)];

/// The packet without fragmentation: an IP header, and UDP's protocol number.
fn whole(version: Version, data: &[u8]) -> Vec<u8> {
    let len = data.len();
    match version {
        Version::V4 => packet4(data, 20 + len, 0, 0),
        Version::V6(options) => {
            let mut packet = header6(options, options + len, 17);
            packet.extend(data);
            packet
        }
    }
}

/// A fragment of such a packet, with the ID given.
fn fragment(version: Version, id: u16, offset: usize, more: bool, data: &[u8]) -> Vec<u8> {
    let len = data.len();
    match version {
        Version::V4 => {
            let flags = u16::from(more) << 13 | (offset / 8) as u16;
            packet4(data, 20 + len, id, flags)
        }
        Version::V6(options) => {
            let mut packet = header6(options, options + 8 + len, 44);
            packet.extend([17, 0]);
            packet.extend((offset as u16 | u16::from(more)).to_be_bytes());
            packet.extend(u32::from(id).to_be_bytes());
            packet.extend(data);
            packet
        }
    }
}

fn packet4(data: &[u8], total: usize, id: u16, fragment: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((total as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 53]);
    packet.extend(data);
    packet
}

fn header6(options: usize, payload: usize, next: u8) -> Vec<u8> {
    let first = if options == 0 { next } else { 0 };
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload as u16).to_be_bytes());
    packet.extend([first, 64]);
    packet.extend([0x20; 16]);
    packet.extend([0x30; 16]);
    if options > 0 {
        packet.extend([next, (options / 8 - 1) as u8]);
        packet.resize(40 + options, 0);
    }
    packet
}

fn octets(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place % 251) as u8).collect()
}

/// Fragments that end at the given multiples of eight octets.
fn cut(version: Version, id: u16, data: &[u8], ends: &[usize]) -> Vec<Vec<u8>> {
    let mut from = 0;
    let mut fragments = Vec::new();
    for end in ends.iter().map(|end| end * 8).chain([data.len()]) {
        if end > from && end <= data.len() {
            let more = end < data.len();
            fragments.push(fragment(version, id, from, more, &data[from..end]));
            from = end;
        }
    }
    fragments
}

/// IPv4 keeps its ID, which no datagram needs.
fn expected(version: Version, id: u16, data: &[u8]) -> Vec<u8> {
    let mut packet = whole(version, data);
    if version == Version::V4 {
        packet[4..6].copy_from_slice(&id.to_be_bytes());
    }
    packet
}

fn take(fragments: &mut Fragments, packet: &[u8], time_ns: u64) -> Option<Vec<u8>> {
    let datagram = fragments.take(packet, packet.len(), time_ns)?;
    assert_eq!(datagram.wire_len, datagram.octets.len());
    Some(datagram.octets)
}

fn fresh() -> Fragments {
    Fragments::new(Limits::default())
}

proptest! {
    #[test]
    fn datagram_comes_of_its_fragments_in_any_order(
        version in prop::sample::select(&VERSIONS[..]),
        len in 1_usize..3000,
        ends in prop::collection::btree_set(1_usize..375, 0..12),
        order in vec(any::<prop::sample::Index>(), 0..40),
        id: u16,
    ) {
        let data = octets(len);
        let ends: Vec<_> = ends.into_iter().collect();
        let mut packets = cut(version, id, &data, &ends);
        // Some twice, all at least once.
        let total = packets.len();
        let again: Vec<_> = order.iter().map(|at| at.get(&packets).clone()).collect();
        packets.extend(again);
        for (place, at) in order.iter().enumerate() {
            let other = at.index(packets.len());
            let place = place % packets.len();
            packets.swap(place, other);
        }
        let mut fragments = fresh();
        let mut datagrams = Vec::new();
        for packet in &packets {
            datagrams.extend(take(&mut fragments, packet, 5));
        }
        prop_assert_eq!(datagrams, [expected(version, id, &data)]);
        let stats = fragments.stats();
        prop_assert_eq!(stats.datagrams, 1);
        prop_assert_eq!(stats.duplicates as usize, packets.len() - total);
        prop_assert_eq!(stats.memory, 0);
        prop_assert!(fragments.due(90 * SECOND).is_none());
        prop_assert!(fragments.finish().is_none());
        prop_assert_eq!(fragments.stats().incomplete, 0);
    }

    #[test]
    fn nothing_breaks_on_any_octets(
        packets in vec((vec(any::<u8>(), 0..80), 0_usize..200, 0_u64..100), 0..60),
        version in prop::sample::select(&[0x40_u8, 0x45, 0x60, 0][..]),
    ) {
        let limits = Limits { datagrams: 4, memory: 600, timeout_ns: 60 * SECOND };
        let mut fragments = Fragments::new(limits);
        for (mut packet, more, seconds) in packets {
            if let (Some(first), true) = (packet.first_mut(), version != 0) {
                *first = version;
            }
            let wire_len = packet.len() + more;
            let _ = fragments.take(&packet, wire_len, seconds * SECOND);
            let _ = fragments.due(seconds * SECOND);
            prop_assert!(fragments.stats().memory <= 600);
        }
        while fragments.finish().is_some() {}
        prop_assert_eq!(fragments.stats().memory, 0);
    }
}

/// RFC 5722, section 4: what overlaps is discarded, and what comes later, too.
#[test]
fn overlapping_fragments_cost_the_datagram() {
    let data = octets(64);
    let other = [0xee; 64];
    for version in VERSIONS {
        let piece = |from: usize, to: usize| fragment(version, 7, from, to < 64, &data[from..to]);
        let cases = [
            ("within", vec![piece(0, 32), piece(8, 16)]),
            ("into the one before", vec![piece(0, 16), piece(8, 32)]),
            ("into the one behind", vec![piece(16, 32), piece(8, 24)]),
            ("around", vec![piece(8, 16), piece(0, 32)]),
            ("longer", vec![piece(0, 16), piece(0, 32)]),
            (
                "behind the last",
                vec![piece(16, 64), fragment(version, 7, 64, true, &data[..8])],
            ),
            (
                "another last before",
                vec![
                    piece(32, 48),
                    fragment(version, 7, 16, false, &data[16..24]),
                ],
            ),
            (
                "other octets",
                vec![piece(0, 16), fragment(version, 7, 0, true, &other[..16])],
            ),
        ];
        for (name, packets) in cases {
            let mut fragments = fresh();
            let all = [piece(0, 16), piece(16, 64)];
            for packet in packets.iter().chain(&all) {
                assert_eq!(take(&mut fragments, packet, 0), None, "{name} {version:?}");
            }
            let stats = fragments.stats();
            assert_eq!(stats.overlapping, 1, "{name} {version:?}");
            assert_eq!(stats.memory, 0, "{name} {version:?}");
            assert_eq!(fragments.due(2 * SECOND), None, "{name} {version:?}");
        }
    }
}

#[test]
fn fragments_of_different_datagrams_do_not_mix() {
    for version in VERSIONS {
        let (a, b) = (octets(40), vec![9; 40]);
        let [first_a, last_a] = [0, 1].map(|at| cut(version, 1, &a, &[2])[at].clone());
        let [first_b, last_b] = [0, 1].map(|at| cut(version, 2, &b, &[2])[at].clone());
        let mut fragments = fresh();
        assert_eq!(take(&mut fragments, &first_a, 0), None);
        assert_eq!(take(&mut fragments, &last_b, 0), None);
        let found = take(&mut fragments, &first_b, 0);
        assert_eq!(found, Some(expected(version, 2, &b)));
        let found = take(&mut fragments, &last_a, 0);
        assert_eq!(found, Some(expected(version, 1, &a)));
    }
}

#[test]
fn first_fragment_speaks_once_when_the_others_do_not_come() {
    for version in VERSIONS {
        let data = octets(64);
        let packets = cut(version, 3, &data, &[4]);
        let mut fragments = fresh();
        assert_eq!(take(&mut fragments, &packets[0], 10), None);
        assert_eq!(fragments.due(SECOND), None, "not yet");
        let first = fragments.due(SECOND + 10).expect("the first fragment");
        assert_eq!((first.octets, first.time_ns), (packets[0].clone(), 10));
        assert_eq!(fragments.due(SECOND + 10), None, "once");
        assert_eq!(take(&mut fragments, &packets[1], SECOND + 20), None, "late");
        assert_eq!(fragments.finish(), None);
        let stats = fragments.stats();
        assert_eq!((stats.first_only, stats.datagrams), (1, 0));
        assert_eq!(stats.memory, 0);
    }
}

#[test]
fn end_gives_out_first_fragments_and_nothing_else() {
    let data = octets(64);
    let [first, _] = [0, 1].map(|at| cut(Version::V4, 3, &data, &[4])[at].clone());
    let last = cut(Version::V4, 4, &data, &[4])[1].clone();
    let mut fragments = fresh();
    take(&mut fragments, &first, 10);
    take(&mut fragments, &last, 10);
    assert_eq!(fragments.finish().map(|one| one.octets), Some(first));
    assert_eq!(fragments.finish(), None);
    assert_eq!(fragments.stats().incomplete, 1);
    assert_eq!(fragments.stats().memory, 0);
}

#[test]
fn rest_is_forgotten_after_sixty_seconds() {
    let packets = cut(Version::V4, 3, &octets(64), &[4]);
    let mut fragments = fresh();
    take(&mut fragments, &packets[1], 0);
    assert_eq!(fragments.due(60 * SECOND), None);
    assert_eq!(fragments.stats().incomplete, 0);
    assert_eq!(fragments.due(60 * SECOND + 1), None);
    assert_eq!(fragments.stats().incomplete, 1);
    assert_eq!(take(&mut fragments, &packets[0], 60 * SECOND + 2), None);
}

/// IDs of 16 bits come again soon.
#[test]
fn id_is_free_again_a_second_after_its_datagram() {
    let data = octets(64);
    let packets = cut(Version::V4, 3, &data, &[4]);
    let mut fragments = fresh();
    for (time_ns, datagrams) in [(0, 1), (SECOND / 2, 1), (2 * SECOND, 2)] {
        for packet in &packets {
            take(&mut fragments, packet, time_ns);
        }
        assert_eq!(fragments.stats().datagrams, datagrams, "{time_ns} ns");
    }
    assert_eq!(fragments.stats().duplicates, 2);
}

#[test]
fn fragments_that_fit_nowhere_are_malformed() {
    let long = octets(2000);
    for (name, packet) in [
        ("no data", fragment(Version::V4, 1, 8, true, &[])),
        (
            "no multiple of eight",
            fragment(Version::V4, 1, 0, true, &[1; 9]),
        ),
        ("too far", fragment(Version::V4, 1, 65_528, false, &long)),
        ("too far", fragment(Version::V6(0), 1, 65_528, false, &long)),
        ("no data", fragment(Version::V6(0), 1, 8, true, &[])),
        ("no Fragment header", whole(Version::V6(16), &[1; 8])),
        ("no IP", vec![0; 60]),
        ("nothing", Vec::new()),
    ] {
        let mut fragments = fresh();
        assert_eq!(take(&mut fragments, &packet, 0), None, "{name}");
        assert_eq!(fragments.stats().malformed, 1, "{name}");
        assert_eq!(fragments.stats().memory, 0, "{name}");
    }
}

/// The header of a capture's packet, but not all of its octets.
#[test]
fn cut_fragments_make_no_datagram_but_may_speak() {
    let packets = cut(Version::V4, 3, &octets(64), &[4]);
    let (first, last) = (&packets[0], &packets[1]);
    let mut fragments = fresh();
    assert_eq!(fragments.take(&first[..30], first.len(), 0), None);
    assert_eq!(take(&mut fragments, last, 0), None);
    let datagram = fragments.due(SECOND).expect("the first fragment");
    assert_eq!(datagram.octets, first[..30]);
    assert_eq!(datagram.wire_len, first.len());
}

/// A flood of fragments whose datagrams are never complete.
#[test]
fn memory_is_bounded_whatever_comes() {
    let limits = Limits {
        datagrams: 100,
        memory: 50_000,
        timeout_ns: 60 * SECOND,
    };
    let mut fragments = Fragments::new(limits);
    for id in 0..20_000_u16 {
        let packet = fragment(Version::V4, id, 8, true, &[1; 8]);
        take(&mut fragments, &packet, 0);
    }
    assert!(fragments.stats().memory <= 100 * 128);
    assert_eq!(fragments.stats().evicted, 20_000 - 100);
    for offset in (16..65_000).step_by(16) {
        let packet = fragment(Version::V6(0), 1, offset, true, &[1; 8]);
        take(&mut fragments, &packet, 0);
        assert!(fragments.stats().memory <= 50_000, "{offset}");
    }
    for id in 0..2000 {
        take(
            &mut fragments,
            &fragment(Version::V6(0), id, 0, true, &[1; 1400]),
            0,
        );
        let _ = fragments.due(0);
        assert!(fragments.stats().memory <= 50_000, "{id}");
        assert!(fragments.firsts.len() <= 100, "{id}");
    }
    while fragments.finish().is_some() {}
    assert_eq!(fragments.stats().memory, 0);
}
