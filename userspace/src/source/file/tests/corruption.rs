//! What is cut off, damaged or hostile: an error that says where, after all the
//! packets before it, and neither a panic nor memory at the file's command.

use std::io::{self, Read};
use std::path::Path;

use proptest::prelude::*;

use super::super::{Capture, CaptureError, Compression, Damage, Fault};
use super::writer::{
    IF_TSOFFSET, IF_TSRESOL, Order, Pcapng, Ticks, compress, pcap_header, pcap_record,
};
use super::{Sample, read};

/// A file and where it may end: after its start, and after each packet.
struct Cuttable {
    file: Vec<u8>,
    clean_ends: Vec<usize>,
}

fn packets() -> [Sample; 3] {
    [
        Sample::ethernet(1_000, b"one"),
        Sample::ethernet(2_000, b""),
        Sample::ethernet(3_000, b"number three"),
    ]
}

fn cuttable_pcap() -> Cuttable {
    let mut file = pcap_header(Order::Big, Ticks::Microseconds, 1);
    let mut clean_ends = vec![file.len()];
    for packet in packets() {
        file.extend(pcap_record(Order::Big, Ticks::Microseconds, &packet));
        clean_ends.push(file.len());
    }
    Cuttable { file, clean_ends }
}

fn cuttable_pcapng() -> Cuttable {
    let mut file = Pcapng::new(Order::Big);
    file.interface(1, 0, &[]);
    let mut clean_ends = vec![file.bytes.len()];
    for packet in packets() {
        file.enhanced(0, packet.time_ns / 1_000, packet.wire_len, &packet.bytes);
        clean_ends.push(file.bytes.len());
    }
    Cuttable {
        file: file.bytes,
        clean_ends,
    }
}

#[test]
fn a_cut_file_gives_every_whole_packet_and_then_says_so() {
    for (name, Cuttable { file, clean_ends }) in
        [("pcap", cuttable_pcap()), ("pcapng", cuttable_pcapng())]
    {
        for cut in clean_ends[0]..=file.len() {
            let whole = clean_ends.iter().filter(|end| **end <= cut).count() - 1;
            let (samples, end) = read(file[..cut].to_vec());
            assert_eq!(samples, packets()[..whole], "{name} cut at {cut}");
            if cut == clean_ends[whole] {
                assert!(end.is_ok(), "{name} cut at {cut}: {end:?}");
            } else {
                let error = end.expect_err("the file is cut");
                assert_eq!(error.packets, whole as u64, "{name} cut at {cut}");
                assert_truncated(&error, clean_ends[whole] as u64);
            }
        }
    }
}

#[test]
fn a_file_cut_in_its_header_is_an_error() {
    let pcap = cuttable_pcap().file;
    for cut in 0..24 {
        let error = read(pcap[..cut].to_vec()).1.expect_err("the file is cut");
        match cut {
            0..4 => assert!(matches!(error.fault, Fault::NotACapture { .. }), "{cut}"),
            _ => assert_truncated(&error, 0),
        }
    }
    let pcapng = cuttable_pcapng().file;
    for cut in 4..28 {
        let error = read(pcapng[..cut].to_vec()).1.expect_err("the file is cut");
        assert_truncated(&error, 0);
    }
}

#[test]
fn a_cut_compressed_file_is_truncated_wherever_it_is_cut() {
    let file = cuttable_pcap().file;
    for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
        let compressed = compress(Some(compression), &file);
        for cut in 6..compressed.len() {
            let (samples, end) = read(compressed[..cut].to_vec());
            let error = end.expect_err("the file is cut");
            assert!(
                packets().starts_with(&samples),
                "{compression} cut at {cut}"
            );
            assert!(
                matches!(error.fault, Fault::Truncated { .. }),
                "{compression} cut at {cut}: {error}"
            );
        }
    }
}

#[test]
fn damaged_compression_takes_little_with_it() {
    let packet = Sample::ethernet(0, &[0xaa; 1000]);
    let mut file = pcap_header(Order::Big, Ticks::Microseconds, 1);
    for _ in 0..1000 {
        file.extend(pcap_record(Order::Big, Ticks::Microseconds, &packet));
    }
    for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
        let mut compressed = compress(Some(compression), &file);
        compressed.extend(b"garbage after the end");
        let (samples, end) = read(compressed);
        let error = end.expect_err("the file is damaged");
        assert!(samples.len() > 930, "{compression}: {}", samples.len());
        assert!(
            matches!(error.fault, Fault::Decompression { compression: by, .. } if by == compression),
            "{compression}: {error}"
        );
    }
}

#[test]
fn a_packet_longer_than_any_capture_takes_is_refused() {
    let sample = Sample::ethernet(0, &[0; 262_145]);
    let mut file = pcap_header(Order::Little, Ticks::Microseconds, 1);
    file.extend(pcap_record(Order::Little, Ticks::Microseconds, &sample));
    let damage = Damage::PacketLength {
        length: 262_145,
        limit: 262_144,
    };
    assert_eq!(damage_of(file), (24, damage));
}

#[test]
fn the_longest_packet_is_accepted() {
    let sample = Sample::ethernet(0, &[7; 262_144]);
    let mut file = pcap_header(Order::Little, Ticks::Microseconds, 1);
    file.extend(pcap_record(Order::Little, Ticks::Microseconds, &sample));
    assert_eq!(read(file).0, [sample]);
}

#[test]
fn block_lengths_that_cannot_be_are_refused() {
    for length in [0, 8, 13, (16 << 20) + 4, u32::MAX] {
        let mut file = Pcapng::new(Order::Little).bytes;
        file.extend([0xaa; 4]);
        file.extend(length.to_le_bytes());
        let limit = 16 << 20;
        assert_eq!(damage_of(file), (28, Damage::BlockLength { length, limit }));
    }
}

#[test]
fn a_blocks_two_lengths_must_agree() {
    let mut file = Pcapng::new(Order::Big);
    file.block(0xbeef, b"four");
    let last = file.bytes.len() - 1;
    file.bytes[last] = 20;
    let damage = Damage::BlockLengthsDiffer {
        leading: 16,
        trailing: 20,
    };
    assert_eq!(damage_of(file.bytes), (28, damage));
}

#[test]
fn a_packet_must_fit_its_block() {
    // Captured length of 5 in a block with room for 4.
    let mut body = [0; 24];
    body[12] = 5;
    for kind in [2, 6] {
        let mut file = Pcapng::new(Order::Little);
        file.interface(1, 0, &[]);
        file.block(kind, &body);
        assert_eq!(damage_of(file.bytes), (48, Damage::BlockTooShort), "{kind}");
    }
    let mut file = Pcapng::new(Order::Little);
    file.interface(1, 0, &[]);
    file.simple(9, b"01234567");
    assert_eq!(damage_of(file.bytes), (48, Damage::BlockTooShort));
}

#[test]
fn a_packet_of_an_interface_not_described_in_its_section_is_refused() {
    let mut file = Pcapng::new(Order::Little);
    file.interface(1, 0, &[]);
    file.section(Order::Little);
    file.enhanced(0, 0, 0, b"");
    let damage = Damage::UnknownInterface {
        interface: 0,
        known: 0,
    };
    assert_eq!(damage_of(file.bytes), (76, damage));
}

#[test]
fn clock_options_of_another_size_are_refused() {
    for (code, value) in [(IF_TSRESOL, &b"\x06\x06"[..]), (IF_TSOFFSET, b"1234")] {
        let mut file = Pcapng::new(Order::Little);
        file.interface(1, 0, &[(code, value)]);
        let length = value.len();
        assert_eq!(
            damage_of(file.bytes),
            (28, Damage::OptionLength { code, length })
        );
    }
}

#[test]
fn interfaces_without_number_are_refused() {
    let mut file = Pcapng::new(Order::Little);
    for _ in 0..65_537 {
        file.interface(1, 0, &[]);
    }
    let offset = 28 + 65_536 * 20;
    let damage = Damage::TooManyInterfaces { limit: 65_536 };
    assert_eq!(damage_of(file.bytes), (offset, damage));
}

#[test]
fn a_section_of_unknown_byte_order_is_refused() {
    let mut file = Pcapng::new(Order::Little).bytes;
    file[8..12].copy_from_slice(b"\x3c\x4d\x1a\x2b");
    let magic = *b"\x3c\x4d\x1a\x2b";
    assert_eq!(damage_of(file), (0, Damage::ByteOrder { magic }));
}

#[test]
fn other_versions_are_refused_by_their_number() {
    let mut pcap = pcap_header(Order::Big, Ticks::Microseconds, 1);
    pcap[7] = 3;
    let mut pcapng = Pcapng::new(Order::Little).bytes;
    pcapng[12] = 2;
    for (file, expected) in [(pcap, ("pcap", 2, 3)), (pcapng, ("pcapng", 2, 0))] {
        let error = read(file).1.expect_err("an unsupported version");
        let Fault::Version {
            format,
            major,
            minor,
            ..
        } = error.fault
        else {
            panic!("{error}");
        };
        assert_eq!((format, major, minor), expected);
    }
}

#[test]
fn pcapng_of_minor_version_2_is_read() {
    let mut file = cuttable_pcapng().file;
    file[15] = 2;
    assert_eq!(read(file).0, packets());
}

#[test]
fn what_is_no_capture_is_named() {
    let table = [
        (&b""[..], "nothing, being empty"),
        (b"# Text", "the bytes [23, 20, 54, 65, 78, 74]"),
        (b"\xd4\xc3\xb2", "the bytes [d4, c3, b2]"),
        (b"BZh91AY&SY", "bzip2-compressed data"),
        (b"\x34\xcd\xb2\xa1\x02\0\x04\0", "the \"modified\" pcap"),
        (b"snoop\0\0\0\0\0\0\x02", "a snoop capture"),
    ];
    for (start, expected) in table {
        let error = read(start.to_vec()).1.expect_err("no capture").to_string();
        let expected = format!("test.pcap: is not a capture: it starts with {expected}");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn a_missing_file_is_told_with_path_and_cause() {
    let error = Capture::open(Path::new("/nonexistent/x.pcap"))
        .err()
        .expect("there is no such file");
    assert_eq!(
        error.to_string(),
        "/nonexistent/x.pcap: cannot be opened: No such file or directory (os error 2); \
         check the path and the permission to read it"
    );
}

#[test]
fn a_folder_cannot_be_opened() {
    let error = Capture::open(Path::new("/")).err().expect("a folder");
    assert!(matches!(error.fault, Fault::Open { .. }), "{error}");
}

#[test]
fn a_truncated_file_is_told_with_place_and_packets() {
    let Cuttable { file, clean_ends } = cuttable_pcap();
    let error = read(file[..clean_ends[2] + 1].to_vec()).1;
    assert_eq!(
        error.expect_err("the file is cut").to_string(),
        "test.pcap: is truncated: it ends within the header, record or block that starts at \
         byte 59 (after decompression, if any); the capture was cut off, or is still being \
         written \
         (2 packets before it were read)"
    );
}

#[test]
fn a_disk_that_fails_is_no_fault_of_the_file() {
    struct FailingDisk;
    impl Read for FailingDisk {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    let file = cuttable_pcap().file;
    for compression in [None, Some(Compression::Gzip), Some(Compression::Xz)] {
        let compressed = compress(compression, &file);
        let half = compressed.len() / 2;
        let disk = io::Cursor::new(compressed[..half].to_vec()).chain(FailingDisk);
        let error = Capture::from_reader("test.pcap".to_owned(), Box::new(disk))
            .map_or_else(Err, |capture| super::read_all(capture).1)
            .expect_err("the disk fails");
        assert!(
            matches!(&error.fault, Fault::Read { cause, .. } if cause.raw_os_error() == Some(5)),
            "{compression:?}: {error}"
        );
    }
}

fn assert_truncated(error: &CaptureError, expected: u64) {
    let Fault::Truncated { offset } = error.fault else {
        panic!("not truncated: {error}");
    };
    assert_eq!(offset, expected);
}

fn damage_of(file: Vec<u8>) -> (u64, Damage) {
    let error = read(file).1.expect_err("the file is corrupt");
    let Fault::Corrupt { offset, damage } = error.fault else {
        panic!("not corrupt: {error}");
    };
    (offset, damage)
}

proptest! {
    #[test]
    fn any_bytes_after_a_valid_start_are_survived(
        start in 0..4_usize,
        noise in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut file = match start {
            0 => Vec::new(),
            1 => pcap_header(Order::Little, Ticks::Nanoseconds, 1),
            2 => Pcapng::new(Order::Big).bytes,
            _ => cuttable_pcapng().file,
        };
        file.extend(noise);
        let _ = read(file);
    }

    #[test]
    fn any_interface_and_packet_contents_are_survived(
        interface in prop::collection::vec(any::<u8>(), 0..60),
        blocks in prop::collection::vec(
            (0..8_u32, prop::collection::vec(any::<u8>(), 0..60)), 0..6,
        ),
    ) {
        let mut file = Pcapng::new(Order::Little);
        file.interface(1, 0, &[]);
        file.block(1, &interface[..interface.len() / 4 * 4]);
        for (kind, body) in blocks {
            file.block(kind, &body[..body.len() / 4 * 4]);
        }
        let _ = read(file.bytes);
    }

    #[test]
    fn any_changed_byte_is_survived(
        place: prop::sample::Index, value: u8, compressed: bool, pcapng: bool,
    ) {
        let file = if pcapng { cuttable_pcapng() } else { cuttable_pcap() }.file;
        let compression = compressed.then_some(Compression::Zstd);
        let mut file = compress(compression, &file);
        let place = place.index(file.len());
        file[place] = value;
        let _ = read(file);
    }
}
