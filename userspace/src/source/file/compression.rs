//! Unwraps gzip, xz and zstd.
//!
//! The first bytes tell, never the name: a pipe has none, and rotated captures
//! often have the wrong one. Files made of several compressed pieces
//! (concatenated, or written by parallel compressors) are read through to the end.

use std::fmt;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use super::error::Fault;

/// What a decompressor may use at most, whatever the file asks for: enough for
/// the highest presets of `xz` (65 MiB) and of `zstd` without `--long` (128 MiB).
const MEMORY_LIMIT_LOG2: u32 = 27;
/// Compressed bytes are read in steps of this size.
const COMPRESSED_STEP: usize = 128 << 10;
/// And decompressed in steps of this size at most: a decompressor that meets
/// damage takes with it what it had put out in the same step.
const DECOMPRESSED_STEP: usize = 64 << 10;
const LONGEST_MAGIC: usize = 6;

/// How a capture file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// The format of XZ Utils.
    Xz,
    /// RFC 8878.
    Zstd,
}

/// A capture's bytes after decompression.
pub(super) struct Source {
    reader: Box<dyn Read + Send>,
    compression: Option<Compression>,
    consumed: Arc<AtomicU64>,
}

impl Source {
    pub(super) fn open(raw: Box<dyn Read + Send>) -> Result<Self, Fault> {
        let consumed = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            reader: raw,
            consumed: Arc::clone(&consumed),
        };
        let (compression, reader) =
            unwrap(counted).map_err(|cause| Fault::Read { offset: 0, cause })?;
        Ok(Self {
            reader,
            compression,
            consumed,
        })
    }

    /// Bytes taken from the file, before decompression.
    pub(super) fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// Reads what there is; zero only at the end, or into an empty buffer.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let step = match self.compression {
            Some(_) => buffer.len().min(DECOMPRESSED_STEP),
            None => buffer.len(),
        };
        loop {
            match self.reader.read(&mut buffer[..step]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Judges an error of `read` after `end` bytes, of which a piece
    /// that starts at `piece` was being read.
    pub(super) fn fault(&self, cause: io::Error, piece: u64, end: u64) -> Fault {
        match self.compression {
            Some(_) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                Fault::Truncated { offset: piece }
            }
            Some(compression) if cause.raw_os_error().is_none() => Fault::Decompression {
                compression,
                offset: end,
                cause,
            },
            Some(_) | None => Fault::Read { offset: end, cause },
        }
    }
}

impl Compression {
    fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            // A skippable frame: what pzstd starts its files with.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        })
    }
}

fn unwrap(mut raw: Counted) -> io::Result<(Option<Compression>, Box<dyn Read + Send>)> {
    let mut start = Vec::with_capacity(LONGEST_MAGIC);
    raw.by_ref()
        .take(LONGEST_MAGIC as u64)
        .read_to_end(&mut start)?;
    let compression = Compression::of(&start);
    let whole = Cursor::new(start).chain(raw);
    let reader = match compression {
        Some(compression) => decompress(compression, whole)?,
        None => Box::new(whole),
    };
    Ok((compression, reader))
}

fn decompress(
    compression: Compression,
    compressed: impl Read + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    let compressed = BufReader::with_capacity(COMPRESSED_STEP, compressed);
    Ok(match compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(compressed)),
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(1 << MEMORY_LIMIT_LOG2, CONCATENATED)?;
            Box::new(XzDecoder::new_stream(compressed, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(compressed)?;
            decoder.window_log_max(MEMORY_LIMIT_LOG2)?;
            Box::new(decoder)
        }
    })
}

/// Counts what is read, for the progress of the whole.
struct Counted {
    reader: Box<dyn Read + Send>,
    consumed: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.consumed.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
