//! What was written is read: in every variant, through every compression, in
//! steps of any size.

use proptest::prelude::*;

use super::super::{Capture, Compression, LinkType};
use super::writer::{
    IF_TSOFFSET, IF_TSRESOL, Order, Pcapng, Ticks, compress, pcap_header, pcap_record,
};
use super::{Sample, read, read_in_steps};

#[test]
fn pcap_packets_have_their_time_link_and_lengths() {
    let sample = Sample::ethernet(1_700_000_000_123_456_000, b"some bytes");
    for order in [Order::Big, Order::Little] {
        for ticks in [Ticks::Microseconds, Ticks::Nanoseconds] {
            let mut file = pcap_header(order, ticks, 1);
            file.extend(pcap_record(order, ticks, &sample));
            let (samples, end) = read(file);
            assert!(end.is_ok(), "{order:?} {ticks:?}: {end:?}");
            assert_eq!(
                samples,
                std::slice::from_ref(&sample),
                "{order:?} {ticks:?}"
            );
        }
    }
}

#[test]
fn the_upper_half_of_pcaps_link_type_is_ignored() {
    // A frame check sequence of 4 bytes: F and FCS length in the uppermost bits.
    let mut file = pcap_header(Order::Little, Ticks::Microseconds, 0x4400_0114);
    let sample = Sample {
        link: LinkType::LINUX_SLL2,
        ..Sample::ethernet(0, b"")
    };
    file.extend(pcap_record(Order::Little, Ticks::Microseconds, &sample));
    assert_eq!(read(file).0, [sample]);
}

#[test]
fn a_capture_without_packets_ends_at_once() {
    let pcap = pcap_header(Order::Big, Ticks::Nanoseconds, 101);
    let pcapng = Pcapng::new(Order::Big).bytes;
    for file in [pcap, pcapng] {
        let (samples, end) = read(file);
        assert!(end.is_ok(), "{end:?}");
        assert_eq!(samples, []);
    }
}

#[test]
fn each_pcapng_interface_has_its_own_clock_and_link_type() {
    for order in [Order::Big, Order::Little] {
        let mut file = Pcapng::new(order);
        file.interface(1, 0, &[]);
        file.interface(101, 0, &[(2, b"eth0"), (IF_TSRESOL, &[9])]);
        let offset = order.u64(1_600_000_000);
        file.interface(113, 0, &[(IF_TSRESOL, &[0x81]), (IF_TSOFFSET, &offset)]);
        file.enhanced(0, 5_000_001, 100, b"micro");
        file.enhanced(1, 5_000_000_007, 200, b"nano");
        file.obsolete(2, 3, 300, b"half");
        let expected = [
            (5_000_001_000, LinkType::ETHERNET, 100, &b"micro"[..]),
            (5_000_000_007, LinkType::RAW, 200, b"nano"),
            (1_600_000_001_500_000_000, LinkType::LINUX_SLL, 300, b"half"),
        ];
        assert_eq!(read(file.bytes).0, expected.map(sample), "{order:?}");
    }
}

#[test]
fn a_clock_option_after_the_end_of_options_is_not_one() {
    let mut file = Pcapng::new(Order::Little);
    file.interface(1, 0, &[(0, b""), (IF_TSRESOL, &[9])]);
    file.enhanced(0, 7, 60, b"");
    assert_eq!(read(file.bytes).0, [Sample::ethernet(7_000, b"")]);
}

#[test]
fn a_simple_packet_is_of_the_first_interface_cut_to_its_snaplen() {
    let mut file = Pcapng::new(Order::Little);
    file.interface(1, 5, &[]);
    file.interface(101, 0, &[]);
    file.simple(60, b"01234");
    file.simple(2, b"01");
    let expected = [
        (0, LinkType::ETHERNET, 60, &b"01234"[..]),
        (0, LinkType::ETHERNET, 2, b"01"),
    ];
    assert_eq!(read(file.bytes).0, expected.map(sample));
}

#[test]
fn a_simple_packet_without_snaplen_is_whole() {
    let mut file = Pcapng::new(Order::Big);
    file.interface(1, 0, &[]);
    file.simple(3, b"abc");
    let expected = [(0, LinkType::ETHERNET, 3, &b"abc"[..])];
    assert_eq!(read(file.bytes).0, expected.map(sample));
}

#[test]
fn blocks_of_other_kinds_are_skipped() {
    let mut file = Pcapng::new(Order::Little);
    file.block(4, b"name resolution.");
    file.interface(1, 0, &[]);
    file.block(0x8000_0001, &vec![0xee; 3 << 20]); // longer than the buffer
    file.enhanced(0, 1, 60, b"packet");
    file.block(5, b"");
    let (samples, end) = read(file.bytes);
    assert!(end.is_ok(), "{end:?}");
    assert_eq!(samples, [Sample::ethernet(1_000, b"packet")]);
}

#[test]
fn a_new_section_has_its_own_byte_order_and_interfaces() {
    let mut file = Pcapng::new(Order::Little);
    file.interface(1, 0, &[]);
    file.enhanced(0, 1, 60, b"first");
    file.section(Order::Big);
    file.interface(101, 0, &[(IF_TSRESOL, &[9])]);
    file.enhanced(0, 1, 70, b"second");
    let expected = [
        (1_000, LinkType::ETHERNET, 60, &b"first"[..]),
        (1, LinkType::RAW, 70, b"second"),
    ];
    assert_eq!(read(file.bytes).0, expected.map(sample));
}

#[test]
fn a_capture_longer_than_the_buffer_is_read_through() {
    let packets: Vec<Sample> = (0..3000)
        .map(|number: u64| {
            let length = usize::try_from(number % 1500).expect("small");
            Sample::ethernet(number * 1000, &vec![(number % 251) as u8; length])
        })
        .collect();
    let file = pcap_of(Order::Little, Ticks::Microseconds, &packets);
    assert!(file.len() > 2 << 20);
    assert_eq!(read(file).0, packets);
}

#[test]
fn compressed_pieces_one_after_the_other_are_one_capture() {
    let packets = [
        Sample::ethernet(1_000, b"one"),
        Sample::ethernet(2_000, b"two"),
    ];
    let file = pcap_of(Order::Little, Ticks::Microseconds, &packets);
    let (front, back) = file.split_at(30);
    for compression in COMPRESSIONS {
        let pieces = [compress(compression, front), compress(compression, back)].concat();
        let (samples, end) = read(pieces);
        assert!(end.is_ok(), "{compression:?}: {end:?}");
        assert_eq!(samples, packets, "{compression:?}");
    }
}

#[test]
fn a_zstd_file_may_start_with_a_skippable_frame() {
    let packets = [Sample::ethernet(1_000, b"one")];
    let file = pcap_of(Order::Little, Ticks::Microseconds, &packets);
    let mut compressed = b"\x50\x2a\x4d\x18\x04\0\0\0size".to_vec();
    compressed.extend(compress(Some(Compression::Zstd), &file));
    assert_eq!(read(compressed).0, packets);
}

#[test]
fn progress_counts_bytes_of_the_file_as_it_is() -> Result<(), Box<dyn std::error::Error>> {
    let packets = vec![Sample::ethernet(1_000, &[0; 1000]); 100];
    let file = pcap_of(Order::Little, Ticks::Microseconds, &packets);
    let compressed = compress(Some(Compression::Gzip), &file);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("named-otherwise.txt");
    std::fs::write(&path, &compressed)?;
    let mut capture = Capture::open(&path)?;
    while capture.next_packet()?.is_some() {}
    assert_eq!(capture.bytes_total(), Some(compressed.len() as u64));
    assert_eq!(capture.bytes_read(), compressed.len() as u64);
    assert_eq!(capture.packets_read(), 100);
    Ok(())
}

const COMPRESSIONS: [Option<Compression>; 4] = [
    None,
    Some(Compression::Gzip),
    Some(Compression::Xz),
    Some(Compression::Zstd),
];

fn sample((time_ns, link, wire_len, bytes): (u64, LinkType, u32, &[u8])) -> Sample {
    Sample {
        time_ns,
        link,
        wire_len,
        bytes: bytes.to_vec(),
    }
}

fn pcap_of(order: Order, ticks: Ticks, packets: &[Sample]) -> Vec<u8> {
    let mut file = pcap_header(order, ticks, 1);
    for packet in packets {
        file.extend(pcap_record(order, ticks, packet));
    }
    file
}

fn pcapng_of(order: Order, packets: &[Sample]) -> Vec<u8> {
    let mut file = Pcapng::new(order);
    file.interface(1, 0, &[(IF_TSRESOL, &[9])]);
    for packet in packets {
        file.enhanced(0, packet.time_ns, packet.wire_len, &packet.bytes);
    }
    file.bytes
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Big), Just(Order::Little)]
}

fn packets() -> impl Strategy<Value = Vec<Sample>> {
    let packet = (
        0..=u64::from(u32::MAX) * 1_000_000_000,
        any::<u32>(),
        prop::collection::vec(any::<u8>(), 0..100),
    );
    let packet = packet.prop_map(|(time_ns, wire_len, bytes)| Sample {
        time_ns,
        link: LinkType::ETHERNET,
        wire_len,
        bytes,
    });
    prop::collection::vec(packet, 0..20)
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        packets in packets(),
        order in orders(),
        compression in prop::sample::select(&COMPRESSIONS[..]),
        step in 1..100_usize,
    ) {
        for file in [pcap_of(order, Ticks::Nanoseconds, &packets), pcapng_of(order, &packets)] {
            let (samples, end) = read_in_steps(compress(compression, &file), step);
            prop_assert!(end.is_ok(), "{end:?}");
            prop_assert_eq!(&samples, &packets);
        }
    }
}
