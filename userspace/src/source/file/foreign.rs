//! Names for what is given in place of a capture.

/// How much of a file's start is looked at.
pub(super) const DESCRIBED: usize = 8;

const KNOWN: &[(&[u8], &str)] = &[
    (b"BZh", "bzip2-compressed data, which is not unpacked here"),
    (
        b"\x04\x22\x4d\x18",
        "LZ4-compressed data, which is not unpacked here",
    ),
    (b"\x1f\x8b", "a second layer of gzip"),
    (b"\xfd7zXZ", "a second layer of xz"),
    (b"\x28\xb5\x2f\xfd", "a second layer of zstd"),
    (b"\xa1\xb2\xcd\x34", MODIFIED_PCAP),
    (b"\x34\xcd\xb2\xa1", MODIFIED_PCAP),
    (
        b"snoop\0\0\0",
        "a snoop capture, which `editcap -F pcap` converts",
    ),
];

const MODIFIED_PCAP: &str =
    "the \"modified\" pcap of old patched libpcaps, which `editcap -F pcap` converts";

/// Says what a file is that starts like this, or at least with which bytes.
pub(super) fn describe(start: &[u8]) -> String {
    if start.is_empty() {
        return "nothing, being empty".to_owned();
    }
    KNOWN
        .iter()
        .find(|(magic, _)| start.starts_with(magic))
        .map_or_else(
            || format!("the bytes {start:02x?}"),
            |(_, name)| (*name).to_owned(),
        )
}
