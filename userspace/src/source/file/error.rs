//! What can be wrong with a capture.
//!
//! Three layers, from the user's view to the bytes: a [`CaptureError`] names the
//! file, a [`Fault`] says what kind of trouble and what to do, a [`Damage`] says
//! which rule of the format is broken. A message is whole by itself: causes
//! are part of the text, hence not told a second time as `source()`.

use std::io;

use super::compression::Compression;

/// A capture that cannot be read, or not to its end. The packets handed out
/// before it are good.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {fault}{}", packets_before(*packets))]
pub struct CaptureError {
    /// The path, or what stands for it.
    pub file: String,
    /// How many packets had been read before.
    pub packets: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a capture. Offsets count bytes after decompression.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The operating system does not open it.
    #[error("cannot be opened: {cause}; check the path and the permission to read it")]
    Open {
        /// Why not.
        cause: io::Error,
    },
    /// The operating system does not read on.
    #[error(
        "cannot be read from byte {offset} on: {cause}; check the disk, or what feeds the pipe"
    )]
    Read {
        /// Where reading stopped.
        offset: u64,
        /// Why.
        cause: io::Error,
    },
    /// It is something else.
    #[error(
        "is not a capture: it starts with {found}; \
         give pcap or pcapng, plain or compressed with gzip, xz or zstd"
    )]
    NotACapture {
        /// What it is, as far as its first bytes tell.
        found: String,
    },
    /// It is a capture of a version that nobody writes.
    #[error(
        "is {format} of version {major}.{minor}, but only {supported} is supported; \
         convert it with `editcap -F pcap`"
    )]
    Version {
        /// `pcap` or `pcapng`.
        format: &'static str,
        /// The version's first number.
        major: u16,
        /// The version's second number.
        minor: u16,
        /// The version that can be read.
        supported: &'static str,
    },
    /// It ends where it should go on.
    #[error(
        "is truncated: it ends within the header, record or block that starts at byte {offset} \
         (after decompression, if any); \
         the capture was cut off, or is still being written"
    )]
    Truncated {
        /// Where the incomplete piece starts.
        offset: u64,
    },
    /// It contradicts its format.
    #[error(
        "is corrupt at byte {offset} (after decompression, if any): {damage}; \
         fetch it again from where it was captured, or salvage the rest with `pcapfix`"
    )]
    Corrupt {
        /// Where the record or block starts.
        offset: u64,
        /// Which rule it breaks.
        damage: Damage,
    },
    /// Its compressed data cannot be decompressed.
    #[error(
        "cannot be decompressed further after {offset} bytes: {cause}; \
         test it with `{compression} -t`, or decompress it and give the result"
    )]
    Decompression {
        /// How it is compressed.
        compression: Compression,
        /// How many bytes came out before.
        offset: u64,
        /// What the decompressor says.
        cause: io::Error,
    },
}

/// Which rule of its format a record or block breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A packet nobody captures.
    #[error("a packet of {length} bytes, above the limit of {limit}")]
    PacketLength {
        /// The captured length it claims.
        length: u32,
        /// The longest accepted.
        limit: u32,
    },
    /// A block that cannot be that long.
    #[error("a block of {length} bytes, which is not a multiple of 4 from 12 to {limit}")]
    BlockLength {
        /// The total length it claims.
        length: u32,
        /// The longest accepted.
        limit: u32,
    },
    /// A block's length stands at its start and at its end.
    #[error("a block of {leading} bytes by its start, of {trailing} by its end")]
    BlockLengthsDiffer {
        /// The length at the start.
        leading: u32,
        /// The length at the end.
        trailing: u32,
    },
    /// A block, or an option in it, ends before what it must contain.
    #[error("a block too short for its contents")]
    BlockTooShort,
    /// A section that does not tell its byte order.
    #[error("a section with the unknown byte-order magic {magic:02x?}")]
    ByteOrder {
        /// The four bytes that should be 1a2b3c4d in one order or the other.
        magic: [u8; 4],
    },
    /// A packet of an interface that no block described.
    #[error("a packet of interface {interface}, of {known} described")]
    UnknownInterface {
        /// The interface, counted from zero.
        interface: u32,
        /// How many interfaces the section has described so far.
        known: usize,
    },
    /// More interfaces than a machine has.
    #[error("more than {limit} interfaces in one section")]
    TooManyInterfaces {
        /// The most accepted.
        limit: usize,
    },
    /// An interface's option of the wrong size.
    #[error("interface option {code} with a value of {length} bytes")]
    OptionLength {
        /// The option's code.
        code: u16,
        /// Its value's length.
        length: usize,
    },
}

impl Fault {
    pub(super) fn of_file(self, file: &str, packets: u64) -> CaptureError {
        CaptureError {
            file: file.to_owned(),
            packets,
            fault: self,
        }
    }
}

impl Damage {
    pub(super) fn at(self, offset: u64) -> Fault {
        Fault::Corrupt {
            offset,
            damage: self,
        }
    }
}

fn packets_before(packets: u64) -> String {
    match packets {
        0 => String::new(),
        1 => " (1 packet before it was read)".to_owned(),
        _ => format!(" ({packets} packets before it were read)"),
    }
}
