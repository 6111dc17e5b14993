//! Whole captures: written here by the letter of the two formats, or by others.

mod corruption;
mod foreign_files;
mod round_trip;
mod writer;

use std::io::{self, Cursor, Read};

use super::{Capture, CaptureError, LinkType};

/// A packet with its bytes owned.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sample {
    time_ns: u64,
    link: LinkType,
    wire_len: u32,
    bytes: Vec<u8>,
}

impl Sample {
    fn ethernet(time_ns: u64, bytes: &[u8]) -> Self {
        Self {
            time_ns,
            link: LinkType::ETHERNET,
            wire_len: 60,
            bytes: bytes.to_vec(),
        }
    }
}

/// All packets up to the end or the error.
fn read(bytes: Vec<u8>) -> (Vec<Sample>, Result<(), CaptureError>) {
    read_in_steps(bytes, usize::MAX)
}

/// As `read`, from a pipe that gives a few bytes at a time.
fn read_in_steps(bytes: Vec<u8>, step: usize) -> (Vec<Sample>, Result<(), CaptureError>) {
    let pipe = Pipe {
        bytes: Cursor::new(bytes),
        step,
    };
    match Capture::from_reader("test.pcap".to_owned(), Box::new(pipe)) {
        Ok(capture) => read_all(capture),
        Err(error) => (Vec::new(), Err(error)),
    }
}

fn read_all(mut capture: Capture) -> (Vec<Sample>, Result<(), CaptureError>) {
    let mut samples = Vec::new();
    let end = loop {
        match capture.next_packet() {
            Ok(Some(packet)) => samples.push(Sample {
                time_ns: packet.time_ns,
                link: packet.link,
                wire_len: packet.wire_len,
                bytes: packet.bytes.to_vec(),
            }),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(
        matches!(capture.next_packet(), Ok(None)),
        "a capture that ended stays ended"
    );
    assert_eq!(capture.packets_read(), samples.len() as u64);
    (samples, end)
}

struct Pipe {
    bytes: Cursor<Vec<u8>>,
    step: usize,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.step);
        self.bytes.read(&mut buffer[..length])
    }
}
