//! Capture files: pcap and pcapng, plain or compressed.
//!
//! A capture is read as a stream, so that a pipe serves as well as a file and
//! memory does not depend on the file's size, nor on what it claims. The way of
//! the bytes is that of the modules: `compression` finds out what wraps the
//! file and unwraps it, `window` keeps the piece being worked on, `pcap` and
//! `pcapng` cut it into packets (with `fields` for numbers and `clock` for
//! pcapng's timestamps). Packets are slices of the window: none is copied.

mod clock;
mod compression;
mod error;
mod fields;
mod foreign;
mod link_type;
mod pcap;
mod pcapng;
#[cfg(test)]
mod tests;
mod window;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub use compression::Compression;
pub use error::{CaptureError, Damage, Fault};
pub use link_type::LinkType;

use compression::Source;
use pcap::Pcap;
use window::Window;

/// A packet, valid until the next one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When it was captured: nanoseconds since the Unix epoch. Zero in the rare
    /// Simple Packet Block of pcapng, which has no timestamp.
    pub time_ns: u64,
    /// What `bytes` begins with.
    pub link: LinkType,
    /// Its length on the wire; `bytes` is shorter where the capture cut it.
    pub wire_len: u32,
    /// What was captured of it: at most 256 KiB in pcap, 16 MiB in pcapng.
    pub bytes: &'a [u8],
}

/// A capture being read.
pub struct Capture {
    name: String,
    format: Format,
    window: Window,
    bytes_total: Option<u64>,
    packets: u64,
    ended: bool,
}

enum Format {
    Pcap(Pcap),
    Pcapng(pcapng::Section),
}

impl Capture {
    /// Opens a file by its path; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        Self::open_through(path, |file| Box::new(file))
    }

    /// Opens it likewise, and reads it through what `watch` puts around it; but for
    /// standard input.
    pub fn open_through(
        path: &Path,
        watch: impl FnOnce(File) -> Box<dyn Read + Send>,
    ) -> Result<Self, CaptureError> {
        if path.as_os_str() == "-" {
            return Self::from_reader("standard input".to_owned(), Box::new(io::stdin()));
        }
        let name = path.display().to_string();
        let (file, bytes_total) =
            open_file(path).map_err(|cause| Fault::Open { cause }.of_file(&name, 0))?;
        let mut capture = Self::from_reader(name, watch(file))?;
        capture.bytes_total = bytes_total;
        Ok(capture)
    }

    /// Reads a capture from anywhere; `name` stands for it in errors.
    pub fn from_reader(name: String, reader: Box<dyn Read + Send>) -> Result<Self, CaptureError> {
        match open_stream(reader) {
            Ok((format, window)) => Ok(Self {
                name,
                format,
                window,
                bytes_total: None,
                packets: 0,
                ended: false,
            }),
            Err(fault) => Err(fault.of_file(&name, 0)),
        }
    }

    /// The next packet, `None` at the end. An error ends the capture: it is
    /// told once, and `None` follows.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>, CaptureError> {
        if self.ended {
            return Ok(None);
        }
        match self.format.next_packet(&mut self.window) {
            Ok(Some(packet)) => {
                self.packets += 1;
                Ok(Some(packet))
            }
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(fault) => {
                self.ended = true;
                Err(fault.of_file(&self.name, self.packets))
            }
        }
    }

    /// How many packets were handed out.
    pub fn packets_read(&self) -> u64 {
        self.packets
    }

    /// How much of the file was read, compressed as it is; a buffer's length
    /// ahead of the packets.
    pub fn bytes_read(&self) -> u64 {
        self.window.bytes_consumed()
    }

    /// The file's size, which `bytes_read` approaches; unknown for a pipe.
    pub fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }
}

impl Format {
    fn detect(window: &mut Window) -> Result<Self, Fault> {
        let start = window.peek_up_to(foreign::DESCRIBED)?;
        if start.starts_with(&pcapng::MAGIC) {
            pcapng::Section::open(window).map(Self::Pcapng)
        } else if let Some(magic) = pcap::Magic::of(start) {
            Pcap::open(magic, window).map(Self::Pcap)
        } else {
            Err(Fault::NotACapture {
                found: foreign::describe(start),
            })
        }
    }

    fn next_packet<'w>(&mut self, window: &'w mut Window) -> Result<Option<Packet<'w>>, Fault> {
        match self {
            Self::Pcap(pcap) => pcap.next_packet(window),
            Self::Pcapng(section) => section.next_packet(window),
        }
    }
}

fn open_file(path: &Path) -> io::Result<(File, Option<u64>)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let size = metadata.is_file().then_some(metadata.len());
    Ok((file, size))
}

fn open_stream(reader: Box<dyn Read + Send>) -> Result<(Format, Window), Fault> {
    let mut window = Window::new(Source::open(reader)?);
    let format = Format::detect(&mut window)?;
    Ok((format, window))
}
