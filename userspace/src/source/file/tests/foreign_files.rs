//! Captures written by others.

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::super::{Capture, LinkType};
use super::{Sample, read};

/// Wireshark's `editcap -s 20 -F pcapng`, of one packet that `tcpdump -tt`
/// shows at 1543333920.414188 with a length of 101.
const BY_EDITCAP: &[u8] = b"\
    \x0a\x0d\x0d\x0a\x6c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\
    \xff\xff\xff\xff\xff\xff\xff\xff\x04\x00\x45\x00Editcap (Wireshark) \
    4.0.17 (Git v4.0.17 packaged as 4.0.17-0+deb12u3)\x00\x00\x00\
    \x00\x00\x00\x00\x6c\x00\x00\x00\
    \x01\x00\x00\x00\x14\x00\x00\x00\x01\x00\x00\x00\x00\x00\x04\x00\x14\x00\x00\x00\
    \x06\x00\x00\x00\x34\x00\x00\x00\x00\x00\x00\x00\xa7\x7b\x05\x00\
    \xec\x99\x18\x6e\x14\x00\x00\x00\x65\x00\x00\x00\x00\x0c\xdb\xfe\
    \x58\x21\x00\x25\x90\x64\x2b\xc6\x86\xdd\x60\x04\x2d\x73\x00\x2f\
    \x34\x00\x00\x00";

#[test]
fn wiresharks_pcapng_is_read() {
    let (samples, end) = read(BY_EDITCAP.to_vec());
    assert!(end.is_ok(), "{end:?}");
    let expected = Sample {
        time_ns: 1_543_333_920_414_188_000,
        link: LinkType::ETHERNET,
        wire_len: 101,
        bytes: b"\x00\x0c\xdb\xfe\x58\x21\x00\x25\x90\x64\x2b\xc6\x86\xdd\x60\x04\x2d\x73\x00\x2f"
            .to_vec(),
    };
    assert_eq!(samples, [expected]);
}

/// Counted by `tcpdump --count`.
const COUNTS: &[(&str, u64)] = &[
    ("dsc-upstream/1458044657.pcap", 8),
    ("dsc-upstream/dns6.pcap", 2),
    ("dsc-upstream/dnso1tcp.pcap", 212),
    ("dsc-upstream/edns.pcap", 14),
    ("dsc-upstream/test_285.pcap", 4),
    ("live/compactor-malformed.pcap.xz", 24),
    ("live/compactor-matching.pcap.xz", 43),
    ("live/compactor-unmatched.pcap.xz", 2),
    ("live/nsd-live.raw.pcap.xz", 21_804),
];

#[test]
fn the_conformance_captures_are_read_to_their_end() -> Result<(), Box<dyn Error>> {
    let Some(folder) = conformance_folder() else {
        return Ok(());
    };
    for subfolder in ["dsc-upstream", "dsc-edge", "live"] {
        for path in captures_in(&folder.join(subfolder))? {
            assert!(count(&path)? > 0, "{}", path.display());
        }
    }
    for (name, expected) in COUNTS {
        assert_eq!(count(&folder.join(name))?, *expected, "{name}");
    }
    Ok(())
}

/// Not part of the repository: beside it, or where `XDSC_SHARED_DATA` says.
fn conformance_folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("XDSC_SHARED_DATA").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    {
        eprintln!(
            "SKIPPED: no conformance captures in {}; set XDSC_SHARED_DATA",
            folder.display()
        );
    }
    None
}

fn captures_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    let paths = entries.into_iter().map(|entry| entry.path());
    Ok(paths.filter(|path| is_capture(path)).collect())
}

fn is_capture(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| name.contains(".pcap"))
}

fn count(path: &Path) -> Result<u64, Box<dyn Error>> {
    let mut capture = Capture::open(path)?;
    while capture.next_packet()?.is_some() {}
    Ok(capture.packets_read())
}
